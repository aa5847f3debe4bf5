//! Runs the machine over a log.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::machine::{Action, Machine, Message};
use crate::domain::{Position, Timestamp};
use crate::filter::Filter;
use crate::journal::{Direction, Record};
use crate::log::error::ReadError;
use crate::log::{BatchLimits, Log, Scan};

/// Batches that wait for a slow reader: one being sent and one ready, the rest stays in the log.
pub const BATCHES_AHEAD: usize = 2;

const LIMITS: BatchLimits = BatchLimits { records_max: 256, bytes_max: 256 * 1_024 };

/// What a subscription gives.
#[derive(Debug)]
pub enum Subscription {
    /// Matching records, in position order.
    Records(Vec<Record>),
    /// Anything else.
    Message(Message),
    /// The last item.
    End {
        /// Resume after this position.
        resume_after: Position,
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
        // The reader may be gone or stuck: it learns the same from its last checkpoint.
        let _ = out.send(Subscription::End { resume_after: machine.position(), end }).await;
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
            Action::Send(message) => out.send(Subscription::Message(message)).await.ok()?,
            Action::Scan { after, up_to } => {
                let work = scan.take()?;
                let (back, batch) = read(Arc::clone(log), work, after, up_to).await?;
                scan = Some(back);
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(error) => return Some(SubscriptionEnd::Failed(error)),
                };
                let sent = !batch.records.is_empty();
                if sent {
                    out.send(Subscription::Records(batch.records)).await.ok()?;
                }
                // Only what was handed over counts as evaluated.
                machine.evaluated(batch.evaluated, sent, log.clock().now());
            }
            Action::Wait { until } => {
                let micros = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or_default();
                tokio::select! {
                    moved = head.changed() => moved.ok()?,
                    () = tokio::time::sleep(Duration::from_micros(micros)) => {}
                }
            }
        }
    }
}

/// Reads on a thread that may wait for the disk. `None` if the runtime is going away.
async fn read(
    log: Arc<Log>,
    mut scan: Scan,
    after: Position,
    up_to: Position,
) -> Option<(Scan, Result<crate::log::Batch, ReadError>)> {
    let work = tokio::task::spawn_blocking(move || {
        let batch = scan.next(&log, after, up_to, LIMITS);
        (scan, batch)
    });
    work.await.ok()
}
