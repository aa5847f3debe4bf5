//! A stream of appends: answers in order, refusals inside, bounded when answers are not read, a last word at the end.

use std::time::Duration;

use annals::pb;
use annals::pb::append_stream_response::Answer;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::google::rpc;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use crate::events::{self, simple, with};
use crate::harness::{SOON, Said, Server, append};

type Answers = Streaming<pb::AppendStreamResponse>;

async fn open(
    client: &mut EventLogServiceClient<Channel>,
) -> (mpsc::Sender<pb::AppendStreamRequest>, Answers) {
    let (sender, requests) = mpsc::channel(1);
    let answers = client.append_stream(ReceiverStream::new(requests)).await.unwrap().into_inner();
    (sender, answers)
}

fn request(events: &[Value], conditions: &[Value]) -> pb::AppendStreamRequest {
    events::message("annals.v1.AppendStreamRequest", &json!({"events": events, "conditions": conditions}))
}

async fn next(answers: &mut Answers) -> Answer {
    let message = tokio::time::timeout(SOON, answers.message()).await.expect("an answer in time");
    message.unwrap().expect("the stream goes on").answer.unwrap()
}

fn appended(answer: Answer) -> pb::AppendEventsResponse {
    match answer {
        Answer::Appended(appended) => appended,
        Answer::Refused(refused) => panic!("{refused:?}"),
    }
}

/// Gives a refusal as the status of a call.
fn refused(answer: Answer) -> tonic::Status {
    match answer {
        Answer::Appended(appended) => panic!("{appended:?}"),
        Answer::Refused(rpc::Status { code, ref message, .. }) => {
            let Answer::Refused(whole) = &answer else { unreachable!() };
            tonic::Status::with_details(Code::from(code), message, whole.encode_to_vec().into())
        }
    }
}

#[tokio::test]
async fn requests_are_answered_in_their_order_each_when_it_is_on_disk() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut other = server.log().await;
    let (requests, mut answers) = open(&mut log).await;
    let sending = tokio::spawn(async move {
        for number in 0..500 {
            let events: Vec<Value> =
                (0..1 + number % 3).map(|n| simple("s", &format!("{number}.{n}"))).collect();
            requests.send(request(&events, &[])).await.unwrap();
        }
    });
    let beside = tokio::spawn(async move {
        for number in 0..50 {
            append(&mut other, &[simple("beside", &number.to_string())]).await.unwrap();
        }
    });
    let mut revision = 0;
    let mut last = 0;
    for number in 0..500 {
        let answer = appended(next(&mut answers).await);
        assert_eq!(answer.events.len(), 1 + number % 3);
        assert!(
            answer.first_position > last && answer.last_position == answer.events.last().unwrap().position
        );
        last = answer.last_position;
        for event in answer.events {
            revision += 1;
            assert_eq!(event.stream_revision, revision);
        }
        if number % 100 == 0 {
            // Acknowledged is readable, by anybody and at once.
            let head = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
            assert!(head.position >= last);
        }
    }
    assert!(answers.message().await.unwrap().is_none(), "the stream ends when its client has ended");
    sending.await.unwrap();
    beside.await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_that_of_a_single_append_and_the_stream_goes_on() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut unary = server.log().await;
    let known = with(simple("s", "known"), "id", json!("0190a0b0-0000-7000-8000-000000000001"));
    let refusals = [
        request(&[simple("s", "x")], &[json!({"stream": {"name": "s", "revision": 7}})]),
        request(&[with(known.clone(), "title", json!("another"))], &[]),
        request(
            &[with(with(simple("s", "x"), "title", json!("")), "validTime", json!({"edtf": "no date"}))],
            &[],
        ),
        request(&[], &[]),
        // No event at all; the others of its request are not told of.
        pb::AppendStreamRequest {
            events: vec![b"\xff".as_slice().into(), b"".as_slice().into()],
            conditions: Vec::new(),
        },
        request(&[simple("s", "x")], &[json!({"absent": {"filter": {"streams": ["s"]}}})]),
    ];
    let (requests, mut answers) = open(&mut log).await;
    requests.send(request(std::slice::from_ref(&known), &[])).await.unwrap();
    assert_eq!(appended(next(&mut answers).await).first_position, 1);
    for refusal in &refusals {
        requests.send(refusal.clone()).await.unwrap();
    }
    requests.send(request(&[known], &[])).await.unwrap();
    requests
        .send(request(&[simple("s", "after")], &[json!({"stream": {"name": "s", "revision": 1}})]))
        .await
        .unwrap();
    for refusal in refusals {
        let pb::AppendStreamRequest { events, conditions } = refusal;
        let alone = unary.append_events(pb::AppendEventsRequest { events, conditions }).await.unwrap_err();
        let (alone, inside) = (Said::of(&alone), Said::of(&refused(next(&mut answers).await)));
        assert_eq!(
            (inside.code, &inside.reason, &inside.message, inside.fields()),
            (alone.code, &alone.reason, &alone.message, alone.fields())
        );
    }
    let replay = appended(next(&mut answers).await);
    assert!(replay.replayed && replay.first_position == 1);
    let after = appended(next(&mut answers).await);
    assert_eq!((after.first_position, after.events[0].stream_revision), (2, 2), "refused ones left nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_answers_is_read_from_no_further() {
    let server = Server::start();
    // What the client's own windows take counts as read.
    let endpoint = Endpoint::from_shared(server.url()).unwrap().initial_stream_window_size(65_535);
    let mut log = EventLogServiceClient::new(endpoint.connect().await.unwrap());
    let (requests, mut answers) = open(&mut log).await;
    const SENT: u64 = 30_000;
    let sending = tokio::spawn(async move {
        for number in 0..SENT {
            requests.send(request(&[simple("s", &number.to_string())], &[])).await.unwrap();
        }
    });
    // The head comes to rest far below what the client would send; others are served meanwhile.
    let mut other = server.log().await;
    let mut head = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(700)).await;
        let now = other.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;
        if now == head && now > 0 {
            break;
        }
        head = now;
    }
    assert!(head < SENT, "all of it was taken");
    assert!(!sending.is_finished());
    append(&mut other, &[simple("beside", "x")]).await.unwrap();
    for number in 1..=SENT {
        assert_eq!(appended(next(&mut answers).await).events[0].stream_revision, number);
    }
    assert!(answers.message().await.unwrap().is_none());
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_stream_with_a_word_after_what_was_taken() {
    let mut server = Server::start();
    let mut log = server.log().await;
    let (requests, mut answers) = open(&mut log).await;
    let sending = tokio::spawn(async move {
        let mut number = 0;
        while requests.send(request(&[simple("s", &number.to_string())], &[])).await.is_ok() {
            number += 1;
        }
    });
    let mut last = 0;
    let mut stopped = false;
    let status = loop {
        match tokio::time::timeout(SOON, answers.message()).await.expect("an answer in time") {
            Ok(Some(answer)) => last = appended(answer.answer.unwrap()).last_position,
            Ok(None) => panic!("the stream ended without a word"),
            Err(status) => break status,
        }
        if last > 500 && !stopped {
            stopped = true;
            server.signal("-TERM");
        }
    };
    let said = Said::of(&status);
    assert_eq!((said.code, said.reason.as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
    assert!(said.details.retry_info().is_some());
    assert!(server.wait());
    sending.await.unwrap();
    let again = Server::start_in(&server.data, "");
    let head = again.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner();
    assert!(head.position >= last, "what was answered is there");
}

#[tokio::test]
async fn a_message_that_cannot_be_taken_ends_the_stream_with_its_reason() {
    let server = Server::start();
    let mut log = server.log().await;
    let (requests, mut answers) = open(&mut log).await;
    requests.send(request(&[simple("s", "x")], &[])).await.unwrap();
    requests.send(request(&[simple("s", &"x".repeat(5 << 20))], &[])).await.unwrap();
    assert_eq!(appended(next(&mut answers).await).first_position, 1);
    let status = answers.message().await.unwrap_err();
    let said = Said::of(&status);
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "MESSAGE_INVALID"));
}
