//! Events to send, and files of events.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use annals::pb;
use annals::pb::POOL;
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn article(file: &str) -> PathBuf {
    root().join("examples/uk-albania").join(file)
}

pub fn dataset(name: &str) -> PathBuf {
    root().join("tests/data").join(name).join("events.jsonl.gz")
}

/// Reads an event from its JSON form.
pub fn event(json: &Value) -> pb::Event {
    message("annals.v1.Event", json)
}

/// Reads any message of the API from its JSON form.
pub fn message<M: prost::Message + Default>(name: &str, json: &Value) -> M {
    let descriptor = POOL.get_message_by_name(name).unwrap();
    let dynamic = DynamicMessage::deserialize(descriptor, json).unwrap();
    M::decode(dynamic.encode_to_vec().as_slice()).unwrap()
}

/// An event that breaks no rule.
pub fn simple(stream: &str, title: &str) -> Value {
    json!({
        "stream": stream,
        "title": title,
        "validTime": {"edtf": "2024-05-22"},
        "modality": "ACTUAL",
        "assertion": "RECORDED",
        "custom": {"type": "org.example.note.v1", "data": {"n": 1}},
    })
}

pub fn with(mut event: Value, key: &str, value: Value) -> Value {
    event[key] = value;
    event
}

/// A UUID that is easy to tell from others.
pub fn id(number: u64) -> String {
    format!("018f9ee2-9300-7000-8000-{number:012x}")
}

/// The events of a file, in order.
pub fn read_file(path: &Path) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
