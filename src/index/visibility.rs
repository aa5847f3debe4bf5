//! The one rule of what stands in a state of knowledge.

use super::{Edge, Knowledge};
use crate::domain::{LinkType, Position, Timestamp};

/// A state of knowledge: what was recorded up to a position, and could be known at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Last position, inclusive.
    pub as_of: Position,
    /// Last moment, inclusive; [`Timestamp::MAX`] = no bound.
    pub known_at: Timestamp,
}

impl Scope {
    /// Everything up to a position.
    #[must_use]
    pub const fn up_to(as_of: Position) -> Self {
        Self { as_of, known_at: Timestamp::MAX }
    }

    /// Tells whether an event is in scope.
    #[must_use]
    pub fn contains(&self, position: Position, known_at: Timestamp) -> bool {
        position <= self.as_of && known_at <= self.known_at
    }
}

/// What became of an event in a state of knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It stands.
    Current,
    /// Closed by the edge: a correction, a supersession or a retraction.
    Closed(Edge),
    /// It repeats the target of the edge, which is kept.
    Duplicate(Edge),
    /// It only withdraws other events.
    Retraction,
}

impl Knowledge {
    /// Tells what became of an event that is itself in scope.
    ///
    /// Of several effective edges the one with the least position is given.
    #[must_use]
    pub fn status(&self, position: Position, scope: Scope) -> Status {
        if let Some(edge) = self.effective_closers(position, scope).min_by_key(|edge| edge.carrier) {
            return Status::Closed(edge);
        }
        let carried = self.carried_by(position);
        let mut duplicates = carried.iter().filter(|edge| edge.link_type == LinkType::DuplicateOf);
        if let Some(edge) = duplicates.find(|edge| scope.contains(edge.target, edge.target_known_at)) {
            return Status::Duplicate(*edge);
        }
        if self.only_retracts(position) {
            return Status::Retraction;
        }
        Status::Current
    }

    /// Tells whether an event says nothing but that others are withdrawn.
    #[must_use]
    pub fn only_retracts(&self, position: Position) -> bool {
        let carried = self.carried_by(position);
        !carried.is_empty() && carried.iter().all(|edge| edge.link_type == LinkType::Retracts)
    }

    /// Gives the effective edges that close an event: corrections, supersessions and retractions of it.
    pub fn effective_closers(&self, position: Position, scope: Scope) -> impl Iterator<Item = Edge> {
        effective_closers(position, scope, &|target| self.closers(target).copied().collect()).into_iter()
    }
}

/// Gives the effective edges that close an event, by rising carrier. `edges_to` gives all edges to an event.
#[must_use]
pub fn effective_closers(
    position: Position,
    scope: Scope,
    edges_to: &dyn Fn(Position) -> Vec<Edge>,
) -> Vec<Edge> {
    let mut edges = edges_to(position);
    edges.retain(|edge| {
        edge.link_type != LinkType::DuplicateOf
            && scope.contains(edge.carrier, edge.carrier_known_at)
            && !is_retracted(edge.carrier, scope, edges_to)
    });
    edges
}

/// Tells whether an effective retraction targets an event.
///
/// A retraction is effective if it is in scope and not itself retracted; chains of retractions can be of any
/// length, so they are walked with a stack of our own.
fn is_retracted(position: Position, scope: Scope, edges_to: &dyn Fn(Position) -> Vec<Edge>) -> bool {
    let retractions = |target: Position| {
        let mut edges = edges_to(target);
        edges.retain(|edge| {
            edge.link_type == LinkType::Retracts && scope.contains(edge.carrier, edge.carrier_known_at)
        });
        edges.into_iter()
    };
    let mut stack = vec![retractions(position)];
    // What the event just taken from the stack turned out to be.
    let mut finished: Option<bool> = None;
    while let Some(pending) = stack.last_mut() {
        if finished == Some(false) {
            // A retraction of this event stands.
            finished = Some(true);
            stack.pop();
        } else if let Some(edge) = pending.next() {
            finished = None;
            stack.push(retractions(edge.carrier));
        } else {
            finished = Some(false);
            stack.pop();
        }
    }
    finished == Some(true)
}
