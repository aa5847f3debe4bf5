//! `annals diff`: what differs between two states of knowledge, and why.

use clap::Args;
use prost_types::Timestamp;

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::WindowArgs;
use super::{Context, json, output, status, table, when};
use crate::pb::entry_difference::Change;
use crate::pb::{DiffEntriesRequest, DifferenceCause, Entry, EntryDifference, Event, LinkType, Scope};

const EXAMPLES: &str = "\
Examples:
  annals diff --stream-prefix series/gb-home-office/ --from-known-at 2023-07-01 --to-known-at 2023-09-01
  annals diff --entity country:GB --entity country:AL --all-entities --from-known-at 2023-07-01
  annals diff --from-position 22
  annals diff --timeline gb-al --from-position 22 --to-position 40 --json | jq -r .change";

/// Differences of a page.
const PAGE: i32 = 200;

/// Tells what differs between two states of knowledge, and which events and sources made the difference
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Diff {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    window: WindowArgs,

    /// The state before: as the public could know it, at a time or by the end of a day (in UTC)
    #[arg(long, value_name = "DATE|TIME", value_parser = when::parse, help_heading = "Which two states")]
    from_known_at: Option<Timestamp>,

    /// The state before: as recorded at this position; that of the state after unless given
    #[arg(long, value_name = "POSITION", help_heading = "Which two states")]
    from_position: Option<u64>,

    /// The state after: as the public could know it, at a time or by the end of a day (in UTC)
    #[arg(long, value_name = "DATE|TIME", value_parser = when::parse, help_heading = "Which two states")]
    to_known_at: Option<Timestamp>,

    /// The state after: as recorded at this position; the head unless given
    #[arg(long, value_name = "POSITION", help_heading = "Which two states")]
    to_position: Option<u64>,
}

impl Diff {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut request = self.request()?;
        let mut client = context.target.timeline().await?;
        let mut rows = table::new(&["change", "when", "before", "after", "because of", "source"]);
        let mut any = false;
        let last = loop {
            let answer = client.diff_entries(call(request.clone())).await;
            let page = answer.map_err(|error| status::failure(&error))?.into_inner();
            for difference in &page.differences {
                any = true;
                if context.json {
                    output::line(json::to_line(difference)?)?;
                } else {
                    rows.add_row(row(difference)?);
                }
            }
            request.page_token.clone_from(&page.next_page_token);
            if request.page_token.is_empty() {
                break page;
            }
        };
        if context.json {
            return Ok(());
        }
        if any {
            output::line(rows.trim_fmt())?;
        }
        let (added, changed, withdrawn) = (last.added_count, last.changed_count, last.withdrawn_count);
        let (before, after) = (last.before_snapshot, last.snapshot);
        // Two states of knowledge may differ in known time alone.
        let between = if before == after {
            format!("as of position {after}")
        } else {
            format!("from position {before} to position {after}")
        };
        output::line(format!("{added} added, {changed} changed, {withdrawn} withdrawn {between}"))
    }

    fn request(&self) -> Result<DiffEntriesRequest, Failure> {
        Ok(DiffEntriesRequest {
            filter: self.filter.filter()?,
            valid: self.window.window(),
            before: scope(self.from_position, self.from_known_at),
            after: scope(self.to_position, self.to_known_at),
            page_size: PAGE,
            ..DiffEntriesRequest::default()
        })
    }
}

fn scope(position: Option<u64>, known_at: Option<Timestamp>) -> Option<Scope> {
    (position.is_some() || known_at.is_some())
        .then(|| Scope { as_of_position: position.unwrap_or_default(), known_at })
}

fn row(difference: &EntryDifference) -> Result<Vec<String>, Failure> {
    let event = |entry: &Option<Entry>| entry.as_ref().map(status::event_of).transpose();
    let title = |event: &Option<Event>| {
        event.as_ref().map_or_else(String::new, |event| output::plain(&event.title).into_owned())
    };
    let (before, after) = (event(&difference.before)?, event(&difference.after)?);
    let shown = after.as_ref().or(before.as_ref()).map_or_else(String::new, table::valid_time);
    let change = match difference.change() {
        Change::Unspecified => "",
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Withdrawn => "withdrawn",
    };
    let mut causes: Vec<String> = difference.causes.iter().map(cause).collect();
    if difference.omitted_cause_count > 0 {
        causes.push(format!("and {} more", difference.omitted_cause_count));
    }
    let sources = difference.causes.iter().flat_map(|cause| &cause.source_ids);
    let sources: std::collections::BTreeSet<String> =
        sources.map(|source| output::plain(source).into_owned()).collect();
    let sources = sources.into_iter().collect::<Vec<_>>().join("\n");
    Ok(vec![change.to_owned(), shown, title(&before), title(&after), causes.join("\n"), sources])
}

/// Says what an event did: its link and position, and whether it is what no longer counts.
fn cause(cause: &DifferenceCause) -> String {
    let named = cause.r#type();
    let link =
        if named == LinkType::Unspecified { String::new() } else { format!("{} ", named.as_str_name()) };
    let left = if cause.left { ", no longer counted" } else { "" };
    format!("{link}at position {}{left}", cause.position)
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn a_row_tells_what_changed_and_who_says_so() {
        let entry = |title: &str| {
            let event = Event { title: title.to_owned(), ..Event::default() };
            Some(Entry { event: event.encode_to_vec().into(), ..Entry::default() })
        };
        let cause = DifferenceCause {
            position: 2,
            r#type: LinkType::Supersedes.into(),
            source_ids: vec!["source:a\t".to_owned()],
            ..DifferenceCause::default()
        };
        let difference = EntryDifference {
            change: Change::Changed.into(),
            before: entry("12,301"),
            after: entry("12,658"),
            causes: vec![cause],
            omitted_cause_count: 3,
        };
        let because = "SUPERSEDES at position 2\nand 3 more";
        assert_eq!(
            row(&difference).unwrap(),
            ["changed", "", "12,301", "12,658", because, "source:a\u{FFFD}"]
        );
    }

    #[test]
    fn nothing_asked_is_no_scope() {
        assert_eq!(scope(None, None), None);
        assert_eq!(scope(Some(7), None), Some(Scope { as_of_position: 7, known_at: None }));
    }
}
