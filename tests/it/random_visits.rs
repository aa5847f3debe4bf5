//! Random visits and questions: every answer compared with the model's.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::{Day, Position, Timestamp};
use annals::index::Scope;
use annals::log::{Log, LogConfig};
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::visit_service_server::VisitService as _;
use annals::service::{Context, Phase, Visits};
use annals::wire::Limits;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use uuid::Uuid;

use crate::generate::{Rng, propose};
use crate::model::Model;
use crate::model::timeline::Between;
use crate::model::visit::written;
use crate::random::compare::{assert_outcome, request_of};
use crate::seeds::{Told, number_from};

/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);
const DAY: i64 = 86_400_000_000;
/// Events of one run.
const EVENTS: u64 = 40;
/// Rounds of questions of one run.
const ROUNDS: u64 = 40;
/// Runs of one test.
const RUNS: u64 = 30;

const STREAMS: &[&str] = &["visit/a", "visit/b", "visit/c", "visit/d", "note/e"];
const IDS: &[&str] = &["visit:a", "visit:b", "visit:x", ""];
const PEOPLE: &[&str] = &["person:a", "person:b", "person:c", "country:GB", "Nameless"];
const OFFICES: &[&str] = &["", "", "Foreign Secretary", "PRIME Minister", "Minister"];
const COUNTRIES: &[&str] = &["", "GB", "AL", "XK"];
const PLACES: &[&str] = &["", "Tirana", "TIRANA", "Tiranë", "London"];
const TIMES: &[&str] = &[
    "2022-05-01",
    "2022-05-01",
    "2022-05-01/2022-05-03",
    "2022-05-02?",
    "2022-05",
    "2022-05~",
    "2022",
    "2022-05-03/..",
    "../2022-05-02",
    "[2022-05-01,2022-05-03]",
    "2023-01-01",
];
const ASKED: &[&str] = &["2022-05-01", "2022-05-02", "2022-05-04", "2022-06-01", "2023-01-02", "2024-01-01"];

/// `ANNALS_RANDOM_STEPS` asks for that many rounds in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_visits_are_what_the_model_says() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(ROUNDS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in first..first + runs {
        let told = Told(seed);
        let mut world = World::new(seed);
        for _ in 0..EVENTS {
            world.append();
        }
        for _ in 0..ROUNDS {
            world.ask_one();
            world.ask_all();
            world.ask_met();
        }
        drop(told);
        for (outcome, count) in world.seen {
            *seen.entry(outcome).or_default() += count;
        }
    }
    eprintln!("compared: {seen:?}");
    // A run that never met something says nothing about it.
    for outcome in OUTCOMES {
        assert!(seen.contains_key(*outcome) || runs < RUNS, "{outcome} is not among {seen:?}");
    }
}

const OUTCOMES: &[&str] = &[
    "none stands",
    "found by identifier",
    "cancelled from elsewhere",
    "confirmed",
    "moved",
    "SEQUENCE_NOT_INCREASING",
    "OVERDUE",
    "DUPLICATE_SUSPECT",
    "STOP_OUTSIDE",
    "visits",
    "may",
    "page followed",
    "meetings",
];

struct World {
    rng: Rng,
    runtime: tokio::runtime::Runtime,
    log: Arc<Log>,
    service: Visits,
    model: Model,
    clock: Arc<Manual>,
    now: Timestamp,
    seen: BTreeMap<&'static str, usize>,
    _phase: tokio::sync::watch::Sender<Phase>,
    _directory: tempfile::TempDir,
}

fn span(edtf: &str) -> pb::TimeSpan {
    pb::TimeSpan { edtf: edtf.to_owned(), ..pb::TimeSpan::default() }
}

fn day(text: &str) -> Day {
    let parts: Vec<u32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    Day::from_civil(parts[0].try_into().unwrap(), parts[1], parts[2]).unwrap()
}

fn wire(scope: Scope) -> pb::Scope {
    let known_at = (scope.known_at != Timestamp::MAX)
        .then_some(prost_types::Timestamp { seconds: scope.known_at.0 / 1_000_000, nanos: 0 });
    pb::Scope { as_of_position: scope.as_of.0, known_at }
}

/// Takes from a visit what the model does not say.
fn bare(mut visit: pb::VisitState) -> pb::VisitState {
    visit.valid_time = written(visit.valid_time.as_ref());
    visit.sources.clear();
    for stop in &mut visit.itinerary {
        stop.when = written(stop.when.as_ref());
    }
    for meeting in &mut visit.meetings {
        meeting.when = written(meeting.when.as_ref());
    }
    for caveat in &mut visit.caveats {
        assert!(!std::mem::take(&mut caveat.text).is_empty());
    }
    visit
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
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            log,
            service: Visits(context),
            model: Model::default(),
            clock,
            now: START,
            seen: BTreeMap::new(),
            _phase: sender,
            _directory: directory,
        }
    }

    fn see(&mut self, outcome: &'static str, count: usize) {
        if count > 0 {
            *self.seen.entry(outcome).or_default() += count;
        }
    }

    fn append(&mut self) {
        self.now = self.now.plus_micros(self.rng.within(1, 1_000_000));
        self.clock.set(self.now);
        let event = self.event();
        let Some(proposed) = propose(event, self.now) else { return };
        let request = request_of(&self.log, std::slice::from_ref(&proposed), &[]);
        let expected = self.model.append(&[proposed.draft], &[], self.now);
        let outcome = self.runtime.block_on(self.log.append(request));
        assert_outcome(outcome, &expected);
    }

    fn event(&mut self) -> pb::Event {
        let stream = self.rng.word(STREAMS);
        let mut links = Vec::new();
        if !self.model.events.is_empty() && self.rng.chance(45) {
            let r#type = *self.rng.pick(&[1, 2, 3, 3, 4, 15, 16, 16, 16, 24, 24, 26]);
            let mut link = pb::Link { r#type, ..pb::Link::default() };
            if r#type >= 10 && self.rng.chance(50) {
                link.stream = self.rng.word(STREAMS);
            } else {
                link.event_id = self.rng.pick(&self.model.events).id.to_string();
            }
            links.push(link);
        }
        let is_note = stream.starts_with("note/") && self.rng.chance(90);
        let payload = if is_note {
            let custom = pb::CustomPayload { r#type: "org.example.note.v1".to_owned(), ..Default::default() };
            Payload::Custom(custom)
        } else {
            Payload::Visit(self.visit())
        };
        let known = START.0 - self.rng.within(0, 12) * 30 * DAY;
        pb::Event {
            id: Uuid::from_u128(u128::from(self.rng.next()) << 64 | 0x8000_0000_0000_0000 | 7 << 76)
                .to_string(),
            stream,
            title: "a state".to_owned(),
            known_at: self
                .rng
                .chance(90)
                .then_some(prost_types::Timestamp { seconds: known / 1_000_000, nanos: 0 }),
            valid_time: Some(span(&self.rng.word(TIMES))),
            assertion: 1,
            modality: *self.rng.pick(&[0, 1, 1, 1, 2, 2, 3, 4, 5]),
            participants: if is_note { Vec::new() } else { self.participants() },
            places: (0..self.rng.below(3)).map(|_| self.place()).collect(),
            tags: vec![self.rng.word(&["x", "y"])],
            links,
            payload: Some(payload),
            ..pb::Event::default()
        }
    }

    fn participant(&mut self, role: i32) -> pb::Participant {
        let word = self.rng.word(PEOPLE);
        let (id, name) = if word.contains(':') { (word, String::new()) } else { (String::new(), word) };
        let country = self.rng.word(COUNTRIES);
        let entity =
            pb::EntityRef { id, name, country, r#type: *self.rng.pick(&[0, 1, 1]), ..Default::default() };
        let state = pb::EntityRef {
            id: self.rng.word(PEOPLE),
            country: self.rng.word(COUNTRIES),
            ..Default::default()
        };
        pb::Participant {
            entity: Some(entity),
            role,
            capacity: self.rng.word(OFFICES),
            on_behalf_of: self.rng.chance(30).then_some(state),
            ..pb::Participant::default()
        }
    }

    fn participants(&mut self) -> Vec<pb::Participant> {
        let mut found: Vec<pb::Participant> = vec![self.participant(8), self.participant(9)];
        for _ in 0..self.rng.below(4) {
            let role = *self.rng.pick(&[8, 9, 10, 10, 11, 12]);
            let more = self.participant(role);
            let key = |found: &pb::Participant| {
                let entity = found.entity.clone().unwrap();
                (entity.id, entity.name, found.role)
            };
            if found.iter().all(|found| key(found) != key(&more)) {
                found.push(more);
            }
        }
        found
    }

    fn place(&mut self) -> pb::Place {
        let id = pb::ExternalId { scheme: "geonames".to_owned(), value: "1".to_owned() };
        pb::Place {
            name: self.rng.word(PLACES),
            country: self.rng.word(COUNTRIES),
            external_ids: if self.rng.chance(20) { vec![id] } else { Vec::new() },
            role: *self.rng.pick(&[0, 1, 3, 3, 3]),
            ..pb::Place::default()
        }
    }

    fn visit(&mut self) -> pb::Visit {
        let stop = |world: &mut Self| pb::visit::Stop {
            place: world.rng.chance(80).then(|| world.place()),
            when: world.rng.chance(60).then(|| span(&world.rng.word(TIMES))),
            activity: world.rng.word(&["", "talks"]),
        };
        let meeting = |world: &mut Self| {
            let mut participants = vec![world.participant(10)];
            if world.rng.chance(40) {
                participants.push(world.participant(9));
            }
            pb::visit::Meeting {
                participants,
                topic: world.rng.word(&["", "aid"]),
                when: world.rng.chance(40).then(|| span(&world.rng.word(TIMES))),
                place: world.rng.chance(40).then(|| world.place()),
            }
        };
        pb::Visit {
            visit_id: self.rng.word(IDS),
            category: i32::try_from(self.rng.below(8)).unwrap(),
            status: *self.rng.pick(&[0, 1, 2, 2, 3, 4, 5, 6]),
            sequence: u32::try_from(self.rng.below(4)).unwrap(),
            stops: (0..self.rng.below(3)).map(|_| stop(self)).collect(),
            meetings: (0..self.rng.below(3)).map(|_| meeting(self)).collect(),
            ..pb::Visit::default()
        }
    }

    fn scope(&mut self) -> Scope {
        let head = self.model.head();
        let as_of = if self.rng.chance(60) { head.0 } else { self.rng.below(head.0) + 1 };
        let known = Timestamp(START.0 - self.rng.within(0, 12) * 30 * DAY);
        let known_at = if self.rng.chance(60) { Timestamp::MAX } else { known };
        Scope { as_of: Position(as_of), known_at }
    }

    fn window(&mut self) -> (Option<pb::ValidWindow>, Option<Between>) {
        if self.rng.chance(60) {
            return (None, None);
        }
        let (from, to, must) =
            (self.rng.word(&["", "2022-05-02"]), self.rng.word(&["", "2022-05-04"]), self.rng.chance(30));
        let bound = |text: &str| (!text.is_empty()).then(|| day(text));
        let between = Between { from: bound(&from), to: bound(&to), must };
        let window = pb::ValidWindow { from, to, r#match: if must { 2 } else { 1 } };
        (Some(window), Some(between))
    }

    fn filter(&mut self) -> Option<pb::Filter> {
        let mut filter = pb::Filter::default();
        match self.rng.below(8) {
            0 => filter.tags = vec!["x".to_owned()],
            1 => filter.visit_statuses = vec![2, 3],
            2 => filter.streams = vec![self.rng.word(STREAMS), self.rng.word(STREAMS)],
            3 => filter.modalities = vec![1, 2],
            _ => return None,
        }
        Some(filter)
    }

    fn some(&mut self, from: &[&str], percent: u64) -> Vec<String> {
        let mut found = Vec::new();
        if self.rng.chance(percent) {
            found.push(self.rng.word(from));
            found.push(self.rng.word(from));
        }
        found.retain(|value| !value.is_empty());
        found
    }

    fn statuses(&mut self) -> Vec<i32> {
        if self.rng.chance(70) { Vec::new() } else { vec![*self.rng.pick(&[1, 2, 3, 4, 5]), 6] }
    }

    fn ask_one(&mut self) {
        let (scope, on) = (self.scope(), self.rng.word(ASKED));
        let mut request = pb::GetVisitRequest {
            on: on.clone(),
            scope: Some(wire(scope)),
            ..pb::GetVisitRequest::default()
        };
        let stream = if self.rng.chance(30) {
            request.visit_id = self.rng.word(&IDS[..3]);
            self.model.visit_stream(&request.visit_id, scope)
        } else {
            request.stream = self.rng.word(STREAMS);
            Some(request.stream.clone())
        };
        let found = self.runtime.block_on(self.service.get_visit(Request::new(request.clone())));
        let expected = stream.and_then(|stream| self.model.visit(&stream, day(&on).number(), scope));
        let Some((expected, changes)) = expected else {
            assert_eq!(found.unwrap_err().code(), tonic::Code::NotFound, "{request:?}");
            return self.see("none stands", 1);
        };
        let mut found = found.unwrap().into_inner();
        assert_eq!(bare(found.visit.unwrap()), expected, "{request:?}");
        for change in &mut found.changes {
            change.valid_time = written(change.valid_time.as_ref());
        }
        assert_eq!(found.changes, changes, "{request:?}");
        assert_eq!((found.change_count, found.snapshot), (changes.len().try_into().unwrap(), scope.as_of.0));
        self.see("found by identifier", usize::from(!request.visit_id.is_empty()));
        self.see("cancelled from elsewhere", expected.cancelled_by.len());
        self.see("confirmed", expected.confirmed_by.len());
        self.see("moved", changes.iter().filter(|change| change.moved).count());
        for caveat in &expected.caveats {
            self.see(caveat.code().as_str_name(), 1);
        }
    }

    fn ask_all(&mut self) {
        let (scope, on, (valid, between)) = (self.scope(), self.rng.word(ASKED), self.window());
        let places = self.some(&["tirana", "LONDON", "TIRANË", "geonames:1"], 15);
        let mut request = pb::ListVisitsRequest {
            filter: self.filter(),
            valid,
            persons: self.some(PEOPLE, 15),
            visitors: self.some(PEOPLE, 15),
            hosts: self.some(PEOPLE, 15),
            offices: self.some(&["minister", "Foreign"], 10),
            countries: self.some(COUNTRIES, 15),
            places,
            statuses: self.statuses(),
            met: self.some(PEOPLE, 15),
            overdue_only: self.rng.chance(15),
            duplicate_suspects_only: self.rng.chance(15),
            on: on.clone(),
            order: *self.rng.pick(&[0, 1, 2]),
            page_size: i32::try_from(self.rng.within(1, 3)).unwrap(),
            page_token: String::new(),
            scope: Some(wire(scope)),
        };
        let expected = self.model.visits(&request, day(&on).number(), between, scope);
        let mut found = Vec::new();
        loop {
            let asked = self.service.list_visits(Request::new(request.clone()));
            let page = self.runtime.block_on(asked).unwrap().into_inner();
            assert_eq!(page.snapshot, scope.as_of.0);
            assert!(page.visits.len() <= usize::try_from(request.page_size).unwrap());
            found.extend(page.visits.into_iter().map(bare));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            self.see("page followed", 1);
        }
        assert_eq!(found, expected, "{request:?}");
        self.see("visits", found.len());
        self.see("may", found.iter().filter(|visit| visit.r#match() == pb::valid_window::Match::May).count());
    }

    fn ask_met(&mut self) {
        let (scope, (valid, between)) = (self.scope(), self.window());
        let mut request = pb::ListMeetingsRequest {
            filter: self.filter(),
            valid,
            visitors: self.some(PEOPLE, 30),
            counterparts: self.some(PEOPLE, 30),
            persons: self.some(PEOPLE, 30),
            statuses: self.statuses(),
            page_size: i32::try_from(self.rng.within(1, 3)).unwrap(),
            page_token: String::new(),
            scope: Some(wire(scope)),
        };
        let expected = self.model.met(&request, between, scope);
        let mut found = Vec::new();
        loop {
            let asked = self.service.list_meetings(Request::new(request.clone()));
            let page = self.runtime.block_on(asked).unwrap().into_inner();
            found.extend(page.meetings);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        for met in &mut found {
            met.valid_time = written(met.valid_time.as_ref());
            let meeting = met.meeting.as_mut().unwrap();
            meeting.when = written(meeting.when.as_ref());
        }
        assert_eq!(found, expected, "{request:?}");
        self.see("meetings", found.len());
    }
}
