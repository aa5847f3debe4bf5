//! Checks the end of a log when it is opened.
//!
//! Only the last commit and the frame before it, not the whole log: a check that takes minutes is
//! a check that operators switch off. The whole log has `verify`.

use super::error::{Fault, ReadError};
use super::frame::{Frame, claimed_last};
use super::walk::{Entry, SourceError, Walk};
use super::{Direction, Tail};
use crate::domain::{Position, StoreId};

/// What the check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The tail of the log.
    pub tail: Tail,
    /// How many frames were decoded, their digests checked and the chain through them followed.
    pub frames: u64,
}

/// Checks the newest frames; `newest_first` gives all entries, the newest first.
///
/// # Errors
/// [`ReadError::Corrupt`] when a frame is damaged, one is missing, the last commit is not whole or
/// the chain does not continue; [`ReadError::Io`] when they cannot be read.
pub fn check_tail(
    newest_first: impl Iterator<Item = Result<Entry, SourceError>>,
    store: StoreId,
) -> Result<Checked, ReadError> {
    let mut entries = newest_first.peekable();
    let end = match entries.peek() {
        None => {
            return Ok(Checked { tail: Tail::origin(store), frames: 0 });
        }
        // The walk reports what is wrong with the source.
        Some(Err(_)) => Position(u64::MAX),
        Some(Ok((first, encoded))) => match Frame::decode(encoded.clone()) {
            Ok(frame) if frame.commit().last > frame.last() => {
                let (first, last) = (frame.last().next(), frame.commit().last);
                return Err(ReadError::Corrupt { first, last, fault: Fault::Missing });
            }
            Ok(frame) => frame.last(),
            Err(_) => claimed_last(*first, encoded),
        },
    };
    let mut frames = Vec::new();
    let mut commit = None;
    for frame in Walk::new(entries, end, Direction::Backward, end) {
        let frame = frame?;
        let last_commit = *commit.get_or_insert(frame.commit());
        let before = frame.commit() != last_commit;
        frames.push(frame);
        if before {
            break;
        }
    }
    let tail = follow(frames.iter().rev(), store)?;
    Ok(Checked { tail, frames: frames.len() as u64 })
}

/// Follows the chain through frames, oldest first.
fn follow<'a>(frames: impl Iterator<Item = &'a Frame>, store: StoreId) -> Result<Tail, ReadError> {
    let mut tail = Tail::origin(store);
    for (index, frame) in frames.enumerate() {
        let (first, last) = (frame.first(), frame.last());
        let corrupt = |fault| ReadError::Corrupt { first, last, fault };
        // Of the oldest frame the chain before it is known only where the log begins.
        let known = index > 0 || first == Position(1);
        if known && frame.previous() != tail.chain {
            return Err(corrupt(Fault::Chain));
        }
        let chain = frame.verify_digests().map_err(|error| corrupt(Fault::Frame(error)))?;
        let recorded_at = frame.records().last().map(|record| record.recorded_at);
        tail = Tail { position: last, chain, recorded_at };
    }
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::conformance::{record, store};
    use crate::journal::{ChainHash, EncodedFrame, frames_of};

    fn commit(first: u64, count: u64, previous: ChainHash) -> Vec<EncodedFrame> {
        let records: Vec<_> = (first..first + count).map(|p| record(p, 10)).collect();
        frames_of(&records, previous).unwrap().0
    }

    fn check(frames: &[EncodedFrame]) -> Result<Checked, (u64, u64, Fault)> {
        let newest_first = frames.iter().rev();
        let entries = newest_first.map(|frame| Ok((frame.first(), frame.bytes().clone())));
        check_tail(entries, store()).map_err(|error| match error {
            ReadError::Corrupt { first, last, fault } => (first.0, last.0, fault),
            ReadError::Io(error) => panic!("{error}"),
        })
    }

    #[test]
    fn a_sound_end_gives_the_tail() {
        let mut frames = commit(1, 10, ChainHash::origin(store()));
        frames.extend(commit(11, 70, frames[0].chain()));
        let checked = check(&frames).unwrap();
        let last = frames.last().unwrap();
        let tail =
            Tail { position: Position(80), chain: last.chain(), recorded_at: Some(last.recorded_at()) };
        assert_eq!(checked, Checked { tail, frames: 3 });
    }

    #[test]
    fn an_end_that_is_not_whole_or_not_of_this_chain_is_refused() {
        let origin = ChainHash::origin(store());
        let other = ChainHash::from_bytes([7; 32]);
        let first = commit(1, 10, origin);
        let second = commit(11, 140, first[0].chain());
        let with = |rest: &[EncodedFrame]| [&first, rest].concat();
        let cases = [
            (commit(1, 10, other), (1, 10, Fault::Chain)),
            (with(&commit(11, 10, other)), (11, 20, Fault::Chain)),
            (with(&second[..2]), (139, 150, Fault::Missing)),
            (with(&second[1..]), (11, 74, Fault::Missing)),
            (second.clone(), (1, 10, Fault::Missing)),
        ];
        for (frames, expected) in cases {
            assert_eq!(check(&frames), Err(expected));
        }
    }
}
