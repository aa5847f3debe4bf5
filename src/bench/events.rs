//! Events to append: encoded once, with an id and a stream put in for each use.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde::de::DeserializeSeed as _;
use uuid::Uuid;

use super::cell::Shape;
use super::error::BenchError;
use super::work::Condition;
use crate::clock::{IdSource as _, System};
use crate::pb;
use crate::pb::POOL;
use crate::pb::condition::Condition as Kind;
use crate::pb::event::Payload;
use crate::pb::stream_condition::Expected;
use crate::pb::{
    AppendEventsRequest, CustomPayload, Event, Filter, LinkType, NoneSinceCondition, StreamCondition,
    TimeSpan,
};

/// One stored event in so many has [`RARE_TAG`].
pub const RARE_EVERY: usize = 1_000;
/// The tag that few events have.
pub const RARE_TAG: &str = "bench-rare";
/// Streams of a client, written in turn.
pub const STREAMS: usize = 64;
/// Beginning of the names of all of them.
pub const STREAMS_OF_ALL: &str = "bench/";
/// Length of an id in its text form (RFC 9562).
pub const ID_BYTES: usize = 36;

const EXAMPLE: [&str; 2] = [
    include_str!("../../examples/uk-albania/context_releases.jsonl"),
    include_str!("../../examples/uk-albania/events.jsonl"),
];

// Keys of length-delimited fields (Protocol Buffers, Encoding): the number of the field and wire type 2.
const KEY_1: u8 = 1 << 3 | 2;
const KEY_2: u8 = 2 << 3 | 2;
const KEY_TAGS: u8 = 15 << 3 | 2;

/// The events of one shape.
#[derive(Clone, Debug)]
pub struct Templates {
    /// Encoded events without id and stream.
    bodies: Vec<Bytes>,
    /// A request with the events that these link to.
    linked: Option<Bytes>,
}

impl Templates {
    /// Makes the events of a shape.
    ///
    /// # Errors
    /// [`BenchError::Example`].
    pub fn new(shape: Shape) -> Result<Self, BenchError> {
        match shape {
            Shape::Smallest => Ok(Self { bodies: vec![body(smallest())], linked: None }),
            Shape::Realistic => {
                let events = example()?;
                let linked = AppendEventsRequest::of(events.clone(), Vec::new());
                let bodies = events.into_iter().map(body).collect();
                Ok(Self { bodies, linked: Some(linked.encode_to_vec().into()) })
            }
        }
    }

    /// Gives a request with the events that the others link to; a store must hold them first.
    #[must_use]
    pub const fn linked(&self) -> Option<&Bytes> {
        self.linked.as_ref()
    }

    /// Gives the mean size of an event as it is sent, in bytes.
    #[must_use]
    pub fn event_bytes(&self) -> usize {
        let count = self.bodies.len().max(1);
        Requests::new(self, 0).next(count, Condition::Nothing).len() / count
    }
}

/// Names a stream of a client.
#[must_use]
pub fn stream_of(client: usize, stream: usize) -> String {
    format!("{STREAMS_OF_ALL}{client}/{stream}")
}

fn smallest() -> Event {
    Event {
        title: "x".to_owned(),
        valid_time: Some(TimeSpan { edtf: "2024".to_owned(), ..TimeSpan::default() }),
        assertion: pb::Assertion::Recorded.into(),
        payload: Some(Payload::Custom(CustomPayload {
            r#type: "a.b.v1".to_owned(),
            ..CustomPayload::default()
        })),
        ..Event::default()
    }
}

fn example() -> Result<Vec<Event>, BenchError> {
    let descriptor = POOL.get_message_by_name("annals.v1.Event");
    let descriptor = descriptor.ok_or(BenchError::Fault("the descriptors have no Event"))?;
    let mut events = Vec::new();
    for line in EXAMPLE.iter().flat_map(|file| file.lines()) {
        let message: DynamicMessage =
            descriptor.clone().deserialize(&mut serde_json::Deserializer::from_str(line))?;
        events.push(message.transcode_to()?);
    }
    Ok(events)
}

/// Encodes an event without its id and stream, and without links that change what is known of another event: an
/// event can be superseded once, and not with every copy.
fn body(mut event: Event) -> Bytes {
    event.id.clear();
    event.stream.clear();
    event.links.retain(|link| {
        let link = link.r#type();
        !matches!(
            link,
            LinkType::Corrects | LinkType::Supersedes | LinkType::Retracts | LinkType::DuplicateOf
        )
    });
    event.encode_to_vec().into()
}

/// The requests of one client.
#[derive(Debug)]
pub struct Requests<'a> {
    templates: &'a Templates,
    client: usize,
    requests: usize,
    events: usize,
    /// Last position that the client was told of.
    known: u64,
    rare: bool,
    /// The first id; the others follow it, as random ones would cost more than the rest of an event.
    first_id: Uuid,
    last_id: String,
}

impl<'a> Requests<'a> {
    /// Begins.
    #[must_use]
    pub fn new(templates: &'a Templates, client: usize) -> Self {
        let first_id = Uuid::from_bytes(*System.event_id().as_bytes());
        let last_id = String::new();
        Self { templates, client, requests: 0, events: 0, known: 0, rare: false, first_id, last_id }
    }

    /// Puts the rare tag on every [`RARE_EVERY`]th event.
    #[must_use]
    pub const fn with_rare(mut self) -> Self {
        self.rare = true;
        self
    }

    /// Makes an encoded `AppendEventsRequest`; always of the same size of batch, so that revisions can be foretold.
    pub fn next(&mut self, batch: usize, condition: Condition) -> Bytes {
        let stream = stream_of(self.client, self.requests % STREAMS);
        let mut out = BytesMut::new();
        for _ in 0..batch {
            self.put_event(&mut out, &stream);
        }
        if let Some(condition) = self.condition(stream, batch, condition) {
            let conditions = vec![pb::Condition { condition: Some(condition) }];
            // The encoding of a message without events is that of its conditions.
            out.put_slice(&AppendEventsRequest::of(Vec::new(), conditions).encode_to_vec());
        }
        self.requests += 1;
        out.freeze()
    }

    fn condition(&self, stream: String, batch: usize, condition: Condition) -> Option<Kind> {
        match condition {
            Condition::Nothing => None,
            Condition::Stream => {
                let expected = match (self.requests / STREAMS) * batch {
                    0 => Expected::Empty(true),
                    revision => Expected::Revision(u64::try_from(revision).unwrap_or(u64::MAX)),
                };
                Some(Kind::Stream(StreamCondition { name: stream, expected: Some(expected) }))
            }
            Condition::NoneSince => {
                let filter = Some(Filter { streams: vec![stream], ..Filter::default() });
                Some(Kind::NoneSince(NoneSinceCondition { filter, after_position: self.known }))
            }
        }
    }

    /// Takes note of an answer.
    pub const fn answered(&mut self, last_position: u64) {
        self.known = last_position;
    }

    /// Gives how many requests were made.
    #[must_use]
    pub const fn made(&self) -> usize {
        self.requests
    }

    /// Gives the id of the last event made.
    #[must_use]
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    fn put_event(&mut self, out: &mut BytesMut, stream: &str) {
        let templates = &self.templates.bodies;
        let body = templates.get(self.events % templates.len().max(1)).map_or(&[][..], |body| body);
        self.events += 1;
        let number = u128::try_from(self.events).unwrap_or_default();
        self.last_id = Uuid::from_u128(self.first_id.as_u128().wrapping_add(number)).to_string();
        let tag = if self.rare && self.events.is_multiple_of(RARE_EVERY) { RARE_TAG } else { "" };
        let tag_bytes = if tag.is_empty() { 0 } else { field_bytes(tag) };
        let bytes = field_bytes(&self.last_id) + field_bytes(stream) + body.len() + tag_bytes;
        out.put_u8(KEY_1);
        put_length(out, bytes);
        put_field(out, KEY_1, &self.last_id);
        put_field(out, KEY_2, stream);
        out.put_slice(body);
        if !tag.is_empty() {
            put_field(out, KEY_TAGS, tag);
        }
    }
}

/// Gives the bytes of a field with its key and length.
fn field_bytes(text: &str) -> usize {
    1 + prost::length_delimiter_len(text.len()) + text.len()
}

fn put_field(out: &mut BytesMut, key: u8, text: &str) {
    out.put_u8(key);
    put_length(out, text.len());
    out.put_slice(text.as_bytes());
}

fn put_length(out: &mut BytesMut, length: usize) {
    // A `BytesMut` grows: encoding into it does not fail.
    let _ = prost::encode_length_delimiter(length, out);
}
