//! Tamper evidence that anyone can check: Merkle trees, signed notes, checkpoints. Pure: no I/O, no clock, no key file.
//!
//! ```text
//! leaf     SHA-256(0x00 ‖ facts of a record)          RFC 9162, section 2.1
//! node     SHA-256(0x01 ‖ left ‖ right)
//! root     over the first n records  ──▶ checkpoint (C2SP tlog-checkpoint) ──▶ signed note (C2SP signed-note)
//! ```
//!
//! The tree over a log's first n events never changes, whatever is appended later. Who keeps a checkpoint can have it
//! proved that a later state continues it, and needs no trust in the server for that.

pub mod checkpoint;
pub mod evidence;
pub mod merkle;
pub mod note;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use evidence::{Consistency, Evidence, EvidenceError, Inclusion};
pub use merkle::{Hash, Tree};
pub use note::{KeyError, Note, NoteError, Signer, VerifierKey};
