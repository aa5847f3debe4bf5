//! Sealed segments on disk, in a sled database of their own that may be deleted at any time.
//!
//! A segment is kept as lz4 chunks, so that no value grows beyond what sled keeps inside its log:
//!
//! ```text
//! key: segment number(8, big-endian) chunk number(4, big-endian)   value: lz4 of up to 256 KiB
//! ```
//!
//! Beside them stand the Merkle roots of whole segments, in a tree `roots`:
//!
//! ```text
//! key: segment number(8, big-endian)   value: chain hash at its end(32) root(32) CRC-32C of both(4, big-endian)
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

use super::Segment;
use super::layout::{self, LayoutError};

/// Bytes of a segment in one value: with 8 MiB segments of sled's log, values of up to 1/4 of that stay inline.
const CHUNK_BYTES: usize = 256 * 1_024;
/// Most bytes that one chunk may claim to hold when it is read back.
const CHUNK_BYTES_MAX: usize = 2 * CHUNK_BYTES;
const ROOTS_TREE: &str = "roots";

/// Says why the store of segments failed. The index can always be built again.
#[derive(Debug, thiserror::Error)]
pub enum SegmentStoreError {
    /// sled refused.
    #[error("the index database failed")]
    Sled(#[from] sled::Error),
    /// sled panicked on what it found.
    #[error("the index database is damaged")]
    Damaged,
    /// It was emptied, and could not be made again.
    #[error("the index database could not be made again")]
    Gone,
}

/// The database of sealed segments.
#[derive(Clone, Debug)]
pub struct SegmentStore {
    directory: PathBuf,
    /// `None` where it was emptied and could not be opened again: the index then stays in memory.
    database: Arc<RwLock<Option<Database>>>,
}

impl SegmentStoreError {
    /// Tells whether the files themselves are bad, so that only deleting them helps.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged | Self::Sled(sled::Error::Corruption { .. } | sled::Error::ReportableBug(_))
        )
    }
}

impl SegmentStore {
    /// Opens or makes the database in a directory.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when it cannot be opened; the caller may delete the directory and go on.
    pub fn open(directory: &Path) -> Result<Self, SegmentStoreError> {
        let database = Arc::new(RwLock::new(Some(Database::open(directory)?)));
        Ok(Self { directory: directory.to_owned(), database })
    }

    /// Deletes all segments with their files, so that no byte of them is left, and begins anew.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when files cannot be deleted, or no new database can be made; the index then stays in
    /// memory.
    pub fn reset(&self) -> Result<(), SegmentStoreError> {
        // Roots hold nothing of a content, and take a read of the whole log to compute.
        let kept = self.with(|database| database.roots.iter().collect::<Result<Vec<_>, _>>());
        let mut database = self.database.write();
        // The last handle: its files are closed before they are deleted.
        *database = None;
        std::fs::remove_dir_all(&self.directory).map_err(sled::Error::Io)?;
        if let Some(parent) = self.directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(sled::Error::Io)?;
        }
        *database = Some(Database::open(&self.directory)?);
        drop(database);
        let kept = kept?;
        self.with(|database| {
            for (number, root) in kept {
                database.roots.insert(number, root)?;
            }
            database.db.flush().map(drop)
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, sled::Error>,
    ) -> Result<T, SegmentStoreError> {
        let database = self.database.read();
        let database = database.as_ref().ok_or(SegmentStoreError::Gone)?;
        guarded(|| work(database))
    }

    /// Writes the Merkle root over the events of a segment, and flushes as [`SegmentStore::put`] does.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when sled refuses.
    pub fn put_root(&self, number: u64, root: &[u8; 32], chain: &[u8; 32]) -> Result<(), SegmentStoreError> {
        let mut value = [chain.as_slice(), root.as_slice()].concat();
        value.extend_from_slice(&crc32c::crc32c(&value).to_be_bytes());
        self.with(|database| {
            database.roots.insert(number.to_be_bytes(), value.as_slice())?;
            database.db.flush()?;
            Ok(())
        })
    }

    /// Reads the Merkle root of a segment that is tied to `chain`; `None` when it is missing, damaged, or of another
    /// log.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when sled cannot read.
    pub fn root_of(&self, number: u64, chain: &[u8; 32]) -> Result<Option<[u8; 32]>, SegmentStoreError> {
        let value = self.with(|database| database.roots.get(number.to_be_bytes()))?;
        Ok(value.and_then(|value| {
            let (body, check) = value.split_last_chunk::<4>()?;
            let root = body.strip_prefix(chain)?.try_into().ok()?;
            (crc32c::crc32c(body).to_be_bytes() == *check).then_some(root)
        }))
    }

    /// Writes a segment and flushes. Losing it in a power cut costs a rebuild, so nothing is synced.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when sled refuses; an earlier copy may then be gone.
    pub fn put(&self, number: u64, segment: &Segment, chain: &[u8; 32]) -> Result<(), SegmentStoreError> {
        let bytes = layout::encode(segment, chain);
        self.with(|database| {
            let db = &database.db;
            let mut batch = sled::Batch::default();
            for key in db.scan_prefix(number.to_be_bytes()).keys() {
                batch.remove(key?);
            }
            for (chunk, part) in (0_u32..).zip(bytes.chunks(CHUNK_BYTES)) {
                batch.insert(key_of(number, chunk).as_slice(), lz4_flex::compress_prepend_size(part));
            }
            db.apply_batch(batch)?;
            db.flush()?;
            Ok(())
        })
    }

    /// Reads the bytes of a segment; `None` when there are none, or they cannot be unpacked.
    ///
    /// # Errors
    /// [`SegmentStoreError::Sled`] when sled cannot read.
    pub fn bytes_of(&self, number: u64) -> Result<Option<Vec<u8>>, SegmentStoreError> {
        let values = self.with(|database| {
            database.db.scan_prefix(number.to_be_bytes()).values().collect::<Result<Vec<_>, _>>()
        })?;
        let mut bytes = Vec::new();
        for value in values {
            let claimed = lz4_flex::block::uncompressed_size(&value).map_or(usize::MAX, |(size, _)| size);
            if claimed > CHUNK_BYTES_MAX {
                return Ok(None);
            }
            let Ok(part) = lz4_flex::decompress_size_prepended(&value) else {
                return Ok(None);
            };
            bytes.extend_from_slice(&part);
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// Reads a segment that is tied to `chain`; `None` when it is missing, damaged, or of another log.
    ///
    /// # Errors
    /// [`SegmentStoreError::Sled`] when sled cannot read.
    pub fn get(&self, number: u64, chain: &[u8; 32]) -> Result<Option<Segment>, SegmentStoreError> {
        let Some(bytes) = self.bytes_of(number)? else {
            return Ok(None);
        };
        match layout::decode(&bytes) {
            Ok((segment, tied)) if tied == *chain => Ok(Some(segment)),
            Ok(_) | Err(LayoutError) => Ok(None),
        }
    }
}

/// An open database.
#[derive(Debug)]
struct Database {
    db: sled::Db,
    roots: sled::Tree,
}

impl Database {
    fn open(directory: &Path) -> Result<Self, SegmentStoreError> {
        // Waits a moment for whoever held it, and removes what a crash left half-written.
        if !crate::journal::files::prepare(directory).map_err(sled::Error::Io)? {
            let busy = std::io::Error::new(std::io::ErrorKind::WouldBlock, "the index database is in use");
            return Err(sled::Error::Io(busy).into());
        }
        let config = sled::Config::new()
            .path(directory)
            .cache_capacity(16 * 1_024 * 1_024)
            .segment_size(8 * 1_024 * 1_024)
            .flush_every_ms(None);
        guarded(|| {
            let db = config.open()?;
            let roots = db.open_tree(ROOTS_TREE)?;
            Ok(Self { db, roots })
        })
    }
}

/// Turns a panic of sled, which it answers some damage with, into an error: a damaged index is built again.
fn guarded<T>(work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, SegmentStoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Ok(done?),
        Err(_) => Err(SegmentStoreError::Damaged),
    }
}

fn key_of(number: u64, chunk: u32) -> Vec<u8> {
    let mut key = number.to_be_bytes().to_vec();
    key.extend_from_slice(&chunk.to_be_bytes());
    key
}
