//! One run: every cell in every round, in an order that turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::append::{self, Load};
use super::cell::{Cell, Shape, Target, Work, blocks};
use super::error::BenchError;
use super::events::Templates;
use super::host::{Host, Running};
use super::null::Prebuilt;
use super::read::{self, Which};
use super::report::{Machine, Report, Row, Visit};
use super::samples::{Measured, percentile_us};
use super::{Settings, Window, latency, raw};
use crate::server::{Config, Overrides};

/// Events of one shape, and a store that holds them.
struct Stage {
    shape: Shape,
    templates: Arc<Templates>,
    store: Running,
    prebuilt: Prebuilt,
}

struct Bench<'a> {
    settings: &'a Settings,
    directory: PathBuf,
    host: Host,
    /// Clients have threads of their own, as they have in other programs.
    clients: Runtime,
    stages: Vec<Stage>,
}

/// Runs the bench; `progress` is told how many cells are done, of how many.
///
/// # Errors
/// [`BenchError`] when a target fails or answers wrongly.
pub fn run(settings: &Settings, progress: &dyn Fn(usize, usize)) -> Result<Report, BenchError> {
    let mut bench = Bench {
        settings,
        directory: directory(settings.directory.as_deref())?,
        host: Host::new()?,
        clients: tokio::runtime::Builder::new_multi_thread()
            .thread_name("bench-client")
            .enable_all()
            .build()?,
        stages: Vec::new(),
    };
    for shape in [Shape::Smallest, Shape::Realistic] {
        let stage = bench.stage(shape)?;
        bench.stages.push(stage);
    }
    let machine = bench.machine()?;
    let mut blocks = blocks();
    let mut rows: Vec<Row> = blocks.iter().flatten().map(|cell| Row::new(*cell)).collect();
    let (mut done, all) = (0, rows.len() * settings.rounds);
    for round in 0..settings.rounds {
        for block in &mut blocks {
            // Nobody is always first after a pause, or always after the busiest.
            let by = usize::from(round > 0) % block.len();
            block.rotate_left(by);
            for cell in block.iter() {
                let visit = Visit::of(&bench.measure(*cell)?);
                if let Some(row) = rows.iter_mut().find(|row| row.cell == *cell) {
                    row.visits.push(visit);
                }
                done += 1;
                progress(done, all);
            }
        }
        let by = blocks.len() / settings.rounds.max(1);
        blocks.rotate_left(by);
    }
    for stage in bench.stages.drain(..) {
        bench.host.stop(stage.store)?;
    }
    Ok(Report { machine, rounds: settings.rounds, cell: settings.cell, rows })
}

impl Bench<'_> {
    fn stage(&self, shape: Shape) -> Result<Stage, BenchError> {
        let templates = Arc::new(Templates::new(shape)?);
        let store = self.host.start(Target::Annals, &Prebuilt::default(), &self.directory)?;
        let prebuilt = self.clients.block_on(async {
            read::prepare(store.address, &templates).await?;
            read::fill(store.address, &templates, self.settings).await
        })?;
        Ok(Stage { shape, templates, store, prebuilt })
    }

    fn machine(&self) -> Result<Machine, BenchError> {
        let probe = Window::of(self.settings.cell);
        let mut event_bytes = Vec::new();
        let mut sync_p50_us = 0.0;
        for stage in &self.stages {
            event_bytes.push((stage.shape, stage.templates.event_bytes()));
            if stage.shape == Shape::Smallest {
                let measured = raw::measure(&self.directory, &stage.templates, 1, probe)?;
                sync_p50_us = percentile_us(&measured.latencies, 50);
            }
        }
        Ok(Machine {
            cores: std::thread::available_parallelism()?.get(),
            load: load_average(),
            sync_p50_us,
            event_bytes,
            stored_events: self.settings.stored_events,
        })
    }

    fn measure(&self, cell: Cell) -> Result<Measured, BenchError> {
        let window = Window::of(self.settings.cell);
        let stage = self.stages.iter().find(|stage| stage.shape == cell.shape);
        let stage = stage.ok_or(BenchError::Fault("a shape was not prepared"))?;
        match cell.work {
            Work::Sync { batch } => Ok(raw::measure(&self.directory, &stage.templates, batch, window)?),
            Work::ReadAll => self.read(cell.target, stage, Which::All, window),
            Work::ReadRare => self.read(cell.target, stage, Which::Rare, window),
            Work::Append { clients, batch, conditional } => {
                let load = Load { clients, batch, conditional };
                self.on_new(cell.target, stage, |running| {
                    self.clients.block_on(append::measure(running.address, &stage.templates, load, window))
                })
            }
            Work::Subscribe => self.on_new(cell.target, stage, |running| {
                self.clients.block_on(latency::measure(running.address, &stage.templates, window))
            }),
        }
    }

    fn read(
        &self,
        target: Target,
        stage: &Stage,
        which: Which,
        window: Window,
    ) -> Result<Measured, BenchError> {
        let read = |address| self.clients.block_on(read::measure(address, which, &stage.prebuilt, window));
        if target == Target::Annals {
            return read(stage.store.address);
        }
        self.on_new(target, stage, |running| read(running.address))
    }

    /// Measures on a target that was just made, so that no cell stands on what another left.
    fn on_new(
        &self,
        target: Target,
        stage: &Stage,
        measure: impl FnOnce(&Running) -> Result<Measured, BenchError>,
    ) -> Result<Measured, BenchError> {
        let running = self.host.start(target, &stage.prebuilt, &self.directory)?;
        if target == Target::Annals {
            self.clients.block_on(read::prepare(running.address, &stage.templates))?;
        }
        let measured = measure(&running)?;
        self.host.stop(running)?;
        Ok(measured)
    }
}

/// Gives where stores are made: as told, or where the data of the user are, or would be.
///
/// # Errors
/// [`BenchError`] when there is no such place.
pub fn directory(told: Option<&Path>) -> Result<PathBuf, BenchError> {
    if let Some(directory) = told {
        return Ok(directory.to_owned());
    }
    let data = Config::load(&Overrides::default())?.data;
    let existing = data.ancestors().skip(1).find(|path| path.is_dir());
    existing.map(Path::to_owned).ok_or(BenchError::Fault("the data directory of the user lies nowhere"))
}

/// Gives how many tasks wanted a core lately; nothing where the system does not say.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
