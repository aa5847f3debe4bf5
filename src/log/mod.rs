//! The log: one writer, many readers, one durable order.
//!
//! ```text
//! append ─▶ queue ─▶ round: ids → conditions → links → positions → chain ─▶ commit ─▶ fold ─▶ head ─▶ reply
//!           bounded    one writer thread, many requests at once            durable   index   readers see it
//! ```
//!
//! Nothing is acknowledged before it is durable, and nothing is shown that is not: the head moves after the flush,
//! and the index is folded before the head moves. After a failed flush the log takes no more writes until it is
//! opened again. There is no update and no delete.

pub mod admission;
pub mod append;
pub mod backup;
pub mod backup_file;
pub mod disk;
pub mod erase;
pub mod error;
pub mod head;
pub mod links;
pub mod open;
pub mod proofs;
pub mod queue;
pub mod reader;
pub mod rebuild;
pub mod recent;
pub mod rendered;
pub mod repair;
pub mod restore;
pub mod scan;
pub mod seal;
pub mod sequencer;
pub mod signing_key;
pub mod stage;
pub mod store_file;
pub mod verify;
pub mod words;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

pub use append::{AppendRequest, Appended, AppendedEvent, Condition, Expected, Proposal};
pub use backup::{Backup, BackupError};
pub use disk::{DiskFull, Reserve};
pub use erase::{EraseError, Erased};
pub use error::{AppendError, ConditionViolation, OpenError, QueueFull, ViolatedCondition};
pub use head::Head;
pub use open::{LogConfig, OpenProgress, OpenReport};
pub use proofs::Proofs;
pub use queue::QueueLimits;
pub use reader::Reader;
pub use recent::Recent;
pub use rendered::RenderedFrames;
pub use restore::{RestoreError, restore};
pub use scan::{Batch, BatchLimits, Scan};
pub use verify::{Finding, VerifyEvent, VerifyReport, verify_directory};

use crate::clock::{Clock, IdSource};
use crate::codec::erased::EraseOrder;
use crate::domain::{Position, StoreId};
use crate::index::{Index, SegmentStore};
use crate::journal::{ChainHash, Journal};
use crate::proof::Signer;
use crate::search::Engine;
use queue::{Pending, PendingErase, Queue, Work};

/// An open log. Cheap to share; dropping the last handle after [`Log::close`] releases its files.
#[derive(Debug)]
pub struct Log {
    journal: Arc<dyn Journal>,
    index: Arc<Index>,
    segments: Option<SegmentStore>,
    proofs: Arc<Proofs>,
    words: Arc<Engine>,
    signer: Signer,
    recent: Arc<Recent>,
    rendered: Arc<RenderedFrames>,
    head: watch::Receiver<Head>,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Dropped to stop the thread that stores words.
    open: Mutex<Option<SyncSender<()>>>,
    /// Where the log lives, if in a directory.
    directory: Option<PathBuf>,
    /// Held for as long as the log is open: one process at a time. The last field, so that it is released last.
    lock: Option<std::fs::File>,
}

/// An append that the writer has; dropping it does not stop the append.
#[derive(Debug)]
pub struct Appending(oneshot::Receiver<Result<Appended, AppendError>>);

impl Appending {
    /// Waits until the events are on disk, or refused.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn outcome(self) -> Result<Appended, AppendError> {
        // The writer answers every request it takes; a lost answer means that it panicked.
        self.0.await.unwrap_or(Err(AppendError::OutcomeUnknown))
    }
}

impl Log {
    /// Gives the last durable position and what stands there.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head.borrow().clone()
    }

    /// Watches the head.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Head> {
        self.head.clone()
    }

    /// Gives the store that this log is.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.journal.store_id()
    }

    /// Gives the index. It may be ahead of the head by what is being acknowledged: bound every look by the head.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Gives the last rounds, as far as they are held in memory. They may be ahead of the head by one that is being
    /// acknowledged.
    #[must_use]
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Gives the frames that are held as clients see them.
    #[must_use]
    pub fn rendered(&self) -> &RenderedFrames {
        &self.rendered
    }

    /// Gives the clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Gives the source of ids.
    #[must_use]
    pub fn ids(&self) -> &Arc<dyn IdSource> {
        &self.ids
    }

    /// Gives the Merkle tree over the log.
    #[must_use]
    pub fn proofs(&self) -> &Arc<Proofs> {
        &self.proofs
    }

    /// Gives full-text search over the log.
    #[must_use]
    pub fn words(&self) -> &Engine {
        &self.words
    }

    /// Gives the key that signs for the log.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Tells whether the log takes writes.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.queue.is_poisoned()
    }

    /// Gives the journal, to be read.
    #[must_use]
    pub fn journal(&self) -> &dyn Journal {
        self.journal.as_ref()
    }

    /// Gives the chain hash at a position.
    ///
    /// # Errors
    /// [`error::ReadError`] when the position is beyond the head or its frame cannot be read.
    pub fn chain_at(&self, position: Position) -> Result<ChainHash, error::ReadError> {
        let head = self.head();
        if position == head.position {
            Ok(head.chain)
        } else {
            rebuild::chain_at(self.journal.as_ref(), position)
        }
    }

    /// Gives a reader of records.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.journal))
    }

    /// Appends events, all or none, and returns when they are on disk.
    ///
    /// The events stand at consecutive positions in request order. A request whose events are all recorded gets the
    /// original answer. Dropping the future does not stop the append: it is made whole or not at all.
    ///
    /// # Errors
    /// [`AppendError`]; with every variant but [`AppendError::OutcomeUnknown`] no event of the request was written.
    pub async fn append(&self, request: AppendRequest) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Work::Append(Pending { request, reply }))?;
        Appending(answer).outcome().await
    }

    /// Hands an append to the writer, as soon as there is room in its queue, and does not wait for the outcome: appends
    /// that are handed over one after the other are decided in that order.
    ///
    /// # Errors
    /// [`AppendError::Closing`], [`AppendError::ReadOnly`]; [`AppendError::QueueFull`] for a request that the queue can
    /// never hold. Nothing was written.
    pub async fn begin_append(&self, request: AppendRequest) -> Result<Appending, AppendError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push_when_room(Work::Append(Pending { request, reply })).await?;
        Ok(Appending(answer))
    }

    /// Takes the content of an event away, from every file, and returns when it is gone. Appends wait meanwhile.
    ///
    /// Its place, id and digests stay, and an event in `$erasures` records the order. Dropping the future does not stop
    /// the work.
    ///
    /// # Errors
    /// [`EraseError`]; with every variant but [`EraseError::Incomplete`], and [`AppendError::OutcomeUnknown`] in
    /// [`EraseError::Append`], nothing was recorded and nothing erased.
    pub async fn erase(&self, order: EraseOrder) -> Result<Erased, EraseError> {
        if let Some(kept) = self.directory.as_deref().and_then(repair::kept) {
            return Err(EraseError::Kept(kept));
        }
        let target = order.event_id;
        let event = order.event(self.ids.event_id(), self.clock.now())?;
        let event = self.propose(event.facts, event.content, event.caveats);
        let record = AppendRequest { events: vec![event], ..AppendRequest::default() };
        let (reply, answer) = oneshot::channel();
        self.queue.push(Work::Erase(Box::new(PendingErase { target, record, reply })))?;
        answer.await.unwrap_or(Err(AppendError::OutcomeUnknown.into()))
    }

    /// Makes what is proposed ready for the writer: salts and digests cost time that the writer should not spend.
    #[must_use]
    pub fn propose(
        &self,
        facts: crate::domain::EventFacts,
        content: bytes::Bytes,
        caveats: Vec<crate::domain::Caveat>,
    ) -> Proposal {
        Proposal::new(facts, content, caveats, self.ids.salt())
    }

    /// Takes no more appends, finishes those that wait, and stops the threads.
    ///
    /// # Errors
    /// When the journal cannot flush what it holds.
    pub fn close(&self) -> std::io::Result<()> {
        self.queue.close();
        self.open.lock().take();
        for thread in self.threads.lock().drain(..) {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
        self.journal.close()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Also a log that nobody closed must not leave its writer waiting for ever.
        self.queue.close();
        self.open.lock().take();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }
}
