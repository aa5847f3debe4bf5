//! Agreements with the events that tell of them, to be shown.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::act::{Act, Record, acts_of_stream, parts_with_acts};
use super::links::{Carried, carried};
use crate::domain::{Position, StreamName, TermField};
use crate::filter::Needle;
use crate::index::{Part, Scope, Status, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::event::Payload;
use crate::projection::Events;
use crate::timeline::Judge;

/// What is recorded of one agreement, and the events that say so.
#[derive(Clone, Debug, Default)]
pub struct Dossier {
    /// Its stream.
    pub stream: String,
    /// What its life is folded from.
    pub record: Record<'static>,
    /// The events of the acts, in the order of the record.
    pub tellings: Vec<Telling>,
    /// The links from elsewhere, in the order of the record.
    pub links: Vec<Carried>,
}

/// An event that tells of an act.
#[derive(Clone, Debug)]
pub struct Telling {
    /// The event without its payload.
    pub event: pb::Event,
    /// The payload.
    pub agreement: pb::Agreement,
}

impl Dossier {
    /// Gives the acts with the events that tell of them.
    pub fn acts(&self) -> impl DoubleEndedIterator<Item = (&Act<'static>, &Telling)> + Clone {
        self.record.acts.iter().zip(&self.tellings)
    }
}

/// An act in scope, and its stream.
struct Place<'a> {
    position: Position,
    stream: &'a str,
    /// The act, if it stands.
    act: Option<Act<'static>>,
}

/// Gathers the agreements of streams; those without a standing act are left out.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn dossiers(
    log: &Log,
    streams: &BTreeSet<String>,
    scope: Scope,
) -> Result<BTreeMap<String, Dossier>, ReadError> {
    let mut places = places(&log.index().view(), streams, scope);
    // Neighbours share frames.
    places.sort_unstable_by_key(|place| place.position);
    let mut events = Events::of(log);
    let mut dossiers: BTreeMap<String, Dossier> = BTreeMap::new();
    let mut targets: Vec<Needle> = Vec::new();
    for Place { position, stream, act } in places {
        let mut event = events.get(position)?;
        targets.push(Needle::Term(TermField::LinkEvent.term(&event.id)));
        let Some((act, Payload::Agreement(agreement))) = act.zip(event.payload.take()) else { continue };
        let dossier = dossiers.entry(stream.to_owned()).or_insert_with(|| {
            targets.push(Needle::Term(TermField::LinkStream.term(stream)));
            Dossier { stream: stream.to_owned(), ..Dossier::default() }
        });
        dossier.record.acts.push(act);
        dossier.tellings.push(Telling { event, agreement });
    }
    if dossiers.is_empty() {
        return Ok(dossiers);
    }
    let links = carried(log, targets, scope)?;
    let view = log.index().view();
    for link in links {
        let Some((stream, incoming)) = link.to(&view, scope) else { continue };
        if let Some(dossier) = dossiers.get_mut(stream.as_ref()) {
            dossier.record.incoming.push(incoming);
            dossier.links.push(link);
        }
    }
    Ok(dossiers)
}

fn places<'a>(view: &View, streams: &'a BTreeSet<String>, scope: Scope) -> Vec<Place<'a>> {
    let judge = Judge { view, window: None, scope, include_closed: true };
    let mut places = Vec::new();
    for part in parts_with_acts(view, scope.as_of) {
        for stream in streams {
            for (slot, number) in acts_of_stream(part, stream, scope.as_of) {
                let Some((_, status)) = judge.judge(part, slot) else { continue };
                let stands = status == Status::Current;
                let act = if stands { Act::at(part, slot, number).map(Act::into_owned) } else { None };
                places.push(Place { position: part.position_at(slot), stream, act });
            }
        }
    }
    places
}

/// Gathers one agreement; nothing where no act stands.
///
/// # Errors
/// As [`dossiers`].
pub fn dossier(log: &Log, stream: &str, scope: Scope) -> Result<Option<Dossier>, ReadError> {
    Ok(dossiers(log, &BTreeSet::from([stream.to_owned()]), scope)?.remove(stream))
}

/// Finds the stream with a standing act that carries an identifier: first the one that the identifier spells, then that of
/// the first by position.
#[must_use]
pub fn stream_of_id(view: &View, id: &str, scope: Scope) -> Option<String> {
    let judge = Judge { view, window: None, scope, include_closed: false };
    let parts = || parts_with_acts(view, scope.as_of);
    let carries = |part: &dyn Part, stream: &StreamName| {
        let acts = acts_of_stream(part, stream.as_str(), scope.as_of).into_iter();
        let mut standing = acts.filter(|(slot, _)| judge.admits(part, *slot));
        standing.any(|(_, number)| part.act(number).is_some_and(|act| act.agreement_id == id))
    };
    if let Some(stream) =
        StreamName::spelled_by(id).filter(|stream| parts().any(|part| carries(part, stream)))
    {
        return Some(stream.as_str().to_owned());
    }
    parts().find_map(|part| {
        let slots = part.slots_up_to(scope.as_of);
        let number = part.acts_of_agreement(id).find(|number| {
            let slot = part.act_slot(*number).filter(|slot| u32::from(*slot) < slots);
            slot.is_some_and(|slot| judge.admits(part, slot))
        });
        part.act_stream(number?).map(Cow::into_owned)
    })
}
