//! A consistent copy of the log while appends go on: frames as they lie, each checked as it is copied.

use bytes::Bytes;

use super::Log;
use super::error::ReadError;
use super::rebuild::chain_at;
use crate::domain::{Position, StoreId};
use crate::journal::{self, ChainHash, CommitRange, Direction, Fault, Frame, Frames};

/// Version of the form of a backup, as a stream and as a file.
pub const BACKUP_FORMAT: u32 = 1;
/// Most bytes of frames in one batch; a single larger frame is a batch of its own.
pub const BATCH_BYTES_MAX: usize = 1_024 * 1_024;

/// What a backup holds: everything in (`after`, `head`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The store.
    pub store: StoreId,
    /// Exclusive; 0 in a full backup.
    pub after: Position,
    /// Chain hash there.
    pub after_chain: ChainHash,
    /// Inclusive.
    pub head: Position,
    /// Chain hash there.
    pub head_chain: ChainHash,
}

/// Says why one backup does not follow another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SequenceError {
    /// It is of another store.
    #[error("it is of store {found}, the one before of store {expected}")]
    OtherStore {
        /// Its store.
        found: StoreId,
        /// The store before.
        expected: StoreId,
    },
    /// It begins elsewhere than the other ends.
    #[error("it begins after position {after}, the one before ends with position {head}")]
    NotNext {
        /// Where it begins, exclusive.
        after: Position,
        /// Where the one before ends, inclusive.
        head: Position,
    },
    /// It was made from another history of the store.
    #[error("at position {position} it has another chain hash than the one before: it is of another history")]
    OtherHistory {
        /// Where they meet.
        position: Position,
    },
}

impl Extent {
    /// Makes sure that this backup goes on where another ends.
    ///
    /// # Errors
    /// [`SequenceError`].
    pub fn check_follows(&self, before: &Self) -> Result<(), SequenceError> {
        if self.store != before.store {
            return Err(SequenceError::OtherStore { found: self.store, expected: before.store });
        }
        if self.after != before.head {
            return Err(SequenceError::NotNext { after: self.after, head: before.head });
        }
        if self.after_chain != before.head_chain {
            return Err(SequenceError::OtherHistory { position: self.after });
        }
        Ok(())
    }
}

/// What was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Frames.
    pub frames: u64,
    /// Events in them.
    pub events: u64,
    /// BLAKE3, over the frames of a stream or over a file.
    pub checksum: [u8; 32],
}

/// Says why a backup was not begun.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It would begin beyond the head.
    #[error("position {position} is beyond the head {head}")]
    BeyondHead {
        /// The position asked for.
        position: Position,
        /// The head.
        head: Position,
    },
    /// It would begin inside a commit, which is restored whole or not at all.
    #[error("position {position} lies inside a commit; the last one before it ends with position {nearest}")]
    InsideCommit {
        /// The position asked for.
        position: Position,
        /// The end of the last commit that ends before.
        nearest: Position,
    },
    /// The log has another chain hash where the backup would begin.
    #[error("the chain hash at position {position} is another")]
    OtherHistory {
        /// The position asked for.
        position: Position,
        /// The chain hash asked for.
        given: ChainHash,
        /// The chain hash there.
        actual: ChainHash,
    },
    /// The log cannot be read there.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl Log {
    /// Begins a backup of everything committed after a position, up to the head as it is now.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn backup(&self, after: Position, expected: Option<ChainHash>) -> Result<Backup, BackupError> {
        let head = self.head();
        if after > head.position {
            return Err(BackupError::BeyondHead { position: after, head: head.position });
        }
        let after_chain = chain_at(self.journal.as_ref(), after)?;
        if let Some(given) = expected
            && given != after_chain
        {
            return Err(BackupError::OtherHistory { position: after, given, actual: after_chain });
        }
        let held = self.journal.frame_at(after).map_err(ReadError::from)?;
        if let Some(commit) = held.map(|frame| frame.commit())
            && commit.last != after
        {
            let nearest = Position(commit.first.0.saturating_sub(1));
            return Err(BackupError::InsideCommit { position: after, nearest });
        }
        let extent = Extent {
            store: self.store_id(),
            after,
            after_chain,
            head: head.position,
            head_chain: head.chain,
        };
        Ok(Backup {
            extent,
            frames: self.journal.read(after.next(), Direction::Forward),
            continuity: Continuity::after(after, after_chain),
            checksum: blake3::Hasher::new(),
            held_back: None,
        })
    }
}

/// A backup under way. Dropped before its last batch it is none.
pub struct Backup {
    extent: Extent,
    frames: Frames,
    continuity: Continuity,
    checksum: blake3::Hasher,
    /// The frame that did not fit the batch before.
    held_back: Option<Bytes>,
}

impl Backup {
    /// Gives what it will hold.
    #[must_use]
    pub const fn extent(&self) -> Extent {
        self.extent
    }

    /// Copies the next frames; nothing after the last.
    ///
    /// # Errors
    /// [`ReadError`] at the first frame that is damaged, missing or does not continue the chain.
    pub fn next_batch(&mut self) -> Result<Vec<Bytes>, ReadError> {
        let mut batch: Vec<Bytes> = self.held_back.take().into_iter().collect();
        let mut bytes: usize = batch.iter().map(Bytes::len).sum();
        while self.continuity.position() < self.extent.head {
            let frame = self.frames.next().unwrap_or_else(|| {
                let (first, last) = (self.continuity.position().next(), self.extent.head);
                Err(journal::ReadError::Corrupt { first, last, fault: Fault::Missing })
            })?;
            self.continuity.take(&frame)?;
            let encoded = frame.encoded().clone();
            self.checksum.update(&encoded);
            bytes += encoded.len();
            if bytes > BATCH_BYTES_MAX && !batch.is_empty() {
                self.held_back = Some(encoded);
                return Ok(batch);
            }
            batch.push(encoded);
        }
        self.continuity.check_end(self.extent.head, self.extent.head_chain)?;
        Ok(batch)
    }

    /// Tells what was copied so far.
    #[must_use]
    pub fn copied(&self) -> Copied {
        self.continuity.copied(&self.checksum)
    }
}

impl std::fmt::Debug for Backup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("extent", &self.extent).finish_non_exhaustive()
    }
}

/// Checks that frames follow one another: positions without a gap, whole commits, intact contents, one chain.
#[derive(Clone, Copy, Debug)]
pub struct Continuity {
    position: Position,
    chain: ChainHash,
    /// The commit that is not whole yet.
    open: Option<CommitRange>,
    frames: u64,
    events: u64,
}

impl Continuity {
    /// Begins after a position that ends a commit.
    #[must_use]
    pub const fn after(position: Position, chain: ChainHash) -> Self {
        Self { position, chain, open: None, frames: 0, events: 0 }
    }

    /// Gives the last position that was taken.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Tells whether what was taken ends with a whole commit.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.open.is_none()
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`journal::ReadError::Corrupt`] when it is not the next one, or damaged; it is not taken then.
    pub fn take(&mut self, frame: &Frame) -> Result<(), journal::ReadError> {
        let (first, last) = (frame.first(), frame.last());
        let corrupt = |fault| Err(journal::ReadError::Corrupt { first, last, fault });
        if first > self.position.next() {
            let (first, last) = (self.position.next(), Position(first.0 - 1));
            return Err(journal::ReadError::Corrupt { first, last, fault: Fault::Missing });
        }
        let commit = frame.commit();
        let expected = self.open.unwrap_or(CommitRange { first, last: commit.last });
        if first != self.position.next() || commit != expected {
            return corrupt(Fault::Misplaced);
        }
        if frame.previous() != self.chain {
            return corrupt(Fault::Chain);
        }
        match frame.verify_digests() {
            Ok(chain) => self.chain = chain,
            Err(error) => return corrupt(Fault::Frame(error)),
        }
        self.position = last;
        self.open = (commit.last != last).then_some(commit);
        self.frames += 1;
        self.events += last.0 - first.0 + 1;
        Ok(())
    }

    /// Makes sure that what was taken ends where it should.
    ///
    /// # Errors
    /// [`journal::ReadError::Corrupt`].
    pub fn check_end(&self, head: Position, chain: ChainHash) -> Result<(), journal::ReadError> {
        let fault = if self.position < head || self.open.is_some() {
            Fault::Missing
        } else if self.position > head {
            Fault::Misplaced
        } else if self.chain != chain {
            Fault::Chain
        } else {
            return Ok(());
        };
        let first = if fault == Fault::Missing { self.position.next() } else { head };
        Err(journal::ReadError::Corrupt { first, last: head.max(first), fault })
    }

    /// Tells what was taken, with a checksum made beside it.
    #[must_use]
    pub fn copied(&self, checksum: &blake3::Hasher) -> Copied {
        Copied { frames: self.frames, events: self.events, checksum: checksum.finalize().into() }
    }
}

#[cfg(test)]
mod tests;
