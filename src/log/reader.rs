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
        let frame = self.frame(position)?;
        let at = position.0.checked_sub(frame.first().0).and_then(|at| usize::try_from(at).ok());
        let record = at.and_then(|at| frame.records().get(at));
        record.cloned().ok_or(ReadError::Missing(position))
    }

    /// Reads the frame that holds a position.
    ///
    /// # Errors
    /// As [`Reader::record`].
    pub fn frame(&mut self, position: Position) -> Result<&Frame, ReadError> {
        if self.held(position).is_none() {
            self.frame = Some(self.journal.frame_at(position)?.ok_or(ReadError::Missing(position))?);
        }
        self.held(position).ok_or(ReadError::Missing(position))
    }

    /// Gives the frame that was read last, if it holds a position.
    #[must_use]
    pub fn held(&self, position: Position) -> Option<&Frame> {
        self.frame.as_ref().filter(|frame| (frame.first()..=frame.last()).contains(&position))
    }

    /// Gives the chain hash at a position; costs little where the record there was just read.
    ///
    /// # Errors
    /// As [`Reader::record`].
    pub fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        match self.held(position) {
            Some(frame) => Ok(frame.chain_at(position)),
            None => chain_at(self.journal.as_ref(), position),
        }
    }
}
