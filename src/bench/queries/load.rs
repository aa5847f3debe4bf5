//! Fills the store through the API: one copy of the events after the other, several at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use tokio::task::JoinSet;

use super::replicate::Originals;
use crate::bench::append;
use crate::bench::error::BenchError;
use crate::bench::transport::Client;
use crate::clock::Stopwatch;
use crate::pb::{GetHeadRequest, GetHeadResponse};

/// Copies under way at once, each on a connection of its own with one request in flight: within a copy events link to
/// those before them, and copies know nothing of each other.
pub const COPIES_AT_ONCE: usize = 8;
/// Events of a request.
const LOAD_EVENTS: usize = 250;
/// Bytes of a request: below the limit of 1 MiB.
const LOAD_BYTES: usize = 700 * 1_024;
/// Path of the call for the head.
pub const HEAD: &str = "/annals.v1.EventLogService/GetHead";

/// What was loaded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    /// Events.
    pub events: usize,
    /// Their bytes, as they were sent, without what a request adds.
    pub bytes: u64,
    /// In this time.
    pub took: Duration,
    /// Requests in flight at once.
    pub at_once: usize,
}

/// Appends so many copies; `progress` is told how many are done.
///
/// # Errors
/// [`BenchError`] when a call fails or is answered wrongly.
pub async fn load(
    address: SocketAddr,
    originals: &Arc<Originals>,
    copies: usize,
    progress: &dyn Fn(usize),
) -> Result<Loaded, BenchError> {
    let mut loaded = Loaded { at_once: COPIES_AT_ONCE.min(copies), ..Loaded::default() };
    let mut under_way = JoinSet::new();
    let mut waiting = 0..copies;
    for copy in waiting.by_ref().take(COPIES_AT_ONCE) {
        under_way.spawn(load_copy(address, Arc::clone(originals), copy));
    }
    let watch = Stopwatch::start();
    let mut done = 0;
    while let Some(ended) = under_way.join_next().await {
        let (events, bytes) = ended??;
        loaded.events += events;
        loaded.bytes += bytes;
        done += 1;
        progress(done);
        if let Some(copy) = waiting.next() {
            under_way.spawn(load_copy(address, Arc::clone(originals), copy));
        }
    }
    loaded.took = watch.elapsed();
    Ok(loaded)
}

/// Appends one copy of all events, in order of their links; gives how many there were, and their bytes.
async fn load_copy(
    address: SocketAddr,
    originals: Arc<Originals>,
    copy: usize,
) -> Result<(usize, u64), BenchError> {
    let mut client = Client::connect(address).await?;
    let mut request = BytesMut::new();
    let (mut events, mut all, mut bytes) = (0, 0, 0);
    for event in originals.copies(copy) {
        if events == LOAD_EVENTS || request.len() + event.len() > LOAD_BYTES {
            append::send(&mut client, request.split().freeze(), events).await?;
            events = 0;
        }
        put_field_1(&mut request, &event);
        events += 1;
        all += 1;
        bytes += u64::try_from(event.len()).unwrap_or(u64::MAX);
    }
    if events > 0 {
        append::send(&mut client, request.freeze(), events).await?;
    }
    Ok((all, bytes))
}

/// Writes a message as field 1: `AppendEventsRequest.events`.
fn put_field_1(request: &mut BytesMut, message: &[u8]) {
    const KEY: u8 = 1 << 3 | 2;
    request.put_u8(KEY);
    prost::encoding::encode_varint(u64::try_from(message.len()).unwrap_or(u64::MAX), request);
    request.extend_from_slice(message);
}

/// Checks that a server that was just opened holds what was loaded: a fast wrong answer is not worth measuring.
///
/// # Errors
/// [`BenchError::Answer`] when it does not.
pub async fn check_head(address: SocketAddr, expected: usize) -> Result<(), BenchError> {
    let request = Bytes::from(GetHeadRequest::default().encode_to_vec());
    let answer = Client::connect(address).await?.unary(HEAD, request).await?;
    let got = usize::try_from(GetHeadResponse::decode(answer)?.position).unwrap_or(usize::MAX);
    if got == expected { Ok(()) } else { Err(BenchError::Answer { what: "head", expected, got }) }
}
