//! The graph of knowledge links: which event changes what is believed of which.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use super::place_of;
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

/// Positions in a leaf.
const LEAF_LEN: u64 = 256;
/// Leaves in a segment.
const LEAVES: usize = 256;
/// Links to one event that are shared together.
const CHUNK_LEN: usize = 64;

/// All knowledge links of the log: a tree over positions, as deep as segments and leaves.
///
/// A copy shares all of it; a link that is added then copies the branches to its two ends, which are a few kilobytes.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    segments: Arc<Vec<Arc<Leaves>>>,
}

/// The links of the events of a segment.
#[derive(Clone, Debug)]
struct Leaves([Option<Arc<Leaf>>; LEAVES]);

impl Default for Leaves {
    fn default() -> Self {
        Self([const { None }; LEAVES])
    }
}

/// The links of a few consecutive events.
#[derive(Clone, Debug, Default)]
struct Leaf {
    /// A bit for each event that carries or receives a link: only these can be anything but current.
    touched: [u64; 4],
    /// Links to the events, by place of the target.
    closers: Vec<(u8, Closers)>,
    /// Links that the events carry, by carrier.
    carried: Vec<Edge>,
}

/// The links to one event, by carrier. An event may be repeated by any number of others, so a copy shares all but the
/// last of them.
#[derive(Clone, Debug, Default)]
struct Closers {
    chunks: Vec<Arc<[Edge]>>,
    last: SmallVec<[Edge; 1]>,
}

impl Closers {
    fn push(&mut self, edge: Edge) {
        self.last.push(edge);
        if self.last.len() == CHUNK_LEN {
            self.chunks.push(Arc::from(std::mem::take(&mut self.last).as_slice()));
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Edge> {
        self.chunks.iter().flat_map(|chunk| chunk.iter()).chain(&self.last)
    }
}

impl Leaf {
    fn touch(&mut self, bit: u8) {
        if let Some(bits) = self.touched.get_mut(usize::from(bit / 64)) {
            *bits |= 1 << (bit % 64);
        }
    }

    fn is_touched(&self, bit: u8) -> bool {
        self.touched.get(usize::from(bit / 64)).is_some_and(|bits| bits & (1 << (bit % 64)) != 0)
    }

    fn closers_mut(&mut self, bit: u8) -> Option<&mut Closers> {
        let at = self.closers.binary_search_by_key(&bit, |(held, _)| *held).unwrap_or_else(|at| {
            self.closers.insert(at, (bit, Closers::default()));
            at
        });
        self.closers.get_mut(at).map(|(_, closers)| closers)
    }

    fn closers(&self, bit: u8) -> Option<&Closers> {
        let at = self.closers.binary_search_by_key(&bit, |(held, _)| *held).ok()?;
        self.closers.get(at).map(|(_, closers)| closers)
    }

    fn carried_by(&self, carrier: Position) -> &[Edge] {
        let from = self.carried.partition_point(|edge| edge.carrier < carrier);
        let rest = self.carried.get(from..).unwrap_or_default();
        rest.get(..rest.partition_point(|edge| edge.carrier == carrier)).unwrap_or_default()
    }
}

/// Gives the segment of a position, the leaf in it, and the place in that.
fn path_of(position: Position) -> Option<(usize, usize, u8)> {
    let (segment, slot) = place_of(position)?;
    let slot = u64::from(slot);
    let leaf = usize::try_from(slot / LEAF_LEN).ok()?;
    Some((usize::try_from(segment).ok()?, leaf, u8::try_from(slot % LEAF_LEN).ok()?))
}

impl Knowledge {
    /// Adds a link; carriers come in position order.
    pub fn add(&mut self, edge: Edge) {
        if let Some((leaf, bit)) = self.leaf_mut(edge.target) {
            leaf.touch(bit);
            if let Some(closers) = leaf.closers_mut(bit) {
                closers.push(edge);
            }
        }
        if let Some((leaf, bit)) = self.leaf_mut(edge.carrier) {
            leaf.touch(bit);
            leaf.carried.push(edge);
        }
    }

    fn leaf_mut(&mut self, position: Position) -> Option<(&mut Leaf, u8)> {
        let (segment, leaf, bit) = path_of(position)?;
        let segments = Arc::make_mut(&mut self.segments);
        if segments.len() <= segment {
            segments.resize_with(segment + 1, Arc::default);
        }
        let leaf = Arc::make_mut(segments.get_mut(segment)?).0.get_mut(leaf)?;
        Some((Arc::make_mut(leaf.get_or_insert_default()), bit))
    }

    fn leaf(&self, position: Position) -> Option<(&Leaf, u8)> {
        let (segment, leaf, bit) = path_of(position)?;
        Some((self.segments.get(segment)?.0.get(leaf)?.as_deref()?, bit))
    }

    /// Gives the links to an event, by rising carrier.
    pub fn closers(&self, target: Position) -> impl Iterator<Item = &Edge> {
        let found = self.leaf(target).and_then(|(leaf, bit)| leaf.closers(bit));
        found.into_iter().flat_map(Closers::iter)
    }

    /// Gives the links that an event carries.
    #[must_use]
    pub fn carried_by(&self, carrier: Position) -> &[Edge] {
        self.leaf(carrier).map_or(&[], |(leaf, _)| leaf.carried_by(carrier))
    }

    /// Tells whether an event carries or receives a link: no other can be anything but current.
    #[must_use]
    pub fn is_touched(&self, position: Position) -> bool {
        self.leaf(position).is_some_and(|(leaf, bit)| leaf.is_touched(bit))
    }

    /// Gives the events in (`after`, `up_to`] that carry or receive a link, rising.
    pub fn touched(&self, after: Position, up_to: Position) -> impl Iterator<Item = Position> {
        let leaves =
            (after.0 / LEAF_LEN..up_to.0.div_ceil(LEAF_LEN)).map(|number| Position(number * LEAF_LEN));
        let positions =
            leaves.filter_map(|base| Some((base, self.leaf(base.next())?.0))).flat_map(|(base, leaf)| {
                let bits = (0..=u8::MAX).filter(|bit| leaf.is_touched(*bit));
                bits.map(move |bit| base.plus(u64::from(bit) + 1))
            });
        positions.filter(move |position| after < *position && *position <= up_to)
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
            let later = self.closers(position).map(|edge| (edge.carrier, edge.carrier_known_at));
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
            let later = self.closers(position).filter(|edge| !self.only_retracts(edge.carrier));
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
