//! Questions of provenance, from the wire, and their answers.

use super::decode::{pinned, scope};
use super::encode;
use super::filter::filter;
use super::limits::{Limits, RESPONSE_BYTES_MAX};
use super::paging::{Paged, Turn};
use super::status::RequestError;
use crate::domain::text::{TextRule, check_text};
use crate::domain::{EventId, Findings, Invalid, LinkType, Position, StoreId, TermField};
use crate::pb;
use crate::projection::provenance::{
    Carried, DEPTH_DEFAULT, DEPTH_MAX, DERIVATIONS, Dependent, Dependents, FOUNDATIONS, LineageQuery, Node,
    Root,
};

/// A question for what an event rests on.
#[derive(Clone, Debug)]
pub struct LineageRequest {
    /// The event.
    pub event_id: EventId,
    /// What to trace.
    pub query: LineageQuery,
}

/// Reads a question for what an event rests on.
///
/// # Errors
/// [`RequestError`].
pub fn get_lineage(request: &pb::GetLineageRequest, head: Position) -> Result<LineageRequest, RequestError> {
    let mut findings = Findings::default();
    let id = EventId::parse(&request.event_id).map_err(|error| findings.violation_at("event_id", error)).ok();
    name(&mut findings, "field", &request.field);
    let follow = follow(&mut findings, &request.link_types, FOUNDATIONS);
    let depth = depth(&mut findings, request.depth);
    let scope = scope(&mut findings, request.scope.as_ref());
    findings.into_result()?;
    let event_id = id.ok_or_else(|| Invalid::one("event_id", "must be a UUID"))?;
    let (field, scope) = (request.field.clone(), pinned(scope, head)?);
    let query = LineageQuery { field, follow, depth, scope, bytes_max: RESPONSE_BYTES_MAX };
    Ok(LineageRequest { event_id, query })
}

/// A page of dependents.
#[derive(Clone, Debug)]
pub struct DependentsRequest {
    /// Which.
    pub query: Dependents,
    /// Most on a page.
    pub page_size: usize,
}

/// Reads a question for what rests on something.
///
/// # Errors
/// [`RequestError`].
pub fn list_dependents(
    request: &pb::ListDependentsRequest,
    limits: &Limits,
    (store, head): (StoreId, Position),
) -> Result<Paged<DependentsRequest>, RequestError> {
    let mut findings = Findings::default();
    let root = root(&mut findings, request);
    let follow = follow(&mut findings, &request.link_types, DERIVATIONS);
    let depth = depth(&mut findings, request.depth);
    let filter = filter(&mut findings, request.filter.as_ref());
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    let root = root.ok_or_else(|| Invalid::one("event_id", "must be a UUID"))?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("ListDependents", request, store, head)?;
    let after = after.map(|key| (u32::try_from(key.value).unwrap_or(u32::MAX), key.position));
    let include_closed = request.include_closed;
    let query = Dependents { root, follow, depth, filter, include_closed, scope, after };
    Ok(Paged { request: DependentsRequest { query, page_size }, question, history })
}

fn root(findings: &mut Findings, request: &pb::ListDependentsRequest) -> Option<Root> {
    let sources = [
        ("source_id", TermField::Source, &request.source_id),
        ("publisher_id", TermField::Publisher, &request.publisher_id),
        ("attributed_to", TermField::Attribution, &request.attributed_to),
    ];
    let mut roots = Vec::new();
    if !request.event_id.is_empty() {
        let id = EventId::parse(&request.event_id);
        roots.push(id.map(Root::Event).map_err(|error| findings.violation_at("event_id", error)).ok());
    }
    for (field, term, value) in sources.into_iter().filter(|(_, _, value)| !value.is_empty()) {
        name(findings, field, value);
        roots.push(Some(Root::Source(term, value.clone())));
    }
    if roots.len() != 1 {
        findings.violation_at(
            "event_id",
            "exactly one of event_id, source_id, publisher_id and attributed_to must be set",
        );
    }
    roots.pop().flatten()
}

fn name(findings: &mut Findings, field: &'static str, text: &str) {
    let rule = TextRule { min_chars: 0, max_chars: 4_500, multiline: false };
    if let Err(error) = check_text(text, rule) {
        findings.violation_at(field, error);
    }
}

fn depth(findings: &mut Findings, asked: Option<i32>) -> u32 {
    match asked.map(u32::try_from) {
        None => DEPTH_DEFAULT,
        Some(Ok(depth)) if depth <= DEPTH_MAX => depth,
        Some(Ok(_) | Err(_)) => {
            findings.violation_at("depth", format_args!("must be 0 to {DEPTH_MAX}"));
            DEPTH_DEFAULT
        }
    }
}

/// Reads which links lead to a foundation.
fn follow(findings: &mut Findings, asked: &[i32], default: &[LinkType]) -> Vec<LinkType> {
    if asked.is_empty() {
        return default.to_vec();
    }
    let mut follow = Vec::new();
    for (index, number) in asked.iter().enumerate() {
        match LinkType::from_number(*number) {
            Some(LinkType::ClaimedCause) => findings.at_index("link_types", index, |f| {
                f.violation("must not be CLAIMED_CAUSE: a claimed cause is no foundation");
            }),
            Some(link_type) => follow.push(link_type),
            None => findings.at_index("link_types", index, |f| f.violation("must be a type of link")),
        }
    }
    follow
}

/// Writes a link.
#[must_use]
pub fn link(from: &str, carried: Carried, followed: bool, resolved: bool) -> pb::ProvenanceLink {
    let Carried { field, link, .. } = carried;
    pb::ProvenanceLink { from_event_id: from.to_owned(), field, link: Some(link), followed, resolved }
}

/// Writes a node, and its links; `replaced_by` names the events in its place.
#[must_use]
pub fn node(
    node: Node,
    replaced_by: Vec<String>,
    query: &LineageQuery,
) -> (pb::LineageNode, Vec<pb::ProvenanceLink>) {
    let links = node.links.into_iter().map(|(carried, resolved)| {
        let followed = resolved && query.follow.contains(&carried.link_type);
        link(&node.event.id, carried, followed, resolved)
    });
    let links = links.collect();
    let sources = node.sources.iter().map(|index| i32::try_from(*index).unwrap_or(i32::MAX));
    let written = pb::LineageNode {
        event: Some(node.event),
        status: encode::status(node.status).into(),
        distance: i32::try_from(node.distance).unwrap_or(i32::MAX),
        source_indexes: sources.collect(),
        replaced_by,
    };
    (written, links)
}

/// Writes a dependent.
#[must_use]
pub fn dependent(found: Dependent) -> pb::Dependent {
    let id = found.event.id.clone();
    pb::Dependent {
        event: Some(found.event),
        status: encode::status(found.status).into(),
        distance: i32::try_from(found.distance).unwrap_or(i32::MAX),
        via: found.via.into_iter().map(|carried| link(&id, carried, true, true)).collect(),
    }
}
