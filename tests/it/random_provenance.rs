//! Random events that rest on each other, every lineage and every list of dependents compared with the model's.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::Timestamp;
use annals::index::Scope;
use annals::log::{Log, LogConfig};
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::provenance_service_server::ProvenanceService as _;
use annals::service::{Context, Phase, Provenance};
use annals::wire::Limits;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::generate::{Generator, Proposed, propose};
use crate::model::provenance::{Dependent, Node};
use crate::model::{Draft, Model};
use crate::random::compare::{assert_outcome, request_of};
use crate::seeds::{Told, number_from};

/// Requests of one run, each with questions.
const STEPS: u64 = 60;
/// Runs of one test.
const RUNS: u64 = 12;
/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);
const FIELDS: &[&str] = &[
    "",
    "title",
    "statement",
    "statement.claims[0]",
    "statement.claims[0].text",
    "statement.claim",
    "visit",
];
const SUPPORTS: &[&str] = &["statement.claims", "statement.claims[0].text", "visit.status", "title"];

/// `ANNALS_RANDOM_STEPS` asks for that many steps in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_events_rest_on_what_the_model_says() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(STEPS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in first..first + runs {
        let told = Told(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.append();
            world.ask_lineage();
            world.ask_dependents();
            world.ask_dependents();
        }
        drop(told);
        for (outcome, count) in world.seen {
            *seen.entry(outcome).or_insert(0) += count;
        }
    }
    eprintln!("compared: {seen:?}");
    // A run that never met something says nothing about it.
    for outcome in OUTCOMES {
        assert!(seen.contains_key(*outcome), "{outcome} is not among {seen:?}");
    }
}

const OUTCOMES: &[&str] = &[
    "not found",
    "three nodes",
    "truncated",
    "node replaced",
    "node withdrawn",
    "source left out",
    "link not resolved",
    "link of a claim",
    "dependents",
    "distance 3",
    "closed dependent",
    "page followed",
];

struct World {
    _directory: tempfile::TempDir,
    now: Timestamp,
    clock: Arc<Manual>,
    log: Arc<Log>,
    service: Provenance,
    runtime: tokio::runtime::Runtime,
    model: Model,
    generator: Generator,
    seen: BTreeMap<&'static str, u64>,
    _phase: tokio::sync::watch::Sender<Phase>,
}

fn wire(scope: Scope) -> pb::Scope {
    let moment = scope.known_at;
    let known_at = (moment != Timestamp::MAX).then(|| prost_types::Timestamp {
        seconds: moment.0.div_euclid(1_000_000),
        nanos: i32::try_from(moment.0.rem_euclid(1_000_000) * 1_000).unwrap(),
    });
    pb::Scope { as_of_position: scope.as_of.0, known_at }
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(Manual::at(START));
        let config = LogConfig::at(directory.path());
        let log = Log::open(&config, Arc::clone(&clock) as _, Arc::clone(&clock) as _, &|_| {}).unwrap().0;
        let log = Arc::new(log);
        let (sender, phase) = tokio::sync::watch::channel(Phase::Serving(Arc::clone(&log)));
        let ids = Arc::clone(&clock) as _;
        let context = Context::new(phase, ids, Limits::default(), CancellationToken::new(), START);
        let mut generator = Generator::new(seed);
        generator.focus = Some(4);
        Self {
            _directory: directory,
            now: START,
            clock,
            log,
            service: Provenance(context),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            model: Model::default(),
            generator,
            seen: BTreeMap::new(),
            _phase: sender,
        }
    }

    fn see(&mut self, outcome: &'static str, count: usize) {
        if count > 0 {
            *self.seen.entry(outcome).or_insert(0) += u64::try_from(count).unwrap();
        }
    }

    fn append(&mut self) {
        self.now = self.now.plus_micros(self.generator.rng.within(0, 3_600_000_000));
        self.clock.set(self.now);
        let events = self.generator.events(&self.model, self.now);
        let events: Vec<Proposed> = events.into_iter().map(|proposed| self.resting(proposed)).collect();
        let drafts: Vec<Draft> = events.iter().map(|proposed| proposed.draft.clone()).collect();
        let request = request_of(&self.log, &events, &[]);
        let expected = self.model.append(&drafts, &[], self.now);
        let outcome = self.runtime.block_on(self.log.append(request));
        assert_outcome(outcome, &expected);
    }

    /// Makes an event rest on others, and its sources support only parts of it.
    fn resting(&mut self, proposed: Proposed) -> Proposed {
        let rng = &mut self.generator.rng;
        let mut event = proposed.draft.event.clone();
        for source in &mut event.sources {
            source.supports = (0..rng.below(3)).map(|_| rng.word(SUPPORTS)).collect();
        }
        if !self.model.events.is_empty() && rng.chance(60) {
            let recent = self.model.events.len().saturating_sub(12);
            let target = rng.pick(&self.model.events[recent..]).id.to_string();
            let link =
                pb::Link { r#type: *rng.pick(&[20, 21, 21, 22, 24]), event_id: target, ..Default::default() };
            match &mut event.payload {
                Some(Payload::Statement(statement)) if rng.chance(40) => {
                    statement.claims.push(pb::Claim { about: vec![link], ..pb::Claim::default() });
                }
                _ => event.links.push(link),
            }
        }
        propose(event, self.now).unwrap_or(proposed)
    }

    fn ask_lineage(&mut self) {
        if self.model.events.is_empty() {
            return;
        }
        let scope = self.generator.scope(&self.model);
        let rng = &mut self.generator.rng;
        let root = rng.pick(&self.model.events).clone();
        let request = pb::GetLineageRequest {
            event_id: root.id.to_string(),
            field: rng.word(FIELDS),
            link_types: if rng.chance(70) { Vec::new() } else { vec![*rng.pick(&[1, 3, 10, 21, 24]), 21] },
            depth: rng.chance(50).then(|| i32::try_from(rng.below(4)).unwrap()),
            scope: Some(wire(scope)),
        };
        if scope.as_of.0 == 0 {
            return;
        }
        let found = self.runtime.block_on(self.service.get_lineage(Request::new(request.clone())));
        if root.position > scope.as_of || root.known_at > scope.known_at {
            assert_eq!(found.unwrap_err().code(), tonic::Code::NotFound);
            self.see("not found", 1);
            return;
        }
        let found = found.unwrap().into_inner();
        let follow =
            if request.link_types.is_empty() { vec![1, 2, 20, 21, 22] } else { request.link_types.clone() };
        let asked = (follow.as_slice(), request.depth.unwrap_or(10));
        let (nodes, links, truncated) = self.model.lineage(&root, &request.field, asked, scope);
        let given = found.nodes.iter().map(|node| Node {
            id: node.event.as_ref().unwrap().id.clone(),
            status: node.status(),
            distance: node.distance,
            source_indexes: node.source_indexes.clone(),
            replaced_by: node.replaced_by.clone(),
        });
        assert_eq!(given.collect::<Vec<_>>(), nodes, "{request:?}");
        assert_eq!(found.links, links, "{request:?}");
        assert_eq!(found.truncated, truncated, "{request:?}");
        self.see("three nodes", usize::from(nodes.len() > 2));
        self.see("truncated", usize::from(truncated));
        self.see("node replaced", nodes.iter().filter(|node| !node.replaced_by.is_empty()).count());
        let withdrawn = nodes.iter().filter(|node| node.status == pb::entry::Status::Retracted);
        self.see("node withdrawn", withdrawn.filter(|node| node.replaced_by.is_empty()).count());
        let sources = nodes.first().map_or(0, |node| node.source_indexes.len());
        self.see("source left out", usize::from(sources < root.event.sources.len()));
        self.see("link not resolved", links.iter().filter(|link| !link.resolved).count());
        self.see("link of a claim", links.iter().filter(|link| link.field.starts_with("statement")).count());
    }

    fn ask_dependents(&mut self) {
        let scope = self.generator.scope(&self.model);
        if scope.as_of.0 == 0 {
            return;
        }
        let filter = self.generator.filter(&self.model);
        let rng = &mut self.generator.rng;
        let mut request = pb::ListDependentsRequest {
            link_types: if rng.chance(70) { Vec::new() } else { vec![*rng.pick(&[1, 2, 10, 21, 24]), 21] },
            depth: rng.chance(30).then(|| i32::try_from(rng.below(4)).unwrap()),
            filter: rng.chance(20).then_some(filter),
            include_closed: rng.chance(40),
            scope: Some(wire(scope)),
            page_size: i32::try_from(rng.within(1, 7)).unwrap(),
            ..pb::ListDependentsRequest::default()
        };
        let usable = |event: &&crate::model::Recorded| {
            event.position <= scope.as_of && event.known_at <= scope.known_at
        };
        let roots: Vec<_> = self.model.events.iter().filter(usable).collect();
        match rng.below(6) {
            0 => request.source_id = rng.word(&["source:a", "source:b", "source:c", "source:d"]),
            1 => request.publisher_id = rng.word(&["org:unhcr", "ONS"]),
            2 => request.attributed_to = rng.word(&["org:guardian", "ONS"]),
            _ if roots.is_empty() => return,
            _ => request.event_id = rng.pick(&roots).id.to_string(),
        }
        let expected = self.model.dependents(&request, scope);
        let mut found = Vec::new();
        loop {
            let asked = self.service.list_dependents(Request::new(request.clone()));
            let page = self.runtime.block_on(asked).unwrap().into_inner();
            found.extend(page.dependents);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            self.see("page followed", 1);
        }
        let given = found.iter().map(|dependent| Dependent {
            id: dependent.event.as_ref().unwrap().id.clone(),
            status: dependent.status(),
            distance: dependent.distance,
            via: dependent.via.clone(),
        });
        assert_eq!(given.collect::<Vec<_>>(), expected, "{request:?}");
        self.see("dependents", expected.len());
        self.see("distance 3", expected.iter().filter(|dependent| dependent.distance > 2).count());
        let closed = expected.iter().filter(|dependent| dependent.status != pb::entry::Status::Current);
        self.see("closed dependent", closed.count());
    }
}
