//! Counts entries by time or by a facet, on bitmaps and columns alone.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use super::entry::{Judge, Window};
use crate::domain::{Bounds, CalendarUnit, Day, Kind, TermField, day_of};
use crate::filter::Filter;
use crate::filter::plan::slots_of;
use crate::index::{Part, Scope, View};

/// Which entries to count, and by what.
#[derive(Clone, Debug)]
pub struct CountRequest {
    /// Which events.
    pub filter: Filter,
    /// When they were true.
    pub window: Option<Window>,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Whether closed entries and retractions count.
    pub include_closed: bool,
    /// By what.
    pub group_by: Option<GroupBy>,
    /// Most groups.
    pub group_limit: usize,
}

/// By what to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// By a unit of time on an axis.
    Time(Axis, CalendarUnit),
    /// By a facet.
    Facet(Facet),
}

/// The three axes of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Earliest start of valid time.
    Valid,
    /// Known time, in UTC.
    Known,
    /// Recorded time, in UTC.
    Recorded,
}

/// Facets of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facet {
    /// Its kind.
    Kind,
    /// Its entities.
    Entity,
    /// Its countries.
    Country,
    /// Its tags.
    Tag,
    /// The publishers of its sources.
    Publisher,
}

impl Facet {
    const fn field(self) -> TermField {
        match self {
            Self::Kind => TermField::Kind,
            Self::Entity => TermField::Entity,
            Self::Country => TermField::Country,
            Self::Tag => TermField::Tag,
            Self::Publisher => TermField::Publisher,
        }
    }

    fn key(self, value: &[u8]) -> String {
        let value = String::from_utf8_lossy(value);
        match self {
            Self::Kind => {
                let kind = value.parse().ok().and_then(Kind::from_number);
                kind.map_or_else(|| value.into_owned(), |kind| kind.name().to_owned())
            }
            Self::Entity | Self::Country | Self::Tag | Self::Publisher => value.into_owned(),
        }
    }
}

/// One group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// First day of the unit, or the facet's value.
    pub key: String,
    /// Entries in it.
    pub count: u64,
}

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries that match.
    pub total: u64,
    /// Groups: by day for time, by falling count and then key for a facet.
    pub groups: Vec<Group>,
    /// Groups beyond the limit.
    pub omitted_groups: u64,
    /// Entries whose start is open, in no group of valid time.
    pub open_starts: u64,
}

/// Counts entries.
#[must_use]
pub fn count(view: &View, request: &CountRequest) -> Counts {
    let judge =
        Judge { view, window: request.window, scope: request.scope, include_closed: request.include_closed };
    let mut counts = Counts::default();
    let mut days: BTreeMap<Day, u64> = BTreeMap::new();
    let mut values: HashMap<String, u64> = HashMap::new();
    for part in view.parts().filter(|part| part.base() < request.scope.as_of) {
        let found = request.filter.slots(part, part.slots_up_to(request.scope.as_of));
        let entries = slots_of(&found).filter(|slot| judge.admits(part, *slot));
        match request.group_by {
            None => counts.total += u64::try_from(entries.count()).unwrap_or(u64::MAX),
            Some(GroupBy::Time(axis, unit)) => {
                for slot in entries {
                    counts.total += 1;
                    match day_on(part, slot, axis) {
                        Some(day) => *days.entry(unit.start_of(day)).or_default() += 1,
                        None => counts.open_starts += 1,
                    }
                }
            }
            Some(GroupBy::Facet(facet)) => {
                let entries: RoaringBitmap = entries.map(u32::from).collect();
                counts.total += entries.len();
                part.for_each_term(&[facet.field().number()], &mut |term, posting| {
                    let found = posting.intersection_len(&entries);
                    if found > 0 {
                        let key = facet.key(term.get(1..).unwrap_or_default());
                        *values.entry(key).or_default() += found;
                    }
                });
            }
        }
    }
    let by_day = days.into_iter().map(|(day, count)| Group { key: day.to_string(), count });
    let mut by_value: Vec<Group> = values.into_iter().map(|(key, count)| Group { key, count }).collect();
    by_value.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.key.cmp(&other.key)));
    counts.groups = by_day.chain(by_value).collect();
    let omitted = counts.groups.len().saturating_sub(request.group_limit);
    counts.omitted_groups = u64::try_from(omitted).unwrap_or(u64::MAX);
    counts.groups.truncate(request.group_limit);
    counts
}

fn day_on(part: &dyn Part, slot: u16, axis: Axis) -> Option<Day> {
    let columns = part.columns();
    match axis {
        Axis::Valid => {
            let start = columns.bounds(slot)?.earliest_start;
            (start != Bounds::OPEN_START).then(|| Day::from_number(start))
        }
        Axis::Known => columns.known_at(slot).map(day_of),
        Axis::Recorded => columns.recorded_at(slot).map(day_of),
    }
}
