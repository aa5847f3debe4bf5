//! Questions of visits, from the wire.

use super::agreements::{Named, named, numbers};
use super::decode::{bound, pinned, scope, window};
use super::filter::filter;
use super::limits::Limits;
use super::paging::{Paged, Turn};
use super::status::RequestError;
use crate::codec::check::optional_number;
use crate::domain::{Day, Findings, Position, StoreId};
use crate::filter::FILTER_VALUES_MAX;
use crate::index::Scope;
use crate::pb;
use crate::pb::list_visits_request::Order;
use crate::pb::visit::Status;
use crate::projection::visits::VisitQuery;
use crate::projection::visits::list::Walk;
use crate::timeline;

/// A question for one visit.
#[derive(Clone, Debug)]
pub struct VisitRequest {
    /// Which.
    pub name: Named,
    /// The day by which a plan is overdue.
    pub day: i32,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
}

/// Reads a question for one visit; `today` is the day where none is given.
///
/// # Errors
/// [`RequestError`].
pub fn get_visit(
    request: &pb::GetVisitRequest,
    today: Day,
    head: Position,
) -> Result<VisitRequest, RequestError> {
    let mut findings = Findings::default();
    let name = named(&mut findings, &request.stream, ("visit_id", &request.visit_id));
    let day = bound(&mut findings, "on", &request.on).unwrap_or(today).number();
    let scope = scope(&mut findings, request.scope.as_ref());
    findings.into_result()?;
    let name = name.ok_or_else(|| RequestError::NothingStands(String::new()))?;
    Ok(VisitRequest { name, day, scope: pinned(scope, head)? })
}

/// A page of visits.
#[derive(Clone, Debug)]
pub struct VisitsRequest {
    /// Which visits.
    pub query: VisitQuery,
    /// Where the page begins.
    pub walk: Walk,
}

/// Reads a list of visits; `today` is the day where none is given.
///
/// # Errors
/// [`RequestError`].
pub fn list_visits(
    request: &pb::ListVisitsRequest,
    limits: &Limits,
    today: Day,
    (store, head): (StoreId, Position),
) -> Result<Paged<VisitsRequest>, RequestError> {
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let window = window(&mut findings, request.valid.as_ref());
    let day = bound(&mut findings, "on", &request.on).unwrap_or(today).number();
    let statuses = numbers(&mut findings, "statuses", &request.statuses, |n| Status::try_from(n).ok());
    let order = optional_number(&mut findings, "order", request.order, |n| Order::try_from(n).ok());
    for (field, values) in [
        ("persons", &request.persons),
        ("visitors", &request.visitors),
        ("hosts", &request.hosts),
        ("offices", &request.offices),
        ("countries", &request.countries),
        ("places", &request.places),
        ("met", &request.met),
    ] {
        few(&mut findings, field, values);
    }
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("ListVisits", request, store, head)?;
    let order = match order {
        Some(Order::StartDescending) => timeline::Order::ValidStartDescending,
        Some(Order::Start | Order::Unspecified) | None => timeline::Order::ValidStart,
    };
    let lower = |values: &[String]| values.iter().map(|value| value.to_lowercase()).collect();
    let query = VisitQuery {
        filter,
        persons: request.persons.clone(),
        visitors: request.visitors.clone(),
        hosts: request.hosts.clone(),
        offices: lower(&request.offices),
        countries: request.countries.clone(),
        places: request.places.iter().flat_map(|place| [place.clone(), place.to_lowercase()]).collect(),
        met: request.met.clone(),
        statuses,
        overdue_only: request.overdue_only,
        suspects_only: request.duplicate_suspects_only,
        day,
    };
    let walk = Walk { scope, window, order, after, page_size };
    Ok(Paged { request: VisitsRequest { query, walk }, question, history })
}

/// A page of meetings.
#[derive(Clone, Debug)]
pub struct MeetingsRequest {
    /// On which visits.
    pub query: VisitQuery,
    /// Where the page begins.
    pub walk: Walk,
    /// Keys of entities that are met.
    pub counterparts: Vec<String>,
    /// Keys of entities that travel or are met.
    pub persons: Vec<String>,
}

/// Reads a list of meetings.
///
/// # Errors
/// [`RequestError`].
pub fn list_meetings(
    request: &pb::ListMeetingsRequest,
    limits: &Limits,
    (store, head): (StoreId, Position),
) -> Result<Paged<MeetingsRequest>, RequestError> {
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let window = window(&mut findings, request.valid.as_ref());
    let mut statuses = numbers(&mut findings, "statuses", &request.statuses, |n| Status::try_from(n).ok());
    for (field, values) in [
        ("visitors", &request.visitors),
        ("counterparts", &request.counterparts),
        ("persons", &request.persons),
    ] {
        few(&mut findings, field, values);
    }
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("ListMeetings", request, store, head)?;
    if statuses.is_empty() {
        statuses = vec![
            Status::Unspecified,
            Status::Tentative,
            Status::Scheduled,
            Status::UnderWay,
            Status::Completed,
            Status::Postponed,
        ];
    }
    let query = VisitQuery { filter, visitors: request.visitors.clone(), statuses, ..VisitQuery::default() };
    let walk = Walk { scope, window, order: timeline::Order::ValidStart, after, page_size };
    let (counterparts, persons) = (request.counterparts.clone(), request.persons.clone());
    Ok(Paged { request: MeetingsRequest { query, walk, counterparts, persons }, question, history })
}

/// Holds typed selectors to the limit of a filter, and to values.
fn few(findings: &mut Findings, field: &'static str, values: &[String]) {
    if values.len() > FILTER_VALUES_MAX {
        let given = values.len();
        findings
            .violation_at(field, format_args!("must have at most {FILTER_VALUES_MAX} values, has {given}"));
    }
    for (index, _) in values.iter().enumerate().filter(|(_, value)| value.is_empty()) {
        findings.at_index(field, index, |f| f.violation("must not be empty"));
    }
}
