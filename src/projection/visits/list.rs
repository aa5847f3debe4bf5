//! Visits in the order of their start, a few at a time.

use std::collections::{BTreeSet, HashMap};

use super::fold::{VisitRecord, record};
use super::meetings::{is_or_acts_for, meetings};
use super::suspects::{led_to, places, suspects};
use crate::domain::{Kind, Position, Role, TermField};
use crate::filter::{Filter, Needle};
use crate::index::Scope;
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::event::Payload;
use crate::pb::visit::Status;
use crate::projection::{Events, of_kind};
use crate::timeline::{Certainty, Key, ListRequest, Order, Window, list};

/// A page ends once so many events were read for it.
pub const READ_MAX: usize = 5_000;
/// Candidates taken from the index at once.
const BATCH: usize = 200;

/// Which visits.
#[derive(Clone, Debug, Default)]
pub struct VisitQuery {
    /// What the determining state must match.
    pub filter: Filter,
    /// Keys of entities that take part.
    pub persons: Vec<String>,
    /// Keys of entities that visit.
    pub visitors: Vec<String>,
    /// Keys of hosts.
    pub hosts: Vec<String>,
    /// Words of offices, in lower case.
    pub offices: Vec<String>,
    /// Countries visited.
    pub countries: Vec<String>,
    /// Places visited, in lower case.
    pub places: Vec<String>,
    /// Keys of entities met.
    pub met: Vec<String>,
    /// Statuses.
    pub statuses: Vec<Status>,
    /// Only overdue ones.
    pub overdue_only: bool,
    /// Only those that may be recorded twice.
    pub suspects_only: bool,
    /// The day by which a plan is overdue.
    pub day: i32,
}

/// What became of a visit that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is on the page.
    Yes,
    /// It does not belong on any page.
    No,
    /// The page is full without it.
    Full,
}

/// A visit that was found.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its record.
    pub record: &'a VisitRecord,
    /// Streams that may record the same visit.
    pub suspects: &'a [String],
    /// How sure it is that it lies in the window.
    pub certainty: Certainty,
}

/// Where a walk begins, and in which direction it goes.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// When the visits are.
    pub window: Option<Window>,
    /// The order: by start.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<Key>,
    /// Most visits.
    pub page_size: usize,
}

/// Offers the visits that answer, in order, until a page is full; gives where the next page begins, if there may be
/// one.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn walk(
    log: &Log,
    query: &VisitQuery,
    walk: Walk,
    mut offer: impl FnMut(Found<'_>) -> Taken,
) -> Result<Option<Key>, ReadError> {
    let Walk { scope, window, order, after, page_size } = walk;
    let mut request = ListRequest {
        filter: query.planned(),
        window,
        scope,
        order,
        after,
        page_size: BATCH,
        include_closed: false,
    };
    let mut reading = Reading { events: Events::of(log), read: 0, passed: 0, determining: HashMap::new() };
    let mut taken = 0_usize;
    loop {
        let listed = list(&log.index().view(), &request);
        for (entry, key) in listed.entries.iter().zip(&listed.keys) {
            let is_read = reading.read >= READ_MAX && !reading.passes(entry.position)?;
            if taken == page_size || is_read {
                return Ok(request.after);
            }
            let Some(record) = query.answer(log, &mut reading, entry.position, scope)? else {
                request.after = Some(*key);
                continue;
            };
            let (suspects, read) = suspects(log, &mut reading.events, &record, scope)?;
            reading.read += read;
            if !query.suspects_only || !suspects.is_empty() {
                let found = Found { record: &record, suspects: &suspects, certainty: entry.certainty };
                match offer(found) {
                    Taken::Yes => taken += 1,
                    Taken::No => {}
                    Taken::Full => return Ok(request.after),
                }
            }
            request.after = Some(*key);
        }
        if listed.next.is_none() {
            return Ok(None);
        }
    }
}

/// What was read for a page.
#[derive(Debug)]
struct Reading {
    events: Events,
    /// Events that it took.
    read: usize,
    /// Where the determining state of each stream stands: a stream of many states is read once.
    determining: HashMap<String, Option<Position>>,
    /// States passed over after the page was at its end.
    passed: usize,
}

impl Reading {
    /// Passes over a state that is known not to determine its visit: else a stream of more states than a page may read
    /// would be read again for each of them.
    fn passes(&mut self, position: Position) -> Result<bool, ReadError> {
        let stream = self.events.stream(position)?;
        let known = self.determining.get(stream.as_str()).is_some_and(|found| *found != Some(position));
        let passes = known && self.passed < READ_MAX;
        self.passed += usize::from(passes);
        Ok(passes)
    }
}

impl VisitQuery {
    /// Gives the part of the question that the index answers.
    fn planned(&self) -> Filter {
        let mut filter = of_kind(Kind::Visit, self.filter.clone());
        let mut clause = |needles: Vec<Needle>| {
            if !needles.is_empty() {
                filter.clauses.push(needles);
            }
        };
        let taking_part = |role: Role, keys: &[String]| {
            let values = keys.iter().map(|key| format!("{}:{key}", role.number()));
            values.map(|value| Needle::Term(TermField::Participation.term(&value))).collect()
        };
        clause(self.persons.iter().map(|key| Needle::Term(TermField::Entity.term(key))).collect());
        clause(taking_part(Role::Visitor, &self.visitors));
        clause(taking_part(Role::Host, &self.hosts));
        filter
    }

    /// Gives the visit that an event determines, if it answers.
    fn answer(
        &self,
        log: &Log,
        reading: &mut Reading,
        position: Position,
        scope: Scope,
    ) -> Result<Option<VisitRecord>, ReadError> {
        let event = reading.events.get(position)?;
        reading.read += 1;
        let Some(Payload::Visit(visit)) = &event.payload else { return Ok(None) };
        if !self.fits(&event, visit) {
            return Ok(None);
        }
        if reading.determining.get(&event.stream).is_some_and(|found| *found != Some(position)) {
            return Ok(None);
        }
        let Some(record) = record(log, &mut reading.events, &event.stream, scope)? else { return Ok(None) };
        reading.read += record.steps.len();
        let determining = record.determining().map(|step| step.position);
        reading.determining.insert(event.stream, determining);
        let determines = determining == Some(position);
        let fits = determines
            && (self.statuses.is_empty() || self.statuses.contains(&record.status()))
            && (!self.overdue_only || record.is_overdue(self.day));
        Ok(fits.then_some(record))
    }

    /// Tells whether a state fits what the index does not know.
    fn fits(&self, event: &pb::Event, visit: &pb::Visit) -> bool {
        let any = |wanted: &[String], found: &BTreeSet<String>| {
            wanted.is_empty() || wanted.iter().any(|value| found.contains(value))
        };
        let offices = || event.participants.iter().map(|found| found.capacity.to_lowercase());
        let office = self.offices.is_empty()
            || offices().any(|held| self.offices.iter().any(|wanted| held.contains(wanted.as_str())));
        office
            && any(&self.countries, &countries(event, visit))
            && any(&self.places, &places(event, visit))
            && (self.met.is_empty()
                || meetings(event, visit)
                    .iter()
                    .any(|pair| pair.counterpart.as_ref().is_some_and(|met| is_or_acts_for(met, &self.met))))
    }
}

/// Gives the countries of hosts, of those they act for, and of the places that a visit leads to.
fn countries(event: &pb::Event, visit: &pb::Visit) -> BTreeSet<String> {
    let hosts = event.participants.iter().filter(|found| found.role() == pb::Role::Host);
    let hosts = hosts.flat_map(|host| host.entity.iter().chain(&host.on_behalf_of));
    let places = led_to(event, visit).map(|place| place.country.clone());
    let mut found: BTreeSet<String> = hosts.map(|host| host.country.clone()).chain(places).collect();
    found.remove("");
    found
}
