//! Backups: taken under load and restored, they answer as their source did; damaged or misplaced files are refused;
//! a client with a cursor of another history is told so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals::pb;
use annals::pb::read_events_response::Content;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Code;

use crate::events::{self, article, dataset, id, simple, with};
use crate::harness::{SOON, Said, Server, annals, append};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command that must succeed; gives its standard output.
fn done(arguments: &[&str]) -> String {
    let output = annals(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that must fail with a code; gives what it says.
fn fails(arguments: &[&str], code: i32) -> String {
    let output = annals(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

/// Makes a backup; gives its file and what was said of it.
fn backup(server: &Server, into: &Path, name: &str, more: &[&str]) -> (PathBuf, Value) {
    let file = into.join(name);
    let url = server.url();
    let mut arguments = vec!["backup", "--server", &url, "--json", "--out", text(&file)];
    arguments.extend(more);
    let said = serde_json::from_str(&done(&arguments)).unwrap();
    (file, said)
}

fn restore(files: &[&Path], data: &Path) -> String {
    let mut arguments = vec!["restore", "--data", text(data)];
    arguments.extend(files.iter().map(|file| text(file)));
    done(&arguments)
}

fn number(said: &Value, key: &str) -> u64 {
    said[key].as_str().unwrap().parse().unwrap()
}

/// Asks for proofs about the state of a log, and its signed checkpoint: the key is restored with the backup.
async fn proofs(server: &Server, as_of: u64, ids: &[String]) -> Vec<(String, Vec<u8>)> {
    let mut answers = Vec::new();
    let mut admin = server.admin().await;
    for (index, id) in ids.iter().enumerate().step_by(7) {
        let request = pb::GetLogProofRequest {
            position: as_of,
            event_id: id.clone(),
            consistent_with_position: index as u64,
        };
        let proof = admin.get_log_proof(request).await.unwrap().into_inner();
        assert!(proof.inclusion.is_some() && !proof.checkpoint.is_empty());
        answers.push((format!("proof {id}"), proof.encode_to_vec()));
    }
    answers
}

/// Asks everything about the state of a log at a position; gives the bytes of every answer.
async fn answers(server: &Server, as_of: u64) -> Vec<(String, Vec<u8>)> {
    let mut answers = Vec::new();
    let mut log = server.log().await;
    let scope = json!({"asOfPosition": as_of.to_string()});
    let mut ids = Vec::new();
    for direction in ["FORWARD", "BACKWARD"] {
        let question = json!({"scope": scope, "direction": direction});
        let request: pb::ReadEventsRequest = events::message("annals.v1.ReadEventsRequest", &question);
        let mut stream = log.read_events(request).await.unwrap().into_inner();
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(Content::Events(batch)) = message.content {
                for event in batch.decoded().unwrap() {
                    ids.push(event.id.clone());
                    answers.push((format!("{direction} {}", event.position), event.encode_to_vec()));
                }
            }
        }
    }
    assert_eq!(ids.len() as u64, 2 * as_of);
    ids.truncate(as_of.try_into().unwrap());
    let mut timeline = server.timeline().await;
    for id in ids.iter().step_by(3) {
        let event = log.get_event(pb::GetEventRequest { event_id: id.clone() }).await.unwrap();
        answers.push((format!("event {id}"), event.into_inner().encode_to_vec()));
        let question = json!({"eventId": id, "scope": scope, "pageSize": 2});
        let request: pb::GetEntryHistoryRequest =
            events::message("annals.v1.GetEntryHistoryRequest", &question);
        let history = timeline.get_entry_history(request).await;
        // Pure retractions have no history.
        let bytes = match history {
            Ok(history) => history.into_inner().encode_to_vec(),
            Err(status) => Said::of(&status).reason.into_bytes(),
        };
        answers.push((format!("history {id}"), bytes));
    }
    for question in [
        json!({"order": "VALID_START"}),
        json!({"order": "VALID_START_DESCENDING", "includeClosed": true}),
        json!({"order": "KNOWN_AT", "filter": {"countries": ["AL"]}}),
        json!({"order": "RECORDED_DESCENDING", "valid": {"from": "2024", "match": "MUST"}}),
    ] {
        let mut question = with(with(question, "scope", scope.clone()), "pageSize", json!(40));
        loop {
            let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", &question);
            let page = timeline.list_entries(request).await.unwrap().into_inner();
            // The token too: it has the store, the snapshot and the chain.
            answers.push((format!("list {question}"), page.encode_to_vec()));
            if page.next_page_token.is_empty() {
                break;
            }
            question["pageToken"] = json!(page.next_page_token);
        }
    }
    for question in [
        json!({}),
        json!({"facet": "ENTITY"}),
        json!({"facet": "KIND", "includeClosed": true}),
        json!({"time": {"axis": "KNOWN", "unit": "DAY"}}),
        json!({"time": {"axis": "RECORDED", "unit": "DAY"}, "filter": {"kinds": ["STATEMENT"]}}),
    ] {
        let question = with(question, "scope", scope.clone());
        let request: pb::CountEntriesRequest = events::message("annals.v1.CountEntriesRequest", &question);
        let counts = timeline.count_entries(request).await.unwrap().into_inner();
        answers.push((format!("count {question}"), counts.encode_to_vec()));
    }
    answers.extend(proofs(server, as_of, &ids).await);
    answers
}

/// Appends events, corrections and retractions until it is told to stop.
async fn write(server: String, writer: u64, stop: Arc<AtomicBool>) {
    let mut log = pb::event_log_service_client::EventLogServiceClient::connect(server).await.unwrap();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = |index: u64| id((writer << 32) | (number << 8) | index);
        let mut events: Vec<Value> = (0..1 + number % 130)
            .map(|index| {
                let event = with(
                    simple(&format!("w/{writer}"), &format!("{number}.{index}")),
                    "id",
                    json!(name(index)),
                );
                with(
                    event,
                    "attributes",
                    json!({"text": "x".repeat(usize::try_from(number * 37 % 900).unwrap())}),
                )
            })
            .collect();
        if number % 3 == 1 {
            let kind = if number % 2 == 0 { "CORRECTS" } else { "RETRACTS" };
            let link = json!([{"type": kind, "eventId": name(0)}]);
            events.push(with(
                with(simple(&format!("w/{writer}"), "later"), "id", json!(name(255))),
                "links",
                link,
            ));
        }
        append(&mut log, &events).await.unwrap();
        number += 1;
    }
}

/// Restores into a directory, checks it, and compares every answer with the source's.
async fn assert_equal(source: &Server, said: &Value, files: &[&Path], data: &Path) {
    let head = number(said, "head");
    let key = source.data.join("SIGNING_KEY");
    let mut arguments = vec!["restore", "--data", text(data), "--key", text(&key)];
    arguments.extend(files.iter().map(|file| text(file)));
    done(&arguments);
    done(&["verify", "--data", text(data)]);
    let restored = Server::start_in(data, "");
    let found = restored.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!((found.position, &json!(found.chain_hash)), (head, &said["headChainHash"]));
    assert_eq!(json!(found.store_id), said["storeId"]);
    let (expected, actual) = (answers(source, head).await, answers(&restored, head).await);
    assert_eq!(expected.len(), actual.len());
    for (expected, actual) in expected.iter().zip(&actual) {
        assert!(expected == actual, "another answer to {}", expected.0);
    }
    // It goes on as a store of its own.
    append(&mut restored.log().await, &[simple("after", "restored")]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_under_load_and_restored_answers_as_its_source_did() {
    let server = Server::start();
    server.import_article();
    let directory = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (1..=4).map(|writer| tokio::spawn(write(server.url(), writer, Arc::clone(&stop)))).collect();
    let mut log = server.log().await;
    // The writers never pause: what is appended while a backup is made is not in it, and is there right after.
    let mut reach = async |position: u64| {
        let begin = std::time::Instant::now();
        while log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position <= position {
            assert!(begin.elapsed() < SOON, "the writers have stopped");
        }
    };
    reach(2_000).await;
    let (full, full_said) = backup(&server, directory.path(), "full", &[]);
    reach(number(&full_said, "head") + 1_000).await;
    let (part, part_said) = backup(&server, directory.path(), "part", &["--since", text(&full)]);
    let (whole, whole_said) = backup(&server, directory.path(), "whole", &[]);
    reach(number(&whole_said, "head")).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(number(&part_said, "eventCount") > 1_000);
    assert_eq!(part_said["afterPosition"], full_said["head"]);
    done(&["backup", "--check", text(&full), text(&part)]);
    assert_equal(&server, &full_said, &[&full], &directory.path().join("a")).await;
    assert_equal(&server, &part_said, &[&full, &part], &directory.path().join("b")).await;
    assert_equal(&server, &whole_said, &[&whole], &directory.path().join("c")).await;
    assert_eq!(leftovers(directory.path()), 0);
}

/// Counts what a restore that failed or was killed leaves behind.
fn leftovers(directory: &Path) -> usize {
    let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".annals")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_begins_only_where_a_commit_ends_and_in_the_history_it_is_told() {
    let server = Server::start();
    let mut log = server.log().await;
    for count in [3, 1, 200] {
        let events: Vec<Value> = (0..count).map(|n| simple("s", &n.to_string())).collect();
        append(&mut log, &events).await.unwrap();
    }
    let mut admin = server.admin().await;
    let mut begin = async |after_position, after_chain_hash: &str| {
        let after_chain_hash = after_chain_hash.to_owned();
        let mut stream = match admin.backup(pb::BackupRequest { after_position, after_chain_hash }).await {
            Ok(stream) => stream.into_inner(),
            Err(status) => return Err(Said::of(&status)),
        };
        match stream.message().await {
            Ok(message) => match message.unwrap().content.unwrap() {
                pb::backup_response::Content::Begin(begin) => Ok(begin),
                other => panic!("{other:?}"),
            },
            Err(status) => Err(Said::of(&status)),
        }
    };
    let begun = begin(3, "").await.unwrap();
    assert_eq!((begun.after_position, begun.head), (3, 204));
    for good in [0, 4, 204] {
        assert_eq!(begin(good, "").await.unwrap().after_position, good);
    }
    for (inside, nearest) in [(1, 0), (2, 0), (5, 4), (100, 4), (203, 4)] {
        let said = begin(inside, "").await.unwrap_err();
        assert_eq!(
            (said.reason.as_str(), said.fields()),
            ("FIELD_INVALID", vec!["after_position".to_owned()])
        );
        assert!(said.message.ends_with(&format!("is {nearest}")), "{inside}: {}", said.message);
    }
    let said = begin(205, "").await.unwrap_err();
    assert_eq!((said.code, said.reason.as_str()), (Code::OutOfRange, "POSITION_BEYOND_HEAD"));
    assert_eq!(begin(3, &begun.after_chain_hash).await.unwrap(), begun);
    let said = begin(4, &begun.after_chain_hash).await.unwrap_err();
    assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "STORE_MISMATCH"));
    assert_eq!(said.metadata["expected_chain_hash"], begun.after_chain_hash);
    assert_eq!(begin(3, "xyz").await.unwrap_err().fields(), ["after_chain_hash"]);
    // Nothing new is a backup, too.
    let directory = tempfile::tempdir().unwrap();
    let (full, _) = backup(&server, directory.path(), "full", &[]);
    let (empty, said) = backup(&server, directory.path(), "empty", &["--since", text(&full)]);
    assert_eq!(number(&said, "eventCount"), 0);
    assert!(restore(&[&full, &empty], &directory.path().join("data")).contains("204 events"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sound_backup_is_refused_and_nothing_is_made() {
    let server = Server::start();
    server.import(&article("context_releases.jsonl"));
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (full, _) = backup(&server, directory.path(), "full", &[]);
    server.import(&article("events.jsonl"));
    let (part, _) = backup(&server, directory.path(), "part", &["--since", text(&full)]);
    append(&mut server.log().await, &[simple("s", "one")]).await.unwrap();
    let (last, _) = backup(&server, directory.path(), "last", &["--since", text(&part)]);
    let other = Server::start();
    other.import(&article("context_releases.jsonl"));
    let (foreign, _) = backup(&other, directory.path(), "foreign", &[]);

    let bytes = std::fs::read(&part).unwrap();
    let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = bytes.clone();
        change(&mut changed);
        std::fs::write(at(name), changed).unwrap();
        at(name)
    };
    let cut = change("cut", &|bytes| bytes.truncate(bytes.len() - 500));
    let flipped = change("flipped", &|bytes| bytes[700] ^= 4);
    let longer = change("longer", &|bytes| bytes.push(0));
    let later = change("later", &|bytes| bytes[11] = 2);
    std::fs::write(at("text"), "hello").unwrap();
    let data = at("data");
    let missing = at("missing");
    for (files, code, expected) in [
        (vec![&full, &cut], 65, "cut off after position"),
        (vec![&full, &flipped], 65, "positions 4 to 4 are corrupt: the frame does not match its checksum"),
        (vec![&full, &longer], 65, "bytes follow its end"),
        (vec![&full, &later], 65, "format 2"),
        (vec![&at("text")], 65, "it is no backup"),
        (vec![&part], 65, "begins after position 3"),
        (vec![&part, &full], 65, "begins after position 3"),
        (vec![&full, &last], 65, "begins after position 22, the one before ends with position 3"),
        (vec![&full, &full], 65, "begins after position 0, the one before ends with position 3"),
        (vec![&foreign, &part], 65, "it is of store"),
        (vec![&missing], 66, "missing"),
    ] {
        let mut arguments = vec!["restore", "--data", text(&data)];
        arguments.extend(files.iter().map(|file| text(file)));
        let said = fails(&arguments, code);
        assert!(said.contains(expected), "{files:?}: {said}");
        assert!(!data.exists() && leftovers(directory.path()) == 0, "{files:?}");
    }
    let said = fails(&["backup", "--check", text(&full), text(&last)], 65);
    assert!(said.contains("begins after position 22"), "{said}");
    let url = server.url();
    let since = ["backup", "--server", &url, "--out", text(&missing), "--since", text(&foreign)];
    assert!(fails(&since, 65).contains("STORE_MISMATCH"));
    assert!(!missing.exists());
    // A directory that holds something is left alone, and an empty one is taken.
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("mine"), "x").unwrap();
    assert!(fails(&["restore", "--data", text(&data), text(&full)], 73).contains("is not empty"));
    std::fs::remove_file(data.join("mine")).unwrap();
    std::fs::write(at("key"), "secret").unwrap();
    done(&[
        "restore",
        "--data",
        text(&data),
        "--key",
        text(&at("key")),
        text(&full),
        text(&part),
        text(&last),
    ]);
    assert_eq!(std::fs::read_to_string(data.join("SIGNING_KEY")).unwrap(), "secret");
    done(&["verify", "--data", text(&data)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_leaves_no_store() {
    let server = Server::start();
    server.import(&dataset("uk-treaties"));
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = backup(&server, directory.path(), "full", &[]);
    // Kills before the first byte and after the last show nothing: three in the middle are wanted.
    for number in 0_u64.. {
        assert!(number < 200, "no kill met a restore under way");
        let data = directory.path().join(number.to_string());
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_annals"))
            .args(["restore", "--data", text(&data), text(&file)])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(number * 7 % 180));
        child.kill().unwrap();
        child.wait().unwrap();
        if data.exists() {
            assert!(done(&["verify", "--data", text(&data)]).starts_with("12997 events"));
        } else if leftovers(directory.path()) >= 3 {
            restore(&[&file], &data);
            return;
        }
    }
}

/// A cursor of each kind, as a client keeps it.
struct Cursors {
    position: u64,
    chain: String,
    token: String,
    checkpoint: PathBuf,
}

impl Cursors {
    async fn at_head(server: &Server, checkpoint: PathBuf) -> Self {
        let head = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
        let request = pb::ListEntriesRequest { page_size: 2, ..Default::default() };
        let page = server.timeline().await.list_entries(request).await.unwrap().into_inner();
        tail(server, &checkpoint, head.position).await;
        Self { position: head.position, chain: head.chain_hash, token: page.next_page_token, checkpoint }
    }

    /// What a server answers to each of them: nothing, or the error.
    async fn answers(&self, server: &Server) -> Vec<Option<Said>> {
        let mut log = server.log().await;
        let subscribe = pb::SubscribeEventsRequest {
            start: Some(pb::subscribe_events_request::Start::AfterPosition(self.position)),
            after_chain_hash: self.chain.clone(),
            ..Default::default()
        };
        let read = pb::ReadEventsRequest {
            from_position_exclusive: self.position,
            from_chain_hash: self.chain.clone(),
            ..Default::default()
        };
        let list =
            pb::ListEntriesRequest { page_size: 2, page_token: self.token.clone(), ..Default::default() };
        let backup =
            pb::BackupRequest { after_position: self.position, after_chain_hash: self.chain.clone() };
        let mut copied = server.admin().await.backup(backup).await.unwrap().into_inner();
        [
            log.subscribe_events(subscribe).await.err(),
            log.read_events(read).await.err(),
            server.timeline().await.list_entries(list).await.err(),
            copied.message().await.err(),
        ]
        .map(|status| status.map(|status| Said::of(&status)))
        .into()
    }

    /// Runs `annals tail` where it must end by itself; gives what it says.
    fn tail_fails(&self, server: &Server) -> String {
        let url = server.url();
        fails(&["tail", "--server", &url, "--checkpoint-file", text(&self.checkpoint)], 65)
    }
}

/// Runs `annals tail` until its checkpoint file has come to a position, and ends it.
async fn tail(server: &Server, checkpoint: &Path, position: u64) {
    let url = server.url();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_annals"))
        .args(["tail", "--server", &url, "--from-start", "--checkpoint-file", text(checkpoint)])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begin = std::time::Instant::now();
    let reached = || {
        let saved: Value = serde_json::from_slice(&std::fs::read(checkpoint).ok()?).ok()?;
        (saved["position"] == json!(position) && saved["chainHash"] != Value::Null).then_some(())
    };
    while reached().is_none() {
        assert!(begin.elapsed() < SOON, "{:?}", std::fs::read_to_string(checkpoint));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success() && child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_newer_cursors_than_a_restored_backup_are_told() {
    let mut server = Server::start();
    let mut log = server.log().await;
    let directory = tempfile::tempdir().unwrap();
    let some = |name: &str| -> Vec<Value> { (0..10).map(|n| simple("s", &format!("{name}{n}"))).collect() };
    append(&mut log, &some("a")).await.unwrap();
    let old = Cursors::at_head(&server, directory.path().join("old")).await;
    let (file, _) = backup(&server, directory.path(), "backup", &[]);
    append(&mut log, &some("b")).await.unwrap();
    let new = Cursors::at_head(&server, directory.path().join("new")).await;
    assert!(old.answers(&server).await.iter().chain(&new.answers(&server).await).all(Option::is_none));
    server.stop();

    let data = directory.path().join("data");
    restore(&[&file], &data);
    let restored = Server::start_in(&data, "");
    assert!(old.answers(&restored).await.iter().all(Option::is_none), "what both share goes on");
    for said in new.answers(&restored).await {
        let said = said.expect("less is there than the client has seen");
        assert_eq!((said.code, said.reason.as_str()), (Code::OutOfRange, "POSITION_BEYOND_HEAD"));
        assert_eq!((said.metadata["position"].as_str(), said.metadata["head"].as_str()), ("20", "10"));
    }
    assert!(new.tail_fails(&restored).contains("POSITION_BEYOND_HEAD"));

    // New events come to stand where the client has seen others.
    append(&mut restored.log().await, &some("c")).await.unwrap();
    append(&mut restored.log().await, &some("d")).await.unwrap();
    let chain_at_20 = {
        let request = pb::BackupRequest { after_position: 20, ..Default::default() };
        let mut stream = restored.admin().await.backup(request).await.unwrap().into_inner();
        let Some(pb::backup_response::Content::Begin(begin)) =
            stream.message().await.unwrap().unwrap().content
        else {
            panic!("begin comes first")
        };
        begin.after_chain_hash
    };
    assert!(old.answers(&restored).await.iter().all(Option::is_none), "what both share goes on");
    for said in new.answers(&restored).await {
        let said = said.expect("another history");
        assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "STORE_MISMATCH"));
        assert_eq!(said.metadata["position"], "20");
        assert_eq!(said.metadata["chain_hash"], chain_at_20);
        // A page token holds the beginning of the hash.
        let expected = &said.metadata["expected_chain_hash"];
        assert!(expected.len() >= 16 && new.chain.starts_with(expected.as_str()), "{expected}");
    }
    assert!(new.tail_fails(&restored).contains("STORE_MISMATCH"));
    tail(&restored, &old.checkpoint, 30).await;
}

/// Checkpoints and ends of reads carry the chain hash of their position.
#[tokio::test]
async fn cursors_carry_the_chain_hash() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut chains = vec![String::new()];
    for batch in 0..5 {
        let events: Vec<Value> = (0..500).map(|n| simple("s", &format!("{batch}.{n}"))).collect();
        append(&mut log, &events).await.unwrap();
        chains.push(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().chain_hash);
    }
    let mut stream = log.read_events(pb::ReadEventsRequest::default()).await.unwrap().into_inner();
    let mut end = None;
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Content::End(found)) = message.content {
            end = Some(found);
        }
    }
    assert_eq!(end.unwrap().chain_hash, chains[5]);
    let question =
        json!({"afterPosition": "500", "afterChainHash": chains[1], "filter": {"streams": ["none"]}});
    let request: pb::SubscribeEventsRequest = events::message("annals.v1.SubscribeEventsRequest", &question);
    let mut stream = log.subscribe_events(request).await.unwrap().into_inner();
    let mut checkpoints = Vec::new();
    while checkpoints.len() < 2 {
        use pb::subscribe_events_response::Content;
        match stream.message().await.unwrap().unwrap().content.unwrap() {
            Content::Started(started) => assert_eq!(started.after_chain_hash, chains[1]),
            Content::Checkpoint(checkpoint) => checkpoints.push((checkpoint.position, checkpoint.chain_hash)),
            _ => {}
        }
    }
    // Every thousand positions, and at the head.
    assert_eq!(checkpoints, [(1500, chains[3].clone()), (2500, chains[5].clone())]);
    for (question, fields) in [
        (json!({"fromNow": true, "afterChainHash": chains[1]}), vec!["after_chain_hash"]),
        (json!({"afterPosition": "1", "afterChainHash": "ab"}), vec!["after_chain_hash"]),
    ] {
        let request: pb::SubscribeEventsRequest =
            events::message("annals.v1.SubscribeEventsRequest", &question);
        assert_eq!(
            Said::of(&log.subscribe_events(request).await.unwrap_err()).fields(),
            fields,
            "{question}"
        );
    }
    // From the beginning there is one history of a store.
    let bad = pb::ReadEventsRequest { from_chain_hash: chains[1].clone(), ..Default::default() };
    assert_eq!(Said::of(&log.read_events(bad).await.unwrap_err()).reason, "STORE_MISMATCH");
}
