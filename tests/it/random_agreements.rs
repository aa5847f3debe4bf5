//! Random acts and questions: the possible statuses of agreements compared with those of every possible world.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::{Day, Position, Timestamp};
use annals::index::Scope;
use annals::log::{AppendRequest, Log, LogConfig};
use annals::pb;
use annals::pb::agreement_state::{Certainty, DateBasis, Status};
use annals::pb::event::Payload;
use annals::service::{Agreements, Context, Phase};
use annals::wire::Limits;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

#[path = "random_agreements_listed.rs"]
mod listed;

use crate::generate::{Rng, propose};
use crate::model::Model;
use crate::seeds::{Told, number_from};

/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);
const DAY: i64 = 86_400_000_000;
/// Events of one run: few enough for every world of a stream.
const EVENTS: u64 = 24;
/// Questions of one run.
const QUESTIONS: u64 = 60;
/// Runs of one test.
const RUNS: u64 = 40;

const STREAMS: &[&str] = &["agreement/a", "agreement/b", "agreement/c", "note/d"];
/// What acts say of which agreement they are: one spells a stream.
const IDS: &[&str] = &["agreement:x", "agreement:x", "agreement:x", "agreement:y", "agreement:b"];
const PARTIES: &[&str] = &["country:GB", "country:AL", "country:FR"];
const TIMES: &[&str] = &[
    "2019",
    "2020-05",
    "2020-06-15",
    "2021-01-01",
    "2021~",
    "2022?",
    "2022-03-01/2022-09-30",
    "2023-07-01",
    "../2019",
];
const ASKED: &[&str] = &[
    "2018-01-01",
    "2019-06-01",
    "2020-05-15",
    "2020-06-15",
    "2021-01-01",
    "2021-06-30",
    "2022-05-01",
    "2023-07-01",
    "2024-01-01",
];

/// `ANNALS_RANDOM_STEPS` asks for that many questions in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_agreements_have_the_statuses_of_every_possible_world() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(QUESTIONS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen: BTreeMap<Status, usize> = BTreeMap::new();
    for seed in first..first + runs {
        let told = Told(seed);
        let mut world = World::new(seed);
        world.fill();
        for _ in 0..QUESTIONS {
            world.ask_one(&mut seen);
            world.ask_all();
            world.ask_list();
            world.ask_by_id();
        }
        drop(told);
    }
    // A status that never came up was never compared.
    assert!(seen.len() >= 17 || runs < RUNS, "{seen:?}");
}

struct World {
    rng: Rng,
    /// Whether acts state terms.
    terms: bool,
    runtime: tokio::runtime::Runtime,
    log: Arc<Log>,
    service: Agreements,
    model: Model,
    clock: Arc<Manual>,
    now: Timestamp,
    _phase: tokio::sync::watch::Sender<Phase>,
    _directory: tempfile::TempDir,
}

fn date(text: &str) -> pb::google::r#type::Date {
    let parts: Vec<i32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    pb::google::r#type::Date { year: parts[0], month: parts[1], day: parts[2] }
}

fn number(text: &str) -> i32 {
    let date = date(text);
    let (month, day) = (u32::try_from(date.month).unwrap(), u32::try_from(date.day).unwrap());
    Day::from_civil(date.year, month, day).unwrap().number()
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
        Self {
            rng: Rng::new(seed),
            terms: seed.is_multiple_of(3),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            log,
            service: Agreements(context),
            model: Model::default(),
            clock,
            now: START,
            _phase: sender,
            _directory: directory,
        }
    }

    fn fill(&mut self) {
        for _ in 0..EVENTS {
            self.now = self.now.plus_micros(self.rng.within(1, 1_000_000));
            self.clock.set(self.now);
            let event = self.event();
            let Some(proposed) = propose(event, self.now) else { continue };
            let prepared = proposed.prepared.clone();
            let events = vec![self.log.propose(prepared.facts, prepared.content, prepared.caveats)];
            let request = AppendRequest { events, conditions: Vec::new(), recorded_by: "test".to_owned() };
            let found = self.runtime.block_on(self.log.append(request));
            let expected = self.model.append(&[proposed.draft], &[], self.now);
            assert_eq!(found.is_ok(), expected.is_ok(), "{found:?} {expected:?}");
        }
    }

    fn text(&mut self, from: &[&str]) -> String {
        (*self.rng.pick(from)).to_owned()
    }

    fn event(&mut self) -> pb::Event {
        let known = Timestamp(START.0 - self.rng.within(0, 12) * 30 * DAY);
        let known = prost_types::Timestamp { seconds: known.0 / 1_000_000, nanos: 0 };
        let mut links = Vec::new();
        if !self.model.events.is_empty() && self.rng.chance(40) {
            let r#type = *self.rng.pick(&[1, 2, 3, 4, 10, 11, 11, 12, 12, 13, 15, 16]);
            let mut link = pb::Link { r#type, ..pb::Link::default() };
            if r#type >= 10 && self.rng.chance(50) {
                link.stream = self.text(STREAMS);
            } else {
                link.event_id = self.rng.pick(&self.model.events).id.to_string();
            }
            links.push(link);
        }
        let participants = if self.rng.chance(60) {
            let count = self.rng.within(1, 3);
            (0..count).map(|_| self.party()).collect()
        } else {
            Vec::new()
        };
        // Recorded, claimed, disputed: who says so must be told of all but the first.
        let assertion = *self.rng.pick(&[1, 1, 1, 1, 1, 1, 1, 3, 4]);
        let source = pb::Source { id: "src:a".to_owned(), ..pb::Source::default() };
        let sources = if assertion == 1 { Vec::new() } else { vec![source] };
        let stream = self.text(STREAMS);
        let payload = if stream.starts_with("note/") {
            let custom = pb::CustomPayload { r#type: "org.example.note.v1".to_owned(), ..Default::default() };
            Payload::Custom(custom)
        } else {
            Payload::Agreement(self.act())
        };
        pb::Event {
            id: Uuid::from_u128(u128::from(self.rng.next()) << 64 | 0x8000_0000_0000_0000 | 7 << 76)
                .to_string(),
            stream,
            title: "an act".to_owned(),
            known_at: self.rng.chance(90).then_some(known),
            valid_time: Some(pb::TimeSpan { edtf: self.text(TIMES), ..pb::TimeSpan::default() }),
            assertion,
            sources,
            modality: *self.rng.pick(&[1, 1, 1, 1, 1, 1, 0, 2, 3, 4, 5]),
            participants,
            links,
            payload: Some(payload),
            ..pb::Event::default()
        }
    }

    fn party(&mut self) -> pb::Participant {
        let (entity, behalf) = (self.entity(), self.rng.chance(15).then(|| self.entity()));
        pb::Participant {
            entity: Some(entity),
            role: *self.rng.pick(&[1, 1, 2, 2, 20]),
            on_behalf_of: behalf,
            ..Default::default()
        }
    }

    /// Names a country by its id or its name, or a person by the same name.
    fn entity(&mut self) -> pb::EntityRef {
        let (country, person) = (pb::EntityType::Country, pb::EntityType::Person);
        let r#type = i32::from(*self.rng.pick(&[country, country, country, person]));
        let named = self.rng.chance(20);
        let (id, name) = if named {
            (String::new(), self.text(&["Ruritania", "Albania"]))
        } else {
            (self.text(PARTIES), String::new())
        };
        pb::EntityRef { id, name, r#type, ..pb::EntityRef::default() }
    }

    fn act(&mut self) -> pb::Agreement {
        let party = self.rng.chance(40).then(|| self.party().entity.unwrap());
        let ends: &[&str] = &["2020-12-31", "2021-12-31", "2030-12-31"];
        let effective: &[&str] = &["2020-01-01", "2021-06-30", "2023-01-01"];
        let expires = self.terms && self.rng.chance(30);
        pb::Agreement {
            agreement_id: self.text(IDS),
            retroactive: self.rng.chance(5),
            action: i32::try_from(self.rng.within(1, 29)).unwrap(),
            acting_party: party,
            effective_on: self.rng.chance(25).then(|| date(&self.text(effective))),
            expires_on: expires.then(|| date(&self.text(ends))),
            ..pb::Agreement::default()
        }
    }

    fn scope(&mut self) -> Scope {
        let head = self.model.head();
        let as_of = if self.rng.chance(60) { head.0 } else { self.rng.below(head.0) + 1 };
        let known = Timestamp(START.0 - self.rng.within(0, 12) * 30 * DAY);
        let known_at = if self.rng.chance(60) { Timestamp::MAX } else { known };
        Scope { as_of: Position(as_of), known_at }
    }

    fn basis(&mut self) -> DateBasis {
        *self.rng.pick(&[DateBasis::ActDate, DateBasis::EffectiveDate])
    }

    /// One term makes what follows from it depend on the same act: then only what is possible is held to be said.
    fn has_terms(&self) -> bool {
        self.model.events.iter().any(|event| match &event.event.payload {
            Some(Payload::Agreement(agreement)) => agreement.expires_on.is_some(),
            _ => false,
        })
    }

    fn ask_one(&mut self, seen: &mut BTreeMap<Status, usize>) {
        let (stream, on) = (self.text(STREAMS), self.text(ASKED));
        let (scope, basis) = (self.scope(), self.basis());
        let found = self.state(&stream, (&on, basis, scope));
        let expected = self.model.possible_statuses(&stream, number(&on), basis, scope);
        let Some(expected) = expected else {
            assert_eq!(found.unwrap_err().code(), tonic::Code::NotFound);
            return;
        };
        let state = found.unwrap();
        let possible: Vec<Status> = state.possible_statuses().collect();
        if self.has_terms() {
            let missing: Vec<&Status> = expected.iter().filter(|status| !possible.contains(status)).collect();
            assert!(
                missing.is_empty(),
                "{missing:?} of {expected:?} not in {possible:?}: {stream} {on} {basis:?}"
            );
        } else {
            assert_eq!(possible, expected, "{stream} {on} {basis:?} {scope:?}");
            for status in &possible {
                *seen.entry(*status).or_default() += 1;
            }
        }
        self.anomalies_are_the_models(&state, number(&on), basis, scope);
        assert_eq!(state.status(), possible[0]);
        let certain = if possible.len() == 1 { Certainty::Certain } else { Certainty::Possible };
        assert_eq!(state.certainty(), certain);
        if state.status() == Status::Expired {
            *seen.entry(Status::Expired).or_default() += 1;
        }
    }

    fn ask_all(&mut self) {
        let (on, scope, basis) = (self.text(ASKED), self.scope(), self.basis());
        if self.has_terms() {
            return;
        }
        let wanted = Status::try_from(i32::try_from(self.rng.within(1, 17)).unwrap()).unwrap();
        let mut expected = Vec::new();
        for stream in STREAMS {
            let possible = self.model.possible_statuses(stream, number(&on), basis, scope);
            if possible.is_some_and(|possible| possible.contains(&wanted)) {
                expected.push((*stream).to_owned());
            }
        }
        let request = pb::ListAgreementsRequest {
            on,
            statuses: vec![wanted.into()],
            scope: Some(wire(scope)),
            date_basis: basis.into(),
            page_size: i32::try_from(self.rng.within(1, 3)).unwrap(),
            ..pb::ListAgreementsRequest::default()
        };
        let (found, counts) = self.pages(request);
        assert_eq!(counts.total_count, i64::try_from(expected.len()).unwrap());
        let found: Vec<String> = found.into_iter().map(|state| state.stream).collect();
        assert_eq!(found, expected, "{wanted:?} {basis:?} {scope:?}");
    }
}

fn wire(scope: Scope) -> pb::Scope {
    let known_at = (scope.known_at != Timestamp::MAX)
        .then_some(prost_types::Timestamp { seconds: scope.known_at.0 / 1_000_000, nanos: 0 });
    pb::Scope { as_of_position: scope.as_of.0, known_at }
}
