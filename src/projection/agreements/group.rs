//! Which acts of the index belong to one agreement.

use std::borrow::Cow;

use ahash::{HashMap, HashSet};
use smallvec::SmallVec;

use super::act::{Act, acts_of_stream, parts_with_acts};
use crate::filter::Filter;
use crate::index::{Part, Scope, View};
use crate::timeline::Judge;

/// Up to so many streams are looked up by name in each part; beyond, all acts are gone through.
const LOOKED_UP_MAX: usize = 1_000;

/// Numbers of a part and of an act in it, by position.
pub(super) type Places = SmallVec<[(u32, u32); 2]>;

/// The standing acts of a view.
pub(super) struct Acts<'a> {
    parts: Vec<&'a dyn Part>,
    judge: Judge<'a>,
}

impl<'a> Acts<'a> {
    /// Takes those that stand in a state of knowledge; `scope.as_of` is a real position.
    #[must_use]
    pub(super) fn of(view: &'a View, scope: Scope) -> Self {
        let judge = Judge { view, window: None, scope, include_closed: false };
        Self { parts: parts_with_acts(view, scope.as_of).collect(), judge }
    }

    /// Gives an act.
    #[must_use]
    pub(super) fn get(&self, (part, number): (u32, u32)) -> Option<Act<'a>> {
        let part = *self.parts.get(usize::try_from(part).ok()?)?;
        let number = usize::try_from(number).ok()?;
        Act::at(part, part.act_slot(number)?, number)
    }

    /// Gives the places of the acts of each stream that for every filter has an act that matches, be it the same act or
    /// not; by first act.
    #[must_use]
    pub(super) fn by_stream(&self, filters: &[&Filter]) -> Vec<(Cow<'a, str>, Places)> {
        let mut streams: HashMap<Cow<'_, str>, Places> = HashMap::default();
        match filters.split_first() {
            Some((first, others)) => {
                self.visit(Some(first), &mut |stream, _| {
                    streams.entry(stream).or_default();
                });
                others.iter().for_each(|filter| self.retain(filter, &mut streams));
                self.add_places(&mut streams);
            }
            None => self.visit(None, &mut |stream, place| streams.entry(stream).or_default().push(place)),
        }
        let mut streams: Vec<(Cow<'_, str>, Places)> = streams.into_iter().collect();
        // Neighbours share what the processor holds in its caches.
        streams.sort_unstable_by_key(|(_, places)| places.first().copied());
        streams
    }

    /// Retains the streams with an act that matches.
    fn retain(&self, filter: &Filter, streams: &mut HashMap<Cow<'a, str>, Places>) {
        let mut matching = HashSet::default();
        self.visit(Some(filter), &mut |stream, _| {
            matching.insert(stream);
        });
        streams.retain(|stream, _| matching.contains(stream));
    }

    /// Adds the places of the acts of streams, by position.
    fn add_places(&self, streams: &mut HashMap<Cow<'a, str>, Places>) {
        if streams.len() <= LOOKED_UP_MAX {
            return self.look_up(streams);
        }
        self.visit(None, &mut |stream, place| {
            if let Some(places) = streams.get_mut(&stream) {
                places.push(place);
            }
        });
    }

    /// Visits the acts that match, by position.
    fn visit(&self, filter: Option<&Filter>, visit: &mut dyn FnMut(Cow<'a, str>, (u32, u32))) {
        for (at, part) in (0_u32..).zip(&self.parts) {
            let slots = part.slots_up_to(self.judge.scope.as_of);
            let matching = filter.map(|filter| filter.slots(*part, slots));
            if matching.as_ref().is_some_and(roaring::RoaringBitmap::is_empty) {
                continue;
            }
            let acts = (0..part.act_count()).filter_map(|number| Some((number, part.act_slot(number)?)));
            for (number, slot) in acts.take_while(|(_, slot)| u32::from(*slot) < slots) {
                let matches = matching.as_ref().is_none_or(|matching| matching.contains(u32::from(slot)));
                if !matches || !self.judge.admits(*part, slot) {
                    continue;
                }
                if let Some((stream, number)) = part.act_stream(number).zip(u32::try_from(number).ok()) {
                    visit(stream, (at, number));
                }
            }
        }
    }

    /// Looks the streams up in each part.
    fn look_up(&self, streams: &mut HashMap<Cow<'a, str>, Places>) {
        for (at, part) in (0_u32..).zip(&self.parts) {
            for (stream, places) in streams.iter_mut() {
                for (slot, number) in acts_of_stream(*part, stream, self.judge.scope.as_of) {
                    let number = u32::try_from(number).ok();
                    if let Some(number) = number.filter(|_| self.judge.admits(*part, slot)) {
                        places.push((at, number));
                    }
                }
            }
        }
    }
}
