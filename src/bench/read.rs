//! A reader of what is stored.

use std::net::SocketAddr;

use bytes::Bytes;
use prost::Message as _;

use super::error::BenchError;
use super::events::{RARE_EVERY, RARE_TAG, Requests, Templates};
use super::null::Prebuilt;
use super::samples::Measured;
use super::transport::{APPEND, Client, READ};
use super::work::Condition;
use super::{Settings, Window, append, samples};
use crate::clock::Stopwatch;
use crate::pb::read_events_response::Content;
use crate::pb::{Filter, ReadEventsRequest, ReadEventsResponse};

/// Events of a request while the store is filled; a thousand of the example would pass the limit of 1 MiB.
const LOAD_BATCH: usize = 250;

/// Which events are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// Those with the rare tag.
    Rare,
}

impl Which {
    /// Gives the encoded request.
    #[must_use]
    pub fn request(self) -> Bytes {
        let tags = match self {
            Self::All => Vec::new(),
            Self::Rare => vec![RARE_TAG.to_owned()],
        };
        let filter = (!tags.is_empty()).then(|| Filter { tags, ..Filter::default() });
        ReadEventsRequest { filter, ..ReadEventsRequest::default() }.encode_to_vec().into()
    }
}

/// Makes the events that others link to known to a store.
///
/// # Errors
/// As [`Client::unary`].
pub async fn prepare(address: SocketAddr, templates: &Templates) -> Result<(), BenchError> {
    if let Some(linked) = templates.linked() {
        Client::connect(address).await?.unary(APPEND, linked.clone()).await?;
    }
    Ok(())
}

/// Fills a prepared store.
///
/// # Errors
/// [`BenchError::Answer`] when it does not take everything; as [`Client::unary`].
pub async fn fill(address: SocketAddr, templates: &Templates, settings: &Settings) -> Result<(), BenchError> {
    let mut client = Client::connect(address).await?;
    let mut requests = Requests::new(templates, 0).with_rare();
    for _ in 0..settings.stored_events / LOAD_BATCH {
        append::send(&mut client, requests.next(LOAD_BATCH, Condition::Nothing), LOAD_BATCH).await?;
    }
    Ok(())
}

/// Fills a prepared store, and gives what it answers to both reads.
///
/// # Errors
/// [`BenchError::Answer`] when it does not give back what it was given; as [`Client::unary`].
pub async fn fill_and_read(
    address: SocketAddr,
    templates: &Templates,
    settings: &Settings,
) -> Result<Prebuilt, BenchError> {
    let mut client = Client::connect(address).await?;
    let before = count(&messages(&mut client, Which::All).await?)?;
    fill(address, templates, settings).await?;
    let all = messages(&mut client, Which::All).await?;
    expect("events read", settings.stored_events + before, count(&all)?)?;
    let rare = messages(&mut client, Which::Rare).await?;
    expect("rare events read", settings.stored_events / RARE_EVERY, count(&rare)?)?;
    Ok(Prebuilt { all: all.into(), rare: rare.into() })
}

async fn messages(client: &mut Client, which: Which) -> Result<Vec<Bytes>, BenchError> {
    let mut stream = client.stream(READ, which.request()).await?;
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

fn count(messages: &[Bytes]) -> Result<usize, BenchError> {
    messages.iter().try_fold(0, |sum, message| Ok(sum + events_of(message.clone())?))
}

fn events_of(message: Bytes) -> Result<usize, BenchError> {
    Ok(match ReadEventsResponse::decode(message)?.content {
        Some(Content::Events(batch)) => batch.events.len(),
        Some(Content::Lost(_) | Content::End(_)) | None => 0,
    })
}

fn expect(what: &'static str, expected: usize, got: usize) -> Result<(), BenchError> {
    if got == expected { Ok(()) } else { Err(BenchError::Answer { what, expected, got }) }
}

/// Measures whole reads, one after the other, at least one.
///
/// # Errors
/// [`BenchError::Answer`] when a read does not give what the store holds; as [`Client::stream`].
pub async fn measure(
    address: SocketAddr,
    which: Which,
    prebuilt: &Prebuilt,
    window: Window,
) -> Result<Measured, BenchError> {
    let stored = count(match which {
        Which::All => &prebuilt.all,
        Which::Rare => &prebuilt.rare,
    })?;
    let mut client = Client::connect(address).await?;
    let mut measured = Measured::default();
    let warm = Stopwatch::start();
    loop {
        read(&mut client, which, stored).await?;
        if warm.elapsed() >= window.warm {
            break;
        }
    }
    let watch = Stopwatch::start();
    loop {
        let begin = watch.elapsed();
        read(&mut client, which, stored).await?;
        measured.elapsed = watch.elapsed();
        measured.latencies.push(measured.elapsed.saturating_sub(begin));
        measured.events += stored;
        if measured.elapsed >= window.end.saturating_sub(window.warm) {
            measured.resident_bytes = samples::resident_bytes();
            return Ok(measured);
        }
    }
}

/// Measures how fast a store is read from its beginning, again and again, whatever it holds; each message is a call.
///
/// # Errors
/// As [`Client::stream`].
pub async fn from_the_beginning(address: SocketAddr, window: Window) -> Result<Measured, BenchError> {
    let mut client = Client::connect(address).await?;
    let mut measured = Measured::default();
    let watch = Stopwatch::start();
    loop {
        let mut stream = client.stream(READ, Which::All.request()).await?;
        let mut before = watch.elapsed();
        while let Some(message) = stream.message().await? {
            let events = events_of(message)?;
            let now = watch.elapsed();
            if now >= window.warm {
                measured.events += events;
                measured.latencies.push(now.saturating_sub(before));
                measured.elapsed = now.saturating_sub(window.warm);
            }
            if now >= window.end {
                return Ok(measured);
            }
            before = now;
        }
        if watch.elapsed() >= window.end {
            return Ok(measured);
        }
    }
}

async fn read(client: &mut Client, which: Which, stored: usize) -> Result<(), BenchError> {
    let mut stream = client.stream(READ, which.request()).await?;
    let mut got = 0;
    while let Some(message) = stream.message().await? {
        got += events_of(message)?;
    }
    expect("events read", stored, got)
}
