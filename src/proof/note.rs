//! Signed notes: text with signatures that name their keys (C2SP signed-note, Ed25519 only).
//!
//! ```text
//! <text, each line ended by a line feed>
//! <empty line>
//! — <key name> base64(key id(4) ‖ signature(64))
//!
//! verifier key   <name>+<key id, 8 digits>+base64(0x01 ‖ public key(32))
//! signer key     PRIVATE+KEY+<name>+<key id, 8 digits>+base64(0x01 ‖ seed(32))
//! key id         SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key)[..4]
//! ```
//!
//! The forms of keys are those of golang.org/x/mod/sumdb/note, which C2SP tools read.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

/// Type of an Ed25519 signature.
const ED25519: u8 = 0x01;
/// Begins a signature line.
const SIGNATURE_LINE: &str = "\u{2014} ";
/// Begins a signer key.
const PRIVATE_KEY: &str = "PRIVATE+KEY+";
/// Most bytes of a note that is read. C2SP asks that 16 signatures be accepted, of up to 5 kB each.
pub const NOTE_BYTES_MAX: usize = 1 << 20;
/// Most signatures of a note.
pub const SIGNATURES_MAX: usize = 100;

/// Says why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `name+id+base64`.
    #[error("it is not of the form name+id+key")]
    Form,
    /// A name is empty, or has a space or a plus.
    #[error("its name is empty, or has a space or a plus")]
    Name,
    /// Another algorithm.
    #[error("it is not an Ed25519 key")]
    Algorithm,
    /// The key id is not the hash of name and key.
    #[error("its id does not belong to its name and key: it is damaged")]
    Id,
}

/// Says why a note is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not text, an empty line and signature lines.
    #[error("it is not a signed note")]
    Form,
    /// No signature names the key.
    #[error("it is not signed by the key")]
    Unsigned,
    /// The signature of the key does not fit the text.
    #[error("its signature does not fit its text")]
    Signature,
}

/// A public key with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

fn id_of(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hasher = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes());
    let [a, b, c, d, ..]: [u8; 32] = hasher.finalize().into();
    [a, b, c, d]
}

/// Reads `name+id+base64(0x01 ‖ 32 bytes)`.
fn split_key(text: &str) -> Result<(&str, u32, [u8; 32]), KeyError> {
    let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
    let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
    if !is_name(name) {
        return Err(KeyError::Name);
    }
    let digits = id.len() == 8 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = u32::from_str_radix(id, 16).ok().filter(|_| digits).ok_or(KeyError::Form)?;
    let bytes = STANDARD.decode(key).map_err(|_| KeyError::Form)?;
    let (algorithm, key) = bytes.split_first().ok_or(KeyError::Form)?;
    if *algorithm != ED25519 {
        return Err(KeyError::Algorithm);
    }
    Ok((name, id, key.try_into().map_err(|_| KeyError::Form)?))
}

fn join_key(name: &str, id: [u8; 4], key: &[u8; 32]) -> String {
    let mut bytes = vec![ED25519];
    bytes.extend_from_slice(key);
    format!("{name}+{:08x}+{}", u32::from_be_bytes(id), STANDARD.encode(bytes))
}

impl VerifierKey {
    fn new(name: &str, key: VerifyingKey) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        Ok(Self { name: name.to_owned(), id: id_of(name, &key), key })
    }

    /// Reads a verifier key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, bytes) = split_key(text)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::Form)?;
        let read = Self::new(name, key)?;
        if u32::from_be_bytes(read.id) == id { Ok(read) } else { Err(KeyError::Id) }
    }

    /// Gives the name of the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&join_key(&self.name, self.id, self.key.as_bytes()))
    }
}

/// A private key with its name.
pub struct Signer {
    key: SigningKey,
    verifier: VerifierKey,
}

impl fmt::Debug for Signer {
    /// Shows the public part only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.verifier)
    }
}

impl Signer {
    /// Takes the 32 random bytes that an Ed25519 key is made of (RFC 8032, section 5.1.5).
    ///
    /// # Errors
    /// [`KeyError::Name`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, key.verifying_key())?;
        Ok(Self { key, verifier })
    }

    /// Reads a signer key.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, id, seed) = split_key(text.strip_prefix(PRIVATE_KEY).ok_or(KeyError::Form)?)?;
        let signer = Self::new(name, &seed)?;
        if u32::from_be_bytes(signer.verifier.id) == id { Ok(signer) } else { Err(KeyError::Id) }
    }

    /// Gives the text of the key, which is secret.
    #[must_use]
    pub fn secret_text(&self) -> String {
        let key = join_key(&self.verifier.name, self.verifier.id, &self.key.to_bytes());
        format!("{PRIVATE_KEY}{key}")
    }

    /// Gives the public part.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text whose lines all end with a line feed; gives the note.
    ///
    /// # Errors
    /// [`NoteError::Form`] when the text does not end with a line feed, or holds another control character.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        if !is_text(text) {
            return Err(NoteError::Form);
        }
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n{SIGNATURE_LINE}{} {}\n", self.verifier.name, STANDARD.encode(bytes)))
    }
}

fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.bytes().any(|byte| byte < 0x20 && byte != b'\n')
}

/// A note whose signature holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
}

impl<'a> Note<'a> {
    /// Reads a note, and checks the signature of one key. Those of other keys are ignored, as C2SP asks.
    ///
    /// # Errors
    /// [`NoteError`]; nothing of the text may be believed then.
    pub fn open(note: &'a str, key: &VerifierKey) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX || !is_text(note) {
            return Err(NoteError::Form);
        }
        // The last empty line separates: the text may hold others.
        let at = note.rfind("\n\n").ok_or(NoteError::Form)? + 1;
        let (text, signatures) = note.split_at_checked(at).ok_or(NoteError::Form)?;
        let lines = signatures.strip_prefix('\n').ok_or(NoteError::Form)?.lines();
        let (mut count, mut signed) = (0, false);
        for line in lines {
            count += 1;
            let (name, bytes) =
                signature_of(line).filter(|_| count <= SIGNATURES_MAX).ok_or(NoteError::Form)?;
            let Some(signature) = bytes.strip_prefix(&key.id).filter(|_| name == key.name) else {
                continue;
            };
            let signature = Signature::from_slice(signature).map_err(|_| NoteError::Signature)?;
            key.key.verify_strict(text.as_bytes(), &signature).map_err(|_| NoteError::Signature)?;
            signed = true;
        }
        match (count, signed) {
            (0, _) => Err(NoteError::Form),
            (_, true) => Ok(Self { text }),
            (_, false) => Err(NoteError::Unsigned),
        }
    }

    /// Gives the text, with its last line feed.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }
}

/// Reads a signature line: the name of the key, and its id with the signature.
fn signature_of(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix(SIGNATURE_LINE)?.split_once(' ')?;
    let bytes = STANDARD.decode(signature).ok()?;
    (is_name(name) && bytes.len() > 4).then_some((name, bytes))
}
