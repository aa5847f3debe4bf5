//! What a server answers for, and whether it holds: checked without the server.

use super::checkpoint::{Checkpoint, CheckpointError};
use super::merkle::{self, Hash};
use super::note::VerifierKey;

/// That an event is under a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Index of the leaf, from 0.
    pub index: u64,
    /// What the leaf hash is over.
    pub leaf_data: Vec<u8>,
    /// The hashes beside the path, from the leaf upwards.
    pub path: Vec<Hash>,
}

/// That a state continues an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// Size of the earlier state.
    pub first_size: u64,
    /// The hashes of the proof.
    pub path: Vec<Hash>,
}

/// What a server gives to be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The signed state.
    pub checkpoint: String,
    /// That an event is in it.
    pub inclusion: Option<Inclusion>,
    /// That it continues an earlier one.
    pub consistency: Option<Consistency>,
}

/// Says what does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The checkpoint given is not to be believed.
    #[error("the checkpoint cannot be believed: {0}")]
    Checkpoint(CheckpointError),
    /// The checkpoint kept is not to be believed.
    #[error("the checkpoint kept from earlier cannot be believed: {0}")]
    Kept(CheckpointError),
    /// The event is not where the server says.
    #[error("the event is not in the log at index {index} of {size}: the inclusion proof does not hold")]
    NotIncluded {
        /// The index claimed.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// One position holds, or held, different events.
    #[error(
        "the history was rewritten: the log of {size} events does not continue the checkpoint of {first}"
    )]
    Rewritten {
        /// Size of the checkpoint kept.
        first: u64,
        /// Size of the state given.
        size: u64,
    },
    /// The log was longer when the checkpoint was kept.
    #[error("the state of {size} events is earlier than the checkpoint of {first}")]
    Earlier {
        /// Size of the checkpoint kept.
        first: u64,
        /// Size of the state given.
        size: u64,
    },
    /// There is no proof from the checkpoint kept.
    #[error("there is no proof that the state of {size} events continues the checkpoint of {first}")]
    NoProof {
        /// Size of the checkpoint kept.
        first: u64,
        /// Size of the state given.
        size: u64,
    },
}

impl Evidence {
    /// Checks the signature, the inclusion of the event if there is one, and that the state continues the checkpoint
    /// `kept` from earlier, if there is one. Gives the state.
    ///
    /// The consistency proof is held against the root in `kept`, never against one that the server repeats.
    ///
    /// # Errors
    /// [`EvidenceError`], the first that does not hold.
    pub fn check(&self, key: &VerifierKey, kept: Option<&str>) -> Result<Checkpoint, EvidenceError> {
        let state = Checkpoint::open(&self.checkpoint, key).map_err(EvidenceError::Checkpoint)?;
        if let Some(kept) = kept {
            let kept = Checkpoint::open(kept, key).map_err(EvidenceError::Kept)?;
            self.check_continues(&kept, &state)?;
        }
        if let Some(Inclusion { index, leaf_data, path }) = &self.inclusion
            && !merkle::includes(&state.root, state.size, *index, &Hash::leaf(leaf_data), path)
        {
            return Err(EvidenceError::NotIncluded { index: *index, size: state.size });
        }
        Ok(state)
    }

    fn check_continues(&self, kept: &Checkpoint, state: &Checkpoint) -> Result<(), EvidenceError> {
        let (first, size) = (kept.size, state.size);
        if first > size {
            return Err(EvidenceError::Earlier { first, size });
        }
        let nothing = Vec::new();
        let path = match self.consistency.as_ref().filter(|proof| proof.first_size == first) {
            Some(proof) => &proof.path,
            None if first == size || first == 0 => &nothing,
            None => return Err(EvidenceError::NoProof { first, size }),
        };
        if merkle::continues((first, &kept.root), (size, &state.root), path) {
            Ok(())
        } else {
            Err(EvidenceError::Rewritten { first, size })
        }
    }
}
