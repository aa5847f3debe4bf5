//! Keeps a journal in memory, with faults that a script decides: for tests and simulations.
//!
//! ```text
//! stored frames   │ flushed ············· │ written, not flushed │
//!                                         └ lost when power fails, that is on `reopen`
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::commit::{Condition, admit, admit_replacements};
use super::error::{CommitError, OpenError};
use super::frame::Frame;
use super::recover::check_tail;
use super::walk::{Entry, SourceError, Walk};
use super::{Direction, EncodedFrame, Frames, Journal, Opened, Tail};
use crate::domain::{Position, StoreId};

/// What happens to one commit.
#[derive(Clone, Debug)]
pub enum CommitFault {
    /// An I/O error before anything is stored.
    ErrorBefore,
    /// An I/O error after everything is stored and flushed.
    ErrorAfter,
    /// No space: nothing is stored.
    NoSpace,
    /// An I/O error after the first `frames` frames are stored; opening again rolls them back,
    /// unless they are all of the commit.
    ShortWrite {
        /// How many frames are stored.
        frames: usize,
    },
    /// A disk that lies: the commit is acknowledged, but the next power failure loses it, unless a
    /// later commit is flushed honestly.
    LostFlush,
    /// The flush waits until the test opens the gate.
    SlowFlush(Gate),
}

/// Holds a flush back until a test lets it go.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Debug, Default)]
struct GateState {
    waiting: bool,
    open: bool,
}

impl Gate {
    /// Waits until a flush has come to the gate.
    pub fn wait_for_flush(&self) {
        let (state, changed) = &*self.0;
        changed.wait_while(&mut state.lock(), |state| !state.waiting);
    }

    /// Lets the flush go on, and every later one.
    pub fn open(&self) {
        let (state, changed) = &*self.0;
        state.lock().open = true;
        changed.notify_all();
    }

    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock();
        state.waiting = true;
        changed.notify_all();
        changed.wait_while(&mut state, |state| !state.open);
    }
}

/// A journal in memory. Clones are handles on the same one.
#[derive(Clone)]
pub struct MemoryJournal(Arc<Shared>);

struct Shared {
    store: StoreId,
    writer: Mutex<Condition>,
    script: Mutex<VecDeque<CommitFault>>,
    disk: Mutex<Disk>,
    tail: Mutex<Tail>,
}

#[derive(Clone, Default)]
struct Disk {
    frames: BTreeMap<Position, Bytes>,
    /// First position that is written but not flushed, if any.
    unflushed: Option<Position>,
}

impl MemoryJournal {
    /// Makes an empty journal.
    #[must_use]
    pub fn new(store: StoreId) -> Self {
        Self::over(store, Disk::default(), Tail::origin(store))
    }

    fn over(store: StoreId, disk: Disk, tail: Tail) -> Self {
        Self(Arc::new(Shared {
            store,
            writer: Mutex::new(Condition::Open),
            script: Mutex::default(),
            disk: Mutex::new(disk),
            tail: Mutex::new(tail),
        }))
    }

    /// Adds a fault for a commit to come: each well-formed one takes the oldest fault left.
    pub fn script(&self, fault: CommitFault) {
        self.0.script.lock().push_back(fault);
    }

    /// Flips the lowest bit of one byte of a stored frame; says whether there is such a byte.
    #[must_use]
    pub fn damage(&self, first: Position, byte: usize) -> bool {
        let mut disk = self.0.disk.lock();
        let Some(stored) = disk.frames.get_mut(&first) else {
            return false;
        };
        let mut bytes = stored.to_vec();
        let Some(byte) = bytes.get_mut(byte) else {
            return false;
        };
        *byte ^= 1;
        *stored = Bytes::from(bytes);
        true
    }

    /// Removes a stored frame; says whether there was one.
    #[must_use]
    pub fn lose(&self, first: Position) -> bool {
        self.0.disk.lock().frames.remove(&first).is_some()
    }

    /// Opens what a power failure at this moment would leave. This journal goes on as it is.
    ///
    /// # Errors
    /// [`OpenError::Corrupt`] when the end of the log is damaged.
    pub fn reopen(&self) -> Result<Opened<Self>, OpenError> {
        let store = self.0.store;
        let mut disk = self.0.disk.lock().clone();
        if let Some(first) = disk.unflushed.take() {
            disk.frames.split_off(&first);
        }
        let frames_rolled_back = disk.roll_back();
        let newest = disk.frames.iter().rev().map(|(first, bytes)| Ok((*first, bytes.clone())));
        let checked = check_tail(newest, store)?;
        let (tail, frames_checked) = (checked.tail, checked.frames);
        let journal = Self::over(store, disk, tail);
        Ok(Opened { journal, tail, frames_checked, frames_rolled_back })
    }

    fn write(&self, frames: &[EncodedFrame]) -> io::Result<()> {
        let fault = self.0.script.lock().pop_front();
        let eio = || Err(io::Error::other("scripted input/output error"));
        match fault {
            None => self.store(frames, true),
            Some(CommitFault::ErrorBefore) => return eio(),
            Some(CommitFault::NoSpace) => return Err(io::ErrorKind::StorageFull.into()),
            Some(CommitFault::ErrorAfter) => {
                self.store(frames, true);
                return eio();
            }
            Some(CommitFault::ShortWrite { frames: count }) => {
                self.store(frames.get(..count).unwrap_or(frames), true);
                return eio();
            }
            Some(CommitFault::LostFlush) => self.store(frames, false),
            Some(CommitFault::SlowFlush(gate)) => {
                self.store(frames, false);
                gate.pass();
                self.0.disk.lock().unflushed = None;
            }
        }
        Ok(())
    }

    fn store(&self, frames: &[EncodedFrame], flushed: bool) {
        let mut disk = self.0.disk.lock();
        for frame in frames {
            disk.frames.insert(frame.first(), frame.bytes().clone());
        }
        if flushed {
            disk.unflushed = None;
        } else if disk.unflushed.is_none() {
            disk.unflushed = frames.first().map(EncodedFrame::first);
        }
    }
}

impl Disk {
    /// Drops the frames of a last commit that is not whole; gives how many.
    fn roll_back(&mut self) -> u64 {
        let mut dropped = 0;
        while let Some(last) = self.frames.last_entry() {
            match Frame::decode(last.get().clone()) {
                Ok(frame) if frame.commit().last > frame.last() => last.remove(),
                Ok(_) | Err(_) => break,
            };
            dropped += 1;
        }
        dropped
    }
}

impl Journal for MemoryJournal {
    fn store_id(&self) -> StoreId {
        self.0.store
    }

    fn tail(&self) -> Tail {
        *self.0.tail.lock()
    }

    fn commit(&self, expected_tail: Position, frames: Vec<EncodedFrame>) -> Result<(), CommitError> {
        let mut writer = self.0.writer.lock();
        writer.check()?;
        let after = admit(&self.tail(), expected_tail, &frames)?;
        if let Err(error) = self.write(&frames) {
            *writer = Condition::Poisoned;
            return Err(CommitError::Failed(error));
        }
        *self.0.tail.lock() = after;
        Ok(())
    }

    fn read(&self, from: Position, direction: Direction) -> Frames {
        let tail = self.tail().position;
        let start = Walk::<Entries>::start(from, direction, tail);
        let disk = self.0.disk.lock();
        // What holds a position is the last entry at or before it.
        let first = disk.frames.range(..=start).next_back().map_or(start, |(first, _)| *first);
        drop(disk);
        let entries = Entries { shared: Arc::clone(&self.0), next: Bound::Included(first), direction };
        Box::new(Walk::new(entries, from, direction, tail))
    }

    fn rewrite(&self, replaced: Vec<EncodedFrame>) -> Result<(), CommitError> {
        let writer = self.0.writer.lock();
        writer.check()?;
        admit_replacements(&replaced, |position| self.frame_at(position))?;
        let mut disk = self.0.disk.lock();
        for frame in replaced {
            disk.frames.insert(frame.first(), frame.bytes().clone());
        }
        Ok(())
    }

    fn stored_bytes(&self) -> u64 {
        self.0.disk.lock().frames.values().map(|bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)).sum()
    }

    fn close(&self) -> io::Result<()> {
        *self.0.writer.lock() = Condition::Closed;
        Ok(())
    }
}

impl fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryJournal")
            .field("store", &self.0.store)
            .field("tail", &self.tail())
            .finish_non_exhaustive()
    }
}

/// Stored frames in order, looked up one by one so that commits go on between.
struct Entries {
    shared: Arc<Shared>,
    next: Bound<Position>,
    direction: Direction,
}

impl Iterator for Entries {
    type Item = Result<Entry, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let disk = self.shared.disk.lock();
        let found = match self.direction {
            Direction::Forward => disk.frames.range((self.next, Bound::Unbounded)).next(),
            Direction::Backward => disk.frames.range((Bound::Unbounded, self.next)).next_back(),
        };
        let (first, bytes) = found?;
        self.next = Bound::Excluded(*first);
        Some(Ok((*first, bytes.clone())))
    }
}
