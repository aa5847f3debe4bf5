//! Finds and reads matching records, a batch at a time: the one loop under reads and subscriptions.

use super::Log;
use super::error::ReadError;
use super::reader::Reader;
use crate::codec::facts_of;
use crate::codec::texts::Texts;
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::index::View;
use crate::journal::{ChainHash, Direction, Record};
use crate::search::document::Document;

/// How much one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Most records.
    pub records_max: usize,
    /// Most content bytes; a single larger record is a batch of its own.
    pub bytes_max: usize,
}

/// Records found, in the order of the scan.
#[derive(Debug)]
pub struct Batch {
    /// The records.
    pub records: Vec<Record>,
    /// Positions, first and last, of whose events nothing is known any more: next in the scan, after the records.
    /// Whether they matched cannot be told, so every scan is told of them.
    pub lost: Option<(Position, Position)>,
    /// Every position up to this one was evaluated: it and all before it in the direction of the scan.
    pub evaluated: Position,
}

/// A walk over the records of a log that match.
#[derive(Debug)]
pub struct Scan {
    filter: Filter,
    known_at: Timestamp,
    direction: Direction,
    reader: Reader,
}

impl Scan {
    /// Walks over records that match and could be known at a moment.
    #[must_use]
    pub fn new(log: &Log, filter: Filter, known_at: Timestamp, direction: Direction) -> Self {
        Self { filter, known_at, direction, reader: log.reader() }
    }

    /// Gives what is looked for.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Reads the next batch. Forward: from (`from`, `bound`]. Backward: from [`bound`, `from`).
    ///
    /// Gives an empty batch where nothing matches in the part of the index that it looked at: go on after
    /// [`Batch::evaluated`].
    ///
    /// # Errors
    /// [`ReadError`] when a record cannot be read.
    pub fn next(
        &mut self,
        log: &Log,
        from: Position,
        bound: Position,
        limits: BatchLimits,
    ) -> Result<Batch, ReadError> {
        let view = log.index().view();
        let bound = match (self.direction, self.next_lost(&view, from, bound)) {
            (_, None) => bound,
            (Direction::Forward, Some((first, last))) if first == from.next() => {
                return Ok(Batch { records: Vec::new(), lost: Some((first, last)), evaluated: last });
            }
            (Direction::Forward, Some((first, _))) => Position(first.0 - 1),
            (Direction::Backward, Some((first, last))) if last.next() == from => {
                return Ok(Batch { records: Vec::new(), lost: Some((first, last)), evaluated: first });
            }
            (Direction::Backward, Some((_, last))) => last.next(),
        };
        let (positions, mut evaluated) = self.positions(&view, from, bound, limits.records_max);
        drop(view);
        let mut records = Vec::with_capacity(positions.len());
        let mut bytes = 0;
        for position in positions {
            let record = match self.reader.record(position) {
                Ok(record) => record,
                Err(error) if records.is_empty() => return Err(error),
                // What was read before the damage is given; the next call meets it again.
                Err(_) => {
                    evaluated = self.before(position);
                    break;
                }
            };
            if !self.matches(&record)? {
                continue;
            }
            bytes += record.content.len() + record.server_fields.len();
            if bytes > limits.bytes_max && !records.is_empty() {
                // The record that did not fit begins the next batch.
                evaluated = self.before(position);
                break;
            }
            records.push(record);
        }
        Ok(Batch { records, lost: None, evaluated })
    }

    /// Gives the chain hash at a position, from what the scan holds if it can.
    ///
    /// # Errors
    /// [`ReadError`] when the frame there cannot be read.
    pub fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        self.reader.chain_at(position)
    }

    /// Tells whether a record matches that the plan gave; of records up to where words were looked up it has told.
    fn matches(&self, record: &Record) -> Result<bool, ReadError> {
        if self.filter.words_known_to().is_none_or(|known| record.position <= known) {
            return Ok(true);
        }
        let words = Texts::of(record)?.map(|texts| Document::of(&texts));
        Ok(self.filter.matches(&facts_of(record)?.event, words.as_ref()))
    }

    /// Gives the last position that the scan has behind it when it comes to a position.
    const fn before(&self, position: Position) -> Position {
        match self.direction {
            Direction::Forward => Position(position.0.saturating_sub(1)),
            Direction::Backward => position.next(),
        }
    }

    fn next_lost(&self, view: &View, from: Position, bound: Position) -> Option<(Position, Position)> {
        match self.direction {
            Direction::Forward => view.first_lost(from, bound),
            Direction::Backward => view.last_lost(bound, from),
        }
    }

    fn positions(
        &self,
        view: &View,
        from: Position,
        bound: Position,
        count: usize,
    ) -> (Vec<Position>, Position) {
        let (mut positions, evaluated) = match self.direction {
            Direction::Forward => self.filter.matches_after(view, from, bound, count),
            Direction::Backward => self.filter.matches_before(view, from, bound, count),
        };
        positions
            .retain(|position| view.known_at(*position).is_some_and(|known_at| known_at <= self.known_at));
        (positions, evaluated)
    }
}
