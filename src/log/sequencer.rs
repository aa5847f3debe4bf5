//! The writer: the one thread that gives positions.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tracing::{error, info};

use super::admission::{Admission, Admitted};
use super::append::{AppendRequest, Appended};
use super::disk::{DiskFull, Reserve};
use super::erase::{EraseError, EraseFault, Erased, Eraser, order_for};
use super::error::{AppendError, causes};
use super::head::Head;
use super::queue::{Pending, PendingErase, Queue, Round};
use super::reader::Reader;
use super::recent::{self, Recent};
use super::rendered::RenderedFrames;
use super::stage::Stage;
use crate::clock::Clock;
use crate::codec::erased::Erasure;
use crate::domain::{EventId, Position, RecordForm, Timestamp};
use crate::index::{Index, SegmentStore};
use crate::journal::{CommitError, EncodeError, Journal, frames_of};
use crate::search::Engine;
use crate::seeded::{self, Bug};

/// What the writer thread works with.
#[derive(Debug)]
pub struct Sequencer {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) index: Arc<Index>,
    pub(super) queue: Arc<Queue>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) head: watch::Sender<Head>,
    /// Where each segment begins that waits to be sealed.
    pub(super) full_segments: SyncSender<Position>,
    pub(super) segments: Option<SegmentStore>,
    pub(super) words: Arc<Engine>,
    /// Held while a segment is sealed, and while contents are erased: a segment made of what was there before must not
    /// come after.
    pub(super) sealing: Arc<Mutex<()>>,
    pub(super) reserve: Option<Arc<Reserve>>,
    pub(super) recent: Arc<Recent>,
    pub(super) rendered: Arc<RenderedFrames>,
}

/// Why a round could not be written.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Nothing was written.
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
}

/// An answer that waits for the commit of the round.
type Waiting = (oneshot::Sender<Result<Appended, AppendError>>, Appended);

impl Sequencer {
    /// Works until the queue is closed and empty.
    pub fn run(self) {
        let _guard = Abandon(&self.queue);
        while let Some(round) = self.queue.take_round() {
            match round {
                Round::Append(round) => self.round(round),
                Round::Erase(pending) => self.erase(*pending),
            }
        }
    }

    fn erase(&self, pending: PendingErase) {
        let PendingErase { target, record, reply } = pending;
        // Nobody may be waiting for it any more.
        let _ = reply.send(self.erased(target, record));
    }

    fn erased(&self, target: EventId, order: AppendRequest) -> Result<Erased, EraseError> {
        if self.queue.is_poisoned() {
            return Err(AppendError::ReadOnly.into());
        }
        let view = self.index.view();
        let position = view.position_of(&target).ok_or(EraseError::Unknown(target))?;
        let found = Reader::new(Arc::clone(&self.journal)).record(position).map_err(AppendError::from)?;
        if found.stream.is_reserved() {
            return Err(EraseError::Reserved(target));
        }
        if found.form != RecordForm::Whole {
            return Ok(Erased { position, already: true });
        }
        if let Some(reserve) = &self.reserve {
            // Everything is written once more before the old files go.
            reserve.admit(self.journal.stored_bytes()).map_err(AppendError::from)?;
        }
        let recorded = order_for(self.journal.as_ref(), &view, target).map_err(AppendError::from)?;
        drop(view);
        let erasure = match recorded {
            // An earlier attempt came as far as this.
            Some(erasure) => erasure,
            None => self.record_order(target, order)?,
        };
        let _sealing = self.sealing.lock();
        let eraser = Eraser {
            journal: self.journal.as_ref(),
            index: &self.index,
            segments: self.segments.as_ref(),
            words: &self.words,
        };
        // Also where it fails halfway, or panics: what is read again is as it stands.
        let forget = Forget(&self.recent, &self.rendered);
        let done = eraser.run(&[(position, erasure)]);
        if let Err(EraseFault::Rewrite(CommitError::Failed(_))) = &done {
            // Which of two databases is in use is known when the store is opened again.
            self.queue.poison();
        }
        drop(forget);
        done?;
        info!(%position, "the content of an event was erased");
        Ok(Erased { position, already: false })
    }

    /// Commits the event that records an order, as a round of its own.
    fn record_order(&self, target: EventId, order: AppendRequest) -> Result<Erasure, EraseError> {
        let (reply, answer) = oneshot::channel();
        self.round(vec![Pending { request: order, reply }]);
        // The round has answered by now.
        answer.blocking_recv().unwrap_or(Err(AppendError::OutcomeUnknown))?;
        let recorded =
            order_for(self.journal.as_ref(), &self.index.view(), target).map_err(AppendError::from)?;
        recorded.ok_or_else(|| AppendError::OutcomeUnknown.into())
    }

    fn round(&self, round: Vec<Pending>) {
        let head = self.head.borrow().clone();
        // Strictly after everything recorded, also when the clock steps back.
        let earliest = head.recorded_at.map_or(Timestamp(i64::MIN), |last| last.plus_micros(1));
        let stage = Stage::after(head.position, self.clock.now().max(earliest));
        let reader = Reader::new(Arc::clone(&self.journal));
        let mut admission = Admission { view: self.index.view(), head: head.position, reader, stage };
        let read_only = self.queue.is_poisoned();
        let mut accepted = Vec::new();
        for Pending { request, reply } in round {
            match admission.admit(request, read_only) {
                Ok(Admitted::Staged(places)) => accepted.push((reply, places, false)),
                Ok(Admitted::RepeatsStaged(places)) => accepted.push((reply, places, true)),
                Ok(Admitted::Replay(answer)) => answer_with(reply, Ok(answer)),
                Err(error) => answer_with(reply, Err(error)),
            }
        }
        let stage = admission.stage;
        drop(admission.view);
        let waiting: Vec<Waiting> = accepted
            .into_iter()
            .map(|(reply, places, replayed)| (reply, stage.answer(places, replayed)))
            .collect();
        if stage.is_empty() {
            // Nothing to write; a request without events is answered with none.
            waiting.into_iter().for_each(|(reply, answer)| answer_with(reply, Ok(answer)));
            return;
        }
        self.write(&head, stage, waiting);
    }

    fn write(&self, head: &Head, stage: Stage, mut waiting: Vec<Waiting>) {
        if seeded::on(Bug::AckBeforeFlush) {
            waiting.drain(..).for_each(|(reply, answer)| answer_with(reply, Ok(answer)));
        }
        if seeded::on(Bug::PublishHeadBeforeFlush) {
            let last = stage.records.last();
            let position = last.map_or(head.position, |record| record.position);
            self.head.send_replace(Head { position, ..head.clone() });
        }
        if let Err(cause) = self.commit(head, &stage) {
            if let RoundError::DiskFull(full) = cause {
                waiting.into_iter().for_each(|(reply, _)| answer_with(reply, Err(full.into())));
                return;
            }
            // After a failed flush nobody knows what is on disk: the kernel may have dropped the pages, and a
            // second fsync would report success (Rebello et al., USENIX ATC 2020). So nothing more is written.
            self.queue.poison();
            let first = stage.next_position();
            error!(error = causes(&cause), before = %first, "commit failed, the store is read-only");
            for (reply, _) in waiting {
                answer_with(reply, Err(AppendError::OutcomeUnknown));
            }
            return;
        }
        for base in self.index.fold(&stage.facts) {
            // Bounded: where sealing falls behind, the writer waits for it.
            if self.full_segments.send(base).is_err() {
                error!("the sealing thread is gone; segments stay in memory");
            }
        }
        let tail = self.journal.tail();
        // Before the head moves: who sees the head finds the round.
        self.recent.push(recent::Round::new(stage.facts, stage.records, tail.chain));
        self.head.send_replace(tail.into());
        for (reply, answer) in waiting {
            answer_with(reply, Ok(answer));
        }
    }

    fn commit(&self, head: &Head, stage: &Stage) -> Result<(), RoundError> {
        let (frames, _) = frames_of(&stage.records, head.chain)?;
        if let Some(reserve) = &self.reserve {
            let bytes: usize = frames.iter().map(|frame| frame.bytes().len()).sum();
            reserve.admit(u64::try_from(bytes).unwrap_or(u64::MAX))?;
        }
        Ok(self.journal.commit(head.position, frames)?)
    }
}

/// Forgets what is held of events as they were, at the end of an erasure.
struct Forget<'a>(&'a Recent, &'a RenderedFrames);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.clear();
        self.1.clear();
    }
}

/// Closes the queue when the writer ends, however it ends: after a panic nobody must wait for an answer for ever.
struct Abandon<'a>(&'a Queue);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        let panicked = std::thread::panicking();
        if panicked {
            error!("the writer panicked; the store takes no more writes");
        }
        self.0.abandon(panicked);
    }
}

/// Answers; a client that went away changes nothing, because its append is made or refused like any other.
fn answer_with(reply: oneshot::Sender<Result<Appended, AppendError>>, answer: Result<Appended, AppendError>) {
    let _ = reply.send(answer);
}
