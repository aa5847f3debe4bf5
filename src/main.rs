//! The `annals` program.

use std::process::ExitCode;

/// Most of what a server allocates is small, and freed by another thread than the one that asked for it; the
/// allocator of glibc takes a quarter of the time of a query for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    annals::cli::run(std::env::args_os())
}
