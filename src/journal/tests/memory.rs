//! Tests the journal in memory: the contract, and that each scripted fault does what it says.

use std::io;
use std::thread;

use crate::domain::Position;
use crate::journal::conformance::{self, Fixture, all, append, conformance_tests, record, store};
use crate::journal::memory::{CommitFault, Gate, MemoryJournal};
use crate::journal::{CommitError, Direction, Fault, Journal, OpenError, frames_of};

struct InMemory(MemoryJournal);

impl Fixture for InMemory {
    fn journal(&self) -> &dyn Journal {
        &self.0
    }
    fn reopen(&mut self) {
        self.0 = self.0.reopen().unwrap().journal;
    }
    fn damage(&self, first: Position, byte: usize) {
        assert!(self.0.damage(first, byte));
    }
    fn lose(&self, first: Position) {
        assert!(self.0.lose(first));
    }
}

fn make() -> Box<dyn Fixture> {
    Box::new(InMemory(MemoryJournal::new(store())))
}

conformance_tests!(make);

fn commit(journal: &MemoryJournal, count: u64) -> Result<(), CommitError> {
    let tail = journal.tail();
    let records: Vec<_> = (1..=count).map(|n| record(tail.position.0 + n, 10)).collect();
    journal.commit(tail.position, frames_of(&records, tail.chain).unwrap().0)
}

#[test]
fn a_failed_commit_poisons_and_opening_again_tells_its_outcome() {
    use CommitFault::{ErrorAfter, ErrorBefore, NoSpace, ShortWrite};
    let eio = io::ErrorKind::Other;
    // fault, kind of error, tail after opening again, frames rolled back; the commit has 3 frames
    let cases = [
        (ErrorBefore, eio, 10, 0),
        (NoSpace, io::ErrorKind::StorageFull, 10, 0),
        (ErrorAfter, eio, 140, 0),
        (ShortWrite { frames: 0 }, eio, 10, 0),
        (ShortWrite { frames: 2 }, eio, 10, 2),
        (ShortWrite { frames: 3 }, eio, 140, 0),
    ];
    for (fault, kind, tail, rolled_back) in cases {
        let journal = MemoryJournal::new(store());
        let kept = append(&journal, 10, 10);
        journal.script(fault.clone());
        let error = commit(&journal, 130).unwrap_err();
        assert!(matches!(&error, CommitError::Failed(e) if e.kind() == kind), "{fault:?} {error:?}");
        assert!(matches!(commit(&journal, 1), Err(CommitError::Poisoned)), "{fault:?}");
        assert_eq!(all(&journal), kept, "reads go on up to the old tail");
        let opened = journal.reopen().unwrap();
        assert_eq!(opened.tail.position, Position(tail), "{fault:?}");
        assert_eq!(opened.frames_rolled_back, rolled_back, "{fault:?}");
        append(&opened.journal, 1, 10);
        all(&opened.journal);
    }
}

#[test]
fn a_lost_flush_is_lost_unless_a_later_commit_is_flushed() {
    let journal = MemoryJournal::new(store());
    append(&journal, 1, 10);
    journal.script(CommitFault::LostFlush);
    journal.script(CommitFault::LostFlush);
    append(&journal, 1, 10);
    append(&journal, 1, 10);
    assert_eq!(journal.reopen().unwrap().tail.position, Position(1));
    append(&journal, 1, 10);
    assert_eq!(journal.reopen().unwrap().tail.position, Position(4));
}

#[test]
fn nothing_of_a_commit_is_seen_while_its_flush_waits() {
    let journal = MemoryJournal::new(store());
    let kept = append(&journal, 1, 10);
    let gate = Gate::default();
    journal.script(CommitFault::SlowFlush(gate.clone()));
    thread::scope(|scope| {
        let writer = scope.spawn(|| commit(&journal, 1));
        gate.wait_for_flush();
        assert_eq!(all(&journal), kept);
        assert_eq!(journal.read(Position(2), Direction::Backward).count(), 1);
        assert_eq!(journal.reopen().unwrap().tail.position, Position(1));
        gate.open();
        writer.join().unwrap().unwrap();
    });
    assert_eq!(journal.reopen().unwrap().tail.position, Position(2));
}

#[test]
fn opening_refuses_a_damaged_end_by_its_positions() {
    // commits 1–10, 11–140 (frames at 11, 75, 139); damaged frame, what is named
    for (first, named) in [(139, (139, 140)), (75, (75, 138)), (11, (11, 74)), (1, (1, 10))] {
        let journal = MemoryJournal::new(store());
        append(&journal, 10, 10);
        append(&journal, 130, 10);
        conformance::all(&journal);
        assert!(journal.damage(Position(first), 100));
        let error = journal.reopen().unwrap_err();
        let OpenError::Corrupt { first, last, fault } = error else { panic!("{error:?}") };
        assert!(matches!(fault, Fault::Frame(_)), "{fault:?}");
        let found = (first.0, last.0);
        assert_eq!(found, named);
    }
}

#[test]
fn opening_checks_only_the_last_commit_and_the_frame_before() {
    let journal = MemoryJournal::new(store());
    for _ in 0..4 {
        append(&journal, 10, 10);
    }
    assert!(journal.damage(Position(11), 100));
    assert_eq!(journal.reopen().unwrap().frames_checked, 2);
    assert!(journal.damage(Position(21), 100));
    assert!(matches!(journal.reopen(), Err(OpenError::Corrupt { first: Position(21), .. })));
}
