//! Visits of the model: every event asked anew for every visit, and again for every other.

use annals::index::{Scope, Status as Standing};
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::visit::Status;
use annals::pb::visit_caveat::Code;
use annals::timeline::{Certainty, Order};

use super::timeline::{Between, Question, in_scope};
use super::{Model, Recorded, filter, span_of};

const VISITOR: i32 = 8;
const HOST: i32 = 9;
const COUNTERPART: i32 = 10;
const DELEGATION_MEMBER: i32 = 11;
const DESTINATION: i32 = 3;

fn payload(event: &pb::Event) -> Option<&pb::Visit> {
    if let Some(Payload::Visit(visit)) = &event.payload { Some(visit) } else { None }
}

fn key(participant: &pb::Participant) -> String {
    filter::key(participant.entity.as_ref().unwrap()).to_owned()
}

/// Tells whether one of the wanted is the participant, or the one for whom it acts.
fn wanted(participant: &pb::Participant, wanted: &[String]) -> bool {
    let acts_for = participant.on_behalf_of.as_ref().map(|entity| filter::key(entity).to_owned());
    wanted.is_empty()
        || wanted.contains(&key(participant))
        || acts_for.is_some_and(|entity| wanted.contains(&entity))
}

fn in_role(event: &pb::Event, role: i32) -> Vec<pb::Participant> {
    event.participants.iter().filter(|found| found.role == role).cloned().collect()
}

/// Keeps of a time what was written.
pub(crate) fn written(span: Option<&pb::TimeSpan>) -> Option<pb::TimeSpan> {
    span.map(|span| pb::TimeSpan { edtf: span.edtf.clone(), ..pb::TimeSpan::default() })
}

fn places(event: &pb::Event) -> Vec<pb::Place> {
    let mut found: Vec<pb::Place> = Vec::new();
    for place in &event.places {
        if place.role == DESTINATION {
            found.push(place.clone());
        }
    }
    for stop in &payload(event).unwrap().stops {
        found.extend(stop.place.clone());
    }
    found
}

fn is_called(place: &pb::Place, name: &str) -> bool {
    let by_name = !place.name.is_empty() && place.name.to_lowercase() == name.to_lowercase();
    by_name || place.external_ids.iter().any(|id| format!("{}:{}", id.scheme, id.value) == name)
}

fn is_same_place(one: &pb::Place, other: &pb::Place) -> bool {
    let names = || one.external_ids.iter().map(|id| format!("{}:{}", id.scheme, id.value));
    (!one.name.is_empty() && is_called(other, &one.name)) || names().any(|name| is_called(other, &name))
}

fn itinerary(event: &pb::Event) -> Vec<pb::visit::Stop> {
    let visit = payload(event).unwrap();
    if visit.stops.is_empty() {
        let stop = |place| pb::visit::Stop { place: Some(place), ..pb::visit::Stop::default() };
        return places(event).into_iter().map(stop).collect();
    }
    let stop = |stop: &pb::visit::Stop| pb::visit::Stop { when: written(stop.when.as_ref()), ..stop.clone() };
    visit.stops.iter().map(stop).collect()
}

fn meetings(event: &pb::Event) -> Vec<pb::VisitMeeting> {
    let travels = |who: &str| {
        event
            .participants
            .iter()
            .any(|found| [VISITOR, DELEGATION_MEMBER].contains(&found.role) && key(found) == who)
    };
    let mut met: Vec<(pb::Participant, pb::visit::Meeting)> = Vec::new();
    for meeting in &payload(event).unwrap().meetings {
        for found in meeting.participants.iter().filter(|found| !travels(&key(found))) {
            let (who, mut found) = (key(found), found.clone());
            for same in event.participants.iter().filter(|same| key(same) == who) {
                if found.capacity.is_empty() {
                    found.capacity = same.capacity.clone();
                }
                found.on_behalf_of = found.on_behalf_of.or_else(|| same.on_behalf_of.clone());
            }
            met.push((found, meeting.clone()));
        }
    }
    let persons = in_role(event, HOST).into_iter().filter(|host| host.entity.as_ref().unwrap().r#type == 1);
    for found in in_role(event, COUNTERPART).into_iter().chain(persons) {
        if !travels(&key(&found)) && met.iter().all(|(other, _)| key(other) != key(&found)) {
            met.push((found, pb::visit::Meeting::default()));
        }
    }
    let mut pairs = Vec::new();
    for (counterpart, meeting) in met {
        for visitor in in_role(event, VISITOR) {
            pairs.push(pb::VisitMeeting {
                visitor: Some(visitor),
                counterpart: Some(counterpart.clone()),
                topic: meeting.topic.clone(),
                when: written(meeting.when.as_ref()),
                place: meeting.place.clone(),
            });
        }
    }
    pairs
}

impl Model {
    fn stands(&self, event: &Recorded, scope: Scope) -> bool {
        event.is_entry()
            && in_scope(event.position, event.known_at, scope)
            && self.status(event.position, scope) == Standing::Current
    }

    /// Gives the standing states of a visit, as they became known.
    fn states(&self, stream: &str, scope: Scope) -> Vec<&Recorded> {
        let own = |event: &&Recorded| event.event.stream == stream && payload(&event.event).is_some();
        let mut found: Vec<&Recorded> =
            self.events.iter().filter(own).filter(|event| self.stands(event, scope)).collect();
        found.sort_by_key(|event| (event.known_at, event.position));
        found
    }

    fn holds(&self, stream: &str, scope: Scope) -> Option<&Recorded> {
        let sequence = |event: &Recorded| payload(&event.event).unwrap().sequence;
        let states = self.states(stream, scope);
        let greatest = states.iter().map(|state| sequence(state)).max()?;
        states.into_iter().rfind(|state| sequence(state) == greatest)
    }

    /// Gives the standing events elsewhere that may have happened and have such a link to a visit, by position.
    fn said_of(&self, stream: &str, types: &[i32], scope: Scope) -> Vec<&Recorded> {
        let state = |id: &str| {
            self.events.iter().any(|event| {
                event.id.to_string() == id
                    && event.event.stream == stream
                    && payload(&event.event).is_some()
                    && in_scope(event.position, event.known_at, scope)
            })
        };
        let says = |event: &&Recorded| {
            let own = event.event.stream == stream && payload(&event.event).is_some();
            let mut links = event.event.links.iter().filter(|link| types.contains(&link.r#type));
            !own && ![4, 5].contains(&event.event.modality)
                && links.any(|link| link.stream == stream || state(&link.event_id))
        };
        self.events.iter().filter(|event| self.stands(event, scope)).filter(says).collect()
    }

    fn cancelled_by(&self, stream: &str, scope: Scope) -> Vec<String> {
        let Some(state) = self.holds(stream, scope) else { return Vec::new() };
        let since = (state.known_at, state.position);
        let found = self.said_of(stream, &[16], scope).into_iter();
        found
            .filter(|event| (event.known_at, event.position) > since)
            .map(|event| event.id.to_string())
            .collect()
    }

    fn confirmed_by(&self, stream: &str, scope: Scope) -> Vec<String> {
        let found = self.said_of(stream, &[15, 24], scope).into_iter();
        found.filter(|event| event.event.modality < 2).map(|event| event.id.to_string()).collect()
    }

    fn visit_status(&self, state: &Recorded, scope: Scope) -> Status {
        if self.cancelled_by(&state.event.stream, scope).is_empty() {
            payload(&state.event).unwrap().status()
        } else {
            Status::Cancelled
        }
    }

    fn is_overdue(&self, state: &Recorded, on: i32, scope: Scope) -> bool {
        let planned = match self.visit_status(state, scope) {
            Status::Tentative | Status::Scheduled => ![4, 5].contains(&state.event.modality),
            Status::Unspecified => [2, 3].contains(&state.event.modality),
            Status::UnderWay | Status::Completed | Status::Postponed | Status::Cancelled => false,
        };
        let passed = state.span.latest_end.is_some_and(|end| end.number() <= on);
        planned && passed && self.confirmed_by(&state.event.stream, scope).is_empty()
    }

    fn suspects(&self, state: &Recorded, scope: Scope) -> Vec<String> {
        let mut streams: Vec<&String> = self.events.iter().map(|event| &event.event.stream).collect();
        streams.sort();
        streams.dedup();
        let bounds = |event: &Recorded| {
            let span = &event.span;
            (span.earliest_start, span.latest_start, span.earliest_end, span.latest_end)
        };
        let alike = |other: &Recorded| {
            let theirs = in_role(&other.event, VISITOR);
            let (here, there) = (places(&state.event), places(&other.event));
            let nowhere = |places: &[pb::Place]| {
                places.iter().all(|place| place.name.is_empty() && place.external_ids.is_empty())
            };
            state.span.earliest_start.is_some()
                && bounds(state) == bounds(other)
                && in_role(&state.event, VISITOR)
                    .iter()
                    .any(|one| theirs.iter().any(|other| key(one) == key(other)))
                && (here.iter().any(|one| there.iter().any(|other| is_same_place(one, other)))
                    || (nowhere(&here) && nowhere(&there)))
        };
        let others = streams.into_iter().filter(|stream| **stream != state.event.stream);
        others.filter(|stream| self.holds(stream, scope).is_some_and(alike)).cloned().collect()
    }

    fn visit_caveats(&self, state: &Recorded, on: i32, scope: Scope) -> Vec<pb::VisitCaveat> {
        let states = self.states(&state.event.stream, scope);
        let mut back = Vec::new();
        for pair in states.windows(2) {
            if payload(&pair[1].event).unwrap().sequence <= payload(&pair[0].event).unwrap().sequence {
                back.push(pair[1].id.to_string());
            }
        }
        let mut outside = Vec::new();
        for stop in &payload(&state.event).unwrap().stops {
            let Some(when) = &stop.when else { continue };
            let when = span_of(when);
            let before =
                when.latest_end.zip(state.span.earliest_start).is_some_and(|(end, start)| end <= start);
            let after =
                when.earliest_start.zip(state.span.latest_end).is_some_and(|(start, end)| start >= end);
            if before || after {
                outside.push(stop.place.as_ref().map(|place| place.name.clone()).unwrap_or_default());
            }
        }
        let suspects = self.suspects(state, scope);
        let mut found = Vec::new();
        let mut tell = |code: Code, names: Vec<String>| {
            found.push(pb::VisitCaveat { code: code.into(), text: String::new(), names });
        };
        if !back.is_empty() {
            tell(Code::SequenceNotIncreasing, back);
        }
        if self.is_overdue(state, on, scope) {
            tell(Code::Overdue, Vec::new());
        }
        if !suspects.is_empty() {
            tell(Code::DuplicateSuspect, suspects);
        }
        if !outside.is_empty() {
            tell(Code::StopOutside, outside);
        }
        found
    }

    fn visit_state(&self, state: &Recorded, on: i32, certainty: Certainty, scope: Scope) -> pb::VisitState {
        let (event, visit) = (&state.event, payload(&state.event).unwrap());
        let travelling =
            event.participants.iter().filter(|found| [VISITOR, DELEGATION_MEMBER].contains(&found.role));
        pb::VisitState {
            stream: event.stream.clone(),
            visit_id: visit.visit_id.clone(),
            event_id: state.id.to_string(),
            title: event.title.clone(),
            status: self.visit_status(state, scope).into(),
            category: visit.category,
            valid_time: written(event.valid_time.as_ref()),
            modality: event.modality,
            assertion: event.assertion,
            sequence: visit.sequence,
            purpose: visit.purpose.clone(),
            visitors: travelling.cloned().collect(),
            hosts: in_role(event, HOST),
            itinerary: itinerary(event),
            meetings: meetings(event),
            deliverables: visit.deliverables.clone(),
            sources: Vec::new(),
            caveats: self.visit_caveats(state, on, scope),
            cancelled_by: self.cancelled_by(&event.stream, scope),
            confirmed_by: self.confirmed_by(&event.stream, scope),
            r#match: match certainty {
                Certainty::May => pb::valid_window::Match::May,
                Certainty::Must => pb::valid_window::Match::Must,
            }
            .into(),
        }
    }

    /// Gives a visit and its changes, without texts, sources and what is derived of times.
    pub(crate) fn visit(
        &self,
        stream: &str,
        on: i32,
        scope: Scope,
    ) -> Option<(pb::VisitState, Vec<pb::VisitChange>)> {
        let state = self.holds(stream, scope)?;
        let mut changes: Vec<pb::VisitChange> = Vec::new();
        for step in self.states(stream, scope) {
            let valid_time = written(step.event.valid_time.as_ref());
            let micros = step.known_at.0;
            changes.push(pb::VisitChange {
                event_id: step.id.to_string(),
                sequence: payload(&step.event).unwrap().sequence,
                status: payload(&step.event).unwrap().status,
                known_at: Some(prost_types::Timestamp {
                    seconds: micros.div_euclid(1_000_000),
                    nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap(),
                }),
                position: step.position.0,
                determines: step.position == state.position,
                moved: changes.last().is_some_and(|before| before.valid_time != valid_time),
                valid_time,
            });
        }
        Some((self.visit_state(state, on, Certainty::Must, scope), changes))
    }

    /// Finds the stream of an identifier.
    pub(crate) fn visit_stream(&self, id: &str, scope: Scope) -> Option<String> {
        let carriers: Vec<&String> = self
            .events
            .iter()
            .filter(|event| self.stands(event, scope))
            .filter(|event| payload(&event.event).is_some_and(|visit| visit.visit_id == id))
            .map(|event| &event.event.stream)
            .collect();
        let spelled = id.replace(':', "/");
        carriers
            .iter()
            .find(|stream| ***stream == spelled)
            .or(carriers.first())
            .map(|stream| (*stream).clone())
    }

    /// Gives the determining states that match a filter and lie in a window, in order.
    fn determining(
        &self,
        filter: Option<&pb::Filter>,
        window: Option<Between>,
        order: Order,
        scope: Scope,
    ) -> Vec<(&Recorded, Certainty)> {
        let filter = filter.cloned().unwrap_or_default();
        let question = Question { filter, window, scope, include_closed: false };
        let listed = self.list(&question, order).into_iter();
        let found = listed.map(|entry| (self.at(entry.position), entry.certainty));
        let holds = |state: &Recorded| {
            payload(&state.event).is_some()
                && self.holds(&state.event.stream, scope).is_some_and(|held| held.position == state.position)
        };
        found.filter(|(state, _)| holds(state)).collect()
    }

    fn answers(&self, request: &pb::ListVisitsRequest, state: &Recorded, on: i32, scope: Scope) -> bool {
        let event = &state.event;
        let any =
            |asked: &[String], holds: &dyn Fn(&String) -> bool| asked.is_empty() || asked.iter().any(holds);
        let plays = |role: i32, who: &String| {
            filter::roles(event)
                .iter()
                .any(|(entity, found)| *found == Some(role) && filter::key(entity) == who)
        };
        let hosts = in_role(event, HOST);
        let countries: Vec<String> = hosts
            .iter()
            .flat_map(|host| host.entity.iter().chain(&host.on_behalf_of))
            .map(|entity| entity.country.clone())
            .chain(places(event).into_iter().map(|place| place.country))
            .collect();
        let met = meetings(event);
        any(&request.persons, &|who| filter::entity_ids(event).contains(who))
            && any(&request.visitors, &|who| plays(VISITOR, who))
            && any(&request.hosts, &|who| plays(HOST, who))
            && any(&request.offices, &|words| {
                let held = event.participants.iter().map(|found| found.capacity.to_lowercase());
                held.into_iter().any(|office| office.contains(&words.to_lowercase()))
            })
            && any(&request.countries, &|country| countries.contains(country))
            && any(&request.places, &|name| places(event).iter().any(|place| is_called(place, name)))
            && (request.met.is_empty()
                || met.iter().any(|pair| wanted(pair.counterpart.as_ref().unwrap(), &request.met)))
            && (request.statuses.is_empty()
                || request.statuses.contains(&self.visit_status(state, scope).into()))
            && (!request.overdue_only || self.is_overdue(state, on, scope))
            && (!request.duplicate_suspects_only || !self.suspects(state, scope).is_empty())
    }

    /// Lists visits, like [`Model::visit`].
    pub(crate) fn visits(
        &self,
        request: &pb::ListVisitsRequest,
        on: i32,
        window: Option<Between>,
        scope: Scope,
    ) -> Vec<pb::VisitState> {
        let order = if request.order == 2 { Order::ValidStartDescending } else { Order::ValidStart };
        let found = self.determining(request.filter.as_ref(), window, order, scope).into_iter();
        found
            .filter(|(state, _)| self.answers(request, state, on, scope))
            .map(|(state, certainty)| self.visit_state(state, on, certainty, scope))
            .collect()
    }

    /// Lists meetings, without what is derived of times.
    pub(crate) fn met(
        &self,
        request: &pb::ListMeetingsRequest,
        window: Option<Between>,
        scope: Scope,
    ) -> Vec<pb::MetOnVisit> {
        let mut found = Vec::new();
        for (state, _) in self.determining(request.filter.as_ref(), window, Order::ValidStart, scope) {
            let status = self.visit_status(state, scope);
            if request.statuses.is_empty() && status == Status::Cancelled
                || !request.statuses.is_empty() && !request.statuses.contains(&status.into())
            {
                continue;
            }
            for meeting in meetings(&state.event) {
                let (visitor, met) =
                    (meeting.visitor.as_ref().unwrap(), meeting.counterpart.as_ref().unwrap());
                if wanted(visitor, &request.visitors)
                    && wanted(met, &request.counterparts)
                    && (wanted(visitor, &request.persons) || wanted(met, &request.persons))
                {
                    found.push(pb::MetOnVisit {
                        meeting: Some(meeting),
                        stream: state.event.stream.clone(),
                        event_id: state.id.to_string(),
                        status: status.into(),
                        modality: state.event.modality,
                        valid_time: written(state.event.valid_time.as_ref()),
                    });
                }
            }
        }
        found
    }
}
