//! Random operations on a real log, every answer compared with the model's.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use annals::clock::Manual;
use annals::codec::erased::EraseOrder;
use annals::domain::{EventFacts, EventId, Position, StreamName, Timestamp};
use annals::index::{Scope, Status};
use annals::journal::{Direction, Record};
use annals::log::{Batch, BatchLimits, EraseError, Log, LogConfig, Scan};
use annals::pb;
use annals::subscription::{Events, Fanout, Machine, Message, Pace, Subscription, follow};
use annals::timeline::{self, Certainty, CountRequest, ListRequest};
use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use crate::generate::{Generator, Proposed, STREAMS, propose};
use crate::model::timeline::in_scope;
use crate::model::{Demand, Draft, Model};
use crate::seeds::number_from;

#[path = "random_compare.rs"]
pub(crate) mod compare;
#[path = "random_large.rs"]
mod large;
#[path = "random_parts.rs"]
mod parts;
#[path = "random_proof.rs"]
mod proof;
#[path = "random_threads.rs"]
mod threads;

use compare::{assert_outcome, assert_record, filter_of, looked_up, name_of, request_of, window_of};

/// Operations of one run: beyond some hundreds of events the model, not the log, takes the time.
const STEPS: u64 = 250;
/// Runs of one test.
const RUNS: u64 = 40;
/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);

/// Gives the records of a batch, which is within its limits; one event may have more bytes than a batch should.
fn records_of(log: &Log, batch: &Batch, limits: BatchLimits) -> Vec<Record> {
    let mut reader = log.reader();
    let mut record = |event: &Bytes| {
        let position = Position(pb::Event::decode(event.clone()).unwrap().position);
        let record = reader.record(position).unwrap();
        assert_eq!(*event, annals::codec::present::encoded(&record).unwrap(), "as it would be read alone");
        record
    };
    let records: Vec<Record> = batch.events.iter().map(&mut record).collect();
    let bytes: usize = records.iter().map(|record| record.content.len()).sum();
    assert!(records.len() <= limits.events_max);
    assert!(records.len() <= 1 || bytes <= limits.bytes_max, "{bytes} bytes in {limits:?}");
    records
}

/// Tells which run failed, so that it can be run again.
struct Told {
    seed: u64,
    step: u64,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed at step {} of seed {}: ANNALS_RANDOM_SEED={}", self.step, self.seed, self.seed);
        }
    }
}

/// `ANNALS_RANDOM_STEPS` asks for that many steps in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_operations_are_answered_as_the_model_answers_them() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(STEPS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen = BTreeMap::new();
    for seed in first..first + runs {
        let mut told = Told { seed, step: 0 };
        let mut world = World::new(seed);
        for step in 0..STEPS {
            told.step = step;
            world.step();
        }
        world.finish();
        for (outcome, count) in world.seen {
            *seen.entry(outcome).or_insert(0) += count;
        }
    }
    // A run that never met an outcome says nothing about it.
    for outcome in OUTCOMES {
        assert!(seen.contains_key(outcome), "{outcome} is not among {seen:?}");
    }
}

/// What the runs must meet at least once.
const OUTCOMES: &[&str] = &[
    "recorded",
    "replayed",
    "id reused",
    "partial replay",
    "condition failed",
    "link target unknown",
    "link target of another kind",
    "link target closed",
    "entry current",
    "entry closed",
    "entry duplicate",
    "entry retraction",
    "entry may",
    "entry must",
    "page followed",
    "link out of effect",
    "history of many",
    "erased",
    "id of an erased event",
    "proof",
];

/// A log, and the model of it.
struct World {
    directory: tempfile::TempDir,
    clock: Arc<Manual>,
    now: Timestamp,
    log: Option<Arc<Log>>,
    runtime: tokio::runtime::Runtime,
    model: Model,
    generator: Generator,
    past: Vec<Vec<Proposed>>,
    facts: HashMap<EventId, EventFacts>,
    seen: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(Manual::at(START));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut world = Self {
            directory,
            clock,
            now: START,
            log: None,
            runtime,
            model: Model::default(),
            generator: Generator::new(seed),
            past: Vec::new(),
            facts: HashMap::new(),
            seen: BTreeMap::new(),
        };
        world.open();
        world
    }

    fn open(&mut self) {
        let config = LogConfig::at(self.directory.path());
        let (clock, ids) = (Arc::clone(&self.clock), Arc::clone(&self.clock));
        let (log, report) = Log::open(&config, clock, ids, &|_| {}).unwrap();
        assert_eq!((report.head, report.frames_rolled_back), (self.model.head(), 0));
        self.log = Some(Arc::new(log));
    }

    fn log(&self) -> Arc<Log> {
        Arc::clone(self.log.as_ref().unwrap())
    }

    fn see(&mut self, outcome: &'static str) {
        *self.seen.entry(outcome).or_insert(0) += 1;
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.generator.rng.chance(percent)
    }

    fn step(&mut self) {
        self.move_clock();
        match self.generator.rng.below(100) {
            0..30 => self.append(1),
            30..42 => {
                let requests = self.generator.rng.index(6) + 2;
                self.append(requests);
            }
            42..64 => self.list(),
            64..74 => self.count(),
            74..82 => self.history(),
            82..86 => self.read_forward(),
            86..90 => self.read_backward(),
            90..93 => self.subscribe(),
            93..96 => self.look_up(),
            96 => self.erase(),
            97 => self.prove(),
            _ => self.restart(),
        }
        assert_eq!(self.log().head().position, self.model.head());
    }

    /// Lets time pass, and sometimes step back.
    fn move_clock(&mut self) {
        let moved = match self.generator.rng.below(10) {
            0..4 => 0,
            4 => -self.generator.rng.within(1, 3_600_000_000),
            5..9 => self.generator.rng.within(1, 1_000_000),
            _ => self.generator.rng.within(1, 86_400_000_000),
        };
        self.now = self.now.plus_micros(moved);
        self.clock.set(self.now);
    }

    /// Appends requests that arrive together: they are written in the order in which they came.
    fn append(&mut self, requests: usize) {
        let log = self.log();
        let (mut real, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..requests {
            let (events, demands) = self.request();
            let drafts: Vec<Draft> = events.iter().map(|proposed| proposed.draft.clone()).collect();
            real.push(request_of(&log, &events, &demands));
            let outcome = self.model.append(&drafts, &demands, self.now);
            if outcome.is_ok() {
                for proposed in &events {
                    self.facts.insert(proposed.draft.id, proposed.prepared.facts.clone());
                }
            }
            self.see(name_of(&outcome));
            expected.push(outcome);
            self.past.push(events);
        }
        let outcomes = self.runtime.block_on(join_all(real.into_iter().map(|request| log.append(request))));
        for (outcome, expected) in outcomes.into_iter().zip(&expected) {
            assert_outcome(outcome, expected);
        }
    }

    /// Makes a new request, or repeats an old one: whole, in part, in another order, with another, or altered.
    fn request(&mut self) -> (Vec<Proposed>, Vec<Demand>) {
        let demands = self.generator.demands(&self.model);
        if self.past.is_empty() || !self.chance(20) {
            return (self.generator.events(&self.model, self.now), demands);
        }
        let late = if self.chance(50) { self.past.len().saturating_sub(3) } else { 0 };
        let mut events = self.generator.rng.pick(&self.past[late..]).clone();
        match self.generator.rng.below(8) {
            0..4 => {}
            4 => {
                let from = self.generator.rng.index(events.len());
                events.drain(..from);
            }
            5 => self.generator.rng.shuffle(&mut events),
            6 => {
                let mut more = if self.chance(50) {
                    self.generator.events(&self.model, self.now)
                } else {
                    self.generator.rng.pick(&self.past).clone()
                };
                more.retain(|one| events.iter().all(|other| other.draft.id != one.draft.id));
                events.extend(more);
            }
            _ => {
                let at = self.generator.rng.index(events.len());
                let mut altered = events[at].draft.event.clone();
                altered.title.push('!');
                events[at] = propose(altered, self.now).unwrap_or_else(|| events[at].clone());
            }
        }
        (events, demands)
    }

    /// Lists page by page while events are appended: the pages are those of one list.
    fn list(&mut self) {
        let (question, order) = self.generator.worded(&self.model);
        let expected = self.model.list(&question, order);
        let page_size = if self.chance(70) { self.generator.rng.index(7) + 1 } else { 1_000 };
        let mut request = ListRequest {
            filter: looked_up(&self.log(), &question.filter, question.scope.as_of),
            window: question.window.map(window_of),
            scope: question.scope,
            order,
            after: None,
            page_size,
            include_closed: question.include_closed,
        };
        let mut found = Vec::new();
        loop {
            let listed = timeline::list(&self.log().index().view(), &request);
            assert!(listed.entries.len() <= page_size);
            found.extend(listed.entries);
            assert_eq!(found[..], expected[..found.len().min(expected.len())], "{order:?} {question:?}");
            let Some(next) = listed.next else { break };
            request.after = Some(next);
            self.see("page followed");
            if self.chance(5) {
                self.append(1);
            }
        }
        assert_eq!(found, expected, "{order:?} {question:?}");
        for entry in found {
            self.see(match entry.status {
                Status::Current => "entry current",
                Status::Closed(_) => "entry closed",
                Status::Duplicate(_) => "entry duplicate",
                Status::Retraction => "entry retraction",
            });
            self.see(if entry.certainty == Certainty::Must { "entry must" } else { "entry may" });
        }
    }

    fn count(&mut self) {
        let (question, _) = self.generator.worded(&self.model);
        let group_by = self.generator.group_by();
        let group_limit = self.generator.rng.index(12) + 1;
        let request = CountRequest {
            filter: looked_up(&self.log(), &question.filter, question.scope.as_of),
            window: question.window.map(window_of),
            scope: question.scope,
            include_closed: question.include_closed,
            group_by,
            group_limit,
        };
        let found = timeline::count(&self.log().index().view(), &request);
        let expected = self.model.count(&question, group_by, group_limit);
        assert_eq!(found, expected, "{group_by:?} {question:?}");
    }

    fn history(&mut self) {
        if self.model.events.is_empty() {
            return;
        }
        let mut scope = self.generator.scope(&self.model);
        let linked = !self.model.links.is_empty() && self.chance(80);
        let position = if linked {
            let edge = *self.generator.rng.pick(&self.model.links);
            if self.chance(50) { edge.target } else { edge.carrier }
        } else {
            self.generator.rng.pick(&self.model.events).position
        };
        let known_at = self.model.at(position).known_at;
        scope = Scope { as_of: scope.as_of.max(position), known_at: scope.known_at.max(known_at) };
        let found = timeline::history(&self.log().index().view(), position, scope);
        assert_eq!(found, self.model.history(position, scope), "{position} {scope:?}");
        if found.len() > 3 {
            self.see("history of many");
        }
        let links = self.model.links.iter().filter(|link| link.target == position);
        let effective = links.clone().filter(|link| self.model.is_effective(link, scope)).count();
        if effective < links.filter(|link| in_scope(link.carrier, link.carrier_known_at, scope)).count() {
            self.see("link out of effect");
        }
    }

    fn limits(&mut self) -> BatchLimits {
        let bytes_max = if self.chance(50) { 2_000 } else { 1_000_000 };
        BatchLimits { events_max: self.generator.rng.index(20) + 1, bytes_max }
    }

    fn read_forward(&mut self) {
        let (filter, known_at) =
            (self.generator.filter_with_words(&self.model), self.generator.moment(&self.model));
        let bound = Position(self.generator.rng.below(self.model.head().0 + 1));
        let after = Position(self.generator.rng.below(bound.0 + 1));
        let (log, limits) = (self.log(), self.limits());
        // Behind this position the words of each event are looked at.
        let words_to = Position(self.generator.rng.below(self.model.head().0 + 1));
        let expected = self.model.read(&filter, after, bound, known_at);
        let mut scan = Scan::new(&log, looked_up(&log, &filter, words_to), known_at, Direction::Forward);
        let (mut found, mut from) = (Vec::new(), after);
        while from < bound {
            let batch = scan.next(&log, from, bound, limits).unwrap();
            let end = batch.evaluated;
            assert!(end > from && end <= bound, "{end} {from} {bound}");
            let records = records_of(&log, &batch, limits);
            assert!(records.iter().all(|record| record.position <= end));
            found.extend(records);
            from = end;
        }
        self.assert_records(&found, &expected);
    }

    fn read_backward(&mut self) {
        let (filter, known_at) =
            (self.generator.filter_with_words(&self.model), self.generator.moment(&self.model));
        let before = Position(self.generator.rng.below(self.model.head().0 + 1) + 1);
        let bound = Position(if self.chance(60) { 1 } else { self.generator.rng.below(before.0) + 1 });
        let (log, limits) = (self.log(), self.limits());
        let words_to = Position(self.generator.rng.below(self.model.head().0 + 1));
        let mut expected = self.model.read(&filter, Position(bound.0 - 1), Position(before.0 - 1), known_at);
        expected.reverse();
        let mut scan = Scan::new(&log, looked_up(&log, &filter, words_to), known_at, Direction::Backward);
        let (mut found, mut from) = (Vec::new(), before);
        while from > bound {
            let batch = scan.next(&log, from, bound, limits).unwrap();
            let end = batch.evaluated;
            assert!(end < from && end >= bound, "{end} {from} {bound}");
            let records = records_of(&log, &batch, limits);
            assert!(records.iter().all(|record| record.position >= end));
            found.extend(records);
            from = end;
        }
        self.assert_records(&found, &expected);
    }

    fn assert_records(&self, found: &[Record], expected: &[Position]) {
        assert_eq!(found.iter().map(|record| record.position).collect::<Vec<_>>(), expected);
        for record in found {
            let event = self.model.at(record.position);
            assert_record(record, event, &self.facts[&event.id]);
        }
    }

    /// Subscribes, catches up, appends, and follows: each match once, in order.
    fn subscribe(&mut self) {
        let filter = self.generator.filter_with_words(&self.model);
        let after = Position(self.generator.rng.below(self.model.head().0 + 1));
        let (out, mut items) = tokio::sync::mpsc::channel(2);
        let pace = Pace { checkpoint_micros: 3_600_000_000, heartbeat_micros: 3_600_000_000 };
        let machine = Machine::new(after, pace, self.now);
        let source = Events::new(&self.log(), filter_of(&filter));
        let shutdown = CancellationToken::new();
        let fanout = {
            let _entered = self.runtime.enter();
            Fanout::start(&self.log(), shutdown.clone())
        };
        let task = follow(self.log(), Arc::clone(&fanout), source, machine, out, CancellationToken::new());
        let task = self.runtime.spawn(task);
        let mut found = Vec::new();
        self.runtime.block_on(async {
            loop {
                match tokio::time::timeout(Duration::from_secs(20), items.recv()).await.unwrap().unwrap() {
                    Subscription::Items(events) => found.extend(events),
                    Subscription::Message { message: Message::CaughtUp { .. }, .. } => break,
                    Subscription::Message { .. } => {}
                    Subscription::Lost(first, last) => panic!("{first} to {last} are lost"),
                    Subscription::End { end, .. } => panic!("{end:?}"),
                }
            }
        });
        let caught_up = self.model.read(&filter, after, self.model.head(), Timestamp::MAX);
        self.assert_events(&found, &caught_up);
        self.append(3);
        let expected = self.model.read(&filter, after, self.model.head(), Timestamp::MAX);
        self.runtime.block_on(async {
            while found.len() < expected.len() {
                let item =
                    tokio::time::timeout(Duration::from_secs(20), items.recv()).await.unwrap().unwrap();
                if let Subscription::Items(events) = item {
                    found.extend(events);
                }
            }
            drop(items);
            task.await.unwrap();
        });
        shutdown.cancel();
        // Its task lets go of the log when it is next run.
        self.runtime.block_on(async {
            while Arc::strong_count(&fanout) > 1 {
                tokio::task::yield_now().await;
            }
        });
        self.assert_events(&found, &expected);
    }

    /// What followers get is what the log holds, as clients see it.
    fn assert_events(&self, found: &[Bytes], expected: &[Position]) {
        let events: Vec<_> = found.iter().map(|event| pb::Event::decode(event.clone()).unwrap()).collect();
        let positions = events.iter().map(|event| Position(event.position)).collect::<Vec<_>>();
        assert_eq!(positions, expected);
        let mut reader = self.log().reader();
        let records: Vec<_> = expected.iter().map(|position| reader.record(*position).unwrap()).collect();
        for (event, record) in events.iter().zip(&records) {
            assert_eq!(event, &annals::codec::present::present(record).unwrap());
        }
        self.assert_records(&records, expected);
    }

    /// Erases an event; the order is recorded as an event of its own.
    fn erase(&mut self) {
        let absent = self.generator.id();
        let found =
            (!self.model.events.is_empty()).then(|| self.generator.rng.pick(&self.model.events).clone());
        let event_id = found.as_ref().map_or(absent, |event| event.id);
        let (reason, authority) = ("a reason".to_owned(), "a court".to_owned());
        let log = self.log();
        let (head, root) = (log.head(), log.proofs().root(self.model.head()).unwrap());
        let order = EraseOrder { event_id, reason, authority };
        let outcome = self.runtime.block_on(log.erase(order));
        let position = match (&found, outcome) {
            (None, Err(EraseError::Unknown(id))) => return assert_eq!(id, absent),
            (Some(event), Err(EraseError::Reserved(id))) => {
                assert!(id == event.id && event.event.stream == "$erasures");
                return;
            }
            (Some(event), Ok(erased)) => {
                assert_eq!((erased.position, erased.already), (event.position, event.erased));
                if erased.already {
                    return;
                }
                event.position
            }
            (found, outcome) => panic!("{outcome:?} for {found:?}"),
        };
        self.see("erased");
        assert_eq!(log.proofs().root(head.position).unwrap(), root, "what was proven before still holds");
        self.model.erase(position);
        let last = Position(self.model.head().0 + 1);
        let record = log.reader().record(last).unwrap();
        let event = pb::Event::decode(record.content.clone()).unwrap();
        assert_eq!(
            (record.stream.as_str(), event.links[0].event_id.clone()),
            ("$erasures", event_id.to_string())
        );
        self.facts.insert(record.event_id, annals::codec::facts_of(&record).unwrap().event);
        let draft = Draft { id: record.event_id, event, caveats: Vec::new() };
        let revision = self.model.revision_of("$erasures").next();
        self.model.load(draft, last, revision, record.recorded_at);
    }

    fn look_up(&mut self) {
        let log = self.log();
        let absent = self.generator.id();
        let view = log.index().view();
        assert_eq!(view.position_of(&absent), None);
        assert_eq!(view.last(), self.model.head());
        for stream in STREAMS {
            assert_eq!(view.revision_of(&StreamName::parse(stream).unwrap()), self.model.revision_of(stream));
        }
        if let Some(last) = self.model.events.last() {
            assert_eq!(log.head().recorded_at, Some(last.recorded_at));
            let event = self.generator.rng.pick(&self.model.events);
            assert_eq!(view.position_of(&event.id), Some(event.position));
            assert_eq!(view.known_at(event.position), Some(event.known_at));
            let record = log.reader().record(event.position).unwrap();
            assert_record(&record, event, &self.facts[&event.id]);
        }
        let (filter, scope) = (self.generator.filter(&self.model), self.generator.scope(&self.model));
        let after = Position(self.generator.rng.below(self.model.head().0 + 3));
        let first = self.model.read(&filter, after, scope.as_of, Timestamp::MAX).first().copied();
        assert_eq!(filter_of(&filter).first_match(&view, after, scope.as_of), first);
    }

    /// Closes and opens again, sometimes without the stored index.
    fn restart(&mut self) {
        let log = self.log.take().unwrap();
        log.close().unwrap();
        let mut log = Some(log);
        // A subscription may be finishing its last look on another thread.
        while let Some(shared) = log.take() {
            log = Arc::try_unwrap(shared).err();
            std::thread::yield_now();
        }
        if self.chance(30) {
            std::fs::remove_dir_all(self.directory.path().join("index")).unwrap();
        }
        self.open();
    }

    fn finish(&mut self) {
        self.restart();
        let Generator { proposed, invalid, .. } = self.generator;
        assert!(invalid * 20 < proposed, "{invalid} of {proposed} events broke a rule");
        let everything =
            self.model.read(&pb::Filter::default(), Position(0), self.model.head(), Timestamp::MAX);
        let mut reader = self.log().reader();
        let records: Vec<_> = everything.iter().map(|position| reader.record(*position).unwrap()).collect();
        self.assert_records(&records, &everything);
        parts::assert_parts_agree(&mut self.generator, &self.model, &records);
        let mut findings = Vec::new();
        let report = self.log().verify(|event| {
            findings.extend(matches!(event, annals::log::VerifyEvent::Finding(_)).then_some(event));
            true
        });
        assert_eq!((findings, report.findings, report.events), (Vec::new(), 0, self.model.head().0));
    }
}
