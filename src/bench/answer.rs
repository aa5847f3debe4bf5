//! Answers to appends, taken apart no further than is needed to check them: what a client spends, the server lacks.

use bytes::Bytes;
use prost::Message;
use tonic::{Code, Status};

use super::error::BenchError;

/// An `AppendEventsResponse` whose events are only counted.
#[derive(Clone, PartialEq, Message)]
pub struct Appended {
    /// Position of the last event.
    #[prost(uint64, tag = "2")]
    pub last_position: u64,
    /// The events, encoded.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub events: Vec<Bytes>,
    /// Whether this is an earlier answer.
    #[prost(bool, tag = "4")]
    pub replayed: bool,
}

/// An `AppendStreamResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct Streamed {
    /// The events stand.
    #[prost(message, optional, tag = "1")]
    pub appended: Option<Appended>,
    /// The request was refused.
    #[prost(message, optional, tag = "2")]
    pub refused: Option<Refused>,
}

/// A `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// The gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// Why.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Gives the last position of an append by a call of its own, all of which was taken.
///
/// # Errors
/// [`BenchError::Answer`] when it was not.
pub fn of_call(answer: Bytes, events: usize) -> Result<u64, BenchError> {
    whole(&Appended::decode(answer)?, events)
}

/// Gives the last position of an append on a stream, all of which was taken.
///
/// # Errors
/// [`BenchError::Call`] when it was refused, [`BenchError::Answer`] when not all was taken.
pub fn of_stream(answer: Bytes, events: usize) -> Result<u64, BenchError> {
    let answer = Streamed::decode(answer)?;
    match (answer.appended, answer.refused) {
        (Some(appended), None) => whole(&appended, events),
        (_, Some(refused)) => Err(Status::new(Code::from(refused.code), refused.message).into()),
        (None, None) => Err(BenchError::Fault("an answer on a stream says nothing")),
    }
}

fn whole(appended: &Appended, events: usize) -> Result<u64, BenchError> {
    let got = appended.events.len();
    if got != events || appended.replayed {
        return Err(BenchError::Answer { what: "events acknowledged", expected: events, got });
    }
    Ok(appended.last_position)
}
