//! Looks through encoded messages without decoding them: for the string field that is not UTF-8, since the decoder
//! says which field but not which of many values; and for how many messages there are.

use prost_reflect::{Kind, MessageDescriptor};

use crate::codec::fields::{Field, Value, split_first};

/// Messages that stay encoded when the one around them is decoded: each is counted when its turn comes.
const ENCODED: [&str; 2] = ["annals.v1.AppendEventsRequest.events", "annals.v1.AppendStreamRequest.events"];
/// Deepest message looked into; the decoder's own limit.
const DEPTH_MAX: usize = 100;

/// Gives the path of the first string field of an encoded message that is not UTF-8.
#[must_use]
pub fn invalid_path(message: &MessageDescriptor, bytes: &[u8]) -> Option<String> {
    let mut path = Vec::new();
    find(message, bytes, &mut path).then(|| path.join("."))
}

/// Tells whether an encoded message holds more than `most` messages, at any depth, but for those inside events of a batch.
///
/// An empty message takes two bytes on the wire and some hundred in memory: a limit on bytes alone would let a small
/// request take gigabytes.
#[must_use]
pub fn holds_more_messages(message: &MessageDescriptor, bytes: &[u8], most: usize) -> bool {
    let mut left = most;
    !take_messages(message, bytes, &mut left, DEPTH_MAX)
}

/// Takes the messages inside from what is left; gives `false` when nothing is left.
fn take_messages(message: &MessageDescriptor, mut bytes: &[u8], left: &mut usize, depth: usize) -> bool {
    let Some(deeper) = depth.checked_sub(1) else { return true };
    while let Some((Field { number, value }, rest)) = split_first(bytes) {
        bytes = rest;
        let (Some(field), Value::Bytes(value)) = (message.get_field(number), value) else { continue };
        if let Kind::Message(inner) = field.kind() {
            let Some(fewer) = left.checked_sub(1) else { return false };
            *left = fewer;
            if depth == DEPTH_MAX && ENCODED.contains(&field.full_name()) {
                continue;
            }
            if !take_messages(&inner, value, left, deeper) {
                return false;
            }
        }
    }
    true
}

fn find(message: &MessageDescriptor, mut bytes: &[u8], path: &mut Vec<String>) -> bool {
    if path.len() >= DEPTH_MAX {
        return false;
    }
    let mut seen = std::collections::HashMap::<u32, usize>::new();
    while let Some((Field { number, value }, rest)) = split_first(bytes) {
        bytes = rest;
        let (Some(field), Value::Bytes(value)) = (message.get_field(number), value) else { continue };
        let index = seen.entry(number).and_modify(|count| *count += 1).or_default();
        let name =
            if field.is_list() { format!("{}[{index}]", field.name()) } else { field.name().to_owned() };
        path.push(name);
        let found = match field.kind() {
            Kind::String => std::str::from_utf8(value).is_err(),
            Kind::Message(inner) => find(&inner, value, path),
            Kind::Double
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
            | Kind::Bytes
            | Kind::Enum(_) => false,
        };
        if found {
            return true;
        }
        path.pop();
    }
    false
}
