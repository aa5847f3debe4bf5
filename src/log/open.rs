//! Opens a log: journal, index, threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::{info, warn};

use super::disk::{RESERVE_BYTES_DEFAULT, Reserve};
use super::erase::{self, Eraser};
use super::error::{OpenError, ReadError, causes};
use super::head::Head;
use super::queue::{Queue, QueueLimits};
use super::rebuild::{self, chain_at};
use super::recent::Recent;
use super::rendered::{RENDERED_BYTES_MAX, RenderedFrames};
use super::seal::{FULL_SEGMENTS_MAX, Sealer};
use super::sequencer::Sequencer;
use super::words::WordKeeper;
use super::{Log, Proofs, signing_key, store_file};
use crate::clock::{Clock, IdSource, Stopwatch};
use crate::domain::{EventId, Position, RecordedFacts};
use crate::index::{Index, SEGMENT_LEN, Segment, SegmentStore};
use crate::journal::{self, Journal, SledJournal};
use crate::search::Engine;
use crate::seeded::{self, Bug};

/// How to open a log.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Where it lives; made if need be.
    pub directory: PathBuf,
    /// How much may wait for the writer.
    pub queue: QueueLimits,
    /// Page cache of the journal, in bytes.
    pub journal_cache_bytes: u64,
    /// Space on the disk that appends leave alone, in bytes.
    pub disk_reserve_bytes: u64,
}

impl LogConfig {
    /// Takes the defaults for a directory.
    #[must_use]
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            queue: QueueLimits::default(),
            journal_cache_bytes: 64 * 1_024 * 1_024,
            disk_reserve_bytes: RESERVE_BYTES_DEFAULT,
        }
    }
}

/// What opening is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenProgress {
    /// The journal is being opened.
    Journal,
    /// Segments are being loaded.
    Loading {
        /// How many there are.
        segments: usize,
    },
    /// Segments that are missing or stale are being built again.
    Rebuilding {
        /// How many are done.
        done: usize,
        /// How many there are.
        segments: usize,
    },
    /// The unsealed end is being folded.
    Folding,
}

/// How the log was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The last durable position.
    pub head: Position,
    /// Frames of unfinished commits, never acknowledged, that were dropped.
    pub frames_rolled_back: u64,
    /// Segments loaded from the disk.
    pub segments_loaded: usize,
    /// Segments built again from the journal.
    pub segments_rebuilt: usize,
}

impl Log {
    /// Opens or makes the log of a directory.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed but what an unfinished, never acknowledged commit left.
    pub fn open(
        config: &LogConfig,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        progress: &(dyn Fn(OpenProgress) + Sync),
    ) -> Result<(Self, OpenReport), OpenError> {
        progress(OpenProgress::Journal);
        let lock = store_file::lock(&config.directory)?;
        let store = store_file::store_id(&config.directory, ids.as_ref())?;
        let reserve = Arc::new(Reserve::of(&config.directory, config.disk_reserve_bytes));
        let directory = config.directory.join("journal");
        let watch = Stopwatch::start();
        let opened = reserve.with_room(|| SledJournal::open(&directory, store, config.journal_cache_bytes));
        let opened = opened.map_err(open_error)?;
        info!(elapsed_ms = watch.elapsed().as_millis(), "journal ready");
        let signer =
            reserve.with_room(|| signing_key::load_or_make(&config.directory, store, ids.as_ref()))?;
        let watch = Stopwatch::start();
        let segments = reserve.with_room(|| open_segments(&config.directory.join("index")).ok_or(())).ok();
        info!(elapsed_ms = watch.elapsed().as_millis(), "index directory ready");
        let rolled_back = opened.frames_rolled_back;
        let journal: Arc<dyn Journal> = Arc::new(opened.journal);
        let room = Arc::clone(&reserve);
        let words = Arc::new(Engine::new(
            Arc::clone(&journal),
            Some(config.directory.join("words")),
            Box::new(move || room.has_room_for_segment()),
        ));
        let (parts, disk) = ((clock, ids), Some((Arc::clone(&reserve), words)));
        let (mut log, mut report) = Self::over_disk(journal, segments, config.queue, parts, disk, progress)?;
        reserve.take();
        log.lock = Some(lock);
        log.directory = Some(config.directory.clone());
        log.signer = signer;
        report.frames_rolled_back = rolled_back;
        Ok((log, report))
    }

    /// Opens a log over a journal that is already open; for tests and simulations, and for other journals.
    ///
    /// # Errors
    /// [`OpenError::Read`] when the journal cannot be read.
    pub fn over(
        journal: Arc<dyn Journal>,
        segments: Option<SegmentStore>,
        limits: QueueLimits,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>),
        progress: &(dyn Fn(OpenProgress) + Sync),
    ) -> Result<(Self, OpenReport), OpenError> {
        Self::over_disk(journal, segments, limits, (clock, ids), None, progress)
    }

    /// As [`Log::over`], with a reserve of disk space and with words stored on disk.
    ///
    /// # Errors
    /// As [`Log::over`].
    pub fn over_disk(
        journal: Arc<dyn Journal>,
        segments: Option<SegmentStore>,
        limits: QueueLimits,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn IdSource>),
        disk: Option<(Arc<Reserve>, Arc<Engine>)>,
        progress: &(dyn Fn(OpenProgress) + Sync),
    ) -> Result<(Self, OpenReport), OpenError> {
        let (reserve, words) = disk.unzip();
        let words =
            words.unwrap_or_else(|| Arc::new(Engine::new(Arc::clone(&journal), None, Box::new(|| true))));
        let tail = journal.tail();
        let (index, mut report) = build_index(journal.as_ref(), segments.as_ref(), progress)?;
        report.head = tail.position;
        finish_erasures(journal.as_ref(), &index, segments.as_ref(), &words)?;
        let index = Arc::new(index);
        let sealing = Arc::new(Mutex::new(()));
        let (publish, head) = watch::channel(Head::from(tail));
        let queue = Arc::new(Queue::new(limits));
        let recent = Arc::new(Recent::default());
        let rendered = Arc::new(RenderedFrames::new(RENDERED_BYTES_MAX));
        let (full_segments, to_seal) = sync_channel(FULL_SEGMENTS_MAX);
        let sequencer = Sequencer {
            journal: Arc::clone(&journal),
            index: Arc::clone(&index),
            queue: Arc::clone(&queue),
            clock: Arc::clone(&clock),
            head: publish,
            full_segments,
            segments: segments.clone(),
            words: Arc::clone(&words),
            sealing: Arc::clone(&sealing),
            reserve: reserve.clone(),
            recent: Arc::clone(&recent),
            rendered: Arc::clone(&rendered),
        };
        let proofs = Arc::new(Proofs::new(Arc::clone(&journal), segments.clone()));
        let sealer = Sealer {
            journal: Arc::clone(&journal),
            index: Arc::clone(&index),
            segments: segments.clone(),
            proofs: Arc::clone(&proofs),
            full_segments: to_seal,
            sealing,
            reserve,
        };
        let (open, closed) = sync_channel(1);
        let keeper = WordKeeper { words: Arc::clone(&words), head: head.clone(), closed };
        let threads = vec![
            spawn("annals-writer", move || sequencer.run())?,
            spawn("annals-sealer", move || sealer.run())?,
            spawn("annals-words", move || keeper.run())?,
        ];
        let threads = Mutex::new(threads);
        // Replaced by the key of the directory, if there is one.
        let signer = signing_key::make(journal.store_id(), ids.as_ref())?;
        let log = Self {
            journal,
            index,
            segments,
            proofs,
            words,
            signer,
            recent,
            rendered,
            head,
            queue,
            clock,
            ids,
            threads,
            open: Mutex::new(Some(open)),
            directory: None,
            lock: None,
        };
        Ok((log, report))
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<std::thread::JoinHandle<()>, OpenError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map_err(|source| OpenError::Io { path: format!("thread {name}"), source })
}

pub(super) fn open_error(error: journal::OpenError) -> OpenError {
    match error {
        journal::OpenError::WrongStore { expected, found } => OpenError::WrongStore { expected, found },
        journal::OpenError::Locked => OpenError::Locked,
        other @ (journal::OpenError::Corrupt { .. }
        | journal::OpenError::Store { .. }
        | journal::OpenError::Io(_)) => OpenError::Journal(other),
    }
}

/// Opens the directory of the index; all of it can be built again.
fn open_segments(directory: &Path) -> Option<SegmentStore> {
    SegmentStore::open(directory)
        .map_err(|error| warn!(error = causes(&error), "the index stays in memory"))
        .ok()
}

fn build_index(
    journal: &dyn Journal,
    store: Option<&SegmentStore>,
    progress: &(dyn Fn(OpenProgress) + Sync),
) -> Result<(Index, OpenReport), ReadError> {
    let watch = Stopwatch::start();
    let head = journal.tail().position;
    let count = head.0 / SEGMENT_LEN;
    let total = usize::try_from(count).unwrap_or(usize::MAX);
    progress(OpenProgress::Loading { segments: total });
    let numbers: Vec<u64> = (0..count).collect();
    let found = rebuild::on_all_cores(&numbers, &|_| {}, |number| {
        let chain = chain_at(journal, Position((number + 1) * SEGMENT_LEN))?;
        Ok(store.and_then(|store| load(store, number, chain.as_bytes())))
    })?;
    let missing: Vec<u64> =
        found.iter().filter(|(_, segment)| segment.is_none()).map(|(number, _)| *number).collect();
    let mut segments: Vec<(u64, Segment)> =
        found.into_iter().filter_map(|(number, segment)| Some((number, segment?))).collect();
    let loaded = segments.len();
    let loaded_ms = watch.elapsed().as_millis();
    if !missing.is_empty() {
        info!(segments = missing.len(), "building missing segments of the index");
        progress(OpenProgress::Rebuilding { done: 0, segments: missing.len() });
        let report = |done| progress(OpenProgress::Rebuilding { done, segments: missing.len() });
        for (number, segment) in rebuild::segments(journal, &missing, &report)? {
            store_again(journal, store, number, &segment)?;
            segments.push((number, segment));
        }
        segments.sort_unstable_by_key(|(number, _)| *number);
    }
    progress(OpenProgress::Folding);
    let built_ms = watch.elapsed().as_millis();
    let index = Index::of(segments.into_iter().map(|(_, segment)| Arc::new(segment)).collect());
    rebuild::for_each(journal, Position(count * SEGMENT_LEN), head, |facts| {
        if seeded::on(Bug::ForgetIdsOfLastFrame) && facts.position == head {
            let mut facts = facts.clone();
            facts.event.event_id = EventId::from_bytes([0; 16]);
            index.fold(&[facts]);
            return;
        }
        index.fold(std::slice::from_ref(facts));
        if seeded::on(Bug::FoldTwiceAfterRecovery) && facts.position == head {
            index.fold(&[RecordedFacts { position: head.next(), ..facts.clone() }]);
        }
    })?;
    info!(%head, loaded, rebuilt = missing.len(), elapsed_ms = watch.elapsed().as_millis(), "index ready");
    let folded_ms = watch.elapsed().as_millis().saturating_sub(built_ms);
    let rebuilt_ms = built_ms.saturating_sub(loaded_ms);
    info!(
        loaded_ms,
        rebuilt_ms, folded_ms, "index built of segments loaded, segments rebuilt and the tail folded"
    );
    let report =
        OpenReport { head, frames_rolled_back: 0, segments_loaded: loaded, segments_rebuilt: missing.len() };
    Ok((index, report))
}

fn load(store: &SegmentStore, number: u64, chain: &[u8; 32]) -> Option<Segment> {
    match store.get(number, chain) {
        Ok(segment) => segment,
        Err(error) => {
            warn!(error = causes(&error), number, "segment cannot be read; it is built again");
            None
        }
    }
}

/// Carries out the orders to erase that are recorded but not carried out: a crash came between, or a backup from before
/// them was restored with a later one.
fn finish_erasures(
    journal: &dyn Journal,
    index: &Index,
    segments: Option<&SegmentStore>,
    words: &Engine,
) -> Result<(), OpenError> {
    let pending = erase::pending(journal, &index.view())?;
    if pending.is_empty() {
        return Ok(());
    }
    info!(orders = pending.len(), "carrying out orders to erase");
    Eraser { journal, index, segments, words }.run(&pending).map_err(OpenError::Erase)
}

pub(super) fn store_again(
    journal: &dyn Journal,
    store: Option<&SegmentStore>,
    number: u64,
    segment: &Segment,
) -> Result<(), ReadError> {
    let Some(store) = store else { return Ok(()) };
    let chain = chain_at(journal, segment.last())?;
    if let Err(error) = store.put(number, segment, chain.as_bytes()) {
        warn!(error = causes(&error), number, "segment not stored");
    }
    Ok(())
}
