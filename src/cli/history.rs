//! `annals history`: every version of an entry.

use clap::Args;

use super::client::call;
use super::failure::Failure;
use super::query_args::ScopeArgs;
use super::{Context, json, output, status, table, when};
use crate::pb::{Closing, EntryVersion, Event, GetEntryHistoryRequest, LinkType};

const EXAMPLES: &str = "\
Examples:
  annals history 018f9ee2-9300-7064-8061-6e6e616c7364
  annals history 018f9ee2-9300-7064-8061-6e6e616c7364 --known-at 2023-06-01

The id of any version will do. `known to` and the position at which a version ended are exclusive; - means that it \
stands.";

/// Versions of a page.
const PAGE: i32 = 200;

/// Shows every version of an entry, and why each ended
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct History {
    /// Id of any version
    #[arg(value_name = "ID")]
    id: String,

    #[command(flatten)]
    scope: ScopeArgs,
}

impl History {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or has no such event.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut client = context.target.timeline().await?;
        let mut request = GetEntryHistoryRequest {
            event_id: self.id.clone(),
            scope: self.scope.scope(),
            page_size: PAGE,
            page_token: String::new(),
        };
        let header = ["position", "ended at", "status", "known from", "known to", "closed by", "what"];
        let mut rows = table::new(&header);
        loop {
            let answer = client.get_entry_history(call(request.clone())).await;
            let page = answer.map_err(|error| status::failure(&error))?.into_inner();
            for version in &page.versions {
                if context.json {
                    output::line(json::to_line(version)?)?;
                } else {
                    rows.add_row(row(version));
                }
            }
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        if context.json { Ok(()) } else { output::line(rows.trim_fmt()) }
    }
}

fn row(version: &EntryVersion) -> Vec<String> {
    let none = Event::default();
    let event = version.event.as_ref().unwrap_or(&none);
    let moment =
        |time: &Option<prost_types::Timestamp>| time.as_ref().map_or_else(|| "-".to_owned(), when::format);
    let ended = if version.position_to == 0 { "-".to_owned() } else { version.position_to.to_string() };
    vec![
        version.position_from.to_string(),
        ended,
        table::status(version.status()).to_owned(),
        moment(&version.known_from),
        moment(&version.known_to),
        version.closed_by.as_ref().map_or_else(|| "-".to_owned(), closing),
        output::plain(&event.title).into_owned(),
    ]
}

fn closing(closing: &Closing) -> String {
    let how = match closing.r#type() {
        LinkType::Corrects => "corrected by",
        LinkType::Supersedes => "superseded by",
        LinkType::Retracts => "retracted by",
        LinkType::DuplicateOf => "marked as a duplicate by",
        // Links of the other families end no version.
        LinkType::Unspecified
        | LinkType::Amends
        | LinkType::Extends
        | LinkType::Terminates
        | LinkType::Replaces
        | LinkType::Implements
        | LinkType::Fulfils
        | LinkType::Cancels
        | LinkType::Cites
        | LinkType::DerivedFrom
        | LinkType::Quotes
        | LinkType::Contradicts
        | LinkType::Confirms
        | LinkType::RespondsTo
        | LinkType::PartOf
        | LinkType::Follows
        | LinkType::ClaimedCause => "ended by",
    };
    let sources = if closing.source_ids.is_empty() {
        String::new()
    } else {
        format!(" ({})", output::plain(&closing.source_ids.join(", ")))
    };
    format!("{how} {}{sources}", closing.event_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_stands() {
        let version = EntryVersion { status: 1, position_from: 4, ..EntryVersion::default() };
        assert_eq!(row(&version), ["4", "-", "current", "-", "-", "-", ""]);
    }

    #[test]
    fn a_version_that_ended() {
        let known = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let ended = Closing {
            event_id: "x".to_owned(),
            r#type: LinkType::Corrects.into(),
            source_ids: vec!["source:a".to_owned(), "source:b".to_owned()],
        };
        let version = EntryVersion {
            event: Some(Event { title: "t".to_owned(), ..Event::default() }),
            status: 2,
            known_from: known(0),
            known_to: known(86_400),
            position_from: 4,
            position_to: 9,
            closed_by: Some(ended),
        };
        let by = "corrected by x (source:a, source:b)";
        assert_eq!(row(&version), ["4", "9", "corrected", "1970-01-01", "1970-01-02", by, "t"]);
    }
}
