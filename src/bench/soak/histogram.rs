//! A histogram of durations in fixed space, so that an hour of calls takes no more memory than a second.

use std::time::Duration;

/// Buckets of each power of two are 2 to the power of this: no duration is told wrong by more than 1 in 32.
const FINE_BITS: u32 = 5;
/// Buckets of each power of two.
const FINE: usize = 1 << FINE_BITS;
/// Powers of two of a number of nanoseconds in 64 bits, with buckets for those that are fewer than [`FINE`].
const BUCKETS: usize = (64 - FINE_BITS as usize + 1) * FINE;

/// Counts durations.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u32>,
    count: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket(nanos)) {
            *bucket = bucket.saturating_add(1);
            self.count += 1;
        }
    }

    /// Gives how many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Gives the duration that this share of all, in hundredths, does not exceed, in microseconds; nothing for none.
    #[must_use]
    pub fn percentile_us(&self, hundredths: u64) -> Option<f64> {
        // Nearest rank.
        let rank = (self.count * hundredths).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.buckets.iter().position(|bucket| {
            seen += u64::from(*bucket);
            seen >= rank
        })?;
        Some(greatest(found) / 1e3)
    }
}

/// Gives the bucket of a number: its highest bits, and how many there are below them.
fn bucket(nanos: u64) -> usize {
    let below = (u64::BITS - nanos.leading_zeros()).saturating_sub(FINE_BITS + 1);
    let high = usize::try_from(nanos >> below).unwrap_or_default();
    usize::try_from(below).unwrap_or_default() * FINE + high
}

/// Gives the end of a bucket, in nanoseconds.
fn greatest(bucket: usize) -> f64 {
    let below = (bucket / FINE).saturating_sub(1);
    let high = bucket - below * FINE;
    (high + 1) as f64 * 2_f64.powi(i32::try_from(below).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near_the_truth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile_us(50), None);
        (1..=10_000).for_each(|micros| histogram.add(Duration::from_micros(micros)));
        assert_eq!(histogram.count(), 10_000);
        for (hundredths, truth) in [(1, 100.0), (50, 5_000.0), (99, 9_900.0), (100, 10_000.0)] {
            let found = histogram.percentile_us(hundredths).unwrap();
            assert!(found >= truth && found <= truth * 1.04, "{hundredths}: {found}");
        }
    }

    #[test]
    fn every_duration_has_a_bucket_that_ends_behind_it() {
        let mut last = 0;
        for nanos in [0, 1, 31, 32, 63, 64, 65, 1_000, 123_456_789, u64::MAX / 2, u64::MAX] {
            let bucket = bucket(nanos);
            assert!(bucket < BUCKETS && bucket >= last, "{nanos}: {bucket}");
            assert!(greatest(bucket) >= nanos as f64, "{nanos}: {}", greatest(bucket));
            last = bucket;
        }
    }
}
