//! Tests that frames come back as they were, that no bytes harm, and that the format stays.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::domain::{EventId, Position, RecordForm, Revision, StreamName, Timestamp};
use crate::journal::conformance::{record, store};
use crate::journal::frame::{BODY_BYTES_MAX, FRAME_BODY_BYTES};
use crate::journal::{ChainHash, EncodeError, EncodedFrame, Frame, FrameError, Record, frames_of};

fn origin() -> ChainHash {
    ChainHash::origin(store())
}

fn encode(records: &[Record]) -> Vec<EncodedFrame> {
    frames_of(records, origin()).unwrap().0
}

fn decode(frames: &[EncodedFrame]) -> Vec<Record> {
    frames.iter().flat_map(|f| Frame::decode(f.bytes().clone()).unwrap().into_records()).collect()
}

/// Puts a right checksum under changed bytes.
fn seal(mut bytes: Vec<u8>) -> Bytes {
    let end = bytes.len() - 4;
    let checksum = crc32c::crc32c(&bytes[..end]).to_be_bytes();
    bytes[end..].copy_from_slice(&checksum);
    Bytes::from(bytes)
}

prop_compose! {
    fn any_record()(
        stream in "[a-z$][a-z0-9/é]{0,30}",
        numbers in any::<(u64, i64, u128, u128)>(),
        content in vec(any::<u8>(), 0..2000),
        server_fields in vec(any::<u8>(), 0..50),
    ) -> Record {
        let (revision, recorded_at, id, salt) = numbers;
        let salt = salt.to_be_bytes();
        Record {
            form: if content.len() % 7 == 0 { RecordForm::Erased } else { RecordForm::Whole },
            position: Position(0),
            stream: StreamName::from_recorded(&stream),
            revision: Revision(revision),
            recorded_at: Timestamp(recorded_at),
            event_id: EventId::from_bytes(id.to_be_bytes()),
            content_digest: Record::content_digest_of(&salt, &content),
            content: content.into(),
            server_fields: server_fields.into(),
            salt,
        }
    }
}

prop_compose! {
    fn any_commit()(
        records in vec(any_record(), 1..150),
        first in 1..u64::MAX - 200,
    ) -> Vec<Record> {
        (first..).zip(records).map(|(p, r)| Record { position: Position(p), ..r }).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn frames_come_back(records in any_commit()) {
        let (frames, chain) = frames_of(&records, origin()).unwrap();
        prop_assert_eq!(decode(&frames), records.clone());
        let mut before = origin();
        for encoded in &frames {
            let frame = Frame::decode(encoded.bytes().clone()).unwrap();
            prop_assert_eq!(frame.previous(), before);
            prop_assert_eq!(frame.commit().first, records[0].position);
            prop_assert_eq!(frame.commit().last, records.last().unwrap().position);
            before = frame.verify_digests().unwrap();
            prop_assert_eq!(before, encoded.chain());
            prop_assert_eq!(&frame.into_encoded().unwrap(), encoded);
        }
        prop_assert_eq!(before, chain);
    }

    #[test]
    fn no_bytes_harm(bytes in vec(any::<u8>(), 0..400), version in any::<bool>()) {
        let mut bytes = bytes;
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = 1;
        }
        prop_assert!(Frame::decode(Bytes::from(bytes)).is_err());
    }

    #[test]
    fn a_changed_byte_is_noticed(records in any_commit(), at in any::<prop::sample::Index>(), flip in 1_u8..) {
        for frame in encode(&records) {
            let mut bytes = frame.bytes().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let error = Frame::decode(Bytes::from(bytes)).unwrap_err();
            let version = FrameError::Version { found: frame.bytes()[0] ^ flip };
            prop_assert!(error == FrameError::Checksum || at == 0 && error == version);
        }
    }

    #[test]
    fn a_shortened_or_lengthened_frame_is_noticed(records in any_commit(), at in any::<prop::sample::Index>()) {
        for frame in encode(&records) {
            let bytes = frame.bytes();
            prop_assert!(Frame::decode(bytes.slice(..at.index(bytes.len()))).is_err());
            prop_assert!(Frame::decode(Bytes::from([bytes, &[0_u8][..]].concat())).is_err());
        }
    }

    /// As a liar would: with the checksum right again.
    #[test]
    fn changed_bytes_with_a_right_checksum_do_no_harm(
        records in any_commit(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
    ) {
        for frame in encode(&records) {
            let mut bytes = frame.bytes().to_vec();
            let reach = if in_header { 64 } else { bytes.len() - 4 };
            for (at, byte) in &changes {
                bytes[at.index(reach)] = *byte;
            }
            bytes[0] = 1;
            if let Ok(found) = Frame::decode(seal(bytes)) {
                // Either nothing that the digests cover has changed, or they tell.
                let same = found.records() == Frame::decode(frame.bytes().clone()).unwrap().records();
                let told = found.verify_digests() != Ok(frame.chain());
                prop_assert!(same || told);
            }
        }
    }
}

/// Makes a record of random facts, which LZ4 cannot shorten, so that its body is stored as it is.
fn incompressible(position: u8) -> Record {
    let random = |what: u8| *blake3::hash(&[position, what]).as_bytes();
    let salt = *random(0).first_chunk().unwrap();
    let content = Bytes::copy_from_slice(&random(1)[usize::from(position)..]);
    Record {
        form: RecordForm::Whole,
        position: Position(u64::from(position)),
        stream: StreamName::from_recorded(&format!("s{position}")),
        revision: Revision(u64::from_be_bytes(*random(2).first_chunk().unwrap())),
        recorded_at: Timestamp(i64::from_be_bytes(*random(3).first_chunk().unwrap())),
        event_id: EventId::from_bytes(*random(4).first_chunk().unwrap()),
        content_digest: Record::content_digest_of(&salt, &content),
        content,
        server_fields: Bytes::copy_from_slice(&random(5)[..usize::from(position)]),
        salt,
    }
}

#[test]
fn a_liar_is_caught_by_the_rule_he_breaks() {
    let records = [1, 2].map(incompressible);
    let sound = encode(&records).remove(0).bytes().to_vec();
    assert_eq!(sound[1], 0, "stored as it is");
    let stream_len = 64 + 80;
    let content = sound.len() - 5;
    let huge = (BODY_BYTES_MAX + 1).to_be_bytes();
    let cases: [(usize, &[u8], Result<(), FrameError>); 14] = [
        (0, &[1], Ok(())),
        (0, &[3], Err(FrameError::Version { found: 3 })),
        (1, &[2], Err(FrameError::Codec { found: 2 })),
        (1, &[1], Err(FrameError::Body)),
        (2, &[0, 0], Err(FrameError::Count { found: 0 })),
        (2, &[0, 65], Err(FrameError::Count { found: 65 })),
        (2, &[0, 1], Err(FrameError::Records)),
        (4, &[0xff; 8], Err(FrameError::Positions)),
        (11, &[2], Err(FrameError::Positions)),
        (19, &[0], Err(FrameError::Positions)),
        (27, &[1], Err(FrameError::Positions)),
        (60, &huge, Err(FrameError::BodyTooLarge { bytes: BODY_BYTES_MAX + 1 })),
        (stream_len, &[0xff; 2], Err(FrameError::Records)),
        (content, &[0], Err(FrameError::Digest { position: Position(2) })),
    ];
    for (at, change, expected) in cases {
        let mut bytes = sound.clone();
        bytes[at..at + change.len()].copy_from_slice(change);
        let found = Frame::decode(seal(bytes)).and_then(|f| f.verify_digests().map(|_| ()));
        assert_eq!(found, expected, "{change:?} at {at}");
    }
}

#[test]
fn a_frame_is_cut_at_64_records_or_64_kib() {
    let counts = |records: &[Record]| -> Vec<u64> {
        encode(records).iter().map(|f| f.last().0 - f.first().0 + 1).collect()
    };
    let of = |count: u64, len: usize| -> Vec<Record> { (1..=count).map(|p| record(p, len)).collect() };
    assert_eq!(counts(&of(64, 10)), [64]);
    assert_eq!(counts(&of(65, 10)), [64, 1]);
    assert_eq!(counts(&of(5, 30_000)), [2, 2, 1]);
    assert_eq!(counts(&of(2, FRAME_BODY_BYTES)), [1, 1]);
    let mixed = [record(1, 10), record(2, FRAME_BODY_BYTES), record(3, 10), record(4, 10)];
    assert_eq!(counts(&mixed), [1, 1, 2]);
}

#[test]
fn what_cannot_be_a_commit_is_refused() {
    let cases = [
        (vec![], EncodeError::Empty),
        (vec![record(0, 1)], EncodeError::NotConsecutive { position: Position(0) }),
        (vec![record(3, 1), record(5, 1)], EncodeError::NotConsecutive { position: Position(5) }),
        (vec![record(3, 1), record(3, 1)], EncodeError::NotConsecutive { position: Position(3) }),
        (vec![record(1, 1), record(2, 1 << 20)], EncodeError::TooLarge { position: Position(2) }),
    ];
    for (records, expected) in cases {
        assert_eq!(frames_of(&records, origin()).unwrap_err(), expected);
    }
}

#[test]
fn every_stored_fact_enters_the_digest() {
    let sound = record(1, 10);
    let changes: [fn(&mut Record); 7] = [
        |r| r.position.0 += 1,
        |r| r.revision.0 += 1,
        |r| r.recorded_at.0 += 1,
        |r| r.stream = StreamName::from_recorded("other"),
        |r| r.event_id = EventId::from_bytes([1; 16]),
        |r| r.server_fields = Bytes::from_static(b"x"),
        |r| r.content_digest[0] ^= 1,
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = sound.clone();
        change(&mut changed);
        assert_ne!(changed.digest(), sound.digest(), "change {index}");
    }
    let changes: [fn(&mut Record); 2] = [|r| r.salt[0] ^= 1, |r| r.content = Bytes::from_static(b"x")];
    for change in changes {
        let mut changed = sound.clone();
        change(&mut changed);
        assert!(sound.content_is_intact() && !changed.content_is_intact());
    }
}

#[test]
fn the_format_stays() {
    let (frames, chain) = frames_of(&[incompressible(1)], origin()).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(chain.to_string(), "47ad2323a5c6730ddf318f3d976cfbbe19109052b64e33a7b821caa148cc330b");
    assert_eq!(
        hex(frames[0].bytes()),
        concat!(
            "01000001000000000000000100000000000000010000000000000001",
            "23f9a12bd162be241cdf8ce97a99eb75c0633e1d10d2e66e197f6996fa636489",
            "0000007c",
            "b7d770040f780e9dd2ad1a0bb9fdf445c681339c86c70715ac599247041052cd687376c930d7020a",
            "32f04c396fc2e5ea53c753b8dfca626ca36304e1fc8dfc06a53ee85a53e23c83f0e9d0093762356d",
            "0002000000010000001f73317422ec9d571ba774cf9e83d0194962f5d1e3aa1a48d486a67e2762a6",
            "c795901518a6dfcb",
        )
    );
}
