//! Tests the frame format, and each implementation against the contract.

mod format;
mod memory;
mod sled;
