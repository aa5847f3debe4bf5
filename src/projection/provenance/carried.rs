//! The links that an event carries: its own, and those of claims in it.

use crate::domain::{EventId, LinkType, Position};
use crate::index::{Scope, View};
use crate::pb;
use crate::pb::event::Payload;

/// A link, and where in its event it stands.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Path of the field.
    pub field: String,
    /// The link.
    pub link: pb::Link,
    /// What it says.
    pub link_type: LinkType,
}

/// An event that a link names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: EventId,
    /// Its place in the log.
    pub position: Position,
}

impl Carried {
    fn of(field: String, link: &pb::Link) -> Option<Self> {
        let link_type = LinkType::from_number(link.r#type)?;
        Some(Self { field, link: link.clone(), link_type })
    }

    /// Finds the event that it names, if that is an entry in the state of knowledge.
    #[must_use]
    pub fn target(&self, view: &View, scope: Scope) -> Option<Target> {
        let id = EventId::parse(&self.link.event_id).ok()?;
        let position = view.position_of(&id).filter(|position| view.in_scope(*position, scope))?;
        let (part, slot) = view.locate(position)?;
        (!part.columns().is_no_entry(slot)).then_some(Target { id, position })
    }
}

/// Gives every link of an event, those of claims last.
#[must_use]
pub(super) fn carried(event: &pb::Event) -> Vec<Carried> {
    let own = event.links.iter().enumerate().map(|(index, link)| (format!("links[{index}]"), link));
    let claims = match &event.payload {
        Some(Payload::Statement(statement)) => statement.claims.as_slice(),
        Some(
            Payload::Agreement(_)
            | Payload::FundingTransfer(_)
            | Payload::Visit(_)
            | Payload::StatisticalRelease(_)
            | Payload::Custom(_),
        )
        | None => &[],
    };
    let about = claims.iter().enumerate().flat_map(|(claim, found)| {
        let path = move |index| format!("statement.claims[{claim}].about[{index}]");
        found.about.iter().enumerate().map(move |(index, link)| (path(index), link))
    });
    own.chain(about).filter_map(|(field, link)| Carried::of(field, link)).collect()
}
