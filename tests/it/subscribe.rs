//! Subscriptions: in order, nothing lost, nothing twice within a stream; signs of life on an idle tail.

use std::time::Duration;

use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::subscribe_events_response::Content;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::events::{self, simple, with};
use crate::harness::{SOON, Said, Server, append};

type Stream = Streaming<pb::SubscribeEventsResponse>;

async fn subscribe(client: &mut EventLogServiceClient<Channel>, question: Value) -> Stream {
    let request: pb::SubscribeEventsRequest = events::message("annals.v1.SubscribeEventsRequest", &question);
    client.subscribe_events(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Stream) -> Content {
    let message = tokio::time::timeout(SOON, stream.message()).await.expect("a message in time");
    message.unwrap().expect("the stream goes on").content.unwrap()
}

/// Reads until the live edge; gives positions of events, and checks that checkpoints never run ahead.
async fn until_caught_up(stream: &mut Stream) -> Vec<u64> {
    let mut positions = Vec::new();
    loop {
        match next(stream).await {
            Content::Events(batch) => {
                positions.extend(batch.decoded().unwrap().iter().map(|event| event.position))
            }
            Content::CaughtUp(_) => return positions,
            Content::Started(_) | Content::Checkpoint(_) | Content::FellBehind(_) | Content::Heartbeat(_) => {
            }
            Content::Ending(ending) => panic!("{ending:?}"),
            Content::Lost(lost) => panic!("{lost:?}"),
        }
    }
}

#[tokio::test]
async fn the_protocol_of_a_subscription() {
    let server = Server::start();
    let mut log = server.log().await;
    append(&mut log, &[simple("s", "one"), simple("t", "two"), simple("s", "three")]).await.unwrap();
    let mut stream = subscribe(&mut log, json!({"filter": {"streams": ["s"]}, "fromStart": true})).await;
    let Content::Started(started) = next(&mut stream).await else { panic!("Started comes first") };
    assert_eq!((started.head, started.after_position), (3, 0));
    let Content::Events(batch) = next(&mut stream).await else { panic!("events come next") };
    assert_eq!(batch.decoded().unwrap().iter().map(|event| event.position).collect::<Vec<_>>(), [1, 3]);
    let Content::CaughtUp(caught_up) = next(&mut stream).await else { panic!("then the live edge") };
    assert_eq!(caught_up.head, 3);
    append(&mut log, &[simple("s", "four")]).await.unwrap();
    loop {
        match next(&mut stream).await {
            Content::Events(batch) => {
                assert_eq!(batch.decoded().unwrap()[0].position, 4);
                break;
            }
            Content::Checkpoint(_) | Content::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_idle_tail_without_matches_has_checkpoints_and_heartbeats() {
    let server = Server::start();
    let mut log = server.log().await;
    append(&mut log, &[simple("s", "one")]).await.unwrap();
    let question =
        json!({"filter": {"streams": ["none"]}, "checkpointInterval": "1s", "heartbeatInterval": "1s"});
    let mut stream = subscribe(&mut log, question).await;
    let (mut checkpoints, mut heartbeats) = (Vec::new(), 0);
    while checkpoints.len() < 3 || heartbeats < 2 {
        match next(&mut stream).await {
            Content::Checkpoint(checkpoint) => {
                checkpoints.push(checkpoint.position);
                if checkpoints.len() == 1 {
                    append(&mut log, &[simple("s", "two")]).await.unwrap();
                }
            }
            Content::Heartbeat(heartbeat) => {
                heartbeats += 1;
                assert!(heartbeat.time.is_some());
            }
            Content::Started(_) | Content::CaughtUp(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(checkpoints.last(), Some(&2), "also what does not match was evaluated: {checkpoints:?}");
}

#[tokio::test]
async fn a_stream_without_events_is_caught_up_at_once() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut stream = subscribe(&mut log, json!({"filter": {"streams": ["unknown"]}})).await;
    assert_eq!(until_caught_up(&mut stream).await, Vec::<u64>::new());
}

#[tokio::test]
async fn starts_are_where_the_client_says() {
    let server = Server::start();
    let mut log = server.log().await;
    let first = append(&mut log, &[simple("s", "1"), simple("s", "2")]).await.unwrap();
    let third = append(&mut log, &[simple("s", "3"), simple("s", "4")]).await.unwrap();
    let stamp = |event: &pb::AppendedEvent| {
        let time = event.recorded_at.unwrap();
        let text = std::process::Command::new("date")
            .args(["-u", "-d", &format!("@{}.{:09}", time.seconds, time.nanos), "+%Y-%m-%dT%H:%M:%S.%NZ"])
            .output();
        String::from_utf8(text.unwrap().stdout).unwrap().trim().to_owned()
    };
    for (start, expected) in [
        (json!({}), vec![1, 2, 3, 4]),
        (json!({"fromStart": true}), vec![1, 2, 3, 4]),
        (json!({"afterPosition": "3"}), vec![4]),
        (json!({"afterPosition": "4"}), vec![]),
        (json!({"fromNow": true}), vec![]),
        (json!({"sinceRecordedTime": stamp(&first.events[1])}), vec![2, 3, 4]),
        (json!({"sinceRecordedTime": stamp(&third.events[0])}), vec![3, 4]),
        (json!({"sinceRecordedTime": "1900-01-01T00:00:00Z"}), vec![1, 2, 3, 4]),
    ] {
        let mut stream = subscribe(&mut log, start.clone()).await;
        assert_eq!(until_caught_up(&mut stream).await, expected, "{start}");
    }
}

#[tokio::test]
async fn bad_starts_are_refused() {
    let server = Server::start();
    let mut log = server.log().await;
    for (question, reason) in [
        (json!({"afterPosition": "1"}), "POSITION_BEYOND_HEAD"),
        (json!({"storeId": "018f9ee2-9300-7001-8061-6e6e616c7301"}), "STORE_MISMATCH"),
        (json!({"heartbeatInterval": "0.5s"}), "FIELD_INVALID"),
        (json!({"checkpointInterval": "61s"}), "FIELD_INVALID"),
        (json!({"fromStart": false}), "FIELD_INVALID"),
        (json!({"sinceRecordedTime": "2100-01-01T00:00:00Z"}), "FIELD_INVALID"),
    ] {
        let request: pb::SubscribeEventsRequest =
            events::message("annals.v1.SubscribeEventsRequest", &question);
        let status = log.subscribe_events(request).await.unwrap_err();
        assert_eq!(Said::of(&status).reason, reason, "{question}");
    }
}

/// A reader that sleeps between messages, is dropped, and resumes from its last checkpoint.
#[tokio::test]
async fn a_slow_reader_that_dies_and_resumes_sees_all_in_order() {
    let server = Server::start();
    let mut log = server.log().await;
    let total = 6_000_u64;
    let writer = {
        let mut log = server.log().await;
        tokio::spawn(async move {
            for batch in 0..total / 100 {
                let events: Vec<Value> = (0..100)
                    .map(|n| {
                        let tag = if n % 3 == 0 { "third" } else { "other" };
                        with(simple("s", &format!("{batch}/{n}")), "tags", json!([tag]))
                    })
                    .collect();
                append(&mut log, &events).await.unwrap();
            }
        })
    };
    let mut seen: Vec<u64> = Vec::new();
    let mut checkpoint = 0;
    let mut lives = 0;
    while checkpoint < total {
        lives += 1;
        assert!(lives < 500, "no progress: checkpoint {checkpoint}");
        let question = json!({
            "filter": {"tags": ["third"]}, "afterPosition": checkpoint.to_string(), "checkpointInterval": "1s",
        });
        let mut stream = subscribe(&mut log, question).await;
        let mut within = Vec::new();
        for _ in 0..9 {
            match next(&mut stream).await {
                Content::Events(batch) => {
                    within.extend(batch.decoded().unwrap().iter().map(|event| event.position))
                }
                Content::Checkpoint(at) => checkpoint = at.position,
                _ => {}
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        assert!(within.windows(2).all(|pair| pair[0] < pair[1]), "in order, none twice within a stream");
        seen.extend(within);
    }
    writer.await.unwrap();
    seen.sort_unstable();
    seen.dedup();
    let expected: Vec<u64> = (1..=total).filter(|position| (position - 1) % 100 % 3 == 0).collect();
    assert_eq!(seen, expected, "none lost over {lives} lives");
    assert!(lives > 3, "the reader must have died: {lives}");
}

#[tokio::test]
async fn concurrent_writers_never_leave_a_gap() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut stream = subscribe(&mut log, json!({"fromNow": true})).await;
    let writers = (0..8).map(|writer| {
        let address = server.url();
        tokio::spawn(async move {
            let mut log = EventLogServiceClient::connect(address).await.unwrap();
            for n in 0..40 {
                append(&mut log, &[simple(&format!("w/{writer}"), &n.to_string())]).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut positions = Vec::new();
    while positions.len() < 320 {
        if let Content::Events(batch) = next(&mut stream).await {
            positions.extend(batch.decoded().unwrap().iter().map(|event| event.position));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(positions, (1..=320).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_tells_where_to_resume() {
    let mut server = Server::start();
    let mut log = server.log().await;
    append(&mut log, &[simple("s", "one")]).await.unwrap();
    let mut stream = subscribe(&mut log, json!({})).await;
    until_caught_up(&mut stream).await;
    server.signal("-TERM");
    let ending = loop {
        match next(&mut stream).await {
            Content::Ending(ending) => break ending,
            Content::Checkpoint(_) | Content::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ending.reason(), pb::ending::Reason::ShuttingDown);
    assert_eq!(ending.resume_after_position, 1);
    assert!(ending.retry_after.is_some());
    let status = stream.message().await.unwrap_err();
    assert_eq!((status.code(), Said::of(&status).reason.as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert!(server.wait(), "the server ends well with a subscription open");
}

#[tokio::test]
async fn as_many_subscriptions_as_the_limit_says() {
    let server = Server::start_with("[limits]\nsubscriptions_max = 2\n");
    let mut log = server.log().await;
    let first = subscribe(&mut log, json!({})).await;
    let _second = subscribe(&mut log, json!({})).await;
    let status = log.subscribe_events(pb::SubscribeEventsRequest::default()).await.unwrap_err();
    let said = Said::of(&status);
    assert_eq!((said.code, said.reason.as_str()), (Code::ResourceExhausted, "SUBSCRIPTIONS_EXHAUSTED"));
    assert!(said.details.retry_info().is_some());
    drop(first);
    // The place is given back when the server notices that the stream is gone.
    let begin = std::time::Instant::now();
    while log.subscribe_events(pb::SubscribeEventsRequest::default()).await.is_err() {
        assert!(begin.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
