//! The state of an agreement on a day, as clients see it.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{Act, Basis, When, key_of};
use super::anomaly::anomalies;
use super::gather::{Record, world};
use super::life::{Last, Life, parties};
use crate::domain::Action;
use crate::pb;
use crate::pb::agreement_state::{Certainty, Status, Verdict};
use crate::projection::civil::date_of;

/// Most acts, parties, provisions and relations that a state shows.
pub const SHOWN_MAX: usize = 1_000;

/// How much of an agreement is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Without acts, provisions, relations and what parties did.
    Summary,
}

/// Gives the state on a day.
#[must_use]
pub fn state(record: &Record, basis: Basis, day: i32, detail: Detail) -> pb::AgreementState {
    let lives = [Life::of(record, Basis::Act), Life::of(record, Basis::Effective)];
    let life = match basis {
        Basis::Act => &lives[0],
        Basis::Effective => &lives[1],
    };
    let possible = life.possible(day);
    let in_force = life.in_force(&possible, day);
    let mut acts: Vec<(&Act, When)> = record.acts.iter().map(|act| (act, act.when(basis))).collect();
    acts.sort_by_key(|(act, when)| (when.earliest, when.latest, act.position));
    let mut state = pb::AgreementState {
        stream: record.stream.clone(),
        certainty: certainty(&possible).into(),
        status: possible.first().copied().unwrap_or_default().into(),
        possible_statuses: possible.iter().map(|status| i32::from(*status)).collect(),
        in_force: in_force.into(),
        expires_on: life.expires_on(day).and_then(date_of),
        anomalies: anomalies(record, &lives, basis, day),
        first_act_on: first_day(record, basis).and_then(date_of),
        act_count: count(record.acts.len()),
        party_count: count(parties(record).len()),
        ..pb::AgreementState::default()
    };
    describe(record, &mut state);
    turn(life, day, &mut state);
    state.parties = party_states(record, &acts, (in_force, day), detail);
    if detail == Detail::Full {
        state.acts = acts.iter().take(SHOWN_MAX).map(|(act, when)| shown_act(act, *when)).collect();
        state.provisions = provisions(&acts);
        relate(record, basis, &mut state);
    }
    state
}

/// Tells how sure a status is.
#[must_use]
pub fn certainty(possible: &[Status]) -> Certainty {
    // A mention is enough to know that there is something, and not enough to be sure of it.
    if possible.len() == 1 { Certainty::Certain } else { Certainty::Possible }
}

/// Gives the earliest day of the first act that counts.
#[must_use]
pub fn first_day(record: &Record, basis: Basis) -> Option<i32> {
    record.acts.iter().filter(|act| act.counts()).map(|act| act.when(basis).earliest).min()
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What the instrument is: the last act that says so holds.
fn describe(record: &Record, state: &mut pb::AgreementState) {
    let agreements = || record.acts.iter().map(|act| &act.agreement);
    let last = |text: fn(&pb::Agreement) -> &String| {
        agreements().rev().map(text).find(|text| !text.is_empty()).cloned()
    };
    let first_title = || record.acts.first().map(|act| act.event.title.clone());
    state.agreement_id = agreements().next().map(|found| found.agreement_id.clone()).unwrap_or_default();
    state.title = last(|found| &found.title).or_else(first_title).unwrap_or_default();
    state.subject = last(|found| &found.subject).unwrap_or_default();
    // "Unknown" says less than any form that another act states.
    let unknown = i32::from(pb::agreement::Form::Unknown);
    state.form = stated(agreements().map(|found| found.form), unknown);
    let unknown = i32::from(pb::agreement::Bindingness::Unknown);
    state.binding = stated(agreements().map(|found| found.binding), unknown);
    let mut seen = BTreeSet::new();
    for act in &record.acts {
        for place in act.event.places.iter().filter(|place| place.role() == pb::place::PlaceRole::SignedAt) {
            if seen.insert((&place.name, &place.country)) {
                state.signing_places.push(place.clone());
            }
        }
    }
    let mut seen = BTreeSet::new();
    let citations = agreements().flat_map(|found| &found.citations);
    state.citations = citations.filter(|citation| seen.insert(*citation)).cloned().collect();
    state.signing_places.truncate(SHOWN_MAX);
    state.citations.truncate(SHOWN_MAX);
}

fn stated(values: impl DoubleEndedIterator<Item = i32> + Clone, unknown: i32) -> i32 {
    let known = values.clone().rev().find(|value| *value != 0 && *value != unknown);
    known.or_else(|| values.into_iter().find(|value| *value == unknown)).unwrap_or_default()
}

/// Finds since when and until when the state is what it is.
fn turn(life: &Life, day: i32, state: &mut pb::AgreementState) {
    let judged = |day: i32| {
        let possible = life.possible(day);
        let in_force = life.in_force(&possible, day);
        (possible, in_force)
    };
    let now = judged(day);
    let days = life.turning_days();
    let (passed, coming) = days.split_at(days.partition_point(|turn| *turn <= day));
    let headline =
        |(possible, _): (Vec<Status>, Verdict)| i32::from(possible.first().copied().unwrap_or_default());
    let mut same = passed.iter().rev().take_while(|turn| judged(**turn) == now).last().copied();
    if same == passed.first().copied() {
        // From the first turning day on, unless it was so before.
        same = same.filter(|first| judged(first.saturating_sub(1)) != now);
    }
    if let Some(since) = same {
        state.since = date_of(since);
        state.previous_status = headline(judged(since.saturating_sub(1)));
    }
    if let Some((until, next)) =
        coming.iter().map(|turn| (*turn, judged(*turn))).find(|(_, next)| *next != now)
    {
        state.until = date_of(until);
        state.next_status = headline(next);
    }
}

fn shown_act(act: &Act, when: When) -> pb::AgreementAct {
    let event = &act.event;
    let sources = event.sources.iter().map(|source| source.id.clone()).filter(|id| !id.is_empty());
    pb::AgreementAct {
        event_id: event.id.clone(),
        title: event.title.clone(),
        action: act.agreement.action,
        date: Some(when.date(&event.id)),
        edtf: event.valid_time.as_ref().map(|span| span.edtf.clone()).unwrap_or_default(),
        effective_on: act.agreement.effective_on,
        acting_party: act.agreement.acting_party.clone(),
        source_ids: sources.collect(),
        counts: act.counts(),
        position: act.position.0,
    }
}

fn provisions(acts: &[(&Act, When)]) -> Vec<pb::ProvisionState> {
    let mut found: BTreeMap<&str, Vec<pb::ProvisionAct>> = BTreeMap::new();
    for (act, when) in acts {
        let names: BTreeSet<&str> = act.agreement.provisions.iter().map(String::as_str).collect();
        for name in names {
            found.entry(name).or_default().push(pb::ProvisionAct {
                action: act.agreement.action,
                date: Some(when.date(&act.event.id)),
                title: act.event.title.clone(),
            });
        }
    }
    let states = found.into_iter().map(|(name, mut acts)| {
        acts.truncate(SHOWN_MAX);
        pb::ProvisionState { name: name.to_owned(), acts }
    });
    states.take(SHOWN_MAX).collect()
}

/// Lists what changes it from elsewhere, and what it changes elsewhere.
fn relate(record: &Record, basis: Basis, state: &mut pb::AgreementState) {
    let target = |link: &pb::Link| {
        let external = link.external.as_ref().map(|id| format!("{}:{}", id.scheme, id.value));
        let named = [&link.event_id, &link.stream].into_iter().find(|name| !name.is_empty()).cloned();
        named.or(external).unwrap_or_default()
    };
    let incoming = record.incoming.iter().map(|found| pb::AgreementRelation {
        r#type: found.link.r#type,
        outgoing: false,
        event_id: found.event_id.clone(),
        stream: found.stream.clone(),
        date: Some(found.when(basis).date(&found.event_id)),
        target: target(&found.link),
        note: found.link.note.clone(),
    });
    let outgoing = record.acts.iter().flat_map(|act| {
        let links = act.event.links.iter().filter(|link| world(link).is_some());
        links.map(move |link| pb::AgreementRelation {
            r#type: link.r#type,
            outgoing: true,
            event_id: act.event.id.clone(),
            stream: record.stream.clone(),
            date: Some(act.when(basis).date(&act.event.id)),
            target: target(link),
            note: link.note.clone(),
        })
    });
    state.relations = incoming.chain(outgoing).collect();
    state.relation_count = count(state.relations.len());
    state.relations.truncate(SHOWN_MAX);
}

/// Tells of each party what it did, and whether it is bound.
fn party_states(
    record: &Record,
    acts: &[(&Act, When)],
    (in_force, day): (Verdict, i32),
    detail: Detail,
) -> Vec<pb::PartyState> {
    let counting: Vec<(&Act, When)> = acts.iter().filter(|(act, _)| act.counts()).copied().collect();
    let consents = counting.iter().any(|(act, _)| act.is_consent() && act.acting().is_some());
    let parties = parties(record).into_iter().take(SHOWN_MAX);
    if detail == Detail::Summary {
        let named =
            |party: &pb::EntityRef| pb::PartyState { party: Some(party.clone()), ..Default::default() };
        return parties.map(|(_, party)| named(party)).collect();
    }
    // One look at the acts for all parties: a treaty may have hundreds of either.
    let mut own: BTreeMap<&str, Vec<(&Act, When)>> = BTreeMap::new();
    for (act, when) in &counting {
        let signed_by: BTreeSet<&str> = if act.action == Action::Signed && act.acting().is_none() {
            act.parties().map(key_of).collect()
        } else {
            BTreeSet::new()
        };
        for party in act.acting().into_iter().chain(signed_by) {
            own.entry(party).or_default().push((*act, *when));
        }
    }
    let states = parties.map(|(key, party)| {
        let acts = own.get(key).map(Vec::as_slice).unwrap_or_default();
        party_state(party, acts, consents, (in_force, day))
    });
    states.collect()
}

fn party_state(
    party: &pb::EntityRef,
    acts: &[(&Act, When)],
    consents: bool,
    (in_force, day): (Verdict, i32),
) -> pb::PartyState {
    let first = |wanted: fn(&Act) -> bool| acts.iter().find(|(act, _)| wanted(act));
    let date = |(act, when): &(&Act, When)| when.date(&act.event.id);
    let consent = first(Act::is_consent);
    let statements = acts
        .iter()
        .filter(|(act, _)| matches!(act.action, Action::Reserved | Action::Declared | Action::Objected));
    let statements = statements.map(|found| pb::PartyStatement {
        action: found.0.agreement.action,
        date: Some(date(found)),
        text: found.0.agreement.reservation_text.clone(),
    });
    let steps = acts
        .iter()
        .filter(|(act, _)| act.is_leaving() || act.is_consent() || act.action == Action::EnteredIntoForce);
    let membership =
        Last::of(steps.map(|(act, when)| (*when, act.position, !act.is_leaving())).collect()).at(day);
    let stays = |step: &Option<bool>| step.unwrap_or(!consents);
    let bound = match in_force {
        Verdict::Yes if membership.iter().all(stays) => Verdict::Yes,
        Verdict::Yes | Verdict::Possibly if membership.iter().any(stays) => Verdict::Possibly,
        Verdict::Yes | Verdict::Possibly | Verdict::No | Verdict::Unspecified => Verdict::No,
    };
    pb::PartyState {
        party: Some(party.clone()),
        signed: first(|act| act.action == Action::Signed).map(date),
        consented: consent.map(date),
        consent_action: consent.map(|(act, _)| act.agreement.action).unwrap_or_default(),
        in_force: first(|act| act.action == Action::EnteredIntoForce).map(date),
        statements: statements.take(SHOWN_MAX).collect(),
        left: acts.iter().rev().find(|(act, _)| act.is_leaving()).map(date),
        bound: bound.into(),
    }
}
