//! What a subscription does next, without I/O.
//!
//! ```text
//! Started ─▶ catching up ──(evaluated = head)──▶ CaughtUp ─▶ live
//!                 ▲                                            │
//!                 └──────────── FellBehind ◀──(lag too long)───┘
//! ```

use crate::domain::{Position, Timestamp};

/// Positions that may be evaluated between two checkpoints.
pub const CHECKPOINT_POSITIONS: u64 = 1_000;
/// At the live edge, shortest time between two checkpoints that positions alone make due, in microseconds: under tens of
/// thousands of events a second, ten thousand idle readers would else be sent more checkpoints than a machine can write.
pub const LIVE_CHECKPOINT_MICROS: i64 = 1_000_000;
/// Lag, in positions, from which a live reader counts as behind.
pub const FELL_BEHIND_POSITIONS: u64 = 10_000;

/// How often signs of life are sent, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Longest time between two checkpoints.
    pub checkpoint_micros: i64,
    /// Longest time with nothing but checkpoints.
    pub heartbeat_micros: i64,
}

/// What is sent besides events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message.
    Started {
        /// The head at the start.
        head: Position,
        /// Events after this position are evaluated.
        after: Position,
    },
    /// Everything at or below was evaluated.
    Checkpoint {
        /// Up to here.
        position: Position,
        /// The head.
        head: Position,
    },
    /// The live edge is reached.
    CaughtUp {
        /// The head.
        head: Position,
    },
    /// The reader is behind again.
    FellBehind {
        /// The head.
        head: Position,
    },
    /// Nothing else was sent for a while.
    Heartbeat {
        /// The head.
        head: Position,
        /// The server's clock.
        time: Timestamp,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a message.
    Send(Message),
    /// Send what comes before the first position, a piece at a time, until [`Machine::opened`].
    Open,
    /// Evaluate positions in (`after`, `up_to`], then call [`Machine::evaluated`].
    Scan {
        /// Exclusive.
        after: Position,
        /// Inclusive.
        up_to: Position,
    },
    /// Wait until there is something to evaluate, the moment comes, or what is due.
    Wait {
        /// The moment.
        until: Timestamp,
        /// When a checkpoint is due although nothing is to be sent.
        due: Due,
    },
}

/// When something is due: at a position, but not before a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The position.
    pub position: Position,
    /// The moment.
    pub not_before: Timestamp,
}

/// The state of a subscription.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pace: Pace,
    evaluated: Position,
    started: bool,
    opening: bool,
    live: bool,
    checkpoint: Position,
    checkpoint_at: Timestamp,
    sign_at: Timestamp,
    /// The head when the last scan began.
    edge: Option<Position>,
}

impl Machine {
    /// Begins after a position.
    #[must_use]
    pub const fn new(after: Position, pace: Pace, now: Timestamp) -> Self {
        Self {
            pace,
            evaluated: after,
            started: false,
            opening: false,
            live: false,
            checkpoint: after,
            checkpoint_at: now,
            sign_at: now,
            edge: None,
        }
    }

    /// Begins with what comes before the first position: a snapshot as of it.
    #[must_use]
    pub const fn with_opening(mut self) -> Self {
        self.opening = true;
        self
    }

    /// Takes note that all of it was sent: the next checkpoint, which is due at once, says so.
    pub const fn opened(&mut self) {
        self.opening = false;
        self.checkpoint_at = Timestamp(i64::MIN);
    }

    /// Tells from where to resume: after every position that was evaluated, or from the beginning where what comes
    /// before the first was not sent in full.
    #[must_use]
    pub const fn resume_after(&self) -> Position {
        if self.opening { Position::ZERO } else { self.evaluated }
    }

    /// Tells up to where every position was evaluated: resume after it.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.evaluated
    }

    /// Takes note that positions were evaluated, and whether events were sent.
    pub fn evaluated(&mut self, up_to: Position, sent_events: bool, now: Timestamp) {
        self.evaluated = self.evaluated.max(up_to);
        if sent_events {
            self.sign_at = now;
        }
    }

    /// Decides what to do next.
    pub fn next(&mut self, head: Position, now: Timestamp) -> Action {
        if !self.started {
            self.started = true;
            self.sign_at = now;
            return Action::Send(Message::Started { head, after: self.evaluated });
        }
        if self.opening {
            return Action::Open;
        }
        // A clock that steps back must not put off signs of life by as much.
        self.checkpoint_at = self.checkpoint_at.min(now);
        self.sign_at = self.sign_at.min(now);
        let lag = head.0.saturating_sub(self.evaluated.0);
        if self.live && lag > FELL_BEHIND_POSITIONS {
            self.live = false;
            self.edge = None;
            self.sign_at = now;
            return Action::Send(Message::FellBehind { head });
        }
        let due = self.checkpoint_at.plus_micros(self.pace.checkpoint_micros);
        let since = self.evaluated.0.saturating_sub(self.checkpoint.0);
        let pause = if self.live { LIVE_CHECKPOINT_MICROS } else { 0 };
        let not_before = self.checkpoint_at.plus_micros(pause);
        if now >= due || (since >= CHECKPOINT_POSITIONS && now >= not_before) {
            self.checkpoint = self.evaluated;
            self.checkpoint_at = now;
            return Action::Send(Message::Checkpoint { position: self.evaluated, head });
        }
        let silence = self.sign_at.plus_micros(self.pace.heartbeat_micros);
        if now >= silence {
            self.sign_at = now;
            return Action::Send(Message::Heartbeat { head, time: now });
        }
        if !self.live && self.edge.is_some_and(|edge| self.evaluated >= edge) {
            self.live = true;
            self.sign_at = now;
            return Action::Send(Message::CaughtUp { head: self.evaluated });
        }
        if lag > 0 {
            // Under a steady stream of appends the head is always ahead again: the edge is where it was when the
            // last step towards it began.
            self.edge = Some(head);
            // Not beyond the next checkpoint, so that it comes when it is due.
            let step = match CHECKPOINT_POSITIONS.saturating_sub(since) {
                0 => CHECKPOINT_POSITIONS,
                left => left,
            };
            return Action::Scan { after: self.evaluated, up_to: self.evaluated.plus(step.min(lag)) };
        }
        if !self.live {
            self.live = true;
            self.sign_at = now;
            return Action::Send(Message::CaughtUp { head });
        }
        let position = self.checkpoint.plus(CHECKPOINT_POSITIONS);
        Action::Wait { until: due.min(silence), due: Due { position, not_before } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { checkpoint_micros: 5, heartbeat_micros: 10 };

    /// Waits, with the last checkpoint sent at moment 0.
    const fn wait(until: i64, position: u64) -> Action {
        let due = Due { position: Position(position), not_before: Timestamp(LIVE_CHECKPOINT_MICROS) };
        Action::Wait { until: Timestamp(until), due }
    }

    fn drive(machine: &mut Machine, head: u64, now: i64) -> Vec<Action> {
        let mut actions = Vec::new();
        loop {
            let action = machine.next(Position(head), Timestamp(now));
            actions.push(action);
            match action {
                Action::Scan { up_to, .. } => machine.evaluated(up_to, false, Timestamp(now)),
                Action::Wait { .. } => return actions,
                Action::Open => machine.opened(),
                Action::Send(_) => {}
            }
        }
    }

    #[test]
    fn a_checkpoint_ends_what_comes_before_the_first_position() {
        let mut machine = Machine::new(Position(7), PACE, Timestamp(0)).with_opening();
        assert_eq!(machine.resume_after(), Position::ZERO);
        let head = Position(7);
        let expected = [
            Action::Send(Message::Started { head, after: head }),
            Action::Open,
            Action::Send(Message::Checkpoint { position: head, head }),
            Action::Send(Message::CaughtUp { head }),
            wait(5, 1_007),
        ];
        assert_eq!(drive(&mut machine, 7, 0), expected);
        assert_eq!(machine.resume_after(), head);
    }

    #[test]
    fn an_empty_log_is_caught_up_at_once() {
        let mut machine = Machine::new(Position(0), PACE, Timestamp(0));
        let head = Position(0);
        let expected = [
            Action::Send(Message::Started { head, after: Position(0) }),
            Action::Send(Message::CaughtUp { head }),
            wait(5, 1_000),
        ];
        assert_eq!(drive(&mut machine, 0, 0), expected);
    }

    #[test]
    fn an_idle_tail_has_checkpoints_and_heartbeats() {
        let mut machine = Machine::new(Position(0), PACE, Timestamp(0));
        drive(&mut machine, 0, 0);
        let mut sent = Vec::new();
        for now in 1..=20 {
            sent.extend(drive(&mut machine, 0, now).into_iter().filter(|a| matches!(a, Action::Send(_))));
        }
        let head = Position(0);
        let checkpoint = Action::Send(Message::Checkpoint { position: head, head });
        let heartbeat = |time| Action::Send(Message::Heartbeat { head, time: Timestamp(time) });
        assert_eq!(sent, [checkpoint, checkpoint, heartbeat(10), checkpoint, checkpoint, heartbeat(20)]);
    }

    #[test]
    fn every_position_is_scanned_once_in_order_with_a_checkpoint_each_thousand() {
        let mut machine = Machine::new(Position(7), PACE, Timestamp(0));
        let mut next = 7;
        let mut checkpoints = 0;
        for action in drive(&mut machine, 25_007, 0) {
            match action {
                Action::Scan { after, up_to } => {
                    assert_eq!(after.0, next);
                    assert!(up_to.0 > after.0);
                    next = up_to.0;
                }
                Action::Send(Message::Checkpoint { position, .. }) => {
                    assert_eq!(position.0, next);
                    checkpoints += 1;
                }
                Action::Send(_) | Action::Open | Action::Wait { .. } => {}
            }
        }
        assert_eq!((next, checkpoints), (25_007, 25));
    }

    #[test]
    fn at_the_live_edge_positions_alone_make_a_checkpoint_due_once_a_second() {
        let pace = Pace { checkpoint_micros: 5_000_000, heartbeat_micros: 60_000_000 };
        let mut machine = Machine::new(Position(0), pace, Timestamp(0));
        drive(&mut machine, 0, 0);
        let is_checkpoint = |action: &Action| matches!(action, Action::Send(Message::Checkpoint { .. }));
        let mut sent = Vec::new();
        // A thousand positions each 100 ms for ten seconds, then a rest.
        for step in 1..=150_i64 {
            let head = u64::try_from(step.min(100)).unwrap() * 1_000;
            let actions = drive(&mut machine, head, step * 100_000);
            sent.extend(actions.iter().filter(|action| is_checkpoint(action)).map(|_| step));
        }
        // The last one says of the last thousand.
        assert_eq!(sent, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110]);
    }

    #[test]
    fn a_steady_stream_of_appends_is_caught_up_with() {
        let mut machine = Machine::new(Position(0), PACE, Timestamp(0));
        let mut head = 5;
        let mut caught_up = 0;
        for _ in 0..50 {
            match machine.next(Position(head), Timestamp(0)) {
                Action::Scan { up_to, .. } => {
                    machine.evaluated(up_to, true, Timestamp(0));
                    head += 3;
                }
                Action::Send(Message::CaughtUp { head: reached }) => {
                    assert!(reached.0 < head);
                    caught_up += 1;
                }
                Action::Send(_) | Action::Open | Action::Wait { .. } => {}
            }
        }
        assert_eq!(caught_up, 1);
    }

    #[test]
    fn a_clock_that_steps_back_puts_off_no_sign_of_life() {
        let mut machine = Machine::new(Position(0), PACE, Timestamp(1_000));
        drive(&mut machine, 0, 1_000);
        drive(&mut machine, 0, 0);
        let sent = drive(&mut machine, 0, 10);
        assert!(matches!(sent.first(), Some(Action::Send(Message::Checkpoint { .. }))), "{sent:?}");
        assert!(matches!(sent.get(1), Some(Action::Send(Message::Heartbeat { .. }))), "{sent:?}");
    }

    #[test]
    fn a_live_reader_that_lags_falls_behind_and_catches_up_again() {
        let mut machine = Machine::new(Position(0), PACE, Timestamp(0));
        drive(&mut machine, 1, 0);
        let actions = drive(&mut machine, 20_000, 1);
        assert_eq!(actions.first(), Some(&Action::Send(Message::FellBehind { head: Position(20_000) })));
        let caught_up = Action::Send(Message::CaughtUp { head: Position(20_000) });
        assert_eq!(actions.iter().filter(|action| **action == caught_up).count(), 1);
    }
}
