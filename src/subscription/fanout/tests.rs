//! Who is told of what, and who is woken when.

use futures_util::FutureExt as _;
use uuid::Uuid;

use super::*;
use crate::domain::{EventId, Kind, StreamName, TermField, TermList, Terms};
use crate::filter::Needle;

fn event(tags: &[&str]) -> EventFacts {
    let mut terms = TermList::default();
    tags.iter().for_each(|tag| terms.add(TermField::Tag, tag));
    let id = EventId::from_uuid(Uuid::from_u128(1));
    let bare = EventFacts::bare(id, StreamName::from_recorded("s"), Kind::Custom);
    EventFacts { terms: Terms::new(&terms), ..bare }
}

/// Any of some tags.
fn tagged(tags: &[&str]) -> Filter {
    let needles = tags.iter().map(|tag| Needle::Term(TermField::Tag.term(tag)));
    Filter { clauses: vec![needles.collect()], ..Filter::default() }
}

fn empty() -> Arc<Fanout> {
    Arc::new(Fanout { members: Mutex::default() })
}

fn tell(fanout: &Fanout, position: u64, tags: &[&str]) {
    let mut members = fanout.members.lock();
    members.tell(&event(tags), Position(position));
    members.seen = Position(position);
}

fn is_woken(place: &Place) -> bool {
    place.woken().now_or_never().is_some()
}

#[test]
fn only_those_concerned_are_told_once_an_event() {
    let fanout = empty();
    let (two, other, all) =
        (fanout.join(tagged(&["a", "b"])), fanout.join(tagged(&["c"])), fanout.join(Filter::default()));
    tell(&fanout, 1, &["a", "b"]);
    tell(&fanout, 2, &["b", "x"]);
    tell(&fanout, 3, &["x"]);
    assert!(is_woken(&two) && !is_woken(&two), "one call for all that was noted");
    assert!(!is_woken(&other) && is_woken(&all));
    assert_eq!(other.progress(Position(0)), (Position(3), Position(3)));
    assert_eq!(two.progress(Position(1)), (Position(3), Position(1)));
    assert_eq!(two.take(Position(1), Position(9)), Known::Matches(vec![Position(2)], Position(3)));
    assert_eq!(two.take(Position(1), Position(3)), Known::Nothing(Position(3)), "taken is not known");
    let everything = [1, 2, 3].map(Position).to_vec();
    assert_eq!(all.take(Position(0), Position(3)), Known::Matches(everything, Position(3)));
    drop((two, other, all));
    let members = fanout.members.lock();
    assert!(members.by_term.is_empty() && members.unnamed.is_empty() && members.free.len() == 3);
}

#[test]
fn what_is_not_noted_is_found_in_the_index() {
    let fanout = empty();
    tell(&fanout, 1, &["a"]);
    let place = fanout.join(tagged(&["a"]));
    assert_eq!(place.take(Position(0), Position(1)), Known::Nothing(Position(1)), "it was told before");
    let noted = u64::try_from(NOTED_MAX).unwrap();
    (2..=noted + 3).for_each(|position| tell(&fanout, position, &["a"]));
    assert_eq!(place.progress(Position(1)), (Position(noted + 3), Position(1)));
    assert_eq!(place.take(Position(1), Position(noted + 3)), Known::Nothing(Position(noted + 2)));
    let rest = Known::Matches(vec![Position(noted + 3)], Position(noted + 3));
    assert_eq!(place.take(Position(noted + 2), Position(noted + 3)), rest);
    fanout.members.lock().tell_of_a_gap(Position(noted + 9));
    assert!(is_woken(&place));
    let gap = place.take(Position(noted + 3), Position(noted + 20));
    assert_eq!(gap, Known::Nothing(Position(noted + 3)), "not beyond what was seen");
}

#[test]
fn what_is_due_comes_at_its_position_and_not_before_its_moment() {
    let fanout = empty();
    let place = fanout.join(tagged(&["a"]));
    let due = Due { position: Position(2), not_before: Timestamp(10) };
    assert_eq!(place.expect(Some(due)), None);
    tell(&fanout, 1, &[]);
    assert_eq!(fanout.members.lock().wake_due(Timestamp(20)), PAUSE_MAX);
    assert!(!is_woken(&place));
    tell(&fanout, 2, &[]);
    assert_eq!(fanout.members.lock().wake_due(Timestamp(4)), Duration::from_micros(6));
    assert!(!is_woken(&place));
    assert_eq!(fanout.members.lock().wake_due(Timestamp(10)), PAUSE_MAX);
    assert!(is_woken(&place));
    assert_eq!(place.expect(Some(due)), Some(Timestamp(10)), "the position is behind");
}

#[test]
fn who_looked_after_itself_is_not_woken_again_and_the_longest_wait_comes_first() {
    let fanout = empty();
    let places: Vec<Place> = (0..3 * PART).map(|_| fanout.join(tagged(&["a"]))).collect();
    // The later a place joined, the longer it has waited.
    for (place, not_before) in places.iter().rev().zip(1..) {
        let due = Due { position: Position(1), not_before: Timestamp(not_before) };
        assert_eq!(place.expect(Some(due)), None);
    }
    tell(&fanout, 1, &[]);
    let now = 100;
    assert_eq!(fanout.members.lock().wake_due(Timestamp(now)), Duration::from_micros(4_000));
    let (others, longest) = places.split_at(2 * PART);
    assert!(longest.iter().all(is_woken) && !others.iter().any(is_woken));
    // The interval of some is over meanwhile: they send a checkpoint, and wait for the next.
    let (waiting, done) = others.split_at(PART);
    for place in done {
        let next = Due { position: Position(1_001), not_before: Timestamp(now + 1_000_000) };
        assert_eq!(place.expect(Some(next)), None);
    }
    assert_eq!(fanout.members.lock().wake_due(Timestamp(now + PART_MICROS)), PAUSE_MAX);
    assert!(waiting.iter().all(is_woken) && !done.iter().any(is_woken));
}

#[test]
fn those_for_whom_it_is_time_are_woken_in_parts() {
    let fanout = empty();
    let places: Vec<Place> = (0..20).map(|_| fanout.join(tagged(&["a"]))).collect();
    let due = Due { position: Position(1), not_before: Timestamp(10) };
    assert!(places.iter().all(|place| place.expect(Some(due)).is_none()));
    tell(&fanout, 1, &[]);
    let woken = || places.iter().filter(|place| is_woken(place)).count();
    let wake = |now: i64| fanout.members.lock().wake_due(Timestamp(now));
    assert_eq!((wake(10), woken()), (Duration::from_micros(4_000), PART));
    assert_eq!((wake(12), woken()), (Duration::from_micros(3_998), 0), "an append comes in between");
    assert_eq!((wake(4_010), woken()), (Duration::from_micros(4_000), PART));
    assert_eq!((wake(8_010), woken()), (PAUSE_MAX, 20 - 2 * PART));
    let due = Due { position: Position(2), not_before: Timestamp(20) };
    assert!(places.iter().all(|place| place.expect(Some(due)).is_none()));
    tell(&fanout, 2, &[]);
    assert_eq!((wake(20), woken()), (Duration::from_micros(4_000), PART), "the clock stepped back");
}
