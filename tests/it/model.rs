//! The judge: what the log must answer, by scanning every event for every question.
//!
//! It knows no index, no bitmap and no cache. Each rule stands here once, as the API states it, and slowly.

use annals::domain::{Caveat, EventId, Kind, LinkType, Position, Revision, TimeSpan, Timestamp};
use annals::index::{Edge, Scope};
use annals::log::{Appended, AppendedEvent, ConditionViolation, ViolatedCondition};
use annals::pb;

#[path = "model_diff.rs"]
pub(crate) mod diff;
#[path = "model_filter.rs"]
pub(crate) mod filter;
#[path = "model_funding.rs"]
pub(crate) mod funding;
#[path = "model_proof.rs"]
pub(crate) mod proof;
#[path = "model_provenance.rs"]
pub(crate) mod provenance;
#[path = "model_text.rs"]
pub(crate) mod text;
#[path = "model_timeline.rs"]
pub(crate) mod timeline;
#[path = "model_visit.rs"]
pub(crate) mod visit;

/// An event on its way to the log, in canonical form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) id: EventId,
    pub(crate) event: pb::Event,
    pub(crate) caveats: Vec<Caveat>,
}

/// What must hold for an append.
#[derive(Clone, Debug)]
pub(crate) enum Demand {
    Revision { stream: String, revision: u64 },
    Empty { stream: String },
    Exists { stream: String },
    NoneSince { filter: pb::Filter, after: Position },
    Absent { filter: pb::Filter },
}

/// Why nothing was appended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    Reused {
        id: EventId,
        position: Position,
    },
    Erased {
        id: EventId,
        position: Position,
    },
    Partial {
        recorded: usize,
        missing: usize,
        id: EventId,
    },
    Conditions(Vec<ViolatedCondition>),
    /// Every fault of the first event at fault: which of them is reported is not said.
    Links(Vec<LinkFault>),
}

/// What is wrong with a link; `at` is the index of the event, and of the link in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LinkFault {
    Unknown { at: (usize, usize), target: EventId },
    Kind { at: (usize, usize), target: EventId, kind: Kind, target_kind: Kind },
    Closed { at: (usize, usize), target: EventId, closed_by: EventId },
}

/// An event as recorded.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) id: EventId,
    pub(crate) event: pb::Event,
    pub(crate) caveats: Vec<Caveat>,
    pub(crate) position: Position,
    pub(crate) revision: Revision,
    pub(crate) recorded_at: Timestamp,
    pub(crate) known_at: Timestamp,
    pub(crate) span: TimeSpan,
    pub(crate) kind: Kind,
    /// Its content is gone: it has its place, its stream and its links.
    pub(crate) erased: bool,
    /// Which append recorded it.
    append: usize,
}

impl Recorded {
    /// Tells whether it can be an entry: it has its content, and is no record of the server's own.
    pub(crate) fn is_entry(&self) -> bool {
        !self.erased && !self.event.stream.starts_with('$')
    }
}

/// A log in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) events: Vec<Recorded>,
    /// Every knowledge link, by carrier, then in the order of the carrier's links.
    pub(crate) links: Vec<Edge>,
    appends: usize,
}

impl Model {
    pub(crate) fn head(&self) -> Position {
        Position(self.events.len().try_into().unwrap())
    }

    pub(crate) fn find(&self, id: EventId) -> Option<&Recorded> {
        self.events.iter().find(|event| event.id == id)
    }

    pub(crate) fn at(&self, position: Position) -> &Recorded {
        let event = &self.events[usize::try_from(position.0).unwrap() - 1];
        assert_eq!(event.position, position);
        event
    }

    pub(crate) fn revision_of(&self, stream: &str) -> Revision {
        Revision(self.events.iter().filter(|event| event.event.stream == stream).count().try_into().unwrap())
    }

    /// Appends or refuses: ids first, then conditions, then links.
    pub(crate) fn append(
        &mut self,
        drafts: &[Draft],
        demands: &[Demand],
        now: Timestamp,
    ) -> Result<Appended, Refusal> {
        if let Some(original) = self.original(drafts)? {
            return Ok(original);
        }
        let violated = self.violated(demands);
        if !violated.is_empty() {
            return Err(Refusal::Conditions(violated));
        }
        // Links are judged event by event, so the request is recorded as it goes, and undone if it is refused.
        let (events, links) = (self.events.len(), self.links.len());
        self.appends += 1;
        for (index, draft) in drafts.iter().enumerate() {
            let faults = self.link_faults(index, draft);
            if !faults.is_empty() {
                self.events.truncate(events);
                self.links.truncate(links);
                return Err(Refusal::Links(faults));
            }
            let before = self.clone();
            self.record(draft, now);
            let faults = self.forks(&before, index, draft);
            if !faults.is_empty() {
                self.events.truncate(events);
                self.links.truncate(links);
                return Err(Refusal::Links(faults));
            }
        }
        let answer = self.events.iter().skip(events).map(answer).collect();
        Ok(Appended { events: answer, replayed: false })
    }

    /// Gives the original answer if the request repeats one whole append.
    fn original(&self, drafts: &[Draft]) -> Result<Option<Appended>, Refusal> {
        let known: Vec<Option<&Recorded>> = drafts.iter().map(|draft| self.find(draft.id)).collect();
        for (draft, known) in drafts.iter().zip(&known) {
            if let Some(known) = known
                && known.erased
            {
                return Err(Refusal::Erased { id: draft.id, position: known.position });
            }
            if let Some(known) = known
                && known.event != draft.event
            {
                return Err(Refusal::Reused { id: draft.id, position: known.position });
            }
        }
        let Some(first) = known.iter().flatten().next() else { return Ok(None) };
        let append: Vec<&Recorded> =
            self.events.iter().filter(|event| event.append == first.append).collect();
        if append.iter().map(|event| event.id).eq(drafts.iter().map(|draft| draft.id)) {
            return Ok(Some(Appended { events: append.into_iter().map(answer).collect(), replayed: true }));
        }
        let recorded = known.iter().flatten().count();
        Err(Refusal::Partial { recorded, missing: drafts.len() - recorded, id: first.id })
    }

    fn violated(&self, demands: &[Demand]) -> Vec<ViolatedCondition> {
        let violations = demands.iter().enumerate().filter_map(|(index, demand)| {
            Some(ViolatedCondition { index, violation: self.violation(demand)? })
        });
        violations.collect()
    }

    fn violation(&self, demand: &Demand) -> Option<ConditionViolation> {
        let first = |filter: &pb::Filter, after: Position| {
            let mut later = self.events.iter().filter(|event| event.position > after);
            later.find(|event| filter::matches(filter, &event.event)).map(|event| event.position)
        };
        let (stream, holds): (&String, fn(u64, u64) -> bool) = match demand {
            Demand::NoneSince { filter, after } => {
                return first(filter, *after).map(|position| ConditionViolation::NoneSince { position });
            }
            Demand::Absent { filter } => {
                return first(filter, Position(0)).map(|position| ConditionViolation::Absent { position });
            }
            Demand::Revision { stream, .. } => (stream, |actual, wanted| actual == wanted),
            Demand::Empty { stream } => (stream, |actual, _| actual == 0),
            Demand::Exists { stream } => (stream, |actual, _| actual > 0),
        };
        let wanted = if let Demand::Revision { revision, .. } = demand { *revision } else { 0 };
        let actual = self.revision_of(stream);
        (!holds(actual.0, wanted)).then(|| ConditionViolation::Stream { name: stream.clone(), actual })
    }

    fn link_faults(&self, index: usize, draft: &Draft) -> Vec<LinkFault> {
        let links = || draft.event.links.iter().enumerate().filter(|(_, link)| !link.event_id.is_empty());
        let knowledge = |link: &pb::Link| (1..10).contains(&link.r#type);
        let named: Vec<EventId> =
            links().filter(|(_, link)| knowledge(link)).map(|(_, link)| id_of(&link.event_id)).collect();
        let mut faults = Vec::new();
        for (at, link) in links() {
            let (at, target) = ((index, at), id_of(&link.event_id));
            let Some(found) = self.find(target) else {
                faults.push(LinkFault::Unknown { at, target });
                continue;
            };
            let (kind, target_kind) = (kind_of(&draft.event), found.kind);
            let revises =
                [pb::LinkType::Corrects, pb::LinkType::Supersedes].map(i32::from).contains(&link.r#type);
            if revises && kind != target_kind {
                faults.push(LinkFault::Kind { at, target, kind, target_kind });
            }
            if knowledge(link) && link.r#type != i32::from(pb::LinkType::DuplicateOf) {
                let everything = Scope { as_of: self.head(), known_at: Timestamp::MAX };
                for closer in self.closers(found.position, everything) {
                    let closed_by = self.at(closer.carrier).id;
                    if !named.contains(&closed_by) {
                        faults.push(LinkFault::Closed { at, target, closed_by });
                    }
                }
            }
        }
        faults
    }

    /// Where the event just recorded makes an older link effective again, whose target another event closes, that
    /// the new one does not name.
    fn forks(&self, before: &Self, index: usize, draft: &Draft) -> Vec<LinkFault> {
        let links = || draft.event.links.iter().enumerate().filter(|(_, link)| (1..5).contains(&link.r#type));
        let retracts = || links().filter(|(_, link)| link.r#type == i32::from(pb::LinkType::Retracts));
        if retracts().next().is_none() {
            return Vec::new();
        }
        let named: Vec<EventId> = links().map(|(_, link)| id_of(&link.event_id)).collect();
        let everything = Scope { as_of: self.head(), known_at: Timestamp::MAX };
        let mut faults = Vec::new();
        for target in &before.events {
            let was = before.closers(target.position, everything);
            let is = self.closers(target.position, everything);
            if !is.iter().any(|edge| edge.carrier != self.head() && !was.contains(edge)) {
                continue;
            }
            for edge in was.iter().filter(|edge| is.contains(edge)) {
                let closed_by = self.at(edge.carrier).id;
                if !named.contains(&closed_by) {
                    let fault = |(at, _)| LinkFault::Closed { at: (index, at), target: target.id, closed_by };
                    faults.extend(retracts().map(fault));
                }
            }
        }
        faults
    }

    fn record(&mut self, draft: &Draft, now: Timestamp) {
        let position = Position(self.head().0 + 1);
        let revision = Revision(self.revision_of(&draft.event.stream).0 + 1);
        let recorded_at = self.events.last().map_or(now, |last| now.max(Timestamp(last.recorded_at.0 + 1)));
        self.load(draft.clone(), position, revision, recorded_at);
    }

    /// Takes an event whose place is known.
    pub(crate) fn load(
        &mut self,
        draft: Draft,
        position: Position,
        revision: Revision,
        recorded_at: Timestamp,
    ) {
        let span = span_of(draft.event.valid_time.as_ref().unwrap());
        let known_at = known_of(&draft.event, recorded_at);
        for link in draft.event.links.iter().filter(|link| (1..10).contains(&link.r#type)) {
            let target = self.find(id_of(&link.event_id)).unwrap();
            let edge = Edge {
                carrier: position,
                carrier_known_at: known_at,
                link_type: LinkType::from_number(link.r#type).unwrap(),
                target: target.position,
                target_known_at: target.known_at,
            };
            self.links.push(edge);
        }
        self.events.push(Recorded {
            kind: kind_of(&draft.event),
            erased: false,
            id: draft.id,
            event: draft.event,
            caveats: draft.caveats,
            position,
            revision,
            recorded_at,
            known_at,
            span,
            append: self.appends,
        });
    }

    /// Takes the content of an event away; the order, an append of its own, is to be loaded next.
    pub(crate) fn erase(&mut self, position: Position) {
        self.appends += 1;
        let event = &mut self.events[usize::try_from(position.0).unwrap() - 1];
        let (id, stream) = (event.event.id.clone(), event.event.stream.clone());
        event.event = pb::Event { id, stream, ..pb::Event::default() };
        event.erased = true;
    }

    /// Gives positions in (`after`, `up_to`] of events that match and were known by a moment.
    pub(crate) fn read(
        &self,
        filter: &pb::Filter,
        after: Position,
        up_to: Position,
        known_at: Timestamp,
    ) -> Vec<Position> {
        let asked = self.events.iter().filter(|event| event.position > after && event.position <= up_to);
        let known = asked.filter(|event| event.known_at <= known_at);
        known.filter(|event| filter::matches(filter, &event.event)).map(|event| event.position).collect()
    }
}

fn answer(event: &Recorded) -> AppendedEvent {
    AppendedEvent {
        id: event.id,
        position: event.position,
        revision: event.revision,
        recorded_at: event.recorded_at,
        caveats: event.caveats.clone(),
    }
}

pub(crate) fn id_of(text: &str) -> EventId {
    EventId::parse(text).unwrap()
}

fn kind_of(event: &pb::Event) -> Kind {
    Kind::from_number(filter::kind_number(event)).unwrap()
}

/// Reads a span in canonical form. The reader of EDTF has its own tests; here it is trusted.
fn span_of(span: &pb::TimeSpan) -> TimeSpan {
    use annals::domain::Shape;
    let shape = match pb::time_span::Shape::try_from(span.shape).unwrap() {
        pb::time_span::Shape::Instant => Shape::Instant,
        pb::time_span::Shape::Period => Shape::Period,
        pb::time_span::Shape::Ongoing => Shape::Ongoing,
        pb::time_span::Shape::Unspecified => panic!("the canonical form has a shape"),
    };
    TimeSpan::parse(&span.edtf, &span.time_zone, Some(shape), shape).unwrap()
}

/// Gives when the public could know an event: as written, else by its earliest source.
fn known_of(event: &pb::Event, recorded_at: Timestamp) -> Timestamp {
    if let Some(written) = &event.known_at {
        return Timestamp(written.seconds * 1_000_000 + i64::from(written.nanos) / 1_000);
    }
    let published = event.sources.iter().filter_map(|source| source.published.as_ref());
    // Known when it was recorded at the latest.
    published.filter_map(|published| span_of(published).known_from()).chain([recorded_at]).min().unwrap()
}
