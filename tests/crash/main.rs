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
#[path = "../it/harness.rs"]
mod harness;
mod kills;
mod program;
mod replay;
mod suite;
mod trace;
mod witness;
mod workload;
