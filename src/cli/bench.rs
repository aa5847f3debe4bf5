//! `annals bench`: measures the server beside the limits of the machine.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output};
use crate::bench::{self, BenchError, Report, Settings};
use crate::server::{LogFormat, telemetry};

const EXAMPLES: &str = "\
Examples:
  annals bench
  annals bench --quick
  annals bench --directory /srv/annals --out bench.json

Servers run in this process, on ports of their own, and their files in temporary directories that are deleted at the \
end. The ratios say more than the rates: each compares two cells of the same round. docs/bench.md says how to read \
them.";

/// Measures the server beside the raw disk, a server that stores nothing and one that only writes a file
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Bench {
    /// Where the files are made; take the disk that the data will stand on [default: that of the user's data]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,

    /// Only show that everything works: 1 round of 0.2 s a cell
    #[arg(long)]
    quick: bool,

    /// How often every cell is measured [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: Option<u16>,

    /// How long a cell is measured, in milliseconds [default: 1000]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    cell: Option<u64>,

    /// Also write everything, with each round, to this file, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Bench {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when a server fails or answers wrongly.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        telemetry::init(LogFormat::Human, "warn").map_err(|error| Failure::internal(error.to_string()))?;
        let settings = self.settings();
        let bar = output::progress(Some(0), "[{bar:30}] {pos} of {len} cells, {eta} left");
        let shown = bar.clone();
        let work = tokio::task::spawn_blocking(move || {
            bench::run(&settings, &|done, all| {
                shown.set_length(u64::try_from(all).unwrap_or(u64::MAX));
                shown.set_position(u64::try_from(done).unwrap_or(u64::MAX));
            })
        });
        let report = work.await.unwrap_or_else(|panicked| Err(BenchError::Task(panicked)));
        bar.finish_and_clear();
        self.show(&report.map_err(|error| failed(&error))?, context.json)
    }

    fn settings(&self) -> Settings {
        let base = if self.quick { Settings::quick() } else { Settings::full() };
        Settings {
            rounds: self.rounds.map_or(base.rounds, usize::from),
            cell: self.cell.map_or(base.cell, Duration::from_millis),
            directory: self.directory.clone(),
            ..base
        }
    }

    fn show(&self, report: &Report, json: bool) -> Result<(), Failure> {
        if let Some(path) = &self.out {
            let text = format!("{:#}\n", report.json());
            std::fs::write(path, text).map_err(|error| {
                Failure::new(Exit::CannotCreate, format!("cannot write {}: {error}", path.display()))
            })?;
        }
        if json {
            return output::line(report.json());
        }
        output::line(report.facts())?;
        output::line(report.table())
    }
}

fn failed(error: &BenchError) -> Failure {
    let exit = match error {
        BenchError::Io(_) => Exit::Io,
        BenchError::Config(_) => Exit::Config,
        BenchError::Server(_)
        | BenchError::Transport(_)
        | BenchError::Call(_)
        | BenchError::Decode(_)
        | BenchError::Example(_)
        | BenchError::Task(_)
        | BenchError::Answer { .. }
        | BenchError::Fault(_) => Exit::Internal,
    };
    Failure::caused(exit, "the bench broke off", error)
}
