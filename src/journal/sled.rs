//! Keeps the journal in a sled database: one value a frame, under its first position.
//!
//! Everything known to sled that a reader must not trust it with, the frames carry themselves: a
//! checksum, their positions, the chain. This file alone names sled's types.

mod contain;
mod rewrite;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::sled::{Batch, Config, Db, IVec, Iter, Tree};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use super::commit::{Condition, admit, admit_replacements};
use super::doubt::Doubt;
use super::error::{CommitError, OpenError};
use super::files::{self, StoreFiles};
use super::recover::check_tail;
use super::walk::{Entry, SourceError, Walk};
use super::watermark::Watermark;
use super::{Direction, EncodedFrame, Frames, Journal, Opened, Tail};
use super::{generation, preflight};
use crate::domain::{Position, StoreId};
use crate::seeded::{self, Bug};
use contain::{guarded, io_error, open_error, source_error};

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
    doubt: Arc<Doubt>,
}

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
        if !files::prepare(&place).map_err(OpenError::Io)? {
            return Err(OpenError::Locked);
        }
        let doubt = Arc::new(Doubt::settle(dir).map_err(OpenError::Io)?);
        preflight::check(&place, SEGMENT_BYTES, store)?;
        Self::open_settled(dir, generation, (store, cache_bytes), Arc::clone(&doubt)).inspect_err(|error| {
            if matches!(error, OpenError::Io(_) | OpenError::Store { .. }) {
                // A sync may be what failed.
                doubt.raise();
            }
        })
    }

    fn open_settled(
        dir: &Path,
        generation: u64,
        (store, cache_bytes): (StoreId, u64),
        doubt: Arc<Doubt>,
    ) -> Result<Opened<Self>, OpenError> {
        let place = generation::path(dir, generation);
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
        let writer = Writer { condition: Condition::Open, generation, files, watermark, doubt };
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

    fn database(&self) -> Database {
        self.database.read().clone()
    }

    /// Writes admitted frames and moves the tail.
    fn make(&self, writer: &mut Writer, frames: &[EncodedFrame], after: Tail) -> Result<(), CommitError> {
        if let Err(error) = self.write(writer, frames, &after) {
            // After a failed fsync the kernel may have dropped the pages and call them clean:
            // only opening again tells what is stored (Rebello et al., USENIX ATC 2020).
            writer.condition = Condition::Poisoned;
            writer.doubt.raise();
            return Err(CommitError::Failed(error));
        }
        *self.tail.lock() = after;
        Ok(())
    }

    fn write(&self, writer: &mut Writer, frames: &[EncodedFrame], after: &Tail) -> io::Result<()> {
        let Database { db, frames: tree } = self.database();
        if seeded::on(Bug::WatermarkBeforeSync) {
            writer.watermark.advance(after)?;
        }
        guarded(|| {
            if seeded::on(Bug::FramesOneByOne) {
                for frame in frames {
                    tree.insert(key(frame.first()), &**frame.bytes())?;
                }
            } else if let [only] = frames {
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
            writer.doubt.raise();
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
                let flushed = guarded(|| self.database().db.flush()).map_err(io_error);
                flushed.and_then(|_| writer.files.sync_all()).inspect_err(|_| writer.doubt.raise())
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
