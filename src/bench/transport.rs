//! Calls that carry bytes: a client that neither builds nor takes apart every message leaves the processor to the
//! server, and bills every target the same.

use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _, Bytes};
use futures_util::Stream;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use super::error::BenchError;

/// Path of the append call.
pub const APPEND: &str = "/annals.v1.EventLogService/AppendEvents";
/// Path of the call that appends request after request.
pub const APPEND_STREAM: &str = "/annals.v1.EventLogService/AppendStream";
/// Path of the read call.
pub const READ: &str = "/annals.v1.EventLogService/ReadEvents";
/// Path of the subscribe call.
pub const SUBSCRIBE: &str = "/annals.v1.EventLogService/SubscribeEvents";

const MESSAGE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Carries encoded messages as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// A connection of its own.
#[derive(Clone, Debug)]
pub struct Client(Grpc<Channel>);

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// [`BenchError::Transport`].
    pub async fn connect(address: SocketAddr) -> Result<Self, BenchError> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
        let grpc = Grpc::new(endpoint.connect().await?).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Ok(Self(grpc))
    }

    /// Sends one message and gives the one that answers it.
    ///
    /// # Errors
    /// [`BenchError::Call`] and [`BenchError::Transport`].
    pub async fn unary(&mut self, path: &'static str, message: Bytes) -> Result<Bytes, BenchError> {
        self.0.ready().await?;
        let path = PathAndQuery::from_static(path);
        Ok(self.0.unary(Request::new(message), path, BytesCodec).await?.into_inner())
    }

    /// Sends one message and gives the stream that answers it.
    ///
    /// # Errors
    /// As [`Client::unary`].
    pub async fn stream(
        &mut self,
        path: &'static str,
        message: Bytes,
    ) -> Result<Streaming<Bytes>, BenchError> {
        self.0.ready().await?;
        let path = PathAndQuery::from_static(path);
        Ok(self.0.server_streaming(Request::new(message), path, BytesCodec).await?.into_inner())
    }

    /// Sends messages as they come and gives the stream that answers them.
    ///
    /// # Errors
    /// As [`Client::unary`].
    pub async fn exchange(
        &mut self,
        path: &'static str,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Streaming<Bytes>, BenchError> {
        self.0.ready().await?;
        let path = PathAndQuery::from_static(path);
        Ok(self.0.streaming(Request::new(messages), path, BytesCodec).await?.into_inner())
    }
}
