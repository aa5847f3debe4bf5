//! Checks that every field of a kind shares: text, numbers of enums, dates, moments, structs.

use prost_types::value::Kind;
use prost_types::{Struct, Timestamp as Moment};

use crate::domain::text::{TextRule, check_text};
use crate::domain::{Day, Findings, Timestamp};
use crate::pb::google::r#type::Date;

/// Longest identifier, in characters.
pub const ID_CHARS_MAX: usize = 200;
/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest text of any other field, in characters.
pub const TEXT_CHARS_MAX: usize = 4_000;
/// Deepest nesting of a struct.
pub const STRUCT_DEPTH_MAX: usize = 16;

/// Checks a text of one line.
pub fn line(findings: &mut Findings, field: &'static str, text: &str, max_chars: usize) {
    check(findings, field, text, TextRule { min_chars: 0, max_chars, multiline: false });
}

/// Checks a text of one line that must not be empty.
pub fn required_line(findings: &mut Findings, field: &'static str, text: &str, max_chars: usize) {
    if text.is_empty() {
        findings.violation_at(field, "must be set");
    } else {
        line(findings, field, text, max_chars);
    }
}

/// Checks a text that may have several lines.
pub fn prose(findings: &mut Findings, field: &'static str, text: &str) {
    check(findings, field, text, TextRule { min_chars: 0, max_chars: TEXT_CHARS_MAX, multiline: true });
}

/// Checks each text of a repeated field.
pub fn lines(findings: &mut Findings, field: &'static str, texts: &[String], max_chars: usize) {
    for (index, text) in texts.iter().enumerate() {
        findings.at_index(field, index, |f| {
            let rule = TextRule { min_chars: 1, max_chars, multiline: false };
            if let Err(error) = check_text(text, rule) {
                f.violation(error);
            }
        });
    }
}

fn check(findings: &mut Findings, field: &'static str, text: &str, rule: TextRule) {
    if let Err(error) = check_text(text, rule) {
        findings.violation_at(field, error);
    }
}

/// Reads the number of an enum; 0 is "not said".
pub fn optional_number<T>(
    findings: &mut Findings,
    field: &'static str,
    number: i32,
    from_number: impl Fn(i32) -> Option<T>,
) -> Option<T> {
    let value = from_number(number);
    if value.is_none() && number != 0 {
        findings.violation_at(field, format_args!("has the unknown number {number}"));
    }
    value
}

/// Reads the number of an enum that must be said.
pub fn required_number<T>(
    findings: &mut Findings,
    field: &'static str,
    number: i32,
    from_number: impl Fn(i32) -> Option<T>,
) -> Option<T> {
    if number == 0 {
        findings.violation_at(field, "must be set");
        return None;
    }
    optional_number(findings, field, number, from_number)
}

/// Reads a whole date.
pub fn date(findings: &mut Findings, field: &'static str, date: Option<&Date>) -> Option<Day> {
    let date = date?;
    let month_and_day = u32::try_from(date.month).ok().zip(u32::try_from(date.day).ok());
    let day = month_and_day.and_then(|(month, day)| Day::from_civil(date.year, month, day));
    if day.is_none() || date.year == 0 {
        findings.violation_at(
            field,
            format_args!("is no whole date: year {}, month {}, day {}", date.year, date.month, date.day),
        );
        return None;
    }
    day
}

/// Reads a moment, 0001-01-01 to 9999-12-31 as `google.protobuf.Timestamp` has it; parts of a microsecond are
/// not compared.
pub fn moment(findings: &mut Findings, field: &'static str, moment: Option<&Moment>) -> Option<Timestamp> {
    let moment = moment?;
    let read = timestamp_of(moment);
    if read.is_none() {
        findings.violation_at(field, "must lie in the years 0001 to 9999, with nanos from 0 to 999,999,999");
    }
    read
}

/// Reads a moment that `google.protobuf.Timestamp` allows.
#[must_use]
pub fn timestamp_of(moment: &Moment) -> Option<Timestamp> {
    const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    let in_range = SECONDS.contains(&moment.seconds) && (0..=999_999_999).contains(&moment.nanos);
    in_range.then(|| Timestamp(moment.seconds * 1_000_000 + i64::from(moment.nanos) / 1_000))
}

/// Writes a moment.
#[must_use]
pub fn moment_of(timestamp: Timestamp) -> Moment {
    let nanos = i32::try_from(timestamp.0.rem_euclid(1_000_000)).unwrap_or_default() * 1_000;
    Moment { seconds: timestamp.0.div_euclid(1_000_000), nanos }
}

/// Checks the depth of a struct.
pub fn structure(findings: &mut Findings, field: &'static str, structure: Option<&Struct>) {
    let Some(structure) = structure else { return };
    let mut pending: Vec<(&prost_types::Value, usize)> =
        structure.fields.values().map(|value| (value, 1)).collect();
    while let Some((value, depth)) = pending.pop() {
        if depth > STRUCT_DEPTH_MAX {
            findings.violation_at(field, format_args!("must not be deeper than {STRUCT_DEPTH_MAX}"));
            return;
        }
        match &value.kind {
            Some(Kind::StructValue(inner)) => {
                pending.extend(inner.fields.values().map(|value| (value, depth + 1)))
            }
            Some(Kind::ListValue(inner)) => {
                pending.extend(inner.values.iter().map(|value| (value, depth + 1)))
            }
            // What protobuf-JSON cannot write would make every answer with this event unreadable for its clients.
            Some(Kind::NumberValue(number)) if !number.is_finite() => {
                findings.violation_at(field, "must not hold NaN or an infinity: JSON has no such numbers");
                return;
            }
            Some(Kind::NullValue(number)) if *number != 0 => {
                findings.violation_at(field, format_args!("holds the unknown null value {number}"));
                return;
            }
            None => {
                findings.violation_at(field, "holds a value without a kind");
                return;
            }
            Some(Kind::NullValue(_) | Kind::NumberValue(_) | Kind::StringValue(_) | Kind::BoolValue(_)) => {}
        }
    }
}
