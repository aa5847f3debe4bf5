//! What was found, and how well it fits.
//!
//! The score is BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009) over
//! weighted fields, with k1 = 1.2 and b = 0: the length of a text does not count, since short titles and long quotes
//! are fields of the same event. The number of events, and of those with a word, are taken as of the position asked
//! for; so the same question with the same snapshot gives the same scores, whatever is recorded later.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use crate::domain::Position;

/// Slots in one part of the result: the values that one roaring container holds, as in the index.
const PART_LEN: u64 = 65_536;
const K1: f64 = 1.2;
/// Scores are kept as whole millionths, so that they order and compare exactly.
const SCORE_SCALE: f64 = 1e6;

/// The events that have all phrases.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Every event at or below was looked at.
    pub up_to: Position,
    parts: BTreeMap<u64, RoaringBitmap>,
    /// Scores by position, in millionths, if they were asked for.
    scores: HashMap<u64, i64>,
}

impl Found {
    /// Gives what was found in the `len` positions after `base`; the first has the slot 0. `base` is a multiple of 65,536, or
    /// all of them lie before the next one.
    #[must_use]
    pub fn slots(&self, base: Position, len: u32) -> RoaringBitmap {
        let Some(part) = self.parts.get(&(base.0 / PART_LEN)) else {
            return RoaringBitmap::new();
        };
        let first = u32::try_from(base.0 % PART_LEN).unwrap_or_default();
        if first > 0 {
            return part.range(first..first.saturating_add(len)).map(|slot| slot - first).collect();
        }
        let mut slots = part.clone();
        slots.remove_range(len..);
        slots
    }

    /// Gives the score of an event, in millionths.
    #[must_use]
    pub fn score(&self, position: Position) -> i64 {
        self.scores.get(&position.0).copied().unwrap_or_default()
    }

    /// Gives what was found, without scores.
    #[must_use]
    pub(super) fn unranked(&self) -> Self {
        Self { up_to: self.up_to, parts: self.parts.clone(), scores: HashMap::new() }
    }

    pub(super) fn insert(&mut self, position: Position) {
        let Some(offset) = position.0.checked_sub(1) else { return };
        let slot = u32::try_from(offset % PART_LEN).unwrap_or_default();
        self.parts.entry(offset / PART_LEN).or_default().insert(slot);
    }
}

/// The weights of every phrase in the events looked at, some by some.
#[derive(Debug)]
pub struct Tally {
    up_to: Position,
    ranked: bool,
    /// How many events have each phrase.
    holders: Vec<u64>,
    /// The weights of each phrase in the events that have all.
    matches: Vec<(u64, Vec<u32>)>,
}

impl Tally {
    /// Begins for a number of phrases.
    #[must_use]
    pub fn new(phrases: usize, up_to: Position, ranked: bool) -> Self {
        Self { up_to, ranked, holders: vec![0; phrases], matches: Vec::new() }
    }

    /// Takes the weights of the phrases in an event; events above the position asked for are left out.
    pub fn add(&mut self, position: u64, weights: impl Iterator<Item = u32> + Clone) {
        if position > self.up_to.0 {
            return;
        }
        let mut has_all = true;
        for (holders, weight) in self.holders.iter_mut().zip(weights.clone()) {
            *holders += u64::from(weight > 0);
            has_all &= weight > 0;
        }
        if has_all {
            let weights = if self.ranked { weights.collect() } else { Vec::new() };
            self.matches.push((position, weights));
        }
    }

    /// Gives what was found.
    #[must_use]
    pub fn finish(self) -> Found {
        let mut found = Found { up_to: self.up_to, ..Found::default() };
        let rarities: Vec<f64> = self.holders.iter().map(|holders| rarity(self.up_to.0, *holders)).collect();
        for (position, weights) in self.matches {
            found.insert(Position(position));
            if self.ranked {
                let parts = rarities.iter().zip(&weights).map(|(rarity, weight)| {
                    let weight = f64::from(*weight);
                    rarity * weight * (K1 + 1.0) / (weight + K1)
                });
                found.scores.insert(position, millionths(parts.sum()));
            }
        }
        found
    }
}

/// The inverse document frequency of BM25, which is never negative.
fn rarity(events: u64, holders: u64) -> f64 {
    let (events, holders) = (wide(events), wide(holders));
    (1.0 + (events - holders + 0.5) / (holders + 0.5)).ln()
}

#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
fn wide(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "a score is at most some hundreds; `as` saturates")]
fn millionths(score: f64) -> i64 {
    (score * SCORE_SCALE).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_given_for_whole_parts_and_for_pieces_of_them() {
        let mut found = Found::default();
        let positions = [1, 2_048, 2_049, 65_536, 65_537, 67_585, 70_000];
        positions.into_iter().for_each(|position| found.insert(Position(position)));
        for (base, len) in
            [(0, 65_536), (0, 2_048), (2_048, 2_048), (63_488, 2_048), (65_536, 65_536), (67_584, 2_416)]
        {
            let expected = positions.into_iter().filter(|at| (base + 1..=base + len).contains(at));
            let slots = found.slots(Position(base), u32::try_from(len).unwrap());
            assert!(expected.map(|at| at - base - 1).eq(slots.iter().map(u64::from)), "{base} {len}");
        }
    }
}
