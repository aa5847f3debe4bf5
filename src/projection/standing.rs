//! What stands in a state of knowledge.

use std::collections::BTreeSet;

use crate::codec::present;
use crate::domain::{Position, StreamName};
use crate::filter::Filter;
use crate::filter::plan::slots_of;
use crate::index::{Scope, View};
use crate::log::error::ReadError;
use crate::log::{Log, Reader};
use crate::pb;
use crate::timeline::{Judge, Window};

/// Gives the positions, rising, of the entries that match a filter and stand in a state of knowledge; `scope.as_of` is a
/// real position.
#[must_use]
pub fn standing(view: &View<'_>, filter: &Filter, window: Option<Window>, scope: Scope) -> Vec<Position> {
    let judge = Judge { view, window, scope, include_closed: false };
    let mut found = Vec::new();
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        let slots = filter.slots(part, part.slots_up_to(scope.as_of));
        let entries = slots_of(&slots).filter(|slot| judge.judge(part, *slot).is_some());
        found.extend(entries.map(|slot| part.position_at(slot)));
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

/// Gives the streams that events belong to.
///
/// # Errors
/// [`ReadError`] when a frame cannot be read.
pub fn streams_of(events: &mut Events, positions: &[Position]) -> Result<BTreeSet<StreamName>, ReadError> {
    positions.iter().map(|position| events.stream(*position)).collect()
}
