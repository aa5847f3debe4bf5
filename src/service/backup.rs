//! The stream of a backup: its extent, frames, its end.

use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::Context;
use super::context::refused;
use crate::domain::Position;
use crate::journal::ChainHash;
use crate::log::Log;
use crate::pb;
use crate::wire::{RequestError, backup, status};

/// Batches that wait for a slow reader.
pub const BATCHES_AHEAD: usize = 2;

impl Context {
    /// Sends a backup. A reader that goes away ends it; one that is slow slows it.
    pub async fn send_backup(
        self,
        log: Arc<Log>,
        (after, chain): (Position, Option<ChainHash>),
        out: Sender<Result<pb::BackupResponse, Status>>,
    ) {
        let sender = out.clone();
        let work = self.copying(move |context| context.copy(&log, after, chain, &sender));
        if let Err(status) = work.await {
            // The reader may be gone.
            let _ = out.send(Err(status)).await;
        }
    }

    fn copy(
        &self,
        log: &Log,
        after: Position,
        chain: Option<ChainHash>,
        out: &Sender<Result<pb::BackupResponse, Status>>,
    ) -> Result<(), Status> {
        let mut copy = log.backup(after, chain).map_err(|error| self.backup_refused(&error))?;
        let mut message = backup::begin(&copy.extent());
        while out.blocking_send(Ok(message)).is_ok() {
            // A backup that was cut short must not end as if it were whole.
            if self.shutdown.is_cancelled() {
                return Err(refused(&RequestError::ShuttingDown));
            }
            let batch = copy.next_batch().map_err(|error| self.read_failed(&error))?;
            if batch.is_empty() {
                // The reader may be gone.
                let _ = out.blocking_send(Ok(backup::end(&copy.copied())));
                return Ok(());
            }
            message = backup::frames(batch);
        }
        Ok(())
    }

    fn backup_refused(&self, error: &crate::log::BackupError) -> Status {
        use crate::log::BackupError;
        let incident = match error {
            BackupError::Read(error) => self.incident(error),
            BackupError::BeyondHead { .. }
            | BackupError::InsideCommit { .. }
            | BackupError::OtherHistory { .. } => String::new(),
        };
        status::backup_error(error, &incident)
    }
}
