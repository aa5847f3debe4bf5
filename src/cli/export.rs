//! `annals export`: writes events to a file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use indicatif::ProgressBar;

use super::atomic_file::AtomicFile;
use super::client::call;
use super::exit::Exit;
use super::failure::Failure;
use super::output::write_failure;
use super::{Context, filter_args, input, json, output, status, table};
use crate::pb::read_events_response::Content;
use crate::pb::{GetHeadRequest, ReadEnd, ReadEventsRequest};

const EXAMPLES: &str = "\
Examples:
  annals export events.jsonl.gz
  annals export | head -1
  annals export --filter-json '{\"kinds\":[\"AGREEMENT\"]}' agreements.jsonl

Each line is one annals.v1.Event in the protobuf JSON mapping, in position order, as `annals import` takes it: fields \
that only the server fills are ignored there. A file appears only when it is complete; it is packed if its name ends \
in .gz.";

/// Writes all events, or those that match a filter, as JSON lines
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Export {
    /// Only events that match this filter of the API
    #[arg(long, value_name = "JSON")]
    filter_json: Option<String>,

    /// File to write; without one, or with -, standard output
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Export {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server or the file refuses; no file is left then.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let filter = self.filter_json.as_deref().map(filter_args::parse_json).transpose()?;
        let request = ReadEventsRequest { filter, ..ReadEventsRequest::default() };
        let Some(path) = self.file.as_deref().filter(|path| *path != Path::new(input::STDIN)) else {
            let mut out = output::writer();
            read(context, request, &ProgressBar::hidden(), &mut out).await?;
            return out.flush().map_err(|error| write_failure(&error));
        };
        let mut sink = Sink::create(path)?;
        let bar = progress(context).await?;
        let (count, end) = read(context, request, &bar, &mut sink).await?;
        sink.commit()?;
        bar.finish_and_clear();
        let events = table::count(count, "event", "events");
        output::note(format!("{events} as of position {} in {}", end.head, path.display()));
        Ok(())
    }
}

async fn progress(context: &Context) -> Result<ProgressBar, Failure> {
    let head = context.target.log().await?.get_head(call(GetHeadRequest {})).await;
    let head = head.map_err(|error| status::failure(&error))?.into_inner().position;
    Ok(output::progress(Some(head), "[{bar:30}] position {pos} of {len}, {eta} left"))
}

/// Writes every event of the answer, and makes sure that the answer came to its end.
async fn read(
    context: &Context,
    request: ReadEventsRequest,
    bar: &ProgressBar,
    out: &mut (impl Write + ?Sized),
) -> Result<(u64, ReadEnd), Failure> {
    let failed = |error: tonic::Status| status::failure(&error);
    let mut stream = context.target.log().await?.read_events(request).await.map_err(failed)?.into_inner();
    let (mut count, mut left_out) = (0, 0);
    while let Some(message) = stream.message().await.map_err(failed)? {
        match message.content {
            Some(Content::Events(batch)) => {
                for event in &status::decoded(&batch)? {
                    bar.set_position(event.position);
                    // Neither can be imported. A backup has both.
                    if event.erasure.is_some() || event.stream.starts_with('$') {
                        left_out += 1;
                        continue;
                    }
                    writeln!(out, "{}", json::to_line(event)?).map_err(|error| write_failure(&error))?;
                    count += 1;
                }
            }
            Some(Content::Lost(lost)) => output::note(format!(
                "positions {} to {} are lost: their events were damaged and set aside",
                lost.first_position, lost.last_position
            )),
            Some(Content::End(end)) => {
                if left_out > 0 {
                    let events = table::count(left_out, "event", "events");
                    output::note(format!("{events} left out: erased, or records of the server's own"));
                }
                return Ok((count, end));
            }
            None => {}
        }
    }
    Err(Failure::new(Exit::Unavailable, "the server broke off before the last event"))
}

/// A file that appears only when it is complete.
enum Sink {
    Plain(BufWriter<AtomicFile>),
    Packed(Box<GzEncoder<BufWriter<AtomicFile>>>),
}

impl Sink {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = BufWriter::new(AtomicFile::create(path)?);
        let packed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
        Ok(if packed {
            Self::Packed(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Self::Plain(file)
        })
    }

    fn commit(self) -> Result<(), Failure> {
        let buffer = match self {
            Self::Plain(buffer) => buffer,
            Self::Packed(encoder) => encoder.finish().map_err(|error| write_failure(&error))?,
        };
        buffer.into_inner().map_err(|error| write_failure(error.error()))?.commit()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(buffer) => buffer.write(bytes),
            Self::Packed(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(buffer) => buffer.flush(),
            Self::Packed(encoder) => encoder.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;

    use super::*;

    #[test]
    fn files_are_packed_by_their_name() {
        let directory = tempfile::tempdir().unwrap();
        for (name, packed) in [("a.jsonl", false), ("a.jsonl.gz", true)] {
            let path = directory.path().join(name);
            let mut sink = Sink::create(&path).unwrap();
            writeln!(sink, "one line").unwrap();
            sink.commit().unwrap();
            assert_eq!(std::fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]), packed, "{name}");
            let mut line = String::new();
            let mut reader = input::open(path.to_str().unwrap(), &ProgressBar::hidden()).unwrap();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, "one line\n");
        }
    }
}
