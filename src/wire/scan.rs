//! Looks through encoded messages without decoding them: for the string field that is not UTF-8, since the decoder
//! says which field but not which of many values; and for how many messages there are.

use prost_reflect::{Kind, MessageDescriptor};

/// Deepest message looked into; the decoder's own limit.
const DEPTH_MAX: usize = 100;

/// Gives the path of the first string field of an encoded message that is not UTF-8.
#[must_use]
pub fn invalid_path(message: &MessageDescriptor, bytes: &[u8]) -> Option<String> {
    let mut path = Vec::new();
    find(message, bytes, &mut path).then(|| path.join("."))
}

/// Tells whether an encoded message holds more than `most` messages, at any depth.
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
    while let Some((number, value, rest)) = next_field(bytes) {
        bytes = rest;
        let Some((field, value)) = message.get_field(number).zip(value) else { continue };
        if let Kind::Message(inner) = field.kind() {
            let Some(fewer) = left.checked_sub(1) else { return false };
            *left = fewer;
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
    while let Some((number, value, rest)) = next_field(bytes) {
        bytes = rest;
        let Some((field, value)) = message.get_field(number).zip(value) else {
            continue;
        };
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

/// A field's number, its bytes if they are length-delimited, and what follows.
type Field<'a> = (u32, Option<&'a [u8]>, &'a [u8]);

/// Splits off a field: its number, its bytes if they are length-delimited, and the rest.
fn next_field(bytes: &[u8]) -> Option<Field<'_>> {
    let (key, rest) = varint(bytes)?;
    let number = u32::try_from(key >> 3).ok()?;
    match key & 7 {
        0 => varint(rest).map(|(_, rest)| (number, None, rest)),
        1 => rest.split_at_checked(8).map(|(_, rest)| (number, None, rest)),
        2 => {
            let (len, rest) = varint(rest)?;
            let (value, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            Some((number, Some(value), rest))
        }
        5 => rest.split_at_checked(4).map(|(_, rest)| (number, None, rest)),
        _ => None,
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}
