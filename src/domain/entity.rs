//! Who and where: entities, participants, places.

use ahash::HashSet;

use super::{CaveatCode, CountryCode, CountryVerdict, Findings, Role};

/// An identifier that someone else gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalId {
    /// Whose identifiers, for example `wikidata`.
    pub scheme: String,
    /// The identifier.
    pub value: String,
}

/// A person, body, country or thing as the source names it; at least one of id and name is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entity {
    /// Stable id, for example `country:AL`; may be empty.
    pub id: String,
    /// Name as given; may be empty.
    pub name: String,
    /// ISO 3166 code as given; may be empty.
    pub country: String,
    /// Identifiers elsewhere.
    pub external_ids: Vec<ExternalId>,
    /// Whether it is a person.
    pub is_person: bool,
}

impl Entity {
    /// Gives what tells this entity from others: the id, else the name.
    #[must_use]
    pub fn key(&self) -> &str {
        if self.id.is_empty() { &self.name } else { &self.id }
    }

    /// Checks that the entity is named and its country is one.
    pub fn check(&self, findings: &mut Findings) {
        if self.id.is_empty() && self.name.is_empty() {
            findings.violation("must have an id or a name");
        }
        check_country(&self.country, findings);
    }
}

/// Longest text that is looked at as a country code: what is longer is no misspelt code.
const COUNTRY_BYTES_MAX: usize = 8;

/// Checks the field `country` here: ISO 3166-1 alpha-2, ISO 3166-3 alpha-4, or XK; empty is fine.
pub fn check_country(code: &str, findings: &mut Findings) {
    if code.is_empty() {
        return;
    }
    findings.at("country", |f| check_country_code(code, f));
}

/// Checks a country code at the path here.
pub fn check_country_code(code: &str, findings: &mut Findings) {
    if code.len() > COUNTRY_BYTES_MAX || !code.bytes().all(|byte| byte.is_ascii_graphic()) {
        findings.violation("must be an ISO 3166 code: 2 or 4 capital letters");
        return;
    }
    match CountryCode::classify(code) {
        CountryVerdict::Current | CountryVerdict::Former | CountryVerdict::UserAssigned => {}
        CountryVerdict::HintFor(right) => {
            findings.violation(format_args!("is {code}, which is no ISO 3166 code: write {right}"));
        }
        CountryVerdict::Unknown => findings.caveat(
            CaveatCode::CountryCodeUnknown,
            format_args!("{code:?} is neither ISO 3166-1 alpha-2 nor ISO 3166-3 nor XK"),
        ),
    }
}

/// An entity in its role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub entity: Entity,
    /// In which role; `None` where the wire leaves it out (a statement's speaker).
    pub role: Option<Role>,
    /// For whom.
    pub on_behalf_of: Option<Entity>,
}

impl Participant {
    /// Gives the party to an agreement that it is or signs for. A person who signs for nobody is no party.
    #[must_use]
    pub fn party(&self) -> Option<&Entity> {
        let entity = self.on_behalf_of.as_ref().unwrap_or(&self.entity);
        self.role?.makes_a_party(entity.is_person).then_some(entity)
    }
}

/// Remarks on whoever takes part twice in one role: real records list a party twice, so it is not refused.
pub fn check_participants(participants: &[Participant], findings: &mut Findings) {
    let mut seen = HashSet::default();
    for (index, participant) in participants.iter().enumerate() {
        if !seen.insert((participant.entity.key(), participant.role)) {
            findings.at_index("participants", index, |f| {
                f.caveat(CaveatCode::RepeatedParticipant, "repeats an entity in the same role");
            });
        }
    }
}

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name as given; may be empty.
    pub name: String,
    /// ISO 3166 code as given; may be empty.
    pub country: String,
    /// Identifiers elsewhere.
    pub external_ids: Vec<ExternalId>,
    /// Whether the event went there or took place there.
    pub is_destination: bool,
}
