//! Whether a request may be written: ids, then conditions, then links.
//!
//! All is decided by the thread that commits, against the index and what the round accepted before, so nothing can
//! come between the check and the write.

use std::collections::HashSet;
use std::ops::Range;

use super::append::{AppendRequest, Appended, AppendedEvent, Condition, Expected};
use super::error::{AppendError, ConditionViolation, ReadError, ViolatedCondition};
use super::reader::Reader;
use super::stage::Stage;
use crate::codec::stored::{AppendPlace, StoredParts};
use crate::domain::{EventId, Kind, LinkType, Position, Revision, StreamName, Timestamp};
use crate::index::visibility::effective_closers;
use crate::index::{Edge, Scope, View};
use crate::journal::Record;
use crate::journal::frame::BODY_BYTES_MAX;

/// What becomes of a request that is not refused.
#[derive(Debug)]
pub enum Admitted {
    /// Its events are staged at these places.
    Staged(Range<usize>),
    /// It repeats a request that is staged at these places: it waits for that one's commit.
    RepeatsStaged(Range<usize>),
    /// It repeats a recorded request, and this is the original answer.
    Replay(Appended),
}

/// Decides on the requests of a round, one after another.
#[derive(Debug)]
pub struct Admission<'a> {
    /// The index as of the last commit.
    pub view: View<'a>,
    /// The last durable position.
    pub head: Position,
    /// Reads recorded events, to compare digests.
    pub reader: Reader,
    /// What the round accepted so far.
    pub stage: Stage,
}

/// An event of the request that is known already.
struct Known {
    position: Position,
    same_content: bool,
    place: AppendPlace,
    staged_at: Option<usize>,
}

impl Admission<'_> {
    /// Decides on a request, and stages it if it may be written.
    ///
    /// # Errors
    /// [`AppendError`]; nothing is staged then.
    pub fn admit(&mut self, request: AppendRequest, read_only: bool) -> Result<Admitted, AppendError> {
        if let Some(replay) = self.replay_of(&request)? {
            return Ok(replay);
        }
        if read_only {
            return Err(AppendError::ReadOnly);
        }
        check_sizes(&request)?;
        self.check_conditions(&request)?;
        let edges = self.check_links(&request)?;
        Ok(Admitted::Staged(self.stage_all(request, edges)))
    }

    fn stage_all(&mut self, request: AppendRequest, edges: Vec<Vec<Edge>>) -> Range<usize> {
        let places = self.stage.range_for(&request);
        let count = request.events.len();
        for ((index, event), edges) in request.events.into_iter().enumerate().zip(edges) {
            let revision = self.revision_of(&event.facts.stream).next();
            self.stage.push(event, revision, &edges, AppendPlace::new(index, count), &request.recorded_by);
        }
        places
    }

    fn replay_of(&mut self, request: &AppendRequest) -> Result<Option<Admitted>, AppendError> {
        let mut known = Vec::new();
        for event in &request.events {
            known.push(self.find(&event.facts.event_id, &event.content)?);
        }
        let recorded = known.iter().flatten().count();
        let ids = request.events.iter().map(|event| event.facts.event_id);
        let Some((first_id, _)) = ids.clone().zip(&known).find(|(_, known)| known.is_some()) else {
            return Ok(None);
        };
        for (id, known) in ids.zip(&known) {
            if let Some(Known { position, same_content: false, .. }) = known {
                return Err(AppendError::EventIdReused { id, position: *position });
            }
        }
        let count = known.len();
        let first = known.first().and_then(Option::as_ref).map(|known| (known.position, known.staged_at));
        let whole = known.iter().enumerate().all(|(index, known)| {
            known.as_ref().is_some_and(|known| {
                known.place == AppendPlace::new(index, count)
                    && first.is_some_and(|(first, _)| known.position == first.plus(offset(index)))
            })
        });
        let Some((first, staged_at)) = first.filter(|_| whole) else {
            return Err(AppendError::PartialReplay { recorded, missing: count - recorded, id: first_id });
        };
        if let Some(place) = staged_at {
            return Ok(Some(Admitted::RepeatsStaged(place..place + count)));
        }
        let mut events = Vec::with_capacity(count);
        for index in 0..count {
            events.push(original(&self.reader.record(first.plus(offset(index)))?)?);
        }
        Ok(Some(Admitted::Replay(Appended { events, replayed: true })))
    }

    fn find(&mut self, id: &EventId, content: &[u8]) -> Result<Option<Known>, AppendError> {
        if let Some((place, (_, record))) =
            self.stage.find(id).and_then(|place| Some((place, self.stage.at(place)?)))
        {
            let same_content = record.content == content;
            let parts = StoredParts::of(record).map_err(ReadError::from)?;
            let position = record.position;
            return Ok(Some(Known { position, same_content, place: parts.place, staged_at: Some(place) }));
        }
        let Some(position) = self.view.position_of(id) else {
            return Ok(None);
        };
        let record = self.reader.record(position)?;
        let same_content = Record::content_digest_of(&record.salt, content) == record.content_digest;
        let parts = StoredParts::of(&record).map_err(ReadError::from)?;
        Ok(Some(Known { position, same_content, place: parts.place, staged_at: None }))
    }

    fn revision_of(&self, stream: &StreamName) -> Revision {
        self.stage.revision_of(stream).unwrap_or_else(|| self.view.revision_of(stream))
    }

    fn check_conditions(&self, request: &AppendRequest) -> Result<(), AppendError> {
        let violated = request.conditions.iter().enumerate().filter_map(|(index, condition)| {
            self.violation(condition).map(|violation| ViolatedCondition { index, violation })
        });
        let violated: Vec<ViolatedCondition> = violated.collect();
        if violated.is_empty() { Ok(()) } else { Err(AppendError::ConditionFailed(violated)) }
    }

    fn violation(&self, condition: &Condition) -> Option<ConditionViolation> {
        let first_match = |filter: &crate::filter::Filter, after: Position| {
            filter.first_match(&self.view, after, self.head).or_else(|| self.stage.first_match(filter, after))
        };
        match condition {
            Condition::Stream { name, expected } => {
                let actual = self.revision_of(name);
                let holds = match expected {
                    Expected::Revision(revision) => actual == *revision,
                    Expected::Empty => actual.0 == 0,
                    Expected::Exists => actual.0 > 0,
                };
                (!holds).then(|| ConditionViolation::Stream { name: name.to_string(), actual })
            }
            Condition::NoneSince { filter, after } => {
                first_match(filter, *after).map(|position| ConditionViolation::NoneSince { position })
            }
            Condition::Absent { filter } => {
                first_match(filter, Position::ZERO).map(|position| ConditionViolation::Absent { position })
            }
        }
    }

    /// Finds the targets of all links; gives the knowledge links of each event.
    fn check_links(&self, request: &AppendRequest) -> Result<Vec<Vec<Edge>>, AppendError> {
        let mut own =
            Own { first: self.stage.next_position(), now: self.stage.now(), request, edges: Vec::new() };
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
                carrier_known_at: event.facts.known_at.unwrap_or(carrier_recorded_at),
                link_type: *link_type,
                target: found.position,
                target_known_at: found.known_at,
            });
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
        let edges_to = |target: Position| {
            let recorded = self.view.knowledge().closers(target).iter().chain(self.stage.edges_to(target));
            recorded.chain(own.edges.iter().filter(|edge| edge.target == target)).copied().collect()
        };
        for edge in effective_closers(target, Scope::up_to(Position(u64::MAX)), &edges_to) {
            let closer = self.id_at(own, edge.carrier)?;
            if !named.contains(&closer) {
                return Ok(Some(closer));
            }
        }
        Ok(None)
    }

    fn id_at(&self, own: &Own<'_>, position: Position) -> Result<EventId, AppendError> {
        if let Some(id) = own.id_at(position) {
            return Ok(id);
        }
        let staged = self.stage.facts.iter().find(|facts| facts.position == position);
        if let Some(facts) = staged {
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
        let number = *part.columns().kind.get(usize::from(slot))?;
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
    edges: Vec<Edge>,
}

impl Own<'_> {
    fn place(&self, index: usize) -> (Position, Timestamp) {
        let later = i64::try_from(index).unwrap_or(i64::MAX);
        (self.first.plus(offset(index)), self.now.plus_micros(later))
    }

    fn earlier(&self, index: usize, id: &EventId) -> Option<Target> {
        let mut earlier = self.request.events.iter().take(index);
        let at = earlier.position(|event| event.facts.event_id == *id)?;
        let facts = &self.request.events.get(at)?.facts;
        let (position, recorded_at) = self.place(at);
        Some(Target { position, kind: facts.kind, known_at: facts.known_at.unwrap_or(recorded_at) })
    }

    fn id_at(&self, position: Position) -> Option<EventId> {
        let index = usize::try_from(position.0.checked_sub(self.first.0)?).ok()?;
        self.request.events.get(index).map(|event| event.facts.event_id)
    }
}

/// Refuses what would not fit a frame: found only when the round is packed, it would fail its neighbours too.
fn check_sizes(request: &AppendRequest) -> Result<(), AppendError> {
    let bytes_max = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    for (index, event) in request.events.iter().enumerate() {
        let bytes = event.record_bytes();
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { index, bytes, bytes_max });
        }
    }
    Ok(())
}

fn offset(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

fn original(record: &Record) -> Result<AppendedEvent, ReadError> {
    let parts = StoredParts::of(record)?;
    Ok(AppendedEvent {
        id: record.event_id,
        position: record.position,
        revision: record.revision,
        recorded_at: record.recorded_at,
        caveats: parts.caveats,
    })
}
