//! Runs the machine over a log: the one loop under subscriptions and watches.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::machine::{Action, Machine, Message};
use crate::domain::Position;
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
    source: S,
    mut machine: Machine,
    out: mpsc::Sender<Subscription<S::Item>>,
    shutdown: CancellationToken,
) {
    let work = run(&log, source, &mut machine, &out);
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

async fn run<S: Source>(
    log: &Arc<Log>,
    source: S,
    machine: &mut Machine,
    out: &mpsc::Sender<Subscription<S::Item>>,
) -> Option<SubscriptionEnd> {
    let mut head = log.watch();
    let mut source = Some(source);
    loop {
        let now = log.clock().now();
        let durable = head.borrow_and_update().position;
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
                let work =
                    blocking(log, source.take()?, move |source, log| source.next(log, after, up_to)).await;
                let step = match work {
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
            Action::Wait { until } => {
                let micros = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or_default();
                let pause = tokio::time::sleep(Duration::from_micros(micros));
                tokio::select! {
                    // Without a writer the head stays where it is; reads and signs of life go on.
                    () = moved(&mut head) => {}
                    () = pause => {}
                }
            }
        }
    }
}

/// Comes when the head moves; never, when there is no writer any more.
async fn moved(head: &mut watch::Receiver<Head>) {
    if head.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Gives the chain hash at a position, and the source back. At the head it is known; elsewhere the source often holds the
/// frame, and if not, one is read.
async fn chain_at<S: Source>(
    log: &Arc<Log>,
    mut source: S,
    position: Position,
) -> (Option<S>, Option<ChainHash>) {
    let head = log.head();
    if position == head.position {
        return (Some(source), Some(head.chain));
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
