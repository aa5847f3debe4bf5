//! Civil days as numbers.

use std::fmt;

/// Days in 400 Gregorian years, after which the calendar repeats.
const DAYS_PER_ERA: i32 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const MARCH_YEAR_ZERO_TO_EPOCH: i32 = 719_468;

/// A civil day of the proleptic Gregorian calendar, as a number: 0 is 1970-01-01.
///
/// Dates reach from -9999-01-01 to 9999-12-31; the day after the last one exists as a number, because
/// ends of intervals are exclusive. Year 0 is 1 BC (ISO 8601-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(i32);

impl Day {
    /// Finds the day of a date; `None` when there is no such date from -9999-01-01 to 9999-12-31.
    #[must_use]
    pub fn from_civil(year: i32, month: u32, day: u32) -> Option<Self> {
        let month = i32::try_from(month).ok()?;
        let day = i32::try_from(day).ok()?;
        let valid = (-9999..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        valid.then(|| Self::first_of(year, month).plus_days(day - 1))
    }

    /// The date as year, month 1–12 and day 1–31; `None` outside -9999-01-01 to 9999-12-31.
    #[must_use]
    pub fn to_civil(self) -> Option<(i16, u8, u8)> {
        let (year, month, day) = self.civil();
        if !(-9999..=9999).contains(&year) {
            return None;
        }
        Some((i16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?))
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The day `number` days after 1970-01-01.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The day `days` later, or earlier when negative; stops at the ends of the number range.
    #[must_use]
    pub const fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The first day of a month, 1–12, of any year; stops at the ends of the number range.
    #[must_use]
    pub(super) fn first_of(year: i32, month: i32) -> Self {
        // A year that begins in March has its leap day, if any, at its end.
        let march_year = i64::from(if month > 2 { year } else { year.saturating_sub(1) });
        let leap_days = march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
        let number = march_year * 365 + leap_days + i64::from(days_before_month(month))
            - i64::from(MARCH_YEAR_ZERO_TO_EPOCH);
        let limit = if number < 0 { i32::MIN } else { i32::MAX };
        Self(i32::try_from(number).unwrap_or(limit))
    }

    /// Year, month 1–12 and day 1–31 of any number.
    #[must_use]
    pub(super) const fn civil(self) -> (i32, i32, i32) {
        // Whole eras are taken off first, so that the shift to March of year 0 cannot overflow.
        let days = self.0.rem_euclid(DAYS_PER_ERA) + MARCH_YEAR_ZERO_TO_EPOCH;
        let era = self.0.div_euclid(DAYS_PER_ERA) + days / DAYS_PER_ERA;
        let day_of_era = days % DAYS_PER_ERA;
        // Takes away the leap days before this day: one in 4 years, none in 100, one in 400.
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / (DAYS_PER_ERA - 1)) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months_from_march = (5 * day_of_year + 2) / 153;
        let month = (months_from_march + 2) % 12 + 1;
        let day = day_of_year - (153 * months_from_march + 2) / 5 + 1;
        let january_or_february = if month <= 2 { 1 } else { 0 };
        (era * 400 + year_of_era + january_or_february, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
    }
}

/// Days from 1 March to the first day of a month, 1–12: five months from March have 153 days.
const fn days_before_month(month: i32) -> i32 {
    (153 * ((month + 9) % 12) + 2) / 5
}

/// Number of days of a month, 1–12.
pub(super) const fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(year: i32, month: u32, day: u32, number: Option<i32>) {
        let found = Day::from_civil(year, month, day);
        assert_eq!(found.map(Day::number), number, "{year}-{month}-{day}");
        if let Some((y, m, d)) = found.and_then(Day::to_civil) {
            assert_eq!((i32::from(y), u32::from(m), u32::from(d)), (year, month, day));
        }
    }

    #[test]
    fn dates_have_numbers() {
        check(1970, 1, 1, Some(0));
        check(1969, 12, 31, Some(-1));
        check(2000, 2, 29, Some(11_016));
        check(2000, 3, 1, Some(11_017));
        check(1600, 2, 29, Some(-135_081));
        check(-9999, 1, 1, Some(-4_371_587));
        check(9999, 12, 31, Some(2_932_896));
        check(1900, 2, 29, None);
        check(2023, 2, 29, None);
        check(2024, 0, 1, None);
        check(2024, 13, 1, None);
        check(2024, 4, 31, None);
        check(2024, 4, 0, None);
        check(10_000, 1, 1, None);
        check(-10_000, 12, 31, None);
        check(2024, u32::MAX, 1, None);
    }

    #[test]
    fn the_day_past_the_last_date_is_a_number_only() {
        let end = Day::from_civil(9999, 12, 31).unwrap().plus_days(1);
        assert_eq!(end.to_civil(), None);
        assert_eq!(end.to_string(), "10000-01-01");
        let before = Day::from_civil(-9999, 1, 1).unwrap().plus_days(-1);
        assert_eq!(before.to_civil(), None);
    }

    #[test]
    fn days_are_written_as_dates() {
        let written = |y, m, d| Day::from_civil(y, m, d).unwrap().to_string();
        assert_eq!(written(2024, 5, 1), "2024-05-01");
        assert_eq!(written(-43, 3, 15), "-0043-03-15");
        assert_eq!(written(0, 1, 1), "0000-01-01");
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Day(i32::MAX).plus_days(1).number(), i32::MAX);
        assert_eq!(Day(i32::MIN).plus_days(-1).number(), i32::MIN);
        assert!(Day(i32::MAX).civil().0 > 5_000_000);
        assert!(Day(i32::MIN).civil().0 < -5_000_000);
    }

    proptest! {
        #[test]
        fn dates_come_back(number in -4_371_587..=2_932_896_i32) {
            let day = Day::from_number(number);
            let (year, month, dom) = day.to_civil().unwrap();
            prop_assert_eq!(
                Day::from_civil(i32::from(year), u32::from(month), u32::from(dom)),
                Some(day)
            );
        }

        #[test]
        fn numbers_agree_with_another_calendar(number in -4_371_587..=2_932_896_i32) {
            let other = jiff::civil::date(1970, 1, 1)
                .checked_add(jiff::SignedDuration::from_hours(i64::from(number) * 24))
                .unwrap();
            let (year, month, day) = Day::from_number(number).to_civil().unwrap();
            prop_assert_eq!(
                (i64::from(year), i64::from(month), i64::from(day)),
                (i64::from(other.year()), i64::from(other.month()), i64::from(other.day()))
            );
        }
    }
}
