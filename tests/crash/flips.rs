//! Flips bits of stored frames, past the checksums of the store below: what is damaged is never returned.

use std::path::Path;

use annals::domain::Position;
use annals::journal::Record;

use crate::check;
use crate::cycles::{Tally, Watchdog};
use crate::faults::Kind;
use crate::program;
use crate::replay;
use crate::trace::Random;
use crate::workload;

const KIND: &str = "bit flipped in a stored frame";

/// Damages a store `count` times, one bit at a time, and reads all of it.
pub async fn cycles(seed: u64, count: usize, tally: &mut Tally) {
    let scratch = program::scratch();
    let mut random = Random(seed);
    let directory = scratch.path().join("run");
    let run = workload::run(&directory, seed, &Kind::None.phases(&mut random)).await;
    run.violations.iter().for_each(|text| tally.broken(Kind::None.name(), text.clone()));
    let whole = replay::read(&directory.join("data"));
    let image = scratch.path().join("image");
    replay::write(&whole, &image);
    let (records, _) = readable(&image, u64::MAX).unwrap_or_default();
    for _ in 0..count {
        tally.count(KIND);
        replay::write(&whole, &image);
        let damaged_at = flip(&image, &mut random);
        let _watchdog = Watchdog::new(format!("{KIND} at {damaged_at}, seed {seed}"));
        let checked = match readable(&image, records.len() as u64) {
            Ok((found, unreadable)) => compare(&records, &found, &unreadable, damaged_at),
            // The end of the log is checked when it is opened: damage there is named and refused.
            Err(text) if text.contains("corrupt") => Ok(()),
            Err(text) => Err(format!("the refusal does not name what is damaged: {text}")),
        };
        tally.events_checked += records.len() as u64;
        if let Err(text) = checked {
            tally.broken(KIND, format!("{text} (frame at {damaged_at}, seed {seed})"));
        }
    }
}

/// Flips one bit of one frame; gives the position that the frame begins with.
fn flip(directory: &Path, random: &mut Random) -> u64 {
    // As the journal opens it; see src/journal/sled.rs.
    let config = sled::Config::new().path(directory.join("journal")).segment_size(4 * 1024 * 1024);
    let db = config.flush_every_ms(None).open().unwrap();
    let frames = db.open_tree("frames").unwrap();
    let nth = random.below(frames.len() as u64) as usize;
    let (key, value) = frames.iter().nth(nth).unwrap().unwrap();
    let mut bytes = value.to_vec();
    let at = random.below(bytes.len() as u64) as usize;
    bytes[at] ^= 1 << random.below(8);
    frames.insert(&key, bytes).unwrap();
    db.flush().unwrap();
    u64::from_be_bytes(key.as_ref().try_into().unwrap())
}

type Readable = (Vec<Option<Record>>, Vec<u64>);

/// Reads position for position: the records, and the positions that were refused as damaged.
fn readable(directory: &Path, last: u64) -> Result<Readable, String> {
    let log = check::open(directory)?;
    let mut reader = log.reader();
    let (mut records, mut refused) = (Vec::new(), Vec::new());
    for position in 1..=last.min(log.head().position.0) {
        let record = reader.record(Position(position));
        if record.is_err() {
            refused.push(position);
        }
        records.push(record.ok());
    }
    log.close().map_err(|error| error.to_string())?;
    Ok((records, refused))
}

fn compare(
    whole: &[Option<Record>],
    found: &[Option<Record>],
    refused: &[u64],
    at: u64,
) -> Result<(), String> {
    if whole.len() != found.len() {
        return Err(format!("{} of {} events are left", found.len(), whole.len()));
    }
    for (position, (expected, found)) in (1..).zip(whole.iter().zip(found)) {
        if found.is_some() && found != expected {
            return Err(format!("position {position} was returned with damage"));
        }
    }
    let near = refused.iter().all(|position| (at..at + 64).contains(position));
    if refused.is_empty() || !near {
        return Err(format!("refused are {refused:?}"));
    }
    Ok(())
}
