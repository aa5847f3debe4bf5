//! What is unusual in the record of an agreement. Unusual is not wrong: real registers hold all of it.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{Act, Basis, When};
use super::gather::Record;
use super::life::{Life, parties};
use crate::domain::Action;
use crate::pb;
use crate::pb::anomaly::Code;
use crate::projection::civil::day_number;

/// Most events that an anomaly names.
const EVENTS_MAX: usize = 100;

/// Finds what is unusual, by number.
#[must_use]
pub fn anomalies(record: &Record, lives: &[Life; 2], basis: Basis, day: i32) -> Vec<pb::Anomaly> {
    let acts: Vec<&Act> = record.acts.iter().filter(|act| act.counts()).collect();
    let seen = Seen { acts: &acts, basis };
    let life = match basis {
        Basis::Act => &lives[0],
        Basis::Effective => &lives[1],
    };
    let ended = life.ended_from();
    let after_end = acts.iter().filter(|act| {
        act.action != Action::Registered && ended.is_some_and(|ended| act.when(basis).earliest > ended)
    });
    let early = acts.iter().filter(|act| {
        let made =
            act.event.valid_time.as_ref().and_then(|span| span.earliest_start.as_ref()).and_then(day_number);
        let effective = act.agreement.effective_on.as_ref().and_then(day_number);
        effective.zip(made).is_some_and(|(effective, made)| effective < made)
    });
    let retroactive = acts.iter().filter(|act| act.agreement.retroactive);
    let identifiers: BTreeSet<&str> = acts.iter().map(|act| act.agreement.agreement_id.as_str()).collect();
    let basis_matters = lives[0].possible(day) != lives[1].possible(day);
    let found = [
        (Code::InForceBeforeSignature, seen.before(is_entry, |act| act.action == Action::Signed)),
        (Code::EndedBeforeSignature, seen.before(is_end, |act| act.action == Action::Signed)),
        (
            Code::InForceBeforeProvisionalApplication,
            seen.before(is_entry, |act| act.action == Action::ProvisionallyApplied),
        ),
        (Code::SecondEntryIntoForce, seen.second_entries()),
        (Code::ActAfterEnd, after_end.copied().collect()),
        (Code::EffectiveBeforeAct, early.copied().collect()),
        (Code::Retroactive, retroactive.copied().collect()),
    ];
    let mut anomalies: Vec<pb::Anomaly> = Vec::new();
    for (code, acts) in found {
        if !acts.is_empty() {
            anomalies.push(anomaly(code, &acts));
        }
    }
    for (code, holds) in [
        (Code::BasisMatters, basis_matters),
        (Code::SeveralIdentifiers, identifiers.len() > 1),
        (Code::PartiesIncomplete, parties(record).len() < 2),
    ] {
        if holds {
            anomalies.push(anomaly(code, &[]));
        }
    }
    anomalies.sort_by_key(|anomaly| anomaly.code);
    anomalies
}

fn is_entry(act: &Act) -> bool {
    act.action == Action::EnteredIntoForce
}

fn is_end(act: &Act) -> bool {
    matches!(act.action, Action::Terminated | Action::Expired)
        || (act.is_leaving() && act.agreement.acting_party.is_none())
}

/// The acts that count.
struct Seen<'a> {
    acts: &'a [&'a Act],
    basis: Basis,
}

impl<'a> Seen<'a> {
    /// Gives acts that were certainly made before every act of another sort, and those; nothing if there is no other, or
    /// one whose date is not sure.
    fn before(&self, early: fn(&Act) -> bool, late: fn(&Act) -> bool) -> Vec<&'a Act> {
        let dated = |wanted: fn(&Act) -> bool| {
            let acts = self.acts.iter().filter(move |act| wanted(act));
            acts.map(|act| (*act, act.when(self.basis)))
        };
        let late: Vec<(&Act, When)> = dated(late).collect();
        let Some(first) = late.iter().map(|(_, when)| when.earliest).min() else { return Vec::new() };
        if !late.iter().all(|(_, when)| when.sure) {
            return Vec::new();
        }
        let early: Vec<&Act> =
            dated(early).filter(|(_, when)| when.sure && when.latest < first).map(|(act, _)| act).collect();
        if early.is_empty() {
            return Vec::new();
        }
        early.into_iter().chain(late.into_iter().map(|(act, _)| act)).collect()
    }

    fn second_entries(&self) -> Vec<&'a Act> {
        let mut entries: BTreeMap<&str, Vec<&Act>> = BTreeMap::new();
        for act in self.acts.iter().filter(|act| is_entry(act)) {
            entries.entry(act.acting().unwrap_or_default()).or_default().push(act);
        }
        entries.into_values().filter(|acts| acts.len() > 1).flatten().collect()
    }
}

fn anomaly(code: Code, acts: &[&Act]) -> pb::Anomaly {
    let text = match code {
        Code::Unspecified => "",
        Code::InForceBeforeSignature => "in force before it was signed",
        Code::EndedBeforeSignature => "ended before it was signed",
        Code::InForceBeforeProvisionalApplication => {
            "definitively in force before it was applied provisionally"
        }
        Code::SecondEntryIntoForce => "entered into force more than once",
        Code::ActAfterEnd => "an act after the agreement had ended",
        Code::EffectiveBeforeAct => "an act takes effect before it was made",
        Code::BasisMatters => "on this day the status by effective dates is another",
        Code::Retroactive => "said to have been in force before its signature",
        Code::SeveralIdentifiers => "its acts carry different identifiers",
        Code::PartiesIncomplete => "fewer than two parties are recorded",
    };
    let event_ids = acts.iter().take(EVENTS_MAX).map(|act| act.event.id.clone()).collect();
    pb::Anomaly { code: code.into(), text: text.to_owned(), event_ids }
}
