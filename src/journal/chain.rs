//! Chains the records of a log, so that a changed, missing or moved one is found.

use std::fmt;

use crate::domain::StoreId;

/// Separates the start of a chain from every other use of BLAKE3 here.
const ORIGIN_TAG: &[u8] = b"annals chain v1\0";

/// Sums up all records from position 1 to some position n.
///
/// h(0) comes from the store's id; h(n) = BLAKE3(h(n−1) ‖ digest of record n).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

impl ChainHash {
    /// Gives h(0) of a store.
    #[must_use]
    pub fn origin(store: StoreId) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(ORIGIN_TAG).update(store.as_bytes());
        Self(hasher.finalize().into())
    }

    /// Gives h(n) from h(n−1) and the digest of record n.
    #[must_use]
    pub fn then(self, digest: &[u8; 32]) -> Self {
        let mut joined = [0; 64];
        let (left, right) = joined.split_at_mut(32);
        left.copy_from_slice(&self.0);
        right.copy_from_slice(digest);
        Self(blake3::hash(&joined).into())
    }

    /// Takes a hash as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Gives the bytes to store.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        blake3::Hash::from_bytes(self.0).to_hex().fmt(f)
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}
