//! The gRPC services: decode, call, encode. No rule of the domain lives here.

pub mod admin;
pub mod agreements;
pub mod append;
pub mod backup;
pub mod context;
pub mod diff;
pub mod event_log;
pub mod funding;
pub mod history;
pub mod page;
pub mod present;
pub mod proof;
pub mod provenance;
pub mod read;
pub mod saved;
pub mod series;
pub mod timeline;
pub mod visits;
pub mod watch;

use std::pin::Pin;

use futures_util::Stream;
use tonic::Status;

pub use admin::Admin;
pub use agreements::Agreements;
pub use context::{Context, Phase};
pub use event_log::EventLog;
pub use funding::Funding;
pub use provenance::Provenance;
pub use series::Series;
pub use timeline::Timeline;
pub use visits::Visits;

/// A stream of messages.
pub type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
