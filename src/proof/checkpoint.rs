//! Checkpoints: the size and root of a log, to be signed (C2SP tlog-checkpoint).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::merkle::Hash;
use super::note::{Note, NoteError, Signer, VerifierKey};

/// Says why a note is no checkpoint to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note itself.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text of the note.
    #[error("its text is not an origin, a tree size and a root hash")]
    Text,
    /// It is of another log.
    #[error("it is of another log than the key")]
    Origin,
}

/// A state of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// Gives the text to sign.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.as_bytes()))
    }

    /// Gives the signed note.
    ///
    /// # Errors
    /// [`NoteError::Form`] when the origin holds a control character.
    pub fn sign(&self, signer: &Signer) -> Result<String, NoteError> {
        signer.sign(&self.text())
    }

    /// Reads a text. Lines after the third, which C2SP allows, are ignored.
    ///
    /// # Errors
    /// [`CheckpointError::Text`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Text)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(CheckpointError::Text);
        let origin = line()?.to_owned();
        let size = line()?;
        let root = line()?;
        if lines.any(str::is_empty) {
            return Err(CheckpointError::Text);
        }
        let decimal =
            size == "0" || (!size.starts_with('0') && size.bytes().all(|byte| byte.is_ascii_digit()));
        let size = size.parse().ok().filter(|_| decimal).ok_or(CheckpointError::Text)?;
        let root = STANDARD.decode(root).ok().and_then(|bytes| bytes.try_into().ok());
        Ok(Self { origin, size, root: Hash::from_bytes(root.ok_or(CheckpointError::Text)?) })
    }

    /// Reads what a note claims, its signature unchecked: to ask for a proof of it, not to believe it.
    ///
    /// # Errors
    /// [`CheckpointError::Text`].
    pub fn claimed_by(note: &str) -> Result<Self, CheckpointError> {
        let (text, _) = note.rsplit_once("\n\n").ok_or(CheckpointError::Text)?;
        Self::parse(&format!("{text}\n"))
    }

    /// Reads a signed note, checks its signature, and that the key is of the log: their names are equal.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(Note::open(note, key)?.text())?;
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(CheckpointError::Origin) }
    }
}
