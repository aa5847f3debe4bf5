//! Subscriptions to events and watches of entries: catching up, then live, as one loop over the log.
//!
//! The reader pulls: what it has not taken yet stays in the log, so a slow reader loses nothing and costs no more than the few batches that wait for it. At the
//! live edge one fan-out looks at each event for all followers.

pub mod driver;
pub mod events;
pub mod fanout;
pub mod machine;
pub mod watch;

pub use driver::{Source, Step, Subscription, SubscriptionEnd, follow};
pub use events::Events;
pub use fanout::Fanout;
pub use machine::{Action, Due, Machine, Message, Pace};
pub use watch::{Piece, Watch, WatchRequest};
