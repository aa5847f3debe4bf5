//! What a server allows.

use super::codec::MESSAGES_MAX;
use crate::codec::event::TAGS_MAX;
use crate::domain::STREAM_NAME_BYTES_MAX;
use crate::filter::FILTER_VALUES_MAX;
use crate::log::QueueLimits;
use crate::pb;

/// Most conditions in one append.
pub const CONDITIONS_MAX: usize = 100;
/// Bytes of a page or batch in a response: well under the 4 MiB that clients take by default.
pub const RESPONSE_BYTES_MAX: usize = 2 * 1_024 * 1_024;
/// Most groups of a count.
pub const GROUPS_MAX: usize = 10_000;

/// Limits of a server, all in its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest event, in bytes of its canonical encoding.
    pub event_bytes_max: usize,
    /// Most events in one append.
    pub batch_events_max: usize,
    /// Most bytes of events in one append.
    pub batch_bytes_max: usize,
    /// Entries a page unless asked otherwise.
    pub page_size_default: usize,
    /// Most entries a page.
    pub page_size_max: usize,
    /// Most open subscriptions.
    pub subscriptions_max: usize,
    /// Most queries worked on at once.
    pub queries_max: usize,
    /// Largest message taken, in bytes.
    pub message_bytes_max: usize,
    /// How much may wait for the writer.
    pub queue: QueueLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            event_bytes_max: 64 * 1_024,
            batch_events_max: 1_000,
            batch_bytes_max: 1_024 * 1_024,
            page_size_default: 50,
            page_size_max: 1_000,
            subscriptions_max: 10_000,
            queries_max: 64,
            message_bytes_max: 4 * 1_024 * 1_024,
            queue: QueueLimits::default(),
        }
    }
}

impl From<Limits> for pb::Limits {
    fn from(limits: Limits) -> Self {
        let wide = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        Self {
            event_bytes_max: wide(limits.event_bytes_max),
            batch_events_max: wide(limits.batch_events_max),
            batch_bytes_max: wide(limits.batch_bytes_max),
            stream_name_bytes_max: wide(STREAM_NAME_BYTES_MAX),
            page_size_default: wide(limits.page_size_default),
            page_size_max: wide(limits.page_size_max),
            subscriptions_max: wide(limits.subscriptions_max),
            writer_queue_bytes_max: wide(limits.queue.bytes_max),
            writer_queue_requests_max: wide(limits.queue.requests_max),
            tags_max: wide(TAGS_MAX),
            message_bytes_max: wide(limits.message_bytes_max),
            filter_values_max: wide(FILTER_VALUES_MAX),
            conditions_max: wide(CONDITIONS_MAX),
            queries_max: wide(limits.queries_max),
            messages_max: wide(MESSAGES_MAX),
            groups_max: wide(GROUPS_MAX),
        }
    }
}
