//! Random events and corrections, every difference between two random states compared with the model's, and the changes
//! that a watch sends, put together, with the list as of each position.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::{Position, Timestamp};
use annals::index::Scope;
use annals::log::{Log, LogConfig};
use annals::pb;
use annals::pb::timeline_service_server::TimelineService as _;
use annals::service::{Context, Phase, Timeline};
use annals::timeline::{Certainty, Changes, Followed, Order};
use annals::wire::Limits;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::generate::Generator;
use crate::model::diff::{Difference, Side};
use crate::model::timeline::{Between, Question};
use crate::model::{Draft, Model};
use crate::random::compare::{assert_outcome, looked_up, request_of, window_of};
use crate::seeds::{Told, number_from};

/// Requests of one run, each with questions.
const STEPS: u64 = 40;
/// Runs of one test.
const RUNS: u64 = 12;
/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);

/// `ANNALS_RANDOM_STEPS` asks for that many steps in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_states_differ_as_the_model_says() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(STEPS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    for seed in first..first + runs {
        let told = Told(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.append();
            for _ in 0..4 {
                world.compare();
            }
        }
        world.watch(pb::Filter::default());
        for _ in 0..3 {
            let filter = world.generator.filter_with_words(&world.model);
            world.watch(filter);
        }
        drop(told);
        for (outcome, count) in world.seen {
            *seen.entry(outcome).or_insert(0) += count;
        }
    }
    eprintln!("compared: {seen:?}");
    // A run that never met something says nothing about it.
    for outcome in OUTCOMES {
        assert!(seen.get(outcome).is_some_and(|count| *count > 0), "{outcome} is not among {seen:?}");
    }
}

const OUTCOMES: &[&str] = &[
    "comparison",
    "added",
    "changed",
    "withdrawn",
    "cause left",
    "several causes",
    "page followed",
    "words in an earlier state",
    "watched added",
    "watched corrected",
    "watched withdrawn",
];

struct World {
    _directory: tempfile::TempDir,
    now: Timestamp,
    clock: Arc<Manual>,
    log: Arc<Log>,
    service: Timeline,
    runtime: tokio::runtime::Runtime,
    model: Model,
    generator: Generator,
    seen: BTreeMap<&'static str, usize>,
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

/// Writes a window; nothing where a day of it is not written with a year of four digits.
fn window(between: Between) -> Option<pb::ValidWindow> {
    use pb::valid_window::Match;
    let [from, to] =
        [between.from, between.to].map(|day| day.map_or_else(String::new, |day| day.to_string()));
    let plain =
        |day: &str| day.is_empty() || (day.len() == 10 && day.starts_with(|c: char| c.is_ascii_digit()));
    let certainty = if between.must { Match::Must } else { Match::May };
    (plain(&from) && plain(&to)).then_some(pb::ValidWindow { from, to, r#match: certainty.into() })
}

fn order_number(order: Order) -> i32 {
    use pb::list_entries_request::Order as Wire;
    let order = match order {
        Order::ValidStart => Wire::ValidStart,
        Order::ValidStartDescending => Wire::ValidStartDescending,
        Order::KnownAt => Wire::KnownAt,
        Order::KnownAtDescending => Wire::KnownAtDescending,
        Order::Recorded => Wire::Recorded,
        Order::RecordedDescending => Wire::RecordedDescending,
        Order::Relevance => Wire::Relevance,
    };
    order.into()
}

fn side(entry: Option<&pb::Entry>) -> Side {
    let entry = entry?;
    assert_eq!(entry.status(), pb::entry::Status::Current);
    let certain = entry.r#match() == pb::valid_window::Match::Must;
    Some((entry.decoded().unwrap().position, certain, entry.version_count))
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
            service: Timeline(context),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            model: Model::default(),
            generator,
            seen: BTreeMap::new(),
            _phase: sender,
        }
    }

    fn see(&mut self, outcome: &'static str, count: usize) {
        *self.seen.entry(outcome).or_insert(0) += count;
    }

    fn append(&mut self) {
        self.now = self.now.plus_micros(self.generator.rng.within(0, 3_600_000_000));
        self.clock.set(self.now);
        let events = self.generator.events(&self.model, self.now);
        let drafts: Vec<Draft> = events.iter().map(|proposed| proposed.draft.clone()).collect();
        let request = request_of(&self.log, &events, &[]);
        let expected = self.model.append(&drafts, &[], self.now);
        let outcome = self.runtime.block_on(self.log.append(request));
        assert_outcome(outcome, &expected);
    }

    fn compare(&mut self) {
        let scopes = [self.generator.scope(&self.model), self.generator.scope(&self.model)];
        // On the wire position 0 means the head, or that of the other state.
        if scopes.iter().any(|scope| scope.as_of.0 == 0) {
            return;
        }
        let mut asked = self.generator.question(&self.model);
        asked.include_closed = false;
        asked.filter = self.generator.filter_with_words(&self.model);
        let valid = asked.window.and_then(window);
        if valid.is_none() {
            asked.window = None;
        }
        let order = self.generator.order();
        let [one, other] = scopes.map(|scope| Question { scope, ..asked.clone() });
        let expected = self.model.diff(&one, &other, order);
        let mut request = pb::DiffEntriesRequest {
            filter: Some(asked.filter.clone()),
            valid,
            before: Some(wire(one.scope)),
            after: Some(wire(other.scope)),
            order: order_number(order),
            page_size: i32::try_from(self.generator.rng.within(1, 9)).unwrap(),
            page_token: String::new(),
        };
        let mut found = Vec::new();
        loop {
            let page = self.service.diff_entries(Request::new(request.clone()));
            let page = self.runtime.block_on(page).unwrap().into_inner();
            self.assert_counts(&page, &expected, &request);
            assert_eq!([page.before_snapshot, page.snapshot], [one.scope.as_of.0, other.scope.as_of.0]);
            found.extend(page.differences.into_iter().map(|difference| Difference {
                before: side(difference.before.as_ref()),
                after: side(difference.after.as_ref()),
                causes: difference.causes,
                omitted_cause_count: difference.omitted_cause_count,
            }));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            self.see("page followed", 1);
        }
        assert_eq!(found, expected, "{request:?}");
        self.see("comparison", 1);
        let lefts = expected.iter().filter(|difference| difference.causes.iter().any(|cause| cause.left));
        self.see("cause left", lefts.count());
        self.see("several causes", expected.iter().filter(|difference| difference.causes.len() > 1).count());
        let worded = !asked.filter.text.is_empty() && one.scope.as_of > other.scope.as_of;
        self.see("words in an earlier state", if worded { expected.len() } else { 0 });
    }

    fn assert_counts(
        &mut self,
        page: &pb::DiffEntriesResponse,
        expected: &[Difference],
        asked: &pb::DiffEntriesRequest,
    ) {
        let count = |holds: fn(&Difference) -> bool| expected.iter().filter(|found| holds(found)).count();
        let counts = [
            count(|found| found.before.is_none()),
            count(|found| found.before.is_some() && found.after.is_some()),
            count(|found| found.after.is_none()),
        ];
        let given = [page.added_count, page.changed_count, page.withdrawn_count];
        assert_eq!(given.map(|count| usize::try_from(count).unwrap()), counts, "{asked:?}");
        for (outcome, count) in ["added", "changed", "withdrawn"].into_iter().zip(counts) {
            self.see(outcome, count);
        }
        for difference in &page.differences {
            use pb::entry_difference::Change;
            let expected = match (&difference.before, &difference.after) {
                (None, _) => Change::Added,
                (Some(_), Some(_)) => Change::Changed,
                (Some(_), None) => Change::Withdrawn,
            };
            assert_eq!(difference.change(), expected);
        }
    }

    /// Puts changes together from the first position on; at each they are what is listed there.
    fn watch(&mut self, filter: pb::Filter) {
        let head = self.model.head();
        let known_at = self.generator.scope(&self.model).known_at;
        let asked = Question { filter, include_closed: false, ..self.generator.question(&self.model) };
        let log = Arc::clone(&self.log);
        let followed = Followed {
            filter: looked_up(&log, &asked.filter, head),
            window: asked.window.map(window_of),
            known_at,
            histories: BTreeSet::new(),
        };
        let view = log.index().view();
        let mut changes = Changes::new(&view, &followed, head);
        let (mut candidates, mut after) = (BTreeSet::new(), Position(0));
        while after < head {
            let (found, end) = changes.candidates(after, "$none");
            candidates.extend(found);
            after = end;
        }
        let mut held: BTreeMap<Position, Certainty> = BTreeMap::new();
        for position in (1..=head.0).map(Position) {
            let made = if candidates.contains(&position) { changes.at(position) } else { Vec::new() };
            for change in made {
                let outcome = match (change.from, change.to) {
                    (None, Some(_)) => "watched added",
                    (Some(_), Some(_)) => "watched corrected",
                    (Some(_), None) => "watched withdrawn",
                    (None, None) => panic!("a change of nothing"),
                };
                self.see(outcome, 1);
                if let Some(from) = change.from {
                    assert_eq!(held.remove(&from.position), Some(from.certainty), "{position:?}");
                }
                if let Some(to) = change.to {
                    assert_eq!(held.insert(to.position, to.certainty), None, "{position:?}");
                }
            }
            let question = Question { scope: Scope { as_of: position, known_at }, ..asked.clone() };
            let listed = self.model.list(&question, Order::Recorded);
            let listed: BTreeMap<Position, Certainty> =
                listed.into_iter().map(|entry| (entry.position, entry.certainty)).collect();
            assert_eq!(held, listed, "as of {position:?}: {question:?}");
        }
    }
}
