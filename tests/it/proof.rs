//! Tamper evidence: a real server's answers checked by the definition, and the program that checks them.

use std::path::{Path, PathBuf};
use std::process::Output;

use annals::domain::{EventId, StoreId};
use annals::journal::{Direction, Journal as _, Record, SledJournal, Tail, frames_of};
use annals::pb;
use annals::pb::GetLogProofRequest;
use annals::pb::admin_service_client::AdminServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{id, root};
use crate::harness::{Said, Server, annals, append};
use crate::model::proof as naive;

/// Events of the article, with their context.
const EVENTS: usize = 22;

async fn prove(
    admin: &mut AdminServiceClient<Channel>,
    position: u64,
    event_id: &str,
    consistent_with_position: u64,
) -> Result<pb::GetLogProofResponse, tonic::Status> {
    let request = GetLogProofRequest { position, event_id: event_id.to_owned(), consistent_with_position };
    admin.get_log_proof(request).await.map(tonic::Response::into_inner)
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hexes(path: &[naive::Hash]) -> Vec<String> {
    path.iter().map(|hash| hex(hash)).collect()
}

async fn events_of(server: &Server) -> Vec<pb::Event> {
    let request = pb::ReadEventsRequest::default();
    let mut stream = server.log().await.read_events(request).await.unwrap().into_inner();
    let mut events = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(pb::read_events_response::Content::Events(batch)) = message.content {
            events.extend(batch.decoded().unwrap());
        }
    }
    events
}

#[tokio::test]
async fn every_root_and_proof_is_the_one_that_the_definition_gives() {
    let server = Server::start();
    server.import_article();
    let events = events_of(&server).await;
    assert_eq!(events.len(), EVENTS);
    let mut admin = server.admin().await;
    let mut leaves = Vec::new();
    for event in &events {
        let proof = prove(&mut admin, 0, &event.id, 0).await.unwrap().inclusion.unwrap();
        assert_eq!(proof.leaf_index + 1, event.position);
        // The leaf holds what the server says of the event elsewhere.
        let leaf = proof.leaf_data.to_vec();
        assert_eq!(leaf[..16], *b"annals record v1");
        assert_eq!(leaf[16..24], event.position.to_be_bytes());
        assert_eq!(leaf[24..32], event.stream_revision.to_be_bytes());
        assert_eq!(naive::id_in(&leaf), EventId::parse(&event.id).unwrap());
        assert_eq!(proof.leaf_hash, hex(&naive::root(std::slice::from_ref(&leaf))));
        leaves.push(leaf);
    }
    for size in 1..=EVENTS {
        let position = u64::try_from(size).unwrap();
        let index = size / 2;
        let first = u64::try_from(size / 3).unwrap();
        let answer = prove(&mut admin, position, &events[index.min(size - 1)].id, first).await.unwrap();
        let leaves = &leaves[..size];
        assert_eq!((answer.tree_size, answer.root_hash), (position, hex(&naive::root(leaves))));
        let inclusion = answer.inclusion.unwrap();
        assert_eq!(inclusion.hashes, hexes(&naive::inclusion(index.min(size - 1), leaves)));
        if first == 0 {
            assert_eq!(answer.consistency, None);
        } else {
            let proof = answer.consistency.unwrap();
            assert_eq!(proof.hashes, hexes(&naive::consistency(size / 3, leaves)));
            assert_eq!(proof.first_root_hash, hex(&naive::root(&leaves[..size / 3])));
            assert_eq!(proof.first_tree_size, first);
        }
    }
    let info = admin.get_server_info(pb::GetServerInfoRequest {}).await.unwrap().into_inner();
    let answer = prove(&mut admin, 0, "", 0).await.unwrap();
    assert_eq!(answer.verifier_key, info.verifier_key);
    assert_eq!(
        answer.checkpoint.lines().take(2).collect::<Vec<_>>(),
        [&format!("annals/{}", info.store_id), "22"]
    );
}

#[tokio::test]
async fn an_empty_log_has_the_root_of_nothing() {
    let server = Server::start();
    let answer = prove(&mut server.admin().await, 0, "", 0).await.unwrap();
    assert_eq!((answer.tree_size, answer.root_hash), (0, hex(&naive::root(&[]))));
    assert!(answer.checkpoint.contains("\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n"));
}

#[tokio::test]
async fn what_cannot_be_proved_is_refused_with_a_reason() {
    let server = Server::start();
    server.import_article();
    let event = events_of(&server).await.swap_remove(6);
    let mut admin = server.admin().await;
    for (position, event_id, first, code, reason, field) in [
        (23, "", 0, Code::OutOfRange, "POSITION_BEYOND_HEAD", None),
        (0, "", 23, Code::OutOfRange, "POSITION_BEYOND_HEAD", None),
        (9, "", 10, Code::InvalidArgument, "FIELD_INVALID", Some("consistent_with_position")),
        (6, event.id.as_str(), 0, Code::InvalidArgument, "FIELD_INVALID", Some("position")),
        (0, "seven", 0, Code::InvalidArgument, "FIELD_INVALID", Some("event_id")),
        (0, &id(7), 0, Code::NotFound, "EVENT_NOT_FOUND", None),
    ] {
        let status = prove(&mut admin, position, event_id, first).await.unwrap_err();
        let said = Said::of(&status);
        assert_eq!((said.code, said.reason.as_str()), (code, reason), "{position} {event_id} {first}");
        assert_eq!(said.fields().first().map(String::as_str), field);
    }
    assert!(prove(&mut admin, 7, &event.id, 7).await.is_ok());
}

struct Files(tempfile::TempDir);

impl Files {
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = annals(arguments);
    let text = String::from_utf8(stderr).unwrap() + &String::from_utf8(stdout).unwrap();
    (status.code(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_proves_an_event_and_checks_the_proof_without_the_server() {
    let files = Files(tempfile::tempdir().unwrap());
    let mut server = Server::start();
    server.import_article();
    let event = events_of(&server).await.swap_remove(6);
    let url = server.url();
    let at = |rest: &[&str]| run(&[&["proof"], rest, &["--server", &url]].concat());

    let first = files.path("first");
    let (exit, said) = at(&["checkpoint", "--position", "10", "--out", &first]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("checkpoint of 10 events") && said.contains("the key was not given"), "{said}");
    let key = said.lines().find_map(|line| line.split_once("is believed: ")).unwrap().1.to_owned();

    let proof = files.path("event.proof");
    let (exit, said) = at(&["event", &event.id, "--checkpoint", &first, "--key", &key, "--out", &proof]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains(&format!("event {} is at position 7 of 22", event.id)), "{said}");
    assert!(said.contains("continues the checkpoint of 10"), "{said}");
    let (exit, printed) = at(&["checkpoint", "--checkpoint", &first, "--key", &key]);
    assert_eq!((exit, printed.lines().nth(2)), (Some(0), Some("22")), "{printed}");
    let (exit, said) = at(&["event", &id(7), "--key", &key]);
    assert_eq!(exit, Some(66), "{said}");
    server.stop();

    let check = |files: &[&str]| run(&[&["proof", "check"], files].concat());
    let (exit, said) = check(&[&proof, "--checkpoint", &first, "--key", &key]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(said.contains("position 7 of 22"), "{said}");
    let other = key.replace("+A", "+B");
    assert_eq!(check(&[&proof, "--key", &other]).0, Some(64));
    let foreign = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    let (exit, said) = check(&[&proof, "--key", foreign]);
    assert!(exit == Some(65) && said.contains("not signed by the key"), "{said}");

    // Every hash of the saved proof matters, and so does the checkpoint.
    let text = std::fs::read_to_string(&proof).unwrap();
    let wrong = files.path("wrong.proof");
    for field in ["rootHash", "leafHash", "hashes", "leafData", "treeSize", "leafIndex", "checkpoint"] {
        let at = text.find(&format!("\"{field}\"")).unwrap() + field.len() + 8;
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
        std::fs::write(&wrong, bytes).unwrap();
        let (exit, said) = check(&[&wrong, "--key", &key, "--checkpoint", &first]);
        assert_eq!(exit, Some(65), "{field}: {said}");
    }
    std::fs::write(&wrong, "{}\n").unwrap();
    assert_eq!(check(&[&wrong]).0, Some(65));
    std::fs::write(&wrong, "").unwrap();
    assert_eq!(check(&[&wrong]).0, Some(65));
    assert_eq!(check(&[&files.path("absent")]).0, Some(66));
}

/// Another program, in another language, with other cryptography, comes to the same verdicts.
#[tokio::test(flavor = "multi_thread")]
async fn a_checker_that_knows_nothing_of_this_program_agrees() {
    let files = Files(tempfile::tempdir().unwrap());
    let server = Server::start();
    server.import_article();
    let url = server.url();
    let info = server.admin().await.get_server_info(pb::GetServerInfoRequest {}).await.unwrap().into_inner();
    let checker = |proof: &str, kept: &str| {
        let script = root().join("tests/clients/node/check_proof.js");
        let output = std::process::Command::new("node")
            .arg(script)
            .args([proof, &info.verifier_key, kept])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    };
    let (kept, proof) = (files.path("kept"), files.path("proof"));
    for (event, size, first) in [(0, 22, 9), (6, 7, 7), (15, 16, 8), (20, 21, 20), (9, 13, 1)] {
        let event = &events_of(&server).await[event];
        let size = size.to_string();
        let at = ["--server", &url, "--key", &info.verifier_key];
        let first = first.to_string();
        run(&[&["proof", "checkpoint", "--position", &first, "--out", &kept][..], &at].concat());
        let arguments =
            ["proof", "event", &event.id, "--position", &size, "--checkpoint", &kept, "--out", &proof];
        let (exit, said) = run(&[&arguments[..], &at].concat());
        assert_eq!(exit, Some(0), "{said}");
        let expected = format!("event {} is at position {} of {size}\n", event.id, event.position);
        assert_eq!(checker(&proof, &kept), (true, expected));
        // A checkpoint of another size is another claim.
        run(&[&["proof", "checkpoint", "--position", "5", "--out", &kept][..], &at].concat());
        let (holds, said) = checker(&proof, &kept);
        assert!(!holds && (said.contains("rewritten") || said.contains("no consistency")), "{said}");
    }
}

fn journal_of(data: &Path) -> SledJournal {
    let text = std::fs::read_to_string(data.join("STORE")).unwrap();
    let store = StoreId::parse(text.lines().nth(2).unwrap().strip_prefix("id ").unwrap()).unwrap();
    SledJournal::open(&data.join("journal"), store, 1 << 20).unwrap().journal
}

fn records_of(data: &Path) -> Vec<Record> {
    let frames = journal_of(data).read(annals::domain::Position(1), Direction::Forward);
    frames.flat_map(|frame| frame.unwrap().into_records()).collect()
}

/// Makes a store with the id and the key of another one, that holds these records and is sound in itself.
fn store_of(original: &Path, into: &Path, records: &[Record]) -> PathBuf {
    std::fs::create_dir_all(into).unwrap();
    for file in ["STORE", "SIGNING_KEY"] {
        std::fs::copy(original.join(file), into.join(file)).unwrap();
    }
    let journal = journal_of(into);
    let tail = Tail::origin(journal.store_id());
    let (frames, _) = frames_of(records, tail.chain).unwrap();
    journal.commit(tail.position, frames).unwrap();
    journal.close().unwrap();
    into.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_history_is_noticed_and_nothing_else_would_notice_it() {
    let files = Files(tempfile::tempdir().unwrap());
    let mut server = Server::start();
    server.import_article();
    let kept = files.path("kept");
    assert_eq!(run(&["proof", "checkpoint", "--server", &server.url(), "--out", &kept]).0, Some(0));
    append(&mut server.log().await, &[crate::events::simple("later", "after the checkpoint")]).await.unwrap();
    let last = events_of(&server).await.pop().unwrap();
    server.stop();

    // Whoever holds the files and the key changes one event, and makes everything else anew.
    let mut records = records_of(&server.data);
    let same = store_of(&server.data, Path::new(&files.path("same/data")), &records);
    let shorter = store_of(&server.data, Path::new(&files.path("shorter/data")), &records[..20]);
    let changed = &mut records[4];
    let mut event = <pb::Event as prost::Message>::decode(changed.content.clone()).unwrap();
    event.title.push_str(" not");
    changed.content = prost::Message::encode_to_vec(&event).into();
    changed.content_digest = Record::content_digest_of(&changed.salt, &changed.content);
    let forged = store_of(&server.data, Path::new(&files.path("forged/data")), &records);
    let (exit, said) = run(&["verify", "--data", forged.to_str().unwrap()]);
    assert!(exit == Some(0) && said.contains("nothing found"), "{said}");

    for (data, expected, text) in [
        (same, 0, "continues the checkpoint of 22"),
        (forged, 65, "the history was rewritten"),
        (shorter, 65, "does not reach the checkpoint of 22"),
    ] {
        let server = Server::start_in(&data, "");
        let url = server.url();
        let (exit, said) = run(&["proof", "checkpoint", "--server", &url, "--checkpoint", &kept]);
        assert!(exit == Some(expected) && said.contains(text), "{exit:?}: {said}");
        let (exit, said) = run(&["proof", "event", &last.id, "--server", &url, "--checkpoint", &kept]);
        assert_eq!(exit, Some(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_stays_and_a_damaged_one_stops_the_server_by_name() {
    let server = Server::start();
    let mut admin = server.admin().await;
    let before = prove(&mut admin, 0, "", 0).await.unwrap().verifier_key;
    let mut server = server.restart();
    let mut admin = server.admin().await;
    assert_eq!(prove(&mut admin, 0, "", 0).await.unwrap().verifier_key, before);
    server.stop();
    let file = server.data.join("SIGNING_KEY");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("PRIVATE+KEY+annals/") && text.lines().count() == 1);
    std::fs::write(&file, text.replace("annals/", "other/")).unwrap();
    let data = server.data.to_str().unwrap();
    let (exit, said) = run(&["serve", "--data", data, "--listen", "127.0.0.1:0"]);
    assert!(exit == Some(65) && said.contains("SIGNING_KEY is not the signing key"), "{exit:?} {said}");
}
