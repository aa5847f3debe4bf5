//! The graph of knowledge links: which event changes what is believed of which.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use roaring::RoaringBitmap;

use super::{SEGMENT_LEN, place_of};
use crate::domain::{LinkType, Position, Timestamp};

/// A knowledge link between two recorded events. The carrier always stands after its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The event that carries the link.
    pub carrier: Position,
    /// When the public could know the carrier.
    pub carrier_known_at: Timestamp,
    /// What it says.
    pub link_type: LinkType,
    /// The event it speaks of.
    pub target: Position,
    /// When the public could know the target.
    pub target_known_at: Timestamp,
}

/// All knowledge links of the log.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    by_target: HashMap<Position, Vec<Edge>>,
    by_carrier: HashMap<Position, Vec<Edge>>,
    /// Slots, by segment, whose events carry or receive a link: only these can be anything but current.
    touched: BTreeMap<u64, RoaringBitmap>,
}

impl Knowledge {
    /// Adds a link; carriers come in position order.
    pub fn add(&mut self, edge: Edge) {
        self.by_target.entry(edge.target).or_default().push(edge);
        self.by_carrier.entry(edge.carrier).or_default().push(edge);
        for position in [edge.target, edge.carrier] {
            if let Some((segment, slot)) = place_of(position) {
                self.touched.entry(segment).or_default().insert(u32::from(slot));
            }
        }
    }

    /// Gives the links to an event, by rising carrier.
    #[must_use]
    pub fn closers(&self, target: Position) -> &[Edge] {
        self.by_target.get(&target).map_or(&[], Vec::as_slice)
    }

    /// Gives the links that an event carries.
    #[must_use]
    pub fn carried_by(&self, carrier: Position) -> &[Edge] {
        self.by_carrier.get(&carrier).map_or(&[], Vec::as_slice)
    }

    /// Gives the slots of a part whose events can be anything but current.
    #[must_use]
    pub fn touched(&self, base: Position) -> Option<&RoaringBitmap> {
        self.touched.get(&(base.0 / SEGMENT_LEN))
    }

    /// Gives all versions of the history that an event belongs to, by position: every event that knowledge
    /// links join to it, as far as `in_scope`; but not through a pure retraction to what else it withdraws.
    #[must_use]
    pub fn history(
        &self,
        start: Position,
        in_scope: impl Fn(Position, Timestamp) -> bool,
    ) -> BTreeSet<Position> {
        let mut found = BTreeSet::from([start]);
        let mut pending = vec![start];
        while let Some(position) = pending.pop() {
            let later = self.closers(position).iter().map(|edge| (edge.carrier, edge.carrier_known_at));
            // One retraction may withdraw many events: it joins none of them to each other.
            let passes = position == start || !self.only_retracts(position);
            let carried = self.carried_by(position).iter().filter(|_| passes);
            let earlier = carried.map(|edge| (edge.target, edge.target_known_at));
            for (next, known_at) in later.chain(earlier) {
                if in_scope(next, known_at) && found.insert(next) {
                    pending.push(next);
                }
            }
        }
        found
    }

    /// Gives the events that are versions of one history, by position: those that knowledge links join, other than the
    /// links of events that only retract. Every event of a history has the same, whichever one begins with.
    #[must_use]
    pub fn versions(
        &self,
        start: Position,
        in_scope: impl Fn(Position, Timestamp) -> bool,
    ) -> BTreeSet<Position> {
        let mut found = BTreeSet::from([start]);
        let mut pending = vec![start];
        while let Some(position) = pending.pop() {
            let later = self.closers(position).iter().filter(|edge| !self.only_retracts(edge.carrier));
            let later = later.map(|edge| (edge.carrier, edge.carrier_known_at));
            let carried = self.carried_by(position).iter().filter(|_| !self.only_retracts(position));
            let earlier = carried.map(|edge| (edge.target, edge.target_known_at));
            for (next, known_at) in later.chain(earlier) {
                if in_scope(next, known_at) && found.insert(next) {
                    pending.push(next);
                }
            }
        }
        found
    }

    /// Gives the events of which an event can change what became of them, itself included: the targets of its links,
    /// and where it withdraws an event, what that one's links say, and so on.
    #[must_use]
    pub fn affected_by(&self, carrier: Position) -> BTreeSet<Position> {
        let mut found = BTreeSet::from([carrier]);
        let mut withdrawn = BTreeSet::from([carrier]);
        let mut pending = vec![carrier];
        while let Some(position) = pending.pop() {
            for edge in self.carried_by(position) {
                found.insert(edge.target);
                if edge.link_type == LinkType::Retracts && withdrawn.insert(edge.target) {
                    pending.push(edge.target);
                }
            }
        }
        found
    }
}
