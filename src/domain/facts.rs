//! What queries need of a recorded event without decoding it again.

use std::sync::Arc;

use super::{
    ActFacts, Day, Event, EventId, Factuality, Kind, LifeLink, LinkType, Payload, Position, Revision,
    StreamName, Terms, TimeSpan, Timestamp, TransferFacts,
};

/// The four bounds of valid time as day numbers: open sides lie beyond every day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Earliest first day, inclusive; [`Bounds::OPEN_START`] = open.
    pub earliest_start: i32,
    /// Latest first day, inclusive; [`Bounds::OPEN_END`] = open.
    pub latest_start: i32,
    /// Earliest end, exclusive; [`Bounds::OPEN_START`] = open.
    pub earliest_end: i32,
    /// Latest end, exclusive; [`Bounds::OPEN_END`] = open.
    pub latest_end: i32,
}

impl Bounds {
    /// Before every day.
    pub const OPEN_START: i32 = i32::MIN;
    /// After every day.
    pub const OPEN_END: i32 = i32::MAX;

    /// Takes the bounds of a span.
    #[must_use]
    pub fn of(span: &TimeSpan) -> Self {
        let start = |day: Option<Day>| day.map_or(Self::OPEN_START, Day::number);
        let end = |day: Option<Day>| day.map_or(Self::OPEN_END, Day::number);
        Self {
            earliest_start: start(span.earliest_start),
            latest_start: end(span.latest_start),
            earliest_end: start(span.earliest_end),
            latest_end: end(span.latest_end),
        }
    }
}

/// A link that changes what is believed, as the index keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnowledgeLink {
    /// What is said.
    pub link_type: LinkType,
    /// Of which event.
    pub target: Position,
}

/// What an event says before it has a place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct EventFacts {
    /// Names the event.
    pub event_id: EventId,
    /// Its stream.
    pub stream: StreamName,
    /// Its kind.
    pub kind: Kind,
    /// When it was true.
    pub bounds: Bounds,
    /// Whether the date is approximate or uncertain, so that no match of it is certain.
    pub qualified: bool,
    /// How far it says that something happened.
    pub factuality: Factuality,
    /// When the public could know it, as the client wrote it.
    pub known_at: Option<Timestamp>,
    /// When the earliest source had certainly made it known.
    pub published_by: Option<Timestamp>,
    /// What it can be found by.
    pub terms: Terms,
    /// Links that change what is believed: index among the links, what is said, of which event.
    pub knowledge_links: Vec<(usize, LinkType, EventId)>,
    /// Events that other links name: index among the links, event.
    pub other_link_targets: Vec<(usize, EventId)>,
    /// What sums need of a funding transfer.
    pub transfer: Option<TransferFacts>,
    /// What the life of an agreement needs of an act.
    pub act: Option<Arc<ActFacts<'static>>>,
    /// Links by which the event prolongs or ends what they point to.
    pub life_links: Vec<LifeLink<StreamName>>,
}

impl EventFacts {
    /// Takes what queries need.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let (mut transfer, mut act) = (None, None);
        match &event.payload {
            Payload::FundingTransfer(found) => transfer = Some(TransferFacts::of(found, &event.stream)),
            Payload::Agreement(found) => act = Some(Arc::new(ActFacts::of(found, event).into_owned())),
            Payload::Visit(_) | Payload::StatisticalRelease(_) | Payload::Statement(_) | Payload::Custom => {}
        }
        let others = event.links.iter().enumerate().filter(|(_, link)| !link.link_type.is_knowledge());
        Self {
            event_id: event.id,
            stream: event.stream.clone(),
            kind: event.payload.kind(),
            bounds: Bounds::of(&event.valid_time),
            qualified: event.valid_time.approximate || event.valid_time.uncertain,
            factuality: Factuality::of(event.modality, event.assertion),
            known_at: event.known_at,
            published_by: super::known_from_sources(&event.sources),
            terms: event.terms(),
            knowledge_links: event.knowledge_links().collect(),
            other_link_targets: others.filter_map(|(index, link)| Some((index, link.event()?))).collect(),
            transfer,
            act,
            life_links: event.links.iter().filter_map(LifeLink::of).collect(),
        }
    }
}

impl EventFacts {
    /// Gives what is left of an event without its content: it lies in no window of valid time and has no terms.
    #[must_use]
    pub fn bare(event_id: EventId, stream: StreamName, kind: Kind) -> Self {
        Self {
            event_id,
            stream,
            kind,
            bounds: Bounds {
                earliest_start: Bounds::OPEN_END,
                latest_start: Bounds::OPEN_END,
                earliest_end: Bounds::OPEN_START,
                latest_end: Bounds::OPEN_START,
            },
            qualified: false,
            factuality: Factuality::default(),
            known_at: None,
            published_by: None,
            terms: Terms::default(),
            knowledge_links: Vec::new(),
            other_link_targets: Vec::new(),
            transfer: None,
            act: None,
            life_links: Vec::new(),
        }
    }

    /// Gives when the public could know the event, once it is known when it was recorded.
    #[must_use]
    pub fn known_time(&self, recorded_at: Timestamp) -> Timestamp {
        super::known_time(self.known_at, self.published_by, recorded_at)
    }
}

/// Says how much of a recorded event is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordForm {
    /// All of it.
    #[default]
    Whole,
    /// Its place, id and digests: the content was erased on order.
    Erased,
    /// Its place alone: it was damaged, and an operator set it aside.
    Lost,
}

impl RecordForm {
    /// Gives the number on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Erased => 1,
            Self::Lost => 2,
        }
    }

    /// Gives the form with a number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Whole),
            1 => Some(Self::Erased),
            2 => Some(Self::Lost),
            _ => None,
        }
    }
}

/// What an event says, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedFacts {
    /// How much of it is left; what is not whole is no entry of any question.
    pub form: RecordForm,
    /// What it says.
    pub event: EventFacts,
    /// Its place in the log.
    pub position: Position,
    /// Its place in its stream.
    pub revision: Revision,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Its knowledge links, targets found.
    pub links: Vec<KnowledgeLink>,
}

impl RecordedFacts {
    /// Stands for a record of which nothing is known but its place.
    #[must_use]
    pub fn lost(position: Position, recorded_at: Timestamp) -> Self {
        let id = EventId::from_bytes([0; 16]);
        let event = EventFacts::bare(id, StreamName::from_recorded(""), Kind::Custom);
        Self {
            form: RecordForm::Lost,
            event,
            position,
            revision: Revision(0),
            recorded_at,
            links: Vec::new(),
        }
    }

    /// Gives when the public could know it.
    #[must_use]
    pub fn known_time(&self) -> Timestamp {
        self.event.known_time(self.recorded_at)
    }
}
