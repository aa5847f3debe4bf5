//! Who meets whom on a visit.

use std::collections::BTreeSet;

use crate::pb;
use crate::projection::standing::key_of;

/// Most meetings that a visit shows.
pub const MEETINGS_MAX: usize = 1_000;

/// Gives what tells a participant from others.
#[must_use]
pub fn participant_key(participant: &pb::Participant) -> &str {
    participant.entity.as_ref().map(key_of).unwrap_or_default()
}

/// Tells whether a participant, or the one for whom it acts, is among the wanted; none wanted means anybody.
#[must_use]
pub fn is_or_acts_for(participant: &pb::Participant, wanted: &[String]) -> bool {
    let mut keys = participant.entity.iter().chain(&participant.on_behalf_of).map(key_of);
    wanted.is_empty() || keys.any(|key| wanted.iter().any(|wanted| wanted == key))
}

/// Gives each pair of one who visits and one who is met: first the meetings as given, then counterparts, and hosts who
/// are people, of whom no meeting is described.
#[must_use]
pub fn meetings(event: &pb::Event, visit: &pb::Visit) -> Vec<pb::VisitMeeting> {
    let with = |role: pb::Role| event.participants.iter().filter(move |found| found.role() == role);
    let visitors: Vec<&pb::Participant> = with(pb::Role::Visitor).collect();
    let members = with(pb::Role::DelegationMember);
    let travelling: BTreeSet<&str> = visitors.iter().copied().chain(members).map(participant_key).collect();
    let mut described = BTreeSet::new();
    let mut pairs = Vec::new();
    for meeting in &visit.meetings {
        let met = meeting.participants.iter().filter(|found| !travelling.contains(participant_key(found)));
        for counterpart in met {
            described.insert(participant_key(counterpart));
            pairs.extend(visitors.iter().map(|visitor| pb::VisitMeeting {
                visitor: Some((*visitor).clone()),
                counterpart: Some(in_office(counterpart, event)),
                topic: meeting.topic.clone(),
                when: meeting.when.clone(),
                place: meeting.place.clone(),
            }));
        }
    }
    let person = |found: &&pb::Participant| {
        found.entity.as_ref().is_some_and(|entity| entity.r#type() == pb::EntityType::Person)
    };
    let hosts = with(pb::Role::Host).filter(person);
    for counterpart in with(pb::Role::Counterpart).chain(hosts) {
        let key = participant_key(counterpart);
        if travelling.contains(key) || !described.insert(key) {
            continue;
        }
        pairs.extend(visitors.iter().map(|visitor| pb::VisitMeeting {
            visitor: Some((*visitor).clone()),
            counterpart: Some(counterpart.clone()),
            ..pb::VisitMeeting::default()
        }));
    }
    pairs.truncate(MEETINGS_MAX);
    pairs
}

/// Gives one who is met with the office and the state that the event gives, where the meeting does not say them again.
fn in_office(met: &pb::Participant, event: &pb::Event) -> pb::Participant {
    let mut met = met.clone();
    let key = participant_key(&met).to_owned();
    for same in event.participants.iter().filter(|found| participant_key(found) == key) {
        if met.capacity.is_empty() {
            met.capacity.clone_from(&same.capacity);
        }
        if met.on_behalf_of.is_none() {
            met.on_behalf_of.clone_from(&same.on_behalf_of);
        }
    }
    met
}
