//! What a sealed segment and a run have in common: everything that a query asks.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use super::{Amounts, Columns};
use crate::domain::{ActFacts, EventId, LifeLink, Position};

/// At most 65,536 consecutive positions and what is known of their events.
pub trait Part {
    /// Gives the position before the first.
    fn base(&self) -> Position;

    /// Gives the number of positions.
    fn len(&self) -> u32;

    /// Tells whether there is no position.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the columns.
    fn columns(&self) -> Columns<'_>;

    /// Gives the slots of the events with a term.
    fn posting(&self, term: &[u8]) -> Option<RoaringBitmap>;

    /// Adds the slots of the events with a term to others.
    fn add_posting(&self, term: &[u8], slots: &mut RoaringBitmap) {
        if let Some(posting) = self.posting(term) {
            *slots |= posting;
        }
    }

    /// Gives the number of events with a term.
    fn posting_len(&self, term: &[u8]) -> u64;

    /// Gives the last slot of the events with a term.
    fn last_slot(&self, term: &[u8]) -> Option<u16> {
        self.posting(term)?.max().and_then(|slot| u16::try_from(slot).ok())
    }

    /// Gives bounds of the earliest starts of the events with a term, as narrow as is found fast; nothing where there are
    /// none.
    fn valid_ends_of(&self, term: &[u8]) -> Option<(i32, i32)>;

    /// Visits each term that begins with `prefix`, in no certain order.
    fn for_each_term(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], RoaringBitmap));

    /// Gives the slot of an event.
    fn slot_of(&self, id: &EventId) -> Option<u16>;

    /// Gives slots by (earliest start, slot): ascending from the first not below `from`, or descending from
    /// the last not above it. `None` begins at the end.
    fn valid_order(&self, from: Option<(i32, u16)>, ascending: bool) -> Box<dyn Iterator<Item = u16> + '_>;

    /// Gives the least and the greatest earliest start; `None` for an empty part.
    fn valid_ends(&self) -> Option<(i32, i32)>;

    /// Gives amounts of funding transfers, by rising slot.
    fn amounts(&self) -> Amounts<'_>;

    /// Gives the links by which events prolong or end something, by rising slot.
    fn life_links(&self) -> Box<dyn Iterator<Item = (u16, LifeLink<&str>)> + '_>;

    /// Gives the number of acts of agreements.
    fn act_count(&self) -> usize;

    /// Gives the slot of an act by its number, from 0; slots rise.
    fn act_slot(&self, number: usize) -> Option<u16>;

    /// Gives the number of the act at a slot.
    fn act_at(&self, slot: u16) -> Option<usize>;

    /// Gives an act by its number.
    fn act(&self, number: usize) -> Option<ActFacts<'_>>;

    /// Gives the numbers, rising, of the acts of the agreement with an id.
    fn acts_of_agreement(&self, id: &str) -> Box<dyn Iterator<Item = usize> + '_>;

    /// Gives the stream of an act.
    fn act_stream(&self, number: usize) -> Option<Cow<'_, str>>;

    /// Gives the position at a slot.
    fn position_at(&self, slot: u16) -> Position {
        self.base().plus(u64::from(slot) + 1)
    }

    /// Gives the slots at or below a position.
    fn slots_up_to(&self, position: Position) -> u32 {
        let below = position.0.saturating_sub(self.base().0);
        u32::try_from(below).unwrap_or(u32::MAX).min(self.len())
    }
}
