//! What is left of an event whose content was erased.

use bytes::Bytes;
use prost::Message as _;
use prost_types::value::Kind as ValueKind;

use super::check::moment_of;
use super::event::{Prepared, Writer};
use super::stored::StoredError;
use crate::domain::time::zone::day_of;
use crate::domain::{
    Assertion, EventFacts, EventId, Findings, Invalid, Kind, KnowledgeLink, LinkType, Modality, Position,
    RecordForm, RecordedFacts, TermField, TermList, Terms, Timestamp,
};
use crate::journal::Record;
use crate::pb;
use crate::pb::storage::{StoredErasure, StoredFields};

/// An order to erase, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The event that records it.
    pub event_id: EventId,
    /// Its position.
    pub position: Position,
    /// When it was recorded.
    pub erased_at: Timestamp,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub authority: String,
}

/// Gives a record without its content, and with what must stay in its place: its kind, when it was known and what its
/// knowledge links say, since the visibility of other events rests on them.
///
/// # Errors
/// [`StoredError`] when the record is not what this program writes.
pub fn erase(record: Record, erasure: &Erasure) -> Result<Record, StoredError> {
    let facts = super::facts_of(&record)?;
    let rest = StoredErasure {
        event_id: erasure.event_id.as_bytes().to_vec().into(),
        position: erasure.position.0,
        erased_at: erasure.erased_at.0,
        reason: erasure.reason.clone(),
        authority: erasure.authority.clone(),
        kind: facts.event.kind.number().into(),
        known_at: facts.known_time().0,
        knowledge_link_types: facts.links.iter().map(|link| link.link_type.number().into()).collect(),
    };
    Ok(record.erased(Bytes::from(rest.encode_to_vec())))
}

/// Reads what queries need of an erased record: its place in the log and in its stream, and its knowledge links.
pub(super) fn facts(record: &Record) -> Result<RecordedFacts, StoredError> {
    let error = |reason: &str| StoredError { position: record.position, reason: reason.to_owned() };
    let rest = rest_of(record)?;
    let fields =
        StoredFields::decode(record.server_fields.as_ref()).map_err(|cause| error(&cause.to_string()))?;
    let kind = Kind::from_number(rest.kind).ok_or_else(|| error("the kind of an erased event is unknown"))?;
    if rest.knowledge_link_types.len() != fields.knowledge_targets.len() {
        return Err(error("the links of an erased event do not fit its record"));
    }
    let links = rest.knowledge_link_types.iter().zip(&fields.knowledge_targets).map(|(number, target)| {
        let link_type = LinkType::from_number(*number).filter(|link_type| link_type.is_knowledge());
        let link_type = link_type.ok_or_else(|| error("a link of an erased event is unknown"))?;
        Ok(KnowledgeLink { link_type, target: Position(*target) })
    });
    let links = links.collect::<Result<Vec<_>, StoredError>>()?;
    let stream = record.stream.clone();
    let terms = terms_of(&stream);
    let event = EventFacts {
        known_at: Some(Timestamp(rest.known_at)),
        terms,
        ..EventFacts::bare(record.event_id, stream, kind)
    };
    Ok(RecordedFacts {
        form: RecordForm::Erased,
        event,
        position: record.position,
        revision: record.revision,
        recorded_at: record.recorded_at,
        links,
    })
}

/// The stream is a name in the log, not content: who follows it is told of the erasure.
fn terms_of(stream: &crate::domain::StreamName) -> Terms {
    let mut terms = TermList::default();
    terms.add(TermField::Stream, stream.as_str());
    for category in stream.categories() {
        terms.add_joined(TermField::Category, [category, "/"]);
    }
    Terms::new(&terms)
}

/// Shows an erased event: where it stands, and who had it erased.
pub(super) fn present(record: &Record) -> Result<pb::Event, StoredError> {
    let rest = rest_of(record)?;
    let event_id = <[u8; 16]>::try_from(rest.event_id.as_ref()).map(EventId::from_bytes);
    let erasure = pb::Erasure {
        event_id: event_id.map(|id| id.to_string()).unwrap_or_default(),
        position: rest.position,
        erased_at: Some(moment_of(Timestamp(rest.erased_at))),
        reason: rest.reason,
        authority: rest.authority,
    };
    Ok(pb::Event {
        id: record.event_id.to_string(),
        stream: record.stream.to_string(),
        stream_revision: record.revision.0,
        position: record.position.0,
        recorded_at: Some(moment_of(record.recorded_at)),
        known_at: Some(moment_of(Timestamp(rest.known_at))),
        erasure: Some(erasure),
        ..pb::Event::default()
    })
}

fn rest_of(record: &Record) -> Result<StoredErasure, StoredError> {
    StoredErasure::decode(record.content.as_ref())
        .map_err(|cause| StoredError { position: record.position, reason: cause.to_string() })
}

/// Stream of the events that record erasures.
pub const ERASURES_STREAM: &str = "$erasures";
/// Sort of those events.
const ERASURE_TYPE: &str = "annals.erasure.v1";

/// An order to erase the content of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EraseOrder {
    /// The event.
    pub event_id: EventId,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub authority: String,
}

impl EraseOrder {
    /// Writes the event that records the order, under an id of its own.
    ///
    /// # Errors
    /// [`Invalid`] when a text of it breaks the rules of texts.
    pub fn event(&self, id: EventId, now: Timestamp) -> Result<Prepared, Invalid> {
        let text = |text: &str| prost_types::Value { kind: Some(ValueKind::StringValue(text.to_owned())) };
        let fields = [
            ("event_id", self.event_id.to_string()),
            ("reason", self.reason.clone()),
            ("authority", self.authority.clone()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), text(&value)));
        let event = pb::Event {
            stream: ERASURES_STREAM.to_owned(),
            title: "The content of an event was erased".to_owned(),
            valid_time: Some(pb::TimeSpan { edtf: day_of(now).to_string(), ..pb::TimeSpan::default() }),
            links: vec![pb::Link {
                r#type: LinkType::Cites.number().into(),
                event_id: self.event_id.to_string(),
                ..pb::Link::default()
            }],
            modality: Modality::Actual.number().into(),
            assertion: Assertion::Recorded.number().into(),
            payload: Some(pb::event::Payload::Custom(pb::CustomPayload {
                r#type: ERASURE_TYPE.to_owned(),
                data: Some(prost_types::Struct { fields: fields.into_iter().collect() }),
                ..pb::CustomPayload::default()
            })),
            ..pb::Event::default()
        };
        let mut findings = Findings::default();
        let prepared = super::prepare(event, Writer::Server, (id, now), &mut findings);
        findings.into_result()?;
        prepared.ok_or_else(|| Invalid::one("reason", "cannot be recorded"))
    }

    /// Reads the order that an event in [`ERASURES_STREAM`] records.
    ///
    /// # Errors
    /// [`StoredError`] when the event is no such order.
    pub fn of(record: &Record) -> Result<Self, StoredError> {
        let error = |reason: &str| StoredError { position: record.position, reason: reason.to_owned() };
        let event = pb::Event::decode(record.content.as_ref()).map_err(|cause| error(&cause.to_string()))?;
        let Some(pb::event::Payload::Custom(pb::CustomPayload { data: Some(data), .. })) = event.payload
        else {
            return Err(error("it is no order to erase"));
        };
        let text = |name: &str| match data.fields.get(name).and_then(|value| value.kind.as_ref()) {
            Some(ValueKind::StringValue(text)) => Ok(text.clone()),
            Some(_) | None => Err(error("it is no order to erase")),
        };
        let event_id = EventId::parse(&text("event_id")?).map_err(|_| error("it names no event"))?;
        Ok(Self { event_id, reason: text("reason")?, authority: text("authority")? })
    }

    /// Gives the order as it stands recorded.
    #[must_use]
    pub fn recorded(self, record: &Record) -> Erasure {
        Erasure {
            event_id: record.event_id,
            position: record.position,
            erased_at: record.recorded_at,
            reason: self.reason,
            authority: self.authority,
        }
    }
}
