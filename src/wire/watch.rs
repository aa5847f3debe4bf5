//! Watches, from the wire and to it.

use super::decode::{interval, order, same_store, window, within};
use super::encode;
use super::filter::filter;
use super::status::RequestError;
use crate::codec::check::moment;
use crate::domain::{EventId, Findings, Position, StoreId, Timestamp};
use crate::filter::{Filter, Window};
use crate::journal::ChainHash;
use crate::pb;
use crate::pb::subscribe_events_response::Content as Signal;
use crate::pb::watch_entries_response::Content;
use crate::subscription::Pace;
use crate::timeline::{Cause, Order};

/// Most events whose histories are watched.
pub const WATCHED_EVENTS_MAX: usize = 1_000;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the entries as of the head.
    Snapshot,
    /// After a position.
    After(Position),
    /// After the head.
    Now,
}

/// What to watch.
#[derive(Debug)]
pub struct WatchEntries {
    /// Which events.
    pub filter: Filter,
    /// When they were true.
    pub window: Option<Window>,
    /// Only what could be known by this moment.
    pub known_at: Timestamp,
    /// Only the histories of these events.
    pub event_ids: Vec<EventId>,
    /// Order of the snapshot.
    pub order: Order,
    /// Where to begin.
    pub start: Start,
    /// How often signs of life are sent.
    pub pace: Pace,
    /// Where the client has read a chain hash, and which.
    pub history: Option<(Position, ChainHash)>,
}

/// Reads a watch.
///
/// # Errors
/// [`RequestError`].
pub fn watch_entries(
    request: &pb::WatchEntriesRequest,
    store: StoreId,
    head: Position,
) -> Result<WatchEntries, RequestError> {
    use pb::watch_entries_request::Start as Wire;
    let mut findings = Findings::default();
    let f = &mut findings;
    let filter = filter(f, request.filter.as_ref());
    let window = window(f, request.valid.as_ref());
    let known_at = moment(f, "known_at", request.known_at.as_ref()).unwrap_or(Timestamp::MAX);
    let event_ids = event_ids(f, &request.event_ids);
    let order = order(f, request.order, false);
    let checkpoint_micros = interval(f, "checkpoint_interval", request.checkpoint_interval.as_ref(), 5);
    let heartbeat_micros = interval(f, "heartbeat_interval", request.heartbeat_interval.as_ref(), 10);
    let start = match request.start {
        None => Start::Snapshot,
        Some(Wire::AfterPosition(position)) => Start::After(Position(position)),
        Some(Wire::FromNow(true)) => Start::Now,
        Some(Wire::FromNow(false)) => {
            f.violation_at("from_now", "must be true where it is set");
            Start::Now
        }
    };
    let chain = super::backup::chain_hash(f, "after_chain_hash", &request.after_chain_hash);
    if chain.is_some() && !matches!(start, Start::After(_)) {
        f.violation_at("after_chain_hash", "needs after_position");
    }
    findings.into_result()?;
    same_store(&request.store_id, store)?;
    let mut history = None;
    if let Start::After(position) = start {
        within(position.0, head)?;
        history = chain.map(|chain| (position, chain));
    }
    let pace = Pace { checkpoint_micros, heartbeat_micros };
    Ok(WatchEntries { filter, window, known_at, event_ids, order, start, pace, history })
}

fn event_ids(findings: &mut Findings, ids: &[String]) -> Vec<EventId> {
    if ids.len() > WATCHED_EVENTS_MAX {
        findings.violation_at(
            "event_ids",
            format_args!("must be at most {WATCHED_EVENTS_MAX}, are {}", ids.len()),
        );
    }
    let read = ids.iter().enumerate().filter_map(|(index, id)| {
        findings.at_index("event_ids", index, |f| EventId::parse(id).map_err(|error| f.violation(error)).ok())
    });
    read.collect()
}

/// Writes the messages that watches share with subscriptions; nothing for a batch of events.
#[must_use]
pub fn signal(message: pb::SubscribeEventsResponse) -> pb::WatchEntriesResponse {
    let content = message.content.and_then(|signal| match signal {
        Signal::Started(started) => Some(Content::Started(started)),
        Signal::Checkpoint(checkpoint) => Some(Content::Checkpoint(checkpoint)),
        Signal::CaughtUp(caught_up) => Some(Content::CaughtUp(caught_up)),
        Signal::FellBehind(fell_behind) => Some(Content::FellBehind(fell_behind)),
        Signal::Heartbeat(heartbeat) => Some(Content::Heartbeat(heartbeat)),
        Signal::Ending(ending) => Some(Content::Ending(ending)),
        Signal::Lost(lost) => Some(Content::Lost(lost)),
        Signal::Events(_) => None,
    });
    pb::WatchEntriesResponse { content }
}

/// Writes entries of a snapshot.
#[must_use]
pub const fn entries(entries: Vec<pb::Entry>) -> pb::WatchEntriesResponse {
    pb::WatchEntriesResponse { content: Some(Content::Entries(pb::EntryBatch { entries })) }
}

/// Writes changes.
#[must_use]
pub const fn changes(changes: Vec<pb::EntryChange>) -> pb::WatchEntriesResponse {
    pb::WatchEntriesResponse { content: Some(Content::Changes(pb::EntryChangeBatch { changes })) }
}

/// Writes what made a change; the event is the one that carries the link.
#[must_use]
pub fn cause(cause: &Cause, event: pb::Event) -> pb::Closing {
    let sources = event.sources.into_iter().map(|source| source.id).filter(|id| !id.is_empty());
    pb::Closing {
        event_id: event.id,
        r#type: cause.link.map_or(0, |(_, link_type)| encode::link_type(link_type)),
        source_ids: sources.collect(),
    }
}

/// Writes what became of an entry; nothing if neither version is there.
#[must_use]
pub fn entry_change(
    from: Option<pb::Entry>,
    to: Option<pb::Entry>,
    cause: Option<pb::Closing>,
) -> Option<pb::entry_change::Change> {
    use pb::entry_change::Change;
    match (from, to) {
        (None, None) => None,
        (None, entry) => Some(Change::Added(pb::EntryAdded { entry, cause })),
        (entry, None) => Some(Change::Withdrawn(pb::EntryWithdrawn { entry, cause })),
        (from, to) => Some(Change::Corrected(pb::EntryCorrected { from, to, cause })),
    }
}
