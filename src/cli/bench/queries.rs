//! `annals bench --queries`: a store of many events.

use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use super::{Bench, failed};
use crate::bench::queries::{self, QuerySettings};
use crate::bench::{BenchError, Subscribers};
use crate::cli::failure::Failure;
use crate::cli::{Context, input, output};

/// What is asked of a large store.
#[derive(Args, Debug)]
pub(super) struct Queries {
    /// Measure instead a store filled with copies of the events in these files: how long each query takes, how long it
    /// takes to open, its space on disk and in memory, and what it takes and gives beside an empty store; the server is a process of its own
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["quick", "rounds"])]
    queries: Vec<String>,

    /// With --queries, fill the store with at least so many events; 10 million take about 12 GB and half an hour
    #[arg(long, value_name = "N", default_value_t = 1_000_000, requires = "queries")]
    events: usize,
}

impl Queries {
    pub(super) const fn are_asked(&self) -> bool {
        !self.queries.is_empty()
    }

    pub(super) async fn run(&self, bench: &Bench, context: &Context) -> Result<(), Failure> {
        let (stop, program) = (super::stop_when_interrupted(), super::this_program()?);
        let settings = QuerySettings {
            events: self.events,
            subscribers: Subscribers { busy: vec![100], idle: vec![1_000, 10_000] },
            cell: bench.cell.map_or(Duration::from_secs(2), Duration::from_millis),
            directory: bench.directory.clone(),
            program,
            stop,
        };
        let bar = output::progress(Some(0), "[{bar:30}] {pos} of {len} steps, {eta} left");
        let files = self.queries.iter().map(|path| input::open(path, &ProgressBar::hidden()));
        let files = files.collect::<Result<Vec<_>, Failure>>()?;
        let shown = bar.clone();
        let work = tokio::task::spawn_blocking(move || {
            queries::run(files, &settings, &|done, all| {
                shown.set_length(u64::try_from(all).unwrap_or(u64::MAX));
                shown.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            })
        });
        let report = work.await.unwrap_or_else(|panicked| Err(BenchError::Task(panicked)));
        bar.finish_and_clear();
        let report = report.map_err(|error| failed(&error))?;
        bench.show(context, &report.json(), || {
            output::line(report.facts())?;
            output::line(report.table())?;
            output::line("")?;
            output::line(report.loads_table())?;
            output::line("")?;
            output::line(report.figures.table())
        })
    }
}
