//! Keeps the journal in a sled database: one value a frame, under its first position.
//!
//! Everything known to sled that a reader must not trust it with, the frames carry themselves: a
//! checksum, their positions, the chain. This file alone names sled's types.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ::sled::{Batch, Config, Db, Error, IVec, Iter, Tree};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::commit::{Condition, admit, admit_replacements};
use super::error::{CommitError, OpenError};
use super::files::{self, StoreFiles};
use super::recover::check_tail;
use super::walk::{Entry, SourceError, Walk};
use super::watermark::Watermark;
use super::{Direction, EncodedFrame, Frames, Journal, Opened, Tail};
use super::{generation, preflight, salvage};
use crate::domain::{Position, StoreId};

const FRAMES_TREE: &str = "frames";
const STORE_ID_KEY: &[u8] = b"store_id";

/// A leaf holds up to 17 frames and is now and then written as one value; a value above a quarter
/// of a segment becomes a file of its own, which costs two more fsyncs. Frames are at most 64 KiB
/// before compression and mostly far smaller, so that 17 stay below 1 MiB unless they hardly
/// compress. Measured with commits of 1,024 records: 8 MiB would hold any leaf but was about 15 %
/// slower, 2 MiB about 15 % faster but turns leaves with frames above 30 KiB into files. A power of
/// two, at most 16 MiB. It cannot change once a database exists.
const SEGMENT_BYTES: usize = 4 * 1024 * 1024;

/// A journal in one directory of its own.
pub struct SledJournal {
    store: StoreId,
    dir: PathBuf,
    cache_bytes: u64,
    /// Replaced as a whole by a rewrite.
    database: RwLock<Database>,
    writer: Mutex<Writer>,
    tail: Mutex<Tail>,
}

/// An open database.
#[derive(Clone)]
struct Database {
    db: Db,
    frames: Tree,
}

struct Writer {
    condition: Condition,
    generation: u64,
    files: StoreFiles,
    watermark: Watermark,
}

/// Page cache of a database while it is filled.
const REBUILD_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Frames copied in one batch by a rewrite.
const COPIED_FRAMES: usize = 64;

impl SledJournal {
    /// Opens the journal in `dir`, or makes one there.
    ///
    /// `cache_bytes` bounds sled's cache of pages, not memory that awaits reclamation; since
    /// readers walk in order and what is hot is cached above, a few dozen MiB serve.
    ///
    /// # Errors
    /// Each [`OpenError`]; nothing is then written through the journal. sled by itself drops an
    /// unfinished commit, and also what follows damage in its own log: the [`Watermark`] turns the
    /// latter into [`OpenError::Corrupt`]. Copy the directory before any attempt at repair.
    pub fn open(dir: &Path, store: StoreId, cache_bytes: u64) -> Result<Opened<Self>, OpenError> {
        let generation = generation::current(dir)?;
        let place = generation::path(dir, generation);
        preflight::check(&place, SEGMENT_BYTES, store)?;
        let database = Database::open(&place, cache_bytes)?;
        let mut files = StoreFiles::open(&place).map_err(OpenError::Io)?;
        let owned = owned(&database, store)?;
        let newest = Entries::new(database.frames.iter(), Direction::Backward);
        let checked = check_tail(newest, store)?;
        let tail = checked.tail;
        let watermark = Watermark::open(&place, &tail)?;
        if !owned {
            // Only now: a database that lost everything looks like a new one.
            own(&database.db, &mut files, store)?;
        }
        // With this database sound, what a rewrite left behind is of no more use.
        generation::clean(dir, generation).map_err(OpenError::Io)?;
        let writer = Writer { condition: Condition::Open, generation, files, watermark };
        let journal = Self {
            store,
            dir: dir.to_owned(),
            cache_bytes,
            database: RwLock::new(database),
            writer: Mutex::new(writer),
            tail: Mutex::new(tail),
        };
        Ok(Opened { journal, tail, frames_checked: checked.frames, frames_rolled_back: 0 })
    }

    /// Writes a journal anew from what was found of it, and keeps the files that were there under `kept`.
    ///
    /// # Errors
    /// [`OpenError`]; the journal is then as it was.
    pub fn rebuild(
        dir: &Path,
        store: StoreId,
        pieces: &[salvage::Piece],
        kept: &Path,
    ) -> Result<(), OpenError> {
        let generation = generation::current(dir)?;
        let place = generation::path(dir, generation + 1);
        if place.exists() {
            std::fs::remove_dir_all(&place).map_err(OpenError::Io)?;
        }
        let database = Database::open(&place, REBUILD_CACHE_BYTES)?;
        let mut tail = Tail::origin(store);
        for frames in salvage::frames(pieces) {
            let mut batch = Batch::default();
            for frame in frames.map_err(OpenError::Io)? {
                batch.insert(&key(frame.first()), &**frame.bytes());
                let recorded_at = Some(frame.recorded_at());
                tail = Tail { position: frame.last(), chain: frame.chain(), recorded_at };
            }
            guarded(|| database.frames.apply_batch(batch)).map_err(open_error)?;
        }
        let mut files = StoreFiles::open(&place).map_err(OpenError::Io)?;
        own(&database.db, &mut files, store)?;
        Watermark::open(&place, &tail)?;
        files.sync_all().map_err(OpenError::Io)?;
        files::link_all(&generation::path(dir, generation), kept).map_err(OpenError::Io)?;
        generation::switch(dir, generation + 1).map_err(OpenError::Io)?;
        drop(database);
        generation::clean(dir, generation + 1).map_err(OpenError::Io)
    }

    fn database(&self) -> Database {
        self.database.read().clone()
    }

    /// Copies every entry to a new database, replaced frames in the place of the stored ones, and makes it durable.
    fn copy(&self, to: &Path, replaced: Vec<EncodedFrame>) -> io::Result<()> {
        if to.exists() {
            std::fs::remove_dir_all(to)?;
        }
        let from = self.database();
        let target = Database::open(to, self.cache_bytes).map_err(open_failure)?;
        let mut replaced: BTreeMap<Position, EncodedFrame> =
            replaced.into_iter().map(|frame| (frame.first(), frame)).collect();
        let mut entries = Entries::new(from.frames.iter(), Direction::Forward).peekable();
        while entries.peek().is_some() {
            let mut batch = Batch::default();
            for entry in entries.by_ref().take(COPIED_FRAMES) {
                let (first, bytes) = entry.map_err(|error| match error {
                    SourceError::Io(error) => error,
                    SourceError::Damaged(detail) => io::Error::other(detail),
                })?;
                let bytes = replaced.remove(&first).map_or(bytes, |frame| frame.bytes().clone());
                batch.insert(&key(first), &*bytes);
            }
            guarded(|| target.frames.apply_batch(batch)).map_err(io_error)?;
        }
        let mut files = StoreFiles::open(to)?;
        own(&target.db, &mut files, self.store).map_err(open_failure)
    }

    /// Goes over to the database of another generation.
    fn take_up(&self, writer: &mut Writer, generation: u64) -> io::Result<()> {
        let place = generation::path(&self.dir, generation);
        let database = Database::open(&place, self.cache_bytes).map_err(open_failure)?;
        writer.files = StoreFiles::open(&place)?;
        writer.watermark = Watermark::open(&place, &self.tail()).map_err(io::Error::other)?;
        writer.files.sync_all()?;
        writer.generation = generation;
        // Closed before its files are removed; a walk under way keeps its own handle.
        drop(std::mem::replace(&mut *self.database.write(), database));
        generation::clean(&self.dir, generation)
    }

    /// Writes admitted frames and moves the tail.
    fn make(&self, writer: &mut Writer, frames: &[EncodedFrame], after: Tail) -> Result<(), CommitError> {
        if let Err(error) = self.write(writer, frames, &after) {
            // After a failed fsync the kernel may have dropped the pages and call them clean:
            // only opening again tells what is stored (Rebello et al., USENIX ATC 2020).
            writer.condition = Condition::Poisoned;
            return Err(CommitError::Failed(error));
        }
        *self.tail.lock() = after;
        Ok(())
    }

    fn write(&self, writer: &mut Writer, frames: &[EncodedFrame], after: &Tail) -> io::Result<()> {
        let Database { db, frames: tree } = self.database();
        guarded(|| {
            if let [only] = frames {
                // Atomic by itself; a batch would add a manifest and stop readers meanwhile.
                tree.insert(key(only.first()), &**only.bytes())?;
            } else {
                let mut batch = Batch::default();
                for frame in frames {
                    batch.insert(&key(frame.first()), &**frame.bytes());
                }
                tree.apply_batch(batch)?;
            }
            db.flush()
        })
        .map_err(io_error)?;
        writer.files.sync_written()?;
        writer.watermark.advance(after)
    }
}

impl Journal for SledJournal {
    fn store_id(&self) -> StoreId {
        self.store
    }

    fn tail(&self) -> Tail {
        *self.tail.lock()
    }

    fn commit(&self, expected_tail: Position, frames: Vec<EncodedFrame>) -> Result<(), CommitError> {
        let mut writer = self.writer.lock();
        writer.condition.check()?;
        let after = admit(&self.tail(), expected_tail, &frames)?;
        self.make(&mut writer, &frames, after)
    }

    fn commit_all(
        &self,
        expected_tail: Position,
        commits: Vec<Vec<EncodedFrame>>,
    ) -> Result<(), CommitError> {
        let mut writer = self.writer.lock();
        writer.condition.check()?;
        let (mut after, mut expected) = (self.tail(), expected_tail);
        for frames in &commits {
            after = admit(&after, expected, frames)?;
            expected = after.position;
        }
        let frames: Vec<EncodedFrame> = commits.into_iter().flatten().collect();
        if frames.is_empty() { Ok(()) } else { self.make(&mut writer, &frames, after) }
    }

    fn read(&self, from: Position, direction: Direction) -> Frames {
        let tail = self.tail().position;
        let start = key(Walk::<Entries>::start(from, direction, tail));
        let tree = self.database().frames;
        let entries = guarded(|| {
            // What holds a position is the last entry at or before it.
            let held = tree.range(..=start).next_back().transpose()?;
            let first = held.map_or_else(|| IVec::from(&start), |(first, _)| first);
            Ok(match direction {
                Direction::Forward => tree.range(first..),
                Direction::Backward => tree.range(..=first),
            })
        });
        let entries = match entries {
            Ok(iter) => Entries::new(iter, direction),
            Err(error) => Entries::failed(source_error(error)),
        };
        Box::new(Walk::new(entries, from, direction, tail))
    }

    fn rewrite(&self, replaced: Vec<EncodedFrame>) -> Result<(), CommitError> {
        let mut writer = self.writer.lock();
        writer.condition.check()?;
        admit_replacements(&replaced, |position| self.frame_at(position))?;
        let next = writer.generation + 1;
        let place = generation::path(&self.dir, next);
        if let Err(error) = self.copy(&place, replaced) {
            // The journal goes on where it was. What cannot be removed now is when it is next opened.
            let _ = generation::clean(&self.dir, writer.generation);
            return Err(CommitError::NotRewritten(error));
        }
        let switched = generation::switch(&self.dir, next).and_then(|()| self.take_up(&mut writer, next));
        switched.map_err(|error| {
            writer.condition = Condition::Poisoned;
            CommitError::Failed(error)
        })
    }

    fn stored_bytes(&self) -> u64 {
        guarded(|| self.database().db.size_on_disk()).unwrap_or(0)
    }

    fn close(&self) -> io::Result<()> {
        let mut writer = self.writer.lock();
        let was = std::mem::replace(&mut writer.condition, Condition::Closed);
        match was {
            Condition::Open => {
                guarded(|| self.database().db.flush()).map_err(io_error)?;
                writer.files.sync_all()
            }
            // What a failed commit left must not be made durable by force.
            Condition::Poisoned | Condition::Closed => Ok(()),
        }
    }
}

impl fmt::Debug for SledJournal {
    /// Names the journal only: sled would print every page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledJournal")
            .field("store", &self.store)
            .field("tail", &self.tail())
            .finish_non_exhaustive()
    }
}

/// Does to stored frames what nothing but a fault would.
#[cfg(test)]
#[expect(clippy::missing_panics_doc, reason = "a test that names no stored frame is wrong")]
impl SledJournal {
    /// Flips one bit of a stored frame.
    pub fn damage(&self, first: Position, byte: usize) {
        let Database { db, frames } = self.database();
        let mut value = frames.get(key(first)).unwrap().unwrap().to_vec();
        value[byte] ^= 1;
        frames.insert(key(first), value).unwrap();
        db.flush().unwrap();
    }

    /// Removes a stored frame.
    pub fn lose(&self, first: Position) {
        let Database { db, frames } = self.database();
        frames.remove(key(first)).unwrap().unwrap();
        db.flush().unwrap();
    }
}

impl Database {
    fn open(dir: &Path, cache_bytes: u64) -> Result<Self, OpenError> {
        if !files::prepare(dir).map_err(OpenError::Io)? {
            return Err(OpenError::Locked);
        }
        let config = Config::new()
            .path(dir)
            .cache_capacity(cache_bytes)
            .segment_size(SEGMENT_BYTES)
            // The commit flushes. A flusher in the background would be the first to meet an error
            // and keep it to itself.
            .flush_every_ms(None);
        guarded(|| {
            let db = config.open()?;
            let frames = db.open_tree(FRAMES_TREE)?;
            Ok(Self { db, frames })
        })
        .map_err(open_error)
    }
}

/// Stored frames in key order.
struct Entries {
    iter: Option<Iter>,
    failed: Option<SourceError>,
    direction: Direction,
}

impl Entries {
    fn new(iter: Iter, direction: Direction) -> Self {
        Self { iter: Some(iter), failed: None, direction }
    }

    fn failed(error: SourceError) -> Self {
        Self { iter: None, failed: Some(error), direction: Direction::Forward }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let iter = self.iter.as_mut()?;
        let direction = self.direction;
        let next = guarded(|| {
            match direction {
                Direction::Forward => iter.next(),
                Direction::Backward => iter.next_back(),
            }
            .transpose()
        });
        let entry = match next {
            Ok(entry) => entry?,
            Err(error) => return Some(Err(source_error(error))),
        };
        let (key, value) = entry;
        let Ok(first) = <[u8; 8]>::try_from(key.as_ref()) else {
            let detail = format!("a key of {} bytes", key.len());
            return Some(Err(SourceError::Damaged(detail)));
        };
        Some(Ok((Position(u64::from_be_bytes(first)), Bytes::from_owner(value))))
    }
}

/// Big-endian, so that the order of keys is that of positions.
const fn key(position: Position) -> [u8; 8] {
    position.0.to_be_bytes()
}

/// Says whether the database names this store; a new one names none.
fn owned(database: &Database, store: StoreId) -> Result<bool, OpenError> {
    let found = guarded(|| Ok((database.db.get(STORE_ID_KEY)?, database.frames.is_empty())));
    let (found, new) = found.map_err(open_error)?;
    match found.map(|id| <[u8; 16]>::try_from(id.as_ref())) {
        Some(Ok(id)) if &id == store.as_bytes() => Ok(true),
        Some(Ok(id)) => {
            let found = StoreId::from_uuid(Uuid::from_bytes(id));
            Err(OpenError::WrongStore { expected: store, found })
        }
        None if new => Ok(false),
        Some(Err(_)) | None => Err(OpenError::Store { detail: "it does not name its store".to_owned() }),
    }
}

/// Makes a new database this store's.
fn own(db: &Db, files: &mut StoreFiles, store: StoreId) -> Result<(), OpenError> {
    guarded(|| {
        db.insert(STORE_ID_KEY, store.as_bytes())?;
        db.flush()
    })
    .map_err(open_error)?;
    files.sync_all().map_err(OpenError::Io)
}

/// What sled answers when it fails.
enum Failure {
    Error(Error),
    Panic(String),
}

/// Turns a panic into an error: sled panics on some damage and on some failed writes. Afterwards it
/// is only dropped or read from, and what is read is checked.
fn guarded<T>(work: impl FnOnce() -> ::sled::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::Error),
        Err(panic) => Err(Failure::Panic(panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

fn source_error(failure: Failure) -> SourceError {
    match failure {
        Failure::Error(Error::Io(error)) => SourceError::Io(error),
        Failure::Error(error) => SourceError::Damaged(error.to_string()),
        Failure::Panic(text) => SourceError::Damaged(text),
    }
}

fn io_error(failure: Failure) -> io::Error {
    match source_error(failure) {
        SourceError::Io(error) => error,
        SourceError::Damaged(detail) => io::Error::other(detail),
    }
}

/// Says why a database of a rewrite could not be opened.
fn open_failure(error: OpenError) -> io::Error {
    match error {
        OpenError::Io(error) => error,
        other @ (OpenError::Locked
        | OpenError::WrongStore { .. }
        | OpenError::Corrupt { .. }
        | OpenError::Store { .. }) => io::Error::other(other),
    }
}

fn open_error(failure: Failure) -> OpenError {
    match source_error(failure) {
        // sled has no other sign of it; a rival may take the lock after `files::prepare` looked.
        SourceError::Io(error) if error.to_string().contains("could not acquire lock") => OpenError::Locked,
        SourceError::Io(error) => OpenError::Io(error),
        SourceError::Damaged(detail) => OpenError::Store { detail },
    }
}
