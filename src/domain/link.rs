//! What an event says of other events.

use super::{EventId, LinkType};

/// A link to an event, a stream, or something elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is said.
    pub link_type: LinkType,
    /// Of what.
    pub target: LinkTarget,
}

/// What a link points to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// An event of this log.
    Event(EventId),
    /// A stream of this log.
    Stream(String),
    /// Something elsewhere.
    External,
}

impl Link {
    /// Gives the event that the link points to, if it is one.
    #[must_use]
    pub const fn event(&self) -> Option<EventId> {
        match self.target {
            LinkTarget::Event(id) => Some(id),
            LinkTarget::Stream(_) | LinkTarget::External => None,
        }
    }
}
