//! Stores words off the writer's path.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::error::causes;
use super::head::Head;
use crate::search::Engine;

/// How often the head is looked at: a log that stood still for so long has time for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the thread that stores words works with.
#[derive(Debug)]
pub struct WordKeeper {
    pub(super) words: Arc<Engine>,
    pub(super) head: watch::Receiver<Head>,
    /// Closed with the log.
    pub(super) closed: Receiver<()>,
}

impl WordKeeper {
    /// Works until the log is closed.
    pub fn run(self) {
        let mut before = self.head.borrow().position;
        while matches!(self.closed.recv_timeout(LOOK_EVERY), Err(RecvTimeoutError::Timeout)) {
            let head = self.head.borrow().position;
            if let Err(error) = self.words.keep_up(head, before) {
                warn!(error = causes(&error), "words not stored; questions are answered without them");
            }
            before = head;
        }
    }
}
