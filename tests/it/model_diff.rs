//! Differences of the model: two lists side by side, and every event that is in one state alone and bears on them.

use std::collections::BTreeSet;

use annals::domain::{LinkType, Position};
use annals::index::Scope;
use annals::pb;
use annals::pb::difference_cause::Axis;
use annals::timeline::{Certainty, Entry, Order};

use super::timeline::{Question, in_scope};
use super::{Model, Recorded};

/// An entry of one of the states: its position, whether it surely matches, and its versions.
pub(crate) type Side = Option<(u64, bool, i32)>;

/// A difference, with its first twenty causes.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) before: Side,
    pub(crate) after: Side,
    pub(crate) causes: Vec<pb::DifferenceCause>,
    pub(crate) omitted_cause_count: i32,
}

/// The two states of knowledge.
type Scopes = [Scope; 2];

impl Model {
    /// Tells what differs between the answers to two questions that differ in their scopes alone.
    pub(crate) fn diff(&self, one: &Question, other: &Question, order: Order) -> Vec<Difference> {
        let scopes = [one.scope, other.scope];
        let (before, after) = (self.list(one, Order::Recorded), self.list(other, Order::Recorded));
        let mut pairs = self.paired(missing(&before, &after), missing(&after, &before), scopes);
        pairs.sort_by_key(|(left, came)| {
            let shown = self.at(came.or(*left).unwrap().position);
            (value_of(shown, order), shown.position)
        });
        if matches!(order, Order::ValidStartDescending | Order::KnownAtDescending | Order::RecordedDescending)
        {
            pairs.reverse();
        }
        let differences = pairs.into_iter().map(|(left, came)| {
            let mut causes = self.causes([left, came], scopes);
            let omitted = causes.len().saturating_sub(20);
            causes.truncate(20);
            Difference {
                before: left.map(side),
                after: came.map(side),
                causes,
                omitted_cause_count: omitted.try_into().unwrap(),
            }
        });
        differences.collect()
    }

    /// Pairs what one link joins, and then what one history holds, both in position order.
    fn paired(
        &self,
        left: Vec<Entry>,
        mut came: Vec<Entry>,
        scopes: Scopes,
    ) -> Vec<(Option<Entry>, Option<Entry>)> {
        let mut pairs = Vec::new();
        let mut alone = Vec::new();
        for entry in left {
            let joins = |a: Position, b: Position| {
                self.links.iter().any(|link| (link.carrier, link.target) == (a, b))
            };
            let linked = |other: &Entry| {
                joins(entry.position, other.position) || joins(other.position, entry.position)
            };
            match came.iter().position(linked) {
                Some(at) => pairs.push((Some(entry), Some(came.remove(at)))),
                None => alone.push(entry),
            }
        }
        for entry in alone {
            let history = self.in_either(entry.position, scopes);
            let found = came.iter().position(|other| history.contains(&other.position));
            pairs.push((Some(entry), found.map(|at| came.remove(at))));
        }
        pairs.extend(came.into_iter().map(|entry| (None, Some(entry))));
        pairs
    }

    /// Gives what knowledge links join to an event, through events of either state that do more than retract.
    fn in_either(&self, start: Position, scopes: Scopes) -> BTreeSet<Position> {
        let within = |position: Position| {
            let known_at = self.at(position).known_at;
            scopes.iter().any(|scope| in_scope(position, known_at, *scope))
        };
        let only_retracts = |carrier: Position| {
            let mut carried = self.links.iter().filter(|link| link.carrier == carrier);
            carried.all(|link| link.link_type == LinkType::Retracts)
        };
        let mut found = BTreeSet::from([start]);
        loop {
            let count = found.len();
            for link in self.links.iter().filter(|link| !only_retracts(link.carrier)) {
                let ends = [link.carrier, link.target];
                if ends.iter().all(|end| within(*end)) && ends.iter().any(|end| found.contains(end)) {
                    found.extend(ends);
                }
            }
            if found.len() == count {
                return found;
            }
        }
    }

    fn causes(&self, versions: [Option<Entry>; 2], scopes: Scopes) -> Vec<pb::DifferenceCause> {
        let mut found = BTreeSet::new();
        for version in versions.into_iter().flatten().map(|entry| entry.position) {
            let mut bare = true;
            for link in self.links.iter().filter(|link| link.carrier == version) {
                let number = i32::from(link.link_type.number());
                if link.link_type == LinkType::DuplicateOf {
                    found.insert((link.target, Some((version, number))));
                } else {
                    found.insert((version, Some((link.target, number))));
                    bare = false;
                }
            }
            if bare {
                found.insert((version, None));
            }
            // What closes it, and whatever retracts that, and so on.
            let mut reached = BTreeSet::from([version]);
            loop {
                let count = reached.len();
                for link in &self.links {
                    let closes = link.target == version && link.link_type != LinkType::DuplicateOf;
                    let undoes = link.link_type == LinkType::Retracts && reached.contains(&link.target);
                    if closes || undoes {
                        found.insert((link.carrier, Some((link.target, i32::from(link.link_type.number())))));
                        reached.insert(link.carrier);
                    }
                }
                if reached.len() == count {
                    break;
                }
            }
        }
        let linked: BTreeSet<Position> =
            found.iter().filter(|(_, link)| link.is_some()).map(|(position, _)| *position).collect();
        found.retain(|(position, link)| link.is_some() || !linked.contains(position));
        found.into_iter().filter_map(|(position, link)| self.cause(position, link, scopes)).collect()
    }

    fn cause(
        &self,
        position: Position,
        link: Option<(Position, i32)>,
        [before, after]: Scopes,
    ) -> Option<pb::DifferenceCause> {
        let event = self.at(position);
        let known_at = event.known_at;
        let left = match [before, after].map(|scope| in_scope(position, known_at, scope)) {
            [true, false] => true,
            [false, true] => false,
            [true, true] | [false, false] => return None,
        };
        let other = if left { after } else { before };
        let axis = match (known_at > other.known_at, position > other.as_of) {
            (true, true) => Axis::Both,
            (true, false) => Axis::Known,
            _ => Axis::Recorded,
        };
        let sources = event.event.sources.iter().map(|source| source.id.clone());
        Some(pb::DifferenceCause {
            event_id: event.id.to_string(),
            position: position.0,
            known_at: Some(prost_types::Timestamp {
                seconds: known_at.0.div_euclid(1_000_000),
                nanos: i32::try_from(known_at.0.rem_euclid(1_000_000) * 1_000).unwrap(),
            }),
            r#type: link.map_or(0, |(_, number)| number),
            linked_event_id: link.map_or_else(String::new, |(other, _)| self.at(other).id.to_string()),
            source_ids: sources.filter(|id| !id.is_empty()).collect(),
            axis: axis.into(),
            left,
        })
    }
}

/// Gives the entries that are not among others.
fn missing(these: &[Entry], others: &[Entry]) -> Vec<Entry> {
    let absent = |entry: &&Entry| !others.iter().any(|other| other.position == entry.position);
    these.iter().filter(absent).copied().collect()
}

fn side(entry: Entry) -> (u64, bool, i32) {
    (entry.position.0, entry.certainty == Certainty::Must, entry.version_count.try_into().unwrap())
}

fn value_of(event: &Recorded, order: Order) -> i64 {
    match order {
        Order::ValidStart | Order::ValidStartDescending => {
            event.span.earliest_start.map_or(i64::MIN, |day| day.number().into())
        }
        Order::KnownAt | Order::KnownAtDescending => event.known_at.0,
        Order::Recorded | Order::RecordedDescending | Order::Relevance => 0,
    }
}
