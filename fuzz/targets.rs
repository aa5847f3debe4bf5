//! What fuzzing checks, for any bytes: nothing panics, and what is read is written and read again the same.
//!
//! Each function is a fuzz target (`fuzz/fuzz_targets/`) and runs over the corpus as a test (`tests/it/fuzz_corpus.rs`).

use std::sync::LazyLock;

use annals::clock::{Clock as _, IdSource as _, Manual};
use annals::codec::stored::AppendPlace;
use annals::codec::texts::Texts;
use annals::codec::{Prepared, Writer, facts_of, prepare, present, server_fields};
use annals::domain::{
    EventFacts, EventId, Findings, KnowledgeLink, Position, RecordForm, Revision, Shape, StoreId, TimeSpan,
    Timestamp,
};
use annals::filter::Filter;
use annals::index::Index;
use annals::journal::frame::{CommitRange, Frame};
use annals::journal::{ChainHash, Record, frames_of};
use annals::pb;
use annals::pb::POOL;
use annals::proof::{Checkpoint, Note, VerifierKey};
use annals::search::document::Document;
use annals::timeline::Key;
use annals::wire::page_token::ChainStart;
use annals::wire::{Limits, PageToken, RequestError, append, codec, decode, filter, proof, status};
use bytes::Bytes;
use prost::{Message, Name};
use prost_reflect::DynamicMessage;
use tonic::Status;

/// A target: its name, and what it does with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("request_decode", request_decode),
    ("frame_decode", frame_decode),
    ("page_token", page_token),
    ("edtf", edtf),
    ("filter", filter_plan),
    ("proof", proof_check),
];

/// 2024-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp(1_717_200_000_000_000);
const HEAD: Position = Position(1_000);
/// Statuses travel in a header, which clients bound.
const DETAILS_BYTES_MAX: usize = 6_000;

fn store() -> StoreId {
    StoreId::from_bytes_of(7)
}

/// Makes a store id of a number.
trait Numbered {
    fn from_bytes_of(number: u128) -> Self;
}

impl Numbered for StoreId {
    fn from_bytes_of(number: u128) -> Self {
        Self::from_uuid(uuid::Uuid::from_u128(number))
    }
}

fn assert_status(status: &Status) {
    assert!(status.details().len() < DETAILS_BYTES_MAX, "{} bytes", status.details().len());
    assert_ne!(status.code(), tonic::Code::Internal, "{status:?}");
}

/// Reads a message as the server does; what is read is written and read again the same.
fn read<M: Message + Name + Default + PartialEq>(bytes: &[u8]) -> Option<M> {
    match codec::read::<M>(Bytes::copy_from_slice(bytes)) {
        Ok(message) => {
            let written = message.encode_to_vec();
            // Not compared by value: a number may be NaN.
            let again = M::decode(written.as_slice()).expect("what was written is read");
            assert_eq!(again.encode_to_vec(), written);
            Some(message)
        }
        Err(status) => {
            assert_status(&status);
            None
        }
    }
}

fn refused<T>(outcome: Result<T, RequestError>) -> Option<T> {
    outcome.map_err(|error| assert_status(&status::request_error(&error))).ok()
}

/// The first byte says which request the others are.
pub fn request_decode(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let limits = Limits::default();
    match which % 8 {
        0 => append_decode(bytes, &limits),
        1 => drop(
            read::<pb::ReadEventsRequest>(bytes)
                .and_then(|request| refused(decode::read_events(&request, store(), HEAD))),
        ),
        2 => drop(
            read::<pb::SubscribeEventsRequest>(bytes)
                .and_then(|request| refused(decode::subscribe(&request, store(), HEAD))),
        ),
        3 => drop(
            read::<pb::ListEntriesRequest>(bytes)
                .and_then(|request| refused(decode::list_entries(&request, &limits, store(), HEAD))),
        ),
        4 => drop(
            read::<pb::GetEntryHistoryRequest>(bytes)
                .and_then(|request| refused(decode::entry_history(&request, &limits, store(), HEAD))),
        ),
        5 => drop(
            read::<pb::CountEntriesRequest>(bytes)
                .and_then(|request| refused(decode::count_entries(&request, HEAD))),
        ),
        6 => drop(
            read::<pb::GetLogProofRequest>(bytes).and_then(|request| refused(proof::request(&request, HEAD))),
        ),
        _ => drop(
            read::<pb::GetEventRequest>(bytes)
                .and_then(|request| refused(decode::event_id(&request.event_id))),
        ),
    }
}

fn append_decode(bytes: &[u8], limits: &Limits) {
    let Some(request) = read::<pb::AppendEventsRequest>(bytes) else { return };
    let ids = Manual::at(NOW);
    let Some((events, _)) = refused(append::append(request, limits, &ids, (ids.now(), HEAD))) else { return };
    for event in events {
        assert_readable(event);
    }
}

/// What is accepted can be recorded, read for ever, and sent again as the same event.
fn assert_readable(event: Prepared) {
    let (content, id) = (event.content.clone(), event.facts.event_id);
    let record = record_of(event);
    let facts = facts_of(&record).expect("what was accepted can be indexed");
    assert_eq!(facts.event.event_id, id);
    let shown = present(&record).expect("what was accepted can be shown");
    let mut findings = Findings::default();
    let again = prepare(shown, Writer::Client, (id, NOW), &mut findings);
    let again = again.unwrap_or_else(|| panic!("what was shown is accepted: {:?}", findings.into_result()));
    assert_eq!(again.content, content, "an event exported and imported is the same");
}

fn record_of(event: Prepared) -> Record {
    let Prepared { facts, content, caveats } = event;
    let EventFacts { event_id, stream, knowledge_links, .. } = facts;
    let targets = knowledge_links
        .iter()
        .map(|(_, link_type, _)| KnowledgeLink { link_type: *link_type, target: Position(1) });
    let links: Vec<KnowledgeLink> = targets.collect();
    let salt = [7; 16];
    Record {
        form: RecordForm::Whole,
        position: Position(2),
        stream,
        revision: Revision(1),
        recorded_at: NOW,
        event_id,
        content_digest: Record::content_digest_of(&salt, &content),
        content,
        server_fields: server_fields(&caveats, "", &links, AppendPlace::new(0, 1)),
        salt,
    }
}

/// Bytes as they are, and with a checksum that fits, without which hardly any bytes would pass.
pub fn frame_decode(data: &[u8]) {
    assert_frame(data.to_vec());
    if let Some((body, _)) = data.split_last_chunk::<4>() {
        let mut whole = body.to_vec();
        whole.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
        assert_frame(whole);
    }
}

fn assert_frame(bytes: Vec<u8>) {
    let Ok(frame) = Frame::decode(bytes.clone().into()) else { return };
    assert_eq!(frame.encoded(), &bytes);
    let CommitRange { first, last } = frame.commit();
    assert!(first <= frame.first() && frame.last() <= last);
    let whole = frame.verify_digests();
    let records = frame.records();
    let positions = (frame.first().0..=frame.last().0).map(Position);
    assert!(records.iter().map(|record| record.position).eq(positions));
    // A frame may be larger than this program would cut it.
    let Ok((again, chain)) = frames_of(records, frame.previous()) else { return };
    assert!(whole.is_err() || whole.is_ok_and(|whole| whole == chain));
    let mut read = Vec::new();
    for encoded in again {
        read.extend(Frame::decode(encoded.bytes().clone()).expect("what was written is read").into_records());
    }
    assert_eq!(read, records);
}

/// A text as a token, and a token made of the bytes.
pub fn page_token(data: &[u8]) {
    let question = [3; 16];
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(token) = PageToken::decode(text, store(), question) {
            assert_eq!(token.encode(store(), question), text.to_ascii_lowercase());
        }
        let request = pb::ListEntriesRequest { page_token: text.to_owned(), ..Default::default() };
        refused(decode::list_entries(&request, &Limits::default(), store(), HEAD));
        let event_id = "018f9ee2-9300-7064-8061-6e6e616c7364".to_owned();
        let request =
            pb::GetEntryHistoryRequest { page_token: text.to_owned(), event_id, ..Default::default() };
        refused(decode::entry_history(&request, &Limits::default(), store(), HEAD));
    }
    let numbers: Vec<u64> =
        data.chunks_exact(8).filter_map(|chunk| chunk.try_into().ok().map(u64::from_be_bytes)).collect();
    if let [snapshot, value, position, ..] = numbers[..] {
        let after = Key { value: value.cast_signed(), position: Position(position) };
        let token = PageToken { snapshot: Position(snapshot), chain: chain_start(value), after };
        let text = token.encode(store(), question);
        assert_eq!(PageToken::decode(&text, store(), question).ok(), Some(token));
        let other = PageToken::decode(&text, StoreId::from_bytes_of(8), question);
        assert!(matches!(other, Err(RequestError::StoreMismatch { .. })));
        assert!(PageToken::decode(&text, store(), [4; 16]).is_err());
    }
}

fn chain_start(number: u64) -> ChainStart {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    ChainStart::of(&ChainHash::from_bytes(hash))
}

/// A date, and after a line feed its time zone.
pub fn edtf(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (date, zone) = text.split_once('\n').unwrap_or((text, ""));
    for shape in [None, Some(Shape::Instant), Some(Shape::Period), Some(Shape::Ongoing)] {
        let Ok(span) = TimeSpan::parse(date, zone, shape, Shape::Instant) else { continue };
        assert!(span.earliest_start.zip(span.latest_start).is_none_or(|(a, b)| a <= b), "{span:?}");
        assert!(span.earliest_end.zip(span.latest_end).is_none_or(|(a, b)| a <= b), "{span:?}");
        assert!(span.earliest_start.zip(span.earliest_end).is_none_or(|(a, b)| a < b), "{span:?}");
        let (from, to) = (span.earliest_start, span.latest_end);
        assert!(span.may_overlap(from, to), "{span:?}");
        assert!(!span.must_lie_within(from, to) || span.may_overlap(from, to), "{span:?}");
        let (_, _) = (span.known_from(), span.length_days());
        let again = TimeSpan::parse(&span.edtf, span.time_zone.name(), Some(span.shape), Shape::Period);
        assert_eq!(again.as_ref(), Ok(&span));
        assert_wire_form(date, zone, span.shape);
    }
}

/// The canonical form of a span is read as the same span, and is its own canonical form.
fn assert_wire_form(date: &str, zone: &str, shape: Shape) {
    let mut findings = Findings::default();
    let mut first = pb::TimeSpan { edtf: date.to_owned(), time_zone: zone.to_owned(), ..Default::default() };
    let read = annals::codec::time::span(&mut findings, "valid_time", Some(&mut first), shape);
    let mut filled = first.clone();
    annals::codec::time::fill(Some(&mut filled));
    let again = annals::codec::time::span(&mut findings, "valid_time", Some(&mut filled), Shape::Ongoing);
    assert_eq!((filled, again), (first, read));
    assert_eq!(findings.violation_count(), 0);
}

/// What an event says, and its words.
type Said = (EventFacts, Option<Document>);

static EVENTS: LazyLock<(Index, Vec<Said>)> = LazyLock::new(|| {
    let files = [
        include_str!("../examples/uk-albania/context_releases.jsonl"),
        include_str!("../examples/uk-albania/events.jsonl"),
    ];
    let (index, mut facts) = (Index::default(), Vec::new());
    let descriptor = POOL.get_message_by_name("annals.v1.Event").expect("the message is there");
    for (line, position) in files.iter().flat_map(|file| file.lines()).zip(1..) {
        let mut json = serde_json::Deserializer::from_str(line);
        let event = DynamicMessage::deserialize(descriptor.clone(), &mut json).expect("it is an event");
        let event = pb::Event::decode(event.encode_to_vec().as_slice()).expect("it is an event");
        let id = EventId::from_bytes(Manual::at(NOW).salt());
        let prepared =
            prepare(event, Writer::Client, (id, NOW), &mut Findings::default()).expect("it breaks no rule");
        let record = record_of(prepared);
        let words = Texts::of(&record).expect("it has words").map(|texts| Document::of(&texts));
        let mut recorded = facts_of(&record).expect("it can be indexed");
        recorded.position = Position(position);
        // Links are no matter of filters.
        recorded.links.clear();
        index.fold(std::slice::from_ref(&recorded));
        facts.push((recorded.event, words));
    }
    (index, facts)
});

/// A filter that is accepted finds by the index what it matches event by event.
pub fn filter_plan(data: &[u8]) {
    let Some(asked) = read::<pb::Filter>(data) else { return };
    let mut findings = Findings::default();
    let filter: Filter = filter::filter(&mut findings, Some(&asked));
    if let Err(invalid) = findings.into_result() {
        return assert_status(&status::request_error(&invalid.into()));
    }
    let (index, events) = &*EVENTS;
    let matching: Vec<Position> = events
        .iter()
        .zip(1..)
        .filter(|((event, words), _)| filter.matches(event, words.as_ref()))
        .map(|(_, position)| Position(position))
        .collect();
    let view = index.view();
    let mut found = Vec::new();
    let mut after = Position::ZERO;
    while let Some(position) = filter.first_match(&view, after, view.last()) {
        found.push(position);
        after = position;
    }
    if filter.words_known_to().is_some() {
        // Words that were not looked up may be in any event.
        found.retain(|position| matching.contains(position));
    }
    assert_eq!(found, matching, "{asked:?}");
}

const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

/// An answer of `GetLogProof`; or, where the bytes are text, a note and a key.
pub fn proof_check(data: &[u8]) {
    let known = VerifierKey::parse(KEY).expect("it is a key");
    if let Some(answer) = read::<pb::GetLogProofResponse>(data) {
        // Nobody but the holder of the key can sign: no bytes found here are believed.
        assert!(proof::check(&answer, &known, None).is_err());
        if let Ok(key) = VerifierKey::parse(&answer.verifier_key) {
            assert_eq!(VerifierKey::parse(&key.to_string()).as_ref(), Ok(&key));
            let proved = proof::check(&answer, &key, Some(&answer.checkpoint));
            assert!(proved.is_err() || proof::check(&answer, &key, None).is_ok());
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(note) = Note::open(text, &known) {
        assert_eq!(note.text(), "This is an example message.\n", "nobody else signs");
    }
    if let Ok(checkpoint) = Checkpoint::claimed_by(text) {
        assert_eq!(Checkpoint::parse(&checkpoint.text()).as_ref(), Ok(&checkpoint));
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(VerifierKey::parse(&key.to_string()).as_ref(), Ok(&key));
    }
}
