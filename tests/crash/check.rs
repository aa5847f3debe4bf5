//! What a store must be after a crash. Every rule is checked on the store itself, with nothing from it taken on trust.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use annals::clock::System;
use annals::codec::{Prepared, Writer, facts_of, prepare};
use annals::domain::{EventId, Findings, Position, Revision, StreamName, Timestamp};
use annals::index::{Segment, Tail, layout};
use annals::journal::Record;
use annals::log::{AppendRequest, Log, LogConfig, OpenError, VerifyEvent};

use crate::trace::Random;
use crate::witness::{AppendKey, Witness, events_of};

/// An append as the library takes it.
struct Sent {
    key: AppendKey,
    prepared: Vec<Prepared>,
}

/// What one run must have left: made once, asked for many moments.
pub struct Judge {
    witness: Witness,
    sent: Vec<Sent>,
    by_id: HashMap<EventId, (usize, usize)>,
}

/// What a check came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passed {
    pub events: u64,
    pub retries: u64,
}

/// What may be asked of a store beside its promises.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Answers that came when the trace was no longer than this must hold.
    pub at: u64,
    /// Chooses the appends that are tried again.
    pub seed: u64,
    /// Appends to try again, of those without and of those with an answer.
    pub retries: usize,
}

macro_rules! hold {
    ($condition:expr, $($text:tt)*) => {
        if !$condition {
            return Err(format!($($text)*));
        }
    };
}

impl Judge {
    pub fn new(witness: Witness) -> Self {
        let mut sent = Vec::new();
        let mut by_id = HashMap::new();
        for key in witness.appends.keys() {
            let events = events_of(witness.seed, *key).into_iter();
            let prepared: Vec<Prepared> = events
                .map(|event| {
                    let mut findings = Findings::default();
                    let prepared = prepare(
                        event,
                        Writer::Client,
                        (EventId::from_bytes([0; 16]), Timestamp(i64::MAX)),
                        &mut findings,
                    );
                    prepared.unwrap_or_else(|| panic!("{findings:?}"))
                })
                .collect();
            for (index, event) in prepared.iter().enumerate() {
                let twice = by_id.insert(event.facts.event_id, (sent.len(), index));
                assert!(twice.is_none(), "the workload uses an id twice");
            }
            sent.push(Sent { key: *key, prepared });
        }
        Self { witness, sent, by_id }
    }

    /// Opens the store and holds it against the witness; gives what is broken.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn check(&self, directory: &Path, ask: Ask) -> Result<Passed, String> {
        let log = open(directory).map_err(|error| format!("the store does not open: {error}"))?;
        let records = records(&log)?;
        let places = self.events_are_those_sent(&log, &records)?;
        self.answers_hold(&records, &places, ask.at)?;
        index_is_a_rebuild(&log, &records)?;
        verified(&log)?;
        let mut passed = Passed { events: records.len() as u64, retries: 0 };
        if ask.retries > 0 {
            passed.retries = self.retries(&log, &places, ask)?;
            let records = self::records(&log)?;
            self.events_are_those_sent(&log, &records)?;
            index_is_a_rebuild(&log, &records)?;
            verified(&log)?;
            log.close().map_err(|error| format!("the store does not close: {error}"))?;
            drop(log);
            let log = open(directory).map_err(|error| format!("the store does not open again: {error}"))?;
            let again = self::records(&log)?;
            hold!(again == records, "opened again, the store holds something else");
            log.close().map_err(|error| format!("the store does not close: {error}"))?;
        } else {
            log.close().map_err(|error| format!("the store does not close: {error}"))?;
        }
        Ok(passed)
    }

    /// Every event is one that was sent, byte for byte, once, and is found by its id; revisions are dense.
    fn events_are_those_sent(&self, log: &Log, records: &[Record]) -> Result<HashMap<EventId, u64>, String> {
        let mut places = HashMap::with_capacity(records.len());
        let mut revisions: HashMap<&StreamName, u64> = HashMap::new();
        let mut last = None;
        let view = log.index().view();
        for record in records {
            let (position, id) = (record.position.0, record.event_id);
            let Some((append, index)) = self.by_id.get(&id) else {
                return Err(format!("position {position} holds {id}, which nobody sent"));
            };
            let event = &self.sent[*append].prepared[*index];
            hold!(record.content == event.content, "position {position} holds other bytes than were sent");
            hold!(record.content_is_intact(), "position {position} does not match its digest");
            let twice = places.insert(id, position);
            hold!(twice.is_none(), "{id} stands at {} and at {position}", twice.unwrap_or_default());
            let found = view.position_of(&id);
            hold!(found == Some(record.position), "{id} stands at {position} and is found at {found:?}");
            let revision = revisions.entry(&record.stream).or_default();
            *revision += 1;
            hold!(record.revision.0 == *revision, "revision {} at {position}", record.revision);
            hold!(last.is_none_or(|last| record.recorded_at > last), "time stands still at {position}");
            last = Some(record.recorded_at);
        }
        for (stream, revision) in revisions {
            let found = view.revision_of(stream);
            hold!(found == Revision(revision), "{stream} is at {revision}, the index says {found}");
        }
        let indexed = view.last().0;
        hold!(indexed == records.len() as u64, "{} events, {indexed} in the index", records.len());
        Ok(places)
    }

    /// What was answered or shown by then is there, in its place; of every append all or nothing is.
    fn answers_hold(
        &self,
        records: &[Record],
        places: &HashMap<EventId, u64>,
        at: u64,
    ) -> Result<(), String> {
        for sent in &self.sent {
            let key = sent.key;
            let found: Vec<u64> =
                sent.prepared.iter().filter_map(|event| places.get(&event.facts.event_id).copied()).collect();
            let whole = found.len() == sent.prepared.len();
            hold!(found.is_empty() || whole, "{key:?} is there by half: {found:?}");
            let dense = found.windows(2).all(|pair| pair[1] == pair[0] + 1);
            hold!(dense, "{key:?} is scattered: {found:?}");
            if let Some(answer) = self.witness.appends[&key].filter(|answer| answer.at <= at) {
                let first = found.first().copied();
                hold!(
                    first == Some(answer.first_position),
                    "{key:?} was acknowledged at {} and is at {first:?}, head {}",
                    answer.first_position,
                    records.len()
                );
            }
        }
        for (position, id, _) in self.witness.seen.iter().filter(|(.., seen)| *seen <= at) {
            let there = usize::try_from(*position - 1).ok().and_then(|at| records.get(at));
            let there = there.map(|record| record.event_id.to_string());
            hold!(there.as_ref() == Some(id), "a subscriber saw {id} at {position}, where {there:?} is");
        }
        let head = self.witness.heads.iter().filter(|(_, shown)| *shown <= at).map(|(head, _)| *head).max();
        let head = head.unwrap_or(0);
        hold!(head <= records.len() as u64, "head {head} was shown, and is {} now", records.len());
        Ok(())
    }

    /// A retry is a replay at the original position, or a first write.
    fn retries(&self, log: &Log, places: &HashMap<EventId, u64>, ask: Ask) -> Result<u64, String> {
        let mut random = Random(ask.seed);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for sent in &self.sent {
            let first = places.get(&sent.prepared[0].facts.event_id);
            match first {
                Some(first) => there.push((sent, Some(*first))),
                None => gone.push((sent, None)),
            }
        }
        // The newest are the likeliest to be wrong.
        let mut chosen: Vec<_> = there.iter().rev().take(1).copied().collect();
        for list in [&there, &gone] {
            for _ in 0..ask.retries.min(list.len()) {
                chosen.push(list[random.below(list.len() as u64) as usize]);
            }
        }
        let newest = there.iter().max_by_key(|(_, first)| *first);
        chosen.extend(newest.copied());
        let mut retried = 0;
        let mut written: HashMap<AppendKey, u64> = HashMap::new();
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
        for (sent, first) in chosen {
            let events = sent.prepared.iter();
            let events = events
                .map(|event| log.propose(event.facts.clone(), event.content.clone(), event.caveats.clone()));
            let request = AppendRequest { events: events.collect(), ..AppendRequest::default() };
            let answer = runtime.block_on(log.append(request));
            let answer = answer.map_err(|error| format!("retry of {:?}: {error}", sent.key))?;
            let position = answer.events[0].position.0;
            let before = first.or_else(|| written.get(&sent.key).copied());
            hold!(
                answer.replayed == before.is_some() && before.is_none_or(|before| before == position),
                "retry of {:?}: it was at {before:?}, the answer says {position}, replayed: {}",
                sent.key,
                answer.replayed
            );
            written.insert(sent.key, position);
            retried += 1;
        }
        Ok(retried)
    }
}

/// An image needs no reserve of disk space.
fn without_reserve(directory: &Path) -> LogConfig {
    LogConfig { disk_reserve_bytes: 0, ..LogConfig::at(directory) }
}

/// Opens a store in this process.
///
/// # Errors
/// Why it does not open, with all causes.
pub fn open(directory: &Path) -> Result<Log, String> {
    let opened = Log::open(&without_reserve(directory), Arc::new(System), Arc::new(System), &|_| {});
    opened.map(|(log, _)| log).map_err(|error: OpenError| annals::log::error::causes(&error).to_string())
}

/// Reads every record; positions are dense, or one cannot be read.
fn records(log: &Log) -> Result<Vec<Record>, String> {
    let mut reader = log.reader();
    (1..=log.head().position.0)
        .map(|position| {
            let record = reader.record(Position(position));
            record.map_err(|error| format!("position {position}: {}", annals::log::error::causes(&error)))
        })
        .collect()
}

/// The unsealed end of the index is what folding the records again gives.
fn index_is_a_rebuild(log: &Log, records: &[Record]) -> Result<(), String> {
    let view = log.index().view();
    let base = view.tail().base();
    let mut rebuilt = Tail::after(base);
    for record in records.iter().filter(|record| record.position > base) {
        rebuilt.fold(&facts_of(record).map_err(|error| error.to_string())?);
    }
    let bytes = |tail: &Tail| layout::encode(&Segment::of(tail), &[0; 32]);
    hold!(bytes(view.tail()) == bytes(&rebuilt), "the index differs from a rebuild");
    Ok(())
}

/// The program's own check finds nothing.
fn verified(log: &Log) -> Result<(), String> {
    let mut found = Vec::new();
    log.verify(|event| {
        if let VerifyEvent::Finding(finding) = event {
            found.push(format!("{}–{}: {}", finding.first, finding.last, finding.description));
        }
        true
    });
    hold!(found.is_empty(), "verify finds {found:?}");
    Ok(())
}
