//! Kills the server with SIGKILL while clients append, many times, and checks what a client may rely on.
//!
//! After each kill: what was acknowledged is there at its position; of every other append all or nothing is there;
//! positions are dense; `annals verify` finds nothing; a retry is a replay or a first write, never a second one.
//! The witness of what was acknowledged is this process, which the kill does not touch.
//! What SIGKILL cannot show is the loss of writes that were not flushed: the kernel keeps them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::events;
use crate::harness::{self, Server};
use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::read_events_response::Content;
use serde_json::{Value, json};

const KILLS: u64 = 30;
const WRITERS: u64 = 4;

/// One append: its events, and what was said of it before the kill.
#[derive(Clone)]
struct Attempt {
    events: Vec<Value>,
    acknowledged: Option<pb::AppendEventsResponse>,
}

fn attempt(cycle: u64, writer: u64, number: u64) -> Vec<Value> {
    let count = 1 + (number + writer) % 5;
    let event = |index: u64| {
        let id = (cycle << 40) | (writer << 32) | (number << 8) | index;
        let event =
            events::with(events::simple(&format!("w/{writer}"), "crash"), "id", json!(events::id(id)));
        let text = "x".repeat(usize::try_from((number * 37) % 700).unwrap());
        events::with(event, "attributes", json!({"text": text}))
    };
    (0..count).map(event).collect()
}

async fn write(url: String, cycle: u64, writer: u64, attempts: Arc<Mutex<Vec<Attempt>>>) {
    let Ok(mut client) = EventLogServiceClient::connect(url).await else { return };
    for number in 0.. {
        let events = attempt(cycle, writer, number);
        let place = {
            let mut attempts = attempts.lock().unwrap();
            attempts.push(Attempt { events: events.clone(), acknowledged: None });
            attempts.len() - 1
        };
        let Ok(answer) = harness::append(&mut client, &events).await else { return };
        attempts.lock().unwrap()[place].acknowledged = Some(answer);
    }
}

/// Gives the id at each position, which must be dense.
async fn recorded(server: &Server, after: u64) -> Vec<String> {
    let request = pb::ReadEventsRequest { from_position_exclusive: after, ..Default::default() };
    let mut stream = server.log().await.read_events(request).await.unwrap().into_inner();
    let mut ids = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Content::Events(batch)) = message.content {
            for event in batch.decoded().unwrap() {
                assert_eq!(event.position, after + 1 + ids.len() as u64, "positions are dense");
                ids.push(event.id);
            }
        }
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut checked = 0;
    let (mut acknowledged, mut unknown) = (0, 0);
    for cycle in 0..KILLS {
        let mut server = Server::start_in(&data, "");
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(server.url(), cycle, writer, Arc::clone(&attempts))))
            .collect();
        tokio::time::sleep(Duration::from_millis(15 + (cycle * 29) % 90)).await;
        server.kill();
        for writer in writers {
            writer.await.unwrap();
        }
        drop(server);
        let output = harness::annals(&["verify", "--data", data.to_str().unwrap()]);
        assert!(output.status.success(), "cycle {cycle}: {}", String::from_utf8_lossy(&output.stdout));

        let server = Server::start_in(&data, "");
        let ids = recorded(&server, checked).await;
        let attempts = attempts.lock().unwrap().clone();
        let mut log = server.log().await;
        for attempt in &attempts {
            let known: Vec<Option<u64>> = attempt
                .events
                .iter()
                .map(|event| ids.iter().position(|id| event["id"] == **id).map(|at| checked + 1 + at as u64))
                .collect();
            match &attempt.acknowledged {
                Some(answer) => {
                    let promised: Vec<_> = answer.events.iter().map(|event| Some(event.position)).collect();
                    assert_eq!(
                        known, promised,
                        "cycle {cycle}: an acknowledged append is as it was promised"
                    );
                    acknowledged += 1;
                }
                None => {
                    let there = known.iter().flatten().count();
                    assert!(there == 0 || there == known.len(), "cycle {cycle}: half an append: {known:?}");
                    unknown += 1;
                    let answer = harness::append(&mut log, &attempt.events).await.unwrap();
                    assert_eq!(
                        answer.replayed,
                        there > 0,
                        "cycle {cycle}: a retry is a replay or a first write"
                    );
                }
            }
        }
        let mut server = server;
        checked = log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;
        server.kill();
    }
    assert!(acknowledged > KILLS, "the writers must have got answers: {acknowledged}");
    assert!(unknown > 0, "the kills must have met appends under way");
    eprintln!("{KILLS} kills: {acknowledged} appends acknowledged, {unknown} under way, {checked} events");
}
