//! The stream of a read: batches, then the end.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::Status;

use super::Context;
use crate::domain::Position;
use crate::journal::Direction;
use crate::log::{BatchLimits, Head, Log, Scan};
use crate::pb;
use crate::pb::read_events_response::Content;
use crate::wire::decode::ReadRequest;
use crate::wire::encode;

/// A batch of a read: about 256 KiB. Larger ones make nothing faster, but each of them holds up a thread for longer.
const READ_BATCH: BatchLimits = BatchLimits { events_max: 4_096, bytes_max: 256 * 1_024 };

/// A read under way.
struct Progress {
    scan: Scan,
    /// Exclusive; moves in the direction of the scan.
    from: Position,
    /// Where the scan ends.
    bound: Position,
    direction: Direction,
}

impl Progress {
    fn new(log: &Log, request: ReadRequest) -> Self {
        let ReadRequest { filter, direction, from, scope, limit: _, history: _ } = request;
        let (from, bound) = match direction {
            Direction::Forward => (from.unwrap_or(Position::ZERO), scope.as_of),
            Direction::Backward => {
                let top = scope.as_of.next();
                (from.map_or(top, |from| from.min(top)), Position(1))
            }
        };
        Self { scan: Scan::new(log, filter, scope.known_at, direction), from, bound, direction }
    }

    fn is_done(&self) -> bool {
        match self.direction {
            Direction::Forward => self.from >= self.bound,
            Direction::Backward => self.from <= self.bound,
        }
    }

    /// Reads the next events, at most `count`, or learns of lost ones; nothing once the scan is done.
    fn next(&mut self, context: &Context, log: &Log, count: u64) -> Result<Option<Content>, Status> {
        let events_max = usize::try_from(count).unwrap_or(usize::MAX).min(READ_BATCH.events_max);
        let limits = BatchLimits { events_max, ..READ_BATCH };
        while !self.is_done() {
            let batch = self.scan.next(log, self.from, self.bound, limits);
            let batch = batch.map_err(|error| context.read_failed(&error))?;
            self.from = batch.evaluated;
            if let Some((first, last)) = batch.lost {
                return Ok(Some(Content::Lost(encode::lost(first, last))));
            }
            if !batch.events.is_empty() {
                return Ok(Some(Content::Events(pb::EventBatch { events: batch.events })));
            }
        }
        Ok(None)
    }
}

/// Sends what matches, then the end. A reader that goes away ends the work.
///
/// # Errors
/// DATA_LOSS or INTERNAL when an event cannot be read.
pub async fn send(
    context: &Context,
    log: &Arc<Log>,
    request: ReadRequest,
    head: Head,
    out: &mpsc::Sender<Result<pb::ReadEventsResponse, Status>>,
) -> Result<(), Status> {
    let mut left = request.limit;
    let mut progress = Progress::new(log, request);
    let mut more = false;
    loop {
        let source = Arc::clone(log);
        // At the limit one event is asked for, only to tell whether there is more.
        let wanted = left.max(1);
        let step = context.scan(move |context| {
            let content = progress.next(context, &source, wanted)?;
            Ok((progress, content))
        });
        let (back, content) = step.await?;
        progress = back;
        let count = match &content {
            None => break,
            Some(Content::Events(batch)) => batch.events.len(),
            Some(Content::Lost(_) | Content::End(_)) => 0,
        };
        if left == 0 {
            more = true;
            break;
        }
        left = left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        if out.send(Ok(pb::ReadEventsResponse { content })).await.is_err() {
            return Ok(());
        }
    }
    let content =
        Some(Content::End(pb::ReadEnd { head: head.position.0, more, chain_hash: head.chain.to_string() }));
    // The reader may be gone.
    let _ = out.send(Ok(pb::ReadEventsResponse { content })).await;
    Ok(())
}
