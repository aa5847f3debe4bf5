//! What the journal keeps of an event, read back.

use bytes::Bytes;
use prost::Message as _;

use super::event::Writer;
use crate::domain::{
    Caveat, CaveatCode, EventFacts, Findings, KnowledgeLink, Position, RecordForm, RecordedFacts,
};
use crate::journal::Record;
use crate::pb;
use crate::pb::storage::StoredFields;

/// Says that a record is not what this program writes; its checksum was right, so it was written so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event at position {position} cannot be read: {reason}")]
pub struct StoredError {
    /// Where it stands.
    pub position: Position,
    /// What is wrong.
    pub reason: String,
}

/// Place of an event in the request that appended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendPlace {
    index: u32,
    count: u32,
}

impl AppendPlace {
    /// Takes the place `index`, from 0, among `count` events.
    #[must_use]
    pub fn new(index: usize, count: usize) -> Self {
        // A request has far fewer events than 2^32: see the limit on batches.
        let bounded = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { index: bounded(index), count: bounded(count) }
    }
}

/// What the server added to an event, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredParts {
    /// What was unusual.
    pub caveats: Vec<Caveat>,
    /// Its place in its request.
    pub place: AppendPlace,
}

impl StoredParts {
    /// Reads what the server added.
    ///
    /// # Errors
    /// [`StoredError`] when the bytes are not what this program writes.
    pub fn of(record: &Record) -> Result<Self, StoredError> {
        let error = |reason: String| StoredError { position: record.position, reason };
        let fields =
            StoredFields::decode(record.server_fields.as_ref()).map_err(|cause| error(cause.to_string()))?;
        let caveats = fields.caveats.into_iter().map(|caveat| {
            let code = CaveatCode::from_number(caveat.code)
                .ok_or_else(|| error(format!("caveat code {} is unknown", caveat.code)))?;
            Ok(Caveat { field: caveat.field, code, text: caveat.text })
        });
        let place = AppendPlace { index: fields.append_index, count: fields.append_count };
        Ok(Self { caveats: caveats.collect::<Result<_, _>>()?, place })
    }
}

/// Writes what the server adds to an event.
#[must_use]
pub fn server_fields(
    caveats: &[Caveat],
    recorded_by: &str,
    links: &[KnowledgeLink],
    place: AppendPlace,
) -> Bytes {
    let fields = StoredFields {
        caveats: caveats.iter().map(caveat_of).collect(),
        recorded_by: recorded_by.to_owned(),
        knowledge_targets: links.iter().map(|link| link.target.0).collect(),
        append_index: place.index,
        append_count: place.count,
    };
    fields.encode_to_vec().into()
}

/// Writes a caveat of the server's.
#[must_use]
pub fn caveat_of(caveat: &Caveat) -> pb::Caveat {
    pb::Caveat {
        field: caveat.field.clone(),
        code: caveat.code.number().into(),
        text: caveat.text.clone(),
        server_found: true,
    }
}

/// Reads what queries need of a record. No rule is applied again: what was taken stays taken.
///
/// # Errors
/// [`StoredError`] when the bytes are no event, or the links do not fit.
pub fn facts_of(record: &Record) -> Result<RecordedFacts, StoredError> {
    match record.form {
        RecordForm::Whole => whole_facts(record),
        RecordForm::Erased => super::erased::facts(record),
        RecordForm::Lost => Ok(RecordedFacts::lost(record.position, record.recorded_at)),
    }
}

fn whole_facts(record: &Record) -> Result<RecordedFacts, StoredError> {
    let error = |reason: String| StoredError { position: record.position, reason };
    let mut event = pb::Event::decode(record.content.as_ref()).map_err(|cause| error(cause.to_string()))?;
    let fields =
        StoredFields::decode(record.server_fields.as_ref()).map_err(|cause| error(cause.to_string()))?;
    let mut findings = Findings::default();
    let read = super::event::read(&mut event, Writer::Server, &mut findings);
    if !read.is_complete {
        return Err(error(
            findings.into_result().err().map_or_else(String::new, |invalid| invalid.to_string()),
        ));
    }
    let facts = EventFacts::of(&read.event);
    if facts.knowledge_links.len() != fields.knowledge_targets.len() || facts.event_id != record.event_id {
        return Err(error("its links or its id do not fit its record".to_owned()));
    }
    let targets = facts.knowledge_links.iter().zip(&fields.knowledge_targets);
    let links = targets.map(|((_, link_type, _), target)| KnowledgeLink {
        link_type: *link_type,
        target: Position(*target),
    });
    let links = links.collect();
    Ok(RecordedFacts {
        form: RecordForm::Whole,
        event: facts,
        position: record.position,
        revision: record.revision,
        recorded_at: record.recorded_at,
        links,
    })
}
