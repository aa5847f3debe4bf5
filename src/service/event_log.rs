//! `EventLogService`.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::context::refused;
use super::{Context, Messages};
use crate::domain::{Invalid, Position};
use crate::log::Log;
use crate::pb;
use crate::pb::event_log_service_server::EventLogService;
use crate::subscription::{Events, Machine, follow};
use crate::wire::decode::{self, Start};
use crate::wire::{RequestError, encode};

/// The log, over gRPC.
#[derive(Clone, Debug)]
pub struct EventLog(pub Context);

#[tonic::async_trait]
impl EventLogService for EventLog {
    async fn append_events(
        &self,
        request: Request<pb::AppendEventsRequest>,
    ) -> Result<Response<pb::AppendEventsResponse>, Status> {
        let appended = self.0.append(request.into_inner()).await?;
        Ok(Response::new(encode::appended(&appended)))
    }

    type AppendStreamStream = Messages<pb::AppendStreamResponse>;

    async fn append_stream(
        &self,
        request: Request<Streaming<pb::AppendStreamRequest>>,
    ) -> Result<Response<Self::AppendStreamStream>, Status> {
        Ok(Response::new(self.0.append_stream(request.into_inner())?))
    }

    async fn get_event(
        &self,
        request: Request<pb::GetEventRequest>,
    ) -> Result<Response<pb::GetEventResponse>, Status> {
        let log = self.0.log()?;
        let id = decode::event_id(&request.get_ref().event_id).map_err(|error| refused(&error))?;
        let event = self.0.query(move |context| {
            let head = log.head().position;
            let found = log.index().view().position_of(&id).filter(|position| *position <= head);
            let position = found.ok_or_else(|| refused(&RequestError::EventNotFound(id)))?;
            context.read_event(&mut log.reader(), position)
        });
        Ok(Response::new(pb::GetEventResponse { event: Some(event.await?) }))
    }

    type ReadEventsStream = Messages<pb::ReadEventsResponse>;

    async fn read_events(
        &self,
        request: Request<pb::ReadEventsRequest>,
    ) -> Result<Response<Self::ReadEventsStream>, Status> {
        let log = self.0.log()?;
        let head = log.head();
        let mut request = decode::read_events(request.get_ref(), log.store_id(), head.position)
            .map_err(|error| refused(&error))?;
        self.0.check_history(&log, request.history).await?;
        request.filter = self.0.resolved_soon(&log, request.filter, request.scope.as_of).await?;
        // One batch being sent and one ready: a slow reader holds no more.
        let (out, messages) = mpsc::channel(1);
        let context = self.0.clone();
        tokio::spawn(async move {
            let shutdown = context.shutdown.clone();
            let work = super::read::send(&context, &log, request, head, &out);
            let outcome = tokio::select! {
                biased;
                () = shutdown.cancelled() => Err(refused(&RequestError::ShuttingDown)),
                outcome = work => outcome,
            };
            if let Err(status) = outcome {
                // The reader may be gone.
                let _ = out.send(Err(status)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }

    type SubscribeEventsStream = Messages<pb::SubscribeEventsResponse>;

    async fn subscribe_events(
        &self,
        request: Request<pb::SubscribeEventsRequest>,
    ) -> Result<Response<Self::SubscribeEventsStream>, Status> {
        let log = self.0.log()?;
        let permit = self.0.subscription()?;
        let head = log.head().position;
        let request =
            decode::subscribe(request.get_ref(), log.store_id(), head).map_err(|error| refused(&error))?;
        self.0.check_history(&log, request.history).await?;
        let after = match request.start {
            Start::After(position) => position,
            Start::Now => head,
            Start::Since(time) if time > log.clock().now() => {
                let invalid = Invalid::one("since_recorded_time", "must not be in the future");
                return Err(refused(&invalid.into()));
            }
            Start::Since(time) => last_before(&log, time, head),
        };
        let machine = Machine::new(after, request.pace, log.clock().now());
        let (out, items) = mpsc::channel(crate::subscription::driver::BATCHES_AHEAD);
        let store = log.store_id();
        let filter = self.0.resolved_soon(&log, request.filter, head).await?;
        let events = Events::new(&log, filter);
        tokio::spawn(follow(
            Arc::clone(&log),
            self.0.fanout(&log),
            events,
            machine,
            out,
            self.0.shutdown.clone(),
        ));
        let context = self.0.clone();
        let messages = ReceiverStream::new(items).map(move |item| {
            // The place is given back when the stream is dropped.
            let _held = &permit;
            let events = |events: Vec<Bytes>| Ok(encode::subscription_events(pb::EventBatch { events }));
            tokio_stream::iter(context.streamed(item, store, |signal| signal, events))
        });
        Ok(Response::new(Box::pin(futures_util::StreamExt::flatten(messages))))
    }

    async fn get_head(
        &self,
        _request: Request<pb::GetHeadRequest>,
    ) -> Result<Response<pb::GetHeadResponse>, Status> {
        let log = self.0.log()?;
        Ok(Response::new(encode::head(&log.head(), log.store_id())))
    }
}

/// Gives the last position recorded before a moment.
fn last_before(log: &Log, time: crate::domain::Timestamp, head: Position) -> Position {
    let view = log.index().view();
    let mut last = Position::ZERO;
    for part in view.parts() {
        let before = part.columns().recorded_before(time);
        last = part.base().plus(u64::try_from(before).unwrap_or(u64::MAX));
        if last.0 < part.base().0 + u64::from(part.len()) {
            break;
        }
    }
    last.min(head)
}
