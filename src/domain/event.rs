//! The event as its rules see it.

use super::{
    Agreement, Assertion, CaveatCode, Day, Entity, EventId, Findings, FundingTransfer, Kind, Link,
    LinkTarget, LinkType, Modality, Participant, Place, Source, Statement, StatisticalRelease, StreamName,
    TermField, TermList, Terms, TimeSpan, Timestamp, Visit, check_participants, known_from_sources,
    known_time,
};

/// How far a known time may lie ahead of the server's clock: clocks differ.
pub const KNOWN_AHEAD_MICROS_MAX: i64 = 5 * 60 * 1_000_000;

/// An event as proposed, every value checked on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Names the event.
    pub id: EventId,
    /// The stream it belongs to.
    pub stream: StreamName,
    /// When it was true.
    pub valid_time: TimeSpan,
    /// When the public could know it, as the client wrote it.
    pub known_at: Option<Timestamp>,
    /// Who took part.
    pub participants: Vec<Participant>,
    /// Where.
    pub places: Vec<Place>,
    /// Who says so.
    pub sources: Vec<Source>,
    /// What it says of other events.
    pub links: Vec<Link>,
    /// Labels.
    pub tags: Vec<String>,
    /// Whether it happened.
    pub modality: Option<Modality>,
    /// Who stands behind it.
    pub assertion: Option<Assertion>,
    /// What it is about.
    pub payload: Payload,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// An act in the life of an agreement.
    Agreement(Box<Agreement>),
    /// A transfer of funds.
    FundingTransfer(Box<FundingTransfer>),
    /// A journey.
    Visit(Box<Visit>),
    /// Values of a series.
    StatisticalRelease(Box<StatisticalRelease>),
    /// Something said.
    Statement(Box<Statement>),
    /// Any other kind.
    Custom,
}

impl Payload {
    /// Gives the kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Agreement(_) => Kind::Agreement,
            Self::FundingTransfer(_) => Kind::FundingTransfer,
            Self::Visit(_) => Kind::Visit,
            Self::StatisticalRelease(_) => Kind::StatisticalRelease,
            Self::Statement(_) => Kind::Statement,
            Self::Custom => Kind::Custom,
        }
    }

    const fn field(&self) -> &'static str {
        match self {
            Self::Agreement(_) => "agreement",
            Self::FundingTransfer(_) => "funding_transfer",
            Self::Visit(_) => "visit",
            Self::StatisticalRelease(_) => "statistical_release",
            Self::Statement(_) => "statement",
            Self::Custom => "custom",
        }
    }
}

impl Event {
    /// Gives when the public could know it: as written, else by the earliest source, else when it was recorded.
    #[must_use]
    pub fn known_time(&self, recorded_at: Timestamp) -> Timestamp {
        known_time(self.known_at, known_from_sources(&self.sources), recorded_at)
    }

    /// Checks the rules that join fields: impossible is a violation, unusual is a caveat.
    pub fn check(&self, now: Timestamp, findings: &mut Findings) {
        let today = super::day_of(now);
        check_participants(&self.participants, findings);
        self.check_times(now, today, findings);
        if self.sources.is_empty() && self.assertion != Some(Assertion::Recorded) {
            findings.violation_at("sources", "must not be empty unless assertion is RECORDED: who says so?");
        }
        for (index, source) in self.sources.iter().enumerate() {
            findings.at_index("sources", index, |f| source.check(now, f));
        }
        self.check_links(findings);
        findings.at(self.payload.field(), |f| match &self.payload {
            Payload::Agreement(agreement) => agreement.check(self, f),
            Payload::FundingTransfer(transfer) => transfer.check(self, today, f),
            Payload::Visit(visit) => visit.check(self, today, f),
            Payload::StatisticalRelease(release) => release.check(f),
            Payload::Statement(statement) => statement.check(self, f),
            Payload::Custom => {}
        });
    }

    fn check_times(&self, now: Timestamp, today: Day, findings: &mut Findings) {
        let span = &self.valid_time;
        // IATI rule 11.2.1, for every kind; a day's grace, because it is already tomorrow somewhere.
        if self.modality == Some(Modality::Actual)
            && span.earliest_start.is_some_and(|day| day > today.plus_days(1))
        {
            findings.violation_at("valid_time", "lies in the future, but modality is ACTUAL: say PLANNED");
        }
        if self.known_at.is_some_and(|known| known > now.plus_micros(KNOWN_AHEAD_MICROS_MAX)) {
            findings.violation_at("known_at", "must not be in the future");
        }
        let known = super::day_of(self.known_time(now));
        if self.modality == Some(Modality::Planned) && span.latest_end.is_some_and(|end| end <= known) {
            findings.caveat_at(
                "modality",
                CaveatCode::OverduePlan,
                "planned for a time that was over when it became known",
            );
        }
        if self.modality == Some(Modality::Actual)
            && self.known_at.is_some()
            && span.earliest_start.is_some_and(|start| start > known.plus_days(1))
        {
            findings.caveat_at("known_at", CaveatCode::KnownBeforeStart, "known before it could have begun");
        }
    }

    fn check_links(&self, findings: &mut Findings) {
        for (index, link) in self.links.iter().enumerate() {
            findings.at_index("links", index, |f| {
                if link.event() == Some(self.id) {
                    f.violation_at("event_id", "must not be the event itself");
                }
                if link.link_type.is_knowledge() && !matches!(link.target, LinkTarget::Event(_)) {
                    f.violation_at(
                        "event_id",
                        "must be set: a correction, supersession, retraction or duplicate names an event",
                    );
                }
            });
        }
    }

    /// Gives the links that change what is believed.
    pub fn knowledge_links(&self) -> impl Iterator<Item = (usize, LinkType, EventId)> {
        self.links.iter().enumerate().filter_map(|(index, link)| {
            link.link_type.is_knowledge().then(|| Some((index, link.link_type, link.event()?))).flatten()
        })
    }

    /// Gives every term that the event can be found by.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let mut terms = TermList::with_room();
        terms.add(TermField::Stream, self.stream.as_str());
        for category in self.stream.categories() {
            terms.add_joined(TermField::Category, [category, "/"]);
        }
        terms.add_written(TermField::Kind, self.payload.kind().number());
        for participant in &self.participants {
            add_participant(&mut terms, participant);
        }
        for place in &self.places {
            terms.add(TermField::Place, &place.name);
            terms.add(TermField::Country, &place.country);
            for id in &place.external_ids {
                let written = [&id.scheme, ":", &id.value];
                terms.add_joined(TermField::Place, written);
                terms.add_joined(TermField::ExternalId, written);
            }
        }
        for source in &self.sources {
            terms.add(TermField::Source, &source.id);
            if let Some(publisher) = &source.publisher {
                terms.add(TermField::Publisher, publisher.key());
            }
            for entity in &source.attributed_to {
                terms.add(TermField::Attribution, entity.key());
            }
        }
        self.links.iter().for_each(|link| add_link(&mut terms, link));
        for tag in &self.tags {
            terms.add(TermField::Tag, tag);
        }
        if let Some(modality) = self.modality {
            terms.add_written(TermField::Modality, modality.number());
        }
        if let Some(assertion) = self.assertion {
            terms.add_written(TermField::Assertion, assertion.number());
        }
        add_payload(&mut terms, &self.payload);
        Terms::new(&terms)
    }
}

fn add_entity(terms: &mut TermList, entity: &Entity) {
    terms.add(TermField::Entity, entity.key());
    terms.add(TermField::Country, &entity.country);
    for id in &entity.external_ids {
        terms.add_joined(TermField::ExternalId, [&id.scheme, ":", &id.value]);
    }
}

fn add_link(terms: &mut TermList, link: &Link) {
    terms.add_written(TermField::LinkType, link.link_type.number());
    match &link.target {
        LinkTarget::Event(id) => terms.add_written(TermField::LinkEvent, id),
        LinkTarget::Stream(name) => terms.add(TermField::LinkStream, name.as_str()),
        LinkTarget::External => {}
    }
}

fn add_participant(terms: &mut TermList, participant: &Participant) {
    add_entity(terms, &participant.entity);
    if let Some(principal) = &participant.on_behalf_of {
        add_entity(terms, principal);
    }
    if let Some(role) = participant.role {
        for entity in std::iter::once(&participant.entity).chain(&participant.on_behalf_of) {
            terms.add_written(TermField::Participation, format_args!("{}:{}", role.number(), entity.key()));
        }
    }
}

fn add_payload(terms: &mut TermList, payload: &Payload) {
    match payload {
        Payload::Agreement(agreement) => {
            terms.add_written(TermField::Action, agreement.action.number());
            if let Some(party) = &agreement.acting_party {
                add_entity(terms, party);
            }
        }
        Payload::FundingTransfer(transfer) => {
            terms.add_written(TermField::Stage, transfer.stage.number());
            terms.add(TermField::Currency, transfer.amount.currency().code());
            terms.add(TermField::FlowType, &transfer.flow_type);
            terms.add(TermField::FinanceType, &transfer.finance_type);
            terms.add(TermField::TiedStatus, &transfer.tied_status);
            terms.add(TermField::DisbursementChannel, &transfer.disbursement_channel);
            terms.add(TermField::ActivityId, &transfer.activity_id);
            terms.add(TermField::CommitmentEvent, &transfer.commitment_event_id);
            for (field, values) in [
                (TermField::AidType, &transfer.aid_types),
                (TermField::Sector, &transfer.sectors),
                (TermField::RecipientCountry, &transfer.recipient_countries),
                (TermField::Country, &transfer.recipient_countries),
            ] {
                values.iter().for_each(|value| terms.add(field, value));
            }
        }
        Payload::Visit(visit) => {
            if let Some(status) = visit.status {
                terms.add_written(TermField::VisitStatus, status.number());
            }
        }
        Payload::StatisticalRelease(release) => {
            terms.add(TermField::Dataflow, &release.dataflow);
            terms.add(TermField::SeriesKey, &release.series_key);
            terms.add(TermField::Country, &release.area_country);
        }
        Payload::Statement(statement) => {
            add_participant(terms, &statement.speaker);
            statement.about.iter().for_each(|link| add_link(terms, link));
        }
        Payload::Custom => {}
    }
}
