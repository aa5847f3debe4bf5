//! All parts of the index, under one lock that writers hold only to fold.

use std::sync::Arc;

use parking_lot::{RwLock, RwLockReadGuard};

use super::{Edge, Knowledge, Locator, Part, SEGMENT_LEN, Scope, Segment, Tail, place_of};
use crate::domain::{
    EventId, KnowledgeLink, Position, RecordForm, RecordedFacts, Revision, StreamName, TermField, Timestamp,
};

/// The index of a log.
///
/// Readers share the lock; the one writer takes it for the few microseconds of a fold, so no query sees half an
/// append. A query that must wait for the disk takes a [`View`] only while it plans.
#[derive(Debug, Default)]
pub struct Index {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    sealed: Vec<Arc<Segment>>,
    /// Full tails on their way to becoming segments, oldest first.
    frozen: Vec<Arc<Tail>>,
    tail: Tail,
    knowledge: Knowledge,
    /// Parts by id of an event.
    ids: Locator,
    /// Parts by name of a stream.
    streams: Locator,
    /// Runs of positions of which nothing is known, rising: first and last of each.
    lost: Vec<(Position, Position)>,
}

impl State {
    fn parts(&self) -> impl DoubleEndedIterator<Item = &dyn Part> {
        let sealed = self.sealed.iter().map(|segment| -> &dyn Part { segment.as_ref() });
        let frozen = self.frozen.iter().map(|tail| -> &dyn Part { tail.as_ref() });
        let tail: &dyn Part = &self.tail;
        sealed.chain(frozen).chain(std::iter::once(tail))
    }

    /// Gives the parts that may hold a key, the latest first.
    fn parts_with(&self, locator: &Locator, key: &[u8]) -> impl Iterator<Item = &dyn Part> {
        let count = locator.last_part(key).map_or(0, |last| last.saturating_add(1));
        (0..count).rev().filter_map(|number| self.part(number))
    }

    fn part(&self, number: u32) -> Option<&dyn Part> {
        self.parts().nth(usize::try_from(number).ok()?)
    }

    /// Takes note of where an event stands.
    fn locate(&mut self, facts: &RecordedFacts) {
        let part = number_of(self.tail.base());
        if facts.form != RecordForm::Lost {
            self.ids.put(facts.event.event_id.as_bytes(), part);
        }
        self.streams.put(facts.event.stream.as_str().as_bytes(), part);
    }

    /// Takes note of where the events of all sealed segments stand.
    fn locate_sealed(&mut self) {
        let Self { sealed, ids, streams, .. } = self;
        let count = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
        let segment = |number: u32| usize::try_from(number).ok().and_then(|number| sealed.get(number));
        let events = sealed.iter().map(|segment| segment.columns().kind.len()).sum();
        ids.put_all(count, events, |number, put| {
            segment(number).into_iter().flat_map(|segment| segment.ids()).for_each(|id| put(id.as_bytes()));
        });
        // How many streams there are is not known before.
        streams.put_all(count, 0, |number, put| {
            if let Some(segment) = segment(number) {
                segment.for_each_stream(put);
            }
        });
    }

    fn known_at(&self, position: Position) -> Option<Timestamp> {
        let (segment, slot) = place_of(position)?;
        let segment = usize::try_from(segment).ok()?;
        self.parts().nth(segment)?.columns().known_at(slot)
    }

    fn lose(&mut self, position: Position) {
        match self.lost.last_mut() {
            Some((_, last)) if last.next() == position => *last = position,
            Some(_) | None => self.lost.push((position, position)),
        }
    }

    fn join(&mut self, carrier: Position, carrier_known_at: Timestamp, link: KnowledgeLink) {
        // A target always stands before its carrier, so its column is there.
        let target_known_at = self.known_at(link.target).unwrap_or(Timestamp::MAX);
        let KnowledgeLink { link_type, target } = link;
        self.knowledge.add(Edge { carrier, carrier_known_at, link_type, target, target_known_at });
    }
}

impl Index {
    /// Joins sealed segments, in order from the first position.
    #[must_use]
    pub fn of(sealed: Vec<Arc<Segment>>) -> Self {
        let base = sealed.last().map_or(Position::ZERO, |segment| segment.last());
        let mut state = State { sealed: sealed.clone(), tail: Tail::after(base), ..State::default() };
        state.locate_sealed();
        for segment in sealed {
            for slot in segment.columns().lost() {
                state.lose(segment.base().plus(u64::from(slot) + 1));
            }
            for (slot, link) in segment.links() {
                let known_at = segment.columns().known_at(*slot).unwrap_or(Timestamp::MAX);
                state.join(segment.position_at(*slot), known_at, *link);
            }
        }
        Self { state: RwLock::new(state) }
    }

    /// Adds the events that follow; gives the tails that became full and wait to be sealed.
    pub fn fold(&self, batch: &[RecordedFacts]) -> Vec<Arc<Tail>> {
        let mut state = self.state.write();
        let mut frozen = Vec::new();
        for facts in batch {
            if !state.tail.fold(facts) {
                // Already folded: an append is folded once, in order, by the one writer.
                continue;
            }
            state.locate(facts);
            for link in &facts.links {
                state.join(facts.position, facts.known_time(), *link);
            }
            if facts.form == RecordForm::Lost {
                state.lose(facts.position);
            }
            if state.tail.is_full() {
                let next = Tail::after(state.tail.last());
                let full = Arc::new(std::mem::replace(&mut state.tail, next));
                state.frozen.push(Arc::clone(&full));
                frozen.push(full);
            }
        }
        frozen
    }

    /// Gives the full tail that begins after a position and waits to be sealed.
    #[must_use]
    pub fn frozen(&self, base: Position) -> Option<Arc<Tail>> {
        self.state.read().frozen.iter().find(|tail| tail.base() == base).map(Arc::clone)
    }

    /// Puts a part that was built again in the place of the one with the same positions: what was erased from the
    /// journal must go from here, too. Gives the segment, if that part was sealed.
    pub fn replace(&self, rebuilt: Tail) -> Option<Arc<Segment>> {
        let sealed = usize::try_from(rebuilt.base().0 / SEGMENT_LEN).ok()?;
        let is_sealed = sealed < self.state.read().sealed.len();
        let segment = is_sealed.then(|| Arc::new(Segment::of(&rebuilt)));
        let mut state = self.state.write();
        if let Some((place, segment)) = state.sealed.get_mut(sealed).zip(segment.as_ref()) {
            *place = Arc::clone(segment);
        } else if let Some(frozen) = state.frozen.iter_mut().find(|tail| tail.base() == rebuilt.base()) {
            *frozen = Arc::new(rebuilt);
        } else if state.tail.base() == rebuilt.base() && state.tail.last() == rebuilt.last() {
            state.tail = rebuilt;
        }
        segment
    }

    /// Gives every sealed segment.
    #[must_use]
    pub fn sealed(&self) -> Vec<Arc<Segment>> {
        self.state.read().sealed.clone()
    }

    /// Puts a sealed segment in the place of the frozen tail that it was made of.
    pub fn seal(&self, segment: Arc<Segment>) {
        let mut state = self.state.write();
        let next = state.sealed.last().map_or(Position::ZERO, |last| last.last());
        if segment.base() == next && state.frozen.first().is_some_and(|tail| tail.base() == next) {
            let frozen = state.frozen.remove(0);
            state.sealed.push(segment);
            drop(state);
            // Freed with the lock released: it is the last handle on 65,536 events.
            drop(frozen);
        }
    }

    /// Gives the state for one look. Folding waits while a view is held: hold it briefly.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { state: self.state.read() }
    }
}

/// The index as it is while the view is held.
#[derive(Debug)]
pub struct View<'a> {
    state: RwLockReadGuard<'a, State>,
}

impl View<'_> {
    /// Gives the parts in position order.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &dyn Part> {
        self.state.parts()
    }

    /// Gives the unsealed end.
    #[must_use]
    pub fn tail(&self) -> &Tail {
        &self.state.tail
    }

    /// Gives the graph of knowledge links.
    #[must_use]
    pub fn knowledge(&self) -> &Knowledge {
        &self.state.knowledge
    }

    /// Gives the first run of positions of which nothing is known that lies at least in part in (`after`, `up_to`], cut
    /// to it.
    #[must_use]
    pub fn first_lost(&self, after: Position, up_to: Position) -> Option<(Position, Position)> {
        let lost = &self.state.lost;
        let (first, last) = lost.get(lost.partition_point(|(_, last)| *last <= after))?;
        (*first <= up_to).then(|| ((*first).max(after.next()), (*last).min(up_to)))
    }

    /// Gives the last run of positions of which nothing is known that lies at least in part in [`from`, `before`), cut
    /// to it.
    #[must_use]
    pub fn last_lost(&self, from: Position, before: Position) -> Option<(Position, Position)> {
        let lost = &self.state.lost;
        let found = lost.partition_point(|(first, _)| *first < before).checked_sub(1)?;
        let (first, last) = lost.get(found)?;
        (*last >= from).then(|| ((*first).max(from), (*last).min(Position(before.0.saturating_sub(1)))))
    }

    /// Tells whether nothing is known of some positions.
    #[must_use]
    pub fn has_lost(&self) -> bool {
        !self.state.lost.is_empty()
    }

    /// Gives the last event of a stream.
    #[must_use]
    pub fn last_of_stream(&self, stream: &StreamName) -> Option<Position> {
        let term = TermField::Stream.term(stream.as_str());
        self.state
            .parts_with(&self.state.streams, stream.as_str().as_bytes())
            .find_map(|part| part.last_slot(&term).map(|slot| part.position_at(slot)))
    }

    /// Gives the last position folded.
    #[must_use]
    pub fn last(&self) -> Position {
        self.state.tail.last()
    }

    /// Gives the part that holds a position, and the slot in it.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<(&dyn Part, u16)> {
        let (segment, slot) = place_of(position)?;
        let part = self.parts().nth(usize::try_from(segment).ok()?)?;
        (u32::from(slot) < part.len()).then_some((part, slot))
    }

    /// Finds an event by id.
    #[must_use]
    pub fn position_of(&self, id: &EventId) -> Option<Position> {
        let mut parts = self.state.parts_with(&self.state.ids, id.as_bytes());
        parts.find_map(|part| Some(part.position_at(part.slot_of(id)?)))
    }

    /// Gives when the public could know an event.
    #[must_use]
    pub fn known_at(&self, position: Position) -> Option<Timestamp> {
        self.state.known_at(position)
    }

    /// Gives the last revision of a stream; 0 if it has no event. Too low where the last events of it are lost: see
    /// [`View::has_lost`].
    #[must_use]
    pub fn revision_of(&self, stream: &StreamName) -> Revision {
        let last = self.last_of_stream(stream).and_then(|position| {
            let (part, slot) = self.locate(position)?;
            part.columns().revision.get(usize::from(slot)).copied()
        });
        Revision(last.unwrap_or_default())
    }

    /// Tells whether an event is in scope.
    #[must_use]
    pub fn in_scope(&self, position: Position, scope: Scope) -> bool {
        self.known_at(position).is_some_and(|known_at| scope.contains(position, known_at))
    }
}

/// Gives the number of the part after a position.
fn number_of(base: Position) -> u32 {
    // Memory ends long before the positions of 2^32 parts.
    u32::try_from(base.0 / SEGMENT_LEN).unwrap_or(u32::MAX)
}
