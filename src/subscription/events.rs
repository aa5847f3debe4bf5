//! What a subscription to events evaluates positions for: matching events.

use bytes::Bytes;

use super::driver::{Source, Step};
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::journal::{ChainHash, Direction};
use crate::log::error::ReadError;
use crate::log::{BatchLimits, Log, Scan};

const LIMITS: BatchLimits = BatchLimits { events_max: 256, bytes_max: 256 * 1_024 };

/// Most values of a filter that is looked at for each event.
const OUTLOOK_VALUES_MAX: usize = 64;

/// Matching events as clients see them, encoded, in position order.
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
    type Item = Vec<Bytes>;

    fn open(&mut self, _log: &Log) -> Result<Option<Self::Item>, ReadError> {
        Ok(None)
    }

    fn next(&mut self, log: &Log, after: Position, up_to: Position) -> Result<Step<Self::Item>, ReadError> {
        let batch = self.0.next(log, after, up_to, LIMITS)?;
        let item = (!batch.events.is_empty()).then_some(batch.events);
        Ok(Step { item, lost: batch.lost, evaluated: batch.evaluated })
    }

    fn outlook(&self) -> Option<Filter> {
        let filter = self.0.filter();
        // Words are found by an index of their own; and one follower with hundreds of values must not make the look at
        // an event long for all others.
        let is_short = filter.words_known_to().is_none() && filter.value_count() <= OUTLOOK_VALUES_MAX;
        is_short.then(|| filter.clone())
    }

    fn held(&self, log: &Log, positions: &[Position]) -> Option<(Self::Item, usize)> {
        let mut events = log.recent().presented(positions)?;
        let mut bytes = 0;
        let fits = |event: &Bytes| {
            bytes += event.len();
            bytes <= LIMITS.bytes_max
        };
        let count = events.iter().map(fits).take_while(|fits| *fits).count().max(1);
        events.truncate(count);
        Some((events, count))
    }

    fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        self.0.chain_at(position)
    }
}
