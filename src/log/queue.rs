//! The writer's queue: bounded in requests and in bytes, so that memory is, too.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::erase::{EraseError, Erased};
use super::{AppendError, AppendRequest, Appended, QueueFull};
use crate::domain::EventId;

/// How much may wait for the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Most requests.
    pub requests_max: usize,
    /// Most bytes, by [`AppendRequest::cost_bytes`].
    pub bytes_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { requests_max: 65_536, bytes_max: 64 * 1_024 * 1_024 }
    }
}

/// Most events that one round takes, unless a single request has more.
pub const ROUND_EVENTS_MAX: usize = 1_024;
/// Most content bytes that one round takes, unless a single request has more.
pub const ROUND_BYTES_MAX: usize = 1_024 * 1_024;

/// A request and where its answer goes.
#[derive(Debug)]
pub struct Pending {
    /// What is asked.
    pub request: AppendRequest,
    /// Where the answer goes; nobody may be waiting for it any more.
    pub reply: oneshot::Sender<Result<Appended, AppendError>>,
}

/// An order to erase and where its answer goes.
#[derive(Debug)]
pub struct PendingErase {
    /// The event to erase.
    pub target: EventId,
    /// The event that records the order.
    pub record: AppendRequest,
    /// Where the answer goes; nobody may be waiting for it any more.
    pub reply: oneshot::Sender<Result<Erased, EraseError>>,
}

/// Work for the writer.
#[derive(Debug)]
pub enum Work {
    /// To append.
    Append(Pending),
    /// To erase.
    Erase(Box<PendingErase>),
}

impl Work {
    fn request(&self) -> &AppendRequest {
        match self {
            Self::Append(pending) => &pending.request,
            Self::Erase(pending) => &pending.record,
        }
    }
}

/// What the writer does next.
#[derive(Debug)]
pub enum Round {
    /// Appends that are committed together.
    Append(Vec<Pending>),
    /// An erasure, alone.
    Erase(Box<PendingErase>),
}

/// Requests that wait for the writer.
#[derive(Debug, Default)]
pub struct Queue {
    limits: QueueLimits,
    state: Mutex<State>,
    arrived: Condvar,
    /// Tells those who wait for room that something was taken.
    room: Notify,
}

/// What became of a request that was offered.
enum Offered {
    Taken,
    /// There is no room for it: it is given back.
    Full(Work, QueueFull),
    Refused(AppendError),
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Work>,
    bytes: usize,
    closed: bool,
    poisoned: bool,
}

impl State {
    fn take_round(&mut self) -> Round {
        let (mut round, mut events, mut bytes) = (Vec::new(), 0_usize, 0_usize);
        while let Some(next) = self.waiting.front() {
            let request = next.request();
            events += request.events.len();
            bytes += request.events.iter().map(|event| event.content.len()).sum::<usize>();
            let full = events > ROUND_EVENTS_MAX || bytes > ROUND_BYTES_MAX;
            if !round.is_empty() && (full || matches!(next, Work::Erase(_))) {
                break;
            }
            let cost = request.cost_bytes();
            self.bytes = self.bytes.saturating_sub(cost);
            match self.waiting.pop_front() {
                Some(Work::Append(pending)) => round.push(pending),
                Some(Work::Erase(pending)) => return Round::Erase(pending),
                None => break,
            }
        }
        Round::Append(round)
    }
}

impl Queue {
    /// Makes an empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds a request, without waiting.
    ///
    /// # Errors
    /// [`AppendError::QueueFull`] and [`AppendError::Closing`]; nothing was taken.
    pub fn push(&self, work: Work) -> Result<(), AppendError> {
        match self.offer(work) {
            Offered::Taken => Ok(()),
            Offered::Full(_, full) => Err(full.into()),
            Offered::Refused(error) => Err(error),
        }
    }

    /// Adds a request as soon as there is room for it.
    ///
    /// # Errors
    /// [`AppendError::Closing`]; [`AppendError::QueueFull`] for a request that is larger than the queue.
    pub async fn push_when_room(&self, mut work: Work) -> Result<(), AppendError> {
        loop {
            // Before the look: what is taken after it must not be missed.
            let mut room = std::pin::pin!(self.room.notified());
            room.as_mut().enable();
            match self.offer(work) {
                Offered::Taken => return Ok(()),
                Offered::Full(_, full) if full.requests == 0 => return Err(full.into()),
                Offered::Full(back, _) => work = back,
                Offered::Refused(error) => return Err(error),
            }
            room.await;
        }
    }

    fn offer(&self, work: Work) -> Offered {
        let cost = work.request().cost_bytes();
        let mut state = self.state.lock();
        if state.closed {
            return Offered::Refused(if state.poisoned {
                AppendError::ReadOnly
            } else {
                AppendError::Closing
            });
        }
        let requests = state.waiting.len();
        if requests >= self.limits.requests_max || state.bytes.saturating_add(cost) > self.limits.bytes_max {
            return Offered::Full(work, QueueFull { requests, bytes: state.bytes });
        }
        state.bytes += cost;
        state.waiting.push_back(work);
        self.arrived.notify_one();
        Offered::Taken
    }

    /// Takes what waits, up to the limits of a round, and waits for it if there is nothing. `None` after
    /// [`Queue::close`], when all is taken.
    pub fn take_round(&self) -> Option<Round> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closed {
                return None;
            }
            self.arrived.wait(&mut state);
        }
        let round = state.take_round();
        drop(state);
        self.room.notify_waiters();
        Some(round)
    }

    /// Takes no more requests; the writer ends when it has taken those that wait.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.arrived.notify_all();
        self.room.notify_waiters();
    }

    /// Gives up what waits: nobody will write it. Those who wait learn that the outcome is unknown.
    pub fn abandon(&self, panicked: bool) {
        let mut state = self.state.lock();
        state.closed = true;
        state.poisoned |= panicked;
        state.bytes = 0;
        state.waiting.clear();
        drop(state);
        self.room.notify_waiters();
    }

    /// Remembers that a commit failed.
    pub fn poison(&self) {
        self.state.lock().poisoned = true;
    }

    /// Tells whether a commit failed.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.state.lock().poisoned
    }
}
