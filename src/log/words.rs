//! Stores words off the writer's path.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::warn;

use super::Log;
use super::error::causes;
use super::head::Head;
use crate::domain::Position;
use crate::filter::Filter;
use crate::search::{Engine, SearchError};

/// How often the head is looked at: a log that stood still for so long has time for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Log {
    /// Looks up the words of a filter in the events up to a position; what is known already is not looked up again,
    /// unless scores are wanted.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn look_up(&self, filter: &mut Filter, up_to: Position, ranked: bool) -> Result<(), SearchError> {
        filter.for_each_text(&mut |text| {
            let found = match &text.found {
                Some(found) if !ranked && found.up_to >= up_to => return Ok(()),
                Some(found) if !ranked => self.words.search_on(&text.query, found, up_to)?,
                Some(_) | None => self.words.search(&text.query, up_to, ranked)?,
            };
            text.found = Some(Arc::new(found));
            Ok(())
        })
    }
}

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
