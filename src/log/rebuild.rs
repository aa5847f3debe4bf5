//! Builds index parts from the journal.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::error::ReadError;
use crate::codec::facts_of;
use crate::domain::{Position, RecordedFacts};
use crate::index::{SEGMENT_LEN, Segment, Tail};
use crate::journal::{ChainHash, Direction, Journal};

/// Gives the chain hash at a position.
///
/// # Errors
/// [`ReadError`] when the frame there cannot be read.
pub fn chain_at(journal: &dyn Journal, position: Position) -> Result<ChainHash, ReadError> {
    if position == Position::ZERO {
        return Ok(crate::journal::Tail::origin(journal.store_id()).chain);
    }
    let frame = journal.frame_at(position)?.ok_or(ReadError::Missing(position))?;
    Ok(frame.chain_at(position))
}

/// Visits what queries need of each record in (`after`, `up_to`], in order.
///
/// # Errors
/// [`ReadError`] at the first record that cannot be read.
pub fn for_each(
    journal: &dyn Journal,
    after: Position,
    up_to: Position,
    mut visit: impl FnMut(&RecordedFacts),
) -> Result<(), ReadError> {
    if after >= up_to {
        return Ok(());
    }
    for frame in journal.read(after.next(), Direction::Forward) {
        let frame = frame?;
        for record in frame.records() {
            if record.position > up_to {
                return Ok(());
            }
            if record.position > after {
                visit(&facts_of(record)?);
            }
        }
        if frame.last() >= up_to {
            return Ok(());
        }
    }
    Err(ReadError::Missing(up_to))
}

/// Builds the tail after a position from the journal.
///
/// # Errors
/// [`ReadError`] at the first record that cannot be read.
pub fn tail(journal: &dyn Journal, after: Position, up_to: Position) -> Result<Tail, ReadError> {
    let mut tail = Tail::after(after);
    for_each(journal, after, up_to, |facts| {
        tail.fold(facts);
    })?;
    Ok(tail)
}

/// Builds a whole segment from the journal.
///
/// # Errors
/// [`ReadError`] at the first record that cannot be read.
pub fn segment(journal: &dyn Journal, number: u64) -> Result<Segment, ReadError> {
    let base = Position(number * SEGMENT_LEN);
    Ok(Segment::of(&tail(journal, base, base.plus(SEGMENT_LEN))?))
}

/// Builds segments on all cores; gives them with their numbers, rising.
///
/// # Errors
/// The first [`ReadError`] met.
pub fn segments(
    journal: &dyn Journal,
    numbers: &[u64],
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Vec<(u64, Segment)>, ReadError> {
    on_all_cores(numbers, progress, |number| segment(journal, number))
}

/// Does work for each number on all cores; gives the outcomes with their numbers, rising.
///
/// # Errors
/// The first [`ReadError`] met.
pub fn on_all_cores<T: Send>(
    numbers: &[u64],
    progress: &(dyn Fn(usize) + Sync),
    work: impl Fn(u64) -> Result<T, ReadError> + Sync,
) -> Result<Vec<(u64, T)>, ReadError> {
    let next = AtomicU64::new(0);
    let built: Mutex<Vec<Result<(u64, T), ReadError>>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(numbers.len());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(number) = take(&next, numbers) {
                    let outcome = work(number).map(|done| (number, done));
                    let mut built = built.lock();
                    built.push(outcome);
                    progress(built.len());
                }
            });
        }
    });
    let mut done = built.into_inner().into_iter().collect::<Result<Vec<_>, _>>()?;
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done)
}

fn take(next: &AtomicU64, numbers: &[u64]) -> Option<u64> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    usize::try_from(at).ok().and_then(|at| numbers.get(at)).copied()
}
