//! How long to wait before asking again.

use std::time::Duration;

/// Waits that double up to a bound, within an optional budget for all of them together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    next: Duration,
    longest: Duration,
    budget: Option<Duration>,
    spent: Duration,
}

impl Backoff {
    /// Begins with `first`, doubles up to `longest`, and gives up when the waits together exceed `budget`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration, budget: Option<Duration>) -> Self {
        Self { first, next: first, longest, budget, spent: Duration::ZERO }
    }

    /// Gives the next wait, at least what the server asks for; `None` when the budget is spent.
    pub fn wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let wait = asked.map_or(self.next, |asked| asked.max(self.next));
        let spent = self.spent.saturating_add(wait);
        if self.budget.is_some_and(|budget| spent > budget) {
            return None;
        }
        self.spent = spent;
        self.next = self.next.saturating_mul(2).min(self.longest);
        Some(wait)
    }

    /// Begins anew after a success.
    pub const fn reset(&mut self) {
        self.next = self.first;
        self.spent = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Option<Duration> {
        Some(Duration::from_secs(seconds))
    }

    #[test]
    fn doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5), None);
        let waits: Vec<_> = (0..5).map(|_| backoff.wait(None)).collect();
        assert_eq!(waits, [seconds(1), seconds(2), seconds(4), seconds(5), seconds(5)]);
        backoff.reset();
        assert_eq!(backoff.wait(None), seconds(1));
    }

    #[test]
    fn honours_the_server() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8), None);
        assert_eq!(backoff.wait(seconds(10)), seconds(10));
        assert_eq!(backoff.wait(seconds(1)), seconds(2));
    }

    #[test]
    fn gives_up_when_the_budget_is_spent() {
        let mut backoff = Backoff::new(Duration::from_secs(4), Duration::from_secs(60), seconds(12));
        assert_eq!(backoff.wait(None), seconds(4));
        assert_eq!(backoff.wait(None), seconds(8));
        assert_eq!(backoff.wait(None), None);
        backoff.reset();
        assert_eq!(backoff.wait(seconds(13)), None);
    }
}
