//! Writes frames: packs the records of one commit.

use bytes::{BufMut, Bytes};

use super::chain::ChainHash;
use super::error::EncodeError;
use super::frame::{
    BODY_BYTES_MAX, CHECKSUM_BYTES, CODEC_LZ4, CODEC_NONE, CommitRange, FORM_BYTES, FORMAT_VERSION,
    FRAME_BODY_BYTES, FRAME_RECORDS_MAX, Frame, HEADER_BYTES, RECORD_FIXED_BYTES, WHOLE_VERSION,
};
use super::record::Record;
use crate::domain::{Position, RecordForm, Timestamp};

/// A frame ready for a commit: its bytes, and what a journal must know without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    pub(super) range: CommitRange,
    pub(super) commit: CommitRange,
    pub(super) previous: ChainHash,
    pub(super) chain: ChainHash,
    pub(super) recorded_at: Timestamp,
    pub(super) bytes: Bytes,
}

impl EncodedFrame {
    /// Gives the first position held.
    #[must_use]
    pub const fn first(&self) -> Position {
        self.range.first
    }

    /// Gives the last position held, inclusive.
    #[must_use]
    pub const fn last(&self) -> Position {
        self.range.last
    }

    /// Gives the positions of the commit that the frame is part of.
    #[must_use]
    pub const fn commit(&self) -> CommitRange {
        self.commit
    }

    /// Gives the chain hash before the first record.
    #[must_use]
    pub const fn previous(&self) -> ChainHash {
        self.previous
    }

    /// Gives the chain hash after the last record.
    #[must_use]
    pub const fn chain(&self) -> ChainHash {
        self.chain
    }

    /// Gives when the last record was recorded.
    #[must_use]
    pub const fn recorded_at(&self) -> Timestamp {
        self.recorded_at
    }

    /// Gives the bytes to store.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Packs the records of one commit into frames; gives them and the chain hash after the last.
///
/// A frame is cut before it would pass [`FRAME_RECORDS_MAX`] records or [`FRAME_BODY_BYTES`]; a
/// record larger than that has a frame of its own.
///
/// # Errors
/// [`EncodeError`]: no record, positions that are not consecutive from at least 1, or a record
/// that does not fit [`BODY_BYTES_MAX`].
pub fn frames_of(
    records: &[Record],
    previous: ChainHash,
) -> Result<(Vec<EncodedFrame>, ChainHash), EncodeError> {
    let (first, last) = records.first().zip(records.last()).ok_or(EncodeError::Empty)?;
    let mut open = Open {
        commit: CommitRange { first: first.position, last: last.position },
        previous,
        chain: previous,
        count: 0,
        next: first.position,
        recorded_at: first.recorded_at,
        version: version_of(records),
        body: Vec::new(),
        packed: Vec::new(),
        facts: Vec::new(),
    };
    let mut frames = Vec::with_capacity(records.len() / usize::from(FRAME_RECORDS_MAX) + 1);
    for record in records {
        let position = record.position;
        // The last of all positions is left out so that the one after it always exists.
        if position != open.next || position.0 == 0 || position.0 == u64::MAX {
            return Err(EncodeError::NotConsecutive { position });
        }
        let len = encoded_len(record).ok_or(EncodeError::TooLarge { position })?;
        let len = len + if open.version == WHOLE_VERSION { 0 } else { FORM_BYTES };
        let full = open.count == FRAME_RECORDS_MAX || open.body.len() + len > FRAME_BODY_BYTES;
        if full && open.count > 0 {
            frames.push(open.cut()?);
        }
        open.push(record)?;
    }
    frames.push(open.cut()?);
    Ok((frames, open.chain))
}

/// Packs records into one frame that takes the place of another: of the same positions and commit, and with the same
/// chain hashes before and after.
///
/// # Errors
/// [`EncodeError::NotConsecutive`] when the records are others than the frame's, [`EncodeError::TooLarge`].
pub fn refit(frame: &Frame, records: &[Record]) -> Result<EncodedFrame, EncodeError> {
    let chain = frame.records().iter().fold(frame.previous(), |chain, record| record.chain_after(chain));
    let mut open = Open {
        commit: frame.commit(),
        previous: frame.previous(),
        chain: frame.previous(),
        count: 0,
        next: frame.first(),
        recorded_at: Timestamp(i64::MIN),
        version: version_of(records),
        body: Vec::new(),
        packed: Vec::new(),
        facts: Vec::new(),
    };
    for record in records {
        if record.position != open.next {
            return Err(EncodeError::NotConsecutive { position: record.position });
        }
        open.push(record)?;
    }
    let fitted = open.cut()?;
    if fitted.last() != frame.last() || fitted.chain() != chain {
        return Err(EncodeError::NotConsecutive { position: frame.first() });
    }
    Ok(fitted)
}

/// The frame being filled. Its buffers serve all frames of the commit.
struct Open {
    commit: CommitRange,
    previous: ChainHash,
    chain: ChainHash,
    count: u16,
    /// The position after the last record.
    next: Position,
    /// When the last record was recorded.
    recorded_at: Timestamp,
    version: u8,
    body: Vec<u8>,
    packed: Vec<u8>,
    /// What a record's digest is over.
    facts: Vec<u8>,
}

impl Open {
    fn push(&mut self, record: &Record) -> Result<(), EncodeError> {
        let too_large = EncodeError::TooLarge { position: record.position };
        let stream = record.stream.as_str().as_bytes();
        let body = &mut self.body;
        if self.version != WHOLE_VERSION {
            body.put_u8(record.form.number());
        }
        body.put_u64(record.revision.0);
        body.put_i64(record.recorded_at.0);
        body.put_slice(record.event_id.as_bytes());
        body.put_slice(&record.salt);
        body.put_slice(&record.content_digest);
        body.put_u16(u16::try_from(stream.len()).map_err(|_| too_large)?);
        body.put_u32(u32::try_from(record.server_fields.len()).map_err(|_| too_large)?);
        body.put_u32(u32::try_from(record.content.len()).map_err(|_| too_large)?);
        body.put_slice(stream);
        body.put_slice(&record.server_fields);
        body.put_slice(&record.content);
        self.chain = record.chain_after_with(self.chain, &mut self.facts);
        self.count += 1;
        self.next = record.position.next();
        self.recorded_at = record.recorded_at;
        Ok(())
    }

    fn cut(&mut self) -> Result<EncodedFrame, EncodeError> {
        let first = Position(self.next.0 - u64::from(self.count));
        let last = Position(self.next.0 - 1);
        let body_len =
            u32::try_from(self.body.len()).map_err(|_| EncodeError::TooLarge { position: first })?;
        self.packed.resize(lz4_flex::block::get_maximum_output_size(self.body.len()), 0);
        let packed = lz4_flex::block::compress_into(&self.body, &mut self.packed)
            .ok()
            .and_then(|len| self.packed.get(..len))
            .filter(|packed| packed.len() < self.body.len());
        let (codec, stored) = match packed {
            Some(packed) => (CODEC_LZ4, packed),
            None => (CODEC_NONE, self.body.as_slice()),
        };
        let mut bytes = Vec::with_capacity(HEADER_BYTES + stored.len() + CHECKSUM_BYTES);
        bytes.put_u8(self.version);
        bytes.put_u8(codec);
        bytes.put_u16(self.count);
        bytes.put_u64(first.0);
        bytes.put_u64(self.commit.first.0);
        bytes.put_u64(self.commit.last.0);
        bytes.put_slice(self.previous.as_bytes());
        bytes.put_u32(body_len);
        bytes.put_slice(stored);
        bytes.put_u32(crc32c::crc32c(&bytes));
        let frame = EncodedFrame {
            range: CommitRange { first, last },
            commit: self.commit,
            previous: self.previous,
            chain: self.chain,
            recorded_at: self.recorded_at,
            bytes: Bytes::from(bytes),
        };
        self.previous = self.chain;
        self.body.clear();
        self.count = 0;
        Ok(frame)
    }
}

/// Frames of a commit share a version: the oldest that can hold its records.
fn version_of(records: &[Record]) -> u8 {
    let whole = records.iter().all(|record| record.form == RecordForm::Whole);
    if whole { WHOLE_VERSION } else { FORMAT_VERSION }
}

/// Gives the bytes that a record takes in a body, if it fits one.
fn encoded_len(record: &Record) -> Option<usize> {
    let len = RECORD_FIXED_BYTES
        .checked_add(record.stream.as_str().len())?
        .checked_add(record.server_fields.len())?
        .checked_add(record.content.len())?;
    u32::try_from(len).is_ok_and(|len| len <= BODY_BYTES_MAX).then_some(len)
}
