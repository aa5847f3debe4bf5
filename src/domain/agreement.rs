//! Agreements: one event is one act in the life of one agreement.

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
