//! Days as numbers, and as the dates that clients see.

use crate::domain::{Bounds, Day};
use crate::pb::google::r#type::Date;

/// Gives the number of a date; nothing where it is no full date.
#[must_use]
pub fn day_number(date: &Date) -> Option<i32> {
    let (month, day) = (u32::try_from(date.month).ok()?, u32::try_from(date.day).ok()?);
    Day::from_civil(date.year, month, day).map(Day::number)
}

/// Writes the day of a number; nothing for an open bound, or beyond the years of the API.
#[must_use]
pub fn date_of(number: i32) -> Option<Date> {
    if number == Bounds::OPEN_START || number == Bounds::OPEN_END {
        return None;
    }
    let (year, month, day) = Day::from_number(number).to_civil()?;
    Some(Date { year: year.into(), month: month.into(), day: day.into() })
}
