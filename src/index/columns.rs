//! Columns: one value a slot, for what queries compare and order by.

use bytes::Bytes;

use super::layout::{LayoutError, Reader, Writer};
use super::packed::{Column, Packed};
use crate::domain::{Bounds, Factuality, RecordForm, RecordedFacts, Timestamp};

/// The date is approximate or uncertain.
pub const QUALIFIED: u8 = 1;
/// The event is no entry of any question: it is not whole, or stands in a stream of the server's own.
pub const NO_ENTRY: u8 = 2;
/// Nothing is known of the event but its place.
pub const LOST: u8 = 4;
/// What it tells of may have happened: [`Factuality::Possible`].
pub const POSSIBLE: u8 = 8;
/// What it tells of did not happen: [`Factuality::Counterfactual`].
pub const COUNTERFACTUAL: u8 = 16;

/// Values of the events of a part, by slot.
#[derive(Clone, Copy, Debug)]
pub enum Columns<'a> {
    /// Of a run.
    Growing(&'a GrowingColumns),
    /// Of a sealed segment.
    Packed(&'a PackedColumns),
}

/// The columns of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrowingColumns {
    rows: Vec<Row>,
    /// The least and the greatest known time.
    known_ends: Option<(i64, i64)>,
}

/// The values of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    bounds: Bounds,
    /// Microseconds.
    known_at: i64,
    /// Microseconds; strictly increasing.
    recorded_at: i64,
    /// Place in its stream, from 1.
    revision: u64,
    /// Number of the kind.
    kind: u8,
    /// [`QUALIFIED`] and further bits.
    flags: u8,
}

/// The columns of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedColumns {
    earliest_start: Column,
    /// Number of the shape of the valid time: few events are not a day, a month or a year long.
    shape: Packed,
    /// [`Shape`]s by number: three i32, little-endian.
    shapes: Bytes,
    known_at: Column,
    known_ends: Option<(i64, i64)>,
    recorded_at: Packed,
    revision: Packed,
    kind: Packed,
    flags: Packed,
    /// The flags that any event has.
    flags_of_any: u8,
}

impl GrowingColumns {
    /// Adds the next slot.
    pub(super) fn push(&mut self, facts: &RecordedFacts) {
        let known_at = facts.known_time().0;
        let ends = self.known_ends.unwrap_or((known_at, known_at));
        self.known_ends = Some((ends.0.min(known_at), ends.1.max(known_at)));
        self.rows.push(Row {
            bounds: facts.event.bounds,
            known_at,
            recorded_at: facts.recorded_at.0,
            revision: facts.revision.0,
            kind: facts.event.kind.number(),
            flags: flags_of(facts),
        });
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    fn row(&self, slot: u16) -> Option<&Row> {
        self.rows.get(usize::from(slot))
    }
}

/// Days from the earliest start to the other three bounds. They wrap: a bound can be open.
type Shape = [i32; 3];

const SHAPE_BYTES: usize = size_of::<Shape>();

fn shape_of(bounds: Bounds) -> Shape {
    [bounds.latest_start, bounds.earliest_end, bounds.latest_end]
        .map(|bound| bound.wrapping_sub(bounds.earliest_start))
}

/// Gives the flags that any event has.
fn any_of(flags: &Packed) -> u8 {
    flags.iter().fold(0, |all, flags| all | u8::try_from(flags).unwrap_or(u8::MAX))
}

impl PackedColumns {
    pub(super) fn of(rows: &[&Row]) -> Self {
        let values = |value: fn(&Row) -> i64| rows.iter().map(|row| value(row)).collect::<Vec<_>>();
        let column = |value| Column::of(&values(value));
        let packed = |value| Packed::of(&values(value));
        let mut shapes: Vec<Shape> = rows.iter().map(|row| shape_of(row.bounds)).collect();
        shapes.sort_unstable();
        shapes.dedup();
        let shape = rows.iter().map(|row| {
            let shape = shape_of(row.bounds);
            shapes.partition_point(|held| *held < shape)
        });
        let (known_at, flags) = (column(|row| row.known_at), packed(|row| i64::from(row.flags)));
        Self {
            earliest_start: column(|row| i64::from(row.bounds.earliest_start)),
            shape: Packed::of_numbers(shape),
            shapes: shapes.iter().flatten().flat_map(|days| days.to_le_bytes()).collect(),
            known_ends: known_at.ends(),
            known_at,
            recorded_at: packed(|row| row.recorded_at),
            revision: packed(|row| row.revision.cast_signed()),
            kind: packed(|row| i64::from(row.kind)),
            flags_of_any: any_of(&flags),
            flags,
        }
    }

    pub(super) fn earliest_start(&self, slot: u16) -> Option<i32> {
        i32::try_from(self.earliest_start.get(usize::from(slot))?).ok()
    }

    fn bounds(&self, slot: u16) -> Option<Bounds> {
        let earliest_start = self.earliest_start(slot)?;
        let (shapes, _) = self.shapes.as_chunks::<SHAPE_BYTES>();
        let (shape, _) = shapes.get(self.shape.number(usize::from(slot))?)?.as_chunks();
        let [latest_start, earliest_end, latest_end] = shape else { return None };
        let bound = |days: &[u8; 4]| earliest_start.wrapping_add(i32::from_le_bytes(*days));
        Some(Bounds {
            earliest_start,
            latest_start: bound(latest_start),
            earliest_end: bound(earliest_end),
            latest_end: bound(latest_end),
        })
    }

    fn flags(&self, slot: u16) -> Option<u8> {
        u8::try_from(self.flags.get(usize::from(slot))?).ok()
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.earliest_start.write(out);
        self.shape.write(out);
        out.counted(&self.shapes);
        self.known_at.write(out);
        for packed in [&self.recorded_at, &self.revision, &self.kind, &self.flags] {
            packed.write(out);
        }
    }

    /// Reads columns of so many slots.
    pub(super) fn read(from: &mut Reader, len: usize) -> Result<Self, LayoutError> {
        let earliest_start = Column::read(from)?;
        let shape = Packed::read(from)?;
        let shapes = from.counted()?;
        let known_at = Column::read(from)?;
        let packed = [Packed::read(from)?, Packed::read(from)?, Packed::read(from)?, Packed::read(from)?];
        let mut lens =
            packed.iter().map(Packed::len).chain([earliest_start.len(), shape.len(), known_at.len()]);
        if lens.any(|found| found != len) || !shape.all_below(shapes.as_chunks::<SHAPE_BYTES>().0.len()) {
            return Err(LayoutError);
        }
        let [recorded_at, revision, kind, flags] = packed;
        let known_ends = known_at.ends();
        let flags_of_any = any_of(&flags);
        Ok(Self {
            earliest_start,
            shape,
            shapes,
            known_at,
            known_ends,
            recorded_at,
            revision,
            kind,
            flags,
            flags_of_any,
        })
    }
}

impl Columns<'_> {
    /// Gives the number of slots.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Growing(columns) => columns.len(),
            Self::Packed(columns) => columns.kind.len(),
        }
    }

    /// Tells whether there is no slot.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Gives the earliest start at a slot: the number of a day.
    #[must_use]
    pub fn earliest_start(self, slot: u16) -> Option<i32> {
        match self {
            Self::Growing(columns) => Some(columns.row(slot)?.bounds.earliest_start),
            Self::Packed(columns) => columns.earliest_start(slot),
        }
    }

    /// Gives the bounds of valid time at a slot.
    #[must_use]
    pub fn bounds(self, slot: u16) -> Option<Bounds> {
        match self {
            Self::Growing(columns) => Some(columns.row(slot)?.bounds),
            Self::Packed(columns) => columns.bounds(slot),
        }
    }

    /// Gives the least and the greatest earliest start at some slots; `None` for none.
    #[must_use]
    pub fn valid_ends(self, slots: impl Iterator<Item = u16>) -> Option<(i32, i32)> {
        let starts = slots.filter_map(|slot| self.earliest_start(slot));
        starts.fold(None, |ends: Option<(i32, i32)>, start| {
            Some(ends.map_or((start, start), |(least, most)| (least.min(start), most.max(start))))
        })
    }

    /// Gives the known time at a slot.
    #[must_use]
    pub fn known_at(self, slot: u16) -> Option<Timestamp> {
        let known_at = match self {
            Self::Growing(columns) => columns.row(slot)?.known_at,
            Self::Packed(columns) => columns.known_at.get(usize::from(slot))?,
        };
        Some(Timestamp(known_at))
    }

    /// Tells whether the public could know of the event at a slot by then.
    #[must_use]
    pub fn is_known_by(self, slot: u16, time: Timestamp) -> bool {
        // Most questions are asked as of now.
        let all = usize::from(slot) < self.len() && self.known_ends().is_some_and(|(_, most)| most <= time);
        all || self.known_at(slot).is_some_and(|known_at| known_at <= time)
    }

    /// Gives the least and the greatest known time; `None` without a slot.
    #[must_use]
    pub fn known_ends(self) -> Option<(Timestamp, Timestamp)> {
        let ends = match self {
            Self::Growing(columns) => columns.known_ends,
            Self::Packed(columns) => columns.known_ends,
        };
        ends.map(|(least, most)| (Timestamp(least), Timestamp(most)))
    }

    /// Gives the recorded time at a slot.
    #[must_use]
    pub fn recorded_at(self, slot: u16) -> Option<Timestamp> {
        let recorded_at = match self {
            Self::Growing(columns) => columns.row(slot)?.recorded_at,
            Self::Packed(columns) => columns.recorded_at.get(usize::from(slot))?,
        };
        Some(Timestamp(recorded_at))
    }

    /// Gives the number of slots whose events were recorded before a moment: recorded time increases with the slot.
    #[must_use]
    pub fn recorded_before(self, time: Timestamp) -> usize {
        match self {
            Self::Growing(columns) => columns.rows.partition_point(|row| row.recorded_at < time.0),
            Self::Packed(columns) => columns.recorded_at.partition_point(|recorded_at| recorded_at < time.0),
        }
    }

    /// Gives the place in its stream, from 1, of the event at a slot.
    #[must_use]
    pub fn revision(self, slot: u16) -> Option<u64> {
        match self {
            Self::Growing(columns) => Some(columns.row(slot)?.revision),
            Self::Packed(columns) => columns.revision.get(usize::from(slot)).map(i64::cast_unsigned),
        }
    }

    /// Gives the number of the kind at a slot.
    #[must_use]
    pub fn kind(self, slot: u16) -> Option<u8> {
        match self {
            Self::Growing(columns) => Some(columns.row(slot)?.kind),
            Self::Packed(columns) => u8::try_from(columns.kind.get(usize::from(slot))?).ok(),
        }
    }

    fn flags(self, slot: u16) -> Option<u8> {
        match self {
            Self::Growing(columns) => Some(columns.row(slot)?.flags),
            Self::Packed(columns) => columns.flags(slot),
        }
    }

    fn has(self, slot: u16, flag: u8) -> bool {
        let any = match self {
            Self::Growing(_) => u8::MAX,
            Self::Packed(columns) => columns.flags_of_any,
        };
        any & flag != 0 && self.flags(slot).is_some_and(|flags| flags & flag != 0)
    }

    /// Tells whether the event at a slot is no entry of any question.
    #[must_use]
    pub fn is_no_entry(self, slot: u16) -> bool {
        self.has(slot, NO_ENTRY)
    }

    /// Gives the slots, rising, of whose events nothing is known but their place.
    pub fn lost(self) -> impl Iterator<Item = u16> {
        let slots = (0..self.len()).filter_map(|slot| u16::try_from(slot).ok());
        slots.filter(move |slot| self.has(*slot, LOST))
    }

    /// Tells whether the date at a slot is approximate or uncertain.
    #[must_use]
    pub fn is_qualified(self, slot: u16) -> bool {
        self.has(slot, QUALIFIED)
    }

    /// Tells how far the event at a slot says that something happened.
    #[must_use]
    pub fn factuality(self, slot: u16) -> Option<Factuality> {
        let flags = self.flags(slot)?;
        Some(match (flags & POSSIBLE != 0, flags & COUNTERFACTUAL != 0) {
            (_, true) => Factuality::Counterfactual,
            (true, false) => Factuality::Possible,
            (false, false) => Factuality::Certain,
        })
    }
}

fn flags_of(facts: &RecordedFacts) -> u8 {
    let qualified = if facts.event.qualified { QUALIFIED } else { 0 };
    let form = match facts.form {
        RecordForm::Whole if facts.event.stream.is_reserved() => NO_ENTRY,
        RecordForm::Whole => 0,
        RecordForm::Erased => NO_ENTRY,
        RecordForm::Lost => NO_ENTRY | LOST,
    };
    let factuality = match facts.event.factuality {
        Factuality::Certain => 0,
        Factuality::Possible => POSSIBLE,
        Factuality::Counterfactual => COUNTERFACTUAL,
    };
    qualified | form | factuality
}
