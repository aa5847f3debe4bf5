//! What a watch evaluates positions for: the entries of a question, and then what each event changes of them.

use std::collections::{HashMap, VecDeque};

use super::driver::{Source, Step};
use crate::codec::erased::{ERASURES_STREAM, EraseOrder};
use crate::domain::{EventId, Position};
use crate::filter::Filter;
use crate::index::{Scope, View};
use crate::journal::{ChainHash, Record};
use crate::log::error::ReadError;
use crate::log::{Log, Reader};
use crate::timeline::{
    Cause, Change, Changes, Entry, Followed, Judge, Key, ListRequest, Order, list, of_histories,
};

/// Entries looked up at once for a snapshot, and changes planned at once.
const PLANNED_MAX: usize = 256;
/// Content bytes of an item; a single larger entry or change is an item of its own.
const ITEM_BYTES_MAX: usize = 256 * 1_024;

/// What to watch.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// Which entries.
    pub followed: Followed,
    /// The snapshot to begin with: as of which position, and in which order.
    pub snapshot: Option<(Position, Order)>,
}

/// What a watch gives.
#[derive(Debug)]
pub enum Piece {
    /// Entries of the snapshot, in order.
    Entries(Vec<(Entry, Record)>),
    /// Changes, in position order.
    Changes(Vec<Changed>),
}

/// A change with what it is of.
#[derive(Debug)]
pub struct Changed {
    /// Position of the event that made it.
    pub position: Position,
    /// What was changed.
    pub what: What,
    /// Whether it is the last change that the event makes.
    pub completes: bool,
}

/// What was changed.
#[derive(Debug)]
pub enum What {
    /// Entries came, went, or both.
    Entry {
        /// The version that stood.
        from: Option<(Entry, Box<Record>)>,
        /// The version that stands.
        to: Option<(Entry, Box<Record>)>,
        /// The link that made the change, and the event that carries it.
        cause: Option<(Cause, Box<Record>)>,
    },
    /// The content of an event was erased.
    Erased {
        /// Its id.
        event_id: EventId,
        /// Its place; 0 where it is not in the log.
        position: Position,
        /// The event that records the order.
        order: EventId,
    },
}

/// A change that is planned but not read yet.
#[derive(Debug)]
enum Planned {
    Change(Change),
    Erasure(Position),
}

impl Planned {
    const fn position(&self) -> Position {
        match self {
            Self::Change(change) => change.position,
            Self::Erasure(position) => *position,
        }
    }
}

/// Where the snapshot is.
#[derive(Debug)]
enum Snapshot {
    /// It is sent, or was not asked for.
    Done,
    /// It goes on after a key.
    Listing { as_of: Position, order: Order, after: Option<Key>, ended: bool },
    /// These entries are left of it.
    Chosen(VecDeque<Entry>),
}

/// Watches the entries of a question.
#[derive(Debug)]
pub struct Watch {
    followed: Followed,
    snapshot: Snapshot,
    /// Entries of the snapshot that are looked up but not read yet.
    entries: VecDeque<Entry>,
    planned: VecDeque<Planned>,
    /// Up to here changes are planned.
    planned_up_to: Position,
    reader: Reader,
}

impl Watch {
    /// Begins after the position that the machine begins after.
    #[must_use]
    pub fn new(log: &Log, request: WatchRequest) -> Self {
        let WatchRequest { followed, snapshot } = request;
        let snapshot = match snapshot {
            None => Snapshot::Done,
            Some((as_of, order)) if followed.histories.is_empty() => {
                Snapshot::Listing { as_of, order, after: None, ended: false }
            }
            Some((as_of, order)) => Snapshot::Chosen(chosen(&log.index().view(), &followed, as_of, order)),
        };
        Self {
            followed,
            snapshot,
            entries: VecDeque::new(),
            planned: VecDeque::new(),
            planned_up_to: Position::ZERO,
            reader: log.reader(),
        }
    }

    /// Looks up the next entries of the snapshot.
    fn look_up(&mut self, log: &Log) {
        match &mut self.snapshot {
            Snapshot::Done => {}
            Snapshot::Chosen(entries) => {
                self.entries = std::mem::take(entries);
                self.snapshot = Snapshot::Done;
            }
            Snapshot::Listing { ended: true, .. } => self.snapshot = Snapshot::Done,
            Snapshot::Listing { as_of, order, after, ended } => {
                let request = ListRequest {
                    filter: self.followed.filter.clone(),
                    window: self.followed.window,
                    scope: Scope { as_of: *as_of, known_at: self.followed.known_at },
                    order: *order,
                    after: *after,
                    page_size: PLANNED_MAX,
                    include_closed: false,
                };
                let listed = list(&log.index().view(), &request);
                *ended = listed.next.is_none();
                *after = listed.next;
                self.entries = listed.entries.into();
            }
        }
    }

    /// Plans changes of positions in (`after`, `up_to`], until there are some or the end is reached.
    fn plan(&mut self, view: &View, after: Position, up_to: Position) {
        let mut changes = Changes::new(view, &self.followed, up_to);
        let mut from = after;
        while from < up_to && self.planned.is_empty() {
            let (candidates, end) = changes.candidates(from, ERASURES_STREAM);
            from = end.max(from.next());
            for position in candidates {
                if self.planned.len() >= PLANNED_MAX {
                    from = Position(position.0.saturating_sub(1));
                    break;
                }
                let is_order = view.locate(position).is_some_and(|(part, slot)| {
                    let term = crate::domain::TermField::Stream.term(ERASURES_STREAM);
                    part.posting(&term).is_some_and(|posting| posting.contains(u32::from(slot)))
                });
                if is_order {
                    self.planned.push_back(Planned::Erasure(position));
                } else {
                    self.planned.extend(changes.at(position).into_iter().map(Planned::Change));
                }
            }
        }
        self.planned_up_to = from.min(up_to);
    }

    /// Reads planned changes, as many as fit an item.
    fn read_changes(&mut self, log: &Log) -> Result<Vec<Changed>, ReadError> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        // A version is often what one change made and the next one ends.
        let mut records = HashMap::new();
        while let Some(planned) = self.planned.front() {
            let position = planned.position();
            let what = match planned {
                Planned::Change(change) => read_change(&mut self.reader, change, &mut records)?,
                Planned::Erasure(position) => read_order(&mut self.reader, log, *position)?,
            };
            bytes += bytes_of(&what);
            if bytes > ITEM_BYTES_MAX && !found.is_empty() {
                break;
            }
            self.planned.pop_front();
            let completes = self.planned.front().is_none_or(|next| next.position() != position);
            found.push(Changed { position, what, completes });
        }
        Ok(found)
    }
}

impl Source for Watch {
    type Item = Piece;

    fn open(&mut self, log: &Log) -> Result<Option<Piece>, ReadError> {
        while self.entries.is_empty() {
            if matches!(self.snapshot, Snapshot::Done) {
                return Ok(None);
            }
            self.look_up(log);
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.entries.front().copied() {
            let record = self.reader.record(entry.position)?;
            bytes += bytes_in(&record);
            if bytes > ITEM_BYTES_MAX && !found.is_empty() {
                break;
            }
            found.push((entry, record));
            self.entries.pop_front();
        }
        Ok(Some(Piece::Entries(found)))
    }

    fn next(&mut self, log: &Log, after: Position, up_to: Position) -> Result<Step<Piece>, ReadError> {
        if self.planned.is_empty() {
            log.look_up(&mut self.followed.filter, up_to, false)?;
            let view = log.index().view();
            let up_to = match view.first_lost(after, up_to) {
                Some((first, last)) if first == after.next() => {
                    return Ok(Step { item: None, lost: Some((first, last)), evaluated: last });
                }
                Some((first, _)) => Position(first.0.saturating_sub(1)),
                None => up_to,
            };
            self.plan(&view, after, up_to);
        }
        let changes = self.read_changes(log)?;
        // A position counts as evaluated when all of its changes were given.
        let evaluated = match self.planned.front() {
            Some(next) => Position(next.position().0.saturating_sub(1)),
            None => self.planned_up_to,
        };
        let item = (!changes.is_empty()).then_some(Piece::Changes(changes));
        Ok(Step { item, lost: None, evaluated })
    }

    fn outlook(&self) -> Option<Filter> {
        // An event changes entries of others by its links, whatever it is itself.
        None
    }

    fn held(&self, _log: &Log, _positions: &[Position]) -> Option<(Piece, usize)> {
        None
    }

    fn chain_at(&mut self, position: Position) -> Result<ChainHash, ReadError> {
        self.reader.chain_at(position)
    }
}

/// Gives the entries of histories that stand, in order.
fn chosen(view: &View, followed: &Followed, as_of: Position, order: Order) -> VecDeque<Entry> {
    let scope = Scope { as_of, known_at: followed.known_at };
    let judge = Judge { view, window: followed.window, scope, include_closed: false };
    let mut matching = HashMap::new();
    let mut found = Vec::new();
    for position in of_histories(view, &followed.histories, scope) {
        let Some((part, slot)) = view.locate(position) else { continue };
        let slots = matching
            .entry(part.base())
            .or_insert_with(|| followed.filter.slots(part, part.slots_up_to(as_of)));
        if !slots.contains(u32::from(slot)) {
            continue;
        }
        if let Some((certainty, status)) = judge.judge(part, slot) {
            let version_count = judge.version_count(position);
            let entry = Entry { position, status, certainty, version_count };
            found.push((order.key(&followed.filter, part, slot), entry));
        }
    }
    found.sort_by_key(|(key, _)| order.rank(*key));
    found.into_iter().map(|(_, entry)| entry).collect()
}

type Records = HashMap<Position, Record>;

fn read_change(reader: &mut Reader, change: &Change, records: &mut Records) -> Result<What, ReadError> {
    let mut record = |position: Position| -> Result<Box<Record>, ReadError> {
        if let Some(record) = records.get(&position) {
            return Ok(Box::new(record.clone()));
        }
        let record = reader.record(position)?;
        records.insert(position, record.clone());
        Ok(Box::new(record))
    };
    let mut entry = |entry: Option<Entry>| -> Result<Option<(Entry, Box<Record>)>, ReadError> {
        entry.map(|entry| Ok((entry, record(entry.position)?))).transpose()
    };
    let (from, to) = (entry(change.from)?, entry(change.to)?);
    let cause = change.cause.map(|cause| Ok::<_, ReadError>((cause, record(cause.position)?))).transpose()?;
    Ok(What::Entry { from, to, cause })
}

fn read_order(reader: &mut Reader, log: &Log, position: Position) -> Result<What, ReadError> {
    let record = reader.record(position)?;
    let order = EraseOrder::of(&record)?;
    let erased = log.index().view().position_of(&order.event_id);
    let position = erased.unwrap_or(Position::ZERO);
    Ok(What::Erased { event_id: order.event_id, position, order: record.event_id })
}

fn bytes_in(record: &Record) -> usize {
    record.content.len() + record.server_fields.len()
}

fn bytes_of(what: &What) -> usize {
    match what {
        What::Entry { from, to, cause } => {
            let versions = [from, to].into_iter().flatten().map(|(_, record)| bytes_in(record));
            256 + versions.sum::<usize>() + cause.as_ref().map_or(0, |(_, record)| record.server_fields.len())
        }
        What::Erased { .. } => 256,
    }
}
