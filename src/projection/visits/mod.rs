//! Visits: the states of a stream, of which one determines the visit.
//!
//! The state with the greatest sequence holds, then the one known last, then the one recorded last (RFC 5546 section
//! 2.1.5). A list walks events in the order of their start and stops where the page is full: a visit is shown where its
//! determining state starts, so no other visit has to be folded.

pub mod fold;
pub mod list;
pub mod meetings;
pub mod suspects;

pub use fold::{VisitRecord, VisitStep, changes, record, state, stream_of_id};
pub use list::{Taken, VisitQuery, walk};
pub use meetings::meetings;
