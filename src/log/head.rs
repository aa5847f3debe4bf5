//! The head: the last durable position, published after the flush and the fold.

use crate::domain::{Position, Timestamp};
use crate::journal::{ChainHash, Tail};

/// The last durable position, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Last durable position; 0 = the log is empty.
    pub position: Position,
    /// When its event was recorded.
    pub recorded_at: Option<Timestamp>,
    /// Chain hash there.
    pub chain: ChainHash,
}

impl From<Tail> for Head {
    fn from(tail: Tail) -> Self {
        Self { position: tail.position, recorded_at: tail.recorded_at, chain: tail.chain }
    }
}
