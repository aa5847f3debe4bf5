//! Finds frames in the raw files of a journal, whatever the store below makes of them.
//!
//! The store finds its entries through a log of its own, where one flipped bit hides all that follows. A frame needs
//! none of that: it has a checksum, its positions, and its place in the chain. So it is found by looking at every byte.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::OpenError;
use super::files::{BLOB_DIR, DATA_FILE};
use super::frame::{
    BODY_BYTES_MAX, CHECKSUM_BYTES, CODEC_LZ4, CODEC_NONE, CommitRange, FORMAT_VERSION, FRAME_RECORDS_MAX,
    Frame, HEADER_BYTES, WHOLE_VERSION,
};
use super::generation;
use super::watermark::Watermark;
use super::{ChainHash, EncodeError, EncodedFrame, Record, frames_of};
use crate::domain::{Position, RecordForm, StoreId, Timestamp};

/// Bytes looked at in one go.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes of a stored frame.
const FRAME_BYTES_MAX: usize = HEADER_BYTES + BODY_BYTES_MAX as usize + CHECKSUM_BYTES;

/// A sound frame in a raw file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// First and last position held.
    pub range: CommitRange,
    /// Positions of its commit.
    pub commit: CommitRange,
    /// Chain hash before it.
    pub previous: ChainHash,
    /// Chain hash after it.
    pub chain: ChainHash,
    /// When its last record was recorded.
    pub recorded_at: Timestamp,
    /// How many of its records are events, and not markers of lost ones.
    pub events: u64,
    /// The file that holds it.
    file: PathBuf,
    offset: u64,
    len: usize,
}

impl Found {
    /// Gives where in which file the frame begins.
    #[must_use]
    pub fn place(&self) -> (&Path, u64) {
        (&self.file, self.offset)
    }

    /// Reads the frame again.
    ///
    /// # Errors
    /// When the file cannot be read, or has changed.
    pub fn read(&self) -> io::Result<Frame> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = vec![0; self.len];
        file.read_exact(&mut bytes)?;
        Frame::decode(Bytes::from(bytes)).map_err(io::Error::other)
    }
}

/// Finds every sound frame in the database of a directory; also such as the store gave up.
///
/// # Errors
/// When a file cannot be read.
pub fn scan(place: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    scan_file(&place.join(DATA_FILE), &mut found)?;
    match fs::read_dir(place.join(BLOB_DIR)) {
        Ok(blobs) => {
            for blob in blobs {
                scan_file(&blob?.path(), &mut found)?;
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn scan_file(path: &Path, found: &mut Vec<Found>) -> io::Result<()> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut window = Vec::new();
    let (mut base, mut at, mut ended) = (0_u64, 0_usize, false);
    loop {
        // Every frame that begins in the window lies in it as a whole, unless the file ends.
        if !ended && window.len() - at < FRAME_BYTES_MAX {
            base += to_u64(at);
            window.drain(..at);
            at = 0;
            let wanted = to_u64(WINDOW_BYTES + FRAME_BYTES_MAX - window.len());
            ended = to_u64(file.by_ref().take(wanted).read_to_end(&mut window)?) < wanted;
        }
        let Some(bytes) = window.get(at..).filter(|bytes| bytes.len() >= HEADER_BYTES + CHECKSUM_BYTES)
        else {
            return Ok(());
        };
        let Some((frame, chain)) = frame_here(bytes) else {
            at += 1;
            continue;
        };
        let len = frame.encoded().len();
        let events = frame.records().iter().filter(|record| record.form != RecordForm::Lost).count();
        let recorded_at = frame.records().last().map_or(Timestamp(i64::MIN), |record| record.recorded_at);
        found.push(Found {
            range: CommitRange { first: frame.first(), last: frame.last() },
            commit: frame.commit(),
            previous: frame.previous(),
            chain,
            recorded_at,
            events: to_u64(events),
            file: path.to_owned(),
            offset: base + to_u64(at),
            len,
        });
        at += len;
    }
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Gives the sound frame that begins bytes, and the chain hash after it.
pub(super) fn frame_here(bytes: &[u8]) -> Option<(Frame, ChainHash)> {
    let len = candidate_len(bytes)?;
    let frame = Frame::decode(Bytes::copy_from_slice(bytes.get(..len)?)).ok()?;
    let chain = frame.verify_digests().ok()?;
    Some((frame, chain))
}

/// Gives the length of the frame that may begin here: where its header is plausible and its checksum is right.
fn candidate_len(bytes: &[u8]) -> Option<usize> {
    let number = |at: usize| Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
    let (version, codec) = (*bytes.first()?, *bytes.get(1)?);
    let count = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
    if !(WHOLE_VERSION..=FORMAT_VERSION).contains(&version)
        || !(CODEC_NONE..=CODEC_LZ4).contains(&codec)
        || !(1..=FRAME_RECORDS_MAX).contains(&count)
    {
        return None;
    }
    let (first, commit_first, commit_last) = (number(4)?, number(12)?, number(20)?);
    let last = first.checked_add(u64::from(count) - 1)?;
    if commit_first == 0 || first < commit_first || last > commit_last {
        return None;
    }
    let body = u32::from_be_bytes(*bytes.get(60..)?.first_chunk()?);
    let body = usize::try_from(body).ok().filter(|_| body <= BODY_BYTES_MAX)?;
    if codec == CODEC_NONE {
        return Some(HEADER_BYTES + body + CHECKSUM_BYTES);
    }
    // How long a packed body is, is not stored: the checksum tells.
    let mut checksum = crc32c::crc32c(bytes.get(..HEADER_BYTES)?);
    for len in HEADER_BYTES..=HEADER_BYTES + body {
        let stored: &[u8; CHECKSUM_BYTES] = bytes.get(len..)?.first_chunk()?;
        if checksum == u32::from_be_bytes(*stored) {
            return Some(len + CHECKSUM_BYTES);
        }
        checksum = crc32c::crc32c_append(checksum, bytes.get(len..=len)?);
    }
    None
}

/// A stretch of the log.
#[derive(Clone, Debug)]
pub enum Piece {
    /// A frame that is there.
    Sound(Found),
    /// Positions that are not to be had.
    Lost(LostRun),
}

/// A run of positions of which no sound frame was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostRun {
    /// First position, inclusive.
    pub first: Position,
    /// Last position, inclusive.
    pub last: Position,
    /// Chain hash before it.
    pub before: ChainHash,
    /// Chain hash after it, as what follows says.
    pub after: ChainHash,
    /// When the last event before it was recorded.
    pub recorded_at: Timestamp,
}

impl LostRun {
    /// Gives frames that stand for the run.
    ///
    /// # Errors
    /// None that could happen: markers are small and consecutive.
    pub fn frames(&self) -> Result<Vec<EncodedFrame>, EncodeError> {
        let mut frames = Vec::new();
        let mut records = Vec::new();
        for position in self.first.0..=self.last.0 {
            let chain = if position == self.last.0 { self.after } else { self.before };
            records.push(Record::lost(Position(position), self.recorded_at, chain));
            if records.len() == usize::from(FRAME_RECORDS_MAX) || position == self.last.0 {
                frames.extend(frames_of(&records, self.before)?.0);
                records.clear();
            }
        }
        Ok(frames)
    }
}

/// Puts a log together from the frames that were found.
///
/// A frame belongs if the chain leads to it from the origin, or, behind damage, if it is the first one found there: its
/// own chain hash says how the log went on. `mark` is how far the log had been durable, and with which chain hash: up to
/// there positions without a frame are lost, behind it only whole commits count that the chain leads to.
#[must_use]
pub fn plan(found: Vec<Found>, store: StoreId, mark: Option<(Position, ChainHash)>) -> Vec<Piece> {
    let mut by_first: BTreeMap<Position, Vec<Found>> = BTreeMap::new();
    for frame in found {
        by_first.entry(frame.range.first).or_default().push(frame);
    }
    let marked = mark.map(|(position, _)| position);
    let mut pieces = Vec::new();
    let (mut last, mut chain) = (Position::ZERO, ChainHash::origin(store));
    let mut recorded_at = Timestamp(i64::MIN);
    loop {
        let next = last.next();
        let fits = |frame: &&Found| frame.previous == chain;
        let chosen = by_first.get(&next).and_then(|frames| best(frames.iter().filter(fits), &by_first, mark));
        if let Some(frame) = chosen {
            (last, chain, recorded_at) = (frame.range.last, frame.chain, frame.recorded_at);
            pieces.push(Piece::Sound(frame.clone()));
            continue;
        }
        let within = |position: Position| marked.is_none_or(|marked| position <= marked);
        let later = by_first.range(next.next()..).find(|(first, _)| within(**first));
        let later = later.and_then(|(_, frames)| best(frames.iter(), &by_first, mark));
        let (end, after) = match (later, mark) {
            (Some(frame), _) => (Position(frame.range.first.0 - 1), frame.previous),
            (None, Some((marked, marked_chain))) if marked > last => (marked, marked_chain),
            (None, _) => break,
        };
        pieces.push(Piece::Lost(LostRun { first: next, last: end, before: chain, after, recorded_at }));
        (last, chain) = (end, after);
    }
    drop_unfinished(&mut pieces, marked);
    pieces
}

/// Gives the first run of a plan that is lost.
#[must_use]
pub fn lost(pieces: &[Piece]) -> Option<LostRun> {
    pieces.iter().find_map(|piece| match piece {
        Piece::Lost(run) => Some(*run),
        Piece::Sound(_) => None,
    })
}

/// Of frames with one first position the one that others go on from; else the latest, since an append that was given up
/// came before the one that took its place.
fn best<'a>(
    frames: impl Iterator<Item = &'a Found>,
    by_first: &BTreeMap<Position, Vec<Found>>,
    mark: Option<(Position, ChainHash)>,
) -> Option<&'a Found> {
    let leads_on = |frame: &Found| {
        let next = by_first.get(&frame.range.last.next());
        mark == Some((frame.range.last, frame.chain))
            || next.is_some_and(|next| next.iter().any(|next| next.previous == frame.chain))
    };
    frames.max_by_key(|frame| (leads_on(frame), frame.recorded_at))
}

/// A commit that is not whole was never acknowledged, unless the mark says so.
fn drop_unfinished(pieces: &mut Vec<Piece>, marked: Option<Position>) {
    while let Some(Piece::Sound(last)) = pieces.last() {
        let whole = pieces.iter().rev().find_map(|piece| match piece {
            Piece::Sound(frame) => Some(frame.commit.last == frame.range.last),
            Piece::Lost(_) => None,
        });
        if whole == Some(true) || marked.is_some_and(|marked| last.range.last <= marked) {
            return;
        }
        pieces.pop();
    }
}

/// Puts together what is left of a journal. Nothing is written.
///
/// # Errors
/// [`OpenError`] when its files cannot be found or read.
pub fn examine(dir: &Path, store: StoreId) -> Result<Vec<Piece>, OpenError> {
    let place = generation::path(dir, generation::current(dir)?);
    let mark = Watermark::peek(&place).map_err(OpenError::Io)?;
    let found = scan(&place).map_err(OpenError::Io)?;
    Ok(plan(found, store, mark))
}

/// Gives the frames of a plan, markers in the place of what is lost.
///
/// A frame of a commit that is not whole any more becomes a commit of its own.
///
/// # Errors
/// When a file cannot be read.
pub fn frames(pieces: &[Piece]) -> impl Iterator<Item = io::Result<Vec<EncodedFrame>>> {
    let whole = whole_commits(pieces);
    pieces.iter().map(move |piece| match piece {
        Piece::Lost(run) => run.frames().map_err(io::Error::other),
        Piece::Sound(found) => {
            let frame = found.read()?;
            if whole.contains(&found.commit.first) {
                return Ok(vec![frame.into_encoded().map_err(io::Error::other)?]);
            }
            let (frames, _) = frames_of(frame.records(), frame.previous()).map_err(io::Error::other)?;
            Ok(frames)
        }
    })
}

/// Gives the first positions of the commits that are whole.
fn whole_commits(pieces: &[Piece]) -> HashSet<Position> {
    let mut whole = HashSet::new();
    let mut expected = None;
    for piece in pieces {
        let Piece::Sound(frame) = piece else {
            expected = None;
            continue;
        };
        let follows =
            frame.range.first == frame.commit.first || expected == Some((frame.commit, frame.range.first));
        expected = follows.then(|| (frame.commit, frame.range.last.next()));
        if follows && frame.range.last == frame.commit.last {
            whole.insert(frame.commit.first);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::conformance::{record, store};

    /// Writes commits of so many records and some noise, and gives the frames with the file.
    fn file_of(commits: &[u64]) -> (tempfile::TempDir, Vec<EncodedFrame>) {
        let dir = tempfile::tempdir().unwrap();
        let (mut bytes, mut all) = (vec![1, 0, 0, 5], Vec::new());
        let (mut first, mut chain) = (1, ChainHash::origin(store()));
        for count in commits {
            let records: Vec<_> = (first..first + count).map(|position| record(position, 300)).collect();
            let (frames, after) = frames_of(&records, chain).unwrap();
            (first, chain) = (first + count, after);
            for frame in &frames {
                bytes.extend_from_slice(frame.bytes());
                bytes.extend_from_slice(&[1, 1, 0, 64, 0]);
            }
            all.extend(frames);
        }
        fs::write(dir.path().join(DATA_FILE), bytes).unwrap();
        (dir, all)
    }

    fn runs(pieces: &[Piece]) -> Vec<(u64, u64)> {
        let lost = pieces.iter().filter_map(|piece| match piece {
            Piece::Lost(run) => Some((run.first.0, run.last.0)),
            Piece::Sound(_) => None,
        });
        lost.collect()
    }

    #[test]
    fn every_frame_is_found_among_other_bytes() {
        let (dir, frames) = file_of(&[1, 70, 130, 3]);
        let found = scan(dir.path()).unwrap();
        let of = |frame: &EncodedFrame| (frame.first(), frame.last(), frame.commit(), frame.chain());
        let is = |found: &Found| (found.range.first, found.range.last, found.commit, found.chain);
        assert_eq!(found.iter().map(is).collect::<Vec<_>>(), frames.iter().map(of).collect::<Vec<_>>());
        for (found, frame) in found.iter().zip(&frames) {
            assert_eq!(found.read().unwrap().encoded(), frame.bytes());
        }
    }

    /// Frames dropped, and the runs that are then lost.
    type Case<'a> = (&'a [usize], &'a [(u64, u64)]);

    #[test]
    fn what_is_not_found_is_lost_and_the_chain_goes_on_behind_it() {
        let (dir, frames) = file_of(&[1, 70, 130, 3]);
        let found = scan(dir.path()).unwrap();
        let end = frames.last().unwrap();
        let mark = Some((end.last(), end.chain()));
        // frames: 1, 2–65, 66–71, 72–135, 136–199, 200–201, 202–204; dropped, then expected
        let cases: [Case<'_>; 6] = [
            (&[], &[]),
            (&[0], &[(1, 1)]),
            (&[1, 2], &[(2, 71)]),
            (&[3, 5], &[(72, 135), (200, 201)]),
            (&[6], &[(202, 204)]),
            (&[0, 1, 2, 3, 4, 5, 6], &[(1, 204)]),
        ];
        for (dropped, expected) in cases {
            let left = found.iter().enumerate().filter(|(at, _)| !dropped.contains(at));
            let pieces = plan(left.map(|(_, found)| found.clone()).collect(), store(), mark);
            assert_eq!(runs(&pieces), expected, "{dropped:?}");
            let written: Vec<_> = super::frames(&pieces).flat_map(Result::unwrap).collect();
            let (mut next, mut chain) = (Position(1), ChainHash::origin(store()));
            for frame in &written {
                assert_eq!((frame.first(), frame.previous()), (next, chain), "{dropped:?}");
                (next, chain) = (frame.last().next(), frame.chain());
            }
            assert_eq!((next, chain), (end.last().next(), end.chain()), "{dropped:?}");
        }
    }

    #[test]
    fn an_attempt_that_was_given_up_does_not_count() {
        let (dir, frames) = file_of(&[5, 2]);
        // Written before the commit that took its place, and longer.
        let records: Vec<_> = (6..=9).map(|position| record(position, 200)).collect();
        let earlier = records.into_iter().map(|record| Record { recorded_at: Timestamp(5), ..record });
        let (given_up, _) = frames_of(&earlier.collect::<Vec<_>>(), frames[0].chain()).unwrap();
        let mut bytes = fs::read(dir.path().join(DATA_FILE)).unwrap();
        bytes.extend_from_slice(given_up[0].bytes());
        fs::write(dir.path().join(DATA_FILE), bytes).unwrap();
        for mark in [Some((Position(7), frames[1].chain())), Some((Position(5), frames[0].chain())), None] {
            let pieces = plan(scan(dir.path()).unwrap(), store(), mark);
            assert_eq!(runs(&pieces), [], "{mark:?}");
            let Some(Piece::Sound(last)) = pieces.last() else { panic!("a frame comes last") };
            assert_eq!((last.range.last, last.chain), (Position(7), frames[1].chain()), "{mark:?}");
        }
    }

    #[test]
    fn half_a_commit_behind_the_mark_is_no_commit() {
        let (dir, frames) = file_of(&[5, 130]);
        let mut found = scan(dir.path()).unwrap();
        found.pop();
        let at_mark = plan(found.clone(), store(), Some((Position(5), frames[0].chain())));
        assert_eq!((at_mark.len(), runs(&at_mark)), (1, vec![]));
        let marked = frames.last().unwrap();
        let acknowledged = plan(found, store(), Some((marked.last(), marked.chain())));
        assert_eq!(runs(&acknowledged), [(134, 135)]);
    }
}
