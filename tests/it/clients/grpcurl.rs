//! grpcurl, which knows no proto file: every service is described, every method answers.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::{wait_until, with_article};
use crate::events::{id, simple, with};
use crate::harness::Server;
use crate::tools;

/// What grpcurl said.
pub struct Answer {
    pub exit: i32,
    pub messages: Vec<Value>,
    pub error: String,
}

/// A call that is yet to be made.
pub fn command(server: &Server, flags: &[&str], method: &str, request: &Value) -> Command {
    command_with(server, flags, method, &request.to_string())
}

/// The same with any number of messages, one JSON text after another.
fn command_with(server: &Server, flags: &[&str], method: &str, requests: &str) -> Command {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(requests.as_bytes()).unwrap();
    input.rewind().unwrap();
    let mut grpcurl = tools::grpcurl();
    grpcurl.args(["-plaintext", "-format-error", "-max-time", "60", "-d", "@"]).args(flags);
    grpcurl.args([&server.address, &format!("annals.v1.{method}")]);
    grpcurl.stdin(input);
    grpcurl
}

pub fn answer(output: &Output) -> Answer {
    let printed = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    Answer {
        exit: output.status.code().unwrap(),
        messages: printed.map(|message| message.unwrap()).collect(),
        error: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

fn call_with(server: &Server, flags: &[&str], method: &str, request: &Value) -> Answer {
    answer(&command(server, flags, method, request).output().unwrap())
}

/// Makes a call that must succeed; gives its messages.
pub fn stream(server: &Server, method: &str, request: &Value) -> Vec<Value> {
    let answer = call_with(server, &[], method, request);
    assert_eq!(answer.exit, 0, "{method} {request}: {}", answer.error);
    answer.messages
}

/// Makes a call that must succeed with one message.
pub fn call(server: &Server, method: &str, request: &Value) -> Value {
    let [message] = <[Value; 1]>::try_from(stream(server, method, request)).unwrap();
    message
}

fn ask(server: &Server, what: &[&str]) -> String {
    let output = tools::grpcurl().args(["-plaintext", &server.address]).args(what).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn lists_and_describes() {
    let server = Server::start();
    let expected = [
        "annals.v1.AdminService",
        "annals.v1.AgreementService",
        "annals.v1.EventLogService",
        "annals.v1.FundingService",
        "annals.v1.ProvenanceService",
        "annals.v1.SeriesService",
        "annals.v1.TimelineService",
        "annals.v1.VisitService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    assert_eq!(ask(&server, &["list"]).lines().collect::<Vec<_>>(), expected);
    let methods = ask(&server, &["list", "annals.v1.TimelineService"]);
    let expected = [
        "CountEntries",
        "CreateTimeline",
        "DeleteTimeline",
        "DiffEntries",
        "GetEntryHistory",
        "GetTimeline",
        "ListEntries",
        "ListTimelines",
        "UpdateTimeline",
        "WatchEntries",
    ]
    .map(|m| format!("annals.v1.TimelineService.{m}"));
    assert_eq!(methods.lines().collect::<Vec<_>>(), expected);
    for (symbol, expected) in [
        ("annals.v1.EventLogService", "// Appends events, all or none"),
        ("annals.v1.EventLogService", "returns ( stream .annals.v1.SubscribeEventsResponse )"),
        ("annals.v1.Event", ".annals.v1.TimeSpan valid_time = 7;"),
        ("annals.v1.Event.known_at", "// When the public could know the event."),
        ("annals.v1.ErrorReason", "// INVALID_ARGUMENT. A field is malformed;"),
        ("google.rpc.BadRequest", "repeated .google.rpc.BadRequest.FieldViolation field_violations = 1;"),
    ] {
        let described = ask(&server, &["describe", symbol]);
        assert!(described.contains(expected), "{symbol}: {described}");
    }
}

#[test]
fn appends_and_reads() {
    let server = Server::start();
    let conditions =
        json!([{"stream": {"name": "a/1", "empty": true}}, {"absent": {"filter": {"tags": ["done"]}}}]);
    let events =
        json!([with(simple("a/1", "one"), "id", json!(id(1))), simple("a/2", "two"), simple("a/1", "three")]);
    let request = json!({"events": events, "conditions": conditions});
    let appended = call(&server, "EventLogService/AppendEvents", &request);
    assert_eq!((&appended["firstPosition"], &appended["lastPosition"]), (&json!("1"), &json!("3")));
    assert_eq!(appended["events"][2]["streamRevision"], "2");

    let event = &call(&server, "EventLogService/GetEvent", &json!({"eventId": id(1)}))["event"];
    assert_eq!((&event["title"], &event["custom"]["data"]["n"]), (&json!("one"), &json!(1)));

    let read = stream(&server, "EventLogService/ReadEvents", &json!({"direction": "BACKWARD", "limit": "2"}));
    let titles: Vec<&Value> =
        read[0]["events"]["events"].as_array().unwrap().iter().map(|e| &e["title"]).collect();
    assert_eq!(titles, ["three", "two"]);
    let head = call(&server, "EventLogService/GetHead", &json!({}));
    assert_eq!(read[1], json!({"end": {"head": "3", "more": true, "chainHash": head["chainHash"]}}));
    assert_eq!((&head["position"], &head["recordedAt"]), (&json!("3"), &appended["events"][2]["recordedAt"]));

    let followed = call_with(&server, &["-max-time", "2"], "EventLogService/SubscribeEvents", &json!({}));
    assert_eq!(followed.exit, 64 + 4, "DEADLINE_EXCEEDED: {}", followed.error);
    let started = &followed.messages[0]["started"];
    assert_eq!((&started["head"], &started["storeId"]), (&json!("3"), &head["storeId"]));
    assert_eq!(followed.messages[1]["events"]["events"].as_array().unwrap().len(), 3);
    assert_eq!(followed.messages[2], json!({"caughtUp": {"head": "3"}}));
}

#[test]
fn appends_on_a_stream() {
    let server = Server::start();
    let append = |title: &str, revision: Option<u64>| {
        let condition = revision.map(|revision| json!({"stream": {"name": "s", "revision": revision}}));
        json!({"events": [simple("s", title)], "conditions": Vec::from_iter(condition)}).to_string()
    };
    let requests = [append("one", None), append("two", Some(7)), append("three", Some(1))].concat();
    let output = command_with(&server, &[], "EventLogService/AppendStream", &requests).output().unwrap();
    let Answer { exit, messages, error } = answer(&output);
    assert_eq!((exit, messages.len()), (0, 3), "{error}");
    assert_eq!(messages[0]["appended"]["firstPosition"], "1");
    let refused = &messages[1]["refused"];
    assert_eq!(refused["code"], 10, "ABORTED: {refused}");
    // The details are written out: reflection knows their types.
    let details = refused["details"].as_array().unwrap();
    assert!(details.iter().any(|detail| detail["reason"] == "CONDITION_FAILED"), "{refused}");
    assert_eq!(messages[2]["appended"]["events"][0]["streamRevision"], "2");
}

#[test]
fn asks_for_the_timeline_of_the_article() {
    let server = with_article();
    let question = json!({
        "filter": {"allEntityIds": ["country:GB", "country:AL"]},
        "valid": {"from": "2022-01-01", "to": "2025-01-01"},
    });
    let today = call(&server, "TimelineService/ListEntries", &question);
    let entries = today["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[7]["event"]["title"], "Foreign Secretary to visit Tirana");
    assert_eq!((&entries[7]["status"], &entries[7]["match"]), (&json!("CURRENT"), &json!("MAY")));
    let then = with(question, "scope", json!({"knownAt": "2023-06-01T00:00:00Z"}));
    assert_eq!(call(&server, "TimelineService/ListEntries", &then)["entries"], Value::Null);

    let superseded = json!({"filter": {"seriesKeys": ["A.AL.SMALL_BOAT"]}, "includeClosed": true});
    let entries = call(&server, "TimelineService/ListEntries", &superseded);
    let old =
        entries["entries"].as_array().unwrap().iter().find(|entry| entry["status"] == "SUPERSEDED").unwrap();
    let history = call(&server, "TimelineService/GetEntryHistory", &json!({"eventId": old["event"]["id"]}));
    let versions = history["versions"].as_array().unwrap();
    let statuses: Vec<&Value> = versions.iter().map(|version| &version["status"]).collect();
    assert_eq!(statuses, ["SUPERSEDED", "CURRENT"]);
    assert_eq!(versions[0]["closedBy"]["type"], "SUPERSEDES");
    assert_eq!(versions[0]["closedBy"]["eventId"], versions[1]["event"]["id"]);

    let counts = call(&server, "TimelineService/CountEntries", &json!({"facet": "KIND", "groupLimit": 1}));
    assert_eq!((&counts["totalCount"], &counts["omittedGroupCount"]), (&json!("21"), &json!("5")));
    assert_eq!(counts["groups"], json!([{"key": "AGREEMENT", "count": "7"}]));
}

#[test]
fn administers() {
    let server = with_article();
    let info = call(&server, "AdminService/GetServerInfo", &json!({}));
    assert_eq!((&info["version"], &info["head"]), (&json!(env!("CARGO_PKG_VERSION")), &json!("22")));
    assert_eq!(info["limits"]["eventBytesMax"], "65536");
    let report = stream(&server, "AdminService/Verify", &json!({}));
    let summary = &report.last().unwrap()["summary"];
    let head = call(&server, "EventLogService/GetHead", &json!({}));
    assert_eq!((&summary["eventCount"], &summary["chainHash"]), (&json!("22"), &head["chainHash"]));
    assert_eq!(summary["findingCount"], Value::Null, "none: {report:?}");

    for service in ["", "annals.v1.AdminService", "annals.v1.EventLogService", "annals.v1.TimelineService"] {
        let request = json!({"service": service}).to_string();
        let health = tools::grpcurl()
            .args(["-plaintext", "-d", &request, &server.address, "grpc.health.v1.Health/Check"])
            .output()
            .unwrap();
        assert_eq!(answer(&health).messages, [json!({"status": "SERVING"})], "{service}");
    }
}

/// What another client fetched as JSON is a proof that the program checks.
#[test]
fn proves_and_the_program_checks_the_proof() {
    let server = with_article();
    let events = stream(&server, "EventLogService/ReadEvents", &json!({"limit": "7"}));
    let id = events[0]["events"]["events"][6]["id"].as_str().unwrap();
    let request = json!({"eventId": id, "position": "20", "consistentWithPosition": "9"});
    let proof = call(&server, "AdminService/GetLogProof", &request);
    let info = call(&server, "AdminService/GetServerInfo", &json!({}));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("proof.json");
    std::fs::write(&file, format!("{proof:#}")).unwrap();
    let key = info["verifierKey"].as_str().unwrap();
    let output = crate::harness::annals(&["proof", "check", file.to_str().unwrap(), "--key", key]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(&format!("event {id} is at position 7 of 20")),
        "{said}"
    );
}

/// What only an operator asks for can be said with grpcurl, too.
#[test]
fn erases_an_event_and_takes_a_backup() {
    let server = with_article();
    let id = "018f9ee2-9300-7002-8061-6e6e616c7302";
    let order = json!({"eventId": id, "reason": "personal data", "authority": "a court"});
    let erased = call(&server, "AdminService/EraseEvent", &order);
    assert_eq!(erased["event"]["erasure"]["position"], "23", "{erased:#}");
    let event = call(&server, "EventLogService/GetEvent", &json!({"eventId": id}));
    assert_eq!(event["event"], erased["event"]);
    assert!(event["event"]["title"].is_null());
    let again = call(&server, "AdminService/EraseEvent", &order);
    assert_eq!(again["alreadyErased"], true);
    let parts = stream(&server, "AdminService/Backup", &json!({"afterPosition": "22"}));
    assert_eq!((&parts[0]["begin"]["head"], &parts[2]["end"]["eventCount"]), (&json!("23"), &json!("1")));
}

/// The details of the last error cannot be asked of a server that has gone: they are read from the proto files.
#[test]
fn is_told_where_to_resume_when_the_server_stops() {
    let mut server = Server::start();
    call(&server, "EventLogService/AppendEvents", &json!({"events": [simple("s", "one")]}));
    let proto = crate::events::root().join("proto");
    let files = ["-proto", "annals/v1/event_log_service.proto", "-proto", "google/rpc/error_details.proto"];
    let flags = [&["-import-path", proto.to_str().unwrap()], files.as_slice()].concat();
    let mut follow = command(&server, &flags, "EventLogService/SubscribeEvents", &json!({}));
    let printed = tempfile::NamedTempFile::new().unwrap();
    let follow = follow.stdout(printed.reopen().unwrap()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the live edge", || std::fs::read_to_string(printed.path()).unwrap().contains("caughtUp"));
    server.stop();
    let mut output = follow.wait_with_output().unwrap();
    output.stdout = std::fs::read(printed.path()).unwrap();
    let answer = answer(&output);
    let ending = &answer.messages.last().unwrap()["ending"];
    assert_eq!((&ending["reason"], &ending["resumeAfterPosition"]), (&json!("SHUTTING_DOWN"), &json!("1")));
    assert_eq!(answer.exit, 64 + 14, "UNAVAILABLE: {}", answer.error);
    let status: Value = serde_json::from_str(&answer.error).unwrap();
    let reasons: Vec<&Value> =
        status["details"].as_array().unwrap().iter().filter_map(|detail| detail.get("reason")).collect();
    assert_eq!(reasons, ["SHUTTING_DOWN"], "{status}");
}
