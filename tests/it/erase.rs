//! Erasing the content of one event: its bytes are gone from every file, and everything else holds.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use annals::clock::{Clock as _, IdSource as _, System};
use annals::codec::erased::EraseOrder;
use annals::domain::{EventId, Position};
use annals::log::{AppendRequest, Log, LogConfig};
use annals::pb;
use annals::pb::subscribe_events_response::Content as Followed;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;

use crate::events::{id, simple, with};
use crate::harness::{Said, Server, annals, append};

/// Places of an event that hold a person's words.
const MARKERS: usize = 12;
/// Letters and digits of a marker, in a row, that betray it: compression may break a marker, hardly all runs of it.
const RUN: usize = 10;

/// Words that stand nowhere else, one for each place in an event that holds a person's words.
fn markers(number: u64) -> Vec<String> {
    let marker = |place: u64| {
        let hash = blake3::hash(&[number.to_be_bytes(), place.to_be_bytes()].concat());
        let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
        hash.as_bytes().iter().map(|byte| char::from(letters[usize::from(*byte) % letters.len()])).collect()
    };
    (0..MARKERS).map(|place| marker(u64::try_from(place).unwrap())).collect()
}

fn marked(number: u64, stream: &str) -> Value {
    let m = markers(number);
    let mut event = simple(stream, &m[0]);
    for (key, value) in [
        ("id", json!(id(number))),
        ("summary", json!(m[1])),
        ("tags", json!([m[2]])),
        (
            "participants",
            json!([{"entity": {"id": format!("person:{}", m[3]), "name": m[4]}, "role": "PARTY"}]),
        ),
        ("sources", json!([{"id": m[5], "quote": {"exact": m[6]}, "published": {"edtf": "2024-05-22"}}])),
        ("attributes", json!({"note": m[7]})),
        ("places", json!([{"name": m[8]}])),
        ("correlationId", json!(m[9])),
        ("agreement", json!({"agreementId": m[10], "action": "SIGNED", "actingParty": {"name": m[11]}})),
    ] {
        event = with(event, key, value);
    }
    event.as_object_mut().unwrap().remove("custom");
    event
}

/// Gives how many of an event's markers are betrayed by files below a directory.
fn left(directory: &Path, number: u64) -> usize {
    let markers = markers(number);
    let mut runs: HashMap<&[u8], usize> = HashMap::new();
    for (marker, text) in markers.iter().enumerate() {
        runs.extend(text.as_bytes().windows(RUN).map(|run| (run, marker)));
    }
    let mut found: HashSet<usize> = HashSet::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(path).unwrap();
            found.extend(bytes.windows(RUN).filter_map(|run| runs.get(run).copied()));
        }
    }
    found.len()
}

fn order(number: u64) -> pb::EraseEventRequest {
    pb::EraseEventRequest {
        event_id: id(number),
        reason: "personal data, right to erasure".to_owned(),
        authority: "High Court, order KB-2026-001234".to_owned(),
    }
}

async fn chain_hash(server: &Server) -> String {
    server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().chain_hash
}

async fn listed(server: &Server, filter: Value) -> Vec<String> {
    let request: pb::ListEntriesRequest =
        crate::events::message("annals.v1.ListEntriesRequest", &json!({"filter": filter}));
    let page = server.timeline().await.list_entries(request).await.unwrap().into_inner();
    page.entries.into_iter().map(|entry| entry.decoded().unwrap().id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_event_leaves_no_byte_and_keeps_its_place() {
    let mut server = Server::start();
    let mut log = server.log().await;
    for number in 1..=3 {
        append(&mut log, &[marked(number, "people/one")]).await.unwrap();
    }
    let retraction = json!([{"type": "CORRECTS", "eventId": id(2)}]);
    append(&mut log, &[with(marked(4, "people/one"), "links", retraction)]).await.unwrap();
    let chain = chain_hash(&server).await;
    let data = server.data.clone();
    assert_eq!(
        [1, 2, 3, 4].map(|number| left(&data, number)),
        [MARKERS; 4],
        "the search finds what is there"
    );

    // Whoever asks for words has the words of all events stored.
    assert_eq!(listed(&server, json!({"text": markers(4)[0]})).await, [id(4)]);
    assert!(data.join("words").exists());

    let erased = server.admin().await.erase_event(order(2)).await.unwrap().into_inner();
    assert!(!erased.already_erased);
    assert!(!data.join("words").exists(), "stored words go with it, and are stored again when asked for");
    assert_eq!(listed(&server, json!({"text": markers(4)[0]})).await, [id(4)]);
    assert_eq!([1, 2, 3, 4].map(|number| left(&data, number)), [MARKERS, 0, MARKERS, MARKERS]);
    for _ in 0..2 {
        let mut log = server.log().await;
        let event =
            log.get_event(pb::GetEventRequest { event_id: id(2) }).await.unwrap().into_inner().event.unwrap();
        assert_eq!((event.position, event.stream_revision, event.stream.as_str()), (2, 2, "people/one"));
        let erasure = event.erasure.clone().unwrap();
        assert_eq!((erasure.position, erasure.authority.as_str()), (5, "High Court, order KB-2026-001234"));
        assert!(event.title.is_empty() && event.sources.is_empty() && event.payload.is_none());
        let recorded = log.get_event(pb::GetEventRequest { event_id: erasure.event_id }).await.unwrap();
        assert_eq!(recorded.into_inner().event.unwrap().stream, "$erasures");
        // The id stays taken, whatever is sent under it.
        for event in [marked(2, "people/one"), with(simple("s", "other"), "id", json!(id(2)))] {
            let said = Said::of(&append(&mut log, &[event]).await.unwrap_err());
            assert_eq!((said.code, said.reason.as_str()), (Code::AlreadyExists, "EVENT_ERASED"));
            assert_eq!(said.metadata["position"], "2");
        }
        // Neither found by what it said, nor listed; the order is no entry, either.
        assert_eq!(listed(&server, json!({"tags": [markers(2)[2]]})).await, Vec::<String>::new());
        assert_eq!(listed(&server, json!({})).await, [id(1), id(3), id(4)]);
        assert_eq!(listed(&server, json!({"tags": [markers(3)[2]]})).await, [id(3)]);
        let again = server.admin().await.erase_event(order(2)).await.unwrap().into_inner();
        assert!(again.already_erased);
        assert_eq!(again.event, erased.event);
        server = server.restart();
    }
    server.stop();
    let log = open(&data);
    let at_four = annals::log::rebuild::chain_at(log.journal(), Position(4)).unwrap();
    assert_eq!(at_four.to_string(), chain, "the chain is the one of before");
    log.close().unwrap();
    drop(log);
    let output = annals(&["verify", "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(left(&data, 2), 0);
}

#[tokio::test]
async fn what_cannot_be_erased_is_refused_and_nothing_is_recorded() {
    let server = Server::start();
    let mut log = server.log().await;
    append(&mut log, &[marked(1, "s")]).await.unwrap();
    let mut admin = server.admin().await;
    let said = Said::of(&admin.erase_event(order(9)).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));
    let empty = pb::EraseEventRequest { event_id: "x".to_owned(), ..Default::default() };
    let said = Said::of(&admin.erase_event(empty).await.unwrap_err());
    assert_eq!(said.fields(), ["event_id", "reason", "authority"]);
    let long = pb::EraseEventRequest { reason: "x".repeat(1_001), ..order(1) };
    assert_eq!(Said::of(&admin.erase_event(long).await.unwrap_err()).fields(), ["reason"]);
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 1);
    // The record of an erasure cannot itself be erased.
    let erased = admin.erase_event(order(1)).await.unwrap().into_inner().event.unwrap();
    let record = pb::EraseEventRequest { event_id: erased.erasure.clone().unwrap().event_id, ..order(1) };
    assert_eq!(Said::of(&admin.erase_event(record).await.unwrap_err()).fields(), ["event_id"]);
    // An exported erased event does not come back as an empty one.
    let said = Said::of(&log.append_events(request(vec![erased])).await.unwrap_err());
    assert!(said.fields().contains(&"events[0].erasure".to_owned()), "{:?}", said.fields());
}

fn request(events: Vec<pb::Event>) -> pb::AppendEventsRequest {
    pb::AppendEventsRequest::of(events, Vec::new())
}

#[tokio::test]
async fn a_follower_is_told_of_the_erasure_and_erased_events_keep_their_place_in_it() {
    let server = Server::start();
    let mut log = server.log().await;
    for number in 1..=3 {
        append(&mut log, &[marked(number, "s")]).await.unwrap();
    }
    let start = Some(pb::subscribe_events_request::Start::FromStart(true));
    let mut stream = log
        .subscribe_events(pb::SubscribeEventsRequest { start, ..Default::default() })
        .await
        .unwrap()
        .into_inner();
    server.admin().await.erase_event(order(1)).await.unwrap();
    let mut seen = Vec::new();
    while seen.last() != Some(&(4, "$erasures".to_owned())) {
        if let Some(Followed::Events(batch)) = stream.message().await.unwrap().unwrap().content {
            seen.extend(batch.decoded().unwrap().into_iter().map(|event| (event.position, event.stream)));
        }
    }
    assert_eq!(seen.iter().map(|(position, _)| *position).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // From the start, later: the place is there, the content is not.
    let request = pb::ReadEventsRequest::default();
    let mut stream = log.read_events(request).await.unwrap().into_inner();
    let Some(pb::read_events_response::Content::Events(batch)) =
        stream.message().await.unwrap().unwrap().content
    else {
        panic!("events come first")
    };
    let erased: Vec<bool> = batch.decoded().unwrap().iter().map(|event| event.erasure.is_some()).collect();
    assert_eq!(erased, [true, false, false, false]);
    let bytes = batch.encode_to_vec();
    assert!(!bytes.windows(RUN).any(|found| found == &markers(1)[0].as_bytes()[..RUN]));
}

/// What was read often is held in memory as clients see it; an erasure reaches that, too.
#[tokio::test]
async fn an_erased_event_is_not_read_from_memory_either() {
    let server = Server::start();
    let mut log = server.log().await;
    let events: Vec<Value> = (1..=100).map(|number| marked(number, "s")).collect();
    append(&mut log, &events).await.unwrap();
    let betrayed = async |number: u64| {
        let mut log = server.log().await;
        let mut stream = log.read_events(pb::ReadEventsRequest::default()).await.unwrap().into_inner();
        let mut bytes = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            bytes.extend(message.encode_to_vec());
        }
        let marker = markers(number).remove(0);
        bytes.windows(RUN).any(|found| found == &marker.as_bytes()[..RUN])
    };
    for _ in 0..3 {
        assert!(betrayed(50).await);
    }
    server.admin().await.erase_event(order(50)).await.unwrap();
    for _ in 0..3 {
        assert!(!betrayed(50).await && betrayed(49).await && betrayed(51).await);
    }
}

fn open(directory: &Path) -> Log {
    Log::open(&LogConfig::at(directory), Arc::new(System), Arc::new(System), &|_| {}).unwrap().0
}

/// Appends events of one stream, a thousand in a request.
async fn load(log: &Log, from: u64, count: u64) {
    for first in (from..from + count).step_by(1_000) {
        let events = (first..(first + 1_000).min(from + count)).map(|number| {
            let mut findings = annals::domain::Findings::default();
            let event = crate::events::event(&marked(number, "s"));
            let parts = (EventId::from_bytes([0; 16]), System.now());
            let event =
                annals::codec::prepare(event, annals::codec::Writer::Client, parts, &mut findings).unwrap();
            log.propose(event.facts, event.content, event.caveats)
        });
        let request = AppendRequest { events: events.collect(), ..AppendRequest::default() };
        log.append(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_crash_between_the_order_and_the_work_does_not_undo_the_order() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    load(&log, 1, 5).await;
    // What a crash behind the first step leaves: the order, and all contents.
    let order = EraseOrder {
        event_id: EventId::parse(&id(3)).unwrap(),
        reason: "a reason".to_owned(),
        authority: "a court".to_owned(),
    };
    let event = order.event(System.event_id(), System.now()).unwrap();
    let event = log.propose(event.facts, event.content, event.caveats);
    log.append(AppendRequest { events: vec![event], ..AppendRequest::default() }).await.unwrap();
    log.close().unwrap();
    drop(log);
    assert_eq!(left(directory.path(), 3), MARKERS);

    let log = open(directory.path());
    assert_eq!([3, 4].map(|number| left(directory.path(), number)), [0, MARKERS]);
    let event = annals::codec::present(&log.reader().record(Position(3)).unwrap()).unwrap();
    assert_eq!(event.erasure.unwrap().position, 6);
    assert_eq!(log.head().position, Position(6));
    assert!(log.erase(order).await.unwrap().already);
}

#[tokio::test]
async fn sealed_segments_forget_an_erased_event_too() {
    const COUNT: u64 = 66_000;
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    load(&log, 1, COUNT).await;
    log.close().unwrap();
    drop(log);
    let log = open(directory.path());
    for number in [7, COUNT - 1] {
        let order = EraseOrder {
            event_id: EventId::parse(&id(number)).unwrap(),
            reason: "a reason".to_owned(),
            authority: "a court".to_owned(),
        };
        let erased = log.erase(order).await.unwrap();
        assert_eq!(erased.position, Position(number));
        assert_eq!([number, number - 1].map(|number| left(directory.path(), number)), [0, MARKERS]);
    }
    let findings = |log: &Log| {
        let mut findings = Vec::new();
        let report = log.verify(|event| {
            findings.extend(matches!(event, annals::log::VerifyEvent::Finding(_)).then_some(event));
            true
        });
        (report.segments, findings)
    };
    assert_eq!(findings(&log), (1, Vec::new()), "the stored segment is that of a rebuild");
    log.close().unwrap();
    drop(log);
    assert_eq!(findings(&open(directory.path())), (1, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_reaches_backups_that_are_restored_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let server = Server::start();
    let mut log = server.log().await;
    for number in 1..=3 {
        append(&mut log, &[marked(number, "s")]).await.unwrap();
    }
    let run = |arguments: &[&str]| {
        let output = annals(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let url = server.url();
    run(&["backup", "--server", &url, "--out", &path("before")]);
    server.admin().await.erase_event(order(2)).await.unwrap();
    run(&["backup", "--server", &url, "--out", &path("since"), "--since", &path("before")]);
    std::fs::create_dir(path("after")).unwrap();
    run(&["backup", "--server", &url, "--out", &path("after/full")]);
    run(&["export", "--server", &url, &path("after/export.jsonl")]);
    assert_eq!(left(Path::new(&path("after")), 2), 0, "neither a later backup nor an export has it");
    assert_eq!(left(Path::new(&path("before")), 2), MARKERS, "an earlier backup is for its owner to destroy");

    // Restored, the content is there until the store is opened: the order is found undone, and carried out.
    run(&["restore", "--data", &path("data"), &path("before"), &path("since")]);
    assert_eq!(left(Path::new(&path("data")), 2), MARKERS);
    let mut restored = Server::start_in(Path::new(&path("data")), "");
    assert_eq!([1, 2].map(|number| left(&restored.data, number)), [MARKERS, 0]);
    assert_eq!(chain_hash(&restored).await, chain_hash(&server).await);
    let event = |server: Server| async move {
        let request = pb::GetEventRequest { event_id: id(2) };
        (server.log().await.get_event(request).await.unwrap().into_inner().event, server)
    };
    let (found, back) = event(restored).await;
    restored = back;
    let (expected, _server) = event(server).await;
    assert_eq!(found, expected);
    restored.stop();
    let output = annals(&["verify", "--data", &path("data")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Kills the program while it erases, at a moment that moves from the order to the answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_killed_is_undone_or_carried_out_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (mut undone, mut done) = (0, 0);
    let mut numbers = 1..;
    let mut server = Server::start_in(&data, "");
    for round in 0..12_u64 {
        let mut log = server.log().await;
        let own: Vec<u64> = numbers.by_ref().take(200).collect();
        let events: Vec<Value> = own.iter().map(|number| marked(*number, "s")).collect();
        append(&mut log, &events).await.unwrap();
        let number = own[7];
        let mut admin = server.admin().await;
        let asked = tokio::spawn(async move { admin.erase_event(order(number)).await.is_ok() });
        tokio::time::sleep(std::time::Duration::from_millis(round * 6)).await;
        server.kill();
        let answered = asked.await.unwrap();
        server = Server::start_in(&data, "");
        let request = pb::GetEventRequest { event_id: id(number) };
        let event = server.log().await.get_event(request).await.unwrap().into_inner().event.unwrap();
        match event.erasure {
            Some(_) => {
                done += 1;
                assert_eq!(left(&data, number), 0, "round {round}");
            }
            None => {
                undone += 1;
                assert!(!answered, "round {round}: an answered erasure was undone");
                assert_eq!(left(&data, number), MARKERS, "round {round}: half erased");
            }
        }
        assert_eq!(left(&data, number + 1), MARKERS, "round {round}: a neighbour keeps its content");
    }
    eprintln!("{undone} undone, {done} carried out");
    server.stop();
    let output = annals(&["verify", "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
