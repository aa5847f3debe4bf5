//! A run: a few consecutive positions, folded one by one before their append is acknowledged.

use std::borrow::Cow;
use std::sync::Arc;

use ahash::HashMap;
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use super::columns::{GrowingColumns, Row};
use super::{AmountRow, Amounts, Columns, Part};
use crate::domain::{
    ActFacts, EventId, KnowledgeLink, LifeLink, Position, RecordForm, RecordedFacts, StreamName,
};

/// A growing part.
///
/// A query may still look at a run when an event comes. Then the writer goes on with a copy, so what a copy costs matters:
/// terms are shared, and of most the slots stand in the table itself.
#[derive(Clone, Debug, Default)]
pub struct Run {
    base: Position,
    columns: GrowingColumns,
    /// The slots of each term, rising.
    postings: HashMap<Arc<[u8]>, SmallVec<[u16; 8]>>,
    ids: HashMap<EventId, u16>,
    /// (Earliest start, slot), sorted.
    order: Vec<(i32, u16)>,
    links: Vec<(u16, KnowledgeLink)>,
    amounts: Vec<AmountRow>,
    act_slots: Vec<u16>,
    acts: Vec<(StreamName, Arc<ActFacts<'static>>)>,
    life_links: Vec<(u16, LifeLink<StreamName>)>,
}

impl Run {
    /// Begins after a position.
    #[must_use]
    pub fn after(base: Position) -> Self {
        Self { base, ..Self::default() }
    }

    /// Gives the last position.
    #[must_use]
    pub fn last(&self) -> Position {
        self.base.plus(u64::from(self.len()))
    }

    /// Adds the event at the next position; others are left alone. Gives whether it was the next.
    pub fn fold(&mut self, facts: &RecordedFacts) -> bool {
        let Ok(slot) = u16::try_from(self.len()) else {
            return false;
        };
        if facts.position != self.last().next() {
            return false;
        }
        for term in facts.event.terms.iter() {
            if let Some(slots) = self.postings.get_mut(term) {
                slots.push(slot);
            } else {
                self.postings.insert(Arc::from(term), SmallVec::from_slice(&[slot]));
            }
        }
        if facts.form != RecordForm::Lost {
            self.ids.insert(facts.event.event_id, slot);
        }
        let place = (facts.event.bounds.earliest_start, slot);
        self.order.insert(self.order.partition_point(|held| *held < place), place);
        self.links.extend(facts.links.iter().map(|link| (slot, *link)));
        self.amounts.extend(facts.event.transfer.map(|transfer| AmountRow::of(slot, &transfer)));
        if let Some(act) = &facts.event.act {
            self.act_slots.push(slot);
            self.acts.push((facts.event.stream.clone(), Arc::clone(act)));
        }
        self.life_links.extend(facts.event.life_links.iter().map(|link| (slot, link.clone())));
        self.columns.push(facts);
        true
    }

    pub(super) fn rows(&self) -> &[Row] {
        self.columns.rows()
    }

    /// Gives every term with its slots, in no order.
    pub(super) fn postings(&self) -> impl Iterator<Item = (&[u8], &[u16])> {
        self.postings.iter().map(|(term, slots)| (term.as_ref(), slots.as_slice()))
    }

    /// Gives every event id with its slot, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = (&EventId, u16)> {
        self.ids.iter().map(|(id, slot)| (id, *slot))
    }

    /// Gives (earliest start, slot), sorted.
    pub(super) fn order(&self) -> &[(i32, u16)] {
        &self.order
    }

    /// Gives the knowledge links that its events carry, by rising slot.
    #[must_use]
    pub fn links(&self) -> &[(u16, KnowledgeLink)] {
        &self.links
    }

    /// Gives the acts of agreements with slot and stream, by rising slot.
    pub(super) fn acts(&self) -> impl Iterator<Item = (u16, &StreamName, &ActFacts<'static>)> {
        let acts = self.act_slots.iter().zip(&self.acts);
        acts.map(|(slot, (stream, act))| (*slot, stream, act.as_ref()))
    }

    /// Gives the links that prolong or end something, by rising slot.
    pub(super) fn own_life_links(&self) -> &[(u16, LifeLink<StreamName>)] {
        &self.life_links
    }

    fn slots(&self, term: &[u8]) -> Option<&[u16]> {
        self.postings.get(term).map(SmallVec::as_slice)
    }
}

impl Part for Run {
    fn base(&self) -> Position {
        self.base
    }

    fn len(&self) -> u32 {
        u32::try_from(self.columns.len()).unwrap_or(u32::MAX)
    }

    fn columns(&self) -> Columns<'_> {
        Columns::Growing(&self.columns)
    }

    fn posting(&self, term: &[u8]) -> Option<RoaringBitmap> {
        self.slots(term).map(bitmap_of)
    }

    fn add_posting(&self, term: &[u8], slots: &mut RoaringBitmap) {
        slots.extend(self.slots(term).unwrap_or_default().iter().copied().map(u32::from));
    }

    fn posting_len(&self, term: &[u8]) -> u64 {
        u64::try_from(self.slots(term).unwrap_or_default().len()).unwrap_or(u64::MAX)
    }

    fn last_slot(&self, term: &[u8]) -> Option<u16> {
        self.slots(term)?.last().copied()
    }

    fn for_each_term(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], RoaringBitmap)) {
        for (term, slots) in self.postings() {
            if term.starts_with(prefix) {
                visit(term, bitmap_of(slots));
            }
        }
    }

    fn valid_ends_of(&self, term: &[u8]) -> Option<(i32, i32)> {
        // A run is opened as fast as all its slots are looked at.
        self.postings.contains_key(term).then(|| self.valid_ends()).flatten()
    }

    fn slot_of(&self, id: &EventId) -> Option<u16> {
        self.ids.get(id).copied()
    }

    fn valid_order(&self, from: Option<(i32, u16)>, ascending: bool) -> Box<dyn Iterator<Item = u16> + '_> {
        let below = |bound: (i32, u16)| self.order.partition_point(|place| *place < bound);
        let up_to = |bound: (i32, u16)| self.order.partition_point(|place| *place <= bound);
        if ascending {
            Box::new(self.order.iter().skip(from.map_or(0, below)).map(|(_, slot)| *slot))
        } else {
            Box::new(self.order.iter().take(from.map_or(usize::MAX, up_to)).rev().map(|(_, slot)| *slot))
        }
    }

    fn valid_ends(&self) -> Option<(i32, i32)> {
        Some((self.order.first()?.0, self.order.last()?.0))
    }

    fn amounts(&self) -> Amounts<'_> {
        Amounts::Growing(&self.amounts)
    }

    fn life_links(&self) -> Box<dyn Iterator<Item = (u16, LifeLink<&str>)> + '_> {
        Box::new(self.life_links.iter().map(|(slot, link)| (*slot, link.borrowed())))
    }

    fn act_count(&self) -> usize {
        self.acts.len()
    }

    fn act_slot(&self, number: usize) -> Option<u16> {
        self.act_slots.get(number).copied()
    }

    fn act_at(&self, slot: u16) -> Option<usize> {
        self.act_slots.binary_search(&slot).ok()
    }

    fn act(&self, number: usize) -> Option<ActFacts<'_>> {
        self.acts.get(number).map(|(_, act)| act.borrowed())
    }

    fn acts_of_agreement(&self, id: &str) -> Box<dyn Iterator<Item = usize> + '_> {
        let id = id.to_owned();
        let acts = self.acts.iter().enumerate();
        Box::new(acts.filter(move |(_, (_, act))| act.agreement_id == id).map(|(number, _)| number))
    }

    fn act_stream(&self, number: usize) -> Option<Cow<'_, str>> {
        self.acts.get(number).map(|(stream, _)| Cow::Borrowed(stream.as_str()))
    }
}

fn bitmap_of(slots: &[u16]) -> RoaringBitmap {
    slots.iter().copied().map(u32::from).collect()
}
