//! The disk beside the server: a small file of its own, to tell a slow disk from a slow server.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::sample::Counters;
use crate::bench::error::BenchError;
use crate::clock::Stopwatch;

/// Time from one write to the next: rare enough to cost the server nothing, and a hundred in a sample of ten seconds.
const PACE: Duration = Duration::from_millis(100);
/// Bytes of a write, a block of most file systems.
const BLOCK: [u8; 4_096] = [1; 4_096];
/// Length from which the file begins anew.
const LENGTH_MAX: u64 = 64 << 20;

/// Appends a block to a file without a name in the directory and has it synced, again and again until told to stop; what
/// each took is counted.
pub async fn beside(directory: &Path, counters: &Arc<Counters>, stop: &CancellationToken) {
    if let Err(error) = write(directory, counters, stop).await {
        counters.failed("write beside the server", &error);
    }
}

async fn write(
    directory: &Path,
    counters: &Arc<Counters>,
    stop: &CancellationToken,
) -> Result<(), BenchError> {
    let mut file = tempfile::tempfile_in(directory)?;
    let mut pulse = tokio::time::interval(PACE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(pulse.tick()).await.is_some() {
        let counters = Arc::clone(counters);
        let written = tokio::task::spawn_blocking(move || {
            let watch = Stopwatch::start();
            append(&mut file)?;
            counters.timed.lock().syncs.add(watch.elapsed());
            Ok::<_, io::Error>(file)
        });
        file = written.await??;
    }
    Ok(())
}

fn append(file: &mut File) -> io::Result<()> {
    if file.stream_position()? >= LENGTH_MAX {
        file.set_len(0)?;
        file.rewind()?;
    }
    file.write_all(&BLOCK)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stays_small() {
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(LENGTH_MAX - 4_096).unwrap();
        file.seek(io::SeekFrom::End(0)).unwrap();
        for expected in [LENGTH_MAX, 4_096, 8_192] {
            append(&mut file).unwrap();
            assert_eq!(file.metadata().unwrap().len(), expected);
        }
    }
}
