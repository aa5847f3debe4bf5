//! The crash suite for hours: `cargo test --release --test torture -- --cycles 12000 --report docs/torture.md`.
//!
//! `-- --replay DIR --calls N --survival KIND --seed N` repeats one cycle that failed, from what the failure kept.
//! `-- --cycles 0 --open 1000000` measures openings after SIGKILL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_debug_implementations,
    dead_code,
    reason = "a test says what it expects by failing; some files serve another binary, too"
)]

mod check;
mod cycles;
#[path = "../it/events.rs"]
mod events;
mod faults;
mod flips;
mod hunt;
mod opening;
mod program;
mod replay;
mod report;
mod storms;
mod suite;
mod trace;
mod witness;
mod workload;

use std::path::Path;
use std::process::Command;

use clap::Parser;

use check::Judge;
use cycles::{Cycle, Tally};
use faults::Kind;
use replay::{Disk, Survival};
use report::Report;
use trace::Random;
use witness::Witness;

/// What to do.
#[derive(Parser, Debug)]
struct Arguments {
    /// Fault cycles to go through
    #[arg(long, default_value_t = 12_000)]
    cycles: u64,
    /// Seed of the first run
    #[arg(long)]
    seed: Option<u64>,
    /// Moments of each run that are checked
    #[arg(long, default_value_t = 60)]
    cuts: usize,
    /// Only this kind of fault
    #[arg(long)]
    only: Option<String>,
    /// Rounds of the contest under one condition; the other storms are sized after it. 0 leaves storms out
    #[arg(long, default_value_t = 10_000)]
    storms: u64,
    /// Hunts for the deliberate faults, too
    #[arg(long)]
    hunts: bool,
    /// Hunts for the deliberate fault that `ANNALS_SEEDED_BUG` names
    #[arg(long, hide = true)]
    hunt: bool,
    /// Measures the opening of a store of that many events after SIGKILL
    #[arg(long, default_value_t = 0)]
    open: u64,
    /// Writes what was done to this file
    #[arg(long)]
    report: Option<std::path::PathBuf>,
    /// Repeats one cycle of the run kept in this directory; needs --calls, --survival and --seed
    #[arg(long)]
    replay: Option<std::path::PathBuf>,
    #[arg(long, default_value_t = 0)]
    calls: usize,
    #[arg(long, default_value = "Nothing")]
    survival: String,
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(kept) = &arguments.replay {
        return replay_one(kept, &arguments);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if arguments.hunt {
        return runtime.block_on(hunt::here());
    }
    let seed = arguments.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let mut report = Report { seed, ..Report::default() };
    let begin = std::time::Instant::now();
    if arguments.storms > 0 {
        report.storms = runtime.block_on(storms(arguments.storms, seed));
    }
    if arguments.hunts {
        let hunter = || {
            let mut hunter = Command::new(std::env::current_exe().unwrap());
            hunter.arg("--hunt");
            hunter
        };
        report.caught = hunt::all(hunter).unwrap_or_else(|survived| panic!("not caught: {survived:#?}"));
    }
    if arguments.open > 0 {
        (report.openings, report.opened_bytes) = runtime.block_on(opening::measure(arguments.open));
        report.opened_events = arguments.open;
        eprintln!("{:#?}", report.openings);
    }
    let before = begin.elapsed().as_secs();
    report.tally = runtime.block_on(torture(&arguments, seed));
    report.seconds = begin.elapsed().as_secs() - before;
    report.tally.print();
    if let Some(path) = &arguments.report {
        std::fs::write(path, report.text()).unwrap();
    }
    program::forget_shim();
    assert!(report.tally.violations.is_empty(), "promises were broken");
}

async fn storms(rounds: u64, seed: u64) -> Vec<String> {
    storms::contest(rounds).await;
    let mut said = vec![format!(
        "Eight appends at once under one `none_since` condition, {rounds} rounds: each time exactly one succeeded."
    )];
    let (cancelled, answered) = storms::cancel(rounds / 20, seed).await;
    said.push(format!(
        "{cancelled} appends cancelled while others were committed: all {answered} others were answered and are in their \
         places, each cancelled one is there whole or not at all."
    ));
    let (appends, calls, crashes) = storms::retry(rounds / 20, seed).await;
    said.push(format!(
        "{appends} appends sent {calls} times by twelve clients across {crashes} crashes: each event is recorded once, and \
         every answer named its original place."
    ));
    said.iter().for_each(|line| eprintln!("{line}"));
    said
}

async fn torture(arguments: &Arguments, seed: u64) -> Tally {
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let mut tally = Tally::default();
    let kinds: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| arguments.only.as_ref().is_none_or(|only| *only == format!("{kind:?}")))
        .collect();
    while tally.total() < arguments.cycles {
        flips::cycles(random.next(), arguments.cuts / 4, &mut tally).await;
        for kind in &kinds {
            suite::cycles(*kind, random.next(), arguments.cuts, &mut tally).await;
        }
        eprintln!("{} cycles, {} broken promises", tally.total(), tally.violations.len());
    }
    tally
}

fn replay_one(kept: &Path, arguments: &Arguments) {
    let survival = Survival::ALL.into_iter().find(|survival| format!("{survival:?}") == arguments.survival);
    let cycle = Cycle {
        calls: arguments.calls,
        survival: survival.expect("--survival is one of those that failures print"),
        seed: arguments.seed.expect("--seed"),
    };
    let calls = trace::read(&kept.join("trace"));
    let mut disk = Disk::default();
    calls[..cycle.calls].iter().for_each(|call| disk.apply(call));
    for call in &calls[cycle.calls.saturating_sub(12)..cycle.calls] {
        eprintln!(
            "{:?} {} error {} at {} {} bytes",
            call.kind,
            call.path,
            call.error,
            call.offset,
            call.data.len()
        );
    }
    let judge = Judge::new(Witness::load(&kept.join("witness")));
    let scratch = kept.join("again");
    match cycles::one(&disk, &calls, &judge, &cycle, &scratch) {
        Ok((events, retries)) => {
            eprintln!("{cycle:?} keeps every promise: {events} events, {retries} retries")
        }
        Err(text) => {
            eprintln!("{cycle:?} breaks one: {text}");
            std::process::exit(1);
        }
    }
}
