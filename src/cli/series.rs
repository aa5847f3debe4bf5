//! `annals series`: statistical series, their vintages and revisions.

mod spark;
mod tables;

use clap::Args;

use super::client::call;
use super::exit::Exit;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::ScopeArgs;
use super::{Context, json, output, status};
use crate::pb::{
    CellHistory, Filter, GetSeriesRequest, ListSeriesRequest, ListVintagesRequest, Scope, Series,
    SeriesSelector, SeriesValue,
};

const EXAMPLES: &str = "\
Examples:
  annals series
  annals series A.AL.SMALL_BOAT --as-known-at 2023-07-01
  annals series 'Q.small-boat-arrivals.*' --from 2022 --to 2024 --provisional
  annals series A.AL.SMALL_BOAT --revisions
  annals series --dataflow 'GB.HO:IRR_D01(1.0)' --dimension NATIONALITY=AL --triangle

Without a key, and without an option that asks for values, the series are listed.
`annals compare` compares two periods of a series.";

/// Most items asked for at once.
const PAGE: i32 = 1_000;

/// Which series.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which series")]
pub struct SeriesArgs {
    /// Dataflow, such as 'GB.HO:IRR_D01(1.0)'
    #[arg(long, value_name = "FLOW")]
    pub dataflow: Option<String>,

    /// Dimension with its value, such as SEX=F; may be repeated
    #[arg(long = "dimension", value_name = "NAME=VALUE", value_parser = dimension)]
    pub dimensions: Vec<(String, String)>,
}

impl SeriesArgs {
    /// Makes the selector of a series key; empty = any.
    #[must_use]
    pub fn selector(&self, series_key: &str) -> SeriesSelector {
        SeriesSelector {
            dataflow: self.dataflow.clone().unwrap_or_default(),
            series_key: series_key.to_owned(),
            stream: String::new(),
            dimensions: self.dimensions.iter().cloned().collect(),
        }
    }
}

/// Reads a dimension.
fn dimension(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("must be a name and a value, such as SEX=F".to_owned()),
    }
}

/// Shows statistical series: what each period holds, and how it was revised
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ShowSeries {
    /// Series key, such as A.AL.SMALL_BOAT; `*` stands for any value of a dimension
    #[arg(value_name = "KEY", help_heading = "Which series")]
    key: Option<String>,

    #[command(flatten)]
    series: SeriesArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// First day of periods, inclusive: 2022, 2022-05 or 2022-05-22
    #[arg(long, value_name = "DATE", help_heading = "Which periods")]
    from: Option<String>,

    /// Day after the last, exclusive, written like --from
    #[arg(long, value_name = "DATE", help_heading = "Which periods")]
    to: Option<String>,

    /// Only values that no final value has replaced
    #[arg(long, conflicts_with_all = ["revisions", "triangle"], help_heading = "Which periods")]
    provisional: bool,

    /// Only values that sources contradict
    #[arg(long, conflicts_with_all = ["revisions", "triangle"], help_heading = "Which periods")]
    conflicts: bool,

    #[command(flatten)]
    scope: ScopeArgs,

    /// Show values also where no key is given
    #[arg(long, help_heading = "Output")]
    values: bool,

    /// Show what was published first against what is the latest
    #[arg(long, conflicts_with = "triangle", help_heading = "Output")]
    revisions: bool,

    /// Show what each release said of each period
    #[arg(long, help_heading = "Output")]
    triangle: bool,

    /// At most this many series or periods
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Output",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

/// Asks for pages until there are no more, or enough.
macro_rules! collect {
    ($self:ident, $client:ident, $method:ident, $items:ident, $request:expr) => {{
        let mut request = $request;
        let limit = usize::try_from($self.limit).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let (snapshot, more) = loop {
            let left = limit.saturating_sub(found.len());
            request.page_size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
            let page = $client.$method(call(request.clone())).await;
            let page = page.map_err(|error| status::failure(&error))?.into_inner();
            found.extend(page.$items);
            if page.next_page_token.is_empty() || found.len() >= limit {
                break (page.snapshot, !page.next_page_token.is_empty());
            }
            request.page_token = page.next_page_token;
        };
        Found { items: found, snapshot, more }
    }};
}

/// What was found.
pub(super) struct Found<T> {
    /// The items, in order.
    pub(super) items: Vec<T>,
    /// As of which position.
    pub(super) snapshot: u64,
    /// Whether there are more.
    pub(super) more: bool,
}

/// What every question says.
struct Asked {
    series: Option<SeriesSelector>,
    filter: Option<Filter>,
    scope: Option<Scope>,
    from: String,
    to: String,
}

impl ShowSeries {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let asked = Asked {
            series: Some(self.series.selector(self.key.as_deref().unwrap_or_default())),
            filter: self.filter.filter()?,
            scope: self.scope.scope(),
            from: self.from.clone().unwrap_or_default(),
            to: self.to.clone().unwrap_or_default(),
        };
        let shows_values = self.key.is_some() || self.values || self.provisional || self.conflicts;
        if self.revisions || self.triangle {
            self.vintages(context, asked).await
        } else if shows_values {
            self.cells(context, asked).await
        } else if self.from.is_some() || self.to.is_some() {
            let told = "--from and --to select periods, and series are listed here";
            Err(Failure::new(Exit::Usage, told).hint("--values shows the values of all"))
        } else {
            self.list(context, asked).await
        }
    }

    async fn list(&self, context: &Context, asked: Asked) -> Result<(), Failure> {
        let mut client = context.target.series().await?;
        let Asked { series, filter, scope, .. } = asked;
        let request = ListSeriesRequest { series, filter, scope, ..ListSeriesRequest::default() };
        let found: Found<Series> = collect!(self, client, list_series, series, request);
        if context.json { lines(&found.items) } else { tables::list(&found) }
    }

    async fn cells(&self, context: &Context, asked: Asked) -> Result<(), Failure> {
        let mut client = context.target.series().await?;
        let Asked { series, filter, scope, from, to } = asked;
        let request = GetSeriesRequest {
            series,
            filter,
            from,
            to,
            scope,
            provisional_only: self.provisional,
            conflicts_only: self.conflicts,
            ..GetSeriesRequest::default()
        };
        let found: Found<SeriesValue> = collect!(self, client, get_series, values, request);
        if context.json { lines(&found.items) } else { tables::values(&found) }
    }

    async fn vintages(&self, context: &Context, asked: Asked) -> Result<(), Failure> {
        let mut client = context.target.series().await?;
        let Asked { series, filter, scope, from, to } = asked;
        let request = ListVintagesRequest {
            series,
            filter,
            from,
            to,
            scope,
            changes_only: self.revisions,
            ..ListVintagesRequest::default()
        };
        let found: Found<CellHistory> = collect!(self, client, list_vintages, cells, request);
        if context.json {
            lines(&found.items)
        } else if self.triangle {
            tables::triangle(&found)
        } else {
            tables::revisions(&found)
        }
    }
}

fn lines<T: json::Named>(items: &[T]) -> Result<(), Failure> {
    for item in items {
        output::line(json::to_line(item)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_names_with_values() {
        assert_eq!(dimension("SEX=F"), Ok(("SEX".to_owned(), "F".to_owned())));
        assert_eq!(dimension("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert!(dimension("SEX").is_err() && dimension("=F").is_err());
    }
}
