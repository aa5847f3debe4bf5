//! Appends: all or none, once for ever, under conditions.

use annals::pb;
use serde_json::json;
use tonic::Code;

use crate::events::{self, id, simple, with};
use crate::harness::{Said, Server, append};

fn request(events: &[serde_json::Value], conditions: serde_json::Value) -> pb::AppendEventsRequest {
    events::message("annals.v1.AppendEventsRequest", &json!({"events": events, "conditions": conditions}))
}

#[tokio::test]
async fn positions_revisions_and_times_are_given_in_request_order() {
    let server = Server::start();
    let mut log = server.log().await;
    let first = append(&mut log, &[simple("a/1", "one"), simple("a/2", "two"), simple("a/1", "three")]).await;
    let first = first.unwrap();
    assert_eq!((first.first_position, first.last_position, first.replayed), (1, 3, false));
    let revisions: Vec<u64> = first.events.iter().map(|event| event.stream_revision).collect();
    assert_eq!(revisions, [1, 1, 2]);
    let second = append(&mut log, &[simple("a/1", "four")]).await.unwrap();
    assert_eq!((second.first_position, second.events[0].stream_revision), (4, 3));
    let times: Vec<_> =
        first.events.iter().chain(&second.events).map(|event| event.recorded_at.unwrap()).collect();
    assert!(times.windows(2).all(|pair| (pair[0].seconds, pair[0].nanos) < (pair[1].seconds, pair[1].nanos)));
    let head = log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert_eq!(head.position, 4);
}

#[tokio::test]
async fn an_event_is_recorded_once_however_often_it_is_sent() {
    let server = Server::start();
    let mut log = server.log().await;
    let [a, b, c] =
        [1, 2, 3].map(|number| with(simple("s", &format!("title {number}")), "id", json!(id(number))));
    let original = append(&mut log, &[a.clone(), b.clone()]).await.unwrap();
    let replay = append(&mut log, &[a.clone(), b.clone()]).await.unwrap();
    assert!(replay.replayed);
    assert_eq!(pb::AppendEventsResponse { replayed: false, ..replay }, original);

    let other = with(a.clone(), "title", json!("another title"));
    let said = Said::of(&append(&mut log, &[other]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::AlreadyExists, "EVENT_ID_REUSED"));
    assert_eq!((said.metadata["event_id"].as_str(), said.metadata["position"].as_str()), (&*id(1), "1"));

    for part in [vec![a.clone(), c.clone()], vec![a.clone()], vec![b.clone(), a.clone()]] {
        let said = Said::of(&append(&mut log, &part).await.unwrap_err());
        assert_eq!((said.code, said.reason.as_str()), (Code::AlreadyExists, "PARTIAL_REPLAY"), "{part:?}");
    }
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 2);

    // What the server derives is no part of the content: an event that was read can be sent again.
    let read =
        log.get_event(pb::GetEventRequest { event_id: id(1) }).await.unwrap().into_inner().event.unwrap();
    let also =
        log.get_event(pb::GetEventRequest { event_id: id(2) }).await.unwrap().into_inner().event.unwrap();
    assert!(read.valid_time.as_ref().unwrap().earliest_start.is_some() && read.known_at_derived);
    let again = pb::AppendEventsRequest::of(vec![read, also], Vec::new());
    assert!(log.append_events(again).await.unwrap().into_inner().replayed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_wins_over_conditions_and_survives_a_restart() {
    let server = Server::start();
    let event = with(simple("s", "once"), "id", json!(id(7)));
    let only_if_empty = json!([{"stream": {"name": "s", "empty": true}}]);
    let request = request(&[event], only_if_empty);
    let original = server.log().await.append_events(request.clone()).await.unwrap().into_inner();
    let server = server.restart();
    let replay = server.log().await.append_events(request).await.unwrap().into_inner();
    assert!(replay.replayed);
    assert_eq!(replay.events, original.events);
}

#[tokio::test]
async fn a_duplicate_in_the_same_group_commit_waits_for_its_original() {
    let server = Server::start();
    let channel = server.channel().await;
    let event = with(simple("s", "storm"), "id", json!(id(1)));
    let tasks = (0..64).map(|_| {
        let mut client = pb::event_log_service_client::EventLogServiceClient::new(channel.clone());
        let event = event.clone();
        tokio::spawn(async move { append(&mut client, &[event]).await.unwrap() })
    });
    let answers = futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.events == answers[0].events));
}

#[tokio::test]
async fn every_violated_condition_is_reported() {
    let server = Server::start();
    let mut log = server.log().await;
    append(&mut log, &[simple("s", "one"), with(simple("s", "two"), "tags", json!(["t"]))]).await.unwrap();
    let conditions = json!([
        {"stream": {"name": "s", "revision": "2"}},
        {"stream": {"name": "s", "revision": "1"}},
        {"stream": {"name": "s", "empty": true}},
        {"stream": {"name": "other", "exists": true}},
        {"noneSince": {"filter": {"tags": ["t"]}, "afterPosition": "2"}},
        {"noneSince": {"filter": {"tags": ["t"]}, "afterPosition": "1"}},
        {"absent": {"filter": {"streams": ["s"]}}},
    ]);
    let status = log.append_events(request(&[simple("s", "three")], conditions)).await.unwrap_err();
    let said = Said::of(&status);
    assert_eq!((said.code, said.reason.as_str()), (Code::Aborted, "CONDITION_FAILED"));
    assert_eq!(said.metadata["conditions"], "1,2,3,5,6");
    let found: Vec<(String, String)> = said
        .details
        .precondition_failure()
        .unwrap()
        .violations
        .iter()
        .map(|violation| (violation.subject.clone(), violation.description.clone()))
        .collect();
    let expected = [
        ("conditions[1]", "stream s has revision 2"),
        ("conditions[2]", "stream s has revision 2"),
        ("conditions[3]", "stream other has revision 0"),
        ("conditions[5]", "the event at position 2 matches"),
        ("conditions[6]", "the event at position 1 matches"),
    ];
    assert_eq!(found, expected.map(|(subject, text)| (subject.to_owned(), text.to_owned())));

    let absent = json!([{"absent": {"filter": {"tags": ["t"]}}}]);
    let status = log.append_events(request(&[simple("s", "three")], absent)).await.unwrap_err();
    let said = Said::of(&status);
    assert_eq!((said.code, said.reason.as_str()), (Code::AlreadyExists, "MATCH_EXISTS"));
    assert_eq!(said.metadata["position"], "2");
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 2);
}

#[tokio::test]
async fn of_concurrent_appends_under_one_condition_one_succeeds() {
    let server = Server::start();
    let channel = server.channel().await;
    for round in 0..20 {
        let tag = format!("round-{round}");
        let tasks = (0..8).map(|_| {
            let mut client = pb::event_log_service_client::EventLogServiceClient::new(channel.clone());
            let event = with(simple("s", "race"), "tags", json!([tag]));
            let none = json!([{"noneSince": {"filter": {"tags": [tag]}, "afterPosition": "0"}}]);
            let request = request(&[event], none);
            tokio::spawn(async move { client.append_events(request).await.is_ok() })
        });
        let outcomes = futures_util::future::join_all(tasks.collect::<Vec<_>>()).await;
        assert_eq!(outcomes.into_iter().filter(|outcome| *outcome.as_ref().unwrap()).count(), 1);
    }
}

#[tokio::test]
async fn links_must_name_what_is_there_and_open() {
    let server = Server::start();
    let mut log = server.log().await;
    let link = |kind: &str, target: u64| json!([{"type": kind, "eventId": id(target)}]);
    let event = |number: u64| with(simple("s", &format!("event {number}")), "id", json!(id(number)));
    let unknown = with(event(2), "links", link("CITES", 99));
    let said = Said::of(&append(&mut log, &[event(1), unknown]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "LINK_TARGET_UNKNOWN"));
    assert_eq!(said.metadata["field"], "events[1].links[0].event_id");

    append(&mut log, &[event(1), with(event(2), "links", link("CORRECTS", 1))]).await.unwrap();
    let said =
        Said::of(&append(&mut log, &[with(event(3), "links", link("SUPERSEDES", 1))]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "LINK_TARGET_CLOSED"));
    assert_eq!(said.metadata["closed_by"], id(2));

    let statement = json!({"speaker": {"entity": {"name": "x"}}, "text": "said"});
    let mut other = with(event(4), "statement", statement);
    other.as_object_mut().unwrap().remove("custom");
    let other = with(other, "links", link("CORRECTS", 2));
    let said = Said::of(&append(&mut log, &[other]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "LINK_TARGET_KIND"));
    assert_eq!(
        (said.metadata["kind"].as_str(), said.metadata["target_kind"].as_str()),
        ("STATEMENT", "CUSTOM")
    );

    // Naming the closer continues the chain; retracting the correction opens the target again.
    append(&mut log, &[with(event(5), "links", link("CORRECTS", 2))]).await.unwrap();
    append(&mut log, &[with(event(6), "links", link("RETRACTS", 5))]).await.unwrap();
    append(&mut log, &[with(event(7), "links", link("CORRECTS", 2))]).await.unwrap();
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 5);
}

#[tokio::test]
async fn a_cancelled_append_harms_nobody() {
    let server = Server::start();
    let channel = server.channel().await;
    let mut kept = Vec::new();
    for round in 0..200_u64 {
        let mut client = pb::event_log_service_client::EventLogServiceClient::new(channel.clone());
        let event = with(simple("s", "cancel"), "id", json!(id(round)));
        let task = tokio::spawn(async move { append(&mut client, &[event]).await });
        if round % 3 == 0 {
            if round % 2 == 0 {
                tokio::task::yield_now().await;
            }
            task.abort();
        } else {
            kept.push((round, task));
        }
    }
    let mut log = server.log().await;
    for (round, task) in kept {
        let answer = task.await.unwrap().unwrap();
        let read = log.get_event(pb::GetEventRequest { event_id: id(round) }).await.unwrap().into_inner();
        assert_eq!(read.event.unwrap().position, answer.first_position);
    }
    let verified = annals_verify(&server).await;
    assert_eq!(verified, 0, "findings");
}

async fn annals_verify(server: &Server) -> i64 {
    let mut stream = server.admin().await.verify(pb::VerifyRequest {}).await.unwrap().into_inner();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(pb::verify_response::Content::Summary(summary)) = message.content {
            return summary.finding_count;
        }
    }
    panic!("no summary");
}
