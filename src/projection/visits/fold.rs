//! One visit: its states, what calls it off or confirms it, and how it stands.

use std::collections::BTreeSet;

use super::meetings::meetings;
use crate::codec::check::timestamp_of;
use crate::domain::{
    Bounds, Kind, LinkType, Modality, Position, StreamName, TermField, Timestamp, VisitStatus,
};
use crate::filter::{Filter, Needle};
use crate::index::Scope;
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::event::Payload;
use crate::pb::visit_caveat::Code;
use crate::projection::standing::counts;

use crate::projection::civil::day_number;
use crate::projection::{Events, in_scope, of_kind, standing};

/// Most names of a list inside a visit.
pub const NAMES_MAX: usize = 100;
/// Most states that a history shows.
pub const CHANGES_MAX: usize = 1_000;

/// One standing state of a visit.
#[derive(Clone, Debug)]
pub struct VisitStep {
    /// The event.
    pub event: pb::Event,
    /// Its payload.
    pub visit: pb::Visit,
    /// When the public could know it.
    pub known_at: Timestamp,
    /// Where it stands.
    pub position: Position,
}

impl VisitStep {
    fn of(event: pb::Event) -> Option<Self> {
        let Some(Payload::Visit(visit)) = &event.payload else { return None };
        let visit = visit.clone();
        let known_at = event.known_at.as_ref().and_then(timestamp_of)?;
        let position = Position(event.position);
        Some(Self { event, visit, known_at, position })
    }

    const fn known(&self) -> (Timestamp, Position) {
        (self.known_at, self.position)
    }
}

/// What is recorded of a visit in a state of knowledge.
#[derive(Clone, Debug)]
pub struct VisitRecord {
    /// Its stream.
    pub stream: String,
    /// Standing states, by known time and position; at least one.
    pub steps: Vec<VisitStep>,
    /// Standing events elsewhere that call it off: id, and when it was known.
    pub cancels: Vec<(String, (Timestamp, Position))>,
    /// Standing events elsewhere that fulfil or confirm it.
    pub confirms: Vec<String>,
}

impl VisitRecord {
    /// Gives the state that determines the visit.
    #[must_use]
    pub fn determining(&self) -> Option<&VisitStep> {
        self.steps.iter().max_by_key(|step| (step.visit.sequence, step.known()))
    }

    /// Gives the events that call it off, other than those that the determining state overtook.
    pub fn cancelled_by(&self) -> impl Iterator<Item = &str> {
        let known = self.determining().map(VisitStep::known);
        let later =
            self.cancels.iter().filter(move |(_, cancelled)| known.is_some_and(|known| *cancelled > known));
        later.map(|(id, _)| id.as_str())
    }

    /// Gives the status, cancellations from elsewhere included.
    #[must_use]
    pub fn status(&self) -> pb::visit::Status {
        if self.cancelled_by().next().is_some() {
            return pb::visit::Status::Cancelled;
        }
        self.determining().map(|step| step.visit.status()).unwrap_or_default()
    }

    /// Tells whether its time has passed by a day, and nobody confirmed that it took place.
    #[must_use]
    pub fn is_overdue(&self, day: i32) -> bool {
        let Some(step) = self.determining() else { return false };
        let end =
            step.event.valid_time.as_ref().and_then(|span| span.latest_end.as_ref()).and_then(day_number);
        let status = VisitStatus::from_number(self.status().into());
        let open = match status {
            Some(VisitStatus::Tentative | VisitStatus::Scheduled) => true,
            Some(
                VisitStatus::UnderWay
                | VisitStatus::Completed
                | VisitStatus::Postponed
                | VisitStatus::Cancelled,
            ) => false,
            None => matches!(
                Modality::from_number(step.event.modality),
                Some(Modality::Planned | Modality::Potential)
            ),
        };
        // What is said not to have happened, or only assumed, is no plan.
        open && counts(&step.event) && self.confirms.is_empty() && end.is_some_and(|end| end <= day)
    }
}

/// Finds the stream whose standing states carry an identifier: first the one that the identifier spells, then that
/// of the first by position.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn stream_of_id(log: &Log, id: &str, scope: Scope) -> Result<Option<String>, ReadError> {
    let mut events = Events::of(log);
    let likely = StreamName::spelled_by(id).map(|name| Filter::of_stream(&name));
    for filter in likely.into_iter().chain([Filter::default()]) {
        let found = standing(&log.index().view(), &of_kind(Kind::Visit, filter), None, scope);
        for position in found {
            let event = events.get(position)?;
            if matches!(&event.payload, Some(Payload::Visit(visit)) if visit.visit_id == id) {
                return Ok(Some(event.stream));
            }
        }
    }
    Ok(None)
}

/// Gathers the record of a stream; nothing where no state of a visit stands.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn record(
    log: &Log,
    events: &mut Events,
    stream: &str,
    scope: Scope,
) -> Result<Option<VisitRecord>, ReadError> {
    let clause = vec![Needle::Term(TermField::Stream.term(stream))];
    let filter = of_kind(Kind::Visit, Filter { clauses: vec![clause], ..Filter::default() });
    let found = in_scope(&log.index().view(), &filter, scope);
    let mut steps = Vec::new();
    // A link may name a state that no longer stands: it means the visit all the same.
    let mut ids = BTreeSet::new();
    for (position, stands) in found {
        let event = events.get(position)?;
        ids.insert(event.id.clone());
        steps.extend(stands.then(|| VisitStep::of(event)).flatten());
    }
    if steps.is_empty() {
        return Ok(None);
    }
    steps.sort_by_key(VisitStep::known);
    let mut record =
        VisitRecord { stream: stream.to_owned(), steps, cancels: Vec::new(), confirms: Vec::new() };
    let named = ids.iter().map(|id| Needle::Term(TermField::LinkEvent.term(id)));
    let clause = named.chain([Needle::Term(TermField::LinkStream.term(stream))]).collect();
    let filter = Filter { clauses: vec![clause], ..Filter::default() };
    let carriers = standing(&log.index().view(), &filter, None, scope);
    for position in carriers {
        let event = events.get(position)?;
        link(&event, &ids, &mut record);
    }
    Ok(Some(record))
}

fn link(event: &pb::Event, ids: &BTreeSet<String>, record: &mut VisitRecord) {
    let own = event.stream == record.stream && matches!(event.payload, Some(Payload::Visit(_)));
    if own || !counts(event) {
        return;
    }
    let meant =
        event.links.iter().filter(|link| link.stream == record.stream || ids.contains(&link.event_id));
    let types: BTreeSet<Option<LinkType>> = meant.map(|link| LinkType::from_number(link.r#type)).collect();
    let known_at = event.known_at.as_ref().and_then(timestamp_of).unwrap_or(Timestamp::MAX);
    if types.contains(&Some(LinkType::Cancels)) {
        record.cancels.push((event.id.clone(), (known_at, Position(event.position))));
    }
    let happened = matches!(Modality::from_number(event.modality), None | Some(Modality::Actual));
    let confirms = [LinkType::Fulfils, LinkType::Confirms].iter().any(|found| types.contains(&Some(*found)));
    if happened && confirms {
        record.confirms.push(event.id.clone());
    }
}

/// Gives the state of a visit; `suspects` are streams that may record the same one.
#[must_use]
pub fn state(record: &VisitRecord, day: i32, suspects: &[String]) -> pb::VisitState {
    let Some(step) = record.determining() else { return pb::VisitState::default() };
    let (event, visit) = (&step.event, &step.visit);
    let taking_part = |roles: &[pb::Role]| {
        event.participants.iter().filter(|found| roles.contains(&found.role())).cloned().collect()
    };
    pb::VisitState {
        stream: record.stream.clone(),
        visit_id: visit.visit_id.clone(),
        event_id: event.id.clone(),
        title: event.title.clone(),
        status: record.status().into(),
        category: visit.category,
        valid_time: event.valid_time.clone(),
        modality: event.modality,
        assertion: event.assertion,
        sequence: visit.sequence,
        purpose: visit.purpose.clone(),
        visitors: taking_part(&[pb::Role::Visitor, pb::Role::DelegationMember]),
        hosts: taking_part(&[pb::Role::Host]),
        itinerary: itinerary(event, visit),
        meetings: meetings(event, visit),
        deliverables: visit.deliverables.clone(),
        sources: event.sources.clone(),
        caveats: caveats(record, step, day, suspects),
        cancelled_by: record.cancelled_by().take(NAMES_MAX).map(str::to_owned).collect(),
        confirmed_by: record.confirms.iter().take(NAMES_MAX).cloned().collect(),
        r#match: pb::valid_window::Match::Must.into(),
    }
}

/// Gives the stops; where there are none, the destinations.
#[must_use]
pub fn itinerary(event: &pb::Event, visit: &pb::Visit) -> Vec<pb::visit::Stop> {
    if !visit.stops.is_empty() {
        return visit.stops.clone();
    }
    let places = event.places.iter().filter(|place| place.role() == pb::place::PlaceRole::Destination);
    let stop = |place: &pb::Place| pb::visit::Stop { place: Some(place.clone()), ..Default::default() };
    places.map(stop).collect()
}

fn caveats(record: &VisitRecord, step: &VisitStep, day: i32, suspects: &[String]) -> Vec<pb::VisitCaveat> {
    let pairs = record.steps.iter().zip(record.steps.iter().skip(1));
    let back = pairs.filter(|(before, after)| after.visit.sequence <= before.visit.sequence);
    let back: Vec<String> = back.map(|(_, after)| after.event.id.clone()).collect();
    let span = step.event.valid_time.as_ref();
    let outside = step
        .visit
        .stops
        .iter()
        .filter(|stop| span.zip(stop.when.as_ref()).is_some_and(|(visit, stop)| !overlap(visit, stop)));
    let outside: Vec<String> =
        outside.map(|stop| stop.place.as_ref().map(|place| place.name.clone()).unwrap_or_default()).collect();
    let found = [
        (Code::SequenceNotIncreasing, !back.is_empty(), back),
        (Code::Overdue, record.is_overdue(day), Vec::new()),
        (Code::DuplicateSuspect, !suspects.is_empty(), suspects.to_vec()),
        (Code::StopOutside, !outside.is_empty(), outside),
    ];
    let found = found.into_iter().filter(|(_, holds, _)| *holds);
    found
        .map(|(code, _, mut names)| {
            names.truncate(NAMES_MAX);
            pb::VisitCaveat { code: code.into(), text: said(code).to_owned(), names }
        })
        .collect()
}

const fn said(code: Code) -> &'static str {
    match code {
        Code::Unspecified => "",
        Code::SequenceNotIncreasing => "a later known state does not have a higher sequence",
        Code::Overdue => "its time has passed, and nobody confirmed that it took place",
        Code::DuplicateSuspect => "another stream has a visitor, the dates and a place in common with it",
        Code::StopOutside => "a stop lies outside its dates",
    }
}

fn overlap(one: &pb::TimeSpan, other: &pb::TimeSpan) -> bool {
    let start =
        |span: &pb::TimeSpan| span.earliest_start.as_ref().and_then(day_number).unwrap_or(Bounds::OPEN_START);
    let end = |span: &pb::TimeSpan| span.latest_end.as_ref().and_then(day_number).unwrap_or(Bounds::OPEN_END);
    start(one) < end(other) && start(other) < end(one)
}

/// Gives the states of a visit as they became known.
#[must_use]
pub fn changes(record: &VisitRecord) -> Vec<pb::VisitChange> {
    let determining = record.determining().map(|step| step.position);
    let mut before: Option<&VisitStep> = None;
    let mut changes = Vec::new();
    for step in record.steps.iter().take(CHANGES_MAX) {
        let edtf = |step: &VisitStep| step.event.valid_time.as_ref().map(|span| span.edtf.clone());
        changes.push(pb::VisitChange {
            event_id: step.event.id.clone(),
            sequence: step.visit.sequence,
            status: step.visit.status,
            valid_time: step.event.valid_time.clone(),
            known_at: step.event.known_at,
            position: step.position.0,
            determines: determining == Some(step.position),
            moved: before.is_some_and(|before| edtf(before) != edtf(step)),
        });
        before = Some(step);
    }
    changes
}
