//! `annals timeline`: lists entries.

use clap::{Args, ValueEnum};
use tonic::transport::Channel;

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::{ScopeArgs, WindowArgs};
use super::{Context, json, output, status, table};
use crate::pb::list_entries_request::Order;
use crate::pb::timeline_service_client::TimelineServiceClient;
use crate::pb::{Entry, ListEntriesRequest, ListEntriesResponse};

const EXAMPLES: &str = "\
Examples:
  annals timeline --entity country:GB --entity country:AL --all-entities --from 2022 --to 2025
  annals timeline --stream-prefix series/gb-home-office/ --known-at 2023-06-01
  annals timeline --kind agreement --from 2022-12 --to 2023-01 --must
  annals timeline --tag migration --include-closed --order recorded-descending --limit 20
  annals timeline --text taskforce --order relevance
  annals timeline --timeline gb-al --known-at 2023-07-01
  annals timeline --country AL --json | jq -r .event.title";

/// Entries of a page when all are wanted.
const PAGE: u32 = 200;

/// Lists what happened, as a table
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Timeline {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    window: WindowArgs,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Order of the entries
    #[arg(long, value_enum, default_value_t = OrderArg::ValidStart, help_heading = "Output")]
    order: OrderArg,

    /// Also entries that were corrected, superseded, retracted or are duplicates, and retractions
    #[arg(long, help_heading = "Output")]
    include_closed: bool,

    /// At most this many entries; all unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Output")]
    limit: Option<u32>,
}

/// Orders, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    /// By earliest start
    ValidStart,
    /// By earliest start, latest first
    ValidStartDescending,
    /// By known time
    KnownAt,
    /// By known time, latest first
    KnownAtDescending,
    /// By position in the log
    Recorded,
    /// By position in the log, latest first
    RecordedDescending,
    /// By how well they fit --text, best first
    Relevance,
}

impl From<OrderArg> for Order {
    fn from(order: OrderArg) -> Self {
        match order {
            OrderArg::ValidStart => Self::ValidStart,
            OrderArg::ValidStartDescending => Self::ValidStartDescending,
            OrderArg::KnownAt => Self::KnownAt,
            OrderArg::KnownAtDescending => Self::KnownAtDescending,
            OrderArg::Recorded => Self::Recorded,
            OrderArg::RecordedDescending => Self::RecordedDescending,
            OrderArg::Relevance => Self::Relevance,
        }
    }
}

impl Timeline {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut pages = Pages::new(self.request()?, self.limit);
        let mut client = context.target.timeline().await?;
        let mut rows = table::new(&["when", "what", "kind", "status", "source", "position"]);
        let mut count = 0_u64;
        while let Some(page) = pages.next(&mut client).await? {
            for entry in &page {
                count += 1;
                if context.json {
                    output::line(json::to_line(entry)?)?;
                } else {
                    rows.add_row(row(entry)?);
                }
            }
        }
        if context.json {
            return Ok(());
        }
        if count > 0 {
            output::line(rows.trim_fmt())?;
        }
        let snapshot = pages.snapshot;
        output::line(format!("{} as of position {snapshot}", table::count(count, "entry", "entries")))
    }

    fn request(&self) -> Result<ListEntriesRequest, Failure> {
        Ok(ListEntriesRequest {
            filter: self.filter.filter()?,
            valid: self.window.window(),
            scope: self.scope.scope(),
            order: Order::from(self.order).into(),
            include_closed: self.include_closed,
            ..ListEntriesRequest::default()
        })
    }
}

/// Asks page after page.
struct Pages {
    request: ListEntriesRequest,
    /// Entries still wanted; `None` = all.
    left: Option<u32>,
    snapshot: u64,
    done: bool,
}

impl Pages {
    const fn new(request: ListEntriesRequest, limit: Option<u32>) -> Self {
        Self { request, left: limit, snapshot: 0, done: false }
    }

    /// Gives the next page; `None` after the last.
    async fn next(
        &mut self,
        client: &mut TimelineServiceClient<Channel>,
    ) -> Result<Option<Vec<Entry>>, Failure> {
        if self.done {
            return Ok(None);
        }
        let size = self.left.map_or(PAGE, |left| left.min(PAGE));
        self.request.page_size = i32::try_from(size).unwrap_or(i32::MAX);
        let answer = client.list_entries(call(self.request.clone())).await;
        let page = answer.map_err(|error| status::failure(&error))?.into_inner();
        Ok(Some(self.take(page)))
    }

    /// Notes where the next page begins, and gives what of this one is still wanted.
    fn take(&mut self, page: ListEntriesResponse) -> Vec<Entry> {
        let mut entries = page.entries;
        self.snapshot = page.snapshot;
        // The only end mark: a page may be short, even empty.
        self.done = page.next_page_token.is_empty();
        self.request.page_token = page.next_page_token;
        if let Some(left) = &mut self.left {
            entries.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left = left.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            self.done |= *left == 0;
        }
        entries
    }
}

fn row(entry: &Entry) -> Result<Vec<String>, Failure> {
    let event = &status::event_of(entry)?;
    let versions =
        if entry.version_count > 1 { format!(" ({} versions)", entry.version_count) } else { String::new() };
    Ok(vec![
        table::valid_time(event),
        output::plain(&event.title).into_owned(),
        table::kind(event),
        format!("{}{versions}", table::status(entry.status())),
        table::source(event),
        event.position.to_string(),
    ])
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::pb::Event;

    fn page(entries: usize, token: &str) -> ListEntriesResponse {
        ListEntriesResponse {
            entries: vec![Entry::default(); entries],
            next_page_token: token.to_owned(),
            snapshot: 9,
            ..ListEntriesResponse::default()
        }
    }

    #[test]
    fn pages_end_with_the_token_and_not_with_a_short_page() {
        let mut pages = Pages::new(ListEntriesRequest::default(), None);
        assert_eq!((pages.take(page(0, "a")).len(), pages.done), (0, false));
        assert_eq!(pages.request.page_token, "a");
        assert_eq!((pages.take(page(2, "")).len(), pages.done, pages.snapshot), (2, true, 9));
    }

    #[test]
    fn pages_end_at_the_limit() {
        let mut pages = Pages::new(ListEntriesRequest::default(), Some(3));
        assert_eq!((pages.take(page(2, "a")).len(), pages.done), (2, false));
        assert_eq!((pages.take(page(2, "b")).len(), pages.done), (1, true));
    }

    #[test]
    fn rows_hold_what_people_look_for() {
        let title = "A\ttitle".to_owned();
        let event = Event { title, position: 7, ..Event::default() };
        let event = event.encode_to_vec().into();
        let entry = Entry { event, status: 1, version_count: 2, ..Entry::default() };
        assert_eq!(row(&entry).unwrap(), ["", "A\u{FFFD}title", "", "current (2 versions)", "", "7"]);
    }
}
