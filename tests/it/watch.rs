//! Watches over gRPC: a snapshot and then every change of it, nothing lost and nothing twice.

use std::collections::BTreeMap;

use annals::pb;
use annals::pb::entry_change::Change;
use annals::pb::timeline_service_client::TimelineServiceClient;
use annals::pb::watch_entries_response::Content;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::events::{self, id, simple, with};
use crate::harness::{SOON, Said, Server, append};

type Client = TimelineServiceClient<Channel>;

/// A reader that holds the entries of its question, as a client would.
struct Reader {
    stream: Streaming<pb::WatchEntriesResponse>,
    /// The entries that stand, by position.
    entries: BTreeMap<u64, pb::Entry>,
    /// Positions whose changes were all read, in order.
    seen: Vec<u64>,
    /// Where to resume.
    resume: u64,
    /// What each change was, with the positions of the versions and the event that made it.
    said: Vec<(&'static str, u64, u64, String)>,
}

impl Reader {
    async fn begin(client: &mut Client, question: Value) -> Self {
        let request: pb::WatchEntriesRequest = events::message("annals.v1.WatchEntriesRequest", &question);
        let stream = client.watch_entries(request).await.unwrap().into_inner();
        Self { stream, entries: BTreeMap::new(), seen: Vec::new(), resume: 0, said: Vec::new() }
    }

    async fn next(&mut self) -> Content {
        let message = tokio::time::timeout(SOON, self.stream.message()).await.expect("a message in time");
        message.unwrap().expect("the stream goes on").content.unwrap()
    }

    /// Reads until everything up to a position was evaluated.
    async fn until(&mut self, position: u64) {
        while self.resume < position {
            match self.next().await {
                Content::Entries(batch) => {
                    for entry in batch.entries {
                        let position = entry.decoded().unwrap().position;
                        assert_eq!(self.entries.insert(position, entry), None, "sent twice");
                    }
                }
                Content::Changes(batch) => batch.changes.into_iter().for_each(|change| self.fold(change)),
                Content::Checkpoint(checkpoint) => {
                    assert!(checkpoint.position >= self.resume, "a checkpoint goes back");
                    self.resume = checkpoint.position;
                }
                Content::CaughtUp(_)
                | Content::FellBehind(_)
                | Content::Started(_)
                | Content::Heartbeat(_) => {}
                Content::Ending(ending) => panic!("{ending:?}"),
                Content::Lost(lost) => panic!("{lost:?}"),
            }
        }
    }

    fn fold(&mut self, change: pb::EntryChange) {
        assert!(self.seen.last().is_none_or(|last| change.position > *last), "a change comes again");
        let at = |entry: &Option<pb::Entry>| entry.as_ref().unwrap().decoded().unwrap().position;
        let by = |cause: &Option<pb::Closing>| {
            cause.as_ref().map_or(String::new(), |cause| cause.event_id.clone())
        };
        match change.change.unwrap() {
            Change::Added(added) => {
                self.said.push(("added", 0, at(&added.entry), by(&added.cause)));
                assert_eq!(self.entries.insert(at(&added.entry), added.entry.unwrap()), None);
            }
            Change::Corrected(changed) => {
                self.said.push(("corrected", at(&changed.from), at(&changed.to), by(&changed.cause)));
                assert!(self.entries.remove(&at(&changed.from)).is_some());
                assert_eq!(self.entries.insert(at(&changed.to), changed.to.unwrap()), None);
            }
            Change::Withdrawn(gone) => {
                self.said.push(("withdrawn", at(&gone.entry), 0, by(&gone.cause)));
                assert!(self.entries.remove(&at(&gone.entry)).is_some());
            }
            Change::Erased(erased) => self.said.push(("erased", erased.position, 0, erased.erasure_event_id)),
        }
        if change.completes_position {
            self.seen.push(change.position);
            self.resume = self.resume.max(change.position);
        }
    }

    fn positions(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }
}

async fn listed(client: &mut Client, question: Value) -> Vec<u64> {
    let question = with(with(question, "order", json!("RECORDED")), "pageSize", json!(1_000));
    let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", &question);
    let page = client.list_entries(request).await.unwrap().into_inner();
    page.entries.iter().map(|entry| entry.decoded().unwrap().position).collect()
}

/// An event with a tag that may change what is believed of another.
fn event(number: u64, tag: &str, link: Option<(&str, u64)>) -> Value {
    let event =
        with(with(simple("s", &format!("entry {number}")), "id", json!(id(number))), "tags", json!([tag]));
    match link {
        Some((kind, target)) => with(event, "links", json!([{"type": kind, "eventId": id(target)}])),
        None => event,
    }
}

#[tokio::test]
async fn a_snapshot_and_then_what_is_added_corrected_and_withdrawn() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = server.timeline().await;
    append(&mut log, &[event(1, "red", None), event(2, "blue", None), event(3, "red", None)]).await.unwrap();
    let question = json!({"filter": {"tags": ["red"]}, "checkpointInterval": "1s"});
    let mut reader = Reader::begin(&mut client, question).await;
    let Content::Started(started) = reader.next().await else { panic!("Started comes first") };
    assert_eq!((started.head, started.after_position), (3, 3));
    reader.until(3).await;
    assert_eq!((reader.positions(), reader.said.len()), (vec![1, 3], 0));

    for (appended, expected) in [
        (event(4, "red", None), Some(("added", 0, 4, String::new()))),
        (event(5, "red", Some(("CORRECTS", 1))), Some(("corrected", 1, 5, id(5)))),
        (event(6, "blue", None), None),
        (event(7, "none", Some(("RETRACTS", 3))), Some(("withdrawn", 3, 0, id(7)))),
        // The correction is withdrawn: what it corrected stands again.
        (event(8, "none", Some(("RETRACTS", 5))), Some(("corrected", 5, 1, id(8)))),
        // Into the filter, and out of it.
        (event(9, "red", Some(("SUPERSEDES", 2))), Some(("added", 0, 9, id(9)))),
        (event(10, "blue", Some(("CORRECTS", 4))), Some(("withdrawn", 4, 0, id(10)))),
        // The retraction is withdrawn: the entry is back.
        (event(11, "none", Some(("RETRACTS", 7))), Some(("added", 0, 3, id(11)))),
    ] {
        let position = append(&mut log, &[appended]).await.unwrap().events[0].position;
        let before = reader.said.len();
        reader.until(position).await;
        assert_eq!(reader.said[before..], expected.into_iter().collect::<Vec<_>>(), "at {position}");
        let question = json!({"filter": {"tags": ["red"]}, "scope": {"asOfPosition": position.to_string()}});
        assert_eq!(reader.positions(), listed(&mut client, question).await, "as of {position}");
    }
    assert_eq!(reader.positions(), [1, 3, 9]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_without_a_gap_and_without_a_double_also_on_a_server_started_again() {
    let mut server = Server::start();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    append(&mut log, &[event(1, "red", None)]).await.unwrap();
    let mut reader = Reader::begin(&mut client, json!({"checkpointInterval": "1s"})).await;
    reader.until(1).await;
    let mut next = 2_u64;
    for round in 0..4 {
        // What is appended while the reader is away is there when it is back.
        let mut batch = Vec::new();
        for _ in 0..20 {
            let link = next.is_multiple_of(3).then_some(("CORRECTS", next - 1));
            batch.push(event(next, "red", link));
            next += 1;
        }
        let head = append(&mut log, &batch).await.unwrap().events.last().unwrap().position;
        let half = head - 10;
        if round % 2 == 0 {
            reader.until(half).await;
            drop((client, log));
            server = server.restart();
            client = server.timeline().await;
            log = server.log().await;
        }
        let resumed = json!({"afterPosition": reader.resume.to_string(), "checkpointInterval": "1s"});
        let stream = Reader::begin(&mut client, resumed).await.stream;
        reader.stream = stream;
        reader.until(head).await;
        assert_eq!(reader.positions(), listed(&mut client, json!({})).await, "round {round}");
    }
    assert_eq!(reader.seen, (2..next).collect::<Vec<_>>(), "each position once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_nothing() {
    let server = Server::start();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    append(&mut log, &[event(1, "red", None)]).await.unwrap();
    let mut reader = Reader::begin(&mut client, json!({})).await;
    // Far more than waits for a reader on the way is written before the first message is read.
    let text = "x".repeat(4_000);
    let mut head = 1;
    for batch in 0..20_u64 {
        let events =
            (0..100).map(|at| with(event(2 + batch * 100 + at, "red", None), "summary", json!(text)));
        head = append(&mut log, &events.collect::<Vec<_>>()).await.unwrap().events.last().unwrap().position;
    }
    reader.until(head).await;
    assert_eq!(reader.seen, (2..=head).collect::<Vec<_>>());
    assert_eq!(reader.positions(), (1..=head).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_watch_by_a_saved_timeline_and_by_cited_events() {
    let server = Server::start();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    append(&mut log, &[event(1, "red", None), event(2, "blue", None)]).await.unwrap();
    let saved = json!({"timeline": {"id": "reds", "title": "Reds", "filter": {"tags": ["red"]}}});
    let request: pb::CreateTimelineRequest = events::message("annals.v1.CreateTimelineRequest", &saved);
    client.create_timeline(request).await.unwrap();
    let mut named = Reader::begin(&mut client, json!({"filter": {"timelines": ["reds"]}})).await;
    named.until(3).await;
    let mut cited = Reader::begin(&mut client, json!({"eventIds": [id(2)]})).await;
    cited.until(3).await;
    assert_eq!((named.positions(), cited.positions()), (vec![1], vec![2]));
    let more = [
        event(4, "red", None),
        event(5, "blue", Some(("CORRECTS", 2))),
        event(6, "red", Some(("RETRACTS", 1))),
        event(7, "blue", Some(("CORRECTS", 5))),
    ];
    append(&mut log, &more).await.unwrap();
    named.until(7).await;
    cited.until(7).await;
    assert_eq!(named.said, [("added", 0, 4, String::new()), ("withdrawn", 1, 0, id(6))]);
    assert_eq!(cited.said, [("corrected", 2, 5, id(5)), ("corrected", 5, 7, id(7))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_where_to_resume() {
    let mut server = Server::start();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    append(&mut log, &[event(1, "red", None)]).await.unwrap();
    let mut reader = Reader::begin(&mut client, json!({})).await;
    reader.until(1).await;
    server.signal("-TERM");
    let ending = loop {
        if let Content::Ending(ending) = reader.next().await {
            break ending;
        }
    };
    assert_eq!(ending.resume_after_position, 1);
    let status = tokio::time::timeout(SOON, reader.stream.message()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(server.wait());
}

#[tokio::test]
async fn bad_watches_are_refused() {
    let server = Server::start();
    let mut client = server.timeline().await;
    for (question, reason, fields) in [
        (
            json!({"filter": {"linkEventIds": ["x"]}, "valid": {"from": "2024-13"}, "eventIds": ["x"],
                "checkpointInterval": "0.5s", "heartbeatInterval": "61s", "fromNow": false}),
            "FIELD_INVALID",
            vec![
                "filter.link_event_ids[0]",
                "valid.from",
                "event_ids[0]",
                "checkpoint_interval",
                "heartbeat_interval",
                "from_now",
            ],
        ),
        (json!({"afterChainHash": "00".repeat(32)}), "FIELD_INVALID", vec!["after_chain_hash"]),
        (json!({"afterPosition": "1"}), "POSITION_BEYOND_HEAD", vec![]),
        (json!({"storeId": id(1)}), "STORE_MISMATCH", vec![]),
        (json!({"eventIds": [id(1)]}), "EVENT_NOT_FOUND", vec![]),
        (json!({"filter": {"timelines": ["none"]}}), "TIMELINE_NOT_FOUND", vec![]),
    ] {
        let request: pb::WatchEntriesRequest = events::message("annals.v1.WatchEntriesRequest", &question);
        let said = Said::of(&client.watch_entries(request).await.unwrap_err());
        assert_eq!(said.reason, reason, "{question}");
        if !fields.is_empty() {
            assert_eq!(said.fields(), fields, "{question}");
        }
    }
}
