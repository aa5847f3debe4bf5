//! Full-text search: words of titles, summaries, quotes and names, and which events have them.
//!
//! ```text
//! text ─▶ analysis ─▶ tokens ─┬─▶ store (tantivy, in a directory of its own) ─┐
//!                             └─▶ document (the end not yet stored)          ─┴─▶ found: slots and scores
//! ```
//!
//! The store is a read model: it may be deleted at any time and is built again. It is built when it is first asked, and
//! a question is answered of the store up to where it reaches, and of the events behind that one by one; so an
//! acknowledged event is always found, and nothing is paid by who never searches.

pub mod analysis;
pub mod document;
pub mod engine;
pub mod query;
pub mod rank;
pub mod store;

#[cfg(test)]
mod tests;

pub use engine::{Engine, SearchError};
pub use query::TextQuery;
pub use rank::Found;
