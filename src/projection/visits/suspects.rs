//! Visits that may be recorded twice.

use std::collections::BTreeSet;

use super::fold::{VisitRecord, VisitStep, record};
use super::meetings::participant_key;
use crate::domain::{Bounds, Kind, Position, Role, TermField};
use crate::filter::{Filter, Needle};
use crate::index::{Scope, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::projection::{Events, of_kind, standing};

/// Gives the places that a visit leads to: destinations and stops.
pub fn led_to<'a>(event: &'a pb::Event, visit: &'a pb::Visit) -> impl Iterator<Item = &'a pb::Place> {
    let destinations = event.places.iter().filter(|place| place.role() == pb::place::PlaceRole::Destination);
    destinations.chain(visit.stops.iter().filter_map(|stop| stop.place.as_ref()))
}

/// Gives the names, in lower case, and external ids of the places that a visit leads to.
#[must_use]
pub fn places(event: &pb::Event, visit: &pb::Visit) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for place in led_to(event, visit) {
        keys.insert(place.name.to_lowercase());
        keys.extend(place.external_ids.iter().map(|id| format!("{}:{}", id.scheme, id.value)));
    }
    keys.remove("");
    keys
}

/// Gives the other streams, by name, whose visit has a visitor, all four bounds of its dates, and a place in common
/// with this one; both without places counts as in common. Also tells how many states were read.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn suspects(
    log: &Log,
    events: &mut Events,
    visit: &VisitRecord,
    scope: Scope,
) -> Result<(Vec<String>, usize), ReadError> {
    let Some(step) = visit.determining() else { return Ok((Vec::new(), 0)) };
    let visiting = visitors(step);
    let values = visiting.iter().map(|key| format!("{}:{key}", Role::Visitor.number()));
    let clause: Vec<Needle> =
        values.map(|value| Needle::Term(TermField::Participation.term(&value))).collect();
    if clause.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let filter = of_kind(Kind::Visit, Filter { clauses: vec![clause], ..Filter::default() });
    let alike = same_dates(&log.index().view(), &filter, step.position, scope);
    let here = places(&step.event, &step.visit);
    let (mut found, mut read) = (BTreeSet::new(), 0_usize);
    for position in alike {
        let stream = events.stream(position)?;
        if stream.as_str() == visit.stream {
            continue;
        }
        let other = record(log, events, stream.as_str(), scope)?;
        read += other.as_ref().map_or(0, |other| other.steps.len());
        let Some(other) = other.as_ref().and_then(VisitRecord::determining) else { continue };
        let there = places(&other.event, &other.visit);
        let place = here.intersection(&there).next().is_some() || (here.is_empty() && there.is_empty());
        // The index also knows those for whom a visitor acts.
        let visitor = visitors(other).intersection(&visiting).next().is_some();
        if other.position == position && place && visitor {
            found.insert(stream.as_str().to_owned());
        }
    }
    Ok((found.into_iter().collect(), read))
}

fn visitors(step: &VisitStep) -> BTreeSet<&str> {
    let visitors = step.event.participants.iter().filter(|found| found.role() == pb::Role::Visitor);
    visitors.map(participant_key).collect()
}

/// Gives the standing events that match and have the same dates as one of them; none where that has no first day.
fn same_dates(view: &View, filter: &Filter, like: Position, scope: Scope) -> Vec<Position> {
    let bounds = |position: Position| {
        let (part, slot) = view.locate(position)?;
        part.columns().bounds(slot)
    };
    let Some(dates) = bounds(like).filter(|dates| dates.earliest_start != Bounds::OPEN_START) else {
        return Vec::new();
    };
    let found = standing(view, filter, None, scope).into_iter();
    found.filter(|position| *position != like && bounds(*position) == Some(dates)).collect()
}
