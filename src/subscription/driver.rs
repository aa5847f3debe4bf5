//! Runs the machine over a log: the one loop under subscriptions and watches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::fanout::{Fanout, Known, Place, moved};
use super::machine::{Action, Due, Machine, Message};
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::journal::{self, ChainHash};
use crate::log::error::ReadError;
use crate::log::{Head, Log};

/// Batches that wait for a slow reader: one being sent and one ready, the rest stays in the log.
pub const BATCHES_AHEAD: usize = 2;

/// How long a reader that takes nothing may hold up the end.
const ENDING_WAIT: Duration = Duration::from_secs(5);

/// What positions are evaluated for.
pub trait Source: Send + Sized + 'static {
    /// What is sent: a batch of events, of entries, of changes.
    type Item: Send + 'static;

    /// Gives the next piece of what comes before the first position; nothing when all was given.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn open(&mut self, log: &Log) -> Result<Option<Self::Item>, ReadError>;

    /// Evaluates positions in (`after`, `up_to`], as far as fits an item.
    ///
    /// # Errors
    /// [`ReadError`] when the log cannot be read.
    fn next(&mut self, log: &Log, after: Position, up_to: Position) -> Result<Step<Self::Item>, ReadError>;

    /// Gives the filter that all matter must pass, if it can be told from an event alone whether it matters; nothing if
    /// every event has to be looked at.
    fn outlook(&self) -> Option<Filter>;

    /// Makes an item of events that are held in memory, as far as fits one, and tells how many of the positions went into
    /// it; nothing if they are held no more.
    fn held(&self, log: &Log, positions: &[Position]) -> Option<(Self::Item, usize)>;

    /// Gives the chain hash at a position, from what it holds if it can.
    ///
    /// # Errors
    /// [`ReadError`] when the frame there cannot be read.
    fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError>;
}

/// What came of evaluating positions.
#[derive(Debug)]
pub struct Step<T> {
    /// What to send, if anything.
    pub item: Option<T>,
    /// Positions, first and last, of whose events nothing is known any more: they come after the item.
    pub lost: Option<(Position, Position)>,
    /// Every position up to this one was evaluated, and what came of it is in this item or an earlier one.
    pub evaluated: Position,
}

/// What a subscription gives.
#[derive(Debug)]
pub enum Subscription<T> {
    /// Some of what is asked for, in position order.
    Items(T),
    /// Positions, first and last, of whose events nothing is known any more.
    Lost(Position, Position),
    /// Anything else.
    Message {
        /// What is said.
        message: Message,
        /// Chain hash at the position that a checkpoint or the start names; nothing where it cannot be read.
        chain: Option<ChainHash>,
    },
    /// The last item.
    End {
        /// Resume after this position.
        resume_after: Position,
        /// Chain hash there; nothing where it cannot be read.
        chain: Option<ChainHash>,
        /// Why.
        end: SubscriptionEnd,
    },
}

/// Why the server ends a subscription.
#[derive(Debug)]
pub enum SubscriptionEnd {
    /// The server is stopping.
    ShuttingDown,
    /// The log cannot be read.
    Failed(ReadError),
}

/// Follows a log until the reader goes away, the log cannot be read, or `shutdown` comes.
pub async fn follow<S: Source>(
    log: Arc<Log>,
    fanout: Arc<Fanout>,
    source: S,
    mut machine: Machine,
    out: mpsc::Sender<Subscription<S::Item>>,
    shutdown: CancellationToken,
) {
    let news = News::of(&log, &fanout);
    let work = run(&log, news, source, &mut machine, &out);
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Some(SubscriptionEnd::ShuttingDown),
        () = out.closed() => None,
        ended = work => ended,
    };
    if let Some(end) = ended {
        let resume_after = machine.resume_after();
        let chain = chain_in(&log, resume_after).await;
        // The reader may be gone or stuck: it learns the same from its last checkpoint.
        let last = out.send(Subscription::End { resume_after, chain, end });
        let _ = tokio::time::timeout(ENDING_WAIT, last).await;
    }
}

/// How a follower learns that there is something to do.
struct News<'a> {
    fanout: &'a Arc<Fanout>,
    head: watch::Receiver<Head>,
    /// Taken at the live edge, where others are told at the same time.
    place: Option<Place>,
}

impl<'a> News<'a> {
    fn of(log: &Log, fanout: &'a Arc<Fanout>) -> Self {
        Self { fanout, head: log.watch(), place: None }
    }

    /// Gives the position up to which there may be something, and lets the machine pass over what is known to be nothing.
    fn look(&mut self, machine: &mut Machine, now: Timestamp) -> Position {
        let Some(place) = &self.place else { return self.head.borrow_and_update().position };
        let (seen, clear) = place.progress(machine.position());
        machine.evaluated(clear, false, now);
        // It may have been ahead of the fan-out when it joined.
        seen.max(machine.position())
    }

    fn take(&self, after: Position, up_to: Position) -> Known {
        self.place.as_ref().map_or(Known::Nothing(up_to), |place| place.take(after, up_to))
    }

    /// Waits until there is something, or a moment comes; a follower that waits for the first time joins the others.
    async fn wait(&mut self, outlook: Option<Filter>, now: Timestamp, until: Timestamp, due: Due) {
        let micros = |until: Timestamp| u64::try_from(until.0.saturating_sub(now.0)).unwrap_or_default();
        if let Some(place) = &self.place {
            let until = place.expect(Some(due)).map_or(until, |reached| reached.min(until));
            tokio::select! {
                () = place.woken() => {}
                () = tokio::time::sleep(Duration::from_micros(micros(until))) => {}
            }
        } else if let Some(filter) = outlook {
            // What came meanwhile is seen at the next look.
            self.place = Some(self.fanout.join(filter));
        } else {
            tokio::select! {
                // Without a writer the head stays where it is; reads and signs of life go on.
                () = moved(&mut self.head) => {}
                () = tokio::time::sleep(Duration::from_micros(micros(until))) => {}
            }
        }
    }
}

async fn run<S: Source>(
    log: &Arc<Log>,
    mut news: News<'_>,
    source: S,
    machine: &mut Machine,
    out: &mpsc::Sender<Subscription<S::Item>>,
) -> Option<SubscriptionEnd> {
    let mut source = Some(source);
    loop {
        let now = log.clock().now();
        let durable = news.look(machine, now);
        match machine.next(durable, now) {
            Action::Send(message) => {
                let chain = match message {
                    Message::Started { after: position, .. } | Message::Checkpoint { position, .. } => {
                        let (back, chain) = chain_at(log, source.take()?, position).await;
                        source = back;
                        chain
                    }
                    Message::CaughtUp { .. } | Message::FellBehind { .. } | Message::Heartbeat { .. } => None,
                };
                out.send(Subscription::Message { message, chain }).await.ok()?;
            }
            Action::Open => match blocking(log, source.take()?, S::open).await {
                Ok((back, item)) => {
                    source = Some(back);
                    match item {
                        Some(item) => out.send(Subscription::Items(item)).await.ok()?,
                        None => machine.opened(),
                    }
                }
                Err(error) => return Some(SubscriptionEnd::Failed(error)),
            },
            Action::Scan { after, up_to } => {
                let step = match evaluate(log, source.take()?, news.take(after, up_to), after).await {
                    Ok((back, step)) => {
                        source = Some(back);
                        step
                    }
                    Err(error) => return Some(SubscriptionEnd::Failed(error)),
                };
                let sent = step.item.is_some() || step.lost.is_some();
                if let Some(item) = step.item {
                    out.send(Subscription::Items(item)).await.ok()?;
                }
                if let Some((first, last)) = step.lost {
                    out.send(Subscription::Lost(first, last)).await.ok()?;
                }
                // Only what was handed over counts as evaluated.
                machine.evaluated(step.evaluated, sent, log.clock().now());
            }
            Action::Wait { until, due } => {
                let outlook = if news.place.is_none() { source.as_ref()?.outlook() } else { None };
                news.wait(outlook, now, until, due).await;
            }
        }
    }
}

/// Evaluates positions after one: from memory where it is known what matches and the events are still held, else from the
/// index and the log.
async fn evaluate<S: Source>(
    log: &Arc<Log>,
    source: S,
    known: Known,
    after: Position,
) -> Result<(S, Step<S::Item>), ReadError> {
    let up_to = match known {
        Known::Matches(positions, up_to) if positions.is_empty() => {
            return Ok((source, Step { item: None, lost: None, evaluated: up_to }));
        }
        Known::Matches(positions, up_to) => {
            if let Some((item, count)) = source.held(log, &positions) {
                // What did not fit is found in the index: it is noted no more.
                let rest = positions.get(count).map_or(up_to, |next| Position(next.0.saturating_sub(1)));
                return Ok((source, Step { item: Some(item), lost: None, evaluated: rest }));
            }
            up_to
        }
        Known::Nothing(up_to) => up_to,
    };
    blocking(log, source, move |source, log| source.next(log, after, up_to)).await
}

/// Gives the chain hash at a position, and the source back. At the head, and where a recent round ends, it is known;
/// elsewhere the source often holds the frame, and if not, one is read.
async fn chain_at<S: Source>(
    log: &Arc<Log>,
    mut source: S,
    position: Position,
) -> (Option<S>, Option<ChainHash>) {
    let head = log.head();
    if position == head.position {
        return (Some(source), Some(head.chain));
    }
    if let Some(chain) = log.recent().chain_at(position) {
        return (Some(source), Some(chain));
    }
    let work = tokio::task::spawn_blocking(move || {
        let chain = source.chain_at(position).ok();
        (Some(source), chain)
    });
    // After a panic there is no source any more, which ends the subscription.
    work.await.unwrap_or_default()
}

/// Gives the chain hash at a position, where it can be read.
async fn chain_in(log: &Arc<Log>, position: Position) -> Option<ChainHash> {
    let log = Arc::clone(log);
    tokio::task::spawn_blocking(move || log.chain_at(position).ok()).await.unwrap_or_default()
}

/// Works on a thread that may wait for the disk, and gives the source back.
async fn blocking<S: Source, T: Send + 'static>(
    log: &Arc<Log>,
    mut source: S,
    work: impl FnOnce(&mut S, &Log) -> Result<T, ReadError> + Send + 'static,
) -> Result<(S, T), ReadError> {
    let log = Arc::clone(log);
    let work = tokio::task::spawn_blocking(move || {
        let done = work(&mut source, &log)?;
        Ok((source, done))
    });
    work.await.unwrap_or_else(|panicked| Err(journal::ReadError::Io(std::io::Error::other(panicked)).into()))
}
