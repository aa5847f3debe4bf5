//! What is counted while the load goes on, and the samples that are taken of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::histogram::Histogram;
use crate::bench::error::BenchError;

/// What all clients count together.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events acknowledged.
    pub appended: AtomicU64,
    /// Events read.
    pub read: AtomicU64,
    /// Events delivered to subscribers.
    pub delivered: AtomicU64,
    /// Calls that failed.
    pub errors: AtomicU64,
    /// What was timed since the last sample.
    pub timed: Mutex<Timed>,
    first_error: Mutex<Option<String>>,
}

/// How long calls took, and the disk beside them.
#[derive(Clone, Debug, Default)]
pub struct Timed {
    /// Appends.
    pub appends: Histogram,
    /// Queries.
    pub queries: Histogram,
    /// Appending a block to a file of its own and syncing it.
    pub syncs: Histogram,
}

impl Counters {
    /// Counts a call that failed, and keeps the words of the first.
    pub fn failed(&self, what: &str, error: &BenchError) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.first_error.lock().get_or_insert_with(|| match error {
            BenchError::Call(status) => format!("{what}: {:?}: {}", status.code(), status.message()),
            BenchError::Io(_)
            | BenchError::Config(_)
            | BenchError::Server(_)
            | BenchError::Transport(_)
            | BenchError::Decode(_)
            | BenchError::Example(_)
            | BenchError::Task(_)
            | BenchError::Answer { .. }
            | BenchError::NoCell(_)
            | BenchError::Fault(_) => format!("{what}: {error}"),
        });
    }

    /// Gives the words of the first call that failed.
    #[must_use]
    pub fn first_error(&self) -> Option<String> {
        self.first_error.lock().clone()
    }
}

/// Counts at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    /// Time since the start.
    pub at: Duration,
    /// Events acknowledged so far.
    pub appended: u64,
    /// Events read so far.
    pub read: u64,
    /// Events delivered so far.
    pub delivered: u64,
    /// Calls that failed so far.
    pub errors: u64,
}

impl Counted {
    /// Takes the counts.
    #[must_use]
    pub fn of(counters: &Counters, at: Duration) -> Self {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Self {
            at,
            appended: load(&counters.appended),
            read: load(&counters.read),
            delivered: load(&counters.delivered),
            errors: load(&counters.errors),
        }
    }
}

/// What was found in a stretch of time, and at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds from the start to the end of the stretch.
    pub at_seconds: f64,
    /// Events acknowledged a second.
    pub appended_per_second: f64,
    /// Half of the appends took at most this, in microseconds; nothing where none ended.
    pub append_p50_us: Option<f64>,
    /// 99 of 100 took at most this.
    pub append_p99_us: Option<f64>,
    /// Events read a second, by all readers.
    pub read_per_second: f64,
    /// Events delivered a second, to all subscribers.
    pub delivered_per_second: f64,
    /// 99 of 100 queries took at most this, in microseconds; nothing where none ended.
    pub query_p99_us: Option<f64>,
    /// 99 of 100 small writes to a file beside the server were synced in at most this, in microseconds.
    pub sync_p99_us: Option<f64>,
    /// Processor time that other guests of the machine's host took, in hundredths of all; nothing where the system does
    /// not tell.
    pub stolen_percent: Option<f64>,
    /// Resident memory of the server, in bytes; nothing where it is no process of its own.
    pub resident: Option<u64>,
    /// Of it, what is not of files.
    pub anonymous: Option<u64>,
    /// Threads of the server.
    pub threads: Option<u64>,
    /// What the data directory takes on the disk, in bytes, without the reserve.
    pub disk: u64,
    /// The last durable position.
    pub head: u64,
    /// Calls that failed in the stretch.
    pub errors: u64,
}

impl Sample {
    /// Takes rates from two counts, and percentiles from what was timed between them.
    #[must_use]
    pub fn between(before: Counted, after: Counted, timed: &Timed) -> Self {
        let seconds = after.at.saturating_sub(before.at).as_secs_f64().max(f64::MIN_POSITIVE);
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        Self {
            at_seconds: after.at.as_secs_f64(),
            appended_per_second: rate(before.appended, after.appended),
            append_p50_us: timed.appends.percentile_us(50),
            append_p99_us: timed.appends.percentile_us(99),
            read_per_second: rate(before.read, after.read),
            delivered_per_second: rate(before.delivered, after.delivered),
            query_p99_us: timed.queries.percentile_us(99),
            sync_p99_us: timed.syncs.percentile_us(99),
            errors: after.errors.saturating_sub(before.errors),
            ..Self::default()
        }
    }

    /// Writes the sample, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "atSeconds": self.at_seconds, "appendedPerSecond": self.appended_per_second,
            "appendP50Us": self.append_p50_us, "appendP99Us": self.append_p99_us,
            "readPerSecond": self.read_per_second, "deliveredPerSecond": self.delivered_per_second,
            "queryP99Us": self.query_p99_us, "syncP99Us": self.sync_p99_us,
            "stolenPercent": self.stolen_percent, "residentBytes": self.resident,
            "anonymousBytes": self.anonymous, "threads": self.threads, "diskBytes": self.disk, "head": self.head,
            "errors": self.errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_stretch_and_not_of_the_run() {
        let mut timed = Timed::default();
        timed.appends.add(Duration::from_millis(1));
        let before = Counted { at: Duration::from_secs(10), appended: 100, errors: 1, ..Counted::default() };
        let after =
            Counted { at: Duration::from_secs(12), appended: 300, read: 8, errors: 4, ..Counted::default() };
        let sample = Sample::between(before, after, &timed);
        assert_eq!(
            (sample.at_seconds, sample.appended_per_second, sample.read_per_second),
            (12.0, 100.0, 4.0)
        );
        assert!(sample.append_p99_us.unwrap() >= 1_000.0);
        assert_eq!((sample.query_p99_us, sample.errors), (None, 3));
    }

    #[test]
    fn the_first_error_is_kept() {
        let counters = Counters::default();
        counters.failed("append", &BenchError::Call(tonic::Status::aborted("a")));
        counters.failed("read", &BenchError::Fault("b"));
        assert_eq!(counters.first_error().unwrap(), "append: Aborted: a");
        assert_eq!(Counted::of(&counters, Duration::ZERO).errors, 2);
    }
}
