//! A recorded event as clients see it: what they wrote, and what the server knows besides.
//!
//! Everything that the server adds stands behind what was written, field by field and message by message. So the bytes
//! of the record are copied, not decoded and encoded again: reading is what a log does most.

use std::sync::LazyLock;

use ahash::HashMap;
use bytes::{BufMut as _, Bytes};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};
use prost_reflect::{Kind, MessageDescriptor};

use super::check::moment_of;
use super::fields::{Field, Value, split_first};
use super::time::{derived, fill};
use crate::domain::{AmountQualifier, Comparison, Decimal, Measure, RecordForm, Timestamp, known_time};
use crate::journal::Record;
use crate::pb;
use crate::pb::storage::StoredFields;

pub use super::stored::StoredError as PresentError;

/// Gives a recorded event with every derived field filled in.
///
/// # Errors
/// [`PresentError`] when the bytes are no event.
pub fn present(record: &Record) -> Result<pb::Event, PresentError> {
    // From shared bytes, so that the values of bytes fields are not copied.
    pb::Event::decode(encoded(record)?).map_err(|cause| error(record, cause.to_string()))
}

/// Gives a recorded event with every derived field, encoded.
///
/// # Errors
/// As [`present`].
pub fn encoded(record: &Record) -> Result<Bytes, PresentError> {
    let mut bytes = Vec::with_capacity(2 * record.content.len());
    write(record, &mut bytes)?;
    Ok(bytes.into())
}

/// Writes an encoded `annals.v1.Event` with every derived field behind other bytes.
///
/// # Errors
/// As [`present`]; what was written by then means nothing.
pub fn write(record: &Record, out: &mut Vec<u8>) -> Result<(), PresentError> {
    write_with(record, &mut Spans::default(), out)
}

fn write_with<'a>(record: &'a Record, spans: &mut Spans<'a>, out: &mut Vec<u8>) -> Result<(), PresentError> {
    match record.form {
        RecordForm::Whole => whole(record, spans, out),
        RecordForm::Erased => {
            super::erased::present(record)?.encode_raw(out);
            Ok(())
        }
        RecordForm::Lost => Err(error(record, "it was damaged and set aside".to_owned())),
    }
}

/// Gives recorded events, encoded with every derived field, as parts of one piece of memory.
///
/// # Errors
/// As [`present`].
pub fn batch(records: &[Record]) -> Result<Vec<Bytes>, PresentError> {
    let (bytes, ends) = packed(records)?;
    Ok(parts(&bytes.into(), ends))
}

/// As [`batch`], in a piece of memory of just their size: copied, because an allocator need not shrink what it gave.
///
/// # Errors
/// As [`present`].
pub fn batch_to_keep(records: &[Record]) -> Result<Vec<Bytes>, PresentError> {
    let (bytes, ends) = packed(records)?;
    Ok(parts(&Bytes::copy_from_slice(&bytes), ends))
}

/// Writes recorded events one behind the other; says where each ends.
fn packed(records: &[Record]) -> Result<(Vec<u8>, Vec<usize>), PresentError> {
    // What the server adds is about half of what was written.
    let written: usize = records.iter().map(|record| record.content.len()).sum();
    let mut bytes = Vec::with_capacity(written + written / 2 + 64 * records.len());
    let mut ends = Vec::with_capacity(records.len());
    let mut spans = Spans::default();
    for record in records {
        write_with(record, &mut spans, &mut bytes)?;
        ends.push(bytes.len());
    }
    Ok((bytes, ends))
}

fn parts(bytes: &Bytes, ends: Vec<usize>) -> Vec<Bytes> {
    let mut begin = 0;
    ends.into_iter().map(|end| bytes.slice(std::mem::replace(&mut begin, end)..end)).collect()
}

fn error(record: &Record, reason: String) -> PresentError {
    PresentError { position: record.position, reason }
}

fn whole<'a>(record: &'a Record, spans: &mut Spans<'a>, out: &mut Vec<u8>) -> Result<(), PresentError> {
    let mut seen = Seen { spans, known_at: false, published_by: None };
    copy(&record.content, &PLACES, &mut seen, out)
        .ok_or_else(|| error(record, "its bytes are no event".to_owned()))?;
    let fields = StoredFields::decode(record.server_fields.as_ref())
        .map_err(|cause| error(record, cause.to_string()))?;
    let known_at =
        (!seen.known_at).then(|| moment_of(known_time(None, seen.published_by, record.recorded_at)));
    let added = pb::Event {
        position: record.position.0,
        stream_revision: record.revision.0,
        recorded_at: Some(moment_of(record.recorded_at)),
        recorded_by: fields.recorded_by,
        caveats: fields.caveats,
        known_at_derived: known_at.is_some(),
        known_at,
        ..pb::Event::default()
    };
    added.encode_raw(out);
    Ok(())
}

/// Where in a message the server derives something.
#[derive(Debug)]
enum Place {
    /// In a span of time.
    Span {
        /// Whether it says when a source was published.
        published: bool,
    },
    /// In a comparison.
    Comparison,
    /// When the public could know the event: it is derived where nothing stands there.
    KnownAt,
    /// Further inside.
    Inside(Places),
}

/// By number of the field; few, and most fields are none of them.
type Places = Vec<(u32, Place)>;

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let event = pb::POOL.get_message_by_name("annals.v1.Event");
    event.map(|event| places_in(&event, &mut Vec::new())).unwrap_or_default()
});

fn places_in(message: &MessageDescriptor, around: &mut Vec<String>) -> Places {
    let mut places = Places::new();
    // A message inside itself, such as google.protobuf.Struct, holds nothing of ours.
    if around.iter().any(|name| name == message.full_name()) {
        return places;
    }
    around.push(message.full_name().to_owned());
    for field in message.fields() {
        let Kind::Message(inner) = field.kind() else { continue };
        let place = match (field.full_name(), inner.full_name()) {
            ("annals.v1.Event.known_at", _) => Some(Place::KnownAt),
            (name, "annals.v1.TimeSpan") => {
                Some(Place::Span { published: name == "annals.v1.Source.published" })
            }
            (_, "annals.v1.Comparison") => Some(Place::Comparison),
            (_, _) => Some(places_in(&inner, around)).filter(|inner| !inner.is_empty()).map(Place::Inside),
        };
        places.extend(place.map(|place| (field.number(), place)));
    }
    around.pop();
    places
}

/// What was derived from spans before, by their bytes: events that stand together often share their dates, and to read
/// one costs more than all else that is done to an event here.
type Spans<'a> = HashMap<&'a [u8], Option<Span>>;

/// What is derived from a span.
#[derive(Debug)]
struct Span {
    /// What the server adds, encoded.
    added: Vec<u8>,
    /// From when a source was certainly public that says so of itself.
    known_from: Option<Timestamp>,
}

/// What was found on the way.
#[derive(Debug)]
struct Seen<'s, 'a> {
    spans: &'s mut Spans<'a>,
    known_at: bool,
    /// When the earliest source had certainly made the event known.
    published_by: Option<Timestamp>,
}

/// Copies a message and adds what the server derives inside of it; nothing where the bytes are no message.
fn copy<'a>(message: &'a [u8], places: &Places, seen: &mut Seen<'_, 'a>, out: &mut Vec<u8>) -> Option<()> {
    let mut left = message;
    // Where begins what was not copied yet: runs of fields without a place are copied at once.
    let mut run = message;
    while !left.is_empty() {
        let (Field { number, value }, rest) = split_first(left)?;
        let place = places.iter().find(|(at, _)| *at == number).map(|(_, place)| place);
        if let (Some(place), Value::Bytes(value)) = (place, value) {
            if matches!(place, Place::KnownAt) {
                seen.known_at = true;
            } else {
                out.put_slice(run.get(..run.len() - left.len())?);
                run = rest;
                encode_varint(u64::from(number) << 3 | 2, out);
                with_length(out, value.len(), |out| fill_in(value, place, seen, out))?;
            }
        }
        left = rest;
    }
    out.put_slice(run);
    Some(())
}

fn fill_in<'a>(value: &'a [u8], place: &Place, seen: &mut Seen<'_, 'a>, out: &mut Vec<u8>) -> Option<()> {
    match place {
        Place::Span { published } => {
            out.put_slice(value);
            // A name that the time zone database no longer has takes nothing away from what was written.
            let span = seen.spans.entry(value).or_insert_with(|| {
                let (read, added) = derived(value)?;
                Some(Span { added: added.encode_to_vec(), known_from: read.known_from() })
            });
            if let Some(span) = span {
                out.put_slice(&span.added);
                if *published {
                    seen.published_by = seen.published_by.into_iter().chain(span.known_from).min();
                }
            }
        }
        Place::Comparison => {
            let mut comparison = pb::Comparison::decode(value).ok()?;
            fill_comparison(&mut comparison);
            comparison.encode_raw(out);
        }
        Place::KnownAt => out.put_slice(value),
        Place::Inside(places) => copy(value, places, seen, out)?,
    }
    Some(())
}

/// Writes bytes behind their length, which is known only when they are written; `expected` is a guess.
fn with_length(
    out: &mut Vec<u8>,
    expected: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Option<()>,
) -> Option<()> {
    let reserved = encoded_len_varint(u64::try_from(expected).ok()?);
    let at = out.len();
    out.resize(at + reserved, 0);
    write(out)?;
    let written = out.len() - at - reserved;
    let written = u64::try_from(written).ok()?;
    if encoded_len_varint(written) == reserved {
        encode_varint(written, &mut out.get_mut(at..at + reserved)?);
    } else {
        let mut length = Vec::with_capacity(10);
        encode_varint(written, &mut length);
        out.splice(at..at + reserved, length);
    }
    Some(())
}

fn fill_comparison(found: &mut pb::Comparison) {
    let decimal = |found: &Option<pb::google::r#type::Decimal>| Decimal::parse(&found.as_ref()?.value).ok();
    let comparison = Comparison {
        base_period: fill(found.base_period.as_mut()),
        base_value: decimal(&found.base_value),
        period: fill(found.period.as_mut()),
        value: decimal(&found.value),
        measure: Measure::from_number(found.measure),
        stated: decimal(&found.stated),
        qualifier: AmountQualifier::from_number(found.stated_qualifier),
    };
    let written = |value: rust_decimal::Decimal| pb::google::r#type::Decimal { value: value.to_string() };
    found.computed = comparison.computed().map(written);
    found.computed_per_day = comparison.computed_per_day().map(written);
    found.comparable = comparison.is_comparable() == Some(true);
}
