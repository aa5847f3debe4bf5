//! Errors that only a faulty store or a busy server gives, produced through a real client over a real socket.

use std::sync::Arc;

use annals::clock::System;
use annals::domain::{Position, StoreId, Timestamp};
use annals::journal::memory::CommitFault;
use annals::journal::{Journal, MemoryJournal};
use annals::log::{Log, QueueLimits};
use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::server::routes;
use annals::service::{Context, Phase};
use annals::wire::Limits;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;

use crate::events::{id, simple, with};
use crate::harness::{Said, append};

/// Serves a phase in this process.
async fn serve(phase: Phase) -> (EventLogServiceClient<Channel>, watch::Sender<Phase>) {
    let (sender, receiver) = watch::channel(phase);
    let context = Context::new(
        receiver,
        Arc::new(System),
        Limits::default(),
        CancellationToken::new(),
        Timestamp::default(),
    );
    let (_, health) = tonic_health::server::health_reporter();
    let routes = routes(&context, health).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_routes(routes).serve_with_incoming(incoming));
    (EventLogServiceClient::connect(format!("http://{address}")).await.unwrap(), sender)
}

fn store() -> StoreId {
    StoreId::from_uuid(uuid::Uuid::from_u128(7))
}

fn over(journal: &MemoryJournal) -> Arc<Log> {
    let journal: Arc<dyn Journal> = Arc::new(journal.clone());
    let parts = (Arc::new(System) as _, Arc::new(System) as _);
    Arc::new(Log::over(journal, None, QueueLimits::default(), parts, &|_| {}).unwrap().0)
}

#[tokio::test]
async fn after_a_failed_flush_nothing_is_written_until_the_store_is_opened_again() {
    let journal = MemoryJournal::new(store());
    let (mut client, phase) = serve(Phase::Serving(over(&journal))).await;
    let first = with(simple("s", "one"), "id", json!(id(1)));
    let second = with(simple("s", "two"), "id", json!(id(2)));
    append(&mut client, std::slice::from_ref(&first)).await.unwrap();
    journal.script(CommitFault::ErrorAfter);
    let said = Said::of(&append(&mut client, std::slice::from_ref(&second)).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::Internal, "COMMIT_OUTCOME_UNKNOWN"));
    assert!(!said.metadata["incident"].is_empty());
    // Not shown, since it may vanish; and no further write.
    assert_eq!(client.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 1);
    let said = Said::of(&append(&mut client, &[simple("s", "three")]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "STORE_READ_ONLY"));
    // What is recorded is still answered.
    assert!(append(&mut client, &[first]).await.unwrap().replayed);

    // Opened again, the outcome is known: here the write had reached the disk.
    let reopened = journal.reopen().unwrap().journal;
    phase.send_replace(Phase::Serving(over(&reopened)));
    let answer = append(&mut client, &[second]).await.unwrap();
    assert_eq!((answer.replayed, answer.first_position), (true, 2));
}

#[tokio::test]
async fn damage_is_refused_with_its_positions_and_the_rest_is_readable() {
    let journal = MemoryJournal::new(store());
    let log = over(&journal);
    let (mut client, _phase) = serve(Phase::Serving(log)).await;
    for number in 1..=3 {
        append(&mut client, &[with(simple("s", "t"), "id", json!(id(number)))]).await.unwrap();
    }
    assert!(journal.damage(Position(2), 60));
    let said = Said::of(&client.get_event(pb::GetEventRequest { event_id: id(2) }).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::DataLoss, "CORRUPT"));
    assert_eq!(
        (said.metadata["first_position"].as_str(), said.metadata["last_position"].as_str()),
        ("2", "2")
    );
    for number in [1, 3] {
        assert!(client.get_event(pb::GetEventRequest { event_id: id(number) }).await.is_ok());
    }
    // A subscription ends there, and says where to go on from.
    let mut stream =
        client.subscribe_events(pb::SubscribeEventsRequest::default()).await.unwrap().into_inner();
    let (mut ending, status) = (
        None,
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream must not end well"),
                Err(status) => break status,
            }
        },
    );
    assert_eq!(Said::of(&status).reason, "CORRUPT");
    let request = pb::SubscribeEventsRequest::default();
    let mut stream = client.subscribe_events(request).await.unwrap().into_inner();
    let mut sent = Vec::new();
    while let Ok(Some(message)) = stream.message().await {
        match message.content {
            Some(pb::subscribe_events_response::Content::Ending(end)) => ending = Some(end),
            Some(pb::subscribe_events_response::Content::Events(batch)) => {
                sent.extend(batch.decoded().unwrap().iter().map(|event| event.position));
            }
            _ => {}
        }
    }
    let ending = ending.unwrap();
    assert_eq!(ending.reason(), pb::ending::Reason::Corrupt);
    assert_eq!((ending.resume_after_position, sent), (1, vec![1]), "what is sound before the damage is sent");
}

#[tokio::test]
async fn a_server_that_starts_or_stops_says_so() {
    let starting = Phase::Starting { progress: "rebuilding index segments: 1 of 2".to_owned() };
    let (mut client, phase) = serve(starting).await;
    let status = client.get_head(pb::GetHeadRequest {}).await.unwrap_err();
    let said = Said::of(&status);
    assert_eq!((said.code, said.reason.as_str()), (Code::Unavailable, "STARTING"));
    assert_eq!(said.metadata["progress"], "rebuilding index segments: 1 of 2");
    assert!(said.details.retry_info().unwrap().retry_delay.is_some());
    phase.send_replace(Phase::Stopping);
    let said = Said::of(&append(&mut client, &[simple("s", "t")]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
}

#[tokio::test]
async fn a_full_queue_refuses_and_loses_nothing() {
    let journal = MemoryJournal::new(store());
    let shared: Arc<dyn Journal> = Arc::new(journal.clone());
    let limits = QueueLimits { requests_max: 4, bytes_max: 1 << 20 };
    let parts = (Arc::new(System) as _, Arc::new(System) as _);
    let log = Arc::new(Log::over(shared, None, limits, parts, &|_| {}).unwrap().0);
    let (client, _phase) = serve(Phase::Serving(log)).await;
    let gate = annals::journal::memory::Gate::default();
    journal.script(CommitFault::SlowFlush(gate.clone()));
    let spawn = |number: u64| {
        let mut client = client.clone();
        let event = with(simple("s", "t"), "id", json!(id(number)));
        tokio::spawn(async move { append(&mut client, &[event]).await })
    };
    let first = spawn(0);
    let waiting = gate.clone();
    tokio::task::spawn_blocking(move || waiting.wait_for_flush()).await.unwrap();
    let tasks: Vec<_> = (1..=20).map(spawn).collect();
    // The writer is in its flush: of twenty more, four wait and sixteen are refused at once.
    let mut refused = 0;
    while tasks.iter().filter(|task| task.is_finished()).count() < 16 {
        tokio::task::yield_now().await;
    }
    gate.open();
    first.await.unwrap().unwrap();
    let mut positions = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(answer) => positions.push(answer.first_position),
            Err(status) => {
                let said = Said::of(&status);
                assert_eq!((said.code, said.reason.as_str()), (Code::ResourceExhausted, "WRITE_QUEUE_FULL"));
                assert!(said.details.retry_info().unwrap().retry_delay.is_some());
                refused += 1;
            }
        }
    }
    positions.sort_unstable();
    assert_eq!((positions, refused), (vec![2, 3, 4, 5], 16));
}
