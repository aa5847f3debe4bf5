//! What the series are, by scanning every event of the model for every question: slow, plain, the judge.

use std::collections::{BTreeMap, BTreeSet};

use annals::domain::{Day, LinkType, Shape, TimeSpan, Timestamp};
use annals::index::Scope;
use annals::pb;
use annals::pb::cell_version::State;
use annals::pb::event::Payload;
use annals::pb::google::r#type::{Date, Decimal};
use annals::pb::series_caveat::Code;

use crate::model::timeline::in_scope;
use crate::model::{Model, Recorded, filter};

#[path = "model_series_compare.rs"]
pub(crate) mod compare;

pub(crate) type Dimensions = BTreeMap<String, String>;
/// Dataflow, series key, stream where there is no key.
pub(crate) type Name = (String, String, String);
/// Earliest start, latest end, latest start, earliest end as days, open ones beyond all; moments; dimensions.
pub(crate) type Place = ((i32, i32, i32, i32), (Option<i64>, Option<i64>), Dimensions);

/// What is asked of the series.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) series: pb::SeriesSelector,
    pub(crate) filter: pb::Filter,
    pub(crate) scope: Scope,
}

/// A decimal as digits and the number of those behind the point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub(crate) digits: i128,
    pub(crate) decimals: u32,
}

impl Number {
    pub(crate) fn read(text: &str) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}").parse().unwrap();
        Self { digits, decimals: fraction.len().try_into().unwrap() }
    }

    /// Moves the point, one place at a time.
    fn shifted(mut self, power: i32) -> Self {
        for _ in 0..power {
            if self.decimals > 0 {
                self.decimals -= 1;
            } else {
                self.digits *= 10;
            }
        }
        for _ in power..0 {
            self.decimals += 1;
        }
        self
    }

    pub(crate) fn text(self) -> String {
        let unit = 10_i128.pow(self.decimals);
        let sign = if self.digits < 0 { "-" } else { "" };
        let (whole, rest) = (self.digits.abs() / unit, self.digits.abs() % unit);
        let width = usize::try_from(self.decimals).unwrap();
        if width == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:0width$}") }
    }

    pub(crate) fn aligned(self, other: Self) -> (i128, i128, u32) {
        let decimals = self.decimals.max(other.decimals);
        let at = |number: Self| number.digits * 10_i128.pow(decimals - number.decimals);
        (at(self), at(other), decimals)
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let (one, two, decimals) = self.aligned(other);
        Self { digits: one + two, decimals }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.plus(Self { digits: -other.digits, ..other })
    }

    pub(crate) fn same(self, other: Self) -> bool {
        let (one, two, _) = self.aligned(other);
        one == two
    }
}

/// Rounds a fraction to thousandths, halves away from zero.
pub(crate) fn thousandths(above: i128, below: i128) -> Option<String> {
    if below == 0 {
        return None;
    }
    let negative = (above < 0) != (below < 0);
    let (above, below) = (above.abs() * 1_000, below.abs());
    let rounded = (2 * above + below) / (2 * below);
    Some(Number { digits: if negative { -rounded } else { rounded }, decimals: 3 }.text())
}

pub(crate) fn percent(base: Number, value: Number) -> Option<String> {
    let (base, value, _) = base.aligned(value);
    thousandths((value - base) * 100, base)
}

fn decimal(text: String) -> Option<Decimal> {
    Some(Decimal { value: text })
}

/// One release that counts.
#[derive(Clone, Debug)]
pub(crate) struct Vintage<'a> {
    pub(crate) event: &'a Recorded,
    pub(crate) stated: &'a pb::StatisticalRelease,
    superseded: bool,
}

/// What one release says of one cell.
#[derive(Clone, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) by: Vintage<'a>,
    pub(crate) observation: &'a pb::Observation,
}

impl Said<'_> {
    pub(crate) fn state(&self) -> State {
        if self.by.stated.action == 3 {
            State::Withdrawn
        } else if self.observation.value.is_some() {
            State::Present
        } else {
            State::Missing
        }
    }

    pub(crate) fn measured_in(&self) -> (&str, &str) {
        (&self.by.stated.unit, &self.by.stated.base_period)
    }

    pub(crate) fn present(&self) -> bool {
        self.state() == State::Present
    }

    pub(crate) fn number(&self) -> Option<Number> {
        let value = self.observation.value.as_ref().filter(|_| self.present())?;
        Some(Number::read(&value.value).shifted(self.by.stated.unit_multiplier))
    }

    pub(crate) fn provisional(&self) -> bool {
        self.present() && ["P", "E", "F", "V"].contains(&self.observation.obs_status.as_str())
    }

    pub(crate) fn qualified(&self) -> bool {
        self.observation.qualifier > 2
    }

    fn agrees(&self, other: &Self) -> bool {
        match (self.number(), other.number()) {
            (Some(one), Some(two)) => one.same(two) && self.by.stated.unit == other.by.stated.unit,
            _ => self.state() == other.state(),
        }
    }

    pub(crate) fn wire(&self) -> pb::CellVersion {
        let Vintage { event, stated, superseded } = &self.by;
        let observation = self.observation;
        let sources = event.event.sources.iter().map(|source| source.id.clone());
        pb::CellVersion {
            event_id: event.id.to_string(),
            position: event.position.0,
            known_at: moment(event.known_at),
            vintage: stated.vintage.clone(),
            revision: stated.revision,
            stream: event.event.stream.clone(),
            state: self.state().into(),
            value: observation.value.clone().filter(|_| self.present()),
            unit: stated.unit.clone(),
            unit_multiplier: stated.unit_multiplier,
            scaled_value: self.number().and_then(|number| decimal(number.text())),
            obs_status: observation.obs_status.clone(),
            conf_status: observation.conf_status.clone(),
            provisional: self.provisional(),
            qualifier: observation.qualifier,
            cumulative: observation.cumulative,
            partial_period: observation.partial_period,
            time_period: observation.time_period.clone(),
            note: observation.note.clone(),
            source_ids: sources.filter(|id| !id.is_empty()).collect(),
            superseded: *superseded,
        }
    }

    pub(crate) fn span(&self) -> TimeSpan {
        span(self.observation.period.as_ref().unwrap())
    }
}

pub(crate) fn moment(at: Timestamp) -> Option<prost_types::Timestamp> {
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000)).unwrap() * 1_000;
    Some(prost_types::Timestamp { seconds: at.0.div_euclid(1_000_000), nanos })
}

fn span(found: &pb::TimeSpan) -> TimeSpan {
    let shape = match found.shape {
        1 => Shape::Instant,
        2 => Shape::Period,
        _ => Shape::Ongoing,
    };
    TimeSpan::parse(&found.edtf, &found.time_zone, Some(shape), shape).unwrap()
}

fn days(day: Option<Day>, open: i32) -> i32 {
    day.map_or(open, Day::number)
}

pub(crate) fn place(observation: &pb::Observation) -> Place {
    let span = span(observation.period.as_ref().unwrap());
    let bounds = (
        days(span.earliest_start, i32::MIN),
        days(span.latest_end, i32::MAX),
        days(span.latest_start, i32::MIN),
        days(span.earliest_end, i32::MAX),
    );
    let moments = (span.start_instant.map(|at| at.0), span.end_instant.map(|at| at.0));
    (bounds, moments, observation.dimensions.clone())
}

pub(crate) fn date(day: Day) -> Option<Date> {
    let (year, month, day) = day.to_civil()?;
    Some(Date { year: year.into(), month: month.into(), day: day.into() })
}

/// A period with everything that the server derives.
fn shown(found: &pb::TimeSpan) -> pb::TimeSpan {
    let mut event = pb::Event { valid_time: Some(found.clone()), ..pb::Event::default() };
    annals::codec::time::fill(event.valid_time.as_mut());
    event.valid_time.unwrap()
}

/// One series as asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table<'a> {
    pub(crate) vintages: Vec<Vintage<'a>>,
    pub(crate) dimensions: Dimensions,
    pub(crate) cells: BTreeMap<Place, Vec<Said<'a>>>,
    later: BTreeMap<Place, Said<'a>>,
}

pub(crate) fn name_of(event: &Recorded, stated: &pb::StatisticalRelease) -> Name {
    let stream = if stated.series_key.is_empty() { event.event.stream.clone() } else { String::new() };
    (stated.dataflow.clone(), stated.series_key.clone(), stream)
}

pub(crate) fn reference(name: &Name) -> Option<pb::SeriesRef> {
    let (dataflow, series_key, stream) = name.clone();
    Some(pb::SeriesRef { dataflow, series_key, stream })
}

pub(crate) fn cell(name: &Name, place: &Place, said: &Said<'_>) -> Option<pb::SeriesCell> {
    let period = said.observation.period.as_ref().map(shown);
    Some(pb::SeriesCell { series: reference(name), period, dimensions: place.2.clone() })
}

fn is_selected(asked: &pb::SeriesSelector, event: &Recorded, stated: &pb::StatisticalRelease) -> bool {
    let key = || {
        let (wanted, found): (Vec<&str>, Vec<&str>) =
            (asked.series_key.split('.').collect(), stated.series_key.split('.').collect());
        let mut pairs = wanted.iter().zip(&found);
        !stated.series_key.is_empty()
            && wanted.len() == found.len()
            && pairs.all(|(wanted, found)| *wanted == "*" || wanted == found)
    };
    (asked.dataflow.is_empty() || asked.dataflow == stated.dataflow)
        && (asked.stream.is_empty() || asked.stream == event.event.stream)
        && (asked.series_key.is_empty() || key())
}

/// Gives the releases that count in a scope, by known time and then position.
fn vintages<'a>(model: &'a Model, asked: &Asked, scope: Scope) -> Vec<Vintage<'a>> {
    let mut found = Vec::new();
    for event in &model.events {
        let Some(Payload::StatisticalRelease(stated)) = &event.event.payload else { continue };
        let closers = model.closers(event.position, scope);
        let carried: Vec<_> = model.links.iter().filter(|link| link.carrier == event.position).collect();
        let repeats = carried.iter().any(|link| {
            link.link_type == LinkType::DuplicateOf && in_scope(link.target, link.target_known_at, scope)
        });
        let marker = !carried.is_empty() && carried.iter().all(|link| link.link_type == LinkType::Retracts);
        let counts = event.is_entry()
            && in_scope(event.position, event.known_at, scope)
            && closers.iter().all(|link| link.link_type == LinkType::Supersedes)
            && !repeats
            && !marker
            && filter::matches(&asked.filter, &event.event)
            && is_selected(&asked.series, event, stated);
        if counts {
            found.push(Vintage { event, stated, superseded: !closers.is_empty() });
        }
    }
    found.sort_by_key(|vintage| (vintage.event.known_at, vintage.event.position));
    found
}

/// Gives what a release says of each cell: of two observations the later.
fn says<'a>(vintage: &Vintage<'a>) -> BTreeMap<Place, Said<'a>> {
    let said = |observation| Said { by: vintage.clone(), observation };
    let stated: &'a pb::StatisticalRelease = vintage.stated;
    stated.observations.iter().map(|observation| (place(observation), said(observation))).collect()
}

pub(crate) fn tables<'a>(model: &'a Model, asked: &Asked) -> BTreeMap<Name, Table<'a>> {
    let mut tables: BTreeMap<Name, Table<'a>> = BTreeMap::new();
    for vintage in vintages(model, asked, asked.scope) {
        let table = tables.entry(name_of(vintage.event, vintage.stated)).or_default();
        table.dimensions.extend(vintage.stated.dimensions.clone());
        for (place, said) in says(&vintage) {
            table.cells.entry(place).or_default().push(said);
        }
        table.vintages.push(vintage);
    }
    for vintage in vintages(model, asked, Scope::up_to(asked.scope.as_of)) {
        if let Some(table) = tables.get_mut(&name_of(vintage.event, vintage.stated)) {
            table.later.extend(says(&vintage));
        }
    }
    for table in tables.values_mut() {
        let series = table.dimensions.clone();
        table.cells.retain(|place, _| {
            let value = |name: &String| place.2.get(name).or_else(|| series.get(name));
            asked.series.dimensions.iter().all(|(name, wanted)| value(name) == Some(wanted))
        });
    }
    tables.retain(|_, table| !table.cells.is_empty());
    tables
}

pub(crate) fn revisions(said: &[Said<'_>]) -> i32 {
    let pairs = said.windows(2).filter(|pair| !pair[0].agrees(&pair[1]));
    pairs.count().try_into().unwrap()
}

fn change(from: &Said<'_>, to: &Said<'_>) -> (Option<Decimal>, Option<Decimal>) {
    match (from.number(), to.number()) {
        (Some(base), Some(value)) if from.measured_in() == to.measured_in() => {
            (decimal(value.minus(base).text()), percent(base, value).and_then(decimal))
        }
        _ => (None, None),
    }
}

fn conflict<'a, 'b>(said: &'b [Said<'a>]) -> Option<&'b Said<'a>> {
    let (current, before) = said.split_last()?;
    let standing: Vec<&Said<'a>> = before.iter().filter(|said| !said.by.superseded).collect();
    let same_time = standing
        .iter()
        .find(|said| said.by.event.known_at == current.by.event.known_at && !said.agrees(current));
    if let Some(rival) = same_time {
        return Some(rival);
    }
    let streams: BTreeSet<&str> = standing.iter().map(|said| said.by.event.event.stream.as_str()).collect();
    let others = streams.into_iter().filter(|stream| *stream != current.by.event.event.stream);
    let mut last = others.filter_map(|stream| {
        standing.iter().rev().find(|said| said.by.event.event.stream == stream).copied()
    });
    last.find(|said| !said.agrees(current))
}

/// Gives the codes of what is doubtful about a cell, with the event that gives rise to each.
fn doubts(table: &Table<'_>, place: &Place, said: &[Said<'_>]) -> Vec<(i32, String)> {
    let (current, before) = said.split_last().unwrap();
    let stated = current.by.stated;
    let mut found: Vec<(Code, String)> = Vec::new();
    let mut doubt = |holds: bool, code: Code| {
        if holds {
            found.push((code, String::new()));
        }
    };
    let previous = before.last();
    doubt(current.provisional(), Code::Provisional);
    if let Some(previous) = previous {
        let old = previous.by.stated;
        doubt(old.unit != stated.unit, Code::UnitChanged);
        doubt(old.base_period != stated.base_period, Code::UnitChanged);
        doubt(old.unit_multiplier != stated.unit_multiplier, Code::UnitChanged);
        doubt(old.frequency != stated.frequency, Code::FrequencyChanged);
        doubt(stated.revision != 0 && stated.revision != old.revision + 1, Code::RevisionOutOfOrder);
        if let (Some(base), Some(value)) = (previous.number(), current.number()) {
            let (apart, size, _) = value.minus(base).aligned(base);
            doubt(
                previous.measured_in() == current.measured_in() && 2 * apart.abs() > size.abs(),
                Code::LargeRevision,
            );
        }
    }
    let held = previous.is_some_and(|previous| previous.state() != State::Withdrawn);
    doubt(!held && stated.action == 2, Code::ReplacedNothing);
    doubt(!held && stated.action == 3, Code::DeletedNothing);
    let (bounds, moments, _) = place;
    let span = current.span();
    let exact = bounds.0 == bounds.2
        && bounds.1 == bounds.3
        && *moments == (None, None)
        && bounds.0 != i32::MIN
        && bounds.1 != i32::MAX;
    doubt(!exact || span.approximate || span.uncertain, Code::VaguePeriod);
    let length = bounds.1.saturating_sub(bounds.0);
    let usual = match stated.frequency.as_str() {
        "A" => length == 365 || length == 366,
        "Q" => (90..=92).contains(&length),
        "M" => (28..=31).contains(&length),
        "D" => length == 1,
        _ => true,
    };
    doubt(exact && !usual, Code::OffFrequency);
    doubt(current.present() && current.qualified(), Code::QualifiedValue);
    doubt(current.observation.obs_status == "B", Code::Break);
    match table.later.get(place) {
        None => found.push((Code::LaterRevised, String::new())),
        Some(later) if !later.agrees(current) => {
            found.push((Code::LaterRevised, later.by.event.id.to_string()))
        }
        Some(_) => {}
    }
    if let Some(rival) = conflict(said) {
        found.push((Code::SourceConflict, rival.by.event.id.to_string()));
    }
    let mut found: Vec<(i32, String)> = found.into_iter().map(|(code, id)| (code.into(), id)).collect();
    found.sort_by_key(|(code, _)| *code);
    found
}

/// The texts of caveats are for people: the judge compares codes and events.
pub(crate) fn without_texts(mut value: pb::SeriesValue) -> pb::SeriesValue {
    value.caveats.iter_mut().for_each(|caveat| caveat.text.clear());
    value
}

pub(crate) fn values(model: &Model, asked: &Asked, request: &pb::GetSeriesRequest) -> Vec<pb::SeriesValue> {
    let mut found = Vec::new();
    for (name, table) in tables(model, asked) {
        for (place, said) in &table.cells {
            let (current, before) = said.split_last().unwrap();
            let left_out = !overlaps(place, &request.from, &request.to)
                || (!request.include_withdrawn && current.state() == State::Withdrawn)
                || (request.provisional_only && !current.provisional())
                || (request.conflicts_only && conflict(said).is_none());
            if left_out {
                continue;
            }
            let previous = before.last();
            let (absolute_change, percent_change) =
                previous.map_or((None, None), |previous| change(previous, current));
            let caveats = doubts(&table, place, said).into_iter();
            found.push(pb::SeriesValue {
                cell: cell(&name, place, current),
                current: Some(current.wire()),
                previous: previous.map(Said::wire),
                absolute_change,
                percent_change,
                version_count: said.len().try_into().unwrap(),
                revision_count: revisions(said),
                caveats: caveats
                    .map(|(code, event_id)| pb::SeriesCaveat { code, text: String::new(), event_id })
                    .collect(),
            });
        }
    }
    found
}

fn overlaps(place: &Place, from: &str, to: &str) -> bool {
    let day =
        |text: &str| TimeSpan::parse(text, "", Some(Shape::Period), Shape::Period).unwrap().earliest_start;
    let (start, end, ..) = place.0;
    (to.is_empty() || start < days(day(to), i32::MAX)) && (from.is_empty() || end > days(day(from), i32::MIN))
}

pub(crate) fn triangle(
    model: &Model,
    asked: &Asked,
    request: &pb::ListVintagesRequest,
) -> Vec<pb::CellHistory> {
    let mut found = Vec::new();
    for (name, table) in tables(model, asked) {
        for (place, said) in &table.cells {
            if !overlaps(place, &request.from, &request.to) || (request.revised_only && revisions(said) == 0)
            {
                continue;
            }
            let first = said.iter().find(|said| said.present());
            let latest = said.last().filter(|said| said.present());
            let (absolute_revision, percent_revision) = match (first, latest) {
                (Some(first), Some(latest)) => change(first, latest),
                _ => (None, None),
            };
            let scaled =
                |said: Option<&Said<'_>>| said.and_then(|said| decimal(said.number().unwrap().text()));
            let provisional = said.iter().rposition(Said::provisional);
            let after = provisional.map_or(0, |last| last + 1);
            let mut versions = Vec::new();
            for index in 0..said.len() {
                let repeats = index > 0
                    && said[index].agrees(&said[index - 1])
                    && said[index].observation.obs_status == said[index - 1].observation.obs_status;
                if !(request.changes_only && repeats) {
                    versions.push(said[index].wire());
                }
            }
            found.push(pb::CellHistory {
                cell: cell(&name, place, said.last().unwrap()),
                versions,
                omitted_version_count: 0,
                revision_count: revisions(said),
                first_value: scaled(first),
                latest_value: scaled(latest),
                absolute_revision,
                percent_revision,
                last_provisional_value: scaled(provisional.map(|last| &said[last])),
                first_final_value: scaled(said[after..].iter().find(|said| said.present())),
            });
        }
    }
    found
}

pub(crate) fn rounds(model: &Model, asked: &Asked) -> Vec<pb::RevisionRound> {
    let tables = tables(model, asked);
    let times: BTreeSet<Timestamp> =
        tables.values().flat_map(|table| &table.vintages).map(|vintage| vintage.event.known_at).collect();
    let mut found = Vec::new();
    for time in times {
        let mut round = pb::RevisionRound { known_at: moment(time), ..pb::RevisionRound::default() };
        let mut vintages: Vec<&Vintage<'_>> =
            tables.values().flat_map(|table| &table.vintages).filter(|v| v.event.known_at == time).collect();
        vintages.sort_by_key(|vintage| vintage.event.position);
        round.release_count = vintages.len().try_into().unwrap();
        let named = vintages.iter().find(|vintage| !vintage.stated.vintage.is_empty());
        round.vintage = named.map(|vintage| vintage.stated.vintage.clone()).unwrap_or_default();
        for said in tables.values().flat_map(|table| table.cells.values()) {
            for index in 0..said.len() {
                if said[index].by.event.known_at != time {
                    continue;
                }
                let before = index.checked_sub(1).map(|before| &said[before]);
                match (before.is_some_and(Said::present), said[index].present()) {
                    (false, true) => round.added_count += 1,
                    (true, false) => round.withdrawn_count += 1,
                    (true, true) if !before.unwrap().agrees(&said[index]) => round.revised_count += 1,
                    _ => round.repeated_count += 1,
                }
            }
        }
        found.push(round);
    }
    found
}

pub(crate) fn headers(model: &Model, asked: &Asked) -> Vec<pb::Series> {
    let tables = tables(model, asked);
    let header = |(name, table): (&Name, &Table<'_>)| {
        let latest = |field: fn(&pb::StatisticalRelease) -> &String| {
            let mut stated =
                table.vintages.iter().map(|vintage| field(vintage.stated)).filter(|text| !text.is_empty());
            stated.next_back().cloned().unwrap_or_default()
        };
        let streams: BTreeSet<String> =
            table.vintages.iter().map(|vintage| vintage.event.event.stream.clone()).collect();
        let current: Vec<(&Place, &Said<'_>)> =
            table.cells.iter().map(|(place, said)| (place, said.last().unwrap())).collect();
        let present: Vec<&(&Place, &Said<'_>)> = current.iter().filter(|(_, said)| said.present()).collect();
        let period = |said: &Said<'_>| shown(said.observation.period.as_ref().unwrap());
        let latest_end = present.iter().map(|(place, _)| place.0.1).max();
        let last_period = present.iter().find(|(place, _)| Some(place.0.1) == latest_end);
        let (first, last) = (table.vintages.first().unwrap(), table.vintages.last().unwrap());
        let count = |count: usize| i32::try_from(count).unwrap();
        pb::Series {
            series: reference(name),
            indicator: latest(|stated| &stated.indicator),
            unit: latest(|stated| &stated.unit),
            unit_multiplier: last.stated.unit_multiplier,
            frequency: latest(|stated| &stated.frequency),
            adjustment: latest(|stated| &stated.adjustment),
            base_period: latest(|stated| &stated.base_period),
            reference_area: table.vintages.iter().rev().find_map(|v| v.stated.reference_area.clone()),
            dimensions: table.dimensions.clone(),
            streams: streams.into_iter().take(10).collect(),
            first_period: present.first().map(|(_, said)| period(said)),
            last_period: last_period.map(|(_, said)| period(said)),
            value_count: count(present.len()),
            empty_count: count(current.len() - present.len()),
            vintage_count: count(table.vintages.len()),
            first_known_at: moment(first.event.known_at),
            last_known_at: moment(last.event.known_at),
            last_release_event_id: last.event.id.to_string(),
            last_vintage: latest(|stated| &stated.vintage),
            provisional_count: count(current.iter().filter(|(_, said)| said.provisional()).count()),
            conflict_count: count(table.cells.values().filter(|said| conflict(said).is_some()).count()),
            caveats: Vec::new(),
        }
    };
    tables.iter().map(header).collect()
}
