//! The event as protobuf: the only place that turns bytes into domain values and back.
//!
//! Below the wire, because the journal keeps protobuf: what a client sent is what is stored, in canonical form
//! (server-derived fields cleared, maps sorted, shape and zone normalised), so that equal events have equal
//! bytes. Nothing here knows gRPC.

pub mod check;
pub mod entity;
pub mod erased;
pub mod event;
pub mod fields;
pub mod payload;
pub mod present;
pub mod provenance;
pub mod statistics;
pub mod stored;
pub mod texts;
pub mod time;

#[cfg(test)]
mod tests;

pub use event::{Prepared, Writer, prepare};
pub use present::{PresentError, present};
pub use stored::{StoredError, facts_of, server_fields};
