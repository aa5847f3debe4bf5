//! All parts of the index, and views of them that stay as they are.

use std::marker::PhantomData;
use std::sync::Arc;

use parking_lot::RwLock;

use super::{Edge, Knowledge, Locator, Part, RUN_LEN, Run, SEGMENT_LEN, Scope, Segment, Tail, place_of};
use crate::domain::{
    EventId, KnowledgeLink, Position, RecordForm, RecordedFacts, Revision, StreamName, TermField, Timestamp,
};

/// The index of a log.
///
/// The one writer folds, and a query looks at a [`View`]. Neither waits for the other longer than it takes to fold a
/// round or to take the view, however long the query looks.
#[derive(Debug, Default)]
pub struct Index {
    /// Changed in place while no view holds it; else what a change touches is copied, and the rest is shared.
    state: RwLock<Arc<State>>,
}

#[derive(Clone, Debug, Default)]
struct State {
    sealed: Arc<Vec<Arc<Segment>>>,
    /// Begins behind the sealed segments.
    tail: Tail,
    knowledge: Knowledge,
    located: Arc<RwLock<Located>>,
    /// Stretches of positions of which nothing is known, rising: first and last of each.
    lost: Arc<Vec<(Position, Position)>>,
}

/// Where keys were last seen, by number of the run: a sealed segment has the numbers of its runs.
///
/// No view holds a state of it. It names the last run of a key, and a view looks for the key in its own parts, from that
/// run or its own last one backwards.
#[derive(Debug, Default)]
struct Located {
    ids: Locator,
    streams: Locator,
}

impl Located {
    /// Takes note of where an event stands.
    fn put(&mut self, facts: &RecordedFacts) {
        let run = run_of(facts.position);
        if facts.form != RecordForm::Lost {
            self.ids.put(facts.event.event_id.as_bytes(), run);
        }
        self.streams.put(facts.event.stream.as_str().as_bytes(), run);
    }

    /// Takes note of where the events of sealed segments stand.
    fn put_all(&mut self, sealed: &[Arc<Segment>]) {
        let numbered: Vec<(u32, &Segment)> =
            sealed.iter().map(|segment| (run_of(segment.base().next()), segment.as_ref())).collect();
        let events = sealed.iter().map(|segment| segment.columns().len()).sum();
        self.ids.put_all(&numbered, events, |segment, put| segment.ids().for_each(put));
        // How many streams there are is not known before.
        self.streams.put_all(&numbered, 0, |segment, put| segment.for_each_stream(put));
    }
}

impl State {
    fn parts(&self) -> impl DoubleEndedIterator<Item = &dyn Part> {
        let sealed = self.sealed.iter().map(|segment| -> &dyn Part { segment.as_ref() });
        let runs = self.tail.runs().iter().map(|run| -> &dyn Part { run.as_ref() });
        sealed.chain(runs)
    }

    /// Gives the parts that may hold a key that was last seen in a run, the latest first.
    fn parts_up_to(&self, run: Option<u32>) -> impl Iterator<Item = &dyn Part> {
        let bound = run.map_or(Position::ZERO, |run| Position(u64::from(run).saturating_add(1) * RUN_LEN));
        let runs = self.tail.runs();
        let runs = runs.get(..runs.partition_point(|run| run.base() < bound)).unwrap_or_default();
        let sealed = self.sealed.get(..self.sealed.partition_point(|segment| segment.base() < bound));
        let runs = runs.iter().rev().map(|run| -> &dyn Part { run.as_ref() });
        runs.chain(sealed.unwrap_or_default().iter().rev().map(|segment| -> &dyn Part { segment.as_ref() }))
    }

    fn locate(&self, position: Position) -> Option<(&dyn Part, u16)> {
        if position > self.tail.base() {
            let (run, slot) = self.tail.locate(position)?;
            return Some((run, slot));
        }
        let (segment, slot) = place_of(position)?;
        let segment = self.sealed.get(usize::try_from(segment).ok()?)?;
        Some((segment.as_ref(), slot))
    }

    fn known_at(&self, position: Position) -> Option<Timestamp> {
        let (part, slot) = self.locate(position)?;
        part.columns().known_at(slot)
    }

    fn lose(&mut self, position: Position) {
        let lost = Arc::make_mut(&mut self.lost);
        match lost.last_mut() {
            Some((_, last)) if last.next() == position => *last = position,
            Some(_) | None => lost.push((position, position)),
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
        let mut located = Located::default();
        located.put_all(&sealed);
        let mut state = State {
            sealed: Arc::new(sealed.clone()),
            tail: Tail::after(base),
            located: Arc::new(RwLock::new(located)),
            ..State::default()
        };
        for segment in sealed {
            for slot in segment.columns().lost() {
                state.lose(segment.base().plus(u64::from(slot) + 1));
            }
            for (slot, link) in segment.links() {
                let known_at = segment.columns().known_at(*slot).unwrap_or(Timestamp::MAX);
                state.join(segment.position_at(*slot), known_at, *link);
            }
        }
        Self { state: RwLock::new(Arc::new(state)) }
    }

    /// Adds the events that follow; gives where each segment begins of which all events are there now: it waits to be
    /// sealed.
    pub fn fold(&self, batch: &[RecordedFacts]) -> Vec<Position> {
        let mut full = Vec::new();
        let mut state = self.state.write();
        let state = Arc::make_mut(&mut state);
        let located = Arc::clone(&state.located);
        let mut located = located.write();
        for facts in batch {
            if !state.tail.fold(facts) {
                // Already folded: an append is folded once, in order, by the one writer.
                continue;
            }
            located.put(facts);
            for link in &facts.links {
                state.join(facts.position, facts.known_time(), *link);
            }
            if facts.form == RecordForm::Lost {
                state.lose(facts.position);
            }
            if facts.position.0.is_multiple_of(SEGMENT_LEN) {
                full.push(Position(facts.position.0 - SEGMENT_LEN));
            }
        }
        full
    }

    /// Puts parts that were built again in the place of those with the same positions: what was erased from the journal
    /// must go from here, too.
    pub fn replace(&self, rebuilt: &Tail) {
        let number = usize::try_from(rebuilt.base().0 / SEGMENT_LEN).unwrap_or(usize::MAX);
        let is_sealed = number < self.state.read().sealed.len();
        let segment = is_sealed.then(|| Arc::new(Segment::of(rebuilt)));
        let mut guard = self.state.write();
        // Freed when the lock is released.
        let before = Arc::clone(&guard);
        let state = Arc::make_mut(&mut guard);
        match segment {
            Some(segment) => {
                if let Some(place) = Arc::make_mut(&mut state.sealed).get_mut(number) {
                    *place = segment;
                }
            }
            None => state.tail.replace(rebuilt),
        }
        drop(guard);
        drop(before);
    }

    /// Gives every sealed segment.
    #[must_use]
    pub fn sealed(&self) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.state.read().sealed)
    }

    /// Puts a sealed segment in the place of the runs that it was made of, and gives these: to free them takes long, so
    /// whoever has time should be the last to hold them.
    pub fn seal(&self, segment: Arc<Segment>) -> Vec<Arc<Run>> {
        let mut state = self.state.write();
        if segment.base() != state.tail.base() || segment.last() > state.tail.last() {
            return Vec::new();
        }
        let state = Arc::make_mut(&mut state);
        let runs = state.tail.split_off_up_to(segment.last());
        Arc::make_mut(&mut state.sealed).push(segment);
        runs
    }

    /// Gives the index as it is now, to look at for as long as it takes.
    #[must_use]
    pub fn view(&self) -> View {
        View { state: Arc::clone(&self.state.read()), not_send: PhantomData }
    }
}

/// The index as it was when the view was taken. A query that waits for a disk or a client gives it back first: what is
/// sealed or erased meanwhile stays in memory for it. So it is not `Send`: no task can hold it while it waits.
#[derive(Debug)]
pub struct View {
    state: Arc<State>,
    not_send: PhantomData<*const ()>,
}

impl View {
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

    /// Gives the first stretch of positions of which nothing is known that lies at least in part in (`after`, `up_to`], cut
    /// to it.
    #[must_use]
    pub fn first_lost(&self, after: Position, up_to: Position) -> Option<(Position, Position)> {
        let lost = &self.state.lost;
        let (first, last) = lost.get(lost.partition_point(|(_, last)| *last <= after))?;
        (*first <= up_to).then(|| ((*first).max(after.next()), (*last).min(up_to)))
    }

    /// Gives the last stretch of positions of which nothing is known that lies at least in part in [`from`, `before`), cut
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
        let run = self.state.located.read().streams.last_part(stream.as_str().as_bytes());
        let mut parts = self.state.parts_up_to(run);
        parts.find_map(|part| part.last_slot(&term).map(|slot| part.position_at(slot)))
    }

    /// Gives the last position folded.
    #[must_use]
    pub fn last(&self) -> Position {
        self.state.tail.last()
    }

    /// Gives the part that holds a position, and the slot in it.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<(&dyn Part, u16)> {
        self.state.locate(position)
    }

    /// Finds an event by id.
    #[must_use]
    pub fn position_of(&self, id: &EventId) -> Option<Position> {
        let run = self.state.located.read().ids.last_part(id.as_bytes());
        let mut parts = self.state.parts_up_to(run);
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
            part.columns().revision(slot)
        });
        Revision(last.unwrap_or_default())
    }

    /// Tells whether an event is in scope.
    #[must_use]
    pub fn in_scope(&self, position: Position, scope: Scope) -> bool {
        self.known_at(position).is_some_and(|known_at| scope.contains(position, known_at))
    }
}

/// Gives the number of the run that holds a position.
fn run_of(position: Position) -> u32 {
    // Memory ends long before the positions of 2^32 runs.
    u32::try_from(position.0.saturating_sub(1) / RUN_LEN).unwrap_or(u32::MAX)
}
