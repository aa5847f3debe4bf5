//! Proofs: requests in, answers out, and answers checked by those who get them.

use super::decode::{event_id, within};
use super::status::RequestError;
use crate::domain::{EventId, Invalid, Position};
use crate::journal::Record;
use crate::pb;
use crate::proof::merkle::PATH_LEN_MAX;
use crate::proof::{Checkpoint, Consistency, Evidence, EvidenceError, Hash, Inclusion, VerifierKey};

/// What is to be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofRequest {
    /// The state of the log: its first so many events.
    pub size: Position,
    /// The event that is among them.
    pub event: Option<EventId>,
    /// The earlier state that it continues.
    pub first: Option<Position>,
}

/// Reads what is to be proved.
///
/// # Errors
/// [`RequestError::Invalid`]; [`RequestError::BeyondHead`], also for an earlier state beyond the head: the client has
/// seen more than the log holds.
pub fn request(request: &pb::GetLogProofRequest, head: Position) -> Result<ProofRequest, RequestError> {
    let event = (!request.event_id.is_empty()).then(|| event_id(&request.event_id)).transpose()?;
    let size = if request.position == 0 { head } else { within(request.position, head)? };
    let first = within(request.consistent_with_position, head)?;
    if first > size {
        let text = format!("must not be after position {size}, the state that is to continue it");
        return Err(Invalid::one("consistent_with_position", text).into());
    }
    Ok(ProofRequest { size, event, first: (first > Position::ZERO).then_some(first) })
}

/// Says that an event stands behind the state asked for.
#[must_use]
pub fn behind(position: Position) -> RequestError {
    Invalid::one("position", format!("must be 0 or at least {position}, the position of the event")).into()
}

/// Writes the answer: a state, the evidence, and the root of the earlier state if there is one.
#[must_use]
pub fn response(
    state: &Checkpoint,
    evidence: Evidence,
    first_root: Option<Hash>,
    key: &VerifierKey,
) -> pb::GetLogProofResponse {
    let texts = |path: &[Hash]| path.iter().map(Hash::to_string).collect();
    pb::GetLogProofResponse {
        tree_size: state.size,
        root_hash: state.root.to_string(),
        checkpoint: evidence.checkpoint,
        verifier_key: key.to_string(),
        inclusion: evidence.inclusion.map(|proof| pb::InclusionProof {
            leaf_index: proof.index,
            leaf_hash: Hash::leaf(&proof.leaf_data).to_string(),
            leaf_data: proof.leaf_data.into(),
            hashes: texts(&proof.path),
        }),
        consistency: evidence.consistency.zip(first_root).map(|(proof, root)| pb::ConsistencyProof {
            first_tree_size: proof.first_size,
            first_root_hash: root.to_string(),
            hashes: texts(&proof.path),
        }),
    }
}

/// Says why an answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// A field is no hash, or there are more hashes than any proof has.
    #[error("{0} cannot be read")]
    Field(&'static str),
    /// What the answer repeats is not what was signed or hashed.
    #[error("{0} is not what the proof is about")]
    Differs(&'static str),
    /// The evidence does not hold.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// What an answer proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The state of the log.
    pub state: Checkpoint,
    /// The event that is in it, and where it stands.
    pub event: Option<(Position, EventId)>,
}

/// Checks an answer against a key, and against a checkpoint kept from earlier if there is one. Asks no server.
///
/// # Errors
/// [`ProofFault`], the first one found.
pub fn check(
    answer: &pb::GetLogProofResponse,
    key: &VerifierKey,
    kept: Option<&str>,
) -> Result<Proved, ProofFault> {
    let evidence = evidence_of(answer)?;
    let state = evidence.check(key, kept)?;
    if answer.tree_size != state.size {
        return Err(ProofFault::Differs("tree_size"));
    }
    if answer.root_hash != state.root.to_string() {
        return Err(ProofFault::Differs("root_hash"));
    }
    let event = evidence.inclusion.as_ref().map(|proof| event_in(answer, proof)).transpose()?;
    Ok(Proved { state, event })
}

/// Reads which event a leaf is of; it must stand where the proof says.
fn event_in(answer: &pb::GetLogProofResponse, proof: &Inclusion) -> Result<(Position, EventId), ProofFault> {
    let said = answer.inclusion.as_ref().map_or("", |inclusion| &inclusion.leaf_hash);
    if said != Hash::leaf(&proof.leaf_data).to_string() {
        return Err(ProofFault::Differs("inclusion.leaf_hash"));
    }
    let read = Record::named_by_facts(&proof.leaf_data);
    let (position, id) = read.ok_or(ProofFault::Field("inclusion.leaf_data"))?;
    if position.0.checked_sub(1) != Some(proof.index) {
        return Err(ProofFault::Differs("inclusion.leaf_index"));
    }
    Ok((position, id))
}

fn evidence_of(answer: &pb::GetLogProofResponse) -> Result<Evidence, ProofFault> {
    let path = |hashes: &[String], field: &'static str| {
        let read = hashes.iter().map(|hash| Hash::parse(hash)).collect::<Option<Vec<_>>>();
        read.filter(|path| path.len() <= PATH_LEN_MAX + 1).ok_or(ProofFault::Field(field))
    };
    let inclusion = answer.inclusion.as_ref().map(|proof| {
        let path = path(&proof.hashes, "inclusion.hashes")?;
        Ok::<_, ProofFault>(Inclusion {
            index: proof.leaf_index,
            leaf_data: proof.leaf_data.clone().into(),
            path,
        })
    });
    let consistency = answer.consistency.as_ref().map(|proof| {
        let path = path(&proof.hashes, "consistency.hashes")?;
        Ok::<_, ProofFault>(Consistency { first_size: proof.first_tree_size, path })
    });
    Ok(Evidence {
        checkpoint: answer.checkpoint.clone(),
        inclusion: inclusion.transpose()?,
        consistency: consistency.transpose()?,
    })
}
