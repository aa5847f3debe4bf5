//! The Merkle tree over a log as RFC 9162, section 2.1, defines it: by recursion over all leaves, for every question.

use annals::domain::EventId;
use annals::domain::RecordForm;
use annals::journal::Record;
use sha2::{Digest as _, Sha256};

pub(crate) type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    Sha256::digest(parts.concat()).into()
}

fn split(leaves: &[Vec<u8>]) -> (&[Vec<u8>], &[Vec<u8>]) {
    leaves.split_at(leaves.len().next_power_of_two() / 2)
}

/// The leaf of a record as docs/format.md describes it, put together anew.
pub(crate) fn leaf(record: &Record) -> Vec<u8> {
    // Of an erased event nobody can compute it any more.
    let content_digest: [u8; 32] = if record.form == RecordForm::Whole {
        blake3::Hasher::new().update(&record.salt).update(&record.content).finalize().into()
    } else {
        record.content_digest
    };
    let stream = record.stream.as_str().as_bytes();
    [
        b"annals record v1".as_slice(),
        &record.position.0.to_be_bytes(),
        &record.revision.0.to_be_bytes(),
        &record.recorded_at.0.to_be_bytes(),
        record.event_id.as_bytes(),
        &content_digest,
        &u64::try_from(stream.len()).unwrap().to_be_bytes(),
        stream,
        &u64::try_from(record.server_fields.len()).unwrap().to_be_bytes(),
        &record.server_fields,
    ]
    .concat()
}

/// The id in a leaf.
pub(crate) fn id_in(leaf: &[u8]) -> EventId {
    EventId::from_bytes(leaf[40..56].try_into().unwrap())
}

/// MTH.
pub(crate) fn root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => sha256(&[&[0], leaf]),
        _ => {
            let (left, right) = split(leaves);
            sha256(&[&[1], &root(left), &root(right)])
        }
    }
}

/// PATH.
pub(crate) fn inclusion(index: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    let (mut path, last) = match index.checked_sub(left.len()) {
        None => (inclusion(index, left), root(right)),
        Some(index) => (inclusion(index, right), root(left)),
    };
    path.push(last);
    path
}

/// PROOF, which is empty for equal trees and, here, for an empty first one.
pub(crate) fn consistency(first: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if first == 0 { Vec::new() } else { subproof(first, leaves, true) }
}

/// SUBPROOF.
fn subproof(first: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Hash> {
    if first == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    let (mut path, last) = if first <= left.len() {
        (subproof(first, left, whole), root(right))
    } else {
        (subproof(first - left.len(), right, false), root(left))
    };
    path.push(last);
    path
}
