//! Reads records by position.

use std::sync::Arc;

use super::error::ReadError;
use super::rebuild::chain_at;
use crate::domain::Position;
use crate::journal::{ChainHash, Frame, Journal, Record};

/// Reads records; keeps the last frame, because neighbours are often read together.
#[derive(Clone, Debug)]
pub struct Reader {
    journal: Arc<dyn Journal>,
    frame: Option<Frame>,
}

impl Reader {
    /// Reads from a journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, frame: None }
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`ReadError`] when its frame is damaged, cannot be read, or is not there.
    pub fn record(&mut self, position: Position) -> Result<Record, ReadError> {
        if let Some(record) = self.frame.as_ref().and_then(|frame| record_in(frame, position)) {
            return Ok(record);
        }
        let frame = self.journal.frame_at(position)?.ok_or(ReadError::Missing(position))?;
        let record = record_in(&frame, position).ok_or(ReadError::Missing(position));
        self.frame = Some(frame);
        record
    }

    /// Gives the chain hash at a position; costs little where the record there was just read.
    ///
    /// # Errors
    /// As [`Reader::record`].
    pub fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        let held = self.frame.as_ref().filter(|frame| frame.first() <= position && position <= frame.last());
        match held {
            Some(frame) => Ok(frame.chain_at(position)),
            None => chain_at(self.journal.as_ref(), position),
        }
    }
}

fn record_in(frame: &Frame, position: Position) -> Option<Record> {
    let at = usize::try_from(position.0.checked_sub(frame.first().0)?).ok()?;
    frame.records().get(at).cloned()
}
