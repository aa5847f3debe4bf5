//! The history of an entry: every version, and what ended it.

use crate::domain::{LinkType, Position, Timestamp};
use crate::index::{Edge, Scope, Status, View};

/// One version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its place in the log.
    pub position: Position,
    /// What became of it.
    pub status: Status,
    /// When the public could know it, inclusive.
    pub known_from: Timestamp,
    /// When the public could know better, exclusive.
    pub known_to: Option<Timestamp>,
    /// What ended it.
    pub closed_by: Option<Edge>,
}

impl Version {
    /// Gives the event that ended it: the one that closed it, or that it repeats.
    #[must_use]
    pub fn ended_by(&self) -> Option<Position> {
        match self.status {
            Status::Closed(edge) => Some(edge.carrier),
            Status::Duplicate(edge) => Some(edge.target),
            Status::Current | Status::Retraction => None,
        }
    }
}

/// Gives all versions of the history that an event in scope belongs to, by position.
#[must_use]
pub fn history(view: &View, position: Position, scope: Scope) -> Vec<Version> {
    let knowledge = view.knowledge();
    let versions = knowledge.history(position, |position, known_at| scope.contains(position, known_at));
    let versions = versions.into_iter().filter_map(|position| {
        let status = knowledge.status(position, scope);
        let known_to = match status {
            // Of several closers the first to be known ends what the public believed.
            Status::Closed(_) => {
                knowledge.effective_closers(position, scope).map(|edge| edge.carrier_known_at).min()
            }
            // It stood alone until an event that it repeats was known, too.
            Status::Duplicate(_) => {
                let repeats = knowledge.carried_by(position).iter();
                repeats
                    .filter(|edge| {
                        edge.link_type == LinkType::DuplicateOf
                            && scope.contains(edge.target, edge.target_known_at)
                    })
                    .map(|edge| edge.carrier_known_at.max(edge.target_known_at))
                    .min()
            }
            Status::Current | Status::Retraction => None,
        };
        let closed_by = match status {
            Status::Closed(edge) | Status::Duplicate(edge) => Some(edge),
            Status::Current | Status::Retraction => None,
        };
        Some(Version { position, status, known_from: view.known_at(position)?, known_to, closed_by })
    });
    versions.collect()
}
