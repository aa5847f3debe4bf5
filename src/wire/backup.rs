//! Backups, to and from the wire.

use bytes::Bytes;

use super::encode::hexadecimal;
use super::status::RequestError;
use crate::domain::{Findings, Position, StoreId};
use crate::journal::ChainHash;
use crate::log::backup::{BACKUP_FORMAT, Copied, Extent};
use crate::pb;
use crate::pb::backup_response::Content;

/// Reads a chain hash; nothing if the field is empty.
pub fn chain_hash(findings: &mut Findings, field: &'static str, text: &str) -> Option<ChainHash> {
    if text.is_empty() {
        return None;
    }
    match blake3::Hash::from_hex(text) {
        Ok(hash) => Some(ChainHash::from_bytes(*hash.as_bytes())),
        Err(_) => {
            findings.violation_at(field, "must be 64 hexadecimal digits");
            None
        }
    }
}

/// Reads where a backup is to begin, and the chain hash that the client expects there.
///
/// # Errors
/// [`RequestError::Invalid`].
pub fn request(request: &pb::BackupRequest) -> Result<(Position, Option<ChainHash>), RequestError> {
    let mut findings = Findings::default();
    let chain = chain_hash(&mut findings, "after_chain_hash", &request.after_chain_hash);
    findings.into_result()?;
    Ok((Position(request.after_position), chain))
}

/// Writes the first message.
#[must_use]
pub fn begin(extent: &Extent) -> pb::BackupResponse {
    message(Content::Begin(pb::BackupBegin {
        format: i32::try_from(BACKUP_FORMAT).unwrap_or(i32::MAX),
        store_id: extent.store.to_string(),
        after_position: extent.after.0,
        after_chain_hash: extent.after_chain.to_string(),
        head: extent.head.0,
        head_chain_hash: extent.head_chain.to_string(),
    }))
}

/// Reads the first message; `None` if a field of it is malformed.
#[must_use]
pub fn extent(begin: &pb::BackupBegin) -> Option<Extent> {
    let chain = |text: &str| Some(ChainHash::from_bytes(*blake3::Hash::from_hex(text).ok()?.as_bytes()));
    Some(Extent {
        store: StoreId::parse(&begin.store_id)?,
        after: Position(begin.after_position),
        after_chain: chain(&begin.after_chain_hash)?,
        head: Position(begin.head),
        head_chain: chain(&begin.head_chain_hash)?,
    })
}

/// Writes frames.
#[must_use]
pub fn frames(frames: Vec<Bytes>) -> pb::BackupResponse {
    message(Content::Frames(pb::BackupFrames { frames }))
}

/// Writes the last message.
#[must_use]
pub fn end(copied: &Copied) -> pb::BackupResponse {
    message(Content::End(pb::BackupEnd {
        frame_count: copied.frames,
        event_count: copied.events,
        checksum: hexadecimal(&copied.checksum),
    }))
}

const fn message(content: Content) -> pb::BackupResponse {
    pb::BackupResponse { content: Some(content) }
}
