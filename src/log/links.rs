//! Whether the links of a request may be recorded: targets are there, and chains of revisions stay chains.

use ahash::{HashMap, HashSet};

use super::admission::{Admission, offset};
use super::append::{AppendRequest, Proposal};
use super::error::AppendError;
use super::stage::Stage;
use crate::domain::{EventId, Kind, LinkType, Position, Timestamp};
use crate::index::visibility::effective_closers;
use crate::index::{Edge, Scope};

/// Everything that is recorded or staged.
const EVERYTHING: Scope = Scope::up_to(Position(u64::MAX));

impl Admission {
    /// Finds the targets of all links; gives the knowledge links of each event.
    pub(super) fn check_links(&self, request: &AppendRequest) -> Result<Vec<Vec<Edge>>, AppendError> {
        let has_links = |event: &Proposal| {
            !event.facts.other_link_targets.is_empty() || !event.facts.knowledge_links.is_empty()
        };
        if !request.events.iter().any(has_links) {
            return Ok(vec![Vec::new(); request.events.len()]);
        }
        let mut own = Own::of(request, &self.stage);
        let mut edges = Vec::with_capacity(request.events.len());
        for (index, event) in request.events.iter().enumerate() {
            for (link, target) in &event.facts.other_link_targets {
                if self.target(&own, index, target).is_none() {
                    return Err(AppendError::LinkTargetUnknown { at: (index, *link), target: *target });
                }
            }
            let added = self.check_knowledge_links(&own, index)?;
            own.edges.extend(&added);
            edges.push(added);
        }
        Ok(edges)
    }

    fn check_knowledge_links(&self, own: &Own<'_>, index: usize) -> Result<Vec<Edge>, AppendError> {
        let Some(event) = own.request.events.get(index) else {
            return Ok(Vec::new());
        };
        let links = &event.facts.knowledge_links;
        let named: HashSet<EventId> = links.iter().map(|(_, _, target)| *target).collect();
        let (carrier, carrier_recorded_at) = own.place(index);
        let mut added = Vec::with_capacity(links.len());
        for (link, link_type, id) in links {
            let (at, target) = ((index, *link), *id);
            let Some(found) = self.target(own, index, id) else {
                return Err(AppendError::LinkTargetUnknown { at, target });
            };
            let kind = event.facts.kind;
            if matches!(link_type, LinkType::Corrects | LinkType::Supersedes) && found.kind != kind {
                return Err(AppendError::LinkTargetKind { at, target, kind, target_kind: found.kind });
            }
            if *link_type != LinkType::DuplicateOf
                && let Some(closed_by) = self.unnamed_closer(own, found.position, &named)?
            {
                return Err(AppendError::LinkTargetClosed { at, target, closed_by });
            }
            added.push(Edge {
                carrier,
                carrier_known_at: event.facts.known_time(carrier_recorded_at),
                link_type: *link_type,
                target: found.position,
                target_known_at: found.known_at,
            });
        }
        let retraction = links.iter().find(|(_, link_type, _)| *link_type == LinkType::Retracts);
        if let Some((link, ..)) = retraction
            && let Some((target, closed_by)) = self.reopened(own, &added, &named)?
        {
            return Err(AppendError::LinkTargetClosed { at: (index, *link), target, closed_by });
        }
        Ok(added)
    }

    /// Gives an event that closes the target and that the new event does not name: then two revisions were made of
    /// one state, and the chain would fork.
    fn unnamed_closer(
        &self,
        own: &Own<'_>,
        target: Position,
        named: &HashSet<EventId>,
    ) -> Result<Option<EventId>, AppendError> {
        for edge in effective_closers(target, EVERYTHING, &|target| self.edges_to(own, target)) {
            let closer = self.id_at(own, edge.carrier)?;
            if !named.contains(&closer) {
                return Ok(Some(closer));
            }
        }
        Ok(None)
    }

    /// Finds a fork that a retraction would open. Retracting a retraction makes the links of what that one had
    /// withdrawn effective again; where another event has closed the same target meanwhile, and the new event does
    /// not name it, the target would have two successors. Gives the target and the event that closed it.
    fn reopened(
        &self,
        own: &Own<'_>,
        added: &[Edge],
        named: &HashSet<EventId>,
    ) -> Result<Option<(EventId, EventId)>, AppendError> {
        let before = |target: Position| self.edges_to(own, target);
        let after = |target: Position| {
            let mut edges = self.edges_to(own, target);
            edges.extend(added.iter().filter(|edge| edge.target == target));
            edges
        };
        let retracted = added.iter().filter(|edge| edge.link_type == LinkType::Retracts);
        let mut pending: Vec<Position> = retracted.map(|edge| edge.target).collect();
        let mut seen = HashSet::default();
        while let Some(carrier) = pending.pop() {
            for edge in self.edges_of(own, carrier) {
                if !seen.insert(edge.target) {
                    continue;
                }
                let was = effective_closers(edge.target, EVERYTHING, &before);
                let is = effective_closers(edge.target, EVERYTHING, &after);
                let revived =
                    |edge: &Edge| !was.contains(edge) && !added.iter().any(|new| new.carrier == edge.carrier);
                if is.iter().any(revived) {
                    for other in was.iter().filter(|other| is.contains(other)) {
                        let closer = self.id_at(own, other.carrier)?;
                        if !named.contains(&closer) {
                            return Ok(Some((self.id_at(own, edge.target)?, closer)));
                        }
                    }
                }
                pending.push(edge.target);
            }
        }
        Ok(None)
    }

    /// Gives the knowledge links to an event: recorded, staged, or of earlier events of the request.
    fn edges_to(&self, own: &Own<'_>, target: Position) -> Vec<Edge> {
        let recorded = self.view.knowledge().closers(target).chain(self.stage.edges_to(target));
        recorded.chain(own.edges.iter().filter(|edge| edge.target == target)).copied().collect()
    }

    /// Gives the knowledge links that an event carries, wherever it stands.
    fn edges_of(&self, own: &Own<'_>, carrier: Position) -> Vec<Edge> {
        let recorded = self.view.knowledge().carried_by(carrier).iter().chain(self.stage.edges_of(carrier));
        recorded.chain(own.edges.iter().filter(|edge| edge.carrier == carrier)).copied().collect()
    }

    fn id_at(&self, own: &Own<'_>, position: Position) -> Result<EventId, AppendError> {
        if let Some(id) = own.id_at(position) {
            return Ok(id);
        }
        if let Some((facts, _)) = self.stage.place_of(position).and_then(|place| self.stage.at(place)) {
            return Ok(facts.event.event_id);
        }
        Ok(self.reader.clone().record(position)?.event_id)
    }

    /// Finds an event that a link may name: recorded, staged, or earlier in the request.
    fn target(&self, own: &Own<'_>, index: usize, id: &EventId) -> Option<Target> {
        if let Some(target) = own.earlier(index, id) {
            return Some(target);
        }
        if let Some((facts, _)) = self.stage.find(id).and_then(|place| self.stage.at(place)) {
            let (position, known_at) = (facts.position, facts.known_time());
            return Some(Target { position, kind: facts.event.kind, known_at });
        }
        let position = self.view.position_of(id)?;
        let (part, slot) = self.view.locate(position)?;
        let number = part.columns().kind(slot)?;
        Some(Target {
            position,
            kind: Kind::from_number(number.into())?,
            known_at: part.columns().known_at(slot)?,
        })
    }
}

/// An event that a link names.
struct Target {
    position: Position,
    kind: Kind,
    known_at: Timestamp,
}

/// The events of the request itself, at the places they would get.
struct Own<'a> {
    first: Position,
    now: Timestamp,
    request: &'a AppendRequest,
    places: HashMap<EventId, usize>,
    edges: Vec<Edge>,
}

impl<'a> Own<'a> {
    fn of(request: &'a AppendRequest, stage: &Stage) -> Self {
        let ids = request.events.iter().map(|event| event.facts.event_id);
        let places = ids.enumerate().map(|(place, id)| (id, place)).collect();
        Self { first: stage.next_position(), now: stage.now(), request, places, edges: Vec::new() }
    }

    fn place(&self, index: usize) -> (Position, Timestamp) {
        let later = i64::try_from(index).unwrap_or(i64::MAX);
        (self.first.plus(offset(index)), self.now.plus_micros(later))
    }

    fn earlier(&self, index: usize, id: &EventId) -> Option<Target> {
        let at = *self.places.get(id).filter(|place| **place < index)?;
        let facts = &self.request.events.get(at)?.facts;
        let (position, recorded_at) = self.place(at);
        Some(Target { position, kind: facts.kind, known_at: facts.known_time(recorded_at) })
    }

    fn id_at(&self, position: Position) -> Option<EventId> {
        let index = usize::try_from(position.0.checked_sub(self.first.0)?).ok()?;
        self.request.events.get(index).map(|event| event.facts.event_id)
    }
}
