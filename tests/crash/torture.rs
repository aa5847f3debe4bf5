//! The crash suite for hours: `cargo test --release --test torture -- --cycles 12000 --report docs/torture.md`.
//!
//! `-- --replay DIR --calls N --survival KIND --seed N` repeats one cycle that failed, from what the failure kept.
//! `-- open --events 1000000` measures an opening after SIGKILL.
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
mod program;
mod replay;
mod storms;
mod suite;
mod trace;
mod witness;
mod workload;

use std::path::Path;

use clap::Parser;

use check::Judge;
use cycles::{Cycle, Tally};
use faults::Kind;
use replay::{Disk, Survival};
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
    let tally = runtime.block_on(torture(&arguments));
    tally.print();
    assert!(tally.violations.is_empty(), "promises were broken");
}

async fn torture(arguments: &Arguments) -> Tally {
    let seed = arguments.seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
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
