//! Clients that append, each as fast as it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::task::JoinSet;

use super::Window;
use super::error::BenchError;
use super::events::{Requests, Templates};
use super::samples::Measured;
use super::transport::{APPEND, Client};
use crate::clock::Stopwatch;
use crate::pb::AppendEventsResponse;

/// What the clients do.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many there are, each with a connection of its own and one request under way.
    pub clients: usize,
    /// Events a request.
    pub batch: usize,
    /// Whether each request expects a revision of its stream.
    pub conditional: bool,
}

/// Measures appends.
///
/// # Errors
/// [`BenchError`] when a call fails or is answered wrongly.
pub async fn measure(
    address: SocketAddr,
    templates: &Arc<Templates>,
    load: Load,
    window: Window,
) -> Result<Measured, BenchError> {
    let mut connections = Vec::new();
    for _ in 0..load.clients {
        connections.push(Client::connect(address).await?);
    }
    let watch = Stopwatch::start();
    let mut clients = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        clients.spawn(client(connection, Arc::clone(templates), number, load, window, watch));
    }
    let mut measured = Measured::default();
    while let Some(ended) = clients.join_next().await {
        let (latencies, end) = ended??;
        measured.latencies.extend(latencies);
        measured.elapsed = measured.elapsed.max(end.saturating_sub(window.warm));
    }
    measured.events = measured.latencies.len() * load.batch;
    Ok(measured)
}

/// Gives how long the calls took that ended in the window, and when the last did; always at least one.
async fn client(
    mut connection: Client,
    templates: Arc<Templates>,
    number: usize,
    load: Load,
    window: Window,
    watch: Stopwatch,
) -> Result<(Vec<Duration>, Duration), BenchError> {
    let mut requests = Requests::new(&templates, number);
    let mut latencies = Vec::new();
    loop {
        let request = requests.next(load.batch, load.conditional);
        let begin = watch.elapsed();
        send(&mut connection, request, load.batch).await?;
        let end = watch.elapsed();
        if end >= window.warm {
            latencies.push(end.saturating_sub(begin));
        }
        if end >= window.end {
            return Ok((latencies, end));
        }
    }
}

/// Sends an encoded append and checks that all of it was taken.
///
/// # Errors
/// [`BenchError::Answer`] when it was not; as [`Client::unary`].
pub async fn send(connection: &mut Client, request: Bytes, events: usize) -> Result<(), BenchError> {
    let answer = AppendEventsResponse::decode(connection.unary(APPEND, request).await?)?;
    let got = answer.events.len();
    if got != events || answer.replayed {
        return Err(BenchError::Answer { what: "events acknowledged", expected: events, got });
    }
    Ok(())
}
