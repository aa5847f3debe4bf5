//! Watches: the entries of a question, and then every change of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::context::refused;
use super::{Context, Messages};
use crate::domain::{EventId, Position, StoreId};
use crate::journal::Record;
use crate::log::Log;
use crate::pb;
use crate::subscription::watch::{Changed, What};
use crate::subscription::{Machine, Piece, Subscription, SubscriptionEnd, Watch, WatchRequest, follow};
use crate::timeline::{Entry, Followed};
use crate::wire::watch::{self as wire, Start, WatchEntries};
use crate::wire::{RequestError, encode};

impl Context {
    /// Begins a watch.
    ///
    /// # Errors
    /// When the request is refused, or too many streams are open.
    pub async fn watch_entries(
        &self,
        request: &pb::WatchEntriesRequest,
    ) -> Result<Messages<pb::WatchEntriesResponse>, Status> {
        let log = self.log()?;
        let permit = self.subscription()?;
        let head = log.head().position;
        let store = log.store_id();
        let asked = wire::watch_entries(request, store, head).map_err(|error| refused(&error))?;
        self.check_history(&log, asked.history).await?;
        let WatchEntries { filter, window, known_at, event_ids, order, start, pace, history: _ } = asked;
        let filter = self.resolved_soon(&log, filter, head).await?;
        let histories = positions_of(&log, &event_ids, head)?;
        let (after, snapshot) = match start {
            Start::Snapshot => (head, Some((head, order))),
            Start::After(position) => (position, None),
            Start::Now => (head, None),
        };
        let followed = Followed { filter, window, known_at, histories };
        let machine = Machine::new(after, pace, log.clock().now());
        let machine = if snapshot.is_some() { machine.with_opening() } else { machine };
        let shared = Arc::clone(&log);
        let watch = self.query(move |_| Ok(Watch::new(&shared, WatchRequest { followed, snapshot }))).await?;
        let (out, items) = mpsc::channel(crate::subscription::driver::BATCHES_AHEAD);
        tokio::spawn(follow(Arc::clone(&log), self.fanout(&log), watch, machine, out, self.shutdown.clone()));
        let context = self.clone();
        let messages = ReceiverStream::new(items).map(move |item| {
            // The place is given back when the stream is dropped.
            let _held = &permit;
            let written = context.streamed(item, store, wire::signal, |piece| context.piece(piece));
            tokio_stream::iter(written)
        });
        Ok(Box::pin(futures_util::StreamExt::flatten(messages)))
    }

    /// Gives what follows from a log as messages: `signal` writes what all streams share, `items` the rest.
    pub fn streamed<T, R>(
        &self,
        item: Subscription<T>,
        store: StoreId,
        signal: impl Fn(pb::SubscribeEventsResponse) -> R,
        items: impl Fn(T) -> Result<R, Status>,
    ) -> Vec<Result<R, Status>> {
        match item {
            Subscription::Message { message, chain } => {
                vec![Ok(signal(encode::subscription_message(message, chain, store)))]
            }
            Subscription::Lost(first, last) => vec![Ok(signal(encode::subscription_lost(first, last)))],
            Subscription::Items(found) => vec![items(found)],
            Subscription::End { resume_after, chain, end } => {
                let message = encode::subscription_end(resume_after, chain, &end);
                let status = match end {
                    SubscriptionEnd::ShuttingDown => refused(&RequestError::ShuttingDown),
                    SubscriptionEnd::Failed(error) => self.read_failed(&error),
                };
                vec![Ok(signal(message)), Err(status)]
            }
        }
    }

    fn piece(&self, piece: Piece) -> Result<pb::WatchEntriesResponse, Status> {
        match piece {
            Piece::Entries(entries) => {
                let entries = entries.iter().map(|(entry, record)| self.entry(entry, record));
                Ok(wire::entries(entries.collect::<Result<_, _>>()?))
            }
            Piece::Changes(changes) => {
                let changes = changes.into_iter().map(|changed| self.changed(changed));
                Ok(wire::changes(changes.collect::<Result<_, _>>()?))
            }
        }
    }

    fn entry(&self, entry: &Entry, record: &Record) -> Result<pb::Entry, Status> {
        Ok(encode::entry(entry, self.encoded(record)?))
    }

    fn changed(&self, changed: Changed) -> Result<pb::EntryChange, Status> {
        let change = match changed.what {
            What::Entry { from, to, cause } => {
                let version = |version: Option<(Entry, Box<Record>)>| {
                    version.map(|(entry, record)| self.entry(&entry, &record)).transpose()
                };
                let cause =
                    cause.map(|(cause, record)| self.event(&record).map(|event| wire::cause(&cause, event)));
                wire::entry_change(version(from)?, version(to)?, cause.transpose()?)
            }
            What::Erased { event_id, position, order } => {
                Some(pb::entry_change::Change::Erased(pb::EntryErased {
                    event_id: event_id.to_string(),
                    position: position.0,
                    erasure_event_id: order.to_string(),
                }))
            }
        };
        Ok(pb::EntryChange { position: changed.position.0, change, completes_position: changed.completes })
    }
}

fn positions_of(log: &Log, ids: &[EventId], head: Position) -> Result<BTreeSet<Position>, Status> {
    let view = log.index().view();
    let position = |id: &EventId| {
        let found = view.position_of(id).filter(|position| *position <= head);
        found.ok_or_else(|| refused(&RequestError::EventNotFound(*id)))
    };
    ids.iter().map(position).collect()
}
