//! Space on the disk: what each part of a data directory takes, and what the events themselves would take.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::replicate::Originals;

/// Size of the blocks in which a file system tells what a file takes (stat(2)).
const STAT_BLOCK: u64 = 512;
/// Size of a block of events that is compressed at once.
pub const PACKED_BLOCK: usize = 64 * 1_024;
/// Whole copies of the events are compressed until so many bytes were.
const PACKED_SAMPLE: u64 = 256 * 1_024 * 1_024;

/// What the parts of a data directory take on the disk, in bytes: blocks that are allocated, as `du` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// The journal, in all its generations.
    pub journal: u64,
    /// The index.
    pub index: u64,
    /// The index of words.
    pub words: u64,
    /// The file that holds space in reserve; the same at any number of events, and part of no sum.
    pub reserve: u64,
    /// Everything else.
    pub rest: u64,
}

impl Space {
    /// Measures a data directory. Files that vanish meanwhile count as nothing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(data: &Path) -> io::Result<Self> {
        let mut space = Self::default();
        for (path, taken) in files(data)? {
            let part = path.strip_prefix(data).ok().and_then(|path| path.components().next());
            let part = part.map(|part| part.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
            let sum = match part.as_str() {
                "index" => &mut space.index,
                "words" => &mut space.words,
                "RESERVE" => &mut space.reserve,
                part if part.starts_with("journal") => &mut space.journal,
                _ => &mut space.rest,
            };
            *sum += taken;
        }
        Ok(space)
    }

    /// Gives the sum, without the reserve.
    #[must_use]
    pub const fn all(&self) -> u64 {
        self.journal + self.index + self.words + self.rest
    }
}

/// Lists the files under a directory with what they take.
fn files(directory: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut pending = vec![directory.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = pending.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => pending.push(entry.path()),
                Ok(metadata) => found.push((entry.path(), metadata.blocks().saturating_mul(STAT_BLOCK))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

/// Has the system forget what it keeps of files in memory, after it has written what was not on the disk; gives whether
/// it can be told to.
///
/// # Errors
/// When a file cannot be read or written back.
pub fn forget(data: &Path) -> io::Result<bool> {
    for (path, _) in files(data)? {
        let file = File::open(path)?;
        file.sync_all()?;
        if !forget_file(&file)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(target_os = "linux")]
fn forget_file(file: &File) -> io::Result<bool> {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(true)
}

#[cfg(not(target_os = "linux"))]
fn forget_file(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Events as they are sent, and compressed: the least that can be asked of a store that only compresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Bytes that were compressed.
    pub raw: u64,
    /// To so many, with lz4 in blocks of [`PACKED_BLOCK`].
    pub packed: u64,
}

impl Packed {
    /// Compresses copies of the events, spread over all copies, until there is enough to judge by.
    #[must_use]
    pub fn of(originals: &Originals, copies: usize) -> Self {
        let mut found = Self::default();
        let one = originals.bytes().max(1);
        let wanted = usize::try_from(PACKED_SAMPLE / one).unwrap_or(usize::MAX).clamp(1, copies.max(1));
        for copy in (0..copies).step_by(copies.div_ceil(wanted).max(1)) {
            let mut block = Vec::with_capacity(PACKED_BLOCK * 2);
            for event in originals.copies(copy) {
                block.extend_from_slice(&event);
                if block.len() >= PACKED_BLOCK {
                    found.add(&block);
                    block.clear();
                }
            }
            found.add(&block);
        }
        found
    }

    fn add(&mut self, block: &[u8]) {
        let bytes = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        if !block.is_empty() {
            self.raw += bytes(block.len());
            self.packed += bytes(lz4_flex::block::compress(block).len());
        }
    }

    /// Gives what so many bytes would be compressed to.
    #[must_use]
    pub fn of_raw(&self, raw: u64) -> f64 {
        raw as f64 * self.packed as f64 / self.raw.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_counted_and_files_can_be_forgotten() {
        let data = tempfile::tempdir().unwrap();
        for (path, bytes) in
            [("journal/db", 40_000), ("index/a/b", 20_000), ("words/c", 9_000), ("STORE", 10), ("RESERVE", 9)]
        {
            let path = data.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![1; bytes]).unwrap();
        }
        assert_eq!(forget(data.path()).unwrap(), cfg!(target_os = "linux"));
        let space = Space::of(data.path()).unwrap();
        assert!(space.journal >= 40_000 && space.journal < 80_000, "{space:?}");
        assert!(space.index >= 20_000 && space.words >= 9_000 && space.rest >= 10, "{space:?}");
        assert!(space.reserve > 0, "{space:?}");
        assert_eq!(space.all(), space.journal + space.index + space.words + space.rest);
        assert_eq!(Space::of(&data.path().join("none")).unwrap(), Space::default());
    }

    #[test]
    fn what_repeats_packs_well() {
        let lines = "{\"title\": \"the same again and again\"}\n".repeat(100);
        let originals = Originals::read(vec![Box::new(std::io::Cursor::new(lines))]).unwrap();
        let packed = Packed::of(&originals, 3);
        assert_eq!(packed.raw, originals.copies(0).map(|event| event.len() as u64).sum::<u64>() * 3);
        assert!(packed.packed < packed.raw, "{packed:?}");
        assert_eq!(packed.of_raw(packed.raw * 2).round(), packed.packed as f64 * 2.0);
    }
}
