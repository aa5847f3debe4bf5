//! What a subscription to events evaluates positions for: matching records.

use super::driver::{Source, Step};
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::journal::{ChainHash, Direction, Record};
use crate::log::error::ReadError;
use crate::log::{BatchLimits, Log, Scan};

const LIMITS: BatchLimits = BatchLimits { records_max: 256, bytes_max: 256 * 1_024 };

/// Matching records, in position order.
#[derive(Debug)]
pub struct Events(Scan);

impl Events {
    /// Looks for records that match.
    #[must_use]
    pub fn new(log: &Log, filter: Filter) -> Self {
        Self(Scan::new(log, filter, Timestamp::MAX, Direction::Forward))
    }
}

impl Source for Events {
    type Item = Vec<Record>;

    fn open(&mut self, _log: &Log) -> Result<Option<Self::Item>, ReadError> {
        Ok(None)
    }

    fn next(&mut self, log: &Log, after: Position, up_to: Position) -> Result<Step<Self::Item>, ReadError> {
        let batch = self.0.next(log, after, up_to, LIMITS)?;
        let item = (!batch.records.is_empty()).then_some(batch.records);
        Ok(Step { item, lost: batch.lost, evaluated: batch.evaluated })
    }

    fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        self.0.chain_at(position)
    }
}
