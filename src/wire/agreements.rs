//! Questions of agreements, from the wire, and answers to them.

use super::decode::{bound, pinned, scope};
use super::filter::filter;
use super::limits::Limits;
use super::paging::{Paged, Turn};
use super::status::RequestError;
use crate::codec::check::optional_number;
use crate::domain::{Day, Findings, Position, StoreId, StreamName};
use crate::index::Scope;
use crate::pb;
use crate::pb::agreement_state::{Certainty, DateBasis, Status, Verdict};
use crate::pb::anomaly::Code;
use crate::pb::list_agreements_request::Order;
use crate::projection::agreements::{AgreementOrder, AgreementQuery, Basis, Listed};
use crate::projection::civil::date_of;
use crate::timeline::Key;

/// Most parties that a question names.
pub const BETWEEN_MAX: usize = 20;

/// How a question names an agreement or a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// By its stream.
    Stream(StreamName),
    /// By the identifier that its events carry.
    Id(String),
}

/// Reads a name: of two fields one must be set.
pub fn named(findings: &mut Findings, stream: &str, id: (&'static str, &str)) -> Option<Named> {
    match (stream.is_empty(), id.1.is_empty()) {
        (false, true) => match StreamName::parse(stream) {
            Ok(stream) => Some(Named::Stream(stream)),
            Err(error) => {
                findings.violation_at("stream", error);
                None
            }
        },
        (true, false) => Some(Named::Id(id.1.to_owned())),
        (true, true) | (false, false) => {
            findings.violation_at("stream", format_args!("exactly one of stream and {} must be set", id.0));
            None
        }
    }
}

/// A question for one agreement.
#[derive(Clone, Debug)]
pub struct AgreementRequest {
    /// Which.
    pub name: Named,
    /// On which day.
    pub day: i32,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Which date of an act counts.
    pub basis: Basis,
}

fn basis(findings: &mut Findings, number: i32) -> Basis {
    match optional_number(findings, "date_basis", number, |n| DateBasis::try_from(n).ok()) {
        Some(DateBasis::EffectiveDate) => Basis::Effective,
        Some(DateBasis::ActDate | DateBasis::Unspecified) | None => Basis::Act,
    }
}

/// Reads a question for one agreement; `today` is the day where none is given.
///
/// # Errors
/// [`RequestError`].
pub fn get_agreement(
    request: &pb::GetAgreementRequest,
    today: Day,
    head: Position,
) -> Result<AgreementRequest, RequestError> {
    let mut findings = Findings::default();
    let name = named(&mut findings, &request.stream, ("agreement_id", &request.agreement_id));
    let day = bound(&mut findings, "on", &request.on).unwrap_or(today).number();
    let scope = scope(&mut findings, request.scope.as_ref());
    let basis = basis(&mut findings, request.date_basis);
    findings.into_result()?;
    let name = name.ok_or_else(|| RequestError::NothingStands(String::new()))?;
    Ok(AgreementRequest { name, day, scope: pinned(scope, head)?, basis })
}

/// A page of agreements: the question, and how many were shown before.
#[derive(Clone, Debug)]
pub struct AgreementsRequest {
    /// Which agreements.
    pub query: AgreementQuery,
    /// How many stand on earlier pages.
    pub skip: usize,
    /// Most agreements.
    pub page_size: usize,
}

/// Reads a list of agreements; `today` is the day where none is given.
///
/// # Errors
/// [`RequestError`].
pub fn list_agreements(
    request: &pb::ListAgreementsRequest,
    limits: &Limits,
    today: Day,
    (store, head): (StoreId, Position),
) -> Result<Paged<AgreementsRequest>, RequestError> {
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    if request.between.len() > BETWEEN_MAX {
        let given = request.between.len();
        findings.violation_at("between", format_args!("must have at most {BETWEEN_MAX} values, has {given}"));
    }
    for (index, entity) in request.between.iter().enumerate().filter(|(_, entity)| entity.is_empty()) {
        findings.at_index("between", index, |f| f.violation(format_args!("must not be `{entity}`, empty")));
    }
    let in_force_on = bound(&mut findings, "in_force_on", &request.in_force_on);
    let on = bound(&mut findings, "on", &request.on).or(in_force_on);
    let verdict = optional_number(&mut findings, "in_force", request.in_force, |n| Verdict::try_from(n).ok());
    let verdict = verdict.filter(|verdict| *verdict != Verdict::Unspecified);
    if verdict == Some(Verdict::No) || (verdict.is_some() && in_force_on.is_none()) {
        findings.violation_at("in_force", "must be YES or POSSIBLY, and only with in_force_on");
    }
    let statuses = numbers(&mut findings, "statuses", &request.statuses, |n| Status::try_from(n).ok());
    let certainty =
        optional_number(&mut findings, "certainty", request.certainty, |n| Certainty::try_from(n).ok());
    let anomalies = numbers(&mut findings, "anomalies", &request.anomalies, |n| Code::try_from(n).ok());
    let order = optional_number(&mut findings, "order", request.order, |n| Order::try_from(n).ok());
    let basis = basis(&mut findings, request.date_basis);
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("ListAgreements", request, store, head)?;
    let (skip, pinned_day) = after.map_or((0, None), place);
    let day = on.or(pinned_day).unwrap_or(today).number();
    let query = AgreementQuery {
        filter,
        between: request.between.clone(),
        day,
        in_force: in_force_on.map(|on| (on.number(), verdict)),
        statuses,
        certainty: certainty.filter(|certainty| *certainty != Certainty::Unspecified),
        anomalies: anomalies.into_iter().map(i32::from).collect(),
        order: match order {
            Some(Order::FirstAct) => AgreementOrder::FirstAct,
            Some(Order::FirstActDescending) => AgreementOrder::FirstActDescending,
            Some(Order::Stream | Order::Unspecified) | None => AgreementOrder::Stream,
        },
        basis,
        scope,
    };
    Ok(Paged { request: AgreementsRequest { query, skip, page_size }, question, history })
}

/// Reads numbers of an enum; 0 is none of its values.
pub fn numbers<T>(
    findings: &mut Findings,
    field: &'static str,
    numbers: &[i32],
    known: impl Fn(i32) -> Option<T>,
) -> Vec<T> {
    let mut read = Vec::with_capacity(numbers.len());
    for (index, number) in numbers.iter().enumerate() {
        match known(*number).filter(|_| *number != 0) {
            Some(value) => read.push(value),
            None => findings.at_index(field, index, |f| {
                f.violation(format_args!("has the unknown number {number}"));
            }),
        }
    }
    read
}

/// Writes how many agreements stand on the pages so far, and the day of the first page: midnight must not move it.
#[must_use]
pub fn key(shown: usize, day: i32) -> Key {
    let position = u64::try_from(i64::from(day) - i64::from(i32::MIN)).unwrap_or_default();
    Key { value: i64::try_from(shown).unwrap_or(i64::MAX), position: Position(position) }
}

fn place(key: Key) -> (usize, Option<Day>) {
    let day =
        i64::try_from(key.position.0).ok().and_then(|day| i32::try_from(day + i64::from(i32::MIN)).ok());
    (usize::try_from(key.value).unwrap_or(usize::MAX), day.map(Day::from_number))
}

/// Writes counts over all pages.
#[must_use]
pub fn counted(listed: &Listed, day: i32, snapshot: Position) -> pb::ListAgreementsResponse {
    let wide = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let statuses = listed.statuses.iter().map(|((status, certainty), count)| pb::StatusCount {
        status: (*status).into(),
        certainty: (*certainty).into(),
        count: wide(*count),
    });
    let anomalies =
        listed.anomalies.iter().map(|(code, count)| pb::AnomalyCount { code: *code, count: wide(*count) });
    pb::ListAgreementsResponse {
        total_count: i64::try_from(listed.total).unwrap_or(i64::MAX),
        status_counts: statuses.collect(),
        anomaly_counts: anomalies.collect(),
        on: date_of(day),
        snapshot: snapshot.0,
        ..pb::ListAgreementsResponse::default()
    }
}
