//! Why an append, or opening the log, failed.

use super::disk::DiskFull;
use crate::codec::StoredError;
use crate::domain::{EventId, Kind, Position, Revision, StoreId};
use crate::journal;
use crate::search::SearchError;

/// Joins an error and its causes into one text. The JSON form of the server's log has no field for an error, so
/// causes are logged as text.
#[must_use]
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Says why an append was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Conditions do not hold; all that do not.
    #[error("{} condition(s) do not hold", .0.len())]
    ConditionFailed(Vec<ViolatedCondition>),
    /// An id is taken by other content.
    #[error("event id {id} is taken by an event with other content at position {position}")]
    EventIdReused {
        /// The id.
        id: EventId,
        /// Where the recorded event stands.
        position: Position,
    },
    /// An id is taken by an event whose content was erased.
    #[error("event id {id} is taken by an event at position {position} whose content was erased")]
    Erased {
        /// The id.
        id: EventId,
        /// Where the recorded event stands.
        position: Position,
    },
    /// Some events are recorded and some not, or not by one request in this order.
    #[error("{recorded} event(s) of the request are recorded, {missing} are not")]
    PartialReplay {
        /// How many are recorded.
        recorded: usize,
        /// How many are not.
        missing: usize,
        /// The first recorded one.
        id: EventId,
    },
    /// A link names an event that is not there.
    #[error("event {target}, named by a link, is neither in the log nor earlier in the request")]
    LinkTargetUnknown {
        /// Index of the event in the request, and of the link in the event.
        at: (usize, usize),
        /// What it names.
        target: EventId,
    },
    /// A link would close an event that another event closed, without naming that one.
    #[error("event {target} is already closed by event {closed_by}")]
    LinkTargetClosed {
        /// Index of the event in the request, and of the link in the event.
        at: (usize, usize),
        /// What it names.
        target: EventId,
        /// What closed it.
        closed_by: EventId,
    },
    /// A correction or supersession is of another kind than its target.
    #[error("event {target} is of another kind")]
    LinkTargetKind {
        /// Index of the event in the request, and of the link in the event.
        at: (usize, usize),
        /// What it names.
        target: EventId,
        /// Kind of the new event.
        kind: Kind,
        /// Kind of the target.
        target_kind: Kind,
    },
    /// An event with what the server adds to it does not fit a frame.
    #[error("events[{index}] takes {bytes} bytes to record, at most {bytes_max} fit")]
    TooLarge {
        /// Index of the event in the request.
        index: usize,
        /// Its bytes.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The queue is full.
    #[error(transparent)]
    QueueFull(#[from] QueueFull),
    /// There is too little space on the disk.
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
    /// A write or flush failed; whether the events are durable is not known.
    #[error("the commit failed and its outcome is unknown until the store is opened again")]
    OutcomeUnknown,
    /// An earlier write failed.
    #[error("the store takes no writes until it is opened again")]
    ReadOnly,
    /// The log is being closed.
    #[error("the log is being closed")]
    Closing,
    /// The log itself could not be read.
    #[error("the log could not be read")]
    Read(#[from] ReadError),
}

/// Says that too much waits for the writer; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{requests} requests with {bytes} bytes wait for the writer")]
pub struct QueueFull {
    /// How many requests wait.
    pub requests: usize,
    /// How many bytes they take.
    pub bytes: usize,
}

/// A condition that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViolatedCondition {
    /// Its index in the request.
    pub index: usize,
    /// How it is violated.
    pub violation: ConditionViolation,
}

/// How a condition is violated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConditionViolation {
    /// The stream has another revision; 0 = it has no event.
    Stream {
        /// Its name.
        name: String,
        /// Its last revision.
        actual: Revision,
    },
    /// An event stands after the position.
    NoneSince {
        /// The first one.
        position: Position,
    },
    /// An event matches.
    Absent {
        /// The first one.
        position: Position,
    },
}

/// Says why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal refused.
    #[error(transparent)]
    Journal(#[from] journal::ReadError),
    /// A record is sound but not what this program writes.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The index names a position that the journal does not have.
    #[error("position {0} is missing from the journal")]
    Missing(Position),
    /// Words could not be looked up.
    #[error("words could not be looked up")]
    Words(#[source] Box<SearchError>),
}

impl From<SearchError> for ReadError {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Journal(error) => Self::Journal(error),
            SearchError::Stored(error) => Self::Stored(error),
            SearchError::Building { .. } | SearchError::Store(_) => Self::Words(Box::new(error)),
        }
    }
}

/// Says why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the directory.
    #[error("the data directory is in use by another process")]
    Locked,
    /// The directory or a file in it could not be used.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store's own file is not one.
    #[error("{path} is not a store file: {reason}")]
    StoreFile {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with the signing key holds none, or another store's.
    #[error("{path} is not the signing key of this store: {reason}")]
    SigningKey {
        /// Which.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store was written by a later version of the program.
    #[error("the store has format {found}, this program knows up to {known}")]
    Format {
        /// The store's.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// The journal of another store lies in the directory.
    #[error("the journal belongs to store {found}, the directory to store {expected}")]
    WrongStore {
        /// What the directory says.
        expected: StoreId,
        /// What the journal says.
        found: StoreId,
    },
    /// The journal refused.
    #[error("the journal cannot be opened: run `annals verify` for its damage")]
    Journal(#[source] journal::OpenError),
    /// An order to erase is recorded, but could not be carried out.
    #[error("an order to erase cannot be carried out")]
    Erase(#[source] super::erase::EraseFault),
    /// The journal could not be read while the index was built.
    #[error("the journal cannot be read: run `annals verify` for the whole damage")]
    Read(#[from] ReadError),
}
