//! What is unusual in the record of an agreement. Unusual is not wrong: real registers hold all of it.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{Act, Basis, Record, When};
use super::life::Life;
use crate::domain::{Action, Position};
use crate::pb::anomaly::Code;

/// Something unusual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What it is.
    pub code: Code,
    /// The acts that show it, if some do more than others.
    pub acts: Vec<Position>,
}

/// Finds what is unusual, by number; `life` is that of the record by the basis.
#[must_use]
pub fn anomalies<'r>(record: &Record<'r>, life: &Life, basis: Basis, day: i32) -> Vec<Anomaly> {
    let acts: Vec<&Act<'r>> = record.counting().collect();
    let seen = Seen { acts: &acts, basis };
    let ended = life.ended_from();
    let after_end = acts.iter().filter(|act| {
        act.facts.action != Action::Registered && ended.is_some_and(|ended| act.when(basis).earliest > ended)
    });
    let early = acts.iter().filter(|act| {
        let [made, effective] = [Basis::Act, Basis::Effective].map(|basis| act.happening.when(basis));
        effective.earliest < made.earliest
    });
    let retroactive = acts.iter().filter(|act| act.facts.retroactive);
    let identifiers: BTreeSet<&str> = acts.iter().map(|act| act.facts.agreement_id.as_ref()).collect();
    let basis_matters =
        record.has_effects() && life.possible(day) != Life::of(record, basis.other()).possible(day);
    let found = [
        (Code::InForceBeforeSignature, seen.before(is_entry, |act| act.facts.action == Action::Signed)),
        (Code::EndedBeforeSignature, seen.before(is_end, |act| act.facts.action == Action::Signed)),
        (
            Code::InForceBeforeProvisionalApplication,
            seen.before(is_entry, |act| act.facts.action == Action::ProvisionallyApplied),
        ),
        (Code::SecondEntryIntoForce, seen.second_entries()),
        (Code::ActAfterEnd, after_end.copied().collect()),
        (Code::EffectiveBeforeAct, early.copied().collect()),
        (Code::Retroactive, retroactive.copied().collect()),
    ];
    let shown = found.into_iter().filter(|(_, acts)| !acts.is_empty());
    let positions = |acts: Vec<&Act<'_>>| acts.into_iter().map(|act| act.happening.position).collect();
    let mut anomalies: Vec<Anomaly> =
        shown.map(|(code, acts)| Anomaly { code, acts: positions(acts) }).collect();
    for (code, holds) in [
        (Code::BasisMatters, basis_matters),
        (Code::SeveralIdentifiers, identifiers.len() > 1),
        (Code::PartiesIncomplete, record.parties().len() < 2),
    ] {
        if holds {
            anomalies.push(Anomaly { code, acts: Vec::new() });
        }
    }
    anomalies.sort_by_key(|anomaly| anomaly.code);
    anomalies
}

fn is_entry(act: &Act<'_>) -> bool {
    act.facts.action == Action::EnteredIntoForce
}

fn is_end(act: &Act<'_>) -> bool {
    matches!(act.facts.action, Action::Terminated | Action::Expired)
        || (act.facts.action.is_leaving() && act.acting().is_none())
}

/// The acts that count.
struct Seen<'a, 'r> {
    acts: &'a [&'a Act<'r>],
    basis: Basis,
}

impl<'a, 'r> Seen<'a, 'r> {
    /// Gives acts that were certainly made before every act of another sort, and those; nothing if there is no other, or
    /// one whose date is not sure.
    fn before(&self, early: fn(&Act<'_>) -> bool, late: fn(&Act<'_>) -> bool) -> Vec<&'a Act<'r>> {
        let dated = |wanted: fn(&Act<'_>) -> bool| {
            let acts = self.acts.iter().filter(move |act| wanted(act));
            acts.map(|act| (*act, act.when(self.basis)))
        };
        let late: Vec<(&Act<'r>, When)> = dated(late).collect();
        let Some(first) = late.iter().map(|(_, when)| when.earliest).min() else { return Vec::new() };
        if !late.iter().all(|(_, when)| when.sure) {
            return Vec::new();
        }
        let early: Vec<&Act<'r>> =
            dated(early).filter(|(_, when)| when.sure && when.latest < first).map(|(act, _)| act).collect();
        if early.is_empty() {
            return Vec::new();
        }
        early.into_iter().chain(late.into_iter().map(|(act, _)| act)).collect()
    }

    fn second_entries(&self) -> Vec<&'a Act<'r>> {
        let mut entries: BTreeMap<&str, Vec<&Act<'r>>> = BTreeMap::new();
        for act in self.acts.iter().filter(|act| is_entry(act)) {
            entries.entry(act.acting().unwrap_or_default()).or_default().push(act);
        }
        entries.into_values().filter(|acts| acts.len() > 1).flatten().collect()
    }
}
