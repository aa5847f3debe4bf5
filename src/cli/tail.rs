//! `annals tail`: follows the log.

pub mod place;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tonic::Status;

use super::backoff::Backoff;
use super::exit::Exit;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::{Context, json, output, signal, status, table};
use crate::pb::subscribe_events_request::Start;
use crate::pb::subscribe_events_response::Content;
use crate::pb::{Event, SubscribeEventsResponse};
use place::Place;

const EXAMPLES: &str = "\
Examples:
  annals tail
  annals tail --from-start --kind agreement
  annals tail --entity country:AL --json | jq -r .title
  annals tail --from-start --checkpoint-file albania.checkpoint --country AL

A broken connection is made again, from the last event or checkpoint; no event is left out, and none is printed twice. \
With --checkpoint-file that also holds from one run to the next, but after a crash the last few events may come again. \
Ctrl-C ends it.";

/// First wait before connecting again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait before connecting again, unless the server asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A server says something every 10 seconds; three times that in silence means that the connection is dead.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Prints events as they are recorded
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Tail {
    /// Begin with the first event
    #[arg(long, group = "start", help_heading = "Where to begin")]
    from_start: bool,

    /// Begin after this position
    #[arg(long, group = "start", value_name = "POSITION", help_heading = "Where to begin")]
    after: Option<u64>,

    /// Begin with the next event (default)
    #[arg(long, group = "start", help_heading = "Where to begin")]
    from_now: bool,

    /// Keep the place in this file; if it is there, go on from it, wherever one was told to begin
    #[arg(long, value_name = "FILE", help_heading = "Where to begin")]
    checkpoint_file: Option<PathBuf>,

    #[command(flatten)]
    filter: FilterArgs,
}

impl Tail {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or cannot be reached the first time.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let filter = self.filter.filter()?;
        let mut place = Place::open(self.checkpoint_file.clone(), self.start(), filter)?;
        let backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, None);
        let mut session = Session { context, place: &mut place, answered: false, backoff, asked: None };
        let ended = tokio::select! {
            ended = session.follow() => ended,
            () = signal::interrupted() => Ok(()),
        };
        let saved = place.save();
        ended.and(saved)
    }

    const fn start(&self) -> Start {
        match self.after {
            Some(position) => Start::AfterPosition(position),
            None if self.from_start => Start::FromStart(true),
            None => Start::FromNow(true),
        }
    }
}

/// Why a subscription ended.
enum Ended {
    /// It may be taken up again, not before this wait.
    Broken { why: String, wait: Option<Duration> },
    /// It makes no sense to go on.
    Failed(Failure),
}

struct Session<'a> {
    context: &'a Context,
    place: &'a mut Place,
    /// True once a server has answered: from then on an absent one is waited for.
    answered: bool,
    backoff: Backoff,
    /// How long an ending server asks to wait.
    asked: Option<Duration>,
}

impl Session<'_> {
    /// Subscribes, again and again.
    async fn follow(&mut self) -> Result<(), Failure> {
        loop {
            let (why, wait) = match self.subscribe().await {
                Ended::Failed(failure) => return Err(failure),
                Ended::Broken { why, wait } => (why, wait.or(self.asked.take())),
            };
            let wait = self.backoff.wait(wait).unwrap_or(LONGEST_WAIT);
            output::note(format!("{why}; connecting again in {} s", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
        }
    }

    /// Follows one subscription to its end, on a connection of its own.
    async fn subscribe(&mut self) -> Ended {
        let mut client = match self.context.target.log().await {
            Ok(client) => client,
            Err(failure) if self.answered && failure.exit() == Exit::Unavailable => {
                let why = format!("{} does not answer", self.context.target.url());
                return Ended::Broken { why, wait: None };
            }
            Err(failure) => return Ended::Failed(failure),
        };
        let request = self.place.request();
        let mut messages = match client.subscribe_events(request).await {
            Ok(response) => response.into_inner(),
            Err(error) => return self.ended(&error),
        };
        loop {
            let message = match tokio::time::timeout(SILENCE_MAX, messages.message()).await {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return broken("the server ended the stream"),
                Ok(Err(error)) => return self.ended(&error),
                Err(_) => return broken("the server fell silent"),
            };
            self.answered = true;
            self.backoff.reset();
            if let Err(failure) = self.take(message) {
                return Ended::Failed(failure);
            }
        }
    }

    fn ended(&mut self, error: &Status) -> Ended {
        // The first refusal is told at once: nobody waits for a server that never was there.
        if self.answered && status::is_transient(error) {
            let why = format!("{}: {}", status::code_name(error.code()), error.message());
            let wait = status::retry_delay(error);
            if wait.is_some() {
                // The server is there, and knows better how long to wait.
                self.backoff.reset();
            }
            Ended::Broken { why, wait }
        } else {
            Ended::Failed(status::failure(error))
        }
    }

    fn take(&mut self, message: SubscribeEventsResponse) -> Result<(), Failure> {
        match message.content {
            Some(Content::Started(started)) => self.place.started(started)?,
            Some(Content::Events(batch)) => {
                for event in status::decoded(&batch)? {
                    if self.place.is_new(&event)? {
                        self.print(&event)?;
                        self.place.printed(&event);
                    }
                }
                self.place.save()?;
            }
            Some(Content::Checkpoint(checkpoint)) => {
                self.place.evaluated(checkpoint.position, checkpoint.chain_hash)?;
                self.place.save()?;
            }
            Some(Content::CaughtUp(caught_up)) => {
                self.place.evaluated(caught_up.head, String::new())?;
                self.place.save()?;
            }
            Some(Content::Ending(ending)) => {
                self.place.evaluated(ending.resume_after_position, ending.resume_chain_hash)?;
                self.asked = ending.retry_after.and_then(|wait| Duration::try_from(wait).ok());
            }
            Some(Content::Lost(lost)) => {
                self.place.lost();
                output::note(format!(
                    "positions {} to {} are lost: their events were damaged and set aside",
                    lost.first_position, lost.last_position
                ));
            }
            Some(Content::FellBehind(_) | Content::Heartbeat(_)) | None => {}
        }
        Ok(())
    }

    fn print(&self, event: &Event) -> Result<(), Failure> {
        if self.context.json {
            return output::line(json::to_line(event)?);
        }
        output::line(describe(event))
    }
}

fn broken(why: &str) -> Ended {
    Ended::Broken { why: why.to_owned(), wait: None }
}

fn describe(event: &Event) -> String {
    format!(
        "{:>6}  {}  {}: {}  [{}]",
        event.position,
        table::valid_time(event),
        table::kind(event),
        output::plain(&event.title),
        output::plain(&event.stream),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::TimeSpan;

    #[test]
    fn an_event_is_one_line() {
        let valid_time = Some(TimeSpan { edtf: "2022-12".to_owned(), ..TimeSpan::default() });
        let (title, stream) = ("Two\nlines".to_owned(), "a/b".to_owned());
        let event = Event { position: 7, title, stream, valid_time, ..Event::default() };
        assert_eq!(describe(&event), "     7  2022-12  : Two\u{FFFD}lines  [a/b]");
    }
}
