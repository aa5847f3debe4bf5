//! Runs of every kind, cut at many moments.

use crate::cycles::{self, Tally};
use crate::faults::Kind;
use crate::program;
use crate::trace::Random;
use crate::workload;

/// Runs the server under one kind of fault and cuts what it wrote `cuts` times.
pub async fn cycles(kind: Kind, seed: u64, cuts: usize, tally: &mut Tally) {
    let scratch = program::scratch();
    let phases = kind.phases(&mut Random(seed));
    let run = workload::run(&scratch.path().join("run"), seed, &phases).await;
    tally.count(&format!("{}; the program itself, opened again", kind.name()));
    tokio::task::block_in_place(|| {
        cycles::cut(&run, kind.name(), cuts, seed, tally, scratch.path());
    });
}
