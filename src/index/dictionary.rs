//! The terms of a sealed segment, sorted, with the slots of each.
//!
//! ```text
//! term = shared(varint) len(varint) count(varint) slots-len(varint) rest(len)
//! ```
//! A term begins with `shared` bytes of the one before it (front coding); the first of each block of 16 has all of its own,
//! so that one can begin at each. Its slots are `slots-len` bytes of a run beside the terms: varints, each
//! the number of slots between one and the one before. A term of many events has a bitmap instead.

use std::cmp::Ordering;

use bytes::Bytes;
use roaring::RoaringBitmap;

use super::layout::{LayoutError, Reader, Writer};
use super::packed::{Packed, partition_point};

#[cfg(test)]
mod tests;

/// Terms in a block: more take less memory, and longer to find one in.
const BLOCK_LEN: usize = 16;
/// From this many slots on a posting is kept as a bitmap: it is not much larger, and read at once.
const DENSE_LEN: usize = 4_096;
/// Bits of the hash that tell most terms apart which come to the same place of the table.
const TAG_BITS: u32 = 8;
/// A bit for each of 65,536 slots.
const BITMAP_BYTES: usize = 8_192;

/// Sorted terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dictionary {
    len: usize,
    terms: Bytes,
    slots: Bytes,
    /// Where each block begins in `terms`.
    block_terms: Packed,
    /// Where the slots of each block begin in `slots`.
    block_slots: Packed,
    /// Numbers of the terms with a bitmap, rising.
    dense: Packed,
    /// Of each of them, the least and the greatest earliest start: to find them, all slots are visited.
    dense_ends: [Packed; 2],
    bitmaps: Bytes,
    /// A hash table with open addressing: at the place of a term or behind, its number and one, above [`TAG_BITS`] bits of
    /// its hash; 0 = none. Most segments do not hold a term that is asked for, and mostly one look here says so.
    table: Packed,
}

/// A term as it is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'a> {
    /// From 0.
    pub(super) number: usize,
    /// Number of its slots.
    pub(super) count: usize,
    /// How many bytes of the term before it begins with.
    shared: usize,
    /// What follows these.
    rest: &'a [u8],
    slots: &'a [u8],
}

impl Listed<'_> {
    /// Makes the term of the one before it.
    fn follow(&self, term: &mut Vec<u8>) {
        term.truncate(self.shared);
        term.extend_from_slice(self.rest);
    }
}

/// The slots of a term.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slots<'a> {
    Sparse(Gaps<'a>),
    /// The bitmap with a number.
    Dense(usize, &'a [u8]),
}

/// Reads slots from the gaps between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gaps<'a> {
    next: usize,
    gaps: &'a [u8],
}

impl Iterator for Gaps<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let slot = self.next.checked_add(varint(&mut self.gaps)?)?;
        self.next = slot + 1;
        u16::try_from(slot).ok()
    }
}

/// Terms from the first of a block on.
struct Walk<'a> {
    number: usize,
    terms: &'a [u8],
    slots: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    type Item = Listed<'a>;

    fn next(&mut self) -> Option<Listed<'a>> {
        let (shared, len) = (varint(&mut self.terms)?, varint(&mut self.terms)?);
        let (count, slots_len) = (varint(&mut self.terms)?, varint(&mut self.terms)?);
        let (rest, terms) = self.terms.split_at_checked(len)?;
        let (slots, others) = self.slots.split_at_checked(slots_len)?;
        let listed = Listed { number: self.number, count, shared, rest, slots };
        *self = Self { number: self.number + 1, terms, slots: others };
        Some(listed)
    }
}

/// Writes an integer as LEB128.
fn put_varint(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

fn varint(from: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (first, rest) = from.split_first()?;
        *from = rest;
        value |= usize::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Gives the place of a term in a table of a power of two of places, and its tag. The hash is a part of the format.
fn place_of(term: &[u8], places: usize) -> (usize, i64) {
    // 2^64 by the golden ratio: carries every bit of the checksum into the high ones.
    let hash = u64::from(crc32c::crc32c(term)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [tag, place @ ..] = hash.to_be_bytes();
    let [first, second, third, fourth, ..] = place;
    let place = usize::try_from(u32::from_be_bytes([first, second, third, fourth])).unwrap_or_default();
    (place & places.wrapping_sub(1), i64::from(tag))
}

fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Makes a dictionary of terms that come in order.
struct Builder<S> {
    start_of: S,
    before: Vec<u8>,
    len: usize,
    terms: Vec<u8>,
    slots: Vec<u8>,
    block_terms: Vec<usize>,
    block_slots: Vec<usize>,
    dense: Vec<usize>,
    dense_ends: [Vec<i64>; 2],
    bitmaps: Vec<u8>,
    table: Vec<i64>,
}

impl<S: Fn(u16) -> i64> Builder<S> {
    fn push(&mut self, term: &[u8], slots: &[u16]) {
        if self.len.is_multiple_of(BLOCK_LEN) {
            self.block_terms.push(self.terms.len());
            self.block_slots.push(self.slots.len());
            self.before.clear();
        }
        let slots_from = self.slots.len();
        if slots.len() >= DENSE_LEN {
            self.push_dense(slots);
        } else {
            let mut next = 0;
            for slot in slots.iter().copied().map(usize::from) {
                put_varint(slot - next, &mut self.slots);
                next = slot + 1;
            }
        }
        let shared = common_len(&self.before, term);
        let rest = term.get(shared..).unwrap_or_default();
        for number in [shared, rest.len(), slots.len(), self.slots.len() - slots_from] {
            put_varint(number, &mut self.terms);
        }
        self.terms.extend_from_slice(rest);
        self.before.truncate(shared);
        self.before.extend_from_slice(rest);
        self.len += 1;
        self.enter(term);
    }

    /// Enters the last term in the table, which has room for it.
    fn enter(&mut self, term: &[u8]) {
        let (place, tag) = place_of(term, self.table.len());
        let (before, from) = self.table.split_at_mut(place);
        let free = from.iter_mut().chain(before).find(|held| **held == 0);
        if let Some((free, number)) = free.zip(i64::try_from(self.len).ok()) {
            *free = number << TAG_BITS | tag;
        }
    }

    fn push_dense(&mut self, slots: &[u16]) {
        let mut bits = [0_u8; BITMAP_BYTES];
        for slot in slots {
            if let Some(byte) = bits.get_mut(usize::from(slot / 8)) {
                *byte |= 1 << (slot % 8);
            }
        }
        self.bitmaps.extend_from_slice(&bits);
        self.dense.push(self.len);
        let starts = || slots.iter().map(|slot| (self.start_of)(*slot));
        let ends = [starts().min(), starts().max()];
        for (all, end) in self.dense_ends.iter_mut().zip(ends) {
            all.extend(end);
        }
    }

    fn finish(self) -> Dictionary {
        Dictionary {
            len: self.len,
            terms: self.terms.into(),
            slots: self.slots.into(),
            block_terms: Packed::of_numbers(self.block_terms.into_iter()),
            block_slots: Packed::of_numbers(self.block_slots.into_iter()),
            dense: Packed::of_numbers(self.dense.into_iter()),
            dense_ends: self.dense_ends.map(|ends| Packed::of(&ends)),
            bitmaps: self.bitmaps.into(),
            table: Packed::of(&self.table),
        }
    }
}

impl Dictionary {
    /// Packs postings that are in order of terms; those of one term follow each other, and their slots rise. `start_of`
    /// gives the earliest start at a slot.
    pub(super) fn of(postings: &[(&[u8], u16, &[u16])], start_of: impl Fn(u16) -> i64) -> Self {
        let terms = postings.chunk_by(|(one, ..), (other, ..)| one == other).count();
        // A quarter of the places or more stay free.
        let places = if terms == 0 { 0 } else { (terms + terms.div_ceil(3)).next_power_of_two() };
        let mut builder = Builder {
            start_of,
            before: Vec::new(),
            len: 0,
            terms: Vec::new(),
            slots: Vec::new(),
            block_terms: Vec::new(),
            block_slots: Vec::new(),
            dense: Vec::new(),
            dense_ends: [Vec::new(), Vec::new()],
            bitmaps: Vec::new(),
            table: vec![0; places],
        };
        let mut slots: Vec<u16> = Vec::new();
        for same in postings.chunk_by(|(one, ..), (other, ..)| one == other) {
            let Some((term, ..)) = same.first() else { continue };
            slots.clear();
            slots
                .extend(same.iter().flat_map(|(_, first, slots)| slots.iter().map(move |slot| first + slot)));
            builder.push(term, &slots);
        }
        builder.finish()
    }

    /// Gives the number of terms.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn walk(&self, block: usize) -> Walk<'_> {
        let (terms, slots) = (self.block_terms.number(block), self.block_slots.number(block));
        Walk {
            number: block * BLOCK_LEN,
            terms: terms.and_then(|from| self.terms.get(from..)).unwrap_or_default(),
            slots: slots.and_then(|from| self.slots.get(from..)).unwrap_or_default(),
        }
    }

    /// Gives the last block whose first term is not greater; the first, if there is none.
    fn block_of(&self, term: &[u8]) -> usize {
        let is_not_greater = |block| self.walk(block).next().is_some_and(|first| first.rest <= term);
        partition_point(self.block_terms.len(), is_not_greater).saturating_sub(1)
    }

    pub(super) fn find(&self, term: &[u8]) -> Option<Listed<'_>> {
        let places = self.table.len();
        let (place, tag) = place_of(term, places);
        for place in (place..places).chain(0..place) {
            let held = self.table.get(place).filter(|held| *held != 0)?;
            if held & ((1 << TAG_BITS) - 1) != tag {
                continue;
            }
            let number = usize::try_from(held >> TAG_BITS).ok()?.checked_sub(1)?;
            if let Some(found) = self.find_in(number / BLOCK_LEN, term) {
                return Some(found);
            }
        }
        None
    }

    fn find_in(&self, block: usize, term: &[u8]) -> Option<Listed<'_>> {
        // How many bytes the term has in common with the one before, which is less.
        let mut common = 0;
        for listed in self.walk(block).take(BLOCK_LEN) {
            match listed.shared.cmp(&common) {
                // It goes on as the one before, where that is less.
                Ordering::Greater => {}
                // It is greater than the one before, where that was as the term.
                Ordering::Less => return None,
                Ordering::Equal => {
                    let wanted = term.get(common..)?;
                    if listed.rest == wanted {
                        return Some(listed);
                    }
                    if listed.rest > wanted {
                        return None;
                    }
                    common += common_len(listed.rest, wanted);
                }
            }
        }
        None
    }

    /// Gives a term by its number.
    pub(super) fn term(&self, number: usize) -> Option<Vec<u8>> {
        let (mut term, mut found) = (Vec::new(), None);
        for listed in self.walk(number / BLOCK_LEN).take(number % BLOCK_LEN + 1) {
            listed.follow(&mut term);
            found = Some(listed.number);
        }
        (found == Some(number)).then_some(term)
    }

    /// Visits the terms that begin with `prefix`, in order.
    pub(super) fn for_each<'a>(&'a self, prefix: &[u8], mut visit: impl FnMut(&[u8], Listed<'a>)) {
        let mut term = Vec::new();
        for listed in self.walk(self.block_of(prefix)) {
            listed.follow(&mut term);
            if term.starts_with(prefix) {
                visit(&term, listed);
            } else if term.as_slice() > prefix {
                break;
            }
        }
    }

    /// Gives the slots of a term.
    pub(super) fn slots<'a>(&'a self, listed: &Listed<'a>) -> Slots<'a> {
        let dense = if listed.count < DENSE_LEN { None } else { self.dense_number(listed.number) };
        let bitmap =
            dense.and_then(|dense| Some((dense, self.bitmaps.as_chunks::<BITMAP_BYTES>().0.get(dense)?)));
        match bitmap {
            Some((dense, bitmap)) => Slots::Dense(dense, bitmap),
            None => Slots::Sparse(Gaps { next: 0, gaps: listed.slots }),
        }
    }

    fn dense_number(&self, number: usize) -> Option<usize> {
        self.dense.find(i64::try_from(number).ok()?)
    }

    /// Gives the least and the greatest earliest start of the term with a bitmap.
    pub(super) fn dense_ends(&self, dense: usize) -> Option<(i32, i32)> {
        let [least, most] = &self.dense_ends;
        let end = |ends: &Packed| i32::try_from(ends.get(dense)?).ok();
        end(least).zip(end(most))
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.len);
        [&self.terms, &self.slots, &self.bitmaps].iter().for_each(|bytes| out.counted(bytes));
        let [least, most] = &self.dense_ends;
        for packed in [&self.block_terms, &self.block_slots, &self.dense, least, most, &self.table] {
            packed.write(out);
        }
    }

    pub(super) fn read(from: &mut Reader) -> Result<Self, LayoutError> {
        let len = from.count()?;
        let (terms, slots, bitmaps) = (from.counted()?, from.counted()?, from.counted()?);
        let (block_terms, block_slots) = (Packed::read(from)?, Packed::read(from)?);
        let (dense, dense_ends) = (Packed::read(from)?, [Packed::read(from)?, Packed::read(from)?]);
        let table = Packed::read(from)?;
        let blocks = [&block_terms, &block_slots].map(Packed::len);
        let [least, most] = &dense_ends;
        let (whole, rest) = bitmaps.as_chunks::<BITMAP_BYTES>();
        let per_dense = [whole.len(), least.len(), most.len()];
        let is_sound = blocks == [len.div_ceil(BLOCK_LEN); 2]
            && per_dense == [dense.len(); 3]
            && rest.is_empty()
            && dense.all_below(len)
            && block_terms.all_below(terms.len())
            && block_slots.all_below(slots.len() + 1)
            && (table.len() == 0 || table.len().is_power_of_two());
        if !is_sound {
            return Err(LayoutError);
        }
        Ok(Self { len, terms, slots, block_terms, block_slots, dense, dense_ends, bitmaps, table })
    }
}

impl Slots<'_> {
    pub(super) fn bitmap(self) -> RoaringBitmap {
        match self {
            Self::Sparse(slots) => slots.map(u32::from).collect(),
            Self::Dense(_, bitmap) => RoaringBitmap::from_lsb0_bytes(0, bitmap),
        }
    }

    pub(super) fn last(self) -> Option<u16> {
        match self {
            Self::Sparse(slots) => slots.last(),
            Self::Dense(_, bitmap) => {
                let at = bitmap.iter().rposition(|byte| *byte != 0)?;
                let top = bitmap.get(at)?.checked_ilog2()?;
                u16::try_from(at * 8).ok()?.checked_add(u16::try_from(top).ok()?)
            }
        }
    }
}
