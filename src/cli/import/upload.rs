//! Appends batches, again and again until they are recorded.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use tonic::Status;

use super::batches::Batch;
use crate::cli::backoff::Backoff;
use crate::cli::failure::Failure;
use crate::cli::status;
use crate::pb::{AppendEventsResponse, ErrorReason, Event};

/// First wait before a batch is sent again.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait before a batch is sent again, unless the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// All waits for one batch together; then the import gives up.
const WAITS_MAX: Duration = Duration::from_secs(30);

/// A way to append events in one request.
pub trait Append: AsyncFnMut(Vec<Event>) -> Result<AppendEventsResponse, Status> {}

impl<F: AsyncFnMut(Vec<Event>) -> Result<AppendEventsResponse, Status>> Append for F {}

/// What an import has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events that were added.
    pub added: u64,
    /// Events that were recorded before.
    pub replayed: u64,
}

impl Totals {
    /// Gives how many events are recorded, now or before.
    #[must_use]
    pub const fn recorded(&self) -> u64 {
        self.added + self.replayed
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read, {} added, {} already there", self.recorded(), self.added, self.replayed)
    }
}

/// Appends a batch.
///
/// When only a part of it is recorded, as after an import of a file that has grown or was cut into other batches, it
/// is halved until each part is wholly new or wholly recorded. Order is kept, so links find their targets.
///
/// # Errors
/// [`Failure`] with file and line of every wrong field; the part that failed is not recorded.
pub async fn send<A: Append>(batch: &Batch, append: &mut A, totals: &mut Totals) -> Result<(), Failure> {
    let whole = 0..batch.events.len();
    let mut parts: Vec<Range<usize>> = Vec::from([whole]);
    while let Some(part) = parts.pop() {
        let Some(events) = batch.events.get(part.clone()) else { continue };
        let count = u64::try_from(part.len()).unwrap_or(u64::MAX);
        match persist(events, append).await {
            Ok(answer) if answer.replayed => totals.replayed += count,
            Ok(_) => totals.added += count,
            Err(error) if is_partial_replay(&error) => {
                // The server compares content before it says so: what it knows is what was sent.
                if part.len() == 1 || status::metadata(&error, "missing").as_deref() == Some("0") {
                    totals.replayed += count;
                    continue;
                }
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
            Err(error) => return Err(batch.failure(&error, part.start)),
        }
    }
    Ok(())
}

/// Appends until the server has an answer. The events have ids: sending them twice records them once.
async fn persist<A: Append>(events: &[Event], append: &mut A) -> Result<AppendEventsResponse, Status> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, Some(WAITS_MAX));
    loop {
        let error = match append(events.to_vec()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        if !status::is_transient(&error) {
            return Err(error);
        }
        let Some(wait) = backoff.wait(status::retry_delay(&error)) else { return Err(error) };
        tokio::time::sleep(wait).await;
    }
}

fn is_partial_replay(error: &Status) -> bool {
    status::reason(error).as_deref() == Some(ErrorReason::PartialReplay.as_str_name())
}

impl Batch {
    /// Tells what is wrong with events `first` and following, by file and line.
    fn failure(&self, error: &Status, first: usize) -> Failure {
        let failure = status::failure_at(error, |field| self.place(field, first));
        let by_index = status::metadata(error, "index").and_then(|index| index.parse::<usize>().ok());
        let by_id = || {
            let id = status::metadata(error, "event_id")?;
            self.events.iter().position(|event| event.id == id)?.checked_sub(first)
        };
        let line = by_index.or_else(by_id).and_then(|index| self.lines.get(first + index));
        match line {
            Some(line) => failure.detail(format!("at {}:{line}", self.file)),
            None => failure,
        }
    }

    /// Turns `events[2].title` into `file:7: title`.
    fn place(&self, field: &str, first: usize) -> String {
        let found = || {
            let (index, rest) = field.strip_prefix("events[")?.split_once(']')?;
            let line = self.lines.get(first + index.parse::<usize>().ok()?)?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            let separator = if rest.is_empty() { "" } else { ": " };
            Some(format!("{}:{line}{separator}{rest}", self.file))
        };
        found().unwrap_or_else(|| field.to_owned())
    }
}

#[cfg(test)]
mod tests;
