//! Keeps the log's commits durably and in order, without knowing what an event means.
//!
//! ```text
//! position   1    2    3 │  4 │  5    6    7    8 │
//!            └─ frame ─┘ │ f. │ └ frame ┘└ frame ┘│ ← tail: the last durable position
//!            └ commit ──┘└ c. ┘└──── commit ──────┘
//! chain      h(0) → h(1) → … → h(8), h(n) = BLAKE3(h(n−1) ‖ digest of record n)
//! ```
//!
//! A commit becomes durable as a whole or not at all. A journal has no update and no delete.
//! Damage is refused with the positions it touches, never skipped.

pub mod chain;
pub mod commit;
#[cfg(test)]
pub mod conformance;
pub mod doubt;
pub mod encode;
pub mod error;
pub mod files;
pub mod frame;
pub mod generation;
pub mod memory;
pub mod preflight;
pub mod record;
pub mod recover;
pub mod salvage;
pub mod sled;
#[cfg(test)]
mod tests;
pub mod walk;
pub mod watermark;

use std::fmt::Debug;
use std::io;

pub use self::chain::ChainHash;
pub use self::encode::{EncodedFrame, frames_of, refit};
pub use self::error::{CommitError, EncodeError, Fault, FrameError, OpenError, ReadError};
pub use self::frame::{CommitRange, Frame};
pub use self::memory::MemoryJournal;
pub use self::record::Record;
pub use self::sled::SledJournal;
use crate::domain::{Position, StoreId, Timestamp};

/// Describes the end of the durable log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last durable position; 0 in an empty journal.
    pub position: Position,
    /// The chain hash at that position.
    pub chain: ChainHash,
    /// When the record at that position was recorded; nothing in an empty journal.
    pub recorded_at: Option<Timestamp>,
}

impl Tail {
    /// Gives the tail of a journal that holds nothing yet.
    #[must_use]
    pub fn origin(store: StoreId) -> Self {
        Self { position: Position::ZERO, chain: ChainHash::origin(store), recorded_at: None }
    }
}

/// Says which way a reader walks through the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the tail.
    Forward,
    /// Towards position 1.
    Backward,
}

/// Walks over frames; it ends after the first error.
pub type Frames = Box<dyn Iterator<Item = Result<Frame, ReadError>> + Send>;

/// Gives an opened journal and what opening it found.
#[derive(Debug)]
pub struct Opened<J> {
    /// The journal, ready for commits.
    pub journal: J,
    /// Its tail.
    pub tail: Tail,
    /// How many frames were checked in full: those of the last commit and the one before them.
    pub frames_checked: u64,
    /// How many frames of an unfinished, never acknowledged commit the implementation dropped.
    /// Always 0 where the store below drops them itself.
    pub frames_rolled_back: u64,
}

/// Stores commits: an ordered sequence of frames with positions dense from 1.
pub trait Journal: Debug + Send + Sync + 'static {
    /// Gives the store that this journal belongs to.
    fn store_id(&self) -> StoreId;

    /// Gives the end of the durable log. Never waits for a commit that is under way.
    fn tail(&self) -> Tail;

    /// Appends one commit, made by [`frames_of`] from the chain hash of the tail.
    ///
    /// When it returns `Ok` the commit is durable. Of several commits with the same
    /// `expected_tail`, one at most succeeds.
    ///
    /// # Errors
    /// [`CommitError::TailMoved`] and [`CommitError::Malformed`]: nothing was written.
    /// [`CommitError::Failed`]: the outcome is unknown until the journal is opened again; reads go
    /// on up to the old tail. [`CommitError::Poisoned`] after that, [`CommitError::Closed`] after
    /// [`Journal::close`]: nothing was written.
    fn commit(&self, expected_tail: Position, frames: Vec<EncodedFrame>) -> Result<(), CommitError>;

    /// Appends several whole commits in order, as [`Journal::commit`] does one: for restoring, where a flush for
    /// each would take most of the time.
    ///
    /// # Errors
    /// As [`Journal::commit`]. Where a commit does not follow the one before, those before it may have been written.
    fn commit_all(
        &self,
        expected_tail: Position,
        commits: Vec<Vec<EncodedFrame>>,
    ) -> Result<(), CommitError> {
        let mut expected = expected_tail;
        for frames in commits {
            let after = frames.last().map_or(expected, EncodedFrame::last);
            self.commit(expected, frames)?;
            expected = after;
        }
        Ok(())
    }

    /// Walks over the frames up to the tail as it is now; commits go on meanwhile.
    ///
    /// The first frame is the one that holds `from`. Forward, a `from` of 0 means 1 and one beyond
    /// the tail gives nothing; backward, a `from` of 0 gives nothing and one beyond the tail means
    /// the tail. Backward gives frames in descending order, the records of each still ascending.
    ///
    /// Each frame's checksum and structure are checked, and that no position is missing; digests
    /// are not: see [`Frame::verify_digests`].
    fn read(&self, from: Position, direction: Direction) -> Frames;

    /// Writes every frame anew, with some replaced by what [`refit`] made of them, and leaves no byte of the replaced
    /// ones in any file. Commits wait meanwhile, reads go on; it takes as much space again as the journal has.
    ///
    /// A crash leaves the journal as it was, or as it is to be.
    ///
    /// # Errors
    /// [`CommitError::Malformed`] when a frame has not the place, commit and chain of the stored one: nothing was
    /// written. [`CommitError::NotRewritten`]: the journal goes on as it was. [`CommitError::Failed`]: whether the new
    /// frames are in use is unknown until the journal is opened again.
    fn rewrite(&self, replaced: Vec<EncodedFrame>) -> Result<(), CommitError>;

    /// Gives the bytes that the journal takes in its store, roughly.
    fn stored_bytes(&self) -> u64;

    /// Makes sure that everything is durable and takes no more commits. Reads go on. Files are
    /// released when the journal and every walk over it are dropped.
    ///
    /// # Errors
    /// When the store below cannot flush.
    fn close(&self) -> io::Result<()>;

    /// Gives the frame that holds a position, or nothing if the position is 0 or beyond the tail.
    ///
    /// # Errors
    /// As the items of [`Journal::read`].
    fn frame_at(&self, position: Position) -> Result<Option<Frame>, ReadError> {
        if position == Position::ZERO {
            return Ok(None);
        }
        self.read(position, Direction::Forward).next().transpose()
    }
}
