//! `annals compare`: two periods of a series, and what is claimed of them.

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;

use super::client::call;
use super::failure::Failure;
use super::filter_args::FilterArgs;
use super::query_args::ScopeArgs;
use super::series::SeriesArgs;
use super::{Context, json, output, status, table, when};
use crate::pb::comparison::Measure;
use crate::pb::google::r#type::Decimal;
use crate::pb::period_comparison::{Basis, Reason, Variant, Verdict};
use crate::pb::{
    AmountQualifier, CheckClaimRequest, CheckedClaim, ComparePeriodsRequest, PeriodComparison, PeriodValue,
    Scope, period_value,
};

const EXAMPLES: &str = "\
Examples:
  annals compare 2022 2023 --series A.AL.SMALL_BOAT
  annals compare 2022 2023-01-01/2023-11-29 --series X.AL.SMALL_BOAT --base-series A.AL.SMALL_BOAT
  annals compare 2022 2023 --series A.AL.SMALL_BOAT --claim -93 --qualifier rounded
  annals compare 2022 2023 --series A.AL.SMALL_BOAT --base-known-at 2023-06-01
  annals compare --event 018f9ee2-9300-700d-8061-6e6e616c730d

With --event, what that event claims is held against the series that it names, or that --series names.";

/// Compares two periods of a series, and checks what is claimed of them
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Compare {
    /// Period compared with, in EDTF with exact bounds: 2022, 2022-01/2022-09
    #[arg(value_name = "BASE", required_unless_present = "event", conflicts_with = "event")]
    base: Option<String>,

    /// Period compared
    #[arg(value_name = "PERIOD", required_unless_present = "event")]
    period: Option<String>,

    /// Check what this statement or release claims
    #[arg(long, value_name = "ID")]
    event: Option<String>,

    /// Series key, such as A.AL.SMALL_BOAT; `*` stands for any value of a dimension: those are summed
    #[arg(long = "series", value_name = "KEY", help_heading = "Which series")]
    key: Option<String>,

    /// Series key of the base, where it is another
    #[arg(long, value_name = "KEY", conflicts_with = "event", help_heading = "Which series")]
    base_series: Option<String>,

    #[command(flatten)]
    series: SeriesArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// What no release speaks of counts as zero
    #[arg(long, help_heading = "Which series")]
    absent_is_zero: bool,

    #[command(flatten)]
    scope: ScopeArgs,

    /// The base as known at another time
    #[arg(long, value_name = "DATE|TIME", value_parser = when::parse, conflicts_with = "event",
          help_heading = "As known when")]
    base_known_at: Option<prost_types::Timestamp>,

    /// What is compared
    #[arg(long, value_enum, default_value_t = MeasureArg::Percent, conflicts_with = "event",
          help_heading = "Claim")]
    measure: MeasureArg,

    /// A stated result to hold against the computed one; a fall is negative: -93
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        conflicts_with = "event",
        help_heading = "Claim"
    )]
    claim: Option<String>,

    /// How exactly it is stated
    #[arg(long, value_enum, default_value_t = QualifierArg::Exact, requires = "claim", help_heading = "Claim")]
    qualifier: QualifierArg,
}

/// What is compared, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MeasureArg {
    /// Change in percent of the base
    Percent,
    /// Change in the unit of the values
    Absolute,
    /// Value divided by the base
    Ratio,
    /// Change of a value in percent, in points
    Points,
    /// Whether the value exceeds the base
    RecordHigh,
    /// Whether the value is less than the base
    RecordLow,
}

/// How exactly a figure is stated, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QualifierArg {
    /// Within half a unit of its last digit
    Exact,
    /// Rounded to its last digit
    Rounded,
    /// About
    About,
    /// At most
    UpTo,
    /// At least
    AtLeast,
    /// More than
    Over,
    /// Less than
    Under,
    /// Almost
    Nearly,
}

impl From<MeasureArg> for Measure {
    fn from(measure: MeasureArg) -> Self {
        match measure {
            MeasureArg::Percent => Self::PercentChange,
            MeasureArg::Absolute => Self::AbsoluteChange,
            MeasureArg::Ratio => Self::Ratio,
            MeasureArg::Points => Self::PercentagePoints,
            MeasureArg::RecordHigh => Self::RecordHigh,
            MeasureArg::RecordLow => Self::RecordLow,
        }
    }
}

impl From<QualifierArg> for AmountQualifier {
    fn from(qualifier: QualifierArg) -> Self {
        match qualifier {
            QualifierArg::Exact => Self::Exact,
            QualifierArg::Rounded => Self::RoundedAmount,
            QualifierArg::About => Self::About,
            QualifierArg::UpTo => Self::UpTo,
            QualifierArg::AtLeast => Self::AtLeast,
            QualifierArg::Over => Self::Over,
            QualifierArg::Under => Self::Under,
            QualifierArg::Nearly => Self::Nearly,
        }
    }
}

impl Compare {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.event {
            Some(event) => self.check(context, event).await,
            None => self.compare(context).await,
        }
    }

    async fn compare(&self, context: &Context) -> Result<(), Failure> {
        let base_scope =
            self.base_known_at.map(|known_at| Scope { as_of_position: 0, known_at: Some(known_at) });
        let request = ComparePeriodsRequest {
            series: Some(self.series.selector(self.key.as_deref().unwrap_or_default())),
            base_series: self.base_series.as_ref().map(|key| self.series.selector(key)),
            filter: self.filter.filter()?,
            base_period: self.base.clone().unwrap_or_default(),
            period: self.period.clone().unwrap_or_default(),
            scope: self.scope.scope(),
            base_scope,
            absent_is_zero: self.absent_is_zero,
            measure: Measure::from(self.measure).into(),
            stated: self.claim.clone().map(|value| Decimal { value }),
            stated_qualifier: AmountQualifier::from(self.qualifier).into(),
        };
        let answer = context.target.series().await?.compare_periods(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        comparison(&answer.comparison.unwrap_or_default())?;
        output::line(format!("as of position {}", answer.snapshot))
    }

    async fn check(&self, context: &Context, event: &str) -> Result<(), Failure> {
        let named = self.key.is_some() || self.series.dataflow.is_some();
        let request = CheckClaimRequest {
            event_id: event.to_owned(),
            series: named.then(|| self.series.selector(self.key.as_deref().unwrap_or_default())),
            filter: self.filter.filter()?,
            scope: self.scope.scope(),
            absent_is_zero: self.absent_is_zero,
        };
        let answer = context.target.series().await?.check_claim(call(request)).await;
        let answer = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        for claim in &answer.claims {
            checked(claim)?;
        }
        let count = u64::try_from(answer.claims.len()).unwrap_or(u64::MAX);
        let count = table::count(count, "claim", "claims");
        output::line(format!("{count} with figures as of position {}", answer.snapshot))?;
        if answer.omitted_claim_count > 0 {
            output::line(format!("{} more are not checked", answer.omitted_claim_count))?;
        }
        Ok(())
    }
}

/// Shows one claim and what becomes of it.
fn checked(claim: &CheckedClaim) -> Result<(), Failure> {
    let stated = claim.stated.clone().unwrap_or_default();
    let wording = match (stated.stated_wording.is_empty(), &stated.stated) {
        (false, _) => stated.stated_wording,
        (true, Some(number)) => number.value.clone(),
        (true, None) => "no figure".to_owned(),
    };
    output::line(format!("{}: {}", output::plain(&claim.field), output::plain(&wording)))?;
    if let Some(variant) = &claim.from_stated_values {
        output::line("by the values that it states:")?;
        output::line(variants(std::slice::from_ref(variant)))?;
    }
    if let Some(found) = &claim.from_series {
        output::line("by the series:")?;
        comparison(found)?;
    }
    output::line(format!("the claim {}\n", verdict(claim.verdict())))
}

/// Shows one comparison.
fn comparison(found: &PeriodComparison) -> Result<(), Failure> {
    for (name, side) in [("base", &found.base), ("period", &found.value)] {
        if let Some(side) = side {
            output::line(format!("{name:<7} {}", value_of(side)))?;
        }
    }
    if !found.variants.is_empty() {
        output::line(variants(&found.variants))?;
    }
    let reasons: Vec<&str> = found.reasons().map(reason).filter(|reason| !reason.is_empty()).collect();
    if reasons.is_empty() {
        output::line("comparable as asked")?;
    } else {
        output::line(format!("not comparable as asked: {}", reasons.join("; ")))?;
    }
    match found.verdict() {
        Verdict::Unspecified => Ok(()),
        known @ (Verdict::Holds | Verdict::HoldsPartly | Verdict::ClaimMismatch | Verdict::Uncheckable) => {
            output::line(format!("what is stated {}", verdict(known)))
        }
    }
}

fn value_of(side: &PeriodValue) -> String {
    let (period, unit) = (output::plain(&side.period), output::plain(&side.unit));
    let days = table::count(u64::from(side.days.unsigned_abs()), "day", "days");
    let parts = table::count(u64::from(side.part_count.unsigned_abs()), "value", "values");
    let marks = [(side.provisional, ", provisional"), (side.cumulative, ", running total")];
    let marks: String = marks.iter().filter(|(holds, _)| *holds).map(|(_, mark)| *mark).collect();
    match (&side.value, &side.partial_sum) {
        (Some(value), _) => {
            let how = match side.basis() {
                period_value::Basis::Unspecified | period_value::Basis::Published => "published".to_owned(),
                period_value::Basis::SumOfParts | period_value::Basis::SumOfSeries => {
                    format!("sum of {parts}")
                }
            };
            format!("{period} ({days}): {} {unit}, {how}{marks}", output::plain(&value.value))
        }
        (None, Some(sum)) => {
            let known = output::plain(&sum.value);
            format!("{period} ({days}): not known as a whole; {known} {unit} in {parts}{marks}")
        }
        (None, None) => format!("{period} ({days}): not known"),
    }
}

fn variants(variants: &[Variant]) -> String {
    let mut shown = table::new(&[
        "way",
        "base",
        "period",
        "base value",
        "value",
        "change",
        "%",
        "like for like",
        "stated",
    ]);
    for column in 3..7 {
        if let Some(column) = shown.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let decimal = |found: &Option<Decimal>| {
        found.as_ref().map_or_else(|| "-".to_owned(), |found| output::plain(&found.value).into_owned())
    };
    for variant in variants {
        shown.add_row([
            way(variant.basis()).to_owned(),
            output::plain(&variant.base_period).into_owned(),
            output::plain(&variant.period).into_owned(),
            decimal(&variant.base_value),
            decimal(&variant.value),
            decimal(&variant.absolute_change),
            decimal(&variant.percent_change),
            if variant.comparable { "yes" } else { "no" }.to_owned(),
            verdict(variant.verdict()).to_owned(),
        ]);
    }
    shown.trim_fmt()
}

const fn way(basis: Basis) -> &'static str {
    match basis {
        Basis::Unspecified => "",
        Basis::AsAsked => "as asked",
        Basis::PerDay => "per day",
        Basis::FullPeriod => "full period",
        Basis::SameSpan => "same span",
        Basis::FirstPublishedBase => "first published base",
        Basis::FullPeriodFirstPublishedBase => "full period, first published base",
    }
}

const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unspecified => "",
        Verdict::Holds => "holds",
        Verdict::HoldsPartly => "holds in some ways",
        Verdict::ClaimMismatch => "does not hold",
        Verdict::Uncheckable => "cannot be checked",
    }
}

const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Unspecified => "",
        Reason::ValueUnknown => "a value is not known",
        Reason::DifferentLength => "the periods have different lengths",
        Reason::DifferentCalendarSpan => "the periods are other parts of the year",
        Reason::ProvisionalAgainstFinal => "one value is provisional, the other final",
        Reason::BreakInSeries => "the series breaks between them",
        Reason::DifferentUnit => "the units or base periods differ",
        Reason::DifferentScope => "one covers less than its period",
        Reason::CumulativeAgainstWhole => "one is a running total",
        Reason::VagueValue => "a value or its period is vague",
        Reason::DifferentSeries => "the series differ",
        Reason::FlawedValue => "a value is doubtful in itself",
    }
}
