//! The comparisons that an event states, held against the series.

use std::sync::Arc;

use super::book::Book;
use super::compare::{CompareAsked, compare};
use super::exact::Exact;
use super::period::{PeriodAsked, Span, period_value};
use super::variant::{Side, Stated, joined, unknown, variant};
use crate::domain::comparison::is_same_place;
use crate::domain::{AmountQualifier, Decimal, Measure, Shape, TimeSpan};
use crate::pb;
use crate::pb::event::Payload;
use crate::pb::period_comparison::{Basis, Variant, Verdict};

/// Most claims of one event that are checked.
pub const CLAIMS_MAX: usize = 50;

/// What is to be checked, and with which series.
#[derive(Clone, Copy, Debug)]
pub struct ClaimAsked<'a> {
    /// The comparison as stated.
    pub stated: &'a pb::Comparison,
    /// The series to look in, each by itself; of several the first that knows a period counts for it.
    pub books: &'a [Arc<Book>],
    /// Whether what is not known counts as zero.
    pub absent_is_zero: bool,
}

/// Gives the comparisons of an event, each with the path of its field and the links of its claim.
#[must_use]
pub fn comparisons(event: &pb::Event) -> Vec<(String, &pb::Comparison, &[pb::Link])> {
    match &event.payload {
        Some(Payload::StatisticalRelease(release)) => {
            let stated = release.comparisons.iter().enumerate();
            let path = |index: usize| format!("statistical_release.comparisons[{index}]");
            stated.map(|(index, stated)| (path(index), stated, [].as_slice())).collect()
        }
        Some(Payload::Statement(statement)) => {
            let claims = statement.claims.iter().enumerate();
            let path = |index: usize| format!("statement.claims[{index}].comparison");
            let found = claims.filter_map(|(index, claim)| {
                Some((path(index), claim.comparison.as_ref()?, claim.about.as_slice()))
            });
            found.collect()
        }
        Some(
            Payload::Agreement(_) | Payload::FundingTransfer(_) | Payload::Visit(_) | Payload::Custom(_),
        )
        | None => Vec::new(),
    }
}

/// Checks one comparison.
#[must_use]
pub fn check_claim(field: String, asked: &ClaimAsked<'_>) -> pb::CheckedClaim {
    let claim = asked.stated;
    let decimal = |found: &Option<pb::google::r#type::Decimal>| {
        found.as_ref().and_then(|found| Decimal::parse(&found.value).ok())
    };
    let stated = Stated {
        measure: Measure::from_number(claim.measure).unwrap_or(Measure::PercentChange),
        result: decimal(&claim.stated),
        qualifier: AmountQualifier::from_number(claim.stated_qualifier),
    };
    let spans = span_of(claim.base_period.as_ref()).zip(span_of(claim.period.as_ref()));
    let values = decimal(&claim.base_value).zip(decimal(&claim.value));
    let from_values = spans.as_ref().zip(values).and_then(|((base, span), (first, second))| {
        let exact = |value| Exact::scaled(value, 0);
        let like = is_same_place((base.0.from, base.0.to), (span.0.from, span.0.to)) && !base.1 && !span.1;
        Some(variant(Basis::AsAsked, (&base.0, exact(first)?), (&span.0, exact(second)?), stated, like))
    });
    let from_series = spans.and_then(|((base, _), (period, _))| {
        let own = book_of(asked, &period)?;
        let own_base = book_of(asked, &base)?;
        let (side, base_side) =
            (Side { own, other: Some(own_base) }, Side { own: own_base, other: Some(own) });
        let compared = CompareAsked { base, period, absent_is_zero: asked.absent_is_zero, stated };
        Some(compare(base_side, side, &compared))
    });
    let mut verdicts: Vec<Verdict> = Vec::new();
    verdicts.extend(from_values.as_ref().map(Variant::verdict));
    verdicts.extend(from_series.as_ref().map(pb::PeriodComparison::verdict));
    let verdict = if verdicts.is_empty() { unknown(stated) } else { joined(&verdicts) };
    pb::CheckedClaim {
        field,
        stated: Some(claim.clone()),
        from_stated_values: from_values,
        from_series,
        verdict: verdict.into(),
    }
}

/// Gives the first book that knows a period, else the first.
fn book_of<'a>(asked: &ClaimAsked<'a>, span: &Span) -> Option<&'a Book> {
    let of = PeriodAsked { span: span.clone(), absent_is_zero: false, first_published: false };
    let mut knowing = asked.books.iter().filter(|book| period_value(book, &of).amount.is_some());
    knowing.next().or_else(|| asked.books.first()).map(Arc::as_ref)
}

/// Reads a stated period with exact bounds; tells also whether it is marked approximate or uncertain.
fn span_of(found: Option<&pb::TimeSpan>) -> Option<(Span, bool)> {
    let found = found?;
    let read = TimeSpan::parse(&found.edtf, &found.time_zone, Some(Shape::Period), Shape::Period).ok()?;
    let (from, to) = (read.earliest_start?, read.latest_end?);
    let exact = read.latest_start == Some(from) && read.earliest_end == Some(to);
    let span = Span { text: found.edtf.clone(), from, to };
    exact.then_some((span, read.approximate || read.uncertain))
}
