//! Runs of every kind, cut at many moments.

use std::path::Path;

use crate::cycles::{self, Tally};
use crate::faults::Kind;
use crate::program;
use crate::replay::{self, Disk};
use crate::trace::Random;
use crate::workload::{self, Run};

/// Runs the server under one kind of fault and cuts what it wrote `cuts` times.
pub async fn cycles(kind: Kind, seed: u64, cuts: usize, bug: Option<&str>, tally: &mut Tally) {
    let scratch = program::scratch();
    let run = one_run(kind, seed, bug, scratch.path()).await;
    if !run.witness.contradictions.is_empty() || run.violations.is_empty() {
        tally.count(&format!("{}; run", kind.name()));
    }
    tokio::task::block_in_place(|| {
        cycles::cut(&run, kind.name(), cuts, seed, tally, scratch.path());
    });
}

async fn one_run(kind: Kind, seed: u64, bug: Option<&str>, scratch: &Path) -> Run {
    let phases = kind.phases(&mut Random(seed));
    workload::run(&scratch.join("run"), seed, &phases, bug).await
}

/// Fails with everything that was broken.
fn assert_kept(tally: &Tally) {
    tally.print();
    let said: Vec<String> =
        tally.violations.iter().map(|found| format!("{}: {}", found.kind, found.text)).collect();
    assert!(said.is_empty(), "{} broken promises:\n{}", said.len(), said.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shim_sees_every_write() {
    let scratch = program::scratch();
    for kind in [Kind::None, Kind::Full] {
        let directory = scratch.path().join(format!("{kind:?}"));
        let run = workload::run(&directory, 11, &kind.phases(&mut Random(11)), None).await;
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
    let fresh = u64::from_le_bytes(*uuid::Uuid::new_v4().as_bytes().first_chunk().unwrap());
    let cuts = std::env::var("CUTS").ok().map_or(60, |text| text.parse().unwrap());
    for kind in Kind::ALL {
        for seed in [1, 2, fresh] {
            eprintln!("{} with seed {seed}", kind.name());
            cycles(kind, seed, cuts, None, &mut tally).await;
        }
    }
    assert_kept(&tally);
}
