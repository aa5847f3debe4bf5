//! Agreements: one event is one act in the life of one agreement.

use std::borrow::Cow;

use ahash::HashSet;
use smallvec::SmallVec;

use super::{Action, CaveatCode, Day, Entity, Event, Findings, Role};

/// An act in the life of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Id of the agreement.
    pub agreement_id: String,
    /// What happened.
    pub action: Action,
    /// Whose act it is, if one party's.
    pub acting_party: Option<Entity>,
    /// When the act takes effect, if not on its own date.
    pub effective_on: Option<Day>,
    /// When the agreement ends.
    pub expires_on: Option<Day>,
    /// Whether it is said to have been in force before its signature.
    pub retroactive: bool,
}

/// What the life of an agreement needs of an act, beside when it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActFacts<'a> {
    /// What happened.
    pub action: Action,
    /// Id of the agreement.
    pub agreement_id: Cow<'a, str>,
    /// Key of the party whose act it is, if one party's.
    pub acting_party: Option<Cow<'a, str>>,
    /// Keys of the parties that it names, each once, in the order of the event.
    pub parties: SmallVec<[Cow<'a, str>; 2]>,
    /// When it takes effect, if not on its own date.
    pub effective_on: Option<Day>,
    /// When the agreement ends.
    pub expires_on: Option<Day>,
    /// Whether the agreement is said to have been in force before its signature.
    pub retroactive: bool,
}

impl<'a> ActFacts<'a> {
    /// Takes them from an act and the event that tells of it.
    #[must_use]
    pub fn of(agreement: &'a Agreement, event: &'a Event) -> Self {
        let acting_party = agreement.acting_party.as_ref();
        let named = event.participants.iter().filter_map(super::Participant::party).chain(acting_party);
        let mut seen = HashSet::default();
        let keys = named.map(Entity::key).filter(|key| seen.insert(*key));
        let parties = keys.map(Cow::Borrowed).collect();
        Self {
            action: agreement.action,
            agreement_id: Cow::Borrowed(&agreement.agreement_id),
            acting_party: acting_party.map(|party| Cow::Borrowed(party.key())),
            parties,
            effective_on: agreement.effective_on,
            expires_on: agreement.expires_on,
            retroactive: agreement.retroactive,
        }
    }

    /// Gives the same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ActFacts<'_> {
        ActFacts {
            agreement_id: Cow::Borrowed(&self.agreement_id),
            acting_party: self.acting_party.as_deref().map(Cow::Borrowed),
            parties: self.parties.iter().map(|party| Cow::Borrowed(party.as_ref())).collect(),
            ..*self
        }
    }

    /// Gives the same with names of its own.
    #[must_use]
    pub fn into_owned(self) -> ActFacts<'static> {
        let owned = |name: Cow<'a, str>| Cow::Owned(name.into_owned());
        ActFacts {
            action: self.action,
            agreement_id: owned(self.agreement_id),
            acting_party: self.acting_party.map(owned),
            parties: self.parties.into_iter().map(owned).collect(),
            effective_on: self.effective_on,
            expires_on: self.expires_on,
            retroactive: self.retroactive,
        }
    }
}

impl Agreement {
    /// Remarks on what is unusual for a treaty act; real treaties break every order rule, so none is refused.
    pub fn check(&self, event: &Event, findings: &mut Findings) {
        let parties = event
            .participants
            .iter()
            .filter(|p| matches!(p.role, Some(Role::Party | Role::Signatory)))
            .count();
        if self.action.is_per_party() && self.acting_party.is_none() {
            findings.caveat_at(
                "acting_party",
                CaveatCode::ActingPartyMissing,
                "the act is one party's own, and the party is not named",
            );
        }
        if self.action == Action::Signed && parties < 2 {
            findings.caveat_at(
                "action",
                CaveatCode::FewParties,
                format_args!("signed, but {parties} party is named"),
            );
        }
        if let (Some(effective), Some(act)) = (self.effective_on, event.valid_time.earliest_start)
            && effective < act
        {
            findings.caveat_at(
                "effective_on",
                CaveatCode::OrderAnomaly,
                format_args!("{effective} is before the act itself, {act}"),
            );
        }
        if let (Some(effective), Some(expires)) = (self.effective_on, self.expires_on)
            && expires < effective
        {
            findings.caveat_at(
                "expires_on",
                CaveatCode::OrderAnomaly,
                format_args!("{expires} is before it takes effect, {effective}"),
            );
        }
    }
}
