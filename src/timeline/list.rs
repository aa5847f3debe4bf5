//! Lists entries, a page at a time.

use super::entry::{Entry, Judge, Window};
use super::order::{Key, Merge, Order};
use crate::filter::Filter;
use crate::index::{Scope, Status, View};

/// Which entries, of which state of knowledge, in which order.
#[derive(Clone, Debug)]
pub struct ListRequest {
    /// Which events.
    pub filter: Filter,
    /// When they were true.
    pub window: Option<Window>,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// The order.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<Key>,
    /// Most entries.
    pub page_size: usize,
    /// Whether closed entries and retractions count.
    pub include_closed: bool,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The entries.
    pub entries: Vec<Entry>,
    /// The key of each: a page that must be cut short goes on after one of them.
    pub keys: Vec<Key>,
    /// Where the next page begins, if there is one.
    pub next: Option<Key>,
}

/// Lists entries.
#[must_use]
pub fn list(view: &View, request: &ListRequest) -> Listed {
    let judge =
        Judge { view, window: request.window, scope: request.scope, include_closed: request.include_closed };
    let mut entries = Vec::new();
    let mut keys: Vec<Key> = Vec::new();
    for (part, slot) in Merge::new(judge, &request.filter, request.order, request.after) {
        if request.window.is_some_and(|window| {
            ends_the_walk(request.order, window, request.order.key(&request.filter, part, slot))
        }) {
            break;
        }
        let Some((certainty, status)) = judge.judge(part, slot) else {
            continue;
        };
        if entries.len() == request.page_size {
            let next = keys.last().copied();
            return Listed { entries, keys, next };
        }
        let position = part.position_at(slot);
        let touched = status != Status::Current || !view.knowledge().carried_by(position).is_empty();
        let history = touched || view.knowledge().closers(position).next().is_some();
        let version_count = if history { judge.version_count(position) } else { 1 };
        entries.push(Entry { position, status, certainty, version_count });
        keys.push(request.order.key(&request.filter, part, slot));
    }
    Listed { entries, keys, next: None }
}

/// In order of start, what follows an entry that starts after the window starts after it, too.
fn ends_the_walk(order: Order, window: Window, key: Key) -> bool {
    match order {
        Order::ValidStart => key.value >= i64::from(window.to),
        Order::ValidStartDescending
        | Order::KnownAt
        | Order::KnownAtDescending
        | Order::Recorded
        | Order::RecordedDescending
        | Order::Relevance => false,
    }
}
