//! The crash suite: faults under the real program, and everything that a client may rely on checked after each.
//!
//! `shim/shim.c` lies under the server: it records every call that changes a file, and makes chosen ones fail.
//! `replay.rs` makes of the record what a power cut at any moment may leave; `check.rs` holds a store against what
//! `witness.rs` was told. `torture.rs` is the same for hours.
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
#[path = "../it/harness.rs"]
mod harness;
mod hunt;
mod kills;
mod program;
mod replay;
mod storms;
mod suite;
mod trace;
mod witness;
mod workload;

use cycles::Tally;
use faults::Kind;
use replay::Disk;
use trace::Random;

/// A seed that nobody has tried; failures print it.
fn fresh_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shim_sees_every_write() {
    let scratch = program::scratch();
    for kind in [Kind::None, Kind::Full] {
        let directory = scratch.path().join(format!("{kind:?}"));
        let run = workload::run(&directory, 11, &kind.phases(&mut Random(11))).await;
        let mut disk = Disk::default();
        run.calls.iter().for_each(|call| disk.apply(call));
        let (replayed, real) = (disk.cached(), replay::read(&directory.join("data")));
        assert_eq!(replayed.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
        for (path, content) in &real {
            assert!(replayed[path] == *content, "{path} differs from its replay");
        }
        assert!(run.calls.len() > 100, "the server must have written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_break_no_promise() {
    let mut tally = Tally::default();
    for seed in [1, fresh_seed()] {
        eprintln!("seed {seed}");
        flips::cycles(seed, 36, &mut tally).await;
        for kind in Kind::ALL {
            cycles_of(kind, seed, &mut tally).await;
        }
    }
    tally.print();
    assert!(tally.violations.is_empty(), "{} broken promises, see above", tally.violations.len());
}

async fn cycles_of(kind: Kind, seed: u64, tally: &mut Tally) {
    suite::cycles(kind, seed, 36, tally).await;
}

/// Run by [`every_seeded_bug_is_caught`] in a process of its own, where a fault is on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "without a deliberate fault there is nothing to find"]
async fn hunt_here() {
    hunt::here().await;
}

#[test]
fn every_seeded_bug_is_caught() {
    let hunter = || {
        let mut hunter = std::process::Command::new(std::env::current_exe().unwrap());
        hunter.args(["hunt_here", "--exact", "--ignored", "--nocapture"]);
        hunter
    };
    let caught = hunt::all(hunter).unwrap_or_else(|survived| panic!("not caught: {survived:#?}"));
    assert_eq!(caught.len(), annals::seeded::Bug::ALL.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_appends_under_one_condition_exactly_one_succeeds() {
    storms::contest(500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_appends_leave_all_others_unharmed() {
    let (cancelled, answered) = storms::cancel(40, fresh_seed()).await;
    assert!(cancelled > 20 && answered > 340, "{cancelled} cancelled, {answered} answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_storm_across_crashes_records_each_event_once() {
    let (appends, calls, crashes) = storms::retry(40, fresh_seed()).await;
    assert!(calls > 2 * appends && crashes > 1, "{appends} appends, {calls} calls, {crashes} crashes");
}
