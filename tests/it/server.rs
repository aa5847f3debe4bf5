//! The server as a whole: reads, restarts, stops, deadlines, health, reflection, administration.

use std::time::Duration;

use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::read_events_response::Content;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{self, id, simple, with};
use crate::harness::{Said, Server, annals, append};

async fn read(log: &mut EventLogServiceClient<Channel>, question: Value) -> (Vec<u64>, pb::ReadEnd) {
    let request: pb::ReadEventsRequest = events::message("annals.v1.ReadEventsRequest", &question);
    let mut stream = log.read_events(request).await.unwrap().into_inner();
    let mut positions = Vec::new();
    loop {
        match stream.message().await.unwrap().expect("the end comes last").content.unwrap() {
            Content::Events(batch) => {
                positions.extend(batch.decoded().unwrap().iter().map(|event| event.position))
            }
            Content::End(end) => {
                assert!(stream.message().await.unwrap().is_none());
                return (positions, end);
            }
            Content::Lost(lost) => panic!("{lost:?}"),
        }
    }
}

#[tokio::test]
async fn reads_go_both_ways_and_say_whether_there_is_more() {
    let server = Server::start();
    let mut log = server.log().await;
    for n in 0..5 {
        append(&mut log, &[simple("even", &n.to_string()), simple("odd", &n.to_string())]).await.unwrap();
    }
    let even = json!({"streams": ["even"]});
    for (question, expected, more) in [
        (json!({}), (1..=10).collect::<Vec<u64>>(), false),
        (json!({"direction": "BACKWARD"}), (1..=10).rev().collect(), false),
        (json!({"filter": even, "limit": "2"}), vec![1, 3], true),
        (json!({"filter": even, "limit": "5"}), vec![1, 3, 5, 7, 9], false),
        (json!({"filter": even, "fromPositionExclusive": "3"}), vec![5, 7, 9], false),
        (
            json!({"filter": even, "direction": "BACKWARD", "fromPositionExclusive": "7"}),
            vec![5, 3, 1],
            false,
        ),
        (json!({"filter": even, "direction": "BACKWARD", "limit": "1"}), vec![9], true),
        (json!({"filter": {"streams": ["none"]}}), vec![], false),
        (json!({"scope": {"asOfPosition": "4"}, "direction": "BACKWARD"}), vec![4, 3, 2, 1], false),
        (json!({"scope": {"knownAt": "2000-01-01T00:00:00Z"}}), vec![], false),
        (json!({"fromPositionExclusive": "10"}), vec![], false),
    ] {
        let (positions, end) = read(&mut log, question.clone()).await;
        assert_eq!((positions, end.more, end.head), (expected, more, 10), "{question}");
    }
    let beyond = pb::ReadEventsRequest { from_position_exclusive: 99, ..Default::default() };
    let said = Said::of(&log.read_events(beyond).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::OutOfRange, "POSITION_BEYOND_HEAD"));
    assert_eq!((said.metadata["position"].as_str(), said.metadata["head"].as_str()), ("99", "10"));
    let negative = pb::ReadEventsRequest { limit: -1, ..Default::default() };
    assert_eq!(Said::of(&log.read_events(negative).await.unwrap_err()).fields(), ["limit"]);
}

#[tokio::test]
async fn an_event_comes_back_as_it_was_sent_with_what_follows_from_it() {
    let server = Server::start();
    server.import_article();
    let mut log = server.log().await;
    let event_id = "018f9ee2-9300-700d-8061-6e6e616c730d".to_owned();
    let event = log.get_event(pb::GetEventRequest { event_id }).await.unwrap().into_inner().event.unwrap();
    assert_eq!((event.position, event.stream_revision), (16, 1));
    let span = event.valid_time.unwrap();
    assert!(span.approximate && !span.uncertain);
    let date = span.earliest_start.unwrap();
    assert_eq!((date.year, date.month, date.day), (2024, 5, 22));
    assert!(event.known_at_derived);
    assert_eq!(event.known_at.unwrap().seconds, 1_716_332_400, "2024-05-22 00:00 in London");
    let Some(pb::event::Payload::Statement(statement)) = event.payload else { panic!("a statement") };
    let comparison = statement.claims[0].comparison.as_ref().unwrap();
    assert_eq!(comparison.computed.as_ref().unwrap().value, "-92.716");
    assert_eq!(comparison.computed_per_day.as_ref().unwrap().value, "-92.016");
    assert!(!comparison.comparable);
    let codes: Vec<pb::CaveatCode> =
        event.caveats.iter().filter(|c| c.server_found).map(|c| c.code()).collect();
    assert_eq!(codes, [pb::CaveatCode::PeriodsDiffer]);

    let said = Said::of(&log.get_event(pb::GetEventRequest { event_id: id(1) }).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::NotFound, "EVENT_NOT_FOUND"));
    assert_eq!(said.details.resource_info().unwrap().resource_name, id(1));
    let said = Said::of(&log.get_event(pb::GetEventRequest { event_id: "x".into() }).await.unwrap_err());
    assert_eq!(said.fields(), ["event_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_also_without_an_index_directory() {
    let server = Server::start();
    server.import_article();
    let before = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    let entries = server.timeline().await.list_entries(pb::ListEntriesRequest::default()).await.unwrap();
    let mut server = server.restart();
    assert_eq!(server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner(), before);
    server.stop();
    std::fs::remove_dir_all(server.data.join("index")).unwrap();
    let again = Server::start_in(&server.data, "");
    let after = again.timeline().await.list_entries(pb::ListEntriesRequest::default()).await.unwrap();
    assert_eq!(after.into_inner(), entries.into_inner());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_writes_what_was_accepted() {
    let mut server = Server::start();
    let channel = server.channel().await;
    let tasks: Vec<_> = (0..64_u64)
        .map(|number| {
            let mut client = EventLogServiceClient::new(channel.clone());
            let event = with(simple("s", "last"), "id", json!(id(number)));
            tokio::spawn(async move { append(&mut client, &[event]).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.stop();
    let mut acknowledged = Vec::new();
    for task in tasks {
        if let Ok(answer) = task.await.unwrap() {
            acknowledged.push(answer.events[0].clone());
        }
    }
    let again = Server::start_in(&server.data, "");
    let mut log = again.log().await;
    for event in acknowledged {
        let read = log.get_event(pb::GetEventRequest { event_id: event.id }).await.unwrap().into_inner();
        assert_eq!(read.event.unwrap().position, event.position);
    }
}

#[tokio::test]
async fn a_deadline_ends_a_call_wherever_it_is() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut request = tonic::Request::new(pb::SubscribeEventsRequest::default());
    // Set by hand, so that only the server watches it.
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let begin = std::time::Instant::now();
    let mut stream = log.subscribe_events(request).await.unwrap().into_inner();
    let status = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "the stream must not end well"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (status.code(), Said::of(&status).reason.as_str()),
        (Code::DeadlineExceeded, "DEADLINE_PASSED")
    );
    assert!(begin.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn compressed_requests_are_taken() {
    use tonic::codec::CompressionEncoding;
    let server = Server::start();
    for (number, encoding) in [(1, CompressionEncoding::Gzip), (2, CompressionEncoding::Zstd)] {
        let mut log = server.log().await.send_compressed(encoding).accept_compressed(encoding);
        let answer = append(&mut log, &[simple("s", "compressed")]).await.unwrap();
        assert_eq!(answer.first_position, number);
    }
}

#[tokio::test]
async fn health_is_told_for_each_service() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let server = Server::start();
    let mut client = HealthClient::new(server.channel().await);
    for service in [
        "",
        "annals.v1.EventLogService",
        "annals.v1.TimelineService",
        "annals.v1.AdminService",
        "annals.v1.FundingService",
    ] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(client.check(request).await.unwrap().into_inner().status, 1, "{service}");
    }
    let unknown = HealthCheckRequest { service: "none".to_owned() };
    assert_eq!(client.check(unknown).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_server_tells_what_it_allows_and_that_its_store_is_sound() {
    let server = Server::start();
    server.import_article();
    let mut admin = server.admin().await;
    let info = admin.get_server_info(pb::GetServerInfoRequest {}).await.unwrap().into_inner();
    let limits = info.limits.unwrap();
    assert_eq!((info.head, info.read_only), (22, false));
    assert_eq!(
        (limits.event_bytes_max, limits.batch_events_max, limits.page_size_max),
        (65_536, 1_000, 1_000)
    );
    let mut stream = admin.verify(pb::VerifyRequest {}).await.unwrap().into_inner();
    let mut summary = None;
    while let Some(message) = stream.message().await.unwrap() {
        match message.content.unwrap() {
            pb::verify_response::Content::Finding(finding) => panic!("{finding:?}"),
            pb::verify_response::Content::Summary(found) => summary = Some(found),
            pb::verify_response::Content::Progress(_) => {}
        }
    }
    let head = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    let summary = summary.unwrap();
    assert_eq!((summary.event_count, summary.finding_count), (22, 0));
    assert_eq!(summary.chain_hash, head.chain_hash);
}

#[test]
fn a_directory_is_used_by_one_server_and_the_network_only_when_told_to() {
    let server = Server::start();
    let data = server.data.to_str().unwrap();
    let output = annals(&["serve", "--data", data, "--listen", "127.0.0.1:0"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("in use"), "{text}");
    let output = annals(&["serve", "--data", data, "--listen", "0.0.0.0:0"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("loopback"), "{text}");
}
