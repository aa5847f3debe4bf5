//! Funding: sums of transfers, exact, on the index alone.
//!
//! Sums never cross stages or currencies, and a transfer is in one row only. Money is kept apart from what was given in
//! kind, and amounts that a source only bounds are kept as bounds.

pub mod amounts;
pub mod compare;
pub mod dimension;
pub mod grouping;
pub mod summary;
pub mod transfers;

#[cfg(test)]
mod tests;

use crate::filter::Filter;
use crate::index::Scope;
use crate::timeline::Window;

pub use amounts::{Amounts, Sum};
pub use compare::{Compared, compare};
pub use dimension::Dimension;
pub use summary::{Order, SummaryRequest, summarize};
pub use transfers::{ListedTransfer, RowRequest, list};

/// Which transfers, of which state of knowledge.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which events; asks for funding transfers.
    pub filter: Filter,
    /// When the transaction was.
    pub window: Option<Window>,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Whether suspected duplicates are left out of sums.
    pub exclude_duplicates: bool,
}
