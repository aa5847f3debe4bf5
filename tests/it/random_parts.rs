//! A growing part and a sealed one answer alike, and as each event by itself.

use annals::codec::facts_of;
use annals::domain::{Position, RecordedFacts};
use annals::index::{Columns, Part, Run, Segment, Tail, layout};
use annals::journal::Record;
use roaring::RoaringBitmap;

use super::compare::filter_of;
use crate::generate::Generator;
use crate::model::{Model, filter};

/// Compares what one run, the segment packed of a tail, and the segment read back say of the same events.
pub(super) fn assert_parts_agree(generator: &mut Generator, model: &Model, records: &[Record]) {
    let facts: Vec<RecordedFacts> = records.iter().map(|record| facts_of(record).unwrap()).collect();
    let (mut run, mut tail) = (Run::after(Position::ZERO), Tail::after(Position::ZERO));
    assert!(facts.iter().all(|facts| run.fold(facts) && tail.fold(facts)));
    let segment = Segment::of(&tail);
    let chain = [7; 32];
    let bytes = layout::encode(&segment, &chain);
    let (read, read_chain) = layout::decode(bytes.clone().into()).unwrap();
    assert_eq!((&read, read_chain), (&segment, chain));
    assert_eq!(layout::encode(&Segment::of(&tail), &chain), bytes, "the same events give the same bytes");
    let mut damaged = bytes.clone();
    damaged[generator.rng.index(bytes.len())] ^= 1 << generator.rng.below(8);
    assert!(layout::decode(damaged.into()).is_err());

    let len = run.len();
    for _ in 0..60 {
        let asked = generator.filter(model);
        let built = filter_of(&asked);
        let slots = u32::try_from(generator.rng.below(u64::from(len) + 1)).unwrap();
        let below = facts.iter().zip(&model.events).take(slots.try_into().unwrap());
        let expected: Vec<bool> = below
            .map(|(facts, event)| {
                assert_eq!(
                    built.matches(&facts.event, None),
                    filter::matches(&asked, &event.event),
                    "{asked:?}"
                );
                built.matches(&facts.event, None)
            })
            .collect();
        let expected: RoaringBitmap =
            (0_u32..).zip(expected).filter_map(|(slot, holds)| holds.then_some(slot)).collect();
        for part in [&run as &dyn Part, &read] {
            assert_eq!(built.slots(part, slots), expected, "{asked:?}");
        }
    }
    assert_same_answers(generator, &run, &read, &facts);
}

fn assert_same_answers(generator: &mut Generator, run: &Run, segment: &Segment, facts: &[RecordedFacts]) {
    let rng = &mut generator.rng;
    assert_eq!(run.valid_ends(), segment.valid_ends());
    assert_eq!(run.links(), segment.links());
    assert!(run.amounts().iter().eq(segment.amounts().iter()));
    let (grown, packed) = (run.columns(), segment.columns());
    assert_eq!((grown.len(), grown.known_ends()), (packed.len(), packed.known_ends()));
    for slot in (0..grown.len()).map(|slot| u16::try_from(slot).unwrap()) {
        let times =
            |columns: Columns<'_>| (columns.bounds(slot), columns.known_at(slot), columns.recorded_at(slot));
        let facts =
            |columns: Columns<'_>| (columns.revision(slot), columns.kind(slot), columns.factuality(slot));
        let flags = |columns: Columns<'_>| (columns.is_no_entry(slot), columns.is_qualified(slot));
        assert_eq!((times(grown), facts(grown), flags(grown)), (times(packed), facts(packed), flags(packed)));
    }
    let mut naive: Vec<(i32, u16)> =
        (0_u16..).zip(facts).map(|(slot, f)| (f.event.bounds.earliest_start, slot)).collect();
    naive.sort_unstable();
    for _ in 0..40 {
        let slot = u16::try_from(rng.index(facts.len())).unwrap();
        let day = facts[rng.index(facts.len())].event.bounds.earliest_start;
        let from = Some((day, slot)).filter(|_| rng.chance(90));
        for ascending in [true, false] {
            let mut expected: Vec<(i32, u16)> = naive.clone();
            if !ascending {
                expected.reverse();
            }
            expected
                .retain(|key| from.is_none_or(|from| if ascending { *key >= from } else { *key <= from }));
            let expected: Vec<u16> = expected.into_iter().map(|(_, slot)| slot).collect();
            assert_eq!(run.valid_order(from, ascending).collect::<Vec<_>>(), expected);
            assert_eq!(segment.valid_order(from, ascending).collect::<Vec<_>>(), expected);
        }
    }
    for (slot, facts) in (0_u16..).zip(facts) {
        assert_eq!(run.slot_of(&facts.event.event_id), Some(slot));
        assert_eq!(segment.slot_of(&facts.event.event_id), Some(slot));
        for term in facts.event.terms.iter() {
            let posting = run.posting(term).unwrap();
            assert_eq!(Some(&posting), segment.posting(term).as_ref());
            assert_eq!((posting.len(), posting.len()), (run.posting_len(term), segment.posting_len(term)));
        }
    }
    for prefix in [&[][..], b"\x01agreement", b"\x02", b"\x04country:", b"\x07", b"\x14"] {
        let terms = |part: &dyn Part| {
            let mut found: Vec<(Vec<u8>, RoaringBitmap)> = Vec::new();
            part.for_each_term(prefix, &mut |term, posting| found.push((term.to_vec(), posting)));
            found.sort_by(|one, other| one.0.cmp(&other.0));
            found
        };
        assert_eq!(terms(run), terms(segment));
    }
}
