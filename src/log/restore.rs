//! Makes a store from backups: the same store id, positions, ids, times, revisions, commits and chain.
//!
//! The store is made under another name beside its place and gets its name when it is complete and on disk, so that a
//! crash leaves no directory that looks like a store.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::backup::{BATCH_BYTES_MAX, Extent, SequenceError};
use super::backup_file::{BackupFileError, BackupReader};
use super::store_file;
use crate::domain::Position;
use crate::journal::{self, CommitError, EncodedFrame, Fault, Journal, SledJournal};

/// Most bytes of one commit. The writer makes far smaller ones.
const COMMIT_BYTES_MAX: usize = 64 * 1_024 * 1_024;
const CACHE_BYTES: u64 = 64 * 1_024 * 1_024;
const READ_BUFFER_BYTES: usize = 256 * 1_024;
/// Begins the name of the directory in which a store is made.
const UNFINISHED_PREFIX: &str = ".annals-restore-";
/// The file with the key that signs checkpoints of the log.
const KEY_FILE: &str = "SIGNING_KEY";

/// Says why no store was made; the directory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No backup was named.
    #[error("no backup is named")]
    Nothing,
    /// The directory holds something.
    #[error("{path} is not empty: a store is restored into a new directory")]
    NotEmpty {
        /// Which.
        path: String,
    },
    /// A file or directory could not be used.
    #[error("cannot use {path}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no sound backup.
    #[error("{path} cannot be restored")]
    File {
        /// Which.
        path: String,
        /// What is wrong.
        #[source]
        source: BackupFileError,
    },
    /// The first file is an incremental backup.
    #[error("{path} begins after position {after}: the backups before it come first")]
    NotFull {
        /// Which.
        path: String,
        /// Where it begins.
        after: Position,
    },
    /// A file does not follow the one before.
    #[error("{path} does not follow the file before")]
    Sequence {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: SequenceError,
    },
    /// The new journal cannot be made.
    #[error("the journal cannot be made")]
    Open(#[source] journal::OpenError),
    /// The new journal refused a commit.
    #[error("the journal cannot be written")]
    Commit(#[source] CommitError),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RestoreError + '_ {
    move |source| RestoreError::Io { path: path.display().to_string(), source }
}

fn file_error(path: &Path) -> impl Fn(BackupFileError) -> RestoreError + '_ {
    move |source| RestoreError::File { path: path.display().to_string(), source }
}

/// Opens a backup and reads its header.
///
/// # Errors
/// [`BackupFileError`].
pub fn open_file(path: &Path) -> Result<BackupReader<BufReader<File>>, BackupFileError> {
    let file = File::open(path).map_err(BackupFileError::Io)?;
    BackupReader::open(BufReader::with_capacity(READ_BUFFER_BYTES, file))
}

/// Makes the store of `directory` from a full backup and the incremental ones after it, in order; gives what it holds.
///
/// `key` names a file with the key that signed the checkpoints of the log. `progress` gets the last position written.
///
/// # Errors
/// [`RestoreError`]; nothing was made then.
pub fn restore(
    directory: &Path,
    files: &[PathBuf],
    key: Option<&Path>,
    progress: &mut dyn FnMut(Position),
) -> Result<Extent, RestoreError> {
    check_empty(directory)?;
    let whole = check_sequence(files)?;
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(io_error(parent))?;
    let unfinished = tempfile::Builder::new().prefix(UNFINISHED_PREFIX).tempdir_in(parent);
    let unfinished = unfinished.map_err(io_error(parent))?;
    // Inside, so that the store's own directory has the usual permissions.
    let made = unfinished.path().join("store");
    std::fs::create_dir(&made).map_err(io_error(&made))?;
    fill(&made, files, &whole, progress)?;
    if let Some(key) = key {
        copy_key(key, &made).map_err(io_error(key))?;
    }
    store_file::write(&made, &made.join("STORE"), whole.store).map_err(io_error(&made))?;
    std::fs::rename(&made, directory).map_err(io_error(directory))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(io_error(parent))?;
    Ok(whole)
}

fn check_empty(directory: &Path) -> Result<(), RestoreError> {
    match std::fs::read_dir(directory).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RestoreError::NotEmpty { path: directory.display().to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(directory)(error)),
    }
}

/// Looks at the headers of all files before anything is made; gives what they hold together.
fn check_sequence(files: &[PathBuf]) -> Result<Extent, RestoreError> {
    let mut whole: Option<Extent> = None;
    for path in files {
        let next = open_file(path).map_err(file_error(path))?.extent();
        let named = || path.display().to_string();
        let joined = match whole {
            None if next.after > Position::ZERO => {
                return Err(RestoreError::NotFull { path: named(), after: next.after });
            }
            None => next,
            Some(before) => {
                let follows = next.check_follows(&before);
                follows.map_err(|source| RestoreError::Sequence { path: named(), source })?;
                Extent { after: before.after, after_chain: before.after_chain, ..next }
            }
        };
        whole = Some(joined);
    }
    whole.ok_or(RestoreError::Nothing)
}

fn fill(
    made: &Path,
    files: &[PathBuf],
    whole: &Extent,
    progress: &mut dyn FnMut(Position),
) -> Result<(), RestoreError> {
    let opened = SledJournal::open(&made.join("journal"), whole.store, CACHE_BYTES);
    let journal = opened.map_err(RestoreError::Open)?.journal;
    for path in files {
        let error = file_error(path);
        let mut reader = open_file(path).map_err(&error)?;
        let mut round = Round::default();
        while let Some(frame) = reader.next_frame().map_err(&error)? {
            let (first, last) = (frame.first(), frame.last());
            let frame = frame.into_encoded().map_err(|fault| {
                error(journal::ReadError::Corrupt { first, last, fault: Fault::Frame(fault) }.into())
            })?;
            round.push(frame).map_err(&error)?;
            if round.bytes >= BATCH_BYTES_MAX && round.open.is_empty() {
                round.write(&journal)?;
                progress(last);
            }
        }
        round.write(&journal)?;
        progress(journal.tail().position);
    }
    let tail = journal.tail();
    if (tail.position, tail.chain) != (whole.head, whole.head_chain) {
        // A file was changed between its two readings.
        let (first, last) = (tail.position, whole.head.max(tail.position));
        let changed = journal::ReadError::Corrupt { first, last, fault: Fault::Chain };
        return Err(file_error(made)(changed.into()));
    }
    journal.close().map_err(io_error(made))
}

/// Commits that are written together: a flush for each would take most of the time.
#[derive(Default)]
struct Round {
    commits: Vec<Vec<EncodedFrame>>,
    /// Frames of a commit that is not whole yet.
    open: Vec<EncodedFrame>,
    bytes: usize,
}

impl Round {
    fn push(&mut self, frame: EncodedFrame) -> Result<(), BackupFileError> {
        self.bytes += frame.bytes().len();
        if self.bytes > COMMIT_BYTES_MAX {
            let after = Position(frame.first().0.saturating_sub(1));
            return Err(BackupFileError::FrameSize {
                bytes: u32::try_from(self.bytes).unwrap_or(u32::MAX),
                after,
            });
        }
        let is_last = frame.last() == frame.commit().last;
        self.open.push(frame);
        if is_last {
            self.commits.push(std::mem::take(&mut self.open));
        }
        Ok(())
    }

    fn write(&mut self, journal: &SledJournal) -> Result<(), RestoreError> {
        self.bytes = 0;
        let commits = std::mem::take(&mut self.commits);
        journal.commit_all(journal.tail().position, commits).map_err(RestoreError::Commit)
    }
}

/// Copies the key; only its owner may read it.
fn copy_key(key: &Path, made: &Path) -> io::Result<()> {
    let bytes = std::fs::read(key)?;
    let mut options = File::options();
    options.create_new(true).write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(made.join(KEY_FILE))?;
    io::Write::write_all(&mut file, &bytes)?;
    file.sync_all()
}
