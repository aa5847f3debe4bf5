//! What is asked of the writer, and what it answers.

use bytes::Bytes;

use crate::domain::{Caveat, EventFacts, EventId, Position, Revision, StreamName, Timestamp};
use crate::filter::Filter;
use crate::journal::Record;

/// Events to append, and what must hold for it.
#[derive(Debug, Default)]
pub struct AppendRequest {
    /// The events, in order; ids are distinct.
    pub events: Vec<Proposal>,
    /// All must hold at the moment of writing.
    pub conditions: Vec<Condition>,
    /// Who asks, as far as known.
    pub recorded_by: String,
}

impl AppendRequest {
    /// Gives the bytes that the request takes in the writer's queue, roughly.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        // Facts hold about as much text again as the content has.
        let events = self.events.iter().map(|event| 512 + 2 * event.content.len());
        events.chain(self.conditions.iter().map(Condition::cost_bytes)).sum()
    }
}

/// An event that broke no rule, with its digest.
#[derive(Debug)]
pub struct Proposal {
    /// What queries need of it.
    pub facts: EventFacts,
    /// Its canonical bytes.
    pub content: Bytes,
    /// What is unusual about it.
    pub caveats: Vec<Caveat>,
    /// Random bytes of its own.
    pub salt: [u8; 16],
    /// Digest of salt and content.
    pub content_digest: [u8; 32],
}

impl Proposal {
    /// Gives the bytes that its record takes, roughly and not less.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        let caveats = self.caveats.iter().map(|caveat| 32 + caveat.field.len() + caveat.text.len());
        1_024 + self.content.len() + caveats.sum::<usize>() + 10 * self.facts.knowledge_links.len()
    }

    /// Digests the content.
    #[must_use]
    pub fn new(facts: EventFacts, content: Bytes, caveats: Vec<Caveat>, salt: [u8; 16]) -> Self {
        let content_digest = Record::content_digest_of(&salt, &content);
        Self { facts, content, caveats, salt, content_digest }
    }
}

/// Something that must be true of the log.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A stream is as expected.
    Stream {
        /// Which.
        name: StreamName,
        /// How.
        expected: Expected,
    },
    /// No matching event stands after a position.
    NoneSince {
        /// Which events.
        filter: Filter,
        /// Exclusive lower bound.
        after: Position,
    },
    /// No matching event stands anywhere.
    Absent {
        /// Which events.
        filter: Filter,
    },
}

impl Condition {
    /// Gives the number of values in its filter.
    #[must_use]
    pub fn value_count(&self) -> usize {
        match self {
            Self::Stream { .. } => 0,
            Self::NoneSince { filter, .. } | Self::Absent { filter } => filter.value_count(),
        }
    }

    fn cost_bytes(&self) -> usize {
        256 + match self {
            Self::Stream { name, .. } => name.as_str().len(),
            Self::NoneSince { filter, .. } | Self::Absent { filter } => filter.cost_bytes(),
        }
    }
}

/// An expected state of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This is its last revision.
    Revision(Revision),
    /// It has no event.
    Empty,
    /// It has an event.
    Exists,
}

/// Where the events of a request stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One for each event, in request order, at consecutive positions.
    pub events: Vec<AppendedEvent>,
    /// Whether this is the answer of an earlier request.
    pub replayed: bool,
}

/// Where an event stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendedEvent {
    /// Its id.
    pub id: EventId,
    /// Its place in the log.
    pub position: Position,
    /// Its place in its stream.
    pub revision: Revision,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// What the server found unusual.
    pub caveats: Vec<Caveat>,
}
