//! One run: every cell in every round, in an order that turns.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::cell::{self, Cell, Shape, Target};
use super::error::BenchError;
use super::events::Templates;
use super::host::{Host, Running};
use super::null::Prebuilt;
use super::read::{self, Which};
use super::report::{Machine, Report, Row, Visit};
use super::samples::{Measured, percentile_us};
use super::work::{Beside, Work};
use super::{Settings, Window, append, codec, fold, latency, raw, samples};
use crate::server::{Config, Overrides};

/// Events of one shape.
struct Stage {
    shape: Shape,
    templates: Arc<Templates>,
    /// Nothing where no cell reads.
    stored: Option<Stored>,
}

/// A store that is read from.
struct Stored {
    server: Running,
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
    let mut blocks = cell::blocks(&settings.subscribers);
    if let Some(text) = &settings.only {
        blocks = cell::only(blocks, text);
        if blocks.is_empty() {
            return Err(BenchError::NoCell(text.clone()));
        }
    }
    for shape in Shape::ALL {
        let reads = |cell: &Cell| cell.shape == shape && matches!(cell.work, Work::ReadAll | Work::ReadRare);
        let stage = bench.stage(shape, blocks.iter().flatten().any(reads))?;
        bench.stages.push(stage);
    }
    let machine = bench.machine()?;
    let mut rows: Vec<Row> = blocks.iter().flatten().map(|cell| Row::new(*cell)).collect();
    let (mut done, all) = (0, rows.len() * settings.rounds);
    for round in 0..settings.rounds {
        for block in &mut blocks {
            // Nobody is always first after a pause, or always after the busiest.
            let by = usize::from(round > 0) % block.len();
            block.rotate_left(by);
            for cell in block.iter() {
                let before = samples::resident_bytes();
                let measured = bench.measure(*cell)?;
                let visit = Visit::of(&measured, before.filter(|_| cell.target == Target::Annals));
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
    for stored in bench.stages.drain(..).filter_map(|stage| stage.stored) {
        bench.host.stop(stored.server)?;
    }
    Ok(Report { machine, rounds: settings.rounds, cell: settings.cell, rows })
}

impl Bench<'_> {
    fn stage(&self, shape: Shape, is_read: bool) -> Result<Stage, BenchError> {
        let templates = Arc::new(Templates::new(shape)?);
        if !is_read {
            return Ok(Stage { shape, templates, stored: None });
        }
        let server = self.host.start(Target::Annals, &Prebuilt::default(), &self.directory)?;
        let prebuilt = self.clients.block_on(async {
            read::prepare(server.address, &templates).await?;
            read::fill_and_read(server.address, &templates, self.settings).await
        })?;
        Ok(Stage { shape, templates, stored: Some(Stored { server, prebuilt }) })
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
        let templates = &stage.templates;
        match cell.work {
            Work::Sync { batch } => Ok(raw::measure(&self.directory, templates, batch, window)?),
            Work::Fold { looked_at } => fold::measure(templates, looked_at, window),
            Work::ReadAll => self.read(cell.target, stage, Which::All, window),
            Work::ReadRare => self.read(cell.target, stage, Which::Rare, window),
            Work::Append(load) if cell.target == Target::Codec => {
                codec::measure(templates, load.batch, window)
            }
            Work::Append(load) => self.on_new(cell.target, stage, async |address| {
                if matches!(load.beside, Beside::Stored { .. }) {
                    read::fill(address, templates, self.settings).await?;
                }
                append::measure(address, templates, load, window).await
            }),
            Work::Subscribe => self.on_new(cell.target, stage, async |address| {
                latency::measure(address, templates, window).await
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
        let stored = stage.stored.as_ref().ok_or(BenchError::Fault("a store was not filled"))?;
        let read = async |address| read::measure(address, which, &stored.prebuilt, window).await;
        if target == Target::Annals {
            return self.clients.block_on(read(stored.server.address));
        }
        self.on_new(target, stage, read)
    }

    /// Measures on a target that was just made, so that no cell stands on what another left.
    fn on_new(
        &self,
        target: Target,
        stage: &Stage,
        measure: impl AsyncFnOnce(SocketAddr) -> Result<Measured, BenchError>,
    ) -> Result<Measured, BenchError> {
        let prebuilt = stage.stored.as_ref().map(|stored| stored.prebuilt.clone()).unwrap_or_default();
        let running = self.host.start(target, &prebuilt, &self.directory)?;
        if target == Target::Annals {
            self.clients.block_on(read::prepare(running.address, &stage.templates))?;
        }
        let measured = self.clients.block_on(measure(running.address))?;
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
