//! Servers to compare with: the same calls over the same transport, with nothing behind them, or one file.

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream;
use prost::{DecodeError, Message as _};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::wrappers::BroadcastStream;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tower::{Service, service_fn};

use super::transport::{APPEND, APPEND_STREAM, BytesCodec, READ, SUBSCRIBE};
use crate::pb::{AppendEventsRequest, AppendEventsResponse, AppendedEvent, Event, ReadEventsRequest};

/// Requests that may wait for the writer.
const QUEUE: usize = 4_096;
/// Requests of one stream that may wait for their answers.
const STREAM_AHEAD: usize = 1_024;
/// Key of `AppendStreamResponse.appended`.
const KEY_APPENDED: u8 = 1 << 3 | 2;
/// Requests that may wait for a subscriber.
const LIVE: usize = 4_096;
/// Key of `SubscribeEventsResponse.started` and of its `events`.
const KEY_STARTED: u8 = 1 << 3 | 2;
const KEY_EVENTS: u8 = 2 << 3 | 2;

/// Encoded answers to a read of everything and to a read of what is rare.
#[derive(Clone, Debug, Default)]
pub struct Prebuilt {
    /// Everything.
    pub all: Arc<Vec<Bytes>>,
    /// What has the rare tag.
    pub rare: Arc<Vec<Bytes>>,
}

/// A request for the writer.
#[derive(Debug)]
struct Waiting {
    bytes: Bytes,
    events: u64,
    reply: oneshot::Sender<u64>,
}

/// `EventLogService` without a log.
#[derive(Clone, Debug)]
pub struct Null {
    head: Arc<AtomicU64>,
    live: broadcast::Sender<Bytes>,
    prebuilt: Prebuilt,
    writer: Option<mpsc::Sender<Waiting>>,
}

impl Null {
    /// Makes a server that stores nothing.
    #[must_use]
    pub fn new(prebuilt: Prebuilt) -> Self {
        Self { head: Arc::default(), live: broadcast::Sender::new(LIVE), prebuilt, writer: None }
    }

    /// Makes a server that writes to a file; its thread ends with its last handle.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn with_file(file: File) -> std::io::Result<Self> {
        let (writer, queue) = mpsc::channel(QUEUE);
        let null = Self { writer: Some(writer), ..Self::new(Prebuilt::default()) };
        let live = null.live.clone();
        std::thread::Builder::new().name("null-log".to_owned()).spawn(move || write(file, queue, &live))?;
        Ok(null)
    }

    async fn append(self, bytes: Bytes) -> Result<Bytes, Status> {
        let unreadable = |error: DecodeError| Status::invalid_argument(error.to_string());
        let request = AppendEventsRequest::decode(bytes.clone()).map_err(unreadable)?;
        let ids = request.events.iter().map(|event| Event::decode(event.clone()).map(|event| event.id));
        let ids = ids.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let events = u64::try_from(request.events.len()).unwrap_or(u64::MAX);
        let last = match &self.writer {
            None => {
                let last = self.head.fetch_add(events, Ordering::Relaxed) + events;
                show(&self.live, &bytes);
                last
            }
            Some(writer) => {
                let (reply, answer) = oneshot::channel();
                let gone = || Status::unavailable("the file cannot be written");
                writer.send(Waiting { bytes, events, reply }).await.map_err(|_| gone())?;
                answer.await.map_err(|_| gone())?
            }
        };
        let first = last - events + 1;
        let places = ids.into_iter().zip(first..).map(|(id, position)| AppendedEvent {
            id,
            position,
            stream_revision: position,
            ..AppendedEvent::default()
        });
        let answer = AppendEventsResponse {
            first_position: first,
            last_position: last,
            events: places.collect(),
            replayed: false,
        };
        Ok(answer.encode_to_vec().into())
    }

    fn read(&self, bytes: Bytes) -> Result<Arc<Vec<Bytes>>, Status> {
        let request =
            ReadEventsRequest::decode(bytes).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let filtered = request.filter.is_some_and(|filter| !filter.tags.is_empty());
        Ok(Arc::clone(if filtered { &self.prebuilt.rare } else { &self.prebuilt.all }))
    }

    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let mut grpc = Grpc::new(BytesCodec);
        match request.uri().path() {
            APPEND => {
                let append = |request: Request<Bytes>| {
                    let null = self.clone();
                    async move { null.append(request.into_inner()).await.map(Response::new) }
                };
                grpc.unary(service_fn(append), request).await
            }
            APPEND_STREAM => {
                let append = |request: Request<Streaming<Bytes>>| {
                    let null = self.clone();
                    let answers = request.into_inner().map(move |message| {
                        let null = null.clone();
                        async move { Ok(field(KEY_APPENDED, &null.append(message?).await?)) }
                    });
                    // Each is handed to the writer as it comes; the answers keep the order.
                    let answers = answers.buffered(STREAM_AHEAD);
                    async move { Ok::<_, Status>(Response::new(answers)) }
                };
                grpc.streaming(service_fn(append), request).await
            }
            READ => {
                let read = |request: Request<Bytes>| {
                    let messages = self.read(request.into_inner()).map(|messages| {
                        let count = messages.len();
                        stream::iter((0..count).filter_map(move |at| messages.get(at).cloned().map(Ok)))
                    });
                    async move { messages.map(Response::new) }
                };
                grpc.server_streaming(service_fn(read), request).await
            }
            SUBSCRIBE => {
                let subscribe = |_: Request<Bytes>| {
                    let started = Bytes::from_static(&[KEY_STARTED, 0]);
                    let live = BroadcastStream::new(self.live.subscribe());
                    let live = live.map(|message| message.map_err(|lag| Status::data_loss(lag.to_string())));
                    let messages = stream::iter([Ok(started)]).chain(live);
                    async move { Ok::<_, Status>(Response::new(messages)) }
                };
                grpc.server_streaming(service_fn(subscribe), request).await
            }
            _ => Status::unimplemented("").into_http(),
        }
    }
}

impl NamedService for Null {
    const NAME: &'static str = "annals.v1.EventLogService";
}

impl Service<http::Request<Body>> for Null {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let null = self.clone();
        Box::pin(async move { Ok(null.answer(request).await) })
    }
}

/// Writes what waits with one write and one sync, and answers; ends at the first error.
fn write(mut file: File, mut queue: mpsc::Receiver<Waiting>, live: &broadcast::Sender<Bytes>) {
    let (mut group, mut buffer, mut head) = (Vec::new(), Vec::new(), 0);
    while queue.blocking_recv_many(&mut group, QUEUE) > 0 {
        buffer.clear();
        for waiting in &group {
            buffer.extend_from_slice(&waiting.bytes);
        }
        if file.write_all(&buffer).and_then(|()| file.sync_data()).is_err() {
            // Those who wait see that the writer is gone.
            return;
        }
        for Waiting { bytes, events, reply } in group.drain(..) {
            head += events;
            show(live, &bytes);
            // The client may be gone.
            let _ = reply.send(head);
        }
    }
}

/// Sends what was appended to those who follow: a request without conditions and a batch have the same encoding.
fn show(live: &broadcast::Sender<Bytes>, request: &Bytes) {
    if live.receiver_count() == 0 {
        return;
    }
    // The last subscriber may have gone meanwhile.
    let _ = live.send(field(KEY_EVENTS, request));
}

/// Encodes a message that has one field.
fn field(key: u8, content: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(content.len() + 8);
    message.put_u8(key);
    // A `BytesMut` grows: encoding into it does not fail.
    let _ = prost::encode_length_delimiter(content.len(), &mut message);
    message.put_slice(content);
    message.freeze()
}
