//! The protobuf codec of the services: as tonic's, but a message that does not decode is the client's fault and
//! is answered with the path of the field.

use std::marker::PhantomData;

use bytes::{Buf as _, Bytes};
use prost::{DecodeError, Message, Name};
use prost_reflect::MessageDescriptor;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::ProstEncoder;

use super::scan;
use super::status::{self, RequestError};
use crate::domain::Invalid;
use crate::pb::POOL;

/// Says of a text what is wrong with it.
pub const NOT_UTF8: &str = "is not UTF-8";
/// Most messages inside one event, or inside a request but for its events, at any depth: what is decoded at once. A real
/// event has about 60.
pub const MESSAGES_MAX: usize = 200_000;
/// Below this many bytes there cannot be enough messages to matter.
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

/// Why bytes are no message.
#[derive(Debug)]
pub enum Unreadable {
    /// There are more than [`MESSAGES_MAX`] messages inside.
    TooManyMessages,
    /// The text at a path is not UTF-8.
    NotUtf8(String),
    /// Anything else.
    NotProtobuf(DecodeError),
}

impl Unreadable {
    /// Says so of a request, or of an event of it.
    #[must_use]
    pub fn of(self, event: Option<usize>) -> RequestError {
        match self {
            Self::TooManyMessages => RequestError::TooManyMessages { messages_max: MESSAGES_MAX, event },
            Self::NotUtf8(field) => RequestError::Invalid(Invalid::one(field, NOT_UTF8)),
            Self::NotProtobuf(error) => RequestError::NotProtobuf { reason: error.to_string(), event },
        }
    }
}

/// Reads a message as it came over the wire.
///
/// # Errors
/// INVALID_ARGUMENT with what is wrong with the bytes.
pub fn read<U: Message + Name + Default>(bytes: Bytes) -> Result<U, Status> {
    // A client trusts its server.
    let read = if U::NAME.ends_with("Request") { read_foreign(bytes) } else { decode(bytes) };
    read.map_err(|unreadable| status::request_error(&unreadable.of(None)))
}

/// Reads a message that a client sent, if there are not too many messages inside.
///
/// # Errors
/// [`Unreadable`].
pub fn read_foreign<U: Message + Name + Default>(bytes: Bytes) -> Result<U, Unreadable> {
    let holds_too_many =
        |message: MessageDescriptor| scan::holds_more_messages(&message, &bytes, MESSAGES_MAX);
    if bytes.len() > COUNTED_FROM_BYTES && descriptor::<U>().is_some_and(holds_too_many) {
        return Err(Unreadable::TooManyMessages);
    }
    decode(bytes)
}

fn decode<U: Message + Name + Default>(bytes: Bytes) -> Result<U, Unreadable> {
    U::decode(bytes.clone()).map_err(|error| {
        match descriptor::<U>().and_then(|message| scan::invalid_path(&message, &bytes)) {
            Some(field) => Unreadable::NotUtf8(field),
            None => Unreadable::NotProtobuf(error),
        }
    })
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
        Some(status::request_error(&RequestError::NotProtobuf { reason: said.to_owned(), event: None }))
    } else {
        None
    }
}

fn descriptor<U: Name>() -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&U::full_name())
}
