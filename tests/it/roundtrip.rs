//! Events exported as protobuf-JSON and imported into an empty store are the same events, to the last stored byte.

use std::path::{Path, PathBuf};

use annals::domain::{Position, StoreId, Timestamp};
use annals::journal::{Direction, Journal as _, Record, SledJournal};
use annals::pb;
use serde_json::{Value, json};

use crate::events::{article, dataset, read_file};
use crate::generate::Generator;
use crate::harness::{Server, annals};
use crate::model::Model;

fn export(server: &Server, file: &Path) -> PathBuf {
    let output = annals(&["export", "--server", &server.url(), file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file.to_owned()
}

/// Gives every record of a store that no server uses.
fn records(data: &Path) -> Vec<Record> {
    let text = std::fs::read_to_string(data.join("STORE")).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("id ")).unwrap();
    let store = StoreId::parse(id).unwrap();
    let journal = SledJournal::open(&data.join("journal"), store, 1 << 24).unwrap().journal;
    let frames = journal.read(Position(1), Direction::Forward);
    frames.flat_map(|frame| frame.unwrap().into_records()).collect()
}

/// Takes away what each store gives anew, and no more.
///
/// `recordedAt` is when this store recorded the event. `knownAt` of an event with `knownAtDerived` follows from its
/// sources; but not later than `recordedAt`, and it is `recordedAt` where no source has a date. So it is taken away
/// where it equals `recordedAt`. `position` and `streamRevision` stay: the file is in position order, the store empty.
fn lasting(file: &Path) -> Vec<Value> {
    let mut events = read_file(file);
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        let recorded = event.remove("recordedAt").unwrap();
        if event.get("knownAtDerived") == Some(&json!(true)) && event["knownAt"] == recorded {
            event.remove("knownAt");
        }
    }
    events
}

/// Exports a store, imports that into an empty one, exports again, and compares both files and both journals.
fn assert_round_trip(mut source: Server) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let first = export(&source, &directory.path().join("first.jsonl.gz"));
    let mut copy = Server::start();
    copy.import(&first);
    let second = export(&copy, &directory.path().join("second.jsonl"));
    let (expected, actual) = (lasting(&first), lasting(&second));
    assert_eq!(expected.len(), actual.len());
    for (expected, actual) in expected.iter().zip(&actual) {
        assert_eq!(expected, actual);
    }
    source.stop();
    copy.stop();
    let (before, after) = (records(&source.data), records(&copy.data));
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.content, after.content, "position {}", before.position);
        let facts =
            |record: &Record| (record.position, record.revision, record.event_id, record.stream.clone());
        assert_eq!(facts(before), facts(after));
    }
    before.len() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn the_article_and_the_real_data_come_back_byte_for_byte() {
    let server = Server::start();
    for file in [article("context_releases.jsonl"), article("events.jsonl")] {
        server.import(&file);
    }
    for name in ["uk-small-boats", "unhcr-iati", "uk-treaties"] {
        server.import(&dataset(name));
    }
    let count = tokio::task::spawn_blocking(move || assert_round_trip(server)).await.unwrap();
    assert_eq!(count, 54_820);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_events_come_back_byte_for_byte() {
    let server = Server::start();
    let mut log = server.log().await;
    let (mut generator, mut model) = (Generator::new(4_711), Model::default());
    // Known times are made around this moment, which the server's clock has passed.
    let now = Timestamp(1_735_689_600_000_000);
    let mut refused = 0;
    while model.events.len() < 600 {
        let proposed = generator.events(&model, now);
        let drafts: Vec<_> = proposed.iter().map(|proposed| proposed.draft.clone()).collect();
        let events = drafts.iter().map(|draft| draft.event.clone()).collect();
        let request = pb::AppendEventsRequest::of(events, Vec::new());
        let answer = log.append_events(request).await;
        assert_eq!(answer.is_ok(), model.append(&drafts, &[], now).is_ok(), "{answer:?}");
        refused += u64::from(answer.is_err());
    }
    assert!(refused > 0, "links are refused, too");
    let linked = model.links.len();
    assert!(linked > 50, "{linked} knowledge links");
    let count = tokio::task::spawn_blocking(move || assert_round_trip(server)).await.unwrap();
    assert_eq!(count, model.events.len() as u64);
}
