//! The envelope: from what a client sent to what is recorded.

use bytes::Bytes;
use prost::Message as _;

use super::check::{self, ID_CHARS_MAX, TITLE_CHARS_MAX, optional_number};
use super::entity::{participants, place};
use super::payload::payload;
use super::provenance::{caveats, codes, language, links, sources};
use super::time;
use crate::domain::tag::is_tag;
use crate::domain::{
    Assertion, Caveat, Event, EventFacts, EventId, Findings, Modality, Payload, Shape, StreamName, TimeSpan,
    Timestamp,
};
use crate::pb;

/// Most tags on an event.
pub const TAGS_MAX: usize = 32;

/// Most caveats that the server keeps of an event; the last one then tells how many more there are.
pub const CAVEATS_MAX: usize = 20;

/// An event that broke no rule, ready to be recorded.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What queries need of it.
    pub facts: EventFacts,
    /// Its canonical bytes.
    pub content: Bytes,
    /// What is unusual about it.
    pub caveats: Vec<Caveat>,
}

/// Tells who writes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A client: the server's own streams are closed to it.
    Client,
    /// The server.
    Server,
}

/// Checks an event, brings it to canonical form and encodes it. `fresh` is its id if the client gave none.
///
/// Gives `None` if it breaks a rule; `findings` then has every violation.
pub fn prepare(
    mut event: pb::Event,
    writer: Writer,
    (fresh, now): (EventId, Timestamp),
    findings: &mut Findings,
) -> Option<Prepared> {
    let before = findings.violation_count();
    clear_derived(&mut event);
    if event.erasure.is_some() {
        findings.violation_at("erasure", "must not be set: the content of the event was erased");
    }
    if event.id.is_empty() {
        event.id = fresh.to_string();
    }
    let Read { event: read, .. } = read(&mut event, writer, findings);
    // Also where parts are missing: every rule that can be judged is, so that all faults are told at once.
    read.check(now, findings);
    let caveats = bounded(findings.take_caveats());
    if findings.violation_count() > before {
        return None;
    }
    Some(Prepared { facts: EventFacts::of(&read), content: event.encode_to_vec().into(), caveats })
}

/// Keeps the first caveats: an answer with a thousand events must stay within what clients accept.
fn bounded(mut caveats: Vec<Caveat>) -> Vec<Caveat> {
    let more = caveats.len().saturating_sub(CAVEATS_MAX);
    caveats.truncate(CAVEATS_MAX);
    if let (Some(last), true) = (caveats.last_mut(), more > 0) {
        last.text.push_str(&format!(" (and {more} more remarks on the event)"));
    }
    caveats
}

/// Clears what only the server writes (AIP-203: output-only fields of a request are ignored).
fn clear_derived(event: &mut pb::Event) {
    event.stream_revision = 0;
    event.position = 0;
    event.recorded_at = None;
    event.recorded_by.clear();
    if std::mem::take(&mut event.known_at_derived) {
        event.known_at = None;
    }
    event.caveats.retain(|caveat| !caveat.server_found);
}

/// An event as far as it could be read.
#[derive(Debug)]
pub struct Read {
    /// The event; parts that could not be read are stood in for.
    pub event: Event,
    /// Whether nothing is stood in for.
    pub is_complete: bool,
}

/// Reads an event; what it holds is brought to canonical form on the way.
pub fn read(event: &mut pb::Event, writer: Writer, findings: &mut Findings) -> Read {
    let id = EventId::parse(&event.id).map_err(|error| findings.violation_at("id", error)).ok();
    if let Some(id) = id {
        // One spelling, so that equal events have equal bytes.
        event.id = id.to_string();
    }
    let stream = match writer {
        Writer::Client => StreamName::parse(&event.stream),
        Writer::Server => StreamName::parse_any(&event.stream),
    };
    let stream = stream.map_err(|error| findings.violation_at("stream", error)).ok();
    check::required_line(findings, "title", &event.title, TITLE_CHARS_MAX);
    check::prose(findings, "summary", &event.summary);
    language(findings, &event.language);
    check::line(findings, "correlation_id", &event.correlation_id, ID_CHARS_MAX);
    check::line(findings, "causation_id", &event.causation_id, ID_CHARS_MAX);
    optional_number(findings, "confidence", event.confidence, |n| pb::Confidence::try_from(n).ok());
    codes(findings, "codes", &event.codes);
    caveats(findings, &event.caveats);
    check::structure(findings, "attributes", event.attributes.as_ref());
    tags(findings, &event.tags);
    let modality = optional_number(findings, "modality", event.modality, Modality::from_number);
    let assertion = optional_number(findings, "assertion", event.assertion, Assertion::from_number);
    let known_at = check::moment(findings, "known_at", event.known_at.as_ref());
    if event.valid_time.is_none() {
        findings.violation_at("valid_time", "must be set");
    }
    let valid_time = time::span(findings, "valid_time", event.valid_time.as_mut(), Shape::Instant);
    let participants = participants(findings, &event.participants);
    let places = event.places.iter().enumerate();
    let places =
        places.map(|(index, found)| findings.at_index("places", index, |f| place(f, found))).collect();
    let sources = sources(findings, &mut event.sources);
    let links = links(findings, "links", &mut event.links);
    let payload = payload(findings, event.payload.as_mut());
    let is_complete = id.is_some() && stream.is_some() && valid_time.is_some() && payload.is_some();
    let event = Event {
        id: id.unwrap_or(EventId::from_bytes([0; 16])),
        stream: stream.unwrap_or_else(|| StreamName::from_recorded("unreadable")),
        valid_time: valid_time.unwrap_or_else(TimeSpan::unknown),
        known_at,
        participants,
        places,
        sources,
        links,
        tags: event.tags.clone(),
        modality,
        assertion,
        payload: payload.unwrap_or(Payload::Custom),
    };
    Read { event, is_complete }
}

fn tags(findings: &mut Findings, tags: &[String]) {
    if tags.len() > TAGS_MAX {
        findings.violation_at("tags", format_args!("must be at most {TAGS_MAX}, are {}", tags.len()));
    }
    for (index, tag) in tags.iter().enumerate() {
        if !is_tag(tag) {
            findings.at_index("tags", index, |f| f.violation("must have 1 to 64 of a-z, 0-9 and -"));
        }
    }
}
