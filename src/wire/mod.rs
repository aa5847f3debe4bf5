//! The wire: requests into questions, answers into messages, errors into statuses. No I/O, no state.

pub mod admin;
pub mod agreements;
pub mod append;
pub mod append_stream;
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

pub use limits::Limits;
pub use page_token::PageToken;
pub use status::RequestError;

#[cfg(test)]
mod tests;
