//! Remembers outside the store below how far the log was durable.
//!
//! The store takes a damaged entry for the end of its own log and drops all that follows, without
//! a word: one flipped bit can lose every acknowledged commit after it. The mark makes that loss
//! an error. It is written after a commit is durable and not synced, since it need not be exact:
//! it is never ahead of the log, it survives the end of the process, and the kernel writes it
//! within seconds. It fits one sector, so that it is not torn.
//!
//! ```text
//! bytes  8 position   32 chain hash   4 CRC32C over the 40 before it; big-endian
//! ```

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::{Fault, ReadError};
use super::{ChainHash, Tail};
use crate::domain::Position;

const FILE: &str = "watermark";
const MARK_BYTES: usize = 40;

/// The file that holds the mark.
#[derive(Debug)]
pub struct Watermark(File);

impl Watermark {
    /// Compares the tail found with the mark left, then moves the mark there.
    ///
    /// A mark that is absent or unreadable is replaced: it says nothing about the log.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] when the log ends before the mark or has another chain hash there;
    /// [`ReadError::Io`] when the file cannot be read or written.
    pub fn open(dir: &Path, tail: &Tail) -> Result<Self, ReadError> {
        let path = dir.join(FILE);
        let left = Self::peek(dir).map_err(ReadError::Io)?;
        if let Some((marked, chain)) = left {
            if marked > tail.position {
                let first = tail.position.next();
                return Err(ReadError::Corrupt { first, last: marked, fault: Fault::Missing });
            }
            if marked == tail.position && chain != tail.chain {
                let first = Position(1);
                return Err(ReadError::Corrupt { first, last: marked, fault: Fault::Chain });
            }
        }
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let mut mark = Self(file.map_err(ReadError::Io)?);
        mark.advance(tail).map_err(ReadError::Io)?;
        Ok(mark)
    }

    /// Gives the mark that was left, if there is one that can be read.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn peek(dir: &Path) -> io::Result<Option<(Position, ChainHash)>> {
        match fs::read(dir.join(FILE)) {
            Ok(bytes) => Ok(read(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves the mark to a durable tail.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn advance(&mut self, tail: &Tail) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(MARK_BYTES + 4);
        bytes.extend_from_slice(&tail.position.0.to_be_bytes());
        bytes.extend_from_slice(tail.chain.as_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
        self.0.seek(SeekFrom::Start(0))?;
        self.0.write_all(&bytes)
    }
}

fn read(bytes: &[u8]) -> Option<(Position, ChainHash)> {
    let (mark, checksum) = bytes.split_last_chunk::<4>()?;
    let (position, chain) = mark.split_first_chunk::<8>()?;
    let chain = <[u8; 32]>::try_from(chain).ok()?;
    (crc32c::crc32c(mark) == u32::from_be_bytes(*checksum))
        .then(|| (Position(u64::from_be_bytes(*position)), ChainHash::from_bytes(chain)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::conformance::store;

    fn tail(position: u64, chain: u8) -> Tail {
        let chain = ChainHash::from_bytes([chain; 32]);
        Tail { position: Position(position), chain, ..Tail::origin(store()) }
    }

    #[test]
    fn a_log_that_ends_before_the_mark_or_differs_there_is_refused() {
        // the tail found when the mark is at 7 with chain 1
        let cases = [
            (tail(7, 1), None),
            (tail(9, 2), None),
            (tail(7, 2), Some((1, 7, Fault::Chain))),
            (tail(6, 1), Some((7, 7, Fault::Missing))),
            (tail(0, 0), Some((1, 7, Fault::Missing))),
        ];
        for (found, expected) in cases {
            let dir = tempfile::tempdir().unwrap();
            Watermark::open(dir.path(), &tail(3, 9)).unwrap().advance(&tail(7, 1)).unwrap();
            let refused = Watermark::open(dir.path(), &found).err().map(|error| match error {
                ReadError::Corrupt { first, last, fault } => (first.0, last.0, fault),
                ReadError::Io(error) => panic!("{error}"),
            });
            assert_eq!(refused, expected, "{found:?}");
        }
    }

    #[test]
    fn an_unreadable_mark_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(Watermark::open(dir.path(), &tail(7, 1)).unwrap());
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        bytes[7] ^= 1;
        for damaged in [&bytes[..], &bytes[..20], &[]] {
            fs::write(&path, damaged).unwrap();
            drop(Watermark::open(dir.path(), &tail(2, 1)).unwrap());
            assert!(Watermark::open(dir.path(), &tail(1, 1)).is_err());
        }
    }
}
