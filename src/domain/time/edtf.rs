//! The parts of an EDTF text, and what can be wrong with one.

use super::day::Day;

/// How finely a date is told, from the finest to the coarsest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// Time of day with seconds.
    Second,
    /// Time of day without seconds.
    Minute,
    /// One day.
    Day,
    /// One month.
    Month,
    /// Three months, by number.
    Quarter,
    /// Three months, by season.
    Season,
    /// One year.
    Year,
    /// Ten years.
    Decade,
    /// A hundred years.
    Century,
}

/// A whole EDTF text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edtf {
    /// One date.
    Date(Date),
    /// `start/end`, both inclusive.
    Interval {
        /// Before the slash.
        start: End,
        /// After the slash.
        end: End,
    },
    /// `[…]`: exactly one of the members, not known which. Never empty.
    OneOf(Vec<Member>),
}

impl Edtf {
    /// Calls `visit` with each date written, from left to right.
    pub fn for_each_date(&self, mut visit: impl FnMut(&Date)) {
        match self {
            Self::Date(date) => visit(date),
            Self::Interval { start, end } => {
                start.date().into_iter().chain(end.date()).for_each(visit);
            }
            Self::OneOf(members) => members.iter().flat_map(Member::dates).for_each(visit),
        }
    }
}

/// One side of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A date.
    Date(Date),
    /// `..`: there is no such date, or not yet.
    Open,
    /// Nothing written: there is such a date, but it is not known.
    Unknown,
}

impl End {
    /// The date, if there is one.
    #[must_use]
    pub const fn date(&self) -> Option<&Date> {
        match self {
            Self::Date(date) => Some(date),
            Self::Open | Self::Unknown => None,
        }
    }
}

/// A member of a one-of set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// One date.
    Date(Date),
    /// `..b`: a date not after `b`.
    UpTo(Date),
    /// `a..`: a date not before `a`.
    From(Date),
    /// `a..b`: a date from `a` to `b`, both inclusive.
    Range(Date, Date),
}

impl Member {
    /// The one or two dates written.
    pub fn dates(&self) -> impl Iterator<Item = &Date> {
        let (first, second) = match self {
            Self::Date(date) | Self::UpTo(date) | Self::From(date) => (date, None),
            Self::Range(from, to) => (from, Some(to)),
        };
        std::iter::once(first).chain(second)
    }
}

/// A date with the marks on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Byte offset of the date in the text.
    pub offset: usize,
    /// What is named.
    pub part: Part,
    /// `~` or `%`: about then.
    pub approximate: bool,
    /// `?` or `%`: perhaps then.
    pub uncertain: bool,
}

/// What a date names. Each year is in -9999–9999, each month in 1–12, and each day exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `202X`, `20XX`: one of several years.
    SomeYear {
        /// The earliest it can be.
        first: i32,
        /// The latest it can be.
        last: i32,
        /// Decade or century.
        precision: Precision,
    },
    /// `2024`.
    Year(i32),
    /// `2024-21` to `2024-24`; the year is the one in which the season begins.
    Season {
        /// The year as written.
        year: i32,
        /// 21–24: spring to winter.
        code: i32,
    },
    /// `2024-33` to `2024-36`.
    Quarter {
        /// The year.
        year: i32,
        /// 33–36: first to fourth quarter.
        code: i32,
    },
    /// `2024-05`.
    Month {
        /// The year.
        year: i32,
        /// The month.
        month: i32,
    },
    /// `2024-XX`: one month of the year.
    SomeMonth {
        /// The year.
        year: i32,
    },
    /// `2024-XX-XX`: one day of the year.
    SomeDayOfYear {
        /// The year.
        year: i32,
    },
    /// `2024-05-XX`: one day of the month.
    SomeDayOfMonth {
        /// The year.
        year: i32,
        /// The month.
        month: i32,
    },
    /// `2024-05-01`.
    Day(Day),
    /// `2024-05-01T10:20`, with or without seconds and offset.
    Moment {
        /// The day as written, in whatever offset.
        day: Day,
        /// Seconds since midnight, 0–86,399.
        second: u32,
        /// Second or minute.
        precision: Precision,
        /// Seconds ahead of UTC; `None` when the text leaves it to the time zone of the span.
        utc_offset: Option<i32>,
    },
}

/// A fault of an EDTF text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}, at byte {offset}")]
pub struct EdtfError {
    /// Bytes before the fault.
    pub offset: usize,
    /// What is wrong there.
    pub reason: EdtfReason,
}

/// What is wrong with an EDTF text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdtfReason {
    /// Nothing is written.
    #[error("must not be empty")]
    Empty,
    /// Something else should stand here.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The text goes on after a complete date, interval or set.
    #[error("unexpected text after the end")]
    Trailing,
    /// A year without `Y` is longer than four digits, or month and day follow without a hyphen.
    #[error("a year has four digits, and a hyphen stands before month and day")]
    YearDigits,
    /// The year, or one that the date reaches into, is beyond ±9999.
    #[error("year must be from -9999 to 9999")]
    YearRange,
    /// Year `-0000`.
    #[error("year zero has no sign (ISO 8601)")]
    NegativeZero,
    /// No such month, season or quarter.
    #[error("must be a month 01 to 12, a season 21 to 24 or a quarter 33 to 36")]
    Month,
    /// No such day in the month.
    #[error("day must be from 01 to {last:02} in this month")]
    DayOfMonth {
        /// The last day of the month.
        last: i32,
    },
    /// No such hour.
    #[error("hour must be from 00 to 23")]
    Hour,
    /// No such minute.
    #[error("minute must be from 00 to 59")]
    Minute,
    /// No such second; leap seconds are not counted.
    #[error("second must be from 00 to 59")]
    Second,
    /// A fraction of a second.
    #[error("fractions of a second are not part of EDTF")]
    Fraction,
    /// A moment that timestamps cannot hold.
    #[error("with a time of day the date must be from 0001-01-01 to 9999-12-31 in UTC")]
    MomentRange,
    /// An `X` where level 1 has none.
    #[error(
        "X may stand for the last one or two digits of a year, or for a whole month or day with nothing \
         definite after it"
    )]
    Unspecified,
    /// A mark after a time of day.
    #[error("a date with a time of day takes no ?, ~ or %")]
    MarkedTime,
    /// A time of day in a set.
    #[error("a one-of set holds dates without a time of day")]
    TimeInSet,
    /// `..` between members of a set.
    #[error("an open end may only begin or end a one-of set")]
    OpenInside,
    /// A construct of EDTF level 2.
    #[error("{0}: level 2 of EDTF is not supported")]
    Level2(&'static str),
    /// A set of all of several dates.
    #[error("a set of all its members {{}} is several events: send one event for each")]
    AllOf,
    /// An interval with neither end.
    #[error("an interval needs a start or an end")]
    NoEnds,
    /// The start is after the end.
    #[error("the end is before the start")]
    EndBeforeStart,
}
