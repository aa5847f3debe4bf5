//! Generated messages and services.
//!
//! Only `codec`, `wire`, `service`, `server` and `cli` may use them.

#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::too_many_lines,
    clippy::large_enum_variant,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

include!(concat!(env!("OUT_DIR"), "/annals.rs"));

pub use self::annals::storage::v1 as storage;
pub use self::annals::v1::*;

/// Every file of the API with its comments, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/annals_v1.bin"));
