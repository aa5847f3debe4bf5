//! Turns questions and answers of the model into those of the log.

use annals::domain::{Bounds, EventFacts, Findings, Position, RecordForm, Revision, StreamName, TermField};
use annals::filter::Filter;
use annals::journal::Record;
use annals::log::{AppendError, AppendRequest, Appended, Condition, Expected, Log};
use annals::pb;
use annals::timeline::{Certainty, Window};
use prost::Message as _;

use crate::generate::Proposed;
use crate::model::timeline::Between;
use crate::model::{Demand, LinkFault, Recorded, Refusal};

/// Reads a filter as the service does.
pub(crate) fn filter_of(asked: &pb::Filter) -> Filter {
    let mut findings = Findings::default();
    let filter = annals::wire::filter::filter(&mut findings, Some(asked));
    findings.into_result().unwrap();
    filter
}

/// Reads a filter as the service does, and looks its words up in events up to a position.
pub(crate) fn looked_up(log: &Log, asked: &pb::Filter, up_to: Position) -> Filter {
    let mut filter = filter_of(asked);
    for text in &mut filter.texts {
        text.found = Some(std::sync::Arc::new(log.words().search(&text.query, up_to, true).unwrap()));
    }
    filter
}

pub(crate) fn window_of(asked: Between) -> Window {
    Window {
        from: asked.from.map_or(Bounds::OPEN_START, |day| day.number()),
        to: asked.to.map_or(Bounds::OPEN_END, |day| day.number()),
        certainty: if asked.must { Certainty::Must } else { Certainty::May },
    }
}

fn condition_of(demand: &Demand) -> Condition {
    let stream =
        |name: &str, expected| Condition::Stream { name: StreamName::parse(name).unwrap(), expected };
    match demand {
        Demand::Revision { stream: name, revision } => stream(name, Expected::Revision(Revision(*revision))),
        Demand::Empty { stream: name } => stream(name, Expected::Empty),
        Demand::Exists { stream: name } => stream(name, Expected::Exists),
        Demand::NoneSince { filter, after } => {
            Condition::NoneSince { filter: filter_of(filter), after: *after }
        }
        Demand::Absent { filter } => Condition::Absent { filter: filter_of(filter) },
    }
}

pub(crate) fn request_of(log: &Log, events: &[Proposed], demands: &[Demand]) -> AppendRequest {
    let propose = |proposed: &Proposed| {
        let prepared = proposed.prepared.clone();
        log.propose(prepared.facts, prepared.content, prepared.caveats)
    };
    AppendRequest {
        events: events.iter().map(propose).collect(),
        conditions: demands.iter().map(condition_of).collect(),
        recorded_by: "test".to_owned(),
    }
}

/// Compares what became of a request.
pub(crate) fn assert_outcome(found: Result<Appended, AppendError>, expected: &Result<Appended, Refusal>) {
    let found = found.map_err(refusal_of);
    if let (Err(Refusal::Links(found)), Err(Refusal::Links(expected))) = (&found, expected) {
        assert!(expected.contains(found.first().unwrap()), "{found:?} is none of {expected:?}");
        return;
    }
    assert_eq!(&found, expected);
}

/// Names an outcome.
pub(crate) fn name_of(outcome: &Result<Appended, Refusal>) -> &'static str {
    match outcome {
        Ok(Appended { replayed: false, .. }) => "recorded",
        Ok(Appended { replayed: true, .. }) => "replayed",
        Err(Refusal::Reused { .. }) => "id reused",
        Err(Refusal::Erased { .. }) => "id of an erased event",
        Err(Refusal::Partial { .. }) => "partial replay",
        Err(Refusal::Conditions(_)) => "condition failed",
        Err(Refusal::Links(faults)) => match faults.first().unwrap() {
            LinkFault::Unknown { .. } => "link target unknown",
            LinkFault::Kind { .. } => "link target of another kind",
            LinkFault::Closed { .. } => "link target closed",
        },
    }
}

fn refusal_of(error: AppendError) -> Refusal {
    match error {
        AppendError::ConditionFailed(violated) => Refusal::Conditions(violated),
        AppendError::EventIdReused { id, position } => Refusal::Reused { id, position },
        AppendError::Erased { id, position } => Refusal::Erased { id, position },
        AppendError::PartialReplay { recorded, missing, id } => Refusal::Partial { recorded, missing, id },
        AppendError::LinkTargetUnknown { at, target } => {
            Refusal::Links(vec![LinkFault::Unknown { at, target }])
        }
        AppendError::LinkTargetClosed { at, target, closed_by } => {
            Refusal::Links(vec![LinkFault::Closed { at, target, closed_by }])
        }
        AppendError::LinkTargetKind { at, target, kind, target_kind } => {
            Refusal::Links(vec![LinkFault::Kind { at, target, kind, target_kind }])
        }
        other @ (AppendError::TooLarge { .. }
        | AppendError::QueueFull(_)
        | AppendError::DiskFull(_)
        | AppendError::OutcomeUnknown
        | AppendError::ReadOnly
        | AppendError::Closing
        | AppendError::Read(_)) => panic!("{other}"),
    }
}

/// Compares a record with the event that the model holds, and what is read back of it with what was found first.
pub(crate) fn assert_record(record: &Record, expected: &Recorded, facts: &EventFacts) {
    let stands = (record.position, record.revision, record.recorded_at, record.event_id);
    assert_eq!(stands, (expected.position, expected.revision, expected.recorded_at, expected.id));
    assert_eq!(record.stream.as_str(), expected.event.stream);
    if expected.erased {
        assert_erased(record, expected);
        return;
    }
    assert_eq!(pb::Event::decode(record.content.clone()).unwrap(), expected.event);
    let read = annals::codec::facts_of(record).unwrap();
    assert_eq!(read.event, *facts);
    assert_eq!(read.known_time(), expected.known_at);
    let shown = annals::codec::present(record).unwrap();
    assert_eq!(
        (Position(shown.position), Revision(shown.stream_revision)),
        (expected.position, expected.revision)
    );
    let moment = |found: Option<&prost_types::Timestamp>| found.and_then(annals::codec::check::timestamp_of);
    let shown_at = (moment(shown.known_at.as_ref()), moment(shown.recorded_at.as_ref()));
    assert_eq!(shown_at, (Some(expected.known_at), Some(expected.recorded_at)));
    assert_eq!(shown.known_at_derived, expected.event.known_at.is_none());
    let caveats = annals::codec::stored::StoredParts::of(record).unwrap().caveats;
    assert_eq!(caveats, expected.caveats);
}

/// Of an erased record its place, stream, kind, known time and digests are left, and who had it erased.
fn assert_erased(record: &Record, expected: &Recorded) {
    assert_eq!((record.form, record.salt), (RecordForm::Erased, [0; 16]));
    let facts = annals::codec::facts_of(record).unwrap();
    assert_eq!((facts.event.kind, facts.known_time()), (expected.kind, expected.known_at));
    let stream = expected.event.stream.as_str();
    let streams =
        facts.event.terms.values(TermField::Stream).chain(facts.event.terms.values(TermField::Category));
    let streams: Vec<&str> = streams.collect();
    assert!(streams.len() == facts.event.terms.iter().count(), "{:?}", facts.event.terms);
    assert!(streams.into_iter().all(|name| stream.starts_with(name)));
    let shown = annals::codec::present(record).unwrap();
    let erasure = shown.erasure.clone().unwrap();
    assert_eq!((erasure.reason.as_str(), erasure.authority.as_str()), ("a reason", "a court"));
    let bare = pb::Event { erasure: Some(erasure), ..pb::Event::default() };
    let place = (shown.id.clone(), shown.stream.clone(), shown.stream_revision, shown.position);
    let left = pb::Event {
        id: place.0,
        stream: place.1,
        stream_revision: place.2,
        position: place.3,
        recorded_at: shown.recorded_at,
        known_at: shown.known_at,
        ..bare
    };
    assert_eq!(shown, left, "nothing else is shown");
}
