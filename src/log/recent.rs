//! The last rounds, in memory: who follows the live edge is told of them without reading them back.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::codec::present;
use crate::domain::{Position, RecordedFacts};
use crate::journal::{ChainHash, Record};

/// Most bytes of the rounds that are held, by [`Round::cost_bytes`]; the last round is held whatever its size.
pub const RECENT_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// Events that were committed together.
#[derive(Debug)]
pub struct Round {
    first: Position,
    facts: Vec<RecordedFacts>,
    records: Vec<Record>,
    /// At the last position.
    chain: ChainHash,
    /// As clients see them; made when the first one asks, for all that do.
    presented: OnceLock<Option<Vec<Bytes>>>,
}

impl Round {
    /// Takes what was committed: facts and records of the same events, at least one.
    #[must_use]
    pub fn new(facts: Vec<RecordedFacts>, records: Vec<Record>, chain: ChainHash) -> Self {
        let first = facts.first().map_or(Position::ZERO, |facts| facts.position);
        Self { first, facts, records, chain, presented: OnceLock::new() }
    }

    /// Gives what queries need of the events, in order.
    #[must_use]
    pub fn facts(&self) -> &[RecordedFacts] {
        &self.facts
    }

    /// Gives the last position.
    #[must_use]
    pub fn last(&self) -> Position {
        self.facts.last().map_or(self.first, |facts| facts.position)
    }

    /// Gives the event at a position as an encoded `annals.v1.Event`; nothing if it stands elsewhere, or cannot be
    /// written so.
    #[must_use]
    pub fn presented(&self, position: Position) -> Option<Bytes> {
        let at = usize::try_from(position.0.checked_sub(self.first.0)?).ok()?;
        let presented = self.presented.get_or_init(|| present::batch(&self.records).ok());
        presented.as_ref()?.get(at).cloned()
    }

    /// Gives the bytes that the round takes, roughly: facts hold about as much text again as the content has, and so does
    /// what clients see.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        self.records.iter().map(|record| 768 + 3 * record.content.len()).sum()
    }
}

/// The last rounds of a log.
#[derive(Debug, Default)]
pub struct Recent {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    rounds: VecDeque<Arc<Round>>,
    bytes: usize,
}

impl Recent {
    /// Adds the round that follows, and lets the oldest go.
    pub fn push(&self, round: Round) {
        let mut gone = Vec::new();
        let mut held = self.held.write();
        held.bytes += round.cost_bytes();
        held.rounds.push_back(Arc::new(round));
        while held.bytes > RECENT_BYTES_MAX && held.rounds.len() > 1 {
            let Some(oldest) = held.rounds.pop_front() else { break };
            held.bytes = held.bytes.saturating_sub(oldest.cost_bytes());
            gone.push(oldest);
        }
        drop(held);
        // Freed with the lock released.
        drop(gone);
    }

    /// Forgets everything: what was erased must not be told any more.
    pub fn clear(&self) {
        let mut held = self.held.write();
        let forgotten = std::mem::take(&mut *held);
        drop(held);
        drop(forgotten);
    }

    /// Gives the rounds with every position in (`after`, `up_to`]; nothing if some of it is not held.
    #[must_use]
    pub fn between(&self, after: Position, up_to: Position) -> Option<Vec<Arc<Round>>> {
        if after >= up_to {
            return Some(Vec::new());
        }
        let held = self.held.read();
        let begin = held.rounds.partition_point(|round| round.last() <= after);
        let rounds: Vec<_> =
            held.rounds.range(begin..).take_while(|round| round.first <= up_to).map(Arc::clone).collect();
        let whole = rounds.first()?.first <= after.next() && rounds.last()?.last() >= up_to;
        whole.then_some(rounds)
    }

    /// Gives the events at some positions, rising, as clients see them; nothing unless all are held.
    #[must_use]
    pub fn presented(&self, positions: &[Position]) -> Option<Vec<Bytes>> {
        let rounds = self.between(Position(positions.first()?.0.checked_sub(1)?), *positions.last()?)?;
        let mut rounds = rounds.iter();
        let mut round = rounds.next()?;
        let mut presented = Vec::with_capacity(positions.len());
        for position in positions {
            while round.last() < *position {
                round = rounds.next()?;
            }
            presented.push(round.presented(*position)?);
        }
        Some(presented)
    }

    /// Gives the chain hash at a position, if a round ends there.
    #[must_use]
    pub fn chain_at(&self, position: Position) -> Option<ChainHash> {
        let held = self.held.read();
        let at = held.rounds.partition_point(|round| round.last() < position);
        held.rounds.get(at).filter(|round| round.last() == position).map(|round| round.chain)
    }
}
