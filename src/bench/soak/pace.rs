//! A pace that clients keep together.

use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Stopwatch;

/// Says when the next events may be sent. What a slow moment cost is not made up for: the load is steady, or less.
#[derive(Debug)]
pub struct Pace {
    watch: Stopwatch,
    /// When the next may be sent.
    next: Mutex<Duration>,
    /// Time from one event to the next.
    each: Duration,
}

impl Pace {
    /// Sets a pace in events a second.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        let each =
            Duration::try_from_secs_f64(1.0 / per_second.max(f64::MIN_POSITIVE)).unwrap_or(Duration::MAX);
        Self { watch: Stopwatch::start(), next: Mutex::default(), each }
    }

    /// Waits until so many events may be sent.
    pub async fn wait(&self, events: u32) {
        let at = self.take(events, self.watch.elapsed());
        tokio::time::sleep(at.saturating_sub(self.watch.elapsed())).await;
    }

    fn take(&self, events: u32, now: Duration) -> Duration {
        let mut next = self.next.lock();
        let at = (*next).max(now);
        *next = at.saturating_add(self.each.saturating_mul(events));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_follow_each_other_and_a_pause_is_not_made_up_for() {
        let pace = Pace::new(1_000.0);
        let millis = Duration::from_millis;
        for (events, now, expected) in [(1, 0, 0), (100, 0, 1), (1, 2, 101), (1, 500, 500), (1, 500, 501)] {
            assert_eq!(pace.take(events, millis(now)), millis(expected), "{events} at {now}");
        }
    }
}
