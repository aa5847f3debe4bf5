//! One act, and when it happened.

use crate::domain::{Action, Assertion, Bounds, Modality, Position};
use crate::pb;
use crate::pb::event::Payload;
use crate::projection::civil::{date_of, day_number};

/// Which date of an act counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Basis {
    /// The date of the act.
    #[default]
    Act,
    /// The day it takes effect, where it is given.
    Effective,
}

/// When something happened: some day from `earliest` to `latest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Earliest day; [`Bounds::OPEN_START`] = open.
    pub earliest: i32,
    /// Latest day; [`Bounds::OPEN_END`] = open.
    pub latest: i32,
    /// Whether it is sure to have happened by then.
    pub sure: bool,
}

impl When {
    /// Tells whether it can have happened by a day.
    #[must_use]
    pub const fn may(self, day: i32) -> bool {
        self.earliest <= day
    }

    /// Tells whether it has certainly happened by a day.
    #[must_use]
    pub const fn must(self, day: i32) -> bool {
        self.sure && self.latest <= day
    }

    /// Writes it for the wire.
    #[must_use]
    pub fn date(self, event_id: &str) -> pb::ActDate {
        pb::ActDate {
            earliest: date_of(self.earliest),
            latest: date_of(self.latest),
            sure: self.sure,
            event_id: event_id.to_owned(),
        }
    }
}

/// Tells whether what an event says can have happened at all.
#[must_use]
pub fn counts(event: &pb::Event) -> bool {
    !matches!(Modality::from_number(event.modality), Some(Modality::Negated | Modality::Hypothetical))
}

/// Gives when an event happened, by the basis.
#[must_use]
pub fn when(event: &pb::Event, basis: Basis) -> When {
    let agreement =
        if let Some(Payload::Agreement(agreement)) = &event.payload { Some(agreement) } else { None };
    let happened = matches!(Modality::from_number(event.modality), None | Some(Modality::Actual));
    let agreed =
        !matches!(Assertion::from_number(event.assertion), Some(Assertion::Claimed | Assertion::Disputed));
    let sure = happened && agreed;
    let effective = agreement.and_then(|agreement| agreement.effective_on.as_ref()).and_then(day_number);
    if let (Basis::Effective, Some(day)) = (basis, effective) {
        return When { earliest: day, latest: day, sure };
    }
    let Some(span) = &event.valid_time else {
        return When { earliest: Bounds::OPEN_START, latest: Bounds::OPEN_END, sure: false };
    };
    When {
        earliest: span.earliest_start.as_ref().and_then(day_number).unwrap_or(Bounds::OPEN_START),
        latest: span.latest_start.as_ref().and_then(day_number).unwrap_or(Bounds::OPEN_END),
        // EDTF gives no bound to how far an approximate date may be off.
        sure: sure && !span.approximate && !span.uncertain,
    }
}

/// A standing act.
#[derive(Clone, Debug)]
pub struct Act {
    /// The event.
    pub event: pb::Event,
    /// Its payload.
    pub agreement: pb::Agreement,
    /// What was done.
    pub action: Action,
    /// Where it stands in the log.
    pub position: Position,
}

impl Act {
    /// Takes an act out of an event; nothing if it is of another kind.
    #[must_use]
    pub fn of(mut event: pb::Event) -> Option<Self> {
        let Some(Payload::Agreement(agreement)) = event.payload.take() else { return None };
        let action = Action::from_number(agreement.action)?;
        event.payload = Some(Payload::Agreement(agreement.clone()));
        let position = Position(event.position);
        Some(Self { event, agreement, action, position })
    }

    /// Gives when it happened. A mention is no act, so it makes nothing sure.
    #[must_use]
    pub fn when(&self, basis: Basis) -> When {
        let when = when(&self.event, basis);
        When { sure: when.sure && self.action != Action::ReportedToExist, ..when }
    }

    /// Tells whether it can have happened at all.
    #[must_use]
    pub fn counts(&self) -> bool {
        counts(&self.event)
    }

    /// Gives the key of the acting party.
    #[must_use]
    pub fn acting(&self) -> Option<&str> {
        self.agreement.acting_party.as_ref().map(key_of)
    }

    /// Gives the parties that it names.
    pub fn parties(&self) -> impl Iterator<Item = &pb::EntityRef> {
        let named = self.event.participants.iter().filter_map(party_of);
        named.chain(self.agreement.acting_party.as_ref())
    }

    /// Tells whether it is a consent to be bound (VCLT articles 11 to 16).
    #[must_use]
    pub const fn is_consent(&self) -> bool {
        matches!(
            self.action,
            Action::Ratified
                | Action::Accepted
                | Action::Approved
                | Action::Acceded
                | Action::Succeeded
                | Action::FormallyConfirmed
        )
    }

    /// Tells whether a party leaves by it.
    #[must_use]
    pub const fn is_leaving(&self) -> bool {
        matches!(self.action, Action::Denounced | Action::Withdrawn)
    }
}

/// Gives what tells an entity from others: the id, else the name.
#[must_use]
pub fn key_of(entity: &pb::EntityRef) -> &str {
    if entity.id.is_empty() { &entity.name } else { &entity.id }
}

/// Gives the party that a participant is or signs for. A person who signs for nobody is no party.
fn party_of(participant: &pb::Participant) -> Option<&pb::EntityRef> {
    let entity = participant.on_behalf_of.as_ref().or(participant.entity.as_ref())?;
    match participant.role() {
        pb::Role::Party => Some(entity),
        pb::Role::Signatory if entity.r#type() != pb::EntityType::Person => Some(entity),
        pb::Role::Signatory
        | pb::Role::Unspecified
        | pb::Role::Depositary
        | pb::Role::Provider
        | pb::Role::Receiver
        | pb::Role::Beneficiary
        | pb::Role::Implementer
        | pb::Role::Visitor
        | pb::Role::Host
        | pb::Role::Counterpart
        | pb::Role::DelegationMember
        | pb::Role::Speaker
        | pb::Role::Addressee
        | pb::Role::Publisher
        | pb::Role::Producer
        | pb::Role::Subject
        | pb::Role::Affected
        | pb::Role::Reporter
        | pb::Role::Mediator
        | pb::Role::Observer
        | pb::Role::Other => None,
    }
}
