//! Dictionaries beside a map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Few letters, so that terms begin alike, are parts of each other, and are many.
fn term() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0), Just(97), Just(98), Just(255)], 0..6)
}

fn postings() -> impl Strategy<Value = BTreeMap<Vec<u8>, Vec<u16>>> {
    let slots = prop_oneof![
        8 => proptest::collection::btree_set(any::<u16>(), 1..9).prop_map(|slots| slots.into_iter().collect()),
        // About as many as make a posting dense.
        1 => (0..40_000_u16, 4_080..4_110_u16, 1..7_u16)
            .prop_map(|(first, len, step)| (0..len).map(|at| first + at * step).collect::<Vec<u16>>()),
    ];
    proptest::collection::btree_map(term(), slots, 0..90)
}

fn start_of(slot: u16) -> i64 {
    i64::from(slot) * 7_919 % 1_001 - 500
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_term_is_found_with_its_slots_and_no_other(
        postings in postings(), asked in proptest::collection::vec(term(), 60), split in any::<u16>(),
    ) {
        // As from two runs, the second of which counts its slots from where it begins.
        let mut given: Vec<(&[u8], u16, Vec<u16>)> = Vec::new();
        for (term, slots) in &postings {
            let (first, second): (Vec<u16>, Vec<u16>) = slots.iter().partition(|slot| **slot < split);
            let second: Vec<u16> = second.into_iter().map(|slot| slot - split).collect();
            given.extend([(0, first), (split, second)].map(|(from, slots)| (term.as_slice(), from, slots)));
        }
        let given: Vec<_> = given.iter().map(|(term, first, slots)| (*term, *first, slots.as_slice())).collect();
        let dictionary = Dictionary::of(&given, start_of);
        let mut out = Writer::default();
        dictionary.write(&mut out);
        let read = Dictionary::read(&mut Reader::of(out.into_bytes()));
        prop_assert_eq!(read.as_ref(), Ok(&dictionary));
        prop_assert_eq!(dictionary.len(), postings.len());
        for (number, (term, slots)) in postings.iter().enumerate() {
            let listed = dictionary.find(term).unwrap();
            prop_assert_eq!((listed.number, listed.count), (number, slots.len()));
            prop_assert_eq!(dictionary.term(number), Some(term.clone()));
            let found = dictionary.slots(&listed);
            prop_assert_eq!(found.bitmap(), slots.iter().copied().map(u32::from).collect::<RoaringBitmap>());
            prop_assert_eq!(found.last(), slots.last().copied());
            let Slots::Dense(dense, _) = found else {
                prop_assert!(slots.len() < DENSE_LEN);
                continue;
            };
            let starts = || slots.iter().map(|slot| i32::try_from(start_of(*slot)).unwrap());
            prop_assert_eq!(dictionary.dense_ends(dense), starts().min().zip(starts().max()));
        }
        prop_assert_eq!(dictionary.term(postings.len()), None);
        for asked in asked {
            prop_assert_eq!(dictionary.find(&asked).is_some(), postings.contains_key(&asked), "{:?}", asked);
            let mut found = Vec::new();
            dictionary.for_each(&asked, |term, listed| {
                found.push((term.to_vec(), dictionary.slots(&listed).bitmap().len()));
            });
            let expected = postings.iter().filter(|(term, _)| term.starts_with(&asked));
            let expected: Vec<(Vec<u8>, u64)> =
                expected.map(|(term, slots)| (term.clone(), u64::try_from(slots.len()).unwrap())).collect();
            prop_assert_eq!(found, expected, "{:?}", asked);
        }
    }
}
