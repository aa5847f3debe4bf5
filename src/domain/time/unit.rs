//! Calendar units, for counting days by week, month and so on.

use super::day::Day;

/// A unit that divides the calendar without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CalendarUnit {
    /// One day.
    Day,
    /// Monday to Sunday (ISO 8601-1).
    Week,
    /// A calendar month.
    Month,
    /// Three months from January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
    /// Ten years from one that is divisible by ten.
    Decade,
}

impl CalendarUnit {
    /// The first day of the unit that holds `day`.
    ///
    /// The first week and the first decade begin before -9999-01-01: that start has a number but no date.
    #[must_use]
    pub fn start_of(self, day: Day) -> Day {
        let (year, month, _) = day.civil();
        match self {
            Self::Day => day,
            Self::Week => day.plus_days(-days_since_monday(day)),
            Self::Month => Day::first_of(year, month),
            Self::Quarter => Day::first_of(year, quarter_start(month)),
            Self::Year => Day::first_of(year, 1),
            Self::Decade => Day::first_of(decade_start(year), 1),
        }
    }

    /// The first day of the unit after the one that holds `day`.
    #[must_use]
    pub fn next(self, day: Day) -> Day {
        let (year, month, _) = day.civil();
        match self {
            Self::Day => day.plus_days(1),
            Self::Week => self.start_of(day).plus_days(7),
            Self::Month => first_after(year, month, 1),
            Self::Quarter => first_after(year, quarter_start(month), 3),
            Self::Year => Day::first_of(year + 1, 1),
            Self::Decade => Day::first_of(decade_start(year) + 10, 1),
        }
    }
}

/// The first day `count` months, at most 12, after the start of a month.
pub(super) fn first_after(year: i32, month: i32, count: i32) -> Day {
    let month = month + count;
    if month > 12 { Day::first_of(year + 1, month - 12) } else { Day::first_of(year, month) }
}

/// Day 0 was a Thursday.
const fn days_since_monday(day: Day) -> i32 {
    (day.number().rem_euclid(7) + 3) % 7
}

const fn quarter_start(month: i32) -> i32 {
    (month - 1) / 3 * 3 + 1
}

const fn decade_start(year: i32) -> i32 {
    year.div_euclid(10) * 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UNITS: [CalendarUnit; 6] = [
        CalendarUnit::Day,
        CalendarUnit::Week,
        CalendarUnit::Month,
        CalendarUnit::Quarter,
        CalendarUnit::Year,
        CalendarUnit::Decade,
    ];

    fn check(unit: CalendarUnit, date: (i32, u32, u32), start: &str, next: &str) {
        let day = Day::from_civil(date.0, date.1, date.2).unwrap();
        assert_eq!(unit.start_of(day).to_string(), start, "{unit:?} of {day}");
        assert_eq!(unit.next(day).to_string(), next, "{unit:?} after {day}");
    }

    #[test]
    fn units_begin_where_the_calendar_says() {
        let day = (2024, 12, 31);
        check(CalendarUnit::Day, day, "2024-12-31", "2025-01-01");
        check(CalendarUnit::Week, day, "2024-12-30", "2025-01-06");
        check(CalendarUnit::Month, day, "2024-12-01", "2025-01-01");
        check(CalendarUnit::Quarter, day, "2024-10-01", "2025-01-01");
        check(CalendarUnit::Year, day, "2024-01-01", "2025-01-01");
        check(CalendarUnit::Decade, day, "2020-01-01", "2030-01-01");
        check(CalendarUnit::Week, (1969, 12, 29), "1969-12-29", "1970-01-05");
        check(CalendarUnit::Week, (1970, 1, 1), "1969-12-29", "1970-01-05");
        check(CalendarUnit::Quarter, (2024, 5, 31), "2024-04-01", "2024-07-01");
        check(CalendarUnit::Decade, (-1, 5, 1), "-0010-01-01", "0000-01-01");
        check(CalendarUnit::Decade, (9999, 5, 1), "9990-01-01", "10000-01-01");
    }

    #[test]
    fn extreme_numbers_do_not_overflow() {
        for unit in UNITS {
            for number in [i32::MIN, i32::MAX] {
                let day = Day::from_number(number);
                assert!(unit.start_of(day) <= day);
                assert!(unit.next(day) >= day);
            }
        }
    }

    proptest! {
        #[test]
        fn units_follow_each_other(number in -4_371_587..=2_932_896_i32) {
            let day = Day::from_number(number);
            for unit in UNITS {
                let (start, next) = (unit.start_of(day), unit.next(day));
                prop_assert!(start <= day && day < next);
                prop_assert_eq!(unit.start_of(next), next);
                prop_assert_eq!(unit.start_of(next.plus_days(-1)), start);
                prop_assert_eq!(unit.next(start), next);
            }
        }
    }
}
