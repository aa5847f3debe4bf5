//! Damaged files: what is damaged is never shown, what is not stays readable, and nothing is repaired unasked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals::clock::System;
use annals::domain::{Position, Timestamp};
use annals::filter::Filter;
use annals::journal::{Direction, generation, salvage};
use annals::log::repair::{Remedy, RepairError, examine, repair};
use annals::log::{BatchLimits, Log, LogConfig, Scan, VerifyEvent, verify_directory};
use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::read_events_response::Content;
use annals::pb::subscribe_events_response::Content as Followed;
use bytes::Bytes;
use prost::Message as _;
use serde_json::json;
use tonic::transport::Channel;

use crate::events::{id, simple, with};
use crate::generate::Rng;
use crate::harness::{Server, annals, append};

const LIMITS: BatchLimits = BatchLimits { events_max: 64, bytes_max: 1 << 20 };

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn files(directory: &Path) -> Files {
    let (mut found, mut pending) = (Files::new(), vec![directory.to_owned()]);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.insert(path.strip_prefix(directory).unwrap().to_owned(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn put(directory: &Path, files: &Files) {
    let _ = std::fs::remove_dir_all(directory);
    std::fs::create_dir_all(directory.join("journal/blobs")).unwrap();
    for (path, bytes) in files {
        std::fs::create_dir_all(directory.join(path).parent().unwrap()).unwrap();
        std::fs::write(directory.join(path), bytes).unwrap();
    }
}

fn config(directory: &Path) -> LogConfig {
    LogConfig { disk_reserve_bytes: 0, ..LogConfig::at(directory) }
}

fn open(directory: &Path) -> Result<Log, annals::log::OpenError> {
    Log::open(&config(directory), Arc::new(System), Arc::new(System), &|_| {}).map(|(log, _)| log)
}

/// What a reader of everything gets: events, encoded, positions that are refused, and positions that it is told are lost.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    events: BTreeMap<u64, Bytes>,
    refused: BTreeSet<u64>,
    lost: BTreeSet<u64>,
}

fn read(log: &Log) -> Seen {
    use annals::journal::ReadError as JournalError;
    use annals::log::error::ReadError;
    let head = log.head().position;
    let mut seen = Seen::default();
    let mut scan = Scan::new(log, Filter::default(), Timestamp::MAX, Direction::Forward);
    let mut from = Position::ZERO;
    while from < head {
        match scan.next(log, from, head, LIMITS) {
            Ok(batch) => {
                let position = |event: &Bytes| pb::Event::decode(event.clone()).unwrap().position;
                seen.events.extend(batch.events.into_iter().map(|event| (position(&event), event)));
                seen.lost.extend(batch.lost.iter().flat_map(|(first, last)| first.0..=last.0));
                from = batch.evaluated;
            }
            Err(ReadError::Journal(JournalError::Corrupt { first, last, .. })) => {
                assert!(first.0 <= from.0 + LIMITS.events_max as u64 && last > from, "{first} {last} {from}");
                seen.refused.extend(from.0.max(first.0 - 1) + 1..=last.0.min(head.0));
                from = last;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    seen
}

fn findings(directory: &Path) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let report = verify_directory(&config(directory), &System, |event| {
        if let VerifyEvent::Finding(finding) = event {
            found.push((finding.first.0, finding.last.0));
        }
        true
    });
    let count = report.unwrap().findings;
    assert_eq!(count, found.len() as u64);
    found
}

/// A directory with events of several sizes, appended by requests of several sizes, over two openings.
async fn grown(directory: &Path) -> Files {
    for opening in 0..2_u64 {
        let log = open(directory).unwrap();
        for request in 0..60_u64 {
            let count = 1 + (request * 7) % 40;
            let events = (0..count).map(|index| {
                let number = (opening << 32) | (request << 8) | index;
                let text = format!("{number:x}").repeat(usize::try_from(number % 90).unwrap());
                let event = with(simple(&format!("s/{}", number % 5), "title"), "id", json!(id(number)));
                let event = crate::events::event(&with(event, "attributes", json!({"text": text})));
                let parts = (annals::domain::EventId::from_bytes([0; 16]), Timestamp(1_800_000_000_000_000));
                let mut findings = annals::domain::Findings::default();
                let event =
                    annals::codec::prepare(event, annals::codec::Writer::Client, parts, &mut findings)
                        .unwrap();
                log.propose(event.facts, event.content, event.caveats)
            });
            let events = events.collect();
            log.append(annals::log::AppendRequest { events, ..Default::default() }).await.unwrap();
        }
        log.close().unwrap();
    }
    files(directory)
}

/// One flipped bit in each of many places of every file, by a seed that a failure names.
#[tokio::test]
async fn a_flipped_bit_anywhere_is_refused_told_and_mended_only_when_asked() {
    let seed = std::env::var("ANNALS_RANDOM_SEED").map_or(1, |seed| seed.parse().unwrap());
    let per_file = std::env::var("ANNALS_FLIPS").map_or(30, |flips| flips.parse().unwrap());
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("data");
    let sound = grown(&directory).await;
    let original = read(&open(&directory).unwrap()).events;
    let mut random = Rng::new(seed);
    let (mut unopened, mut refused, mut lost, mut harmless) = (0, 0, 0, 0);
    // Most frames stand in sled's log more than once, so that hardly a flipped bit loses an event.
    for (path, bytes) in sound.iter().filter(|(_, bytes)| !bytes.is_empty()) {
        let flips = if bytes.len() > 4_096 { per_file } else { per_file / 3 };
        for flip in 0..flips {
            let at = random.index(bytes.len());
            let mut damaged = sound.clone();
            damaged.get_mut(path).unwrap()[at] ^= 1 << random.below(8);
            put(&directory, &damaged);
            let what = format!("seed {seed}, {} byte {at}, flip {flip}", path.display());
            let seen = match open(&directory) {
                Ok(log) => {
                    let seen = read(&log);
                    log.close().unwrap();
                    seen
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    unopened += 1;
                    Seen::default()
                }
            };
            let opened = !seen.events.is_empty();
            for (position, event) in &seen.events {
                assert_eq!(Some(event), original.get(position), "{what}: a damaged event was shown");
            }
            if opened {
                let told = seen.events.len() + seen.refused.len();
                assert_eq!(told, original.len(), "{what}: neither shown nor refused");
                refused += usize::from(!seen.refused.is_empty());
                harmless += usize::from(seen.refused.is_empty());
            }
            // These say who the store is, and by which key it signs: no copy of them is anywhere else.
            if ["STORE", "SIGNING_KEY"].map(Path::new).contains(&path.as_path()) {
                continue;
            }
            put(&directory, &damaged);
            let named = findings(&directory);
            if !opened || !seen.refused.is_empty() {
                assert!(!named.is_empty(), "{what}: verify finds nothing");
            }
            for position in &seen.refused {
                assert!(
                    named.iter().any(|(first, last)| (first..=last).contains(&position)),
                    "{what}: {position}"
                );
            }
            put(&directory, &damaged);
            let (damage, _) = repair(&directory, Remedy::SetAside, &System).unwrap();
            let after = read(&open(&directory).unwrap());
            assert!(after.refused.is_empty(), "{what}: {:?}", after.refused);
            for (position, event) in &after.events {
                assert_eq!(Some(event), original.get(position), "{what}");
            }
            let gone: BTreeSet<u64> = damage.lost.iter().flat_map(|run| run.first.0..=run.last.0).collect();
            assert_eq!(after.lost, gone, "{what}: what is lost is what was said");
            assert_eq!(after.events.len() + gone.len(), original.len(), "{what}");
            // A bit lies in one frame at most, and frames hold up to 64 events.
            assert!(gone.len() <= 64, "{what}: {} events lost", gone.len());
            lost += usize::from(!gone.is_empty());
        }
    }
    eprintln!(
        "unopened {unopened}, opened with refusals {refused}, unharmed {harmless}, with events lost {lost}"
    );
    assert!(unopened > 0 && harmless > 0, "{unopened} {refused} {harmless} {lost}");
}

/// Flips a bit in every copy of the frame that holds a position.
fn damage_frame(data: &Path, position: u64) -> (u64, u64) {
    let journal = data.join("journal");
    let place = generation::path(&journal, generation::current(&journal).unwrap());
    let found = salvage::scan(&place).unwrap();
    let mut range = None;
    for frame in found.iter().filter(|frame| (frame.range.first.0..=frame.range.last.0).contains(&position)) {
        let (file, offset) = frame.place();
        let mut bytes = std::fs::read(file).unwrap();
        bytes[usize::try_from(offset).unwrap() + 70] ^= 4;
        std::fs::write(file, bytes).unwrap();
        range = Some((frame.range.first.0, frame.range.last.0));
    }
    range.unwrap()
}

fn run(command: &str, data: &Path, flags: &[&str]) -> (i32, String) {
    let output = annals(&[&[command, "--data", data.to_str().unwrap()], flags].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

async fn filled(directory: &Path) -> (PathBuf, String) {
    let data = directory.join("data");
    let mut server = Server::start_in(&data, "");
    let mut log = server.log().await;
    for number in 1..=8_u64 {
        let events: Vec<_> =
            (0..10).map(|at| with(simple("s", "title"), "id", json!(id(number * 100 + at)))).collect();
        append(&mut log, &events).await.unwrap();
    }
    let chain = log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().chain_hash;
    server.kill();
    (data, chain)
}

/// Reads both ways and follows a log of 80 events of which 31 to 40 are lost.
async fn assert_readers_are_told(log: &mut EventLogServiceClient<Channel>) {
    for filter in [None, Some(pb::Filter { tags: vec!["none".to_owned()], ..Default::default() })] {
        let request = pb::ReadEventsRequest { filter: filter.clone(), ..Default::default() };
        let mut stream = log.read_events(request).await.unwrap().into_inner();
        let (mut positions, mut lost) = (Vec::new(), Vec::new());
        while let Some(message) = stream.message().await.unwrap() {
            match message.content.unwrap() {
                Content::Events(batch) => {
                    positions.extend(batch.decoded().unwrap().iter().map(|event| event.position))
                }
                Content::Lost(run) => lost.push((run.first_position, run.last_position)),
                Content::End(end) => assert_eq!((end.head, end.more), (80, false)),
            }
        }
        assert_eq!(lost, [(31, 40)]);
        let all: Vec<u64> = (1..=30).chain(41..=80).collect();
        assert_eq!(positions, if filter.is_none() { all } else { Vec::new() });
    }
    let request = pb::ReadEventsRequest {
        direction: pb::read_events_request::Direction::Backward.into(),
        ..Default::default()
    };
    let mut stream = log.read_events(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        match message.content.unwrap() {
            Content::Events(batch) => {
                told.extend(batch.decoded().unwrap().iter().map(|event| event.position))
            }
            Content::Lost(run) => told.extend((run.first_position..=run.last_position).rev()),
            Content::End(_) => {}
        }
    }
    assert_eq!(told, (1..=80).rev().collect::<Vec<u64>>(), "each position is told of once, in order");
    let start = Some(pb::subscribe_events_request::Start::AfterPosition(34));
    let request = pb::SubscribeEventsRequest { start, ..Default::default() };
    let mut stream = log.subscribe_events(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    loop {
        match stream.message().await.unwrap().unwrap().content.unwrap() {
            Followed::Events(batch) => {
                told.extend(batch.decoded().unwrap().iter().map(|event| event.position))
            }
            Followed::Lost(run) => told.extend(run.first_position..=run.last_position),
            Followed::CaughtUp(_) => break,
            _ => {}
        }
    }
    assert_eq!(told, (35..=80).collect::<Vec<u64>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_middle_is_set_aside_and_every_reader_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (data, chain) = filled(directory.path()).await;
    assert_eq!(damage_frame(&data, 35), (31, 40));
    let (exit, text) = run("serve", &data, &["--listen", "127.0.0.1:0"]);
    assert!(exit == 65 && text.contains("annals verify"), "{exit} {text}");
    let (exit, text) = run("verify", &data, &[]);
    assert!(exit == 65 && text.contains("31") && text.contains("40"), "{exit} {text}");
    let before = files(&data);
    let (exit, text) = run("repair", &data, &[]);
    assert!(exit == 65 && text.contains("lost: positions 31 to 40"), "{exit} {text}");
    assert_eq!(files(&data), before, "nothing is changed unasked");
    let (exit, text) = run("repair", &data, &["--truncate-end"]);
    assert!(exit == 65 && text.contains("the end of the log is sound"), "{exit} {text}");
    let (exit, text) = run("repair", &data, &["--set-aside"]);
    assert!(exit == 65 && text.contains("70 events are there, 10 are lost"), "{exit} {text}");
    assert!(data.join("damaged-1/db").exists());

    let mut server = Server::start_in(&data, "");
    let mut log = server.log().await;
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().chain_hash, chain);
    assert_readers_are_told(&mut log).await;
    // The log goes on: positions, revisions and conditions as if nothing were missing.
    let answer = append(&mut log, &[simple("s", "next")]).await.unwrap();
    assert_eq!((answer.events[0].position, answer.events[0].stream_revision), (81, 81));
    let said = crate::harness::Said::of(
        &server
            .admin()
            .await
            .erase_event(pb::EraseEventRequest {
                event_id: id(100),
                reason: "x".to_owned(),
                authority: "y".to_owned(),
            })
            .await
            .unwrap_err(),
    );
    assert_eq!(said.reason, "ERASURE_BLOCKED");
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let saved = annals(&["backup", "--server", &server.url(), "--out", &path("backup")]);
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    let restored = annals(&["restore", "--data", &path("restored"), &path("backup")]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    assert_eq!(read(&open(Path::new(&path("restored"))).unwrap()).lost, (31..=40).collect());
    drop(log);
    server.allow("not erased: files that a repair kept hold contents too");
    server.stop();
    let (exit, text) = run("verify", &data, &[]);
    assert!(exit == 65 && text.contains("set aside"), "what is missing stays a finding: {exit} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_end_is_cut_off_only_when_asked_and_clients_who_saw_more_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let (data, _) = filled(directory.path()).await;
    assert_eq!(damage_frame(&data, 75), (71, 80));
    let (exit, text) = run("repair", &data, &["--truncate-end"]);
    assert!(exit == 65 && text.contains("ends at position 70"), "{exit} {text}");
    let server = Server::start_in(&data, "");
    let mut log = server.log().await;
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 70);
    let start = Some(pb::subscribe_events_request::Start::AfterPosition(80));
    let request = pb::SubscribeEventsRequest { start, ..Default::default() };
    let said = crate::harness::Said::of(&log.subscribe_events(request).await.unwrap_err());
    assert_eq!(said.reason, "POSITION_BEYOND_HEAD");
    let answer = append(&mut log, &[with(simple("s", "next"), "id", json!(id(800)))]).await.unwrap();
    assert_eq!(
        (answer.events[0].position, answer.events[0].stream_revision, answer.replayed),
        (71, 71, false)
    );
}

#[tokio::test]
async fn both_remedies_together_and_what_each_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let (data, _) = filled(directory.path()).await;
    damage_frame(&data, 5);
    damage_frame(&data, 80);
    let refused = repair(&data, Remedy::TruncateEnd, &System).unwrap_err();
    assert!(
        matches!(refused, RepairError::NotAtTheEnd(run) if (run.first.0, run.last.0) == (1, 10)),
        "{refused}"
    );
    let (damage, _) = repair(&data, Remedy::SetAsideAndTruncateEnd, &System).unwrap();
    assert_eq!((damage.events, damage.lost.len()), (60, 2));
    let seen = read(&open(&data).unwrap());
    assert_eq!((seen.events.len(), seen.lost.len(), seen.refused.len()), (60, 10, 0));
    let after = examine(&data, &System).unwrap();
    assert_eq!((after.lost.len(), after.last), (0, Position(70)), "a marker is a frame like any other");
}
