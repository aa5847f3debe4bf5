//! A soak: one server under a steady mixed load for an hour or so, and a sample of it every few seconds.
//!
//! What counts is not how fast the server is but whether it stays so: the first sixth of the run beside the last, and
//! what each million events adds to memory and disk.

pub mod disk;
pub mod histogram;
pub mod load;
pub mod pace;
pub mod plot;
pub mod sample;
pub mod summary;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comfy_table::Table;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::cell::Shape;
use super::error::BenchError;
use super::events::Templates;
use super::queries::process::{self, Processor};
use super::queries::serving::{Program, Site};
use super::queries::space::Space;
use super::run::directory;
use super::transport::Client;
use super::{queries, read};
use crate::clock::Stopwatch;
use crate::pb::{GetHeadRequest, GetHeadResponse};
use load::{Clients, Load};
use pace::Pace;
use sample::{Counted, Counters, Sample};
use summary::Summary;

/// Longest time from one sample to the next.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// Fewest samples of a run.
const SAMPLES_MIN: u32 = 60;
/// Longest time for clients to see that the soak ends.
const CLIENTS_END_MAX: Duration = Duration::from_secs(30);
/// Longest wait for the head at a sample.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long, and how much.
#[derive(Clone, Debug)]
pub struct SoakSettings {
    /// How long the load goes on.
    pub duration: Duration,
    /// Most events appended a second, by all clients; 0 = as many as are taken.
    pub events_per_second: f64,
    /// Who makes the load.
    pub clients: Clients,
    /// Where the store is made.
    pub directory: Option<PathBuf>,
    /// What serves.
    pub program: Program,
    /// Ends the soak early; what was found by then is reported.
    pub stop: CancellationToken,
}

impl SoakSettings {
    /// The load of a soak to quote.
    pub const CLIENTS: Clients = Clients { singles: 8, batches: 1, readers: 4, subscribers: 100 };
    /// Most events a second unless told otherwise: 10 million an hour, which take about 10 GB.
    pub const EVENTS_PER_SECOND: u32 = 3_000;

    fn sample_every(&self) -> Duration {
        (self.duration / SAMPLES_MIN).min(SAMPLE_EVERY)
    }
}

/// What a soak found.
#[derive(Clone, Debug)]
pub struct SoakReport {
    /// How long it was to go on.
    pub duration: Duration,
    /// Most events a second; 0 = no limit.
    pub events_per_second: f64,
    /// Who made the load.
    pub clients: Clients,
    /// Whether the server was a process of its own.
    pub child: bool,
    /// In order of time.
    pub samples: Vec<Sample>,
    /// The words of the first call that failed.
    pub first_error: Option<String>,
    /// Why it ended early.
    pub broken: Option<String>,
}

/// Runs a soak; `progress` is told each sample, and how many there will be.
///
/// # Errors
/// [`BenchError`] when the server does not start or stop well.
pub fn run(
    settings: &SoakSettings,
    progress: &dyn Fn(usize, usize, &Sample),
) -> Result<SoakReport, BenchError> {
    let mut site = Site::new(settings.program.clone(), &directory(settings.directory.as_deref())?)?;
    let clients =
        tokio::runtime::Builder::new_multi_thread().thread_name("bench-client").enable_all().build()?;
    let address = site.start()?.address;
    let templates = Arc::new(Templates::new(Shape::Realistic)?);
    clients.block_on(read::prepare(address, &templates))?;
    let counters = Arc::new(Counters::default());
    let paced = settings.events_per_second > 0.0;
    let load = Load {
        address,
        templates,
        counters: Arc::clone(&counters),
        pace: paced.then(|| Arc::new(Pace::new(settings.events_per_second))),
        stop: settings.stop.child_token(),
    };
    let (samples, broken) = under_load(&site, &clients, &load, settings, progress)?;
    let child = site.is_child();
    // Clients are gone: a server that did not end well now has a fault of its own.
    let stopped = site.stop();
    let broken = broken.or(stopped.as_ref().err().map(BenchError::to_string));
    site.close()?;
    Ok(SoakReport {
        duration: settings.duration,
        events_per_second: settings.events_per_second,
        clients: settings.clients,
        child,
        samples,
        first_error: counters.first_error(),
        broken,
    })
}

/// Keeps the load up and takes samples; gives them, and why it ended early.
fn under_load(
    site: &Site,
    clients: &Runtime,
    load: &Load,
    settings: &SoakSettings,
    progress: &dyn Fn(usize, usize, &Sample),
) -> Result<(Vec<Sample>, Option<String>), BenchError> {
    let every = settings.sample_every();
    let wanted =
        usize::try_from(settings.duration.as_nanos() / every.as_nanos().max(1)).unwrap_or(usize::MAX);
    let _inside = clients.enter();
    let mut tasks = load.spawn(settings.clients);
    let (directory, counters, stop) = (site.home().to_owned(), Arc::clone(&load.counters), load.stop.clone());
    tasks.spawn(async move { disk::beside(&directory, &counters, &stop).await });
    let watch = Stopwatch::start();
    let mut before = Counted::default();
    let mut processor = Processor::now();
    let mut samples = Vec::new();
    let mut broken = None;
    while samples.len() < wanted {
        let next = every.saturating_mul(u32::try_from(samples.len() + 1).unwrap_or(u32::MAX));
        clients.block_on(async {
            tokio::select! {
                () = load.stop.cancelled() => {}
                () = tokio::time::sleep(next.saturating_sub(watch.elapsed())) => {}
            }
        });
        if load.stop.is_cancelled() {
            broken = Some("interrupted".to_owned());
            break;
        }
        let after = Counted::of(&load.counters, watch.elapsed());
        let timed = std::mem::take(&mut *load.counters.timed.lock());
        let mut sample = Sample::between(before, after, &timed);
        before = after;
        let now = Processor::now();
        sample.stolen_percent = processor.zip(now).and_then(|(before, now)| now.stolen_percent(before));
        processor = now;
        match clients.block_on(head(load.address)) {
            Ok(head) => sample.head = head,
            Err(error) => {
                broken = Some(format!("the server does not answer: {error}"));
                break;
            }
        }
        let memory = site.pid().and_then(process::memory);
        sample.resident = memory.map(|memory| memory.resident);
        sample.anonymous = memory.map(|memory| memory.anonymous);
        sample.threads = memory.map(|memory| memory.threads);
        sample.disk = Space::of(&site.data())?.all();
        samples.push(sample);
        progress(samples.len(), wanted, &sample);
    }
    load.stop.cancel();
    clients.block_on(async {
        let end = async { while tasks.join_next().await.is_some() {} };
        // Those that do not see it are ended with the runtime.
        let _ = tokio::time::timeout(CLIENTS_END_MAX, end).await;
        tasks.shutdown().await;
    });
    Ok((samples, broken))
}

async fn head(address: SocketAddr) -> Result<u64, BenchError> {
    let ask = async {
        let request = Bytes::from(GetHeadRequest::default().encode_to_vec());
        let answer = Client::connect(address).await?.unary(queries::load::HEAD, request).await?;
        Ok(GetHeadResponse::decode(answer)?.position)
    };
    let late = BenchError::Fault("no head in time");
    tokio::time::timeout(HEAD_WAIT_MAX, ask).await.unwrap_or(Err(late))
}

impl SoakReport {
    /// Writes what the summary depends on.
    #[must_use]
    pub fn facts(&self) -> String {
        let Clients { singles, batches, readers, subscribers } = self.clients;
        let limit = match self.events_per_second {
            0.0 => "as fast as they are taken".to_owned(),
            limit => format!("at most {limit} events/s"),
        };
        let head = self.samples.last().map_or(0, |sample| sample.head);
        let seconds = self.samples.last().map_or(0.0, |sample| sample.at_seconds);
        let server = if self.child { "a process of its own" } else { "the same process" };
        let mut facts = format!(
            "{seconds:.0} s of {:.0} s, {} samples, {head} events at the end; server in {server}\n\
             {singles} clients append 1 event, {batches} batches of {}, {limit}; {readers} readers of everything, \
             {subscribers} subscribers, a query every 0.1 s",
            self.duration.as_secs_f64(),
            self.samples.len(),
            load::BATCH,
        );
        for (what, words) in [("broken off", &self.broken), ("first failed call", &self.first_error)] {
            if let Some(words) = words {
                facts.push_str(&format!("\n{what}: {words}"));
            }
        }
        facts
    }

    /// Compares both ends of the run.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary::of(&self.samples)
    }

    /// Writes the summary, for people.
    #[must_use]
    pub fn table(&self) -> Table {
        self.summary().table()
    }

    /// Draws all samples.
    #[must_use]
    pub fn svg(&self) -> String {
        let facts = self.facts();
        plot::svg(
            &self.samples,
            &format!("annals bench --soak: {}", facts.lines().next().unwrap_or_default()),
        )
    }

    /// Writes everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let Clients { singles, batches, readers, subscribers } = self.clients;
        json!({
            "durationSeconds": self.duration.as_secs_f64(), "eventsPerSecondMax": self.events_per_second,
            "clients": {
                "singles": singles, "batches": batches, "readers": readers, "subscribers": subscribers,
            },
            "ownProcess": self.child, "broken": self.broken, "firstError": self.first_error,
            "summary": self.summary().json(),
            "samples": self.samples.iter().map(Sample::json).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_soak_samples_everything() {
        let directory = tempfile::tempdir().unwrap();
        let settings = SoakSettings {
            duration: Duration::from_secs(3),
            events_per_second: 500.0,
            clients: Clients { singles: 2, batches: 1, readers: 1, subscribers: 20 },
            directory: Some(directory.path().to_owned()),
            program: Program::Here,
            stop: CancellationToken::new(),
        };
        let told = std::cell::Cell::new(0);
        let report = run(&settings, &|done, all, _| told.set(done * 1_000 + all)).unwrap();
        assert_eq!((report.samples.len(), told.get()), (60, 60_060));
        assert_eq!((&report.broken, &report.first_error), (&None, &None));
        let sum = |value: fn(&Sample) -> f64| report.samples.iter().map(value).sum::<f64>();
        assert!(sum(|sample| sample.appended_per_second) > 0.0);
        assert!(sum(|sample| sample.read_per_second) > 0.0);
        assert!(sum(|sample| sample.delivered_per_second) > 0.0);
        let last = report.samples.last().unwrap();
        assert!(last.head > 22 && last.disk > 0 && last.resident.is_none(), "{last:?}");
        // The pace holds: what may be appended until the head was asked for, and a request more for each client.
        assert!((last.head as f64) < 22.0 + 500.0 * (last.at_seconds + 1.0) + 102.0, "{last:?}");
        assert!(report.samples.iter().any(|sample| sample.append_p99_us.is_some()));
        assert!(report.samples.iter().any(|sample| sample.query_p99_us.is_some()));
        assert!(report.samples.iter().any(|sample| sample.sync_p99_us.is_some()));
        assert_eq!(report.json()["samples"].as_array().unwrap().len(), 60);
        assert_eq!(report.svg().matches("<polyline").count(), 10);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_soak_that_is_interrupted_tells_what_it_found() {
        let directory = tempfile::tempdir().unwrap();
        let settings = SoakSettings {
            duration: Duration::from_secs(60),
            events_per_second: 0.0,
            clients: Clients { singles: 1, batches: 0, readers: 0, subscribers: 1 },
            directory: Some(directory.path().to_owned()),
            program: Program::Here,
            stop: CancellationToken::new(),
        };
        let report = run(&settings, &|_, _, _| settings.stop.cancel()).unwrap();
        assert_eq!((report.samples.len(), report.broken.as_deref()), (1, Some("interrupted")));
    }
}
