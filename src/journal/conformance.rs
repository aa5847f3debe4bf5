//! States the contract of [`Journal`] as functions that every implementation must pass.

#![expect(clippy::missing_panics_doc, reason = "these functions panic to say that the contract is broken")]

use std::sync::Barrier;
use std::thread;

use bytes::Bytes;
use uuid::Uuid;

use super::{
    ChainHash, CommitError, Direction, Fault, Frame, FrameError, Journal, ReadError, Record, Tail, frames_of,
    refit,
};
use crate::domain::{EventId, Position, RecordForm, Revision, StoreId, StreamName, Timestamp};

/// One journal under test, new and empty when made.
pub trait Fixture {
    /// Gives it.
    fn journal(&self) -> &dyn Journal;
    /// Drops it and opens what is durable.
    fn reopen(&mut self);
    /// Flips one bit of the stored frame that begins at `first`.
    fn damage(&self, first: Position, byte: usize);
    /// Removes the stored frame that begins at `first`.
    fn lose(&self, first: Position);
}

/// Makes fixtures.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Fixture>;

/// Makes a test of each function of the contract.
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::journal::conformance::conformance_tests!($make;
            an_empty_journal_is_at_its_origin, what_is_committed_is_read_back,
            reading_starts_at_the_frame_that_holds_the_position, a_stale_tail_is_refused,
            several_commits_at_once_are_as_one_after_another, of_two_racing_commits_one_wins, only_a_whole_next_commit_is_taken,
            reading_goes_on_while_writing, a_walk_ends_at_the_tail_it_began_with,
            opening_again_keeps_everything, large_records_come_back,
            a_damaged_frame_is_refused_by_its_positions, a_lost_frame_is_refused_by_its_positions,
            a_rewrite_replaces_frames_and_keeps_the_rest, a_rewrite_takes_only_what_fits,
            a_closed_journal_is_read_only);
    };
    ($make:expr; $($name:ident),*) => {
        $(#[test] fn $name() { $crate::journal::conformance::$name(&$make); })*
    };
}
pub(crate) use conformance_tests;

/// The store that all fixtures belong to.
pub fn store() -> StoreId {
    StoreId::from_uuid(Uuid::from_u128(0x0018_f9ee))
}

/// Makes a record with `len` bytes of content that LZ4 shortens a little.
pub fn record(position: u64, len: usize) -> Record {
    let content: Vec<u8> =
        (0..len).map(|i| ((i as u64 / 4 * 2_654_435_761 * position) >> 11).to_le_bytes()[0]).collect();
    let salt = u128::from(position).to_be_bytes();
    Record {
        form: RecordForm::Whole,
        position: Position(position),
        stream: StreamName::from_recorded(
            ["agreement/a", "visit/b"][usize::from(position.is_multiple_of(3))],
        ),
        revision: Revision(position),
        recorded_at: Timestamp(1_000_000 + i64::try_from(position).unwrap()),
        event_id: EventId::from_uuid(Uuid::from_u128(u128::from(position) + 7)),
        content_digest: Record::content_digest_of(&salt, &content),
        content: Bytes::from(content),
        server_fields: Bytes::from(vec![9; usize::from(position.is_multiple_of(2))]),
        salt,
    }
}

/// Commits `count` records of `len` bytes after the tail and gives them.
pub fn append(journal: &dyn Journal, count: u64, len: usize) -> Vec<Record> {
    let tail = journal.tail();
    let records: Vec<_> = (1..=count).map(|offset| record(tail.position.0 + offset, len)).collect();
    let (frames, chain) = frames_of(&records, tail.chain).unwrap();
    journal.commit(tail.position, frames).unwrap();
    let recorded_at = records.last().map(|record| record.recorded_at);
    let position = tail.position.plus(count);
    assert_eq!(journal.tail(), Tail { position, chain, recorded_at });
    records
}

fn frames(journal: &dyn Journal, from: u64, direction: Direction) -> Vec<Frame> {
    journal.read(Position(from), direction).map(Result::unwrap).collect()
}

/// Reads the whole journal, checks each digest and the chain up to the tail.
pub fn all(journal: &dyn Journal) -> Vec<Record> {
    let mut chain = ChainHash::origin(journal.store_id());
    let mut records = Vec::new();
    for frame in frames(journal, 1, Direction::Forward) {
        assert_eq!(frame.previous(), chain);
        chain = frame.verify_digests().unwrap();
        records.extend(frame.into_records());
    }
    assert_eq!(journal.tail().chain, chain);
    records
}

/// An empty journal has tail 0 and gives no frame.
pub fn an_empty_journal_is_at_its_origin(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    assert_eq!(journal.store_id(), store());
    assert_eq!(journal.tail(), Tail::origin(store()));
    for from in [0, 1, u64::MAX] {
        assert_eq!(frames(journal, from, Direction::Forward), []);
        assert_eq!(frames(journal, from, Direction::Backward), []);
        assert_eq!(journal.frame_at(Position(from)).unwrap(), None);
    }
}

/// Commits of one and of many frames come back equal, dense and in order.
pub fn what_is_committed_is_read_back(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    let mut expected = Vec::new();
    for count in [1, 3, 64, 65, 1024] {
        expected.extend(append(journal, count, 100));
    }
    assert_eq!(all(journal), expected);
    let mut backward: Vec<_> = frames(journal, u64::MAX, Direction::Backward);
    assert!(backward.iter().all(|frame| frame.commit().first <= frame.first()));
    backward.reverse();
    assert_eq!(backward, frames(journal, 0, Direction::Forward));
}

/// Wherever a walk starts, its first frame holds the position.
pub fn reading_starts_at_the_frame_that_holds_the_position(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    append(journal, 10, 10);
    append(journal, 130, 10);
    append(journal, 1, 10);
    // first and last position of the frame that holds the first column
    let cases = [
        (1, 1, 10),
        (5, 1, 10),
        (10, 1, 10),
        (11, 11, 74),
        (74, 11, 74),
        (75, 75, 138),
        (139, 139, 140),
        (141, 141, 141),
    ];
    for (position, first, last) in cases {
        let held = |frame: &Frame| (frame.first().0, frame.last().0) == (first, last);
        let forward = frames(journal, position, Direction::Forward);
        assert!(held(&forward[0]), "{position}");
        assert_eq!(forward.last().unwrap().last(), Position(141));
        let backward = frames(journal, position, Direction::Backward);
        assert!(held(&backward[0]), "{position}");
        assert_eq!(backward.last().unwrap().first(), Position(1));
        assert!(held(&journal.frame_at(Position(position)).unwrap().unwrap()), "{position}");
    }
    assert_eq!(frames(journal, 142, Direction::Forward), []);
    assert_eq!(frames(journal, 142, Direction::Backward).len(), 5);
    assert_eq!(frames(journal, 0, Direction::Forward).len(), 5);
    assert_eq!(frames(journal, 0, Direction::Backward), []);
    for outside in [0, 142] {
        assert_eq!(journal.frame_at(Position(outside)).unwrap(), None);
    }
}

/// A commit that expects another tail is refused and changes nothing.
pub fn a_stale_tail_is_refused(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    let stale = journal.tail();
    let (frames, _) = frames_of(&[record(1, 10)], stale.chain).unwrap();
    let expected = append(journal, 2, 10);
    for expected_tail in [0, 1, 3] {
        let error = journal.commit(Position(expected_tail), frames.clone()).unwrap_err();
        assert!(matches!(error, CommitError::TailMoved { actual: Position(2) }), "{error:?}");
    }
    assert_eq!(all(journal), expected);
    append(journal, 1, 10);
}

/// Several commits written at once are as if they had been made one after another.
pub fn several_commits_at_once_are_as_one_after_another(make: Make<'_>) {
    let (mut one, source) = (make(), make());
    for (count, len) in [(1, 10), (100, 50), (3, 2_000)] {
        append(source.journal(), count, len);
    }
    let mut commits: Vec<Vec<crate::journal::EncodedFrame>> = Vec::new();
    for frame in source.journal().read(Position(1), Direction::Forward) {
        let frame = frame.unwrap();
        if frame.first() == frame.commit().first {
            commits.push(Vec::new());
        }
        commits.last_mut().unwrap().push(frame.into_encoded().unwrap());
    }
    let mut gap = commits.clone();
    gap.remove(1);
    let stale = one.journal().commit_all(Position(9), commits.clone());
    assert!(matches!(stale, Err(CommitError::TailMoved { .. })));
    one.journal().commit_all(Position(0), Vec::new()).unwrap();
    one.journal().commit_all(Position(0), commits).unwrap();
    assert_eq!((one.journal().tail(), all(one.journal())), (source.journal().tail(), all(source.journal())));
    one.reopen();
    assert_eq!(one.journal().tail(), source.journal().tail());
    assert!(make().journal().commit_all(Position(0), gap).is_err());
}

/// Of two commits at once with one expected tail exactly one succeeds.
pub fn of_two_racing_commits_one_wins(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    for round in 0..20 {
        let tail = journal.tail();
        let start = Barrier::new(2);
        let race = |len: usize| {
            let records = [record(tail.position.0 + 1, len)];
            let (frames, _) = frames_of(&records, tail.chain).unwrap();
            start.wait();
            (journal.commit(tail.position, frames), records)
        };
        let outcomes = thread::scope(|scope| {
            let (one, two) = (scope.spawn(|| race(10)), scope.spawn(|| race(20)));
            [one.join().unwrap(), two.join().unwrap()]
        });
        let moved = tail.position.next();
        let lost = |result: &Result<(), CommitError>| {
            matches!(
                result, Err(CommitError::TailMoved { actual }) if *actual == moved
            )
        };
        let (winner, loser) =
            if outcomes[0].0.is_ok() { (&outcomes[0], &outcomes[1]) } else { (&outcomes[1], &outcomes[0]) };
        assert!(winner.0.is_ok() && lost(&loser.0), "round {round}: {outcomes:?}");
        assert_eq!(all(journal).last(), winner.1.last());
    }
}

/// Frames that are not exactly the next commit are refused and change nothing.
pub fn only_a_whole_next_commit_is_taken(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    let expected = append(journal, 5, 10);
    let tail = journal.tail();
    let encode = |from: u64, count: u64, chain| {
        let records: Vec<_> = (from..from + count).map(|p| record(p, 10)).collect();
        frames_of(&records, chain).unwrap().0
    };
    let whole = encode(6, 130, tail.chain);
    assert_eq!(whole.len(), 3);
    let mut two_commits = whole.clone();
    two_commits.extend(encode(136, 1, whole[2].chain()));
    let cases = [
        ("no frame", vec![]),
        ("a part", whole[..2].to_vec()),
        ("the end of a commit", whole[1..].to_vec()),
        ("a hole", vec![whole[0].clone(), whole[2].clone()]),
        ("two commits", two_commits),
        ("a gap", encode(7, 1, tail.chain)),
        ("another chain", encode(6, 1, ChainHash::origin(store()))),
    ];
    for (what, frames) in cases {
        let error = journal.commit(tail.position, frames).unwrap_err();
        assert!(matches!(error, CommitError::Malformed { .. }), "{what}: {error:?}");
    }
    assert_eq!((journal.tail(), all(journal)), (tail, expected));
    journal.commit(tail.position, whole).unwrap();
}

/// Readers see whole commits, dense from 1, while commits go on.
pub fn reading_goes_on_while_writing(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for count in 1..=100 {
                append(journal, count, 10);
            }
        });
        while !writer.is_finished() {
            let before = journal.tail().position;
            let read = frames(journal, 1, Direction::Forward);
            let last = read.last().map_or(Position::ZERO, Frame::last);
            assert!(before <= last && last <= journal.tail().position);
            assert!(read.last().is_none_or(|frame| frame.commit().last == last));
            let backward = frames(journal, last.0, Direction::Backward);
            assert_eq!(backward.len(), read.len());
        }
    });
    assert_eq!(all(journal).len(), 5050);
}

/// A walk that is held neither stops commits nor sees them.
pub fn a_walk_ends_at_the_tail_it_began_with(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    append(journal, 100, 10);
    let mut walk = journal.read(Position(1), Direction::Forward);
    assert_eq!(walk.next().unwrap().unwrap().last(), Position(64));
    append(journal, 100, 10);
    assert_eq!(walk.next().unwrap().unwrap().last(), Position(100));
    assert!(walk.next().is_none());
    assert_eq!(all(journal).len(), 200);
}

/// Opened again, a journal has its records and tail, and goes on from there.
pub fn opening_again_keeps_everything(make: Make<'_>) {
    let mut fixture = make();
    fixture.reopen();
    let mut expected = Vec::new();
    for count in [1, 200, 3] {
        expected.extend(append(fixture.journal(), count, 50));
        let tail = fixture.journal().tail();
        fixture.reopen();
        assert_eq!(fixture.journal().tail(), tail);
        assert_eq!(all(fixture.journal()), expected);
    }
    fixture.journal().close().unwrap();
    fixture.reopen();
    expected.extend(append(fixture.journal(), 1, 10));
    assert_eq!(all(fixture.journal()), expected);
}

/// Records that fill a frame, or far more, come back, after opening again too.
pub fn large_records_come_back(make: Make<'_>) {
    let mut fixture = make();
    let mut expected = Vec::new();
    for len in [0, 65_000, 70_000, 1_000_000] {
        expected.extend(append(fixture.journal(), 3, len));
    }
    assert_eq!(all(fixture.journal()), expected);
    fixture.reopen();
    assert_eq!(all(fixture.journal()), expected);
}

/// Frames of 64, 6, 64 and 6 positions: 1–64, 65–70, 71–134, 135–140.
fn four_frames(make: Make<'_>) -> Box<dyn Fixture> {
    let fixture = make();
    append(fixture.journal(), 70, 10);
    append(fixture.journal(), 70, 10);
    fixture
}

/// Walks from the position; gives how many frames came before the error, and what it names.
fn refusal(journal: &dyn Journal, from: u64, direction: Direction) -> (usize, u64, u64, Fault) {
    let mut walk = journal.read(Position(from), direction);
    let mut sound = 0;
    loop {
        match walk.next().expect("an error comes before the end") {
            Ok(_) => sound += 1,
            Err(ReadError::Corrupt { first, last, fault }) => {
                assert!(walk.next().is_none(), "a walk ends after an error");
                return (sound, first.0, last.0, fault);
            }
            Err(ReadError::Io(error)) => panic!("{error}"),
        }
    }
}

/// A frame with a flipped bit is an error that names its positions; others stay readable.
pub fn a_damaged_frame_is_refused_by_its_positions(make: Make<'_>) {
    // every field of the header, the body, and the damaged frame's place in the log
    for (byte, fault) in [
        (0, FrameError::Version { found: 0 }),
        (1, FrameError::Checksum),
        (3, FrameError::Checksum),
        (11, FrameError::Checksum),
        (30, FrameError::Checksum),
        (100, FrameError::Checksum),
    ] {
        let fixture = four_frames(make);
        fixture.damage(Position(65), byte);
        let journal = fixture.journal();
        let fault = Fault::Frame(fault);
        let forward = refusal(journal, 1, Direction::Forward);
        assert_eq!(forward, (1, 65, 70, fault.clone()), "byte {byte}");
        let backward = refusal(journal, 140, Direction::Backward);
        assert_eq!(backward, (2, 65, 70, fault), "byte {byte}");
        assert!(journal.frame_at(Position(70)).is_err());
        assert_eq!(frames(journal, 71, Direction::Forward).len(), 2);
        assert_eq!(frames(journal, 64, Direction::Backward).len(), 1);
    }
}

/// A frame that is gone is an error that names its positions, never a gap.
pub fn a_lost_frame_is_refused_by_its_positions(make: Make<'_>) {
    // lost: first position; found going forward; found going backward
    for (lost, forward, backward) in
        [(1, (0, 1, 64), (3, 1, 64)), (65, (1, 65, 70), (2, 65, 70)), (135, (3, 135, 140), (0, 135, 140))]
    {
        let fixture = four_frames(make);
        fixture.lose(Position(lost));
        let journal = fixture.journal();
        let named = |(sound, first, last)| (sound, first, last, Fault::Missing);
        assert_eq!(refusal(journal, 1, Direction::Forward), named(forward), "{lost}");
        assert_eq!(refusal(journal, 140, Direction::Backward), named(backward), "{lost}");
        let (_, first, last) = forward;
        assert_eq!(refusal(journal, first, Direction::Forward), named((0, first, last)));
        assert_eq!(refusal(journal, last, Direction::Backward), named((0, first, last)));
        assert!(journal.frame_at(Position(lost)).is_err());
    }
}

/// A rewritten journal has the replaced frames, everything else as it was, and goes on from there.
pub fn a_rewrite_replaces_frames_and_keeps_the_rest(make: Make<'_>) {
    let mut fixture = four_frames(make);
    for round in 0..3 {
        let journal = fixture.journal();
        let (tail, mut expected) = (journal.tail(), all(journal));
        let under_way = journal.read(Position(1), Direction::Forward);
        let frame = journal.frame_at(Position(70)).unwrap().unwrap();
        let mut records = frame.records().to_vec();
        for record in records.iter_mut().skip(1 + round) {
            *record = record.clone().erased(Bytes::from_static(b"erased"));
        }
        journal.rewrite(vec![refit(&frame, &records).unwrap()]).unwrap();
        expected.splice(64..70, records);
        assert_eq!((journal.tail(), all(journal)), (tail, expected.clone()), "round {round}");
        assert_eq!(under_way.map(Result::unwrap).count(), 4 + round, "a walk under way goes on");
        expected.extend(append(journal, 3, 10));
        fixture.reopen();
        assert_eq!(all(fixture.journal()), expected, "round {round}");
    }
}

/// A frame that says something else than the stored one, where it is not erased, is refused and changes nothing.
pub fn a_rewrite_takes_only_what_fits(make: Make<'_>) {
    let fixture = four_frames(make);
    let journal = fixture.journal();
    let (tail, expected) = (journal.tail(), all(journal));
    let other: Vec<_> = (65..=70).map(|position| record(position, 11)).collect();
    let chain = journal.frame_at(Position(65)).unwrap().unwrap().previous();
    let (changed, _) = frames_of(&other, chain).unwrap();
    let (beyond, _) = frames_of(&[record(141, 10)], tail.chain).unwrap();
    for frames in [changed, beyond] {
        let error = journal.rewrite(frames).unwrap_err();
        assert!(matches!(error, CommitError::Malformed { .. }), "{error:?}");
    }
    assert_eq!((journal.tail(), all(journal)), (tail, expected));
    append(journal, 1, 10);
}

/// After closing, commits are refused and reads go on.
pub fn a_closed_journal_is_read_only(make: Make<'_>) {
    let fixture = make();
    let journal = fixture.journal();
    let expected = append(journal, 3, 10);
    journal.close().unwrap();
    journal.close().unwrap();
    let tail = journal.tail();
    let (frames, _) = frames_of(&[record(4, 10)], tail.chain).unwrap();
    assert!(matches!(journal.commit(tail.position, frames), Err(CommitError::Closed)));
    assert!(matches!(journal.rewrite(Vec::new()), Err(CommitError::Closed)));
    assert_eq!(all(journal), expected);
}
