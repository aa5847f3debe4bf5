//! A backup as a file: header, frames, trailer.
//!
//! ```text
//! ANNALSBK(8) version(4) store(16) after(8) chain after(32) head(8) chain at head(32)
//! length(4) frame … length(4) frame …   length 0(4)
//! frames(8) events(8) BLAKE3 over all before(32)
//! ```
//! All numbers are big-endian. docs/format.md gives every byte.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use uuid::Uuid;

use super::backup::{BACKUP_FORMAT, Continuity, Copied, Extent};
use crate::domain::{Position, StoreId};
use crate::journal::frame::BODY_BYTES_MAX;
use crate::journal::{self, ChainHash, Fault, Frame};

const MAGIC: &[u8; 8] = b"ANNALSBK";
const HEADER_BYTES: usize = 108;
/// A frame's own fields take less than 4 KiB beside its body.
const FRAME_BYTES_MAX: u32 = BODY_BYTES_MAX + 4_096;

/// Says why a file is no sound backup, or was not written.
#[derive(Debug, thiserror::Error)]
pub enum BackupFileError {
    /// It cannot be read or written.
    #[error("it cannot be read or written")]
    Io(#[source] io::Error),
    /// It does not begin as a backup does.
    #[error("it is no backup")]
    NotABackup,
    /// It was written by a later version of the program.
    #[error("it has format {found}, this program knows up to {BACKUP_FORMAT}")]
    Version {
        /// Its format.
        found: u32,
    },
    /// It ends before its end.
    #[error("it is cut off after position {after}")]
    Truncated {
        /// The last position that it holds whole.
        after: Position,
    },
    /// Frames in it are damaged, or not those that belong there.
    #[error(transparent)]
    Frames(#[from] journal::ReadError),
    /// It claims a frame of a size that no frame has.
    #[error("it claims a frame of {bytes} bytes after position {after}")]
    FrameSize {
        /// The size claimed.
        bytes: u32,
        /// The position before.
        after: Position,
    },
    /// Its bytes do not give its checksum.
    #[error("it does not match its checksum")]
    Checksum,
    /// Something follows its end.
    #[error("bytes follow its end")]
    Trailing,
}

/// Writes a backup and checks what it writes.
#[derive(Debug)]
pub struct BackupWriter<W> {
    sink: W,
    extent: Extent,
    continuity: Continuity,
    checksum: blake3::Hasher,
}

impl<W: Write> BackupWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`BackupFileError::Io`].
    pub fn begin(sink: W, extent: Extent) -> Result<Self, BackupFileError> {
        let continuity = Continuity::after(extent.after, extent.after_chain);
        let mut writer = Self { sink, extent, continuity, checksum: blake3::Hasher::new() };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&BACKUP_FORMAT.to_be_bytes());
        header.extend_from_slice(extent.store.as_bytes());
        header.extend_from_slice(&extent.after.0.to_be_bytes());
        header.extend_from_slice(extent.after_chain.as_bytes());
        header.extend_from_slice(&extent.head.0.to_be_bytes());
        header.extend_from_slice(extent.head_chain.as_bytes());
        writer.write(&header)?;
        Ok(writer)
    }

    /// Adds the next frame.
    ///
    /// # Errors
    /// [`BackupFileError::Frames`] when it is damaged or not the next one; [`BackupFileError::Io`].
    pub fn push(&mut self, encoded: Bytes) -> Result<(), BackupFileError> {
        let frame = decode(encoded, self.continuity.position())?;
        self.continuity.take(&frame)?;
        let bytes = frame.encoded();
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if len > FRAME_BYTES_MAX {
            return Err(BackupFileError::FrameSize { bytes: len, after: self.continuity.position() });
        }
        self.write(&len.to_be_bytes())?;
        self.write(bytes)
    }

    /// Gives the last position written.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.continuity.position()
    }

    /// Writes the trailer.
    ///
    /// # Errors
    /// [`BackupFileError::Frames`] when frames are missing, [`BackupFileError::Io`].
    pub fn finish(mut self) -> Result<(W, Copied), BackupFileError> {
        self.continuity.check_end(self.extent.head, self.extent.head_chain)?;
        let counts = self.continuity.copied(&self.checksum);
        self.write(&0_u32.to_be_bytes())?;
        self.write(&counts.frames.to_be_bytes())?;
        self.write(&counts.events.to_be_bytes())?;
        let copied = self.continuity.copied(&self.checksum);
        self.sink.write_all(&copied.checksum).map_err(BackupFileError::Io)?;
        Ok((self.sink, copied))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), BackupFileError> {
        self.checksum.update(bytes);
        self.sink.write_all(bytes).map_err(BackupFileError::Io)
    }
}

/// Reads a backup and checks what it reads.
#[derive(Debug)]
pub struct BackupReader<R> {
    source: R,
    extent: Extent,
    continuity: Continuity,
    checksum: blake3::Hasher,
    copied: Option<Copied>,
}

impl<R: Read> BackupReader<R> {
    /// Reads the header. What it says is certain only when the checksum at the end was found right.
    ///
    /// # Errors
    /// [`BackupFileError`].
    pub fn open(mut source: R) -> Result<Self, BackupFileError> {
        let mut header = [0; HEADER_BYTES];
        source.read_exact(&mut header).map_err(|error| {
            if is_end(&error) { BackupFileError::NotABackup } else { BackupFileError::Io(error) }
        })?;
        let mut fields = header.as_slice();
        if fields.copy_to_bytes(MAGIC.len()) != MAGIC.as_slice() {
            return Err(BackupFileError::NotABackup);
        }
        let found = fields.get_u32();
        if found != BACKUP_FORMAT {
            return Err(BackupFileError::Version { found });
        }
        let mut store = [0; 16];
        fields.copy_to_slice(&mut store);
        let mut place = || {
            let position = Position(fields.get_u64());
            let mut chain = [0; 32];
            fields.copy_to_slice(&mut chain);
            (position, ChainHash::from_bytes(chain))
        };
        let ((after, after_chain), (head, head_chain)) = (place(), place());
        let store = StoreId::from_uuid(Uuid::from_bytes(store));
        if after == Position::ZERO && after_chain != ChainHash::origin(store) {
            let (first, last) = (Position(1), head.max(Position(1)));
            return Err(journal::ReadError::Corrupt { first, last, fault: Fault::Chain }.into());
        }
        let mut checksum = blake3::Hasher::new();
        checksum.update(&header);
        Ok(Self {
            source,
            extent: Extent { store, after, after_chain, head, head_chain },
            continuity: Continuity::after(after, after_chain),
            checksum,
            copied: None,
        })
    }

    /// Gives what it claims to hold.
    #[must_use]
    pub const fn extent(&self) -> Extent {
        self.extent
    }

    /// Reads the next frame; nothing after the last, once the trailer was found right.
    ///
    /// # Errors
    /// [`BackupFileError`].
    pub fn next_frame(&mut self) -> Result<Option<Frame>, BackupFileError> {
        if self.copied.is_some() {
            return Ok(None);
        }
        let len = u32::from_be_bytes(self.read()?);
        if len == 0 {
            self.trailer()?;
            return Ok(None);
        }
        let after = self.continuity.position();
        if len > FRAME_BYTES_MAX {
            return Err(BackupFileError::FrameSize { bytes: len, after });
        }
        let mut encoded = vec![0; usize::try_from(len).unwrap_or_default()];
        self.fill(&mut encoded)?;
        let frame = decode(Bytes::from(encoded), after)?;
        self.continuity.take(&frame)?;
        Ok(Some(frame))
    }

    /// Reads the rest and gives what it held.
    ///
    /// # Errors
    /// [`BackupFileError`].
    pub fn finish(mut self) -> Result<Copied, BackupFileError> {
        while self.next_frame()?.is_some() {}
        Ok(self.copied.unwrap_or_else(|| self.continuity.copied(&self.checksum)))
    }

    fn trailer(&mut self) -> Result<(), BackupFileError> {
        let frames = u64::from_be_bytes(self.read()?);
        let events = u64::from_be_bytes(self.read()?);
        let copied = self.continuity.copied(&self.checksum);
        let written: [u8; 32] = self.read()?;
        if written != copied.checksum || (frames, events) != (copied.frames, copied.events) {
            return Err(BackupFileError::Checksum);
        }
        self.continuity.check_end(self.extent.head, self.extent.head_chain)?;
        match self.source.read(&mut [0]).map_err(BackupFileError::Io)? {
            0 => self.copied = Some(copied),
            _ => return Err(BackupFileError::Trailing),
        }
        Ok(())
    }

    fn read<const N: usize>(&mut self) -> Result<[u8; N], BackupFileError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), BackupFileError> {
        let after = self.continuity.position();
        self.source.read_exact(bytes).map_err(|error| {
            if is_end(&error) { BackupFileError::Truncated { after } } else { BackupFileError::Io(error) }
        })?;
        self.checksum.update(bytes);
        Ok(())
    }
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// Reads a frame that should follow a position.
fn decode(encoded: Bytes, after: Position) -> Result<Frame, journal::ReadError> {
    Frame::decode(encoded).map_err(|error| journal::ReadError::Corrupt {
        first: after.next(),
        last: after.next(),
        fault: Fault::Frame(error),
    })
}
