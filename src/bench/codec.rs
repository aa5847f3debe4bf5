//! What decoding, checking, digesting and answering allow alone, by the functions that the service calls for an append.

use bytes::Bytes;
use prost::Message as _;

use super::Window;
use super::error::BenchError;
use super::events::{Requests, Templates};
use super::samples::Measured;
use super::work::Condition;
use crate::clock::{Clock as _, IdSource as _, Stopwatch, System};
use crate::domain::{Position, Revision};
use crate::log::{Appended, AppendedEvent, Proposal};
use crate::pb::AppendEventsRequest;
use crate::wire::{Limits, append, codec, encode};

/// Works on batches with as many threads as there are cores.
///
/// # Errors
/// [`BenchError`] when a batch is refused.
pub fn measure(templates: &Templates, batch: usize, window: Window) -> Result<Measured, BenchError> {
    let threads = std::thread::available_parallelism()?.get();
    let mut all = Measured::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|number| scope.spawn(move || work(templates, number, batch, window))).collect();
        for worker in workers {
            let panicked = |_| BenchError::Fault("a thread of the codec panicked");
            let measured = worker.join().map_err(panicked)??;
            all.events += measured.events;
            all.elapsed += measured.elapsed;
            all.latencies.extend(measured.latencies);
        }
        // The threads work at the same time.
        all.elapsed /= u32::try_from(threads).unwrap_or(u32::MAX);
        Ok(all)
    })
}

/// Measures one thread; making the requests, which is the work of clients, does not count.
fn work(templates: &Templates, number: usize, batch: usize, window: Window) -> Result<Measured, BenchError> {
    let mut requests = Requests::new(templates, number);
    let mut measured = Measured::default();
    let watch = Stopwatch::start();
    loop {
        let request = requests.next(batch, Condition::Nothing);
        let begin = watch.elapsed();
        let answer = handle(request)?;
        let end = watch.elapsed();
        if answer.is_empty() {
            return Err(BenchError::Fault("a batch was not answered"));
        }
        if end >= window.warm {
            measured.latencies.push(end.saturating_sub(begin));
            measured.elapsed += end.saturating_sub(begin);
            measured.events += batch;
        }
        if end >= window.end {
            return Ok(measured);
        }
    }
}

/// Does with a request what the service does, without the log in between.
fn handle(request: Bytes) -> Result<Vec<u8>, BenchError> {
    let request: AppendEventsRequest = codec::read(request)?;
    let now = System.now();
    let (events, _) = append::append(request, &Limits::default(), &System, (now, Position::ZERO))
        .map_err(|error| tonic::Status::invalid_argument(error.to_string()))?;
    let events = events.into_iter().zip(1..).map(|(event, place)| {
        let proposal = Proposal::new(event.facts, event.content, event.caveats, System.salt());
        AppendedEvent {
            id: proposal.facts.event_id,
            position: Position(place),
            revision: Revision(place),
            recorded_at: now,
            caveats: proposal.caveats,
        }
    });
    let appended = Appended { events: events.collect(), replayed: false };
    Ok(encode::appended(&appended).encode_to_vec())
}
