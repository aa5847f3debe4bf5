//! Writers and a reader on threads of their own: what was acknowledged is one order, and every look fits it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals::clock::Manual;
use annals::domain::{Position, Timestamp};
use annals::filter::Filter;
use annals::index::Scope;
use annals::log::{AppendError, Appended, Log, LogConfig};
use annals::pb;
use annals::timeline::{self, Entry, ListRequest, Order};

use super::START;
use super::compare::{assert_outcome, request_of};
use crate::generate::{Generator, Proposed};
use crate::model::timeline::Question;
use crate::model::{Demand, Draft, Model};

const WRITERS: usize = 4;
const REQUESTS: usize = 60;

type Request = (Vec<Proposed>, Vec<Demand>);
type Outcome = (Request, Result<Appended, AppendError>);

#[test]
fn appends_on_many_threads_stand_in_one_order_that_every_look_fits() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(Manual::at(START));
    let (log, _) =
        Log::open(&LogConfig::at(directory.path()), Arc::clone(&clock) as _, clock, &|_| {}).unwrap();
    let mut generator = Generator::new(4_242);
    let mut plans: Vec<Vec<Request>> = (0..WRITERS).map(|_| plan(&mut generator)).collect();
    // Two clients may send the same request at the same time.
    plans.push(plans[0].clone());
    let done = AtomicBool::new(false);
    let (outcomes, looks) = std::thread::scope(|scope| {
        let writers: Vec<_> = plans.into_iter().map(|plan| scope.spawn(|| write(&log, plan))).collect();
        let reader = scope.spawn(|| look(&log, &done));
        let outcomes: Vec<Outcome> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        done.store(true, Ordering::SeqCst);
        (outcomes, reader.join().unwrap())
    });
    let model = replay(outcomes);
    assert_eq!(log.head().position, model.head());
    for (head, found) in looks {
        assert_eq!(found, model.list(&everything(head), Order::ValidStart), "as of {head}");
    }
}

fn plan(generator: &mut Generator) -> Vec<Request> {
    let nothing = Model::default();
    (0..REQUESTS).map(|_| (generator.events(&nothing, START), generator.demands(&nothing))).collect()
}

fn write(log: &Log, plan: Vec<Request>) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let append = |request: Request| {
        let outcome = runtime.block_on(log.append(request_of(log, &request.0, &request.1)));
        (request, outcome)
    };
    plan.into_iter().map(append).collect()
}

fn everything(head: Position) -> Question {
    let scope = Scope { as_of: head, known_at: Timestamp::MAX };
    Question { filter: pb::Filter::default(), window: None, scope, include_closed: true }
}

fn look(log: &Log, done: &AtomicBool) -> Vec<(Position, Vec<Entry>)> {
    let mut looks = Vec::new();
    while !done.load(Ordering::SeqCst) {
        let head = log.head().position;
        let request = ListRequest {
            filter: Filter::default(),
            window: None,
            scope: everything(head).scope,
            order: Order::ValidStart,
            after: None,
            page_size: usize::MAX,
            include_closed: true,
        };
        looks.push((head, timeline::list(&log.index().view(), &request).entries));
        looks.dedup_by_key(|(head, _)| *head);
        std::thread::yield_now();
    }
    looks
}

/// Makes the model of what was acknowledged, in the order of positions.
fn replay(mut outcomes: Vec<Outcome>) -> Model {
    outcomes.sort_by_key(|(_, outcome)| {
        let appended = outcome.as_ref().ok();
        appended.map(|appended| (appended.replayed, appended.events.first().map(|event| event.position)))
    });
    let (mut model, mut written, mut replayed) = (Model::default(), 0, 0);
    for ((events, demands), outcome) in outcomes {
        let drafts: Vec<Draft> = events.into_iter().map(|proposed| proposed.draft).collect();
        match &outcome {
            Ok(appended) => {
                written += usize::from(!appended.replayed);
                replayed += usize::from(appended.replayed);
                let expected = model.append(&drafts, &demands, START);
                assert_outcome(outcome, &expected);
            }
            Err(refusal) => {
                // What the log was like at that moment is not known, but nothing of it was written.
                assert!(
                    !matches!(refusal, AppendError::PartialReplay { .. } | AppendError::Read(_)),
                    "{refusal}"
                );
            }
        }
    }
    assert!(written > REQUESTS && replayed > 0, "{written} written, {replayed} replayed");
    model
}
