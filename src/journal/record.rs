//! Holds one event as the journal sees it: where it stands, and bytes that mean nothing here.

use bytes::{BufMut, Bytes};

use super::ChainHash;
use crate::domain::{EventId, Position, RecordForm, Revision, StreamName, Timestamp};

/// Separates a record's digest from every other use of BLAKE3 here, and names its rules.
const DIGEST_TAG: &[u8] = b"annals record v1";

/// One recorded event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How much of it is left.
    pub form: RecordForm,
    /// Its place in the log.
    pub position: Position,
    /// The stream it belongs to.
    pub stream: StreamName,
    /// Its place in that stream.
    pub revision: Revision,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its id.
    pub event_id: EventId,
    /// What the client sent, in canonical form; of an erased record, what is kept in its place. Opaque.
    pub content: Bytes,
    /// What the server adds beside the content; opaque, may be empty.
    pub server_fields: Bytes,
    /// Random bytes that keep short contents from being guessed by their digest.
    pub salt: [u8; 16],
    /// [`Record::content_digest_of`] salt and content, as they were before anything was erased. Of a lost record,
    /// the chain hash after it.
    pub content_digest: [u8; 32],
}

impl Record {
    /// Gives BLAKE3(salt ‖ content).
    #[must_use]
    pub fn content_digest_of(salt: &[u8; 16], content: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(salt).update(content);
        hasher.finalize().into()
    }

    /// Stands for a record that was damaged and set aside: nothing of it is known but its place, and how the chain
    /// goes on behind it.
    #[must_use]
    pub fn lost(position: Position, recorded_at: Timestamp, chain_after: ChainHash) -> Self {
        Self {
            form: RecordForm::Lost,
            position,
            stream: StreamName::from_recorded(""),
            revision: Revision(0),
            recorded_at,
            event_id: EventId::from_bytes([0; 16]),
            content: Bytes::new(),
            server_fields: Bytes::new(),
            salt: [0; 16],
            content_digest: *chain_after.as_bytes(),
        }
    }

    /// Takes the content away for ever and puts `rest` in its place. The salt goes, too: with it, whoever guesses the
    /// content could confirm the guess. The digest stays, and with it chain and proofs.
    #[must_use]
    pub fn erased(self, rest: Bytes) -> Self {
        Self { form: RecordForm::Erased, content: rest, salt: [0; 16], ..self }
    }

    /// Says whether salt and content give the content digest, where both are still there.
    #[must_use]
    pub fn content_is_intact(&self) -> bool {
        match self.form {
            RecordForm::Whole => Self::content_digest_of(&self.salt, &self.content) == self.content_digest,
            RecordForm::Erased | RecordForm::Lost => true,
        }
    }

    /// Gives the chain hash after the record.
    #[must_use]
    pub fn chain_after(&self, before: ChainHash) -> ChainHash {
        self.chain_after_with(before, &mut Vec::with_capacity(256))
    }

    /// As [`Record::chain_after`], with a buffer that serves many records.
    pub(super) fn chain_after_with(&self, before: ChainHash, facts: &mut Vec<u8>) -> ChainHash {
        match self.form {
            RecordForm::Whole | RecordForm::Erased => before.then(&self.digest_with(facts)),
            RecordForm::Lost => ChainHash::from_bytes(self.content_digest),
        }
    }

    /// Gives the digest that enters the chain: over every stored fact, the content by its digest.
    ///
    /// So no fact can change unnoticed, and a content could be erased while its digest stays and
    /// the chain remains valid. Numbers are big-endian, texts preceded by their length in 8 bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut facts = Vec::with_capacity(256);
        self.digest_with(&mut facts)
    }

    /// As [`Record::digest`], in a buffer that serves many records: hashing one short run of bytes
    /// is faster than hashing its parts.
    pub(super) fn digest_with(&self, facts: &mut Vec<u8>) -> [u8; 32] {
        self.write_facts(facts);
        blake3::hash(facts).into()
    }

    /// Puts into a buffer, in place of what it holds, every stored fact: what [`Record::digest`] is over, and what a
    /// leaf of the Merkle tree is over. The content stands there by its salted digest only.
    pub fn write_facts(&self, facts: &mut Vec<u8>) {
        let stream = self.stream.as_str().as_bytes();
        facts.clear();
        facts.put_slice(DIGEST_TAG);
        facts.put_u64(self.position.0);
        facts.put_u64(self.revision.0);
        facts.put_i64(self.recorded_at.0);
        facts.put_slice(self.event_id.as_bytes());
        facts.put_slice(&self.content_digest);
        facts.put_u64(stream.len() as u64);
        facts.put_slice(stream);
        facts.put_u64(self.server_fields.len() as u64);
        facts.put_slice(&self.server_fields);
    }
    /// Reads from facts, as [`Record::write_facts`] gives them, where the record stands and which event it is.
    #[must_use]
    pub fn named_by_facts(facts: &[u8]) -> Option<(Position, EventId)> {
        let (position, rest) = facts.strip_prefix(DIGEST_TAG)?.split_first_chunk()?;
        // Between them: revision and time.
        let id = rest.get(16..)?.first_chunk()?;
        Some((Position(u64::from_be_bytes(*position)), EventId::from_bytes(*id)))
    }
}
