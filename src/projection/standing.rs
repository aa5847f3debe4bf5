//! What stands in a state of knowledge.

use crate::codec::present;
use crate::domain::{Assertion, Factuality, Kind, Modality, Position, StreamName, TermField};
use crate::filter::plan::slots_of;
use crate::filter::{Filter, Needle};
use crate::index::{Scope, Status, View};
use crate::log::error::ReadError;
use crate::log::{Log, Reader};
use crate::pb;
use crate::timeline::{Judge, Window};

/// Gives the positions, rising, of the entries that match a filter and stand in a state of knowledge; `scope.as_of` is a
/// real position.
#[must_use]
pub fn standing(view: &View, filter: &Filter, window: Option<Window>, scope: Scope) -> Vec<Position> {
    let judge = Judge { view, window, scope, include_closed: false };
    let mut found = Vec::new();
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        let slots = filter.slots(part, part.slots_up_to(scope.as_of));
        let entries = slots_of(&slots).filter(|slot| judge.admits(part, *slot));
        found.extend(entries.map(|slot| part.position_at(slot)));
    }
    found
}

/// Asks for events of a kind, and more.
#[must_use]
pub fn of_kind(kind: Kind, mut filter: Filter) -> Filter {
    filter.clauses.push(vec![Needle::Term(TermField::Kind.term(&kind.number().to_string()))]);
    filter
}

/// Gives the positions of all events in scope that match, and whether each stands.
#[must_use]
pub fn in_scope(view: &View, filter: &Filter, scope: Scope) -> Vec<(Position, bool)> {
    let judge = Judge { view, window: None, scope, include_closed: true };
    let mut found = Vec::new();
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        let slots = filter.slots(part, part.slots_up_to(scope.as_of));
        let entries = crate::filter::plan::slots_of(&slots)
            .filter_map(|slot| judge.judge(part, slot).map(|(_, status)| (slot, status)));
        found.extend(entries.map(|(slot, status)| (part.position_at(slot), status == Status::Current)));
    }
    found
}

/// Reads events as clients see them. Fastest in position order: neighbours share a frame.
#[derive(Debug)]
pub struct Events {
    reader: Reader,
}

impl Events {
    /// Reads from a log.
    #[must_use]
    pub fn of(log: &Log) -> Self {
        Self { reader: log.reader() }
    }

    /// Reads one event.
    ///
    /// # Errors
    /// [`ReadError`] when it cannot be read.
    pub fn get(&mut self, position: Position) -> Result<pb::Event, ReadError> {
        Ok(present(&self.reader.record(position)?)?)
    }

    /// Reads the name of an event's stream.
    ///
    /// # Errors
    /// [`ReadError`] when its frame cannot be read.
    pub fn stream(&mut self, position: Position) -> Result<StreamName, ReadError> {
        Ok(self.reader.record(position)?.stream)
    }
}

/// Tells whether what an event says can have happened at all.
#[must_use]
pub fn counts(event: &pb::Event) -> bool {
    let (modality, assertion) =
        (Modality::from_number(event.modality), Assertion::from_number(event.assertion));
    Factuality::of(modality, assertion) != Factuality::Counterfactual
}

/// Gives what tells an entity from others: the id, else the name.
#[must_use]
pub fn key_of(entity: &pb::EntityRef) -> &str {
    if entity.id.is_empty() { &entity.name } else { &entity.id }
}
