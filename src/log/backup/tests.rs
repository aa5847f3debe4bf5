//! Backups of a log over a journal in memory: damage, appends meanwhile, and every way to spoil a file.

use std::sync::Arc;

use super::*;
use crate::clock::{Clock, IdSource, Manual};
use crate::domain::Timestamp;
use crate::journal::conformance::{record, store};
use crate::journal::{Journal, MemoryJournal, frames_of};
use crate::log::QueueLimits;
use crate::log::backup_file::{BackupFileError, BackupReader, BackupWriter};

/// Commits some records.
fn commit(journal: &MemoryJournal, count: u64, len: usize) {
    let tail = journal.tail();
    let records: Vec<_> =
        (tail.position.0 + 1..=tail.position.0 + count).map(|position| record(position, len)).collect();
    journal.commit(tail.position, frames_of(&records, tail.chain).unwrap().0).unwrap();
}

/// A log over a journal whose records are no events: a backup does not look into them.
fn log_over(journal: &MemoryJournal) -> Log {
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let parts = (Arc::clone(&clock) as Arc<dyn Clock>, clock as Arc<dyn IdSource>);
    let (publish, head) = tokio::sync::watch::channel(journal.tail().into());
    drop(publish);
    let mut log =
        Log::over(Arc::new(MemoryJournal::new(store())), None, QueueLimits::default(), parts, &|_| {})
            .unwrap()
            .0;
    log.journal = Arc::new(journal.clone());
    log.head = head;
    log
}

fn all(backup: &mut Backup) -> Result<Vec<Bytes>, ReadError> {
    let mut frames = Vec::new();
    loop {
        let batch = backup.next_batch()?;
        if batch.is_empty() {
            return Ok(frames);
        }
        let bytes: usize = batch.iter().map(Bytes::len).sum();
        assert!(bytes <= BATCH_BYTES_MAX || batch.len() == 1, "{bytes}");
        frames.extend(batch);
    }
}

#[test]
fn a_backup_ends_where_the_log_ended_when_it_began() {
    let journal = MemoryJournal::new(store());
    for _ in 0..4 {
        commit(&journal, 300, 5_000);
    }
    let log = log_over(&journal);
    let mut backup = log.backup(Position(300), None).unwrap();
    let first = backup.next_batch().unwrap();
    commit(&journal, 300, 10);
    let rest = all(&mut backup).unwrap();
    assert!(!rest.is_empty(), "more than one batch");
    let frames: Vec<Frame> =
        [first, rest].concat().into_iter().map(|bytes| Frame::decode(bytes).unwrap()).collect();
    assert_eq!((frames[0].first(), frames.last().unwrap().last()), (Position(301), Position(1_200)));
    assert_eq!(backup.extent().head, Position(1_200));
    let copied = backup.copied();
    assert_eq!((copied.frames, copied.events), (frames.len() as u64, 900));
}

#[test]
fn damage_ends_a_backup_with_its_positions() {
    for (spoil, expected) in [
        (
            &(|journal: &MemoryJournal| journal.damage(Position(11), 80)) as &dyn Fn(&MemoryJournal) -> bool,
            (11, 20),
        ),
        (&|journal| journal.lose(Position(11)), (11, 20)),
        (&|journal| journal.lose(Position(21)), (21, 30)),
    ] {
        let journal = MemoryJournal::new(store());
        for _ in 0..3 {
            commit(&journal, 10, 50);
        }
        assert!(spoil(&journal));
        let error = all(&mut log_over(&journal).backup(Position::ZERO, None).unwrap()).unwrap_err();
        let ReadError::Journal(journal::ReadError::Corrupt { first, last, .. }) = error else {
            panic!("{error}")
        };
        assert_eq!((first.0, last.0), expected);
    }
}

#[test]
fn a_frame_of_another_chain_ends_a_backup() {
    let (ours, other) = (MemoryJournal::new(store()), ChainHash::from_bytes([7; 32]));
    commit(&ours, 10, 50);
    let mut continuity = Continuity::after(Position(10), ours.tail().chain);
    let records: Vec<_> = (11..=20).map(|position| record(position, 50)).collect();
    let decoded = |previous, at: usize| {
        Frame::decode(frames_of(&records[at..], previous).unwrap().0[0].bytes().clone()).unwrap()
    };
    assert!(continuity.take(&decoded(other, 0)).is_err(), "another chain");
    assert!(continuity.take(&decoded(ours.tail().chain, 1)).is_err(), "a gap");
    continuity.take(&decoded(ours.tail().chain, 0)).unwrap();
    assert!(continuity.take(&decoded(ours.tail().chain, 0)).is_err(), "the same again");
}

/// A file of two commits, the second of several frames.
fn file() -> (Vec<u8>, Extent) {
    let journal = MemoryJournal::new(store());
    commit(&journal, 2, 10);
    commit(&journal, 70, 3);
    let mut backup = log_over(&journal).backup(Position::ZERO, None).unwrap();
    let mut writer = BackupWriter::begin(Vec::new(), backup.extent()).unwrap();
    for frame in all(&mut backup).unwrap() {
        writer.push(frame).unwrap();
    }
    (writer.finish().unwrap().0, backup.extent())
}

fn read(bytes: &[u8]) -> Result<Copied, BackupFileError> {
    BackupReader::open(bytes)?.finish()
}

#[test]
fn a_file_with_any_bit_changed_any_end_missing_or_anything_added_is_refused() {
    let (bytes, extent) = file();
    let copied = read(&bytes).unwrap();
    assert_eq!((copied.frames, copied.events), (3, 72));
    assert_eq!(BackupReader::open(bytes.as_slice()).unwrap().extent(), extent);
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            assert!(read(&changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(read(&bytes[..at]).is_err(), "cut to {at} bytes");
    }
    assert!(read(&[bytes.as_slice(), &[0]].concat()).is_err());
}

/// What stands around the frames is as docs/format.md says.
#[test]
fn the_form_stays() {
    let (bytes, extent) = file();
    let mut header = b"ANNALSBK\0\0\0\x01".to_vec();
    header.extend_from_slice(store().as_bytes());
    header.extend_from_slice(&[0; 8]);
    header.extend_from_slice(ChainHash::origin(store()).as_bytes());
    header.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 72]);
    header.extend_from_slice(extent.head_chain.as_bytes());
    assert_eq!(bytes[..108], header);
    let mut at = 108;
    while let Some(len) =
        bytes[at..].first_chunk().map(|len| u32::from_be_bytes(*len) as usize).filter(|len| *len > 0)
    {
        Frame::decode(Bytes::copy_from_slice(&bytes[at + 4..at + 4 + len])).unwrap();
        at += 4 + len;
    }
    let (checked, checksum) = bytes.split_last_chunk::<32>().unwrap();
    assert_eq!(
        checked[at..],
        [[0; 4].as_slice(), &[0, 0, 0, 0, 0, 0, 0, 3], &[0, 0, 0, 0, 0, 0, 0, 72]].concat()
    );
    assert_eq!(checksum, blake3::hash(checked).as_bytes());
}

#[test]
fn a_writer_takes_no_frame_that_does_not_follow_and_ends_only_at_its_head() {
    let journal = MemoryJournal::new(store());
    for _ in 0..2 {
        commit(&journal, 10, 50);
    }
    let mut backup = log_over(&journal).backup(Position::ZERO, None).unwrap();
    let frames = all(&mut backup).unwrap();
    let writer = || BackupWriter::begin(Vec::new(), backup.extent()).unwrap();
    assert!(writer().push(frames[1].clone()).is_err(), "a frame is missing");
    assert!(writer().finish().is_err(), "all frames are missing");
    let mut short = writer();
    short.push(frames[0].clone()).unwrap();
    assert!(short.finish().is_err(), "the last frame is missing");
}
