//! Messages as protobuf JSON, one document a line.
//!
//! Fields stand in the order of the proto, keys of maps in the order of their text: the same message always gives
//! the same line. 64-bit integers are strings, as the protobuf JSON mapping requires.

use prost::Message;
use prost_reflect::{Cardinality, DynamicMessage, Kind, MessageDescriptor};
use serde::de::DeserializeSeed as _;
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::failure::Failure;
use crate::pb;

/// A generated message that knows its name in the descriptors.
pub trait Named: Message + Default {
    /// The full name.
    const NAME: &'static str;
}

macro_rules! named {
    ($($message:ident),* $(,)?) => {
        $(impl Named for pb::$message {
            const NAME: &'static str = concat!("annals.v1.", stringify!($message));
        })*
    };
}

named!(
    AgreementState,
    DeleteTimelineResponse,
    Timeline,
    GetAgreementResponse,
    GetVisitResponse,
    MetOnVisit,
    VisitState,
    AppendEventsResponse,
    CellHistory,
    CheckClaimResponse,
    ComparePeriodsResponse,
    CompareFundingResponse,
    CountEntriesResponse,
    Dependent,
    Entry,
    EntryDifference,
    EraseEventResponse,
    EntryVersion,
    Event,
    Filter,
    GetLineageResponse,
    GetLogProofResponse,
    GetServerInfoResponse,
    VerifyResponse,
    Series,
    SeriesValue,
    SummarizeFundingResponse,
);

/// Says why a text is not a message.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is not JSON, or does not fit the message.
    #[error("{}", place(.0))]
    Json(#[from] serde_json::Error),
    /// The program's own descriptors do not fit its messages.
    #[error("{0}")]
    Descriptor(String),
}

/// Puts the column first; the line within the document says little where a document is one line.
fn place(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let text = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    match line {
        0 => text.to_owned(),
        1 => format!("column {column}: {text}"),
        _ => format!("line {line} column {column}: {text}"),
    }
}

fn descriptor<M: Named>() -> Result<MessageDescriptor, String> {
    pb::POOL.get_message_by_name(M::NAME).ok_or_else(|| format!("no descriptor of {}", M::NAME))
}

/// Writes a message as one line of JSON.
///
/// # Errors
/// [`Failure`] when the message does not fit its descriptor, which is a fault of the program.
pub fn to_line<M: Named>(message: &M) -> Result<String, Failure> {
    let line = || -> Result<String, String> {
        let descriptor = descriptor::<M>()?;
        let dynamic = DynamicMessage::decode(descriptor.clone(), message.encode_to_vec().as_slice())
            .map_err(|error| error.to_string())?;
        let value = serde_json::to_value(&dynamic).map_err(|error| error.to_string())?;
        serde_json::to_string(&InProtoOrder { value: &value, of: &descriptor })
            .map_err(|error| error.to_string())
    };
    line().map_err(|error| Failure::internal(format!("cannot write {} as JSON: {error}", M::NAME)))
}

/// Reads one message; unknown fields are refused.
///
/// # Errors
/// [`ParseError`] with the column.
pub fn parse<M: Named>(text: &[u8]) -> Result<M, ParseError> {
    let mut source = serde_json::Deserializer::from_slice(text);
    let message = next(&mut source)?;
    source.end()?;
    Ok(message)
}

/// Reads messages that follow each other with any white space between, each over one line or several.
///
/// # Errors
/// [`ParseError`] with line and column; nothing is returned then.
pub fn parse_all<M: Named>(text: &[u8]) -> Result<Vec<M>, ParseError> {
    let mut source = serde_json::Deserializer::from_slice(text);
    let mut messages = Vec::new();
    while source.end().is_err() {
        messages.push(next(&mut source)?);
    }
    Ok(messages)
}

fn next<'de, M: Named, R: serde_json::de::Read<'de>>(
    source: &mut serde_json::Deserializer<R>,
) -> Result<M, ParseError> {
    let descriptor = descriptor::<M>().map_err(ParseError::Descriptor)?;
    let dynamic = descriptor.deserialize(source)?;
    dynamic.transcode_to().map_err(|error| ParseError::Descriptor(error.to_string()))
}

/// Writes the JSON of a message with its fields in the order of the proto.
struct InProtoOrder<'a> {
    value: &'a Value,
    of: &'a MessageDescriptor,
}

impl Serialize for InProtoOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The well-known types have a JSON form of their own, which is no object of their fields.
        let own_form = self.of.full_name().starts_with("google.protobuf.");
        let Some(object) = self.value.as_object().filter(|_| !own_form) else {
            return self.value.serialize(serializer);
        };
        let mut map = serializer.serialize_map(Some(object.len()))?;
        for field in self.of.fields() {
            let Some(value) = object.get(field.json_name()) else { continue };
            map.serialize_key(field.json_name())?;
            match field.kind() {
                Kind::Message(of) if !field.is_map() => {
                    let many = field.cardinality() == Cardinality::Repeated;
                    map.serialize_value(&Messages { value, of: &of, many })?;
                }
                Kind::Message(_)
                | Kind::Double
                | Kind::Float
                | Kind::Int32
                | Kind::Int64
                | Kind::Uint32
                | Kind::Uint64
                | Kind::Sint32
                | Kind::Sint64
                | Kind::Fixed32
                | Kind::Fixed64
                | Kind::Sfixed32
                | Kind::Sfixed64
                | Kind::Bool
                | Kind::String
                | Kind::Bytes
                | Kind::Enum(_) => map.serialize_value(value)?,
            }
        }
        map.end()
    }
}

/// Writes one message or a list of them.
struct Messages<'a> {
    value: &'a Value,
    of: &'a MessageDescriptor,
    many: bool,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(values) = self.value.as_array().filter(|_| self.many) else {
            return InProtoOrder { value: self.value, of: self.of }.serialize(serializer);
        };
        let mut seq = serializer.serialize_seq(Some(values.len()))?;
        for value in values {
            seq.serialize_element(&InProtoOrder { value, of: self.of })?;
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [&str; 2] = [
        include_str!("../../examples/uk-albania/context_releases.jsonl"),
        include_str!("../../examples/uk-albania/events.jsonl"),
    ];

    #[test]
    fn the_article_survives_a_round_trip() {
        let lines = EVENTS.iter().flat_map(|file| file.lines());
        let mut count = 0;
        for line in lines {
            let event: pb::Event = parse(line.as_bytes()).unwrap();
            let written = to_line(&event).unwrap();
            assert_eq!(parse::<pb::Event>(written.as_bytes()).unwrap(), event);
            assert!(written.starts_with(r#"{"id":"#), "{written}");
            count += 1;
        }
        assert_eq!(count, 22);
    }

    #[test]
    fn maps_are_written_in_order() {
        let line =
            r#"{"attributes":{"b":1,"a":{"z":true,"y":null}},"title":"t","position":"9007199254740993"}"#;
        let event: pb::Event = parse(line.as_bytes()).unwrap();
        let expected =
            r#"{"position":"9007199254740993","title":"t","attributes":{"a":{"y":null,"z":true},"b":1.0}}"#;
        assert_eq!(to_line(&event).unwrap(), expected);
    }

    #[test]
    fn errors_name_the_column() {
        fn check(text: &str, expected: &str) {
            let error = parse::<pb::Event>(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        check(r#"{"titel":"x"}"#, "column 8: unrecognized field name 'titel'");
        check(r#"{"title":1}"#, "column 10: ");
        check(r#"{"title":"x""#, "column 12: ");
        check(r#"{"title":"x"} {}"#, "column 15: ");
        check(r#"{"modality":"PERHAPS"}"#, "column 21: ");
    }

    #[test]
    fn several_documents() {
        let events: Vec<pb::Event> = parse_all(b" {\"title\":\"a\"}\n{\n\"title\":\"b\"}\n\n").unwrap();
        let titles: Vec<_> = events.iter().map(|event| event.title.as_str()).collect();
        assert_eq!(titles, ["a", "b"]);
        assert!(parse_all::<pb::Event>(b"").unwrap().is_empty());
        let error = parse_all::<pb::Event>(b"{}\n{\"x\":1}").unwrap_err().to_string();
        assert!(error.starts_with("line 2 column 4: "), "{error}");
    }
}
