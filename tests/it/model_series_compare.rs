//! The value of a period and the comparison of two, of the model.

use std::collections::{BTreeMap, BTreeSet};

use annals::domain::{Day, Shape, TimeSpan};
use annals::pb;
use annals::pb::period_comparison::{Basis as Way, Reason, Variant, Verdict};
use annals::pb::period_value::{Basis, Flaw};

use super::{Asked, Dimensions, Name, Number, Place, Said, Table, cell, date, decimal, percent, reference};
use super::{tables, thousandths};
use crate::model::Model;

#[path = "model_series_claim.rs"]
pub(crate) mod claim;

/// First day, and the day after the last.
type Days = (Day, Day);

pub(crate) fn days_of(text: &str) -> Days {
    let span = TimeSpan::parse(text, "", Some(Shape::Period), Shape::Period).unwrap();
    (span.earliest_start.unwrap(), span.latest_end.unwrap())
}

fn length((from, to): Days) -> i32 {
    to.number() - from.number()
}

/// The value of a period, the tables that it was looked up in, and its number.
#[derive(Clone, Debug)]
pub(crate) struct Valued {
    pub(crate) wire: pb::PeriodValue,
    number: Option<Number>,
    measures: BTreeSet<(String, String)>,
    names: BTreeSet<(String, Vec<String>, String)>,
}

type Tables<'a> = BTreeMap<Name, Table<'a>>;

struct Part<'a> {
    name: &'a Name,
    place: &'a Place,
    said: &'a Said<'a>,
}

/// What covers the period best from a day on: days left open, parts, and how it begins.
type Best = (i32, usize, Option<usize>);

/// Covers a period day by day from its end: least left open, then fewest parts; shorter parts first, a part before a gap.
fn cover(from: i32, to: i32, tiles: &[(i32, i32)]) -> (Vec<usize>, Vec<(i32, i32)>) {
    let mut best: BTreeMap<i32, Best> = BTreeMap::from([(to, (0, 0, None))]);
    for day in (from..to).rev() {
        let mut starting: Vec<usize> = (0..tiles.len())
            .filter(|index| tiles[*index].0 == day && tiles[*index].1 > day && tiles[*index].1 <= to)
            .collect();
        starting.sort_by_key(|index| tiles[*index].1);
        let next = best[&(day + 1)];
        let mut chosen: Best = (next.0 + 1, next.1, None);
        for index in starting.into_iter().rev() {
            let rest = best[&tiles[index].1];
            if (rest.0, rest.1 + 1) <= (chosen.0, chosen.1) {
                chosen = (rest.0, rest.1 + 1, Some(index));
            }
        }
        best.insert(day, chosen);
    }
    let (mut parts, mut gaps): (Vec<usize>, Vec<(i32, i32)>) = (Vec::new(), Vec::new());
    let mut day = from;
    while day < to {
        if let Some(index) = best[&day].2 {
            parts.push(index);
            day = tiles[index].1;
        } else {
            match gaps.last_mut() {
                Some((_, end)) if *end == day => *end += 1,
                _ => gaps.push((day, day + 1)),
            }
            day += 1;
        }
    }
    (parts, gaps)
}

fn is_exact(place: &Place) -> bool {
    let (start, end, late, early) = place.0;
    start == late && end == early && place.1 == (None, None) && start != i32::MIN && end != i32::MAX
}

fn is_part(said: &Said<'_>) -> bool {
    let span = said.span();
    let observation = said.observation;
    span.shape == Shape::Period
        && !span.approximate
        && !span.uncertain
        && !observation.cumulative
        && !observation.partial_period
        && observation.qualifier <= 3
}

#[expect(clippy::too_many_lines, reason = "the rule in one piece, as the API states it")]
pub(crate) fn period_value(tables: &Tables<'_>, text: &str, days: Days, zero: bool, first: bool) -> Valued {
    let (from, to) = (days.0.number(), days.1.number());
    let mut groups: BTreeMap<(&Name, &Dimensions), Vec<(&Place, &Said<'_>)>> = BTreeMap::new();
    for (name, table) in tables {
        for (place, versions) in &table.cells {
            let group = groups.entry((name, &place.2)).or_default();
            let latest = versions.last().unwrap();
            if latest.present() && is_exact(place) {
                let published = versions.iter().find(|said| said.present()).unwrap();
                group.push((place, if first { published } else { latest }));
            }
        }
    }
    let (mut parts, mut gaps): (Vec<Part<'_>>, Vec<pb::PeriodGap>) = (Vec::new(), Vec::new());
    let mut all_published = !groups.is_empty();
    for ((name, dimensions), cells) in &groups {
        let whole = cells.iter().find(|(place, _)| (place.0.0, place.0.1) == (from, to));
        if let Some((place, said)) = whole {
            parts.push(Part { name, place, said });
            continue;
        }
        all_published = false;
        let usable: Vec<&(&Place, &Said<'_>)> = cells.iter().filter(|(_, said)| is_part(said)).collect();
        let tiles: Vec<(i32, i32)> = usable.iter().map(|(place, _)| (place.0.0, place.0.1)).collect();
        let (used, open) = cover(from, to, &tiles);
        for index in used {
            let (place, said) = usable[index];
            parts.push(Part { name, place, said });
        }
        for (from, to) in open {
            gaps.push(pb::PeriodGap {
                series: reference(name),
                dimensions: (*dimensions).clone(),
                from: date(Day::from_number(from)),
                to: date(Day::from_number(to)),
            });
        }
    }
    let units: BTreeSet<(&str, &str)> = parts.iter().map(|part| part.said.measured_in()).collect();
    let additive = |part: &Part<'_>| {
        part.said.by.stated.base_period.is_empty()
            && !["PERCENT", "INDEX"].contains(&part.said.by.stated.unit.as_str())
    };
    let mut flaws = Vec::new();
    let mut flaw = |holds: bool, flaw: Flaw| {
        if holds {
            flaws.push(i32::from(flaw));
        }
    };
    let is_sum = groups.len() > 1 || !all_published;
    let (spoilt, open) =
        (units.len() > 1 || (is_sum && !parts.iter().all(additive)), !gaps.is_empty() && !zero);
    flaw(parts.is_empty(), Flaw::NothingKnown);
    flaw(open, Flaw::Gaps);
    flaw(units.len() > 1, Flaw::UnitsDiffer);
    flaw(is_sum && !parts.iter().all(additive), Flaw::NotAdditive);
    flaw(has_total(&groups.keys().copied().collect::<Vec<_>>()), Flaw::TotalAmongParts);
    let zero = Number { digits: 0, decimals: 0 };
    let sum = parts.iter().fold(zero, |sum, part| sum.plus(part.said.number().unwrap()));
    let sum = (!spoilt && !parts.is_empty()).then_some(sum);
    let number = sum.filter(|_| !open);
    let basis = match (number.is_some(), groups.len()) {
        (false, _) => Basis::Unspecified,
        (true, 1) if all_published => Basis::Published,
        (true, 1) => Basis::SumOfParts,
        (true, _) => Basis::SumOfSeries,
    };
    let names = parts.iter().map(|part| {
        let frequency = &tables[part.name].vintages.last().unwrap().stated.frequency;
        let key = part.name.1.split('.').map(|value| if value == frequency { "*" } else { value }.to_owned());
        (part.name.0.clone(), key.collect(), part.name.2.clone())
    });
    let listed = parts.iter().take(200).map(|part| pb::PeriodPart {
        cell: cell(part.name, part.place, part.said),
        version: Some(part.said.wire()),
    });
    let any = |holds: fn(&Part<'_>) -> bool| parts.iter().any(holds);
    let wire = pb::PeriodValue {
        period: text.to_owned(),
        from: date(days.0),
        to: date(days.1),
        days: length(days),
        basis: basis.into(),
        value: number.and_then(|number| decimal(number.text())),
        partial_sum: sum.filter(|_| number.is_none()).and_then(|sum| decimal(sum.text())),
        unit: if units.len() == 1 { units.first().unwrap().0.to_owned() } else { String::new() },
        series_count: groups.len().try_into().unwrap(),
        parts: listed.collect(),
        part_count: parts.len().try_into().unwrap(),
        gap_count: gaps.len().try_into().unwrap(),
        gaps: gaps.into_iter().take(200).collect(),
        provisional: any(|part| part.said.provisional()),
        cumulative: any(|part| part.said.observation.cumulative),
        partial_period: any(|part| part.said.observation.partial_period),
        vague: any(|part| {
            part.said.qualified() || part.said.span().approximate || part.said.span().uncertain
        }),
        flaws,
    };
    let names = if groups.len() == 1 { names.collect() } else { BTreeSet::new() };
    let measures = units.into_iter().map(|(unit, base)| (unit.to_owned(), base.to_owned())).collect();
    Valued { wire, number, measures, names }
}

fn has_total(groups: &[(&Name, &Dimensions)]) -> bool {
    let (total, differs) = ("_T", |one: &str, other: &str| one == "_T" && other != "_T");
    groups.iter().any(|(one, dimensions)| {
        groups.iter().any(|(other, others)| {
            let (keys, other_keys): (Vec<&str>, Vec<&str>) =
                (one.1.split('.').collect(), other.1.split('.').collect());
            let by_key = one.0 == other.0
                && keys.len() == other_keys.len()
                && keys.iter().zip(&other_keys).any(|(one, other)| differs(one, other));
            let by_dimension = dimensions
                .iter()
                .any(|(name, value)| value == total && others.get(name).is_none_or(|other| other != total));
            by_key || by_dimension
        })
    })
}

/// Two sides of a comparison: tables in the state of knowledge of each.
pub(crate) struct Sides<'a> {
    base: Tables<'a>,
    value: Tables<'a>,
    /// The other side's series in this side's state of knowledge, where those are others.
    base_other: Option<Tables<'a>>,
    value_other: Option<Tables<'a>>,
}

impl<'a> Sides<'a> {
    pub(crate) fn of(model: &'a Model, base: &Asked, value: &Asked) -> Self {
        let same = base.series == value.series;
        let other = |own: &Asked, series: &Asked| {
            (!same).then(|| tables(model, &Asked { series: series.series.clone(), ..own.clone() }))
        };
        Self {
            base: tables(model, base),
            value: tables(model, value),
            base_other: other(base, value),
            value_other: other(value, base),
        }
    }
}

struct Question<'a> {
    sides: &'a Sides<'a>,
    request: &'a pb::ComparePeriodsRequest,
}

fn calendar(days: Days) -> (u8, u8, u8, u8, i16) {
    let (from, to) = (days.0.to_civil().unwrap(), days.1.to_civil().unwrap());
    (from.1, from.2, to.1, to.2, to.0 - from.0)
}

impl Question<'_> {
    fn look(&self, of_base: bool, text: &str, days: Days, first: bool, elsewhere: bool) -> Valued {
        let (own, other) = if of_base {
            (&self.sides.base, &self.sides.base_other)
        } else {
            (&self.sides.value, &self.sides.value_other)
        };
        let zero = self.request.absent_is_zero;
        let found = period_value(own, text, days, zero, first);
        match other {
            Some(other) if elsewhere && found.number.is_none() => {
                let second = period_value(other, text, days, zero, first);
                if second.number.is_some() { second } else { found }
            }
            _ => found,
        }
    }

    fn reasons(&self, base: (Days, &Valued), value: (Days, &Valued)) -> Vec<i32> {
        let mut found = Vec::new();
        let mut reason = |holds: bool, reason: Reason| {
            if holds {
                found.push(i32::from(reason));
            }
        };
        let (one, two) = (&base.1.wire, &value.1.wire);
        let both = base.1.number.is_some() && value.1.number.is_some();
        let place = calendar(base.0) == calendar(value.0);
        let uneven = length(base.0) != length(value.0) && !place;
        reason(!both, Reason::ValueUnknown);
        reason(uneven, Reason::DifferentLength);
        reason(!place, Reason::DifferentCalendarSpan);
        reason(both && one.provisional != two.provisional, Reason::ProvisionalAgainstFinal);
        let sides = [
            Some(&self.sides.base),
            Some(&self.sides.value),
            self.sides.base_other.as_ref(),
            self.sides.value_other.as_ref(),
        ];
        let mut cells =
            sides.into_iter().flatten().flat_map(|tables| tables.values()).flat_map(|table| &table.cells);
        let (first, last) = (base.0.0.min(value.0.0).number(), base.0.1.max(value.0.1).number());
        let broken = cells.any(|(place, said)| {
            said.last().unwrap().observation.obs_status == "B" && place.0.0 > first && place.0.0 < last
        });
        reason(broken, Reason::BreakInSeries);
        reason(both && base.1.measures != value.1.measures, Reason::DifferentUnit);
        reason(both && one.partial_period != two.partial_period, Reason::DifferentScope);
        reason(both && uneven && one.cumulative != two.cumulative, Reason::CumulativeAgainstWhole);
        reason(one.vague || two.vague, Reason::VagueValue);
        reason(both && base.1.names != value.1.names, Reason::DifferentSeries);
        reason(both && !(one.flaws.is_empty() && two.flaws.is_empty()), Reason::FlawedValue);
        found
    }

    fn variant(
        &self,
        way: Way,
        base: (&str, Days, &Valued),
        value: (&str, Days, &Valued),
    ) -> Option<Variant> {
        let (one, two) = (base.2.number?, value.2.number?);
        let (base_days, days) = (i128::from(length(base.1)), i128::from(length(value.1)));
        let (per, absolute) = if way == Way::PerDay {
            let (one, two, decimals) = one.aligned(two);
            let below = base_days * days * 10_i128.pow(decimals);
            let (first, second) = (one * days, two * base_days);
            let scaled = |digits| Number { digits, decimals };
            ((scaled(first), scaled(second)), thousandths(second - first, below))
        } else {
            ((one, two), Some(two.minus(one).text()))
        };
        let percent_change = percent(per.0, per.1);
        let (first, second, decimals) = per.0.aligned(per.1);
        let computed = match self.request.measure {
            0 | 1 => percent_change.clone(),
            2 | 4 if way == Way::PerDay => absolute.clone(),
            2 | 4 => thousandths(second - first, 10_i128.pow(decimals)),
            3 => thousandths(second, first),
            _ => None,
        };
        let reasons = self.reasons((base.1, base.2), (value.1, value.2));
        if reasons.contains(&i32::from(Reason::DifferentUnit)) {
            return None;
        }
        let comparable = if way == Way::PerDay {
            reasons.iter().all(|reason| *reason == i32::from(Reason::DifferentLength))
        } else {
            reasons.is_empty()
        };
        Some(Variant {
            basis: way.into(),
            base_period: base.0.to_owned(),
            period: value.0.to_owned(),
            base_value: decimal(one.text()),
            value: decimal(two.text()),
            absolute_change: absolute.and_then(decimal),
            percent_change: percent_change.and_then(decimal),
            verdict: self.verdict(computed.as_deref(), (one, two)).into(),
            computed: computed.and_then(decimal),
            comparable,
        })
    }

    fn verdict(&self, computed: Option<&str>, (base, value): (Number, Number)) -> Verdict {
        let judged = |holds: bool| if holds { Verdict::Holds } else { Verdict::ClaimMismatch };
        let (one, two, _) = base.aligned(value);
        match self.request.measure {
            5 => return judged(two > one),
            6 => return judged(two < one),
            _ => {}
        }
        let Some(stated) = &self.request.stated else { return Verdict::Unspecified };
        let Some(computed) = computed else { return Verdict::Uncheckable };
        let (stated, computed) = (Number::read(&stated.value), Number::read(computed));
        let (wanted, found, decimals) = stated.aligned(computed);
        let half_unit = 10_i128.pow(decimals - stated.decimals);
        let same_way = (wanted < 0) == (found < 0);
        judged(match self.request.stated_qualifier {
            5 | 6 => same_way && found.abs() >= wanted.abs(),
            4 | 7 | 8 => same_way && found.abs() <= wanted.abs(),
            _ => 2 * (wanted - found).abs() <= half_unit,
        })
    }

    /// Moves days by whole years, so that they begin in the year of others or a year beside, where `fits`.
    fn moved(days: Days, to: Days, fits: impl Fn(Days) -> bool) -> Option<(String, Days)> {
        let year = |day: Day| i32::from(day.to_civil().unwrap().0);
        let years = year(to.0) - year(days.0);
        let found = [years, years - 1, years + 1].into_iter().find_map(|years| {
            let shift = |day: Day| {
                let (year, month, day) = day.to_civil().unwrap();
                Day::from_civil(i32::from(year) + years, month.into(), day.into())
            };
            let moved = (shift(days.0)?, shift(days.1)?);
            fits(moved).then_some(moved)
        })?;
        let last = Day::from_number(found.1.number() - 1);
        let whole = calendar(found) == (1, 1, 1, 1, 1);
        let text = if whole { format!("{:04}", year(found.0)) } else { format!("{}/{last}", found.0) };
        Some((text, found))
    }

    fn compare(&self) -> pb::PeriodComparison {
        let request = self.request;
        let (base_text, text) = (request.base_period.as_str(), request.period.as_str());
        let (base_days, days) = (days_of(base_text), days_of(text));
        let base = self.look(true, base_text, base_days, false, false);
        let value = self.look(false, text, days, false, false);
        let reasons = self.reasons((base_days, &base), (days, &value));
        let mut variants = Vec::new();
        variants.extend(self.variant(Way::AsAsked, (base_text, base_days, &base), (text, days, &value)));
        if length(base_days) != length(days) {
            variants.extend(self.variant(Way::PerDay, (base_text, base_days, &base), (text, days, &value)));
        }
        let base_is_shorter = length(base_days) < length(days);
        let (short, long) = if base_is_shorter { (base_days, days) } else { (days, base_days) };
        let mut full = None;
        if reasons.contains(&i32::from(Reason::DifferentLength)) {
            let extended = Self::moved(long, short, |moved| moved.0 <= short.0 && moved.1 >= short.1);
            if let Some((wide, wide_days)) = extended.filter(|(_, moved)| *moved != short) {
                let found = self.look(base_is_shorter, &wide, wide_days, false, true);
                let way = Way::FullPeriod;
                if base_is_shorter {
                    variants.extend(self.variant(way, (&wide, wide_days, &found), (text, days, &value)));
                    full = Some(((wide, wide_days, found), (text.to_owned(), days, value.clone())));
                } else {
                    variants.extend(self.variant(
                        way,
                        (base_text, base_days, &base),
                        (&wide, wide_days, &found),
                    ));
                    full = Some(((base_text.to_owned(), base_days, base.clone()), (wide, wide_days, found)));
                }
            }
            let cut = Self::moved(short, long, |moved| moved.0 >= long.0 && moved.1 <= long.1);
            if let Some((narrow, narrow_days)) = cut.filter(|(_, moved)| *moved != long) {
                let found = self.look(!base_is_shorter, &narrow, narrow_days, false, true);
                let way = Way::SameSpan;
                variants.extend(if base_is_shorter {
                    self.variant(way, (base_text, base_days, &base), (&narrow, narrow_days, &found))
                } else {
                    self.variant(way, (&narrow, narrow_days, &found), (text, days, &value))
                });
            }
        }
        let first = |way, base: (&str, Days, &Valued), value| {
            let first = self.look(true, base.0, base.1, true, true);
            let differs = !first.number?.same(base.2.number?);
            differs.then(|| self.variant(way, (base.0, base.1, &first), value)).flatten()
        };
        variants.extend(first(Way::FirstPublishedBase, (base_text, base_days, &base), (text, days, &value)));
        if let Some((base, value)) = &full {
            let (base, value) = ((base.0.as_str(), base.1, &base.2), (value.0.as_str(), value.1, &value.2));
            variants.extend(first(Way::FullPeriodFirstPublishedBase, base, value));
        }
        let verdicts: Vec<Verdict> = variants.iter().map(Variant::verdict).collect();
        let (holds, fails) = (verdicts.contains(&Verdict::Holds), verdicts.contains(&Verdict::ClaimMismatch));
        let asked = request.stated.is_some() || request.measure >= 5;
        let verdict = match (asked, holds, fails) {
            (false, ..) => Verdict::Unspecified,
            (true, true, true) => Verdict::HoldsPartly,
            (true, true, false) => Verdict::Holds,
            (true, false, true) => Verdict::ClaimMismatch,
            (true, false, false) => Verdict::Uncheckable,
        };
        pb::PeriodComparison {
            base: Some(base.wire),
            value: Some(value.wire),
            variants,
            comparable: reasons.is_empty(),
            reasons,
            verdict: verdict.into(),
        }
    }
}

pub(crate) fn compare(sides: &Sides<'_>, request: &pb::ComparePeriodsRequest) -> pb::PeriodComparison {
    Question { sides, request }.compare()
}
