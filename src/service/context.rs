//! What the services share: the log, once it is open; limits; shutdown; incidents.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::error;

use crate::clock::IdSource;
use crate::domain::Timestamp;
use crate::log::error::{ReadError, causes};
use crate::log::{AppendError, EraseError, Log};
use crate::projection::series::Books;
use crate::search::SearchError;
use crate::subscription::Fanout;
use crate::wire::{Limits, RequestError, status};

/// Most backups made at once; others wait.
const BACKUPS_MAX: usize = 2;

/// How far the server is.
#[derive(Clone, Debug)]
pub enum Phase {
    /// The store is being opened.
    Starting {
        /// What is being done.
        progress: String,
    },
    /// The store is open.
    Serving(Arc<Log>),
    /// The server is stopping: no new appends, subscriptions or queries.
    Stopping,
}

/// What the services share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    phase: watch::Receiver<Phase>,
    ids: Arc<dyn IdSource>,
    /// What the server allows.
    pub limits: Limits,
    /// Ends open streams.
    pub shutdown: CancellationToken,
    /// When the server was started.
    pub started_at: Timestamp,
    subscriptions: Arc<Semaphore>,
    queries: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    proofs: Arc<Semaphore>,
    backups: Arc<Semaphore>,
    pub(super) books: Arc<Books>,
    /// Started with the first follower.
    fanout: Arc<OnceLock<Arc<Fanout>>>,
}

impl Context {
    /// Joins what the services share.
    #[must_use]
    pub fn new(
        phase: watch::Receiver<Phase>,
        ids: Arc<dyn IdSource>,
        limits: Limits,
        shutdown: CancellationToken,
        started_at: Timestamp,
    ) -> Self {
        let subscriptions = Arc::new(Semaphore::new(limits.subscriptions_max));
        let queries = Arc::new(Semaphore::new(limits.queries_max));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let scans = Arc::new(Semaphore::new((cores / 2).max(1)));
        let checks = Arc::new(Semaphore::new(1));
        let proofs = Arc::new(Semaphore::new(1));
        let backups = Arc::new(Semaphore::new(BACKUPS_MAX));
        let books = Arc::default();
        Self {
            phase,
            ids,
            limits,
            shutdown,
            started_at,
            subscriptions,
            queries,
            scans,
            checks,
            proofs,
            backups,
            books,
            fanout: Arc::default(),
        }
    }

    /// Gives the log.
    ///
    /// # Errors
    /// UNAVAILABLE while the server starts or stops.
    pub fn log(&self) -> Result<Arc<Log>, Status> {
        match &*self.phase.borrow() {
            Phase::Serving(log) => Ok(Arc::clone(log)),
            Phase::Starting { progress } => {
                Err(status::request_error(&RequestError::Starting { progress: progress.clone() }))
            }
            Phase::Stopping => Err(status::request_error(&RequestError::ShuttingDown)),
        }
    }

    /// Gives what tells followers of the log.
    #[must_use]
    pub fn fanout(&self, log: &Arc<Log>) -> Arc<Fanout> {
        Arc::clone(self.fanout.get_or_init(|| Fanout::start(log, self.shutdown.clone())))
    }

    /// Takes a place among the open subscriptions.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there is none.
    pub fn subscription(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.subscriptions).try_acquire_owned().map_err(|_| {
            let subscriptions_max = self.limits.subscriptions_max;
            status::request_error(&RequestError::SubscriptionsExhausted { subscriptions_max })
        })
    }

    /// Runs a query on a thread that may wait for the disk; as many at once as the limits allow, others wait.
    ///
    /// # Errors
    /// What the query says, or INTERNAL if it panicked.
    pub async fn query<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.run(Arc::clone(&self.queries), work).await
    }

    /// Reads a batch of a stream: on half of the cores at most. Whoever reads everything takes what it gets, and many who
    /// do so at once would leave nothing for appends and short questions.
    ///
    /// # Errors
    /// As [`Context::query`].
    pub async fn scan<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.run(Arc::clone(&self.scans), work).await
    }

    /// Runs a check of the store: one at a time, beside the queries, because a slow reader of its report holds it up.
    ///
    /// # Errors
    /// As [`Context::query`].
    pub async fn check<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.run(Arc::clone(&self.checks), work).await
    }

    /// Proves something of the log: one at a time, beside the queries, because proofs share what they read.
    ///
    /// # Errors
    /// As [`Context::query`].
    pub async fn prove<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.run(Arc::clone(&self.proofs), work).await
    }

    /// Runs a backup: two at a time, beside the queries, because a slow reader holds it up.
    ///
    /// # Errors
    /// As [`Context::query`].
    pub async fn copying<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        self.run(Arc::clone(&self.backups), work).await
    }

    async fn run<T: Send + 'static>(
        &self,
        places: Arc<Semaphore>,
        work: impl FnOnce(&Self) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let permit = places.acquire_owned().await;
        let context = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let answer = work(&context);
            drop(permit);
            answer
        });
        work.await.unwrap_or_else(|panicked| {
            let incident = self.incident(&panicked);
            Err(status::internal(&incident))
        })
    }

    /// Runs work in place; a panic is a fault of the server's like any other.
    ///
    /// # Errors
    /// What the work says, or INTERNAL if it panicked.
    pub fn caught<T>(&self, work: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panicked| {
            let said = panicked.downcast_ref::<&str>().map(|said| (*said).to_owned());
            let said = said.or_else(|| panicked.downcast_ref::<String>().cloned()).unwrap_or_default();
            let incident = self.incident(&std::io::Error::other(format!("a check panicked: {said}")));
            Err(status::internal(&incident))
        })
    }

    /// Maps a read that failed, and logs its cause.
    #[must_use]
    pub fn read_failed(&self, error: &ReadError) -> Status {
        status::read_error(error, &self.incident(error))
    }

    /// Maps a search that failed, and logs its cause.
    #[must_use]
    pub fn search_failed(&self, error: SearchError) -> Status {
        if let SearchError::Building { .. } = error {
            return refused(&RequestError::Starting { progress: error.to_string() });
        }
        self.read_failed(&error.into())
    }

    /// Maps an append that failed; logs the cause if the server is at fault.
    #[must_use]
    pub fn append_failed(&self, error: &AppendError) -> Status {
        let incident = match error {
            AppendError::Read(_) | AppendError::OutcomeUnknown => self.incident(error),
            AppendError::ConditionFailed(_)
            | AppendError::EventIdReused { .. }
            | AppendError::Erased { .. }
            | AppendError::PartialReplay { .. }
            | AppendError::LinkTargetUnknown { .. }
            | AppendError::LinkTargetClosed { .. }
            | AppendError::LinkTargetKind { .. }
            | AppendError::TooLarge { .. }
            | AppendError::QueueFull(_)
            | AppendError::DiskFull(_)
            | AppendError::ReadOnly
            | AppendError::Closing => String::new(),
        };
        status::append_error(error, &incident)
    }

    /// Maps an erasure that failed; logs the cause if the server is at fault.
    #[must_use]
    pub fn erase_failed(&self, error: &EraseError) -> Status {
        match error {
            EraseError::Append(error) => self.append_failed(error),
            EraseError::Incomplete(_) => status::erase_error(error, &self.incident(error)),
            EraseError::Kept(kept) => {
                // The path is the operator's to know, not the client's.
                error!(kept = %kept.display(), "not erased: files that a repair kept hold contents too");
                status::erase_error(error, "")
            }
            EraseError::Unknown(_) | EraseError::Reserved(_) | EraseError::Invalid(_) => {
                status::erase_error(error, "")
            }
        }
    }

    /// Logs a fault of the server's with its causes, once, and names it.
    pub(super) fn incident(&self, cause: &(dyn Error + 'static)) -> String {
        let incident = self.ids.event_id().to_string();
        error!(incident, error = causes(cause), "request failed");
        incident
    }
}

/// Maps a refused request.
#[must_use]
pub fn refused(error: &RequestError) -> Status {
    status::request_error(error)
}
