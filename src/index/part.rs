//! What a sealed segment and a run have in common: everything that a query asks.

use std::borrow::Cow;

use roaring::RoaringBitmap;

use super::Columns;
use crate::domain::{ActFacts, EventId, LifeLink, Position, TransferFacts};

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
    fn columns(&self) -> &Columns;

    /// Gives the slots of the events with a term.
    fn posting(&self, term: &[u8]) -> Option<Cow<'_, RoaringBitmap>>;

    /// Adds the slots of the events with a term to others.
    fn add_posting(&self, term: &[u8], slots: &mut RoaringBitmap) {
        if let Some(posting) = self.posting(term) {
            *slots |= posting.as_ref();
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
    fn for_each_term(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], Cow<'_, RoaringBitmap>));

    /// Gives the slot of an event.
    fn slot_of(&self, id: &EventId) -> Option<u16>;

    /// Gives slots by (earliest start, slot): ascending from the first not below `from`, or descending from
    /// the last not above it. `None` begins at the end.
    fn valid_order(&self, from: Option<(i32, u16)>, ascending: bool) -> Box<dyn Iterator<Item = u16> + '_>;

    /// Gives the least and the greatest earliest start; `None` for an empty part.
    fn valid_ends(&self) -> Option<(i32, i32)>;

    /// Gives amounts of funding transfers, by rising slot.
    fn amounts(&self) -> &[AmountRow];

    /// Gives the links by which events prolong or end something, by rising slot.
    fn life_links(&self) -> Box<dyn Iterator<Item = (u16, LifeLink<&str>)> + '_>;

    /// Gives the slots, rising, of the acts of agreements: their places are the numbers of the acts.
    fn act_slots(&self) -> &[u16];

    /// Gives an act by its number.
    fn act(&self, number: usize) -> Option<ActFacts<'_>>;

    /// Gives the numbers, rising, of the acts of the agreement with an id.
    fn acts_of_agreement(&self, id: &str) -> Box<dyn Iterator<Item = usize> + '_>;

    /// Gives the stream of an act.
    fn act_stream(&self, number: usize) -> Option<&str>;

    /// Gives the number of the act at a slot.
    fn act_at(&self, slot: u16) -> Option<usize> {
        self.act_slots().binary_search(&slot).ok()
    }

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

/// The amount of a funding transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmountRow {
    /// Slot of the event.
    pub slot: u16,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// Whole units.
    pub units: i64,
    /// Billionths of a unit, of the same sign.
    pub nanos: i32,
    /// Number of the stage.
    pub stage: u8,
    /// Number of the qualifier; 0 = not stated.
    pub qualifier: u8,
    /// [`AmountRow::REVERSAL`] and [`AmountRow::IN_KIND`].
    pub flags: u8,
    /// Digest of stream and reference: see [`TransferFacts::likeness`].
    pub likeness: [u8; 32],
}

impl AmountRow {
    /// It takes back an earlier transfer.
    pub const REVERSAL: u8 = 1;
    /// Goods or services were given.
    pub const IN_KIND: u8 = 2;

    /// Takes the transfer at a slot.
    #[must_use]
    pub fn of(slot: u16, transfer: &TransferFacts) -> Self {
        let reversal = if transfer.reversal { Self::REVERSAL } else { 0 };
        let in_kind = if transfer.in_kind { Self::IN_KIND } else { 0 };
        Self {
            slot,
            currency: transfer.amount.currency().code_bytes(),
            units: transfer.amount.units(),
            nanos: transfer.amount.nanos(),
            stage: transfer.stage.number(),
            qualifier: transfer.qualifier.map_or(0, crate::domain::AmountQualifier::number),
            flags: reversal | in_kind,
            likeness: transfer.likeness,
        }
    }

    /// Gives the amount in billionths of a unit.
    #[must_use]
    pub fn billionths(&self) -> i128 {
        i128::from(self.units) * 1_000_000_000 + i128::from(self.nanos)
    }
}
