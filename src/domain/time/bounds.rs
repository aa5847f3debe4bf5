//! Earliest and latest start and end of what an EDTF text describes.

use super::day::Day;
use super::edtf::{Edtf, End, Member};
use super::extent::Extent;
use super::span::Shape;

/// Half-open bounds; `None` is open or not known on that side.
///
/// Where both are set: `earliest_start` ≤ `latest_start`, `earliest_end` ≤ `latest_end`, and
/// `earliest_start` < `earliest_end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// It does not start before this day.
    pub earliest_start: Option<Day>,
    /// It starts on this day at the latest.
    pub latest_start: Option<Day>,
    /// It does not end before this day; the day itself is the first one after.
    pub earliest_end: Option<Day>,
    /// It has ended by the start of this day.
    pub latest_end: Option<Day>,
}

impl Bounds {
    /// The bounds of a text under a shape.
    #[must_use]
    pub fn of(edtf: &Edtf, shape: Shape) -> Self {
        match edtf {
            Edtf::Date(date) => Self::of_units(Units::from(date.extent()), shape),
            Edtf::OneOf(members) => Self::of_units(Units::of_set(members), shape),
            Edtf::Interval { start, end } => {
                let extent = |end: &End| end.date().map(|date| date.extent());
                Self::of_interval(extent(start), extent(end), shape)
            }
        }
    }

    /// One unit out of several.
    fn of_units(units: Units, shape: Shape) -> Self {
        match shape {
            Shape::Instant => Self::some_day(units.first_start, units.last_end),
            Shape::Period => Self {
                earliest_start: units.first_start,
                latest_start: units.last_start,
                earliest_end: units.first_end,
                latest_end: units.last_end,
            },
            Shape::Ongoing => Self {
                earliest_start: units.first_start,
                latest_start: units.last_end.map(before),
                earliest_end: units.last_end,
                latest_end: None,
            },
        }
    }

    fn of_interval(start: Option<Extent>, end: Option<Extent>, shape: Shape) -> Self {
        let earliest_start = start.map(|start| start.first_start);
        let latest_end = end.map(|end| end.last_end);
        // The two dates may overlap (2024-05-XX/2024-05-10): it starts before it ends, for a day at least.
        let last_day = latest_end.map(before);
        let start_by = |latest: Option<Day>| latest.into_iter().chain(last_day).min();
        let first_day_over = earliest_start.map(after);
        let end_from = |earliest: Option<Day>| earliest.into_iter().chain(first_day_over).max();
        match (shape, end) {
            (Shape::Instant, _) => Self::some_day(earliest_start, latest_end),
            (Shape::Period, _) => Self {
                earliest_start,
                latest_start: start_by(start.map(|start| start.last_start)),
                earliest_end: end_from(end.map(|end| end.first_end)),
                latest_end,
            },
            // It was still running at the date given as the end.
            (Shape::Ongoing, Some(end)) => Self {
                earliest_start,
                latest_start: start_by(start.map(|start| before(start.last_end))),
                earliest_end: end_from(Some(end.first_end)),
                latest_end: None,
            },
            (Shape::Ongoing, None) => {
                start.map_or_else(Self::default, |start| Self::of_units(Units::from(start), shape))
            }
        }
    }

    /// One day of those from `start` to before `end`.
    fn some_day(start: Option<Day>, end: Option<Day>) -> Self {
        Self {
            earliest_start: start,
            latest_start: end.map(before),
            earliest_end: start.map(after),
            latest_end: end,
        }
    }
}

/// The units of which one is meant, as [`Extent`], with `None` on an open side.
#[derive(Clone, Copy)]
struct Units {
    first_start: Option<Day>,
    last_start: Option<Day>,
    first_end: Option<Day>,
    last_end: Option<Day>,
}

impl From<Extent> for Units {
    fn from(extent: Extent) -> Self {
        Self {
            first_start: Some(extent.first_start),
            last_start: Some(extent.last_start),
            first_end: Some(extent.first_end),
            last_end: Some(extent.last_end),
        }
    }
}

impl Units {
    fn of_set(members: &[Member]) -> Self {
        let opens = members.iter().any(|m| matches!(m, Member::UpTo(_)));
        let goes_on = members.iter().any(|m| matches!(m, Member::From(_)));
        let extents = || members.iter().flat_map(Member::dates).map(|d| d.extent());
        let first = |side: fn(Extent) -> Day| extents().map(side).min().filter(|_| !opens);
        let last = |side: fn(Extent) -> Day| extents().map(side).max().filter(|_| !goes_on);
        Self {
            first_start: first(|extent| extent.first_start),
            last_start: last(|extent| extent.last_start),
            first_end: first(|extent| extent.first_end),
            last_end: last(|extent| extent.last_end),
        }
    }
}

const fn before(day: Day) -> Day {
    day.plus_days(-1)
}

const fn after(day: Day) -> Day {
    day.plus_days(1)
}

#[cfg(test)]
mod tests;
