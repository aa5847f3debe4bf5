//! Random transfers on a real log, every sum compared with the model's.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::clock::Manual;
use annals::domain::{Position, StoreId, Timestamp};
use annals::index::Scope;
use annals::log::{Log, LogConfig};
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::funding_caveat::Code;
use annals::pb::summarize_funding_request::Order;
use annals::projection::funding::{compare, list, summarize};
use annals::wire::{Limits, funding};

use crate::generate::{Generator, Proposed, propose};
use crate::model::funding::Asked;
use crate::model::timeline::Between;
use crate::model::{Draft, Model};
use crate::random::compare::{assert_outcome, request_of};
use crate::seeds::{Told, number_from};

/// Requests and questions of one run.
const STEPS: u64 = 150;
/// Runs of one test.
const RUNS: u64 = 12;
/// 2024-06-01T00:00:00Z.
const START: Timestamp = Timestamp(1_717_200_000_000_000);
const PARTIES: &[&str] = &["country:GB", "country:AL", "org:fcdo", "Home Office"];

/// `ANNALS_RANDOM_STEPS` asks for that many steps in all, `ANNALS_RANDOM_SEED` for another first seed.
#[test]
fn random_transfers_are_summed_as_the_model_sums_them() {
    let runs = number_from("ANNALS_RANDOM_STEPS").map_or(RUNS, |steps| steps.div_ceil(STEPS));
    let first = number_from("ANNALS_RANDOM_SEED").unwrap_or(1);
    let mut seen = BTreeMap::new();
    for seed in first..first + runs {
        let told = Told(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        drop(told);
        for (outcome, count) in world.seen {
            *seen.entry(outcome).or_insert(0_u64) += count;
        }
    }
    eprintln!("compared: {seen:?}");
    // A run that never met something says nothing about it.
    for outcome in OUTCOMES {
        assert!(seen.contains_key(*outcome), "{outcome} is not among {seen:?}");
    }
}

const OUTCOMES: &[&str] = &[
    "summary",
    "rows omitted",
    "several values",
    "no value",
    "open below",
    "open above",
    "duplicates",
    "duplicates excluded",
    "in kind",
    "reversals",
    "row listed",
    "page followed",
    "comparison",
    "within promise",
    "beyond promise",
    "uncertain",
    "commitment closed",
    "commitment unknown",
    "commitment in other currency",
    "draw with a balance",
];

struct World {
    _directory: tempfile::TempDir,
    now: Timestamp,
    clock: Arc<Manual>,
    log: Log,
    runtime: tokio::runtime::Runtime,
    model: Model,
    generator: Generator,
    seen: BTreeMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(Manual::at(START));
        let config = LogConfig::at(directory.path());
        let (time, ids) = (Arc::clone(&clock), Arc::clone(&clock));
        let (log, _) = Log::open(&config, time, ids, &|_| {}).unwrap();
        let mut generator = Generator::new(seed);
        generator.focus = Some(1);
        Self {
            _directory: directory,
            now: START,
            clock,
            log,
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            model: Model::default(),
            generator,
            seen: BTreeMap::new(),
        }
    }

    fn see(&mut self, outcome: &'static str) {
        *self.seen.entry(outcome).or_insert(0) += 1;
    }

    fn step(&mut self) {
        self.now = self.now.plus_micros(self.generator.rng.within(0, 3_600_000_000));
        self.clock.set(self.now);
        self.append();
        self.summary();
        match self.generator.rng.below(3) {
            0 => self.behind_a_row(),
            1 => self.comparison(),
            _ => {}
        }
    }

    fn append(&mut self) {
        let mut events = self.generator.events(&self.model, self.now);
        for proposed in &mut events {
            if let Some(again) = self.again(proposed) {
                *proposed = again;
            }
        }
        let drafts: Vec<Draft> = events.iter().map(|proposed| proposed.draft.clone()).collect();
        let request = request_of(&self.log, &events, &[]);
        let expected = self.model.append(&drafts, &[], self.now);
        let outcome = self.runtime.block_on(self.log.append(request));
        assert_outcome(outcome, &expected);
    }

    /// Makes an event out of one that looks the same as a recorded one, or almost.
    fn again(&mut self, proposed: &Proposed) -> Option<Proposed> {
        let rng = &mut self.generator.rng;
        if self.model.events.is_empty() || !rng.chance(35) {
            return None;
        }
        let recorded = rng.pick(&self.model.events).event.clone();
        let (Some(Payload::FundingTransfer(before)), Some(Payload::FundingTransfer(_))) =
            (&recorded.payload, &proposed.draft.event.payload)
        else {
            return None;
        };
        let mut event = proposed.draft.event.clone();
        let mut transfer = before.clone();
        event.stream = recorded.stream;
        event.valid_time = recorded.valid_time;
        match rng.below(8) {
            0 => transfer.transaction_ref.push('x'),
            1 => transfer.stage = 3,
            2 => event.stream.push('x'),
            3 => transfer.flow_type = "10".to_owned(),
            _ => {}
        }
        event.payload = Some(Payload::FundingTransfer(transfer));
        propose(event, self.now)
    }

    /// Makes a question, as the model is asked, and as the service is.
    fn question(&mut self) -> (Asked, Option<pb::Scope>, Option<pb::ValidWindow>) {
        let asked = self.generator.question(&self.model);
        let rng = &mut self.generator.rng;
        let filter = if rng.chance(60) { pb::Filter::default() } else { asked.filter };
        let mut party = |chance: u64| -> Vec<String> {
            let count = if rng.chance(chance) { rng.within(1, 2) } else { 0 };
            (0..count).map(|_| (*rng.pick(PARTIES)).to_owned()).collect()
        };
        let (providers, receivers) = (party(20), party(20));
        let exclude = self.generator.rng.chance(25);
        // On the wire position 0 stands for the head.
        let as_of = if asked.scope.as_of == Position::ZERO { self.model.head() } else { asked.scope.as_of };
        let window = asked.window.filter(|_| self.generator.rng.chance(50));
        let scope = Scope { as_of, known_at: asked.scope.known_at };
        let known_at = (scope.known_at != Timestamp::MAX).then(|| prost_types::Timestamp {
            seconds: scope.known_at.0.div_euclid(1_000_000),
            nanos: i32::try_from(scope.known_at.0.rem_euclid(1_000_000)).unwrap() * 1_000,
        });
        let written = pb::Scope { as_of_position: as_of.0, known_at };
        (
            Asked { filter, window, scope, providers, receivers, exclude },
            Some(written),
            window.map(written_window),
        )
    }

    fn dimensions(&mut self) -> Vec<pb::FundingDimension> {
        let rng = &mut self.generator.rng;
        let mut all: Vec<i32> = (1..=17).collect();
        rng.shuffle(&mut all);
        let count = *rng.pick(&[0, 1, 1, 1, 2, 2, 3, 17]);
        all.into_iter().take(count).map(|number| pb::FundingDimension::try_from(number).unwrap()).collect()
    }

    fn summary(&mut self) {
        if self.model.events.is_empty() {
            return;
        }
        let (asked, scope, valid) = self.question();
        let by = self.dimensions();
        let rng = &mut self.generator.rng;
        let order = Order::try_from(i32::try_from(rng.within(0, 3)).unwrap()).unwrap();
        let limit = if rng.chance(50) { rng.index(5) + 1 } else { 1_000 };
        let request = pb::SummarizeFundingRequest {
            filter: Some(asked.filter.clone()),
            valid,
            scope,
            provider_ids: asked.providers.clone(),
            receiver_ids: asked.receivers.clone(),
            group_by: by.iter().map(|by| i32::from(*by)).collect(),
            row_limit: i32::try_from(limit).unwrap(),
            order: order.into(),
            exclude_suspected_duplicates: asked.exclude,
        };
        let read = funding::summary(&request, self.model.head()).unwrap();
        let found = summarize(&self.log.index().view(), &read);
        let expected = self.model.summarize(&asked, &by, order, limit);
        assert_eq!(found, expected, "{request:?}");
        self.see("summary");
        self.note(&found, asked.exclude);
    }

    fn note(&mut self, found: &pb::SummarizeFundingResponse, exclude: bool) {
        let keys = || found.rows.iter().flat_map(|row| &row.key);
        let amounts = || found.rows.iter().flat_map(|row| row.money.iter().chain(&row.in_kind));
        let suspects = amounts().any(|amounts| amounts.suspected_duplicate_count > 0);
        let met = [
            (found.omitted_row_count > 0, "rows omitted"),
            (keys().any(|key| key.values.len() > 1), "several values"),
            (keys().any(|key| key.values.is_empty()), "no value"),
            (amounts().any(|amounts| amounts.lower.is_none()), "open below"),
            (amounts().any(|amounts| amounts.upper.is_none()), "open above"),
            (suspects && !exclude, "duplicates"),
            (suspects && exclude, "duplicates excluded"),
            (found.rows.iter().any(|row| row.in_kind.is_some()), "in kind"),
            (amounts().any(|amounts| amounts.reversal_count > 0), "reversals"),
        ];
        met.into_iter().filter(|(met, _)| *met).for_each(|(_, outcome)| self.see(outcome));
    }

    /// Lists what is behind a row, page by page: as many transfers as it counts, and those of the model.
    fn behind_a_row(&mut self) {
        let (asked, scope, valid) = self.question();
        let by = self.dimensions();
        let summary = self.model.summarize(&asked, &by, Order::Key, usize::MAX);
        if summary.rows.is_empty() {
            return;
        }
        let rng = &mut self.generator.rng;
        let row = rng.pick(&summary.rows).clone();
        let only = !asked.exclude && rng.chance(20);
        let (key, stage, currency) = (
            rng.chance(80).then(|| row.key.clone()).filter(|key| !key.is_empty()),
            if rng.chance(90) { row.stage } else { 0 },
            if rng.chance(90) { row.currency_code.clone() } else { String::new() },
        );
        let request = pb::ListTransfersRequest {
            filter: Some(asked.filter.clone()),
            valid,
            scope,
            provider_ids: asked.providers.clone(),
            receiver_ids: asked.receivers.clone(),
            group_by: by.iter().map(|by| i32::from(*by)).collect(),
            key: key.clone().unwrap_or_default(),
            stage,
            currency_code: currency.clone(),
            only_suspected_duplicates: only,
            exclude_suspected_duplicates: asked.exclude,
            page_size: i32::try_from(rng.index(7) + 1).unwrap(),
            page_token: String::new(),
        };
        let store = StoreId::parse("018f9ee2-9300-7000-8000-000000000001").unwrap();
        let paged = funding::list_transfers(&request, &Limits::default(), store, self.model.head()).unwrap();
        let mut read = paged.request;
        let mut found = Vec::new();
        loop {
            let (listed, more) = list(&self.log.index().view(), &read);
            assert!(listed.len() <= read.page_size && (!more || listed.len() == read.page_size));
            found.extend(listed.iter().map(|listed| (listed.position, listed.is_duplicate)));
            if !more {
                break;
            }
            read.after = found.last().unwrap().0;
            self.see("page followed");
        }
        let expected = self.model.behind(&asked, &by, (key.as_deref(), stage, &currency), only);
        assert_eq!(found, expected, "{request:?}");
        if (key.is_some() || by.is_empty()) && stage != 0 && !currency.is_empty() && !only {
            assert_eq!(i64::try_from(found.len()).unwrap(), row.transfer_count);
        }
        self.see("row listed");
    }

    fn comparison(&mut self) {
        let (mut asked, scope, valid) = self.question();
        (asked.providers, asked.receivers) = (Vec::new(), Vec::new());
        let rng = &mut self.generator.rng;
        let mut request = pb::CompareFundingRequest { valid, scope, ..pb::CompareFundingRequest::default() };
        request.filter = Some(asked.filter.clone());
        request.exclude_suspected_duplicates = asked.exclude;
        let which = rng.within(1, 7);
        if which & 1 != 0 && rng.chance(70) {
            request.stream = (*rng.pick(crate::generate::STREAMS)).to_owned();
            if !asked.filter.streams.is_empty() {
                request.stream.clone_from(&asked.filter.streams[0]);
            }
            asked.filter.streams = vec![request.stream.clone()];
            request.filter = Some(pb::Filter { streams: Vec::new(), ..asked.filter.clone() });
        } else if which & 1 != 0 && asked.filter.activity_ids.is_empty() {
            request.activity_id = (*rng.pick(&["XM-1", "XM-10"])).to_owned();
            asked.filter.activity_ids = vec![request.activity_id.clone()];
        }
        if which & 2 != 0 || which == 1 && request.stream.is_empty() && request.activity_id.is_empty() {
            request.provider_id = (*rng.pick(PARTIES)).to_owned();
            asked.providers = vec![request.provider_id.clone()];
        }
        if which & 4 != 0 {
            request.receiver_id = (*rng.pick(PARTIES)).to_owned();
            asked.receivers = vec![request.receiver_id.clone()];
        }
        let read = funding::comparison(&request, self.model.head()).unwrap();
        let found = compare(&self.log.index().view(), &read);
        let (expected, alike) = self.model.compare(&asked);
        assert_eq!((&found.response, &found.alike), (&expected, &alike), "{request:?}");
        self.see("comparison");
        for comparison in &expected.comparisons {
            self.see(match comparison.outcome() {
                pb::FundingOutcome::WithinPromise => "within promise",
                pb::FundingOutcome::BeyondPromise => "beyond promise",
                _ => "uncertain",
            });
        }
        let told = |code: Code| expected.caveats.iter().any(|caveat| caveat.code() == code);
        let met = [
            (told(Code::CommitmentClosed), "commitment closed"),
            (told(Code::CommitmentUnknown), "commitment unknown"),
            (told(Code::CommitmentInOtherCurrency), "commitment in other currency"),
            (expected.draws.iter().any(|draw| draw.balance.is_some()), "draw with a balance"),
        ];
        met.into_iter().filter(|(met, _)| *met).for_each(|(_, outcome)| self.see(outcome));
    }
}

fn written_window(window: Between) -> pb::ValidWindow {
    let day = |day: Option<annals::domain::Day>| day.map_or_else(String::new, |day| day.to_string());
    let r#match = if window.must { pb::valid_window::Match::Must } else { pb::valid_window::Match::May };
    pb::ValidWindow { from: day(window.from), to: day(window.to), r#match: r#match.into() }
}
