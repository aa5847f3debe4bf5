//! What a store of many events costs: how long each query takes, how long it takes to open, its space on disk and in
//! memory.
//!
//! The store is filled through the API with copies of real events: new ids and streams, dates further back by a year a
//! copy. So terms, histories and series have the shapes of real data, and answers have their sizes.

pub mod figures;
pub mod load;
pub mod loads;
pub mod measure;
pub mod opening;
pub mod pieces;
pub mod process;
pub mod questions;
pub mod replicate;
pub mod report;
pub mod serving;
pub mod space;
pub mod terms;

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::cell::Subscribers;
use super::error::BenchError;
use super::run::directory;
use figures::{Figures, Mark, Unit};
use load::Loaded;
use loads::LoadRow;
use measure::QueryRow;
use process::Memory;
use questions::{COUNT_MILLION, Question, questions};
use replicate::Originals;
pub use report::QueryReport;
use serving::{Program, Site};
use space::{Packed, Space};

/// Disk that a store may take beside what its events would take compressed.
const DISK_RATIO_MAX: f64 = 1.3;
/// Memory that an event may take, in bytes.
const MEMORY_AN_EVENT_MAX: f64 = 120.0;
/// Time that a count of a million may take, in milliseconds.
const COUNT_MILLION_MS_MAX: f64 = 50.0;

/// How much is loaded and measured.
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// At least so many events; whole copies are loaded.
    pub events: usize,
    /// How long each query and each load is measured.
    pub cell: Duration,
    /// How many subscribers there are beside appends.
    pub subscribers: Subscribers,
    /// Where the store is made.
    pub directory: Option<PathBuf>,
    /// What serves.
    pub program: Program,
    /// Ends the run after the step that it is at.
    pub stop: CancellationToken,
}

/// What a run goes through, and how far it is.
struct Steps<'a> {
    done: usize,
    all: usize,
    progress: &'a dyn Fn(usize, usize),
    stop: &'a CancellationToken,
}

impl Steps<'_> {
    fn next(&mut self) -> Result<(), BenchError> {
        self.done += 1;
        (self.progress)(self.done, self.all);
        if self.stop.is_cancelled() { Err(INTERRUPTED) } else { Ok(()) }
    }
}

const INTERRUPTED: BenchError = BenchError::Fault("it was interrupted");

/// Fills a store with copies of events, one a line of each file, times queries of it and measures the store itself;
/// `progress` is told how many steps are done, of how many.
///
/// # Errors
/// [`BenchError`] when a file holds what is no event, or a call fails.
pub fn run(
    files: Vec<Box<dyn BufRead + Send>>,
    settings: &QuerySettings,
    progress: &dyn Fn(usize, usize),
) -> Result<QueryReport, BenchError> {
    let originals = Arc::new(Originals::read(files)?);
    if originals.events.is_empty() {
        return Err(BenchError::Fault("the files hold no events"));
    }
    let copies = settings.events.div_ceil(originals.events.len()).max(1);
    let asked = questions(&originals, copies)?;
    let clients =
        tokio::runtime::Builder::new_multi_thread().thread_name("bench-client").enable_all().build()?;
    let mut site = Site::new(settings.program.clone(), &directory(settings.directory.as_deref())?)?;
    let all = copies + asked.len() + opening::STEPS + loads::steps(&settings.subscribers);
    let mut steps = Steps { done: 0, all, progress, stop: &settings.stop };
    let mut figures = Figures::default();

    let address = site.start()?.address;
    let empty = site.memory();
    let told = |copies_done| progress(copies_done, all);
    let loaded = clients.block_on(async {
        tokio::select! {
            () = settings.stop.cancelled() => Err(INTERRUPTED),
            loaded = load::load(address, &originals, copies, &told) => loaded,
        }
    })?;
    steps.done = copies;
    let full = site.memory();
    let (rows, words_in) = ask_all(&clients, address, &asked, settings.cell, &mut steps)?;
    let asked_all = site.memory();
    of_load(&mut figures, &loaded);
    of_count(&mut figures, &rows);
    let opened = opening::measure(&mut site, &clients, &loaded, &mut steps)?;
    let packed = Packed::of(&originals, copies);
    of_disk(&mut figures, &loaded, &opened.space, packed);
    let states = [
        ("empty", empty),
        ("after loading", full),
        ("after the queries", asked_all),
        ("after a warm open", opened.memory),
    ];
    of_memory(&mut figures, &states, loaded.events);
    opened.add_to(&mut figures, loaded.events);
    let loads = load_both(&mut site, &clients, settings, &mut steps)?;
    let child = site.is_child();
    site.close()?;
    Ok(QueryReport { events: loaded.events, loaded_in: loaded.took, words_in, child, rows, loads, figures })
}

/// Puts loads on a store that is new, and on the one of the site.
fn load_both(
    site: &mut Site,
    clients: &Runtime,
    settings: &QuerySettings,
    steps: &mut Steps<'_>,
) -> Result<Vec<LoadRow>, BenchError> {
    // What it was opened for before may have left it with work to do.
    site.stop()?;
    let full = site.start()?.address;
    let mut beside = Site::new(settings.program.clone(), &directory(settings.directory.as_deref())?)?;
    let empty = beside.start()?.address;
    let rows = loads::measure(clients, (empty, full), &settings.subscribers, settings.cell, steps)?;
    beside.close()?;
    Ok(rows)
}

impl Site {
    /// Gives the memory of the child that runs.
    fn memory(&self) -> Option<Memory> {
        self.pid().and_then(process::memory)
    }
}

fn ask_all(
    clients: &Runtime,
    address: SocketAddr,
    asked: &[Question],
    cell: Duration,
    steps: &mut Steps<'_>,
) -> Result<(Vec<QueryRow>, Duration), BenchError> {
    let mut rows = Vec::new();
    let mut words_in = Duration::ZERO;
    for question in asked {
        if question.words && words_in == Duration::ZERO {
            words_in = clients.block_on(measure::wait_for_words(address, question))?;
        }
        rows.push(clients.block_on(measure::measure(address, question, cell))?);
        steps.next()?;
    }
    Ok((rows, words_in))
}

fn of_load(figures: &mut Figures, loaded: &Loaded) {
    let seconds = loaded.took.as_secs_f64().max(f64::MIN_POSITIVE);
    figures.add("loading through gRPC", loaded.events as f64 / seconds, Unit::PerSecond);
    figures.add("requests in flight while loading", loaded.at_once as f64, Unit::Count);
}

/// Adds the count that has a mark, if about a million were counted indeed.
fn of_count(figures: &mut Figures, rows: &[QueryRow]) {
    let row = rows.iter().find(|row| row.name == COUNT_MILLION);
    let counted = row.and_then(|row| row.counted).unwrap_or_default();
    let p50 = row.filter(|_| (500_000..2_000_000).contains(&counted)).map(|row| row.p50_us / 1e3);
    figures.marked("count about a million, p50", p50, Unit::Milliseconds, Mark::AtMost(COUNT_MILLION_MS_MAX));
}

fn of_disk(figures: &mut Figures, loaded: &Loaded, space: &Space, packed: Packed) {
    let events = loaded.events.max(1) as f64;
    let compressed = packed.of_raw(loaded.bytes);
    figures.add("events as sent (protobuf)", loaded.bytes as f64, Unit::Bytes);
    figures.add("events as sent, an event", loaded.bytes as f64 / events, Unit::BytesAnEvent);
    figures.add("events compressed (lz4, blocks of 64 KiB)", compressed, Unit::Bytes);
    figures.add("events compressed, an event", compressed / events, Unit::BytesAnEvent);
    let parts = [
        ("journal", space.journal),
        ("index", space.index),
        ("words", space.words),
        ("rest", space.rest),
        ("all", space.all()),
    ];
    for (name, bytes) in parts {
        figures.add(format!("disk, {name}"), bytes as f64, Unit::Bytes);
        figures.add(format!("disk, {name}, an event"), bytes as f64 / events, Unit::BytesAnEvent);
    }
    for (name, bytes) in
        [("disk of the journal / compressed", space.journal), ("disk of all / compressed", space.all())]
    {
        let ratio = (compressed > 0.0).then(|| bytes as f64 / compressed);
        figures.marked(name, ratio, Unit::Ratio, Mark::AtMost(DISK_RATIO_MAX));
    }
}

/// Adds the memory in each state, and what each event adds to that of a server without events.
fn of_memory(figures: &mut Figures, states: &[(&str, Option<Memory>)], events: usize) {
    let empty = states.first().and_then(|(_, memory)| *memory);
    for (at, (state, memory)) in states.iter().enumerate() {
        let part = |of: fn(&Memory) -> u64| memory.as_ref().map(|memory| of(memory) as f64);
        figures.add(format!("memory {state}, resident"), part(|memory| memory.resident), Unit::Bytes);
        figures.add(format!("memory {state}, anonymous"), part(|memory| memory.anonymous), Unit::Bytes);
        figures.add(format!("memory {state}, of files"), part(|memory| memory.file), Unit::Bytes);
        figures.add(format!("memory {state}, peak"), part(|memory| memory.peak), Unit::Bytes);
        if at == 0 {
            continue;
        }
        let an_event = |of: fn(&Memory) -> u64| {
            let (full, empty) = (memory.as_ref()?, empty.as_ref()?);
            Some(of(full).saturating_sub(of(empty)) as f64 / events.max(1) as f64)
        };
        let mark = Mark::AtMost(MEMORY_AN_EVENT_MAX);
        let name = format!("memory {state}, resident, an event");
        figures.marked(&name, an_event(|memory| memory.resident), Unit::BytesAnEvent, mark);
        let name = format!("memory {state}, anonymous, an event");
        figures.add(name, an_event(|memory| memory.anonymous), Unit::BytesAnEvent);
    }
}
