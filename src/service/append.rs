//! Appends: one a call, and a stream of them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::context::refused;
use super::{Context, Messages};
use crate::log::{AppendRequest, Appended, Appending, Log};
use crate::pb;
use crate::wire::{RequestError, append, append_stream, codec};

/// Appends of no more events than this, and no more bytes, are checked where they arrive; larger ones on a thread of
/// their own, so that other calls of the same connection go on.
const CHECKED_IN_PLACE_MAX: usize = 32;
const CHECKED_IN_PLACE_BYTES_MAX: usize = 256 * 1_024;
/// Most events of one stream whose requests are not answered yet: enough for eight full rounds of the writer, and a
/// bound on the memory of answers that a client does not read.
const UNANSWERED_EVENTS_MAX: u16 = 8_192;

/// What the stream of answers is made of.
enum Taken {
    /// A request that the writer has, or that was refused before.
    Request {
        outcome: Result<Appending, Status>,
        /// Given back when the answer is sent.
        place: OwnedSemaphorePermit,
    },
    /// The stream ends, not by the client.
    End(Status),
}

impl Context {
    /// Checks an append, has it made, and waits for it.
    ///
    /// # Errors
    /// As the API says of AppendEvents.
    pub async fn append(&self, request: pb::AppendEventsRequest) -> Result<Appended, Status> {
        let log = self.log()?;
        let request = self.checked(Arc::clone(&log), request).await?;
        log.append(request).await.map_err(|error| self.append_failed(&error))
    }

    /// Answers a stream of appends.
    ///
    /// # Errors
    /// UNAVAILABLE while the server starts or stops.
    pub fn append_stream(
        &self,
        requests: Streaming<pb::AppendStreamRequest>,
    ) -> Result<Messages<pb::AppendStreamResponse>, Status> {
        let log = self.log()?;
        let (out, taken) = mpsc::channel(UNANSWERED_EVENTS_MAX.into());
        let context = self.clone();
        tokio::spawn(async move { context.take_all(&log, requests, &out).await });
        let context = self.clone();
        let answers = ReceiverStream::new(taken).then(move |taken| {
            let context = context.clone();
            async move {
                match taken {
                    Taken::Request { outcome, place } => {
                        let outcome = match outcome {
                            Ok(appending) => appending.outcome().await,
                            Err(status) => return Ok(append_stream::answer(Err(status))),
                        };
                        drop(place);
                        let outcome = outcome.map_err(|error| context.append_failed(&error));
                        Ok(append_stream::answer(outcome))
                    }
                    Taken::End(status) => Err(status),
                }
            }
        });
        Ok(Box::pin(answers))
    }

    /// Hands the requests of a stream to the writer, in their order, until it ends, its client goes away, or the server
    /// stops.
    async fn take_all(
        &self,
        log: &Arc<Log>,
        mut requests: Streaming<pb::AppendStreamRequest>,
        out: &mpsc::Sender<Taken>,
    ) {
        let places = Arc::new(Semaphore::new(UNANSWERED_EVENTS_MAX.into()));
        let work = async {
            loop {
                let request = match requests.message().await {
                    Ok(Some(request)) => append_stream::request(request),
                    Ok(None) => return,
                    Err(status) => {
                        let explained = codec::explained(&status, self.limits.message_bytes_max);
                        let status = explained.unwrap_or(status);
                        // The client may be gone.
                        let _ = out.send(Taken::End(status)).await;
                        return;
                    }
                };
                let events = u16::try_from(request.events.len()).unwrap_or(u16::MAX);
                let weight = u32::from(events.clamp(1, UNANSWERED_EVENTS_MAX));
                // Never closed.
                let Ok(place) = Arc::clone(&places).acquire_many_owned(weight).await else { return };
                // Before the append: once the writer has it, nothing may come between it and its answer.
                let Ok(answer) = out.reserve().await else { return };
                let outcome = self.begin_append(log, request).await;
                answer.send(Taken::Request { outcome, place });
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => {
                // After the answers to what was taken.
                let _ = out.send(Taken::End(refused(&RequestError::ShuttingDown))).await;
            }
            () = out.closed() => {}
            () = work => {}
        }
    }

    async fn begin_append(
        &self,
        log: &Arc<Log>,
        request: pb::AppendEventsRequest,
    ) -> Result<Appending, Status> {
        let request = self.checked(Arc::clone(log), request).await?;
        log.begin_append(request).await.map_err(|error| self.append_failed(&error))
    }

    /// Checks an append and makes it ready for the writer.
    async fn checked(
        &self,
        log: Arc<Log>,
        request: pb::AppendEventsRequest,
    ) -> Result<AppendRequest, Status> {
        let limits = self.limits;
        // Saved timelines are looked up, which may wait for the disk.
        let small = request.events.len() <= CHECKED_IN_PLACE_MAX
            && request.events.iter().map(Bytes::len).sum::<usize>() <= CHECKED_IN_PLACE_BYTES_MAX
            && !append::needs_look_up(&request);
        let context = self.clone();
        let check = move || {
            let head = log.head().position;
            let (events, conditions) =
                append::append(request, &limits, log.ids().as_ref(), (log.clock().now(), head))
                    .map_err(|error| refused(&error))?;
            let conditions = context.resolved_conditions(&log, conditions, head)?;
            let events = events
                .into_iter()
                .map(|event| log.propose(event.facts, event.content, event.caveats))
                .collect();
            Ok(AppendRequest { events, conditions, recorded_by: String::new() })
        };
        if small { self.caught(check) } else { self.query(move |_| check()).await }
    }
}
