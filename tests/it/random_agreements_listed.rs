//! Lists of agreements: what they hold compared with the states given one by one, and in sealed segments with the model.

use std::collections::{BTreeMap, BTreeSet};

use annals::domain::{Position, Timestamp};
use annals::index::{SEGMENT_LEN, Scope};
use annals::log::AppendRequest;
use annals::pb;
use annals::pb::agreement_service_server::AgreementService as _;
use annals::pb::agreement_state::{Certainty, DateBasis, Status, Verdict};
use annals::pb::anomaly::Code;
use annals::pb::event::Payload;
use tonic::Request;

use super::{ASKED, DAY, IDS, PARTIES, START, STREAMS, World, number, wire};
use crate::generate::{Proposed, propose};
use crate::model::Recorded;

/// Each stands in a stream of its own: more than are looked up one by one.
const AGREEMENTS: u64 = 1_300;
/// A whole segment and some.
const EVENTS: u64 = SEGMENT_LEN + 3_000;
const BATCH: u64 = 500;

impl World {
    pub(super) fn state(
        &self,
        stream: &str,
        (on, basis, scope): (&str, DateBasis, Scope),
    ) -> Result<pb::AgreementState, tonic::Status> {
        let request = pb::GetAgreementRequest {
            stream: stream.to_owned(),
            on: on.to_owned(),
            scope: Some(wire(scope)),
            date_basis: basis.into(),
            ..pb::GetAgreementRequest::default()
        };
        let found = self.runtime.block_on(self.service.get_agreement(Request::new(request)));
        found.map(|found| found.into_inner().agreement.unwrap())
    }

    /// Gives all pages: the agreements, and the counts that each page repeats.
    pub(super) fn pages(
        &self,
        mut request: pb::ListAgreementsRequest,
    ) -> (Vec<pb::AgreementState>, pb::ListAgreementsResponse) {
        let (mut found, mut counts) = (Vec::new(), None);
        loop {
            let asked = self.service.list_agreements(Request::new(request.clone()));
            let mut page = self.runtime.block_on(asked).unwrap().into_inner();
            found.append(&mut page.agreements);
            request.page_token = std::mem::take(&mut page.next_page_token);
            let counts = counts.get_or_insert_with(|| page.clone());
            assert_eq!(page, *counts, "each page has the same counts");
            if request.page_token.is_empty() {
                return (found, page);
            }
        }
    }

    /// Asks for a list by everything that can be asked for.
    pub(super) fn ask_list(&mut self) {
        let (on, scope, basis) = (self.text(ASKED), self.scope(), self.basis());
        let between: Vec<String> =
            PARTIES.iter().filter(|_| self.rng.chance(15)).map(|party| (*party).to_owned()).collect();
        let action = self.rng.chance(30).then(|| i32::try_from(self.rng.within(1, 29)).unwrap());
        let in_force_on = self.rng.chance(50).then(|| on.clone());
        let verdict = *self.rng.pick(&[Verdict::Unspecified, Verdict::Yes, Verdict::Possibly]);
        let verdict = if in_force_on.is_some() { verdict } else { Verdict::Unspecified };
        let certainty = *self.rng.pick(&[
            Certainty::Unspecified,
            Certainty::Unspecified,
            Certainty::Certain,
            Certainty::Possible,
        ]);
        let anomaly = self.rng.chance(30).then(|| i32::try_from(self.rng.within(1, 10)).unwrap());
        let order = i32::try_from(self.rng.within(0, 3)).unwrap();
        let fits = |state: &pb::AgreementState| {
            let acts = self.model.standing_acts(&state.stream, scope);
            let did = |event: &pb::Event| match &event.payload {
                Some(Payload::Agreement(agreement)) => Some(agreement.action),
                _ => None,
            };
            let parties = self.model.parties_of(&state.stream, scope);
            action.is_none_or(|action| acts.iter().any(|act| did(&act.event) == Some(action)))
                && between.iter().all(|party| parties.contains(party))
                && (in_force_on.is_none() || state.in_force() != Verdict::No)
                && (verdict == Verdict::Unspecified || state.in_force() == verdict)
                && (certainty == Certainty::Unspecified || state.certainty() == certainty)
                && anomaly.is_none_or(|code| state.anomalies.iter().any(|found| found.code == code))
        };
        let mut expected: Vec<pb::AgreementState> = STREAMS
            .iter()
            .filter_map(|stream| self.state(stream, (&on, basis, scope)).ok())
            .filter(fits)
            .collect();
        match order {
            2 => expected.sort_by_key(|state| self.model.first_day(&state.stream, basis, scope)),
            3 => expected
                .sort_by_key(|state| std::cmp::Reverse(self.model.first_day(&state.stream, basis, scope))),
            _ => {}
        }
        let request = pb::ListAgreementsRequest {
            filter: Some(pb::Filter {
                agreement_actions: action.into_iter().collect(),
                ..Default::default()
            }),
            between,
            on,
            in_force_on: in_force_on.unwrap_or_default(),
            in_force: verdict.into(),
            certainty: certainty.into(),
            anomalies: anomaly.into_iter().collect(),
            order,
            page_size: i32::try_from(self.rng.within(1, 3)).unwrap(),
            scope: Some(wire(scope)),
            date_basis: basis.into(),
            ..pb::ListAgreementsRequest::default()
        };
        let asked = format!("{request:?}");
        let (found, counts) = self.pages(request);
        assert_eq!(summaries(&found), summaries(&expected), "{asked}");
        counts_are_those_of(&counts, &expected, &asked);
    }

    /// Compares all that is unusual but acts after the end: when it ended, the model does not say.
    pub(super) fn anomalies_are_the_models(
        &self,
        state: &pb::AgreementState,
        on: i32,
        basis: DateBasis,
        scope: Scope,
    ) {
        let mut expected = self.model.anomalies(&state.stream, basis, scope);
        let bases = [DateBasis::ActDate, DateBasis::EffectiveDate];
        let [by_act, by_effect] =
            bases.map(|basis| self.model.possible_statuses(&state.stream, on, basis, scope));
        // With terms, more is said to be possible than is: there the bases may seem to differ, or not to.
        let terms = self.has_terms();
        expected.extend((!terms && by_act != by_effect).then_some(Code::BasisMatters));
        let found = state.anomalies.iter().map(pb::Anomaly::code);
        let found = found.filter(|code| *code != Code::ActAfterEnd);
        let found: BTreeSet<Code> = found.filter(|code| !terms || *code != Code::BasisMatters).collect();
        assert_eq!(found, expected, "{} {basis:?} {scope:?}", state.stream);
    }

    /// Asks for an agreement by what its acts call it.
    pub(super) fn ask_by_id(&mut self) {
        let (id, scope) = (self.text(IDS), self.scope());
        let mut acts: Vec<&Recorded> =
            STREAMS.iter().flat_map(|stream| self.model.standing_acts(stream, scope)).collect();
        acts.retain(|act| match &act.event.payload {
            Some(Payload::Agreement(agreement)) => agreement.agreement_id == id,
            _ => false,
        });
        acts.sort_by_key(|act| act.position);
        let spelled = acts.iter().find(|act| act.event.stream == id.replace(':', "/"));
        let expected = spelled.or(acts.first()).map(|act| act.event.stream.clone());
        let request = pb::GetAgreementRequest {
            agreement_id: id,
            scope: Some(wire(scope)),
            ..pb::GetAgreementRequest::default()
        };
        let found = self.runtime.block_on(self.service.get_agreement(Request::new(request)));
        let found = found.ok().map(|found| found.into_inner().agreement.unwrap().stream);
        assert_eq!(found, expected, "{scope:?}");
    }

    /// Waits until what is full is sealed: until then runs answer.
    fn wait_for_the_seal(&self) {
        let sealed = || self.log.index().sealed().len() == 1;
        for _ in 0..6_000 {
            if sealed() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(sealed(), "a full segment is sealed within a minute");
    }

    /// Fills more than a segment: a few acts in each of many streams, among events of other kinds. The model is told of
    /// acts and of what has links: nothing else counts for an agreement.
    fn fill_segments(&mut self) {
        while self.log.head().position.0 < EVENTS {
            let count = BATCH.min(EVENTS - self.log.head().position.0);
            let mut linked: Vec<String> = Vec::new();
            let events: Vec<Proposed> = (0..count).map(|_| self.small(&mut linked)).collect();
            let proposals = events.iter().map(|proposed| {
                let prepared = proposed.prepared.clone();
                self.log.propose(prepared.facts, prepared.content, prepared.caveats)
            });
            let request = AppendRequest { events: proposals.collect(), ..AppendRequest::default() };
            let answer = self.runtime.block_on(self.log.append(request)).unwrap();
            for (proposed, stands) in events.into_iter().zip(answer.events) {
                let is_act = matches!(proposed.draft.event.payload, Some(Payload::Agreement(_)));
                if !is_act && proposed.draft.event.links.is_empty() {
                    continue;
                }
                self.model.load(proposed.draft, stands.position, stands.revision, stands.recorded_at);
            }
        }
    }

    /// Makes an act, a correction or retraction of one, or something else, with a link to an agreement or without.
    fn small(&mut self, linked: &mut Vec<String>) -> Proposed {
        loop {
            let mut event = self.event();
            let (is_act, names_one) = (self.rng.chance(6), self.rng.chance(2));
            let stream = format!("agreement/{}", self.rng.below(AGREEMENTS));
            event.links.clear();
            event.stream = if is_act { stream.clone() } else { "note/d".to_owned() };
            event.payload = Some(if is_act {
                Payload::Agreement(self.act())
            } else {
                let r#type = "org.example.note.v1".to_owned();
                Payload::Custom(pb::CustomPayload { r#type, ..Default::default() })
            });
            if names_one || self.rng.below(20) == 0 {
                event.links.extend(self.link(&stream, is_act, linked));
            }
            if let Some(proposed) = propose(event, self.now) {
                return proposed;
            }
        }
    }

    /// Links to an earlier act, which no other event corrects, or to a stream.
    fn link(&mut self, stream: &str, is_act: bool, linked: &mut Vec<String>) -> Option<pb::Link> {
        let mut own = self.model.events.iter().rev().filter(|event| event.event.stream == stream);
        let free = own.find(|event| {
            let is_target = self.model.links.iter().any(|edge| edge.target == event.position);
            !is_target && !linked.contains(&event.id.to_string())
        })?;
        let event_id = free.id.to_string();
        if is_act {
            linked.push(event_id.clone());
            return Some(pb::Link { r#type: *self.rng.pick(&[1, 3]), event_id, ..pb::Link::default() });
        }
        let r#type = *self.rng.pick(&[10, 11, 12, 13, 16]);
        let by_name = self.rng.chance(50);
        let (event_id, stream) =
            if by_name { (String::new(), stream.to_owned()) } else { (event_id, String::new()) };
        Some(pb::Link { r#type, event_id, stream, ..pb::Link::default() })
    }
}

/// Holds the counts that each page repeats against the agreements of all pages.
fn counts_are_those_of(counts: &pb::ListAgreementsResponse, expected: &[pb::AgreementState], asked: &str) {
    assert_eq!(counts.total_count, i64::try_from(expected.len()).unwrap(), "{asked}");
    let mut statuses: BTreeMap<(i32, i32), i64> = BTreeMap::new();
    let mut anomalies: BTreeMap<i32, i64> = BTreeMap::new();
    for state in expected {
        *statuses.entry((state.status, state.certainty)).or_default() += 1;
        state.anomalies.iter().for_each(|found| *anomalies.entry(found.code).or_default() += 1);
    }
    let counted = counts.status_counts.iter().map(|found| ((found.status, found.certainty), found.count));
    assert_eq!(counted.collect::<BTreeMap<_, _>>(), statuses, "{asked}");
    let counted = counts.anomaly_counts.iter().map(|found| (found.code, found.count));
    assert_eq!(counted.collect::<BTreeMap<_, _>>(), anomalies, "{asked}");
}

/// Gives what a list shows of each.
fn summaries(states: &[pb::AgreementState]) -> Vec<String> {
    let shown = states.iter().map(|state| {
        let possible: Vec<Status> = state.possible_statuses().collect();
        let anomalies: Vec<i32> = state.anomalies.iter().map(|found| found.code).collect();
        let counts = (state.act_count, state.party_count, &state.first_act_on);
        format!("{} {possible:?} {:?} {anomalies:?} {counts:?}", state.stream, state.in_force())
    });
    shown.collect()
}

/// Gives the streams that a list names, and holds its count against them.
fn listed(world: &World, request: pb::ListAgreementsRequest) -> Vec<String> {
    let (found, counts) = world.pages(request);
    assert_eq!(counts.total_count, i64::try_from(found.len()).unwrap());
    found.into_iter().map(|state| state.stream).collect()
}

#[test]
fn agreements_in_sealed_segments_have_the_statuses_of_every_possible_world() {
    let mut world = World::new(1);
    world.fill_segments();
    world.wait_for_the_seal();
    let head = world.log.head().position;
    let known = Timestamp(START.0 - 5 * 30 * DAY);
    let mut streams: Vec<String> = (0..AGREEMENTS).map(|number| format!("agreement/{number}")).collect();
    streams.sort_unstable();
    for (as_of, known_at, on, basis) in [
        (head, Timestamp::MAX, "2021-06-30", DateBasis::ActDate),
        (Position(SEGMENT_LEN - 9), Timestamp::MAX, "2023-07-01", DateBasis::EffectiveDate),
        (head, known, "2022-05-01", DateBasis::EffectiveDate),
    ] {
        let scope = Scope { as_of, known_at };
        statuses_are_the_models(&world, &streams, (on, basis, scope));
        choices_are_the_models(&world, &streams, scope);
    }
}

fn statuses_are_the_models(world: &World, streams: &[String], asked: (&str, DateBasis, Scope)) {
    let (on, basis, scope) = asked;
    let possible = |stream: &String| world.model.possible_statuses(stream, number(on), basis, scope);
    let possible: Vec<(&String, Vec<Status>)> =
        streams.iter().filter_map(|stream| Some((stream, possible(stream)?))).collect();
    for wanted in [Status::Terminated, Status::Signed, Status::InForce, Status::NotYet] {
        let expected = possible.iter().filter(|(_, possible)| possible.contains(&wanted));
        let expected: Vec<String> = expected.map(|(stream, _)| (*stream).clone()).collect();
        assert!(!expected.is_empty(), "{wanted:?}");
        let request = pb::ListAgreementsRequest {
            on: on.to_owned(),
            statuses: vec![wanted.into()],
            scope: Some(wire(scope)),
            date_basis: basis.into(),
            page_size: 300,
            ..pb::ListAgreementsRequest::default()
        };
        assert_eq!(listed(world, request), expected, "{wanted:?} {on} {basis:?} {scope:?}");
    }
}

/// Asks by a party, by actions, and by both: for many, for hundreds, for few.
fn choices_are_the_models(world: &World, streams: &[String], scope: Scope) {
    let mut most = 0;
    for (parties, actions) in [
        (&[][..], (1..=28).collect()),
        (&["country:GB"], Vec::new()),
        (&["country:GB"], vec![6]),
        (&["country:AL", "country:FR"], vec![20]),
    ] {
        let did = |event: &pb::Event| match &event.payload {
            Some(Payload::Agreement(agreement)) => actions.is_empty() || actions.contains(&agreement.action),
            _ => false,
        };
        let fits = |stream: &&String| {
            let (acts, named) =
                (world.model.standing_acts(stream, scope), world.model.parties_of(stream, scope));
            acts.iter().any(|act| did(&act.event)) && parties.iter().all(|party| named.contains(*party))
        };
        let expected: Vec<String> = streams.iter().filter(fits).cloned().collect();
        most = most.max(expected.len());
        let request = pb::ListAgreementsRequest {
            filter: Some(pb::Filter { agreement_actions: actions.clone(), ..pb::Filter::default() }),
            between: parties.iter().map(|party| (*party).to_owned()).collect(),
            on: "2024-01-01".to_owned(),
            scope: Some(wire(scope)),
            page_size: 500,
            ..pb::ListAgreementsRequest::default()
        };
        assert_eq!(listed(world, request), expected, "{parties:?} {actions:?} {scope:?}");
    }
    assert!(most > 1_000, "more than are looked up one by one: {most}");
}
