//! A sealed segment: packed, sorted, never changed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::acts::Acts;
use super::names::{Names, length, range};
use super::part::AmountRow;
use super::{Columns, Part, Run, Tail};
use crate::domain::{ActFacts, EventId, KnowledgeLink, LifeLink, Position, TermField};

/// From this many slots on a posting is kept as a bitmap: a list of slots would be larger.
pub(super) const DENSE_LEN: u64 = 4_096;

/// The terms of a segment in one run of bytes, sorted, with the slots of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dictionary {
    /// The terms.
    pub(super) terms: Names,
    /// Slots of the sparse terms, one after another, each run rising.
    pub(super) slots: Vec<u16>,
    /// Where each term's slots end in `slots`; a dense term has none there.
    pub(super) slot_ends: Vec<u32>,
    /// The dense terms, by number of the term.
    pub(super) dense: HashMap<u32, Dense>,
}

/// A term of many events.
#[derive(Clone, Debug, Default)]
pub(super) struct Dense {
    pub(super) slots: RoaringBitmap,
    /// The least and the greatest earliest start, once they were asked for: to find them, all slots are visited.
    valid_ends: OnceLock<Option<(i32, i32)>>,
}

impl PartialEq for Dense {
    /// Whether something was asked for makes no difference.
    fn eq(&self, other: &Self) -> bool {
        self.slots == other.slots
    }
}

impl From<RoaringBitmap> for Dense {
    fn from(slots: RoaringBitmap) -> Self {
        Self { slots, valid_ends: OnceLock::new() }
    }
}

/// A whole segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    pub(super) base: Position,
    pub(super) columns: Columns,
    pub(super) dictionary: Dictionary,
    /// Event ids, sorted, with their slots.
    pub(super) ids: Vec<(EventId, u16)>,
    /// Slots by (earliest start, slot).
    pub(super) order: Vec<u16>,
    pub(super) links: Vec<(u16, KnowledgeLink)>,
    pub(super) amounts: Vec<AmountRow>,
    pub(super) acts: Acts,
}

impl Dictionary {
    fn of(tail: &Tail) -> Self {
        let mut terms: Vec<(&[u8], u16, &[u16])> = Vec::new();
        for (first, run) in numbered(tail) {
            terms.extend(run.postings().map(|(term, slots)| (term, first, slots)));
        }
        terms.sort_unstable_by_key(|(term, first, _)| (*term, *first));
        let mut dictionary = Self::default();
        for (number, same) in (0_u32..).zip(terms.chunk_by(|(one, ..), (other, ..)| one == other)) {
            let Some((term, ..)) = same.first() else { continue };
            dictionary.terms.push(term);
            let slots = same.iter().flat_map(|(_, first, slots)| slots.iter().map(move |slot| first + slot));
            let len: usize = same.iter().map(|(.., slots)| slots.len()).sum();
            if u64::from(length(len)) >= DENSE_LEN {
                dictionary.dense.insert(number, slots.map(u32::from).collect::<RoaringBitmap>().into());
            } else {
                dictionary.slots.extend(slots);
            }
            dictionary.slot_ends.push(length(dictionary.slots.len()));
        }
        dictionary.terms.shrink_to_fit();
        dictionary.slots.shrink_to_fit();
        dictionary.slot_ends.shrink_to_fit();
        dictionary
    }

    fn sparse(&self, number: usize) -> &[u16] {
        range(&self.slot_ends, number).and_then(|range| self.slots.get(range)).unwrap_or_default()
    }

    fn dense(&self, number: usize) -> Option<&Dense> {
        u32::try_from(number).ok().and_then(|number| self.dense.get(&number))
    }

    fn posting(&self, number: usize) -> Cow<'_, RoaringBitmap> {
        if let Some(dense) = self.dense(number) {
            return Cow::Borrowed(&dense.slots);
        }
        Cow::Owned(self.sparse(number).iter().map(|slot| u32::from(*slot)).collect())
    }
}

/// Gives the runs of a tail, each with the slot that its first event has in the segment.
fn numbered(tail: &Tail) -> impl Iterator<Item = (u16, &Run)> {
    tail.runs().iter().filter_map(|run| {
        let first = u16::try_from(run.base().0 - tail.base().0).ok()?;
        Some((first, run.as_ref()))
    })
}

impl Segment {
    /// Packs a tail of at most [`SEGMENT_LEN`](super::SEGMENT_LEN) positions.
    #[must_use]
    pub fn of(tail: &Tail) -> Self {
        let dictionary = Dictionary::of(tail);
        let acts = numbered(tail)
            .flat_map(|(first, run)| run.acts().map(move |(slot, stream, act)| (first + slot, stream, act)));
        let acts: Vec<_> = acts.collect();
        let links = numbered(tail).flat_map(|(first, run)| {
            let links = run.own_life_links().iter();
            links.map(move |(slot, link)| (first + slot, link.borrowed()))
        });
        let links: Vec<_> = links.collect();
        let mut segment = Self {
            base: tail.base(),
            columns: Columns::default(),
            acts: Acts::of(&acts, &links, &dictionary.terms),
            dictionary,
            ids: Vec::new(),
            order: Vec::new(),
            links: Vec::new(),
            amounts: Vec::new(),
        };
        let mut order: Vec<(i32, u16)> = Vec::new();
        for (first, run) in numbered(tail) {
            segment.columns.append(run.columns());
            segment.ids.extend(run.ids().map(|(id, slot)| (*id, first + slot)));
            order.extend(run.order().iter().map(|(start, slot)| (*start, first + slot)));
            segment.links.extend(run.links().iter().map(|(slot, link)| (first + slot, *link)));
            let amounts = run.amounts().iter();
            segment.amounts.extend(amounts.map(|row| AmountRow { slot: first + row.slot, ..*row }));
        }
        segment.amounts.shrink_to_fit();
        segment.ids.sort_unstable();
        order.sort_unstable();
        segment.order = order.into_iter().map(|(_, slot)| slot).collect();
        segment.columns = segment.columns.completed();
        segment
    }

    /// Gives the last position.
    #[must_use]
    pub fn last(&self) -> Position {
        self.base.plus(u64::from(self.len()))
    }

    /// Gives the knowledge links that its events carry, by rising slot.
    #[must_use]
    pub fn links(&self) -> &[(u16, KnowledgeLink)] {
        &self.links
    }

    /// Gives the ids of its events, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &EventId> {
        self.ids.iter().map(|(id, _)| id)
    }

    /// Visits the name of each stream that it has events of.
    pub fn for_each_stream(&self, visit: &mut dyn FnMut(&[u8])) {
        let prefix = [TermField::Stream.number()];
        for number in self.dictionary.terms.lower_bound(&prefix).. {
            let Some(name) = self.dictionary.terms.get(number).strip_prefix(&prefix) else { break };
            visit(name);
        }
    }

    fn order_key(&self, slot: u16) -> (i32, u16) {
        (self.columns.earliest_start.get(usize::from(slot)).copied().unwrap_or_default(), slot)
    }
}

impl Part for Segment {
    fn base(&self) -> Position {
        self.base
    }

    fn len(&self) -> u32 {
        length(self.columns.kind.len())
    }

    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn posting(&self, term: &[u8]) -> Option<Cow<'_, RoaringBitmap>> {
        self.dictionary.terms.find(term).map(|number| self.dictionary.posting(number))
    }

    fn add_posting(&self, term: &[u8], slots: &mut RoaringBitmap) {
        let Some(number) = self.dictionary.terms.find(term) else { return };
        match self.dictionary.dense(number) {
            Some(dense) => *slots |= &dense.slots,
            // A bitmap of each sparse term would be made to be thrown away.
            None => slots.extend(self.dictionary.sparse(number).iter().map(|slot| u32::from(*slot))),
        }
    }

    fn posting_len(&self, term: &[u8]) -> u64 {
        let Some(number) = self.dictionary.terms.find(term) else {
            return 0;
        };
        match self.dictionary.dense(number) {
            Some(dense) => dense.slots.len(),
            None => u64::from(length(self.dictionary.sparse(number).len())),
        }
    }

    fn last_slot(&self, term: &[u8]) -> Option<u16> {
        let number = self.dictionary.terms.find(term)?;
        match self.dictionary.dense(number) {
            Some(dense) => dense.slots.max().and_then(|slot| u16::try_from(slot).ok()),
            None => self.dictionary.sparse(number).last().copied(),
        }
    }

    fn valid_ends_of(&self, term: &[u8]) -> Option<(i32, i32)> {
        let number = self.dictionary.terms.find(term)?;
        match self.dictionary.dense(number) {
            Some(dense) => *dense.valid_ends.get_or_init(|| {
                self.columns.valid_ends(dense.slots.iter().filter_map(|slot| u16::try_from(slot).ok()))
            }),
            None => self.columns.valid_ends(self.dictionary.sparse(number).iter().copied()),
        }
    }

    fn for_each_term(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], Cow<'_, RoaringBitmap>)) {
        let mut number = self.dictionary.terms.lower_bound(prefix);
        while number < self.dictionary.terms.len() && self.dictionary.terms.get(number).starts_with(prefix) {
            visit(self.dictionary.terms.get(number), self.dictionary.posting(number));
            number += 1;
        }
    }

    fn slot_of(&self, id: &EventId) -> Option<u16> {
        let at = self.ids.binary_search_by_key(id, |(held, _)| *held).ok()?;
        self.ids.get(at).map(|(_, slot)| *slot)
    }

    fn valid_order(&self, from: Option<(i32, u16)>, ascending: bool) -> Box<dyn Iterator<Item = u16> + '_> {
        let below = |bound: (i32, u16)| self.order.partition_point(|slot| self.order_key(*slot) < bound);
        let up_to = |bound: (i32, u16)| self.order.partition_point(|slot| self.order_key(*slot) <= bound);
        if ascending {
            Box::new(self.order.iter().skip(from.map_or(0, below)).copied())
        } else {
            Box::new(self.order.iter().take(from.map_or(usize::MAX, up_to)).rev().copied())
        }
    }

    fn valid_ends(&self) -> Option<(i32, i32)> {
        Some((self.order_key(*self.order.first()?).0, self.order_key(*self.order.last()?).0))
    }

    fn amounts(&self) -> &[AmountRow] {
        &self.amounts
    }

    fn life_links(&self) -> Box<dyn Iterator<Item = (u16, LifeLink<&str>)> + '_> {
        Box::new(self.acts.links())
    }

    fn act_slots(&self) -> &[u16] {
        &self.acts.slots
    }

    fn act(&self, number: usize) -> Option<ActFacts<'_>> {
        self.acts.get(number)
    }

    fn acts_of_agreement(&self, id: &str) -> Box<dyn Iterator<Item = usize> + '_> {
        Box::new(self.acts.of_agreement(id))
    }

    fn act_stream(&self, number: usize) -> Option<&str> {
        let term = self.dictionary.terms.get(self.acts.stream(number)?);
        std::str::from_utf8(term.strip_prefix(&[TermField::Stream.number()])?).ok()
    }
}
