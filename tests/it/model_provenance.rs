//! Provenance of the model: what rests on what, by asking every event again and again.

use annals::domain::{EventId, Position};
use annals::index::{Scope, Status};
use annals::pb;
use annals::pb::entry::Status as Wire;
use annals::pb::event::Payload;

use super::timeline::in_scope;
use super::{Model, Recorded, filter};

/// A node as the API gives it, but for the content of its event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) status: Wire,
    pub(crate) distance: i32,
    pub(crate) source_indexes: Vec<i32>,
    pub(crate) replaced_by: Vec<String>,
}

/// A dependent as the API gives it, but for the content of its event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dependent {
    pub(crate) id: String,
    pub(crate) status: Wire,
    pub(crate) distance: i32,
    pub(crate) via: Vec<pb::ProvenanceLink>,
}

fn carried(event: &pb::Event) -> Vec<(String, pb::Link)> {
    let mut found = Vec::new();
    for (index, link) in event.links.iter().enumerate() {
        found.push((format!("links[{index}]"), link.clone()));
    }
    if let Some(Payload::Statement(statement)) = &event.payload {
        for (claim, said) in statement.claims.iter().enumerate() {
            for (index, link) in said.about.iter().enumerate() {
                found.push((format!("statement.claims[{claim}].about[{index}]"), link.clone()));
            }
        }
    }
    found
}

/// Splits a path into its names and indexes.
fn steps(path: &str) -> Vec<&str> {
    path.split(['.', '[', ']']).filter(|step| !step.is_empty()).collect()
}

fn supports(source: &pb::Source, field: &str) -> bool {
    let asked = steps(field);
    source.supports.is_empty()
        || asked.is_empty()
        || source.supports.iter().any(|path| {
            let held = steps(path);
            held.starts_with(&asked) || asked.starts_with(&held)
        })
}

impl Model {
    fn wire_status(&self, position: Position, scope: Scope) -> Wire {
        match self.status(position, scope) {
            Status::Current => Wire::Current,
            Status::Closed(edge) => match i32::from(edge.link_type.number()) {
                1 => Wire::Corrected,
                3 => Wire::Retracted,
                _ => Wire::Superseded,
            },
            Status::Duplicate(_) => Wire::Duplicate,
            Status::Retraction => Wire::Retraction,
        }
    }

    /// Gives the entry in scope that a link names.
    fn named(&self, link: &pb::Link, scope: Scope) -> Option<&Recorded> {
        let found = self.find(EventId::parse(&link.event_id).ok()?)?;
        (found.is_entry() && in_scope(found.position, found.known_at, scope)).then_some(found)
    }

    fn in_its_place(&self, position: Position, scope: Scope) -> Vec<Position> {
        let mut found = vec![position];
        let mut done = 0;
        while done < found.len() {
            let next = match self.status(found[done], scope) {
                Status::Closed(_) => {
                    let closers = self.closers(found[done], scope).into_iter();
                    closers.filter(|edge| edge.link_type.number() != 3).map(|edge| edge.carrier).collect()
                }
                Status::Duplicate(edge) => vec![edge.target],
                Status::Current | Status::Retraction => Vec::new(),
            };
            for next in next {
                if !found.contains(&next) {
                    found.push(next);
                }
            }
            done += 1;
        }
        found.retain(|position| self.status(*position, scope) == Status::Current);
        found.sort();
        found
    }

    /// Traces an event in scope; `truncated` = something lies further away.
    pub(crate) fn lineage(
        &self,
        root: &Recorded,
        field: &str,
        (follow, depth): (&[i32], i32),
        scope: Scope,
    ) -> (Vec<Node>, Vec<pb::ProvenanceLink>, bool) {
        let mut reached: Vec<(i32, Position)> = vec![(0, root.position)];
        for distance in 0..=depth {
            let here = reached.clone();
            for (_, position) in here.iter().filter(|(at, _)| *at == distance) {
                for (_, link) in carried(&self.at(*position).event) {
                    let Some(target) = self.named(&link, scope) else { continue };
                    if follow.contains(&link.r#type)
                        && reached.iter().all(|(_, position)| *position != target.position)
                    {
                        reached.push((distance + 1, target.position));
                    }
                }
            }
        }
        let truncated = reached.iter().any(|(distance, _)| *distance > depth);
        reached.retain(|(distance, _)| *distance <= depth);
        reached.sort();
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        for (distance, position) in reached {
            let event = &self.at(position).event;
            let wanted = if distance == 0 { field } else { "" };
            let sources = (0_i32..).zip(&event.sources).filter(|(_, source)| supports(source, wanted));
            let mut replaced_by = self.in_its_place(position, scope);
            replaced_by.retain(|other| *other != position);
            nodes.push(Node {
                id: event.id.clone(),
                status: self.wire_status(position, scope),
                distance,
                source_indexes: sources.map(|(index, _)| index).collect(),
                replaced_by: replaced_by.iter().map(|position| self.at(*position).id.to_string()).collect(),
            });
            for (place, link) in carried(event) {
                let resolved = self.named(&link, scope).is_some();
                let followed = resolved && follow.contains(&link.r#type);
                let from_event_id = event.id.clone();
                links.push(pb::ProvenanceLink {
                    from_event_id,
                    field: place,
                    link: Some(link),
                    followed,
                    resolved,
                });
            }
        }
        (nodes, links, truncated)
    }

    /// Lists what rests on what the request names.
    pub(crate) fn dependents(&self, request: &pb::ListDependentsRequest, scope: Scope) -> Vec<Dependent> {
        let follow =
            if request.link_types.is_empty() { vec![20, 21, 22] } else { request.link_types.clone() };
        let key = filter::key;
        let is_root = |event: &pb::Event| {
            let names = |source: &pb::Source| {
                let by = source.attribution.iter().filter_map(|step| step.by.as_ref());
                (!request.source_id.is_empty() && source.id == request.source_id)
                    || source.publisher.iter().any(|publisher| key(publisher) == request.publisher_id)
                    || by.into_iter().any(|by| key(by) == request.attributed_to)
            };
            event.sources.iter().any(names)
        };
        let counts = |event: &&Recorded| {
            event.is_entry()
                && in_scope(event.position, event.known_at, scope)
                && (request.include_closed || self.status(event.position, scope) == Status::Current)
        };
        let mut reached: Vec<(i32, Position, Vec<pb::ProvenanceLink>)> = Vec::new();
        for event in self.events.iter().filter(counts).filter(|event| is_root(&event.event)) {
            reached.push((0, event.position, Vec::new()));
        }
        for distance in 1..=request.depth.unwrap_or(10) {
            let mut nearer: Vec<String> = reached
                .iter()
                .filter(|(at, ..)| *at == distance - 1)
                .map(|(_, position, _)| self.at(*position).id.to_string())
                .collect();
            if distance == 1 && !request.event_id.is_empty() {
                nearer.push(request.event_id.clone());
            }
            for event in self.events.iter().filter(counts) {
                let known =
                    reached.iter().any(|(at, position, _)| *at < distance && *position == event.position);
                if known || event.event.id == request.event_id {
                    continue;
                }
                let mut via = Vec::new();
                for (place, link) in carried(&event.event) {
                    if follow.contains(&link.r#type) && nearer.contains(&link.event_id) {
                        let from_event_id = event.event.id.clone();
                        via.push(pb::ProvenanceLink {
                            from_event_id,
                            field: place,
                            link: Some(link),
                            followed: true,
                            resolved: true,
                        });
                    }
                }
                if !via.is_empty() {
                    reached.push((distance, event.position, via));
                }
            }
        }
        reached.sort_by_key(|(distance, position, _)| (*distance, *position));
        let listed = reached.into_iter().filter(|(_, position, _)| {
            request.filter.as_ref().is_none_or(|asked| filter::matches(asked, &self.at(*position).event))
        });
        let listed = listed.map(|(distance, position, via)| Dependent {
            id: self.at(position).id.to_string(),
            status: self.wire_status(position, scope),
            distance,
            via,
        });
        listed.collect()
    }
}
