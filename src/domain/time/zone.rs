//! Time zones by IANA name, from the database that is compiled in.
//!
//! The database of the machine is never read, so that the same text gives the same moment everywhere.

use std::sync::{LazyLock, OnceLock};

use ahash::HashMap;
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

/// A time zone of the database.
#[derive(Clone, Copy, Debug)]
pub struct Zone {
    name: &'static str,
    /// Nothing for coordinated universal time, which needs none.
    rules: Option<&'static TimeZone>,
}

/// Every zone by its name as the database writes it, parsed when it is first asked for. An event names several, and the
/// database looks through its names in any letter case, behind a lock.
static ZONES: LazyLock<HashMap<String, OnceLock<Option<TimeZone>>>> = LazyLock::new(|| {
    let database = TimeZoneDatabase::bundled();
    database.available().map(|name| (name.as_str().to_owned(), OnceLock::new())).collect()
});

/// Asks the database, which takes a name in any letter case.
fn parse(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self { name: "UTC", rules: None };

    /// Gives the IANA name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Finds a zone by its IANA name, in the letter case of the database; the empty name is UTC.
    ///
    /// # Errors
    /// [`ZoneError`] when the database has no such name.
    pub fn find(name: &str) -> Result<Self, ZoneError> {
        if name.is_empty() || name == "UTC" {
            return Ok(Self::UTC);
        }
        if let Some((name, rules)) = ZONES.get_key_value(name) {
            let rules = rules.get_or_init(|| parse(name).filter(|zone| zone.iana_name() == Some(name)));
            return rules.as_ref().map(|rules| Self { name, rules: Some(rules) }).ok_or(ZoneError::Unknown);
        }
        match parse(name).as_ref().and_then(TimeZone::iana_name) {
            Some(canonical) if canonical != name => {
                Err(ZoneError::Spelling { canonical: canonical.to_owned() })
            }
            Some(_) | None => Err(ZoneError::Unknown),
        }
    }

    /// The moment at which clocks show `second` seconds after midnight (0–86,399) on `day`.
    ///
    /// A time that clocks skip counts as that much later, a time that they show twice as the first
    /// (RFC 5545 section 3.3.5). `None` where the moment cannot be told: outside years ±9999.
    #[must_use]
    pub fn moment(self, day: Day, second: u32) -> Option<Timestamp> {
        match self.rules {
            None => moment_at_offset(day, second, 0),
            Some(rules) => {
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
                let moment = rules.to_timestamp(clock).ok()?;
                Some(Timestamp(moment.as_microsecond()))
            }
        }
    }

    /// The first moment of a day; `None` when the year is outside ±9999.
    #[must_use]
    pub fn day_start(self, day: Day) -> Option<Timestamp> {
        self.moment(day, 0)
    }
}

impl PartialEq for Zone {
    /// By name: two names of the same rules are written differently.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

/// The moment at which clocks `offset` seconds ahead of UTC show `second` seconds after midnight.
#[must_use]
pub fn moment_at_offset(day: Day, second: u32, offset: i32) -> Option<Timestamp> {
    let seconds = i64::from(day.number()) * SECONDS_PER_DAY + i64::from(second) - i64::from(offset);
    seconds.checked_mul(MICROS_PER_SECOND).map(Timestamp)
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
            Zone::find(zone).unwrap().day_start(day(date.0, date.1, date.2)),
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
            "Mars/Olympus",
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
    fn every_zone_of_the_database_is_found_by_the_name_it_has_there() {
        let database = TimeZoneDatabase::bundled();
        for name in database.available().map(|name| name.as_str().to_owned()) {
            match (database.get(&name), Zone::find(&name)) {
                (Ok(expected), Ok(found)) => {
                    assert_eq!(found.name(), name);
                    // Coordinated universal time has no rules.
                    assert_eq!(found.rules, Some(&expected).filter(|_| found != Zone::UTC), "{name}");
                }
                // It says what it is for, and is no zone.
                (found, Err(ZoneError::Unknown)) => {
                    assert!(name == "Etc/Unknown" || found.is_err(), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        assert!(ZONES.len() > 500);
    }

    #[test]
    fn moments_out_of_reach_are_none() {
        assert_eq!(Zone::UTC.day_start(Day::from_number(i32::MAX)), None);
        let past_end = day(9999, 12, 31).plus_days(1);
        assert_eq!(Zone::find("Europe/Tirane").unwrap().day_start(past_end), None);
    }

    proptest! {
        #[test]
        fn the_start_of_a_day_is_in_it(number in -4_371_587..=2_932_896_i32) {
            let day = Day::from_number(number);
            let start = Zone::UTC.day_start(day).unwrap();
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
