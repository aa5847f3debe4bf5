//! Two states of knowledge side by side: what stands in one alone, which versions belong together, and which events made
//! the difference.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, Judge, Window};
use crate::domain::{LinkType, Position, Timestamp};
use crate::index::{Part, Scope, Status, View};

/// Two states of knowledge to compare.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    view: &'a View,
    before: Judge<'a>,
    after: Judge<'a>,
}

/// Versions of one history that stand in one of the two states alone; at least one is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parting {
    /// Stands before, and not after.
    pub left: Option<Position>,
    /// Stands after, and not before.
    pub came: Option<Position>,
}

/// An event that is in one of the two states of knowledge and not in the other, and bears on a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its place in the log.
    pub position: Position,
    /// The link by which it bears on the difference, and the event at its other end; nothing where it is itself what
    /// came or went.
    pub link: Option<(Position, LinkType)>,
    /// When the public could know it.
    pub known_at: Timestamp,
    /// Whether it is in the state before, and not in the one after.
    pub left: bool,
    /// Whether known time keeps it out of the other state.
    pub by_known_time: bool,
    /// Whether its position keeps it out of the other state.
    pub by_position: bool,
}

impl<'a> Comparison<'a> {
    /// Compares what a window shows in two states.
    #[must_use]
    pub const fn new(view: &'a View, window: Option<Window>, before: Scope, after: Scope) -> Self {
        Self {
            view,
            before: Judge { view, window, scope: before, include_closed: false },
            after: Judge { view, window, scope: after, include_closed: false },
        }
    }

    /// Gives the last position that is in either state.
    #[must_use]
    pub fn last(&self) -> Position {
        self.before.scope.as_of.max(self.after.scope.as_of)
    }

    /// Tells whether an event stands before and after. Of one that is the same in both nothing more is looked at.
    #[must_use]
    pub fn stands(&self, part: &dyn Part, slot: u16, touched: bool) -> (bool, bool) {
        let position = part.position_at(slot);
        let known_at = part.columns().known_at(slot).unwrap_or(Timestamp::MAX);
        let [in_before, in_after] =
            [self.before, self.after].map(|judge| judge.scope.contains(position, known_at));
        if in_before == in_after && (!touched || !in_before) {
            return (false, false);
        }
        let stands = |judge: &Judge<'_>, within: bool| within && judge.admits(part, slot);
        (stands(&self.before, in_before), stands(&self.after, in_after))
    }

    /// Pairs the versions of each history that stand in one state alone. Both lists rise.
    #[must_use]
    pub fn pair(&self, left: &[Position], came: &[Position]) -> Vec<Parting> {
        let mut histories: BTreeMap<Position, (Vec<Position>, Vec<Position>)> = BTreeMap::new();
        let mut first_of: BTreeMap<Position, Position> = BTreeMap::new();
        let sides = left.iter().map(|at| (at, true)).chain(came.iter().map(|at| (at, false)));
        for (position, is_left) in sides {
            let first = match first_of.get(position) {
                Some(first) => *first,
                None => self.name_history(*position, &mut first_of),
            };
            let (left, came) = histories.entry(first).or_default();
            if is_left { left.push(*position) } else { came.push(*position) }
        }
        histories.into_values().flat_map(|(left, came)| self.pair_one(&left, came)).collect()
    }

    /// Notes the first version of a history for every version of it.
    fn name_history(&self, position: Position, first_of: &mut BTreeMap<Position, Position>) -> Position {
        let versions = self.versions(position);
        let first = versions.first().copied().unwrap_or(position);
        first_of.extend(versions.into_iter().map(|version| (version, first)));
        first
    }

    /// Gives the versions of a history that are in either state.
    #[must_use]
    pub fn versions(&self, position: Position) -> BTreeSet<Position> {
        let (before, after) = (self.before.scope, self.after.scope);
        self.view.knowledge().versions(position, |position, known_at| {
            before.contains(position, known_at) || after.contains(position, known_at)
        })
    }

    fn pair_one(&self, left: &[Position], mut came: Vec<Position>) -> Vec<Parting> {
        let mut found = Vec::with_capacity(left.len().max(came.len()));
        let mut alone = Vec::new();
        for position in left {
            // What one link joins belongs together, whatever else the history holds.
            match came.iter().position(|other| self.are_linked(*position, *other)) {
                Some(at) => {
                    found.push(Parting { left: Some(*position), came: Some(came.remove(at)) });
                }
                None => alone.push(*position),
            }
        }
        for at in 0..alone.len().max(came.len()) {
            found.push(Parting { left: alone.get(at).copied(), came: came.get(at).copied() });
        }
        found
    }

    fn are_linked(&self, one: Position, other: Position) -> bool {
        let knowledge = self.view.knowledge();
        let names = |carrier, target| knowledge.carried_by(carrier).iter().any(|edge| edge.target == target);
        names(one, other) || names(other, one)
    }

    /// Gives the events that made a difference, by position.
    #[must_use]
    pub fn causes(&self, parting: Parting) -> Vec<Cause> {
        let mut found = Vec::new();
        for position in [parting.left, parting.came].into_iter().flatten() {
            self.causes_of(position, &mut found);
        }
        found.sort_by_key(|cause| {
            (cause.position, cause.link.map(|(other, link_type)| (other, link_type.number())))
        });
        found.dedup();
        // What bears on the difference by a link need not be told once more without one.
        let linked: BTreeSet<Position> =
            found.iter().filter(|cause| cause.link.is_some()).map(|cause| cause.position).collect();
        found.retain(|cause| cause.link.is_some() || !linked.contains(&cause.position));
        found
    }

    /// What becomes of an event depends on itself, on what it repeats, on what closes it, and on what withdraws that.
    fn causes_of(&self, position: Position, found: &mut Vec<Cause>) {
        let knowledge = self.view.knowledge();
        let carried = knowledge.carried_by(position);
        let mut alone = true;
        for edge in carried {
            if edge.link_type == LinkType::DuplicateOf {
                found.extend(self.cause(edge.target, Some((position, edge.link_type))));
            } else {
                alone = false;
                found.extend(self.cause(position, Some((edge.target, edge.link_type))));
            }
        }
        if alone {
            found.extend(self.cause(position, None));
        }
        let mut seen = BTreeSet::from([position]);
        let mut pending = vec![position];
        while let Some(target) = pending.pop() {
            for edge in knowledge.closers(target) {
                // A correction of a correction leaves what that one said: only its withdrawal undoes it.
                let closes = target == position && edge.link_type != LinkType::DuplicateOf;
                if closes || edge.link_type == LinkType::Retracts {
                    found.extend(self.cause(edge.carrier, Some((target, edge.link_type))));
                    if seen.insert(edge.carrier) {
                        pending.push(edge.carrier);
                    }
                }
            }
        }
    }

    /// Gives an event as a cause if it is in one state alone.
    fn cause(&self, position: Position, link: Option<(Position, LinkType)>) -> Option<Cause> {
        let known_at = self.view.known_at(position)?;
        let (before, after) = (self.before.scope, self.after.scope);
        let left = before.contains(position, known_at);
        if left == after.contains(position, known_at) {
            return None;
        }
        let other = if left { after } else { before };
        let (by_known_time, by_position) = (known_at > other.known_at, position > other.as_of);
        Some(Cause { position, link, known_at, left, by_known_time, by_position })
    }

    /// Gives what stands before as an entry.
    #[must_use]
    pub fn entry_before(&self, position: Position) -> Option<Entry> {
        entry(&self.before, position)
    }

    /// Gives what stands after as an entry.
    #[must_use]
    pub fn entry_after(&self, position: Position) -> Option<Entry> {
        entry(&self.after, position)
    }
}

fn entry(judge: &Judge<'_>, position: Position) -> Option<Entry> {
    let (part, slot) = judge.view.locate(position)?;
    let (certainty, status) = judge.judge(part, slot)?;
    debug_assert_eq!(status, Status::Current);
    Some(Entry { position, status, certainty, version_count: judge.version_count(position) })
}
