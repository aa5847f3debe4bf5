//! What the lives of agreements are folded from, packed: the acts in a sealed segment, and the links that prolong or end them.

use std::borrow::Cow;

use ahash::{HashMap, HashSet};

use super::dictionary::Dictionary;
use super::layout::{LayoutError, Reader, Writer};
use super::names::Names;
use super::packed::Packed;
use crate::domain::{ActFacts, Action, Day, EventId, LifeLink, LifeTarget, LinkType, StreamName, TermField};

/// Acts by rising slot: a value of each column an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acts {
    slots: Packed,
    /// Numbers of the actions.
    action: Packed,
    /// [`RETROACTIVE`] and further bits.
    flags: Packed,
    /// Numbers of the days; without [`TAKES_EFFECT`] nothing.
    effective_on: Packed,
    /// The same; without [`EXPIRES`] nothing.
    expires_on: Packed,
    /// Numbers of the terms of the streams.
    stream: Packed,
    /// Numbers of the names.
    agreement_id: Packed,
    /// Numbers of the names; without [`ONE_PARTY`] nothing.
    acting_party: Packed,
    /// Numbers of the lists of parties.
    list: Packed,
    /// Where each list ends in `parties`.
    list_ends: Packed,
    /// Lists of parties by numbers of their names, one after another, each once: acts of one agreement, and agreements of
    /// the same two, share one.
    parties: Packed,
    links: Links,
    /// Ids of agreements, keys of parties, names of streams, and bytes of event ids that are linked to.
    names: Names,
}

/// Links by which events prolong or end something, by rising slot.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Links {
    slots: Packed,
    link_type: Packed,
    /// Whether it points to an event, 1, or to a stream, 0.
    to_event: Packed,
    /// Numbers of the names of the targets.
    target: Packed,
}

const RETROACTIVE: i64 = 1;
/// It is one party's act.
const ONE_PARTY: i64 = 2;
const TAKES_EFFECT: i64 = 4;
const EXPIRES: i64 = 8;

fn flags_of(act: &ActFacts<'_>) -> i64 {
    let flags = [
        (act.retroactive, RETROACTIVE),
        (act.acting_party.is_some(), ONE_PARTY),
        (act.effective_on.is_some(), TAKES_EFFECT),
        (act.expires_on.is_some(), EXPIRES),
    ];
    flags.into_iter().filter(|(holds, _)| *holds).map(|(_, flag)| flag).sum()
}

fn target_bytes<'a>(link: &'a LifeLink<&'a str>) -> &'a [u8] {
    match &link.target {
        LifeTarget::Event(id) => id.as_bytes(),
        LifeTarget::Stream(name) => name.as_bytes(),
    }
}

/// Gives numbers to names, each once, in their order.
fn numbered<'a>(names: impl Iterator<Item = &'a [u8]>) -> (Names, HashMap<&'a [u8], usize>) {
    let distinct: HashSet<&[u8]> = names.collect();
    let mut sorted: Vec<&[u8]> = distinct.into_iter().collect();
    sorted.sort_unstable();
    (Names::of(&sorted), sorted.into_iter().zip(0..).collect())
}

/// Lists by their number, each once.
#[derive(Default)]
struct Lists {
    numbers: HashMap<Vec<usize>, usize>,
    items: Vec<usize>,
    ends: Vec<usize>,
}

impl Lists {
    fn number(&mut self, list: Vec<usize>) -> usize {
        *self.numbers.entry(list).or_insert_with_key(|list| {
            self.items.extend(list);
            self.ends.push(self.items.len());
            self.ends.len() - 1
        })
    }
}

impl Acts {
    /// Packs acts and links, both by rising slot; `terms` are those of the segment.
    pub(super) fn of(
        acts: &[(u16, &StreamName, &ActFacts<'static>)],
        links: &[(u16, LifeLink<&str>)],
        terms: &Dictionary,
    ) -> Self {
        let texts = acts.iter().flat_map(|(_, _, act)| {
            let keys = act.acting_party.iter().chain(&act.parties);
            std::iter::once(&act.agreement_id).chain(keys).map(|text| text.as_bytes())
        });
        let targets = links.iter().map(|(_, link)| target_bytes(link));
        let (names, numbers) = numbered(texts.chain(targets));
        // All of them are there: they were put there just now.
        let number = |name: &[u8]| numbers.get(name).copied().unwrap_or_default();
        // The stream is a term of the event.
        let stream =
            |name: &StreamName| terms.find(&TermField::Stream.term(name.as_str())).map(|term| term.number);
        let streams = acts.iter().map(|(_, name, _)| stream(name).unwrap_or_default());
        let mut lists = Lists::default();
        let facts = || acts.iter().map(|(_, _, act)| *act);
        let list = facts()
            .map(|act| lists.number(act.parties.iter().map(|party| number(party.as_bytes())).collect()));
        let list: Vec<usize> = list.collect();
        // What is not there takes the place of one that is, so that it makes no range wider.
        let days = |day: fn(&ActFacts<'_>) -> Option<Day>| {
            let instead = facts().find_map(day).map_or(0, Day::number);
            let days = facts().map(|act| i64::from(day(act).map_or(instead, Day::number)));
            Packed::of(&days.collect::<Vec<_>>())
        };
        let acting =
            |act: &ActFacts<'_>| act.acting_party.as_ref().map_or(0, |party| number(party.as_bytes()));
        Self {
            slots: Packed::of_numbers(acts.iter().map(|(slot, ..)| usize::from(*slot))),
            action: Packed::of_numbers(facts().map(|act| usize::from(act.action.number()))),
            flags: Packed::of(&facts().map(flags_of).collect::<Vec<_>>()),
            effective_on: days(|act| act.effective_on),
            expires_on: days(|act| act.expires_on),
            stream: Packed::of_numbers(streams),
            agreement_id: Packed::of_numbers(facts().map(|act| number(act.agreement_id.as_bytes()))),
            acting_party: Packed::of_numbers(facts().map(acting)),
            list: Packed::of_numbers(list.into_iter()),
            list_ends: Packed::of_numbers(lists.ends.into_iter()),
            parties: Packed::of_numbers(lists.items.into_iter()),
            links: Links::of(links, number),
            names,
        }
    }

    /// Gives the number of acts.
    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    /// Gives the slot of an act.
    pub(super) fn slot(&self, number: usize) -> Option<u16> {
        u16::try_from(self.slots.get(number)?).ok()
    }

    /// Gives the number of the act at a slot.
    pub(super) fn at(&self, slot: u16) -> Option<usize> {
        self.slots.find(i64::from(slot))
    }

    fn name(&self, number: usize) -> Option<&str> {
        std::str::from_utf8(self.names.get(number)?).ok()
    }

    /// Gives the links with their slots.
    pub(super) fn links(&self) -> impl Iterator<Item = (u16, LifeLink<&str>)> {
        (0..self.links.slots.len()).filter_map(|number| self.link(number))
    }

    fn link(&self, number: usize) -> Option<(u16, LifeLink<&str>)> {
        let links = &self.links;
        let link_type = LinkType::from_number(i32::try_from(links.link_type.get(number)?).ok()?);
        let target = links.target.number(number)?;
        let target = if links.to_event.get(number)? == 1 {
            LifeTarget::Event(EventId::from_bytes(self.names.get(target)?.try_into().ok()?))
        } else {
            LifeTarget::Stream(self.name(target)?)
        };
        let link_type = link_type.filter(|found| found.bears_on_life())?;
        Some((u16::try_from(links.slots.get(number)?).ok()?, LifeLink { link_type, target }))
    }

    /// Gives the number of the term of the stream of an act, by number of the act.
    pub(super) fn stream(&self, number: usize) -> Option<usize> {
        self.stream.number(number)
    }

    /// Gives the numbers of the acts of the agreement with an id.
    pub(super) fn of_agreement<'a>(&'a self, id: &str) -> impl Iterator<Item = usize> + use<'a> {
        let name = self.names.find(id.as_bytes());
        let acts = name.map(|name| {
            let ids = (0..self.len()).map(|number| self.agreement_id.number(number));
            ids.enumerate().filter(move |(_, id)| *id == Some(name)).map(|(number, _)| number)
        });
        acts.into_iter().flatten()
    }

    /// Gives an act.
    pub(super) fn get(&self, number: usize) -> Option<ActFacts<'_>> {
        let flags = self.flags.get(number)?;
        let name = |numbers: &Packed| self.name(numbers.number(number)?).map(Cow::Borrowed);
        let day = |flag: i64, days: &Packed| {
            let day = days.get(number).filter(|_| flags & flag != 0)?;
            i32::try_from(day).ok().map(Day::from_number)
        };
        let parties = self.list_ends.range(self.list.number(number)?)?;
        let parties = parties.filter_map(|at| self.name(self.parties.number(at)?).map(Cow::Borrowed));
        Some(ActFacts {
            action: Action::from_number(i32::try_from(self.action.get(number)?).ok()?)?,
            agreement_id: name(&self.agreement_id)?,
            acting_party: if flags & ONE_PARTY != 0 { Some(name(&self.acting_party)?) } else { None },
            parties: parties.collect(),
            effective_on: day(TAKES_EFFECT, &self.effective_on),
            expires_on: day(EXPIRES, &self.expires_on),
            retroactive: flags & RETROACTIVE != 0,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.columns().iter().for_each(|column| column.write(out));
        self.list_ends.write(out);
        self.parties.write(out);
        self.links.columns().iter().for_each(|column| column.write(out));
        self.names.write(out);
    }

    fn columns(&self) -> [&Packed; 9] {
        [
            &self.slots,
            &self.action,
            &self.flags,
            &self.effective_on,
            &self.expires_on,
            &self.stream,
            &self.agreement_id,
            &self.acting_party,
            &self.list,
        ]
    }

    /// Reads acts and links of a segment of `len` slots with `terms` terms.
    pub(super) fn read(from: &mut Reader, terms: usize, len: usize) -> Result<Self, LayoutError> {
        let acts = Self {
            slots: Packed::read(from)?,
            action: Packed::read(from)?,
            flags: Packed::read(from)?,
            effective_on: Packed::read(from)?,
            expires_on: Packed::read(from)?,
            stream: Packed::read(from)?,
            agreement_id: Packed::read(from)?,
            acting_party: Packed::read(from)?,
            list: Packed::read(from)?,
            list_ends: Packed::read(from)?,
            parties: Packed::read(from)?,
            links: Links {
                slots: Packed::read(from)?,
                link_type: Packed::read(from)?,
                to_event: Packed::read(from)?,
                target: Packed::read(from)?,
            },
            names: Names::read(from)?,
        };
        if acts.is_sound(terms, len) { Ok(acts) } else { Err(LayoutError) }
    }

    /// Tells whether everything points to something.
    fn is_sound(&self, terms: usize, len: usize) -> bool {
        let names = self.names.len();
        let one_each = |columns: &[&Packed]| {
            columns.iter().all(|column| Some(column.len()) == columns.first().map(|first| first.len()))
        };
        let known =
            |action: i64| i32::try_from(action).is_ok_and(|action| Action::from_number(action).is_some());
        one_each(&self.columns())
            && self.slots.iter().is_sorted_by(|one, other| one < other)
            && self.slots.all_below(len)
            && self.action.iter().all(known)
            && self.stream.all_below(terms)
            && self.agreement_id.all_below(names)
            && self.acting_party.all_below(names)
            && self.list.all_below(self.list_ends.len())
            && self.list_ends.are_ends_of(self.parties.len())
            && self.parties.all_below(names)
            && one_each(&self.links.columns())
            && self.links.slots.iter().is_sorted()
            && self.links.slots.all_below(len)
            && self.links().count() == self.links.slots.len()
    }
}

impl Links {
    fn of(links: &[(u16, LifeLink<&str>)], number: impl Fn(&[u8]) -> usize) -> Self {
        let to_event = |link: &LifeLink<&str>| matches!(link.target, LifeTarget::Event(_));
        Self {
            slots: Packed::of_numbers(links.iter().map(|(slot, _)| usize::from(*slot))),
            link_type: Packed::of_numbers(links.iter().map(|(_, link)| usize::from(link.link_type.number()))),
            to_event: Packed::of_numbers(links.iter().map(|(_, link)| usize::from(to_event(link)))),
            target: Packed::of_numbers(links.iter().map(|(_, link)| number(target_bytes(link)))),
        }
    }

    fn columns(&self) -> [&Packed; 4] {
        [&self.slots, &self.link_type, &self.to_event, &self.target]
    }
}
