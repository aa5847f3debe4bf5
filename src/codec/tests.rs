//! The codec: canonical bytes, and every rule of an event by the field that breaks it.

use prost::Message as _;

use super::*;
use crate::domain::{CaveatCode, EventId, Findings, Timestamp};
use crate::pb;
use crate::pb::POOL;

/// 2024-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_717_200_000_000_000);

fn event(json: &serde_json::Value) -> pb::Event {
    let descriptor = POOL.get_message_by_name("annals.v1.Event").unwrap();
    let dynamic = prost_reflect::DynamicMessage::deserialize(descriptor, json).unwrap();
    pb::Event::decode(dynamic.encode_to_vec().as_slice()).unwrap()
}

/// An event of every rule's good side, with `changes` laid over it.
fn with(kind: &str, changes: &serde_json::Value) -> pb::Event {
    let gbp = serde_json::json!({"currencyCode": "GBP", "units": "5"});
    let mut base = serde_json::json!({
        "id": "018f9ee2-9300-7001-8061-6e6e616c7301",
        "stream": "s/1",
        "title": "t",
        "validTime": {"edtf": "2024-05-22"},
        "modality": "ACTUAL",
        "assertion": "REPORTED",
        "sources": [{"id": "source:x", "published": {"edtf": "2024-05-23"}, "quote": {"exact": "they said so"}}],
        "participants": [
            {"entity": {"id": "country:GB"}, "role": "PROVIDER"}, {"entity": {"id": "country:AL"}, "role": "VISITOR"},
            {"entity": {"id": "country:FR"}, "role": "HOST"}
        ],
    });
    base[kind] = match kind {
        "agreement" => serde_json::json!({"agreementId": "a", "action": "ADOPTED"}),
        "fundingTransfer" => serde_json::json!({"stage": "DISBURSEMENT", "amount": gbp}),
        "visit" => serde_json::json!({"status": "COMPLETED"}),
        "statisticalRelease" => serde_json::json!({
            "dataflow": "GB.HO:X(1.0)", "unit": "PERSONS",
            "observations": [{"period": {"edtf": "2023"}, "value": {"value": "1"}}],
        }),
        "statement" => serde_json::json!({"speaker": {"entity": {"name": "x"}}, "text": "they said"}),
        _ => serde_json::json!({"type": "org.example.note.v1"}),
    };
    lay(&mut base, changes);
    event(&base)
}

fn lay(base: &mut serde_json::Value, changes: &serde_json::Value) {
    match (base, changes) {
        (serde_json::Value::Object(base), serde_json::Value::Object(changes)) => {
            for (key, value) in changes {
                lay(base.entry(key).or_insert(serde_json::Value::Null), value);
            }
        }
        (base, changes) => *base = changes.clone(),
    }
}

fn check(event: pb::Event) -> (Vec<String>, Vec<(String, CaveatCode)>) {
    let mut findings = Findings::default();
    let fresh = EventId::from_uuid(uuid::Uuid::from_u128(9));
    let prepared = prepare(event, Writer::Client, (fresh, NOW), &mut findings);
    let caveats = prepared.map(|prepared| prepared.caveats).unwrap_or_default();
    let violations = findings.into_result().err().map(|invalid| invalid.violations).unwrap_or_default();
    (
        violations.into_iter().map(|violation| violation.field).collect(),
        caveats.into_iter().map(|caveat| (caveat.field, caveat.code)).collect(),
    )
}

#[test]
fn every_kind_has_a_good_side() {
    for kind in ["agreement", "fundingTransfer", "visit", "statisticalRelease", "statement", "custom"] {
        assert_eq!(check(with(kind, &serde_json::json!({}))), (vec![], vec![]), "{kind}");
    }
}

#[test]
fn each_rule_is_told_by_its_field() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("rules.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let (fields, _) = check(with(case[0].as_str().unwrap(), &case[1]));
        let expected: Vec<&str> = case[2].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
        assert_eq!(fields, expected, "{case}");
    }
}

#[test]
fn what_is_unusual_but_real_is_taken_with_a_caveat() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("caveats.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let text = |at: usize| case[at].as_str().unwrap();
        let code = pb::CaveatCode::from_str_name(text(3)).unwrap();
        let expected = (text(2).to_owned(), CaveatCode::from_number(code.into()).unwrap());
        let (violations, caveats) = check(with(text(0), &case[1]));
        assert_eq!(violations, Vec::<String>::new(), "{case}");
        assert!(caveats.contains(&expected), "{case}: {caveats:?}");
    }
}

fn content(event: pb::Event) -> bytes::Bytes {
    let fresh = EventId::from_uuid(uuid::Uuid::from_u128(9));
    prepare(event, Writer::Client, (fresh, NOW), &mut Findings::default()).unwrap().content
}

#[test]
fn equal_events_have_equal_bytes_however_they_are_written() {
    let plain = content(with("custom", &serde_json::json!({})));
    for same in [
        serde_json::json!({"id": "018F9EE2-9300-7001-8061-6E6E616C7301"}),
        serde_json::json!({"validTime": {"timeZone": "UTC", "shape": "INSTANT"}}),
        serde_json::json!({"validTime": {"precision": "DAY", "earliestStart": {"year": 1}, "approximate": true}}),
        serde_json::json!({"position": "7", "streamRevision": "7", "recordedBy": "x"}),
        serde_json::json!({"recordedAt": "2020-01-01T00:00:00Z"}),
        serde_json::json!({"knownAt": "2020-01-01T00:00:00Z", "knownAtDerived": true}),
        serde_json::json!({"caveats": [{"field": "title", "code": "ROUNDED", "serverFound": true}]}),
    ] {
        assert_eq!(content(with("custom", &same)), plain, "{same}");
    }
    for other in [
        serde_json::json!({"title": "u"}),
        serde_json::json!({"validTime": {"shape": "PERIOD"}}),
        serde_json::json!({"knownAt": "2024-05-30T00:00:00Z"}),
        serde_json::json!({"caveats": [{"field": "title", "code": "ROUNDED"}]}),
    ] {
        assert_ne!(content(with("custom", &other)), plain, "{other}");
    }
}

#[test]
fn caveats_are_bounded_and_say_how_many_more_there_are() {
    let participants: Vec<_> =
        (0..50).map(|_| serde_json::json!({"entity": {"id": "x"}, "role": "PARTY"})).collect();
    let event = with("custom", &serde_json::json!({"participants": participants}));
    let fresh = EventId::from_uuid(uuid::Uuid::from_u128(9));
    let caveats = prepare(event, Writer::Client, (fresh, NOW), &mut Findings::default()).unwrap().caveats;
    assert_eq!(caveats.len(), event::CAVEATS_MAX);
    assert!(caveats.last().unwrap().text.ends_with("(and 29 more remarks on the event)"));
}
