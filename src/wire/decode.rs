//! Requests, from the wire: every violation at once.

use prost_types::Duration as WireDuration;

use super::backup::chain_hash;
use super::filter::filter;
use super::limits::{GROUPS_MAX, Limits};
use super::paging::{Paged, Turn};
use super::status::RequestError;
use crate::codec::check::{moment, optional_number};
use crate::domain::{
    Bounds, CalendarUnit, Day, EventId, Findings, Invalid, Position, Shape, StoreId, TimeSpan, Timestamp,
};
use crate::filter::Filter;
use crate::index::Scope;
use crate::journal::{ChainHash, Direction};
use crate::pb;
use crate::subscription::Pace;
use crate::timeline::{Axis, Certainty, CountRequest, Facet, GroupBy, ListRequest, Order, Window};

/// Reads an event id.
///
/// # Errors
/// [`RequestError::Invalid`].
pub fn event_id(text: &str) -> Result<EventId, RequestError> {
    let mut findings = Findings::default();
    let id = EventId::parse(text).map_err(|error| findings.violation_at("event_id", error)).ok();
    findings.into_result()?;
    id.ok_or_else(|| Invalid::one("event_id", "must be a UUID").into())
}

/// Holds a position against the head.
///
/// # Errors
/// [`RequestError::BeyondHead`].
pub fn within(position: u64, head: Position) -> Result<Position, RequestError> {
    let position = Position(position);
    if position > head { Err(RequestError::BeyondHead { position, head }) } else { Ok(position) }
}

/// Holds a store id that the client expects against the store.
///
/// # Errors
/// [`RequestError::StoreMismatch`].
pub fn same_store(expected: &str, store: StoreId) -> Result<(), RequestError> {
    if expected.is_empty() || StoreId::parse(expected) == Some(store) {
        return Ok(());
    }
    let given: String = expected.chars().take(64).collect();
    Err(RequestError::StoreMismatch { given, actual: store })
}

/// Reads a scope; `as_of` 0 is left 0.
pub fn scope(findings: &mut Findings, found: Option<&pb::Scope>) -> Scope {
    scope_at(findings, "scope", found)
}

/// Reads a scope in a field of another name; `as_of` 0 is left 0.
pub fn scope_at(findings: &mut Findings, field: &'static str, found: Option<&pb::Scope>) -> Scope {
    let Some(found) = found else {
        return Scope::up_to(Position::ZERO);
    };
    let known_at = findings.at(field, |f| moment(f, "known_at", found.known_at.as_ref()));
    Scope { as_of: Position(found.as_of_position), known_at: known_at.unwrap_or(Timestamp::MAX) }
}

/// Pins a scope to a real position.
///
/// # Errors
/// [`RequestError::BeyondHead`].
pub fn pinned(scope: Scope, head: Position) -> Result<Scope, RequestError> {
    let as_of = if scope.as_of == Position::ZERO { head } else { within(scope.as_of.0, head)? };
    Ok(Scope { as_of, ..scope })
}

/// Reads a window of valid time.
pub fn window(findings: &mut Findings, found: Option<&pb::ValidWindow>) -> Option<Window> {
    let found = found?;
    findings.at("valid", |f| {
        let from = bound(f, "from", &found.from);
        let to = bound(f, "to", &found.to);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            f.violation_at("to", "must be after from");
        }
        let certainty =
            match optional_number(f, "match", found.r#match, |n| pb::valid_window::Match::try_from(n).ok()) {
                Some(pb::valid_window::Match::Must) => Certainty::Must,
                Some(pb::valid_window::Match::May | pb::valid_window::Match::Unspecified) | None => {
                    Certainty::May
                }
            };
        let from = from.map_or(Bounds::OPEN_START, Day::number);
        Some(Window { from, to: to.map_or(Bounds::OPEN_END, Day::number), certainty })
    })
}

/// Reads a day, or the first day of a month or year; nothing where it is empty.
pub fn bound(findings: &mut Findings, field: &'static str, text: &str) -> Option<Day> {
    if text.is_empty() {
        return None;
    }
    match TimeSpan::parse(text, "", Some(Shape::Period), Shape::Period) {
        Ok(span) if !span.approximate && !span.uncertain && !text.contains(['/', '[', 'X', 'T']) => {
            span.earliest_start
        }
        Ok(_) => {
            findings.violation_at(
                field,
                "must be a year, a month or a day, for example 2022, 2022-05 or 2022-05-22",
            );
            None
        }
        Err(error) => {
            findings.violation_at(field, error);
            None
        }
    }
}

/// Reads a list of entries.
///
/// # Errors
/// [`RequestError`].
pub fn list_entries(
    request: &pb::ListEntriesRequest,
    limits: &Limits,
    store: StoreId,
    head: Position,
) -> Result<Paged<ListRequest>, RequestError> {
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let window = window(&mut findings, request.valid.as_ref());
    let turn = Turn::read(&mut findings, request, limits);
    let has_words = request.filter.as_ref().is_some_and(|filter| !filter.text.is_empty());
    let order = order(&mut findings, request.order, has_words);
    findings.into_result()?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("ListEntries", request, store, head)?;
    let include_closed = request.include_closed;
    Ok(Paged {
        request: ListRequest { filter, window, scope, order, after, page_size, include_closed },
        question,
        history,
    })
}

/// Reads an order of entries.
#[must_use]
/// Reads an order; only where scores are at hand may entries stand by them.
pub fn order(findings: &mut Findings, number: i32, has_scores: bool) -> Order {
    let order = optional_number(findings, "order", number, order_of).unwrap_or(Order::ValidStart);
    if order == Order::Relevance && !has_scores {
        findings.violation_at("order", "must not be RELEVANCE but in ListEntries with filter.text");
    }
    order
}

const fn order_of(number: i32) -> Option<Order> {
    match number {
        1 => Some(Order::ValidStart),
        2 => Some(Order::ValidStartDescending),
        3 => Some(Order::KnownAt),
        4 => Some(Order::KnownAtDescending),
        5 => Some(Order::Recorded),
        6 => Some(Order::RecordedDescending),
        7 => Some(Order::Relevance),
        _ => None,
    }
}

/// Which history, of which state of knowledge, from where.
#[derive(Clone, Copy, Debug)]
pub struct HistoryRequest {
    /// Any event of it.
    pub event_id: EventId,
    /// The state of knowledge.
    pub scope: Scope,
    /// Versions after this position.
    pub after: Position,
    /// Most versions.
    pub page_size: usize,
}

/// Reads a history.
///
/// # Errors
/// [`RequestError`].
pub fn entry_history(
    request: &pb::GetEntryHistoryRequest,
    limits: &Limits,
    store: StoreId,
    head: Position,
) -> Result<Paged<HistoryRequest>, RequestError> {
    let mut findings = Findings::default();
    let id = EventId::parse(&request.event_id).map_err(|error| findings.violation_at("event_id", error)).ok();
    let turn = Turn::read(&mut findings, request, limits);
    findings.into_result()?;
    let event_id = id.ok_or_else(|| Invalid::one("event_id", "must be a UUID"))?;
    let Turn { scope, after, page_size, question, history } =
        turn.held("GetEntryHistory", request, store, head)?;
    let after = after.map_or(Position::ZERO, |key| key.position);
    Ok(Paged { request: HistoryRequest { event_id, scope, after, page_size }, question, history })
}

/// Reads a count.
///
/// # Errors
/// [`RequestError`].
pub fn count_entries(
    request: &pb::CountEntriesRequest,
    head: Position,
) -> Result<CountRequest, RequestError> {
    use pb::count_entries_request::GroupBy as Wire;
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let window = window(&mut findings, request.valid.as_ref());
    let scope = scope(&mut findings, request.scope.as_ref());
    let group_by = match &request.group_by {
        Some(Wire::Time(time)) => findings.at("time", |f| time_buckets(f, time)),
        Some(Wire::Facet(number)) => {
            let facet = facet_of(*number);
            if facet.is_none() {
                findings.violation_at("facet", "must be a known facet");
            }
            facet.map(GroupBy::Facet)
        }
        None => None,
    };
    let group_limit = match usize::try_from(request.group_limit) {
        Ok(0) => 100,
        Ok(limit) if limit <= GROUPS_MAX => limit,
        Ok(_) | Err(_) => {
            findings.violation_at("group_limit", format_args!("must lie in 0 to {GROUPS_MAX}"));
            0
        }
    };
    findings.into_result()?;
    let scope = pinned(scope, head)?;
    let include_closed = request.include_closed;
    Ok(CountRequest { filter, window, scope, include_closed, group_by, group_limit })
}

fn time_buckets(findings: &mut Findings, found: &pb::TimeBuckets) -> Option<GroupBy> {
    let axis = optional_number(findings, "axis", found.axis, |n| match n {
        1 => Some(Axis::Valid),
        2 => Some(Axis::Known),
        3 => Some(Axis::Recorded),
        _ => None,
    });
    let unit = match found.unit {
        1 => CalendarUnit::Day,
        2 => CalendarUnit::Week,
        3 => CalendarUnit::Month,
        4 => CalendarUnit::Quarter,
        5 => CalendarUnit::Year,
        6 => CalendarUnit::Decade,
        _ => {
            findings.violation_at("unit", "must be set to a known unit");
            return None;
        }
    };
    Some(GroupBy::Time(axis.unwrap_or(Axis::Valid), unit))
}

const fn facet_of(number: i32) -> Option<Facet> {
    match number {
        1 => Some(Facet::Kind),
        2 => Some(Facet::Entity),
        3 => Some(Facet::Country),
        4 => Some(Facet::Tag),
        5 => Some(Facet::Publisher),
        _ => None,
    }
}

/// What to read.
#[derive(Debug)]
pub struct ReadRequest {
    /// Which events.
    pub filter: Filter,
    /// Which way.
    pub direction: Direction,
    /// Exclusive start; `None` = the end where the direction begins.
    pub from: Option<Position>,
    /// Most events.
    pub limit: u64,
    /// The state of knowledge.
    pub scope: Scope,
    /// Where the client has read a chain hash, and which; at most the head.
    pub history: Option<(Position, ChainHash)>,
}

/// Reads a read.
///
/// # Errors
/// [`RequestError`].
pub fn read_events(
    request: &pb::ReadEventsRequest,
    store: StoreId,
    head: Position,
) -> Result<ReadRequest, RequestError> {
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let scope = scope(&mut findings, request.scope.as_ref());
    let direction = optional_number(&mut findings, "direction", request.direction, |n| match n {
        1 => Some(Direction::Forward),
        2 => Some(Direction::Backward),
        _ => None,
    });
    let limit = match u64::try_from(request.limit) {
        Ok(0) => u64::MAX,
        Ok(limit) => limit,
        Err(_) => {
            findings.violation_at("limit", "must not be negative");
            0
        }
    };
    let chain = chain_hash(&mut findings, "from_chain_hash", &request.from_chain_hash);
    findings.into_result()?;
    same_store(&request.store_id, store)?;
    let from = request.from_position_exclusive;
    let direction = direction.unwrap_or(Direction::Forward);
    // Going back from just above the head is how a client that counts starts at the head.
    let reach = if direction == Direction::Backward { head.next() } else { head };
    within(from, if chain.is_some() { head } else { reach })?;
    let history = chain.map(|chain| (Position(from), chain));
    let from = (from != 0).then_some(Position(from));
    Ok(ReadRequest { filter, direction, from, limit, scope: pinned(scope, head)?, history })
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug)]
pub enum Start {
    /// After a position.
    After(Position),
    /// After the head.
    Now,
    /// With the first event recorded at or after a moment.
    Since(Timestamp),
}

/// What to follow.
#[derive(Debug)]
pub struct SubscribeRequest {
    /// Which events.
    pub filter: Filter,
    /// Where to begin.
    pub start: Start,
    /// How often signs of life are sent.
    pub pace: Pace,
    /// Where the client has read a chain hash, and which.
    pub history: Option<(Position, ChainHash)>,
}

/// Reads a subscription.
///
/// # Errors
/// [`RequestError`].
pub fn subscribe(
    request: &pb::SubscribeEventsRequest,
    store: StoreId,
    head: Position,
) -> Result<SubscribeRequest, RequestError> {
    use pb::subscribe_events_request::Start as Wire;
    let mut findings = Findings::default();
    let filter = filter(&mut findings, request.filter.as_ref());
    let checkpoint = interval(&mut findings, "checkpoint_interval", request.checkpoint_interval.as_ref(), 5);
    let heartbeat = interval(&mut findings, "heartbeat_interval", request.heartbeat_interval.as_ref(), 10);
    let start = match &request.start {
        None | Some(Wire::FromStart(true)) => Some(Start::After(Position::ZERO)),
        Some(Wire::AfterPosition(position)) => Some(Start::After(Position(*position))),
        Some(Wire::FromNow(true)) => Some(Start::Now),
        Some(Wire::SinceRecordedTime(time)) => {
            moment(&mut findings, "since_recorded_time", Some(time)).map(Start::Since)
        }
        Some(Wire::FromStart(false)) => {
            findings.violation_at("from_start", "must be true where it is set");
            None
        }
        Some(Wire::FromNow(false)) => {
            findings.violation_at("from_now", "must be true where it is set");
            None
        }
    };
    let chain = chain_hash(&mut findings, "after_chain_hash", &request.after_chain_hash);
    if chain.is_some() && !matches!(start, Some(Start::After(_))) {
        findings.violation_at("after_chain_hash", "needs after_position");
    }
    findings.into_result()?;
    same_store(&request.store_id, store)?;
    let start = start.ok_or_else(|| Invalid::one("start", "must be one of the choices"))?;
    let mut history = None;
    if let Start::After(position) = start {
        within(position.0, head)?;
        history = chain.map(|chain| (position, chain));
    }
    Ok(SubscribeRequest {
        filter,
        start,
        history,
        pace: Pace { checkpoint_micros: checkpoint, heartbeat_micros: heartbeat },
    })
}

/// Reads how often signs of life are sent, in microseconds.
pub fn interval(
    findings: &mut Findings,
    field: &'static str,
    found: Option<&WireDuration>,
    default_seconds: i64,
) -> i64 {
    let Some(found) = found else {
        return default_seconds * 1_000_000;
    };
    let micros = found.seconds.saturating_mul(1_000_000).saturating_add(i64::from(found.nanos) / 1_000);
    if !(1_000_000..=60_000_000).contains(&micros) {
        findings.violation_at(field, "must lie in 1 s to 60 s");
    }
    micros
}
