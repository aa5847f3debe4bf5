//! The Merkle tree of a log, off the write path.
//!
//! ```text
//! positions   1 ……… 65,536 │ 65,537 ……… 131,072 │ 131,073 ………… head
//!             root           root                 leaves, hashed when a proof asks for them
//!             memory, index directory             memory
//! ```
//!
//! Ranges are those of index segments. The root of a whole range never changes: it is computed when the range is
//! sealed, kept in memory and in the directory of the index, and computed again where it is missing there. A proof needs the
//! leaves of two ranges at most; the last ones read are kept.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::warn;

use super::error::{ReadError, causes};
use super::rebuild::chain_at;
use crate::domain::{Position, RecordForm};
use crate::index::{SEGMENT_LEN, SegmentStore};
use crate::journal::{self, Direction, Fault, Journal, Record};
use crate::proof::Inclusion;
use crate::proof::merkle::{self, Hash, Tree};

/// Ranges whose leaves are kept: that of the head, and those of the last proofs. 4 MiB each when full.
const RANGES_KEPT: usize = 3;

/// Roots and proofs over the first so many events of a log.
#[derive(Debug)]
pub struct Proofs {
    journal: Arc<dyn Journal>,
    segments: Option<SegmentStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The roots of whole ranges, from the first one on, as leaves of a tree over them.
    roots: Tree,
    /// The leaves of ranges, whole or as far as they were asked for; the last one used at the end.
    ranges: VecDeque<(u64, Tree)>,
}

impl Proofs {
    /// Begins with nothing: no byte is read before a proof asks for it.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, segments: Option<SegmentStore>) -> Self {
        Self { journal, segments, state: Mutex::default() }
    }

    /// Gives the root over the first `size` events. `size` is not beyond the head.
    ///
    /// # Errors
    /// [`ReadError`] when leaves must be computed of events that cannot be read.
    pub fn root(&self, size: Position) -> Result<Hash, ReadError> {
        self.with_state(size, |subtree| merkle::root(0, size.0, subtree))
    }

    /// Proves that an event is among the first `size`, which are not beyond the head.
    ///
    /// # Errors
    /// As [`Proofs::root`]; [`ReadError::Missing`] when the event stands behind them.
    pub fn inclusion(&self, position: Position, size: Position) -> Result<Inclusion, ReadError> {
        let index = position.0.checked_sub(1).filter(|index| *index < size.0);
        let index = index.ok_or(ReadError::Missing(position))?;
        let frame = self.journal.frame_at(position)?.ok_or(ReadError::Missing(position))?;
        let record = frame.records().iter().find(|record| record.position == position);
        let mut leaf_data = Vec::new();
        write_leaf(record.ok_or(ReadError::Missing(position))?, &mut leaf_data)?;
        let path = self.with_state(size, |subtree| merkle::inclusion(index, size.0, subtree))?;
        Ok(Inclusion { index, leaf_data, path })
    }

    /// Proves that the first `size` events, which are not beyond the head, continue the first `first`.
    ///
    /// # Errors
    /// As [`Proofs::root`].
    pub fn consistency(&self, first: Position, size: Position) -> Result<Vec<Hash>, ReadError> {
        self.with_state(size, |subtree| merkle::consistency(first.0, size.0, subtree))
    }

    /// Computes and stores the root of a range that has just become whole.
    ///
    /// # Errors
    /// [`ReadError`] when its events cannot be read.
    pub fn seal(&self, number: u64) -> Result<(), ReadError> {
        let root = range_root(self.journal.as_ref(), number)?;
        self.store(number, root)?;
        // Never waits for proofs under way, which may take long: what is missed here is read from the store.
        if let Some(mut state) = self.state.try_lock()
            && state.roots.len() == number
        {
            state.roots.push(root);
        }
        Ok(())
    }

    fn with_state<T>(
        &self,
        size: Position,
        work: impl FnOnce(&mut dyn FnMut(u64, u64) -> Result<Hash, ReadError>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut state = self.state.lock();
        self.complete_roots(&mut state, size.0 / SEGMENT_LEN)?;
        work(&mut |start, len| self.subtree(&mut state, start, len))
    }

    /// Gives the hash of a complete subtree: of whole ranges, or inside one.
    fn subtree(&self, state: &mut State, start: u64, len: u64) -> Result<Hash, ReadError> {
        let missing = || ReadError::Missing(Position(start.saturating_add(len)));
        if len >= SEGMENT_LEN {
            return state.roots.subtree(start / SEGMENT_LEN, len / SEGMENT_LEN).ok_or_else(missing);
        }
        let (number, from) = (start / SEGMENT_LEN, start % SEGMENT_LEN);
        let at = state.ranges.iter().position(|(kept, _)| *kept == number);
        let (_, mut tree) = at.and_then(|at| state.ranges.remove(at)).unwrap_or_default();
        let extended = extend(self.journal.as_ref(), number, &mut tree, from + len);
        let hash = tree.subtree(from, len);
        if state.ranges.len() == RANGES_KEPT {
            state.ranges.pop_front();
        }
        state.ranges.push_back((number, tree));
        extended?;
        hash.ok_or_else(missing)
    }

    /// Makes sure of the roots of the first `count` ranges.
    fn complete_roots(&self, state: &mut State, count: u64) -> Result<(), ReadError> {
        let mut roots = Vec::new();
        let mut missing = Vec::new();
        for number in state.roots.len()..count {
            match self.stored(number)? {
                Some(root) => roots.push((number, root)),
                None => missing.push(number),
            }
        }
        roots.extend(super::rebuild::on_all_cores(&missing, &|_| {}, |number| {
            let root = range_root(self.journal.as_ref(), number)?;
            // At once: where another range is damaged, this one is not to be computed again.
            self.store(number, root)?;
            Ok(root)
        })?);
        roots.sort_unstable_by_key(|(number, _)| *number);
        roots.into_iter().for_each(|(_, root)| state.roots.push(root));
        Ok(())
    }

    fn stored(&self, number: u64) -> Result<Option<Hash>, ReadError> {
        let Some(segments) = &self.segments else { return Ok(None) };
        let chain = chain_at(self.journal.as_ref(), Position((number + 1) * SEGMENT_LEN))?;
        match segments.root_of(number, chain.as_bytes()) {
            Ok(root) => Ok(root.map(Hash::from_bytes)),
            Err(error) => {
                warn!(
                    error = causes(&error),
                    number, "root of a segment cannot be read; it is computed again"
                );
                Ok(None)
            }
        }
    }

    fn store(&self, number: u64, root: Hash) -> Result<(), ReadError> {
        let Some(segments) = &self.segments else { return Ok(()) };
        let chain = chain_at(self.journal.as_ref(), Position((number + 1) * SEGMENT_LEN))?;
        if let Err(error) = segments.put_root(number, root.as_bytes(), chain.as_bytes()) {
            warn!(error = causes(&error), number, "root of a segment not stored");
        }
        Ok(())
    }
}

/// Writes what a leaf is over. Of an event that was damaged and set aside it is not known any more: nothing can be proven
/// over it.
fn write_leaf(record: &Record, data: &mut Vec<u8>) -> Result<(), ReadError> {
    if record.form == RecordForm::Lost {
        let (first, last) = (record.position, record.position);
        return Err(journal::ReadError::Corrupt { first, last, fault: Fault::Missing }.into());
    }
    record.write_facts(data);
    Ok(())
}

/// Computes the root of a whole range from the journal.
fn range_root(journal: &dyn Journal, number: u64) -> Result<Hash, ReadError> {
    let mut tree = Tree::default();
    extend(journal, number, &mut tree, SEGMENT_LEN)?;
    tree.subtree(0, SEGMENT_LEN).ok_or(ReadError::Missing(Position((number + 1) * SEGMENT_LEN)))
}

/// Reads leaves of a range from the journal until there are `len`.
fn extend(journal: &dyn Journal, number: u64, tree: &mut Tree, len: u64) -> Result<(), ReadError> {
    let base = Position(number * SEGMENT_LEN);
    let last = base.plus(len);
    let mut next = base.plus(tree.len() + 1);
    if next > last {
        return Ok(());
    }
    let mut facts = Vec::new();
    for frame in journal.read(next, Direction::Forward) {
        for record in frame?.records() {
            if record.position == next && next <= last {
                write_leaf(record, &mut facts)?;
                tree.push(Hash::leaf(&facts));
                next = next.next();
            }
        }
        if next > last {
            return Ok(());
        }
    }
    Err(ReadError::Missing(next))
}
