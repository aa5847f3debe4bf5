//! Roots and proofs of random states, compared with the recursion over all leaves.

use std::path::Path;

use annals::domain::{Position, StoreId};
use annals::index::{SEGMENT_LEN, SegmentStore};
use annals::journal::{Journal as _, SledJournal};
use annals::log::{Log, rebuild};
use annals::proof::{Hash, merkle};

use super::World;
use crate::model::proof as naive;

/// The leaves of all records.
pub(crate) fn leaves_of(log: &Log) -> Vec<Vec<u8>> {
    let mut reader = log.reader();
    let positions = 1..=log.head().position.0;
    positions.map(|position| naive::leaf(&reader.record(Position(position)).unwrap())).collect()
}

fn bytes_of(path: &[Hash]) -> Vec<naive::Hash> {
    path.iter().map(|hash| *hash.as_bytes()).collect()
}

/// Compares the root of the first `size` events, the proof of one of them, and that they continue the first `first`.
pub(crate) fn assert_proofs(
    log: &Log,
    leaves: &[Vec<u8>],
    (size, position, first): (Position, Position, Position),
) {
    let [count, index, earlier] =
        [size.0, position.0 - 1, first.0].map(|number| usize::try_from(number).unwrap());
    let (leaves, proofs) = (&leaves[..count], log.proofs());
    let root = proofs.root(size).unwrap();
    assert_eq!(*root.as_bytes(), naive::root(leaves), "root of {size}");
    let inclusion = proofs.inclusion(position, size).unwrap();
    assert_eq!((inclusion.index, &inclusion.leaf_data), (position.0 - 1, &leaves[index]));
    assert_eq!(bytes_of(&inclusion.path), naive::inclusion(index, leaves), "{position} in {size}");
    let leaf = Hash::leaf(&inclusion.leaf_data);
    assert!(merkle::includes(&root, size.0, inclusion.index, &leaf, &inclusion.path));
    let path = proofs.consistency(first, size).unwrap();
    assert_eq!(bytes_of(&path), naive::consistency(earlier, leaves), "{first} to {size}");
    let first_root = proofs.root(first).unwrap();
    assert!(merkle::continues((first.0, &first_root), (size.0, &root), &path));
}

/// Finds the root of each whole segment beside the index of a closed log, and puts a wrong one in the place of the
/// first: an opened log must take it from there, and a check must tell.
pub(crate) fn replace_stored_root(directory: &Path, store_id: StoreId, leaves: &[Vec<u8>]) -> Hash {
    let store = SegmentStore::open(&directory.join("index")).unwrap();
    let journal = SledJournal::open(&directory.join("journal"), store_id, 1 << 20).unwrap().journal;
    let wrong = Hash::leaf(b"wrong");
    for (number, leaves) in (0..).zip(leaves.chunks_exact(usize::try_from(SEGMENT_LEN).unwrap())) {
        let chain = rebuild::chain_at(&journal, Position((number + 1) * SEGMENT_LEN)).unwrap();
        assert_eq!(store.root_of(number, chain.as_bytes()).unwrap(), Some(naive::root(leaves)));
        assert_eq!(store.root_of(number, &[0; 32]).unwrap(), None, "it is of another history");
        if number == 0 {
            store.put_root(number, wrong.as_bytes(), chain.as_bytes()).unwrap();
        }
    }
    journal.close().unwrap();
    wrong
}

impl World {
    pub(super) fn prove(&mut self) {
        let log = self.log();
        let head = log.head().position;
        if head == Position::ZERO {
            assert_eq!(*log.proofs().root(head).unwrap().as_bytes(), naive::root(&[]));
            return;
        }
        let size = Position(if self.chance(50) { head.0 } else { self.generator.rng.below(head.0) + 1 });
        let position = Position(self.generator.rng.below(size.0) + 1);
        let first = Position(self.generator.rng.below(size.0 + 1));
        assert_proofs(&log, &leaves_of(&log), (size, position, first));
        assert!(log.proofs().inclusion(size.next(), size).is_err());
        self.see("proof");
    }
}
