//! Links of the world family to agreements, from other events.

use std::borrow::Cow;

use ahash::HashMap;

use super::act::{Happening, Incoming};
use crate::domain::{EventId, LifeTarget, LinkType, Position, TermField};
use crate::filter::{Filter, Needle};
use crate::index::{Part, Scope, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::projection::{Events, standing};
use crate::timeline::Judge;

/// Gives the stream of the agreement that is meant. A link may name a version of an act that no longer stands: it means
/// the agreement all the same.
fn meant<'a>(view: &'a View, scope: Scope, target: LifeTarget<&'a str>) -> Option<Cow<'a, str>> {
    match target {
        LifeTarget::Stream(stream) => Some(Cow::Borrowed(stream)),
        LifeTarget::Event(id) => {
            let position = view.position_of(&id).filter(|position| *position <= scope.as_of)?;
            let (part, slot) = view.locate(position)?;
            Judge { view, window: None, scope, include_closed: true }.judge(part, slot)?;
            part.act_stream(part.act_at(slot)?)
        }
    }
}

fn happening(part: &dyn Part, slot: u16) -> Option<Happening> {
    let act = part.act_at(slot).and_then(|number| part.act(number));
    Happening::at(part, slot, act.as_ref())
}

/// Tells whether an event is an act of an agreement itself: what it does to it, its action says.
fn is_own(part: &dyn Part, slot: u16, stream: &str) -> bool {
    part.act_at(slot).is_some_and(|number| part.act_stream(number).as_deref() == Some(stream))
}

/// Gives the links from elsewhere that stand and prolong or end an agreement, by stream of the agreement that is meant and
/// position.
#[must_use]
pub fn incoming(view: &View, scope: Scope) -> HashMap<Cow<'_, str>, Vec<Incoming>> {
    let judge = Judge { view, window: None, scope, include_closed: false };
    let mut found: HashMap<Cow<'_, str>, Vec<Incoming>> = HashMap::default();
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        let slots = part.slots_up_to(scope.as_of);
        for (slot, link) in part.life_links().take_while(|(slot, _)| u32::from(*slot) < slots) {
            if !judge.admits(part, slot) {
                continue;
            }
            let Some(stream) = meant(view, scope, link.target) else { continue };
            let Some(happening) = happening(part, slot) else { continue };
            if !is_own(part, slot, &stream) {
                let link = Incoming { happening, link_type: link.link_type };
                found.entry(stream).or_default().push(link);
            }
        }
    }
    found
}

/// A link from elsewhere, to be shown.
#[derive(Clone, Debug)]
pub struct Carried {
    /// What it says.
    pub link: pb::Link,
    /// The event that carries it.
    pub event_id: String,
    /// The stream of that event.
    pub stream: String,
    position: Position,
}

/// Takes a link as clients see it, if it is of the world family.
#[must_use]
pub fn world(link: &pb::Link) -> Option<LinkType> {
    LinkType::from_number(link.r#type).filter(|link_type| link_type.is_world())
}

fn target(link: &pb::Link) -> Option<LifeTarget<&str>> {
    if link.stream.is_empty() {
        EventId::parse(&link.event_id).ok().map(LifeTarget::Event)
    } else {
        Some(LifeTarget::Stream(&link.stream))
    }
}

/// Reads the links of standing events that have one of some targets, by position.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn carried(log: &Log, targets: Vec<Needle>, scope: Scope) -> Result<Vec<Carried>, ReadError> {
    let family = LinkType::ALL.iter().filter(|link_type| link_type.is_world());
    let family =
        family.map(|link_type| Needle::Term(TermField::LinkType.term(&link_type.number().to_string())));
    // Few parts hold a link of the family: the others are passed over before the many targets are looked up.
    let filter = Filter { clauses: vec![family.collect(), targets], ..Filter::default() };
    let carriers = standing(&log.index().view(), &filter, None, scope);
    let mut events = Events::of(log);
    let mut found = Vec::new();
    for position in carriers {
        let event = events.get(position)?;
        let links = event.links.into_iter().filter(|link| world(link).is_some());
        found.extend(links.map(|link| Carried {
            link,
            event_id: event.id.clone(),
            stream: event.stream.clone(),
            position,
        }));
    }
    Ok(found)
}

impl Carried {
    /// Gives the stream of the agreement that is meant, and the link as a life is folded from it; nothing if it does not
    /// come from elsewhere.
    #[must_use]
    pub fn to<'a>(&'a self, view: &'a View, scope: Scope) -> Option<(Cow<'a, str>, Incoming)> {
        let stream = meant(view, scope, target(&self.link)?)?;
        let (part, slot) = view.locate(self.position)?;
        // It may have been erased since it was read.
        Judge { view, window: None, scope, include_closed: false }.judge(part, slot)?;
        let incoming = Incoming { happening: happening(part, slot)?, link_type: world(&self.link)? };
        (!is_own(part, slot, &stream)).then_some((stream, incoming))
    }
}
