//! Samples, and what is said of them.

use std::time::Duration;

use super::queries::process;

/// What one visit of a cell gave.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Events handled.
    pub events: usize,
    /// In this time.
    pub elapsed: Duration,
    /// How long each call, sync or delivery took.
    pub latencies: Vec<Duration>,
    /// How long the acknowledgement took of what was delivered; empty but for subscriptions.
    pub acknowledgements: Vec<Duration>,
    /// Events a second that subscribers and readers got beside what was measured; nothing where there were none.
    pub beside_per_second: Option<f64>,
    /// What the process held in memory at the end, while clients and server still had all of theirs; nothing where it
    /// is not known.
    pub resident_bytes: Option<u64>,
}

impl Measured {
    /// Gives the rate.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Gives the resident bytes of this process: server, clients and bench together, as they share it.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    process::memory(std::process::id()).map(|memory| memory.resident)
}

/// Gives the sample that this share of the samples, in hundredths, does not exceed, in microseconds; 0 for none.
#[must_use]
pub fn percentile_us(samples: &[Duration], hundredths: usize) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    // Nearest rank.
    let rank = (sorted.len() * hundredths).div_ceil(100).saturating_sub(1);
    sorted.get(rank).map_or(0.0, |sample| sample.as_secs_f64() * 1e6)
}

/// Gives the median; the mean of the two in the middle of an even number; 0 for none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = sorted.get(half).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 {
        return upper;
    }
    let lower = half.checked_sub(1).and_then(|below| sorted.get(below)).copied();
    lower.map_or(upper, |lower| f64::midpoint(lower, upper))
}
