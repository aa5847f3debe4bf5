//! Whether an event is an entry of a question, and how.

use crate::domain::Position;
pub use crate::filter::{Certainty, Window};
use crate::index::{Part, Scope, Status, View};

/// An event as a version of what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub position: Position,
    /// What became of it.
    pub status: Status,
    /// How sure it is that it lies in the window; [`Certainty::Must`] without a window.
    pub certainty: Certainty,
    /// Versions in its history, retractions not counted.
    pub version_count: usize,
}

/// Decides which events are entries.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// The index.
    pub view: &'a View,
    /// The window asked for.
    pub window: Option<Window>,
    /// The state of knowledge asked for.
    pub scope: Scope,
    /// Whether closed entries and retractions count.
    pub include_closed: bool,
}

impl Judge<'_> {
    /// Tells how an event at or below `scope.as_of` matches, if it can be an entry, whatever became of it.
    #[must_use]
    pub fn certainty(&self, part: &dyn Part, slot: u16) -> Option<Certainty> {
        let columns = part.columns();
        if columns.is_no_entry(slot) || !columns.is_known_by(slot, self.scope.known_at) {
            return None;
        }
        match &self.window {
            Some(window) => window.matches(columns.bounds(slot)?, columns.is_qualified(slot)),
            None => Some(Certainty::Must),
        }
    }

    /// Tells how an event at or below `scope.as_of` matches and what became of it, if it is an entry.
    #[must_use]
    pub fn judge(&self, part: &dyn Part, slot: u16) -> Option<(Certainty, Status)> {
        let certainty = self.certainty(part, slot)?;
        let position = part.position_at(slot);
        let knowledge = self.view.knowledge();
        if !knowledge.is_touched(position) {
            return Some((certainty, Status::Current));
        }
        let status = knowledge.status(position, self.scope);
        (self.include_closed || status == Status::Current).then_some((certainty, status))
    }

    /// Tells whether an event at or below `scope.as_of` is an entry.
    #[must_use]
    pub fn admits(&self, part: &dyn Part, slot: u16) -> bool {
        // Asked of every candidate. A status is large, and hardly any event needs one.
        let stands = |position: Position| {
            let knowledge = self.view.knowledge();
            !knowledge.is_touched(position) || knowledge.status(position, self.scope) == Status::Current
        };
        self.certainty(part, slot).is_some() && (self.include_closed || stands(part.position_at(slot)))
    }

    /// Counts the versions in the history of an event, retractions not counted.
    #[must_use]
    pub fn version_count(&self, position: Position) -> usize {
        let knowledge = self.view.knowledge();
        let scope = self.scope;
        let history = knowledge.history(position, |position, known_at| scope.contains(position, known_at));
        history.into_iter().filter(|version| !knowledge.only_retracts(*version)).count()
    }
}
