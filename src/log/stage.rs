//! What a round has accepted so far: on its way to disk, already binding for the requests after it.

use std::ops::Range;

use ahash::HashMap;

use super::append::{AppendRequest, Appended, AppendedEvent, Proposal};
use crate::codec::server_fields;
use crate::codec::stored::AppendPlace;
use crate::domain::{
    Caveat, EventId, KnowledgeLink, Position, RecordForm, RecordedFacts, Revision, StreamName, Timestamp,
};
use crate::filter::Filter;
use crate::index::Edge;
use crate::journal::Record;

/// Events accepted in this round.
#[derive(Debug)]
pub struct Stage {
    base: Position,
    now: Timestamp,
    /// What the index will fold.
    pub facts: Vec<RecordedFacts>,
    /// What the journal will commit.
    pub records: Vec<Record>,
    caveats: Vec<Vec<Caveat>>,
    ids: HashMap<EventId, usize>,
    revisions: HashMap<StreamName, Revision>,
    edges: HashMap<Position, Vec<Edge>>,
}

impl Stage {
    /// Begins after a position; `now` is when the next event counts as recorded.
    #[must_use]
    pub fn after(base: Position, now: Timestamp) -> Self {
        Self {
            base,
            now,
            facts: Vec::new(),
            records: Vec::new(),
            caveats: Vec::new(),
            ids: HashMap::default(),
            revisions: HashMap::default(),
            edges: HashMap::default(),
        }
    }

    /// Gives the place of an event in the round.
    #[must_use]
    pub fn find(&self, id: &EventId) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// Gives the position that the next event will have.
    #[must_use]
    pub fn next_position(&self) -> Position {
        self.base.plus(u64::try_from(self.facts.len()).unwrap_or(u64::MAX)).next()
    }

    /// Gives the last revision of a stream that the round wrote to.
    #[must_use]
    pub fn revision_of(&self, stream: &StreamName) -> Option<Revision> {
        self.revisions.get(stream).copied()
    }

    /// Gives the knowledge links to an event that the round added.
    #[must_use]
    pub fn edges_to(&self, target: Position) -> &[Edge] {
        self.edges.get(&target).map_or(&[], Vec::as_slice)
    }

    /// Gives the knowledge links that an event of the round carries.
    pub fn edges_of(&self, carrier: Position) -> impl Iterator<Item = &Edge> {
        // Few rounds have a retraction, which alone asks for this.
        self.edges.values().flatten().filter(move |edge| edge.carrier == carrier)
    }

    /// Gives the first staged event after a position that matches.
    #[must_use]
    pub fn first_match(&self, filter: &Filter, after: Position) -> Option<Position> {
        let mut staged = self.facts.iter().filter(|facts| facts.position > after);
        staged.find(|facts| filter.matches(&facts.event, None)).map(|facts| facts.position)
    }

    /// Gives the place of the event at a position, if the round added it.
    #[must_use]
    pub fn place_of(&self, position: Position) -> Option<usize> {
        let place = position.0.checked_sub(self.base.next().0)?;
        usize::try_from(place).ok().filter(|place| *place < self.facts.len())
    }

    /// Gives what is staged at a place.
    #[must_use]
    pub fn at(&self, place: usize) -> Option<(&RecordedFacts, &Record)> {
        self.facts.get(place).zip(self.records.get(place))
    }

    /// Accepts one event of a request.
    pub fn push(
        &mut self,
        proposal: Proposal,
        revision: Revision,
        edges: &[Edge],
        place: AppendPlace,
        recorded_by: &str,
    ) {
        let position = self.next_position();
        let recorded_at = self.now;
        // Strictly increasing, so that recorded time orders events as positions do.
        self.now = self.now.plus_micros(1);
        let links: Vec<KnowledgeLink> = edges
            .iter()
            .map(|edge| KnowledgeLink { link_type: edge.link_type, target: edge.target })
            .collect();
        for edge in edges {
            self.edges.entry(edge.target).or_default().push(*edge);
        }
        self.ids.insert(proposal.facts.event_id, self.facts.len());
        self.revisions.insert(proposal.facts.stream.clone(), revision);
        self.records.push(Record {
            form: RecordForm::Whole,
            position,
            stream: proposal.facts.stream.clone(),
            revision,
            recorded_at,
            event_id: proposal.facts.event_id,
            content: proposal.content,
            server_fields: server_fields(&proposal.caveats, recorded_by, &links, place),
            salt: proposal.salt,
            content_digest: proposal.content_digest,
        });
        self.caveats.push(proposal.caveats);
        self.facts.push(RecordedFacts {
            form: RecordForm::Whole,
            event: proposal.facts,
            position,
            revision,
            recorded_at,
            links,
        });
    }

    /// Gives when the next event will count as recorded.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Gives the places that a request would take.
    #[must_use]
    pub fn range_for(&self, request: &AppendRequest) -> Range<usize> {
        self.facts.len()..self.facts.len() + request.events.len()
    }

    /// Answers for the events at some places.
    #[must_use]
    pub fn answer(&self, places: Range<usize>, replayed: bool) -> Appended {
        let facts = self.facts.get(places.clone()).unwrap_or_default();
        let caveats = self.caveats.get(places).unwrap_or_default();
        let events = facts.iter().zip(caveats).map(|(facts, caveats)| AppendedEvent {
            id: facts.event.event_id,
            position: facts.position,
            revision: facts.revision,
            recorded_at: facts.recorded_at,
            caveats: caveats.clone(),
        });
        Appended { events: events.collect(), replayed }
    }

    /// Tells whether nothing was accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}
