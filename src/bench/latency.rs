//! A subscriber that notes when what is appended at a steady pace reaches it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use prost::Message as _;
use tokio::task::JoinSet;
use tonic::Streaming;

use super::error::BenchError;
use super::events::{ID_BYTES, Requests, Templates};
use super::samples::Measured;
use super::transport::{Client, SUBSCRIBE};
use super::work::Condition;
use super::{Window, append, samples};
use crate::clock::Stopwatch;
use crate::pb::subscribe_events_request::Start;
use crate::pb::subscribe_events_response::Content;
use crate::pb::{SubscribeEventsRequest, SubscribeEventsResponse};

/// Time from one append to the next: 200 a second, which leaves the machine idle.
const PACE: Duration = Duration::from_millis(5);
/// Longest wait for what must come.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// Bytes before the text of an event's id, its first field: key and length.
const BEFORE_ID: usize = 2;

/// When each event was sent.
type Sent = Arc<Mutex<HashMap<Bytes, Duration>>>;

/// Measures deliveries.
///
/// # Errors
/// [`BenchError::Answer`] when an event is not delivered; as [`Client::unary`].
pub async fn measure(
    address: SocketAddr,
    templates: &Templates,
    window: Window,
) -> Result<Measured, BenchError> {
    let request = SubscribeEventsRequest { start: Some(Start::FromNow(true)), ..Default::default() };
    let mut subscriber = Client::connect(address).await?;
    let mut live = subscriber.stream(SUBSCRIBE, request.encode_to_vec().into()).await?;
    // The first message says that the subscription stands.
    if live.message().await?.is_none() {
        return Err(BenchError::Fault("a subscription ended at once"));
    }
    let appender = Client::connect(address).await?;
    let watch = Stopwatch::start();
    let sent = Sent::default();
    let (warm, all) = (pulses(window.warm), pulses(window.end).max(pulses(window.warm) + 1));
    let following = tokio::spawn(follow(live, Arc::clone(&sent), all, watch));
    let acknowledgements = pace(appender, templates, &sent, all, watch).await?;
    let deliveries = following.await??;
    let measured = |samples: Vec<Duration>| samples.into_iter().skip(warm).collect::<Vec<_>>();
    let latencies = measured(deliveries);
    Ok(Measured {
        events: latencies.len(),
        elapsed: watch.elapsed().saturating_sub(window.warm),
        latencies,
        acknowledgements: measured(acknowledgements),
        resident_bytes: samples::resident_bytes(),
        ..Measured::default()
    })
}

fn pulses(time: Duration) -> usize {
    usize::try_from(time.as_millis() / PACE.as_millis()).unwrap_or(usize::MAX)
}

/// Appends without waiting for answers, so that a slow one does not slow the pace.
async fn pace(
    appender: Client,
    templates: &Templates,
    sent: &Sent,
    count: usize,
    watch: Stopwatch,
) -> Result<Vec<Duration>, BenchError> {
    let mut requests = Requests::new(templates, 0);
    let mut calls = JoinSet::new();
    let mut pulse = tokio::time::interval(PACE);
    for _ in 0..count {
        pulse.tick().await;
        let request = requests.next(1, Condition::Nothing);
        let begin = watch.elapsed();
        sent.lock().insert(Bytes::copy_from_slice(requests.last_id().as_bytes()), begin);
        let mut appender = appender.clone();
        calls.spawn(async move {
            append::send(&mut appender, request, 1).await?;
            Ok::<_, BenchError>((begin, watch.elapsed().saturating_sub(begin)))
        });
    }
    let mut answers = Vec::new();
    while let Some(ended) = calls.join_next().await {
        answers.push(ended??);
    }
    answers.sort_unstable();
    Ok(answers.into_iter().map(|(_, took)| took).collect())
}

async fn follow(
    mut live: Streaming<Bytes>,
    sent: Sent,
    count: usize,
    watch: Stopwatch,
) -> Result<Vec<Duration>, BenchError> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        let lost = || BenchError::Answer { what: "events delivered", expected: count, got: deliveries.len() };
        let message = tokio::time::timeout(LOST_AFTER, live.message()).await.map_err(|_| lost())??;
        let message = message.ok_or_else(lost)?;
        let now = watch.elapsed();
        let Some(Content::Events(batch)) = SubscribeEventsResponse::decode(message)?.content else {
            continue;
        };
        for event in batch.events {
            let id = event.get(BEFORE_ID..BEFORE_ID + ID_BYTES).unwrap_or_default();
            let begin = sent.lock().remove(id).ok_or(BenchError::Fault("an event came that was not sent"))?;
            deliveries.push(now.saturating_sub(begin));
        }
    }
    Ok(deliveries)
}
