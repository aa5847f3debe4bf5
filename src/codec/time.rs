//! Spans of valid time.

use super::fields::{Value, split_first};
use crate::domain::time::{TimeSpanError, TimeSpanErrors};
use crate::domain::{Day, Findings, Precision, Shape, TimeSpan};
use crate::pb;
use crate::pb::google::r#type::Date;

/// Numbers of fields of `annals.v1.TimeSpan`.
const EDTF: u32 = 1;
const TIME_ZONE: u32 = 2;
const SHAPE: u32 = 3;

/// Reads a span and brings it to canonical form: what the server derives is cleared, the shape is filled in, and
/// `UTC` is left out.
pub fn span(
    findings: &mut Findings,
    field: &'static str,
    span: Option<&mut pb::TimeSpan>,
    default: Shape,
) -> Option<TimeSpan> {
    let span = span?;
    findings.at(field, |f| read(f, span, default))
}

fn read(findings: &mut Findings, span: &mut pb::TimeSpan, default: Shape) -> Option<TimeSpan> {
    let shape = super::check::optional_number(findings, "shape", span.shape, shape_of);
    match TimeSpan::parse(&span.edtf, &span.time_zone, shape, default) {
        Ok(read) => {
            let edtf = std::mem::take(&mut span.edtf);
            let mut time_zone = std::mem::take(&mut span.time_zone);
            if time_zone == "UTC" {
                time_zone.clear();
            }
            *span = pb::TimeSpan { edtf, time_zone, shape: number_of(read.shape), ..pb::TimeSpan::default() };
            Some(read)
        }
        Err(TimeSpanErrors(errors)) => {
            for error in errors {
                let field = match error {
                    TimeSpanError::Edtf { .. } => "edtf",
                    TimeSpanError::Zone(_) => "time_zone",
                };
                findings.violation_at(field, error);
            }
            None
        }
    }
}

const fn shape_of(number: i32) -> Option<Shape> {
    match number {
        1 => Some(Shape::Instant),
        2 => Some(Shape::Period),
        3 => Some(Shape::Ongoing),
        _ => None,
    }
}

const fn number_of(shape: Shape) -> i32 {
    match shape {
        Shape::Instant => 1,
        Shape::Period => 2,
        Shape::Ongoing => 3,
    }
}

const fn precision_of(precision: Precision) -> pb::Precision {
    match precision {
        Precision::Second => pb::Precision::Second,
        Precision::Minute => pb::Precision::Minute,
        Precision::Day => pb::Precision::Day,
        Precision::Month => pb::Precision::Month,
        Precision::Quarter => pb::Precision::Quarter,
        Precision::Season => pb::Precision::Season,
        Precision::Year => pb::Precision::Year,
        Precision::Decade => pb::Precision::Decade,
        Precision::Century => pb::Precision::Century,
    }
}

/// Fills in what the server derives from a recorded span.
pub fn fill(span: Option<&mut pb::TimeSpan>) -> Option<TimeSpan> {
    let span = span?;
    let (read, added) = added(&span.edtf, &span.time_zone, span.shape)?;
    let written = std::mem::replace(span, added);
    span.edtf = written.edtf;
    span.shape = written.shape;
    if !written.time_zone.is_empty() {
        span.time_zone = written.time_zone;
    }
    Some(read)
}

/// Gives what a recorded span says, and what the server derives from it: with what was written, it is all of the span.
pub fn derived(mut span: &[u8]) -> Option<(TimeSpan, pb::TimeSpan)> {
    let (mut edtf, mut time_zone, mut shape) = ("", "", 0);
    while let Some((field, rest)) = split_first(span) {
        span = rest;
        match (field.number, field.value) {
            (EDTF, Value::Bytes(text)) => edtf = std::str::from_utf8(text).ok()?,
            (TIME_ZONE, Value::Bytes(name)) => time_zone = std::str::from_utf8(name).ok()?,
            (SHAPE, Value::Varint(number)) => shape = i32::try_from(number).ok()?,
            (_, Value::Bytes(_) | Value::Varint(_) | Value::Fixed) => {}
        }
    }
    added(edtf, time_zone, shape)
}

fn added(edtf: &str, time_zone: &str, shape: i32) -> Option<(TimeSpan, pb::TimeSpan)> {
    let shape = shape_of(shape)?;
    let read = TimeSpan::parse(edtf, time_zone, Some(shape), shape).ok()?;
    let added = pb::TimeSpan {
        edtf: String::new(),
        // `UTC` is left out where it is recorded.
        time_zone: if time_zone.is_empty() { read.time_zone.name().to_owned() } else { String::new() },
        shape: 0,
        earliest_start: read.earliest_start.and_then(date_of),
        latest_start: read.latest_start.and_then(date_of),
        earliest_end: read.earliest_end.and_then(date_of),
        latest_end: read.latest_end.and_then(date_of),
        precision: precision_of(read.precision).into(),
        approximate: read.approximate,
        uncertain: read.uncertain,
        start_instant: read.start_instant.map(super::check::moment_of),
        end_instant: read.end_instant.map(super::check::moment_of),
    };
    Some((read, added))
}

/// Writes a day; the first day after the year 9999 has no date and is left open.
fn date_of(day: Day) -> Option<Date> {
    let (year, month, day) = day.to_civil()?;
    Some(Date { year: year.into(), month: month.into(), day: day.into() })
}
