//! The load of a soak: clients that append, read, follow and ask, until they are told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::sample::Counters;
use crate::bench::append;
use crate::bench::error::BenchError;
use crate::bench::events::{Requests, Templates};
use crate::bench::queries::questions::{COUNT, LIST};
use crate::bench::transport::{Client, READ, SUBSCRIBE};
use crate::bench::work::Condition;
use crate::clock::Stopwatch;
use crate::pb::count_entries_request::{Facet, GroupBy};
use crate::pb::list_entries_request::Order;
use crate::pb::read_events_response::Content as Read;
use crate::pb::subscribe_events_request::Start;
use crate::pb::subscribe_events_response::Content as Followed;
use crate::pb::{
    CountEntriesRequest, EventKind, Filter, ListEntriesRequest, ReadEventsRequest, ReadEventsResponse,
    SubscribeEventsRequest, SubscribeEventsResponse,
};

/// How many clients of each sort there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Clients that append one event a request, each on a connection of its own.
    pub singles: usize,
    /// Clients that append [`BATCH`] events a request.
    pub batches: usize,
    /// Clients that read everything, again and again.
    pub readers: usize,
    /// Subscriptions with filters.
    pub subscribers: usize,
}

/// Events of a batch.
pub const BATCH: u32 = 100;
/// Subscriptions that share a connection.
const SUBSCRIBERS_A_CONNECTION: usize = 25;
/// Time from one query to the next.
const QUERY_PACE: Duration = Duration::from_millis(100);
/// How long a client waits after a call that failed.
const AFTER_ERROR: Duration = Duration::from_millis(200);

/// What every client of a soak has.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// What is appended.
    pub templates: Arc<Templates>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// The pace of appends; nothing = as fast as they are taken.
    pub pace: Option<Arc<Pace>>,
    /// When to stop.
    pub stop: CancellationToken,
}

impl Load {
    /// Starts all clients; they end when they are told to.
    pub fn spawn(&self, clients: Clients) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let appenders = [(clients.singles, 1), (clients.batches, BATCH)];
        let sizes = appenders.into_iter().flat_map(|(count, batch)| std::iter::repeat_n(batch, count));
        for (number, batch) in sizes.enumerate() {
            tasks.spawn(self.clone().append(number, batch));
        }
        for _ in 0..clients.readers {
            tasks.spawn(self.clone().read());
        }
        for first in (0..clients.subscribers).step_by(SUBSCRIBERS_A_CONNECTION) {
            let last = (first + SUBSCRIBERS_A_CONNECTION).min(clients.subscribers);
            tasks.spawn(self.clone().follow_all(first, last));
        }
        tasks.spawn(self.clone().ask());
        tasks
    }

    /// Gives a connection; nothing when it is time to stop.
    async fn connect(&self) -> Option<Client> {
        while !self.stop.is_cancelled() {
            match Client::connect(self.address).await {
                Ok(client) => return Some(client),
                Err(error) => self.failed("connect", &error).await,
            }
        }
        None
    }

    /// Counts a failure and waits a little, unless it came because the soak ends.
    async fn failed(&self, what: &str, error: &BenchError) {
        if self.stop.is_cancelled() {
            return;
        }
        self.counters.failed(what, error);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(AFTER_ERROR) => {}
        }
    }

    async fn append(self, number: usize, batch: u32) {
        let Some(mut client) = self.connect().await else { return };
        let mut requests = Requests::new(&self.templates, number);
        let events = usize::try_from(batch).unwrap_or_default();
        let watch = Stopwatch::start();
        while !self.stop.is_cancelled() {
            if let Some(pace) = &self.pace {
                tokio::select! {
                    () = self.stop.cancelled() => return,
                    () = pace.wait(batch) => {}
                }
            }
            let request = requests.next(events, Condition::Nothing);
            let begin = watch.elapsed();
            // A request that was sent is waited for: an append that nobody counted would be found at the head.
            match append::send(&mut client, request, events).await {
                Ok(_) => {
                    self.counters.timed.lock().appends.add(watch.elapsed().saturating_sub(begin));
                    self.counters.appended.fetch_add(u64::from(batch), Ordering::Relaxed);
                }
                Err(error) => self.failed("append", &error).await,
            }
        }
    }

    async fn read(self) {
        let Some(mut client) = self.connect().await else { return };
        while !self.stop.is_cancelled() {
            tokio::select! {
                () = self.stop.cancelled() => {}
                outcome = read_all(&mut client, &self.counters.read) => {
                    if let Err(error) = outcome {
                        self.failed("read", &error).await;
                    }
                }
            }
        }
    }

    async fn follow_all(self, first: usize, last: usize) {
        let Some(client) = self.connect().await else { return };
        let mut tasks = JoinSet::new();
        for number in first..last {
            tasks.spawn(self.clone().follow(client.clone(), number));
        }
        tasks.join_all().await;
    }

    async fn follow(self, mut client: Client, number: usize) {
        let request = SubscribeEventsRequest {
            filter: Some(filter(number)),
            start: Some(Start::FromNow(true)),
            ..SubscribeEventsRequest::default()
        };
        let request = Bytes::from(request.encode_to_vec());
        while !self.stop.is_cancelled() {
            tokio::select! {
                () = self.stop.cancelled() => {}
                error = followed(&mut client, request.clone(), &self.counters.delivered) => {
                    self.failed("subscribe", &error).await;
                }
            }
        }
    }

    async fn ask(self) {
        let Some(mut client) = self.connect().await else { return };
        let mut pulse = tokio::time::interval(QUERY_PACE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watch = Stopwatch::start();
        for (path, request) in queries().iter().cycle() {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = pulse.tick() => {}
            }
            let begin = watch.elapsed();
            tokio::select! {
                () = self.stop.cancelled() => return,
                answer = client.unary(path, request.clone()) => match answer {
                    Ok(_) => self.counters.timed.lock().queries.add(watch.elapsed().saturating_sub(begin)),
                    Err(error) => self.failed("query", &error).await,
                }
            }
        }
    }
}

async fn read_all(client: &mut Client, read: &AtomicU64) -> Result<(), BenchError> {
    let request = ReadEventsRequest::default().encode_to_vec();
    let mut stream = client.stream(READ, request.into()).await?;
    while let Some(message) = stream.message().await? {
        if let Some(Read::Events(batch)) = ReadEventsResponse::decode(message)?.content {
            read.fetch_add(u64::try_from(batch.events.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
    Ok(())
}

/// Follows until the subscription ends, which none should.
async fn followed(client: &mut Client, request: Bytes, delivered: &AtomicU64) -> BenchError {
    let mut follow = async || -> Result<(), BenchError> {
        let mut stream = client.stream(SUBSCRIBE, request.clone()).await?;
        while let Some(message) = stream.message().await? {
            if let Some(Followed::Events(batch)) = SubscribeEventsResponse::decode(message)?.content {
                delivered.fetch_add(u64::try_from(batch.events.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        }
        Ok(())
    };
    follow().await.err().unwrap_or(BenchError::Fault("a subscription ended"))
}

/// Gives the filter of a subscriber: four in ten follow one stream, three the streams of one client, two a kind, one a
/// country.
fn filter(number: usize) -> Filter {
    const KINDS: [EventKind; 4] =
        [EventKind::Agreement, EventKind::FundingTransfer, EventKind::Visit, EventKind::Statement];
    const COUNTRIES: [&str; 2] = ["GB", "AL"];
    let round = number / 10;
    match number % 10 {
        0..4 => Filter { streams: vec![format!("bench/{}/{}", number % 4, round)], ..Filter::default() },
        4..7 => Filter { stream_prefixes: vec![format!("bench/{}/", number % 9)], ..Filter::default() },
        7 | 8 => {
            let kind = KINDS.get(round % KINDS.len()).copied().unwrap_or(EventKind::Agreement);
            Filter { kinds: vec![kind.into()], ..Filter::default() }
        }
        _ => {
            let country = COUNTRIES.get(round % COUNTRIES.len()).copied().unwrap_or("GB");
            Filter { countries: vec![country.to_owned()], ..Filter::default() }
        }
    }
}

/// Lists the queries that are asked in turn.
fn queries() -> Vec<(&'static str, Bytes)> {
    let country = || Some(Filter { countries: vec!["AL".to_owned()], ..Filter::default() });
    let stream = || Some(Filter { streams: vec!["bench/0/0".to_owned()], ..Filter::default() });
    let list = |filter, order: Order| {
        let request = ListEntriesRequest { filter, order: order.into(), ..ListEntriesRequest::default() };
        (LIST.0, Bytes::from(request.encode_to_vec()))
    };
    let count = |filter, group_by| {
        let request = CountEntriesRequest { filter, group_by, ..CountEntriesRequest::default() };
        (COUNT.0, Bytes::from(request.encode_to_vec()))
    };
    vec![
        list(None, Order::ValidStart),
        list(country(), Order::KnownAtDescending),
        list(stream(), Order::RecordedDescending),
        count(None, None),
        count(country(), Some(GroupBy::Facet(Facet::Kind.into()))),
        count(stream(), None),
    ]
}
