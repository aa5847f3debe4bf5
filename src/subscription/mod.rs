//! Subscriptions: catching up, then live, as one loop over the log.
//!
//! The reader pulls: what it has not taken yet stays in the log, so a slow reader loses nothing and costs no more than the few batches that wait for it.

pub mod driver;
pub mod machine;

pub use driver::{Subscription, SubscriptionEnd, follow};
pub use machine::{Action, Machine, Message, Pace};
