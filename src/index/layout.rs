//! The bytes of a sealed segment.
//!
//! ```text
//! "ANSG" version(1) base(8) chain(32) len(4)
//! earliest_start latest_start earliest_end latest_end   4 × len × i32
//! known_at recorded_at                                  2 × len × i64
//! revision                                              len × u64
//! kind flags                                            2 × len × u8
//! term bytes · term ends · slots · slot ends · dense    each: count(4), values
//! ids · order · links · amounts                         each: count(4), values
//! act slots · acts · parties · their ends · life links  each: count(4), values
//! names of acts and links                               count(4), bytes; count(4), ends
//! CRC32C(4) of all before
//! ```
//! Little-endian throughout. The same events give the same bytes.

use roaring::RoaringBitmap;

use super::acts::{Acts, PackedAct, PackedLink};
use super::names::Names;
use super::part::AmountRow;
use super::segment::{Dictionary, Segment};
use super::{Columns, SEGMENT_LEN};
use crate::domain::{EventId, KnowledgeLink, LinkType, Position};

/// Version of this layout, and of the meaning of terms and columns: a change of either makes a new one.
pub const SEGMENT_FORMAT: u8 = 6;
const MAGIC: &[u8; 4] = b"ANSG";
/// A dense posting: a bit for each of 65,536 slots.
const DENSE_BYTES: usize = 8_192;

/// Says that bytes are no segment of this version; the segment is then built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a segment of format {SEGMENT_FORMAT}")]
pub struct LayoutError;

/// Writes a segment. `chain` is the chain hash at its last position: it ties the segment to its log.
#[must_use]
pub fn encode(segment: &Segment, chain: &[u8; 32]) -> Vec<u8> {
    let columns = &segment.columns;
    let mut out = Writer(Vec::with_capacity(columns.kind.len().saturating_mul(160)));
    out.0.extend_from_slice(MAGIC);
    out.0.push(SEGMENT_FORMAT);
    out.0.extend_from_slice(&segment.base.0.to_le_bytes());
    out.0.extend_from_slice(chain);
    out.count(columns.kind.len());
    for column in [&columns.earliest_start, &columns.latest_start, &columns.earliest_end, &columns.latest_end]
    {
        out.all(column, |value| value.to_le_bytes());
    }
    for column in [&columns.known_at, &columns.recorded_at] {
        out.all(column, |value| value.to_le_bytes());
    }
    out.all(&columns.revision, |value| value.to_le_bytes());
    out.0.extend_from_slice(&columns.kind);
    out.0.extend_from_slice(&columns.flags);
    encode_dictionary(&segment.dictionary, &mut out);
    out.count(segment.ids.len());
    for (id, slot) in &segment.ids {
        out.0.extend_from_slice(id.as_bytes());
        out.0.extend_from_slice(&slot.to_le_bytes());
    }
    out.count(segment.order.len());
    out.all(&segment.order, |slot| slot.to_le_bytes());
    out.count(segment.links.len());
    for (slot, link) in &segment.links {
        out.0.extend_from_slice(&slot.to_le_bytes());
        out.0.push(link.link_type.number());
        out.0.extend_from_slice(&link.target.0.to_le_bytes());
    }
    out.count(segment.amounts.len());
    for row in &segment.amounts {
        out.0.extend_from_slice(&row.slot.to_le_bytes());
        out.0.extend_from_slice(&row.currency);
        out.0.extend_from_slice(&row.units.to_le_bytes());
        out.0.extend_from_slice(&row.nanos.to_le_bytes());
        out.0.extend_from_slice(&[row.stage, row.qualifier, row.flags]);
        out.0.extend_from_slice(&row.likeness);
    }
    encode_acts(&segment.acts, &mut out);
    let checksum = crc32c::crc32c(&out.0);
    out.0.extend_from_slice(&checksum.to_le_bytes());
    out.0
}

fn encode_dictionary(dictionary: &Dictionary, out: &mut Writer) {
    out.names(&dictionary.terms);
    out.count(dictionary.slots.len());
    out.all(&dictionary.slots, |slot| slot.to_le_bytes());
    out.count(dictionary.slot_ends.len());
    out.all(&dictionary.slot_ends, |end| end.to_le_bytes());
    let mut dense: Vec<_> = dictionary.dense.iter().collect();
    dense.sort_unstable_by_key(|(number, _)| **number);
    out.count(dense.len());
    for (number, dense) in dense {
        out.0.extend_from_slice(&number.to_le_bytes());
        let mut bits = [0_u8; DENSE_BYTES];
        for slot in &dense.slots {
            if let Some(byte) = usize::try_from(slot / 8).ok().and_then(|at| bits.get_mut(at)) {
                *byte |= 1 << (slot % 8);
            }
        }
        out.0.extend_from_slice(&bits);
    }
}

fn encode_acts(acts: &Acts, out: &mut Writer) {
    out.count(acts.slots.len());
    out.all(&acts.slots, |slot| slot.to_le_bytes());
    out.count(acts.rows.len());
    for row in &acts.rows {
        out.0.extend_from_slice(&[row.action, row.flags]);
        let days = [row.effective_on, row.expires_on];
        out.all(&days, |day| day.to_le_bytes());
        let numbers = [row.stream, row.agreement_id, row.acting_party, row.parties];
        out.all(&numbers, |number| number.to_le_bytes());
    }
    out.count(acts.parties.len());
    out.all(&acts.parties, |number| number.to_le_bytes());
    out.count(acts.parties_ends.len());
    out.all(&acts.parties_ends, |end| end.to_le_bytes());
    out.count(acts.links.len());
    for link in &acts.links {
        out.0.extend_from_slice(&link.slot.to_le_bytes());
        out.0.extend_from_slice(&[link.link_type.number(), u8::from(link.to_event)]);
        out.0.extend_from_slice(&link.target.to_le_bytes());
    }
    out.names(&acts.names);
}

/// Reads a segment and the chain hash that it was tied to.
///
/// # Errors
/// [`LayoutError`] when the bytes are damaged, of another version, or of other lengths than they say.
pub fn decode(bytes: &[u8]) -> Result<(Segment, [u8; 32]), LayoutError> {
    let at = bytes.len().checked_sub(4).ok_or(LayoutError)?;
    let (body, checksum) = bytes.split_at_checked(at).ok_or(LayoutError)?;
    if checksum != crc32c::crc32c(body).to_le_bytes() {
        return Err(LayoutError);
    }
    let mut from = Reader(body);
    if from.array::<4>()? != *MAGIC || from.array::<1>()? != [SEGMENT_FORMAT] {
        return Err(LayoutError);
    }
    let base = Position(u64::from_le_bytes(from.array()?));
    let chain = from.array()?;
    let len = from.count()?;
    if u64::try_from(len).map_or(true, |len| len > SEGMENT_LEN) {
        return Err(LayoutError);
    }
    let columns = Columns {
        earliest_start: from.all(len, i32::from_le_bytes)?,
        latest_start: from.all(len, i32::from_le_bytes)?,
        earliest_end: from.all(len, i32::from_le_bytes)?,
        latest_end: from.all(len, i32::from_le_bytes)?,
        known_at: from.all(len, i64::from_le_bytes)?,
        recorded_at: from.all(len, i64::from_le_bytes)?,
        revision: from.all(len, u64::from_le_bytes)?,
        kind: from.slice(len)?.to_vec(),
        flags: from.slice(len)?.to_vec(),
        known_ends: None,
    }
    .completed();
    let dictionary = decode_dictionary(&mut from)?;
    let segment = Segment {
        base,
        columns,
        dictionary,
        ids: from.counted_all(decode_id)?,
        order: from.counted_all(u16::from_le_bytes)?,
        links: from.counted(decode_link)?,
        amounts: from.counted(decode_amount)?,
        acts: decode_acts(&mut from)?,
    };
    if !segment.acts.is_sound(&segment.dictionary.terms, len) {
        return Err(LayoutError);
    }
    if segment.ids.len() != len || segment.order.len() != len || !from.0.is_empty() {
        return Err(LayoutError);
    }
    Ok((segment, chain))
}

fn decode_id(bytes: [u8; 18]) -> (EventId, u16) {
    let [id @ .., low, high] = bytes;
    (EventId::from_bytes(id), u16::from_le_bytes([low, high]))
}

fn decode_link(from: &mut Reader<'_>) -> Result<(u16, KnowledgeLink), LayoutError> {
    let slot = u16::from_le_bytes(from.array()?);
    let [number] = from.array()?;
    let link_type = LinkType::from_number(i32::from(number)).ok_or(LayoutError)?;
    Ok((slot, KnowledgeLink { link_type, target: Position(u64::from_le_bytes(from.array()?)) }))
}

fn decode_amount(from: &mut Reader<'_>) -> Result<AmountRow, LayoutError> {
    let (slot, currency) = (u16::from_le_bytes(from.array()?), from.array()?);
    let (units, nanos) = (i64::from_le_bytes(from.array()?), i32::from_le_bytes(from.array()?));
    let [stage, qualifier, flags] = from.array()?;
    Ok(AmountRow { slot, currency, units, nanos, stage, qualifier, flags, likeness: from.array()? })
}

fn decode_acts(from: &mut Reader<'_>) -> Result<Acts, LayoutError> {
    Ok(Acts {
        slots: from.counted_all(u16::from_le_bytes)?,
        rows: from.counted(decode_act)?,
        parties: from.counted_all(u32::from_le_bytes)?,
        parties_ends: from.counted_all(u32::from_le_bytes)?,
        links: from.counted(decode_life_link)?,
        names: from.names()?,
    })
}

fn decode_act(from: &mut Reader<'_>) -> Result<PackedAct, LayoutError> {
    let [action, flags] = from.array()?;
    let mut day = || from.array().map(i32::from_le_bytes);
    let (effective_on, expires_on) = (day()?, day()?);
    let mut number = || from.array().map(u32::from_le_bytes);
    let (stream, agreement_id, acting_party, parties) = (number()?, number()?, number()?, number()?);
    Ok(PackedAct { action, flags, effective_on, expires_on, stream, agreement_id, acting_party, parties })
}

fn decode_life_link(from: &mut Reader<'_>) -> Result<PackedLink, LayoutError> {
    let slot = u16::from_le_bytes(from.array()?);
    let [number, to_event] = from.array()?;
    let link_type = LinkType::from_number(i32::from(number)).filter(|found| found.bears_on_life());
    let link_type = link_type.ok_or(LayoutError)?;
    let to_event = match to_event {
        0 => false,
        1 => true,
        _ => return Err(LayoutError),
    };
    Ok(PackedLink { slot, link_type, to_event, target: u32::from_le_bytes(from.array()?) })
}

fn decode_dictionary(from: &mut Reader<'_>) -> Result<Dictionary, LayoutError> {
    let terms = from.names()?;
    let slots = from.counted_all(u16::from_le_bytes)?;
    let slot_ends = from.counted_all(u32::from_le_bytes)?;
    let dense = from.counted(|from| {
        let number = u32::from_le_bytes(from.array()?);
        Ok((number, RoaringBitmap::from_lsb0_bytes(0, from.slice(DENSE_BYTES)?).into()))
    })?;
    if terms.len() != slot_ends.len() {
        return Err(LayoutError);
    }
    Ok(Dictionary { terms, slots, slot_ends, dense: dense.into_iter().collect() })
}

struct Writer(Vec<u8>);

impl Writer {
    fn count(&mut self, count: usize) {
        // Far below 4 GiB: see `names::length`.
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&count.to_le_bytes());
    }

    fn names(&mut self, names: &Names) {
        self.count(names.bytes.len());
        self.0.extend_from_slice(&names.bytes);
        self.count(names.ends.len());
        self.all(&names.ends, |end| end.to_le_bytes());
    }

    fn all<T: Copy, const N: usize>(&mut self, values: &[T], bytes: impl Fn(T) -> [u8; N]) {
        for value in values {
            self.0.extend_from_slice(&bytes(*value));
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, len: usize) -> Result<&'a [u8], LayoutError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(LayoutError)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LayoutError> {
        self.slice(N)?.try_into().map_err(|_| LayoutError)
    }

    fn count(&mut self) -> Result<usize, LayoutError> {
        usize::try_from(u32::from_le_bytes(self.array()?)).map_err(|_| LayoutError)
    }

    fn names(&mut self) -> Result<Names, LayoutError> {
        let count = self.count()?;
        Ok(Names { bytes: self.slice(count)?.to_vec(), ends: self.counted_all(u32::from_le_bytes)? })
    }

    fn all<T, const N: usize>(
        &mut self,
        len: usize,
        value: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, LayoutError> {
        let bytes = self.slice(len.checked_mul(N).ok_or(LayoutError)?)?;
        let (chunks, _) = bytes.as_chunks::<N>();
        Ok(chunks.iter().map(|chunk| value(*chunk)).collect())
    }

    /// Reads a count, then as many values of one size.
    fn counted_all<T, const N: usize>(
        &mut self,
        value: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, LayoutError> {
        let count = self.count()?;
        self.all(count, value)
    }

    /// Reads a count, then as many values. Memory grows with what is read, not with what is claimed.
    fn counted<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<T, LayoutError>,
    ) -> Result<Vec<T>, LayoutError> {
        let count = self.count()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(value(self)?);
        }
        values.shrink_to_fit();
        Ok(values)
    }
}
