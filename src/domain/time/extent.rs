//! The days that a date can mean.

use super::day::Day;
use super::edtf::{Date, EdtfReason, Part, Precision};
use super::unit::first_after;

/// Where the units lie that a date can mean: a plain date means one, `202X` one of ten years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First day of the earliest unit.
    pub first_start: Day,
    /// First day of the latest unit.
    pub last_start: Day,
    /// Day after the earliest unit.
    pub first_end: Day,
    /// Day after the latest unit.
    pub last_end: Day,
}

impl Extent {
    const fn one(start: Day, end: Day) -> Self {
        Self { first_start: start, last_start: start, first_end: end, last_end: end }
    }

    fn one_of(first: Self, last: Self) -> Self {
        Self {
            first_start: first.first_start,
            last_start: last.last_start,
            first_end: first.first_end,
            last_end: last.last_end,
        }
    }

    fn months(year: i32, month: i32, count: i32) -> Self {
        Self::one(Day::first_of(year, month), first_after(year, month, count))
    }

    fn day(day: Day) -> Self {
        Self::one(day, day.plus_days(1))
    }

    fn days(start: Day, end: Day) -> Self {
        Self::one_of(Self::day(start), Self::day(end.plus_days(-1)))
    }
}

impl Part {
    /// The days it can mean.
    #[must_use]
    pub fn extent(&self) -> Extent {
        match *self {
            Self::SomeYear { first, last, .. } => {
                Extent::one_of(Extent::months(first, 1, 12), Extent::months(last, 1, 12))
            }
            Self::Year(year) => Extent::months(year, 1, 12),
            // Northern meteorological seasons: spring is March to May, winter December to February.
            Self::Season { year, code } => Extent::months(year, (code - 20) * 3, 3),
            Self::Quarter { year, code } => Extent::months(year, (code - 33) * 3 + 1, 3),
            Self::Month { year, month } => Extent::months(year, month, 1),
            Self::SomeMonth { year } => {
                Extent::one_of(Extent::months(year, 1, 1), Extent::months(year, 12, 1))
            }
            Self::SomeDayOfYear { year } => Extent::days(Day::first_of(year, 1), first_after(year, 1, 12)),
            Self::SomeDayOfMonth { year, month } => {
                Extent::days(Day::first_of(year, month), first_after(year, month, 1))
            }
            Self::Day(day) | Self::Moment { day, .. } => Extent::day(day),
        }
    }

    /// How finely it is told.
    #[must_use]
    pub const fn precision(&self) -> Precision {
        match *self {
            Self::SomeYear { precision, .. } | Self::Moment { precision, .. } => precision,
            Self::Year(_) | Self::SomeMonth { .. } | Self::SomeDayOfYear { .. } => Precision::Year,
            Self::Season { .. } => Precision::Season,
            Self::Quarter { .. } => Precision::Quarter,
            Self::Month { .. } | Self::SomeDayOfMonth { .. } => Precision::Month,
            Self::Day(_) => Precision::Day,
        }
    }
}

impl Date {
    /// The days it can mean.
    #[must_use]
    pub fn extent(&self) -> Extent {
        self.part.extent()
    }

    /// Checks that some day of this date is not after some day of `end`.
    ///
    /// # Errors
    /// [`EdtfReason::EndBeforeStart`] when all of `end` is before all of this date.
    pub fn check_order(&self, end: &Self) -> Result<(), EdtfReason> {
        if self.extent().first_start < end.extent().last_end {
            Ok(())
        } else {
            Err(EdtfReason::EndBeforeStart)
        }
    }
}
