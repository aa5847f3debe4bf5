//! The tail: the last positions, folded one by one before their append is acknowledged.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;

use ahash::HashMap;
use roaring::RoaringBitmap;

use super::part::AmountRow;
use super::posting::Posting;
use super::{Columns, Part, SEGMENT_LEN};
use crate::domain::{EventId, KnowledgeLink, Position, RecordForm, RecordedFacts};

/// A growing segment.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    base: Position,
    columns: Columns,
    postings: HashMap<Box<[u8]>, Posting>,
    ids: HashMap<EventId, u16>,
    order: BTreeSet<(i32, u16)>,
    links: Vec<(u16, KnowledgeLink)>,
    amounts: Vec<AmountRow>,
}

impl Tail {
    /// Begins after a position.
    #[must_use]
    pub fn after(base: Position) -> Self {
        Self { base, ..Self::default() }
    }

    /// Tells whether it holds a whole segment.
    #[must_use]
    pub fn is_full(&self) -> bool {
        u64::from(self.len()) == SEGMENT_LEN
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
            if let Some(posting) = self.postings.get_mut(term) {
                posting.push(slot);
            } else {
                self.postings.insert(Box::from(term), Posting::of(slot));
            }
        }
        if facts.form != RecordForm::Lost {
            self.ids.insert(facts.event.event_id, slot);
        }
        self.order.insert((facts.event.bounds.earliest_start, slot));
        self.links.extend(facts.links.iter().map(|link| (slot, *link)));
        self.amounts.extend(facts.event.transfer.map(|transfer| AmountRow::of(slot, &transfer)));
        self.columns.push(facts);
        true
    }

    /// Gives every term with its slots, in no order.
    pub(super) fn postings(&self) -> impl Iterator<Item = (&[u8], &Posting)> {
        self.postings.iter().map(|(term, posting)| (term.as_ref(), posting))
    }

    /// Gives every event id with its slot, in no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = (&EventId, u16)> {
        self.ids.iter().map(|(id, slot)| (id, *slot))
    }

    /// Gives the knowledge links that its events carry, by rising slot.
    #[must_use]
    pub fn links(&self) -> &[(u16, KnowledgeLink)] {
        &self.links
    }
}

impl Part for Tail {
    fn base(&self) -> Position {
        self.base
    }

    fn len(&self) -> u32 {
        u32::try_from(self.columns.kind.len()).unwrap_or(u32::MAX)
    }

    fn columns(&self) -> &Columns {
        &self.columns
    }

    fn posting(&self, term: &[u8]) -> Option<Cow<'_, RoaringBitmap>> {
        self.postings.get(term).map(Posting::bitmap)
    }

    fn posting_len(&self, term: &[u8]) -> u64 {
        self.postings.get(term).map_or(0, Posting::len)
    }

    fn last_slot(&self, term: &[u8]) -> Option<u16> {
        self.postings.get(term)?.last()
    }

    fn for_each_term(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], Cow<'_, RoaringBitmap>)) {
        for (term, posting) in self.postings() {
            if term.starts_with(prefix) {
                visit(term, posting.bitmap());
            }
        }
    }

    fn valid_ends_of(&self, term: &[u8]) -> Option<(i32, i32)> {
        // A tail grows: nothing found by a look at all slots would stay true.
        self.postings.contains_key(term).then(|| self.valid_ends()).flatten()
    }

    fn slot_of(&self, id: &EventId) -> Option<u16> {
        self.ids.get(id).copied()
    }

    fn valid_order(&self, from: Option<(i32, u16)>, ascending: bool) -> Box<dyn Iterator<Item = u16> + '_> {
        let bound = from.map_or(Bound::Unbounded, Bound::Included);
        if ascending {
            Box::new(self.order.range((bound, Bound::Unbounded)).map(|(_, slot)| *slot))
        } else {
            Box::new(self.order.range((Bound::Unbounded, bound)).rev().map(|(_, slot)| *slot))
        }
    }

    fn valid_ends(&self) -> Option<(i32, i32)> {
        Some((self.order.first()?.0, self.order.last()?.0))
    }

    fn amounts(&self) -> &[AmountRow] {
        &self.amounts
    }
}
