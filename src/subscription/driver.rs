//! Runs the machine over a log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::machine::{Action, Machine, Message};
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::journal::{self, ChainHash, Direction, Record};
use crate::log::error::ReadError;
use crate::log::{BatchLimits, Head, Log, Scan};

/// Batches that wait for a slow reader: one being sent and one ready, the rest stays in the log.
pub const BATCHES_AHEAD: usize = 2;

/// How long a reader that takes nothing may hold up the end.
const ENDING_WAIT: Duration = Duration::from_secs(5);

const LIMITS: BatchLimits = BatchLimits { records_max: 256, bytes_max: 256 * 1_024 };

/// What a subscription gives.
#[derive(Debug)]
pub enum Subscription {
    /// Matching records, in position order.
    Records(Vec<Record>),
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
pub async fn follow(
    log: Arc<Log>,
    filter: Filter,
    mut machine: Machine,
    out: mpsc::Sender<Subscription>,
    shutdown: CancellationToken,
) {
    let scan = Scan::new(&log, filter, Timestamp::MAX, Direction::Forward);
    let work = run(&log, scan, &mut machine, &out);
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Some(SubscriptionEnd::ShuttingDown),
        () = out.closed() => None,
        ended = work => ended,
    };
    if let Some(end) = ended {
        let resume_after = machine.position();
        let (_, chain) = chain_at(&log, None, resume_after).await;
        // The reader may be gone or stuck: it learns the same from its last checkpoint.
        let last = out.send(Subscription::End { resume_after, chain, end });
        let _ = tokio::time::timeout(ENDING_WAIT, last).await;
    }
}

async fn run(
    log: &Arc<Log>,
    scan: Scan,
    machine: &mut Machine,
    out: &mpsc::Sender<Subscription>,
) -> Option<SubscriptionEnd> {
    let mut head = log.watch();
    let mut scan = Some(scan);
    loop {
        let now = log.clock().now();
        let durable = head.borrow_and_update().position;
        match machine.next(durable, now) {
            Action::Send(message) => {
                let chain = match message {
                    Message::Started { after: position, .. } | Message::Checkpoint { position, .. } => {
                        let (back, chain) = chain_at(log, scan.take(), position).await;
                        scan = back;
                        chain
                    }
                    Message::CaughtUp { .. } | Message::FellBehind { .. } | Message::Heartbeat { .. } => None,
                };
                out.send(Subscription::Message { message, chain }).await.ok()?;
            }
            Action::Scan { after, up_to } => {
                let work = scan.take()?;
                let batch = match read(Arc::clone(log), work, after, up_to).await {
                    Ok((back, batch)) => {
                        scan = Some(back);
                        batch
                    }
                    Err(error) => return Some(SubscriptionEnd::Failed(error)),
                };
                let sent = !batch.records.is_empty() || batch.lost.is_some();
                if let Some((first, last)) = batch.lost {
                    out.send(Subscription::Lost(first, last)).await.ok()?;
                }
                if !batch.records.is_empty() {
                    out.send(Subscription::Records(batch.records)).await.ok()?;
                }
                // Only what was handed over counts as evaluated.
                machine.evaluated(batch.evaluated, sent, log.clock().now());
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

/// Gives the chain hash at a position, and the scan back. At the head it is known; elsewhere the scan often holds the
/// frame, and if not, one is read.
async fn chain_at(
    log: &Arc<Log>,
    scan: Option<Scan>,
    position: Position,
) -> (Option<Scan>, Option<ChainHash>) {
    let head = log.head();
    if position == head.position {
        return (scan, Some(head.chain));
    }
    let mut scan =
        scan.unwrap_or_else(|| Scan::new(log, Filter::default(), Timestamp::MAX, Direction::Forward));
    let work = tokio::task::spawn_blocking(move || {
        let chain = scan.chain_at(position).ok();
        (Some(scan), chain)
    });
    // After a panic there is no scan any more, which ends the subscription.
    work.await.unwrap_or_default()
}

/// Reads on a thread that may wait for the disk.
async fn read(
    log: Arc<Log>,
    mut scan: Scan,
    after: Position,
    up_to: Position,
) -> Result<(Scan, crate::log::Batch), ReadError> {
    let work = tokio::task::spawn_blocking(move || {
        let batch = scan.next(&log, after, up_to, LIMITS)?;
        Ok((scan, batch))
    });
    work.await.unwrap_or_else(|panicked| Err(journal::ReadError::Io(std::io::Error::other(panicked)).into()))
}
