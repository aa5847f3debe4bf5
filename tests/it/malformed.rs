//! Malformed input: refused with the path of every bad field, and nothing stored.

use annals::pb;
use annals::pb::event_log_service_client::EventLogServiceClient;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::events::{self, id, simple, with};
use crate::harness::{Said, Server, append};

fn funding(amount: Value) -> Value {
    let mut event = with(
        simple("f", "money"),
        "fundingTransfer",
        json!({"stage": "DISBURSEMENT", "amount": amount, "amountQualifier": "EXACT"}),
    );
    event.as_object_mut().unwrap().remove("custom");
    with(event, "participants", json!([{"entity": {"name": "x"}, "role": "PROVIDER"}]))
}

#[tokio::test]
async fn each_fault_is_told_by_its_field() {
    let server = Server::start();
    let mut log = server.log().await;
    let edtf = |text: &str| with(simple("s", "t"), "validTime", json!({"edtf": text}));
    let unknown = {
        let mut event = events::event(&simple("s", "t"));
        event.modality = 77;
        event
    };
    let cases: Vec<(Vec<pb::Event>, Vec<&str>)> = vec![
        (vec![], vec!["events"]),
        (vec![unknown], vec!["events[0].modality"]),
        (one(&edtf("2024-02-30")), vec!["events[0].valid_time.edtf"]),
        (one(&edtf("2024-05-02/2024-05-01")), vec!["events[0].valid_time.edtf"]),
        (
            one(&with(simple("s", "t"), "validTime", json!({"edtf": "2024", "timeZone": "Europe/Nowhere"}))),
            vec!["events[0].valid_time.time_zone"],
        ),
        (
            one(&funding(json!({"currencyCode": "UKP", "units": "1"}))),
            vec!["events[0].funding_transfer.amount.currency_code"],
        ),
        (
            one(&funding(json!({"currencyCode": "GBP", "units": "1", "nanos": -5}))),
            vec!["events[0].funding_transfer.amount.nanos"],
        ),
        (one(&simple("a//b", "t")), vec!["events[0].stream"]),
        (one(&with(simple("s", "t"), "id", json!("7"))), vec!["events[0].id"]),
        (
            vec![
                events::event(&with(simple("s", "a"), "id", json!(id(1)))),
                events::event(&with(simple("s", "b"), "id", json!(id(1)))),
            ],
            vec!["events[1].id"],
        ),
        (
            vec![
                events::event(&with(simple("a b", ""), "tags", json!(["Ok?"]))),
                events::event(&edtf("yesterday")),
            ],
            vec!["events[0].stream", "events[0].title", "events[0].tags[0]", "events[1].valid_time.edtf"],
        ),
    ];
    for (events, fields) in cases {
        let request = pb::AppendEventsRequest::of(events.clone(), Vec::new());
        let status = log.append_events(request).await.unwrap_err();
        let said = Said::of(&status);
        assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "FIELD_INVALID"), "{events:?}");
        assert_eq!(said.fields(), fields, "{}", said.message);
    }
    nothing_stored(&mut log).await;
}

fn one(event: &Value) -> Vec<pb::Event> {
    vec![events::event(event)]
}

async fn nothing_stored(log: &mut EventLogServiceClient<tonic::transport::Channel>) {
    assert_eq!(log.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position, 0);
}

#[tokio::test]
async fn what_is_too_large_is_told_with_its_limit() {
    let server = Server::start();
    let mut log = server.log().await.max_encoding_message_size(64 << 20);
    let long = |bytes: usize| with(simple("s", "t"), "attributes", json!({"text": "x".repeat(bytes)}));
    let said = Said::of(&append(&mut log, &[simple("s", "t"), long(65 * 1024)]).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "EVENT_TOO_LARGE"));
    assert_eq!((said.metadata["index"].as_str(), said.metadata["bytes_max"].as_str()), ("1", "65536"));
    assert_eq!(said.fields(), ["events[1]"]);

    let many: Vec<Value> = (0..1_001).map(|_| simple("s", "t")).collect();
    let said = Said::of(&append(&mut log, &many).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "BATCH_TOO_LARGE"));
    assert_eq!((said.metadata["events"].as_str(), said.metadata["events_max"].as_str()), ("1001", "1000"));

    let heavy: Vec<Value> = (0..20).map(|_| long(60 * 1024)).collect();
    let said = Said::of(&append(&mut log, &heavy).await.unwrap_err());
    assert_eq!((said.reason.as_str(), said.metadata["bytes_max"].as_str()), ("BATCH_TOO_LARGE", "1048576"));

    let huge: Vec<Value> = (0..85).map(|_| long(60 * 1024)).collect();
    let said = Said::of(&append(&mut log, &huge).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "MESSAGE_INVALID"));
    assert_eq!(said.metadata["bytes_max"], "4194304");
    nothing_stored(&mut log).await;
}

/// Sends bytes as they are.
async fn raw(server: &Server, method: &'static str, bytes: Vec<u8>) -> Status {
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(method);
    let codec = RawCodec;
    let answer: Result<tonic::Response<Vec<u8>>, Status> =
        grpc.unary(tonic::Request::new(bytes), path, codec).await;
    answer.unwrap_err()
}

struct RawCodec;

impl tonic::codec::Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl tonic::codec::Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, to: &mut tonic::codec::EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &item);
        Ok(())
    }
}

impl tonic::codec::Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut tonic::codec::DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(from);
        Ok(Some(bytes::Buf::copy_to_bytes(from, length).to_vec()))
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_is_told_by_its_field() {
    use prost::Message as _;
    let server = Server::start();
    let event = with(
        simple("s", "t"),
        "participants",
        json!([{"entity": {"name": "ok"}, "role": "PARTY"}, {"entity": {"name": "MARK"}, "role": "HOST"}]),
    );
    let events = vec![events::event(&simple("s", "t")), events::event(&event)];
    let mut bytes = pb::AppendEventsRequest::of(events, Vec::new()).encode_to_vec();
    let at = bytes.windows(4).position(|window| window == b"MARK").unwrap();
    bytes[at] = 0xff;
    let said = Said::of(&raw(&server, "/annals.v1.EventLogService/AppendEvents", bytes).await);
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert_eq!(said.fields(), ["events[1].participants[1].entity.name"]);

    // A million empty sources: two bytes each on the wire, gigabytes in memory.
    let sources = [0x6a_u8, 0x00].repeat(1_000_000);
    let mut bomb = vec![0x0a];
    prost::encoding::encode_varint(sources.len() as u64, &mut bomb);
    bomb.extend(sources);
    let said = Said::of(&raw(&server, "/annals.v1.EventLogService/AppendEvents", bomb).await);
    assert_eq!((said.reason.as_str(), said.metadata["messages_max"].as_str()), ("MESSAGE_INVALID", "200000"));

    let said = Said::of(&raw(&server, "/annals.v1.EventLogService/AppendEvents", vec![0xff; 9]).await);
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "MESSAGE_INVALID"));
    nothing_stored(&mut server.log().await).await;
}

#[tokio::test]
async fn a_thousand_faults_fit_into_a_header() {
    let server = Server::start();
    let mut log = server.log().await;
    let bad: Vec<Value> = (0..1_000).map(|_| with(simple("a b", ""), "tags", json!(["NO"]))).collect();
    let status = append(&mut log, &bad).await.unwrap_err();
    assert!(status.details().len() < 4_096, "{} bytes", status.details().len());
    let said = Said::of(&status);
    let shown = said.fields().len();
    assert_eq!(said.metadata["violations"], "3000");
    assert_eq!(said.metadata["omitted"], (3_000 - shown).to_string());
    assert!(shown > 10);
}
