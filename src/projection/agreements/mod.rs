//! Agreements: the acts of a stream, folded into the state on a day.
//!
//! ```text
//! standing acts ─┐ (index)
//!                ├─ Record ── Life ── possible statuses on a day ── list
//! world links  ──┘            (levels: reached at the earliest, for certain by)
//!                    └─ with the events themselves: Dossier ── AgreementState
//! ```
//!
//! Lives are folded from what the index keeps of an act. Events are read from the log for those that are shown.
//!
//! Real treaties break every order rule (212 of 8,097 British ones were in force before they were signed), so a status
//! is not a walk through acts but the highest stage that is reached. An end is final: what follows it is an anomaly, not
//! a revival.

pub mod act;
pub mod anomaly;
pub mod gather;
mod group;
pub mod life;
pub mod links;
pub mod list;
pub mod state;

pub use act::{Basis, Record, When};
pub use gather::{Dossier, dossier, dossiers, stream_of_id};
pub use life::Life;
pub use list::{AgreementOrder, AgreementQuery, Listed, list};
pub use state::{Detail, state};
