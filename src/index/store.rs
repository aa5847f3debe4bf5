//! Sealed segments on disk, in a directory that may be deleted at any time.
//!
//! ```text
//! 000000000000002a.segment   segment 42: chunks, each len(4) and so many bytes: lz4 of up to 256 KiB
//! roots                      Merkle roots of whole segments, one after another: chain(32) root(32) CRC32C(4) of both
//! ```
//! Little-endian. The chain hash at the end of a segment ties it, and its root, to the log. Nothing is synced: what a power
//! cut takes or tears is built again.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::Segment;
use super::layout::{self, LayoutError};

/// Bytes of a segment in one chunk.
const CHUNK_BYTES: usize = 256 * 1_024;
/// Most bytes that one chunk may claim to hold when it is read back,
const CHUNK_BYTES_MAX: usize = 2 * CHUNK_BYTES;
/// and for each byte of it: LZ4 repeats at most 255 with one. So a damaged file takes no more memory than 256 times its size.
const EXPANSION_MAX: usize = 256;
const SEGMENT_EXTENSION: &str = "segment";
const UNFINISHED_EXTENSION: &str = "writing";
const ROOTS_FILE: &str = "roots";
const ROOT_BYTES: usize = 68;

/// Says why segments cannot be read or kept. The index can always be built again.
#[derive(Debug, thiserror::Error)]
#[error("the directory of the index cannot be used")]
pub struct SegmentStoreError(#[from] io::Error);

/// The directory of sealed segments.
#[derive(Clone, Debug)]
pub struct SegmentStore {
    directory: PathBuf,
}

impl SegmentStore {
    /// Opens or makes the directory, and deletes what is neither a segment nor the roots: it was left half-written, or by
    /// another version.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when it cannot be made, or files in it cannot be deleted.
    pub fn open(directory: &Path) -> Result<Self, SegmentStoreError> {
        fs::create_dir_all(directory)?;
        let store = Self { directory: directory.to_owned() };
        store.delete(|path| path.extension() != Some(OsStr::new(SEGMENT_EXTENSION)))?;
        Ok(store)
    }

    /// Deletes all segments, so that no file holds a byte of them, and syncs the directory. The roots stay: they hold
    /// nothing of a content, and take a read of the whole log to compute.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when files cannot be deleted.
    pub fn reset(&self) -> Result<(), SegmentStoreError> {
        self.delete(|_| true)?;
        File::open(&self.directory)?.sync_all()?;
        Ok(())
    }

    /// Deletes what is not wanted, but not the roots.
    fn delete(&self, unwanted: impl Fn(&Path) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_name() == ROOTS_FILE || !unwanted(&path) {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
        Ok(())
    }

    fn path_of(&self, number: u64) -> PathBuf {
        self.directory.join(format!("{number:016x}.{SEGMENT_EXTENSION}"))
    }

    /// Writes the Merkle root over the events of a segment.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when it cannot be written.
    pub fn put_root(&self, number: u64, root: &[u8; 32], chain: &[u8; 32]) -> Result<(), SegmentStoreError> {
        let mut value = [chain.as_slice(), root.as_slice()].concat();
        value.extend_from_slice(&crc32c::crc32c(&value).to_le_bytes());
        let path = self.directory.join(ROOTS_FILE);
        let roots = File::options().write(true).create(true).truncate(false).open(path)?;
        Ok(roots.write_all_at(&value, root_offset(number))?)
    }

    /// Reads the Merkle root of a segment that is tied to `chain`; `None` when it is missing, damaged, or of another
    /// log.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when it cannot be read.
    pub fn root_of(&self, number: u64, chain: &[u8; 32]) -> Result<Option<[u8; 32]>, SegmentStoreError> {
        let mut value = [0; ROOT_BYTES];
        let read = File::open(self.directory.join(ROOTS_FILE))
            .and_then(|roots| roots.read_exact_at(&mut value, root_offset(number)));
        if read.as_ref().is_err_and(is_absence) {
            return Ok(None);
        }
        read?;
        let (body, check) = value.split_at(ROOT_BYTES - 4);
        let is_sound = crc32c::crc32c(body).to_le_bytes() == check;
        let root = body.strip_prefix(chain).filter(|_| is_sound);
        Ok(root.and_then(|root| root.try_into().ok()))
    }

    /// Writes a segment under another name, then gives it its own.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when it cannot be written; an earlier copy is then still there.
    pub fn put(&self, number: u64, segment: &Segment, chain: &[u8; 32]) -> Result<(), SegmentStoreError> {
        let path = self.path_of(number);
        let unfinished = path.with_extension(UNFINISHED_EXTENSION);
        let written = write_packed(&unfinished, &layout::encode(segment, chain))
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            // What failed is told; what is left here is deleted at the next start.
            let _ = fs::remove_file(&unfinished);
        }
        Ok(written?)
    }

    /// Reads the bytes of a segment; `None` when there are none, or they cannot be unpacked.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when the file cannot be read.
    pub fn bytes_of(&self, number: u64) -> Result<Option<Vec<u8>>, SegmentStoreError> {
        match fs::read(self.path_of(number)) {
            Ok(packed) => Ok(unpacked(&packed)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a segment that is tied to `chain`; `None` when it is missing, damaged, or of another log.
    ///
    /// # Errors
    /// [`SegmentStoreError`] when the file cannot be read.
    pub fn get(&self, number: u64, chain: &[u8; 32]) -> Result<Option<Segment>, SegmentStoreError> {
        let Some(bytes) = self.bytes_of(number)? else {
            return Ok(None);
        };
        match layout::decode(bytes.into()) {
            Ok((segment, tied)) if tied == *chain => Ok(Some(segment)),
            Ok(_) | Err(LayoutError) => Ok(None),
        }
    }
}

fn root_offset(number: u64) -> u64 {
    number.saturating_mul(u64::try_from(ROOT_BYTES).unwrap_or(u64::MAX))
}

/// Tells whether what was to be read is not there.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof)
}

fn write_packed(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut packed = Vec::with_capacity(bytes.len());
    for chunk in bytes.chunks(CHUNK_BYTES) {
        let chunk = lz4_flex::compress_prepend_size(chunk);
        packed.extend_from_slice(&u32::try_from(chunk.len()).map_err(io::Error::other)?.to_le_bytes());
        packed.extend_from_slice(&chunk);
    }
    File::create(path)?.write_all(&packed)
}

/// Unpacks chunks into as much memory as they take: a segment keeps it.
fn unpacked(mut packed: &[u8]) -> Option<Vec<u8>> {
    let mut chunks = Vec::new();
    while let Some((len, rest)) = packed.split_first_chunk() {
        let (chunk, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        let (size, chunk) = lz4_flex::block::uncompressed_size(chunk).ok()?;
        if size > CHUNK_BYTES_MAX || size > chunk.len().saturating_mul(EXPANSION_MAX) {
            return None;
        }
        chunks.push((size, chunk));
        packed = rest;
    }
    let mut bytes = vec![0; chunks.iter().map(|(size, _)| size).sum()];
    let mut to = bytes.as_mut_slice();
    for (size, chunk) in chunks {
        let (part, rest) = std::mem::take(&mut to).split_at_mut_checked(size)?;
        if lz4_flex::decompress_into(chunk, part).ok()? != size {
            return None;
        }
        to = rest;
    }
    (packed.is_empty() && !bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::tail;
    use super::*;

    #[test]
    fn a_stored_segment_is_read_only_for_its_own_log() {
        let directory = tempfile::tempdir().unwrap();
        let store = SegmentStore::open(directory.path()).unwrap();
        let segment = Segment::of(&tail(&[(1, vec![1]), (2, vec![2])]));
        store.put(3, &segment, &[1; 32]).unwrap();
        assert_eq!(store.get(3, &[1; 32]).unwrap(), Some(segment.clone()));
        assert_eq!(store.get(3, &[2; 32]).unwrap(), None);
        assert_eq!(store.get(4, &[1; 32]).unwrap(), None);
        assert_eq!(store.bytes_of(3).unwrap().unwrap(), layout::encode(&segment, &[1; 32]));
    }

    #[test]
    fn no_chunk_claims_more_than_its_bytes_can_hold() {
        let packed = |bytes: &[u8], claimed: u32| {
            let mut chunk = lz4_flex::compress_prepend_size(bytes);
            chunk[..4].copy_from_slice(&claimed.to_le_bytes());
            [&u32::try_from(chunk.len()).unwrap().to_le_bytes(), chunk.as_slice()].concat()
        };
        // What shrinks most is read.
        let zeros = vec![0; CHUNK_BYTES];
        let claimed = u32::try_from(CHUNK_BYTES).unwrap();
        assert_eq!(unpacked(&packed(&zeros, claimed)), Some(zeros));
        // A thousand of the others would be half a gigabyte.
        assert_eq!(unpacked(&packed(&[1, 2, 3], claimed).repeat(1_000)), None);
    }

    #[test]
    fn what_is_torn_or_left_over_is_no_segment_and_roots_outlive_a_reset() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        // Chunks of two sizes.
        let events: Vec<(i32, Vec<u8>)> = (0..9_000).map(|start| (start * 7_919 % 90_001, vec![1])).collect();
        let (segment, chain) = (Segment::of(&tail(&events)), [1; 32]);
        let store = SegmentStore::open(directory.path()).unwrap();
        for number in [0, 42] {
            store.put(number, &segment, &chain).unwrap();
            store.put_root(number, &[7; 32], &chain).unwrap();
        }
        let whole = std::fs::read(file("000000000000002a.segment")).unwrap();
        assert!(layout::encode(&segment, &chain).len() > 256 * 1_024 && whole.len() > 1_000);
        for len in (0..whole.len()).step_by(whole.len() / 40).chain([1, 3, 4, 5, whole.len() - 1]) {
            std::fs::write(file("000000000000002a.segment"), &whole[..len]).unwrap();
            assert_eq!(store.get(42, &chain).unwrap(), None, "{len}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        std::fs::write(file("000000000000002a.segment"), longer).unwrap();
        assert_eq!(store.get(42, &chain).unwrap(), None);
        // A chunk that claims to be larger than any.
        let mut claims = whole.clone();
        claims[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        std::fs::write(file("000000000000002a.segment"), claims).unwrap();
        assert_eq!(store.get(42, &chain).unwrap(), None);
        store.put(42, &segment, &chain).unwrap();
        // Of a write that was broken off, and of a version that kept a database here.
        std::fs::write(file("0000000000000001.writing"), "half").unwrap();
        std::fs::write(file("db"), "old").unwrap();
        std::fs::create_dir(file("blobs")).unwrap();
        let store = SegmentStore::open(directory.path()).unwrap();
        let names = || {
            let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["0000000000000000.segment", "000000000000002a.segment", "roots"]);
        assert_eq!(store.get(42, &chain).unwrap().as_ref(), Some(&segment));
        store.reset().unwrap();
        assert_eq!(names(), ["roots"]);
        assert_eq!(store.get(42, &chain).unwrap(), None);
        let roots = [0, 1, 42, 43].map(|number| store.root_of(number, &chain).unwrap());
        assert_eq!(roots, [Some([7; 32]), None, Some([7; 32]), None]);
        assert_eq!(store.root_of(42, &[2; 32]).unwrap(), None);
        let mut damaged = std::fs::read(file("roots")).unwrap();
        damaged[42 * 68 + 40] ^= 1;
        std::fs::write(file("roots"), damaged).unwrap();
        assert_eq!(store.root_of(42, &chain).unwrap(), None);
    }
}
