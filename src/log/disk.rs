//! Space on the disk: appends leave a reserve alone, and a part of it is held by a file.
//!
//! ```text
//! DIR/RESERVE  half of the reserve, really allocated: others cannot take it
//!   free ─────────────▶ appends are taken
//!   free + RESERVE < reserve + what the commit may take ──▶ DISK_FULL; reads go on
//!   opening fails for lack of space ──▶ RESERVE is released, and opening tried again
//! ```
//!
//! A write that meets the end of the disk fails a commit, and after a failed commit nothing more is written until the
//! store is opened again. So an append is refused before it could come to that, and taken again once there is space.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::{info, warn};

use super::error::causes;

/// Space that appends leave free unless configured otherwise.
pub const RESERVE_BYTES_DEFAULT: u64 = 64 * 1_024 * 1_024;
/// What the store below may need beside the frames: it begins segments of 4 MiB, and moves what it frees.
const COMMIT_SLACK_BYTES: u64 = 2 * 4 * 1_024 * 1_024;
/// What storing a segment of the index may need.
const SEGMENT_BYTES: u64 = 16 * 1_024 * 1_024;
/// Left for small files when the last space is taken for [`RESERVE_FILE`].
const MARGIN_BYTES: u64 = 1_024 * 1_024;
/// The file that holds a part of the reserve.
const RESERVE_FILE: &str = "RESERVE";

/// Says that there is too little space; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the disk is nearly full: {free_bytes} bytes are free, {needed_bytes} must be")]
pub struct DiskFull {
    /// What is free.
    pub free_bytes: u64,
    /// What must be free for the append.
    pub needed_bytes: u64,
}

/// A file system as the reserve sees it; tests script one.
pub trait Volume: Debug + Send + Sync {
    /// Gives the bytes that this process may still take.
    ///
    /// # Errors
    /// When the file system does not say.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Gives the bytes that are held.
    fn held_bytes(&self) -> u64;

    /// Holds so many bytes, no more and no less.
    ///
    /// # Errors
    /// When they are not to be had; what is held is then as before, or nothing.
    fn hold(&self, bytes: u64) -> io::Result<()>;
}

/// The file system of a data directory.
#[derive(Debug)]
struct Directory(PathBuf);

impl Volume for Directory {
    fn free_bytes(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(&self.0)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    fn held_bytes(&self) -> u64 {
        std::fs::metadata(self.0.join(RESERVE_FILE)).map_or(0, |found| found.len())
    }

    fn hold(&self, bytes: u64) -> io::Result<()> {
        let path = self.0.join(RESERVE_FILE);
        if bytes == 0 {
            return match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            };
        }
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        let held = file.metadata()?.len();
        if bytes < held {
            return file.set_len(bytes);
        }
        // Not by writing: a file system that packs or shares blocks would hold nothing.
        if let Err(error) = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            file.set_len(held)?;
            return Err(error.into());
        }
        file.sync_all()
    }
}

/// The reserve of one store.
#[derive(Debug)]
pub struct Reserve {
    volume: Box<dyn Volume>,
    reserve_bytes: u64,
    /// What is held now. Read by the writer in each round.
    held_bytes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Appends were refused and none was taken since.
    is_short: bool,
    /// The file system cannot hold space.
    cannot_hold: bool,
}

impl Reserve {
    /// Watches the file system of a data directory, which exists.
    #[must_use]
    pub fn of(directory: &Path, reserve_bytes: u64) -> Self {
        Self::over(Box::new(Directory(directory.to_owned())), reserve_bytes)
    }

    /// Watches any file system.
    #[must_use]
    pub fn over(volume: Box<dyn Volume>, reserve_bytes: u64) -> Self {
        let held_bytes = AtomicU64::new(volume.held_bytes());
        Self { volume, reserve_bytes, held_bytes, state: Mutex::default() }
    }

    /// Decides whether a commit of so many bytes may be written. One system call, at most three microseconds.
    ///
    /// # Errors
    /// [`DiskFull`].
    pub fn admit(&self, bytes: u64) -> Result<(), DiskFull> {
        // What the file system does not tell cannot be held against an append.
        let Ok(free_bytes) = self.volume.free_bytes() else { return Ok(()) };
        let held = self.held_bytes.load(Ordering::Relaxed);
        let cost = COMMIT_SLACK_BYTES.saturating_add(bytes.saturating_mul(2));
        let needed_bytes = self.reserve_bytes.saturating_sub(held).saturating_add(cost);
        let mut state = self.state.lock();
        if free_bytes < needed_bytes {
            if !std::mem::replace(&mut state.is_short, true) {
                warn!(free_bytes, needed_bytes, "the disk is nearly full: appends are refused");
            }
            return Err(DiskFull { free_bytes, needed_bytes });
        }
        // A small append may find the space that a large one did not: that is not yet worth a word.
        if state.is_short && free_bytes >= needed_bytes.saturating_add(COMMIT_SLACK_BYTES) {
            state.is_short = false;
            info!(free_bytes, "there is space again: appends are taken");
        }
        if held < self.held_wanted() {
            self.hold(&mut state);
        }
        Ok(())
    }

    /// Tells whether a segment of the index may be stored.
    #[must_use]
    pub fn has_room_for_segment(&self) -> bool {
        self.volume.free_bytes().map_or(true, |free| free >= SEGMENT_BYTES)
    }

    /// Holds as much of its part as is to be had. When the disk is full, that is what was released to open.
    pub fn take(&self) {
        self.hold(&mut self.state.lock());
    }

    fn hold(&self, state: &mut State) {
        let held = self.held_bytes.load(Ordering::Relaxed);
        let Ok(free) = self.volume.free_bytes() else { return };
        let wanted = self.held_wanted().min(held.saturating_add(free.saturating_sub(MARGIN_BYTES)));
        if state.cannot_hold || wanted <= held {
            return;
        }
        if let Err(error) = self.volume.hold(wanted)
            && error.kind() != io::ErrorKind::StorageFull
        {
            state.cannot_hold = true;
            warn!(error = causes(&error), "no disk space can be held for a full disk");
        }
        self.held_bytes.store(self.volume.held_bytes(), Ordering::Relaxed);
    }

    /// Does something that needs space: with what is held released, where there is none, and once more where it fails
    /// for lack of space.
    ///
    /// # Errors
    /// What the work says.
    pub fn with_room<T, E>(&self, work: impl Fn() -> Result<T, E>) -> Result<T, E> {
        self.release_below(COMMIT_SLACK_BYTES);
        let outcome = work();
        if outcome.is_err() && self.release_below(self.held_wanted()) { work() } else { outcome }
    }

    /// Releases what is held if less is free; tells whether it did.
    fn release_below(&self, bytes: u64) -> bool {
        let short = self.volume.free_bytes().is_ok_and(|free| free < bytes);
        if !short || self.held_bytes.load(Ordering::Relaxed) == 0 {
            return false;
        }
        warn!("the disk is full: the space held for this is released");
        let released = self.volume.hold(0);
        self.held_bytes.store(self.volume.held_bytes(), Ordering::Relaxed);
        released.is_ok()
    }

    const fn held_wanted(&self) -> u64 {
        self.reserve_bytes / 2
    }
}

#[cfg(test)]
mod tests;
