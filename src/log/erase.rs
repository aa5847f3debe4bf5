//! Takes the content of events away, for ever and from every file.
//!
//! ```text
//! order ─▶ queue ─▶ event in $erasures, committed ─▶ index emptied ─▶ journal written anew ─▶ index again ─▶ reply
//!                   from here on it will be done     no byte of it    no byte of the content
//! ```
//!
//! The order is a recorded event like any other, so it is in every backup, and a store that finds an order not yet
//! carried out, after a crash or in a restored backup, carries it out before it serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::error::{AppendError, ReadError};
use super::rebuild;
use crate::codec::erased::{ERASURES_STREAM, EraseOrder, Erasure, erase};
use crate::domain::{EventId, Invalid, Position, RecordForm, StreamName};
use crate::filter::Filter;
use crate::index::{Index, SEGMENT_LEN, SegmentStore, SegmentStoreError, View};
use crate::journal::{CommitError, EncodeError, Frame, Journal, Record, refit};
use crate::search::Engine;

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Where the event stands.
    pub position: Position,
    /// Whether it had been erased before.
    pub already: bool,
}

/// Says why an event was not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// No event has the id.
    #[error("no event has the id {0}")]
    Unknown(EventId),
    /// The event is a record of the server's own.
    #[error("event {0} is a record of the server's own")]
    Reserved(EventId),
    /// Files that a repair kept hold contents, too.
    #[error("files that a repair kept in {} hold contents too: remove them first", .0.display())]
    Kept(PathBuf),
    /// The order breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The order could not be recorded: nothing was done.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The order is recorded, but the content is still there. Asking again goes on; so does the next start.
    #[error("the order is recorded, but not carried out yet")]
    Incomplete(#[from] EraseFault),
}

/// Says why the content could not be taken away.
#[derive(Debug, thiserror::Error)]
pub enum EraseFault {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The frame without the content cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The journal could not be written anew.
    #[error(transparent)]
    Rewrite(#[from] CommitError),
    /// The stored index could not be emptied.
    #[error(transparent)]
    Index(#[from] SegmentStoreError),
    /// The stored words could not be deleted.
    #[error("the text index could not be deleted")]
    Words(#[source] std::io::Error),
}

/// Works on a log while nothing is appended and no segment is sealed.
#[derive(Debug)]
pub struct Eraser<'a> {
    pub(super) journal: &'a dyn Journal,
    pub(super) index: &'a Index,
    pub(super) segments: Option<&'a SegmentStore>,
    pub(super) words: &'a Engine,
}

impl Eraser<'_> {
    /// Takes the content of events away; of those that have none any more nothing is changed.
    ///
    /// # Errors
    /// [`EraseFault`]; the content may then still be there.
    pub fn run(&self, erasures: &[(Position, Erasure)]) -> Result<(), EraseFault> {
        let mut frames: BTreeMap<Position, (Frame, Vec<Record>)> = BTreeMap::new();
        for (position, erasure) in erasures {
            let frame = self.journal.frame_at(*position).map_err(ReadError::from)?;
            let frame = frame.ok_or(ReadError::Missing(*position))?;
            let (_, records) =
                frames.entry(frame.first()).or_insert_with(|| (frame.clone(), frame.records().to_vec()));
            let record = records.iter_mut().find(|record| record.position == *position);
            let record = record.ok_or(ReadError::Missing(*position))?;
            if record.form == RecordForm::Whole {
                *record = erase(record.clone(), erasure).map_err(ReadError::from)?;
            }
        }
        let replaced = frames.values().map(|(frame, records)| refit(frame, records));
        let replaced = replaced.collect::<Result<Vec<_>, _>>()?;
        // First: a crash behind this leaves an index to be built again, never one that holds what the journal lacks.
        if let Some(segments) = self.segments {
            segments.reset()?;
        }
        self.words.reset().map_err(EraseFault::Words)?;
        self.journal.rewrite(replaced)?;
        let numbers: BTreeSet<u64> =
            erasures.iter().map(|(position, _)| (position.0 - 1) / SEGMENT_LEN).collect();
        self.fold_again(&numbers)
    }

    /// Builds parts of the index again, and stores all that is sealed.
    fn fold_again(&self, numbers: &BTreeSet<u64>) -> Result<(), EraseFault> {
        let head = self.journal.tail().position;
        for number in numbers {
            let base = Position(number * SEGMENT_LEN);
            let rebuilt = rebuild::tail(self.journal, base, base.plus(SEGMENT_LEN).min(head))?;
            self.index.replace(&rebuilt);
        }
        for (number, segment) in (0..).zip(self.index.sealed().iter()) {
            super::open::store_again(self.journal, self.segments, number, segment)?;
        }
        Ok(())
    }
}

/// Finds the recorded order to erase an event.
///
/// # Errors
/// [`ReadError`] when an order cannot be read.
pub fn order_for(journal: &dyn Journal, view: &View, target: EventId) -> Result<Option<Erasure>, ReadError> {
    for position in orders(view) {
        let (order, record) = read_order(journal, position)?;
        if order.event_id == target {
            return Ok(Some(order.recorded(&record)));
        }
    }
    Ok(None)
}

/// Finds the orders that are recorded but not carried out.
///
/// # Errors
/// [`ReadError`] when an order or its event cannot be read.
pub fn pending(journal: &dyn Journal, view: &View) -> Result<Vec<(Position, Erasure)>, ReadError> {
    let mut found = Vec::new();
    for position in orders(view) {
        let (order, record) = read_order(journal, position)?;
        let Some(target) = view.position_of(&order.event_id) else { continue };
        if record_at(journal, target)?.form == RecordForm::Whole {
            found.push((target, order.recorded(&record)));
        }
    }
    Ok(found)
}

/// Gives the positions of all orders.
fn orders(view: &View) -> Vec<Position> {
    let filter = Filter::of_stream(&StreamName::from_recorded(ERASURES_STREAM));
    let (mut after, mut found) = (Position::ZERO, Vec::new());
    while after < view.last() {
        let (positions, searched) = filter.matches_after(view, after, view.last(), usize::MAX);
        found.extend(positions);
        after = searched.max(after.next());
    }
    found
}

fn read_order(journal: &dyn Journal, position: Position) -> Result<(EraseOrder, Record), ReadError> {
    let record = record_at(journal, position)?;
    Ok((EraseOrder::of(&record)?, record))
}

fn record_at(journal: &dyn Journal, position: Position) -> Result<Record, ReadError> {
    let frame = journal.frame_at(position)?.ok_or(ReadError::Missing(position))?;
    let found = frame.into_records().into_iter().find(|record| record.position == position);
    found.ok_or(ReadError::Missing(position))
}
