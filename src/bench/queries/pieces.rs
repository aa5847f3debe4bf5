//! An encoded message in pieces: what every copy shares, and what each changes.
//!
//! Ten million copies made by reflection would take longer than the server takes to store them. So a message is taken
//! apart once, and a copy is its shared bytes with the other texts and numbers between them.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::encoding::{WireType, decode_key, decode_varint, encode_varint};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use super::replicate::{copied_date, copied_id, copied_name, years_back};
use crate::bench::error::BenchError;

/// Seconds of a mean Gregorian year.
const YEAR_SECONDS: i64 = 31_556_952;

/// A message, ready to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Whole fields, the same in every copy.
    Same(Bytes),
    Text {
        key: Bytes,
        change: Change,
        text: String,
    },
    Number {
        key: Bytes,
        change: Change,
        number: i64,
    },
    Message {
        key: Bytes,
        pieces: Pieces,
    },
}

/// How a copy differs in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Id,
    Name,
    Date,
    Year,
    Day,
    Seconds,
}

impl Change {
    /// Says what a copy changes in a field of a message.
    fn of(message: &str, field: &str) -> Option<Self> {
        match (message, field) {
            ("annals.v1.Event", "id") | (_, "event_id" | "commitment_event_id") => Some(Self::Id),
            ("annals.v1.Event" | "annals.v1.Link", "stream") | (_, "agreement_id" | "visit_id") => {
                Some(Self::Name)
            }
            ("annals.v1.TimeSpan", "edtf") | (_, "time_period") => Some(Self::Date),
            ("google.type.Date", "year") => Some(Self::Year),
            ("google.type.Date", "day") => Some(Self::Day),
            ("google.protobuf.Timestamp", "seconds") => Some(Self::Seconds),
            _ => None,
        }
    }

    fn text(self, text: &str, copy: usize) -> String {
        match self {
            Self::Id => copied_id(text, copy),
            Self::Name => copied_name(text, copy),
            Self::Date => copied_date(text, copy),
            Self::Year | Self::Day | Self::Seconds => text.to_owned(),
        }
    }

    fn number(self, number: i64, copy: usize) -> i64 {
        if copy == 0 {
            return number;
        }
        let years = i64::try_from(years_back(copy)).unwrap_or_default();
        match self {
            Self::Year => number.saturating_sub(years).max(1),
            // Whatever its month: the copy of a 29th is a 28th, so that none falls on a leap day that is not there.
            Self::Day if number == 29 => 28,
            Self::Seconds => number.saturating_sub(years.saturating_mul(YEAR_SECONDS)),
            Self::Day | Self::Id | Self::Name | Self::Date => number,
        }
    }
}

impl Pieces {
    /// Takes a message apart.
    ///
    /// # Errors
    /// [`BenchError::Decode`] when it is no message.
    pub fn of(encoded: &Bytes, descriptor: &MessageDescriptor) -> Result<Self, BenchError> {
        let mut pieces = Vec::new();
        let mut rest = encoded.clone();
        // Where the fields begin that were read and are the same in every copy.
        let mut same_from = 0;
        while rest.has_remaining() {
            let from = encoded.len() - rest.len();
            let (number, wire) = decode_key(&mut rest)?;
            let key = encoded.slice(from..encoded.len() - rest.len());
            let field = descriptor.get_field(number);
            let Some(piece) = piece(field.as_ref(), descriptor, key, wire, &mut rest)? else { continue };
            if same_from < from {
                pieces.push(Piece::Same(encoded.slice(same_from..from)));
            }
            pieces.push(piece);
            same_from = encoded.len() - rest.len();
        }
        if same_from < encoded.len() {
            pieces.push(Piece::Same(encoded.slice(same_from..)));
        }
        Ok(Self(pieces))
    }

    fn is_same(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Same(_)))
    }

    /// Writes a copy; copy 0 is the message itself.
    pub fn put(&self, out: &mut BytesMut, copy: usize) {
        for piece in &self.0 {
            match piece {
                Piece::Same(bytes) => out.put_slice(bytes),
                Piece::Text { key, change, text } => put_bytes(out, key, change.text(text, copy).as_bytes()),
                Piece::Number { key, change, number } => {
                    out.put_slice(key);
                    encode_varint(change.number(*number, copy).cast_unsigned(), out);
                }
                Piece::Message { key, pieces } => {
                    let mut inner = BytesMut::new();
                    pieces.put(&mut inner, copy);
                    put_bytes(out, key, &inner);
                }
            }
        }
    }
}

fn put_bytes(out: &mut BytesMut, key: &[u8], bytes: &[u8]) {
    out.put_slice(key);
    encode_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), out);
    out.put_slice(bytes);
}

/// Reads the value of a field; gives nothing where it is the same in every copy.
fn piece(
    field: Option<&FieldDescriptor>,
    message: &MessageDescriptor,
    key: Bytes,
    wire: WireType,
    rest: &mut Bytes,
) -> Result<Option<Piece>, BenchError> {
    let change = field.and_then(|field| Change::of(message.full_name(), field.name()));
    match wire {
        WireType::Varint => {
            let number = decode_varint(rest)?.cast_signed();
            Ok(change.map(|change| Piece::Number { key, change, number }))
        }
        WireType::LengthDelimited => {
            let length = decode_varint(rest)?;
            let value = take(rest, usize::try_from(length).unwrap_or(usize::MAX))?;
            match (field.map(FieldDescriptor::kind), change) {
                (Some(Kind::Message(descriptor)), None) => {
                    let pieces = Pieces::of(&value, &descriptor)?;
                    Ok((!pieces.is_same()).then_some(Piece::Message { key, pieces }))
                }
                (Some(Kind::String), Some(change)) => {
                    let text = String::from_utf8_lossy(&value).into_owned();
                    Ok(Some(Piece::Text { key, change, text }))
                }
                (Some(_) | None, _) => Ok(None),
            }
        }
        WireType::SixtyFourBit => take(rest, 8).map(|_| None),
        WireType::ThirtyTwoBit => take(rest, 4).map(|_| None),
        WireType::StartGroup | WireType::EndGroup => {
            Err(BenchError::Fault("an event has a group, which proto3 has not"))
        }
    }
}

fn take(rest: &mut Bytes, length: usize) -> Result<Bytes, BenchError> {
    if length > rest.len() {
        return Err(BenchError::Fault("an encoded event ends too early"));
    }
    Ok(rest.split_to(length))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::pb::event::Payload;
    use crate::pb::{Agreement, Event, Link, POOL, TimeSpan};

    fn copied(event: &Event, copy: usize) -> Event {
        let descriptor = POOL.get_message_by_name("annals.v1.Event").unwrap();
        let pieces = Pieces::of(&event.encode_to_vec().into(), &descriptor).unwrap();
        let mut out = BytesMut::new();
        pieces.put(&mut out, copy);
        Event::decode(out).unwrap()
    }

    #[test]
    fn a_copy_changes_names_and_dates_at_any_depth_and_nothing_else() {
        let event = |id: &str, stream: &str, edtf: &str, seconds| Event {
            id: id.to_owned(),
            stream: stream.to_owned(),
            title: "Kept: 2024, 日本".to_owned(),
            known_at: Some(prost_types::Timestamp { seconds, nanos: 7 }),
            valid_time: Some(TimeSpan { edtf: edtf.to_owned(), ..TimeSpan::default() }),
            links: vec![Link { stream: stream.to_owned(), note: "kept".to_owned(), ..Link::default() }],
            payload: Some(Payload::Agreement(Agreement {
                agreement_id: stream.to_owned(),
                title: "2024".to_owned(),
                ..Agreement::default()
            })),
            ..Event::default()
        };
        let original = event("a", "b", "2024-02-29", 1_700_000_000);
        assert_eq!(copied(&original, 0), original);
        let seconds = 1_700_000_000 - 4 * YEAR_SECONDS;
        assert_eq!(copied(&original, 4), event(&copied_id("a", 4), "b-4", "2020-02-28", seconds));
    }

    #[test]
    fn leap_days_of_dates_are_moved() {
        for (change, number, expected) in [
            (Change::Day, 29, 28),
            (Change::Day, 30, 30),
            (Change::Year, 2_024, 2_022),
            (Change::Year, 1, 1),
            (Change::Seconds, 0, -2 * YEAR_SECONDS),
        ] {
            assert_eq!(change.number(number, 2), expected, "{change:?} {number}");
            assert_eq!(change.number(number, 0), number);
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let descriptor = POOL.get_message_by_name("annals.v1.Event").unwrap();
        for bytes in [&[10_u8, 200][..], &[10, 5, 1], &[11], &[0xff]] {
            assert!(Pieces::of(&Bytes::copy_from_slice(bytes), &descriptor).is_err(), "{bytes:?}");
        }
    }
}
