//! The bench: the server beside the limits of the same machine, in one run.
//!
//! A server on a shared machine has no speed of its own; it has a speed beside what the disk, the transport and the
//! neighbours leave at that moment. So each round visits every target in turn, and what counts is the ratio of two
//! cells of the same round. `docs/bench.md` says what each target is and how to read the table.

pub mod answer;
pub mod append;
pub mod beside;
pub mod cell;
pub mod codec;
pub mod error;
pub mod events;
pub mod fold;
pub mod host;
pub mod latency;
pub mod null;
pub mod queries;
pub mod raw;
pub mod read;
pub mod report;
pub mod run;
pub mod samples;
pub mod soak;
pub mod transport;
pub mod work;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use cell::Subscribers;
pub use error::BenchError;
pub use report::Report;
pub use run::run;

/// How much is measured, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often every cell is visited; at least 1.
    pub rounds: usize,
    /// How long a cell is measured.
    pub cell: Duration,
    /// How many events the store holds that is read from; a multiple of [`events::RARE_EVERY`].
    pub stored_events: usize,
    /// How many subscribers there are beside appends.
    pub subscribers: Subscribers,
    /// Only cells whose line `target events work` contains this text, and those that they are compared with.
    pub only: Option<String>,
    /// Where the stores and files are made, each in a temporary directory of its own; nothing = beside the data of
    /// the user.
    pub directory: Option<PathBuf>,
}

impl Settings {
    /// A run to quote.
    #[must_use]
    pub fn full() -> Self {
        Self {
            rounds: 5,
            cell: Duration::from_secs(1),
            stored_events: 50_000,
            subscribers: Subscribers { busy: vec![1, 100, 1_000], idle: vec![1_000, 10_000] },
            only: None,
            directory: None,
        }
    }

    /// A run that shows that everything works; its numbers say little.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            cell: Duration::from_millis(200),
            stored_events: 2_000,
            subscribers: Subscribers { busy: vec![1, 10, 100], idle: vec![100, 1_000] },
            only: None,
            directory: None,
        }
    }
}

/// A stretch of time that is measured, after one that is not.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Time to warm up, from the start.
    pub warm: Duration,
    /// When the measurement ends, from the start.
    pub end: Duration,
}

impl Window {
    /// Puts a tenth of the cell before it.
    #[must_use]
    pub fn of(cell: Duration) -> Self {
        let warm = cell / 10;
        Self { warm, end: warm + cell }
    }
}
