//! Says what can go wrong in a journal, one enum an operation.

use std::io;

use crate::domain::{Position, StoreId};

/// Says why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than the fixed parts need.
    #[error("has {bytes} bytes, too few for a frame")]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// A format that this build does not know.
    #[error("has format version {found}, which this build does not know")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// The bytes are not those that were written.
    #[error("does not match its checksum")]
    Checksum,
    /// A codec that this build does not know.
    #[error("has codec {found}, which this build does not know")]
    Codec {
        /// The codec byte.
        found: u8,
    },
    /// No record, or more than a frame may hold.
    #[error("claims {found} records")]
    Count {
        /// The count claimed.
        found: u16,
    },
    /// Positions that overflow, start at 0 or leave the commit.
    #[error("has positions that do not fit its commit")]
    Positions,
    /// The body claims more bytes than a frame may have.
    #[error("claims a body of {bytes} bytes")]
    BodyTooLarge {
        /// The length claimed.
        bytes: u32,
    },
    /// The body does not unpack to the length claimed.
    #[error("has a body that does not unpack")]
    Body,
    /// The records do not fill the body exactly.
    #[error("has a body that does not hold its records")]
    Records,
    /// Salt and content of a record do not give its digest.
    #[error("holds a record at position {position} that does not match its digest")]
    Digest {
        /// Where.
        position: Position,
    },
}

/// Says why records cannot become frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No record at all.
    #[error("a commit needs at least one record")]
    Empty,
    /// The record does not follow the one before it, or the first has position 0.
    #[error("the record at position {position} does not follow the one before it")]
    NotConsecutive {
        /// The position that breaks the order.
        position: Position,
    },
    /// The record alone is larger than the body of a frame may be.
    #[error("the record at position {position} is too large")]
    TooLarge {
        /// Its position.
        position: Position,
    },
}

/// Says what is wrong with a run of positions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The stored bytes are not a sound frame.
    #[error("the frame {0}")]
    Frame(#[source] FrameError),
    /// Nothing is stored where something must be.
    #[error("nothing is stored there")]
    Missing,
    /// A frame lies where another belongs.
    #[error("a frame lies where another belongs")]
    Misplaced,
    /// The chain hash does not continue.
    #[error("the chain hash does not continue")]
    Chain,
    /// The store below found itself damaged.
    #[error("the store below reports damage: {0}")]
    Store(String),
}

/// Says why reading stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Records that must be there are damaged or missing.
    #[error("positions {first} to {last} are corrupt: {fault}")]
    Corrupt {
        /// First position touched, inclusive.
        first: Position,
        /// Last position touched, inclusive.
        last: Position,
        /// What was found.
        #[source]
        fault: Fault,
    },
    /// The storage could not be read; the data may be sound.
    #[error("the journal could not be read")]
    Io(#[source] io::Error),
}

/// Says why a commit was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Someone else has committed since the caller looked. Nothing was written.
    #[error("the tail has moved to position {actual}")]
    TailMoved {
        /// The tail now.
        actual: Position,
    },
    /// The frames are not one whole commit that continues the log. Nothing was written.
    #[error("the frames are not one commit that continues the log: {reason}")]
    Malformed {
        /// The rule broken.
        reason: &'static str,
    },
    /// Writing or flushing failed. Whether the commit exists is known after opening again.
    #[error("the commit failed and its outcome is unknown")]
    Failed(#[source] io::Error),
    /// The journal could not be written anew. It goes on as it was.
    #[error("the journal could not be written anew")]
    NotRewritten(#[source] io::Error),
    /// An earlier commit failed. Nothing was written.
    #[error("the journal takes no commits after a failed one until it is opened again")]
    Poisoned,
    /// The journal was closed. Nothing was written.
    #[error("the journal is closed")]
    Closed,
}

/// Says why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another journal of this process, holds it.
    #[error("the journal is in use by another process")]
    Locked,
    /// The journal belongs to another store.
    #[error("the journal belongs to store {found}, not to {expected}")]
    WrongStore {
        /// The store asked for.
        expected: StoreId,
        /// The store that the journal names.
        found: StoreId,
    },
    /// Its end is damaged.
    #[error("positions {first} to {last} are corrupt: {fault}")]
    Corrupt {
        /// First position touched, inclusive.
        first: Position,
        /// Last position touched, inclusive.
        last: Position,
        /// What was found.
        #[source]
        fault: Fault,
    },
    /// The store below cannot be opened because it is damaged as a whole; no position is known.
    #[error("the store below cannot be opened: {detail}")]
    Store {
        /// What the store said.
        detail: String,
    },
    /// The files could not be read or written.
    #[error("the journal's files could not be read or written")]
    Io(#[source] io::Error),
}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Corrupt { first, last, fault } => Self::Corrupt { first, last, fault },
            ReadError::Io(error) => Self::Io(error),
        }
    }
}
