//! Answers, for the wire. Total: nothing here fails.

use std::time::Duration;

use bytes::Bytes;

use crate::codec::check::moment_of;
use crate::codec::stored::caveat_of;
use crate::domain::{EventId, LinkType, Position, StoreId, Timestamp};
use crate::index::Status;
use crate::journal::ChainHash;
use crate::log::{Appended, Finding, Head, VerifyEvent, VerifyReport};
use crate::pb;
use crate::pb::subscribe_events_response::Content;
use crate::pb::verify_response::Content as VerifyContent;
use crate::subscription::{Message, SubscriptionEnd};
use crate::timeline::{Certainty, Counts, Entry, Version};

fn wide(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Writes the score of an entry, kept in millionths.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a score is at most some hundreds")]
pub fn relevance(score: i64) -> f64 {
    score as f64 / 1e6
}

/// Writes bytes in hexadecimal.
#[must_use]
pub fn hexadecimal(bytes: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*bytes).to_hex().to_string()
}

/// Writes a duration.
#[must_use]
pub fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or_default()
}

/// Writes where the events of an append stand.
#[must_use]
pub fn appended(appended: &Appended) -> pb::AppendEventsResponse {
    let position = |event: Option<&crate::log::AppendedEvent>| event.map_or(0, |event| event.position.0);
    pb::AppendEventsResponse {
        first_position: position(appended.events.first()),
        last_position: position(appended.events.last()),
        events: appended
            .events
            .iter()
            .map(|event| pb::AppendedEvent {
                id: event.id.to_string(),
                position: event.position.0,
                stream_revision: event.revision.0,
                recorded_at: Some(moment_of(event.recorded_at)),
                caveats: event.caveats.iter().map(caveat_of).collect(),
            })
            .collect(),
        replayed: appended.replayed,
    }
}

/// Writes the head.
#[must_use]
pub fn head(head: &Head, store: StoreId) -> pb::GetHeadResponse {
    pb::GetHeadResponse {
        position: head.position.0,
        recorded_at: head.recorded_at.map(moment_of),
        store_id: store.to_string(),
        chain_hash: hexadecimal(head.chain.as_bytes()),
    }
}

/// Writes a chain hash; empty where it is not known.
fn chain_hash(chain: Option<ChainHash>) -> String {
    chain.map_or_else(String::new, |chain| chain.to_string())
}

/// Writes a message of a subscription; `chain` is the hash at the position it names.
#[must_use]
pub fn subscription_message(
    message: Message,
    chain: Option<ChainHash>,
    store: StoreId,
) -> pb::SubscribeEventsResponse {
    let content = match message {
        Message::Started { head, after } => Content::Started(pb::Started {
            head: head.0,
            store_id: store.to_string(),
            after_position: after.0,
            after_chain_hash: chain_hash(chain),
        }),
        Message::Checkpoint { position, head } => Content::Checkpoint(pb::Checkpoint {
            position: position.0,
            head: head.0,
            chain_hash: chain_hash(chain),
        }),
        Message::CaughtUp { head } => Content::CaughtUp(pb::CaughtUp { head: head.0 }),
        Message::FellBehind { head } => Content::FellBehind(pb::FellBehind { head: head.0 }),
        Message::Heartbeat { head, time } => {
            Content::Heartbeat(pb::Heartbeat { head: head.0, time: Some(moment_of(time)) })
        }
    };
    pb::SubscribeEventsResponse { content: Some(content) }
}

/// Writes events of a subscription.
#[must_use]
pub fn subscription_events(events: pb::EventBatch) -> pb::SubscribeEventsResponse {
    pb::SubscribeEventsResponse { content: Some(Content::Events(events)) }
}

/// Tells a subscription of positions of whose events nothing is known any more.
#[must_use]
pub fn subscription_lost(first: Position, last: Position) -> pb::SubscribeEventsResponse {
    pb::SubscribeEventsResponse { content: Some(Content::Lost(lost(first, last))) }
}

/// Tells of positions of whose events nothing is known any more.
#[must_use]
pub const fn lost(first: Position, last: Position) -> pb::Lost {
    pb::Lost { first_position: first.0, last_position: last.0 }
}

/// Writes the end of a subscription.
#[must_use]
pub fn subscription_end(
    resume_after: Position,
    chain: Option<ChainHash>,
    end: &SubscriptionEnd,
) -> pb::SubscribeEventsResponse {
    use crate::journal::ReadError as JournalError;
    use crate::log::error::ReadError;
    use pb::ending::Reason;
    let reason = match end {
        SubscriptionEnd::ShuttingDown => Reason::ShuttingDown,
        SubscriptionEnd::Failed(ReadError::Journal(JournalError::Io(_)) | ReadError::Words(_)) => {
            Reason::ReadFailed
        }
        SubscriptionEnd::Failed(
            ReadError::Journal(JournalError::Corrupt { .. }) | ReadError::Stored(_) | ReadError::Missing(_),
        ) => Reason::Corrupt,
    };
    let content = Content::Ending(pb::Ending {
        reason: reason.into(),
        resume_after_position: resume_after.0,
        retry_after: Some(duration(Duration::from_secs(1))),
        resume_chain_hash: chain_hash(chain),
    });
    pb::SubscribeEventsResponse { content: Some(content) }
}

/// Writes what a link says.
#[must_use]
pub fn link_type(link_type: LinkType) -> i32 {
    // The numbers of the vocabulary are those of the wire.
    link_type.number().into()
}

/// Writes what became of an event.
#[must_use]
pub fn status(status: Status) -> pb::entry::Status {
    use pb::entry::Status as Wire;
    match status {
        Status::Current => Wire::Current,
        Status::Closed(edge) if edge.link_type == LinkType::Corrects => Wire::Corrected,
        Status::Closed(edge) if edge.link_type == LinkType::Retracts => Wire::Retracted,
        Status::Closed(_) => Wire::Superseded,
        Status::Duplicate(_) => Wire::Duplicate,
        Status::Retraction => Wire::Retraction,
    }
}

/// Writes an entry of an encoded event.
#[must_use]
pub fn entry(entry: &Entry, event: Bytes) -> pb::Entry {
    use pb::valid_window::Match;
    let certainty = match entry.certainty {
        Certainty::May => Match::May,
        Certainty::Must => Match::Must,
    };
    pb::Entry {
        relevance: 0.0,
        event,
        status: status(entry.status).into(),
        r#match: certainty.into(),
        version_count: i32::try_from(entry.version_count).unwrap_or(i32::MAX),
    }
}

/// Writes a version of a history; `closer` is the event that ended it, with the ids of its sources.
#[must_use]
pub fn version(
    version: &Version,
    event: pb::Event,
    closer: Option<(EventId, Vec<String>)>,
) -> pb::EntryVersion {
    let closing = version.closed_by.zip(closer).map(|(edge, (id, source_ids))| pb::Closing {
        event_id: id.to_string(),
        r#type: link_type(edge.link_type),
        source_ids,
    });
    pb::EntryVersion {
        event: Some(event),
        status: status(version.status).into(),
        known_from: Some(moment_of(version.known_from)),
        known_to: version.known_to.filter(|known_to| *known_to != Timestamp::MAX).map(moment_of),
        position_from: version.position.0,
        position_to: version.closed_by.map_or(0, |edge| edge.carrier.0),
        closed_by: closing,
    }
}

/// Writes counts.
#[must_use]
pub fn counts(counts: Counts, snapshot: Position) -> pb::CountEntriesResponse {
    let groups = counts.groups.into_iter();
    pb::CountEntriesResponse {
        total_count: wide(counts.total),
        groups: groups.map(|group| pb::CountGroup { key: group.key, count: wide(group.count) }).collect(),
        omitted_group_count: wide(counts.omitted_groups),
        open_start_count: wide(counts.open_starts),
        snapshot: snapshot.0,
    }
}

/// Writes a step of a check.
#[must_use]
pub fn verify_event(event: VerifyEvent) -> pb::VerifyResponse {
    let content = match event {
        VerifyEvent::Progress { position, head } => {
            VerifyContent::Progress(pb::VerifyProgress { position: position.0, head: head.0 })
        }
        VerifyEvent::Finding(Finding { first, last, description }) => {
            VerifyContent::Finding(pb::VerifyFinding {
                first_position: first.0,
                last_position: last.0,
                description,
            })
        }
    };
    pb::VerifyResponse { content: Some(content) }
}

/// Writes the outcome of a check.
#[must_use]
pub fn verify_summary(report: &VerifyReport) -> pb::VerifyResponse {
    let summary = pb::VerifySummary {
        event_count: report.events,
        segment_count: wide(report.segments),
        finding_count: wide(report.findings),
        chain_hash: hexadecimal(report.chain.as_bytes()),
    };
    pb::VerifyResponse { content: Some(VerifyContent::Summary(summary)) }
}
