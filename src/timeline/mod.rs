//! Timelines: entries by when they were true, in a state of knowledge. Pure reads of the index.
//!
//! Every answer is a function of the question and of the log up to one position, so it can be asked again.

pub mod change;
pub mod comparison;
pub mod count;
pub mod diff;
pub mod entry;
pub mod history;
pub mod list;
pub mod order;

pub use change::{Change, Changes, Followed, of_histories};
pub use comparison::{Cause, Comparison, Parting};
pub use count::{Axis, CountRequest, Counts, Facet, Group, GroupBy, count};
pub use diff::{Diff, DiffRequest, Difference, diff};
pub use entry::{Certainty, Entry, Judge, Window};
pub use history::{Version, history};
pub use list::{ListRequest, Listed, list};
pub use order::{Key, Order};
