//! The protobuf codec of the services: as tonic's, but a message that does not decode is the client's fault and
//! is answered with the path of the field.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes};
use prost::{Message, Name};
use prost_reflect::MessageDescriptor;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::ProstEncoder;

use super::scan;
use super::status::{self, RequestError};
use crate::domain::Invalid;
use crate::pb::POOL;

/// Most messages inside one request, at any depth: a batch of a thousand real treaty acts has about 60,000.
pub const MESSAGES_MAX: usize = 200_000;
/// Below this many bytes a request cannot hold enough messages to matter.
const COUNTED_FROM_BYTES: usize = 128 * 1_024;

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
    U: Message + Name + Default + Send + 'static,
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

impl<U: Message + Name + Default> Decoder for FieldDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // No copy: the buffer hands its bytes over.
        read(buffer.copy_to_bytes(buffer.remaining())).map(Some)
    }
}

/// Reads a message as it came over the wire.
///
/// # Errors
/// INVALID_ARGUMENT with what is wrong with the bytes.
pub fn read<U: Message + Name + Default>(bytes: Bytes) -> Result<U, Status> {
    // Only requests are counted: a client trusts its server.
    if bytes.len() > COUNTED_FROM_BYTES
        && U::NAME.ends_with("Request")
        && descriptor::<U>().is_some_and(|message| scan::holds_more_messages(&message, &bytes, MESSAGES_MAX))
    {
        return Err(status::request_error(&RequestError::TooManyMessages { messages_max: MESSAGES_MAX }));
    }
    U::decode(bytes.clone()).map_err(|error| refuse(&error, descriptor::<U>(), &bytes))
}

/// Gives what tonic itself says of a message that it cannot take the reason that all other errors have; nothing for other
/// statuses.
#[must_use]
pub fn explained(status: &Status, bytes_max: usize) -> Option<Status> {
    let said = status.message();
    let code = status.code();
    let too_large = (code == Code::OutOfRange && said.contains("message length too large"))
        || (code == Code::ResourceExhausted && said.starts_with("Error decompressing: size limit"));
    let unreadable = code == Code::Internal
        && ["Error decompressing", "Missing request message", "protocol error"]
            .iter()
            .any(|beginning| said.starts_with(beginning));
    if too_large {
        Some(status::request_error(&RequestError::MessageTooLarge { bytes_max }))
    } else if unreadable {
        Some(status::request_error(&RequestError::NotProtobuf { reason: said.to_owned() }))
    } else {
        None
    }
}

fn descriptor<U: Name>() -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&U::full_name())
}

fn refuse(error: &prost::DecodeError, message: Option<MessageDescriptor>, bytes: &Bytes) -> Status {
    match message.and_then(|message| scan::invalid_path(&message, bytes)) {
        Some(field) => status::request_error(&RequestError::Invalid(Invalid::one(field, "is not UTF-8"))),
        None => status::request_error(&RequestError::NotProtobuf { reason: error.to_string() }),
    }
}
