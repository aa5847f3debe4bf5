//! Differences, from the wire and to it.

use super::decode::{order, scope_at, window, within};
use super::encode;
use super::filter::filter;
use super::limits::Limits;
use super::paging::{PageRequest, Paged, Turn};
use super::status::RequestError;
use crate::codec::check::moment_of;
use crate::domain::{Findings, Position, StoreId};
use crate::index::Scope;
use crate::pb;
use crate::timeline::{Cause, Diff, DiffRequest};

/// Most causes that a difference lists.
pub const CAUSES_MAX: usize = 20;

impl PageRequest for pb::DiffEntriesRequest {
    const SCOPE: &'static str = "after";

    fn scope(&self) -> Option<&pb::Scope> {
        self.after.as_ref()
    }
    fn page_size(&self) -> i32 {
        self.page_size
    }
    fn page_token(&self) -> &str {
        &self.page_token
    }
    fn without_page(&self) -> Self {
        Self { page_size: 0, page_token: String::new(), ..self.clone() }
    }
}

/// Reads a comparison.
///
/// # Errors
/// [`RequestError`].
pub fn diff_entries(
    request: &pb::DiffEntriesRequest,
    limits: &Limits,
    store: StoreId,
    head: Position,
) -> Result<Paged<DiffRequest>, RequestError> {
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let window = window(&mut findings, request.valid.as_ref());
    let before = scope_at(&mut findings, "before", request.before.as_ref());
    let turn = Turn::read(&mut findings, request, limits);
    let order = order(&mut findings, request.order, false);
    findings.into_result()?;
    let turn = turn.held("DiffEntries", request, store, head)?;
    let after = turn.scope;
    let as_of = if before.as_of == Position::ZERO { after.as_of } else { within(before.as_of.0, head)? };
    let before = Scope { as_of, ..before };
    Ok(Paged {
        request: DiffRequest {
            filter,
            window,
            before,
            after,
            order,
            after_key: turn.after,
            page_size: turn.page_size,
        },
        question: turn.question,
        history: turn.history,
    })
}

/// Writes a cause; `ids` are those of the event and of the one at the other end of its link.
#[must_use]
pub fn cause(cause: &Cause, ids: (String, String), source_ids: Vec<String>) -> pb::DifferenceCause {
    use pb::difference_cause::Axis;
    let axis = match (cause.by_known_time, cause.by_position) {
        (true, true) => Axis::Both,
        (true, false) => Axis::Known,
        (false, true) => Axis::Recorded,
        (false, false) => Axis::Unspecified,
    };
    pb::DifferenceCause {
        event_id: ids.0,
        position: cause.position.0,
        known_at: Some(moment_of(cause.known_at)),
        r#type: cause.link.map_or(0, |(_, link_type)| encode::link_type(link_type)),
        linked_event_id: ids.1,
        source_ids,
        axis: axis.into(),
        left: cause.left,
    }
}

/// Writes a difference without its causes.
#[must_use]
pub fn difference(before: Option<pb::Entry>, after: Option<pb::Entry>) -> pb::EntryDifference {
    use pb::entry_difference::Change;
    let change = match (&before, &after) {
        (Some(_), Some(_)) => Change::Changed,
        (None, Some(_)) => Change::Added,
        (Some(_), None) => Change::Withdrawn,
        (None, None) => Change::Unspecified,
    };
    pb::EntryDifference { change: change.into(), before, after, causes: Vec::new(), omitted_cause_count: 0 }
}

/// Writes a page without its differences.
#[must_use]
pub fn page(found: &Diff, request: &DiffRequest, store: StoreId) -> pb::DiffEntriesResponse {
    let wide = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    pb::DiffEntriesResponse {
        differences: Vec::new(),
        next_page_token: String::new(),
        snapshot: request.after.as_of.0,
        before_snapshot: request.before.as_of.0,
        store_id: store.to_string(),
        added_count: wide(found.added),
        changed_count: wide(found.changed),
        withdrawn_count: wide(found.withdrawn),
    }
}
