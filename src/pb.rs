//! Generated messages and services.
//!
//! Only `codec`, `wire`, `service`, `server` and `cli` may use them.

#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

include!(concat!(env!("OUT_DIR"), "/annals.rs"));

pub use self::annals::storage::v1 as storage;
pub use self::annals::v1::*;

impl EventBatch {
    /// Decodes the events.
    ///
    /// # Errors
    /// [`DecodeError`](prost::DecodeError) when one is no event.
    pub fn decoded(&self) -> Result<Vec<Event>, prost::DecodeError> {
        self.events.iter().map(|event| prost::Message::decode(event.clone())).collect()
    }
}

impl Entry {
    /// Decodes the event.
    ///
    /// # Errors
    /// [`DecodeError`](prost::DecodeError) when it is none.
    pub fn decoded(&self) -> Result<Event, prost::DecodeError> {
        prost::Message::decode(self.event.clone())
    }
}

impl AppendEventsRequest {
    /// Encodes the events.
    #[must_use]
    pub fn of(events: Vec<Event>, conditions: Vec<Condition>) -> Self {
        let events = events.into_iter().map(|event| prost::Message::encode_to_vec(&event).into()).collect();
        Self { events, conditions }
    }
}

/// Every file of the API with its comments, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/annals_v1.bin"));

/// Descriptors of every message of the API.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    // The bytes are made by the build; a test holds that they decode.
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default()
});
