//! Read models: events folded into agreements, visits, sums of money and statistical series.
//!
//! Each is a pure function of the question and of the events that stand in its state of knowledge, read from the index
//! and the log, and never stored: so every answer can be asked as of any position and any known time.

pub mod agreements;
pub mod civil;
pub mod funding;
pub mod provenance;
pub mod series;
pub mod standing;
pub mod visits;

pub use standing::{Events, in_scope, of_kind, standing};
