//! Tests the journal in sled: the contract, and what belongs to files alone.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use crate::domain::{Position, StoreId};
use crate::journal::conformance::{Fixture, all, append, conformance_tests, record, store};
use crate::journal::{
    CommitError, Fault, FrameError, Journal, OpenError, Opened, SledJournal, frames_of, salvage,
};

const CACHE_BYTES: u64 = 8 << 20;

struct InSled {
    journal: Option<SledJournal>,
    dir: TempDir,
}

impl Fixture for InSled {
    fn journal(&self) -> &dyn Journal {
        self.journal.as_ref().unwrap()
    }
    fn reopen(&mut self) {
        self.journal = None;
        self.journal = Some(open(&self.dir).unwrap().journal);
    }
    fn damage(&self, first: Position, byte: usize) {
        self.journal.as_ref().unwrap().damage(first, byte);
    }
    fn lose(&self, first: Position) {
        self.journal.as_ref().unwrap().lose(first);
    }
}

fn open(dir: &TempDir) -> Result<Opened<SledJournal>, OpenError> {
    SledJournal::open(&dir.path().join("journal"), store(), CACHE_BYTES)
}

fn make() -> Box<dyn Fixture> {
    let dir = tempfile::tempdir().unwrap();
    let journal = Some(open(&dir).unwrap().journal);
    Box::new(InSled { journal, dir })
}

conformance_tests!(make);

#[test]
fn a_journal_in_use_is_locked() {
    let dir = tempfile::tempdir().unwrap();
    let held = open(&dir).unwrap();
    assert!(matches!(open(&dir), Err(OpenError::Locked)));
    drop(held);
    open(&dir).unwrap();
}

#[test]
fn a_journal_of_another_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir).unwrap());
    let other = StoreId::from_uuid(Uuid::from_u128(2));
    let error = SledJournal::open(&dir.path().join("journal"), other, CACHE_BYTES).unwrap_err();
    let OpenError::WrongStore { expected, found } = error else { panic!("{error:?}") };
    assert_eq!((expected, found), (other, store()));
}

#[test]
fn opening_says_what_it_checked() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(&dir).unwrap();
    assert_eq!((opened.frames_checked, opened.tail.position), (0, Position::ZERO));
    append(&opened.journal, 10, 10);
    append(&opened.journal, 130, 10);
    drop(opened);
    let opened = open(&dir).unwrap();
    assert_eq!((opened.frames_checked, opened.tail.position), (4, Position(140)));
}

#[test]
fn a_damaged_end_is_refused_at_opening() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    append(&journal, 10, 10);
    append(&journal, 10, 10);
    journal.damage(Position(11), 200);
    drop(journal);
    let error = open(&dir).unwrap_err();
    let OpenError::Corrupt { first, last, fault } = error else { panic!("{error:?}") };
    assert_eq!((first, last), (Position(11), Position(20)));
    assert_eq!(fault, Fault::Frame(FrameError::Checksum));
}

#[test]
fn files_that_are_not_a_database_are_refused_without_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    let expected = append(&journal, 1000, 400);
    drop(journal);
    let mut refused = 0;
    let data = dir.path().join("journal").join("db");
    let sound = fs::read(&data).unwrap();
    for step in 0..40 {
        let mut bytes = sound.clone();
        let at = step * bytes.len() / 40;
        let end = bytes.len().min(at + 4096);
        bytes[at..end].fill(0x5a);
        fs::write(&data, &bytes).unwrap();
        // Whatever sled makes of it, what is read is what was written, or opening is refused.
        match open(&dir) {
            Ok(opened) => assert_eq!(all(&opened.journal), expected),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10, "{refused}");
}

#[test]
fn what_a_crash_left_unfinished_does_not_stop_opening() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    let expected = append(&journal, 10, 10);
    drop(journal);
    let left = dir.path().join("journal").join("snap.FFFFFFFFFFFFFFFF.generating");
    fs::write(left, b"half").unwrap();
    assert_eq!(all(&open(&dir).unwrap().journal), expected);
}

/// sled takes a damaged entry for the end of its log and drops all after it without a word.
#[test]
fn acknowledged_commits_that_the_database_dropped_are_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    for _ in 0..10 {
        append(&journal, 50, 400);
    }
    let tail = journal.tail().position;
    drop(journal);
    let data = dir.path().join("journal").join("db");
    let sound = fs::read(&data).unwrap();
    for step in 0..20 {
        let mut bytes = sound.clone();
        let at = step * bytes.len() / 20;
        bytes[at] ^= 0x5a;
        fs::write(&data, &bytes).unwrap();
        match open(&dir) {
            Ok(opened) => {
                // The bit was of a page written again later, or not in use: nothing is lost.
                assert_eq!(opened.tail.position, tail, "byte {at}");
                assert_eq!(all(&opened.journal).len(), 500, "byte {at}");
            }
            Err(OpenError::Corrupt { first, last, fault: Fault::Store(_) | Fault::Missing }) => {
                assert!(first <= last && last <= tail, "byte {at}");
            }
            Err(OpenError::Store { .. }) => {}
            Err(error) => panic!("byte {at}: {error:?}"),
        }
    }
    fs::write(&data, &sound).unwrap();
    assert_eq!(open(&dir).unwrap().tail.position, tail);
}

#[test]
fn an_older_copy_of_the_database_is_noticed_and_a_lost_mark_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    append(&journal, 10, 10);
    drop(journal);
    let data = dir.path().join("journal").join("db");
    let older = fs::read(&data).unwrap();
    let journal = open(&dir).unwrap().journal;
    append(&journal, 10, 10);
    drop(journal);
    let newer = fs::read(&data).unwrap();

    fs::write(&data, older).unwrap();
    let error = open(&dir).unwrap_err();
    let OpenError::Corrupt { first, last, fault: Fault::Missing } = error else { panic!("{error:?}") };
    assert_eq!((first, last), (Position(11), Position(20)));

    fs::write(&data, newer).unwrap();
    fs::remove_file(dir.path().join("journal").join("watermark")).unwrap();
    assert_eq!(open(&dir).unwrap().tail.position, Position(20));
}

#[test]
fn a_failed_sync_poisons_until_the_journal_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    let kept = append(&journal, 10, 10);
    let tail = journal.tail();
    let (next, _) = frames_of(&[record(11, 10)], tail.chain).unwrap();
    let blobs = dir.path().join("journal").join("blobs");
    // A directory that is gone cannot be synced.
    fs::remove_dir(&blobs).unwrap();
    let error = journal.commit(tail.position, next.clone()).unwrap_err();
    assert!(matches!(error, CommitError::Failed(_)), "{error:?}");
    fs::create_dir(&blobs).unwrap();
    let error = journal.commit(tail.position, next).unwrap_err();
    assert!(matches!(error, CommitError::Poisoned), "{error:?}");
    assert_eq!((journal.tail(), all(&journal)), (tail, kept.clone()));
    drop(journal);
    // Either outcome is right; here the frame was written before the sync failed.
    let journal = open(&dir).unwrap().journal;
    assert_eq!(all(&journal)[..10], kept);
    append(&journal, 1, 10);
}

/// Opening must not make damage worse: what sled would overwrite can still be found.
#[test]
fn a_damaged_log_is_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(&dir).unwrap().journal;
    for _ in 0..60 {
        append(&journal, 200, 400);
    }
    let expected = all(&journal);
    drop(journal);
    let sound = copy_of(&dir);
    let place = dir.path().join("journal");
    let data = place.join("db");
    let bytes = fs::read(&data).unwrap();
    let firsts = |place: &Path| -> BTreeSet<u64> {
        salvage::scan(place).unwrap().iter().map(|frame| frame.range.first.0).collect()
    };
    let mut refused = 0;
    for step in 0..24 {
        restore(&dir, &sound);
        let mut damaged = bytes.clone();
        let at = step * bytes.len() / 24 + 77;
        damaged[at] ^= 0x5a;
        fs::write(&data, &damaged).unwrap();
        let before = firsts(&place);
        match open(&dir) {
            Ok(opened) => assert_eq!(opened.tail.position, Position(12_000), "byte {at}"),
            Err(_) => refused += 1,
        }
        assert_eq!(firsts(&place), before, "byte {at}");
    }
    assert!(refused > 4, "{refused}");
    restore(&dir, &sound);
    assert_eq!(all(&open(&dir).unwrap().journal), expected);
}

/// The files of a journal, to be put back.
fn copy_of(dir: &TempDir) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut pending = vec![dir.path().join("journal")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    files
}

fn restore(dir: &TempDir, files: &[(PathBuf, Vec<u8>)]) {
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    fs::create_dir_all(dir.path().join("journal").join("blobs")).unwrap();
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}
