//! The log over a journal in memory: what a real disk gives too rarely.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::Manual;
use crate::codec::{Writer, prepare};
use crate::domain::{EventId, Findings, Position, Timestamp};
use crate::journal::MemoryJournal;
use crate::journal::memory::CommitFault;
use crate::pb;

pub(super) fn store() -> StoreId {
    StoreId::from_uuid(uuid::Uuid::from_u128(1))
}

pub(super) fn open(journal: &MemoryJournal, clock: &Arc<Manual>) -> Log {
    let journal: Arc<dyn Journal> = Arc::new(journal.clone());
    let parts = (Arc::clone(clock) as Arc<dyn Clock>, Arc::clone(clock) as Arc<dyn IdSource>);
    Log::over(journal, None, QueueLimits::default(), parts, &|_| {}).unwrap().0
}

fn proposal(log: &Log, id: u128, title: &str) -> Proposal {
    let event = pb::Event {
        id: EventId::from_uuid(uuid::Uuid::from_u128(id)).to_string(),
        stream: "s".to_owned(),
        title: title.to_owned(),
        valid_time: Some(pb::TimeSpan { edtf: "2024-05-22".to_owned(), ..Default::default() }),
        assertion: pb::Assertion::Recorded.into(),
        payload: Some(pb::event::Payload::Custom(pb::CustomPayload {
            r#type: "org.example.note.v1".to_owned(),
            ..Default::default()
        })),
        ..Default::default()
    };
    let fresh = EventId::from_uuid(uuid::Uuid::from_u128(id));
    let mut findings = Findings::default();
    let prepared = prepare(event, Writer::Client, (fresh, log.clock().now()), &mut findings).unwrap();
    log.propose(prepared.facts, prepared.content, prepared.caveats)
}

pub(super) async fn append(log: &Log, id: u128) -> Result<Appended, AppendError> {
    append_all(log, id..=id).await
}

pub(super) async fn append_all(
    log: &Log,
    ids: impl IntoIterator<Item = u128>,
) -> Result<Appended, AppendError> {
    let events = ids.into_iter().map(|id| proposal(log, id, "title")).collect();
    log.append(AppendRequest { events, ..AppendRequest::default() }).await
}

#[tokio::test]
async fn recorded_time_increases_also_when_the_clock_steps_back() {
    let clock = Arc::new(Manual::at(Timestamp(1_000)));
    let log = open(&MemoryJournal::new(store()), &clock);
    let mut times = Vec::new();
    for (id, now) in [(1, 1_000), (2, 500), (3, 1_000), (4, 5_000)] {
        clock.set(Timestamp(now));
        times.push(append(&log, id).await.unwrap().events[0].recorded_at.0);
    }
    assert_eq!(times, [1_000, 1_001, 1_002, 5_000]);
}

#[tokio::test]
async fn what_is_not_durable_is_never_shown() {
    let journal = MemoryJournal::new(store());
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&journal, &clock);
    append(&log, 1).await.unwrap();
    journal.script(CommitFault::ErrorAfter);
    assert!(matches!(append(&log, 2).await, Err(AppendError::OutcomeUnknown)));
    assert_eq!((log.head().position, log.index().view().last()), (Position(1), Position(1)));
    assert!(log.is_read_only());
    assert!(matches!(append(&log, 3).await, Err(AppendError::ReadOnly)));
    assert!(append(&log, 1).await.unwrap().replayed, "what is recorded is still answered");
}

#[tokio::test]
async fn a_query_that_still_looks_keeps_no_append_waiting() {
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&MemoryJournal::new(store()), &clock);
    append(&log, 1).await.unwrap();
    let before = log.index().view();
    for id in 2..=5 {
        // So that it fails instead of waiting for ever.
        tokio::time::timeout(Duration::from_secs(60), append(&log, id)).await.unwrap().unwrap();
    }
    let first = EventId::from_uuid(uuid::Uuid::from_u128(1));
    let last = EventId::from_uuid(uuid::Uuid::from_u128(5));
    assert_eq!(
        (before.last(), before.position_of(&first), before.position_of(&last)),
        (Position(1), Some(Position(1)), None)
    );
    let now = log.index().view();
    assert_eq!((now.last(), now.position_of(&last)), (Position(5), Some(Position(5))));
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_is_still_made() {
    let journal = MemoryJournal::new(store());
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&journal, &clock);
    let gate = crate::journal::memory::Gate::default();
    journal.script(CommitFault::SlowFlush(gate.clone()));
    let request = AppendRequest { events: vec![proposal(&log, 1, "title")], ..AppendRequest::default() };
    {
        let mut abandoned = Box::pin(log.append(request));
        let polled = futures_util::poll!(&mut abandoned);
        assert!(polled.is_pending());
    }
    gate.wait_for_flush();
    gate.open();
    let answer = append(&log, 1).await.unwrap();
    assert!(answer.replayed);
}

#[tokio::test]
async fn closing_writes_what_waits_and_takes_no_more() {
    let journal = MemoryJournal::new(store());
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = Arc::new(open(&journal, &clock));
    let waiting: Vec<_> = (1..=50_u128)
        .map(|id| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { append(&log, id).await })
        })
        .collect();
    tokio::task::yield_now().await;
    log.close().unwrap();
    assert!(matches!(append(&log, 99).await, Err(AppendError::Closing)));
    let mut made = 0;
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(AppendError::Closing) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(log.head().position, Position(made));
}

#[tokio::test]
async fn a_check_names_damage_and_goes_on_behind_it() {
    let journal = MemoryJournal::new(store());
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&journal, &clock);
    for id in 1..=5 {
        append(&log, id).await.unwrap();
    }
    let check = |log: &Log| {
        let mut findings = Vec::new();
        let report = log.verify(|event| {
            if let VerifyEvent::Finding(finding) = event {
                findings.push((finding.first.0, finding.last.0));
            }
            true
        });
        (report, findings)
    };
    let (report, findings) = check(&log);
    assert_eq!((report.events, report.chain, findings), (5, log.head().chain, vec![]));
    assert!(journal.damage(Position(2), 70) && journal.lose(Position(4)));
    let (report, findings) = check(&log);
    assert_eq!((report.events, findings), (3, vec![(2, 2), (4, 4)]));
}

#[tokio::test]
async fn proofs_that_need_a_damaged_event_are_refused_with_its_position_and_others_are_made() {
    let journal = MemoryJournal::new(store());
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&journal, &clock);
    for id in 1..=5 {
        append(&log, id).await.unwrap();
    }
    let (whole, two) = (log.proofs().root(Position(5)).unwrap(), log.proofs().root(Position(2)).unwrap());
    assert!(journal.damage(Position(3), 70));
    // What was read before is known; an event itself is read again for its leaf.
    assert_eq!(log.proofs().root(Position(5)).unwrap(), whole);
    assert!(log.proofs().inclusion(Position(3), Position(5)).is_err());
    let proofs = Proofs::new(Arc::new(journal.clone()), None);
    assert_eq!(proofs.root(Position(2)).unwrap(), two);
    assert!(proofs.inclusion(Position(2), Position(2)).is_ok());
    for _ in 0..2 {
        let error = proofs.root(Position(5)).unwrap_err();
        let damage = crate::journal::ReadError::Corrupt {
            first: Position(3),
            last: Position(3),
            fault: crate::journal::Fault::Frame(crate::journal::FrameError::Checksum),
        };
        assert_eq!(error.to_string(), damage.to_string());
    }
    assert_eq!(proofs.root(Position(2)).unwrap(), two);
}

#[tokio::test]
async fn an_index_built_from_the_journal_is_the_one_that_was_folded() {
    use crate::index::{Segment, layout};
    let journal = MemoryJournal::new(store());
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&journal, &clock);
    for id in 1..=40 {
        append(&log, id).await.unwrap();
    }
    let rebuilt = rebuild::tail(&journal, Position::ZERO, log.head().position).unwrap();
    let bytes = |tail: &crate::index::Tail| layout::encode(&Segment::of(tail), &[0; 32]);
    let reopened = open(&journal.reopen().unwrap().journal, &clock);
    assert_eq!(bytes(log.index().view().tail()), bytes(&rebuilt));
    assert_eq!(bytes(reopened.index().view().tail()), bytes(&rebuilt));
    assert_eq!(reopened.head(), log.head());
}

#[tokio::test]
async fn an_event_that_fits_no_frame_is_refused_alone() {
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let log = open(&MemoryJournal::new(store()), &clock);
    let mut large = proposal(&log, 1, "title");
    large.content = vec![b'x'; 1_100_000].into();
    let large = log.append(AppendRequest { events: vec![large], ..AppendRequest::default() });
    let small = append(&log, 2);
    let (large, small) = tokio::join!(large, small);
    assert!(matches!(large, Err(AppendError::TooLarge { index: 0, .. })));
    assert_eq!(small.unwrap().events[0].position, Position(1));
    assert!(!log.is_read_only());
}

/// A journal whose commits panic.
#[derive(Debug)]
struct Panicking(MemoryJournal);

impl Journal for Panicking {
    fn store_id(&self) -> StoreId {
        self.0.store_id()
    }
    fn tail(&self) -> crate::journal::Tail {
        self.0.tail()
    }
    fn commit(
        &self,
        _: Position,
        _: Vec<crate::journal::EncodedFrame>,
    ) -> Result<(), crate::journal::CommitError> {
        panic!("as a store below might")
    }
    fn read(&self, from: Position, direction: crate::journal::Direction) -> crate::journal::Frames {
        self.0.read(from, direction)
    }
    fn rewrite(&self, _: Vec<crate::journal::EncodedFrame>) -> Result<(), crate::journal::CommitError> {
        panic!("as a store below might")
    }
    fn stored_bytes(&self) -> u64 {
        self.0.stored_bytes()
    }
    fn close(&self) -> std::io::Result<()> {
        self.0.close()
    }
}

#[tokio::test]
async fn nobody_waits_for_ever_for_a_writer_that_panicked() {
    let clock = Arc::new(Manual::at(Timestamp(0)));
    let parts = (Arc::clone(&clock) as Arc<dyn Clock>, Arc::clone(&clock) as Arc<dyn IdSource>);
    let journal = Arc::new(Panicking(MemoryJournal::new(store())));
    let log = Log::over(journal, None, QueueLimits::default(), parts, &|_| {}).unwrap().0;
    assert!(matches!(append(&log, 1).await, Err(AppendError::OutcomeUnknown)));
    while log.threads.lock().first().is_some_and(|writer| !writer.is_finished()) {
        tokio::task::yield_now().await;
    }
    assert!(matches!(append(&log, 2).await, Err(AppendError::ReadOnly)));
    assert!(log.is_read_only());
}
