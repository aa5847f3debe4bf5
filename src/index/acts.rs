//! What the lives of agreements are folded from, packed: the acts in a sealed segment, and the links that prolong or end them.

use std::borrow::Cow;

use ahash::{HashMap, HashSet};

use super::names::{Names, length, range};
use crate::domain::{ActFacts, Action, Day, EventId, LifeLink, LifeTarget, LinkType, StreamName, TermField};

/// Acts by rising slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Acts {
    /// Slots of the acts.
    pub(super) slots: Vec<u16>,
    pub(super) rows: Vec<PackedAct>,
    /// Lists of parties by numbers of their names, one after another, each once: acts of one agreement, and agreements of
    /// the same two, share one.
    pub(super) parties: Vec<u32>,
    /// Where each list ends in `parties`.
    pub(super) parties_ends: Vec<u32>,
    /// Links by which events prolong or end something, by rising slot.
    pub(super) links: Vec<PackedLink>,
    /// Ids of agreements, keys of parties, names of streams, and bytes of event ids that are linked to.
    pub(super) names: Names,
}

/// A link that prolongs or ends something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedLink {
    /// Slot of the event that carries it.
    pub(super) slot: u16,
    pub(super) link_type: LinkType,
    /// Whether it points to an event, else to a stream.
    pub(super) to_event: bool,
    /// Number of the name of its target.
    pub(super) target: u32,
}

/// One act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedAct {
    /// Number of the action.
    pub(super) action: u8,
    /// [`PackedAct::RETROACTIVE`] and [`PackedAct::ONE_PARTY`].
    pub(super) flags: u8,
    /// Number of the day; [`PackedAct::NO_DAY`] = not stated.
    pub(super) effective_on: i32,
    /// As `effective_on`.
    pub(super) expires_on: i32,
    /// Number of the term of the stream.
    pub(super) stream: u32,
    /// Number of the name.
    pub(super) agreement_id: u32,
    /// Number of the name; 0 without [`PackedAct::ONE_PARTY`].
    pub(super) acting_party: u32,
    /// Number of the list of its parties.
    pub(super) parties: u32,
}

impl PackedAct {
    const RETROACTIVE: u8 = 1;
    /// It is one party's act.
    const ONE_PARTY: u8 = 2;
    /// Before every day.
    const NO_DAY: i32 = i32::MIN;
}

fn packed_day(day: Option<Day>) -> i32 {
    day.map_or(PackedAct::NO_DAY, Day::number)
}

fn day(packed: i32) -> Option<Day> {
    (packed != PackedAct::NO_DAY).then(|| Day::from_number(packed))
}

fn target_bytes<'a>(link: &'a LifeLink<&'a str>) -> &'a [u8] {
    match &link.target {
        LifeTarget::Event(id) => id.as_bytes(),
        LifeTarget::Stream(name) => name.as_bytes(),
    }
}

/// Gives numbers to names, each once, in their order.
fn numbered<'a>(names: impl Iterator<Item = &'a [u8]>) -> (Names, HashMap<&'a [u8], u32>) {
    let distinct: HashSet<&[u8]> = names.collect();
    let mut sorted: Vec<&[u8]> = distinct.into_iter().collect();
    sorted.sort_unstable();
    (Names::of(&sorted), sorted.into_iter().zip(0..).collect())
}

impl Acts {
    /// Packs acts and links, both by rising slot; `terms` are those of the segment.
    pub(super) fn of(
        acts: &[(u16, &StreamName, &ActFacts<'static>)],
        links: &[(u16, LifeLink<&str>)],
        terms: &Names,
    ) -> Self {
        let texts = acts.iter().flat_map(|(_, _, act)| {
            let keys = act.acting_party.iter().chain(&act.parties);
            std::iter::once(&act.agreement_id).chain(keys).map(|text| text.as_bytes())
        });
        let targets = links.iter().map(|(_, link)| target_bytes(link));
        let (names, numbers) = numbered(texts.chain(targets));
        // All of them are there: they were put there just now.
        let number = |name: &[u8]| numbers.get(name).copied().unwrap_or_default();
        let mut packed = Self { names, ..Self::default() };
        let mut lists: HashMap<Vec<u32>, u32> = HashMap::default();
        for (slot, stream, act) in acts {
            let list: Vec<u32> = act.parties.iter().map(|party| number(party.as_bytes())).collect();
            let parties = *lists.entry(list).or_insert_with_key(|list| {
                packed.parties.extend(list);
                packed.parties_ends.push(length(packed.parties.len()));
                length(packed.parties_ends.len() - 1)
            });
            let retroactive = if act.retroactive { PackedAct::RETROACTIVE } else { 0 };
            let one_party = if act.acting_party.is_some() { PackedAct::ONE_PARTY } else { 0 };
            // The stream is a term of the event.
            let stream = terms.find(&TermField::Stream.term(stream.as_str())).unwrap_or_default();
            packed.slots.push(*slot);
            packed.rows.push(PackedAct {
                action: act.action.number(),
                flags: retroactive | one_party,
                effective_on: packed_day(act.effective_on),
                expires_on: packed_day(act.expires_on),
                stream: length(stream),
                agreement_id: number(act.agreement_id.as_bytes()),
                acting_party: act.acting_party.as_ref().map_or(0, |party| number(party.as_bytes())),
                parties,
            });
        }
        packed.links.extend(links.iter().map(|(slot, link)| PackedLink {
            slot: *slot,
            link_type: link.link_type,
            to_event: matches!(link.target, LifeTarget::Event(_)),
            target: number(target_bytes(link)),
        }));
        packed.slots.shrink_to_fit();
        packed.rows.shrink_to_fit();
        packed.parties.shrink_to_fit();
        packed.parties_ends.shrink_to_fit();
        packed
    }

    /// Tells whether everything that was read of a segment of `len` slots with these terms points to something.
    pub(super) fn is_sound(&self, terms: &Names, len: usize) -> bool {
        let named = |number: u32| number < length(self.names.len());
        let slots = self.slots.is_sorted_by(|one, other| one < other);
        let parties_end = self.parties_ends.last().copied().unwrap_or_default();
        self.slots.len() == self.rows.len()
            && slots
            && self.slots.last().is_none_or(|slot| usize::from(*slot) < len)
            && self.parties_ends.is_sorted()
            && parties_end == length(self.parties.len())
            && self.parties.iter().all(|party| named(*party))
            && self.rows.iter().all(|row| {
                let known = Action::from_number(i32::from(row.action)).is_some();
                known
                    && row.stream < length(terms.len())
                    && named(row.agreement_id)
                    && named(row.acting_party)
                    && row.parties < length(self.parties_ends.len())
            })
            && self.links.iter().all(|link| usize::from(link.slot) < len)
            && self.links().count() == self.links.len()
    }

    fn name(&self, number: u32) -> Option<&str> {
        let number = usize::try_from(number).ok().filter(|number| *number < self.names.len())?;
        std::str::from_utf8(self.names.get(number)).ok()
    }

    /// Gives the links with their slots.
    pub(super) fn links(&self) -> impl Iterator<Item = (u16, LifeLink<&str>)> {
        self.links.iter().filter_map(|link| {
            let target = if link.to_event {
                let bytes = self.names.get(usize::try_from(link.target).ok()?);
                LifeTarget::Event(EventId::from_bytes(bytes.try_into().ok()?))
            } else {
                LifeTarget::Stream(self.name(link.target)?)
            };
            Some((link.slot, LifeLink { link_type: link.link_type, target }))
        })
    }

    /// Gives the number of the term of the stream of an act, by number of the act.
    pub(super) fn stream(&self, number: usize) -> Option<usize> {
        usize::try_from(self.rows.get(number)?.stream).ok()
    }

    /// Gives the numbers of the acts of the agreement with an id.
    pub(super) fn of_agreement<'a>(&'a self, id: &str) -> impl Iterator<Item = usize> + use<'a> {
        let name = self.names.find(id.as_bytes()).map(length);
        let rows =
            name.map(|name| self.rows.iter().enumerate().filter(move |(_, row)| row.agreement_id == name));
        rows.into_iter().flatten().map(|(number, _)| number)
    }

    /// Gives an act.
    pub(super) fn get(&self, number: usize) -> Option<ActFacts<'_>> {
        let row = self.rows.get(number)?;
        let parties = range(&self.parties_ends, usize::try_from(row.parties).ok()?)?;
        let parties = self.parties.get(parties)?.iter();
        let one_party = row.flags & PackedAct::ONE_PARTY != 0;
        Some(ActFacts {
            action: Action::from_number(i32::from(row.action))?,
            agreement_id: Cow::Borrowed(self.name(row.agreement_id)?),
            acting_party: if one_party { Some(Cow::Borrowed(self.name(row.acting_party)?)) } else { None },
            parties: parties.filter_map(|number| self.name(*number).map(Cow::Borrowed)).collect(),
            effective_on: day(row.effective_on),
            expires_on: day(row.expires_on),
            retroactive: row.flags & PackedAct::RETROACTIVE != 0,
        })
    }
}
