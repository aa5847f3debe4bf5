//! Agreements of the model: every world that the record allows, one by one.
//!
//! On a day an act has certainly happened, may have happened, or cannot have. Each choice of those that may is a world,
//! and in a world the status is plain to see. The possible statuses are those of all worlds.

use std::collections::BTreeSet;

use annals::domain::{Day, Position, TimeSpan};
use annals::index::{Scope, Status as Standing};
use annals::pb;
use annals::pb::agreement::Action;
use annals::pb::agreement_state::{DateBasis, Status};
use annals::pb::anomaly::Code;
use annals::pb::event::Payload;

use super::model::{Model, Recorded};

const CONSENTING: &[Action] = &[
    Action::Ratified,
    Action::Accepted,
    Action::Approved,
    Action::Acceded,
    Action::Succeeded,
    Action::FormallyConfirmed,
];

/// Something that happened, or may have: an act, or a link from elsewhere.
#[derive(Clone, Debug)]
struct Fact {
    earliest: i32,
    latest: i32,
    sure: bool,
    position: Position,
    action: Option<Action>,
    acting: Option<String>,
    /// Number of the link.
    link: Option<i32>,
    expires_on: Option<i32>,
    parties: BTreeSet<String>,
}

fn day(date: &pb::google::r#type::Date) -> i32 {
    let civil = (u32::try_from(date.month).unwrap(), u32::try_from(date.day).unwrap());
    Day::from_civil(date.year, civil.0, civil.1).unwrap().number()
}

fn agreement(event: &pb::Event) -> Option<&pb::Agreement> {
    if let Some(Payload::Agreement(agreement)) = &event.payload { Some(agreement) } else { None }
}

fn key(entity: &pb::EntityRef) -> String {
    if entity.id.is_empty() { entity.name.clone() } else { entity.id.clone() }
}

fn happened(event: &Recorded, basis: DateBasis) -> (i32, i32, bool) {
    let (negated, hypothetical, actual) = (5, 4, 1);
    assert!(![negated, hypothetical].contains(&event.event.modality));
    let said = event.event.assertion;
    let (claimed, disputed) = (3, 4);
    let certain = [0, actual].contains(&event.event.modality) && ![claimed, disputed].contains(&said);
    let effective = agreement(&event.event).and_then(|agreement| agreement.effective_on.as_ref()).map(day);
    if let (DateBasis::EffectiveDate, Some(effective)) = (basis, effective) {
        return (effective, effective, certain);
    }
    let span = &event.span;
    let earliest = span.earliest_start.map_or(i32::MIN, |day| day.number());
    let latest = span.latest_start.map_or(i32::MAX, |day| day.number());
    (earliest, latest, certain && !span.approximate && !span.uncertain)
}

fn fact(event: &Recorded, basis: DateBasis, link: Option<i32>) -> Option<Fact> {
    if [4, 5].contains(&event.event.modality) {
        return None;
    }
    let (earliest, latest, sure) = happened(event, basis);
    let act = agreement(&event.event);
    let action = act.filter(|_| link.is_none()).map(|act| act.action());
    let mut parties = BTreeSet::new();
    for participant in event.event.participants.iter().filter(|_| link.is_none()) {
        let entity = participant.on_behalf_of.as_ref().or(participant.entity.as_ref()).unwrap();
        if participant.role() == pb::Role::Party
            || (participant.role() == pb::Role::Signatory && entity.r#type() != pb::EntityType::Person)
        {
            parties.insert(key(entity));
        }
    }
    let acting = act.filter(|_| link.is_none()).and_then(|act| act.acting_party.as_ref()).map(key);
    parties.extend(acting.clone());
    Some(Fact {
        earliest,
        latest,
        sure: sure && action != Some(Action::ReportedToExist),
        position: event.position,
        action,
        acting,
        link,
        expires_on: act.and_then(|act| act.expires_on.as_ref()).map(day),
        parties,
    })
}

impl Model {
    fn in_scope(&self, scope: Scope) -> impl Iterator<Item = &Recorded> {
        self.events.iter().filter(move |event| {
            event.position <= scope.as_of && event.known_at <= scope.known_at && event.is_entry()
        })
    }

    /// Gives the acts of an agreement that stand, by position.
    pub(crate) fn standing_acts(&self, stream: &str, scope: Scope) -> Vec<&Recorded> {
        let acts = self.in_scope(scope).filter(|event| event.event.stream == stream);
        let acts = acts.filter(|event| agreement(&event.event).is_some());
        acts.filter(|event| self.status(event.position, scope) == Standing::Current).collect()
    }

    /// Gives the parties that the acts of an agreement name.
    pub(crate) fn parties_of(&self, stream: &str, scope: Scope) -> BTreeSet<String> {
        let acts = self.standing_acts(stream, scope).into_iter();
        acts.filter_map(|act| fact(act, DateBasis::ActDate, None)).flat_map(|fact| fact.parties).collect()
    }

    fn facts_of(&self, stream: &str, basis: DateBasis, scope: Scope) -> Vec<Fact> {
        self.standing_acts(stream, scope).into_iter().filter_map(|act| fact(act, basis, None)).collect()
    }

    /// Gives the earliest day of the first act that may have happened; without one, the last day of all.
    pub(crate) fn first_day(&self, stream: &str, basis: DateBasis, scope: Scope) -> i32 {
        self.facts_of(stream, basis, scope).iter().map(|fact| fact.earliest).min().unwrap_or(i32::MAX)
    }

    /// Gives what is unusual, but for what depends on the day, and acts after the end.
    pub(crate) fn anomalies(&self, stream: &str, basis: DateBasis, scope: Scope) -> BTreeSet<Code> {
        let facts = self.facts_of(stream, basis, scope);
        let mut acts = self.standing_acts(stream, scope);
        acts.retain(|act| fact(act, basis, None).is_some());
        let said = || acts.iter().map(|act| (agreement(&act.event).unwrap(), &act.span));
        let did = |fact: &Fact, wanted: Action| fact.action == Some(wanted);
        let ends = |fact: &Fact| {
            let leaves = did(fact, Action::Denounced) || did(fact, Action::Withdrawn);
            did(fact, Action::Terminated) || did(fact, Action::Expired) || (leaves && fact.acting.is_none())
        };
        let comes_before = |early: &dyn Fn(&Fact) -> bool, late: Action| {
            let late: Vec<&Fact> = facts.iter().filter(|fact| did(fact, late)).collect();
            !late.is_empty()
                && facts.iter().any(|fact| {
                    early(fact)
                        && fact.sure
                        && late.iter().all(|other| other.sure && fact.latest < other.earliest)
                })
        };
        let enters = |fact: &Fact| did(fact, Action::EnteredIntoForce);
        let entries: Vec<&Option<String>> =
            facts.iter().filter(|fact| enters(fact)).map(|fact| &fact.acting).collect();
        let ids: BTreeSet<&String> = said().map(|(agreement, _)| &agreement.agreement_id).collect();
        let early = |(agreement, span): (&pb::Agreement, &TimeSpan)| {
            let made = span.earliest_start.map(|day| day.number());
            agreement
                .effective_on
                .as_ref()
                .map(day)
                .zip(made)
                .is_some_and(|(effective, made)| effective < made)
        };
        let found = [
            (Code::InForceBeforeSignature, comes_before(&enters, Action::Signed)),
            (Code::EndedBeforeSignature, comes_before(&ends, Action::Signed)),
            (Code::InForceBeforeProvisionalApplication, comes_before(&enters, Action::ProvisionallyApplied)),
            (Code::SecondEntryIntoForce, entries.iter().collect::<BTreeSet<_>>().len() < entries.len()),
            (Code::EffectiveBeforeAct, said().any(early)),
            (Code::Retroactive, said().any(|(agreement, _)| agreement.retroactive)),
            (Code::SeveralIdentifiers, ids.len() > 1),
            (Code::PartiesIncomplete, self.parties_of(stream, scope).len() < 2),
        ];
        found.into_iter().filter(|(_, holds)| *holds).map(|(code, _)| code).collect()
    }

    /// Gives every possible status of the agreement of a stream on a day, the highest first; nothing where no act
    /// stands.
    pub(crate) fn possible_statuses(
        &self,
        stream: &str,
        on: i32,
        basis: DateBasis,
        scope: Scope,
    ) -> Option<Vec<Status>> {
        let stands = |event: &&Recorded| self.status(event.position, scope) == Standing::Current;
        let is_act = |event: &&Recorded| event.event.stream == stream && agreement(&event.event).is_some();
        let entries: Vec<&Recorded> = self.in_scope(scope).collect();
        let acts = self.standing_acts(stream, scope);
        if acts.is_empty() {
            return None;
        }
        let mut facts: Vec<Fact> = acts.iter().filter_map(|act| fact(act, basis, None)).collect();
        // Links from elsewhere, to the stream or to any act of it, whether that still stands or not.
        let names: BTreeSet<String> =
            entries.iter().filter(|event| is_act(event)).map(|event| event.id.to_string()).collect();
        let carriers = entries.iter().copied().filter(|event| !event.event.links.is_empty());
        for carrier in carriers.filter(stands).filter(|event| !is_act(event)) {
            for link in &carrier.event.links {
                if (10..20).contains(&link.r#type)
                    && (link.stream == stream || names.contains(&link.event_id))
                {
                    facts.extend(fact(carrier, basis, Some(link.r#type)));
                }
            }
        }
        let parties: BTreeSet<String> = facts.iter().flat_map(|fact| fact.parties.clone()).collect();
        let (certain, open): (Vec<Fact>, Vec<Fact>) = facts
            .into_iter()
            .filter(|fact| fact.earliest <= on)
            .partition(|fact| fact.sure && fact.latest <= on);
        let mut possible = BTreeSet::new();
        for choice in 0..1_u32 << open.len() {
            let chosen = open.iter().enumerate().filter(|(index, _)| choice & 1 << index != 0);
            let mut world: Vec<&Fact> = certain.iter().chain(chosen.map(|(_, fact)| fact)).collect();
            world.sort_by_key(|fact| (fact.earliest, fact.latest, fact.position));
            possible.insert(i32::from(status_in(&world, &parties, on)));
        }
        Some(possible.into_iter().rev().map(|number| Status::try_from(number).unwrap()).collect())
    }
}

/// Gives the status in a world: what happened, in order.
fn status_in(world: &[&Fact], parties: &BTreeSet<String>, on: i32) -> Status {
    let linked = |number: i32| world.iter().any(|fact| fact.link == Some(number));
    let did =
        |wanted: &[Action]| world.iter().any(|fact| fact.action.is_some_and(|done| wanted.contains(&done)));
    let leaving = [Action::Denounced, Action::Withdrawn];
    let (terminates, replaces, cancels, extends) = (12, 13, 16, 11);
    if linked(cancels) {
        return Status::Cancelled;
    }
    if linked(terminates) || did(&[Action::Terminated]) {
        return Status::Terminated;
    }
    if linked(replaces) {
        return Status::Replaced;
    }
    let of_all = world
        .iter()
        .any(|fact| fact.acting.is_none() && fact.action.is_some_and(|done| leaving.contains(&done)));
    let gone = parties.iter().filter(|party| {
        let own = world.iter().filter(|fact| fact.acting.as_ref() == Some(party));
        let mut steps = own
            .filter_map(|fact| fact.action)
            .filter(|done| leaving.contains(done) || CONSENTING.contains(done));
        steps.next_back().is_some_and(|done| leaving.contains(&done))
    });
    if of_all || gone.count() >= parties.len().saturating_sub(1).max(1) {
        return Status::Denounced;
    }
    let mut terms = world.iter().filter(|fact| fact.link.is_none() || fact.link == Some(extends));
    let term = terms.rfind(|fact| fact.expires_on.is_some()).and_then(|fact| fact.expires_on);
    if did(&[Action::Expired]) || term.is_some_and(|term| term < on) {
        return Status::Expired;
    }
    let pauses = world.iter().filter_map(|fact| fact.action);
    let mut pauses = pauses.filter(|done| [Action::Suspended, Action::Resumed].contains(done));
    if pauses.next_back() == Some(Action::Suspended) {
        return Status::Suspended;
    }
    stage_in(&did)
}

/// Gives the highest stage of what was done.
fn stage_in(did: &dyn Fn(&[Action]) -> bool) -> Status {
    let stages: [(&[Action], Status); 9] = [
        (&[Action::EnteredIntoForce], Status::InForce),
        (&[Action::ProvisionallyApplied], Status::ProvisionallyApplied),
        (&[Action::Established], Status::Established),
        (CONSENTING, Status::Ratified),
        (&[Action::Signed], Status::Signed),
        (&[Action::Adopted, Action::OpenedForSignature], Status::Adopted),
        (&[Action::Initialled], Status::Initialled),
        (&[Action::Negotiated], Status::Negotiated),
        (&[Action::Proposed], Status::Proposed),
    ];
    for (actions, status) in stages {
        if did(actions) {
            return status;
        }
    }
    let mentions = [
        Action::Reserved,
        Action::Declared,
        Action::Objected,
        Action::Amended,
        Action::Extended,
        Action::Registered,
        Action::MeasureImplemented,
        Action::ReportedToExist,
    ];
    if did(&mentions) { Status::ReportedToExist } else { Status::NotYet }
}
