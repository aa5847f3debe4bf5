//! From an event back to what it rests on.

use std::collections::BTreeSet;

use prost::Message as _;

use super::carried::{Carried, carried};
use super::field::supporting;
use crate::domain::{LinkType, Position};
use crate::index::{Scope, Status, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::projection::Events;

/// Most events of an answer.
pub const NODES_MAX: usize = 1_000;

/// What to trace, and how far.
#[derive(Clone, Debug)]
pub struct LineageQuery {
    /// The field whose sources are asked for; empty = the whole event.
    pub field: String,
    /// Which links lead back.
    pub follow: Vec<LinkType>,
    /// Most links in a row.
    pub depth: u32,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Most bytes of events.
    pub bytes_max: usize,
}

/// An event that something rests on, or that itself is asked for.
#[derive(Clone, Debug)]
pub struct Node {
    /// The event.
    pub event: pb::Event,
    /// What became of it.
    pub status: Status,
    /// Links on the shortest way.
    pub distance: u32,
    /// Which of its sources support the field.
    pub sources: Vec<usize>,
    /// The standing events in its place, by position.
    pub replaced_by: Vec<Position>,
    /// Its links, and whether the target of each is in scope.
    pub links: Vec<(Carried, bool)>,
}

/// What an event rests on.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// By distance and position.
    pub nodes: Vec<Node>,
    /// Whether something was left out.
    pub truncated: bool,
}

/// Traces an event that is an entry in the state of knowledge.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn lineage(log: &Log, root: Position, query: &LineageQuery) -> Result<Lineage, ReadError> {
    let mut events = Events::of(log);
    let mut found = Lineage { nodes: Vec::new(), truncated: false };
    let mut seen = BTreeSet::from([root]);
    let mut level = BTreeSet::from([root]);
    let mut bytes = 0_usize;
    for distance in 0..=query.depth {
        let mut next = BTreeSet::new();
        for position in level {
            let event = events.get(position)?;
            bytes += event.encoded_len();
            if found.nodes.len() == NODES_MAX || (bytes > query.bytes_max && !found.nodes.is_empty()) {
                found.truncated = true;
                return Ok(found);
            }
            let (node, targets) = node(&log.index().view(), position, event, distance, query);
            found.nodes.push(node);
            next.extend(targets.into_iter().filter(|target| seen.insert(*target)));
        }
        level = next;
    }
    found.truncated = !level.is_empty();
    Ok(found)
}

/// Makes a node, and gives the events that its links lead to.
fn node(
    view: &View,
    position: Position,
    event: pb::Event,
    distance: u32,
    query: &LineageQuery,
) -> (Node, Vec<Position>) {
    let mut targets = Vec::new();
    let links = carried(&event).into_iter().map(|link| {
        let target = link.target(view, query.scope);
        if query.follow.contains(&link.link_type) {
            targets.extend(target.map(|target| target.position));
        }
        (link, target.is_some())
    });
    let links = links.collect();
    let field = if distance == 0 { query.field.as_str() } else { "" };
    let sources = supporting(&event, field);
    let status = view.knowledge().status(position, query.scope);
    let replaced_by =
        if status == Status::Current { Vec::new() } else { replaced_by(view, position, query.scope) };
    (Node { event, status, distance, sources, replaced_by, links }, targets)
}

/// Gives the standing events in the place of one that does not stand: what corrects or supersedes it, or is kept of
/// two, and what stands in the place of that.
fn replaced_by(view: &View, position: Position, scope: Scope) -> Vec<Position> {
    let knowledge = view.knowledge();
    let mut seen = BTreeSet::from([position]);
    let mut pending = vec![position];
    let mut standing = BTreeSet::new();
    while let Some(position) = pending.pop() {
        let mut next: Vec<Position> = Vec::new();
        match knowledge.status(position, scope) {
            Status::Current => {
                standing.insert(position);
            }
            Status::Closed(_) => {
                let closers = knowledge.effective_closers(position, scope);
                next.extend(
                    closers.filter(|edge| edge.link_type != LinkType::Retracts).map(|edge| edge.carrier),
                );
            }
            Status::Duplicate(edge) => next.push(edge.target),
            Status::Retraction => {}
        }
        pending.extend(next.into_iter().filter(|next| seen.insert(*next)));
    }
    standing.into_iter().collect()
}
