//! Frames as clients see them, in memory: who reads again what was read not long ago finds it unpacked and encoded.
//!
//! A frame comes in when it is wanted a second time before as many others had to be read as are held: so one walk over a
//! log that is more than twice as large as all of this pushes nothing out. What is full lets go of the frame that came first, unless it was used
//! since: then it gets another turn (the second chance of Corbató, "A Paging Experiment with the Multics System", 1968).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::codec::present;
use crate::domain::Position;
use crate::journal::{Frame, Record};

/// Most bytes of all that is held, by [`Rendered::cost_bytes`].
pub const RENDERED_BYTES_MAX: usize = 128 * 1_024 * 1_024;
/// How many frames that were wanted are remembered, the last ones, while nothing had to go yet; then, as many as are held.
const WANTED_MAX: usize = 32_768;
/// How many frames get another turn at once; then frames go although they were used, so that nobody waits for long.
const TURNS_MAX: usize = 64;
/// What a frame takes beside its events: its entries in both tables, and the heads of three pieces of memory.
const FRAME_COST_BYTES: usize = 256;

/// An event, encoded as clients see it.
#[derive(Clone, Debug)]
pub struct RenderedEvent {
    /// An `annals.v1.Event` with every derived field.
    pub bytes: Bytes,
    /// [`recorded_bytes`] of its record.
    pub recorded: usize,
}

/// Gives the bytes by which a record counts in a batch: what was written, and what the server keeps beside it.
#[must_use]
pub fn recorded_bytes(record: &Record) -> usize {
    record.content.len() + record.server_fields.len()
}

/// The events of one frame.
#[derive(Debug)]
pub struct Rendered {
    first: Position,
    /// Parts of one piece of memory.
    events: Vec<RenderedEvent>,
    bytes: usize,
    /// Since it last was its turn to go.
    used: AtomicBool,
}

impl Rendered {
    /// Renders a frame; nothing where not all of it can be shown.
    fn of(frame: &Frame) -> Option<Self> {
        let events = present::batch_to_keep(frame.records()).ok()?.into_iter().zip(frame.records());
        let events: Vec<RenderedEvent> =
            events.map(|(bytes, record)| RenderedEvent { bytes, recorded: recorded_bytes(record) }).collect();
        let bytes = events.iter().map(|event| event.bytes.len()).sum();
        Some(Self { first: frame.first(), events, bytes, used: AtomicBool::new(false) })
    }

    /// Gives the event at a position, if it stands in the frame.
    #[must_use]
    pub fn event(&self, position: Position) -> Option<&RenderedEvent> {
        self.events.get(usize::try_from(position.0.checked_sub(self.first.0)?).ok()?)
    }

    /// Gives the bytes of its events.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives the bytes that it takes, roughly.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.bytes + self.events.len() * size_of::<RenderedEvent>() + FRAME_COST_BYTES
    }
}

/// Names the time between two erasures: what was read in one must not be held in another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Era(u64);

/// The frames that are held.
#[derive(Debug)]
pub struct RenderedFrames {
    bytes_max: usize,
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    era: Era,
    /// By first position.
    frames: BTreeMap<Position, Arc<Rendered>>,
    /// First positions, in the order in which it is their turn to go.
    turns: VecDeque<Position>,
    bytes: usize,
    /// Whether a frame had to go.
    full: bool,
    wanted: Wanted,
}

/// Frames that were wanted once, by first position, each with the number under which it was noted.
#[derive(Debug, Default)]
struct Wanted {
    numbers: HashMap<Position, u64, ahash::RandomState>,
    /// As they came; some were wanted again since.
    turns: VecDeque<(Position, u64)>,
    next: u64,
}

impl RenderedFrames {
    /// Holds so many bytes at most.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: RwLock::default() }
    }

    /// Tells which era it is. What is to be [kept](Self::keep) must have been read after this was asked.
    #[must_use]
    pub fn era(&self) -> Era {
        self.held.read().era
    }

    /// Gives the frame that holds a position, if it is here.
    #[must_use]
    pub fn at(&self, position: Position) -> Option<Arc<Rendered>> {
        let held = self.held.read();
        let (_, frame) = held.frames.range(..=position).next_back()?;
        frame.event(position)?;
        if !frame.used.load(Ordering::Relaxed) {
            frame.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(frame))
    }

    /// Takes note that the frame that begins at a position is wanted and not here; tells whether that was so not long ago.
    #[must_use]
    pub fn is_wanted_again(&self, first: Position) -> bool {
        let mut held = self.held.write();
        let reach = if held.full { held.frames.len() } else { WANTED_MAX };
        held.wanted.is_again(first, reach)
    }

    /// Renders a frame that was read in an era, and holds it if it still is that era; nothing where it cannot be shown.
    #[must_use]
    pub fn keep(&self, frame: &Frame, era: Era) -> Option<Arc<Rendered>> {
        let rendered = Arc::new(Rendered::of(frame)?);
        let cost = rendered.cost_bytes();
        let mut gone = Vec::new();
        let mut held = self.held.write();
        if held.era == era && cost <= self.bytes_max {
            if let Some(same) = held.frames.get(&rendered.first) {
                return Some(Arc::clone(same));
            }
            held.make_room(self.bytes_max - cost, &mut gone);
            held.bytes += cost;
            held.turns.push_back(rendered.first);
            held.frames.insert(rendered.first, Arc::clone(&rendered));
        }
        drop(held);
        // Freed with the lock released.
        drop(gone);
        Some(rendered)
    }

    /// Forgets everything, and begins an era: what was erased must not be told any more.
    pub fn clear(&self) {
        let mut held = self.held.write();
        let era = Era(held.era.0 + 1);
        let forgotten = std::mem::replace(&mut *held, Held { era, ..Held::default() });
        drop(held);
        drop(forgotten);
    }

    /// Gives how many bytes are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held.read().bytes
    }
}

impl Held {
    /// Lets frames go until the rest takes no more than so many bytes.
    fn make_room(&mut self, bytes_max: usize, gone: &mut Vec<Arc<Rendered>>) {
        let mut turns = 0;
        while self.bytes > bytes_max {
            if !self.full {
                self.full = true;
                // From here on less far back counts.
                self.wanted = Wanted::default();
            }
            let Some(first) = self.turns.pop_front() else { return };
            let was_used = |frame: &Arc<Rendered>| frame.used.swap(false, Ordering::Relaxed);
            if self.frames.get(&first).is_some_and(was_used) && turns < TURNS_MAX {
                turns += 1;
                self.turns.push_back(first);
            } else if let Some(frame) = self.frames.remove(&first) {
                self.bytes = self.bytes.saturating_sub(frame.cost_bytes());
                gone.push(frame);
            }
        }
    }
}

impl Wanted {
    /// Tells whether a frame was noted within so many calls, and forgets it; or notes it. Older notes are forgotten.
    fn is_again(&mut self, first: Position, reach: usize) -> bool {
        self.next += 1;
        let oldest = self.next.saturating_sub(u64::try_from(reach).unwrap_or(u64::MAX));
        while let Some((frame, number)) = self.turns.pop_front_if(|(_, number)| *number < oldest) {
            if self.numbers.get(&frame) == Some(&number) {
                self.numbers.remove(&frame);
            }
        }
        if self.numbers.remove(&first).is_some() {
            return true;
        }
        self.numbers.insert(first, self.next);
        self.turns.push_back((first, self.next));
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Manual;
    use crate::codec::erased::EraseOrder;
    use crate::domain::{EventId, Timestamp};
    use crate::filter::Filter;
    use crate::journal::{Direction, Journal as _, MemoryJournal};
    use crate::log::tests::{append_all, open, store};
    use crate::log::{BatchLimits, Log, Scan};

    use super::*;

    /// A log of as many frames as there are batches.
    async fn filled(batches: &[u128]) -> (Log, Vec<Frame>) {
        let journal = MemoryJournal::new(store());
        let log = open(&journal, &Arc::new(Manual::at(Timestamp(0))));
        let mut next = 1;
        for count in batches {
            append_all(&log, next..next + count).await.unwrap();
            next += count;
        }
        let frames = journal.read(Position(1), Direction::Forward).collect::<Result<_, _>>().unwrap();
        (log, frames)
    }

    fn read(log: &Log, direction: Direction, limits: BatchLimits) -> Vec<Bytes> {
        let mut scan = Scan::new(log, Filter::default(), Timestamp::MAX, direction);
        let end = log.head().position;
        let (mut from, bound) = match direction {
            Direction::Forward => (Position::ZERO, end),
            Direction::Backward => (end.next(), Position(1)),
        };
        let mut events = Vec::new();
        while from != bound {
            let batch = scan.next(log, from, bound, limits).unwrap();
            events.extend(batch.events);
            from = batch.evaluated;
        }
        events
    }

    #[tokio::test]
    async fn what_is_read_again_is_held_and_reads_alike() {
        let (log, frames) = filled(&[64, 40, 1, 1, 9, 64]).await;
        let records = frames.iter().flat_map(Frame::records);
        let mut expected: Vec<Bytes> = records.map(|record| present::encoded(record).unwrap()).collect();
        let mut held = Vec::new();
        for direction in [Direction::Forward, Direction::Backward] {
            for limits in [(4_096, 1 << 20), (20, 1 << 20), (4_096, 700)] {
                let limits = BatchLimits { events_max: limits.0, bytes_max: limits.1 };
                assert_eq!(read(&log, direction, limits), expected, "{direction:?} {limits:?}");
                held.push(log.rendered().held_bytes());
            }
            expected.reverse();
        }
        assert_eq!(held.first(), Some(&0), "who reads once leaves nothing behind");
        assert!(held.get(1) > Some(&0), "{held:?}");
        for frame in &frames {
            let is_held = log.rendered().at(frame.first()).is_some();
            assert_eq!(is_held, frame.records().len() >= 8, "{:?}", frame.first());
        }
    }

    #[tokio::test]
    async fn few_events_of_a_frame_do_not_keep_the_rest_in_memory() {
        let (log, _) = filled(&[64, 64]).await;
        let limits = BatchLimits { events_max: 4_096, bytes_max: 1 << 20 };
        for _ in 0..2 {
            read(&log, Direction::Forward, limits);
        }
        let all = read(&log, Direction::Forward, limits);
        for (after, up_to, is_copied) in [(9, 12, true), (120, 128, true), (64, 127, false)] {
            let mut scan = Scan::new(&log, Filter::default(), Timestamp::MAX, Direction::Forward);
            let events = scan.next(&log, Position(after), Position(up_to), limits).unwrap().events;
            let at = |position: u64| usize::try_from(position).unwrap();
            assert_eq!(events, all[at(after)..at(up_to)]);
            assert_eq!(events.iter().all(Bytes::is_unique), is_copied, "{after} {up_to}");
        }
    }

    #[tokio::test]
    async fn no_more_is_held_than_fits_and_what_was_used_stays() {
        let (_, frames) = filled(&[10; 12]).await;
        let cost = Rendered::of(&frames[1]).unwrap().cost_bytes();
        let held = RenderedFrames::new(4 * cost + cost / 2);
        let era = held.era();
        let is_held = |frame: &Frame| held.at(frame.last()).is_some();
        for frame in &frames {
            assert!(held.keep(frame, era).unwrap().event(frame.first()).is_some());
            assert!(held.held_bytes() <= 4 * cost + cost / 2);
            // The first frame is used again and again.
            assert!(is_held(&frames[0]));
        }
        assert!(is_held(frames.last().unwrap()) && !is_held(&frames[3]));
        assert!(held.at(Position::ZERO).is_none() && held.at(Position(121)).is_none());
        // Who comes when all others were used comes in.
        for frame in &frames {
            let _ = held.at(frame.first());
        }
        assert!(held.keep(&frames[5], era).is_some() && is_held(&frames[5]));
        assert!(held.held_bytes() <= 4 * cost + cost / 2);
        let small = RenderedFrames::new(cost - 1);
        assert!(small.keep(&frames[1], era).is_some());
        assert_eq!(small.held_bytes(), 0, "what cannot fit is given, not held");
    }

    #[tokio::test]
    async fn a_walk_over_more_than_fits_pushes_nothing_out() {
        let (_, frames) = filled(&[10; 40]).await;
        let cost = Rendered::of(&frames[1]).unwrap().cost_bytes();
        let held = RenderedFrames::new(5 * cost);
        let era = held.era();
        let walk = || {
            let missed = frames.iter().filter(|frame| held.at(frame.first()).is_none());
            let again = missed.filter(|frame| held.is_wanted_again(frame.first()));
            again.filter_map(|frame| held.keep(frame, era)).count()
        };
        assert_eq!(walk(), 0);
        assert!((5..10).contains(&walk()), "there was room, but for no more");
        // From here on it is full: whatever is read once more, it was too long ago.
        assert_eq!([0; 5].map(|_| walk()), [0; 5]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_scan_that_began_before_an_erasure_gives_nothing_that_was_erased() {
        let (log, _) = filled(&[64, 64]).await;
        let limits = BatchLimits { events_max: 20, bytes_max: 1 << 20 };
        let begin = || {
            let mut scan = Scan::new(&log, Filter::default(), Timestamp::MAX, Direction::Forward);
            scan.next(&log, Position::ZERO, Position(30), limits).unwrap();
            scan
        };
        // The first holds the frame as it is recorded; the last finds it in memory.
        let mut begun = [begin(), begin(), begin()];
        assert!(log.rendered().at(Position(25)).is_some());
        let order = EraseOrder {
            event_id: EventId::from_uuid(uuid::Uuid::from_u128(25)),
            reason: "r".to_owned(),
            authority: "a".to_owned(),
        };
        log.erase(order).await.unwrap();
        let record = log.reader().record(Position(25)).unwrap();
        let expected = present::encoded(&record).unwrap();
        for scan in &mut begun {
            let batch = scan.next(&log, Position(20), Position(30), limits).unwrap();
            assert_eq!(batch.events[4], expected);
        }
    }

    #[tokio::test]
    async fn what_was_read_in_an_era_is_not_held_in_the_next() {
        let (_, frames) = filled(&[10]).await;
        let held = RenderedFrames::new(RENDERED_BYTES_MAX);
        let before = held.era();
        assert!(held.keep(&frames[0], before).is_some() && held.at(Position(1)).is_some());
        held.clear();
        assert!(held.at(Position(1)).is_none() && held.held_bytes() == 0);
        assert!(held.keep(&frames[0], before).is_some() && held.at(Position(1)).is_none());
        assert!(held.keep(&frames[0], held.era()).is_some() && held.at(Position(1)).is_some());
    }

    #[test]
    fn what_was_wanted_long_ago_is_forgotten() {
        let held = RenderedFrames::new(RENDERED_BYTES_MAX);
        assert!(!held.is_wanted_again(Position(1)) && held.is_wanted_again(Position(1)));
        let others = 2..2 + u64::try_from(WANTED_MAX).unwrap();
        assert!(!held.is_wanted_again(Position(1)));
        assert!(others.map(Position).all(|position| !held.is_wanted_again(position)));
        assert!(!held.is_wanted_again(Position(1)) && held.is_wanted_again(Position(40)));
        assert!(held.held.read().wanted.turns.len() <= WANTED_MAX + 1);
    }
}
