//! A stream of appends, on the wire: requests as those of one append, answers with their errors inside.

use prost::Message as _;
use tonic::Status;

use super::encode;
use crate::log::Appended;
use crate::pb;
use crate::pb::append_stream_response::Answer;
use crate::pb::google::rpc;

/// Reads a request of the stream as an append.
#[must_use]
pub fn request(request: pb::AppendStreamRequest) -> pb::AppendEventsRequest {
    let pb::AppendStreamRequest { events, conditions } = request;
    pb::AppendEventsRequest { events, conditions }
}

/// Answers a request that was carried out, or says why it was refused.
#[must_use]
pub fn answer(outcome: Result<Appended, Status>) -> pb::AppendStreamResponse {
    let answer = match outcome {
        Ok(appended) => Answer::Appended(encode::appended(&appended)),
        Err(status) => Answer::Refused(refused(&status)),
    };
    pb::AppendStreamResponse { answer: Some(answer) }
}

fn refused(status: &Status) -> rpc::Status {
    let plain = || rpc::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    };
    // The details of a status are the whole of it, encoded; of a status without any they are empty.
    let whole = rpc::Status::decode(status.details()).ok();
    whole.filter(|whole| whole.code == i32::from(status.code())).unwrap_or_else(plain)
}
