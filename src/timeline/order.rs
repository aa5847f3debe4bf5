//! Entries of many parts in one order, a few at a time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use roaring::RoaringBitmap;

use super::entry::Judge;
use crate::domain::Position;
use crate::filter::Filter;
use crate::filter::plan::slots_of;
use crate::index::Part;

/// An order of entries. Equal keys stand in position order, reversed where the order is descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By earliest start.
    ValidStart,
    /// By earliest start, latest first.
    ValidStartDescending,
    /// By known time.
    KnownAt,
    /// By known time, latest first.
    KnownAtDescending,
    /// By position.
    Recorded,
    /// By position, latest first.
    RecordedDescending,
    /// By the score of the words asked for, best first, then by position.
    Relevance,
}

/// The place of an entry in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// What is ordered by: day number, microseconds or position.
    pub value: i64,
    /// Its position.
    pub position: Position,
}

/// A key so transformed that smaller comes first in every order.
pub type Rank = (i64, u64);

/// From one candidate in this many slots on, walking the stored order beats sorting the candidates.
const WALK_FROM_ONE_IN: u64 = 16;

impl Order {
    const fn is_descending(self) -> bool {
        matches!(self, Self::ValidStartDescending | Self::KnownAtDescending | Self::RecordedDescending)
    }

    /// Gives the key of an event that a filter found.
    #[must_use]
    pub fn key(self, filter: &Filter, part: &dyn Part, slot: u16) -> Key {
        let position = part.position_at(slot);
        let columns = part.columns();
        let value = match self {
            Self::ValidStart | Self::ValidStartDescending => {
                columns.earliest_start(slot).map_or(i64::MIN, i64::from)
            }
            Self::KnownAt | Self::KnownAtDescending => {
                columns.known_at(slot).map_or(i64::MIN, |known| known.0)
            }
            Self::Recorded | Self::RecordedDescending => i64::try_from(position.0).unwrap_or(i64::MAX),
            Self::Relevance => filter.score(position),
        };
        Key { value, position }
    }

    /// Gives a key that sorts in this order.
    #[must_use]
    pub fn rank(self, key: Key) -> Rank {
        // The complement turns the order of integers round, without overflow.
        if self == Self::Relevance {
            return (!key.value, key.position.0);
        }
        if self.is_descending() { (!key.value, !key.position.0) } else { (key.value, key.position.0) }
    }

    /// Gives a rank that no event of the part comes before that starts between the two ends.
    fn first_rank(self, part: &dyn Part, ends: (i32, i32)) -> Rank {
        let last = part.base().0 + u64::from(part.len());
        let (value, position) = match self {
            Self::ValidStart => (i64::from(ends.0), part.base().0),
            Self::ValidStartDescending => (i64::from(ends.1), last),
            Self::KnownAt => {
                let ends = part.columns().known_ends();
                (ends.map_or(i64::MIN, |(least, _)| least.0), part.base().0)
            }
            Self::KnownAtDescending => {
                (part.columns().known_ends().map_or(i64::MAX, |(_, most)| most.0), last)
            }
            Self::Recorded => (i64::try_from(part.base().0).unwrap_or(i64::MAX), part.base().0),
            Self::RecordedDescending => (i64::try_from(last).unwrap_or(i64::MAX), last),
            Self::Relevance => (i64::MAX, 0),
        };
        self.rank(Key { value, position: Position(position) })
    }
}

/// What is no entry is passed over so many times before the part waits for its turn again.
const PASSED_MAX: usize = 256;

/// The events that match a filter, of all parts, in order; few of those that are no entry whatever became of them.
///
/// A part is planned only when an event of it could be next: first by what its columns span, then by what the events
/// with the terms asked for span.
pub struct Merge<'a> {
    judge: Judge<'a>,
    filter: &'a Filter,
    order: Order,
    after: Option<Key>,
    parts: Vec<Walk<'a>>,
    heap: BinaryHeap<Reverse<(Rank, usize, Step)>>,
}

/// How far a part is that stands in the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// None of its events comes before the rank.
    Unopened,
    /// None of those of its events that can match comes before the rank.
    Bounded,
    /// The event at the slot has the rank.
    At(u16),
}

struct Walk<'a> {
    part: &'a dyn Part,
    /// Bounds of the earliest starts of what can match.
    ends: (i32, i32),
    slots: Box<dyn Iterator<Item = u16> + 'a>,
}

impl<'a> Merge<'a> {
    /// Begins after a key.
    #[must_use]
    pub fn new(judge: Judge<'a>, filter: &'a Filter, order: Order, after: Option<Key>) -> Self {
        let scope = judge.scope;
        let parts = judge.view.parts().filter(|part| part.base() < scope.as_of && !part.is_empty());
        // Nothing of a part that became known later is in scope.
        let parts =
            parts.filter(|part| part.columns().known_ends().is_none_or(|(least, _)| least <= scope.known_at));
        let walk = |part: &'a dyn Part| {
            let ends = part.valid_ends().unwrap_or((i32::MIN, i32::MAX));
            Walk { part, ends, slots: Box::new(std::iter::empty()) }
        };
        let parts: Vec<Walk<'a>> = parts.map(walk).collect();
        let unopened = parts.iter().enumerate();
        let heap = unopened
            .map(|(index, walk)| Reverse((order.first_rank(walk.part, walk.ends), index, Step::Unopened)))
            .collect();
        Self { judge, filter, order, after, parts, heap }
    }

    /// Gives a rank that nothing of a part that can match comes before; nothing if no event of it can.
    fn bound(&mut self, index: usize) -> Option<Rank> {
        let walk = self.parts.get_mut(index)?;
        if matches!(self.order, Order::ValidStart | Order::ValidStartDescending) {
            walk.ends = self.filter.valid_ends(walk.part)?;
            let (least, most) = (i64::from(walk.ends.0), i64::from(walk.ends.1));
            let is_past = |after: Key| {
                if self.order.is_descending() { least > after.value } else { most < after.value }
            };
            if self.after.is_some_and(is_past) {
                return None;
            }
        }
        Some(self.order.first_rank(walk.part, walk.ends))
    }

    fn open(&mut self, index: usize) {
        let Some(walk) = self.parts.get_mut(index) else {
            return;
        };
        let found = self.filter.slots(walk.part, walk.part.slots_up_to(self.judge.scope.as_of));
        walk.slots = ordered(walk.part, found, walk.ends, self.filter, self.order, self.after);
    }

    fn advance(&mut self, index: usize) {
        let Some(walk) = self.parts.get_mut(index) else {
            return;
        };
        let limit = self.after.map(|after| self.order.rank(after));
        let mut passed = 0;
        for slot in walk.slots.by_ref() {
            // What is no entry need not wait for its turn among the parts. But its turn shows how far the walk is: a page
            // may be full long before the next entry of this part.
            if passed < PASSED_MAX && self.judge.certainty(walk.part, slot).is_none() {
                passed += 1;
                continue;
            }
            let rank = self.order.rank(self.order.key(self.filter, walk.part, slot));
            if limit.is_none_or(|limit| rank > limit) {
                self.heap.push(Reverse((rank, index, Step::At(slot))));
                return;
            }
        }
    }
}

impl<'a> Iterator for Merge<'a> {
    type Item = (&'a dyn Part, u16);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((_, index, step)) = self.heap.pop()?;
            match step {
                Step::Unopened => {
                    if let Some(rank) = self.bound(index) {
                        self.heap.push(Reverse((rank, index, Step::Bounded)));
                    }
                }
                Step::Bounded => {
                    self.open(index);
                    self.advance(index);
                }
                Step::At(slot) => {
                    self.advance(index);
                    return self.parts.get(index).map(|walk| (walk.part, slot));
                }
            }
        }
    }
}

/// Gives slots of a part in order, from about where `after` stands. What was found starts between the two `ends`.
fn ordered<'a>(
    part: &'a dyn Part,
    found: RoaringBitmap,
    ends: (i32, i32),
    filter: &Filter,
    order: Order,
    after: Option<Key>,
) -> Box<dyn Iterator<Item = u16> + 'a> {
    match order {
        Order::Recorded => {
            let mut found = found;
            if let Some(after) = after {
                found.remove_range(0..part.slots_up_to(after.position));
            }
            Box::new(found.into_iter().filter_map(|slot| u16::try_from(slot).ok()))
        }
        Order::RecordedDescending => {
            let mut found = found;
            if let Some(after) = after {
                found.remove_range(part.slots_up_to(Position(after.position.0.saturating_sub(1)))..);
            }
            Box::new(found.into_iter().rev().filter_map(|slot| u16::try_from(slot).ok()))
        }
        Order::ValidStart | Order::ValidStartDescending
            if found.len().saturating_mul(WALK_FROM_ONE_IN) >= u64::from(part.len()) =>
        {
            let ascending = !order.is_descending();
            let from = after.map(|after| start_of_walk(part, after, ascending));
            // Not where nothing can be found: the walk would only go past it.
            let from = if ascending {
                (ends.0, 0).max(from.unwrap_or((i32::MIN, 0)))
            } else {
                (ends.1, u16::MAX).min(from.unwrap_or((i32::MAX, u16::MAX)))
            };
            let walk = part.valid_order(Some(from), ascending);
            Box::new(walk.filter(move |slot| found.contains(u32::from(*slot))))
        }
        Order::ValidStart
        | Order::ValidStartDescending
        | Order::KnownAt
        | Order::KnownAtDescending
        | Order::Relevance => {
            let limit = after.map(|after| order.rank(after));
            let ranked = slots_of(&found).map(|slot| (order.rank(order.key(filter, part, slot)), slot));
            let ranked = ranked.filter(|(rank, _)| limit.is_none_or(|limit| *rank > limit)).collect();
            Box::new(Sorting { ranked, sorted: 0, given: 0 })
        }
    }
}

/// Slots by rank, sorted as far as they are asked for: a page needs few of each part, or none.
struct Sorting {
    ranked: Vec<(Rank, u16)>,
    /// So many are in order, and before all others.
    sorted: usize,
    given: usize,
}

/// Slots that are sorted at first; then twice as many each time.
const SORTED_FIRST: usize = 64;

impl Iterator for Sorting {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.given == self.sorted {
            let more = self.sorted.max(SORTED_FIRST).min(self.ranked.len() - self.sorted);
            let (_, rest) = self.ranked.split_at_mut_checked(self.sorted)?;
            if more < rest.len() {
                rest.select_nth_unstable(more);
            }
            rest.get_mut(..more)?.sort_unstable();
            self.sorted += more;
        }
        let (_, slot) = self.ranked.get(self.given)?;
        self.given += 1;
        Some(*slot)
    }
}

/// Gives the bound of the first slot that can come after a key.
fn start_of_walk(part: &dyn Part, after: Key, ascending: bool) -> (i32, u16) {
    let day = i32::try_from(after.value).unwrap_or(if after.value < 0 { i32::MIN } else { i32::MAX });
    // Slots of the same day at or below the position are done in ascending order, at or above it in descending.
    let done = part.slots_up_to(after.position);
    if ascending {
        u16::try_from(done).map_or((day.saturating_add(1), 0), |slot| (day, slot))
    } else {
        (day, u16::try_from(done).unwrap_or(u16::MAX))
    }
}

impl std::fmt::Debug for Merge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Merge")
            .field("order", &self.order)
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        Bounds, EventFacts, EventId, Kind, RecordForm, RecordedFacts, Revision, StreamName, TermField,
        TermList, Terms, Timestamp,
    };
    use crate::filter::Needle;
    use crate::index::{Index, SEGMENT_LEN, Scope, Segment};

    const TAGS: [&str; 5] = ["common", "half", "some", "rare", "late"];

    fn event(position: u64) -> RecordedFacts {
        let id = EventId::from_uuid(Uuid::from_u128(position.into()));
        let bare = EventFacts::bare(id, StreamName::from_recorded("s"), Kind::Custom);
        // Later parts start and are known later. Every 101st has no start, every tenth starts on the last day of the
        // first part, and what is late starts late.
        let part = (position - 1) / SEGMENT_LEN;
        let day = i32::try_from(position * 7_919 % 1_009 + part * 500).unwrap();
        let start = match position {
            _ if position.is_multiple_of(101) => Bounds::OPEN_START,
            _ if position.is_multiple_of(10) => 1_008,
            _ => day,
        };
        let mut terms = TermList::default();
        for (tag, one_in) in TAGS.into_iter().zip([1, 2, 50, 3_000, 5]) {
            if position.is_multiple_of(one_in) && (tag != "late" || start > 900) {
                terms.add(TermField::Tag, tag);
            }
        }
        let known_at = i64::try_from(position * 31 % 97 + part * 60).unwrap();
        RecordedFacts {
            form: RecordForm::Whole,
            event: EventFacts {
                bounds: Bounds { earliest_start: start, ..bare.bounds },
                known_at: Some(Timestamp(known_at)),
                terms: Terms::new(&terms),
                ..bare
            },
            position: Position(position),
            revision: Revision(position),
            recorded_at: Timestamp(1_000 + i64::try_from(position).unwrap()),
            links: Vec::new(),
        }
    }

    /// Any of some tags.
    fn clause(tags: &[&str]) -> Vec<Needle> {
        tags.iter().map(|tag| Needle::Term(TermField::Tag.term(tag))).collect()
    }

    #[test]
    fn parts_come_together_in_every_order_from_every_place() {
        // Two sealed parts with dense and sparse terms, and a tail.
        let all = 2 * SEGMENT_LEN + 1_000;
        let index = Index::default();
        for position in 1..=all {
            for full in index.fold(&[event(position)]) {
                let full = index.view().tail().segment_after(full).unwrap();
                index.seal(Arc::new(Segment::of(&full)));
            }
        }
        let view = index.view();
        assert_eq!(view.parts().count(), 2 + 1);
        let facts: Vec<RecordedFacts> = (1..=all).map(event).collect();
        let (orders, scope) = (
            [
                Order::ValidStart,
                Order::ValidStartDescending,
                Order::KnownAt,
                Order::KnownAtDescending,
                Order::Recorded,
                Order::RecordedDescending,
            ],
            // The moment at which the first of the last part became known.
            Scope { as_of: Position(all - 10), known_at: Timestamp(120) },
        );
        let filters: [&[&[&str]]; 7] = [
            &[],
            &[&["half"]],
            &[&["rare"]],
            &[&["late"], &["common"]],
            &[&["some", "late"]],
            &[&["absent", "rare"], &["half"]],
            &[&["absent"]],
        ];
        for (order, clauses) in orders.iter().flat_map(|order| filters.iter().map(move |all| (*order, *all)))
        {
            let filter =
                Filter { clauses: clauses.iter().map(|tags| clause(tags)).collect(), ..Filter::default() };
            let matching = facts.iter().filter(|facts| {
                scope.contains(facts.position, facts.known_time()) && filter.matches(&facts.event, None)
            });
            let key = |facts: &RecordedFacts| {
                let value = match order {
                    Order::ValidStart | Order::ValidStartDescending => {
                        i64::from(facts.event.bounds.earliest_start)
                    }
                    Order::KnownAt | Order::KnownAtDescending => facts.known_time().0,
                    Order::Recorded | Order::RecordedDescending | Order::Relevance => {
                        i64::try_from(facts.position.0).unwrap()
                    }
                };
                Key { value, position: facts.position }
            };
            let mut expected: Vec<Key> = matching.map(key).collect();
            expected.sort_unstable_by_key(|key| order.rank(*key));
            // Where few match, from every place; else from some, ties of the parts' ends among them.
            let afters = (0..expected.len()).step_by((expected.len() / 60).max(1));
            for after in std::iter::once(None).chain(afters.map(|at| Some(expected[at]))) {
                let rest = expected
                    .iter()
                    .skip_while(|key| after.is_some_and(|after| order.rank(**key) <= order.rank(after)));
                let rest: Vec<Position> = rest.take(300).map(|key| key.position).collect();
                let judge = Judge { view: &view, window: None, scope, include_closed: true };
                let entries = Merge::new(judge, &filter, order, after)
                    .filter(|(part, slot)| judge.certainty(*part, *slot).is_some());
                let found: Vec<Position> =
                    entries.take(300).map(|(part, slot)| part.position_at(slot)).collect();
                assert_eq!(found, rest, "{order:?} {clauses:?} after {after:?}");
            }
        }
    }

    #[test]
    fn what_is_sorted_as_it_is_asked_for_is_sorted() {
        for len in [0, 1, 63, 64, 65, 128, 129, 1_000_u16] {
            // Some are equal but for the slot.
            let ranked = (0..len).map(|slot| ((i64::from(slot * 7 % len.max(1)) / 3, u64::from(slot)), slot));
            let mut expected: Vec<(Rank, u16)> = ranked.clone().collect();
            expected.sort_unstable();
            let expected: Vec<u16> = expected.into_iter().map(|(_, slot)| slot).collect();
            let sorting = Sorting { ranked: ranked.collect(), sorted: 0, given: 0 };
            assert_eq!(sorting.collect::<Vec<u16>>(), expected, "{len}");
        }
    }
}
