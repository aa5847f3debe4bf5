//! Whether a cursor or page token was made from the history that the log has.

use std::sync::Arc;

use tonic::Status;

use super::Context;
use super::context::refused;
use crate::domain::Position;
use crate::journal::ChainHash;
use crate::log::Log;
use crate::wire::RequestError;
use crate::wire::page_token::ChainStart;

impl Context {
    /// Holds what a client read of the chain against the log.
    ///
    /// # Errors
    /// FAILED_PRECONDITION when the log has another chain hash there, DATA_LOSS when it cannot be read.
    pub async fn check_history(
        &self,
        log: &Arc<Log>,
        history: Option<(Position, ChainHash)>,
    ) -> Result<(), Status> {
        let Some((position, given)) = history else { return Ok(()) };
        let head = log.head();
        let actual = if position == head.position {
            head.chain
        } else {
            let log = Arc::clone(log);
            let work = self
                .query(move |context| log.chain_at(position).map_err(|error| context.read_failed(&error)));
            work.await?
        };
        if given == actual {
            return Ok(());
        }
        let given = given.to_string();
        Err(refused(&RequestError::HistoryMismatch { position, given, actual }))
    }

    /// Holds a page token against the log, and gives what the next one says of the chain at the snapshot; `held` is
    /// nothing for a first page.
    ///
    /// Where the chain cannot be read, pages go on: what is sound there stays readable.
    ///
    /// # Errors
    /// FAILED_PRECONDITION when the token is of another history.
    pub fn check_snapshot(
        log: &Log,
        snapshot: Position,
        held: Option<ChainStart>,
    ) -> Result<ChainStart, Status> {
        let Ok(actual) = log.chain_at(snapshot) else {
            return Ok(held.unwrap_or_default());
        };
        match held {
            Some(held) if !held.fits(&actual) => {
                let (position, given) = (snapshot, held.to_string());
                Err(refused(&RequestError::HistoryMismatch { position, given, actual }))
            }
            Some(_) | None => Ok(ChainStart::of(&actual)),
        }
    }
}
