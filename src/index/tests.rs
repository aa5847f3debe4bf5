//! Segments: the same events give the same bytes, and the same answers as the runs they were made of.

use std::borrow::Cow;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::domain::{
    ActFacts, Action, AmountQualifier, Bounds, Currency, Day, EventFacts, EventId, Factuality, Kind,
    KnowledgeLink, LifeLink, LifeTarget, LinkType, Money, Position, RecordForm, RecordedFacts, Revision,
    Stage, StreamName, TermField, TermList, Terms, Timestamp, TransferFacts,
};

fn facts(position: u64, start: i32, tags: &[u8], link: Option<u64>) -> RecordedFacts {
    facts_in("s", position, start, tags, link)
}

fn facts_in(stream: &str, position: u64, start: i32, tags: &[u8], link: Option<u64>) -> RecordedFacts {
    let mut terms = TermList::default();
    terms.add(TermField::Stream, stream);
    tags.iter().for_each(|tag| terms.add_written(TermField::Tag, tag));
    RecordedFacts {
        form: RecordForm::Whole,
        event: EventFacts {
            event_id: EventId::from_uuid(uuid::Uuid::from_u128(u128::from(position) * 7_919 + 1)),
            stream: StreamName::from_recorded(stream),
            kind: Kind::Custom,
            bounds: Bounds {
                earliest_start: start,
                latest_start: start,
                earliest_end: start.saturating_add(1),
                latest_end: start.saturating_add(1),
            },
            qualified: start % 2 == 0,
            known_at: Some(Timestamp(i64::from(start))),
            published_by: None,
            terms: Terms::new(&terms),
            knowledge_links: Vec::new(),
            other_link_targets: Vec::new(),
            factuality: [Factuality::Certain, Factuality::Possible, Factuality::Counterfactual]
                [usize::try_from(position / 3 % 3).unwrap()],
            transfer: (position.is_multiple_of(2)).then(|| transfer(position)),
            act: (position % 4 == 1).then(|| Arc::new(act(position))),
            life_links: life_links(position),
        },
        position: Position(position),
        revision: Revision(position),
        recorded_at: Timestamp(i64::try_from(position).unwrap()),
        links: link
            .map(|target| KnowledgeLink { link_type: LinkType::Corrects, target: Position(target) })
            .into_iter()
            .collect(),
    }
}

fn transfer(position: u64) -> TransferFacts {
    let units = i64::try_from(position % 5).unwrap();
    TransferFacts {
        amount: Money::new(Currency::parse("GBP").unwrap(), units, 500_000_000).unwrap(),
        stage: Stage::Disbursement,
        qualifier: AmountQualifier::from_number(i32::try_from(position % 9).unwrap()),
        reversal: position.is_multiple_of(3),
        in_kind: position.is_multiple_of(7),
        likeness: [u8::try_from(position % 251).unwrap(); 16],
    }
}

fn act(position: u64) -> ActFacts<'static> {
    let party = |number: u64| Cow::Owned(format!("party:{}", number % 5));
    ActFacts {
        action: Action::from_number(i32::try_from(position % 29 + 1).unwrap()).unwrap(),
        agreement_id: Cow::Owned(format!("agreement:{}", position % 7)),
        acting_party: position.is_multiple_of(3).then(|| party(position)),
        parties: (0..position % 4).map(|number| party(position + number)).collect(),
        effective_on: position.is_multiple_of(5).then(|| Day::from_number(-7)),
        expires_on: position.is_multiple_of(9).then(|| Day::from_number(20_000)),
        retroactive: position.is_multiple_of(11),
    }
}

fn life_links(position: u64) -> Vec<LifeLink<StreamName>> {
    let to_event = LifeTarget::Event(EventId::from_bytes([u8::try_from(position % 3).unwrap(); 16]));
    let to_stream = LifeTarget::Stream(StreamName::from_recorded("agreement/old"));
    match position % 5 {
        1 => vec![LifeLink { link_type: LinkType::Terminates, target: to_event }],
        2 => vec![
            LifeLink { link_type: LinkType::Extends, target: to_stream.clone() },
            LifeLink { link_type: LinkType::Cancels, target: to_stream },
        ],
        _ => Vec::new(),
    }
}

/// Everything that a part says of agreements.
fn lives(part: &dyn Part) -> String {
    let mut said = format!("{:?}", part.life_links().collect::<Vec<_>>());
    for number in 0..part.act_count() {
        let slot = part.act_slot(number).unwrap();
        assert_eq!(part.act_at(slot), Some(number));
        let act = part.act(number).unwrap();
        assert!(part.acts_of_agreement(&act.agreement_id).any(|found| found == number));
        said += &format!("{slot} {:?} {act:?}", part.act_stream(number));
    }
    for id in ["agreement:3", "agreement:none"] {
        said += &format!("{:?}", part.acts_of_agreement(id).collect::<Vec<_>>());
    }
    assert_eq!((part.act(part.act_count()), part.act_slot(part.act_count())), (None, None));
    said
}

/// Every value that a part has, by column.
fn values(part: &dyn Part) -> Vec<String> {
    let (columns, amounts) = (part.columns(), part.amounts());
    let mut said = vec![format!(
        "{} {:?} {:?}",
        columns.len(),
        columns.known_ends(),
        columns.lost().collect::<Vec<_>>()
    )];
    for slot in 0..u16::try_from(part.len()).unwrap() {
        let times = (columns.bounds(slot), columns.known_at(slot), columns.recorded_at(slot));
        let facts = (columns.revision(slot), columns.kind(slot), columns.factuality(slot));
        said.push(format!(
            "{times:?} {facts:?} {} {}",
            columns.is_no_entry(slot),
            columns.is_qualified(slot)
        ));
        assert_eq!(columns.earliest_start(slot), columns.bounds(slot).map(|bounds| bounds.earliest_start));
        said.push(format!("{:?}", amounts.at(slot)));
        let before = columns.recorded_at(slot).map(|time| columns.recorded_before(time));
        said.push(format!("{before:?}"));
    }
    let slots = (0..amounts.len()).filter(|number| amounts.get(*number).is_some());
    assert!(slots.filter_map(|number| amounts.slot(number)).eq(amounts.iter().map(|row| row.slot)));
    said.push(format!("{:?}", amounts.iter().collect::<Vec<_>>()));
    said
}

fn all(events: &[(i32, Vec<u8>)]) -> impl Iterator<Item = RecordedFacts> {
    (1_u64..).zip(events).map(|(position, (start, tags))| {
        let facts = facts(position, *start, tags, (position.is_multiple_of(3)).then_some(position / 3));
        let form = if position % 13 == 5 { RecordForm::Lost } else { RecordForm::Whole };
        RecordedFacts { form, ..facts }
    })
}

pub(super) fn tail(events: &[(i32, Vec<u8>)]) -> Tail {
    let mut tail = Tail::after(Position::ZERO);
    assert!(all(events).all(|facts| tail.fold(&facts)));
    tail
}

fn run(events: &[(i32, Vec<u8>)]) -> Run {
    let mut run = Run::after(Position::ZERO);
    assert!(all(events).all(|facts| run.fold(&facts)));
    run
}

fn events() -> impl Strategy<Value = Vec<(i32, Vec<u8>)>> {
    let start = prop_oneof![Just(Bounds::OPEN_START), -50..50_i32];
    proptest::collection::vec((start, proptest::collection::vec(0..12_u8, 0..4)), 0..120)
}

proptest! {
    #[test]
    fn a_segment_comes_back_from_its_bytes(events in events(), chain: [u8; 32]) {
        let segment = Segment::of(&tail(&events));
        let bytes = layout::encode(&segment, &chain);
        let (read, tied) = layout::decode(bytes.clone().into()).unwrap();
        prop_assert_eq!(tied, chain);
        prop_assert_eq!(layout::encode(&read, &chain), bytes);
        prop_assert_eq!(read, segment);
    }

    #[test]
    fn damaged_bytes_are_no_segment(events in events(), at: prop::sample::Index, bit in 0..8_u8) {
        let mut bytes = layout::encode(&Segment::of(&tail(&events)), &[7; 32]);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(layout::decode(bytes.into()).is_err());
    }

    #[test]
    fn what_is_wrong_behind_a_right_checksum_is_refused_or_answers(
        events in events(), at: prop::sample::Index, to: u8,
    ) {
        let mut bytes = layout::encode(&Segment::of(&tail(&events)), &[7; 32]);
        let body = bytes.len() - 4;
        bytes[at.index(body)] = to;
        let checksum = crc32c::crc32c(&bytes[..body]).to_le_bytes();
        bytes[body..].copy_from_slice(&checksum);
        let Ok((segment, _)) = layout::decode(bytes.into()) else { return Ok(()) };
        prop_assert!(segment.life_links().count() < 1_000);
        for number in 0..segment.act_count() {
            // A name may have lost its letters, and a stream be another: no more.
            let _ = (segment.act(number), segment.act_stream(number));
        }
        let _ = (values(&segment), segment.valid_order(None, true).count(), segment.valid_ends());
        segment.for_each_term(&[], &mut |term, _| {
            let _ = (segment.posting(term), segment.last_slot(term), segment.valid_ends_of(term));
        });
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(layout::decode(bytes.into()).is_err());
    }

    #[test]
    fn a_segment_answers_as_a_run(events in events(), from in -60..60_i32, slot in 0..130_u16) {
        let run = run(&events);
        let segment = Segment::of(&tail(&events));
        for tag in 0..13_u8 {
            let term = TermField::Tag.term(&tag.to_string());
            prop_assert_eq!(segment.posting(&term), run.posting(&term));
            prop_assert_eq!(segment.posting_len(&term), run.posting_len(&term));
            prop_assert_eq!(segment.last_slot(&term), run.last_slot(&term));
            let starts = segment.posting(&term).into_iter().flatten().map(|slot| u16::try_from(slot).unwrap());
            let starts = starts.map(|slot| run.columns().earliest_start(slot).unwrap());
            let ends = starts.clone().min().zip(starts.max());
            prop_assert_eq!(segment.valid_ends_of(&term), ends);
            prop_assert_eq!(run.valid_ends_of(&term), ends.and(run.valid_ends()));
        }
        let terms = |part: &dyn Part| {
            let mut found = Vec::new();
            part.for_each_term(&[TermField::Tag.number()], &mut |term, slots| {
                found.push((term.to_vec(), slots));
            });
            found.sort_by(|one, other| one.0.cmp(&other.0));
            found
        };
        prop_assert_eq!(terms(&segment), terms(&run));
        for bound in [None, Some((from, slot))] {
            for ascending in [true, false] {
                let walk = |part: &dyn Part| part.valid_order(bound, ascending).collect::<Vec<_>>();
                prop_assert_eq!(walk(&segment), walk(&run), "{:?} {}", bound, ascending);
            }
        }
        prop_assert_eq!(values(&segment), values(&run));
        prop_assert_eq!(lives(&segment), lives(&run));
        let acts = (1_u64..).take(events.len()).filter(|position| position % 4 == 1);
        let acts: Vec<ActFacts<'_>> = acts.map(act).collect();
        let found = (0..acts.len()).map(|number| segment.act(number).unwrap().into_owned());
        prop_assert_eq!(found.collect::<Vec<_>>(), acts);
        prop_assert_eq!(segment.valid_ends(), run.valid_ends());
        for at in 0..events.len() {
            let id = facts(u64::try_from(at).unwrap() + 1, 0, &[], None).event.event_id;
            prop_assert_eq!(segment.slot_of(&id), run.slot_of(&id));
        }
    }
}

#[test]
fn only_the_next_position_is_folded() {
    let mut tail = Tail::after(Position(5));
    assert!(!tail.fold(&facts(5, 0, &[], None)));
    assert!(!tail.fold(&facts(7, 0, &[], None)));
    assert!(tail.fold(&facts(6, 0, &[], None)));
    assert_eq!((tail.last(), tail.runs().len()), (Position(6), 1));
}

/// Everything that a view says.
fn said_by(view: &View, streams: &[StreamName]) -> Vec<String> {
    let mut said = vec![format!("{} {:?}", view.last(), view.first_lost(Position::ZERO, Position(u64::MAX)))];
    for stream in streams {
        said.push(format!("{stream} {:?} {}", view.last_of_stream(stream), view.revision_of(stream)));
    }
    for part in view.parts() {
        let mut terms = Vec::new();
        part.for_each_term(&[], &mut |term, slots| terms.push((term.to_vec(), slots)));
        terms.sort_by(|one, other| one.0.cmp(&other.0));
        said.push(format!("{terms:?}"));
        said.extend(values(part));
        said.push(lives(part));
        for slot in 0..u16::try_from(part.len()).unwrap() {
            let position = part.position_at(slot);
            let id = facts(position.0, 0, &[], None).event.event_id;
            let is_lost = part.columns().lost().any(|lost| lost == slot);
            assert_eq!(view.position_of(&id), (!is_lost).then_some(position));
            assert_eq!(view.locate(position).map(|(_, found)| found), Some(slot));
            let knowledge = view.knowledge();
            let edges = (knowledge.closers(position).collect::<Vec<_>>(), knowledge.carried_by(position));
            assert_eq!(knowledge.is_touched(position), !(edges.0.is_empty() && edges.1.is_empty()));
            said.push(format!("{edges:?}"));
        }
    }
    said
}

#[test]
fn a_view_stays_as_it_is_whatever_is_folded_after_it() {
    let index = Index::default();
    let streams = ["s", "t", "none"].map(StreamName::from_recorded);
    let mut taken: Vec<(View, Vec<String>)> = Vec::new();
    let mut position = 0;
    // Batches that end within a run, at its end and behind it, some while no view is held.
    for (round, events) in [1, 700, 1_347, 1, 2_046, 2, 3_000, 5].into_iter().cycle().take(10).enumerate() {
        let batch: Vec<RecordedFacts> = (position + 1..=position + events)
            .map(|position: u64| {
                let start = i32::try_from(position * 7_919 % 101).unwrap();
                let tags = [u8::try_from(position % 7).unwrap(), u8::try_from(100 + position % 3).unwrap()];
                let stream = if position.is_multiple_of(11) { "t" } else { "s" };
                let link = position.is_multiple_of(5).then_some(position / 7 + 1);
                let form = if position.is_multiple_of(1_001) { RecordForm::Lost } else { RecordForm::Whole };
                RecordedFacts { form, ..facts_in(stream, position, start, &tags, link) }
            })
            .collect();
        assert!(index.fold(&batch).is_empty());
        position += events;
        if round % 3 != 1 {
            let view = index.view();
            let said = said_by(&view, &streams);
            taken.push((view, said));
        }
        for (view, said) in &taken {
            assert!(said_by(view, &streams) == *said, "round {round}");
        }
    }
}

/// What a view says of some events up to a position, and of all their tags.
fn sampled(view: &View, up_to: u64) -> Vec<String> {
    let scattered = (0..40).map(|at| at * 3_331 + 1);
    let ends = (0..4).flat_map(|at| [at * SEGMENT_LEN, at * SEGMENT_LEN + 1, at * SEGMENT_LEN + RUN_LEN]);
    let positions = scattered.chain(ends).chain([up_to]).filter(|at| (1..=up_to).contains(at)).map(Position);
    let mut said: Vec<String> = positions
        .map(|position| {
            let (part, slot) = view.locate(position).unwrap();
            assert_eq!(part.position_at(slot), position);
            let id = facts(position.0, 0, &[], None).event.event_id;
            let closers: Vec<Edge> = view.knowledge().closers(position).copied().collect();
            format!("{position} {:?} {:?} {closers:?}", view.position_of(&id), view.known_at(position))
        })
        .collect();
    for tag in 0..5_u8 {
        let term = TermField::Tag.term(&tag.to_string());
        let holders = view.parts().map(|part| {
            let below = part.slots_up_to(Position(up_to));
            part.posting(&term).map_or(0, |slots| slots.range_cardinality(0..below))
        });
        said.push(format!("{tag} {}", holders.sum::<u64>()));
    }
    said
}

#[test]
fn views_outlive_what_is_sealed_and_replaced_and_answer_alike() {
    let event = |position: u64| {
        let tags = [u8::try_from(position % 5).unwrap()];
        facts(
            position,
            i32::try_from(position % 97).unwrap(),
            &tags,
            position.is_multiple_of(1_000).then_some(position / 2),
        )
    };
    let all = 2 * SEGMENT_LEN + 3_000;
    let index = Index::default();
    let mut full = Vec::new();
    for first in (1..=all).step_by(5_000) {
        let batch: Vec<RecordedFacts> = (first..=all.min(first + 4_999)).map(event).collect();
        full.extend(index.fold(&batch));
    }
    assert_eq!(full, [Position::ZERO, Position(SEGMENT_LEN)]);
    let unsealed = index.view();
    let expected = sampled(&unsealed, all);
    let segment =
        |base: Position| unsealed.tail().segment_after(base).map(|tail| Arc::new(Segment::of(&tail)));
    let (first, second) = (segment(full[0]).unwrap(), segment(full[1]).unwrap());
    assert_eq!(segment(Position(2 * SEGMENT_LEN)), None, "it is not whole");
    assert!(index.seal(Arc::clone(&second)).is_empty(), "the one before comes first");
    assert_eq!(index.seal(Arc::clone(&first)).len(), 32);
    assert!(index.seal(first).is_empty(), "it is sealed");
    let half_sealed = index.view();
    assert_eq!(index.seal(second).len(), 32);
    // A stream that has gone on since, of which older views know an earlier event.
    index.fold(&(all + 1..=all + 10).map(event).collect::<Vec<_>>());
    let sealed = index.view();
    let stream = StreamName::from_recorded("s");
    let last_of_stream = |view: &View| view.last_of_stream(&stream);
    assert_eq!(last_of_stream(&sealed), Some(Position(all + 10)));
    for view in [&unsealed, &half_sealed] {
        assert_eq!((view.last(), last_of_stream(view)), (Position(all), Some(Position(all))));
    }
    for view in [&unsealed, &half_sealed, &sealed] {
        assert_eq!(sampled(view, all), expected);
    }
    // Two events lose their tags: one of a segment, one of the last run.
    let erased = [3_332, 2 * SEGMENT_LEN + 2_500];
    for base in [0, 2 * SEGMENT_LEN] {
        let mut rebuilt = Tail::after(Position(base));
        for position in base + 1..=(base + SEGMENT_LEN).min(all + 10) {
            let mut facts = event(position);
            if erased.contains(&position) {
                facts.event.terms = Terms::default();
                facts.event.act = None;
                facts.event.life_links.clear();
            }
            assert!(rebuilt.fold(&facts));
        }
        index.replace(&rebuilt);
    }
    let replaced = index.view();
    let tags =
        |view: &View| view.parts().map(|part| part.posting_len(&TermField::Tag.term("2"))).sum::<u64>();
    assert_eq!(erased.map(|position| position % 5), [2, 2]);
    let holders = u64::try_from((1..=all + 10).filter(|position| position % 5 == 2).count()).unwrap();
    assert_eq!((tags(&sealed), tags(&replaced)), (holders, holders - 2));
    let links = |view: &View| view.parts().map(|part| part.life_links().count()).sum::<usize>();
    assert_eq!(links(&sealed) - links(&replaced), 4, "two of each");
    for view in [&unsealed, &half_sealed, &sealed] {
        assert_eq!(sampled(view, all), expected);
    }
}

#[test]
fn an_event_that_is_repeated_without_end_has_all_its_repetitions() {
    let edge = |carrier: u64, target: u64| Edge {
        carrier: Position(carrier),
        carrier_known_at: Timestamp(0),
        link_type: LinkType::DuplicateOf,
        target: Position(target),
        target_known_at: Timestamp(0),
    };
    let mut knowledge = Knowledge::default();
    // Two targets of one leaf by turns, and one beside its border.
    for carrier in 1_000..1_600 {
        knowledge.add(edge(carrier, [255, 3, 257][usize::try_from(carrier % 3).unwrap()]));
    }
    let before = knowledge.clone();
    knowledge.add(edge(1_600, 3));
    let carriers = |knowledge: &Knowledge, target: u64| {
        knowledge.closers(Position(target)).map(|edge| edge.carrier.0).collect::<Vec<u64>>()
    };
    let expected = |rest: u64| (1_000..1_600).filter(|carrier| carrier % 3 == rest).collect::<Vec<u64>>();
    for (target, rest) in [(255, 0), (3, 1), (257, 2), (4, 9)] {
        assert_eq!(carriers(&before, target), expected(rest), "{target}");
    }
    assert_eq!(carriers(&knowledge, 3), [expected(1), vec![1_600]].concat());
    let touched: Vec<u64> =
        knowledge.touched(Position(3), Position(1_001)).map(|position| position.0).collect();
    assert_eq!(touched, [255, 257, 1_000, 1_001]);
    assert_eq!(knowledge.carried_by(Position(1_001)), [edge(1_001, 257)]);
}
