//! The filter over postings: the slots of a part whose events match, without looking at any event.

use roaring::RoaringBitmap;

use super::{AmountRange, Asks, Filter, Needle, Text};
use crate::domain::{Position, TermField};
use crate::index::{Part, SEGMENT_LEN, View, place_of};

/// Clauses of more needles come last: to find out how rare they are would cost as much as to look them up.
const ESTIMATED_NEEDLES_MAX: usize = 32;
/// Clauses that are looked at for the span of what can match: a question may have a thousand.
const BOUNDED_CLAUSES_MAX: usize = 4;

impl Filter {
    /// Gives the slots of a part, below `slots`, whose events match.
    #[must_use]
    pub fn slots(&self, part: &dyn Part, slots: u32) -> RoaringBitmap {
        self.slots_if(part, slots, true)
    }

    /// Gives the slots whose events match if those of which it is not known whether they have the words asked for do,
    /// or do not: whoever asks beyond [`Filter::words_known_to`] must look at the events themselves.
    fn slots_if(&self, part: &dyn Part, slots: u32, unknown: bool) -> RoaringBitmap {
        let mut found = self.positive_slots(part, slots, unknown);
        if let Some(not) = &self.not
            && !found.is_empty()
        {
            found -= not.slots_if(part, slots, !unknown);
        }
        found
    }

    fn positive_slots(&self, part: &dyn Part, slots: u32, unknown: bool) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        found.insert_range(0..slots);
        let (short, mut long): (Vec<_>, Vec<_>) =
            self.clauses.iter().partition(|clause| clause.len() <= ESTIMATED_NEEDLES_MAX);
        // The rarest clause first: where it leaves nothing, the others are not looked up.
        let mut clauses: Vec<(u64, &Vec<Needle>)> =
            short.into_iter().map(|clause| (estimate(clause, part), clause)).collect();
        clauses.sort_by_key(|(estimate, _)| *estimate);
        long.sort_by_key(|clause| clause.len());
        for clause in clauses.into_iter().map(|(_, clause)| clause).chain(long) {
            if found.is_empty() {
                return found;
            }
            found &= any_of(clause, part);
        }
        if let Some(range) = &self.amount {
            found &= with_amount(range, part);
        }
        for text in &self.texts {
            retain_with_text(text, part, slots, unknown, &mut found);
        }
        if !self.timelines.is_empty() && !found.is_empty() {
            let mut any = RoaringBitmap::new();
            for asks in self.timelines.iter().filter_map(|saved| saved.asks.as_ref()) {
                any |= asks.slots(part, slots, unknown);
            }
            found &= any;
        }
        found
    }

    /// Gives bounds of the earliest starts of the events of a part that match: none comes before the first or after the
    /// second, and there may be none. Nothing if no event of the part matches. A few clauses are looked at: each narrows
    /// the bounds, and none widens them.
    #[must_use]
    pub fn valid_ends(&self, part: &dyn Part) -> Option<(i32, i32)> {
        let mut bounds = part.valid_ends()?;
        let short = self.clauses.iter().filter(|clause| clause.len() <= ESTIMATED_NEEDLES_MAX);
        for clause in short.take(BOUNDED_CLAUSES_MAX) {
            let mut any: Option<(i32, i32)> = None;
            for needle in clause {
                let ends = match needle {
                    Needle::Term(term) => part.valid_ends_of(term),
                    Needle::StreamPrefix(_) => Some(bounds),
                };
                let widened = any.zip(ends).map(|(any, ends)| (any.0.min(ends.0), any.1.max(ends.1)));
                any = widened.or(any).or(ends);
            }
            let (least, most) = any?;
            bounds = (bounds.0.max(least), bounds.1.min(most));
        }
        (bounds.0 <= bounds.1).then_some(bounds)
    }

    /// Gives the first position after one, and not above another, whose event matches.
    #[must_use]
    pub fn first_match(&self, view: &View, after: Position, up_to: Position) -> Option<Position> {
        view.parts().find_map(|part| {
            if part.base().0.saturating_add(u64::from(part.len())) <= after.0 || part.base() >= up_to {
                return None;
            }
            let mut found = self.slots(part, part.slots_up_to(up_to));
            found.remove_range(0..part.slots_up_to(after));
            found.min().and_then(|slot| u16::try_from(slot).ok()).map(|slot| part.position_at(slot))
        })
    }

    /// Gives matching positions in (`after`, `up_to`], rising, at most `count`. It looks at no more positions than a segment
    /// has, so fewer are given than there are. The second value is where the search ended: it goes on after there.
    #[must_use]
    pub fn matches_after(
        &self,
        view: &View,
        after: Position,
        up_to: Position,
        count: usize,
    ) -> (Vec<Position>, Position) {
        let end = segment_of(after.next()).plus(SEGMENT_LEN).min(up_to);
        let (mut positions, mut searched) = (Vec::new(), after);
        while searched < end {
            let Some((part, _)) = view.locate(searched.next()) else {
                return (positions, up_to);
            };
            let mut found = self.slots(part, part.slots_up_to(up_to));
            found.remove_range(0..part.slots_up_to(searched));
            let mut slots = slots_of(&found).map(|slot| part.position_at(slot));
            positions.extend(slots.by_ref().take(count.saturating_sub(positions.len())));
            if slots.next().is_some() {
                searched = positions.last().copied().unwrap_or(searched);
                break;
            }
            searched = part.base().plus(u64::from(part.slots_up_to(up_to)));
        }
        (positions, searched)
    }

    /// Gives matching positions in [`down_to`, `before`), falling, as [`Filter::matches_after`] does rising. The search
    /// goes on before the second value.
    #[must_use]
    pub fn matches_before(
        &self,
        view: &View,
        before: Position,
        down_to: Position,
        count: usize,
    ) -> (Vec<Position>, Position) {
        let last = |before: Position| Position(before.0.saturating_sub(1));
        let end = segment_of(last(before)).next().max(down_to);
        let (mut positions, mut searched) = (Vec::new(), before);
        while searched > end {
            let Some((part, _)) = view.locate(last(searched)) else {
                return (positions, down_to);
            };
            let mut found = self.slots(part, part.slots_up_to(last(searched)));
            found.remove_range(0..part.slots_up_to(last(down_to)));
            let falling = found.iter().rev().filter_map(|slot| u16::try_from(slot).ok());
            let mut falling = falling.map(|slot| part.position_at(slot));
            positions.extend(falling.by_ref().take(count.saturating_sub(positions.len())));
            if falling.next().is_some() {
                searched = positions.last().copied().unwrap_or(searched);
                break;
            }
            searched = part.base().next().max(down_to);
        }
        (positions, searched)
    }
}

/// Gives the position before the first of the segment that a position stands in, or will.
fn segment_of(position: Position) -> Position {
    place_of(position).map_or(Position::ZERO, |(segment, _)| Position(segment * SEGMENT_LEN))
}

impl Asks {
    fn slots(&self, part: &dyn Part, slots: u32, unknown: bool) -> RoaringBitmap {
        let mut found = self.filter.slots_if(part, slots, unknown);
        if let Some(window) = &self.window {
            let columns = part.columns();
            let without: Vec<u16> = slots_of(&found)
                .filter(|slot| {
                    let bounds = columns.bounds(*slot);
                    bounds.and_then(|bounds| window.matches(bounds, columns.is_qualified(*slot))).is_none()
                })
                .collect();
            for slot in without {
                found.remove(u32::from(slot));
            }
        }
        found
    }
}

/// Gives the slots of a bitmap over one part.
pub fn slots_of(found: &RoaringBitmap) -> impl Iterator<Item = u16> {
    found.iter().filter_map(|slot| u16::try_from(slot).ok())
}

fn estimate(clause: &[Needle], part: &dyn Part) -> u64 {
    clause
        .iter()
        .map(|needle| match needle {
            Needle::Term(term) => part.posting_len(term),
            Needle::StreamPrefix(_) => u64::from(part.len()),
        })
        .sum()
}

fn any_of(clause: &[Needle], part: &dyn Part) -> RoaringBitmap {
    let mut found = RoaringBitmap::new();
    for needle in clause {
        match needle {
            Needle::Term(term) => part.add_posting(term, &mut found),
            Needle::StreamPrefix(prefix) => {
                part.for_each_term(&TermField::Stream.term(prefix), &mut |_, posting| {
                    found |= posting;
                });
            }
        }
    }
    found
}

/// Of events behind those that were looked up it is not known whether they have the words.
fn retain_with_text(text: &Text, part: &dyn Part, slots: u32, unknown: bool, found: &mut RoaringBitmap) {
    let known = part.slots_up_to(text.known_to()).min(slots);
    let mut kept = RoaringBitmap::new();
    if unknown {
        kept.insert_range(known..slots);
    }
    if let Some(found) = &text.found {
        kept |= found.slots(part.base(), known);
    }
    *found &= kept;
}

fn with_amount(range: &AmountRange, part: &dyn Part) -> RoaringBitmap {
    let rows = part.amounts().iter();
    rows.filter(|row| range.contains(row.currency, row.units, row.nanos))
        .map(|row| u32::from(row.slot))
        .collect()
}
