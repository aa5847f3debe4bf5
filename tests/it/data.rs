//! Real data, imported by the program: every event is taken, none twice, and the known answers come back.

use annals::pb;
use serde_json::{Value, json};

use crate::events::{self, article, dataset, read_file};
use crate::harness::{Server, append};

async fn total(server: &Server, filter: Value) -> i64 {
    count(server, json!({"filter": filter})).await.total_count
}

async fn count(server: &Server, question: Value) -> pb::CountEntriesResponse {
    let request: pb::CountEntriesRequest = events::message("annals.v1.CountEntriesRequest", &question);
    server.timeline().await.count_entries(request).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_thousand_real_events_are_taken_once() {
    let server = Server::start();
    let files = [
        (article("context_releases.jsonl"), 3),
        (article("events.jsonl"), 19),
        (dataset("uk-small-boats"), 1_019),
        (dataset("unhcr-iati"), 40_782),
        (dataset("uk-treaties"), 12_997),
    ];
    for (file, expected) in &files {
        let said = server.import(file);
        assert!(said.contains(&format!("{expected} read, {expected} added, 0 already there")), "{said}");
    }
    for (file, expected) in &files {
        let said = server.import(file);
        assert!(said.contains(&format!("{expected} read, 0 added, {expected} already there")), "{said}");
    }
    let head = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!(head.position, 54_820);
    the_known_counts_come_back(&server).await;
    seal_a_segment(&server);
    a_deleted_index_changes_no_answer(server).await;
}

/// Figures from the README of each data set.
async fn the_known_counts_come_back(server: &Server) {
    let funding = |stage: &str, currency: &str| {
        json!({
            "streamPrefixes": ["activity/"],
            "fundingStages": [stage],
            "amount": {"currencyCode": currency, "atLeast": "-1000000000000"},
        })
    };
    for (stage, currency, expected) in [
        ("INCOMING_COMMITMENT", "GBP", 244),
        ("INCOMING_COMMITMENT", "EUR", 3_739),
        ("INCOMING_COMMITMENT", "JPY", 90),
        ("INCOMING_COMMITMENT", "USD", 30_925),
        ("DISBURSEMENT", "USD", 2_736),
        ("EXPENDITURE", "USD", 1_412),
    ] {
        assert_eq!(total(server, funding(stage, currency)).await, expected, "{stage} {currency}");
    }
    let large = json!({"streamPrefixes": ["activity/XM"], "amount": {"currencyCode": "GBP", "atLeast": "1000000.01"}});
    assert_eq!(total(server, large).await, 98);
    let provider = json!({"participations": [{"entityId": "org:GB-GOV-1", "role": "PROVIDER"}]});
    assert_eq!(total(server, provider).await, 187);
    for (action, expected) in [
        ("SIGNED", 7_588),
        ("ENTERED_INTO_FORCE", 4_103),
        ("TERMINATED", 664),
        ("ADOPTED", 523),
        ("PROVISIONALLY_APPLIED", 115),
        ("WITHDRAWN", 4),
    ] {
        let acts = json!({"streamPrefixes": ["agreement/uk-treaty/"], "agreementActions": [action]});
        assert_eq!(total(server, acts).await, expected, "{action}");
    }
    // The data hold 212 acts whose treaty was in force before it was signed; taken, not refused.
    let decades = count(
        server,
        json!({
            "filter": {"streamPrefixes": ["agreement/uk-treaty/"]}, "time": {"unit": "DECADE"}, "groupLimit": 1000,
        }),
    );
    let decades = decades.await;
    assert_eq!(decades.groups.iter().map(|group| group.count).sum::<i64>(), 12_997);
    assert_eq!(decades.groups.first().unwrap().key, "1700-01-01");
    let by_release = count(
        server,
        json!({
            "filter": {"dataflows": ["GB.HO:IRR_D01(1.0)"]}, "time": {"axis": "KNOWN", "unit": "DAY"},
        }),
    );
    let by_release = by_release.await;
    let vintages: Vec<&str> = by_release.groups.iter().map(|group| group.key.as_str()).collect();
    let published = ["2023-03-09", "2023-05-31", "2023-07-27", "2023-08-24", "2023-11-23", "2024-02-29"];
    assert!(vintages.iter().all(|vintage| published.contains(vintage)), "{vintages:?}");
    assert_eq!(by_release.groups.iter().map(|group| group.count).sum::<i64>(), 1_019);
}

async fn a_deleted_index_changes_no_answer(mut server: Server) {
    let questions = [
        json!({"filter": {"countries": ["AL"]}, "pageSize": 1000}),
        json!({"filter": {"entityIds": ["party:albania"]}, "valid": {"from": "1900", "to": "1950"}, "order": "KNOWN_AT"}),
        json!({"order": "RECORDED_DESCENDING"}),
        json!({"order": "VALID_START_DESCENDING", "filter": {"not": {"kinds": ["AGREEMENT"]}}}),
    ];
    let ask = async |server: &Server| {
        let mut client = server.timeline().await;
        let mut answers = Vec::new();
        for question in &questions {
            let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", question);
            answers.push(client.list_entries(request).await.unwrap().into_inner());
        }
        answers
    };
    let before = ask(&server).await;
    assert!(before.iter().all(|answer| !answer.entries.is_empty()));
    server.stop();
    assert_eq!(segments_that_equal_a_rebuild(&server), 1);
    std::fs::remove_dir_all(server.data.join("index")).unwrap();
    let mut again = Server::start_in(&server.data, "");
    assert!(ask(&again).await == before, "a rebuilt index answers as before");
    again.stop();
    assert_eq!(segments_that_equal_a_rebuild(&again), 1);
}

/// Checks a store that no server uses; gives how many stored segments were compared, byte by byte, with a rebuild.
fn segments_that_equal_a_rebuild(server: &Server) -> u64 {
    let output = crate::harness::annals(&["verify", "--json", "--data", server.data.to_str().unwrap()]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    summary["summary"]["segmentCount"].as_str().map_or(0, |count| count.parse().unwrap())
}

/// Adds the funding events once more under other streams, so that the first segment of the index is sealed.
fn seal_a_segment(server: &Server) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("again.jsonl");
    let mut lines = String::new();
    for event in read_file(&dataset("unhcr-iati")) {
        let stream = format!("copy/{}", event["stream"].as_str().unwrap());
        lines.push_str(&events::with(event, "stream", json!(stream)).to_string());
        lines.push('\n');
    }
    std::fs::write(&file, lines).unwrap();
    assert!(server.import(&file).contains("40782 read, 40782 added"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_where_it_was_interrupted() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let whole = read_file(&dataset("uk-small-boats"));
    let part = directory.path().join("part.jsonl");
    let lines: Vec<String> = whole.iter().take(300).map(Value::to_string).collect();
    std::fs::write(&part, lines.join("\n")).unwrap();
    assert!(server.import(&part).contains("300 read, 300 added"));
    // The rest of the batch is new, the beginning is there: only what is missing is added.
    assert!(server.import(&dataset("uk-small-boats")).contains("1019 read, 719 added, 300 already there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_the_line_and_field_and_stores_nothing_of_the_batch() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.jsonl");
    let good = events::simple("s", "good").to_string();
    let bad =
        events::with(events::simple("s", "bad"), "validTime", json!({"edtf": "2024-02-30"})).to_string();
    std::fs::write(&file, format!("{good}\n{bad}\n")).unwrap();
    let output = crate::harness::annals(&["import", "--server", &server.url(), file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("bad.jsonl:2") && said.contains("valid_time.edtf"), "{said}");
    assert_eq!(total(&server, json!({})).await, 0);
    std::fs::write(&file, "{\"titel\": \"x\"}\n").unwrap();
    let output = crate::harness::annals(&["import", "--server", &server.url(), file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "{said}");
    assert!(said.contains("bad.jsonl:1") && said.contains("titel"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_imported_again_and_elsewhere() {
    let server = Server::start();
    server.import_article();
    let corrects = json!([{"type": "CORRECTS", "eventId": "018f9ee2-9300-7004-8061-6e6e616c7304"}]);
    let mut correction = read_file(&article("events.jsonl"))[3].clone();
    correction.as_object_mut().unwrap().remove("id");
    correction["title"] = json!("British cultural centre in Tirana launched");
    append(&mut server.log().await, &[events::with(correction, "links", corrects)]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let export = |server: &Server, name: &str| {
        let file = directory.path().join(name);
        let output = crate::harness::annals(&["export", "--server", &server.url(), file.to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        file
    };
    let file = export(&server, "all.jsonl.gz");
    assert!(server.import(&file).contains("23 read, 0 added, 23 already there"));
    let elsewhere = Server::start();
    assert!(elsewhere.import(&file).contains("23 read, 23 added, 0 already there"));
    let strip = |path: &std::path::Path| -> Vec<Value> {
        let mut events = read_file(path);
        for event in &mut events {
            // What each store gives anew.
            for key in ["recordedAt", "position", "streamRevision"] {
                event.as_object_mut().unwrap().remove(key);
            }
            if event["knownAtDerived"] == json!(true) && event["sources"].get(0).is_none() {
                event.as_object_mut().unwrap().remove("knownAt");
            }
        }
        events
    };
    assert_eq!(strip(&export(&elsewhere, "again.jsonl")), strip(&file));
}
