//! What differs between two states of knowledge, a page at a time.

use super::comparison::{Cause, Comparison, Parting};
use super::entry::{Entry, Window};
use super::order::{Key, Order};
use crate::domain::Position;
use crate::filter::Filter;
use crate::filter::plan::slots_of;
use crate::index::{Scope, View};

/// Which entries to compare, in which two states of knowledge.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// Which events.
    pub filter: Filter,
    /// When they were true.
    pub window: Option<Window>,
    /// The one state; `as_of` is a real position.
    pub before: Scope,
    /// The other; `as_of` is a real position.
    pub after: Scope,
    /// The order.
    pub order: Order,
    /// Where the page before ended.
    pub after_key: Option<Key>,
    /// Most differences.
    pub page_size: usize,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The version that stands before, and not after.
    pub before: Option<Entry>,
    /// The version that stands after, and not before.
    pub after: Option<Entry>,
    /// The events that made the difference, by position.
    pub causes: Vec<Cause>,
    /// Its place in the order.
    pub key: Key,
}

/// A page of differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// The differences.
    pub differences: Vec<Difference>,
    /// Where the next page begins, if there is one.
    pub next: Option<Key>,
    /// Entries on all pages of which no version stood before.
    pub added: u64,
    /// Entries on all pages of which another version stands.
    pub changed: u64,
    /// Entries on all pages of which no version stands after.
    pub withdrawn: u64,
}

/// Compares two states of knowledge.
///
/// Only an event that is in one of the states alone, or that knowledge links touch, can differ: of all others two columns
/// are read, and histories are followed for what differs alone.
#[must_use]
pub fn diff(view: &View, request: &DiffRequest) -> Diff {
    let comparison = Comparison::new(view, request.window, request.before, request.after);
    let (mut left, mut came) = (Vec::new(), Vec::new());
    for part in view.parts().filter(|part| part.base() < comparison.last()) {
        for slot in slots_of(&request.filter.slots(part, part.slots_up_to(comparison.last()))) {
            let touched = view.knowledge().is_touched(part.position_at(slot));
            match comparison.stands(part, slot, touched) {
                (true, false) => left.push(part.position_at(slot)),
                (false, true) => came.push(part.position_at(slot)),
                (true, true) | (false, false) => {}
            }
        }
    }
    let mut found = Diff::default();
    let mut partings = Vec::new();
    for parting in comparison.pair(&left, &came) {
        match (parting.left, parting.came) {
            (Some(_), Some(_)) => found.changed += 1,
            (None, _) => found.added += 1,
            (Some(_), None) => found.withdrawn += 1,
        }
        if let Some(key) = key_of(view, &request.filter, request.order, parting)
            && request.after_key.is_none_or(|after| request.order.rank(key) > request.order.rank(after))
        {
            partings.push((request.order.rank(key), key, parting));
        }
    }
    partings.sort_unstable_by_key(|(rank, _, _)| *rank);
    let more = partings.len() > request.page_size;
    for (_, key, parting) in partings.into_iter().take(request.page_size) {
        found.differences.push(Difference {
            before: parting.left.and_then(|position| comparison.entry_before(position)),
            after: parting.came.and_then(|position| comparison.entry_after(position)),
            causes: comparison.causes(parting),
            key,
        });
    }
    found.next = found.differences.last().map(|last| last.key).filter(|_| more);
    found
}

/// A difference stands where its version after does, or else its version before.
fn key_of(view: &View, filter: &Filter, order: Order, parting: Parting) -> Option<Key> {
    let position: Position = parting.came.or(parting.left)?;
    let (part, slot) = view.locate(position)?;
    Some(order.key(filter, part, slot))
}
