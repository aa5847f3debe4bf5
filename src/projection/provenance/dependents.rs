//! From a source or an event on to what rests on it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use roaring::RoaringBitmap;

use super::carried::{Carried, carried};
use crate::domain::{EventId, LinkType, Position, TermField};
use crate::filter::plan::slots_of;
use crate::filter::{Filter, Needle};
use crate::index::{Scope, Status};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::projection::Events;
use crate::timeline::Judge;

/// Most events whose dependents one question looks for.
pub const EVENTS_MAX: usize = 100_000;
/// Most links asked of the index at once.
const NEEDLES_AT_ONCE: usize = 1_000;

/// What is rested on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// An event.
    Event(EventId),
    /// What a term of a source names: the source, its publisher, or to whom it ascribes what it says.
    Source(TermField, String),
}

/// Which dependents.
#[derive(Clone, Debug)]
pub struct Dependents {
    /// Of what.
    pub root: Root,
    /// Which links lead to a foundation.
    pub follow: Vec<LinkType>,
    /// Most links in a row.
    pub depth: u32,
    /// Which are listed.
    pub filter: Filter,
    /// Whether events that no longer stand count.
    pub include_closed: bool,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Where the page before ended: distance and position.
    pub after: Option<(u32, Position)>,
}

/// An event that rests on something.
#[derive(Clone, Debug)]
pub struct Dependent {
    /// Its place in the log.
    pub position: Position,
    /// The event.
    pub event: pb::Event,
    /// What became of it.
    pub status: Status,
    /// Links on the shortest way.
    pub distance: u32,
    /// Links to what is one nearer.
    pub via: Vec<Carried>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum DependentsError {
    /// Too much rests on it.
    #[error("more than {EVENTS_MAX} events rest on it: ask for a smaller depth")]
    TooMany,
    /// An event cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The events at one distance, by position, with the links by which they rest on what is nearer.
type Level = BTreeMap<Position, Vec<Carried>>;

/// Offers dependents by distance and position until `offer` gives `false`: then something may be left.
///
/// # Errors
/// [`DependentsError`].
pub fn dependents(
    log: &Log,
    query: &Dependents,
    mut offer: impl FnMut(Dependent) -> bool,
) -> Result<bool, DependentsError> {
    let mut walk = Walk { log, query, events: Events::of(log), seen: BTreeSet::new() };
    let (mut ids, mut level) = walk.begin();
    let first = u32::from(ids.is_some());
    for distance in first..=query.depth {
        if let Some(ids) = ids.take() {
            level = walk.linked_to(&ids)?;
        }
        if level.is_empty() {
            return Ok(false);
        }
        if !walk.offer(&level, distance, &mut offer)? {
            return Ok(true);
        }
        if distance < query.depth {
            ids = Some(walk.ids_of(&level)?);
        }
    }
    Ok(false)
}

struct Walk<'a> {
    log: &'a Log,
    query: &'a Dependents,
    events: Events,
    seen: BTreeSet<Position>,
}

impl Walk<'_> {
    /// Gives the ids whose dependents are next, or the events at distance 0.
    fn begin(&mut self) -> (Option<HashSet<String>>, Level) {
        match &self.query.root {
            Root::Event(id) => {
                self.seen.extend(self.log.index().view().position_of(id));
                (Some(HashSet::from([id.to_string()])), Level::new())
            }
            Root::Source(field, value) => {
                let filter =
                    Filter { clauses: vec![vec![Needle::Term(field.term(value))]], ..Filter::default() };
                let found = self.entries(&filter);
                self.seen.extend(found.iter().copied());
                (None, found.into_iter().map(|position| (position, Vec::new())).collect())
            }
        }
    }

    /// Gives the events that match and count.
    fn entries(&self, filter: &Filter) -> Vec<Position> {
        let Dependents { scope, include_closed, .. } = *self.query;
        let view = self.log.index().view();
        let judge = Judge { view: &view, window: None, scope, include_closed };
        let mut found = Vec::new();
        for part in view.parts().filter(|part| part.base() < scope.as_of) {
            let slots = filter.slots(part, part.slots_up_to(scope.as_of));
            let entries = slots_of(&slots).filter(|slot| judge.admits(part, *slot));
            found.extend(entries.map(|slot| part.position_at(slot)));
        }
        found
    }

    /// Gives the events that were not met before and rest on one of some events.
    fn linked_to(&mut self, ids: &HashSet<String>) -> Result<Level, DependentsError> {
        let mut candidates = BTreeSet::new();
        let ids_in_turn: Vec<&String> = ids.iter().collect();
        for ids in ids_in_turn.chunks(NEEDLES_AT_ONCE) {
            let needles = ids.iter().map(|id| Needle::Term(TermField::LinkEvent.term(id))).collect();
            candidates.extend(self.entries(&Filter { clauses: vec![needles], ..Filter::default() }));
        }
        candidates.retain(|position| !self.seen.contains(position));
        let mut level = Level::new();
        for position in candidates {
            let links = carried(&self.events.get(position)?).into_iter().filter(|carried| {
                self.query.follow.contains(&carried.link_type) && ids.contains(&carried.link.event_id)
            });
            let links: Vec<Carried> = links.collect();
            if !links.is_empty() {
                level.insert(position, links);
            }
        }
        self.seen.extend(level.keys().copied());
        if self.seen.len() > EVENTS_MAX {
            return Err(DependentsError::TooMany);
        }
        Ok(level)
    }

    fn ids_of(&mut self, level: &Level) -> Result<HashSet<String>, DependentsError> {
        if self.seen.len() > EVENTS_MAX {
            return Err(DependentsError::TooMany);
        }
        level.keys().map(|position| Ok(self.events.get(*position)?.id)).collect()
    }

    /// Offers the events at one distance that are listed and come after the page before.
    fn offer(
        &mut self,
        level: &Level,
        distance: u32,
        offer: &mut impl FnMut(Dependent) -> bool,
    ) -> Result<bool, DependentsError> {
        let query = self.query;
        if query.after.is_some_and(|(passed, _)| passed > distance) {
            return Ok(true);
        }
        let listed = self.listed(level);
        for (position, links) in level {
            let position = *position;
            if query.after.is_some_and(|after| after >= (distance, position)) || !listed.contains(&position) {
                continue;
            }
            let event = self.events.get(position)?;
            let status = self.log.index().view().knowledge().status(position, query.scope);
            if !offer(Dependent { position, event, status, distance, via: links.clone() }) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives the events of a level that the filter takes. All are looked at in one view: a part that is sealed meanwhile has
    /// other slots.
    fn listed(&self, level: &Level) -> BTreeSet<Position> {
        let Dependents { filter, scope, .. } = self.query;
        if filter.is_all() {
            return level.keys().copied().collect();
        }
        let view = self.log.index().view();
        let mut listed = BTreeSet::new();
        let mut held: Option<(Position, RoaringBitmap)> = None;
        for position in level.keys() {
            let Some((part, slot)) = view.locate(*position) else { continue };
            let (base, slots) = held
                .take()
                .filter(|(base, _)| *base == part.base())
                .unwrap_or_else(|| (part.base(), filter.slots(part, part.slots_up_to(scope.as_of))));
            if slots.contains(u32::from(slot)) {
                listed.insert(*position);
            }
            held = Some((base, slots));
        }
        listed
    }
}
