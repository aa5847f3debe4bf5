//! How long each query takes on a store of many events.
//!
//! The store is filled through the API with copies of real events: new ids and streams, dates further back by a year a
//! copy. So terms, histories and series have the shapes of real data, and answers have their sizes.

pub mod questions;
pub mod replicate;

use std::io::BufRead;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::cell::Target;
use super::error::BenchError;
use super::host::Host;
use super::null::Prebuilt;
use super::run::directory;
use super::samples::percentile_us;
use super::transport::{APPEND, Client};
use crate::clock::Stopwatch;
use questions::{Question, questions};
use replicate::Originals;

/// Events of a request while the store is filled.
const LOAD_EVENTS: usize = 250;
/// Bytes of a request while the store is filled: below the limit of 1 MiB.
const LOAD_BYTES: usize = 700 * 1_024;
/// Fewest measured calls of a query.
const CALLS_MIN: usize = 5;
/// Most measured calls of a query.
const CALLS_MAX: usize = 1_000;
/// Longest wait until the words of all events can be asked for.
const WORDS_WAIT_MAX: Duration = Duration::from_secs(1_800);

/// How much is loaded and measured.
#[derive(Clone, Debug)]
pub struct QuerySettings {
    /// At least so many events; whole copies are loaded.
    pub events: usize,
    /// How long each query is measured.
    pub cell: Duration,
    /// Where the store is made.
    pub directory: Option<PathBuf>,
}

/// What was found of one query.
#[derive(Clone, Debug)]
pub struct QueryRow {
    /// The query.
    pub name: &'static str,
    /// Calls measured.
    pub calls: usize,
    /// Half of them took at most this, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 took at most this, in microseconds.
    pub p99_us: f64,
    /// Mean size of an answer, in bytes.
    pub answer_bytes: usize,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct QueryReport {
    /// Events in the store.
    pub events: usize,
    /// How long filling it took.
    pub loaded_in: Duration,
    /// How long it took until the first question about words was answered.
    pub words_in: Duration,
    /// By query.
    pub rows: Vec<QueryRow>,
}

/// Fills a store with copies of events, one a line of each file, and times queries of it; `progress` is told how many
/// steps are done, of how many.
///
/// # Errors
/// [`BenchError`] when a file holds what is no event, or a call fails.
pub fn run(
    files: Vec<Box<dyn BufRead + Send>>,
    settings: &QuerySettings,
    progress: &dyn Fn(usize, usize),
) -> Result<QueryReport, BenchError> {
    let originals = Originals::read(files)?;
    let copies = settings.events.div_ceil(originals.events.len().max(1));
    let host = Host::new()?;
    let clients =
        tokio::runtime::Builder::new_multi_thread().thread_name("bench-client").enable_all().build()?;
    let parent = directory(settings.directory.as_deref())?;
    let running = host.start(Target::Annals, &Prebuilt::default(), &parent)?;
    let asked = questions(&originals, copies)?;
    let steps = copies + asked.len();
    let watch = Stopwatch::start();
    for copy in 0..copies {
        clients.block_on(load(running.address, &originals, copy))?;
        progress(copy + 1, steps);
    }
    let loaded_in = watch.elapsed();
    let mut rows = Vec::new();
    let mut words_in = Duration::ZERO;
    for (done, question) in asked.iter().enumerate() {
        if question.words && words_in == Duration::ZERO {
            words_in = clients.block_on(wait_for_words(running.address, question))?;
        }
        rows.push(clients.block_on(measure(running.address, question, settings.cell))?);
        progress(copies + done + 1, steps);
    }
    host.stop(running)?;
    Ok(QueryReport { events: originals.events.len() * copies, loaded_in, words_in, rows })
}

/// Appends one copy of all events, in order of their links: requests of one file wait for each other.
async fn load(address: SocketAddr, originals: &Originals, copy: usize) -> Result<(), BenchError> {
    let mut client = Client::connect(address).await?;
    let mut request = BytesMut::new();
    let mut events = 0;
    for event in originals.copies(copy) {
        let event = event?;
        if events == LOAD_EVENTS || request.len() + event.len() > LOAD_BYTES {
            client.unary(APPEND, request.split().freeze()).await?;
            events = 0;
        }
        put_field_1(&mut request, &event);
        events += 1;
    }
    if events > 0 {
        client.unary(APPEND, request.freeze()).await?;
    }
    Ok(())
}

/// Writes a message as field 1: `AppendEventsRequest.events`.
fn put_field_1(request: &mut BytesMut, message: &[u8]) {
    const KEY: u8 = 1 << 3 | 2;
    request.put_u8(KEY);
    prost::encoding::encode_varint(u64::try_from(message.len()).unwrap_or(u64::MAX), request);
    request.extend_from_slice(message);
}

/// Asks about words until all events are known to them.
async fn wait_for_words(address: SocketAddr, question: &Question) -> Result<Duration, BenchError> {
    let mut client = Client::connect(address).await?;
    let watch = Stopwatch::start();
    let request = question.requests.first().cloned().unwrap_or_default();
    loop {
        match client.unary(question.path, request.clone()).await {
            Err(BenchError::Call(status)) if status.code() == tonic::Code::Unavailable => {
                if watch.elapsed() > WORDS_WAIT_MAX {
                    return Err(BenchError::Call(status));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer.map(|_| watch.elapsed()),
        }
    }
}

async fn measure(address: SocketAddr, question: &Question, cell: Duration) -> Result<QueryRow, BenchError> {
    let mut client = Client::connect(address).await?;
    let mut latencies = Vec::new();
    let mut bytes = 0_usize;
    // One call that is not measured: it finds the pages of memory cold.
    for request in question.requests.iter().take(1) {
        client.unary(question.path, request.clone()).await?;
    }
    let watch = Stopwatch::start();
    for request in question.requests.iter().cycle().take(CALLS_MAX) {
        let begin = watch.elapsed();
        if begin > cell && latencies.len() >= CALLS_MIN {
            break;
        }
        let answer: Bytes = client.unary(question.path, request.clone()).await?;
        latencies.push(watch.elapsed().saturating_sub(begin));
        bytes += answer.len();
    }
    Ok(QueryRow {
        name: question.name,
        calls: latencies.len(),
        p50_us: percentile_us(&latencies, 50),
        p99_us: percentile_us(&latencies, 99),
        answer_bytes: bytes / latencies.len().max(1),
    })
}

impl QueryReport {
    /// Writes what the table depends on.
    #[must_use]
    pub fn facts(&self) -> String {
        format!(
            "{} events, loaded in {:.0} s; words of all events known after {:.0} s; one client, server in the same process",
            self.events,
            self.loaded_in.as_secs_f64(),
            self.words_in.as_secs_f64()
        )
    }

    /// Writes a table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["query", "calls", "p50 ms", "p99 ms", "answer KiB"]);
        for row in &self.rows {
            table.add_row([
                row.name.to_owned(),
                row.calls.to_string(),
                format!("{:.2}", row.p50_us / 1e3),
                format!("{:.2}", row.p99_us / 1e3),
                format!("{:.1}", row.answer_bytes as f64 / 1_024.0),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Writes everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "query": row.name, "calls": row.calls, "p50Us": row.p50_us, "p99Us": row.p99_us,
                "answerBytes": row.answer_bytes,
            })
        });
        json!({
            "events": self.events, "loadedInSeconds": self.loaded_in.as_secs_f64(),
            "wordsInSeconds": self.words_in.as_secs_f64(), "queries": rows.collect::<Vec<_>>(),
        })
    }
}
