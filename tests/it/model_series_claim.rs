//! What becomes of claims, of the model.

use annals::domain::{Shape, TimeSpan};
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::period_comparison::{Basis as Way, Variant, Verdict};

use super::{Days, Question, Sides, Tables, calendar, period_value};
use crate::model::timeline::in_scope;
use crate::model::{Model, Recorded};
use crate::model_series::{Asked, Number, decimal, percent, tables, thousandths};
use crate::random_series::claims::series_of;

/// Text, days, and whether it is marked as uncertain, of a period with exact bounds.
fn days_of(found: Option<&pb::TimeSpan>) -> Option<(String, Days, bool)> {
    let found = found?;
    let span = TimeSpan::parse(&found.edtf, "", Some(Shape::Period), Shape::Period).unwrap();
    let days = (span.earliest_start?, span.latest_end?);
    let exact = span.latest_start == Some(days.0) && span.earliest_end == Some(days.1);
    exact.then(|| (found.edtf.clone(), days, span.approximate || span.uncertain))
}

/// The field, the comparison, and the events that the claim is about.
fn stated(event: &pb::Event) -> Vec<(String, pb::Comparison, Vec<String>)> {
    let ids = |links: &[pb::Link]| links.iter().map(|link| link.event_id.clone()).collect::<Vec<_>>();
    let mut found = Vec::new();
    match &event.payload {
        Some(Payload::StatisticalRelease(release)) => {
            for (index, stated) in release.comparisons.iter().enumerate() {
                let field = format!("statistical_release.comparisons[{index}]");
                found.push((field, stated.clone(), Vec::new()));
            }
        }
        Some(Payload::Statement(statement)) => {
            for (index, claim) in statement.claims.iter().enumerate() {
                if let Some(stated) = &claim.comparison {
                    let field = format!("statement.claims[{index}].comparison");
                    found.push((field, stated.clone(), [ids(&claim.about), ids(&event.links)].concat()));
                }
            }
        }
        _ => {}
    }
    found
}

/// The series that a claim can be held against.
fn selectors(
    model: &Model,
    event: &Recorded,
    about: &[String],
    asked: &Asked,
    named: bool,
) -> Vec<pb::SeriesSelector> {
    if named {
        return vec![asked.series.clone()];
    }
    if let Some(own) = series_of(event) {
        return vec![own];
    }
    let mut found = Vec::new();
    for id in about {
        let target = model.events.iter().find(|other| other.id.to_string() == *id);
        let target =
            target.filter(|other| other.is_entry() && in_scope(other.position, other.known_at, asked.scope));
        if let Some(selector) = target.and_then(series_of)
            && !found.contains(&selector)
        {
            found.push(selector);
        }
    }
    found
}

fn by_values(
    question: &Question<'_>,
    base: (&str, Days, bool),
    value: (&str, Days, bool),
    (one, two): (Number, Number),
) -> Variant {
    let (first, second, decimals) = one.aligned(two);
    let percent_change = percent(one, two);
    let computed = match question.request.measure {
        1 => percent_change.clone(),
        3 => thousandths(second, first),
        2 | 4 => thousandths(second - first, 10_i128.pow(decimals)),
        _ => None,
    };
    Variant {
        basis: Way::AsAsked.into(),
        base_period: base.0.to_owned(),
        period: value.0.to_owned(),
        base_value: decimal(one.text()),
        value: decimal(two.text()),
        absolute_change: decimal(two.minus(one).text()),
        percent_change: percent_change.and_then(decimal),
        verdict: question.verdict(computed.as_deref(), (one, two)).into(),
        computed: computed.and_then(decimal),
        comparable: calendar(base.1) == calendar(value.1) && !base.2 && !value.2,
    }
}

fn check_one(stated: &pb::Comparison, books: &[Tables<'_>], absent_is_zero: bool) -> pb::CheckedClaim {
    let (base, value) = (days_of(stated.base_period.as_ref()), days_of(stated.period.as_ref()));
    let mut request = pb::ComparePeriodsRequest {
        absent_is_zero,
        measure: stated.measure,
        stated: stated.stated.clone(),
        stated_qualifier: stated.stated_qualifier,
        ..pb::ComparePeriodsRequest::default()
    };
    let (mut from_stated_values, mut from_series) = (None, None);
    if let (Some(base), Some(value)) = (&base, &value) {
        request.base_period.clone_from(&base.0);
        request.period.clone_from(&value.0);
        let book = |text: &str, days: Days| {
            let knows = |book: &&Tables<'_>| period_value(book, text, days, false, false).number.is_some();
            books.iter().find(knows).or(books.first()).cloned().unwrap_or_default()
        };
        let (own, own_base) = (book(&value.0, value.1), book(&base.0, base.1));
        let sides = Sides {
            base: own_base.clone(),
            value: own.clone(),
            base_other: Some(own),
            value_other: Some(own_base),
        };
        let question = Question { sides: &sides, request: &request };
        if let (Some(one), Some(two)) = (&stated.base_value, &stated.value) {
            let numbers = (Number::read(&one.value), Number::read(&two.value));
            let (base, value) = ((base.0.as_str(), base.1, base.2), (value.0.as_str(), value.1, value.2));
            from_stated_values = Some(by_values(&question, base, value, numbers));
        }
        from_series = (!books.is_empty()).then(|| question.compare());
    }
    let verdicts = [
        from_stated_values.as_ref().map(Variant::verdict),
        from_series.as_ref().map(pb::PeriodComparison::verdict),
    ];
    let met = |wanted: Verdict| verdicts.contains(&Some(wanted));
    let partly = met(Verdict::HoldsPartly);
    let asked = stated.stated.is_some() || stated.measure >= 5;
    let verdict = match (met(Verdict::Holds) || partly, met(Verdict::ClaimMismatch) || partly) {
        (true, true) => Verdict::HoldsPartly,
        (true, false) => Verdict::Holds,
        (false, true) => Verdict::ClaimMismatch,
        (false, false) if asked => Verdict::Uncheckable,
        (false, false) => Verdict::Unspecified,
    };
    pb::CheckedClaim {
        field: String::new(),
        stated: Some(stated.clone()),
        from_stated_values,
        from_series,
        verdict: verdict.into(),
    }
}

/// Checks every claim of an event.
pub(crate) fn check(
    model: &Model,
    event: &Recorded,
    asked: &Asked,
    named: bool,
    absent_is_zero: bool,
) -> Vec<pb::CheckedClaim> {
    let mut checked = Vec::new();
    for (field, stated, about) in stated(&event.event) {
        let selectors = selectors(model, event, &about, asked, named).into_iter();
        let books: Vec<Tables<'_>> =
            selectors.map(|series| tables(model, &Asked { series, ..asked.clone() })).collect();
        checked.push(pb::CheckedClaim { field, ..check_one(&stated, &books, absent_is_zero) });
    }
    checked
}
