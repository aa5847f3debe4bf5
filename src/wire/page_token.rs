//! Page tokens: opaque, versioned, bound to their question and store.
//!
//! ```text
//! version(1) store(16) question(16) snapshot(8) chain(8) value(8) position(8) check(16)   in hexadecimal
//! ```
//! `chain` begins the chain hash at the snapshot: other events may stand there after an older backup was restored.
//! The check guards against damage and guessing games; a token grants nothing and hides nothing.

use std::fmt::{self, Write as _};

use super::status::RequestError;
use crate::domain::{Position, StoreId};
use crate::journal::ChainHash;
use crate::timeline::Key;

const VERSION: u8 = 2;
const CHECKED_BYTES: usize = 65;

/// The first bytes of a chain hash; all zero where it could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainStart([u8; 8]);

impl ChainStart {
    /// Takes the beginning of a hash.
    #[must_use]
    pub fn of(chain: &ChainHash) -> Self {
        Self(chain.as_bytes().first_chunk().copied().unwrap_or_default())
    }

    /// Tells whether a hash begins so. Nothing is said against a hash by one that could not be read.
    #[must_use]
    pub fn fits(self, chain: &ChainHash) -> bool {
        self == Self::default() || self == Self::of(chain)
    }
}

impl fmt::Display for ChainStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The state of the log that all pages are of.
    pub snapshot: Position,
    /// The beginning of the chain hash there.
    pub chain: ChainStart,
    /// Where the page before ended.
    pub after: Key,
}

/// Digests a question: the request without its page fields.
#[must_use]
pub fn question(method: &str, request: &impl prost::Message) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_derive_key("annals page question v1");
    hasher.update(method.as_bytes()).update(&[0]).update(&request.encode_to_vec());
    truncated(&hasher.finalize())
}

fn truncated(hash: &blake3::Hash) -> [u8; 16] {
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

fn check(bytes: &[u8]) -> [u8; 16] {
    truncated(&blake3::Hasher::new_derive_key("annals page token v1").update(bytes).finalize())
}

impl PageToken {
    /// Writes the token of a question.
    #[must_use]
    pub fn encode(&self, store: StoreId, question: [u8; 16]) -> String {
        let mut bytes = Vec::with_capacity(CHECKED_BYTES + 16);
        bytes.push(VERSION);
        bytes.extend_from_slice(store.as_bytes());
        bytes.extend_from_slice(&question);
        bytes.extend_from_slice(&self.snapshot.0.to_be_bytes());
        bytes.extend_from_slice(&self.chain.0);
        bytes.extend_from_slice(&self.after.value.to_be_bytes());
        bytes.extend_from_slice(&self.after.position.0.to_be_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Reads a token, which must be of this store and question.
    ///
    /// # Errors
    /// [`RequestError::StoreMismatch`] for another store's token, [`RequestError::PageToken`] otherwise.
    pub fn decode(text: &str, store: StoreId, asked: [u8; 16]) -> Result<Self, RequestError> {
        let bytes = hexadecimal(text).ok_or(RequestError::PageToken { reason: "it is not a page token" })?;
        let (body, written) = bytes
            .split_at_checked(CHECKED_BYTES)
            .ok_or(RequestError::PageToken { reason: "its length is wrong" })?;
        if written != check(body) || body.first() != Some(&VERSION) {
            return Err(RequestError::PageToken { reason: "it is damaged, or of another version" });
        }
        let field =
            |from: usize| body.get(from..from + 8).and_then(|bytes| bytes.first_chunk::<8>()).copied();
        let held = body.get(1..17).and_then(|bytes| bytes.first_chunk::<16>()).copied().unwrap_or_default();
        if held != *store.as_bytes() {
            let given = StoreId::from_uuid(uuid::Uuid::from_bytes(held)).to_string();
            return Err(RequestError::StoreMismatch { given, actual: store });
        }
        if body.get(17..33) != Some(asked.as_slice()) {
            return Err(RequestError::PageToken {
                reason: "it is of another question: repeat the first request",
            });
        }
        let [snapshot, chain, value, position] =
            [field(33), field(41), field(49), field(57)].map(Option::unwrap_or_default);
        Ok(Self {
            snapshot: Position(u64::from_be_bytes(snapshot)),
            chain: ChainStart(chain),
            after: Key { value: i64::from_be_bytes(value), position: Position(u64::from_be_bytes(position)) },
        })
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 4 * CHECKED_BYTES {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?)).collect()
}
