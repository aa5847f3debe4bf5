//! What each event changes of the entries of a question.

use std::collections::{BTreeSet, HashMap};

use roaring::RoaringBitmap;

use super::comparison::{Cause, Comparison};
use super::entry::{Entry, Window};
use crate::domain::{Position, TermField, Timestamp};
use crate::filter::Filter;
use crate::index::{Part, Scope, View, place_of};

/// Which entries to follow.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Which events.
    pub filter: Filter,
    /// When they were true.
    pub window: Option<Window>,
    /// Only what could be known by this moment.
    pub known_at: Timestamp,
    /// Only the histories of these events; empty = all.
    pub histories: BTreeSet<Position>,
}

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub position: Position,
    /// The version that stood until then.
    pub from: Option<Entry>,
    /// The version that stands from then on.
    pub to: Option<Entry>,
    /// The link by which the event made the change; nothing for an entry that is new.
    pub cause: Option<Cause>,
}

/// Positions that may change something, and which events match; for one look at the index.
#[derive(Debug)]
pub struct Changes<'a> {
    view: &'a View,
    followed: &'a Followed,
    up_to: Position,
    matching: HashMap<Position, RoaringBitmap>,
}

impl<'a> Changes<'a> {
    /// Looks at positions not above `up_to`.
    #[must_use]
    pub fn new(view: &'a View, followed: &'a Followed, up_to: Position) -> Self {
        Self { view, followed, up_to, matching: HashMap::new() }
    }

    /// Gives the positions after one, rising, whose events match, carry links that change what is believed, or stand in
    /// a stream; all are of one part. The second value is where the search ended.
    pub fn candidates(&mut self, after: Position, stream: &str) -> (Vec<Position>, Position) {
        let view = self.view;
        let Some((part, _)) = view.locate(after.next()) else {
            return (Vec::new(), self.up_to);
        };
        let end = part.slots_up_to(self.up_to);
        let mut found = self.matching(part).clone();
        for position in view.knowledge().touched(after, part.base().plus(u64::from(end))) {
            found.extend(u32::try_from(position.0 - part.base().0 - 1));
        }
        if let Some(posting) = part.posting(&TermField::Stream.term(stream)) {
            found |= posting;
        }
        found.remove_range(0..part.slots_up_to(after));
        found.remove_range(end..);
        let slots = found.iter().filter_map(|slot| u16::try_from(slot).ok());
        (slots.map(|slot| part.position_at(slot)).collect(), part.base().plus(u64::from(end)))
    }

    /// Gives what the event at a position changed, in the order of the versions that stand, then of those that did.
    #[must_use]
    pub fn at(&mut self, position: Position) -> Vec<Change> {
        let view = self.view;
        let known_at = self.followed.known_at;
        if view.known_at(position).is_none_or(|known| known > known_at) {
            return Vec::new();
        }
        let before = Scope { as_of: Position(position.0.saturating_sub(1)), known_at };
        let after = Scope { as_of: position, known_at };
        let comparison = Comparison::new(view, self.followed.window, before, after);
        let (mut left, mut came) = (Vec::new(), Vec::new());
        for affected in view.knowledge().affected_by(position) {
            let Some((part, slot)) = view.locate(affected) else { continue };
            if !self.matching(part).contains(u32::from(slot)) {
                continue;
            }
            match comparison.stands(part, slot, true) {
                (true, false) => left.push(affected),
                (false, true) => came.push(affected),
                (true, true) | (false, false) => {}
            }
        }
        let mut partings = comparison.pair(&left, &came);
        if !self.followed.histories.is_empty() {
            partings.retain(|parting| {
                let version = parting.came.or(parting.left);
                version.is_some_and(|version| {
                    !comparison.versions(version).is_disjoint(&self.followed.histories)
                })
            });
        }
        partings.sort_by_key(|parting| (parting.came.is_none(), parting.came, parting.left));
        let change = |parting| {
            // The event itself is all that the two states differ in.
            let cause = comparison.causes(parting).into_iter().find(|cause| cause.link.is_some());
            Change {
                position,
                from: parting.left.and_then(|left| comparison.entry_before(left)),
                to: parting.came.and_then(|came| comparison.entry_after(came)),
                cause,
            }
        };
        partings.into_iter().map(change).collect()
    }

    /// Gives the slots of a part, up to where this looks, whose events match.
    fn matching(&mut self, part: &dyn Part) -> &RoaringBitmap {
        let (filter, up_to) = (&self.followed.filter, self.up_to);
        let found = self.matching.entry(part.base());
        found.or_insert_with(|| filter.slots(part, part.slots_up_to(up_to)))
    }
}

/// Gives the events of the histories of others, and those themselves, as far as they are in scope, by position.
#[must_use]
pub fn of_histories(view: &View, histories: &BTreeSet<Position>, scope: Scope) -> BTreeSet<Position> {
    let mut found = BTreeSet::new();
    for position in histories {
        if !found.contains(position) {
            found.extend(
                view.knowledge().versions(*position, |position, known_at| scope.contains(position, known_at)),
            );
        }
    }
    found.retain(|position| place_of(*position).is_some() && view.in_scope(*position, scope));
    found
}
