//! Many followers at the live edge: each gets what matches its filter, all of it, once and in order, however it is told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use annals::domain::Timestamp;
use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::read_events_response::Content as ReadContent;
use annals::pb::subscribe_events_request::Start;
use annals::pb::subscribe_events_response::Content;
use serde_json::{Value, json};
use tonic::Streaming;
use tonic::transport::Channel;

use crate::events::{self, simple, with};
use crate::generate::Generator;
use crate::harness::{SOON, Server, append};
use crate::model::Model;
use crate::seeds::{Told, number_from};

type Log = EventLogServiceClient<Channel>;
type Stream = Streaming<pb::SubscribeEventsResponse>;

/// Follows from the present head on, and waits until the live edge is reached.
async fn follow(log: &mut Log, filter: pb::Filter) -> Stream {
    let minute = prost_types::Duration { seconds: 60, nanos: 0 };
    let request = pb::SubscribeEventsRequest {
        filter: Some(filter),
        start: Some(Start::FromNow(true)),
        checkpoint_interval: Some(minute),
        heartbeat_interval: Some(minute),
        ..Default::default()
    };
    let mut stream = log.subscribe_events(request).await.unwrap().into_inner();
    while !matches!(next(&mut stream).await, Content::CaughtUp(_)) {}
    stream
}

async fn next(stream: &mut Stream) -> Content {
    let message = tokio::time::timeout(SOON, stream.message()).await.expect("a message in time");
    message.unwrap().expect("the stream goes on").content.unwrap()
}

/// Reads until every position up to one was evaluated; gives the events.
async fn until(stream: &mut Stream, last: u64) -> Vec<pb::Event> {
    let mut found = Vec::new();
    loop {
        match next(stream).await {
            Content::Events(batch) => {
                found.extend(batch.decoded().unwrap());
                if found.last().is_some_and(|event| event.position == last) {
                    return found;
                }
            }
            Content::Checkpoint(checkpoint) => {
                let before = found.last().map_or(0, |event| event.position);
                assert!(checkpoint.position >= before, "{checkpoint:?}");
            }
            Content::CaughtUp(_) | Content::FellBehind(_) | Content::Heartbeat(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn read(log: &mut Log, filter: pb::Filter, after: u64) -> Vec<pb::Event> {
    let request =
        pb::ReadEventsRequest { filter: Some(filter), from_position_exclusive: after, ..Default::default() };
    let mut stream = log.read_events(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(ReadContent::Events(batch)) = message.content {
            found.extend(batch.decoded().unwrap());
        }
    }
    found
}

fn tagged(stream: &str, title: &str, tag: &str) -> Value {
    with(simple(stream, title), "tags", json!([tag]))
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_with_random_filters_get_what_a_read_gives() {
    let seed = number_from("ANNALS_RANDOM_SEED").unwrap_or(77);
    let told = Told(seed);
    let mut generator = Generator::new(seed);
    let server = Server::start();
    let mut log = server.log().await;
    append(&mut log, &[simple("s", "before")]).await.unwrap();
    let nothing = Model::default();
    let mut filters = vec![pb::Filter::default()];
    while filters.len() < 60 {
        filters.push(generator.filter(&nothing));
    }
    let mut streams = Vec::new();
    for filter in &filters {
        streams.push(follow(&mut log, filter.clone()).await);
    }
    let readers: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            let found = Arc::new(Mutex::new(Vec::new()));
            let reader = Arc::clone(&found);
            let task = tokio::spawn(async move {
                // Ends with the server.
                while let Ok(Some(message)) = stream.message().await {
                    if let Some(Content::Events(batch)) = message.content {
                        reader.lock().unwrap().extend(batch.decoded().unwrap());
                    }
                }
            });
            (task, found)
        })
        .collect();
    let now = Timestamp(1_716_336_000_000_000);
    for _ in 0..250 {
        let events =
            generator.events(&nothing, now).into_iter().map(|proposed| proposed.draft.event).collect();
        let request = pb::AppendEventsRequest::of(events, Vec::new());
        // Some break a rule of links or ids; the others are enough.
        let _ = log.append_events(request).await;
    }
    let head = log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;
    assert!(head > 200, "{head}");
    let mut expected = Vec::new();
    for filter in filters {
        expected.push(read(&mut log, filter, 1).await);
    }
    let begin = Instant::now();
    for ((_, found), expected) in readers.iter().zip(&expected) {
        while found.lock().unwrap().len() < expected.len() {
            assert!(begin.elapsed() < SOON, "{} of {}", found.lock().unwrap().len(), expected.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // The stop shows what came besides.
    let mut server = server;
    server.stop();
    for ((task, found), expected) in readers.into_iter().zip(expected) {
        task.await.unwrap();
        let found = std::mem::take(&mut *found.lock().unwrap());
        let positions = |events: &[pb::Event]| events.iter().map(|event| event.position).collect::<Vec<_>>();
        assert_eq!(positions(&found), positions(&expected));
        assert_eq!(found, expected);
    }
    drop(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_takes_nothing_for_long_gets_everything_later() {
    let server = Server::start();
    let mut log = server.log().await;
    let filter = pb::Filter { tags: vec!["mine".to_owned()], ..Default::default() };
    let mut slow = follow(&mut server.log().await, filter.clone()).await;
    let mut quick = follow(&mut server.log().await, filter.clone()).await;
    // Far more than is noted for a follower, and more than is held in memory: 12,000 events of 2,000 bytes.
    let text = "x".repeat(2_000);
    let mut head = 0;
    for round in 0..120 {
        let events: Vec<Value> = (0..100)
            .map(|n| {
                let tag = if n % 2 == 0 { "mine" } else { "other" };
                with(tagged("s", &format!("{round}.{n}"), tag), "summary", json!(text))
            })
            .collect();
        head = append(&mut log, &events).await.unwrap().last_position;
    }
    head = append(&mut log, &[tagged("s", "last", "mine")]).await.unwrap().last_position.max(head);
    let expected: Vec<u64> = read(&mut log, filter, 0).await.iter().map(|event| event.position).collect();
    assert_eq!((expected.len(), expected.last()), (6_001, Some(&head)));
    for stream in [&mut slow, &mut quick] {
        let found: Vec<u64> = until(stream, head).await.iter().map(|event| event.position).collect();
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_without_matches_is_told_how_far_the_log_was_evaluated() {
    let server = Server::start();
    let mut log = server.log().await;
    let filter = pb::Filter { tags: vec!["nobody".to_owned()], ..Default::default() };
    let mut idle = follow(&mut server.log().await, filter).await;
    for round in 0..10 {
        let events: Vec<Value> = (0..500).map(|n| simple("s", &format!("{round}.{n}"))).collect();
        append(&mut log, &events).await.unwrap();
    }
    // The intervals are a minute: it is the positions that make it due, also when nothing is appended any more.
    let mut told = 0;
    while told + 1_000 <= 5_000 {
        match next(&mut idle).await {
            Content::Checkpoint(checkpoint) => {
                assert!(checkpoint.position > told && checkpoint.head <= 5_000, "{checkpoint:?}");
                assert_eq!(checkpoint.chain_hash.len(), 64);
                told = checkpoint.position;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_erased_is_not_told_from_memory() {
    let server = Server::start();
    let mut log = server.log().await;
    let filter = pb::Filter { streams: vec!["s".to_owned()], ..Default::default() };
    let mut stream = follow(&mut server.log().await, filter).await;
    let event = with(simple("s", "a secret"), "id", json!(events::id(1)));
    append(&mut log, &[event]).await.unwrap();
    let request = pb::EraseEventRequest {
        event_id: events::id(1),
        reason: "asked for".to_owned(),
        authority: "the person".to_owned(),
    };
    server.admin().await.erase_event(request).await.unwrap();
    append(&mut log, &[simple("s", "after")]).await.unwrap();
    let found = until(&mut stream, 3).await;
    assert_eq!(found.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 3]);
    let filter = pb::Filter { streams: vec!["s".to_owned()], ..Default::default() };
    let again = read(&mut log, filter, 0).await;
    assert!(again.iter().all(|event| event.title != "a secret"), "{again:?}");
}
