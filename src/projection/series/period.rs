//! The value of a period: as published, or as the exact sum of its parts.

use std::collections::{BTreeMap, BTreeSet};

use super::book::{Book, CellKey, Group, Sheet, is_marked};
use super::caveat::count;
use super::exact::Exact;
use super::tiling::{Tile, tile};
use super::version::Version;
use crate::domain::Day;
use crate::pb;
use crate::pb::google::r#type::Date;
use crate::pb::period_value::{Basis, Flaw};

/// Most parts, and most gaps, that an answer holds.
const LISTED_MAX: usize = 200;

/// A period with exact bounds: [`from`, `to`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// As written.
    pub text: String,
    /// First day, inclusive.
    pub from: Day,
    /// Day after the last, exclusive.
    pub to: Day,
}

impl Span {
    /// Gives the number of days.
    #[must_use]
    pub const fn days(&self) -> i32 {
        self.to.number().saturating_sub(self.from.number())
    }
}

/// Which value.
#[derive(Clone, Debug)]
pub struct PeriodAsked {
    /// Of which period.
    pub span: Span,
    /// Whether what is not known counts as zero.
    pub absent_is_zero: bool,
    /// Whether each cell counts with the first value published for it.
    pub first_published: bool,
}

/// The value of a period, and what calculations need of it.
#[derive(Clone, Debug)]
pub struct Valued {
    /// As answered.
    pub wire: pb::PeriodValue,
    /// The value.
    pub amount: Option<Exact>,
    /// Unit and base period, where all parts have the same.
    pub measured_in: Option<(String, String)>,
}

struct Part<'a> {
    group: usize,
    key: &'a CellKey,
    version: &'a Version,
}

#[derive(Default)]
struct Found<'a> {
    parts: Vec<Part<'a>>,
    gaps: Vec<(usize, i32, i32)>,
    /// Whether a cell speaks of the very period, in every group.
    published: bool,
}

/// Gives the value of a period over every series and set of dimensions of a book.
#[must_use]
pub fn period_value(book: &Book, asked: &PeriodAsked) -> Valued {
    let groups = book.groups();
    let mut found = Found { published: !groups.is_empty(), ..Found::default() };
    for (index, group) in groups.iter().enumerate() {
        look(index, group, asked, &mut found);
    }
    let flaws = flaws(&groups, &found, asked.absent_is_zero);
    let spoils = |flaw: &Flaw| !matches!(flaw, Flaw::Gaps | Flaw::TotalAmongParts);
    let sum = if flaws.iter().any(spoils) {
        None
    } else {
        let parts = &found.parts;
        parts.iter().try_fold(Exact::ZERO, |sum, part| sum.plus(part.version.amount?))
    };
    let amount = sum.filter(|_| !flaws.contains(&Flaw::Gaps));
    let partial = sum.filter(|_| amount.is_none());
    let basis = match (amount, groups.len(), found.published) {
        (None, _, _) => Basis::Unspecified,
        (Some(_), 1, true) => Basis::Published,
        (Some(_), 1, false) => Basis::SumOfParts,
        (Some(_), _, _) => Basis::SumOfSeries,
    };
    let any = |holds: fn(&Part<'_>) -> bool| found.parts.iter().any(holds);
    let wire = pb::PeriodValue {
        period: asked.span.text.clone(),
        from: date(asked.span.from),
        to: date(asked.span.to),
        days: asked.span.days(),
        basis: basis.into(),
        value: amount.map(Exact::wire),
        partial_sum: partial.map(Exact::wire),
        unit: measured_in(&found.parts).unwrap_or_default().0.to_owned(),
        series_count: count(groups.len()),
        parts: found.parts.iter().take(LISTED_MAX).map(|part| listed(&groups, part)).collect(),
        part_count: count(found.parts.len()),
        gaps: found.gaps.iter().take(LISTED_MAX).map(|gap| gap_of(&groups, *gap)).collect(),
        gap_count: count(found.gaps.len()),
        provisional: any(|part| part.version.is_provisional()),
        cumulative: any(|part| part.version.observation.cumulative),
        partial_period: any(|part| part.version.observation.partial_period),
        vague: any(|part| {
            part.version.is_qualified() || part.version.observation.period.as_ref().is_some_and(is_marked)
        }),
        flaws: flaws.into_iter().map(i32::from).collect(),
    };
    let measured_in = measured_in(&found.parts);
    let measured_in = measured_in.map(|(unit, base)| (unit.to_owned(), base.to_owned()));
    Valued { wire, amount, measured_in }
}

/// Looks for the period in one group: the cell itself, else the parts that fill it.
fn look<'a>(index: usize, group: &Group<'a>, asked: &PeriodAsked, found: &mut Found<'a>) {
    let (from, to) = (asked.span.from.number(), asked.span.to.number());
    let mut exact: Vec<(&CellKey, &Version)> = Vec::new();
    for (key, versions) in &group.cells {
        let Some(current) = versions.last().filter(|current| current.is_present() && key.is_exact()) else {
            continue;
        };
        let first = versions.iter().find(|version| version.is_present());
        let version = if asked.first_published { first.unwrap_or(current) } else { current };
        if (key.start, key.end) == (from, to) {
            found.parts.push(Part { group: index, key, version });
            return;
        }
        if can_be_part(version) {
            exact.push((key, version));
        }
    }
    found.published = false;
    let tiles = exact.iter().enumerate();
    let tiles = tiles.map(|(index, (key, _))| Tile { from: key.start, to: key.end, index });
    let filled = tile(from, to, tiles.collect());
    let parts = filled.parts.iter().filter_map(|tile| exact.get(tile.index));
    found.parts.extend(parts.map(|(key, version)| Part { group: index, key, version }));
    found.gaps.extend(filled.gaps.iter().map(|(from, to)| (index, *from, *to)));
}

/// Tells whether a value can be a part of a sum: of a whole period, and neither a running total nor a bound.
fn can_be_part(version: &Version) -> bool {
    let observation = &version.observation;
    let period = observation.period.as_ref();
    let whole =
        period.is_some_and(|period| period.shape() == pb::time_span::Shape::Period && !is_marked(period));
    let is_bound = !matches!(
        observation.qualifier(),
        pb::AmountQualifier::Unspecified
            | pb::AmountQualifier::Exact
            | pb::AmountQualifier::RoundedAmount
            | pb::AmountQualifier::About
    );
    whole && !observation.cumulative && !observation.partial_period && !is_bound
}

/// Tells why there is no value, or why it is doubtful, by number.
fn flaws(groups: &[Group<'_>], found: &Found<'_>, absent_is_zero: bool) -> Vec<Flaw> {
    let Found { parts, gaps, published } = found;
    let mut flaws = Vec::new();
    if parts.is_empty() {
        flaws.push(Flaw::NothingKnown);
    }
    if !gaps.is_empty() && !absent_is_zero {
        flaws.push(Flaw::Gaps);
    }
    if !parts.is_empty() && measured_in(parts).is_none() {
        flaws.push(Flaw::UnitsDiffer);
    }
    let is_sum = groups.len() > 1 || !published;
    if is_sum && parts.iter().any(|part| !part.version.is_additive()) {
        flaws.push(Flaw::NotAdditive);
    }
    if parts.iter().try_fold(Exact::ZERO, |sum, part| sum.plus(part.version.amount?)).is_none() {
        flaws.push(Flaw::TooManyDigits);
    }
    if has_total_among_parts(groups) {
        flaws.push(Flaw::TotalAmongParts);
    }
    flaws
}

/// Gives the one unit and base period of all parts.
fn measured_in<'a>(parts: &'a [Part<'_>]) -> Option<(&'a str, &'a str)> {
    let first = parts.first()?.version.measured_in();
    parts.iter().all(|part| part.version.measured_in() == first).then_some(first)
}

/// Tells whether one group is the total (SDMX `_T`) of a dimension in which another has a value of its own.
fn has_total_among_parts(groups: &[Group<'_>]) -> bool {
    let mut values: BTreeMap<(&str, usize, usize), BTreeSet<&str>> = BTreeMap::new();
    let names: BTreeSet<&String> = groups.iter().flat_map(|group| group.dimensions.keys()).collect();
    let mut named: BTreeMap<&String, BTreeSet<&str>> = BTreeMap::new();
    for group in groups {
        let length = group.series.series_key.split('.').count();
        for (place, value) in group.series.series_key.split('.').enumerate() {
            values.entry((&group.series.dataflow, length, place)).or_default().insert(value);
        }
        for name in &names {
            let value = group.dimensions.get(*name).map_or("", String::as_str);
            named.entry(name).or_default().insert(value);
        }
    }
    values.values().chain(named.values()).any(|values| values.len() > 1 && values.contains("_T"))
}

fn listed(groups: &[Group<'_>], part: &Part<'_>) -> pb::PeriodPart {
    let cell = groups.get(part.group).map(|group| Sheet::cell(group.series, part.key, part.version));
    pb::PeriodPart { cell, version: Some(part.version.wire()) }
}

fn gap_of(groups: &[Group<'_>], (group, from, to): (usize, i32, i32)) -> pb::PeriodGap {
    let group = groups.get(group);
    pb::PeriodGap {
        series: group.map(|group| group.series.wire()),
        dimensions: group.map(|group| group.dimensions.clone()).unwrap_or_default(),
        from: date(Day::from_number(from)),
        to: date(Day::from_number(to)),
    }
}

/// Writes a day for the wire.
#[must_use]
pub fn date(day: Day) -> Option<Date> {
    let (year, month, day) = day.to_civil()?;
    Some(Date { year: year.into(), month: month.into(), day: day.into() })
}
