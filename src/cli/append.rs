//! `annals append`: appends events in one request.

use std::io::Read as _;

use clap::Args;
use indicatif::ProgressBar;

use super::client::call;
use super::exit::Exit;
use super::failure::Failure;
use super::{Context, input, json, output, status};
use crate::pb::condition::Condition as Kind;
use crate::pb::stream_condition::Expected;
use crate::pb::{
    AppendEventsRequest, AppendEventsResponse, AppendedEvent, CaveatCode, Condition, Event, StreamCondition,
};

const EXAMPLES: &str = "\
Examples:
  annals append event.json
  annals append --expect-revision visit/gb-al-2024-05-cameron=1 < event.json
  annals append --expect-revision agreement/new=empty event.json

The file holds one event or several, one after the other, as annals.v1.Event in the protobuf JSON mapping. They are \
appended together or not at all. An event without an id gets one from the server; with an id, the same append made \
twice is made once.";

/// Most bytes of input; a server takes less in one message.
const INPUT_BYTES_MAX: u64 = 16 * 1_024 * 1_024;

/// Appends the events of a file, all or none
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Append {
    /// File with events as JSON; - is standard input
    #[arg(value_name = "FILE", default_value = input::STDIN)]
    file: String,

    /// Append only if the stream has this revision: a number, empty (no event) or exists (any); may be repeated
    #[arg(long = "expect-revision", value_name = "STREAM=N|empty|exists", value_parser = parse_expected)]
    expected: Vec<StreamCondition>,
}

/// Reads `STREAM=REVISION`.
fn parse_expected(text: &str) -> Result<StreamCondition, String> {
    let (name, expected) = text.rsplit_once('=').ok_or("must be STREAM=N, STREAM=empty or STREAM=exists")?;
    let expected = match expected {
        "empty" => Expected::Empty(true),
        "exists" => Expected::Exists(true),
        number => match number.parse() {
            // Revisions count from 1, and 0 as "no event" would be a magic number.
            Ok(0) => return Err("revisions count from 1; write STREAM=empty for no event".to_owned()),
            Ok(revision) => Expected::Revision(revision),
            Err(_) => return Err(format!("`{number}` is neither a revision nor empty nor exists")),
        },
    };
    Ok(StreamCondition { name: name.to_owned(), expected: Some(expected) })
}

impl Append {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the input is no event, or the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let events = self.read()?;
        let conditions =
            self.expected.iter().cloned().map(|stream| Condition { condition: Some(Kind::Stream(stream)) });
        let streams: Vec<_> = events.iter().map(|event| event.stream.clone()).collect();
        let request = AppendEventsRequest::of(events, conditions.collect());
        let answer = context.target.log().await?.append_events(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        describe(&answer, &streams).iter().try_for_each(output::line)
    }

    fn read(&self) -> Result<Vec<Event>, Failure> {
        let source = input::open(&self.file, &ProgressBar::hidden())?;
        let mut text = Vec::new();
        let read = source.take(INPUT_BYTES_MAX + 1).read_to_end(&mut text);
        let read = read.map_err(|error| input::read_failure(&self.file, &error))?;
        if u64::try_from(read).is_ok_and(|read| read > INPUT_BYTES_MAX) {
            let message =
                format!("{} is too long for one append; `annals import` takes any length", self.file);
            return Err(Failure::new(Exit::Data, message));
        }
        let events = json::parse_all(&text)
            .map_err(|error| Failure::new(Exit::Data, format!("{}: {error}", self.file)))?;
        if events.is_empty() {
            return Err(Failure::new(Exit::Data, format!("{} holds no event", self.file)));
        }
        Ok(events)
    }
}

fn describe(answer: &AppendEventsResponse, streams: &[String]) -> Vec<String> {
    let replayed = if answer.replayed { " (recorded before)" } else { "" };
    let mut lines = Vec::new();
    for (event, stream) in answer.events.iter().zip(streams) {
        let AppendedEvent { id, position, stream_revision, .. } = event;
        lines.push(format!("position {position}  {stream} revision {stream_revision}  id {id}{replayed}"));
        for caveat in &event.caveats {
            let code = CaveatCode::try_from(caveat.code).map_or("CAVEAT", |code| code.as_str_name());
            let field = if caveat.field.is_empty() { "event" } else { &caveat.field };
            lines.push(format!("  caveat {code} on {field}: {}", output::plain(&caveat.text)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::Caveat;

    #[test]
    fn expectations() {
        fn check(text: &str, name: &str, expected: Expected) {
            let condition = StreamCondition { name: name.to_owned(), expected: Some(expected) };
            assert_eq!(parse_expected(text), Ok(condition));
        }
        check("agreement/a=7", "agreement/a", Expected::Revision(7));
        check("agreement/a=empty", "agreement/a", Expected::Empty(true));
        check("agreement/a=exists", "agreement/a", Expected::Exists(true));
        check("a=b=1", "a=b", Expected::Revision(1));
        for text in ["agreement/a", "agreement/a=0", "agreement/a=-1", "agreement/a=", "agreement/a=Empty"] {
            assert!(parse_expected(text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_are_described() {
        let code = CaveatCode::ZeroAmount.into();
        let caveat = Caveat { field: String::new(), code, text: "nothing".to_owned(), server_found: true };
        let event = AppendedEvent {
            id: "x".to_owned(),
            position: 3,
            stream_revision: 2,
            caveats: vec![caveat],
            recorded_at: None,
        };
        let answer =
            AppendEventsResponse { events: vec![event], replayed: true, ..AppendEventsResponse::default() };
        assert_eq!(
            describe(&answer, &["a/b".to_owned()]),
            ["position 3  a/b revision 2  id x (recorded before)", "  caveat ZERO_AMOUNT on event: nothing"]
        );
    }
}
