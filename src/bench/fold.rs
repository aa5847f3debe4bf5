//! What folding into the index allows alone, on one thread: what the writer does with an event before it is acknowledged.

use std::sync::Arc;
use std::time::Duration;

use super::Window;
use super::error::BenchError;
use super::events::{Requests, Templates};
use super::samples::Measured;
use super::work::Condition;
use crate::clock::{Clock as _, Stopwatch, System};
use crate::domain::{KnowledgeLink, Position, RecordForm, RecordedFacts, Revision};
use crate::index::{Index, Segment};
use crate::pb::AppendEventsRequest;
use crate::wire::{Limits, append, codec};

/// Events folded at once.
const BATCH: usize = 100;
/// Segments after which a new index is begun, so that memory stays bounded.
const SEGMENTS_MAX: usize = 8;

/// Folds batches, if `looked_at` while a view is held of what each is folded into. Making the facts, which is done before,
/// and packing full segments, which another thread does, do not count.
///
/// # Errors
/// [`BenchError`] when an event is refused, or not folded.
pub fn measure(templates: &Templates, looked_at: bool, window: Window) -> Result<Measured, BenchError> {
    let mut requests = Requests::new(templates, 0);
    let mut measured = Measured::default();
    let mut index = Index::default();
    let watch = Stopwatch::start();
    loop {
        let facts = facts(requests.next(BATCH, Condition::Nothing), index.view().last())?;
        let view = looked_at.then(|| index.view());
        let begin = watch.elapsed();
        let full = index.fold(&facts);
        let end = watch.elapsed();
        drop(view);
        let last = facts.last().map(|facts| facts.position);
        if last != Some(index.view().last()) {
            return Err(BenchError::Fault("a batch was not folded"));
        }
        if end >= window.warm {
            let took: Duration = end.saturating_sub(begin);
            measured.latencies.push(took);
            measured.elapsed += took;
            measured.events += facts.len();
        }
        if end >= window.end {
            return Ok(measured);
        }
        for base in full {
            let tail = index.view().tail().segment_after(base);
            if let Some(tail) = tail {
                drop(index.seal(Arc::new(Segment::of(&tail))));
            }
        }
        if index.sealed().len() == SEGMENTS_MAX {
            index = Index::default();
        }
    }
}

/// Gives what the log hands to the index for a request: its events at the positions behind one.
fn facts(request: bytes::Bytes, head: Position) -> Result<Vec<RecordedFacts>, BenchError> {
    let request: AppendEventsRequest = codec::read(request)?;
    let now = System.now();
    let (events, _) = append::append(request, &Limits::default(), &System, (now, head))
        .map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
    let recorded = events.into_iter().zip(1..).map(|(event, place)| {
        let position = head.plus(place);
        let to_the_one_before = event.facts.knowledge_links.iter().map(|(_, link_type, _)| KnowledgeLink {
            link_type: *link_type,
            target: Position(position.0.saturating_sub(1)),
        });
        RecordedFacts {
            form: RecordForm::Whole,
            links: to_the_one_before.collect(),
            event: event.facts,
            position,
            revision: Revision(place),
            recorded_at: now.plus_micros(i64::try_from(place).unwrap_or(i64::MAX)),
        }
    });
    Ok(recorded.collect())
}
