//! Looks at the store's own log before the store does, because the store repairs it by overwriting.
//!
//! sled 0.34.7 reads its log from the last snapshot on. In the segments that were last written it takes the first entry
//! with a wrong checksum for the torn end of a crash, and overwrites everything behind it with zeros; in earlier ones it
//! passes over the rest of the segment, which it may then use again. After a crash that is right. After one flipped bit it wipes
//! out acknowledged commits that are still there, whole, behind the damage. So before the store opens its files this
//! finds where it would stop, and whether anything that is needed lies behind.
//!
//! ```text
//! file      segments of 4 MiB, in any order; each begins with 20 bytes:
//!           CRC-32 of the rest, log sequence number, highest stable number
//! segment   messages: CRC-32 (4) kind (1) length, segment number, page id (1–9 bytes each) body
//! snapshot  `snap.` and, in hexadecimal, the sequence number up to which it holds the pages
//! ```
//!
//! Read from the files of sled 0.34.7, which is pinned. Where something is not as expected, it counts as the end: then
//! the whole file is looked at, which takes longer and is never wrong.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use super::error::{Fault, OpenError};
use super::files::DATA_FILE;
use super::salvage::{self, frame_here};
use super::watermark::Watermark;
use crate::domain::{Position, StoreId};

const SEGMENT_HEADER_BYTES: usize = 20;
/// Where in a frame the last position of its commit stands.
const COMMIT_LAST_OFFSET: usize = 20;
/// No message begins in the last bytes of a segment.
const MESSAGE_HEADER_BYTES_MAX: usize = 32;
const LSN_MASK: u64 = 0x7fff_ffff_ffff_ffff;
const SNAPSHOT: &str = "snap.";
const KIND_CORRUPTED: u8 = 0;
const KIND_CAP: u8 = 2;

/// Refuses to let the store open a log of which it would destroy what is needed.
///
/// # Errors
/// [`OpenError::Corrupt`] with what is damaged already, [`OpenError::Store`] where every event is still there;
/// [`OpenError::Io`] when the files cannot be read. Nothing was changed.
pub fn check(place: &Path, segment_bytes: usize, store: StoreId) -> Result<(), OpenError> {
    let mark = Watermark::peek(place).map_err(OpenError::Io)?;
    let Some((marked, _)) = mark else { return Ok(()) };
    let at_risk = at_risk(place, segment_bytes, marked).map_err(OpenError::Io)?;
    if at_risk.is_empty() {
        return Ok(());
    }
    let data = place.join(DATA_FILE);
    let found = salvage::scan(place).map_err(OpenError::Io)?;
    let is_safe = |frame: &salvage::Found| {
        let (file, offset) = frame.place();
        file != data || !at_risk.iter().any(|range| range.contains(&offset))
    };
    let safe = found.iter().filter(|frame| is_safe(frame)).cloned().collect();
    if salvage::lost(&salvage::plan(safe, store, mark)).is_none() {
        // What lies there is an older copy of frames that lie elsewhere, too.
        return Ok(());
    }
    let fault = "its own log is damaged, and opening it would destroy what follows".to_owned();
    match salvage::lost(&salvage::plan(found, store, mark)) {
        Some(run) => Err(OpenError::Corrupt { first: run.first, last: run.last, fault: Fault::Store(fault) }),
        None => Err(OpenError::Store { detail: format!("{fault}; every event is still there") }),
    }
}

/// Gives the parts of the data file that the store would overwrite, if they hold a frame at or below a position.
///
/// # Errors
/// When the files cannot be read.
fn at_risk(place: &Path, segment_bytes: usize, up_to: Position) -> io::Result<Vec<Range<u64>>> {
    let mut file = match File::open(place.join(DATA_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let segment = to_u64(segment_bytes);
    let (segments, stable) = live_segments(&mut file, segment, snapshot(place)?)?;
    // From here on the store wants every segment, and takes the first fault for the end of all.
    let tail = stable / segment * segment;
    let mut expected = tail;
    let mut ended = false;
    let mut behind = Vec::new();
    let mut seen = false;
    for (number, offset) in segments {
        ended |= number >= tail && number != expected;
        if ended {
            behind.push((offset..offset + segment, number / segment));
            continue;
        }
        let bytes = read_segment(&mut file, offset, segment_bytes)?;
        let end = end_of_messages(&bytes, number / segment);
        seen |= ends_with(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default(), up_to);
        if let Some(end) = end {
            behind.push((offset + to_u64(end)..offset + segment, number / segment));
            ended = number >= tail;
        }
        if number >= tail {
            expected += segment;
        }
    }
    let mut needed = false;
    for (range, number) in &behind {
        // What a segment held in an earlier life has another number. But the damaged message may itself be the last
        // one: then any frame counts that lies there.
        needed |= holds_frame(&mut file, range, seen.then_some(*number), up_to)?;
    }
    Ok(if needed { behind.into_iter().map(|(range, _)| range).collect() } else { Vec::new() })
}

/// Tells whether bytes hold a frame that ends a commit at a position.
fn ends_with(bytes: &[u8], position: Position) -> bool {
    let needle = position.0.to_be_bytes();
    let mut found = memchr::memmem::find_iter(bytes, &needle);
    found.any(|at| {
        let frame = at.checked_sub(COMMIT_LAST_OFFSET).and_then(|begin| frame_here(bytes.get(begin..)?));
        frame.is_some_and(|(frame, _)| frame.last() == position)
    })
}

/// Gives the sequence number up to which the newest snapshot holds the pages.
fn snapshot(place: &Path) -> io::Result<u64> {
    let mut newest = 0;
    for entry in fs::read_dir(place)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(SNAPSHOT));
        newest = newest.max(number.and_then(|number| u64::from_str_radix(number, 16).ok()).unwrap_or(0));
    }
    Ok(newest)
}

/// Gives the segments whose messages are not all in the snapshot, by their numbers with where they lie, and the highest
/// sequence number that is stable, as they or the snapshot say.
fn live_segments(file: &mut File, segment: u64, from: u64) -> io::Result<(BTreeMap<u64, u64>, u64)> {
    let len = file.seek(SeekFrom::End(0))?;
    let mut found = BTreeMap::new();
    let (mut offset, mut stable) = (0, from);
    while offset + to_u64(SEGMENT_HEADER_BYTES) <= len {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut header)?;
        if let Some((number, stable_then)) = segment_numbers(&header)
            && number.is_multiple_of(segment)
            && number >= from / segment * segment
        {
            found.insert(number, offset);
            stable = stable.max(stable_then);
        }
        offset += segment;
    }
    Ok((found, stable))
}

/// Reads a segment's own number and the one that was stable when it was begun, if the header is sound.
fn segment_numbers(header: &[u8; SEGMENT_HEADER_BYTES]) -> Option<(u64, u64)> {
    let (checksum, rest) = header.split_first_chunk::<4>()?;
    let number = |at: usize| Some(u64::from_le_bytes(*rest.get(at..)?.first_chunk()?) ^ LSN_MASK);
    let sound = u32::from_le_bytes(*checksum) ^ u32::MAX == crc32fast::hash(rest);
    // The store keeps signed numbers; one below 0 means that nothing was stable.
    let stable = number(8)?;
    sound.then_some((number(0)?, if stable > LSN_MASK { 0 } else { stable }))
}

fn read_segment(file: &mut File, offset: u64, segment_bytes: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(segment_bytes);
    file.seek(SeekFrom::Start(offset))?;
    file.take(to_u64(segment_bytes)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Gives where in a segment the sound messages end; `None` where they fill it.
fn end_of_messages(bytes: &[u8], number: u64) -> Option<usize> {
    let mut at = SEGMENT_HEADER_BYTES;
    while at + MESSAGE_HEADER_BYTES_MAX <= bytes.len() {
        match message(bytes.get(at..)?, number) {
            Some((KIND_CAP, _)) => return None,
            Some((_, len)) => at += len,
            None => return Some(at),
        }
    }
    None
}

/// Gives the kind and length of the sound message that begins bytes.
fn message(bytes: &[u8], expected_number: u64) -> Option<(u8, usize)> {
    let (checksum, header) = bytes.split_first_chunk::<4>()?;
    let (kind, mut rest) = header.split_first()?;
    let len = usize::try_from(number(&mut rest)?).ok()?;
    let segment = number(&mut rest)?;
    let _page = number(&mut rest)?;
    if segment != expected_number || *kind == KIND_CORRUPTED {
        // Before the checksum, which may be over much.
        return None;
    }
    let header_len = bytes.len() - rest.len();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(rest.get(..len)?);
    hasher.update(bytes.get(4..header_len)?);
    (hasher.finalize() ^ u32::MAX == u32::from_le_bytes(*checksum)).then_some((*kind, header_len + len))
}

/// Reads a number of one to nine bytes, as SQLite 4 writes them but little-endian.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let byte = |at: usize| rest.get(at).copied().map(u64::from);
    let (value, used) = match *first {
        0..=240 => (u64::from(*first), 0),
        241..=248 => (240 + 256 * (u64::from(*first) - 241) + byte(0)?, 1),
        249 => (2_288 + 256 * byte(0)? + byte(1)?, 2),
        wide => {
            let used = usize::from(wide) - 247;
            let mut whole = [0; 8];
            whole.get_mut(..used)?.copy_from_slice(rest.get(..used)?);
            (u64::from_le_bytes(whole), used)
        }
    };
    *bytes = rest.get(used..)?;
    Some(value)
}

/// Tells whether a part of the file holds a frame at or below a position; if a segment number is given, only in sound
/// messages of that number.
fn holds_frame(
    file: &mut File,
    range: &Range<u64>,
    only_number: Option<u64>,
    up_to: Position,
) -> io::Result<bool> {
    let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
    let bytes = read_segment(file, range.start, len)?;
    // A segment that is behind as a whole begins with its header, which is passed over byte by byte.
    let Some(number) = only_number else { return Ok(any_frame(&bytes, up_to)) };
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let len = message(rest, number).map(|(_, len)| len);
        if len.is_some_and(|len| any_frame(rest.get(..len).unwrap_or_default(), up_to)) {
            return Ok(true);
        }
        at += len.unwrap_or(1);
    }
    Ok(false)
}

/// Tells whether bytes hold a frame at or below a position.
fn any_frame(bytes: &[u8], up_to: Position) -> bool {
    (0..bytes.len())
        .any(|at| bytes.get(at..).and_then(frame_here).is_some_and(|(frame, _)| frame.first() <= up_to))
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
