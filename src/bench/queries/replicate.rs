//! Copies of real events: other ids, streams and dates, and otherwise the same.

use std::io::BufRead;

use bytes::{Bytes, BytesMut};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use uuid::Uuid;

use super::pieces::Pieces;
use crate::bench::error::BenchError;
use crate::pb::Event;
use crate::pb::POOL;

/// Copies go back by less than so many years, whatever their number, so that dates stay dates.
const YEARS_BACK_MAX: usize = 1_000;

/// Events to copy.
#[derive(Debug)]
pub struct Originals {
    /// As they were read.
    pub events: Vec<Event>,
    pieces: Vec<Pieces>,
    bytes: u64,
}

impl Originals {
    /// Reads events, one a line.
    ///
    /// # Errors
    /// [`BenchError`] for what is no event.
    pub fn read(files: Vec<Box<dyn BufRead + Send>>) -> Result<Self, BenchError> {
        let descriptor = POOL.get_message_by_name("annals.v1.Event");
        let descriptor = descriptor.ok_or(BenchError::Fault("the API has no events"))?;
        let mut originals = Self { events: Vec::new(), pieces: Vec::new(), bytes: 0 };
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
                    let id = copied_id(&line, originals.events.len() + 1);
                    message.set_field_by_name("id", Value::String(id));
                }
                let encoded = Bytes::from(message.encode_to_vec());
                originals.bytes += u64::try_from(encoded.len()).unwrap_or(u64::MAX);
                originals.events.push(Event::decode(encoded.clone())?);
                originals.pieces.push(Pieces::of(&encoded, &descriptor)?);
            }
        }
        Ok(originals)
    }

    /// Gives the bytes of all of them together, as they are sent.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes a copy of each, encoded, in their order; copy 0 is the original.
    pub fn copies(&self, copy: usize) -> impl Iterator<Item = Bytes> {
        let mut event = BytesMut::new();
        self.pieces.iter().map(move |pieces| {
            pieces.put(&mut event, copy);
            event.split().freeze()
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

/// Gives by how many years a copy is earlier.
#[must_use]
pub const fn years_back(copy: usize) -> usize {
    copy % YEARS_BACK_MAX
}

/// Gives a date in EDTF, or a period of SDMX, earlier by the years of the copy. Each run of four digits is a year.
#[must_use]
pub fn copied_date(text: &str, copy: usize) -> String {
    if copy == 0 {
        return text.to_owned();
    }
    let mut written = String::with_capacity(text.len());
    let mut digits = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        match digits.parse::<usize>() {
            Ok(year) if digits.len() == 4 => {
                written.push_str(&format!("{:04}", year.saturating_sub(years_back(copy))))
            }
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
        let copies = |copy| originals.copies(copy).next().unwrap();
        assert_eq!(Event::decode(copies(0)).unwrap(), originals.events[0]);
        let copied = Event::decode(copies(3)).unwrap();
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

    #[test]
    fn every_event_without_an_id_gets_another() {
        let lines = "{\"title\": \"a\"}\n{\"title\": \"a\"}\n";
        let originals = Originals::read(vec![Box::new(std::io::Cursor::new(lines))]).unwrap();
        let ids: Vec<_> = originals.events.iter().map(|event| Uuid::parse_str(&event.id).unwrap()).collect();
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn copies_beyond_a_thousand_years_begin_anew_and_keep_their_own_ids() {
        assert_eq!(copied_date("2024-05", 1_003), "2021-05");
        assert_ne!(copied_id("a", 1_003), copied_id("a", 3));
    }
}
