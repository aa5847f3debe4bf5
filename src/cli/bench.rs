//! `annals bench`: measures the server beside the limits of the machine.

mod queries;
mod soak;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output, signal};
use crate::bench::queries::serving::Program;
use crate::bench::{self, BenchError, Settings};
use crate::server::{LogFormat, telemetry};

const EXAMPLES: &str = "\
Examples:
  annals bench
  annals bench --quick
  annals bench --only \"append 1 x 16\" --rounds 3
  annals bench --directory /srv/annals --out bench.json
  annals bench --queries events.jsonl.gz more.jsonl.gz --events 1000000
  annals bench --soak 60 --directory /srv/annals --out soak.json --plot soak.svg

Servers run in this process, on ports of their own, and with --queries and --soak as a process of their own; their \
files stand in temporary directories that are deleted at the end. The ratios say more than the rates: each compares two \
cells of the same round. docs/bench.md says how to read them.";

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

    /// Measure only cells whose line `target events work`, as in `annals smallest append 1 x 16 clients`, contains this,
    /// and those that they are compared with
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["queries", "soak"])]
    only: Option<String>,

    #[command(flatten)]
    queries: queries::Queries,

    #[command(flatten)]
    soak: soak::Soak,

    /// Also write everything, with each round or sample, to this file, as JSON
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
        if self.queries.are_asked() {
            return self.queries.run(self, context).await;
        }
        if self.soak.is_asked() {
            return self.soak.run(self, context).await;
        }
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
        let report = report.map_err(|error| failed(&error))?;
        self.show(context, &report.json(), || {
            output::line(report.facts())?;
            output::line(report.table())
        })
    }

    fn settings(&self) -> Settings {
        let base = if self.quick { Settings::quick() } else { Settings::full() };
        Settings {
            rounds: self.rounds.map_or(base.rounds, usize::from),
            cell: self.cell.map_or(base.cell, Duration::from_millis),
            only: self.only.clone(),
            directory: self.directory.clone(),
            ..base
        }
    }

    fn show(
        &self,
        context: &Context,
        report: &Value,
        people: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if let Some(path) = &self.out {
            let text = format!("{report:#}\n");
            std::fs::write(path, text).map_err(|error| {
                Failure::new(Exit::CannotCreate, format!("cannot write {}: {error}", path.display()))
            })?;
        }
        if context.json {
            return output::line(report);
        }
        people()
    }
}

/// Ends a long run, and with it its server, when the program is interrupted.
fn stop_when_interrupted() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        signal::interrupted().await;
        told.cancel();
    });
    stop
}

/// Gives the program that serves in a process of its own.
fn this_program() -> Result<Program, Failure> {
    let path = std::env::current_exe();
    path.map(Program::Child).map_err(|error| failed(&BenchError::Io(error)))
}

fn failed(error: &BenchError) -> Failure {
    let exit = match error {
        BenchError::Io(_) => Exit::Io,
        BenchError::Config(_) => Exit::Config,
        BenchError::NoCell(_) => Exit::Usage,
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    fn settings(line: &[&str]) -> Settings {
        let line = Line::try_parse_from([&["bench"], line].concat()).unwrap();
        line.bench.settings()
    }

    #[test]
    fn the_line_chooses_what_is_measured() {
        let settings = settings(&["--quick", "--only", "append 1 x 16", "--rounds", "3"]);
        assert_eq!((settings.only.as_deref(), settings.rounds), (Some("append 1 x 16"), 3));
        assert_eq!(settings.cell, Settings::quick().cell);
        assert_eq!(super::tests::settings(&[]).only, None);
        for other in [["--queries", "f"], ["--soak", "1"]] {
            let line = [&["bench", "--only", "x"][..], &other].concat();
            assert!(Line::try_parse_from(line).is_err(), "{other:?} has no cells");
        }
    }

    #[test]
    fn a_text_that_is_in_no_cell_is_an_error_of_the_line() {
        assert_eq!(failed(&BenchError::NoCell("x".to_owned())).exit(), Exit::Usage);
    }
}
