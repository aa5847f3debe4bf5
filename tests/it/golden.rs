//! Golden files: a data directory of format version 1, and the article's timeline as the program prints it.

use std::fs;
use std::path::Path;

use annals::pb;
use expect_test::expect_file;
use serde_json::Value;

use crate::events::root;
use crate::harness::{Server, annals};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The chain hash covers every stored fact of all 22 events: equal hashes mean an equal log.
const CHAIN_V1: &str = "92fbb0062b2c9047fe7c3e8eddc44abe50c5f1b4914f34730929242bd230b366";

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_format_1_opens_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    copy(&root().join("tests/fixtures/format_v1"), &data);
    let output = annals(&["verify", "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let server = Server::start_in(&data, "");
    let head = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!((head.position, head.chain_hash.as_str()), (22, CHAIN_V1));
    expect_file!["../golden/timeline.json"].assert_eq(&timeline(&server, &[]));
    // It is not only read: an import of the same events finds them all.
    server.import_article();
    let after = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!(after, head);
}

/// The chain hash of 26 events: the 22 of the article, one erased, its order, and three others of which one is lost.
const CHAIN_V2: &str = "caedda1ddb9b194e86766205d485d03a2caea14db3ba7aba07133fdb21485431";

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_with_an_erased_and_a_lost_event_opens_and_answers() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    copy(&root().join("tests/fixtures/format_v2"), &data);
    let output = annals(&["verify", "--data", data.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(65) && said.matches("set aside").count() == 1, "{said}");
    let server = Server::start_in(&data, "");
    let mut log = server.log().await;
    let head = log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!((head.position, head.chain_hash.as_str()), (26, CHAIN_V2));
    let event_id = "018f9ee2-9300-7002-8061-6e6e616c7302".to_owned();
    let event = log.get_event(pb::GetEventRequest { event_id }).await.unwrap().into_inner().event.unwrap();
    assert_eq!((event.position, event.erasure.unwrap().position), (5, 26));
    let mut stream = log.read_events(pb::ReadEventsRequest::default()).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        use pb::read_events_response::Content;
        match message.content.unwrap() {
            Content::Events(batch) => {
                told.extend(batch.decoded().unwrap().iter().map(|event| (event.position, true)))
            }
            Content::Lost(lost) => {
                told.extend((lost.first_position..=lost.last_position).map(|at| (at, false)))
            }
            Content::End(_) => {}
        }
    }
    assert_eq!(told, (1..=26).map(|position| (position, position != 24)).collect::<Vec<_>>());
}

/// The timeline as JSON, without what differs from store to store.
fn timeline(server: &Server, arguments: &[&str]) -> String {
    let url = server.url();
    let mut all = vec!["timeline", "--server", &url, "--json"];
    all.extend(arguments);
    let output = annals(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut text = String::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        entry["event"].as_object_mut().unwrap().remove("recordedAt");
        text.push_str(&serde_json::to_string_pretty(&entry).unwrap());
        text.push('\n');
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_articles_timeline_is_as_it_was() {
    let server = Server::start();
    server.import_article();
    expect_file!["../golden/timeline.json"].assert_eq(&timeline(&server, &[]));
    let table = annals(&[
        "timeline",
        "--server",
        &server.url(),
        "--entity",
        "country:GB",
        "--entity",
        "country:AL",
        "--all-entities",
        "--from",
        "2022-01-01",
        "--to",
        "2025-01-01",
    ]);
    expect_file!["../golden/timeline.txt"].assert_eq(&String::from_utf8(table.stdout).unwrap());
}
