//! The protobuf codec of the services: as tonic's, but a message that does not decode is the client's fault and
//! is answered with the path of the field.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstEncoder;

use super::status::{self, RequestError};
use super::{POOL, utf8};
use crate::domain::Invalid;

/// Encodes `T` and decodes `U`.
#[derive(Debug)]
pub struct FieldCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for FieldCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for FieldCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = FieldDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        FieldDecoder(PhantomData)
    }
}

/// Decodes `U`.
#[derive(Debug)]
pub struct FieldDecoder<U>(PhantomData<U>);

impl<U: Message + Default> Decoder for FieldDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // No copy: the buffer hands its bytes over.
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        U::decode(bytes.clone()).map(Some).map_err(|error| refuse(&error, &bytes))
    }
}

fn refuse(error: &prost::DecodeError, bytes: &Bytes) -> Status {
    // The decoder names the messages from the innermost to the outermost, `Event.title: Request.events: reason`.
    let text = error.to_string();
    let outermost =
        text.split(": ").filter_map(|part| part.split_once('.')).map(|(message, _)| message).last();
    let message = outermost.and_then(|name| POOL.get_message_by_name(&format!("annals.v1.{name}")));
    match message.and_then(|message| utf8::invalid_path(&message, bytes)) {
        Some(field) => status::request_error(&RequestError::Invalid(Invalid::one(field, "is not UTF-8"))),
        None => status::request_error(&RequestError::NotProtobuf { reason: text }),
    }
}
