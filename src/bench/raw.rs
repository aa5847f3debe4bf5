//! What the disk allows: one thread, one file, nothing else.

use std::io::{self, Write as _};
use std::path::Path;

use super::Window;
use super::events::{Requests, Templates};
use super::samples::Measured;
use super::work::Condition;
use crate::clock::Stopwatch;

/// Appends records of the size of the events to a new file, `batch` a sync, and deletes it.
///
/// # Errors
/// When the file cannot be written.
pub fn measure(parent: &Path, templates: &Templates, batch: usize, window: Window) -> io::Result<Measured> {
    let mut file = tempfile::Builder::new().prefix("annals-bench-").tempfile_in(parent)?;
    let mut requests = Requests::new(templates, 0);
    let mut measured = Measured::default();
    let watch = Stopwatch::start();
    loop {
        let records = requests.next(batch, Condition::Nothing);
        let begin = watch.elapsed();
        file.write_all(&records)?;
        file.as_file().sync_data()?;
        let end = watch.elapsed();
        if end >= window.warm {
            measured.latencies.push(end.saturating_sub(begin));
        }
        if end >= window.end {
            measured.elapsed = end.saturating_sub(window.warm);
            measured.events = measured.latencies.len() * batch;
            return Ok(measured);
        }
    }
}
