//! Random releases and questions, every answer of `SeriesService` compared with the model's.

use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::Timestamp;
use annals::index::Scope;
use annals::log::{AppendRequest, Log, LogConfig};
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::google::r#type::Decimal;
use annals::pb::series_service_server::SeriesService as _;
use annals::service::{Context, Phase, Series};
use annals::wire::Limits;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use uuid::Uuid;

use crate::generate::{Rng, propose};
use crate::model::Model;
use crate::model_series::{self as judge, Asked, compare};
use crate::seeds::{Told, number_from};

#[path = "random_claims.rs"]
pub(crate) mod claims;

/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);
const DAY: i64 = 86_400_000_000;
/// Events of one run, and questions asked of it.
const EVENTS: u64 = 60;
const QUESTIONS: u64 = 40;
/// Runs of one test.
const RUNS: u64 = 40;

const STREAMS: &[&str] = &["series/al", "series/al/other", "series/all"];
const FLOWS: &[&str] = &["GB.HO:BOATS(1.0)", "GB.HO:BOATS(1.0)", "ECB:EXR(1.0)"];
const KEYS: &[&str] = &["Q.AL", "Q.AL", "A.AL", "Q.FR", "Q._T", ""];
const PATTERNS: &[&str] = &["Q.*", "*.AL", "*.*", "*", "Q.AL.*"];
const PERIODS: &[&str] = &[
    "2022",
    "2023",
    "2022-33",
    "2022-01/2022-03",
    "2022-34",
    "2022-35",
    "2022-36",
    "2023-33",
    "2023-34",
    "2022-01",
    "2022-02",
    "2022-03",
    "2023-01/2023-06",
    "2023-07/2023-12",
    "2023-01-01/2023-11-29",
    "2022~",
    "2023-33?",
    "2022-03-15",
    "2022/..",
    "[2022-01..2022-03]",
    "2024-02",
    "2024-02-29",
    "2023-02-01/2023-03-01",
];
const ASKED: &[&str] = &[
    "2022",
    "2023",
    "2022-33",
    "2023-33",
    "2022-01/2022-09",
    "2023-01-01/2023-11-29",
    "2022/2023",
    "2024",
    "2022-02",
    "2022-01/2022-06",
    "2023-01/2023-06",
    "2024-02-29",
    "2024-01/2024-02",
    "2022-03-15",
];
const VALUES: &[&str] = &["0", "1", "12.5", "12.50", "100", "150", "151", "-40", "7", "0.001", "200"];

/// `ANNALS_RANDOM_STEPS` asks for that many questions in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_questions_of_series_are_answered_as_the_model_answers_them() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(QUESTIONS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen = Seen::default();
    for seed in first..first + runs {
        let told = Told(seed);
        let mut world = World::new(seed);
        world.fill();
        for _ in 0..QUESTIONS {
            world.ask(&mut seen);
        }
        drop(told);
    }
    // A run that never met a case says nothing about it.
    let Seen { items, pages, variants, holds, sums, conflicts, later, claims, verdicts } = seen;
    for met in [items, pages, variants, holds, sums, conflicts, later, claims, verdicts] {
        assert!(met > 0 || runs < RUNS, "{seen:?}");
    }
}

/// What was met.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    items: usize,
    pages: usize,
    variants: usize,
    holds: usize,
    sums: usize,
    conflicts: usize,
    later: usize,
    claims: usize,
    verdicts: usize,
}

struct World {
    rng: Rng,
    runtime: tokio::runtime::Runtime,
    log: Arc<Log>,
    service: Series,
    model: Model,
    clock: Arc<Manual>,
    now: Timestamp,
    _phase: tokio::sync::watch::Sender<Phase>,
    _directory: tempfile::TempDir,
}

/// Collects the pages of a list; each is of one snapshot, and none is too long.
macro_rules! pages {
    ($world:ident, $seen:ident, $method:ident, $request:expr, $items:ident) => {{
        let mut request = $request;
        request.page_size = i32::try_from($world.rng.within(1, 30)).unwrap();
        let mut all = Vec::new();
        loop {
            let asked = $world.service.$method(Request::new(request.clone()));
            let page = $world.runtime.block_on(asked).unwrap().into_inner();
            assert_eq!(page.snapshot, request.scope.as_ref().unwrap().as_of_position);
            assert!(page.$items.len() <= usize::try_from(request.page_size).unwrap());
            all.extend(page.$items);
            if page.next_page_token.is_empty() {
                break;
            }
            $seen.pages += 1;
            request.page_token = page.next_page_token;
        }
        $seen.items += all.len();
        all
    }};
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
            service: Series(context),
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
        let known = self.rng.within(0, 12) * 30 * DAY;
        let known = judge::moment(Timestamp(START.0 - known)).filter(|_| self.rng.chance(90));
        let mut links = Vec::new();
        if !self.model.events.is_empty() && self.rng.chance(45) {
            let target = self.rng.pick(&self.model.events).id.to_string();
            let r#type = *self.rng.pick(&[1, 2, 2, 3, 3, 4]);
            links.push(pb::Link { r#type, event_id: target, ..pb::Link::default() });
        }
        pb::Event {
            id: Uuid::from_u128(u128::from(self.rng.next()) << 64 | 0x8000_0000_0000_0000 | 7 << 76)
                .to_string(),
            stream: self.text(STREAMS),
            title: "a release".to_owned(),
            known_at: known,
            valid_time: Some(pb::TimeSpan { edtf: "2022".to_owned(), ..pb::TimeSpan::default() }),
            assertion: 1,
            modality: 1,
            tags: if self.rng.chance(30) { vec!["press".to_owned()] } else { Vec::new() },
            links,
            payload: Some(if self.rng.chance(15) {
                self.statement()
            } else {
                Payload::StatisticalRelease(self.release())
            }),
            ..pb::Event::default()
        }
    }

    fn release(&mut self) -> pb::StatisticalRelease {
        let series_key = self.text(KEYS);
        let mut observations: Vec<pb::Observation> = Vec::new();
        let action = *self.rng.pick(&[0, 1, 1, 1, 2, 2, 3]);
        for _ in 0..self.rng.within(1, 7) {
            let observation = self.observation();
            let text = |found: &pb::Observation| found.period.as_ref().unwrap().edtf.clone();
            let same = |other: &pb::Observation| {
                text(other) == text(&observation) && other.dimensions == observation.dimensions
            };
            if !observations.iter().any(same) {
                observations.push(observation);
            }
        }
        let odd =
            |rng: &mut Rng, usual: &str, other: &str| if rng.chance(92) { usual } else { other }.to_owned();
        let dimensions =
            if self.rng.chance(50) { vec![("AREA".to_owned(), self.text(&["AL", "FR"]))] } else { vec![] };
        let other = Rng::new(self.model.head().0).word(&["PERCENT", "INDEX", "GBP"]);
        pb::StatisticalRelease {
            dataflow: self.text(FLOWS),
            frequency: series_key.split('.').next().unwrap().to_owned(),
            series_key,
            dimensions: dimensions.into_iter().collect(),
            indicator: self.text(&["", "Arrivals", "People"]),
            unit: odd(&mut self.rng, "PERSONS", &other),
            unit_multiplier: if self.rng.chance(85) {
                0
            } else {
                i32::try_from(self.rng.within(-3, 6)).unwrap()
            },
            base_period: odd(&mut self.rng, "", "2015"),
            vintage: self.text(&["", "first", "second"]),
            revision: u32::try_from(self.rng.below(3)).unwrap(),
            action,
            observations,
            comparisons: (0..self.rng.below(3)).map(|_| self.stated_comparison()).collect(),
            ..pb::StatisticalRelease::default()
        }
    }

    fn observation(&mut self) -> pb::Observation {
        let status = self.text(&["", "A", "A", "A", "P", "E", "B", "M"]);
        let value = (status != "M").then(|| Decimal { value: self.text(VALUES) });
        let mut dimensions = judge::Dimensions::new();
        if self.rng.chance(25) {
            dimensions.insert("SEX".to_owned(), self.text(&["F", "M", "_T"]));
        }
        let shape = if self.rng.chance(92) { 2 } else { 1 };
        pb::Observation {
            period: Some(pb::TimeSpan { edtf: self.text(PERIODS), shape, ..pb::TimeSpan::default() }),
            value,
            obs_status: status,
            qualifier: if self.rng.chance(90) { 0 } else { i32::try_from(self.rng.within(1, 8)).unwrap() },
            cumulative: self.rng.chance(5),
            partial_period: self.rng.chance(5),
            dimensions,
            ..pb::Observation::default()
        }
    }

    fn selector(&mut self) -> pb::SeriesSelector {
        let mut asked = pb::SeriesSelector::default();
        match self.rng.below(6) {
            0 => {}
            1 => asked.series_key = self.text(PATTERNS),
            2 => asked.stream = self.text(STREAMS),
            _ => {
                asked.dataflow = self.text(FLOWS);
                asked.series_key = self.text(KEYS);
            }
        }
        if self.rng.chance(15) {
            asked.dimensions.insert("SEX".to_owned(), self.text(&["F", "_T"]));
        }
        if self.rng.chance(10) {
            asked.dimensions.insert("AREA".to_owned(), self.text(&["AL", "FR"]));
        }
        asked
    }

    fn scope(&mut self) -> Scope {
        let head = self.model.head();
        let as_of = if self.rng.chance(50) { head.0 } else { self.rng.below(head.0) + 1 };
        let known_at = if self.rng.chance(40) {
            Timestamp::MAX
        } else {
            Timestamp(START.0 - self.rng.within(0, 12) * 30 * DAY)
        };
        Scope { as_of: annals::domain::Position(as_of), known_at }
    }

    fn asked(&mut self) -> Asked {
        let mut filter = pb::Filter::default();
        if self.rng.chance(15) {
            filter.tags.push("press".to_owned());
        }
        Asked { series: self.selector(), filter, scope: self.scope() }
    }

    fn window(&mut self) -> (String, String) {
        match self.rng.below(4) {
            0 => ("2022-02".to_owned(), "2023".to_owned()),
            1 => (String::new(), self.text(&["2022-02", "2023-01-02"])),
            2 => (self.text(&["2022-03-16", "2023"]), String::new()),
            _ => (String::new(), String::new()),
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a question")]
    fn ask(&mut self, seen: &mut Seen) {
        let asked = self.asked();
        let wire = |scope: Scope| {
            let known_at = (scope.known_at != Timestamp::MAX).then(|| judge::moment(scope.known_at).unwrap());
            Some(pb::Scope { as_of_position: scope.as_of.0, known_at })
        };
        let (series, filter, scope) =
            (Some(asked.series.clone()), Some(asked.filter.clone()), wire(asked.scope));
        let (from, to) = self.window();
        match self.rng.below(9) {
            0 => {
                let request =
                    pb::ListSeriesRequest { series, filter, scope, ..pb::ListSeriesRequest::default() };
                let mut found = pages!(self, seen, list_series, request, series);
                found.iter_mut().for_each(|series| series.caveats.clear());
                assert_eq!(found, judge::headers(&self.model, &asked), "{asked:?}");
            }
            1 | 2 => {
                let [include_withdrawn, provisional_only, conflicts_only] =
                    [50, 20, 20].map(|percent| self.rng.chance(percent));
                let request = pb::GetSeriesRequest {
                    series,
                    filter,
                    scope,
                    from,
                    to,
                    include_withdrawn,
                    provisional_only,
                    conflicts_only,
                    ..pb::GetSeriesRequest::default()
                };
                let found = pages!(self, seen, get_series, request.clone(), values);
                let found: Vec<pb::SeriesValue> = found.into_iter().map(judge::without_texts).collect();
                let met = |code: i32| {
                    found.iter().flat_map(|value| &value.caveats).filter(|c| c.code == code).count()
                };
                seen.later += met(2);
                seen.conflicts += met(3);
                assert_eq!(found, judge::values(&self.model, &asked, &request), "{asked:?} {request:?}");
            }
            3 => {
                let [changes_only, revised_only] = [50, 30].map(|percent| self.rng.chance(percent));
                let request = pb::ListVintagesRequest {
                    series,
                    filter,
                    scope,
                    from,
                    to,
                    changes_only,
                    revised_only,
                    ..pb::ListVintagesRequest::default()
                };
                let found = pages!(self, seen, list_vintages, request.clone(), cells);
                assert_eq!(found, judge::triangle(&self.model, &asked, &request), "{asked:?} {request:?}");
            }
            4 => {
                let request = pb::CountRevisionsRequest {
                    series,
                    filter,
                    scope,
                    ..pb::CountRevisionsRequest::default()
                };
                let found = pages!(self, seen, count_revisions, request, rounds);
                assert_eq!(found, judge::rounds(&self.model, &asked), "{asked:?}");
            }
            5 => {
                let (absent_is_zero, first_published) = (self.rng.chance(40), self.rng.chance(30));
                let period = self.text(ASKED);
                let request = pb::GetPeriodValueRequest {
                    series,
                    filter,
                    scope,
                    absent_is_zero,
                    first_published,
                    period: period.clone(),
                };
                let found = self.runtime.block_on(self.service.get_period_value(Request::new(request)));
                let found = found.unwrap().into_inner().value.unwrap();
                seen.sums += usize::from(found.basis > 1);
                let tables = judge::tables(&self.model, &asked);
                let days = compare::days_of(&period);
                let expected = compare::period_value(&tables, &period, days, absent_is_zero, first_published);
                assert_eq!(found, expected.wire, "{asked:?} {period}");
            }
            6 => self.check(asked, seen, scope),
            _ => self.compare(asked, seen, (series, filter, scope)),
        }
    }

    fn compare(
        &mut self,
        asked: Asked,
        seen: &mut Seen,
        (series, filter, scope): (Option<pb::SeriesSelector>, Option<pb::Filter>, Option<pb::Scope>),
    ) {
        let mut base = asked.clone();
        let (mut base_series, mut base_scope) = (None, None);
        if self.rng.chance(40) {
            base.series = self.selector();
            base_series = Some(base.series.clone());
        }
        if self.rng.chance(30) {
            base.scope.known_at = Timestamp(START.0 - self.rng.within(0, 12) * 30 * DAY);
            let known_at = judge::moment(base.scope.known_at);
            base_scope = Some(pb::Scope { as_of_position: 0, known_at });
        }
        let stated = self
            .rng
            .chance(60)
            .then(|| Decimal { value: self.text(&["-93", "-90", "50", "0", "12.5", "-100"]) });
        let request = pb::ComparePeriodsRequest {
            series,
            base_series,
            filter,
            scope,
            base_scope,
            stated,
            base_period: self.text(ASKED),
            period: self.text(ASKED),
            absent_is_zero: self.rng.chance(30),
            measure: i32::try_from(self.rng.below(7)).unwrap(),
            stated_qualifier: i32::try_from(self.rng.below(9)).unwrap(),
        };
        let found = self.runtime.block_on(self.service.compare_periods(Request::new(request.clone())));
        let found = found.unwrap().into_inner().comparison.unwrap();
        seen.variants += found.variants.iter().filter(|variant| variant.basis > 2).count();
        seen.holds += found.variants.iter().filter(|variant| variant.verdict == 1).count();
        let sides = compare::Sides::of(&self.model, &base, &asked);
        assert_eq!(found, compare::compare(&sides, &request), "{asked:?} {request:?}");
    }
}
