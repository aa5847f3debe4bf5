//! `GetLogProof`: the root of a state of the log, signed, and proofs under it.

use tonic::Status;

use super::Context;
use super::context::refused;
use crate::domain::Position;
use crate::log::Log;
use crate::pb;
use crate::proof::{Checkpoint, Consistency, Evidence};
use crate::wire::proof::{self, ProofRequest};
use crate::wire::{RequestError, status};

impl Context {
    /// Gives the proofs asked for.
    ///
    /// # Errors
    /// INVALID_ARGUMENT, OUT_OF_RANGE, NOT_FOUND for what cannot be proved; DATA_LOSS or INTERNAL when the log cannot
    /// be read.
    pub fn log_proof(
        &self,
        log: &Log,
        request: &pb::GetLogProofRequest,
    ) -> Result<pb::GetLogProofResponse, Status> {
        let head = log.head().position;
        let asked = proof::request(request, head).map_err(|error| refused(&error))?;
        let ProofRequest { size, first, .. } = asked;
        let event = self.event_position(log, &asked, head)?;
        let proofs = log.proofs();
        let failed = |error| self.read_failed(&error);
        let key = log.signer().verifier();
        let root = proofs.root(size).map_err(failed)?;
        let state = Checkpoint { origin: key.name().to_owned(), size: size.0, root };
        let signed = state.sign(log.signer());
        let consistency = first.map(|first| {
            let path = proofs.consistency(first, size)?;
            Ok((Consistency { first_size: first.0, path }, proofs.root(first)?))
        });
        let consistency = consistency.transpose().map_err(failed)?;
        let (consistency, first_root) = consistency.unzip();
        let evidence = Evidence {
            // An origin is always fit to be signed.
            checkpoint: signed.map_err(|error| status::internal(&self.incident(&error)))?,
            inclusion: event.map(|position| proofs.inclusion(position, size)).transpose().map_err(failed)?,
            consistency,
        };
        Ok(proof::response(&state, evidence, first_root, key))
    }

    fn event_position(
        &self,
        log: &Log,
        asked: &ProofRequest,
        head: Position,
    ) -> Result<Option<Position>, Status> {
        let Some(id) = asked.event else { return Ok(None) };
        let found = log.index().view().position_of(&id).filter(|position| *position <= head);
        match found {
            None => Err(refused(&RequestError::EventNotFound(id))),
            Some(position) if position > asked.size => Err(refused(&proof::behind(position))),
            Some(position) => Ok(Some(position)),
        }
    }
}
