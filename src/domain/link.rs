//! What an event says of other events.

use super::{EventId, LinkType, StreamName};

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

/// A link by which an event prolongs or ends what it points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeLink<S> {
    /// What is said; [`LinkType::bears_on_life`].
    pub link_type: LinkType,
    /// Of what.
    pub target: LifeTarget<S>,
}

/// What such a link points to, if it is in this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeTarget<S> {
    /// An event.
    Event(EventId),
    /// A stream.
    Stream(S),
}

impl LifeLink<StreamName> {
    /// Takes a link, if it is one.
    #[must_use]
    pub fn of(link: &Link) -> Option<Self> {
        let target = match &link.target {
            LinkTarget::Event(id) => LifeTarget::Event(*id),
            LinkTarget::Stream(name) => LifeTarget::Stream(StreamName::from_recorded(name)),
            LinkTarget::External => return None,
        };
        link.link_type.bears_on_life().then_some(Self { link_type: link.link_type, target })
    }

    /// Gives the same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> LifeLink<&str> {
        let target = match &self.target {
            LifeTarget::Event(id) => LifeTarget::Event(*id),
            LifeTarget::Stream(name) => LifeTarget::Stream(name.as_str()),
        };
        LifeLink { link_type: self.link_type, target }
    }
}
