//! The words of an event for people, as full-text search takes them.

use prost::Message as _;

use super::stored::StoredError;
use crate::domain::{RecordForm, StreamName};
use crate::journal::Record;
use crate::pb;
use crate::pb::event::Payload;

/// Texts of an event, by how much they say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Title of the event and of the agreement, and what a series measures.
    pub titles: Vec<String>,
    /// Names of who takes part, with their offices, of places, publishers and authors, and titles of sources.
    pub names: Vec<String>,
    /// Summary, purposes, subject, provisions, and what is to be done.
    pub summaries: Vec<String>,
    /// Quotes of sources, words of a statement and of its claims.
    pub quotes: Vec<String>,
}

impl Texts {
    /// Reads the texts of a record; nothing where it is no event of public life, or its content is gone.
    ///
    /// # Errors
    /// [`StoredError`] when the bytes are no event.
    pub fn of(record: &Record) -> Result<Option<Self>, StoredError> {
        if record.form != RecordForm::Whole || StreamName::is_reserved(&record.stream) {
            return Ok(None);
        }
        let event = pb::Event::decode(record.content.as_ref())
            .map_err(|cause| StoredError { position: record.position, reason: cause.to_string() })?;
        let mut texts = Self::default();
        texts.envelope(&event);
        if let Some(payload) = &event.payload {
            texts.payload(payload);
        }
        for found in [&mut texts.titles, &mut texts.names, &mut texts.summaries, &mut texts.quotes] {
            found.retain(|text| !text.is_empty());
        }
        Ok(Some(texts))
    }

    fn envelope(&mut self, event: &pb::Event) {
        self.titles.push(event.title.clone());
        self.summaries.push(event.summary.clone());
        self.participants(&event.participants);
        for place in &event.places {
            self.names.push(place.name.clone());
        }
        for source in &event.sources {
            self.names.push(source.title.clone());
            self.entity(source.publisher.as_ref());
            self.names.extend(source.authors.iter().cloned());
            self.quotes.extend(source.quote.iter().map(|quote| quote.exact.clone()));
            for attribution in &source.attribution {
                self.entity(attribution.by.as_ref());
            }
        }
    }

    fn payload(&mut self, payload: &Payload) {
        match payload {
            Payload::Agreement(agreement) => {
                self.titles.push(agreement.title.clone());
                self.entity(agreement.acting_party.as_ref());
                self.summaries.push(agreement.subject.clone());
                self.summaries.extend(agreement.provisions.iter().cloned());
                self.summaries.push(agreement.reservation_text.clone());
            }
            Payload::FundingTransfer(transfer) => {
                self.summaries.push(transfer.purpose.clone());
                self.summaries.extend(transfer.in_kind.iter().map(|kind| kind.description.clone()));
            }
            Payload::Visit(visit) => self.visit(visit),
            Payload::StatisticalRelease(release) => {
                self.titles.push(release.indicator.clone());
                self.entity(release.reference_area.as_ref());
            }
            Payload::Statement(statement) => {
                self.participants(statement.speaker.as_slice());
                self.quotes.push(statement.text.clone());
                self.quotes.extend(statement.claims.iter().map(|claim| claim.text.clone()));
            }
            Payload::Custom(_) => {}
        }
    }

    fn visit(&mut self, visit: &pb::Visit) {
        self.summaries.push(visit.purpose.clone());
        self.summaries.extend(visit.deliverables.iter().cloned());
        for stop in &visit.stops {
            self.names.extend(stop.place.iter().map(|place| place.name.clone()));
            self.summaries.push(stop.activity.clone());
        }
        for meeting in &visit.meetings {
            self.participants(&meeting.participants);
            self.names.extend(meeting.place.iter().map(|place| place.name.clone()));
            self.summaries.push(meeting.topic.clone());
        }
    }

    fn participants(&mut self, participants: &[pb::Participant]) {
        for participant in participants {
            self.entity(participant.entity.as_ref());
            self.names.push(participant.capacity.clone());
            self.entity(participant.on_behalf_of.as_ref());
        }
    }

    fn entity(&mut self, entity: Option<&pb::EntityRef>) {
        self.names.extend(entity.map(|entity| entity.name.clone()));
    }
}
