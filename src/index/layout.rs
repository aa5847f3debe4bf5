//! The bytes of a sealed segment.
//!
//! ```text
//! "ANSG" version(1) chain(32) body CRC32C(4) of all before
//! body = base(8) len(4) columns dictionary ids order links amounts acts
//! ```
//! Little-endian throughout. Columns, terms, amounts and acts say in their own modules how they are written. The same
//! events give the same bytes, and a segment is looked at in them as they are: nothing is unpacked when it is read.

use bytes::{Buf, Bytes};

use super::segment::Segment;

/// Version of this layout, and of the meaning of terms and columns: a change of either makes a new one.
pub const SEGMENT_FORMAT: u8 = 7;
const MAGIC: &[u8; 4] = b"ANSG";

/// Says that bytes are no segment of this version; the segment is then built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a segment of format {SEGMENT_FORMAT}")]
pub struct LayoutError;

/// Writes a segment. `chain` is the chain hash at its last position: it ties the segment to its log.
#[must_use]
pub fn encode(segment: &Segment, chain: &[u8; 32]) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes(MAGIC);
    out.bytes(&[SEGMENT_FORMAT]);
    out.bytes(chain);
    segment.write(&mut out);
    let checksum = crc32c::crc32c(&out.0);
    out.bytes(&checksum.to_le_bytes());
    out.0
}

/// Reads a segment and the chain hash that it was tied to. The segment keeps the bytes.
///
/// # Errors
/// [`LayoutError`] when the bytes are damaged, of another version, or of other lengths than they say.
pub fn decode(bytes: Bytes) -> Result<(Segment, [u8; 32]), LayoutError> {
    let at = bytes.len().checked_sub(4).ok_or(LayoutError)?;
    let (body, checksum) = bytes.split_at_checked(at).ok_or(LayoutError)?;
    if checksum != crc32c::crc32c(body).to_le_bytes() {
        return Err(LayoutError);
    }
    let mut from = Reader(bytes.slice(..at));
    if from.array::<4>()? != *MAGIC || from.array::<1>()? != [SEGMENT_FORMAT] {
        return Err(LayoutError);
    }
    let chain = from.array()?;
    let segment = Segment::read(&mut from)?;
    if from.0.is_empty() { Ok((segment, chain)) } else { Err(LayoutError) }
}

/// Where a segment is written to.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Writes a length.
    pub(super) fn count(&mut self, count: usize) {
        self.bytes(&u64::try_from(count).unwrap_or(u64::MAX).to_le_bytes());
    }

    /// Writes a length, then the bytes.
    pub(super) fn counted(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes(bytes);
    }

    /// Gives what was written, and no more memory than it takes.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0)
    }
}

/// What is left to read of a segment.
#[derive(Debug)]
pub(super) struct Reader(Bytes);

impl Reader {
    pub(super) const fn of(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn slice(&mut self, len: usize) -> Result<Bytes, LayoutError> {
        if len > self.0.len() {
            return Err(LayoutError);
        }
        Ok(self.0.split_to(len))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], LayoutError> {
        let array = *self.0.first_chunk().ok_or(LayoutError)?;
        self.0.advance(N);
        Ok(array)
    }

    pub(super) fn count(&mut self) -> Result<usize, LayoutError> {
        usize::try_from(u64::from_le_bytes(self.array()?)).map_err(|_| LayoutError)
    }

    /// Reads a length, then as many bytes.
    pub(super) fn counted(&mut self) -> Result<Bytes, LayoutError> {
        let len = self.count()?;
        self.slice(len)
    }

    pub(super) fn flag(&mut self) -> Result<bool, LayoutError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(LayoutError),
        }
    }
}
