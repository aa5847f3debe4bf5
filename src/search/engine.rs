//! Keeps the stored words near the head, and answers of them and of the events behind them.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tantivy::{Searcher, TantivyError};
use tracing::{info, warn};

use super::document::Document;
use super::query::TextQuery;
use super::rank::{Found, Tally};
use super::store::{self, Reach, Store};
use crate::clock::Stopwatch;
use crate::codec::StoredError;
use crate::codec::texts::Texts;
use crate::domain::Position;
use crate::journal::{Direction, Journal, ReadError};

/// Events behind the stored words that a question looks at one by one: some tens of milliseconds.
const BEHIND_MAX: u64 = 2_048;
/// Events that a question waits to be stored; for more it is told to come again.
const WAIT_MAX: u64 = 131_072;
/// Events stored with one commit: it bounds what is lost when building is cut off.
const COMMIT_EVENTS: u64 = 65_536;

/// Says why words could not be looked for.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// Too many events are not stored yet; it goes on meanwhile.
    #[error("the text index is being built: {done} of {total} events")]
    Building {
        /// Events stored.
        done: u64,
        /// Events to be stored.
        total: u64,
    },
    /// An event could not be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// An event is not what this program writes.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The files could not be read or written.
    #[error("the text index failed")]
    Store(#[from] TantivyError),
}

/// Full-text search over a log. Nothing is stored before the first question.
pub struct Engine {
    journal: Arc<dyn Journal>,
    /// `None` = in memory.
    directory: Option<PathBuf>,
    /// Held while words are stored.
    store: Mutex<Option<Store>>,
    /// What questions are answered of; `None` before the first.
    view: Mutex<Option<(Searcher, Position)>>,
    /// Whether a question was ever asked.
    wanted: AtomicBool,
    /// Whether there is space on the disk for words.
    has_room: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("directory", &self.directory)
            .field("reach", &self.reach())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Searches a log; `directory` is for the stored words alone, and nothing is stored while `has_room` says no.
    #[must_use]
    pub fn new(
        journal: Arc<dyn Journal>,
        directory: Option<PathBuf>,
        has_room: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Self {
        let (store, view) = (Mutex::new(None), Mutex::new(None));
        Self { journal, directory, store, view, wanted: AtomicBool::new(false), has_room }
    }

    /// Tells up to where words are stored, if a question was ever asked.
    #[must_use]
    pub fn reach(&self) -> Option<Position> {
        self.view.lock().as_ref().map(|(_, position)| *position)
    }

    /// Finds the events up to a position that have what is looked for.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn search(&self, query: &TextQuery, up_to: Position, ranked: bool) -> Result<Found, SearchError> {
        let (view, reach) = self.view_near(up_to)?;
        let mut tally = Tally::new(query.phrases.len(), up_to, ranked);
        store::tally(&view, query, &mut tally)?;
        self.for_each(reach, up_to, |position, document| {
            tally.add(position.0, query.phrases.iter().map(|phrase| document.weight(phrase)));
            Ok(())
        })?;
        Ok(tally.finish())
    }

    /// Looks on from what was found, at the events behind it one by one; scores are not kept.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn search_on(&self, query: &TextQuery, found: &Found, up_to: Position) -> Result<Found, SearchError> {
        let mut found = found.unranked();
        self.for_each(found.up_to, up_to, |position, document| {
            if query.phrases.iter().all(|phrase| document.weight(phrase) > 0) {
                found.insert(position);
            }
            Ok(())
        })?;
        found.up_to = up_to;
        Ok(found)
    }

    /// Gives a view that is near enough to a position.
    fn view_near(&self, up_to: Position) -> Result<(Searcher, Position), SearchError> {
        self.wanted.store(true, Ordering::Relaxed);
        let building = |done: Position| SearchError::Building { done: done.0, total: up_to.0 };
        if self.reach().is_none() {
            // Whoever holds the store may be far from done: then the question does not wait.
            let mut held = self.store.try_lock().ok_or(building(Position::ZERO))?;
            self.open(&mut held)?;
        }
        let reach = self.reach().unwrap_or(Position::ZERO);
        match up_to.0.saturating_sub(reach.0) {
            behind if behind > WAIT_MAX => return Err(building(reach)),
            // On a full disk a slow answer is better than none.
            behind if behind > BEHIND_MAX && (self.has_room)() => self.catch_up(up_to)?,
            _ => {}
        }
        let view = self.view.lock().clone();
        view.ok_or(building(Position::ZERO))
    }

    /// Stores what is behind, if a question was ever asked and enough or nothing more is coming: to be called now and
    /// then. `before` is the head at the call before.
    ///
    /// # Errors
    /// [`SearchError`].
    pub fn keep_up(&self, head: Position, before: Position) -> Result<(), SearchError> {
        let reach = self.reach().unwrap_or(Position::ZERO);
        let is_due = head == before || head.0.saturating_sub(reach.0) > BEHIND_MAX;
        if self.wanted.load(Ordering::Relaxed) && reach < head && is_due && (self.has_room)() {
            self.catch_up(head)?;
        }
        Ok(())
    }

    /// Stores the words of events up to a position.
    ///
    /// # Errors
    /// [`SearchError`]; what was stored before stays.
    pub fn catch_up(&self, up_to: Position) -> Result<(), SearchError> {
        let mut held = self.store.lock();
        self.open(&mut held)?;
        let Some(store) = held.as_mut() else { return Ok(()) };
        let stored = self.store_up_to(store, up_to);
        if let Err(SearchError::Store(error)) = &stored {
            // A writer that failed takes nothing more: the next question begins with what is on disk.
            warn!(%error, "words could not be stored");
            *held = None;
            *self.view.lock() = None;
        }
        stored
    }

    fn store_up_to(&self, store: &mut Store, up_to: Position) -> Result<(), SearchError> {
        let mut reach = self.reach().unwrap_or(Position::ZERO);
        let watch = Stopwatch::start();
        let from = reach;
        while reach < up_to {
            let end = reach.plus(COMMIT_EVENTS).min(up_to);
            let chain = self.for_each(reach, end, |position, document| Ok(store.add(position, document)?))?;
            let view = store.commit(self.journal.store_id(), Reach { position: end, chain })?;
            *self.view.lock() = Some((view, end));
            reach = end;
        }
        if reach > from {
            info!(events = reach.0 - from.0, elapsed_ms = watch.elapsed().as_millis(), "words stored");
        }
        Ok(())
    }

    /// Opens the store; one that is damaged or of another log is deleted, since all of it can be built again.
    fn open(&self, held: &mut Option<Store>) -> Result<(), SearchError> {
        if held.is_some() {
            return Ok(());
        }
        let opened = Store::open(self.directory.as_deref()).and_then(|store| {
            let reach = store.reach(self.journal.store_id())?;
            Ok((store, reach))
        });
        let (store, reach) = match opened {
            Ok((store, Some(reach))) if self.is_of_this_log(reach) => (store, reach.position),
            Ok((store, None)) if store.view()?.num_docs() == 0 => (store, Position::ZERO),
            Ok(_) => (self.anew()?, Position::ZERO),
            Err(error) => {
                warn!(%error, "the text index cannot be opened; it is built again");
                (self.anew()?, Position::ZERO)
            }
        };
        *self.view.lock() = Some((store.view()?, reach));
        *held = Some(store);
        Ok(())
    }

    fn anew(&self) -> Result<Store, TantivyError> {
        if let Some(directory) = self.directory.as_deref().filter(|directory| directory.exists()) {
            std::fs::remove_dir_all(directory)?;
        }
        Store::open(self.directory.as_deref())
    }

    /// Other events may stand at the same positions after an older backup was restored.
    fn is_of_this_log(&self, reach: Reach) -> bool {
        let frame = self.journal.frame_at(reach.position);
        let chain = frame.ok().flatten().map(|frame| *frame.chain_at(reach.position).as_bytes());
        chain == Some(reach.chain)
    }

    /// Deletes all stored words with their files, so that no byte of them is left.
    ///
    /// # Errors
    /// When files cannot be deleted.
    pub fn reset(&self) -> std::io::Result<()> {
        let mut held = self.store.lock();
        *held = None;
        *self.view.lock() = None;
        match &self.directory {
            Some(directory) if directory.exists() => std::fs::remove_dir_all(directory),
            Some(_) | None => Ok(()),
        }
    }

    /// Visits the words of each event in (`after`, `up_to`]; gives the chain hash at the last.
    fn for_each(
        &self,
        after: Position,
        up_to: Position,
        mut visit: impl FnMut(Position, Document) -> Result<(), SearchError>,
    ) -> Result<[u8; 32], SearchError> {
        let mut chain = [0; 32];
        if after >= up_to {
            return Ok(chain);
        }
        for frame in self.journal.read(after.next(), Direction::Forward) {
            let frame = frame?;
            for record in frame.records() {
                if record.position > after
                    && record.position <= up_to
                    && let Some(texts) = Texts::of(record)?
                {
                    visit(record.position, Document::of(&texts))?;
                }
            }
            if frame.last() >= up_to {
                chain = *frame.chain_at(up_to).as_bytes();
                break;
            }
        }
        Ok(chain)
    }
}
