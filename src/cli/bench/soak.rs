//! `annals bench --soak`: a server under a steady load.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Bench, failed};
use crate::bench::BenchError;
use crate::bench::soak::{self, SoakSettings};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::{Context, output};

/// What is done for long.
#[derive(Args, Debug)]
pub(super) struct Soak {
    /// Measure instead whether a server stays as fast as it began: so many minutes of appends, reads, subscriptions
    /// and queries at once; fractions are taken [60 without a value]
    #[arg(long, value_name = "MINUTES", num_args = 0..=1, default_missing_value = "60", value_parser = minutes,
        conflicts_with_all = ["quick", "rounds", "cell", "queries"])]
    soak: Option<Duration>,

    /// With --soak, append at most so many events a second, so that the disk does not fill; 0 = no limit
    #[arg(long, value_name = "N", default_value_t = SoakSettings::EVENTS_PER_SECOND, requires = "soak")]
    rate: u32,

    /// With --soak, draw the samples in this file, as SVG
    #[arg(long, value_name = "FILE", requires = "soak")]
    plot: Option<PathBuf>,
}

/// Longest soak: a week.
const MINUTES_MAX: f64 = 7.0 * 24.0 * 60.0;
/// Shortest: less has no 60 samples worth the name.
const MINUTES_MIN: f64 = 0.05;

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "must be a number of minutes")?;
    if !(MINUTES_MIN..=MINUTES_MAX).contains(&minutes) {
        return Err(format!("must be {MINUTES_MIN} to {MINUTES_MAX} minutes"));
    }
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

impl Soak {
    pub(super) const fn is_asked(&self) -> bool {
        self.soak.is_some()
    }

    pub(super) async fn run(&self, bench: &Bench, context: &Context) -> Result<(), Failure> {
        let (stop, program) = (super::stop_when_interrupted(), super::this_program()?);
        let settings = SoakSettings {
            duration: self.soak.unwrap_or_default(),
            events_per_second: f64::from(self.rate),
            clients: SoakSettings::CLIENTS,
            directory: bench.directory.clone(),
            program,
            stop,
        };
        let bar = output::progress(Some(0), "[{bar:30}] {pos} of {len} samples, {eta} left; {msg}");
        let shown = bar.clone();
        let work = tokio::task::spawn_blocking(move || {
            soak::run(&settings, &|done, all, sample| {
                shown.set_length(u64::try_from(all).unwrap_or(u64::MAX));
                shown.set_position(u64::try_from(done).unwrap_or(u64::MAX));
                shown
                    .set_message(format!("{:.0} events/s, head {}", sample.appended_per_second, sample.head));
            })
        });
        let report = work.await.unwrap_or_else(|panicked| Err(BenchError::Task(panicked)));
        bar.finish_and_clear();
        let report = report.map_err(|error| failed(&error))?;
        if let Some(path) = &self.plot {
            std::fs::write(path, report.svg()).map_err(|error| {
                Failure::new(Exit::CannotCreate, format!("cannot write {}: {error}", path.display()))
            })?;
        }
        bench.show(context, &report.json(), || {
            output::line(report.facts())?;
            output::line(report.table())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_have_bounds() {
        for (text, expected) in [("60", Some(3_600.0)), ("0.5", Some(30.0)), ("0", None), ("x", None)] {
            let found = minutes(text).ok().map(|duration| duration.as_secs_f64());
            assert_eq!(found, expected, "{text}");
        }
        assert!(minutes("NaN").is_err() && minutes("1e9").is_err());
    }
}
