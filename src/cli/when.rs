//! Moments on the command line.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use prost_types::Timestamp;

/// Reads a moment: an RFC 3339 time with its offset, or a day, which means the end of that day in UTC, so that
/// "as known on a day" holds all that became known on it.
///
/// # Errors
/// A sentence with examples, when the text is neither.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    let moment = if text.len() == "2023-06-01".len() {
        text.parse::<Date>().and_then(end_of_day)
    } else {
        text.parse::<jiff::Timestamp>()
    };
    let moment = moment
        .map_err(|_| "must be a day such as 2023-06-01, or a time such as 2023-06-01T12:00:00Z".to_owned())?;
    Ok(to_proto(moment))
}

/// Protobuf counts nanoseconds forwards, also before 1970; jiff counts them away from it.
fn to_proto(moment: jiff::Timestamp) -> Timestamp {
    let (seconds, nanos) = (moment.as_second(), moment.subsec_nanosecond());
    if nanos < 0 {
        Timestamp { seconds: seconds - 1, nanos: nanos + 1_000_000_000 }
    } else {
        Timestamp { seconds, nanos }
    }
}

/// Gives the last microsecond of the day: the log keeps microseconds.
fn end_of_day(day: Date) -> Result<jiff::Timestamp, jiff::Error> {
    let end = day.at(23, 59, 59, 999_999_000);
    TimeZone::UTC.to_timestamp(end)
}

/// Writes a moment in UTC as RFC 3339, whole days as the day alone.
#[must_use]
pub fn format(moment: &Timestamp) -> String {
    let Ok(time) = jiff::Timestamp::new(moment.seconds, moment.nanos) else {
        return format!("{}s", moment.seconds);
    };
    let text = time.to_string();
    match text.strip_suffix("T00:00:00Z") {
        Some(day) => day.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        fn check(text: &str, seconds: i64, nanos: i32) {
            assert_eq!(parse(text), Ok(Timestamp { seconds, nanos }), "{text}");
        }
        check("1970-01-01", 86_399, 999_999_000);
        check("2023-06-01", 1_685_663_999, 999_999_000);
        check("2023-06-01T00:00:00Z", 1_685_577_600, 0);
        check("2023-06-01T02:00:00.5+02:00", 1_685_577_600, 500_000_000);
        check("1969-12-31", -1, 999_999_000);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "2023", "2023-06", "2023-02-30", "yesterday", "2023-06-01T00:00:00", "01/06/2023"] {
            assert!(parse(text).unwrap_err().contains("2023-06-01T12:00:00Z"), "{text}");
        }
    }

    #[test]
    fn moments_are_written_short() {
        fn check(seconds: i64, nanos: i32, expected: &str) {
            assert_eq!(format(&Timestamp { seconds, nanos }), expected);
        }
        check(1_685_577_600, 0, "2023-06-01");
        check(1_685_577_601, 0, "2023-06-01T00:00:01Z");
        check(0, 1_000, "1970-01-01T00:00:00.000001Z");
        check(i64::MAX, 0, "9223372036854775807s");
    }
}
