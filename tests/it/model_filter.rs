//! Which events a filter means, read off the message itself: no terms, no postings.

use std::collections::BTreeSet;

use annals::pb;
use annals::pb::event::Payload;

/// Tells whether an event matches: any value within a field, all fields together.
pub(crate) fn matches(filter: &pb::Filter, event: &pb::Event) -> bool {
    positive(filter, event) && !filter.not.as_ref().is_some_and(|not| matches(not, event))
}

fn positive(filter: &pb::Filter, event: &pb::Event) -> bool {
    let has = |id: &String| entity_ids(event).contains(id);
    any(&filter.streams, |stream| event.stream == *stream)
        && any(&filter.stream_prefixes, |prefix| event.stream.starts_with(prefix.as_str()))
        && any(&filter.kinds, |kind| kind_number(event) == *kind)
        && any(&filter.entity_ids, has)
        && filter.all_entity_ids.iter().all(has)
        && any(&filter.participations, |asked| {
            roles(event)
                .iter()
                .any(|(entity, role)| *role == Some(asked.role) && key(entity) == asked.entity_id)
        })
        && any(&filter.countries, |country| countries(event).contains(country))
        && any(&filter.places, |place| places(event).contains(place))
        && any(&filter.tags, |tag| event.tags.contains(tag))
        && any(&filter.source_ids, |id| event.sources.iter().any(|source| source.id == *id))
        && any(&filter.publisher_ids, |id| publishers(event).contains(id))
        && any(&filter.modalities, |modality| event.modality == *modality)
        && any(&filter.assertions, |assertion| event.assertion == *assertion)
        && any(&filter.external_ids, |id| external_ids(event).contains(&id))
        && any(&filter.link_event_ids, |id| links(event).any(|link| link.event_id == *id))
        && any(&filter.link_streams, |name| links(event).any(|link| link.stream == *name))
        && any(&filter.attributed_to, |id| {
            let steps = event.sources.iter().flat_map(|source| &source.attribution);
            steps.filter_map(|step| step.by.as_ref()).any(|by| key(by) == *id)
        })
        && super::text::matches(event, &filter.text)
        && payload_matches(filter, event)
}

/// Gives the links of an event and of the claims in it.
fn links(event: &pb::Event) -> impl Iterator<Item = &pb::Link> {
    let claims = match &event.payload {
        Some(Payload::Statement(statement)) => statement.claims.as_slice(),
        _ => &[],
    };
    event.links.iter().chain(claims.iter().flat_map(|claim| &claim.about))
}

fn payload_matches(filter: &pb::Filter, event: &pb::Event) -> bool {
    let stage = funding(event).map(|transfer| transfer.stage);
    let action = agreement(event).map(|agreement| agreement.action);
    let status = if let Some(Payload::Visit(visit)) = &event.payload { Some(visit.status) } else { None };
    let release = release(event);
    any(&filter.funding_stages, |asked| stage == Some(*asked))
        && any(&filter.agreement_actions, |asked| action == Some(*asked))
        && any(&filter.visit_statuses, |asked| status == Some(*asked))
        && any(&filter.dataflows, |asked| release.is_some_and(|release| release.dataflow == *asked))
        && any(&filter.series_keys, |asked| release.is_some_and(|release| release.series_key == *asked))
        && filter.amount.as_ref().is_none_or(|range| amount_matches(range, event))
        && transfer_matches(filter, event)
}

fn transfer_matches(filter: &pb::Filter, event: &pb::Event) -> bool {
    let Some(transfer) = funding(event) else {
        let asks = |fields: &[&Vec<String>]| fields.iter().any(|field| !field.is_empty());
        return !asks(&[
            &filter.flow_types,
            &filter.finance_types,
            &filter.aid_types,
            &filter.sectors,
            &filter.recipient_countries,
            &filter.tied_statuses,
            &filter.disbursement_channels,
            &filter.activity_ids,
            &filter.commitment_event_ids,
            &filter.currencies,
        ]);
    };
    let coded = |codes: &[pb::Code], asked: &String| {
        codes.iter().any(|code| format!("{}:{}", code.scheme, code.value) == *asked)
    };
    any(&filter.flow_types, |asked| transfer.flow_type == *asked)
        && any(&filter.finance_types, |asked| transfer.finance_type == *asked)
        && any(&filter.aid_types, |asked| coded(&transfer.aid_types, asked))
        && any(&filter.sectors, |asked| coded(&transfer.sectors, asked))
        && any(&filter.recipient_countries, |asked| transfer.recipient_countries.contains(asked))
        && any(&filter.tied_statuses, |asked| transfer.tied_status == *asked)
        && any(&filter.disbursement_channels, |asked| transfer.disbursement_channel == *asked)
        && any(&filter.activity_ids, |asked| transfer.activity_id == *asked)
        && any(&filter.commitment_event_ids, |asked| transfer.commitment_event_id == *asked)
        && any(&filter.currencies, |asked| transfer.amount.as_ref().unwrap().currency_code == *asked)
}

fn any<T>(asked: &[T], holds: impl Fn(&T) -> bool) -> bool {
    asked.is_empty() || asked.iter().any(holds)
}

fn amount_matches(range: &pb::AmountRange, event: &pb::Event) -> bool {
    let Some(amount) = funding(event).and_then(|transfer| transfer.amount.as_ref()) else { return false };
    let billionths = i128::from(amount.units) * 1_000_000_000 + i128::from(amount.nanos);
    amount.currency_code == range.currency_code
        && (range.at_least.is_empty() || billionths >= billionths_of(&range.at_least))
        && (range.at_most.is_empty() || billionths <= billionths_of(&range.at_most))
}

/// Reads a decimal of at most nine decimals as whole billionths.
pub(crate) fn billionths_of(decimal: &str) -> i128 {
    let digits = decimal.trim_start_matches('-');
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let value: i128 = format!("{whole}{part:0<9}").parse().unwrap();
    if decimal.starts_with('-') { -value } else { value }
}

/// Gives the number that the kind of the payload has in the API.
pub(crate) fn kind_number(event: &pb::Event) -> i32 {
    match &event.payload {
        // Its content was erased.
        None => 0,
        Some(Payload::Agreement(_)) => 1,
        Some(Payload::FundingTransfer(_)) => 2,
        Some(Payload::Visit(_)) => 3,
        Some(Payload::StatisticalRelease(_)) => 4,
        Some(Payload::Statement(_)) => 5,
        Some(Payload::Custom(_)) => 6,
    }
}

fn agreement(event: &pb::Event) -> Option<&pb::Agreement> {
    if let Some(Payload::Agreement(agreement)) = &event.payload { Some(agreement) } else { None }
}

fn funding(event: &pb::Event) -> Option<&pb::FundingTransfer> {
    if let Some(Payload::FundingTransfer(transfer)) = &event.payload { Some(transfer) } else { None }
}

fn release(event: &pb::Event) -> Option<&pb::StatisticalRelease> {
    if let Some(Payload::StatisticalRelease(release)) = &event.payload { Some(release) } else { None }
}

pub(crate) fn key(entity: &pb::EntityRef) -> &str {
    if entity.id.is_empty() { &entity.name } else { &entity.id }
}

/// Gives every entity that takes part, with the number of its role where it has one.
pub(crate) fn roles(event: &pb::Event) -> Vec<(&pb::EntityRef, Option<i32>)> {
    let mut found = Vec::new();
    for participant in &event.participants {
        found.extend(
            participant.entity.iter().chain(&participant.on_behalf_of).map(|e| (e, Some(participant.role))),
        );
    }
    if let Some(Payload::Statement(statement)) = &event.payload {
        let speaker = statement.speaker.as_ref().unwrap();
        // A speaker whose role is not said is the speaker.
        let role = if speaker.role == 0 { pb::Role::Speaker.into() } else { speaker.role };
        found.extend(speaker.entity.iter().chain(&speaker.on_behalf_of).map(|entity| (entity, Some(role))));
    }
    found.extend(
        agreement(event).and_then(|agreement| agreement.acting_party.as_ref()).map(|party| (party, None)),
    );
    found
}

/// Gives the ids of the entities in any role; the name stands for an entity without id.
pub(crate) fn entity_ids(event: &pb::Event) -> BTreeSet<String> {
    roles(event).into_iter().map(|(entity, _)| key(entity).to_owned()).collect()
}

/// Gives the countries of entities, places, recipients and the reference area.
pub(crate) fn countries(event: &pb::Event) -> BTreeSet<String> {
    let mut found: BTreeSet<String> =
        roles(event).into_iter().map(|(entity, _)| entity.country.clone()).collect();
    found.extend(event.places.iter().map(|place| place.country.clone()));
    found
        .extend(funding(event).into_iter().flat_map(|transfer| transfer.recipient_countries.iter().cloned()));
    let area = release(event).and_then(|release| release.reference_area.as_ref());
    found.extend(area.map(|area| area.country.clone()));
    found.remove("");
    found
}

fn places(event: &pb::Event) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = event.places.iter().map(|place| place.name.clone()).collect();
    let ids = event.places.iter().flat_map(|place| &place.external_ids);
    found.extend(ids.map(|id| format!("{}:{}", id.scheme, id.value)));
    found.remove("");
    found
}

/// Gives the ids of the publishers of sources.
pub(crate) fn publishers(event: &pb::Event) -> BTreeSet<String> {
    event
        .sources
        .iter()
        .filter_map(|source| source.publisher.as_ref())
        .map(|who| key(who).to_owned())
        .collect()
}

fn external_ids(event: &pb::Event) -> Vec<&pb::ExternalId> {
    let entities = roles(event).into_iter().flat_map(|(entity, _)| &entity.external_ids);
    entities.chain(event.places.iter().flat_map(|place| &place.external_ids)).collect()
}
