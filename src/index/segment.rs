//! A sealed segment: packed, sorted, never changed.

use std::borrow::Cow;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::acts::Acts;
use super::amounts::{AmountRow, Amounts, PackedAmounts};
use super::columns::PackedColumns;
use super::dictionary::{Dictionary, Slots};
use super::layout::{LayoutError, Reader, Writer};
use super::packed::Packed;
use super::{Columns, Part, Run, SEGMENT_LEN, Tail};
use crate::domain::{ActFacts, EventId, KnowledgeLink, LifeLink, LinkType, Position, TermField};

/// Bytes of an event id and the slot of the event, little-endian.
const ID_BYTES: usize = 18;

/// A whole segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    base: Position,
    len: u32,
    columns: PackedColumns,
    dictionary: Dictionary,
    /// Event ids, sorted, with their slots.
    ids: Bytes,
    /// Slots by (earliest start, slot).
    order: Packed,
    links: Vec<(u16, KnowledgeLink)>,
    amounts: PackedAmounts,
    acts: Acts,
}

/// Gives the runs of a tail, each with the slot that its first event has in the segment.
fn numbered(tail: &Tail) -> impl Iterator<Item = (u16, &Run)> {
    tail.runs().iter().filter_map(|run| {
        let first = u16::try_from(run.base().0 - tail.base().0).ok()?;
        Some((first, run.as_ref()))
    })
}

impl Segment {
    /// Packs a tail of at most [`SEGMENT_LEN`] positions.
    #[must_use]
    pub fn of(tail: &Tail) -> Self {
        let packed = Self::packed(tail);
        let mut out = Writer::default();
        packed.write(&mut out);
        // In one piece, as it is read from the disk: many pieces take more memory than they hold.
        Self::read(&mut Reader::of(out.into_bytes())).unwrap_or(packed)
    }

    fn packed(tail: &Tail) -> Self {
        let rows: Vec<_> = numbered(tail).flat_map(|(_, run)| run.rows()).collect();
        let columns = PackedColumns::of(&rows);
        let mut postings: Vec<(&[u8], u16, &[u16])> = Vec::new();
        for (first, run) in numbered(tail) {
            postings.extend(run.postings().map(|(term, slots)| (term, first, slots)));
        }
        postings.sort_unstable_by_key(|(term, first, _)| (*term, *first));
        let start_of = |slot: u16| columns.earliest_start(slot).map_or(0, i64::from);
        let dictionary = Dictionary::of(&postings, start_of);
        let acts = numbered(tail)
            .flat_map(|(first, run)| run.acts().map(move |(slot, stream, act)| (first + slot, stream, act)));
        let acts: Vec<_> = acts.collect();
        let life_links = numbered(tail).flat_map(|(first, run)| {
            let links = run.own_life_links().iter();
            links.map(move |(slot, link)| (first + slot, link.borrowed()))
        });
        let life_links: Vec<_> = life_links.collect();
        let (mut ids, mut order, mut links, mut amounts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (first, run) in numbered(tail) {
            ids.extend(run.ids().map(|(id, slot)| (*id, first + slot)));
            order.extend(run.order().iter().map(|(start, slot)| (*start, first + slot)));
            links.extend(run.links().iter().map(|(slot, link)| (first + slot, *link)));
            let rows = run.amounts().iter();
            amounts.extend(rows.map(|row| AmountRow { slot: first + row.slot, ..row }));
        }
        ids.sort_unstable();
        order.sort_unstable();
        let ids = ids.iter().flat_map(|(id, slot)| id.as_bytes().iter().copied().chain(slot.to_le_bytes()));
        Self {
            base: tail.base(),
            len: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            acts: Acts::of(&acts, &life_links, &dictionary),
            columns,
            dictionary,
            ids: ids.collect::<Vec<u8>>().into(),
            order: Packed::of_numbers(order.iter().map(|(_, slot)| usize::from(*slot))),
            links,
            amounts: PackedAmounts::of(&amounts),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.bytes(&self.base.0.to_le_bytes());
        out.bytes(&self.len.to_le_bytes());
        self.columns.write(out);
        self.dictionary.write(out);
        out.counted(&self.ids);
        self.order.write(out);
        out.count(self.links.len());
        for (slot, link) in &self.links {
            out.bytes(&slot.to_le_bytes());
            out.bytes(&[link.link_type.number()]);
            out.bytes(&link.target.0.to_le_bytes());
        }
        self.amounts.write(out);
        self.acts.write(out);
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, LayoutError> {
        let base = Position(u64::from_le_bytes(from.array()?));
        let len = u32::from_le_bytes(from.array()?);
        if u64::from(len) > SEGMENT_LEN {
            return Err(LayoutError);
        }
        let slots = usize::try_from(len).map_err(|_| LayoutError)?;
        let columns = PackedColumns::read(from, slots)?;
        let dictionary = Dictionary::read(from)?;
        let (ids, order) = (from.counted()?, Packed::read(from)?);
        // Memory grows with what is read, not with what is claimed.
        let links = (0..from.count()?).map(|_| link(from)).collect::<Result<_, _>>()?;
        let amounts = PackedAmounts::read(from, slots)?;
        let acts = Acts::read(from, dictionary.len(), slots)?;
        // Events of which nothing is known have no id.
        let are_ids = ids.len().is_multiple_of(ID_BYTES) && ids.len() / ID_BYTES <= slots;
        if !are_ids || order.len() != slots || !order.all_below(slots) {
            return Err(LayoutError);
        }
        Ok(Self { base, len, columns, dictionary, ids, order, links, amounts, acts })
    }

    fn id_rows(&self) -> &[[u8; ID_BYTES]] {
        self.ids.as_chunks().0
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
    pub fn ids(&self) -> impl Iterator<Item = &[u8]> {
        self.id_rows().iter().map(id_of)
    }

    /// Visits the name of each stream that it has events of.
    pub fn for_each_stream(&self, visit: &mut dyn FnMut(&[u8])) {
        let prefix = [TermField::Stream.number()];
        self.dictionary.for_each(&prefix, |term, _| {
            if let Some(name) = term.strip_prefix(&prefix) {
                visit(name);
            }
        });
    }

    fn order_key(&self, slot: u16) -> (i32, u16) {
        (self.columns.earliest_start(slot).unwrap_or_default(), slot)
    }

    fn slot_in_order(&self, at: usize) -> Option<u16> {
        u16::try_from(self.order.get(at)?).ok()
    }
}

fn id_of(row: &[u8; ID_BYTES]) -> &[u8] {
    let [id @ .., _, _] = row;
    id
}

fn link(from: &mut Reader) -> Result<(u16, KnowledgeLink), LayoutError> {
    let slot = u16::from_le_bytes(from.array()?);
    let [number] = from.array()?;
    let link_type = LinkType::from_number(i32::from(number)).ok_or(LayoutError)?;
    Ok((slot, KnowledgeLink { link_type, target: Position(u64::from_le_bytes(from.array()?)) }))
}

impl Part for Segment {
    fn base(&self) -> Position {
        self.base
    }

    fn len(&self) -> u32 {
        self.len
    }

    fn columns(&self) -> Columns<'_> {
        Columns::Packed(&self.columns)
    }

    fn posting(&self, term: &[u8]) -> Option<RoaringBitmap> {
        let listed = self.dictionary.find(term)?;
        Some(self.dictionary.slots(&listed).bitmap())
    }

    fn add_posting(&self, term: &[u8], slots: &mut RoaringBitmap) {
        let Some(listed) = self.dictionary.find(term) else { return };
        match self.dictionary.slots(&listed) {
            // A bitmap of each sparse term would be made to be thrown away.
            Slots::Sparse(found) => slots.extend(found.map(u32::from)),
            found @ Slots::Dense(..) => *slots |= found.bitmap(),
        }
    }

    fn posting_len(&self, term: &[u8]) -> u64 {
        let listed = self.dictionary.find(term);
        listed.map_or(0, |listed| u64::try_from(listed.count).unwrap_or(u64::MAX))
    }

    fn last_slot(&self, term: &[u8]) -> Option<u16> {
        let listed = self.dictionary.find(term)?;
        self.dictionary.slots(&listed).last()
    }

    fn valid_ends_of(&self, term: &[u8]) -> Option<(i32, i32)> {
        let listed = self.dictionary.find(term)?;
        match self.dictionary.slots(&listed) {
            Slots::Dense(number, _) => self.dictionary.dense_ends(number),
            Slots::Sparse(slots) => self.columns().valid_ends(slots),
        }
    }

    fn for_each_term(&self, prefix: &[u8], visit: &mut dyn FnMut(&[u8], RoaringBitmap)) {
        self.dictionary.for_each(prefix, |term, listed| visit(term, self.dictionary.slots(&listed).bitmap()));
    }

    fn slot_of(&self, id: &EventId) -> Option<u16> {
        let rows = self.id_rows();
        let at = rows.binary_search_by_key(&id.as_bytes().as_slice(), |row| id_of(row)).ok()?;
        let [.., low, high] = *rows.get(at)?;
        Some(u16::from_le_bytes([low, high]))
    }

    fn valid_order(&self, from: Option<(i32, u16)>, ascending: bool) -> Box<dyn Iterator<Item = u16> + '_> {
        let key = |slot: i64| u16::try_from(slot).map(|slot| self.order_key(slot));
        let below =
            |bound: (i32, u16)| self.order.partition_point(|slot| key(slot).is_ok_and(|key| key < bound));
        let up_to =
            |bound: (i32, u16)| self.order.partition_point(|slot| key(slot).is_ok_and(|key| key <= bound));
        if ascending {
            let range = from.map_or(0, below)..self.order.len();
            Box::new(range.filter_map(|at| self.slot_in_order(at)))
        } else {
            let range = 0..from.map_or(self.order.len(), up_to);
            Box::new(range.rev().filter_map(|at| self.slot_in_order(at)))
        }
    }

    fn valid_ends(&self) -> Option<(i32, i32)> {
        let last = self.order.len().checked_sub(1)?;
        let start = |at: usize| self.columns.earliest_start(self.slot_in_order(at)?);
        start(0).zip(start(last))
    }

    fn amounts(&self) -> Amounts<'_> {
        Amounts::Packed(&self.amounts)
    }

    fn life_links(&self) -> Box<dyn Iterator<Item = (u16, LifeLink<&str>)> + '_> {
        Box::new(self.acts.links())
    }

    fn act_count(&self) -> usize {
        self.acts.len()
    }

    fn act_slot(&self, number: usize) -> Option<u16> {
        self.acts.slot(number)
    }

    fn act_at(&self, slot: u16) -> Option<usize> {
        self.acts.at(slot)
    }

    fn act(&self, number: usize) -> Option<ActFacts<'_>> {
        self.acts.get(number)
    }

    fn acts_of_agreement(&self, id: &str) -> Box<dyn Iterator<Item = usize> + '_> {
        Box::new(self.acts.of_agreement(id))
    }

    fn act_stream(&self, number: usize) -> Option<Cow<'_, str>> {
        let term = self.dictionary.term(self.acts.stream(number)?)?;
        let name = term.strip_prefix(&[TermField::Stream.number()])?;
        Some(Cow::Owned(String::from_utf8(name.to_vec()).ok()?))
    }
}
