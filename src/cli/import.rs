//! `annals import`: loads events from files.

pub mod batches;
pub mod upload;

use std::thread;

use clap::Args;
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::client::call;
use super::exit::Exit;
use super::failure::Failure;
use super::table::count;
use super::{Context, input, output};
use crate::pb::{AppendEventsRequest, Event};
use batches::Batch;
use upload::Totals;

const EXAMPLES: &str = "\
Examples:
  annals import events.jsonl
  annals import unhcr-iati.jsonl.gz uk-treaties.jsonl.gz
  zcat events.jsonl.gz | annals import -

Each line is one annals.v1.Event in the protobuf JSON mapping; blank lines are skipped, unknown fields refused.

Running an import again adds nothing, so an import that was cut off is resumed by running it again. An event \
without an id gets one from its content: the n-th of equal lines of a file always gets the same id, wherever it \
stands. Equal lines of different files are taken for the same event unless they carry ids.

Events are sent in order, up to 500 at a time. At the first batch with a line that is refused the import stops with \
exit code 65, names every wrong field of that batch by file and line, and says how many events were imported before.";

/// Loads events from files of JSON lines, plain or gzip
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// Files of events, one a line; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

impl Import {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when a file or the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        for path in self.files.iter().filter(|path| path.as_str() != "-") {
            // A file that is not there is told before a server is asked for.
            std::fs::File::open(path).map_err(|error| {
                Failure::new(Exit::of_input(&error), format!("cannot read {path}: {error}"))
            })?;
        }
        let client = context.target.log().await?;
        let mut append = async |events: Vec<Event>| {
            let request = call(AppendEventsRequest::of(events, Vec::new()));
            client.clone().append_events(request).await.map(tonic::Response::into_inner)
        };
        let mut totals = Totals::default();
        for path in &self.files {
            let done = import_file(path, &mut append, &mut totals).await;
            done.map_err(|failure| {
                failure.detail(format!("{} imported before", count(totals.recorded(), "event", "events")))
            })?;
        }
        if context.json {
            let Totals { added, replayed } = totals;
            let read = totals.recorded();
            return output::line(
                serde_json::json!({ "read": read, "added": added, "alreadyThere": replayed }),
            );
        }
        output::line(totals)
    }
}

/// Imports one file: a thread reads and decodes the next batch while one is being sent.
async fn import_file<A: upload::Append>(
    path: &str,
    append: &mut A,
    totals: &mut Totals,
) -> Result<(), Failure> {
    let bar = progress(path);
    let source = input::open(path, &bar)?;
    // One batch waits at most: order matters for links, so no two are on their way at once.
    let (send, mut receive) = mpsc::channel::<Result<Batch, Failure>>(1);
    let file = path.to_owned();
    // A thread of its own, not of the pool: reading standard input cannot be cancelled, and must not keep the
    // program from ending.
    let reader = thread::Builder::new().name("annals-import".to_owned()).spawn(move || {
        let outcome = batches::read(&file, source, |batch| send.blocking_send(Ok(batch)).is_ok());
        if let Err(failure) = outcome {
            // Nobody listens any more only after another failure.
            let _ = send.blocking_send(Err(failure));
        }
    });
    reader.map_err(|error| Failure::caused(super::exit::Exit::Internal, "cannot start a thread", &error))?;
    let mut outcome = Ok(());
    while let Some(batch) = receive.recv().await {
        outcome = match batch {
            Ok(batch) => upload::send(&batch, append, totals).await,
            Err(failure) => Err(failure),
        };
        if outcome.is_err() {
            break;
        }
        bar.set_message(totals.recorded().to_string());
    }
    bar.finish_and_clear();
    outcome
}

fn progress(path: &str) -> ProgressBar {
    let length =
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
    let template = if length.is_some() {
        "{prefix} [{bar:30}] {bytes}/{total_bytes}, {msg} events, {eta} left"
    } else {
        "{prefix} {spinner} {bytes}, {msg} events"
    };
    let bar = output::progress(length, template);
    bar.set_prefix(path.to_owned());
    bar
}
