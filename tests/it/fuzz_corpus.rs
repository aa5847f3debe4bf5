//! The corpus of the fuzz targets, run as a test; and seeds for them, from real data.

use std::fs;
use std::path::PathBuf;

use annals::pb;
use prost::Message as _;
use serde_json::json;

use crate::events::{article, dataset, event, message, read_file, root};

#[path = "../../fuzz/targets.rs"]
mod targets;

/// Files of one target, and bytes of all.
const FILES_MAX: usize = 300;
const BYTES_MAX: usize = 1 << 20;

#[test]
fn the_corpus_of_every_fuzz_target_holds() {
    let (mut bytes, mut failing) = (0, Vec::new());
    for (name, target) in targets::TARGETS {
        let directory = root().join("fuzz/corpus").join(name);
        let files: Vec<PathBuf> =
            fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path()).collect();
        assert!((1..FILES_MAX).contains(&files.len()), "{name}: {} files", files.len());
        for file in files {
            let data = fs::read(&file).unwrap();
            bytes += data.len();
            if std::panic::catch_unwind(|| target(&data)).is_err() {
                failing.push(file);
            }
        }
    }
    assert!(failing.is_empty(), "{failing:?}");
    assert!(bytes < BYTES_MAX, "{bytes} bytes");
}

/// Writes seeds to `fuzz/seeds`, which is not kept: `cargo fuzz cmin` takes from them what the corpus lacks.
#[test]
#[ignore = "writes files, when the corpus is to be made anew"]
fn seeds() {
    let mut seeds: Vec<(&str, Vec<u8>)> = Vec::new();
    let files = [article("context_releases.jsonl"), article("events.jsonl")];
    let data = ["uk-small-boats", "uk-treaties", "unhcr-iati"].map(dataset);
    for (file, step) in files.iter().map(|file| (file, 1)).chain(data.iter().map(|file| (file, 97))) {
        for json in read_file(file).iter().step_by(step).take(60) {
            let event = event(json);
            seeds.extend(dates(json).into_iter().map(|date| ("edtf", date.into_bytes())));
            let request = pb::AppendEventsRequest::of(vec![event], Vec::new());
            seeds.push(("request_decode", [vec![0], request.encode_to_vec()].concat()));
        }
    }
    for (at, json) in filters().iter().enumerate() {
        let filter: pb::Filter = message("annals.v1.Filter", json);
        seeds.push(("filter", filter.encode_to_vec()));
        let filter = Some(filter);
        let scope = Some(pb::Scope { as_of_position: 7, ..Default::default() });
        let valid =
            Some(pb::ValidWindow { from: "2022".to_owned(), to: "2024-05-01".to_owned(), r#match: 2 });
        let request = match at % 4 {
            0 => pb::ReadEventsRequest { filter, scope, ..Default::default() }.encode_to_vec(),
            1 => pb::SubscribeEventsRequest { filter, ..Default::default() }.encode_to_vec(),
            2 => pb::ListEntriesRequest { filter, scope, valid, page_size: 9, ..Default::default() }
                .encode_to_vec(),
            _ => pb::CountEntriesRequest { filter, scope, valid, ..Default::default() }.encode_to_vec(),
        };
        let which = [1, 2, 3, 5][at % 4];
        seeds.push(("request_decode", [vec![which], request].concat()));
        let condition = json!({"conditions": [
            {"noneSince": {"filter": json, "afterPosition": "3"}},
            {"absent": {"filter": json}},
            {"stream": {"name": "a/b", "revision": "2"}},
        ]});
        let request: pb::AppendEventsRequest = message("annals.v1.AppendEventsRequest", &condition);
        seeds.push(("request_decode", [vec![0], request.encode_to_vec()].concat()));
    }
    let id = "018f9ee2-9300-7064-8061-6e6e616c7364".to_owned();
    let history = pb::GetEntryHistoryRequest { event_id: id.clone(), page_size: 3, ..Default::default() };
    seeds.push(("request_decode", [vec![4], history.encode_to_vec()].concat()));
    let proof = pb::GetLogProofRequest { position: 9, event_id: id.clone(), consistent_with_position: 7 };
    seeds.push(("request_decode", [vec![6], proof.encode_to_vec()].concat()));
    seeds.push(("request_decode", [vec![7], pb::GetEventRequest { event_id: id }.encode_to_vec()].concat()));
    seeds.extend(frames().into_iter().map(|frame| ("frame_decode", frame)));
    seeds.extend(tokens().into_iter().map(|token| ("page_token", token)));
    seeds.extend(proofs().into_iter().map(|proof| ("proof", proof)));
    for (number, (target, bytes)) in seeds.iter().enumerate() {
        let directory = root().join("fuzz/seeds").join(target);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(number.to_string()), bytes).unwrap();
    }
}

/// Every date in the JSON of an event, with its time zone.
fn dates(json: &serde_json::Value) -> Vec<String> {
    match json {
        serde_json::Value::Object(fields) => {
            let zone = fields.get("timeZone").and_then(|zone| zone.as_str()).unwrap_or("");
            let own = fields.get("edtf").and_then(|edtf| edtf.as_str()).map(|edtf| format!("{edtf}\n{zone}"));
            own.into_iter().chain(fields.values().flat_map(dates)).collect()
        }
        serde_json::Value::Array(values) => values.iter().flat_map(dates).collect(),
        _ => Vec::new(),
    }
}

fn filters() -> Vec<serde_json::Value> {
    vec![
        json!({}),
        json!({"kinds": ["AGREEMENT", "FUNDING_TRANSFER"]}),
        json!({"streams": ["agreement/gb-al-returns"], "streamPrefixes": ["agreement/", "a"]}),
        json!({"countries": ["AL", "GB"], "tags": ["returns"], "not": {"kinds": ["STATEMENT"]}}),
        json!({"amount": {"currencyCode": "GBP", "atLeast": "1.5", "atMost": "1000000000"}}),
        json!({"entityIds": ["country:AL"], "not": {"countries": ["GB"]}}),
    ]
}

/// Frames of real events, of one record and of several.
fn frames() -> Vec<Vec<u8>> {
    use annals::journal::{ChainHash, Direction, Journal as _, SledJournal, frames_of};
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("journal");
    let from = root().join("tests/fixtures/format_v1");
    let text = fs::read_to_string(from.join("STORE")).unwrap();
    let store = text.lines().find_map(|line| line.strip_prefix("id ")).unwrap();
    let status = std::process::Command::new("cp").arg("-r").arg(from.join("journal")).arg(&copy).status();
    assert!(status.unwrap().success());
    let store = annals::domain::StoreId::parse(store).unwrap();
    let journal = SledJournal::open(&copy, store, 1 << 20).unwrap().journal;
    let mut frames = Vec::new();
    for frame in journal.read(annals::domain::Position(1), Direction::Forward) {
        let frame = frame.unwrap();
        frames.push(frame.encoded().to_vec());
        for record in frame.records() {
            let chain = ChainHash::from_bytes([1; 32]);
            let (single, _) = frames_of(std::slice::from_ref(record), chain).unwrap();
            frames.extend(single.iter().map(|frame| frame.bytes().to_vec()));
        }
    }
    frames
}

fn tokens() -> Vec<Vec<u8>> {
    use annals::domain::{Position, StoreId};
    use annals::timeline::Key;
    let store = StoreId::from_uuid(uuid::Uuid::from_u128(7));
    let token = annals::wire::PageToken {
        snapshot: Position(9),
        chain: annals::wire::page_token::ChainStart::of(&annals::journal::ChainHash::from_bytes([1; 32])),
        after: Key { value: -3, position: Position(5) },
    };
    vec![
        token.encode(store, [3; 16]).into_bytes(),
        token.encode(store, [4; 16]).into_bytes(),
        token.encode(store, [3; 16]).to_uppercase().into_bytes(),
        (0..48).collect(),
    ]
}

fn proofs() -> Vec<Vec<u8>> {
    use annals::proof::{Checkpoint, Consistency, Evidence, Hash, Inclusion, Signer};
    let signer = Signer::new("annals/test", &[7; 32]).unwrap();
    let leaf_data = b"annals record v1".iter().copied().chain([0; 80]).collect();
    let root = Hash::leaf(b"root");
    let state = Checkpoint { origin: "annals/test".to_owned(), size: 9, root };
    let evidence = Evidence {
        checkpoint: state.sign(&signer).unwrap(),
        inclusion: Some(Inclusion { index: 3, leaf_data, path: vec![root, root] }),
        consistency: Some(Consistency { first_size: 4, path: vec![root] }),
    };
    let checkpoint = evidence.checkpoint.clone().into_bytes();
    let answer = annals::wire::proof::response(&state, evidence, Some(root), signer.verifier());
    let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON\
        ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    vec![
        answer.encode_to_vec(),
        checkpoint,
        signer.verifier().to_string().into_bytes(),
        note.as_bytes().to_vec(),
    ]
}
