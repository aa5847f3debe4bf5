//! Questions about funding, from the wire.

use super::decode::{pinned, scope, window};
use super::filter::filter;
use super::limits::{GROUPS_MAX, Limits};
use super::paging::{Paged, Turn};
use super::status::RequestError;
use crate::codec::check::optional_number;
use crate::domain::text::{TextRule, check_text};
use crate::domain::{Currency, Findings, Kind, Position, Role, Stage, StoreId, TermField};
use crate::filter::{FILTER_VALUES_MAX, Filter, Needle};
use crate::pb;
use crate::projection::funding::{Dimension, Order, Question, RowRequest, SummaryRequest};

/// Rows unless asked otherwise.
const ROWS_DEFAULT: usize = 100;
/// Most characters of an id or a stream's name.
const ID: TextRule = TextRule { min_chars: 1, max_chars: 4_500, multiline: false };

/// Reads a filter of transfers; each clause holds if one of its terms is there.
fn transfers(
    findings: &mut Findings,
    found: Option<&pb::Filter>,
    clauses: impl IntoIterator<Item = Vec<Vec<u8>>>,
) -> Filter {
    let mut read = filter(findings, found);
    let asked = clauses.into_iter().filter(|clause| !clause.is_empty());
    read.clauses.extend(asked.map(|clause| clause.into_iter().map(Needle::Term).collect()));
    if read.value_count() > FILTER_VALUES_MAX {
        findings.violation_at(
            "filter",
            format_args!("must have at most {FILTER_VALUES_MAX} values with all ids"),
        );
    }
    // After the count of what the client asks.
    let kind = TermField::Kind.term(&Kind::FundingTransfer.number().to_string());
    read.clauses.push(vec![Needle::Term(kind)]);
    read
}

fn in_role(role: Role, id: &str) -> Vec<u8> {
    TermField::Participation.term(&format!("{}:{id}", role.number()))
}

fn participants(findings: &mut Findings, field: &'static str, role: Role, ids: &[String]) -> Vec<Vec<u8>> {
    for (index, id) in ids.iter().enumerate() {
        if let Err(error) = check_text(id, ID) {
            findings.at_index(field, index, |f| f.violation(error));
        }
    }
    ids.iter().map(|id| in_role(role, id)).collect()
}

fn dimensions(findings: &mut Findings, found: &[i32]) -> Vec<Dimension> {
    let mut read = Vec::with_capacity(found.len());
    for (index, number) in found.iter().enumerate() {
        match Dimension::from_number(*number) {
            Some(dimension) if read.contains(&dimension) => {
                findings.at_index("group_by", index, |f| f.violation("must not stand twice"));
            }
            Some(dimension) => read.push(dimension),
            None => findings.at_index("group_by", index, |f| f.violation("must be a known dimension")),
        }
    }
    read
}

/// Reads a summary.
///
/// # Errors
/// [`RequestError`].
pub fn summary(
    request: &pb::SummarizeFundingRequest,
    head: Position,
) -> Result<SummaryRequest, RequestError> {
    let mut findings = Findings::default();
    let parties = [
        participants(&mut findings, "provider_ids", Role::Provider, &request.provider_ids),
        participants(&mut findings, "receiver_ids", Role::Receiver, &request.receiver_ids),
    ];
    let filter = transfers(&mut findings, request.filter.as_ref(), parties);
    let window = window(&mut findings, request.valid.as_ref());
    let scope = scope(&mut findings, request.scope.as_ref());
    let group_by = dimensions(&mut findings, &request.group_by);
    let row_limit = match usize::try_from(request.row_limit) {
        Ok(0) => ROWS_DEFAULT,
        Ok(limit) if limit <= GROUPS_MAX => limit,
        Ok(_) | Err(_) => {
            findings.violation_at("row_limit", format_args!("must lie in 0 to {GROUPS_MAX}"));
            ROWS_DEFAULT
        }
    };
    let order = optional_number(&mut findings, "order", request.order, |number| match number {
        1 => Some(Order::Key),
        2 => Some(Order::Count),
        3 => Some(Order::Amount),
        _ => None,
    });
    findings.into_result()?;
    let scope = pinned(scope, head)?;
    let question =
        Question { filter, window, scope, exclude_duplicates: request.exclude_suspected_duplicates };
    Ok(SummaryRequest { question, group_by, row_limit, order: order.unwrap_or_default() })
}

/// Reads a list of the transfers behind a row.
///
/// # Errors
/// [`RequestError`].
pub fn list_transfers(
    request: &pb::ListTransfersRequest,
    limits: &Limits,
    store: StoreId,
    head: Position,
) -> Result<Paged<RowRequest>, RequestError> {
    let mut findings = Findings::default();
    let parties = [
        participants(&mut findings, "provider_ids", Role::Provider, &request.provider_ids),
        participants(&mut findings, "receiver_ids", Role::Receiver, &request.receiver_ids),
    ];
    let filter = transfers(&mut findings, request.filter.as_ref(), parties);
    let window = window(&mut findings, request.valid.as_ref());
    let turn = Turn::read(&mut findings, request, limits);
    let group_by = dimensions(&mut findings, &request.group_by);
    if !request.key.is_empty() && request.key.len() != request.group_by.len() {
        findings.violation_at("key", "must have one value for each of group_by");
    }
    let key = (!request.key.is_empty())
        .then(|| request.key.iter().map(|key| key.values.clone()).collect::<Vec<Vec<String>>>());
    let stage = optional_number(&mut findings, "stage", request.stage, Stage::from_number);
    let currency = (!request.currency_code.is_empty()).then(|| Currency::parse(&request.currency_code));
    if let Some(Err(error)) = &currency {
        findings.violation_at("currency_code", error);
    }
    if request.only_suspected_duplicates && request.exclude_suspected_duplicates {
        findings
            .violation_at("only_suspected_duplicates", "must not be set with exclude_suspected_duplicates");
    }
    findings.into_result()?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("ListTransfers", request, store, head)?;
    let asked = Question { filter, window, scope, exclude_duplicates: request.exclude_suspected_duplicates };
    let request = RowRequest {
        question: asked,
        group_by,
        key,
        stage: stage.map(Stage::number),
        currency: currency.and_then(Result::ok).map(Currency::code_bytes),
        only_duplicates: request.only_suspected_duplicates,
        after: after.map_or(Position::ZERO, |key| key.position),
        page_size,
    };
    Ok(Paged { request, question, history })
}

/// Reads a comparison.
///
/// # Errors
/// [`RequestError`].
pub fn comparison(request: &pb::CompareFundingRequest, head: Position) -> Result<Question, RequestError> {
    let mut findings = Findings::default();
    let mut clauses = Vec::new();
    for (field, text, term) in [
        ("stream", &request.stream, TermField::Stream.term(&request.stream)),
        ("activity_id", &request.activity_id, TermField::ActivityId.term(&request.activity_id)),
        ("provider_id", &request.provider_id, in_role(Role::Provider, &request.provider_id)),
        ("receiver_id", &request.receiver_id, in_role(Role::Receiver, &request.receiver_id)),
    ] {
        if text.is_empty() {
            continue;
        }
        if let Err(error) = check_text(text, ID) {
            findings.violation_at(field, error);
        }
        clauses.push(vec![term]);
    }
    if clauses.is_empty() {
        findings.violation("must name a stream, an activity_id, a provider_id or a receiver_id");
    }
    let filter = transfers(&mut findings, request.filter.as_ref(), clauses);
    let window = window(&mut findings, request.valid.as_ref());
    let scope = scope(&mut findings, request.scope.as_ref());
    findings.into_result()?;
    let scope = pinned(scope, head)?;
    Ok(Question { filter, window, scope, exclude_duplicates: request.exclude_suspected_duplicates })
}
