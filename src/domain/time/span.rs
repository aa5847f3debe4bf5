//! A span of valid time.

use std::fmt;

use super::bounds::Bounds;
use super::day::Day;
use super::edtf::{Date, Edtf, EdtfError, EdtfReason, End, Part, Precision};
use super::parser;
use super::zone::{Zone, ZoneError, moment_at_offset};
use crate::domain::Timestamp;

/// 0001-01-01T00:00:00Z, the first moment of `google.protobuf.Timestamp`.
const FIRST_MOMENT: Timestamp = Timestamp(-62_135_596_800_000_000);
/// 9999-12-31T23:59:59Z, the last whole second of `google.protobuf.Timestamp`.
const LAST_MOMENT: Timestamp = Timestamp(253_402_300_799_000_000);

/// What a date stands for, which EDTF cannot say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    /// One day, known only to lie within the bounds.
    Instant,
    /// All of the time given.
    Period,
    /// It has started; its end is not known or not yet reached.
    Ongoing,
}

/// When something happened or held in the world: the text, and what follows from it.
///
/// The four bounds are civil days in `time_zone`, ends exclusive; `None` is open or not known. Where both
/// are set, `earliest_start` ≤ `latest_start`, `earliest_end` ≤ `latest_end`, `earliest_start` < `earliest_end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    /// The text as written.
    pub edtf: String,
    /// The zone of days and of times without an offset; UTC when none was given.
    pub time_zone: Zone,
    /// As given, or as the text says, or the default.
    pub shape: Shape,
    /// It does not start before this day.
    pub earliest_start: Option<Day>,
    /// It starts on this day at the latest.
    pub latest_start: Option<Day>,
    /// It does not end before this day; the day itself is the first one after.
    pub earliest_end: Option<Day>,
    /// It has ended by the start of this day.
    pub latest_end: Option<Day>,
    /// The coarsest of the dates in the text; `../..` says nothing and counts as a century.
    pub precision: Precision,
    /// `~` or `%` is in the text, or a season, because EDTF level 1 does not say of which hemisphere.
    pub approximate: bool,
    /// `?` or `%` is in the text.
    pub uncertain: bool,
    /// The moment of the date or of the start, where it has a time of day.
    pub start_instant: Option<Timestamp>,
    /// The moment of the end of an interval, where it has a time of day.
    pub end_instant: Option<Timestamp>,
}

/// A fault of a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeSpanError {
    /// The text is not EDTF.
    #[error("{reason}, at byte {offset}")]
    Edtf {
        /// Bytes before the fault.
        offset: usize,
        /// What is wrong there.
        reason: EdtfReason,
    },
    /// The time zone is not one.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

impl From<EdtfError> for TimeSpanError {
    fn from(error: EdtfError) -> Self {
        Self::Edtf { offset: error.offset, reason: error.reason }
    }
}

/// All faults of a span, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeSpanErrors(pub Vec<TimeSpanError>);

impl fmt::Display for TimeSpanErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for TimeSpanErrors {}

impl TimeSpan {
    /// Reads an EDTF text; an empty `time_zone` is UTC.
    ///
    /// Without a `shape` the text decides: a single day, with or without time, is an instant; an interval
    /// `a/..` is ongoing; other intervals are periods. Where the text does not say, `default` holds.
    ///
    /// # Errors
    /// [`TimeSpanErrors`] with the first fault of the text and the fault of the zone.
    pub fn parse(
        edtf: &str,
        time_zone: &str,
        shape: Option<Shape>,
        default: Shape,
    ) -> Result<Self, TimeSpanErrors> {
        let (parsed, time_zone) = match (parser::parse(edtf), Zone::find(time_zone)) {
            (Ok(parsed), Ok(time_zone)) => (parsed, time_zone),
            (parsed, zone) => {
                let edtf = parsed.err().map(TimeSpanError::from);
                let zone = zone.err().map(TimeSpanError::from);
                return Err(TimeSpanErrors(edtf.into_iter().chain(zone).collect()));
            }
        };
        let (start_instant, end_instant) =
            instants(&parsed, time_zone).map_err(|error| TimeSpanErrors(vec![error.into()]))?;
        let shape = shape.unwrap_or_else(|| written_shape(&parsed).unwrap_or(default));
        let bounds = Bounds::of(&parsed, shape);
        let marks = Marks::of(&parsed);
        Ok(Self {
            edtf: edtf.to_owned(),
            time_zone,
            shape,
            earliest_start: bounds.earliest_start,
            latest_start: bounds.latest_start,
            earliest_end: bounds.earliest_end,
            latest_end: bounds.latest_end,
            precision: marks.precision.unwrap_or(Precision::Century),
            approximate: marks.approximate,
            uncertain: marks.uncertain,
            start_instant,
            end_instant,
        })
    }

    /// A span of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            edtf: "../..".to_owned(),
            time_zone: Zone::UTC,
            shape: Shape::Instant,
            earliest_start: None,
            latest_start: None,
            earliest_end: None,
            latest_end: None,
            precision: Precision::Century,
            approximate: false,
            uncertain: false,
            start_instant: None,
            end_instant: None,
        }
    }

    /// Whether it could overlap the window from `from` to before `to`; `None` is unbounded.
    #[must_use]
    pub fn may_overlap(&self, from: Option<Day>, to: Option<Day>) -> bool {
        let before =
            |start: Option<Day>, end: Option<Day>| start.zip(end).is_none_or(|(start, end)| start < end);
        before(self.earliest_start, to) && before(from, self.latest_end)
    }

    /// Whether it certainly lies within the window from `from` to before `to`; `None` is unbounded.
    ///
    /// An approximate or uncertain span never does.
    #[must_use]
    pub fn must_lie_within(&self, from: Option<Day>, to: Option<Day>) -> bool {
        let starts_in = from.is_none_or(|from| self.earliest_start.is_some_and(|day| day >= from));
        let ends_in = to.is_none_or(|to| self.latest_end.is_some_and(|day| day <= to));
        starts_in && ends_in && !self.is_qualified()
    }

    /// The moment from which something published then was known: the time of day where there is one,
    /// otherwise the start, in `time_zone`, of the latest day on which it can have come out.
    ///
    /// `None` when that day is open.
    #[must_use]
    pub fn known_from(&self) -> Option<Timestamp> {
        self.start_instant.or_else(|| self.time_zone.day_start(self.latest_start?))
    }

    /// The number of days of a period whose start and end are exact.
    #[must_use]
    pub fn length_days(&self) -> Option<i32> {
        let start = self.earliest_start?;
        let end = self.latest_end?;
        let exact = self.shape == Shape::Period
            && self.latest_start == Some(start)
            && self.earliest_end == Some(end)
            && !self.is_qualified();
        exact.then(|| end.number().saturating_sub(start.number()))
    }

    const fn is_qualified(&self) -> bool {
        self.approximate || self.uncertain
    }
}

/// What all dates of a text say together.
#[derive(Clone, Copy, Default)]
struct Marks {
    precision: Option<Precision>,
    approximate: bool,
    uncertain: bool,
}

impl Marks {
    fn of(edtf: &Edtf) -> Self {
        let mut marks = Self::default();
        edtf.for_each_date(|date| {
            marks.precision = marks.precision.max(Some(date.part.precision()));
            marks.approximate |= date.approximate || matches!(date.part, Part::Season { .. });
            marks.uncertain |= date.uncertain;
        });
        marks
    }
}

/// The shape that the text itself tells.
fn written_shape(edtf: &Edtf) -> Option<Shape> {
    match edtf {
        Edtf::Date(date) if date.part.precision() <= Precision::Day => Some(Shape::Instant),
        Edtf::Interval { end: End::Open, .. } => Some(Shape::Ongoing),
        Edtf::Interval { .. } => Some(Shape::Period),
        Edtf::Date(_) | Edtf::OneOf(_) => None,
    }
}

/// The moments of start and end.
fn instants(edtf: &Edtf, zone: Zone) -> Result<(Option<Timestamp>, Option<Timestamp>), EdtfError> {
    match edtf {
        Edtf::OneOf(_) => Ok((None, None)),
        Edtf::Date(date) => Ok((instant(date, zone)?, None)),
        Edtf::Interval { start, end } => {
            let start = start.date().map_or(Ok(None), |date| instant(date, zone))?;
            let Some(end) = end.date() else {
                return Ok((start, None));
            };
            let last = instant(end, zone)?;
            // The days may be in order where the times of day are not.
            if start.zip(last).is_some_and(|(start, last)| start > last) {
                return Err(EdtfError { offset: end.offset, reason: EdtfReason::EndBeforeStart });
            }
            Ok((start, last))
        }
    }
}

/// The moment of a date, where it has a time of day.
fn instant(date: &Date, zone: Zone) -> Result<Option<Timestamp>, EdtfError> {
    let Part::Moment { day, second, utc_offset, .. } = date.part else {
        return Ok(None);
    };
    let moment = match utc_offset {
        Some(offset) => moment_at_offset(day, second, offset),
        None => zone.moment(day, second),
    };
    moment
        .filter(|moment| (FIRST_MOMENT..=LAST_MOMENT).contains(moment))
        .map(Some)
        .ok_or(EdtfError { offset: date.offset, reason: EdtfReason::MomentRange })
}
