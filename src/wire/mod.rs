//! The wire: requests into questions, answers into messages, errors into statuses. No I/O, no state.

pub mod admin;
pub mod agreements;
pub mod append;
pub mod backup;
pub mod codec;
pub mod decode;
pub mod diff;
pub mod encode;
pub mod filter;
pub mod funding;
pub mod limits;
pub mod page_token;
pub mod paging;
pub mod proof;
pub mod provenance;
pub mod saved;
pub mod scan;
pub mod series;
pub mod status;
pub mod visits;
pub mod watch;

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

pub use limits::Limits;
pub use page_token::PageToken;
pub use status::RequestError;

/// Descriptors of every message of the API.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    // The bytes are made by the build; a test holds that they decode.
    DescriptorPool::decode(crate::pb::FILE_DESCRIPTOR_SET).unwrap_or_default()
});

#[cfg(test)]
mod tests;
