//! A log of more than two segments: sealed, loaded, rebuilt, and asked the same each time.

use std::collections::HashMap;
use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::{Position, Revision, Timestamp};
use annals::index::{RUN_LEN, SEGMENT_LEN, Scope};
use annals::journal::Direction;
use annals::log::{AppendRequest, BatchLimits, Log, LogConfig, OpenReport, Scan, VerifyEvent};
use annals::pb;
use annals::pb::event::Payload;
use annals::timeline::{self, CountRequest, ListRequest};
use bytes::Bytes;
use prost::Message as _;

use super::START;
use super::compare::{filter_of, window_of};
use super::proof::{assert_proofs, leaves_of, replace_stored_root};
use crate::generate::{Generator, Proposed, Rng, STREAMS, propose};
use crate::model::Model;

/// Two whole segments and some.
const EVENTS: u64 = 2 * SEGMENT_LEN + 7_000;
const BATCH: u64 = 1_000;
/// Questions of each sort in each state of the log.
const QUESTIONS: usize = 30;

fn open(directory: &std::path::Path) -> (Arc<Log>, OpenReport) {
    let clock = Arc::new(Manual::at(START));
    let (log, report) =
        Log::open(&LogConfig::at(directory), Arc::clone(&clock) as _, clock, &|_| {}).unwrap();
    (Arc::new(log), report)
}

#[test]
fn sealed_loaded_and_rebuilt_segments_answer_as_the_model_answers() {
    let directory = tempfile::tempdir().unwrap();
    let mut generator = Generator::new(77);
    let (log, _) = open(directory.path());
    let mut model = Model::default();
    load(&log, &mut model, &mut generator);
    ask(&log, &model, &mut generator);
    let leaves = leaves_of(&log);
    prove(&log, &leaves, &mut generator.rng);
    let log = reopen(log, directory.path(), (2, 0));
    ask(&log, &model, &mut generator);
    prove(&log, &leaves, &mut generator.rng);
    // These were sealed from tails that were folded append by append.
    assert_stored_segments_equal_a_rebuild(&log);
    log.close().unwrap();
    drop(log);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let (log, report) = open(directory.path());
    assert_eq!((report.segments_loaded, report.segments_rebuilt), (0, 2));
    ask(&log, &model, &mut generator);
    prove(&log, &leaves, &mut generator.rng);
    assert_stored_segments_equal_a_rebuild(&log);
    let store = log.store_id();
    log.close().unwrap();
    drop(log);
    let wrong = replace_stored_root(directory.path(), store, &leaves);
    let (log, _) = open(directory.path());
    assert_eq!(log.proofs().root(Position(SEGMENT_LEN)).unwrap(), wrong, "nothing is read beyond it");
    let mut findings = Vec::new();
    log.verify(|event| {
        findings.extend(matches!(event, VerifyEvent::Finding(_)).then_some(event));
        true
    });
    let [VerifyEvent::Finding(finding)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((finding.first, finding.last), (Position(1), Position(SEGMENT_LEN)));
    assert!(finding.description.contains("Merkle root"));
}

/// Proves something of states that end at, beside and between the borders of segments.
fn prove(log: &Log, leaves: &[Vec<u8>], rng: &mut Rng) {
    for size in [SEGMENT_LEN, SEGMENT_LEN + 1, 2 * SEGMENT_LEN, EVENTS - rng.below(5_000), EVENTS] {
        let (position, first) = (rng.below(size) + 1, rng.below(size) + 1);
        assert_proofs(log, leaves, (Position(size), Position(position), Position(first)));
    }
    assert_proofs(log, leaves, (Position(EVENTS), Position(SEGMENT_LEN + 1), Position(SEGMENT_LEN)));
}

/// Compares the bytes of the stored segments with those of segments built from the journal.
fn assert_stored_segments_equal_a_rebuild(log: &Log) {
    let mut findings = Vec::new();
    let report = log.verify(|event| {
        findings.extend(matches!(event, VerifyEvent::Finding(_)).then_some(event));
        true
    });
    assert_eq!((findings, report.events, report.segments), (Vec::new(), EVENTS, 2));
}

fn reopen(log: Arc<Log>, directory: &std::path::Path, expected: (usize, usize)) -> Arc<Log> {
    log.close().unwrap();
    drop(log);
    let (log, report) = open(directory);
    assert_eq!((report.segments_loaded, report.segments_rebuilt), expected);
    assert_eq!(report.head, Position(EVENTS));
    log
}

/// Appends small events, a thousand at a time.
fn load(log: &Log, model: &mut Model, generator: &mut Generator) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut revisions: HashMap<String, u64> = HashMap::new();
    while model.head().0 < EVENTS {
        let count = BATCH.min(EVENTS - model.head().0);
        let events: Vec<Proposed> = (0..count).map(|_| small(generator, model)).collect();
        let proposals = events.iter().map(|proposed| {
            let prepared = proposed.prepared.clone();
            log.propose(prepared.facts, prepared.content, prepared.caveats)
        });
        let request = AppendRequest { events: proposals.collect(), ..AppendRequest::default() };
        let answer = runtime.block_on(log.append(request)).unwrap();
        for (proposed, stands) in events.into_iter().zip(answer.events) {
            let revision = revisions.entry(proposed.draft.event.stream.clone()).or_default();
            *revision += 1;
            // The clock stands still: each event counts as recorded a microsecond after the one before.
            let recorded_at = Timestamp(START.0 + i64::try_from(model.head().0).unwrap());
            let position = Position(model.head().0 + 1);
            let expected = (proposed.draft.id, position, Revision(*revision), recorded_at);
            assert_eq!((stands.id, stands.position, stands.revision, stands.recorded_at), expected);
            model.load(proposed.draft, position, Revision(*revision), recorded_at);
        }
    }
}

/// Makes an event with few terms; every two-thousandth retracts or repeats an earlier one.
fn small(generator: &mut Generator, model: &Model) -> Proposed {
    let id = generator.id();
    let rng = &mut generator.rng;
    let mut event = pb::Event {
        id: id.to_string(),
        stream: (*rng.pick(STREAMS)).to_owned(),
        title: "t".to_owned(),
        assertion: 1,
        // Some terms are rare, so that postings of both forms are met.
        modality: if rng.chance(1) { 2 } else { 0 },
        tags: if rng.chance(30) { vec!["press".to_owned()] } else { Vec::new() },
        valid_time: Some(pb::TimeSpan { edtf: date(rng), ..pb::TimeSpan::default() }),
        payload: Some(Payload::Custom(pb::CustomPayload {
            r#type: "org.example.thing.v1".to_owned(),
            ..pb::CustomPayload::default()
        })),
        ..pb::Event::default()
    };
    if rng.chance(20) {
        let seconds = START.0 / 1_000_000 - rng.within(0, 400) * 86_400;
        event.known_at = Some(prost_types::Timestamp { seconds, nanos: 0 });
    }
    if rng.below(2_000) == 0 && !model.events.is_empty() {
        let event_id = rng.pick(&model.events).id.to_string();
        let link_type = *rng.pick(&[3, 4]);
        event.links = vec![pb::Link { r#type: link_type, event_id, ..pb::Link::default() }];
    }
    propose(event, START).unwrap()
}

fn date(rng: &mut Rng) -> String {
    let year = rng.within(1_990, 2_023);
    match rng.below(20) {
        0 => format!("{year}~"),
        1 => format!("../{year}"),
        2 => format!("{year}-02/.."),
        3..8 => format!("{year}-{:02}", rng.within(1, 12)),
        _ => format!("{year}-{:02}-{:02}", rng.within(1, 12), rng.within(1, 28)),
    }
}

fn ask(log: &Log, model: &Model, generator: &mut Generator) {
    assert_eq!(log.head().position, model.head());
    for _ in 0..QUESTIONS {
        list(log, model, generator);
        count(log, model, generator);
        read(log, model, generator);
        let event = generator.rng.pick(&model.events);
        let view = log.index().view();
        assert_eq!(view.position_of(&event.id), Some(event.position));
        assert_eq!(view.known_at(event.position), Some(event.known_at));
    }
    assert!(log.rendered().held_bytes() > 0, "what was read three times is held in memory");
    for link in &model.links {
        let scope =
            Scope { as_of: Position(generator.rng.below(EVENTS) + 1), known_at: generator.moment(model) };
        let view = log.index().view();
        if view.in_scope(link.target, scope) {
            assert_eq!(timeline::history(&view, link.target, scope), model.history(link.target, scope));
        }
    }
}

fn list(log: &Log, model: &Model, generator: &mut Generator) {
    let (question, order) = (generator.question(model), generator.order());
    let expected = model.list(&question, order);
    let mut request = ListRequest {
        filter: filter_of(&question.filter),
        window: question.window.map(window_of),
        scope: question.scope,
        order,
        after: None,
        page_size: generator.rng.index(3_000) + 1,
        include_closed: question.include_closed,
    };
    let mut done = 0;
    for _ in 0..6 {
        let listed = timeline::list(&log.index().view(), &request);
        let page = &expected[done..expected.len().min(done + request.page_size)];
        assert_eq!(listed.entries, page, "{order:?} {question:?}");
        done += page.len();
        assert_eq!(listed.next.is_some(), done < expected.len());
        request.after = listed.next;
        request.page_size = generator.rng.index(20_000) + 1;
        if request.after.is_none() {
            break;
        }
    }
}

fn count(log: &Log, model: &Model, generator: &mut Generator) {
    let (question, group_by) = (generator.question(model), generator.group_by());
    let request = CountRequest {
        filter: filter_of(&question.filter),
        window: question.window.map(window_of),
        scope: question.scope,
        include_closed: question.include_closed,
        group_by,
        group_limit: 50,
    };
    let found = timeline::count(&log.index().view(), &request);
    assert_eq!(found, model.count(&question, group_by, 50), "{group_by:?} {question:?}");
}

/// Gives where an event stands that was read among others; it is as it would be read alone.
fn position_of(log: &Log, event: &Bytes) -> Position {
    let position = Position(pb::Event::decode(event.clone()).unwrap().position);
    let record = log.reader().record(position).unwrap();
    assert_eq!(*event, annals::codec::present::encoded(&record).unwrap());
    position
}

/// Reads some hundreds of positions, mostly over the border of two segments or runs, in both directions.
fn read(log: &Log, model: &Model, generator: &mut Generator) {
    let (filter, known_at) = if generator.rng.chance(50) {
        (pb::Filter::default(), Timestamp::MAX)
    } else {
        (generator.filter(model), generator.moment(model))
    };
    let rng = &mut generator.rng;
    let run = 2 * SEGMENT_LEN + RUN_LEN;
    let border = *rng.pick(&[SEGMENT_LEN, run, 2 * SEGMENT_LEN, 300, EVENTS - 300]);
    let (after, up_to) = (Position(border - rng.below(300)), Position(border + rng.below(300)));
    let expected = model.read(&filter, after, up_to, known_at);
    let limits = BatchLimits { events_max: 64, bytes_max: 1_000_000 };
    // What is wanted a second time is held in memory, and given from there the third time.
    for _ in 0..3 {
        let mut forward = Scan::new(log, filter_of(&filter), known_at, Direction::Forward);
        let (mut found, mut from) = (Vec::new(), after);
        while from < up_to {
            let batch = forward.next(log, from, up_to, limits).unwrap();
            found.extend(batch.events.iter().map(|event| position_of(log, event)));
            from = batch.evaluated;
        }
        assert_eq!(found, expected, "{filter:?}");
        let mut backward = Scan::new(log, filter_of(&filter), known_at, Direction::Backward);
        let (mut found, mut from) = (Vec::new(), up_to.next());
        while from > after.next() {
            let batch = backward.next(log, from, after.next(), limits).unwrap();
            found.extend(batch.events.iter().map(|event| position_of(log, event)));
            from = batch.evaluated;
        }
        found.reverse();
        assert_eq!(found, expected, "{filter:?}");
    }
    let first = model.read(&filter, after, model.head(), Timestamp::MAX).first().copied();
    assert_eq!(filter_of(&filter).first_match(&log.index().view(), after, model.head()), first);
}
