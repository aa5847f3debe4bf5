//! Columns: one value a slot, for what queries compare and order by.

use crate::domain::{Bounds, Factuality, RecordForm, RecordedFacts, Timestamp};

/// Values of the events of a part, by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Earliest first day, inclusive.
    pub earliest_start: Vec<i32>,
    /// Latest first day, inclusive.
    pub latest_start: Vec<i32>,
    /// Earliest end, exclusive.
    pub earliest_end: Vec<i32>,
    /// Latest end, exclusive.
    pub latest_end: Vec<i32>,
    /// Known time, microseconds.
    pub known_at: Vec<i64>,
    /// Recorded time, microseconds; strictly increasing.
    pub recorded_at: Vec<i64>,
    /// Place in its stream, from 1.
    pub revision: Vec<u64>,
    /// Number of the kind.
    pub kind: Vec<u8>,
    /// [`QUALIFIED`] and further bits.
    pub flags: Vec<u8>,
    /// The least and the greatest known time.
    pub(super) known_ends: Option<(i64, i64)>,
}

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

impl Columns {
    /// Adds the next slot.
    pub fn push(&mut self, facts: &RecordedFacts) {
        let bounds = facts.event.bounds;
        self.earliest_start.push(bounds.earliest_start);
        self.latest_start.push(bounds.latest_start);
        self.earliest_end.push(bounds.earliest_end);
        self.latest_end.push(bounds.latest_end);
        let known_at = facts.known_time().0;
        self.known_at.push(known_at);
        self.known_ends = Some(
            self.known_ends
                .map_or((known_at, known_at), |(least, most)| (least.min(known_at), most.max(known_at))),
        );
        self.recorded_at.push(facts.recorded_at.0);
        self.revision.push(facts.revision.0);
        self.kind.push(facts.event.kind.number());
        self.flags.push(flags_of(facts));
    }

    /// Adds the slots of others behind its own.
    pub(super) fn append(&mut self, others: &Self) {
        self.earliest_start.extend_from_slice(&others.earliest_start);
        self.latest_start.extend_from_slice(&others.latest_start);
        self.earliest_end.extend_from_slice(&others.earliest_end);
        self.latest_end.extend_from_slice(&others.latest_end);
        self.known_at.extend_from_slice(&others.known_at);
        self.recorded_at.extend_from_slice(&others.recorded_at);
        self.revision.extend_from_slice(&others.revision);
        self.kind.extend_from_slice(&others.kind);
        self.flags.extend_from_slice(&others.flags);
    }

    /// Takes note of what follows from the columns, when they were read as a whole.
    #[must_use]
    pub(super) fn completed(mut self) -> Self {
        self.known_ends = self.known_at.iter().copied().min().zip(self.known_at.iter().copied().max());
        self
    }

    /// Gives the least and the greatest known time; `None` without a slot.
    #[must_use]
    pub fn known_ends(&self) -> Option<(Timestamp, Timestamp)> {
        self.known_ends.map(|(least, most)| (Timestamp(least), Timestamp(most)))
    }

    /// Gives the least and the greatest earliest start at some slots; `None` for none.
    #[must_use]
    pub fn valid_ends(&self, slots: impl Iterator<Item = u16>) -> Option<(i32, i32)> {
        slots.filter_map(|slot| self.earliest_start.get(usize::from(slot)).copied()).fold(
            None,
            |ends, start| {
                Some(
                    ends.map_or((start, start), |(least, most): (i32, i32)| {
                        (least.min(start), most.max(start))
                    }),
                )
            },
        )
    }

    /// Gives the bounds of valid time at a slot.
    #[must_use]
    pub fn bounds(&self, slot: u16) -> Option<Bounds> {
        let at = usize::from(slot);
        Some(Bounds {
            earliest_start: *self.earliest_start.get(at)?,
            latest_start: *self.latest_start.get(at)?,
            earliest_end: *self.earliest_end.get(at)?,
            latest_end: *self.latest_end.get(at)?,
        })
    }

    /// Gives the known time at a slot.
    #[must_use]
    pub fn known_at(&self, slot: u16) -> Option<Timestamp> {
        self.known_at.get(usize::from(slot)).copied().map(Timestamp)
    }

    /// Gives the recorded time at a slot.
    #[must_use]
    pub fn recorded_at(&self, slot: u16) -> Option<Timestamp> {
        self.recorded_at.get(usize::from(slot)).copied().map(Timestamp)
    }

    /// Tells whether the event at a slot is no entry of any question.
    #[must_use]
    pub fn is_no_entry(&self, slot: u16) -> bool {
        self.flags.get(usize::from(slot)).is_some_and(|flags| flags & NO_ENTRY != 0)
    }

    /// Gives the slots, rising, of whose events nothing is known but their place.
    pub fn lost(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.flags).filter(|(_, flags)| **flags & LOST != 0).map(|(slot, _)| slot)
    }

    /// Tells whether the date at a slot is approximate or uncertain.
    #[must_use]
    pub fn is_qualified(&self, slot: u16) -> bool {
        self.flags.get(usize::from(slot)).is_some_and(|flags| flags & QUALIFIED != 0)
    }

    /// Tells how far the event at a slot says that something happened.
    #[must_use]
    pub fn factuality(&self, slot: u16) -> Option<Factuality> {
        let flags = *self.flags.get(usize::from(slot))?;
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
