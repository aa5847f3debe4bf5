//! The acts of agreements, and the links to them from elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::act::{Act, Basis, When, counts, when};
use super::places::{Places, places};
use crate::domain::{Kind, LinkType, Position, StreamName, TermField};
use crate::filter::{Filter, Needle};
use crate::index::Scope;
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::event::Payload;
use crate::projection::civil::day_number;
use crate::projection::{Events, of_kind, standing};

/// What is recorded of one agreement in a state of knowledge.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its stream.
    pub stream: String,
    /// Standing acts, by position.
    pub acts: Vec<Act>,
    /// Links of the world family that standing events elsewhere have to it, by position.
    pub incoming: Vec<Incoming>,
}

/// A link of the world family from elsewhere.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// What it says.
    pub link: pb::Link,
    /// Which of the family.
    pub link_type: LinkType,
    /// The event that carries it.
    pub event_id: String,
    /// The stream of that event.
    pub stream: String,
    /// Where that event stands.
    pub position: Position,
    /// Whether that event can have happened at all.
    pub counts: bool,
    /// The term that that event states.
    pub expires_on: Option<i32>,
    act: When,
    effective: When,
}

impl Incoming {
    /// Gives when the carrier happened.
    #[must_use]
    pub const fn when(&self, basis: Basis) -> When {
        match basis {
            Basis::Act => self.act,
            Basis::Effective => self.effective,
        }
    }
}

/// Tells whether a link is of the world family.
#[must_use]
pub fn world(link: &pb::Link) -> Option<LinkType> {
    LinkType::from_number(link.r#type).filter(|link_type| is_world(*link_type))
}

const fn is_world(link_type: LinkType) -> bool {
    matches!(link_type.number(), 10..20)
}

/// Gathers the records of streams.
///
/// # Errors
/// As [`records_at`].
pub fn records(
    log: &Log,
    streams: &BTreeSet<String>,
    scope: Scope,
) -> Result<BTreeMap<String, Record>, ReadError> {
    let places = places(&log.index().view(), streams, scope);
    records_at(log, &places, scope)
}

/// Gathers the records of streams whose acts stand at these places; those without a standing act are left out.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn records_at(log: &Log, places: &Places, scope: Scope) -> Result<BTreeMap<String, Record>, ReadError> {
    let mut in_order: Vec<(Position, bool)> = places.values().flatten().copied().collect();
    // Neighbours share frames.
    in_order.sort_unstable();
    let mut events = Events::of(log);
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    // A link may name a version of an act that no longer stands: it means the agreement all the same.
    let mut owners: HashMap<String, String> = HashMap::new();
    for (position, stands) in in_order {
        let event = events.get(position)?;
        owners.insert(event.id.clone(), event.stream.clone());
        let Some(act) = stands.then(|| Act::of(event)).flatten() else { continue };
        let stream = act.event.stream.clone();
        let empty = || Record { stream: stream.clone(), acts: Vec::new(), incoming: Vec::new() };
        records.entry(stream.clone()).or_insert_with(empty).acts.push(act);
    }
    link(log, &mut events, &owners, scope, &mut records)?;
    Ok(records)
}

/// Adds the links from elsewhere.
fn link(
    log: &Log,
    events: &mut Events,
    owners: &HashMap<String, String>,
    scope: Scope,
    records: &mut BTreeMap<String, Record>,
) -> Result<(), ReadError> {
    let named = records.keys().map(|stream| Needle::Term(TermField::LinkStream.term(stream)));
    let ids = owners.keys().map(|id| Needle::Term(TermField::LinkEvent.term(id)));
    let targets: Vec<Needle> = named.chain(ids).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let family = LinkType::ALL.iter().filter(|link_type| is_world(**link_type));
    let family =
        family.map(|link_type| Needle::Term(TermField::LinkType.term(&link_type.number().to_string())));
    // Few parts hold a link of the family: the others are passed over before the many targets are looked up.
    let filter = Filter { clauses: vec![family.collect(), targets], ..Filter::default() };
    let carriers = standing(&log.index().view(), &filter, None, scope);
    for position in carriers {
        let event = events.get(position)?;
        for found in &event.links {
            let Some(link_type) = world(found) else { continue };
            let owner =
                if found.stream.is_empty() { owners.get(&found.event_id) } else { Some(&found.stream) };
            let Some(record) = owner.and_then(|owner| records.get_mut(owner)) else { continue };
            if record.stream != event.stream || kind_of(&event) != Some(Kind::Agreement) {
                record.incoming.push(incoming(found, link_type, &event));
            }
        }
    }
    Ok(())
}

const fn kind_of(event: &pb::Event) -> Option<Kind> {
    match &event.payload {
        Some(Payload::Agreement(_)) => Some(Kind::Agreement),
        Some(
            Payload::FundingTransfer(_)
            | Payload::Visit(_)
            | Payload::StatisticalRelease(_)
            | Payload::Statement(_)
            | Payload::Custom(_),
        )
        | None => None,
    }
}

fn incoming(link: &pb::Link, link_type: LinkType, event: &pb::Event) -> Incoming {
    let expires_on = match &event.payload {
        Some(Payload::Agreement(agreement)) => agreement.expires_on.as_ref().and_then(day_number),
        Some(
            Payload::FundingTransfer(_)
            | Payload::Visit(_)
            | Payload::StatisticalRelease(_)
            | Payload::Statement(_)
            | Payload::Custom(_),
        )
        | None => None,
    };
    Incoming {
        link: link.clone(),
        link_type,
        event_id: event.id.clone(),
        stream: event.stream.clone(),
        position: Position(event.position),
        counts: counts(event),
        expires_on,
        act: when(event, Basis::Act),
        effective: when(event, Basis::Effective),
    }
}

/// Gathers the record of one stream; nothing where no act stands.
///
/// # Errors
/// As [`records`].
pub fn record(log: &Log, stream: &str, scope: Scope) -> Result<Option<Record>, ReadError> {
    Ok(records(log, &BTreeSet::from([stream.to_owned()]), scope)?.remove(stream))
}

/// Finds the stream whose standing events of a kind carry an identifier: first the one that the identifier spells,
/// `:` written `/`, then the first by position.
///
/// # Errors
/// As [`records`].
pub fn stream_of_id(
    log: &Log,
    kind: Kind,
    scope: Scope,
    carries: impl Fn(&pb::Event) -> bool,
    id: &str,
) -> Result<Option<String>, ReadError> {
    let mut events = Events::of(log);
    let spelled = StreamName::parse(&id.replace(':', "/")).ok();
    let likely = spelled.map(|name| Filter::of_stream(&name));
    for filter in likely.into_iter().chain([Filter::default()]) {
        let found = standing(&log.index().view(), &of_kind(kind, filter), None, scope);
        for position in found {
            let event = events.get(position)?;
            if carries(&event) {
                return Ok(Some(event.stream));
            }
        }
    }
    Ok(None)
}
