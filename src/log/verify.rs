//! Checks every stored byte; what is wrong is data, not an error.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::disk::Reserve;
use super::error::{OpenError, causes};
use super::open::{LogConfig, open_error};
use super::{Log, store_file};
use crate::clock::IdSource;
use crate::codec::facts_of;
use crate::domain::{EventId, Position, RecordForm, Revision, StoreId, StreamName, Timestamp};
use crate::index::{SEGMENT_LEN, Segment, SegmentStore, Tail, layout};
use crate::journal::salvage::{self, Piece};
use crate::journal::{
    self, ChainHash, Direction, Frame, Journal, ReadError as JournalError, Record, SledJournal,
};
use crate::proof::{Hash, Tree};

/// Positions between two reports of progress.
const PROGRESS_EVERY: u64 = 8_192;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// First position concerned.
    pub first: Position,
    /// Last position concerned, inclusive.
    pub last: Position,
    /// What.
    pub description: String,
}

/// A step of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyEvent {
    /// Everything up to the position was looked at.
    Progress {
        /// The position.
        position: Position,
        /// The last position to look at.
        head: Position,
    },
    /// Something is wrong.
    Finding(Finding),
}

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events checked.
    pub events: u64,
    /// Sealed segments compared with a rebuild.
    pub segments: u64,
    /// Findings reported.
    pub findings: u64,
    /// Chain hash at the last position checked.
    pub chain: ChainHash,
}

impl Log {
    /// Checks the journal up to the head, and the stored index against a rebuild. `report` gets each step, and
    /// ends the check by giving `false`.
    pub fn verify(&self, report: impl FnMut(VerifyEvent) -> bool) -> VerifyReport {
        let head = self.head().position;
        Verification::new(self.journal.as_ref(), self.segments.as_ref(), head, report).run()
    }
}

/// Checks the store of a directory that no process uses. No index is built, so a store that cannot be served for
/// damage can still be checked.
///
/// # Errors
/// [`OpenError`] when the directory holds no store that can be read at all. Damage of the journal's end, for which
/// a server refuses to open it, is a finding.
pub fn verify_directory(
    config: &LogConfig,
    ids: &dyn IdSource,
    report: impl FnMut(VerifyEvent) -> bool,
) -> Result<VerifyReport, OpenError> {
    let _lock = store_file::lock(&config.directory)?;
    let store = store_file::store_id(&config.directory, ids)?;
    let reserve = Reserve::of(&config.directory, config.disk_reserve_bytes);
    let directory = config.directory.join("journal");
    let opened = reserve.with_room(|| SledJournal::open(&directory, store, config.journal_cache_bytes));
    let journal = match opened {
        Ok(opened) => opened.journal,
        Err(error @ (journal::OpenError::Corrupt { .. } | journal::OpenError::Store { .. })) => {
            return verify_files(&config.directory, store, &error, report);
        }
        Err(error) => return Err(open_error(error)),
    };
    let index = config.directory.join("index");
    let head = journal.tail().position;
    let mut unreadable = None;
    let segments = if index.exists() {
        SegmentStore::open(&index).map_err(|error| unreadable = Some(causes(&error))).ok()
    } else {
        None
    };
    let mut verification = Verification::new(&journal, segments.as_ref(), head, report);
    if let Some(reason) = unreadable {
        verification.finding(
            Position(1),
            head,
            format!("the index cannot be opened, and may be deleted: {reason}"),
        );
    }
    Ok(verification.run())
}

/// Checks the raw files of a journal that cannot be opened: every event that is there is found, and what is not is named.
fn verify_files(
    directory: &Path,
    store: StoreId,
    refused: &journal::OpenError,
    mut report: impl FnMut(VerifyEvent) -> bool,
) -> Result<VerifyReport, OpenError> {
    let pieces = salvage::examine(&directory.join("journal"), store).map_err(open_error)?;
    let mut outcome =
        VerifyReport { events: 0, segments: 0, findings: 1, chain: journal::Tail::origin(store).chain };
    let mut last = Position::ZERO;
    let mut wanted = true;
    for piece in &pieces {
        match piece {
            Piece::Sound(frame) => {
                outcome.events += frame.events;
                (outcome.chain, last) = (frame.chain, frame.range.last);
            }
            Piece::Lost(run) => {
                outcome.findings += 1;
                (outcome.chain, last) = (run.after, run.last);
                let description = "no sound frame holds these events".to_owned();
                let finding = Finding { first: run.first, last: run.last, description };
                wanted = wanted && report(VerifyEvent::Finding(finding));
            }
        }
    }
    if wanted {
        let description = format!("the journal cannot be opened as it is: {}", causes(refused));
        let finding = Finding { first: Position(1), last, description };
        report(VerifyEvent::Finding(finding));
        report(VerifyEvent::Progress { position: last, head: last });
    }
    Ok(outcome)
}

/// A check under way.
struct Verification<'a, R> {
    journal: &'a dyn Journal,
    store: Option<&'a SegmentStore>,
    head: Position,
    report: R,
    stopped: bool,
    damaged: bool,
    findings: u64,
    events: u64,
    segments: u64,
    next: Position,
    chain: ChainHash,
    recorded_at: Option<Timestamp>,
    /// Positions set aside that the check has just passed.
    lost: Option<(Position, Position)>,
    revisions: HashMap<StreamName, Revision>,
    ids: HashSet<EventId>,
    /// The segment being rebuilt; `None` after damage in it.
    tail: Option<Tail>,
    /// The Merkle tree over its records, whole only if no record was missed.
    tree: Tree,
}

impl<'a, R: FnMut(VerifyEvent) -> bool> Verification<'a, R> {
    fn new(journal: &'a dyn Journal, store: Option<&'a SegmentStore>, head: Position, report: R) -> Self {
        Self {
            journal,
            store,
            head,
            report,
            stopped: false,
            damaged: false,
            findings: 0,
            events: 0,
            segments: 0,
            next: Position(1),
            chain: crate::journal::Tail::origin(journal.store_id()).chain,
            recorded_at: None,
            lost: None,
            revisions: HashMap::new(),
            ids: HashSet::new(),
            tail: Some(Tail::after(Position::ZERO)),
            tree: Tree::default(),
        }
    }

    fn run(mut self) -> VerifyReport {
        while self.next <= self.head && !self.stopped {
            let from = self.next;
            for frame in self.journal.read(from, Direction::Forward) {
                match frame {
                    Ok(frame) => self.frame(&frame),
                    Err(error) => self.unreadable(&error),
                }
                if self.stopped || self.next > self.head {
                    break;
                }
            }
            if self.next == from {
                let description = "nothing is stored there".to_owned();
                self.finding(from, self.head, description);
                break;
            }
        }
        self.end_of_lost();
        let last = Position(self.next.0.saturating_sub(1)).min(self.head);
        self.emit(VerifyEvent::Progress { position: last, head: self.head });
        VerifyReport {
            events: self.events,
            segments: self.segments,
            findings: self.findings,
            chain: self.chain,
        }
    }

    fn emit(&mut self, event: VerifyEvent) {
        if !self.stopped {
            self.stopped = !(self.report)(event);
        }
    }

    fn finding(&mut self, first: Position, last: Position, description: String) {
        self.findings += 1;
        self.emit(VerifyEvent::Finding(Finding { first, last, description }));
    }

    /// Goes on behind damage: every fault is to be found, not the first.
    fn unreadable(&mut self, error: &JournalError) {
        let (first, last, description) = match error {
            JournalError::Corrupt { first, last, fault } => (*first, *last, fault.to_string()),
            JournalError::Io(error) => (self.next, self.head, format!("cannot be read: {error}")),
        };
        self.finding(first, last, description);
        self.next = last.max(self.next).next();
        self.skip_damage();
    }

    /// Takes the chain up again behind damage, where the next frame says it stood.
    fn skip_damage(&mut self) {
        self.damaged = true;
        self.tail = None;
        self.tree = Tree::default();
        self.recorded_at = None;
        if let Ok(Some(frame)) = self.journal.frame_at(self.next) {
            self.chain = frame.previous();
        }
        // Revisions go on from what the next events of each stream say.
        self.revisions.clear();
    }

    fn frame(&mut self, frame: &Frame) {
        if frame.previous() != self.chain {
            let description = "the chain hash does not continue".to_owned();
            self.finding(frame.first(), frame.last(), description);
            self.chain = frame.previous();
        }
        let range = self.next..=self.head;
        for record in frame.records().iter().filter(|record| range.contains(&record.position)) {
            self.record(record);
        }
        self.next = frame.last().next();
    }

    /// Damage that an operator set aside stays a finding: events are missing.
    fn set_aside(&mut self, record: &Record) {
        let first = self.lost.map_or(record.position, |(first, _)| first);
        self.lost = Some((first, record.position));
        self.damaged = true;
        self.revisions.clear();
        self.fold(record);
    }

    fn end_of_lost(&mut self) {
        if let Some((first, last)) = self.lost.take() {
            self.finding(first, last, "the events were damaged and set aside".to_owned());
        }
    }

    fn record(&mut self, record: &Record) {
        let position = record.position;
        self.chain = record.chain_after(self.chain);
        if record.form == RecordForm::Lost {
            self.set_aside(record);
            return;
        }
        self.end_of_lost();
        self.events += 1;
        let mut facts = Vec::new();
        record.write_facts(&mut facts);
        self.tree.push(Hash::leaf(&facts));
        let mut wrong = Vec::new();
        if !record.content_is_intact() {
            wrong.push("the content does not match its digest".to_owned());
        }
        if !self.ids.insert(record.event_id) {
            wrong.push(format!("event id {} stands twice", record.event_id));
        }
        if self.recorded_at.is_some_and(|last| record.recorded_at <= last) {
            wrong.push("recorded time does not increase".to_owned());
        }
        self.recorded_at = Some(record.recorded_at);
        let before = self.revisions.insert(record.stream.clone(), record.revision);
        // Behind damage a stream may go on from any revision.
        let expected = before.map(Revision::next).or((!self.damaged).then_some(Revision(1)));
        if expected.is_some_and(|expected| record.revision != expected) {
            wrong.push(format!("revision {} of stream {} does not follow", record.revision, record.stream));
        }
        for description in wrong {
            self.finding(position, position, description);
        }
        self.fold(record);
    }

    /// Folds a record into the segment being rebuilt.
    fn fold(&mut self, record: &Record) {
        let position = record.position;
        match facts_of(record) {
            Ok(facts) => {
                if let Some(tail) = &mut self.tail {
                    tail.fold(&facts);
                }
            }
            Err(error) => self.finding(position, position, error.to_string()),
        }
        if position.0.is_multiple_of(SEGMENT_LEN) {
            self.root(position);
            self.segment(position);
        }
        if position.0.is_multiple_of(PROGRESS_EVERY) {
            self.emit(VerifyEvent::Progress { position, head: self.head });
        }
    }

    /// Compares the stored Merkle root of the segment that ends here with that of its records.
    fn root(&mut self, last: Position) {
        let tree = std::mem::take(&mut self.tree);
        let Some((store, root)) = self.store.zip(tree.subtree(0, SEGMENT_LEN)) else { return };
        let number = last.0 / SEGMENT_LEN - 1;
        let first = Position(number * SEGMENT_LEN + 1);
        match store.root_of(number, self.chain.as_bytes()) {
            Ok(stored) if stored.is_none_or(|stored| stored == *root.as_bytes()) => {}
            Ok(_) => {
                let description = "the stored Merkle root of the segment differs from that of its events";
                self.finding(first, last, description.to_owned());
            }
            Err(error) => {
                self.finding(first, last, format!("the stored Merkle root cannot be read: {error}"))
            }
        }
    }

    /// Compares the stored segment that ends here with the one rebuilt on the way.
    fn segment(&mut self, last: Position) {
        let rebuilt = self.tail.replace(Tail::after(last));
        let Some((store, rebuilt)) = self.store.zip(rebuilt.filter(Tail::is_segment)) else {
            return;
        };
        let number = last.0 / SEGMENT_LEN - 1;
        let first = Position(number * SEGMENT_LEN + 1);
        match store.bytes_of(number) {
            // Not stored yet, or deleted: it is built when the log is next opened.
            Ok(None) => {}
            Ok(Some(stored)) => {
                self.segments += 1;
                if stored != layout::encode(&Segment::of(&rebuilt), self.chain.as_bytes()) {
                    let description = "the stored segment of the index differs from a rebuild".to_owned();
                    self.finding(first, last, description);
                }
            }
            Err(error) => self.finding(first, last, format!("the stored segment cannot be read: {error}")),
        }
    }
}
