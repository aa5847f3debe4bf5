//! Appends, from the wire: every violation of every event and condition at once.

use ahash::{HashSet, HashSetExt as _};

use super::codec::{self, NOT_UTF8, Unreadable};
use super::decode::within;
use super::filter::filter;
use super::limits::{CONDITIONS_MAX, Limits};
use super::status::RequestError;
use crate::clock::IdSource;
use crate::codec::{Prepared, Writer, prepare};
use crate::domain::{EventId, Findings, Position, Revision, StreamName, Timestamp};
use crate::filter::FILTER_VALUES_MAX;
use crate::filter::Filter;
use crate::log::{Condition, Expected};
use crate::pb;
use crate::pb::condition::Condition as WireCondition;
use crate::pb::stream_condition::Expected as WireExpected;

/// Stands for an id that is not needed.
const NO_ID: EventId = EventId::from_bytes([0; 16]);

/// Reads an append: the events, checked and encoded, and the conditions.
///
/// # Errors
/// [`RequestError`] with every violation of every event; or the limit that is passed.
pub fn append(
    request: pb::AppendEventsRequest,
    limits: &Limits,
    ids: &dyn IdSource,
    (now, head): (Timestamp, Position),
) -> Result<(Vec<Prepared>, Vec<Condition>), RequestError> {
    let count = request.events.len();
    if count > limits.batch_events_max {
        return Err(RequestError::TooManyEvents { events: count, events_max: limits.batch_events_max });
    }
    let mut findings = Findings::default();
    if count == 0 {
        findings.violation_at("events", "must not be empty");
    }
    let mut prepared = Vec::with_capacity(count);
    let mut seen = HashSet::with_capacity(count);
    for (index, event) in request.events.into_iter().enumerate() {
        // One at a time: its parts are freed before those of the next are made.
        let event = codec::read_foreign::<pb::Event>(event);
        findings.at_event("events", index, |f| {
            let event = match event {
                Ok(event) => event,
                Err(Unreadable::NotUtf8(field)) => {
                    f.violation_within(&field, NOT_UTF8);
                    return Ok(());
                }
                Err(unreadable) => return Err(unreadable.of(Some(index))),
            };
            // An id costs a draw of random bytes: none is made where the client gave one.
            let fresh = if event.id.is_empty() { ids.event_id() } else { NO_ID };
            let Some(event) = prepare(event, Writer::Client, (fresh, now), f) else {
                return Ok(());
            };
            if !seen.insert(event.facts.event_id) {
                f.violation_at("id", "stands twice in the request");
            }
            prepared.push(event);
            Ok(())
        })?;
    }
    let conditions = conditions(&mut findings, &request.conditions);
    findings.into_result()?;
    for condition in &conditions {
        if let Condition::NoneSince { after, .. } = condition {
            // A fence from a store that had more would hold for ever.
            within(after.0, head)?;
        }
    }
    let mut total = 0;
    for (index, event) in prepared.iter().enumerate() {
        let bytes = event.content.len();
        if bytes > limits.event_bytes_max {
            return Err(RequestError::EventTooLarge { index, bytes, bytes_max: limits.event_bytes_max });
        }
        total += bytes;
    }
    if total > limits.batch_bytes_max {
        return Err(RequestError::BatchTooLarge { bytes: total, bytes_max: limits.batch_bytes_max });
    }
    Ok((prepared, conditions))
}

/// Tells whether a condition names a saved timeline, which has to be looked up.
#[must_use]
pub fn needs_look_up(request: &pb::AppendEventsRequest) -> bool {
    fn names_timeline(filter: &pb::Filter) -> bool {
        !filter.timelines.is_empty() || filter.not.as_deref().is_some_and(names_timeline)
    }
    request.conditions.iter().any(|condition| {
        let filter = match &condition.condition {
            Some(WireCondition::NoneSince(condition)) => condition.filter.as_ref(),
            Some(WireCondition::Absent(condition)) => condition.filter.as_ref(),
            Some(WireCondition::Stream(_)) | None => None,
        };
        filter.is_some_and(names_timeline)
    })
}

fn conditions(findings: &mut Findings, found: &[pb::Condition]) -> Vec<Condition> {
    if found.len() > CONDITIONS_MAX {
        findings.violation_at(
            "conditions",
            format_args!("must be at most {CONDITIONS_MAX}, are {}", found.len()),
        );
    }
    let read = found
        .iter()
        .enumerate()
        .filter_map(|(index, found)| findings.at_index("conditions", index, |f| condition(f, found)));
    let read: Vec<Condition> = read.collect();
    // One writer decides on all of them: what bounds one filter bounds the request.
    let values: usize = read.iter().map(Condition::value_count).sum();
    if values > FILTER_VALUES_MAX {
        findings.violation_at(
            "conditions",
            format_args!("must have at most {FILTER_VALUES_MAX} filter values together, have {values}"),
        );
    }
    read
}

fn condition(findings: &mut Findings, found: &pb::Condition) -> Option<Condition> {
    match &found.condition {
        Some(WireCondition::Stream(stream)) => findings.at("stream", |f| stream_condition(f, stream)),
        Some(WireCondition::NoneSince(none)) => findings.at("none_since", |f| {
            let filter = condition_filter(f, none.filter.as_ref());
            Some(Condition::NoneSince { filter, after: Position(none.after_position) })
        }),
        Some(WireCondition::Absent(absent)) => findings.at("absent", |f| {
            let filter = condition_filter(f, absent.filter.as_ref());
            if filter.is_all() {
                f.violation_at("filter", "must ask something: it would match every event");
            }
            Some(Condition::Absent { filter })
        }),
        None => {
            findings.violation("must have one of stream, none_since and absent");
            None
        }
    }
}

/// Reads the filter of a condition. The writer decides on it, by the index alone.
fn condition_filter(findings: &mut Findings, found: Option<&pb::Filter>) -> Filter {
    if found.is_some_and(|found| !found.text.is_empty()) {
        findings.violation_at("filter.text", "must not be set in a condition");
    }
    filter(findings, found)
}

fn stream_condition(findings: &mut Findings, found: &pb::StreamCondition) -> Option<Condition> {
    let name = StreamName::parse(&found.name).map_err(|error| findings.violation_at("name", error)).ok();
    let expected = match found.expected {
        Some(WireExpected::Revision(0)) => {
            findings.violation_at("revision", "begins with 1: for a stream without events set empty");
            None
        }
        Some(WireExpected::Revision(revision)) => Some(Expected::Revision(Revision(revision))),
        Some(WireExpected::Empty(true)) => Some(Expected::Empty),
        Some(WireExpected::Exists(true)) => Some(Expected::Exists),
        Some(WireExpected::Empty(false)) => {
            findings.violation_at("empty", "must be true where it is set");
            None
        }
        Some(WireExpected::Exists(false)) => {
            findings.violation_at("exists", "must be true where it is set");
            None
        }
        None => {
            findings.violation("must have one of revision, empty and exists");
            None
        }
    };
    Some(Condition::Stream { name: name?, expected: expected? })
}
