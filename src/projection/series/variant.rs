//! The ways in which two periods can be compared.

use super::book::{Book, SeriesId};
use super::exact::{self, Exact};
use super::period::{PeriodAsked, Span, Valued, period_value};
use crate::domain::comparison::{is_agreed, is_same_place};
use crate::domain::{AmountQualifier, Comparison, Day, Decimal, Measure};
use crate::pb;
use crate::pb::google::r#type::Decimal as WireDecimal;
use crate::pb::period_comparison::{Basis, Reason, Variant, Verdict};

/// What is stated, and in which measure.
#[derive(Clone, Copy, Debug)]
pub struct Stated {
    /// What is compared.
    pub measure: Measure,
    /// The stated result.
    pub result: Option<Decimal>,
    /// How exactly.
    pub qualifier: Option<AmountQualifier>,
}

/// One side of a comparison: where its values are looked up, first and second.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The series that were named for it.
    pub own: &'a Book,
    /// Those that were named for the other side, in this side's state of knowledge.
    pub other: Option<&'a Book>,
}

impl Side<'_> {
    /// Gives the value of a period; where its own series do not know it, that of the other side's.
    #[must_use]
    pub fn value(&self, asked: &PeriodAsked) -> Valued {
        let own = period_value(self.own, asked);
        match self.other.map(|other| period_value(other, asked)) {
            Some(other) if own.amount.is_none() && other.amount.is_some() => other,
            Some(_) | None => own,
        }
    }
}

/// Gives why two values cannot be compared like for like, by number.
#[must_use]
pub fn reasons(base: (&Span, &Valued), value: (&Span, &Valued), books: &[&Book]) -> Vec<Reason> {
    let ((base_span, base), (span, value)) = (base, value);
    let mut reasons = Vec::new();
    let mut add = |holds: bool, reason: Reason| {
        if holds {
            reasons.push(reason);
        }
    };
    let place = is_same_place((base_span.from, base_span.to), (span.from, span.to));
    let (one, other) = (&base.wire, &value.wire);
    let both = base.amount.is_some() && value.amount.is_some();
    let length = base_span.days() != span.days() && !place;
    add(!both, Reason::ValueUnknown);
    add(length, Reason::DifferentLength);
    add(!place, Reason::DifferentCalendarSpan);
    add(both && one.provisional != other.provisional, Reason::ProvisionalAgainstFinal);
    add(breaks_between(base_span, span, books), Reason::BreakInSeries);
    add(both && base.measured_in != value.measured_in, Reason::DifferentUnit);
    add(both && one.partial_period != other.partial_period, Reason::DifferentScope);
    add(both && length && one.cumulative != other.cumulative, Reason::CumulativeAgainstWhole);
    add(one.vague || other.vague, Reason::VagueValue);
    add(both && series_of(books, base) != series_of(books, value), Reason::DifferentSeries);
    add(both && !(one.flaws.is_empty() && other.flaws.is_empty()), Reason::FlawedValue);
    reasons
}

/// Tells whether a break lies after the start of the earlier period and before the end of the later.
fn breaks_between(base: &Span, span: &Span, books: &[&Book]) -> bool {
    let (from, to) = (base.from.min(span.from).number(), base.to.max(span.to).number());
    books.iter().flat_map(|book| book.cells()).any(|(_, _, key, versions)| {
        let broken = versions.last().is_some_and(|current| current.observation.obs_status == "B");
        broken && key.start > from && key.start < to
    })
}

/// Gives the series that a value rests on, their frequency taken out: the same facts by quarter and by year are one series
/// here. Of a sum over several series nothing is told: which of them have a value differs from period to period.
fn series_of(books: &[&Book], valued: &Valued) -> Option<SeriesId> {
    let parts = &valued.wire.parts;
    let first = parts.first()?.cell.as_ref()?.series.clone()?;
    if valued.wire.series_count > 1 {
        return None;
    }
    let mut series =
        SeriesId { dataflow: first.dataflow, series_key: first.series_key, stream: first.stream };
    let sheet = books.iter().find_map(|book| book.sheets.get(&series));
    let last = sheet.and_then(|sheet| sheet.releases.last());
    let frequency = last.map_or("", |release| release.stated.frequency.as_str());
    let values = series.series_key.split('.').map(|value| if value == frequency { "*" } else { value });
    series.series_key = values.collect::<Vec<_>>().join(".");
    Some(series)
}

/// Gives the period that contains the shorter one and has the place in the calendar of the longer.
#[must_use]
pub fn extended(shorter: &Span, longer: &Span) -> Option<Span> {
    let inside = |moved: &Span| moved.from <= shorter.from && moved.to >= shorter.to;
    moved(longer, shorter).into_iter().find(inside).filter(|found| !same(found, shorter))
}

/// Gives the period within the longer one that has the place in the calendar of the shorter.
#[must_use]
pub fn cut(longer: &Span, shorter: &Span) -> Option<Span> {
    let inside = |moved: &Span| moved.from >= longer.from && moved.to <= longer.to;
    moved(shorter, longer).into_iter().find(inside).filter(|found| !same(found, longer))
}

fn same(one: &Span, other: &Span) -> bool {
    (one.from, one.to) == (other.from, other.to)
}

/// Moves a period by whole years to where another begins, or a year beside.
fn moved(span: &Span, to: &Span) -> Vec<Span> {
    let year = |day: Day| day.to_civil().map_or(0, |(year, _, _)| i32::from(year));
    let years = year(to.from) - year(span.from);
    let by = |years: i32| {
        let shift = |day: Day| {
            let (year, month, day) = day.to_civil()?;
            Day::from_civil(i32::from(year) + years, month.into(), day.into())
        };
        let (from, to) = (shift(span.from)?, shift(span.to)?);
        Some(Span { text: written(from, to), from, to })
    };
    [years, years - 1, years + 1].into_iter().filter_map(by).collect()
}

/// Writes a period in EDTF: as a year or as its first and last day.
fn written(from: Day, to: Day) -> String {
    let last = to.plus_days(-1);
    match (from.to_civil(), to.to_civil()) {
        (Some((year, 1, 1)), Some((next, 1, 1))) if i32::from(next) - i32::from(year) == 1 && year >= 0 => {
            format!("{year:04}")
        }
        (Some(_) | None, Some(_) | None) => format!("{from}/{last}"),
    }
}

/// Compares two values one way.
#[must_use]
pub fn variant(
    basis: Basis,
    base: (&Span, Exact),
    value: (&Span, Exact),
    stated: Stated,
    comparable: bool,
) -> Variant {
    let days = (base.0.days(), value.0.days());
    let in_measure = |measure: Measure| match basis {
        Basis::PerDay => {
            let (base, value) = (base.1.number()?, value.1.number()?);
            Comparison::change_per_day(measure, base, value, days)
        }
        Basis::Unspecified
        | Basis::AsAsked
        | Basis::FullPeriod
        | Basis::SameSpan
        | Basis::FirstPublishedBase
        | Basis::FullPeriodFirstPublishedBase => exact::change(measure, base.1, value.1),
    };
    let absolute = match basis {
        Basis::PerDay => in_measure(Measure::AbsoluteChange).map(three),
        Basis::Unspecified
        | Basis::AsAsked
        | Basis::FullPeriod
        | Basis::SameSpan
        | Basis::FirstPublishedBase
        | Basis::FullPeriodFirstPublishedBase => value.1.minus(base.1).map(Exact::wire),
    };
    let computed = in_measure(stated.measure);
    Variant {
        basis: basis.into(),
        base_period: base.0.text.clone(),
        period: value.0.text.clone(),
        base_value: Some(base.1.wire()),
        value: Some(value.1.wire()),
        absolute_change: absolute,
        percent_change: in_measure(Measure::PercentChange).map(three),
        computed: computed.map(three),
        comparable,
        verdict: verdict(stated, computed, base.1, value.1).into(),
    }
}

fn three(number: rust_decimal::Decimal) -> WireDecimal {
    exact::wire(&format!("{number:.3}"))
}

fn verdict(stated: Stated, computed: Option<rust_decimal::Decimal>, base: Exact, value: Exact) -> Verdict {
    let held = match (stated.measure, stated.result) {
        // A record states no figure.
        (Measure::RecordHigh, _) => value.exceeds(base),
        (Measure::RecordLow, _) => base.exceeds(value),
        (
            Measure::PercentChange | Measure::AbsoluteChange | Measure::Ratio | Measure::PercentagePoints,
            None,
        ) => return Verdict::Unspecified,
        (
            Measure::PercentChange | Measure::AbsoluteChange | Measure::Ratio | Measure::PercentagePoints,
            Some(result),
        ) => computed.map(|computed| is_agreed(result.value(), stated.qualifier, computed)),
    };
    match held {
        Some(true) => Verdict::Holds,
        Some(false) => Verdict::ClaimMismatch,
        None => Verdict::Uncheckable,
    }
}

/// Joins the verdicts on many ways.
#[must_use]
pub fn joined(verdicts: &[Verdict]) -> Verdict {
    let any = |wanted: Verdict| verdicts.contains(&wanted);
    let partly = any(Verdict::HoldsPartly);
    match (any(Verdict::Holds) || partly, any(Verdict::ClaimMismatch) || partly) {
        (true, true) => Verdict::HoldsPartly,
        (true, false) => Verdict::Holds,
        (false, true) => Verdict::ClaimMismatch,
        (false, false) if any(Verdict::Uncheckable) => Verdict::Uncheckable,
        (false, false) => Verdict::Unspecified,
    }
}

/// Gives the verdict where nothing could be computed.
#[must_use]
pub const fn unknown(stated: Stated) -> pb::period_comparison::Verdict {
    match (stated.measure, stated.result) {
        (Measure::RecordHigh | Measure::RecordLow, _)
        | (
            Measure::PercentChange | Measure::AbsoluteChange | Measure::Ratio | Measure::PercentagePoints,
            Some(_),
        ) => Verdict::Uncheckable,
        (
            Measure::PercentChange | Measure::AbsoluteChange | Measure::Ratio | Measure::PercentagePoints,
            None,
        ) => Verdict::Unspecified,
    }
}
