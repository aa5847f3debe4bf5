//! Copies of real events: other ids, streams and dates, and otherwise the same.

use std::io::BufRead;

use prost::Message as _;
use prost_reflect::{DynamicMessage, MapKey, ReflectMessage as _, Value};
use uuid::Uuid;

use crate::bench::error::BenchError;
use crate::pb::Event;
use crate::pb::POOL;

/// Seconds of a mean Gregorian year.
const YEAR_SECONDS: i64 = 31_556_952;

/// Events to copy.
#[derive(Debug)]
pub struct Originals {
    /// As they were read.
    pub events: Vec<Event>,
    messages: Vec<DynamicMessage>,
}

impl Originals {
    /// Reads events, one a line.
    ///
    /// # Errors
    /// [`BenchError`] for what is no event.
    pub fn read(files: Vec<Box<dyn BufRead + Send>>) -> Result<Self, BenchError> {
        let descriptor = POOL.get_message_by_name("annals.v1.Event");
        let descriptor = descriptor.ok_or(BenchError::Fault("the API has no events"))?;
        let mut originals = Self { events: Vec::new(), messages: Vec::new() };
        for file in files {
            for line in file.lines() {
                let line = line?;
                if line.trim().is_empty() {
                    continue;
                }
                let mut source = serde_json::Deserializer::from_str(&line);
                let mut message = DynamicMessage::deserialize(descriptor.clone(), &mut source)?;
                source.end()?;
                let event = Event::decode(message.encode_to_vec().as_slice())?;
                // An event without an id gets one, so that each copy has another.
                if event.id.is_empty() {
                    let id = copied_id(&line, originals.events.len());
                    message.set_field_by_name("id", Value::String(id));
                }
                originals.events.push(Event::decode(message.encode_to_vec().as_slice())?);
                originals.messages.push(message);
            }
        }
        Ok(originals)
    }

    /// Makes a copy of each, encoded; copy 0 is the original.
    pub fn copies(&self, copy: usize) -> impl Iterator<Item = Result<Vec<u8>, BenchError>> {
        self.messages.iter().map(move |message| {
            let mut message = message.clone();
            if copy > 0 {
                shift(&mut message, copy);
            }
            Ok(message.encode_to_vec())
        })
    }
}

/// Gives the id of a copy.
#[must_use]
pub fn copied_id(id: &str, copy: usize) -> String {
    if copy == 0 || id.is_empty() {
        return id.to_owned();
    }
    let hash = blake3::hash(format!("{id} {copy}").as_bytes());
    let bytes = hash.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
    Uuid::new_v8(bytes).to_string()
}

/// Gives the name, stream or identifier of a copy of what a copy of its own has.
#[must_use]
pub fn copied_name(name: &str, copy: usize) -> String {
    if copy == 0 || name.is_empty() { name.to_owned() } else { format!("{name}-{copy}") }
}

/// Gives a date in EDTF, or a period of SDMX, as many years earlier as the copy has. Each run of four digits is a year.
#[must_use]
pub fn copied_date(text: &str, copy: usize) -> String {
    let mut written = String::with_capacity(text.len());
    let mut digits = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        match digits.parse::<usize>() {
            Ok(year) if digits.len() == 4 => written.push_str(&format!("{:04}", year.saturating_sub(copy))),
            Ok(_) | Err(_) => written.push_str(&digits),
        }
        digits.clear();
        if letter != '\0' {
            written.push(letter);
        }
    }
    // The other year may have no leap day.
    written.replace("-02-29", "-02-28")
}

fn shift(message: &mut DynamicMessage, copy: usize) {
    let descriptor = message.descriptor();
    let name = descriptor.full_name();
    for field in descriptor.fields() {
        if !message.has_field(&field) {
            continue;
        }
        let value = message.get_field_mut(&field);
        match (name, field.name()) {
            ("annals.v1.Event", "id") | (_, "event_id" | "commitment_event_id") => {
                change(value, |id| copied_id(id, copy));
            }
            ("annals.v1.Event" | "annals.v1.Link", "stream") | (_, "agreement_id" | "visit_id") => {
                change(value, |name| copied_name(name, copy));
            }
            ("annals.v1.TimeSpan", "edtf") | (_, "time_period") => {
                change(value, |date| copied_date(date, copy));
            }
            ("google.type.Date", _) => earlier_date(field.name(), value, copy),
            ("google.protobuf.Timestamp", "seconds") => earlier_seconds(value, copy),
            _ => descend(value, copy),
        }
    }
}

fn descend(value: &mut Value, copy: usize) {
    match value {
        Value::Message(message) => shift(message, copy),
        Value::List(values) => values.iter_mut().for_each(|value| descend(value, copy)),
        Value::Map(values) => {
            let values: &mut std::collections::HashMap<MapKey, Value> = values;
            values.values_mut().for_each(|value| descend(value, copy));
        }
        Value::Bool(_)
        | Value::I32(_)
        | Value::I64(_)
        | Value::U32(_)
        | Value::U64(_)
        | Value::F32(_)
        | Value::F64(_)
        | Value::String(_)
        | Value::Bytes(_)
        | Value::EnumNumber(_) => {}
    }
}

fn change(value: &mut Value, change: impl Fn(&str) -> String) {
    if let Some(text) = value.as_str().map(change) {
        *value = Value::String(text);
    }
}

fn earlier_date(field: &str, value: &mut Value, copy: usize) {
    let Some(number) = value.as_i32() else { return };
    let years = i32::try_from(copy).unwrap_or(i32::MAX);
    match field {
        "year" => *value = Value::I32(number.saturating_sub(years)),
        // Whatever its month: the copy of a 29th is a 28th, so that none falls on a leap day that is not there.
        "day" if number == 29 => *value = Value::I32(28),
        _ => {}
    }
}

fn earlier_seconds(value: &mut Value, copy: usize) {
    let years = i64::try_from(copy).unwrap_or(i64::MAX);
    if let Some(seconds) = value.as_i64() {
        *value = Value::I64(seconds.saturating_sub(years.saturating_mul(YEAR_SECONDS)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_back_by_years() {
        for (text, expected) in [
            ("2024-05-22~", "2021-05-22~"),
            ("2022/2024-05-22", "2019/2021-05-22"),
            ("../2023-08-24", "../2020-08-24"),
            ("2024-02-29", "2021-02-28"),
            ("2024-Q1", "2021-Q1"),
            ("2024-21", "2021-21"),
            ("", ""),
        ] {
            assert_eq!(copied_date(text, 3), expected, "{text}");
        }
    }

    #[test]
    fn a_copy_has_other_ids_and_names_and_the_same_facts() {
        let line = r#"{"id": "018f9ee2-9300-700d-8061-6e6e616c730d", "stream": "visit/a", "title": "In 2024",
            "knownAt": "2024-05-22T00:00:00Z", "validTime": {"edtf": "2024-02-29"},
            "links": [{"type": "CITES", "eventId": "018f9ee2-9300-700b-8061-6e6e616c730b"}],
            "agreement": {"agreementId": "agreement:a", "effectiveOn": {"year": 2024, "month": 2, "day": 29}}}"#;
        let line = line.replace('\n', " ");
        let originals = Originals::read(vec![Box::new(std::io::Cursor::new(line))]).unwrap();
        let copies = |copy| originals.copies(copy).next().unwrap().unwrap();
        assert_eq!(Event::decode(copies(0).as_slice()).unwrap(), originals.events[0]);
        let copied = Event::decode(copies(3).as_slice()).unwrap();
        assert_eq!(copied.id, copied_id(&originals.events[0].id, 3));
        assert_ne!(copied.id, originals.events[0].id);
        assert_eq!(copied.links[0].event_id, copied_id(&originals.events[0].links[0].event_id, 3));
        assert_eq!((copied.stream.as_str(), copied.title.as_str()), ("visit/a-3", "In 2024"));
        assert_eq!(copied.valid_time.unwrap().edtf, "2021-02-28");
        let Some(crate::pb::event::Payload::Agreement(agreement)) = copied.payload else { panic!() };
        assert_eq!(agreement.agreement_id, "agreement:a-3");
        let effective = agreement.effective_on.unwrap();
        assert_eq!((effective.year, effective.month, effective.day), (2021, 2, 28));
    }
}
