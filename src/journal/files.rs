//! Makes the files of an embedded store durable where the store itself does not.
//!
//! On Linux the store below flushes with `sync_file_range`, which writes neither a grown file
//! length nor the disk's volatile cache (man 2 `sync_file_range`, "Warning"). Only `fdatasync` and
//! `fsync` survive a power cut.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::seeded::{self, Bug};

pub(super) const DATA_FILE: &str = "db";
const CONFIG_FILE: &str = "conf";
pub(super) const BLOB_DIR: &str = "blobs";
/// Disk space that is allocated behind the end of the data file: two segments of the store.
const AHEAD_BYTES: u64 = 8 * 1_024 * 1_024;
/// Ends the names of files that were being written.
const UNFINISHED: &str = ".generating";
/// Threads of the store, and a process that ends, hold the lock for some milliseconds longer than
/// their owner seems to live.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_WAIT: Duration = Duration::from_millis(10);

/// Second handles on the files of a store.
#[derive(Debug)]
pub struct StoreFiles {
    dir: PathBuf,
    data: File,
    /// Length of the data file when space was last allocated behind it.
    ahead_of: Option<u64>,
    /// Blob files that are durable. Their names are never used twice.
    blobs: HashSet<OsString>,
}

/// Says whether another handle holds the store's lock, and if none does, removes what a crash left
/// half-written.
///
/// An unfinished snapshot must go: the store would take it for its newest one and refuse to open. So must a
/// configuration without data.
///
/// # Errors
/// When the files cannot be read, locked or removed.
pub fn prepare(dir: &Path) -> io::Result<bool> {
    fs::create_dir_all(dir)?;
    let data = dir.join(DATA_FILE);
    if !data.try_exists()? {
        forget_config(dir)?;
        return Ok(true);
    }
    let handle = File::options().read(true).write(true).open(data)?;
    if !lock(&handle)? {
        return Ok(false);
    }
    if handle.metadata()?.len() == 0 {
        forget_config(dir)?;
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(UNFINISHED) {
            fs::remove_file(path)?;
        }
    }
    handle.unlock()?;
    Ok(true)
}

/// Removes the store's own configuration where it holds no data yet.
///
/// The store does not sync it, and refuses one that a power cut left as zeros; here it is synced before the first data
/// are written.
fn forget_config(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(CONFIG_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Takes the lock unless it stays taken; says whether it was taken.
///
/// Waits a moment for it: whoever held it may have threads that end a little later, or a child process that has not
/// yet replaced itself and still holds its parent's files.
///
/// # Errors
/// When the file cannot be locked at all.
pub fn lock(handle: &File) -> io::Result<bool> {
    for _ in 0..LOCK_ATTEMPTS {
        match handle.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => thread::park_timeout(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

/// Gives the files of a database a second name each, in a new directory: what removes the first leaves them there.
///
/// # Errors
/// When the directory is there already, or a name cannot be given.
pub fn link_all(place: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if path.is_file()
            && let Some(name) = path.file_name()
        {
            fs::hard_link(&path, to.join(name))?;
        }
    }
    let blobs = place.join(BLOB_DIR);
    if blobs.is_dir() {
        let to = to.join(BLOB_DIR);
        fs::create_dir(&to)?;
        for entry in fs::read_dir(blobs)? {
            let entry = entry?;
            fs::hard_link(entry.path(), to.join(entry.file_name()))?;
        }
        File::open(&to)?.sync_all()?;
    }
    File::open(to)?.sync_all()
}

impl StoreFiles {
    /// Opens the handles and makes everything there is durable, directories and their names too.
    ///
    /// # Errors
    /// When a file cannot be opened or synced.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let data = File::options().read(true).write(true).open(dir.join(DATA_FILE))?;
        let mut files = Self { dir: dir.to_owned(), data, ahead_of: None, blobs: HashSet::new() };
        files.allocate_ahead();
        files.sync_all()?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        Ok(files)
    }

    /// Makes every file and directory durable.
    ///
    /// # Errors
    /// When one cannot be synced.
    pub fn sync_all(&mut self) -> io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                File::open(entry.path())?.sync_all()?;
            }
        }
        self.sync_new_blobs()?;
        File::open(self.dir.join(BLOB_DIR))?.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    /// Makes durable what a flush has written.
    ///
    /// # Errors
    /// When a file cannot be synced. What of it is durable is then unknown: a second attempt may
    /// succeed without the data (fsync reports a lost page once).
    pub fn sync_written(&mut self) -> io::Result<()> {
        if seeded::on(Bug::RangeSyncOnly) {
            return Ok(());
        }
        // Blobs first: the data file refers to them.
        self.sync_new_blobs()?;
        let synced = self.data.sync_data();
        if seeded::on(Bug::ContinueAfterFailedSync) {
            return Ok(());
        }
        if seeded::on(Bug::SyncTwice) {
            return synced.or_else(|_| self.data.sync_data());
        }
        synced?;
        self.allocate_ahead();
        Ok(())
    }

    /// Allocates space behind the end of the data file, whose length stays.
    ///
    /// The store also writes when it is read: it joins the parts of a page that it meets. On a disk that others filled,
    /// that write would fail, and the store answers nothing more after a failed write.
    fn allocate_ahead(&mut self) {
        let Ok(len) = self.data.metadata().map(|found| found.len()) else { return };
        // A file that was cut lost what was allocated behind it.
        if self.ahead_of.is_some_and(|ahead_of| ahead_of <= len && len < ahead_of + AHEAD_BYTES / 2) {
            return;
        }
        let flags = rustix::fs::FallocateFlags::KEEP_SIZE;
        // Where it cannot be had, reads go on as long as the store finds space.
        let allocated = rustix::fs::fallocate(&self.data, flags, len, AHEAD_BYTES);
        self.ahead_of = allocated.is_ok().then_some(len);
    }

    /// Values above a quarter of a segment go to files of their own, which the store never syncs.
    /// Frames are far smaller, so that the directory is empty but for very large records, and
    /// reading it costs microseconds.
    fn sync_new_blobs(&mut self) -> io::Result<()> {
        let dir = self.dir.join(BLOB_DIR);
        let mut found = HashSet::new();
        let mut any_new = false;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if !self.blobs.contains(&name) {
                match File::open(entry.path()) {
                    Ok(blob) => blob.sync_all()?,
                    // The store removes blobs that nothing refers to at any time.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                any_new = true;
            }
            found.insert(name);
        }
        if any_new {
            File::open(&dir)?.sync_all()?;
        }
        self.blobs = found;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(data: bool) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(BLOB_DIR)).unwrap();
        if data {
            fs::write(dir.path().join(DATA_FILE), b"x").unwrap();
        }
        dir
    }

    #[test]
    fn unfinished_files_go_and_others_stay() {
        let dir = store(true);
        fs::write(dir.path().join("snap.01.generating"), b"").unwrap();
        fs::write(dir.path().join("snap.00"), b"").unwrap();
        assert!(prepare(dir.path()).unwrap());
        assert!(!dir.path().join("snap.01.generating").exists());
        assert!(dir.path().join("snap.00").exists());
    }

    #[test]
    fn a_store_in_use_is_left_alone() {
        let dir = store(true);
        fs::write(dir.path().join("snap.01.generating"), b"").unwrap();
        let user = File::open(dir.path().join(DATA_FILE)).unwrap();
        user.lock().unwrap();
        assert!(!prepare(dir.path()).unwrap());
        assert!(dir.path().join("snap.01.generating").exists());
    }

    #[test]
    fn each_blob_is_synced_once_and_forgotten_when_removed() {
        let dir = store(true);
        let mut files = StoreFiles::open(dir.path()).unwrap();
        let blob = dir.path().join(BLOB_DIR).join("7");
        fs::write(&blob, b"x").unwrap();
        files.sync_written().unwrap();
        assert_eq!(files.blobs, HashSet::from(["7".into()]));
        fs::remove_file(&blob).unwrap();
        files.sync_written().unwrap();
        assert_eq!(files.blobs, HashSet::new());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn space_is_allocated_behind_the_data_file_and_again_when_half_of_it_is_used() {
        use std::os::unix::fs::MetadataExt as _;
        let dir = store(true);
        let path = dir.path().join(DATA_FILE);
        let allocated = || fs::metadata(&path).unwrap().blocks() * 512;
        let mut files = StoreFiles::open(dir.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 1);
        assert!(allocated() >= AHEAD_BYTES);
        let grown = File::options().write(true).open(&path).unwrap();
        for len in [AHEAD_BYTES / 2 + 2, 10] {
            // Grown, then cut.
            grown.set_len(len).unwrap();
            files.sync_written().unwrap();
            assert!(allocated() >= len + AHEAD_BYTES);
        }
    }

    #[test]
    fn a_store_without_its_data_file_cannot_be_synced() {
        let dir = store(false);
        let error = StoreFiles::open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
