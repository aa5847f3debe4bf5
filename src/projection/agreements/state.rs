//! The state of an agreement on a day, as clients see it.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{Act, Basis, When};
use super::anomaly::{Anomaly, anomalies};
use super::gather::{Dossier, Telling};
use super::life::{Last, Life};
use super::links::world;
use crate::domain::{Action, Role};
use crate::pb;
use crate::pb::agreement_state::{Certainty, Status, Verdict};
use crate::pb::anomaly::Code;
use crate::projection::civil::date_of;
use crate::projection::standing::key_of;

/// Most acts, parties, provisions and relations that a state shows.
pub const SHOWN_MAX: usize = 1_000;

/// Most events that an anomaly names.
const EVENTS_MAX: usize = 100;

/// How much of an agreement is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Without acts, provisions, relations and what parties did.
    Summary,
}

/// An act to show.
#[derive(Clone, Copy)]
struct Shown<'a> {
    act: &'a Act<'static>,
    telling: &'a Telling,
    when: When,
}

/// Gives the state on a day.
#[must_use]
pub fn state(dossier: &Dossier, basis: Basis, day: i32, detail: Detail) -> pb::AgreementState {
    let record = &dossier.record;
    let life = Life::of(record, basis);
    let possible = life.possible(day);
    let in_force = life.in_force(&possible, day);
    let shown = dossier.acts().map(|(act, telling)| Shown { act, telling, when: act.when(basis) });
    let mut acts: Vec<Shown<'_>> = shown.collect();
    acts.sort_by_key(|Shown { act, when, .. }| (when.earliest, when.latest, act.happening.position));
    let anomalies = anomalies(record, &life, basis, day);
    let mut state = pb::AgreementState {
        stream: dossier.stream.clone(),
        certainty: certainty(&possible).into(),
        status: possible.first().copied().unwrap_or_default().into(),
        possible_statuses: possible.iter().map(|status| i32::from(*status)).collect(),
        in_force: in_force.into(),
        expires_on: life.expires_on(day).and_then(date_of),
        anomalies: anomalies.iter().map(|found| shown_anomaly(found, dossier)).collect(),
        first_act_on: record.first_day(basis).and_then(date_of),
        act_count: count(record.acts.len()),
        party_count: count(record.parties().len()),
        ..pb::AgreementState::default()
    };
    describe(dossier, &mut state);
    turn(&life, day, &mut state);
    state.parties = party_states(dossier, &acts, (in_force, day), detail);
    if detail == Detail::Full {
        state.acts = acts.iter().take(SHOWN_MAX).map(shown_act).collect();
        state.provisions = provisions(&acts);
        relate(dossier, basis, &mut state);
    }
    state
}

/// Tells how sure a status is.
#[must_use]
pub fn certainty(possible: &[Status]) -> Certainty {
    // A mention is enough to know that there is something, and not enough to be sure of it.
    if possible.len() == 1 { Certainty::Certain } else { Certainty::Possible }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// What the instrument is: the last act that says so holds.
fn describe(dossier: &Dossier, state: &mut pb::AgreementState) {
    let agreements = || dossier.tellings.iter().map(|telling| &telling.agreement);
    let last = |text: fn(&pb::Agreement) -> &String| {
        agreements().rev().map(text).find(|text| !text.is_empty()).cloned()
    };
    let first_title = || dossier.tellings.first().map(|telling| telling.event.title.clone());
    state.agreement_id = agreements().next().map(|found| found.agreement_id.clone()).unwrap_or_default();
    state.title = last(|found| &found.title).or_else(first_title).unwrap_or_default();
    state.subject = last(|found| &found.subject).unwrap_or_default();
    // "Unknown" says less than any form that another act states.
    let unknown = i32::from(pb::agreement::Form::Unknown);
    state.form = stated(agreements().map(|found| found.form), unknown);
    let unknown = i32::from(pb::agreement::Bindingness::Unknown);
    state.binding = stated(agreements().map(|found| found.binding), unknown);
    let mut seen = BTreeSet::new();
    for telling in &dossier.tellings {
        for place in
            telling.event.places.iter().filter(|place| place.role() == pb::place::PlaceRole::SignedAt)
        {
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

fn shown_act(shown: &Shown<'_>) -> pb::AgreementAct {
    let Telling { event, agreement } = shown.telling;
    let sources = event.sources.iter().map(|source| source.id.clone()).filter(|id| !id.is_empty());
    pb::AgreementAct {
        event_id: event.id.clone(),
        title: event.title.clone(),
        action: agreement.action,
        date: Some(shown.when.date(&event.id)),
        edtf: event.valid_time.as_ref().map(|span| span.edtf.clone()).unwrap_or_default(),
        effective_on: agreement.effective_on,
        acting_party: agreement.acting_party.clone(),
        source_ids: sources.collect(),
        counts: shown.act.happening.counts,
        position: shown.act.happening.position.0,
    }
}

fn shown_anomaly(anomaly: &Anomaly, dossier: &Dossier) -> pb::Anomaly {
    let text = match anomaly.code {
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
    let shown = anomaly.acts.iter().take(EVENTS_MAX);
    // Acts stand by position.
    let event_ids = shown.filter_map(|position| {
        let at = dossier.record.acts.binary_search_by_key(position, |act| act.happening.position).ok()?;
        dossier.tellings.get(at).map(|telling| telling.event.id.clone())
    });
    let event_ids = event_ids.collect();
    pb::Anomaly { code: anomaly.code.into(), text: text.to_owned(), event_ids }
}

fn provisions(acts: &[Shown<'_>]) -> Vec<pb::ProvisionState> {
    let mut found: BTreeMap<&str, Vec<pb::ProvisionAct>> = BTreeMap::new();
    for Shown { telling: Telling { event, agreement }, when, .. } in acts {
        let names: BTreeSet<&str> = agreement.provisions.iter().map(String::as_str).collect();
        for name in names {
            found.entry(name).or_default().push(pb::ProvisionAct {
                action: agreement.action,
                date: Some(when.date(&event.id)),
                title: event.title.clone(),
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
fn relate(dossier: &Dossier, basis: Basis, state: &mut pb::AgreementState) {
    let target = |link: &pb::Link| {
        let external = link.external.as_ref().map(|id| format!("{}:{}", id.scheme, id.value));
        let named = [&link.event_id, &link.stream].into_iter().find(|name| !name.is_empty()).cloned();
        named.or(external).unwrap_or_default()
    };
    let incoming = dossier.record.incoming.iter().zip(&dossier.links);
    let incoming = incoming.map(|(told, found)| pb::AgreementRelation {
        r#type: found.link.r#type,
        outgoing: false,
        event_id: found.event_id.clone(),
        stream: found.stream.clone(),
        date: Some(told.happening.when(basis).date(&found.event_id)),
        target: target(&found.link),
        note: found.link.note.clone(),
    });
    let outgoing = dossier.acts().flat_map(|(act, Telling { event, .. })| {
        let links = event.links.iter().filter(|link| world(link).is_some());
        links.map(move |link| pb::AgreementRelation {
            r#type: link.r#type,
            outgoing: true,
            event_id: event.id.clone(),
            stream: dossier.stream.clone(),
            date: Some(act.when(basis).date(&event.id)),
            target: target(link),
            note: link.note.clone(),
        })
    });
    state.relations = incoming.chain(outgoing).collect();
    state.relation_count = count(state.relations.len());
    state.relations.truncate(SHOWN_MAX);
}

/// Gives the parties by key, each as it is first named.
fn parties(dossier: &Dossier) -> BTreeMap<&str, &pb::EntityRef> {
    let mut parties = BTreeMap::new();
    for (_, Telling { event, agreement }) in dossier.acts().filter(|(act, _)| act.happening.counts) {
        let named = event.participants.iter().filter_map(party_of);
        for party in named.chain(agreement.acting_party.as_ref()) {
            parties.entry(key_of(party)).or_insert(party);
        }
    }
    parties
}

/// Gives the party that a participant is or signs for, as
/// [`Participant::party`](crate::domain::Participant::party) does.
fn party_of(participant: &pb::Participant) -> Option<&pb::EntityRef> {
    let entity = participant.on_behalf_of.as_ref().or(participant.entity.as_ref())?;
    let is_person = entity.r#type() == pb::EntityType::Person;
    Role::from_number(participant.role)?.makes_a_party(is_person).then_some(entity)
}

/// Tells of each party what it did, and whether it is bound.
fn party_states(
    dossier: &Dossier,
    acts: &[Shown<'_>],
    (in_force, day): (Verdict, i32),
    detail: Detail,
) -> Vec<pb::PartyState> {
    let counting: Vec<Shown<'_>> = acts.iter().filter(|shown| shown.act.happening.counts).copied().collect();
    let consents =
        counting.iter().any(|shown| shown.act.facts.action.is_consent() && shown.act.acting().is_some());
    let parties = parties(dossier).into_iter().take(SHOWN_MAX);
    if detail == Detail::Summary {
        let named =
            |party: &pb::EntityRef| pb::PartyState { party: Some(party.clone()), ..Default::default() };
        return parties.map(|(_, party)| named(party)).collect();
    }
    // One look at the acts for all parties: a treaty may have hundreds of either.
    let mut own: BTreeMap<&str, Vec<Shown<'_>>> = BTreeMap::new();
    for shown in &counting {
        let act = shown.act;
        let signed = act.facts.action == Action::Signed && act.acting().is_none();
        let signed_by = act.facts.parties.iter().map(AsRef::as_ref).filter(|_| signed);
        for party in act.acting().into_iter().chain(signed_by) {
            own.entry(party).or_default().push(*shown);
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
    acts: &[Shown<'_>],
    consents: bool,
    (in_force, day): (Verdict, i32),
) -> pb::PartyState {
    let first = |wanted: fn(Action) -> bool| acts.iter().find(|shown| wanted(shown.act.facts.action));
    let date = |shown: &Shown<'_>| shown.when.date(&shown.telling.event.id);
    let consent = first(Action::is_consent);
    let statements = acts.iter().filter(|shown| {
        matches!(shown.act.facts.action, Action::Reserved | Action::Declared | Action::Objected)
    });
    let statements = statements.map(|shown| pb::PartyStatement {
        action: shown.telling.agreement.action,
        date: Some(date(shown)),
        text: shown.telling.agreement.reservation_text.clone(),
    });
    let steps = acts.iter().filter_map(|shown| {
        let action = shown.act.facts.action;
        let counts = action.is_leaving() || action.is_consent() || action == Action::EnteredIntoForce;
        counts.then_some((shown.when, shown.act.happening.position, !action.is_leaving()))
    });
    let membership = Last::of(steps.collect()).at(day);
    let stays = |step: &Option<bool>| step.unwrap_or(!consents);
    let bound = match in_force {
        Verdict::Yes if membership.iter().all(stays) => Verdict::Yes,
        Verdict::Yes | Verdict::Possibly if membership.iter().any(stays) => Verdict::Possibly,
        Verdict::Yes | Verdict::Possibly | Verdict::No | Verdict::Unspecified => Verdict::No,
    };
    pb::PartyState {
        party: Some(party.clone()),
        signed: first(|action| action == Action::Signed).map(date),
        consented: consent.map(date),
        consent_action: consent.map(|shown| shown.telling.agreement.action).unwrap_or_default(),
        in_force: first(|action| action == Action::EnteredIntoForce).map(date),
        statements: statements.take(SHOWN_MAX).collect(),
        left: acts.iter().rev().find(|shown| shown.act.facts.action.is_leaving()).map(date),
        bound: bound.into(),
    }
}
