//! What an event can be found by.

use std::cmp::Ordering;
use std::fmt;
use std::io::Write as _;

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

/// Terms in the order in which they are found, in one piece of memory: an event has ten to thirty, most of them short.
#[derive(Clone, Debug, Default)]
pub struct TermList {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<u32>,
}

impl TermList {
    /// Makes room for the terms of most events.
    #[must_use]
    pub fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(512), ends: Vec::with_capacity(32) }
    }

    /// Adds a term, unless its value is empty.
    pub fn add(&mut self, field: TermField, value: &str) {
        self.add_joined(field, [value]);
    }

    /// Adds a term whose value is some texts, one behind the other, unless it is empty.
    pub fn add_joined<const N: usize>(&mut self, field: TermField, values: [&str; N]) {
        let begin = self.bytes.len();
        self.bytes.push(field.number());
        values.iter().for_each(|value| self.bytes.extend_from_slice(value.as_bytes()));
        self.end(begin);
    }

    /// Adds a term whose value has to be written, unless it is empty.
    pub fn add_written(&mut self, field: TermField, value: impl fmt::Display) {
        let begin = self.bytes.len();
        self.bytes.push(field.number());
        // Writing to a `Vec` does not fail.
        let _ = write!(self.bytes, "{value}");
        self.end(begin);
    }

    /// Adds a term as it is written, unless it has no value.
    pub fn push(&mut self, term: &[u8]) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(term);
        self.end(begin);
    }

    fn end(&mut self, begin: usize) {
        // An event has far less than 4 GiB of text: see the limit on messages.
        match u32::try_from(self.bytes.len()) {
            Ok(end) if self.bytes.len() > begin + 1 => self.ends.push(end),
            Ok(_) | Err(_) => self.bytes.truncate(begin),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        slices(&self.bytes, &self.ends)
    }
}

/// The terms of one event, sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    bytes: Box<[u8]>,
    /// Where each ends.
    ends: Box<[u32]>,
}

fn slices<'a>(bytes: &'a [u8], ends: &'a [u32]) -> impl Iterator<Item = &'a [u8]> {
    let mut begin = 0;
    ends.iter().map(move |end| {
        let end = usize::try_from(*end).unwrap_or(usize::MAX);
        bytes.get(std::mem::replace(&mut begin, end)..end).unwrap_or_default()
    })
}

/// The first eight bytes, in the order that bytes have; what a shorter term lacks counts as zeros.
fn beginning(term: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.iter_mut().zip(term).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(first)
}

impl Terms {
    /// Sorts terms and drops repeats.
    #[must_use]
    pub fn new(found: &TermList) -> Self {
        // Most differ where they begin, and a number is compared at once.
        let mut sorted: Vec<(u64, &[u8])> = found.iter().map(|term| (beginning(term), term)).collect();
        sorted.sort_unstable();
        sorted.dedup();
        // No more than is needed: what is left over would be moved when it is given back.
        let bytes = Vec::with_capacity(sorted.iter().map(|(_, term)| term.len()).sum());
        let mut terms = TermList { bytes, ends: Vec::with_capacity(sorted.len()) };
        sorted.into_iter().for_each(|(_, term)| terms.push(term));
        Self { bytes: terms.bytes.into(), ends: terms.ends.into() }
    }

    /// Gives each term, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        slices(&self.bytes, &self.ends)
    }

    /// Tells whether a term is among them.
    #[must_use]
    pub fn contains(&self, term: &[u8]) -> bool {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.at(middle).cmp(term) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return true,
                Ordering::Greater => high = middle,
            }
        }
        false
    }

    fn at(&self, index: usize) -> &[u8] {
        let end = |index: usize| self.ends.get(index).and_then(|end| usize::try_from(*end).ok());
        let begin = index.checked_sub(1).map_or(Some(0), end);
        begin.zip(end(index)).and_then(|(begin, end)| self.bytes.get(begin..end)).unwrap_or_default()
    }

    /// Gives the values of one field.
    pub fn values(&self, field: TermField) -> impl Iterator<Item = &str> {
        self.iter().filter_map(move |term| {
            let (first, value) = term.split_first()?;
            (*first == field.number()).then(|| std::str::from_utf8(value).ok()).flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn terms_have_the_order_of_their_bytes(
            // Few different bytes, zero among them, and lengths about eight: where a beginning could mislead.
            values in prop::collection::vec(prop::collection::vec(0_u8..3, 2..12), 0..40),
        ) {
            let mut found = TermList::default();
            values.iter().for_each(|value| found.push(value));
            let terms = Terms::new(&found);
            let expected: BTreeSet<&[u8]> = values.iter().map(Vec::as_slice).collect();
            prop_assert!(terms.iter().eq(expected));
        }
    }

    #[test]
    fn terms_are_sorted_and_stand_once_and_are_found() {
        let mut found = TermList::default();
        for (field, value) in [
            (TermField::Tag, "b"),
            (TermField::Tag, "a"),
            (TermField::Stream, "s/t"),
            (TermField::Tag, ""),
            (TermField::Tag, "a"),
            (TermField::Tag, "ab"),
        ] {
            found.add(field, value);
        }
        found.push(&TermField::Kind.term("3"));
        let terms = Terms::new(&found);
        let expected = [
            TermField::Stream.term("s/t"),
            TermField::Kind.term("3"),
            TermField::Tag.term("a"),
            TermField::Tag.term("ab"),
            TermField::Tag.term("b"),
        ];
        assert_eq!(terms.iter().map(<[u8]>::to_vec).collect::<Vec<_>>(), expected);
        assert!(expected.iter().all(|term| terms.contains(term)));
        for absent in
            [TermField::Tag.term("c"), TermField::Tag.term(""), TermField::Entity.term("a"), Vec::new()]
        {
            assert!(!terms.contains(&absent), "{absent:?}");
        }
        assert_eq!(terms.values(TermField::Tag).collect::<Vec<_>>(), ["a", "ab", "b"]);
        assert_eq!(Terms::new(&TermList::default()), Terms::default());
    }
}
