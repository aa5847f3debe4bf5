//! Reads frames: up to 64 records with consecutive positions, packed and checked together.
//!
//! All numbers are big-endian.
//!
//! ```text
//! offset  bytes  frame                        bytes  record in the body
//!                                                 1  form, in version 2 only: 0 whole, 1 erased, 2 lost
//!      0      1  format version: 1 or 2           8  revision
//!      1      1  codec: 0 none, 1 LZ4 block       8  recorded at, microseconds, signed
//!      2      2  record count, 1–64              16  event id
//!      4      8  first position                  16  salt
//!     12      8  first position of the commit    32  content digest
//!     20      8  last position of the commit      2  length of the stream name, s
//!     28     32  chain hash before the frame      4  length of the server fields, f
//!     60      4  length of the body, unpacked     4  length of the content, c
//!     64      n  body, packed by the codec        s  stream name, UTF-8
//!   64+n      4  CRC32C over all before it        f  server fields
//!                                                 c  content
//! ```
//!
//! Version 2 is written where a record is not whole: its content was erased, or it was damaged and set aside. All
//! other frames have version 1.
//!
//! A record's position is not stored: it follows from the frame's first position. The checksum is
//! CRC-32C (RFC 3720, appendix B.4), which finds every change of up to three bits in a frame of
//! 64 KiB and misses others once in 2³².

use bytes::{Buf, Bytes};

use super::chain::ChainHash;
use super::encode::EncodedFrame;
use super::error::FrameError;
use super::record::Record;
use crate::domain::{EventId, Position, RecordForm, Revision, StreamName, Timestamp};
use crate::seeded::{self, Bug};

/// The newest format version that this build knows.
pub const FORMAT_VERSION: u8 = 2;
/// The version of frames whose records are all whole.
pub(super) const WHOLE_VERSION: u8 = 1;
/// Most records in a frame.
pub const FRAME_RECORDS_MAX: u16 = 64;
/// Most bytes in the body of a frame of several records, unpacked.
pub const FRAME_BODY_BYTES: usize = 64 * 1024;
/// Most bytes in any body, unpacked: a single record that is larger is refused.
pub const BODY_BYTES_MAX: u32 = 1024 * 1024;

pub(super) const CODEC_NONE: u8 = 0;
pub(super) const CODEC_LZ4: u8 = 1;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const CHECKSUM_BYTES: usize = 4;
/// Bytes of a record in the body beside its three variable parts.
pub(super) const RECORD_FIXED_BYTES: usize = 90;
/// Bytes of a record's form, in version 2.
pub(super) const FORM_BYTES: usize = 1;

/// Names the positions of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitRange {
    /// First position, inclusive.
    pub first: Position,
    /// Last position, inclusive.
    pub last: Position,
}

/// A frame that was read: never empty, its positions consecutive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    range: CommitRange,
    commit: CommitRange,
    previous: ChainHash,
    records: Vec<Record>,
    encoded: Bytes,
}

struct Header {
    version: u8,
    codec: u8,
    count: u16,
    range: CommitRange,
    commit: CommitRange,
    previous: ChainHash,
    body_len: usize,
}

impl Frame {
    /// Reads a frame: version, checksum, lengths and positions are checked, digests are not.
    ///
    /// Contents share the memory of the unpacked body.
    ///
    /// # Errors
    /// The first rule that the bytes break. No bytes make it panic or use more memory than
    /// [`BODY_BYTES_MAX`] and a constant.
    pub fn decode(encoded: Bytes) -> Result<Self, FrameError> {
        let (header, stored) = split(&encoded)?;
        let body = unpack(&header, &encoded, stored)?;
        let records = records_of(&header, body)?;
        let Header { range, commit, previous, .. } = header;
        Ok(Self { range, commit, previous, records, encoded })
    }

    /// Checks each record's content against its digest and gives the chain hash after the frame.
    ///
    /// # Errors
    /// [`FrameError::Digest`] at the first record that does not match.
    pub fn verify_digests(&self) -> Result<ChainHash, FrameError> {
        let mut chain = self.previous;
        for record in &self.records {
            if !record.content_is_intact() {
                return Err(FrameError::Digest { position: record.position });
            }
            chain = record.chain_after(chain);
        }
        Ok(chain)
    }

    /// Gives the chain hash at a position that the frame holds.
    #[must_use]
    pub fn chain_at(&self, position: Position) -> ChainHash {
        let upto = self.records.iter().take_while(|record| record.position <= position);
        upto.fold(self.previous, |chain, record| record.chain_after(chain))
    }

    /// Makes the frame fit for a commit elsewhere, for example when a backup is restored.
    ///
    /// # Errors
    /// As [`Frame::verify_digests`].
    pub fn into_encoded(self) -> Result<EncodedFrame, FrameError> {
        let chain = self.verify_digests()?;
        let last = self.records.last().ok_or(FrameError::Records)?;
        Ok(EncodedFrame {
            range: self.range,
            commit: self.commit,
            previous: self.previous,
            chain,
            recorded_at: last.recorded_at,
            bytes: self.encoded,
        })
    }

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

    /// Gives the records, ascending.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Gives the records, ascending, and drops the rest.
    #[must_use]
    pub fn into_records(self) -> Vec<Record> {
        self.records
    }

    /// Gives the bytes that the frame was read from.
    #[must_use]
    pub const fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

/// Guesses which positions damaged bytes hold, to name them; at least `first`.
pub(super) fn claimed_last(first: Position, encoded: &[u8]) -> Position {
    let count = encoded.get(2..).and_then(|b| b.first_chunk()).map_or(1, |b| u16::from_be_bytes(*b));
    first.plus(u64::from(count.clamp(1, FRAME_RECORDS_MAX)) - 1)
}

/// Checks everything outside the body; gives the header and the body as stored.
fn split(encoded: &[u8]) -> Result<(Header, &[u8]), FrameError> {
    let short = FrameError::Short { bytes: encoded.len() };
    let version = *encoded.first().ok_or(short)?;
    if !(WHOLE_VERSION..=FORMAT_VERSION).contains(&version) {
        return Err(FrameError::Version { found: version });
    }
    let (checked, checksum) = encoded.split_last_chunk::<CHECKSUM_BYTES>().ok_or(short)?;
    let (mut fields, body) = checked.split_at_checked(HEADER_BYTES).ok_or(short)?;
    if crc32c::crc32c(checked) != u32::from_be_bytes(*checksum) && !seeded::on(Bug::SkipFrameChecksum) {
        return Err(FrameError::Checksum);
    }
    // `fields` has HEADER_BYTES bytes, which is what the following reads take.
    fields.advance(1);
    let codec = fields.get_u8();
    let count = fields.get_u16();
    let first = fields.get_u64();
    let commit = CommitRange { first: Position(fields.get_u64()), last: Position(fields.get_u64()) };
    let mut previous = [0; 32];
    fields.copy_to_slice(&mut previous);
    let claimed = fields.get_u32();

    if count == 0 || count > FRAME_RECORDS_MAX {
        return Err(FrameError::Count { found: count });
    }
    let last = first.checked_add(u64::from(count) - 1).ok_or(FrameError::Positions)?;
    let range = CommitRange { first: Position(first), last: Position(last) };
    if commit.first == Position::ZERO || range.first < commit.first || range.last > commit.last {
        return Err(FrameError::Positions);
    }
    let too_large = FrameError::BodyTooLarge { bytes: claimed };
    if claimed > BODY_BYTES_MAX {
        return Err(too_large);
    }
    let body_len = usize::try_from(claimed).map_err(|_| too_large)?;
    let previous = ChainHash::from_bytes(previous);
    Ok((Header { version, codec, count, range, commit, previous, body_len }, body))
}

fn unpack(header: &Header, encoded: &Bytes, stored: &[u8]) -> Result<Bytes, FrameError> {
    match header.codec {
        CODEC_NONE if stored.len() == header.body_len => Ok(encoded.slice_ref(stored)),
        CODEC_NONE => Err(FrameError::Body),
        CODEC_LZ4 => {
            let mut body = vec![0; header.body_len];
            match lz4_flex::block::decompress_into(stored, &mut body) {
                Ok(len) if len == header.body_len => Ok(Bytes::from(body)),
                Ok(_) | Err(_) => Err(FrameError::Body),
            }
        }
        found => Err(FrameError::Codec { found }),
    }
}

fn records_of(header: &Header, mut body: Bytes) -> Result<Vec<Record>, FrameError> {
    let mut records: Vec<Record> = Vec::with_capacity(usize::from(header.count));
    for offset in 0..header.count {
        let position = header.range.first.plus(u64::from(offset));
        // Neighbours are often of one stream: they share its name.
        let before = records.last().map(|record| &record.stream);
        let form = form_of(header.version, &mut body).ok_or(FrameError::Records)?;
        let record = record_of(position, before, &mut body).ok_or(FrameError::Records)?;
        let record = Record { form, ..record };
        records.push(record);
    }
    if body.is_empty() { Ok(records) } else { Err(FrameError::Records) }
}

fn form_of(version: u8, body: &mut Bytes) -> Option<RecordForm> {
    if version == WHOLE_VERSION {
        return Some(RecordForm::Whole);
    }
    RecordForm::from_number(body.try_get_u8().ok()?)
}

fn record_of(position: Position, before: Option<&StreamName>, body: &mut Bytes) -> Option<Record> {
    if body.len() < RECORD_FIXED_BYTES {
        return None;
    }
    let revision = Revision(body.get_u64());
    let recorded_at = Timestamp(body.get_i64());
    let mut event_id = [0; 16];
    body.copy_to_slice(&mut event_id);
    let mut salt = [0; 16];
    body.copy_to_slice(&mut salt);
    let mut content_digest = [0; 32];
    body.copy_to_slice(&mut content_digest);
    let stream_len = usize::from(body.get_u16());
    let server_len = usize::try_from(body.get_u32()).ok()?;
    let content_len = usize::try_from(body.get_u32()).ok()?;

    let name = str::from_utf8(body.get(..stream_len)?).ok()?;
    let stream = match before {
        Some(before) if before.as_str() == name => before.clone(),
        Some(_) | None => StreamName::from_recorded(name),
    };
    body.advance(stream_len);
    let server_fields = take(body, server_len)?;
    let content = take(body, content_len)?;
    Some(Record {
        form: RecordForm::Whole,
        position,
        stream,
        revision,
        recorded_at,
        event_id: EventId::from_bytes(event_id),
        content,
        server_fields,
        salt,
        content_digest,
    })
}

fn take(body: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= body.len()).then(|| body.split_to(len))
}
