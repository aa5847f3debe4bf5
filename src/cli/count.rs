//! `annals count`: counts entries.

use clap::{Args, ValueEnum};

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::{ScopeArgs, WindowArgs};
use super::{Context, json, output, status, table};
use crate::pb::count_entries_request::{Facet, GroupBy};
use crate::pb::time_buckets::{Axis, Unit};
use crate::pb::{CountEntriesRequest, CountEntriesResponse, TimeBuckets};

const EXAMPLES: &str = "\
Examples:
  annals count --entity country:AL
  annals count --by year --country AL
  annals count --by month --axis known --from 2022 --to 2023
  annals count --by publisher --group-limit 10";

/// Counts entries, in all or by a unit of time or a facet
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Count {
    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    window: WindowArgs,

    #[command(flatten)]
    scope: ScopeArgs,

    /// By what to count; only the total unless given
    #[arg(long, value_enum, help_heading = "Output")]
    by: Option<By>,

    /// Whose time a unit of time counts
    #[arg(long, value_enum, default_value_t = AxisArg::Valid, help_heading = "Output")]
    axis: AxisArg,

    /// At most this many groups
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Output",
          value_parser = clap::value_parser!(i32).range(1..=10_000))]
    group_limit: i32,

    /// Also entries that no longer stand, and retractions
    #[arg(long, help_heading = "Output")]
    include_closed: bool,
}

/// What to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Day
    Day,
    /// ISO week, from Monday
    Week,
    /// Month
    Month,
    /// Quarter of a year
    Quarter,
    /// Year
    Year,
    /// Ten years
    Decade,
    /// Kind of event
    Kind,
    /// Entity, in any role
    Entity,
    /// Country
    Country,
    /// Tag
    Tag,
    /// Publisher of a source
    Publisher,
}

/// Whose time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AxisArg {
    /// When it happened
    Valid,
    /// When the public could know it
    Known,
    /// When it was recorded
    Recorded,
}

impl By {
    fn group_by(self, axis: AxisArg) -> GroupBy {
        let axis = match axis {
            AxisArg::Valid => Axis::Valid,
            AxisArg::Known => Axis::Known,
            AxisArg::Recorded => Axis::Recorded,
        };
        let time = |unit: Unit| GroupBy::Time(TimeBuckets { axis: axis.into(), unit: unit.into() });
        match self {
            Self::Day => time(Unit::Day),
            Self::Week => time(Unit::Week),
            Self::Month => time(Unit::Month),
            Self::Quarter => time(Unit::Quarter),
            Self::Year => time(Unit::Year),
            Self::Decade => time(Unit::Decade),
            Self::Kind => GroupBy::Facet(Facet::Kind.into()),
            Self::Entity => GroupBy::Facet(Facet::Entity.into()),
            Self::Country => GroupBy::Facet(Facet::Country.into()),
            Self::Tag => GroupBy::Facet(Facet::Tag.into()),
            Self::Publisher => GroupBy::Facet(Facet::Publisher.into()),
        }
    }
}

impl Count {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let request = CountEntriesRequest {
            filter: self.filter.filter()?,
            valid: self.window.window(),
            scope: self.scope.scope(),
            group_by: self.by.map(|by| by.group_by(self.axis)),
            group_limit: self.group_limit,
            include_closed: self.include_closed,
        };
        let answer = context.target.timeline().await?.count_entries(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        if !answer.groups.is_empty() {
            let mut rows = table::new(&["group", "count"]);
            for group in &answer.groups {
                rows.add_row([output::plain(&group.key).into_owned(), group.count.to_string()]);
            }
            output::line(rows.trim_fmt())?;
        }
        output::line(summary(&answer))
    }
}

fn summary(answer: &CountEntriesResponse) -> String {
    let total = table::count(answer.total_count.unsigned_abs(), "entry", "entries");
    let mut text = format!("{total} as of position {}", answer.snapshot);
    if answer.open_start_count > 0 {
        text.push_str(&format!("; {} without a start, in no group", answer.open_start_count));
    }
    if answer.omitted_group_count > 0 {
        let groups = table::count(answer.omitted_group_count.unsigned_abs(), "group", "groups");
        text.push_str(&format!("; {groups} more (--group-limit)"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        let time = TimeBuckets { axis: Axis::Known.into(), unit: Unit::Week.into() };
        assert_eq!(By::Week.group_by(AxisArg::Known), GroupBy::Time(time));
        assert_eq!(By::Tag.group_by(AxisArg::Known), GroupBy::Facet(Facet::Tag.into()));
    }

    #[test]
    fn summaries() {
        let mut answer =
            CountEntriesResponse { total_count: 1, snapshot: 22, ..CountEntriesResponse::default() };
        assert_eq!(summary(&answer), "1 entry as of position 22");
        answer.open_start_count = 2;
        answer.omitted_group_count = 3;
        assert_eq!(
            summary(&answer),
            "1 entry as of position 22; 2 without a start, in no group; 3 groups more (--group-limit)"
        );
    }
}
