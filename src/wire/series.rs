//! Questions about statistical series, from the wire.

use super::decode::{bound, pinned, scope};
use super::filter::filter;
use super::limits::Limits;
use super::paging::{PageRequest, Paged, Turn};
use super::status::RequestError;
use crate::codec::check::{moment, optional_number};
use crate::codec::statistics::decimal;
use crate::domain::text::{TextRule, check_text};
use crate::domain::{
    AmountQualifier, Bounds, Day, EventId, Findings, Invalid, Measure, Position, Shape, StoreId, TimeSpan,
    Timestamp,
};
use crate::filter::Filter;
use crate::index::Scope;
use crate::pb;
use crate::projection::series::variant::Stated;
use crate::projection::series::{CellsAsked, CompareAsked, PeriodAsked, Selector, Span, TriangleAsked};

/// Most dimensions of a selector.
const DIMENSIONS_MAX: usize = 32;

/// Which releases, of which state of knowledge.
#[derive(Clone, Debug)]
pub struct Which {
    /// Which series and cells.
    pub selector: Selector,
    /// Which releases.
    pub filter: Filter,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
}

/// A question with pages: what is asked, and of which releases.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    /// Of which releases.
    pub which: Which,
    /// What.
    pub asked: T,
    /// Items that earlier pages gave.
    pub skip: usize,
    /// Most items.
    pub page_size: usize,
}

/// Reads a text that names something; empty = not asked.
fn name(findings: &mut Findings, field: &'static str, text: &str) {
    let rule = TextRule { min_chars: 0, max_chars: 4_500, multiline: false };
    if let Err(error) = check_text(text, rule) {
        findings.violation_at(field, error);
    }
}

/// Reads a selector; none selects every series.
pub fn selector(
    findings: &mut Findings,
    field: &'static str,
    found: Option<&pb::SeriesSelector>,
) -> Selector {
    let Some(found) = found else {
        return Selector::default();
    };
    findings.at(field, |f| {
        name(f, "dataflow", &found.dataflow);
        name(f, "series_key", &found.series_key);
        name(f, "stream", &found.stream);
        f.at("dimensions", |f| {
            if found.dimensions.len() > DIMENSIONS_MAX {
                f.violation(format_args!("must be at most {DIMENSIONS_MAX}"));
            }
            for (key, value) in &found.dimensions {
                name(f, "key", key);
                name(f, "value", value);
            }
        });
        Selector {
            dataflow: found.dataflow.clone(),
            series_key: found.series_key.clone(),
            stream: found.stream.clone(),
            dimensions: found.dimensions.clone(),
        }
    })
}

/// Reads a window of periods.
fn window(findings: &mut Findings, from: &str, to: &str) -> (i32, i32) {
    let from = bound(findings, "from", from);
    let to = bound(findings, "to", to);
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        findings.violation_at("to", "must be after from");
    }
    let from = from.map_or(Bounds::OPEN_START, Day::number);
    // A period with an open end reaches beyond every day, and is overlapped all the same.
    (from, to.map_or(i32::MAX, Day::number))
}

/// Reads a period with exact bounds.
fn period(findings: &mut Findings, field: &'static str, text: &str) -> Option<Span> {
    let exact = |span: &TimeSpan| {
        let (from, to) = (span.earliest_start?, span.latest_end?);
        span.length_days().filter(|_| !text.contains('T')).map(|_| (from, to))
    };
    match TimeSpan::parse(text, "", Some(Shape::Period), Shape::Period) {
        Ok(span) => match exact(&span) {
            Some((from, to)) => Some(Span { text: text.to_owned(), from, to }),
            None => {
                findings.violation_at(field, "must have exact bounds, for example 2022 or 2023-01/2023-09");
                None
            }
        },
        Err(error) => {
            findings.violation_at(field, error);
            None
        }
    }
}

/// Reads what is common to questions with pages.
fn listing<R: PageRequest, T>(
    method: &str,
    request: &R,
    (limits, store, head): (&Limits, StoreId, Position),
    which: impl FnOnce(&mut Findings) -> (Selector, Filter, T),
) -> Result<Paged<Listing<T>>, RequestError> {
    let mut findings = Findings::default();
    let (selector, filter, asked) = which(&mut findings);
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    let Turn { scope, after, page_size, question, history } = turn.held(method, request, store, head)?;
    let skip = after.and_then(|after| usize::try_from(after.value).ok()).unwrap_or_default();
    let which = Which { selector, filter, scope };
    Ok(Paged { request: Listing { which, asked, skip, page_size }, question, history })
}

/// What the log says of a request: limits, store and head.
pub type Held<'a> = (&'a Limits, StoreId, Position);

/// Reads a list of series.
///
/// # Errors
/// [`RequestError`].
pub fn list_series(
    request: &pb::ListSeriesRequest,
    held: Held<'_>,
) -> Result<Paged<Listing<()>>, RequestError> {
    listing("ListSeries", request, held, |f| {
        (selector(f, "series", request.series.as_ref()), filter(f, request.filter.as_ref()), ())
    })
}

/// Reads a question for cells.
///
/// # Errors
/// [`RequestError`].
pub fn get_series(
    request: &pb::GetSeriesRequest,
    held: Held<'_>,
) -> Result<Paged<Listing<CellsAsked>>, RequestError> {
    listing("GetSeries", request, held, |f| {
        let selector = selector(f, "series", request.series.as_ref());
        let filter = filter(f, request.filter.as_ref());
        let (from, to) = window(f, &request.from, &request.to);
        let pb::GetSeriesRequest { include_withdrawn, provisional_only, conflicts_only, .. } = *request;
        (selector, filter, CellsAsked { from, to, include_withdrawn, provisional_only, conflicts_only })
    })
}

/// Reads a question for a triangle.
///
/// # Errors
/// [`RequestError`].
pub fn list_vintages(
    request: &pb::ListVintagesRequest,
    held: Held<'_>,
) -> Result<Paged<Listing<TriangleAsked>>, RequestError> {
    listing("ListVintages", request, held, |f| {
        let selector = selector(f, "series", request.series.as_ref());
        let filter = filter(f, request.filter.as_ref());
        let (from, to) = window(f, &request.from, &request.to);
        let pb::ListVintagesRequest { changes_only, revised_only, .. } = *request;
        (selector, filter, TriangleAsked { from, to, changes_only, revised_only })
    })
}

/// Reads a question for rounds.
///
/// # Errors
/// [`RequestError`].
pub fn count_revisions(
    request: &pb::CountRevisionsRequest,
    held: Held<'_>,
) -> Result<Paged<Listing<()>>, RequestError> {
    listing("CountRevisions", request, held, |f| {
        (selector(f, "series", request.series.as_ref()), filter(f, request.filter.as_ref()), ())
    })
}

/// Reads a question for the value of a period.
///
/// # Errors
/// [`RequestError`].
pub fn period_value(
    request: &pb::GetPeriodValueRequest,
    head: Position,
) -> Result<(Which, PeriodAsked), RequestError> {
    let mut findings = Findings::default();
    let selector = selector(&mut findings, "series", request.series.as_ref());
    let filter = filter(&mut findings, request.filter.as_ref());
    let span = period(&mut findings, "period", &request.period);
    let scope = scope(&mut findings, request.scope.as_ref());
    findings.into_result()?;
    let span = span.ok_or_else(|| Invalid::one("period", "must be set"))?;
    let pb::GetPeriodValueRequest { absent_is_zero, first_published, .. } = *request;
    let which = Which { selector, filter, scope: pinned(scope, head)? };
    Ok((which, PeriodAsked { span, absent_is_zero, first_published }))
}

/// Two periods, and where each is looked up.
#[derive(Clone, Debug)]
pub struct Comparing {
    /// Where the period is.
    pub value: Which,
    /// Where the base period is.
    pub base: Which,
    /// The periods.
    pub asked: CompareAsked,
}

/// Reads a comparison.
///
/// # Errors
/// [`RequestError`].
pub fn compare_periods(
    request: &pb::ComparePeriodsRequest,
    head: Position,
) -> Result<Comparing, RequestError> {
    let mut findings = Findings::default();
    let f = &mut findings;
    let own = selector(f, "series", request.series.as_ref());
    let base_own = match &request.base_series {
        Some(found) => selector(f, "base_series", Some(found)),
        None => own.clone(),
    };
    let filter = filter(f, request.filter.as_ref());
    let base = period(f, "base_period", &request.base_period);
    let span = period(f, "period", &request.period);
    let own_scope = scope(f, request.scope.as_ref());
    let base_scope = match &request.base_scope {
        Some(found) => base_scope_of(f, found),
        None => own_scope,
    };
    let measure = optional_number(f, "measure", request.measure, Measure::from_number);
    let result = decimal(f, "stated", request.stated.as_ref());
    let qualifier =
        optional_number(f, "stated_qualifier", request.stated_qualifier, AmountQualifier::from_number);
    findings.into_result()?;
    let own_scope = pinned(own_scope, head)?;
    let base_scope = match base_scope.as_of {
        Position::ZERO => Scope { as_of: own_scope.as_of, ..base_scope },
        _ => pinned(base_scope, head)?,
    };
    let (base, period) =
        base.zip(span).ok_or_else(|| Invalid::one("period", "must be set, as must base_period"))?;
    let stated = Stated { measure: measure.unwrap_or(Measure::PercentChange), result, qualifier };
    Ok(Comparing {
        value: Which { selector: own, filter: filter.clone(), scope: own_scope },
        base: Which { selector: base_own, filter, scope: base_scope },
        asked: CompareAsked { base, period, absent_is_zero: request.absent_is_zero, stated },
    })
}

/// Reads the scope of the base; `as_of` 0 is left 0.
fn base_scope_of(findings: &mut Findings, found: &pb::Scope) -> Scope {
    let known_at = findings.at("base_scope", |f| moment(f, "known_at", found.known_at.as_ref()));
    Scope { as_of: Position(found.as_of_position), known_at: known_at.unwrap_or(Timestamp::MAX) }
}

/// The claims of an event, and where they are looked up.
#[derive(Clone, Debug)]
pub struct Claiming {
    /// The event.
    pub event_id: EventId,
    /// The series, if named.
    pub selector: Option<Selector>,
    /// Which releases.
    pub filter: Filter,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Whether what is not known counts as zero.
    pub absent_is_zero: bool,
}

/// Reads a check of claims.
///
/// # Errors
/// [`RequestError`].
pub fn check_claim(request: &pb::CheckClaimRequest, head: Position) -> Result<Claiming, RequestError> {
    let mut findings = Findings::default();
    let f = &mut findings;
    let event_id = EventId::parse(&request.event_id).map_err(|error| f.violation_at("event_id", error)).ok();
    let selector = request.series.as_ref().map(|found| selector(f, "series", Some(found)));
    let filter = filter(f, request.filter.as_ref());
    let scope = scope(f, request.scope.as_ref());
    findings.into_result()?;
    let event_id = event_id.ok_or_else(|| Invalid::one("event_id", "must be a UUID"))?;
    let scope = pinned(scope, head)?;
    Ok(Claiming { event_id, selector, filter, scope, absent_is_zero: request.absent_is_zero })
}
