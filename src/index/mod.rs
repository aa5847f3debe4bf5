//! The index: columns and postings over consecutive positions, a pure function of the journal.
//!
//! ```text
//! positions   1 ……… 65,536 │ 65,537 ……… 131,072 │ 131,073 ………………………………… head
//!             segment 0      segment 1            run │ run │ … │ run that grows
//!             sealed                              tail, folded before an append is acknowledged
//! ```
//!
//! Segments and runs are the [parts](Part) that a query looks at. A [`View`] shares them and stays as it is: no query keeps
//! the writer waiting. A sealed segment may be deleted from disk at any time: folding the journal again gives the same
//! bytes.

mod acts;
pub mod amounts;
pub mod columns;
mod dictionary;
pub mod knowledge;
pub mod layout;
pub mod locator;
mod names;
mod packed;
pub mod part;
pub mod run;
pub mod segment;
pub mod set;
pub mod store;
pub mod tail;
pub mod visibility;

#[cfg(test)]
mod tests;

pub use amounts::{AmountRow, Amounts};
pub use columns::Columns;
pub use knowledge::{Edge, Knowledge};
pub use layout::SEGMENT_FORMAT;
pub use locator::Locator;
pub use part::Part;
pub use run::Run;
pub use segment::Segment;
pub use set::{Index, View};
pub use store::{SegmentStore, SegmentStoreError};
pub use tail::Tail;
pub use visibility::{Scope, Status};

/// Positions in a segment: the values that one roaring container holds.
pub const SEGMENT_LEN: u64 = 65_536;

/// Positions in a run: the writer copies the last one when a query looks at it, and a query looks at each.
pub const RUN_LEN: u64 = 2_048;

/// Gives the number of the segment that holds a position, and the slot in it.
#[must_use]
pub fn place_of(position: crate::domain::Position) -> Option<(u64, u16)> {
    let offset = position.0.checked_sub(1)?;
    Some((offset / SEGMENT_LEN, u16::try_from(offset % SEGMENT_LEN).ok()?))
}
