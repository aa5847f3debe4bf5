//! Decides whether frames are the next commit, the same way in every implementation.

use super::error::CommitError;
use super::{EncodedFrame, Tail};
use crate::domain::Position;

/// Says whether a journal takes commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Open,
    /// A commit failed: what is stored beyond the tail is unknown.
    Poisoned,
    /// It was closed.
    Closed,
}

impl Condition {
    /// Refuses unless open.
    ///
    /// # Errors
    /// [`CommitError::Poisoned`] or [`CommitError::Closed`].
    pub fn check(self) -> Result<(), CommitError> {
        match self {
            Self::Open => Ok(()),
            Self::Poisoned => Err(CommitError::Poisoned),
            Self::Closed => Err(CommitError::Closed),
        }
    }
}

/// Gives the tail after the frames, if they are one whole commit that continues `tail`.
///
/// # Errors
/// [`CommitError::TailMoved`] when the caller expected another tail, [`CommitError::Malformed`]
/// when the frames do not follow it, each other or the chain.
pub fn admit(tail: &Tail, expected_tail: Position, frames: &[EncodedFrame]) -> Result<Tail, CommitError> {
    if tail.position != expected_tail {
        return Err(CommitError::TailMoved { actual: tail.position });
    }
    let malformed = |reason| Err(CommitError::Malformed { reason });
    let Some((first, last)) = frames.first().zip(frames.last()) else {
        return malformed("no frame");
    };
    if first.first() != first.commit().first || last.last() != last.commit().last {
        return malformed("not the whole commit");
    }
    let mut after = *tail;
    for frame in frames {
        if frame.commit() != first.commit() {
            return malformed("frames of several commits");
        }
        if after.position == Position(u64::MAX) || frame.first() != after.position.next() {
            return malformed("positions do not continue");
        }
        if frame.previous() != after.chain {
            return malformed("the chain does not continue");
        }
        after = Tail { position: frame.last(), chain: frame.chain(), recorded_at: Some(frame.recorded_at()) };
    }
    Ok(after)
}
