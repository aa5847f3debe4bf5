//! Entities, participants, places.

use super::check::{ID_CHARS_MAX, TEXT_CHARS_MAX, line, optional_number, required_line, required_number};
use crate::domain::codes::CodeList;
use crate::domain::{CaveatCode, Entity, ExternalId, Findings, Participant, Place, Role};
use crate::pb;

/// Reads an entity.
pub fn entity(findings: &mut Findings, entity: &pb::EntityRef) -> Entity {
    line(findings, "id", &entity.id, ID_CHARS_MAX);
    line(findings, "name", &entity.name, TEXT_CHARS_MAX);
    let kind = optional_number(findings, "type", entity.r#type, |n| pb::EntityType::try_from(n).ok());
    let read = Entity {
        id: entity.id.clone(),
        name: entity.name.clone(),
        country: entity.country.clone(),
        external_ids: external_ids(findings, &entity.external_ids),
        is_person: kind == Some(pb::EntityType::Person),
    };
    read.check(findings);
    read
}

/// Reads an entity where there is one.
pub fn optional_entity(
    findings: &mut Findings,
    field: &'static str,
    found: Option<&pb::EntityRef>,
) -> Option<Entity> {
    found.map(|found| findings.at(field, |f| entity(f, found)))
}

/// Reads identifiers that others gave.
pub fn external_ids(findings: &mut Findings, ids: &[pb::ExternalId]) -> Vec<ExternalId> {
    let mut read = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        findings.at_index("external_ids", index, |f| external_id(f, id));
        read.push(ExternalId { scheme: id.scheme.clone(), value: id.value.clone() });
    }
    read
}

/// Checks an identifier that someone else gave.
pub fn external_id(findings: &mut Findings, id: &pb::ExternalId) {
    required_line(findings, "scheme", &id.scheme, ID_CHARS_MAX);
    required_line(findings, "value", &id.value, TEXT_CHARS_MAX);
}

/// Reads a participant; a statement's speaker may leave the role out.
pub fn participant(
    findings: &mut Findings,
    found: &pb::Participant,
    default: Option<Role>,
) -> Option<Participant> {
    let role = match default {
        None => required_number(findings, "role", found.role, Role::from_number),
        Some(role) => optional_number(findings, "role", found.role, Role::from_number).or(Some(role)),
    };
    line(findings, "role_label", &found.role_label, TEXT_CHARS_MAX);
    line(findings, "capacity", &found.capacity, TEXT_CHARS_MAX);
    line(findings, "activity_ref", &found.activity_ref, TEXT_CHARS_MAX);
    line(findings, "org_type", &found.org_type, ID_CHARS_MAX);
    if !found.org_type.is_empty() && !CodeList::OrganisationType.is_known(&found.org_type) {
        findings.caveat_at("org_type", CaveatCode::CodeUnknown, "is no IATI OrganisationType");
    }
    let Some(who) = &found.entity else {
        findings.violation_at("entity", "must be set");
        return None;
    };
    let entity = findings.at("entity", |f| entity(f, who));
    let on_behalf_of = optional_entity(findings, "on_behalf_of", found.on_behalf_of.as_ref());
    Some(Participant { entity, role, on_behalf_of })
}

/// Reads participants.
pub fn participants(findings: &mut Findings, found: &[pb::Participant]) -> Vec<Participant> {
    let read = found.iter().enumerate().filter_map(|(index, found)| {
        findings.at_index("participants", index, |f| participant(f, found, None))
    });
    read.collect()
}

/// Reads a place.
pub fn place(findings: &mut Findings, found: &pb::Place) -> Place {
    use pb::place::PlaceRole;
    line(findings, "name", &found.name, TEXT_CHARS_MAX);
    line(findings, "precision", &found.precision, TEXT_CHARS_MAX);
    let external_ids = external_ids(findings, &found.external_ids);
    if found.name.is_empty() && external_ids.is_empty() && found.point.is_none() && found.country.is_empty() {
        findings.violation("must have a name, a country, an external id or a point");
    }
    crate::domain::check_country(&found.country, findings);
    if let Some(point) = &found.point
        && !((-90.0..=90.0).contains(&point.latitude) && (-180.0..=180.0).contains(&point.longitude))
    {
        findings.violation_at("point", "must lie within latitude -90 to 90 and longitude -180 to 180");
    }
    let role = optional_number(findings, "role", found.role, |n| PlaceRole::try_from(n).ok());
    Place {
        name: found.name.clone(),
        country: found.country.clone(),
        external_ids,
        is_destination: matches!(role, Some(PlaceRole::Destination | PlaceRole::Venue)),
    }
}
