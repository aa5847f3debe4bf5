//! Timelines, histories and counts of the model.

use std::collections::{BTreeMap, BTreeSet};

use annals::domain::{CalendarUnit, Day, LinkType, Position, TimeSpan, Timestamp};
use annals::index::{Edge, Scope, Status};
use annals::pb;
use annals::timeline::{Axis, Certainty, Counts, Entry, Facet, Group, GroupBy, Order, Version};
use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use super::{Model, Recorded, filter};

/// A window of valid time: days from `from` to before `to`; `None` = unbounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between {
    pub(crate) from: Option<Day>,
    pub(crate) to: Option<Day>,
    pub(crate) must: bool,
}

/// Which entries are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) filter: pb::Filter,
    pub(crate) window: Option<Between>,
    pub(crate) scope: Scope,
    pub(crate) include_closed: bool,
}

impl Between {
    fn match_of(self, span: &TimeSpan) -> Option<Certainty> {
        // An open side of the event reaches beyond every day.
        let overlaps_end = span.earliest_start.is_none_or(|start| self.to.is_none_or(|to| start < to));
        let overlaps_start = span.latest_end.is_none_or(|end| self.from.is_none_or(|from| end > from));
        let starts_within =
            self.from.is_none_or(|from| span.earliest_start.is_some_and(|start| start >= from));
        let ends_within = self.to.is_none_or(|to| span.latest_end.is_some_and(|end| end <= to));
        let certain = starts_within && ends_within && !span.approximate && !span.uncertain;
        if !(overlaps_start && overlaps_end) || (self.must && !certain) {
            return None;
        }
        Some(if certain { Certainty::Must } else { Certainty::May })
    }
}

pub(crate) fn in_scope(position: Position, known_at: Timestamp, scope: Scope) -> bool {
    position <= scope.as_of && known_at <= scope.known_at
}

impl Model {
    /// A link is effective if its carrier is in scope and no effective retraction targets the carrier.
    pub(crate) fn is_effective(&self, link: &Edge, scope: Scope) -> bool {
        let mut retractions =
            self.links.iter().filter(|other| other.target == link.carrier && retracts(other));
        in_scope(link.carrier, link.carrier_known_at, scope)
            && !retractions.any(|retraction| self.is_effective(retraction, scope))
    }

    /// Gives the effective links that close an event, by position.
    pub(crate) fn closers(&self, target: Position, scope: Scope) -> Vec<Edge> {
        let closing =
            self.links.iter().filter(|link| link.target == target && link.link_type != LinkType::DuplicateOf);
        closing.filter(|link| self.is_effective(link, scope)).copied().collect()
    }

    /// Tells what became of an event in scope.
    pub(crate) fn status(&self, position: Position, scope: Scope) -> Status {
        if let Some(closer) = self.closers(position, scope).first() {
            return Status::Closed(*closer);
        }
        match self.repeats(position, scope).first() {
            Some(duplicate) => Status::Duplicate(*duplicate),
            None if self.is_marker(position) => Status::Retraction,
            None => Status::Current,
        }
    }

    /// Gives the links by which an event says that it repeats another, as far as that one is in scope.
    fn repeats(&self, position: Position, scope: Scope) -> Vec<Edge> {
        let carried = self.links.iter().filter(|link| link.carrier == position);
        let repeats = carried.filter(|link| link.link_type == LinkType::DuplicateOf);
        repeats.filter(|link| in_scope(link.target, link.target_known_at, scope)).copied().collect()
    }

    /// Tells whether all that an event says of others is that they are withdrawn.
    fn is_marker(&self, position: Position) -> bool {
        let mut carried = self.links.iter().filter(|link| link.carrier == position).peekable();
        carried.peek().is_some() && carried.all(retracts)
    }

    /// Gives every event in scope that knowledge links join to one, by position.
    fn joined(&self, start: Position, scope: Scope) -> BTreeSet<Position> {
        let mut found = BTreeSet::from([start]);
        loop {
            let before = found.len();
            for link in &self.links {
                let within = in_scope(link.carrier, link.carrier_known_at, scope)
                    && in_scope(link.target, link.target_known_at, scope);
                if within && found.contains(&link.target) {
                    found.insert(link.carrier);
                }
                // A pure retraction does not join what it withdraws, unless it is asked about itself.
                if within
                    && found.contains(&link.carrier)
                    && (link.carrier == start || !self.is_marker(link.carrier))
                {
                    found.insert(link.target);
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    /// Gives every version of the history of an event in scope.
    pub(crate) fn history(&self, position: Position, scope: Scope) -> Vec<Version> {
        let version = |position: &Position| {
            let status = self.status(*position, scope);
            let (known_to, closed_by) = match status {
                Status::Closed(first) => {
                    let closers = self.closers(*position, scope);
                    (closers.iter().map(|closer| closer.carrier_known_at).min(), Some(first))
                }
                // It stood alone until an event that it repeats was known, too.
                Status::Duplicate(first) => {
                    let since = |link: &Edge| link.carrier_known_at.max(link.target_known_at);
                    (self.repeats(*position, scope).iter().map(since).min(), Some(first))
                }
                Status::Current | Status::Retraction => (None, None),
            };
            let known_from = self.at(*position).known_at;
            Version { position: *position, status, known_from, known_to, closed_by }
        };
        self.joined(position, scope).iter().map(version).collect()
    }

    fn entries(&self, question: &Question) -> Vec<(&Recorded, Entry)> {
        let Question { filter, window, scope, include_closed } = question;
        let mut found = Vec::new();
        for event in self.events.iter().filter(|event| event.is_entry()) {
            if !in_scope(event.position, event.known_at, *scope) || !filter::matches(filter, &event.event) {
                continue;
            }
            let certainty = match window {
                Some(window) => window.match_of(&event.span),
                None => Some(Certainty::Must),
            };
            let status = self.status(event.position, *scope);
            if let Some(certainty) = certainty
                && (*include_closed || status == Status::Current)
            {
                let entry = Entry { position: event.position, status, certainty, version_count: 0 };
                found.push((event, entry));
            }
        }
        found
    }

    /// Lists all entries in an order.
    pub(crate) fn list(&self, question: &Question, order: Order) -> Vec<Entry> {
        let mut found = self.entries(question);
        let scores = match order {
            Order::Relevance => self.scores(&question.filter.text, question.scope.as_of),
            _ => BTreeMap::new(),
        };
        found.sort_by_key(|(event, _)| {
            let value = match order {
                Order::ValidStart | Order::ValidStartDescending => {
                    event.span.earliest_start.map_or(i64::MIN, |day| day.number().into())
                }
                Order::KnownAt | Order::KnownAtDescending => event.known_at.0,
                Order::Recorded | Order::RecordedDescending => 0,
                Order::Relevance => -scores[&event.position],
            };
            (value, event.position)
        });
        if matches!(order, Order::ValidStartDescending | Order::KnownAtDescending | Order::RecordedDescending)
        {
            found.reverse();
        }
        let mut entries: Vec<Entry> = found.into_iter().map(|(_, entry)| entry).collect();
        for entry in &mut entries {
            let versions = self.joined(entry.position, question.scope);
            entry.version_count = versions.into_iter().filter(|version| !self.is_marker(*version)).count();
        }
        entries
    }

    /// Counts entries.
    pub(crate) fn count(&self, question: &Question, group_by: Option<GroupBy>, group_limit: usize) -> Counts {
        let found = self.entries(question);
        let mut counts = Counts { total: found.len().try_into().unwrap(), ..Counts::default() };
        let mut days: BTreeMap<Date, u64> = BTreeMap::new();
        let mut values: BTreeMap<String, u64> = BTreeMap::new();
        for (event, _) in &found {
            match group_by {
                None => {}
                Some(GroupBy::Time(axis, unit)) => match day_on(event, axis) {
                    Some(day) => *days.entry(unit_start(day, unit)).or_default() += 1,
                    None => counts.open_starts += 1,
                },
                Some(GroupBy::Facet(facet)) => {
                    for value in facet_values(event, facet) {
                        *values.entry(value).or_default() += 1;
                    }
                }
            }
        }
        let mut groups: Vec<Group> =
            days.into_iter().map(|(day, count)| Group { key: written(day), count }).collect();
        let mut by_value: Vec<Group> = values.into_iter().map(|(key, count)| Group { key, count }).collect();
        // Stable: equal counts stay in the order of keys.
        by_value.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups.extend(by_value);
        counts.omitted_groups = groups.len().saturating_sub(group_limit).try_into().unwrap();
        groups.truncate(group_limit);
        counts.groups = groups;
        counts
    }
}

fn retracts(link: &Edge) -> bool {
    link.link_type == LinkType::Retracts
}

fn facet_values(event: &Recorded, facet: Facet) -> BTreeSet<String> {
    let event = &event.event;
    match facet {
        Facet::Kind => {
            let kind = pb::EventKind::try_from(filter::kind_number(event)).unwrap();
            BTreeSet::from([kind.as_str_name().to_owned()])
        }
        Facet::Entity => filter::entity_ids(event),
        Facet::Country => filter::countries(event),
        Facet::Tag => event.tags.iter().cloned().collect(),
        Facet::Publisher => filter::publishers(event),
    }
}

fn day_on(event: &Recorded, axis: Axis) -> Option<Date> {
    let utc_day = |moment: Timestamp| {
        let days = moment.0.div_euclid(86_400_000_000);
        date(1970, 1, 1).checked_add(days.days()).unwrap()
    };
    match axis {
        Axis::Valid => {
            let (year, month, day) = event.span.earliest_start?.to_civil()?;
            Some(date(year, month.try_into().unwrap(), day.try_into().unwrap()))
        }
        Axis::Known => Some(utc_day(event.known_at)),
        Axis::Recorded => Some(utc_day(event.recorded_at)),
    }
}

/// Gives the first day of the unit that holds a day, by a calendar that is not ours.
fn unit_start(day: Date, unit: CalendarUnit) -> Date {
    match unit {
        CalendarUnit::Day => day,
        CalendarUnit::Week => {
            let monday = i64::from(day.weekday().to_monday_zero_offset());
            day.checked_sub(monday.days()).unwrap()
        }
        CalendarUnit::Month => day.first_of_month(),
        CalendarUnit::Quarter => date(day.year(), (day.month() - 1) / 3 * 3 + 1, 1),
        CalendarUnit::Year => day.first_of_year(),
        CalendarUnit::Decade => {
            let mut year = day.year();
            while year % 10 != 0 {
                year -= 1;
            }
            date(year, 1, 1)
        }
    }
}

/// Writes a day as the API does; years before 0 have a minus and four digits (ISO 8601-1).
fn written(day: Date) -> String {
    let sign = if day.year() < 0 { "-" } else { "" };
    format!("{sign}{:04}-{:02}-{:02}", day.year().unsigned_abs(), day.month(), day.day())
}
