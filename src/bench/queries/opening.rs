//! Opens a store again and again: after a kill, warm, cold, and without its index.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::Steps;
use super::figures::{Figures, Mark, Unit};
use super::load::{Loaded, check_head};
use super::process::{self, Memory};
use super::serving::{Site, Started};
use super::space::{self, Space};
use crate::bench::error::BenchError;
use crate::bench::samples::median;

/// Steps of this part of a run.
pub const STEPS: usize = 3 + WARM_OPENS;
/// How often a warm open is measured.
const WARM_OPENS: usize = 3;
/// Time that a warm open may take, in seconds.
const WARM_OPEN_MAX: f64 = 2.0;
/// Events that a core should fold in a second.
const FOLD_MIN: f64 = 500_000.0;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// What the store takes on the disk once it was closed.
    pub space: Space,
    /// Memory right after a warm open.
    pub memory: Option<Memory>,
    after_kill: Option<Duration>,
    stop: Duration,
    warm: Vec<f64>,
    cold: Option<Duration>,
    cold_bytes_read: Option<u64>,
    rebuild: Duration,
    rebuild_cpu: Option<Duration>,
}

/// Opens the store of a site, whose server runs, in every way; leaves the server running.
///
/// # Errors
/// [`BenchError`] when the server does not start or stop, or does not hold what was loaded.
pub(super) fn measure(
    site: &mut Site,
    clients: &Runtime,
    loaded: &Loaded,
    steps: &mut Steps<'_>,
) -> Result<Opened, BenchError> {
    let mut opened = Opened::default();
    let open = |site: &mut Site| -> Result<Started, BenchError> {
        let started = site.start()?;
        clients.block_on(check_head(started.address, loaded.events))?;
        Ok(started)
    };
    // First, while what was loaded was never closed well.
    if site.is_child() {
        site.kill()?;
        opened.after_kill = Some(open(site)?.took);
    }
    opened.stop = site.stop()?;
    opened.space = Space::of(&site.data())?;
    steps.next()?;
    for _ in 0..WARM_OPENS {
        opened.warm.push(open(site)?.took.as_secs_f64());
        opened.memory = site.pid().and_then(process::memory);
        site.stop()?;
        steps.next()?;
    }
    if space::forget(&site.data())? {
        opened.cold = Some(open(site)?.took);
        opened.cold_bytes_read = site.pid().and_then(process::bytes_read);
        site.stop()?;
    }
    steps.next()?;
    // There is no call that builds the index anew; it is built while a store without one is opened.
    match std::fs::remove_dir_all(site.data().join("index")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    opened.rebuild = open(site)?.took;
    opened.rebuild_cpu = site.pid().and_then(process::cpu);
    steps.next()?;
    Ok(opened)
}

impl Opened {
    /// Adds what was found but space and memory.
    pub fn add_to(&self, figures: &mut Figures, events: usize) {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let per_second = |time: Option<Duration>| {
            seconds(time).filter(|seconds| *seconds > 0.0).map(|seconds| events as f64 / seconds)
        };
        let read = self.cold_bytes_read.map(|bytes| bytes as f64);
        figures.add("stop", seconds(Some(self.stop)), Unit::Seconds);
        figures.add("open after kill -9", seconds(self.after_kill), Unit::Seconds);
        let warm = median(&self.warm);
        figures.marked("open, warm, median of 3", warm, Unit::Seconds, Mark::AtMost(WARM_OPEN_MAX));
        figures.add("open, cold", seconds(self.cold), Unit::Seconds);
        figures.add("open, cold, read from the disk", read, Unit::Bytes);
        figures.add("open without an index", seconds(Some(self.rebuild)), Unit::Seconds);
        figures.add("index rebuild", per_second(Some(self.rebuild)), Unit::PerSecond);
        let a_core = per_second(self.rebuild_cpu);
        figures.marked("index rebuild, a core", a_core, Unit::PerSecond, Mark::AtLeast(FOLD_MIN));
    }
}
