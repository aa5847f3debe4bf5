//! Statistical series: what each cell holds in a state of knowledge, its vintages, and periods compared.
//!
//! The rules stand in `proto/annals/v1/series_service.proto`.

pub mod book;
pub mod caveat;
pub mod claim;
pub mod compare;
pub mod exact;
pub mod header;
pub mod kept;
pub mod period;
pub mod read;
pub mod tiling;
pub mod variant;
pub mod version;
pub mod vintages;

pub use book::{Book, CellKey, Group, SeriesId};
pub use caveat::{CellsAsked, values};
pub use claim::{ClaimAsked, check_claim};
pub use compare::{CompareAsked, compare};
pub use header::headers;
pub use kept::Books;
pub use period::{PeriodAsked, Span, period_value};
pub use read::{RELEASES_MAX, Selector, SeriesError, read};
pub use version::Version;
pub use vintages::{TriangleAsked, rounds, triangle};
