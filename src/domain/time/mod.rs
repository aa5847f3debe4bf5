//! Valid time: when something happened or held in the world.
//!
//! ```text
//! "2024-05/2024-07-03"   parser   Edtf    shape    earliest/latest start and end
//!  text ───────────────────────▶  AST  ─────────▶  half-open civil days
//! ```
//!
//! Clients write Extended Date/Time Format (EDTF, ISO 8601-2): levels 0 and 1, one-of sets and quarters.
//! Everything else is derived. Civil dates are never shifted by a zone; a zone matters only where a
//! moment is asked for.

pub mod bounds;
pub mod day;
pub mod edtf;
pub mod extent;
pub mod parser;
pub mod span;
pub mod unit;
pub mod zone;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use day::Day;
pub use edtf::{EdtfError, EdtfReason, Precision};
pub use span::{Shape, TimeSpan, TimeSpanError, TimeSpanErrors};
pub use unit::CalendarUnit;
pub use zone::{Zone, ZoneError, day_of};
