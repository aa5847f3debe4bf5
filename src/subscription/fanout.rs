//! Tells followers at the live edge what is theirs: one look at each event for all of them.
//!
//! ```text
//! writer ─▶ recent rounds ─▶ fan-out ──▶ terms of the event ─▶ members that need one of them ─▶ their filter
//!                               │                                                                  │
//!                               ▼                                                                  ▼
//!                     seen: all up to here was told                             positions noted, follower woken
//! ```
//!
//! A follower that is not concerned sleeps on, so ten thousand idle ones cost an append nothing but a look at terms that
//! nobody needs. What is noted is bounded; who takes nothing for long finds again in the index what was not noted.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ahash::HashMap;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::machine::Due;
use crate::domain::{EventFacts, Position, Timestamp};
use crate::filter::Filter;
use crate::log::{Head, Log};

/// Positions noted for a follower that has not taken them yet.
const NOTED_MAX: usize = 256;
/// Followers that are woken for nothing but a checkpoint that positions make due are 2,000 a second, so that those of ten
/// thousand are no more than the appends they tell of; with more of them, each has one less often, down to the longest time
/// it asked for, which it looks after itself. Who is awake for an event sends what is due with it. Those who wait longest
/// are woken first, so many at a time,
const PART: usize = 8;
/// with this between them, in microseconds: a few at a time stand in no append's way.
const PART_MICROS: i64 = 4_000;
/// Longest pause of the fan-out; nothing hangs on it.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// The followers at the live edge of a log.
#[derive(Debug)]
pub struct Fanout {
    members: Mutex<Members>,
}

/// A member's number.
type Slot = usize;

#[derive(Debug, Default)]
struct Members {
    slots: Vec<Option<Member>>,
    free: Vec<Slot>,
    by_term: HashMap<Box<[u8]>, Vec<Slot>>,
    /// Members by the first byte of what they need: most fields of an event are needed by nobody.
    fields: HashMap<u8, usize>,
    /// Members whose filter names no term.
    unnamed: Vec<Slot>,
    /// Who is to be woken when a position is reached.
    due: BTreeSet<(Position, Slot)>,
    /// Who is to be woken when a moment comes; the position is reached.
    reached: BTreeSet<(Timestamp, Slot)>,
    /// When the last part of those for whom it was time was woken.
    woken_at: Option<Timestamp>,
    /// Every event up to this position was told of.
    seen: Position,
}

#[derive(Debug)]
struct Member {
    filter: Filter,
    woken: Arc<Notify>,
    /// Matches after `since`, as long as there is room.
    noted: VecDeque<Position>,
    /// Every match after this position, up to what the fan-out has seen, is noted.
    since: Position,
    due: Option<Due>,
}

/// What is known of the positions that a follower asks about.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// These match, and no others up to the second position.
    Matches(Vec<Position>, Position),
    /// Nothing up to this position: it must be found in the index.
    Nothing(Position),
}

impl Fanout {
    /// Starts to follow a log, until it is closed or `shutdown` comes.
    #[must_use]
    pub fn start(log: &Arc<Log>, shutdown: CancellationToken) -> Arc<Self> {
        let seen = log.head().position;
        let fanout = Arc::new(Self { members: Mutex::new(Members { seen, ..Members::default() }) });
        let (task, log) = (Arc::clone(&fanout), Arc::clone(log));
        tokio::spawn(async move { task.run(&log, &shutdown).await });
        fanout
    }

    async fn run(&self, log: &Log, shutdown: &CancellationToken) {
        let mut head = log.watch();
        loop {
            let position = head.borrow_and_update().position;
            let pause = self.tell(log, position);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = moved(&mut head) => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Tells of everything up to the head, and gives how long there is nothing to do if it does not move.
    fn tell(&self, log: &Log, head: Position) -> Duration {
        let mut members = self.members.lock();
        match log.recent().between(members.seen, head) {
            Some(rounds) => {
                let events = rounds.iter().flat_map(|round| round.facts());
                let after = members.seen;
                for facts in events.filter(|facts| after < facts.position && facts.position <= head) {
                    members.tell(&facts.event, facts.position);
                }
            }
            // Too far behind, or told to forget.
            None => members.tell_of_a_gap(head),
        }
        members.seen = members.seen.max(head);
        members.wake_due(log.clock().now())
    }

    /// Makes a follower a member: from now on matches of its filter are noted for it.
    #[must_use]
    pub fn join(self: &Arc<Self>, filter: Filter) -> Place {
        let mut members = self.members.lock();
        let woken = Arc::new(Notify::new());
        let member = Member {
            filter,
            woken: Arc::clone(&woken),
            noted: VecDeque::new(),
            since: members.seen,
            due: None,
        };
        let slot = members.add(member);
        Place { fanout: Arc::clone(self), slot, woken }
    }
}

/// Comes when the head moves; never, when there is no writer any more.
pub(super) async fn moved(head: &mut watch::Receiver<Head>) {
    if head.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Members {
    fn add(&mut self, member: Member) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        match member.filter.needed_terms() {
            Some(terms) => {
                for term in terms {
                    self.by_term.entry(term.into()).or_default().push(slot);
                    *self.fields.entry(term.first().copied().unwrap_or_default()).or_default() += 1;
                }
            }
            None => self.unnamed.push(slot),
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(member);
        }
        slot
    }

    fn remove(&mut self, slot: Slot) {
        self.expect(slot, None);
        let Some(member) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        let Some(terms) = member.filter.needed_terms() else {
            self.unnamed.retain(|other| *other != slot);
            return;
        };
        for term in terms {
            if let Some(slots) = self.by_term.get_mut(term) {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.by_term.remove(term);
                }
            }
            if let Some(count) = self.fields.get_mut(&term.first().copied().unwrap_or_default()) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn member(&mut self, slot: Slot) -> Option<&mut Member> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Tells the members that an event concerns.
    fn tell(&mut self, event: &EventFacts, position: Position) {
        let Self { slots, by_term, fields, unnamed, .. } = self;
        let mut tell = |slot: Slot| {
            if let Some(Some(member)) = slots.get_mut(slot) {
                member.tell(event, position);
            }
        };
        unnamed.iter().copied().for_each(&mut tell);
        if by_term.is_empty() {
            return;
        }
        for term in event.terms.iter() {
            let field = term.first().copied().unwrap_or_default();
            if fields.get(&field).is_some_and(|count| *count > 0)
                && let Some(slots) = by_term.get(term)
            {
                slots.iter().copied().for_each(&mut tell);
            }
        }
    }

    /// Nothing is known of positions up to one: each member has to look for itself.
    fn tell_of_a_gap(&mut self, up_to: Position) {
        for member in self.slots.iter_mut().flatten() {
            member.noted.clear();
            member.since = up_to;
            member.woken.notify_one();
        }
    }

    /// Sets when a member is to be woken though nothing matches.
    fn expect(&mut self, slot: Slot, due: Option<Due>) {
        let Some(member) = self.member(slot) else { return };
        if let Some(before) = std::mem::replace(&mut member.due, due) {
            self.due.remove(&(before.position, slot));
            self.reached.remove(&(before.not_before, slot));
        }
        if let Some(due) = due {
            self.due.insert((due.position, slot));
        }
    }

    /// Wakes those for whom it is time, and gives how long until the next.
    fn wake_due(&mut self, now: Timestamp) -> Duration {
        while let Some((position, slot)) = self.due.first().copied().filter(|(at, _)| *at <= self.seen) {
            self.due.remove(&(position, slot));
            if let Some(due) = self.member(slot).and_then(|member| member.due) {
                self.reached.insert((due.not_before, slot));
            }
        }
        let until = |time: Timestamp| {
            let micros = u64::try_from(time.0.saturating_sub(now.0)).unwrap_or_default();
            Duration::from_micros(micros).min(PAUSE_MAX)
        };
        let next_part = self.woken_at.map(|woken_at| woken_at.plus_micros(PART_MICROS));
        // A clock that stepped back must not put it off by as much.
        if let Some(next_part) = next_part.filter(|at| *at > now && at.0 - now.0 <= PART_MICROS) {
            return self.reached.first().map_or(PAUSE_MAX, |(time, _)| until((*time).max(next_part)));
        }
        for _ in 0..PART {
            let Some((time, slot)) = self.reached.first().copied() else { return PAUSE_MAX };
            if time > now {
                return until(time);
            }
            self.reached.remove(&(time, slot));
            self.woken_at = Some(now);
            if let Some(member) = self.member(slot) {
                member.due = None;
                member.woken.notify_one();
            }
        }
        self.reached.first().map_or(PAUSE_MAX, |(time, _)| until((*time).max(now.plus_micros(PART_MICROS))))
    }
}

impl Member {
    fn tell(&mut self, event: &EventFacts, position: Position) {
        // An event may have several of the terms that a member needs.
        if self.noted.back() == Some(&position) || position <= self.since || !self.filter.matches(event, None)
        {
            return;
        }
        if self.noted.len() == NOTED_MAX {
            self.noted.clear();
            self.since = position;
        } else {
            self.noted.push_back(position);
        }
        self.woken.notify_one();
    }

    fn drop_up_to(&mut self, position: Position) {
        while self.noted.front().is_some_and(|noted| *noted <= position) {
            self.noted.pop_front();
        }
    }
}

/// A follower's place among the members; it leaves with it.
#[derive(Debug)]
pub struct Place {
    fanout: Arc<Fanout>,
    slot: Slot,
    woken: Arc<Notify>,
}

impl Place {
    /// Gives the position up to which every event was told of, and the one up to which nothing matches that stands after
    /// `evaluated`; that one itself if this is not known.
    #[must_use]
    pub fn progress(&self, evaluated: Position) -> (Position, Position) {
        let mut members = self.fanout.members.lock();
        let seen = members.seen;
        let Some(member) = members.member(self.slot).filter(|member| member.since <= evaluated) else {
            return (seen, evaluated);
        };
        member.drop_up_to(evaluated);
        let clear = member.noted.front().map_or(seen, |next| Position(next.0.saturating_sub(1)));
        (seen, clear.max(evaluated))
    }

    /// Takes what was noted of positions in (`after`, `up_to`].
    #[must_use]
    pub fn take(&self, after: Position, up_to: Position) -> Known {
        let mut members = self.fanout.members.lock();
        let up_to = up_to.min(members.seen);
        let Some(member) = members.member(self.slot) else { return Known::Nothing(up_to) };
        if after < member.since {
            return Known::Nothing(up_to.min(member.since));
        }
        member.drop_up_to(after);
        let count = member.noted.partition_point(|position| *position <= up_to);
        // What was taken is known no more: if it cannot be sent as a whole, the rest is found in the index.
        member.since = up_to.max(after);
        Known::Matches(member.noted.drain(..count).collect(), up_to)
    }

    /// Sets when to wake the follower though nothing matches. If the position is reached already, nothing but the moment
    /// counts, which the follower must wait for itself: it is given back.
    #[must_use]
    pub fn expect(&self, due: Option<Due>) -> Option<Timestamp> {
        let mut members = self.fanout.members.lock();
        let seen = members.seen;
        let reached = due.filter(|due| due.position <= seen);
        members.expect(self.slot, due.filter(|due| due.position > seen));
        reached.map(|due| due.not_before)
    }

    /// Waits until something was noted, or what is due has come.
    pub async fn woken(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.fanout.members.lock().remove(self.slot);
    }
}

#[cfg(test)]
mod tests;
