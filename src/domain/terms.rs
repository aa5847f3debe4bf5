//! What an event can be found by.

/// Tells what a term is about. The numbers are part of the segment format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum TermField {
    /// Name of the stream.
    Stream = 1,
    /// Beginning of the stream's name, with the `/` that ends it.
    Category = 2,
    /// Number of the kind.
    Kind = 3,
    /// Id of an entity in any role.
    Entity = 4,
    /// Number of the role, `:`, id of the entity.
    Participation = 5,
    /// ISO 3166 code.
    Country = 6,
    /// Name of a place, or `scheme:value`.
    Place = 7,
    /// Tag.
    Tag = 8,
    /// Id of a source.
    Source = 9,
    /// Id of the publisher of a source.
    Publisher = 10,
    /// Number of the modality.
    Modality = 11,
    /// Number of the assertion.
    Assertion = 12,
    /// `scheme:value`.
    ExternalId = 13,
    /// Id of an event that a link names.
    LinkEvent = 14,
    /// Number of the funding stage.
    Stage = 15,
    /// Number of the agreement action.
    Action = 16,
    /// Number of the visit status.
    VisitStatus = 17,
    /// SDMX dataflow.
    Dataflow = 18,
    /// SDMX series key.
    SeriesKey = 19,
    /// Name of a stream that a link names.
    LinkStream = 20,
    /// Id of an entity to whom a source ascribes the event.
    Attribution = 21,
    /// Number of the type of a link.
    LinkType = 22,
    /// IATI FlowType of a transfer.
    FlowType = 40,
    /// IATI FinanceType of a transfer.
    FinanceType = 41,
    /// Type of aid, `scheme:value`.
    AidType = 42,
    /// Sector, `scheme:value`.
    Sector = 43,
    /// ISO 3166 code of a country that receives.
    RecipientCountry = 44,
    /// IATI TiedStatus of a transfer.
    TiedStatus = 45,
    /// IATI DisbursementChannel of a transfer.
    DisbursementChannel = 46,
    /// IATI identifier of the activity of a transfer.
    ActivityId = 47,
    /// Id of the event with the commitment that a transfer draws on.
    CommitmentEvent = 48,
    /// ISO 4217 code of the amount of a transfer.
    Currency = 49,
}

impl TermField {
    /// Gives the number of the field: the first byte of its terms.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Stream => 1,
            Self::Category => 2,
            Self::Kind => 3,
            Self::Entity => 4,
            Self::Participation => 5,
            Self::Country => 6,
            Self::Place => 7,
            Self::Tag => 8,
            Self::Source => 9,
            Self::Publisher => 10,
            Self::Modality => 11,
            Self::Assertion => 12,
            Self::ExternalId => 13,
            Self::LinkEvent => 14,
            Self::Stage => 15,
            Self::Action => 16,
            Self::VisitStatus => 17,
            Self::Dataflow => 18,
            Self::SeriesKey => 19,
            Self::LinkStream => 20,
            Self::Attribution => 21,
            Self::LinkType => 22,
            Self::FlowType => 40,
            Self::FinanceType => 41,
            Self::AidType => 42,
            Self::Sector => 43,
            Self::RecipientCountry => 44,
            Self::TiedStatus => 45,
            Self::DisbursementChannel => 46,
            Self::ActivityId => 47,
            Self::CommitmentEvent => 48,
            Self::Currency => 49,
        }
    }

    /// Writes a term: the field's number, then the value.
    #[must_use]
    pub fn term(self, value: &str) -> Vec<u8> {
        let mut term = Vec::with_capacity(value.len() + 1);
        term.push(self.number());
        term.extend_from_slice(value.as_bytes());
        term
    }
}

/// The terms of one event, sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms(Vec<Box<[u8]>>);

impl Terms {
    /// Sorts terms and drops repeats.
    #[must_use]
    pub fn new(mut terms: Vec<Box<[u8]>>) -> Self {
        terms.sort_unstable();
        terms.dedup();
        Self(terms)
    }

    /// Gives each term, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Tells whether a term is among them.
    #[must_use]
    pub fn contains(&self, term: &[u8]) -> bool {
        self.0.binary_search_by(|held| held.as_ref().cmp(term)).is_ok()
    }

    /// Gives the values of one field.
    pub fn values(&self, field: TermField) -> impl Iterator<Item = &str> {
        self.iter().filter_map(move |term| {
            let (first, value) = term.split_first()?;
            (*first == field.number()).then(|| std::str::from_utf8(value).ok()).flatten()
        })
    }
}
