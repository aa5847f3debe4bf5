//! What follows from EDTF texts.

use super::edtf::EdtfReason as R;
use super::*;
use crate::domain::Timestamp;

/// Reads a text that is right.
pub(super) fn span(edtf: &str, shape: Shape) -> TimeSpan {
    TimeSpan::parse(edtf, "", Some(shape), Shape::Instant).unwrap_or_else(|errors| panic!("{edtf}: {errors}"))
}

/// Reads a date; `..` is `None`.
pub(super) fn day(text: &str) -> Option<Day> {
    (text != "..").then(|| {
        let (date, sign) = text.strip_prefix('-').map_or((text, 1), |rest| (rest, -1));
        let parts: Vec<i32> = date.split('-').map(|part| part.parse().unwrap()).collect();
        if parts[0] == 10_000 {
            return Day::from_civil(9999, 12, 31).unwrap().plus_days(1);
        }
        let unsigned = |part: i32| u32::try_from(part).unwrap();
        Day::from_civil(parts[0] * sign, unsigned(parts[1]), unsigned(parts[2])).unwrap()
    })
}

#[test]
fn moments_are_in_order_and_within_timestamps() {
    let check = |edtf: &str, zone: &str, expected: Option<(usize, R)>| {
        let expected =
            expected.map(|(offset, reason)| TimeSpanErrors(vec![TimeSpanError::Edtf { offset, reason }]));
        let errors = TimeSpan::parse(edtf, zone, None, Shape::Instant).err();
        assert_eq!(errors, expected, "{edtf} {zone}");
    };
    let (order, range) = (R::EndBeforeStart, R::MomentRange);
    check("2024-05-01T12:00/2024-05-01T12:00", "", None);
    check("2024-05-01T12:00/2024-05-01T11:59", "", Some((17, order)));
    check("2024-05-01T12:00Z/2024-05-01T13:00", "Europe/Paris", Some((18, order)));
    check("2024-05-01T13:00+03:00/2024-05-01T12:00+02:00", "", None);
    check("0001-01-01T00:00", "", None);
    check("0001-01-01T00:00+01:00", "", Some((0, range)));
    check("-0043-03-15T12:00", "", Some((0, range)));
    check("9999-12-31T23:59:59", "", None);
    check("9999/9999-12-31T23:00-01:00", "", Some((5, range)));
    check("9999-12-31T23:00", "America/New_York", Some((0, range)));
}

#[test]
fn text_and_zone_are_both_reported() {
    let errors = TimeSpan::parse("2024-13", "Europe/Nowhere", None, Shape::Instant).unwrap_err();
    assert_eq!(
        errors.0,
        [TimeSpanError::Edtf { offset: 5, reason: R::Month }, TimeSpanError::Zone(ZoneError::Unknown),]
    );
    assert_eq!(
        errors.to_string(),
        "must be a month 01 to 12, a season 21 to 24 or a quarter 33 to 36, at byte 5; \
         must be an IANA time zone name, for example Europe/Tirane or UTC"
    );
    let errors = TimeSpan::parse("2024", "europe/paris", None, Shape::Instant).unwrap_err();
    assert_eq!(errors.to_string(), "must be written Europe/Paris");
}

#[test]
fn the_text_tells_the_shape_or_the_default_does() {
    let shape = |edtf, default| {
        TimeSpan::parse(edtf, "", None, default).unwrap_or_else(|errors| panic!("{edtf}: {errors}")).shape
    };
    let told = [
        ("2024-05-01", Shape::Instant),
        ("2024-05-01?", Shape::Instant),
        ("2024-05-01T10:00", Shape::Instant),
        ("2024-05-01T10:00:00Z", Shape::Instant),
        ("2024/..", Shape::Ongoing),
        ("../..", Shape::Ongoing),
        ("2024/", Shape::Period),
        ("../2024", Shape::Period),
        ("/2024", Shape::Period),
        ("2024-05-01/2024-05-01", Shape::Period),
    ];
    for (edtf, expected) in told {
        for default in [Shape::Instant, Shape::Period] {
            assert_eq!(shape(edtf, default), expected, "{edtf}");
        }
    }
    for edtf in ["2024-05", "2024", "2024-21", "2024-33", "202X", "2024-05-XX", "[2024-05-01]"] {
        for default in [Shape::Instant, Shape::Period] {
            assert_eq!(shape(edtf, default), default, "{edtf}");
        }
    }
}

#[test]
fn the_coarsest_date_gives_the_precision_and_any_mark_counts() {
    let table = [
        ("2024-05-01T10:00:00", Precision::Second, false, false),
        ("2024-05-01T10:00", Precision::Minute, false, false),
        ("2024-05-01", Precision::Day, false, false),
        ("2024-05", Precision::Month, false, false),
        ("2024-05-XX", Precision::Month, false, false),
        ("2024-36", Precision::Quarter, false, false),
        ("2024-22", Precision::Season, true, false),
        ("2024", Precision::Year, false, false),
        ("2024-XX", Precision::Year, false, false),
        ("2024-XX-XX", Precision::Year, false, false),
        ("202X", Precision::Decade, false, false),
        ("20XX", Precision::Century, false, false),
        ("2024~", Precision::Year, true, false),
        ("2024-05?", Precision::Month, false, true),
        ("2024-05-01%", Precision::Day, true, true),
        ("202X?", Precision::Decade, false, true),
        ("Y2024~", Precision::Year, true, false),
        ("2024-05-01/2024", Precision::Year, false, false),
        ("2024/2024-05-01", Precision::Year, false, false),
        ("2024-05-01?/2024-06-01~", Precision::Day, true, true),
        ("../2024-05?", Precision::Month, false, true),
        ("2024-05~/..", Precision::Month, true, false),
        ("../..", Precision::Century, false, false),
        ("[2024-05-01,2024-06..]", Precision::Month, false, false),
        ("[2023..2024-05?]", Precision::Year, false, true),
    ];
    for (edtf, precision, approximate, uncertain) in table {
        let span = span(edtf, Shape::Instant);
        assert_eq!(
            (span.precision, span.approximate, span.uncertain),
            (precision, approximate, uncertain),
            "{edtf}"
        );
    }
}

fn moment(utc: &str) -> Timestamp {
    Timestamp(utc.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

#[test]
fn a_time_of_day_gives_a_moment() {
    let check = |edtf: &str, zone: &str, start: Option<&str>, end: Option<&str>| {
        let span = TimeSpan::parse(edtf, zone, None, Shape::Instant).unwrap();
        let expected = (start.map(moment), end.map(moment));
        assert_eq!((span.start_instant, span.end_instant), expected, "{edtf}");
    };
    let (ten, noon) = (Some("2024-05-01T10:00:00Z"), Some("2024-05-01T12:30:05Z"));
    check("2024-05-01", "", None, None);
    check("2024-05-01T10:00Z", "Europe/Tirane", ten, None);
    check("2024-05-01T10:00", "", ten, None);
    check("2024-05-01T12:00", "Europe/Tirane", ten, None);
    check("2024-05-01T12:00:00+02:00", "", ten, None);
    check("2024-05-01T05:30-04:30", "", ten, None);
    check("2024-05-01T06:00-04", "", ten, None);
    check("2024-05-01T10:00/2024-05-01T12:30:05", "", ten, noon);
    check("2024-05-01/2024-05-01T14:30:05", "Europe/Tirane", None, noon);
    check("2024-05-01T10:00/2024-05-01", "", ten, None);
    check("2024-05-01T10:00/..", "", ten, None);
    check("../2024-05-01T12:30:05", "", None, noon);
    check("0001-01-01T00:00", "", Some("0001-01-01T00:00:00Z"), None);
    // 02:30 does not exist on the first day and exists twice on the second (RFC 5545).
    check("2024-03-31T02:30", "Europe/Paris", Some("2024-03-31T01:30:00Z"), None);
    check("2024-10-27T02:30", "Europe/Paris", Some("2024-10-27T00:30:00Z"), None);
}

#[test]
fn a_publication_is_known_from_its_latest_day() {
    let check = |edtf: &str, zone: &str, utc: Option<&str>| {
        let span = TimeSpan::parse(edtf, zone, None, Shape::Instant).unwrap();
        assert_eq!(span.known_from(), utc.map(moment), "{edtf} {zone}");
    };
    check("2024-05-01", "", Some("2024-05-01T00:00:00Z"));
    check("2024-05-01", "Europe/Tirane", Some("2024-04-30T22:00:00Z"));
    check("2024-05-01T10:20", "", Some("2024-05-01T10:20:00Z"));
    check("2024-05", "", Some("2024-05-31T00:00:00Z"));
    check("202X", "", Some("2029-12-31T00:00:00Z"));
    check("[..2024-05]", "", Some("2024-05-31T00:00:00Z"));
    check("[2024-05..]", "", None);
}

#[test]
fn windows_exclude_their_end() {
    let check = |edtf: &str, window: &str, may: bool, must: bool| {
        let span = span(edtf, Shape::Period);
        let (from, to) = window.split_once(' ').unwrap();
        let (from, to) = (day(from), day(to));
        assert_eq!(span.may_overlap(from, to), may, "may {edtf} {window}");
        assert_eq!(span.must_lie_within(from, to), must, "must {edtf} {window}");
    };
    check("2024-05", "2024-05-01 2024-06-01", true, true);
    check("2024-05", "2024-05-02 2024-06-01", true, false);
    check("2024-05", "2024-05-01 2024-05-31", true, false);
    check("2024-05", "2024-06-01 2024-07-01", false, false);
    check("2024-05", "2024-04-01 2024-05-01", false, false);
    check("2024-05", "2024-05-31 2024-07-01", true, false);
    check("2024-05", "2024-04-01 2024-05-02", true, false);
    check("2024-05", ".. ..", true, true);
    check("2024-05", "2024-05-01 ..", true, true);
    check("2024-05", ".. 2024-05-31", true, false);
    check("2024-05~", "2024-05-01 2024-06-01", true, false);
    check("2024-05?", ".. ..", true, false);
    check("2024-21", "2024-01-01 2025-01-01", true, false);
    check("2024-05/..", "2030-01-01 2031-01-01", true, false);
    check("2024-05/..", "2024-05-01 ..", true, true);
    check("2024-05/..", ".. 2024-05-01", false, false);
    check("../2024-05", "2020-01-01 2024-06-01", true, false);
    check("../2024-05", ".. 2024-06-01", true, true);
    check("../2024-05", "2024-06-01 ..", false, false);
    check("../..", "2024-01-01 2024-01-02", true, false);
    check("../..", ".. ..", true, true);
}

#[test]
fn only_exact_periods_have_a_length() {
    let check = |edtf: &str, shape: Shape, days: Option<i32>| {
        assert_eq!(span(edtf, shape).length_days(), days, "{edtf} {shape:?}");
    };
    check("2023-01-01/2023-11-29", Shape::Period, Some(333));
    check("2024", Shape::Period, Some(366));
    check("2024-05-01", Shape::Period, Some(1));
    check("-9999/9999", Shape::Period, Some(7_304_484));
    check("2024", Shape::Instant, None);
    check("2024-05-01", Shape::Instant, None);
    check("2024", Shape::Ongoing, None);
    check("2024~", Shape::Period, None);
    check("2024-21", Shape::Period, None);
    check("202X", Shape::Period, None);
    check("2024-05-XX/2024-06-10", Shape::Period, None);
    check("2024-05-10/2024-05-XX", Shape::Period, None);
    check("2024/..", Shape::Period, None);
    check("[2023,2024]", Shape::Period, None);
}

#[test]
fn an_empty_zone_is_utc() {
    assert_eq!(span("2024", Shape::Instant).time_zone, Zone::UTC);
    let named = TimeSpan::parse("2024", "Asia/Tokyo", None, Shape::Instant).unwrap();
    assert_eq!(named.time_zone.name(), "Asia/Tokyo");
}
