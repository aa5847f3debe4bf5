//! Which runs a random test makes, and which one failed.

/// Reads a number from the environment: `ANNALS_RANDOM_STEPS` for how much in all, `ANNALS_RANDOM_SEED` for another
/// first seed.
pub(crate) fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap())
}

/// Tells which run failed, so that it can be run again: holds the seed while the run goes on.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with ANNALS_RANDOM_SEED={}", self.0);
        }
    }
}
