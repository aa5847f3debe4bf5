//! Decides whether frames are the next commit, the same way in every implementation.

use super::error::{CommitError, ReadError};
use super::{EncodedFrame, Frame, Tail};
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

/// Checks that frames can take the place of stored ones; `stored_at` gives the frame that holds a position.
///
/// # Errors
/// [`CommitError::Malformed`] when one differs from the stored frame in more than what its records hold.
pub fn admit_replacements(
    replaced: &[EncodedFrame],
    stored_at: impl Fn(Position) -> Result<Option<Frame>, ReadError>,
) -> Result<(), CommitError> {
    for frame in replaced {
        let same = match stored_at(frame.first()) {
            Ok(Some(stored)) => stored.into_encoded().is_ok_and(|stored| {
                (stored.first(), stored.last(), stored.commit())
                    == (frame.first(), frame.last(), frame.commit())
                    && (stored.previous(), stored.chain()) == (frame.previous(), frame.chain())
            }),
            Ok(None) => false,
            Err(ReadError::Corrupt { .. }) => {
                return Err(CommitError::Malformed { reason: "the frame to replace is damaged" });
            }
            Err(ReadError::Io(error)) => return Err(CommitError::Failed(error)),
        };
        if !same {
            return Err(CommitError::Malformed {
                reason: "it does not fit in the place of the stored frame",
            });
        }
    }
    Ok(())
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
