//! What else a server does while events are appended: it serves subscribers and readers.
//!
//! Subscribers share connections, as they do behind a proxy: ten thousand sockets would measure the kernel.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::BenchError;
use super::events::{STREAMS, STREAMS_OF_ALL, stream_of};
use super::read::Which;
use super::transport::{Client, READ, SUBSCRIBE};
use super::work::Beside;
use crate::clock::Stopwatch;
use crate::pb::read_events_response::Content as Read;
use crate::pb::subscribe_events_request::Start;
use crate::pb::subscribe_events_response::Content as Live;
use crate::pb::{Filter, ReadEventsResponse, SubscribeEventsRequest, SubscribeEventsResponse};

/// Subscriptions of a connection: well below what the server allows.
const SUBSCRIPTIONS_A_CONNECTION: usize = 200;
/// A tag that no event has.
const NO_TAG: &str = "bench-nothing";
/// Longest wait until all neighbours are served.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
/// Longest wait for what must come.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// Time from one look at what came to the next.
const LOOK: Duration = Duration::from_millis(2);

/// Those who are served beside the clients that append; they leave when dropped.
#[derive(Debug)]
pub struct Neighbours {
    beside: Beside,
    tasks: JoinSet<Result<Infallible, BenchError>>,
    /// Events that each of them got.
    got: Vec<Arc<AtomicUsize>>,
}

impl Neighbours {
    /// Lets them in, and waits until subscribers have caught up and readers have read everything once; the events will
    /// come from so many clients.
    ///
    /// # Errors
    /// [`BenchError::Answer`] when one of them is not served; as [`Client::stream`].
    pub async fn settle(address: SocketAddr, beside: Beside, clients: usize) -> Result<Self, BenchError> {
        let mut neighbours = Self { beside, tasks: JoinSet::new(), got: Vec::new() };
        // Nobody sends: the channel closes when the last has dropped its end.
        let (settled, mut all_settled) = mpsc::channel(1);
        match beside {
            Beside::Nothing => {}
            Beside::Busy(count) => {
                let filters = (0..count).map(|number| followed(number, count, clients));
                neighbours.subscribe(address, filters, &settled).await?;
            }
            Beside::Idle(count) => {
                let filter = Filter { tags: vec![NO_TAG.to_owned()], ..Filter::default() };
                neighbours.subscribe(address, std::iter::repeat_n(filter, count), &settled).await?;
            }
            Beside::Stored { readers } => {
                for _ in 0..readers {
                    let connection = Client::connect(address).await?;
                    let got = neighbours.counter();
                    neighbours.tasks.spawn(scan(connection, got, settled.clone()));
                }
            }
        }
        drop(settled);
        let waited: Result<Option<()>, _> = tokio::time::timeout(SETTLED_AFTER, all_settled.recv()).await;
        neighbours.check()?;
        match waited {
            Ok(_) => Ok(neighbours),
            Err(_) => Err(BenchError::Fault("the neighbours of the appends were not served in time")),
        }
    }

    async fn subscribe(
        &mut self,
        address: SocketAddr,
        filters: impl Iterator<Item = Filter>,
        settled: &mpsc::Sender<()>,
    ) -> Result<(), BenchError> {
        let mut connection = Client::connect(address).await?;
        for (number, filter) in filters.enumerate() {
            if number > 0 && number.is_multiple_of(SUBSCRIPTIONS_A_CONNECTION) {
                connection = Client::connect(address).await?;
            }
            let (filter, start) = (Some(filter), Some(Start::FromNow(true)));
            let request = SubscribeEventsRequest { filter, start, ..Default::default() };
            let request = request.encode_to_vec().into();
            let got = self.counter();
            self.tasks.spawn(follow(connection.clone(), request, got, settled.clone()));
        }
        Ok(())
    }

    fn counter(&mut self) -> Arc<AtomicUsize> {
        let got = Arc::default();
        self.got.push(Arc::clone(&got));
        got
    }

    /// Gives whether any of them gets events.
    #[must_use]
    pub const fn are_served(&self) -> bool {
        match self.beside {
            Beside::Busy(_) | Beside::Stored { readers: 1.. } => true,
            Beside::Nothing | Beside::Idle(_) | Beside::Stored { readers: 0 } => false,
        }
    }

    /// Gives how many events they got, all together.
    #[must_use]
    pub fn served(&self) -> usize {
        self.got.iter().map(|got| got.load(Ordering::Relaxed)).sum()
    }

    /// Waits until each subscriber got its share of what was acknowledged, and lets all of them go.
    ///
    /// # Errors
    /// [`BenchError::Answer`] when a share is not delivered, or more than it; what broke a neighbour off.
    pub async fn leave(mut self, requests: &[usize], batch: usize) -> Result<(), BenchError> {
        let watch = Stopwatch::start();
        loop {
            self.check()?;
            let wrong = self.got.iter().enumerate().find_map(|(number, got)| {
                let expected = self.expected(number, requests)? * batch;
                let got = got.load(Ordering::Relaxed);
                (got != expected).then_some((expected, got))
            });
            match wrong {
                Some((expected, got)) if got > expected || watch.elapsed() > LOST_AFTER => {
                    return Err(BenchError::Answer { what: "events delivered", expected, got });
                }
                Some(_) => tokio::time::sleep(LOOK).await,
                None => break,
            }
        }
        self.tasks.shutdown().await;
        Ok(())
    }

    /// Gives how many requests were for a neighbour; nothing for one that chooses how much it gets.
    fn expected(&self, number: usize, requests: &[usize]) -> Option<usize> {
        match self.beside {
            Beside::Busy(count) => Some(share(number, count, requests)),
            Beside::Idle(_) => Some(0),
            Beside::Nothing | Beside::Stored { .. } => None,
        }
    }

    /// Fails with what broke one of them off.
    fn check(&mut self) -> Result<(), BenchError> {
        match self.tasks.try_join_next() {
            Some(ended) => ended?.map(|never| match never {}),
            None => Ok(()),
        }
    }
}

/// Lists the streams, with their clients, that a busy subscriber follows: each stream has one subscriber.
fn places(number: usize, count: usize, clients: usize) -> impl Iterator<Item = (usize, usize)> {
    let places = (number..clients * STREAMS).step_by(count.max(1));
    places.map(|place| (place / STREAMS, place % STREAMS))
}

fn followed(number: usize, count: usize, clients: usize) -> Filter {
    if count == 1 {
        // More names than a filter may have.
        return Filter { stream_prefixes: vec![STREAMS_OF_ALL.to_owned()], ..Filter::default() };
    }
    let streams = places(number, count, clients).map(|(client, stream)| stream_of(client, stream));
    Filter { streams: streams.collect(), ..Filter::default() }
}

/// Counts the requests that were for a busy subscriber, of so many that each client made to its streams in turn.
fn share(number: usize, count: usize, requests: &[usize]) -> usize {
    let made = |client: usize| requests.get(client).copied().unwrap_or_default();
    let places = places(number, count, requests.len());
    places.map(|(client, stream)| (made(client) + STREAMS - 1 - stream) / STREAMS).sum()
}

async fn follow(
    mut connection: Client,
    request: Bytes,
    got: Arc<AtomicUsize>,
    settled: mpsc::Sender<()>,
) -> Result<Infallible, BenchError> {
    let mut settled = Some(settled);
    let mut live = connection.stream(SUBSCRIBE, request).await?;
    loop {
        let ended = BenchError::Fault("a subscription ended");
        let message = live.message().await?.ok_or(ended)?;
        match SubscribeEventsResponse::decode(message)?.content {
            Some(Live::Events(batch)) => {
                got.fetch_add(batch.events.len(), Ordering::Relaxed);
            }
            Some(Live::CaughtUp(_)) => drop(settled.take()),
            Some(
                Live::Started(_)
                | Live::Checkpoint(_)
                | Live::FellBehind(_)
                | Live::Heartbeat(_)
                | Live::Ending(_)
                | Live::Lost(_),
            )
            | None => {}
        }
    }
}

async fn scan(
    mut connection: Client,
    got: Arc<AtomicUsize>,
    settled: mpsc::Sender<()>,
) -> Result<Infallible, BenchError> {
    let mut settled = Some(settled);
    loop {
        let mut stream = connection.stream(READ, Which::All.request()).await?;
        let (mut events, mut head) = (0, 0);
        while let Some(message) = stream.message().await? {
            match ReadEventsResponse::decode(message)?.content {
                Some(Read::Events(batch)) => {
                    events += batch.events.len();
                    got.fetch_add(batch.events.len(), Ordering::Relaxed);
                }
                Some(Read::End(end)) => head = usize::try_from(end.head).unwrap_or(usize::MAX),
                Some(Read::Lost(_)) | None => {}
            }
        }
        // Everything there was when the read began.
        if events != head {
            return Err(BenchError::Answer { what: "events read", expected: head, got: events });
        }
        drop(settled.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_of_the_clients_has_one_busy_subscriber() {
        for count in [1, 2, 100, 1_000] {
            let all = (0..count).flat_map(|number| places(number, count, 16));
            let mut all: Vec<_> = all.collect();
            all.sort_unstable();
            let expected = (0..16).flat_map(|client| (0..STREAMS).map(move |stream| (client, stream)));
            assert!(all.into_iter().eq(expected), "{count}");
            for number in 0..count {
                let Filter { streams, stream_prefixes, .. } = followed(number, count, 16);
                let values = streams.len() + stream_prefixes.len();
                assert!((1..=1_000).contains(&values), "an empty filter matches all: {number} of {count}");
            }
        }
    }

    #[test]
    fn the_shares_of_subscribers_are_all_that_was_appended() {
        let requests = [0, 1, 63, 64, 65, 1_000];
        for count in [1, 2, 7, 100] {
            let shares: Vec<_> = (0..count).map(|number| share(number, count, &requests)).collect();
            assert_eq!(shares.iter().sum::<usize>(), requests.iter().sum::<usize>(), "{shares:?}");
        }
        // The second client wrote to its first stream only.
        assert_eq!(share(0, 2, &[0, 1]), 1);
        assert_eq!(share(1, 2, &[0, 1]), 0);
    }
}
