//! Clients that append, each as fast as it is answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use super::beside::Neighbours;
use super::error::BenchError;
use super::events::{Requests, Templates};
use super::samples::Measured;
use super::transport::{APPEND, APPEND_STREAM, Client};
use super::work::{Load, Via};
use super::{Window, answer, samples};
use crate::clock::Stopwatch;

/// Measures appends.
///
/// # Errors
/// [`BenchError`] when a call fails or is answered wrongly, or a neighbour is not served.
pub async fn measure(
    address: SocketAddr,
    templates: &Arc<Templates>,
    load: Load,
    window: Window,
) -> Result<Measured, BenchError> {
    let count = match load.via {
        Via::Unary { clients } => clients,
        Via::Stream { .. } => 1,
    };
    let mut connections = Vec::new();
    for _ in 0..count {
        connections.push(Client::connect(address).await?);
    }
    let neighbours = Neighbours::settle(address, load.beside, count).await?;
    let served_before = neighbours.served();
    let watch = Stopwatch::start();
    let mut appending = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let templates = Arc::clone(templates);
        let client = Appender { number, connection, templates, load, window, watch };
        match load.via {
            Via::Unary { .. } => appending.spawn(client.call()),
            Via::Stream { in_flight } => appending.spawn(client.stream(in_flight)),
        };
    }
    let mut measured = Measured::default();
    let mut requests = vec![0; count];
    while let Some(ended) = appending.join_next().await {
        let done = ended??;
        if let Some(requests) = requests.get_mut(done.number) {
            *requests = done.requests;
        }
        measured.latencies.extend(done.latencies);
        measured.elapsed = measured.elapsed.max(done.end.saturating_sub(window.warm));
    }
    measured.events = measured.latencies.len() * load.batch;
    let served = neighbours.served() - served_before;
    measured.beside_per_second =
        neighbours.are_served().then(|| served as f64 / watch.elapsed().as_secs_f64());
    measured.resident_bytes = samples::resident_bytes();
    neighbours.leave(&requests, load.batch).await?;
    Ok(measured)
}

/// Sends an encoded append, checks that all of it was taken, and gives its last position.
///
/// # Errors
/// [`BenchError::Answer`] when not all was taken; as [`Client::unary`].
pub async fn send(connection: &mut Client, request: Bytes, events: usize) -> Result<u64, BenchError> {
    answer::of_call(connection.unary(APPEND, request).await?, events)
}

/// A client.
struct Appender {
    number: usize,
    connection: Client,
    templates: Arc<Templates>,
    load: Load,
    window: Window,
    watch: Stopwatch,
}

/// What a client did.
#[derive(Default)]
struct Done {
    number: usize,
    /// Requests that were taken, outside of the window, too.
    requests: usize,
    /// How long each took that was answered in the window; at least one.
    latencies: Vec<Duration>,
    /// When the last of these was answered.
    end: Duration,
}

impl Done {
    /// Notes an answer; gives whether the window is open still.
    fn note(&mut self, begin: Duration, end: Duration, window: Window) -> bool {
        if end >= window.warm {
            self.latencies.push(end.saturating_sub(begin));
        }
        self.end = end;
        end < window.end
    }
}

impl Appender {
    /// Appends by a call a request, one after the other.
    async fn call(mut self) -> Result<Done, BenchError> {
        let mut requests = Requests::new(&self.templates, self.number);
        let mut done = Done { number: self.number, ..Done::default() };
        loop {
            let request = requests.next(self.load.batch, self.load.condition);
            let begin = self.watch.elapsed();
            requests.answered(send(&mut self.connection, request, self.load.batch).await?);
            if !done.note(begin, self.watch.elapsed(), self.window) {
                done.requests = requests.made();
                return Ok(done);
            }
        }
    }

    /// Appends by one call, with so many requests under way.
    async fn stream(mut self, in_flight: usize) -> Result<Done, BenchError> {
        let gone = BenchError::Fault("the call ended before its last answer");
        let mut requests = Requests::new(&self.templates, self.number);
        let mut done = Done { number: self.number, ..Done::default() };
        let (out, queue) = mpsc::channel(in_flight);
        // When each request was sent that waits for its answer.
        let mut sent = VecDeque::with_capacity(in_flight);
        for _ in 0..in_flight {
            sent.push_back(self.watch.elapsed());
            // There is room for as many.
            let _ = out.send(requests.next(self.load.batch, self.load.condition)).await;
        }
        let mut answers = self.connection.exchange(APPEND_STREAM, ReceiverStream::new(queue)).await?;
        let mut out = Some(out);
        while let Some(begin) = sent.pop_front() {
            let Some(answer) = answers.message().await? else { return Err(gone) };
            requests.answered(answer::of_stream(answer, self.load.batch)?);
            let open = out.is_some() && done.note(begin, self.watch.elapsed(), self.window);
            // What is still under way when the window closes is only checked.
            out = out.filter(|_| open);
            if let Some(out) = &out {
                sent.push_back(self.watch.elapsed());
                // When the call has ended, the next answer says why.
                let _ = out.send(requests.next(self.load.batch, self.load.condition)).await;
            }
        }
        done.requests = requests.made();
        Ok(done)
    }
}
