//! Time zones by IANA name, from the database that is compiled in.
//!
//! The database of the machine is never read, so that the same text gives the same moment everywhere.

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::day::Day;
use crate::domain::Timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Says why a text is not the name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// No zone has this name. Offsets and POSIX rules are not names.
    #[error("must be an IANA time zone name, for example Europe/Tirane or UTC")]
    Unknown,
    /// The letter case differs from that of the database.
    #[error("must be written {canonical}")]
    Spelling {
        /// The name as the database writes it.
        canonical: String,
    },
}

/// A time zone.
#[derive(Clone, Debug)]
pub enum Zone {
    /// Coordinated universal time, kept apart because it needs no look-up.
    Utc,
    /// Any other zone of the database.
    Named(TimeZone),
}

impl Zone {
    /// Finds a zone by its IANA name, in the letter case of the database; the empty name is UTC.
    ///
    /// # Errors
    /// [`ZoneError`] when the database has no such name.
    pub fn find(name: &str) -> Result<Self, ZoneError> {
        if name.is_empty() || name == "UTC" {
            return Ok(Self::Utc);
        }
        // The database keeps zones it has parsed once.
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| ZoneError::Unknown)?;
        match zone.iana_name() {
            Some(canonical) if canonical == name => Ok(Self::Named(zone)),
            Some(canonical) => Err(ZoneError::Spelling { canonical: canonical.to_owned() }),
            None => Err(ZoneError::Unknown),
        }
    }

    /// The moment at which clocks show `second` seconds after midnight (0–86,399) on `day`.
    ///
    /// A time that clocks skip counts as that much later, a time that they show twice as the first
    /// (RFC 5545 section 3.3.5). `None` where the moment cannot be told: outside years ±9999.
    #[must_use]
    pub fn moment(&self, day: Day, second: u32) -> Option<Timestamp> {
        match self {
            Self::Utc => moment_at_offset(day, second, 0),
            Self::Named(zone) => {
                let (year, month, dom) = day.to_civil()?;
                let part = |value: u32| i8::try_from(value).ok();
                let clock = DateTime::new(
                    year,
                    i8::try_from(month).ok()?,
                    i8::try_from(dom).ok()?,
                    part(second / 3600)?,
                    part(second / 60 % 60)?,
                    part(second % 60)?,
                    0,
                )
                .ok()?;
                let moment = zone.to_timestamp(clock).ok()?;
                Some(Timestamp(moment.as_microsecond()))
            }
        }
    }
}

/// The moment at which clocks `offset` seconds ahead of UTC show `second` seconds after midnight.
#[must_use]
pub fn moment_at_offset(day: Day, second: u32, offset: i32) -> Option<Timestamp> {
    let seconds = i64::from(day.number()) * SECONDS_PER_DAY + i64::from(second) - i64::from(offset);
    seconds.checked_mul(MICROS_PER_SECOND).map(Timestamp)
}

/// The first moment of a day in a zone; `None` when the zone is unknown or the year is outside ±9999.
#[must_use]
pub fn day_start(day: Day, zone: &str) -> Option<Timestamp> {
    Zone::find(zone).ok()?.moment(day, 0)
}

/// The day of a moment in UTC.
#[must_use]
pub fn day_of(moment: Timestamp) -> Day {
    let number = moment.0.div_euclid(SECONDS_PER_DAY * MICROS_PER_SECOND);
    // All of i64 in microseconds is less than i32 in days; the limits are never taken.
    let limit = if number < 0 { i32::MIN } else { i32::MAX };
    Day::from_number(i32::try_from(number).unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(year: i32, month: u32, dom: u32) -> Day {
        Day::from_civil(year, month, dom).unwrap()
    }

    fn check_start(date: (i32, u32, u32), zone: &str, utc: &str) {
        let expected: jiff::Timestamp = utc.parse().unwrap();
        assert_eq!(
            day_start(day(date.0, date.1, date.2), zone),
            Some(Timestamp(expected.as_microsecond())),
            "{date:?} {zone}"
        );
    }

    #[test]
    fn days_start_at_midnight_or_when_clocks_have_jumped() {
        check_start((2024, 5, 1), "", "2024-05-01T00:00:00Z");
        check_start((2024, 5, 1), "UTC", "2024-05-01T00:00:00Z");
        check_start((2024, 5, 1), "Etc/UTC", "2024-05-01T00:00:00Z");
        check_start((2024, 5, 1), "Europe/Tirane", "2024-04-30T22:00:00Z");
        check_start((2024, 1, 1), "Europe/Tirane", "2023-12-31T23:00:00Z");
        check_start((2024, 1, 1), "America/New_York", "2024-01-01T05:00:00Z");
        // Clocks in São Paulo went from 23:59:59 to 01:00:00.
        check_start((2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00:00Z");
        // Clocks in Havana showed 00:00 to 01:00 twice.
        check_start((2024, 11, 3), "America/Havana", "2024-11-03T04:00:00Z");
    }

    #[test]
    fn only_names_of_the_database_are_zones() {
        let unknown = [
            "Europe/Nowhere",
            "+02:00",
            "UTC+2",
            "EST5EDT,M3.2.0,M11.1.0",
            "Etc/Unknown",
            " UTC",
            "Europe/Tirane ",
            ":",
            "localtime",
            "../zone.tab",
        ];
        for name in unknown {
            assert_eq!(Zone::find(name).err(), Some(ZoneError::Unknown), "{name}");
        }
        for (name, canonical) in [("utc", "UTC"), ("europe/tirane", "Europe/Tirane")] {
            assert_eq!(Zone::find(name).err(), Some(ZoneError::Spelling { canonical: canonical.to_owned() }));
        }
        for name in ["Europe/Kyiv", "Europe/Kiev", "Asia/Kathmandu", "Etc/GMT-3"] {
            assert!(Zone::find(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn moments_out_of_reach_are_none() {
        assert_eq!(day_start(Day::from_number(i32::MAX), "UTC"), None);
        assert_eq!(day_start(day(2024, 1, 1), "Mars/Olympus"), None);
        let past_end = day(9999, 12, 31).plus_days(1);
        assert_eq!(day_start(past_end, "Europe/Tirane"), None);
    }

    proptest! {
        #[test]
        fn the_start_of_a_day_is_in_it(number in -4_371_587..=2_932_896_i32) {
            let day = Day::from_number(number);
            let start = day_start(day, "UTC").unwrap();
            prop_assert_eq!(day_of(start), day);
            prop_assert_eq!(day_of(start.plus_micros(-1)), day.plus_days(-1));
        }

        #[test]
        fn every_moment_has_a_day(micros: i64) {
            let start = i128::from(day_of(Timestamp(micros)).number()) * 86_400_000_000;
            prop_assert!((start..start + 86_400_000_000).contains(&i128::from(micros)));
        }
    }
}
