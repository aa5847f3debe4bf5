//! Amounts of funding transfers, for sums that read no event.

use bytes::Bytes;

use super::layout::{LayoutError, Reader, Writer};
use super::packed::{Column, Packed};
use crate::domain::{AmountQualifier, TransferFacts};

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
    pub likeness: [u8; 16],
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
            qualifier: transfer.qualifier.map_or(0, AmountQualifier::number),
            flags: reversal | in_kind,
            likeness: transfer.likeness,
        }
    }

    /// Gives the amount in billionths of a unit.
    #[must_use]
    pub fn billionths(&self) -> i128 {
        i128::from(self.units) * 1_000_000_000 + i128::from(self.nanos)
    }

    fn form(&self) -> Form {
        let [one, two, three] = self.currency;
        [one, two, three, self.stage, self.qualifier, self.flags]
    }
}

/// Currency, stage, qualifier and flags: a part has few of them.
type Form = [u8; 6];

/// The amounts of a part, by rising slot.
#[derive(Clone, Copy, Debug)]
pub enum Amounts<'a> {
    /// Of a run.
    Growing(&'a [AmountRow]),
    /// Of a sealed segment.
    Packed(&'a PackedAmounts),
}

/// The amounts of a sealed segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedAmounts {
    slots: Packed,
    /// Number of the form.
    form: Packed,
    forms: Bytes,
    units: Column,
    nanos: Column,
    likenesses: Bytes,
}

impl<'a> Amounts<'a> {
    /// Gives how many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Growing(rows) => rows.len(),
            Self::Packed(rows) => rows.slots.len(),
        }
    }

    /// Tells whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Gives one by its number, from 0.
    #[must_use]
    pub fn get(self, number: usize) -> Option<AmountRow> {
        match self {
            Self::Growing(rows) => rows.get(number).copied(),
            Self::Packed(rows) => rows.get(number),
        }
    }

    /// Gives the slot of one.
    #[must_use]
    pub fn slot(self, number: usize) -> Option<u16> {
        match self {
            Self::Growing(rows) => rows.get(number).map(|row| row.slot),
            Self::Packed(rows) => u16::try_from(rows.slots.get(number)?).ok(),
        }
    }

    /// Gives the one at a slot.
    #[must_use]
    pub fn at(self, slot: u16) -> Option<AmountRow> {
        match self {
            Self::Growing(rows) => rows.get(rows.binary_search_by_key(&slot, |row| row.slot).ok()?).copied(),
            Self::Packed(rows) => rows.get(rows.slots.find(i64::from(slot))?),
        }
    }

    /// Gives all.
    pub fn iter(self) -> impl Iterator<Item = AmountRow> + use<'a> {
        (0..self.len()).filter_map(move |number| self.get(number))
    }
}

impl PackedAmounts {
    pub(super) fn of(rows: &[AmountRow]) -> Self {
        let mut forms: Vec<Form> = rows.iter().map(AmountRow::form).collect();
        forms.sort_unstable();
        forms.dedup();
        let form = rows.iter().map(|row| {
            let form = row.form();
            forms.partition_point(|held| *held < form)
        });
        Self {
            slots: Packed::of_numbers(rows.iter().map(|row| usize::from(row.slot))),
            form: Packed::of_numbers(form),
            forms: forms.concat().into(),
            units: Column::of(&rows.iter().map(|row| row.units).collect::<Vec<_>>()),
            nanos: Column::of(&rows.iter().map(|row| i64::from(row.nanos)).collect::<Vec<_>>()),
            likenesses: rows.iter().flat_map(|row| row.likeness).collect::<Vec<u8>>().into(),
        }
    }

    fn get(&self, number: usize) -> Option<AmountRow> {
        let (forms, _) = self.forms.as_chunks();
        let [one, two, three, stage, qualifier, flags]: Form = *forms.get(self.form.number(number)?)?;
        let (likenesses, _) = self.likenesses.as_chunks();
        Some(AmountRow {
            slot: u16::try_from(self.slots.get(number)?).ok()?,
            currency: [one, two, three],
            units: self.units.get(number)?,
            nanos: i32::try_from(self.nanos.get(number)?).ok()?,
            stage,
            qualifier,
            flags,
            likeness: *likenesses.get(number)?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.slots.write(out);
        self.form.write(out);
        out.counted(&self.forms);
        self.units.write(out);
        self.nanos.write(out);
        out.counted(&self.likenesses);
    }

    /// Reads amounts of a segment of so many slots.
    pub(super) fn read(from: &mut Reader, len: usize) -> Result<Self, LayoutError> {
        let (slots, form, forms) = (Packed::read(from)?, Packed::read(from)?, from.counted()?);
        let (units, nanos, likenesses) = (Column::read(from)?, Column::read(from)?, from.counted()?);
        let read = Self { slots, form, forms, units, nanos, likenesses };
        let count = read.slots.len();
        let lens =
            [read.form.len(), read.units.len(), read.nanos.len(), read.likenesses.as_chunks::<16>().0.len()];
        let rising = read.slots.iter().is_sorted_by(|one, other| one < other);
        let forms = read.forms.as_chunks::<6>().0.len();
        if !rising || !read.slots.all_below(len) || !read.form.all_below(forms) {
            return Err(LayoutError);
        }
        if lens.iter().all(|found| *found == count) { Ok(read) } else { Err(LayoutError) }
    }
}
