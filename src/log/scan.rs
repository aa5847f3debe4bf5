//! Finds and reads matching records, a batch at a time: the one loop under reads and subscriptions.

use std::sync::Arc;

use bytes::Bytes;

use super::Log;
use super::error::ReadError;
use super::reader::Reader;
use super::rendered::{Era, Rendered, RenderedEvent, recorded_bytes};
use crate::codec::texts::Texts;
use crate::codec::{facts_of, present};
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::index::View;
use crate::journal::{ChainHash, Direction, Record};
use crate::search::document::Document;

/// How much one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Most events.
    pub events_max: usize,
    /// Most bytes, by [`recorded_bytes`]; a single larger event is a batch of its own.
    pub bytes_max: usize,
}

/// Of so many positions that come next, at least half must be wanted for whole frames to be worth rendering.
const RUN_MAX: usize = 64;
/// Fewer tell nothing; and a frame of fewer events is not worth holding.
const RUN_MIN: usize = 8;

/// Events found, in the order of the scan.
#[derive(Debug)]
pub struct Batch {
    /// The events as clients see them: each an encoded `annals.v1.Event` with every derived field.
    pub events: Vec<Bytes>,
    /// Positions, first and last, of whose events nothing is known any more: next in the scan, after the events.
    /// Whether they matched cannot be told, so every scan is told of them.
    pub lost: Option<(Position, Position)>,
    /// Every position up to this one was evaluated: it and all before it in the direction of the scan.
    pub evaluated: Position,
}

/// A walk over the events of a log that match.
#[derive(Debug)]
pub struct Scan {
    filter: Filter,
    known_at: Timestamp,
    direction: Direction,
    reader: Reader,
    /// When it began to read with this reader.
    era: Era,
}

impl Scan {
    /// Walks over events that match and could be known at a moment.
    #[must_use]
    pub fn new(log: &Log, filter: Filter, known_at: Timestamp, direction: Direction) -> Self {
        let era = log.rendered().era();
        Self { filter, known_at, direction, reader: log.reader(), era }
    }

    /// Gives what is looked for.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Reads the next batch. Forward: from (`from`, `bound`]. Backward: from [`bound`, `from`).
    ///
    /// Gives an empty batch where nothing matches in the part of the index that it looked at: go on after
    /// [`Batch::evaluated`].
    ///
    /// # Errors
    /// [`ReadError`] when a record cannot be read.
    pub fn next(
        &mut self,
        log: &Log,
        from: Position,
        bound: Position,
        limits: BatchLimits,
    ) -> Result<Batch, ReadError> {
        let view = log.index().view();
        let bound = match (self.direction, self.next_lost(&view, from, bound)) {
            (_, None) => bound,
            (Direction::Forward, Some((first, last))) if first == from.next() => {
                return Ok(Batch { events: Vec::new(), lost: Some((first, last)), evaluated: last });
            }
            (Direction::Forward, Some((first, _))) => Position(first.0 - 1),
            (Direction::Backward, Some((first, last))) if last.next() == from => {
                return Ok(Batch { events: Vec::new(), lost: Some((first, last)), evaluated: first });
            }
            (Direction::Backward, Some((_, last))) => last.next(),
        };
        let (positions, mut evaluated) = self.positions(&view, from, bound, limits.events_max);
        drop(view);
        self.begin_era(log);
        // Up to where words were looked up, the plan has told all there is to tell of an event.
        let judged_to = self.filter.words_known_to().unwrap_or(Position(u64::MAX));
        let mut gathered = Gathered::default();
        let (mut frame, mut at) = (None, 0);
        while let Some(position) = positions.get(at).copied() {
            let read = if position <= judged_to {
                self.read(log, position, &Wanted { positions: &positions, at }, &mut frame)
            } else {
                self.reader.record(position).map(Found::Record)
            };
            let found = match read {
                Ok(found) => found,
                Err(error) if gathered.is_empty() => return Err(error),
                // What was read before the damage is given; the next call meets it again.
                Err(_) => {
                    evaluated = self.before(position);
                    break;
                }
            };
            at += 1;
            if let Found::Record(record) = &found
                && position > judged_to
                && !self.matches(record)?
            {
                continue;
            }
            if !gathered.has_room(&found, limits) {
                // The event that did not fit begins the next batch.
                evaluated = self.before(position);
                break;
            }
            gathered.push(found)?;
            if let Some(frame) = &frame {
                // What else is wanted of the frame comes with it.
                let next = positions.get(at..).unwrap_or_default().iter().copied();
                at += gathered.extend(frame, next.take_while(|position| *position <= judged_to), limits)?;
            }
        }
        Ok(Batch { events: gathered.events()?, lost: None, evaluated })
    }

    /// Forgets what it read before an erasure.
    fn begin_era(&mut self, log: &Log) {
        let era = log.rendered().era();
        if era != self.era {
            self.reader = log.reader();
            self.era = era;
        }
    }

    /// Reads an event: from the frame that was looked at last, from those that are held as clients see them, or from the
    /// journal.
    fn read(
        &mut self,
        log: &Log,
        position: Position,
        wanted: &Wanted<'_>,
        frame: &mut Option<Shared>,
    ) -> Result<Found, ReadError> {
        let holds = |frame: &Shared| frame.rendered.event(position).is_some();
        if !frame.as_ref().is_some_and(holds) && self.reader.held(position).is_none() {
            *frame = self.enter(log, position, wanted)?;
        }
        match frame.as_ref().and_then(|frame| frame.event(position)) {
            Some(event) => Ok(Found::Rendered(event)),
            None => self.reader.record(position).map(Found::Record),
        }
    }

    /// Comes to a frame that is not read yet; gives it as clients see it where it is, or now comes to be, held so.
    fn enter(
        &mut self,
        log: &Log,
        position: Position,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Shared>, ReadError> {
        let frames = log.rendered();
        if let Some(rendered) = frames.at(position) {
            return Ok(Some(Shared::new(rendered, wanted)));
        }
        let frame = self.reader.frame(position)?;
        let is_worth = frame.records().len() >= RUN_MIN && wanted.is_run();
        let rendered = if is_worth && frames.is_wanted_again(frame.first()) {
            frames.keep(frame, self.era)
        } else {
            None
        };
        Ok(rendered.map(|rendered| Shared::new(rendered, wanted)))
    }

    /// Gives the chain hash at a position, from what the scan holds if it can.
    ///
    /// # Errors
    /// [`ReadError`] when the frame there cannot be read.
    pub fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        self.reader.chain_at(position)
    }

    /// Tells whether a record has the words that are asked for, and all else.
    fn matches(&self, record: &Record) -> Result<bool, ReadError> {
        let words = Texts::of(record)?.map(|texts| Document::of(&texts));
        Ok(self.filter.matches(&facts_of(record)?.event, words.as_ref()))
    }

    /// Gives the last position that the scan has behind it when it comes to a position.
    const fn before(&self, position: Position) -> Position {
        match self.direction {
            Direction::Forward => Position(position.0.saturating_sub(1)),
            Direction::Backward => position.next(),
        }
    }

    fn next_lost(&self, view: &View, from: Position, bound: Position) -> Option<(Position, Position)> {
        match self.direction {
            Direction::Forward => view.first_lost(from, bound),
            Direction::Backward => view.last_lost(bound, from),
        }
    }

    fn positions(
        &self,
        view: &View,
        from: Position,
        bound: Position,
        count: usize,
    ) -> (Vec<Position>, Position) {
        let (mut positions, evaluated) = match self.direction {
            Direction::Forward => self.filter.matches_after(view, from, bound, count),
            Direction::Backward => self.filter.matches_before(view, from, bound, count),
        };
        if self.known_at < Timestamp::MAX {
            positions.retain(|position| {
                view.known_at(*position).is_some_and(|known_at| known_at <= self.known_at)
            });
        }
        (positions, evaluated)
    }
}

/// An event that was found.
#[derive(Debug)]
enum Found {
    /// As clients see it.
    Rendered(RenderedEvent),
    /// As it is recorded.
    Record(Record),
}

/// The events of a batch, in order.
#[derive(Debug, Default)]
struct Gathered {
    events: Vec<Bytes>,
    /// Those that come next: events in a row are rendered together.
    records: Vec<Record>,
    size: usize,
}

impl Gathered {
    const fn is_empty(&self) -> bool {
        self.events.is_empty() && self.records.is_empty()
    }

    fn has_room(&self, found: &Found, limits: BatchLimits) -> bool {
        self.is_empty() || self.size + found.size() <= limits.bytes_max
    }

    fn push(&mut self, found: Found) -> Result<(), ReadError> {
        self.size += found.size();
        match found {
            Found::Record(record) => self.records.push(record),
            Found::Rendered(event) => {
                self.render()?;
                self.events.push(event.bytes);
            }
        }
        Ok(())
    }

    /// Adds events of a frame, as far as the next ones stand in it and there is room; gives how many.
    fn extend(
        &mut self,
        frame: &Shared,
        next: impl Iterator<Item = Position>,
        limits: BatchLimits,
    ) -> Result<usize, ReadError> {
        let mut count = 0;
        for position in next {
            let Some(event) = frame.event(position) else { break };
            let found = Found::Rendered(event);
            if !self.has_room(&found, limits) {
                break;
            }
            self.push(found)?;
            count += 1;
        }
        Ok(count)
    }

    fn render(&mut self) -> Result<(), ReadError> {
        if !self.records.is_empty() {
            self.events.extend(present::batch(&self.records)?);
            self.records.clear();
        }
        Ok(())
    }

    fn events(mut self) -> Result<Vec<Bytes>, ReadError> {
        self.render()?;
        Ok(self.events)
    }
}

impl Found {
    fn size(&self) -> usize {
        match self {
            Self::Rendered(event) => event.recorded,
            Self::Record(record) => recorded_bytes(record),
        }
    }
}

/// A frame as clients see it, held by all who read it.
#[derive(Debug)]
struct Shared {
    rendered: Arc<Rendered>,
    /// Whether at least half of its bytes are wanted.
    half: bool,
}

impl Shared {
    fn new(rendered: Arc<Rendered>, wanted: &Wanted<'_>) -> Self {
        let next = wanted.rest().iter().map_while(|position| rendered.event(*position));
        let bytes: usize = next.map(|event| event.bytes.len()).sum();
        Self { half: 2 * bytes >= rendered.bytes(), rendered }
    }

    /// Gives an event of the frame: a part of it where half of it is wanted, else a copy. A part keeps the whole frame in
    /// memory for as long as a client takes to be sent it.
    fn event(&self, position: Position) -> Option<RenderedEvent> {
        let event = self.rendered.event(position)?;
        let bytes = if self.half { event.bytes.clone() } else { Bytes::copy_from_slice(&event.bytes) };
        Some(RenderedEvent { bytes, ..*event })
    }
}

/// The positions that a batch is to have, and how far it has come.
struct Wanted<'a> {
    positions: &'a [Position],
    at: usize,
}

impl Wanted<'_> {
    /// Gives the positions that are still to come.
    fn rest(&self) -> &[Position] {
        self.positions.get(self.at..).unwrap_or_default()
    }

    /// Tells whether so many in a row come next that whole frames are worth rendering; at the end of a batch, by its last
    /// ones.
    fn is_run(&self) -> bool {
        let at = self.at.min(self.positions.len().saturating_sub(RUN_MIN));
        let ahead = self.positions.get(at..).unwrap_or_default();
        let run = ahead.get(..RUN_MAX).unwrap_or(ahead);
        let reach = run.first().zip(run.last()).map_or(0, |(first, last)| first.0.abs_diff(last.0));
        run.len() >= RUN_MIN && usize::try_from(reach).is_ok_and(|reach| reach < 2 * run.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_dense_in_either_direction() {
        let every = |step| (1..=200_u64).step_by(step).map(Position).collect::<Vec<_>>();
        let falling = |step| every(step).into_iter().rev().collect::<Vec<_>>();
        let is_run = |positions: &[Position]| {
            let at_first = Wanted { positions, at: 0 }.is_run();
            let at_last = Wanted { positions, at: positions.len().saturating_sub(1) }.is_run();
            assert_eq!(at_first, at_last, "{positions:?}");
            at_first
        };
        assert!(is_run(&every(1)) && is_run(&falling(1)) && is_run(&every(1)[..RUN_MIN]));
        assert!(is_run(&every(2)) && !is_run(&every(3)) && !is_run(&falling(20)));
        assert!(!is_run(&[]) && !is_run(&every(1)[..RUN_MIN - 1]));
    }
}
