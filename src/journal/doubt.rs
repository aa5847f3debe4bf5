//! Remembers that a sync failed, so that the next opening does not trust what the kernel still shows.
//!
//! After a failed sync the kernel calls the pages clean that it could not write: reads still give the new bytes, and the
//! next sync succeeds without them (Rebello et al., USENIX ATC 2020). A store opened again without a reboot would take
//! up events that the disk does not have, show them, and put acknowledged ones behind them; a power cut then leaves a
//! hole. So an opening in doubt first writes every file again, in place: that makes the pages dirty, and one sync tells
//! the truth.
//!
//! The mark is one byte in a file of its own, made while all is well, so that setting it takes no space on a full disk.
//! It is not synced: it must live exactly as long as the pages it is about, and that is the kernel's memory.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use tracing::{error, warn};

use crate::seeded::{self, Bug};

pub(super) const FILE: &str = "doubt";
const RAISED: &[u8] = b"1";
const SETTLED: &[u8] = b"0";
const CHUNK_BYTES: usize = 1024 * 1024;

/// The mark of a directory.
#[derive(Debug)]
pub struct Doubt(File);

impl Doubt {
    /// Opens the mark, or makes one. If it is set, writes every file below `dir` again and syncs all, then clears it.
    ///
    /// # Errors
    /// When a file cannot be read, written or synced; the mark then stays.
    pub fn settle(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let mut mark = File::options().create(true).truncate(false).read(true).write(true).open(&path)?;
        let mut found = Vec::new();
        mark.read_to_end(&mut found)?;
        let doubt = Self(mark);
        if found == RAISED && !seeded::on(Bug::TrustCacheAfterFailedSync) {
            warn!(directory = %dir.display(), "a sync had failed: every file of the journal is written again");
            write_again(dir, &path)?;
        }
        if found != SETTLED {
            doubt.set(SETTLED)?;
        }
        Ok(doubt)
    }

    /// Says that a sync failed.
    pub fn raise(&self) {
        if let Err(cause) = self.set(RAISED) {
            error!(%cause, "a sync failed, and that cannot be noted: restart the machine before opening the store again");
        }
    }

    fn set(&self, mark: &[u8]) -> io::Result<()> {
        let mut file = &self.0;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(mark)
    }
}

fn write_again(dir: &Path, except: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            write_again(&path, except)?;
        } else if kind.is_file() && path != except {
            write_file_again(&path)?;
        }
    }
    File::open(dir)?.sync_all()
}

/// The same bytes in the same places: a cut meanwhile leaves of each page what it had, or what it should have.
fn write_file_again(path: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        file.seek(SeekFrom::Start(at))?;
        let len = file.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..len).filter(|bytes| !bytes.is_empty()) else { break };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)?;
        at = at.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_doubt_is_written_again_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("blobs").join("7");
        fs::create_dir(dir.path().join("blobs")).unwrap();
        let bytes: Vec<u8> = (0..3 * CHUNK_BYTES + 5).map(|at| at.to_le_bytes()[0]).collect();
        fs::write(&file, &bytes).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH;
        let written = || {
            let time = fs::metadata(&file).unwrap().modified().unwrap();
            File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
            time != old
        };
        let _ = written();
        let doubt = Doubt::settle(dir.path()).unwrap();
        assert!(!written(), "without doubt nothing is written");
        doubt.raise();
        drop(Doubt::settle(dir.path()).unwrap());
        assert!(written(), "in doubt everything is");
        drop(Doubt::settle(dir.path()).unwrap());
        assert!(!written(), "and then the doubt is settled");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
}
