//! Agreements: the acts of a stream, folded into the state on a day.
//!
//! ```text
//! standing acts ─┐
//!                ├─ Record ── Life ── possible statuses on a day ── AgreementState
//! world links  ──┘  (gather)  (levels: reached at the earliest, for certain by)
//! ```
//!
//! Real treaties break every order rule (212 of 8,097 British ones were in force before they were signed), so a status
//! is not a walk through acts but the highest stage that is reached. An end is final: what follows it is an anomaly, not
//! a revival.

pub mod act;
pub mod anomaly;
pub mod gather;
pub mod life;
pub mod list;
pub mod places;
pub mod state;

pub use act::{Basis, When};
pub use gather::{Record, record, stream_of_id};
pub use life::Life;
pub use list::{AgreementOrder, AgreementQuery, Listed, list};
pub use state::{Detail, state};
