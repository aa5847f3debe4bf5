//! Why a bench broke off.

use crate::server::{ConfigError, StartError};

/// Says why a bench broke off.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A file or thread failed.
    #[error("the machine failed")]
    Io(#[from] std::io::Error),
    /// The server under test has no configuration.
    #[error("the server has no configuration")]
    Config(#[from] ConfigError),
    /// The server under test failed.
    #[error("the server failed")]
    Server(#[from] StartError),
    /// A connection or a server beside the one under test failed.
    #[error("the transport failed")]
    Transport(#[from] tonic::transport::Error),
    /// A call failed.
    #[error("a call failed")]
    Call(#[from] tonic::Status),
    /// An answer is no message.
    #[error("an answer does not decode")]
    Decode(#[from] prost::DecodeError),
    /// The events of the example do not fit their message.
    #[error("the events of the example cannot be read")]
    Example(#[from] serde_json::Error),
    /// A task panicked.
    #[error("a task broke off")]
    Task(#[from] tokio::task::JoinError),
    /// The answer was well formed but not what was asked for: a fast wrong answer is not worth measuring.
    #[error("{what}: expected {expected}, got {got}")]
    Answer {
        /// What was counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there were.
        got: usize,
    },
    /// No cell was left to measure.
    #[error("no cell has {0:?} in its line")]
    NoCell(String),
    /// A program fault: a cell that cannot be measured on its target, or a target without an address.
    #[error("{0}")]
    Fault(&'static str),
}
