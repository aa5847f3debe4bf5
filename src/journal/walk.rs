//! Walks over stored frames and refuses damage and gaps, the same way in every implementation.

use std::fmt;
use std::io;
use std::iter::Peekable;

use bytes::Bytes;

use super::Direction;
use super::error::{Fault, ReadError};
use super::frame::Frame;
use crate::domain::Position;

/// A stored frame: the first position that it is stored under, and its bytes.
pub type Entry = (Position, Bytes);

/// Says why the store gave no entry.
#[derive(Debug)]
pub enum SourceError {
    /// It could not be read.
    Io(io::Error),
    /// It found itself damaged; where is not known.
    Damaged(String),
}

/// Reads entries in one direction, from the one that holds the first position wanted.
///
/// ```text
///             at            tail
///  │ frame  ··│·· │ frame  │ uncommitted…
///  └ the source starts here, or at the same frame and goes backward
/// ```
pub struct Walk<S: Iterator> {
    source: Peekable<S>,
    direction: Direction,
    /// The next position wanted: forward the lowest, backward the highest.
    at: u64,
    tail: u64,
    started: bool,
    done: bool,
}

impl<S: Iterator<Item = Result<Entry, SourceError>>> Walk<S> {
    /// Starts a walk. `source` must begin with the last entry stored at or before
    /// [`Walk::start`], if there is one, or else the next in the direction.
    pub fn new(source: S, from: Position, direction: Direction, tail: Position) -> Self {
        let at = Self::start(from, direction, tail).0;
        let done = at == 0 || at > tail.0;
        let source = source.peekable();
        Self { source, direction, at, tail: tail.0, started: false, done }
    }

    /// Gives the first position that a reader wants: see [`super::Journal::read`].
    #[must_use]
    pub fn start(from: Position, direction: Direction, tail: Position) -> Position {
        match direction {
            Direction::Forward => from.max(Position(1)),
            Direction::Backward => from.min(tail),
        }
    }

    fn step(&mut self) -> Result<Frame, ReadError> {
        let (first, encoded) = match self.source.next() {
            Some(Ok((first, _))) if first.0 > self.tail => return Err(self.rest(Fault::Missing)),
            None => return Err(self.rest(Fault::Missing)),
            Some(Err(SourceError::Io(error))) => return Err(ReadError::Io(error)),
            Some(Err(SourceError::Damaged(detail))) => {
                return Err(self.rest(Fault::Store(detail)));
            }
            Some(Ok(entry)) => entry,
        };
        let frame = Frame::decode(encoded).map_err(|error| self.damaged(first.0, Fault::Frame(error)))?;
        if frame.first() != first || frame.last().0 > self.tail {
            return Err(self.damaged(first.0, Fault::Misplaced));
        }
        match self.direction {
            Direction::Forward => self.place_forward(&frame)?,
            Direction::Backward => self.place_backward(&frame)?,
        }
        self.started = true;
        Ok(frame)
    }

    fn place_forward(&mut self, frame: &Frame) -> Result<(), ReadError> {
        let (first, last) = (frame.first().0, frame.last().0);
        if first > self.at {
            return Err(corrupt(self.at, first - 1, Fault::Missing));
        }
        if self.started && first < self.at {
            return Err(corrupt(first, last, Fault::Misplaced));
        }
        if last < self.at {
            return Err(corrupt(self.at, self.before_next_entry(), Fault::Missing));
        }
        self.done = last == self.tail;
        self.at = last.saturating_add(1);
        Ok(())
    }

    fn place_backward(&mut self, frame: &Frame) -> Result<(), ReadError> {
        let (first, last) = (frame.first().0, frame.last().0);
        if last < self.at {
            return Err(corrupt(last + 1, self.at, Fault::Missing));
        }
        if first > self.at || (self.started && last > self.at) {
            return Err(corrupt(first, last, Fault::Misplaced));
        }
        self.done = first == 1;
        self.at = first - 1;
        Ok(())
    }

    /// Everything that is still to come is not to be had.
    fn rest(&self, fault: Fault) -> ReadError {
        match self.direction {
            Direction::Forward => corrupt(self.at, self.tail, fault),
            Direction::Backward => corrupt(1, self.at, fault),
        }
    }

    /// The entry stored under `first` is not to be had: it reaches to its neighbour.
    fn damaged(&mut self, first: u64, fault: Fault) -> ReadError {
        let last = match self.direction {
            Direction::Forward => self.before_next_entry(),
            Direction::Backward => self.at,
        };
        corrupt(first, last, fault)
    }

    fn before_next_entry(&mut self) -> u64 {
        match self.source.peek() {
            Some(Ok((next, _))) => next.0.saturating_sub(1).min(self.tail),
            Some(Err(_)) | None => self.tail,
        }
    }
}

impl<S: Iterator<Item = Result<Entry, SourceError>>> Iterator for Walk<S> {
    type Item = Result<Frame, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step();
        self.done |= item.is_err();
        Some(item)
    }
}

impl<S: Iterator> fmt::Debug for Walk<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Walk")
            .field("direction", &self.direction)
            .field("at", &self.at)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}

fn corrupt(first: u64, last: u64, fault: Fault) -> ReadError {
    ReadError::Corrupt { first: Position(first), last: Position(last.max(first)), fault }
}
