//! Cuts a file of events into batches.

use std::io::BufRead;
use std::sync::Arc;

use prost::Message as _;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::input::{self, Lines};
use crate::cli::json;
use crate::cli::stable_id::StableIds;
use crate::cli::table::count;
use crate::pb::Event;

/// Most events of a batch; half of what a server takes unless told otherwise.
pub const EVENTS_MAX: usize = 500;
/// Most bytes of a batch; half of what a server takes unless told otherwise.
pub const BYTES_MAX: usize = 512 * 1_024;

/// Events of one file that are sent together, in order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The file, as named on the command line.
    pub file: Arc<str>,
    /// The events, each with an id.
    pub events: Vec<Event>,
    /// The line of each event, from 1.
    pub lines: Vec<u64>,
}

/// Reads a file to its end and hands on each batch; stops early when `emit` gives `false`.
///
/// # Errors
/// [`Failure`] with every line of a batch that is no event; that batch is not handed on.
pub fn read(file: &str, source: impl BufRead, mut emit: impl FnMut(Batch) -> bool) -> Result<(), Failure> {
    let mut lines = Lines::new(source);
    let mut batcher = Batcher::new(file);
    let mut line = Vec::new();
    while let Some(number) = lines.next(&mut line).map_err(|error| input::read_failure(file, &error))? {
        if let Some(batch) = batcher.push(number, &line)?
            && !emit(batch)
        {
            return Ok(());
        }
    }
    if let Some(batch) = batcher.take()? {
        emit(batch);
    }
    Ok(())
}

/// Collects the next batch.
struct Batcher {
    file: Arc<str>,
    ids: StableIds,
    events: Vec<Event>,
    lines: Vec<u64>,
    bytes: usize,
    refused: Vec<String>,
}

impl Batcher {
    fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            ids: StableIds::default(),
            events: Vec::new(),
            lines: Vec::new(),
            bytes: 0,
            refused: Vec::new(),
        }
    }

    /// Adds a line; gives the batch before it when it does not fit any more.
    fn push(&mut self, number: u64, line: &[u8]) -> Result<Option<Batch>, Failure> {
        let mut event = match json::parse::<Event>(line) {
            Ok(event) => event,
            Err(error) => {
                let full = if self.len() == EVENTS_MAX { self.take()? } else { None };
                self.refused.push(format!("{}:{number}: {error}", self.file));
                return Ok(full);
            }
        };
        if event.id.is_empty() {
            event.id = self.ids.next(&event).to_string();
        }
        let bytes = event.encoded_len();
        let fits = self.len() < EVENTS_MAX && self.bytes + bytes <= BYTES_MAX;
        let full = if fits { None } else { self.take()? };
        self.bytes += bytes;
        self.events.push(event);
        self.lines.push(number);
        Ok(full)
    }

    const fn len(&self) -> usize {
        self.events.len() + self.refused.len()
    }

    /// Gives what was collected, and begins anew.
    fn take(&mut self) -> Result<Option<Batch>, Failure> {
        if !self.refused.is_empty() {
            let number = u64::try_from(self.refused.len()).unwrap_or(u64::MAX);
            let message =
                format!("{} no event; nothing of this batch was sent", count(number, "line is", "lines are"));
            let failure = Failure::new(Exit::Data, message);
            return Err(std::mem::take(&mut self.refused).into_iter().fold(failure, Failure::detail));
        }
        self.bytes = 0;
        let events = std::mem::take(&mut self.events);
        let lines = std::mem::take(&mut self.lines);
        Ok((!events.is_empty()).then(|| Batch { file: Arc::clone(&self.file), events, lines }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(text: &str) -> (Vec<Batch>, Result<(), Failure>) {
        let mut batches = Vec::new();
        let outcome = read("f.jsonl", text.as_bytes(), |batch| {
            batches.push(batch);
            true
        });
        (batches, outcome)
    }

    fn titles(count: usize, length: usize) -> String {
        (0..count).map(|n| format!("{{\"title\":\"{n:0>length$}\"}}\n")).collect()
    }

    #[test]
    fn batches_hold_at_most_so_many_events() {
        let (batches, outcome) = batches(&titles(EVENTS_MAX * 2 + 1, 1));
        assert_eq!(outcome, Ok(()));
        let sizes: Vec<_> = batches.iter().map(|batch| batch.events.len()).collect();
        assert_eq!(sizes, [EVENTS_MAX, EVENTS_MAX, 1]);
        assert_eq!(batches[1].lines.first(), Some(&501));
    }

    #[test]
    fn batches_hold_at_most_so_many_bytes() {
        let (batches, _) = batches(&titles(20, 60_000));
        let sizes: Vec<_> = batches.iter().map(|batch| batch.events.len()).collect();
        assert_eq!(sizes, [8, 8, 4]);
        for batch in batches {
            let bytes: usize = batch.events.iter().map(prost::Message::encoded_len).sum();
            assert!(bytes <= BYTES_MAX);
        }
    }

    #[test]
    fn ids_are_kept_or_made() {
        let (batches, _) = batches("{\"title\":\"a\"}\n{\"id\":\"x\"}\n\n{ \"title\" : \"a\" }\n");
        let ids: Vec<_> = batches[0].events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!((ids[0].len(), ids[1], ids[2].len()), (36, "x", 36));
        assert_ne!(ids[0], ids[2]);
        assert_eq!(batches[0].lines, [1, 2, 4]);
    }

    #[test]
    fn every_wrong_line_of_the_batch_is_told() {
        let good = titles(EVENTS_MAX, 1);
        let (batches, outcome) = batches(&format!("{good}{{}}\n{{\"titel\":1}}\n{{}}\nnonsense\n"));
        assert_eq!(batches.len(), 1);
        let text = outcome.unwrap_err().to_string();
        assert!(text.starts_with("error: 2 lines are no event"), "{text}");
        assert!(text.contains("f.jsonl:502: column 8: unrecognized field name 'titel'"), "{text}");
        assert!(text.contains("f.jsonl:504: column "), "{text}");
    }

    #[test]
    fn reading_stops_when_nobody_listens() {
        let mut calls = 0;
        let outcome = read("f", titles(EVENTS_MAX * 3, 1).as_bytes(), |_| {
            calls += 1;
            false
        });
        assert_eq!((outcome, calls), (Ok(()), 1));
    }
}
