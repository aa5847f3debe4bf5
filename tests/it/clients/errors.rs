//! The errors that a client can bring about, as grpcurl shows them: exit code, reason, and every detail as JSON.

use std::process::{Child, Stdio};

use serde_json::{Map, Value, json};

use super::grpcurl::{answer, call, command};
use super::wait_until;
use crate::events::{id, simple, with};
use crate::harness::Server;

const APPEND: &str = "EventLogService/AppendEvents";
const READ: &str = "EventLogService/ReadEvents";
const SUBSCRIBE: &str = "EventLogService/SubscribeEvents";
const LIST: &str = "TimelineService/ListEntries";

// google.rpc.Code
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const ALREADY_EXISTS: i32 = 6;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;
const ABORTED: i32 = 10;
const OUT_OF_RANGE: i32 = 11;

/// The visit of the article.
const VISIT: &str = "018f9ee2-9300-7001-8061-6e6e616c7301";
/// Of no server.
const STORE: &str = "00000000-0000-4000-8000-000000000000";

/// Makes a call that must fail with a code and a reason; gives its details by name.
fn refused(server: &Server, method: &str, request: &Value, code: i32, reason: &str) -> Map<String, Value> {
    let answer = answer(&command(server, &[], method, request).output().unwrap());
    let shown: String = request.to_string().chars().take(500).collect();
    assert_eq!(answer.exit, 64 + code, "{reason}: {method} {shown}: {:?} {}", answer.messages, answer.error);
    let status: Value = serde_json::from_str(&answer.error).unwrap();
    assert_eq!(status["code"], code);
    assert_ne!(status["message"], "");
    let mut details = Map::new();
    for detail in status["details"].as_array().unwrap() {
        assert_eq!(detail["@value"], Value::Null, "not decoded: {detail}");
        let name = detail["@type"].as_str().unwrap().strip_prefix("type.googleapis.com/google.rpc.").unwrap();
        assert_eq!(details.insert(name.to_owned(), detail.clone()), None, "twice: {name}");
    }
    let info = &details["ErrorInfo"];
    assert_eq!((&info["reason"], &info["domain"]), (&json!(reason), &json!("annals.v1")), "{method} {shown}");
    details
}

fn events(events: &[Value]) -> Value {
    json!({"events": events})
}

fn linked(kind: &str, target: &str) -> Value {
    events(&[with(simple("s", "linked"), "links", json!([{"type": kind, "eventId": target}]))])
}

fn long(bytes: usize) -> Value {
    with(simple("s", "long"), "attributes", json!({"text": "x".repeat(bytes)}))
}

/// A server with the article, and after it events 1 and 2, of which the second corrects the first.
fn server() -> Server {
    let server = Server::start_with("[limits]\nsubscriptions_max = 1\n");
    server.import_article();
    let first = with(simple("one", "first"), "id", json!(id(1)));
    let second = with(simple("one", "second"), "id", json!(id(2)));
    let second = with(second, "links", json!([{"type": "CORRECTS", "eventId": id(1)}]));
    call(&server, APPEND, &events(&[first, second]));
    server
}

#[test]
fn fields_that_are_wrong_are_named() {
    let server = server();
    let text = with(simple("s", "t"), "validTime", json!({"edtf": "2024-02-30"}));
    let money = json!({
        "stage": "DISBURSEMENT", "amount": {"currencyCode": "UKP", "units": "1"}, "amountQualifier": "EXACT",
    });
    let mut paid = with(simple("s", "paid"), "fundingTransfer", money);
    paid.as_object_mut().unwrap().remove("custom");
    let paid = with(paid, "participants", json!([{"entity": {"name": "x"}, "role": "PROVIDER"}]));
    let same = with(simple("s", "t"), "id", json!(id(9)));
    for (method, request, fields) in [
        (APPEND, json!({}), json!(["events"])),
        (
            APPEND,
            events(&[simple("a//b", ""), text, paid]),
            json!([
                "events[0].stream",
                "events[0].title",
                "events[1].valid_time.edtf",
                "events[2].funding_transfer.amount.currency_code"
            ]),
        ),
        (APPEND, events(&[same.clone(), same]), json!(["events[1].id"])),
        (APPEND, events(&[with(simple("s", "t"), "modality", json!(77))]), json!(["events[0].modality"])),
        (READ, json!({"limit": "-1"}), json!(["limit"])),
        (LIST, json!({"pageSize": -1}), json!(["page_size"])),
        (LIST, json!({"valid": {"from": "2024-13"}}), json!(["valid.from"])),
        (SUBSCRIBE, json!({"heartbeatInterval": "0.5s"}), json!(["heartbeat_interval"])),
    ] {
        let details = refused(&server, method, &request, INVALID_ARGUMENT, "FIELD_INVALID");
        let violations = details["BadRequest"]["fieldViolations"].as_array().unwrap();
        let seen: Vec<&Value> = violations.iter().map(|violation| &violation["field"]).collect();
        assert_eq!(json!(seen), fields, "{request}");
        let metadata = json!({"violations": seen.len().to_string(), "omitted": "0"});
        assert_eq!(details["ErrorInfo"]["metadata"], metadata);
    }
    assert_eq!(call(&server, "EventLogService/GetHead", &json!({}))["position"], "24", "nothing was stored");
}

/// A call, and the code, reason and metadata of its error.
type Case = (&'static str, Value, i32, &'static str, Value);

fn check(server: &Server, cases: Vec<Case>) {
    for (method, request, code, reason, metadata) in cases {
        let details = refused(server, method, &request, code, reason);
        let seen = &details["ErrorInfo"]["metadata"];
        // The number of bytes sent is the business of the server.
        let seen: Map<String, Value> = seen
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| *key != "bytes")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert_eq!(Value::from(seen), metadata, "{reason}");
    }
    assert_eq!(call(server, "EventLogService/GetHead", &json!({}))["position"], "24", "nothing was stored");
}

#[test]
fn what_is_too_large_is_told_with_its_limit() {
    let server = server();
    let many: Vec<Value> = (0..1_001).map(|_| simple("s", "t")).collect();
    let heavy: Vec<Value> = (0..20).map(|_| long(60 * 1024)).collect();
    let huge: Vec<Value> = (0..85).map(|_| long(60 * 1024)).collect();
    let one = [simple("s", "t"), long(65 * 1024)];
    let event = json!({"index": "1", "bytes_max": "65536"});
    let cases = [
        (events(&one), "EVENT_TOO_LARGE", event),
        (events(&many), "BATCH_TOO_LARGE", json!({"events": "1001", "events_max": "1000"})),
        (events(&heavy), "BATCH_TOO_LARGE", json!({"bytes_max": "1048576"})),
        (events(&huge), "MESSAGE_INVALID", json!({"bytes_max": "4194304"})),
    ];
    let cases =
        cases.map(|(request, reason, metadata)| (APPEND, request, INVALID_ARGUMENT, reason, metadata));
    check(&server, cases.into());
    let details = refused(&server, APPEND, &events(&one), INVALID_ARGUMENT, "EVENT_TOO_LARGE");
    assert_eq!(details["BadRequest"]["fieldViolations"][0]["field"], "events[1]");
}

#[test]
fn what_is_recorded_already_is_told_with_its_position() {
    let server = server();
    let [first, another] = ["first", "another"].map(|title| with(simple("one", title), "id", json!(id(1))));
    let third = with(simple("one", "third"), "id", json!(id(3)));
    let absent = json!([{"absent": {"filter": {"streams": ["one"]}}}]);
    let absent = json!({"events": [simple("s", "t")], "conditions": absent});
    let cases = [
        (absent, "MATCH_EXISTS", json!({"position": "23", "condition": "0"})),
        (events(&[another]), "EVENT_ID_REUSED", json!({"event_id": id(1), "position": "23"})),
        (
            events(&[first, third]),
            "PARTIAL_REPLAY",
            json!({"recorded": "1", "missing": "1", "event_id": id(1)}),
        ),
    ];
    let cases = cases.map(|(request, reason, metadata)| (APPEND, request, ALREADY_EXISTS, reason, metadata));
    check(&server, cases.into());
}

#[test]
fn links_that_cannot_be_are_told_with_their_target() {
    let server = server();
    let field = "events[0].links[0].event_id";
    let cases = [
        (linked("CITES", &id(7)), "LINK_TARGET_UNKNOWN", json!({"event_id": id(7), "field": field})),
        (
            linked("CORRECTS", &id(1)),
            "LINK_TARGET_CLOSED",
            json!({"event_id": id(1), "closed_by": id(2), "field": field}),
        ),
        (
            linked("CORRECTS", VISIT),
            "LINK_TARGET_KIND",
            json!({"event_id": VISIT, "kind": "CUSTOM", "target_kind": "VISIT", "field": field}),
        ),
    ];
    let cases =
        cases.map(|(request, reason, metadata)| (APPEND, request, FAILED_PRECONDITION, reason, metadata));
    check(&server, cases.into());
}

#[test]
fn what_is_not_here_is_told() {
    let server = server();
    let store = call(&server, "AdminService/GetServerInfo", &json!({}))["storeId"].clone();
    let unknown = || json!({"eventId": id(7)});
    let unknown_metadata = || json!({"event_id": id(7)});
    let scope = json!({"scope": {"asOfPosition": "99"}});
    let beyond = || json!({"position": "99", "head": "24"});
    let other = json!({"storeId": STORE});
    let stores = json!({"store_id": store, "expected_store_id": STORE});
    check(
        &server,
        vec![
            ("EventLogService/GetEvent", unknown(), NOT_FOUND, "EVENT_NOT_FOUND", unknown_metadata()),
            ("TimelineService/GetEntryHistory", unknown(), NOT_FOUND, "EVENT_NOT_FOUND", unknown_metadata()),
            (READ, json!({"fromPositionExclusive": "99"}), OUT_OF_RANGE, "POSITION_BEYOND_HEAD", beyond()),
            (SUBSCRIBE, json!({"afterPosition": "99"}), OUT_OF_RANGE, "POSITION_BEYOND_HEAD", beyond()),
            ("TimelineService/CountEntries", scope, OUT_OF_RANGE, "POSITION_BEYOND_HEAD", beyond()),
            (READ, other.clone(), FAILED_PRECONDITION, "STORE_MISMATCH", stores.clone()),
            (SUBSCRIBE, other, FAILED_PRECONDITION, "STORE_MISMATCH", stores),
        ],
    );
}

#[test]
fn a_page_token_of_another_question_is_refused() {
    let server = server();
    let token = call(&server, LIST, &json!({"pageSize": 3}))["nextPageToken"].clone();
    for request in [
        json!({"pageSize": 3, "pageToken": "?"}),
        json!({"pageSize": 3, "pageToken": token, "filter": {"tags": ["x"]}}),
    ] {
        let details = refused(&server, LIST, &request, INVALID_ARGUMENT, "PAGE_TOKEN_INVALID");
        assert_eq!(details["BadRequest"]["fieldViolations"][0]["field"], "page_token");
    }
}

#[test]
fn every_condition_that_failed_is_told() {
    let server = server();
    let conditions = json!([
        {"stream": {"name": "one", "revision": "1"}},
        {"stream": {"name": "one", "exists": true}},
        {"noneSince": {"filter": {"streams": ["one"]}, "afterPosition": "23"}},
    ]);
    let request = json!({"events": [simple("s", "t")], "conditions": conditions});
    let details = refused(&server, APPEND, &request, ABORTED, "CONDITION_FAILED");
    let expected = json!([
        {"type": "STREAM", "subject": "conditions[0]", "description": "stream one has revision 2"},
        {"type": "NONE_SINCE", "subject": "conditions[2]", "description": "the event at position 24 matches"},
    ]);
    assert_eq!(details["PreconditionFailure"]["violations"], expected);
}

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_subscription_too_many_is_told_when_to_come_again() {
    let server = server();
    let printed = tempfile::NamedTempFile::new().unwrap();
    let mut follow = command(&server, &[], SUBSCRIBE, &json!({"fromNow": true}));
    let _follow = Ended(follow.stdout(printed.reopen().unwrap()).stderr(Stdio::null()).spawn().unwrap());
    wait_until("a start", || std::fs::read_to_string(printed.path()).unwrap().contains("started"));
    let details = refused(&server, SUBSCRIBE, &json!({}), RESOURCE_EXHAUSTED, "SUBSCRIPTIONS_EXHAUSTED");
    assert_eq!(details["ErrorInfo"]["metadata"], json!({"subscriptions_max": "1"}));
    let delay = details["RetryInfo"]["retryDelay"].as_str().unwrap();
    assert!(delay.ends_with('s') && delay != "0s", "{delay}");
}
