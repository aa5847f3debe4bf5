//! Fault cycles: a moment of a run, a fault there, a check of what is left.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::{Ask, Judge};
use crate::replay::{self, Disk, Survival};
use crate::trace::{Call, Kind, Random};
use crate::workload::Run;

/// One cycle, with all that repeats it.
#[derive(Clone, Debug)]
pub struct Cycle {
    /// Calls that came before the fault.
    pub calls: usize,
    pub survival: Survival,
    pub seed: u64,
}

/// A broken promise.
#[derive(Clone, Debug)]
pub struct Violation {
    pub kind: String,
    pub text: String,
}

/// What was done and found.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cycles of each kind of fault.
    pub cycles: BTreeMap<String, u64>,
    pub events_checked: u64,
    pub retries: u64,
    pub violations: Vec<Violation>,
    /// Cycles until the first violation.
    pub first: Option<u64>,
}

impl Tally {
    pub fn total(&self) -> u64 {
        self.cycles.values().sum()
    }

    pub fn count(&mut self, kind: &str) {
        *self.cycles.entry(kind.to_owned()).or_default() += 1;
    }

    /// Says what was done.
    pub fn print(&self) {
        for (kind, count) in &self.cycles {
            eprintln!("{count:>6} {kind}");
        }
        eprintln!(
            "{} cycles, {} events checked, {} retries",
            self.total(),
            self.events_checked,
            self.retries
        );
        for found in &self.violations {
            eprintln!("BROKEN {}: {}", found.kind, found.text);
        }
    }

    pub fn broken(&mut self, kind: &str, text: String) {
        self.first.get_or_insert(self.cycles.values().sum::<u64>().max(1));
        self.violations.push(Violation { kind: kind.to_owned(), text });
    }
}

/// Cuts a run at `count` moments chosen by `seed`, and checks each.
pub fn cut(run: &Run, label: &str, count: usize, seed: u64, tally: &mut Tally, scratch: &Path) {
    for violation in &run.violations {
        tally.broken(label, violation.clone());
    }
    let judge = Judge::new(run.witness.clone());
    let mut random = Random(seed);
    let mut cycles: Vec<Cycle> = (0..count)
        .map(|index| Cycle {
            calls: moment(run, &mut random),
            survival: Survival::ALL[index % Survival::ALL.len()],
            seed: random.next(),
        })
        .collect();
    cycles.sort_by_key(|cycle| cycle.calls);
    let mut disk = Disk::default();
    let mut applied = 0;
    for cycle in cycles {
        run.calls[applied..cycle.calls].iter().for_each(|call| disk.apply(call));
        applied = cycle.calls;
        let kind = format!("{label}; {}", cycle.survival.name());
        tally.count(&kind);
        match one(&disk, &run.calls, &judge, &cycle, scratch) {
            Ok((events, retries)) => {
                tally.events_checked += events;
                tally.retries += retries;
            }
            Err(text) => {
                let kept = keep(run);
                let Cycle { calls, survival, seed } = cycle;
                let text = format!(
                    "{text}\n  repeat with: cargo test --release --test torture -- --replay {} --calls {calls} \
                     --survival {survival:?} --seed {seed}",
                    kept.display()
                );
                tally.broken(&kind, text);
            }
        }
    }
}

/// Chooses a moment: any, or one of those where most is at stake, just after a large write.
fn moment(run: &Run, random: &mut Random) -> usize {
    let any = random.below(run.calls.len() as u64 + 1) as usize;
    if random.percent(70) {
        return any;
    }
    let large = run.calls[any.saturating_sub(1)..].iter().position(|call| {
        call.kind == Kind::Write && (16_384..1 << 20).contains(&call.data.len()) && call.path == "journal/db"
    });
    large.map_or(any, |at| any.saturating_sub(1) + at + 1)
}

/// Makes the image of one cycle and checks it.
///
/// # Errors
/// The broken promise.
pub fn one(
    disk: &Disk,
    calls: &[Call],
    judge: &Judge,
    cycle: &Cycle,
    scratch: &Path,
) -> Result<(u64, u64), String> {
    let image = disk.cut(cycle.survival, cycle.seed);
    let directory = scratch.join("image");
    replay::write(&image, &directory);
    let at = cycle.calls.checked_sub(1).map_or(0, |last| calls[last].end);
    // Most cycles try something again; some only look, so that a store that is only read is met, too.
    let retries = if cycle.seed.is_multiple_of(8) { 0 } else { 2 };
    let ask = Ask { at, seed: cycle.seed, retries };
    let _watchdog = Watchdog::new(format!("{cycle:?}"));
    let checked = catch_unwind(AssertUnwindSafe(|| judge.check(&directory, ask)));
    let passed = checked.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })?;
    Ok((passed.events, passed.retries))
}

/// Ends the process when a check hangs: no promise holds of a store that opens for ever.
pub struct Watchdog(std::sync::mpsc::Sender<()>);

impl Watchdog {
    pub fn new(what: String) -> Self {
        let (alive, over) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if over.recv_timeout(Duration::from_secs(120)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                eprintln!("a check hangs: {what}");
                std::process::exit(101);
            }
        });
        Self(alive)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Keeps trace, witness and log of a run that broke a promise.
fn keep(run: &Run) -> PathBuf {
    let kept = std::env::temp_dir().join(format!("annals-crash-{:x}", run.witness.seed));
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::copy(run.directory.join("trace"), kept.join("trace")).unwrap();
    std::fs::copy(run.directory.join("log"), kept.join("log")).unwrap();
    run.witness.save(&kept.join("witness"));
    kept
}
