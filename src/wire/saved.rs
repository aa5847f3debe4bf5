//! Saved timelines: from requests, and to and from the events that record them.
//!
//! ```text
//! stream $timelines/<id>    custom annals.timeline.v1 {"change": "CREATED" | "UPDATED" | "DELETED", "timeline": {…}}
//! ```
//! `timeline` is the message in its protobuf JSON form, so that whoever reads the stream can read it.

use prost::Message as _;
use prost_reflect::DynamicMessage;
use prost_types::value::Kind as ValueKind;
use prost_types::{ListValue, Struct, Value as WireValue};
use serde_json::Value;

use super::Limits;
use super::decode::{pinned, scope, window};
use super::filter::filter;
use super::paging::Turn;
use super::status::RequestError;
use crate::codec::check::{moment_of, prose, required_line};
use crate::codec::{Prepared, Writer, prepare};
use crate::domain::tag::is_timeline_id;
use crate::domain::{
    Assertion, EventId, Findings, Invalid, Modality, Position, Revision, StoreId, Timestamp, day_of,
};
use crate::filter::Asks;
use crate::index::Scope;
use crate::pb;
use crate::pb::POOL;

/// Beginning of the streams that hold saved timelines; the id follows.
pub const TIMELINES_PREFIX: &str = "$timelines/";
/// Sort of the events that record them.
const TIMELINE_TYPE: &str = "annals.timeline.v1";
/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 200;

/// What an event did to a saved timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It was saved.
    Created,
    /// It was written anew.
    Updated,
    /// It was deleted.
    Deleted,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
        }
    }
}

/// What is asked to be done to a saved timeline.
#[derive(Clone, Debug)]
pub struct Order {
    /// What.
    pub act: Act,
    /// The timeline; of one to be deleted only the id.
    pub timeline: pb::Timeline,
    /// The revision that it must have.
    pub expected: Option<Revision>,
    /// The id of the event that is to record it.
    pub request_id: Option<EventId>,
}

impl Order {
    /// Tells whether two orders ask the same.
    #[must_use]
    pub fn is_same(&self, act: Act, timeline: &pb::Timeline) -> bool {
        self.act == act && self.timeline == *timeline
    }
}

/// Reads a timeline to save.
///
/// # Errors
/// [`RequestError::Invalid`] with every violation.
pub fn create(request: &pb::CreateTimelineRequest) -> Result<Order, RequestError> {
    order(Act::Created, request.timeline.as_ref(), 0, &request.request_id)
}

/// Reads a timeline to write anew.
///
/// # Errors
/// [`RequestError::Invalid`] with every violation.
pub fn update(request: &pb::UpdateTimelineRequest) -> Result<Order, RequestError> {
    order(Act::Updated, request.timeline.as_ref(), request.expected_revision, &request.request_id)
}

/// Reads which timeline to delete.
///
/// # Errors
/// [`RequestError::Invalid`] with every violation.
pub fn delete(request: &pb::DeleteTimelineRequest) -> Result<Order, RequestError> {
    let mut findings = Findings::default();
    check_id(&mut findings, "timeline_id", &request.timeline_id);
    let request_id = request_id(&mut findings, &request.request_id);
    findings.into_result()?;
    let timeline = pb::Timeline { id: request.timeline_id.clone(), ..pb::Timeline::default() };
    Ok(Order { act: Act::Deleted, timeline, expected: expected(request.expected_revision), request_id })
}

/// Reads which timeline to give, and as it stood when.
///
/// # Errors
/// [`RequestError`].
pub fn get(request: &pb::GetTimelineRequest, head: Position) -> Result<(String, Scope), RequestError> {
    let mut findings = Findings::default();
    check_id(&mut findings, "timeline_id", &request.timeline_id);
    let scope = scope(&mut findings, request.scope.as_ref());
    findings.into_result()?;
    Ok((request.timeline_id.clone(), pinned(scope, head)?))
}

/// Reads which page of the timelines to give.
///
/// # Errors
/// [`RequestError`].
pub fn list(
    request: &pb::ListTimelinesRequest,
    limits: &Limits,
    store: StoreId,
    head: Position,
) -> Result<Turn, RequestError> {
    let mut findings = Findings::default();
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    turn.held("ListTimelines", request, store, head)
}

/// Checks the id of a timeline.
pub fn check_id(findings: &mut Findings, field: &'static str, id: &str) {
    if !is_timeline_id(id) {
        findings.violation_at(field, "must have 1 to 63 of a-z, 0-9 and -");
    }
}

fn order(
    act: Act,
    timeline: Option<&pb::Timeline>,
    expected_revision: u64,
    id: &str,
) -> Result<Order, RequestError> {
    let mut findings = Findings::default();
    let request_id = request_id(&mut findings, id);
    match timeline {
        Some(timeline) => findings.at("timeline", |f| check(f, timeline)),
        None => findings.violation_at("timeline", "must be set"),
    }
    findings.into_result()?;
    let timeline = timeline.cloned().unwrap_or_default();
    // Output-only fields of a request are ignored (AIP-203).
    let timeline = pb::Timeline { revision: 0, position: 0, updated_at: None, ..timeline };
    Ok(Order { act, timeline, expected: expected(expected_revision), request_id })
}

fn check(findings: &mut Findings, timeline: &pb::Timeline) {
    check_id(findings, "id", &timeline.id);
    required_line(findings, "title", &timeline.title, TITLE_CHARS_MAX);
    prose(findings, "description", &timeline.description);
    let mut asked = filter(findings, timeline.filter.as_ref());
    if asked.named().next().is_some() {
        findings.at("filter", |f| {
            f.violation_at("timelines", "must be empty: a saved timeline names no other one");
        });
    }
    window(findings, timeline.valid.as_ref());
}

const fn expected(revision: u64) -> Option<Revision> {
    if revision == 0 { None } else { Some(Revision(revision)) }
}

fn request_id(findings: &mut Findings, text: &str) -> Option<EventId> {
    if text.is_empty() {
        return None;
    }
    EventId::parse(text).map_err(|error| findings.violation_at("request_id", error)).ok()
}

/// Makes the event that records an order.
///
/// # Errors
/// [`RequestError::Invalid`] where the event would be too large.
pub fn event(order: &Order, id: EventId, now: Timestamp, limits: &Limits) -> Result<Prepared, RequestError> {
    let text = |text: &str| WireValue { kind: Some(ValueKind::StringValue(text.to_owned())) };
    let fields = [
        ("change".to_owned(), text(order.act.name())),
        ("timeline".to_owned(), struct_of(to_json(&order.timeline))),
    ];
    let title = match order.act {
        Act::Created => "A timeline was created",
        Act::Updated => "A timeline was updated",
        Act::Deleted => "A timeline was deleted",
    };
    let event = pb::Event {
        stream: format!("{TIMELINES_PREFIX}{}", order.timeline.id),
        title: title.to_owned(),
        valid_time: Some(pb::TimeSpan { edtf: day_of(now).to_string(), ..pb::TimeSpan::default() }),
        modality: Modality::Actual.number().into(),
        assertion: Assertion::Recorded.number().into(),
        payload: Some(pb::event::Payload::Custom(pb::CustomPayload {
            r#type: TIMELINE_TYPE.to_owned(),
            data: Some(Struct { fields: fields.into_iter().collect() }),
            ..pb::CustomPayload::default()
        })),
        ..pb::Event::default()
    };
    let mut findings = Findings::default();
    let prepared = prepare(event, Writer::Server, (id, now), &mut findings);
    findings.into_result()?;
    let prepared = prepared.ok_or_else(|| Invalid::one("timeline", "cannot be recorded"))?;
    let (bytes, bytes_max) = (prepared.content.len(), limits.event_bytes_max);
    if bytes > bytes_max {
        let rule = format!("must have at most {bytes_max} bytes as an event, has {bytes}");
        return Err(Invalid::one("timeline", rule).into());
    }
    Ok(prepared)
}

/// Reads what an event in the stream of a timeline records; nothing where it is no such event.
#[must_use]
pub fn recorded(event: &pb::Event) -> Option<(Act, pb::Timeline)> {
    let Some(pb::event::Payload::Custom(custom)) = &event.payload else {
        return None;
    };
    let fields = &custom.data.as_ref()?.fields;
    let act = match fields.get("change")?.kind.as_ref()? {
        ValueKind::StringValue(name) => {
            [Act::Created, Act::Updated, Act::Deleted].into_iter().find(|act| act.name() == name.as_str())?
        }
        ValueKind::NullValue(_)
        | ValueKind::NumberValue(_)
        | ValueKind::BoolValue(_)
        | ValueKind::StructValue(_)
        | ValueKind::ListValue(_) => return None,
    };
    let timeline = from_json(json_of(fields.get("timeline")?))?;
    Some((act, timeline))
}

/// Gives a timeline as clients see it.
#[must_use]
pub fn shown(
    timeline: pb::Timeline,
    revision: Revision,
    position: Position,
    recorded_at: Timestamp,
) -> pb::Timeline {
    let updated_at = Some(moment_of(recorded_at));
    pb::Timeline { revision: revision.0, position: position.0, updated_at, ..timeline }
}

/// Gives what a timeline asks for. It was checked when it was recorded, and no rule is applied again.
#[must_use]
pub fn asks(timeline: &pb::Timeline) -> Asks {
    let mut findings = Findings::default();
    Asks {
        filter: filter(&mut findings, timeline.filter.as_ref()),
        window: window(&mut findings, timeline.valid.as_ref()),
    }
}

fn to_json(timeline: &pb::Timeline) -> Value {
    let descriptor = POOL.get_message_by_name("annals.v1.Timeline");
    let dynamic = descriptor
        .and_then(|descriptor| DynamicMessage::decode(descriptor, timeline.encode_to_vec().as_slice()).ok());
    dynamic.and_then(|dynamic| serde_json::to_value(&dynamic).ok()).unwrap_or_default()
}

fn from_json(json: Value) -> Option<pb::Timeline> {
    let descriptor = POOL.get_message_by_name("annals.v1.Timeline")?;
    let dynamic = DynamicMessage::deserialize(descriptor, json).ok()?;
    pb::Timeline::decode(dynamic.encode_to_vec().as_slice()).ok()
}

fn struct_of(json: Value) -> WireValue {
    let kind = match json {
        Value::Null => ValueKind::NullValue(0),
        Value::Bool(value) => ValueKind::BoolValue(value),
        Value::Number(number) => ValueKind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => ValueKind::StringValue(text),
        Value::Array(values) => {
            ValueKind::ListValue(ListValue { values: values.into_iter().map(struct_of).collect() })
        }
        Value::Object(fields) => ValueKind::StructValue(Struct {
            fields: fields.into_iter().map(|(name, value)| (name, struct_of(value))).collect(),
        }),
    };
    WireValue { kind: Some(kind) }
}

fn json_of(value: &WireValue) -> Value {
    match &value.kind {
        None | Some(ValueKind::NullValue(_)) => Value::Null,
        Some(ValueKind::BoolValue(value)) => Value::Bool(*value),
        Some(ValueKind::NumberValue(number)) => Value::from(*number),
        Some(ValueKind::StringValue(text)) => Value::String(text.clone()),
        Some(ValueKind::ListValue(list)) => Value::Array(list.values.iter().map(json_of).collect()),
        Some(ValueKind::StructValue(inner)) => {
            Value::Object(inner.fields.iter().map(|(name, value)| (name.clone(), json_of(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_again() {
        let filter = pb::Filter {
            kinds: vec![1, 3],
            all_entity_ids: vec!["country:GB".to_owned(), "é \"quoted\"".to_owned()],
            amount: Some(pb::AmountRange {
                currency_code: "GBP".to_owned(),
                at_least: "0.10".to_owned(),
                at_most: String::new(),
            }),
            not: Some(Box::new(pb::Filter { modalities: vec![3], ..pb::Filter::default() })),
            ..pb::Filter::default()
        };
        let valid = pb::ValidWindow { from: "2022".to_owned(), to: String::new(), r#match: 2 };
        let timeline = pb::Timeline {
            id: "gb-al".to_owned(),
            title: "GB and AL".to_owned(),
            filter: Some(filter),
            valid: Some(valid),
            ..pb::Timeline::default()
        };
        let request = pb::CreateTimelineRequest { timeline: Some(timeline.clone()), ..Default::default() };
        let order = create(&request).unwrap();
        let id = EventId::from_bytes([1; 16]);
        let prepared = event(&order, id, Timestamp(0), &Limits::default()).unwrap();
        let event = pb::Event::decode(prepared.content).unwrap();
        assert_eq!(recorded(&event), Some((Act::Created, timeline)));
    }
}
