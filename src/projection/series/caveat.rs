//! What each cell holds, the change from the version before, and what is doubtful.

use std::collections::BTreeMap;

use super::book::{Book, CellKey, Sheet, is_marked};
use super::exact::{self, Exact};
use super::version::Version;
use crate::domain::Measure;
use crate::pb;
use crate::pb::cell_version::State;
use crate::pb::google::r#type::Decimal as WireDecimal;
use crate::pb::series_caveat::Code;
use crate::pb::statistical_release::Action;

/// Which cells of a book.
#[derive(Clone, Copy, Debug)]
pub struct CellsAsked {
    /// First day, inclusive.
    pub from: i32,
    /// Day after the last, exclusive.
    pub to: i32,
    /// Also those that were withdrawn.
    pub include_withdrawn: bool,
    /// Only provisional values.
    pub provisional_only: bool,
    /// Only cells in which sources contradict each other.
    pub conflicts_only: bool,
}

impl CellsAsked {
    /// Tells whether a cell overlaps the window.
    #[must_use]
    pub const fn overlaps(from: i32, to: i32, key: &CellKey) -> bool {
        key.start < to && key.end > from
    }

    fn holds(&self, key: &CellKey, versions: &[Version]) -> bool {
        let Some(current) = versions.last() else { return false };
        Self::overlaps(self.from, self.to, key)
            && (self.include_withdrawn || current.state != State::Withdrawn)
            && (!self.provisional_only || current.is_provisional())
            && (!self.conflicts_only || conflict(versions).is_some())
    }
}

/// Gives the cells asked for, in order, without the first `skip`.
pub fn values<'a>(
    book: &'a Book,
    asked: &'a CellsAsked,
    skip: usize,
) -> impl Iterator<Item = pb::SeriesValue> + 'a {
    let cells = book.cells().filter(|(_, _, key, versions)| asked.holds(key, versions));
    cells.skip(skip).filter_map(move |(series, sheet, key, versions)| {
        let (current, before) = versions.split_last()?;
        let previous = before.last();
        let (absolute, percent) = previous.map_or((None, None), |previous| changes(previous, current));
        Some(pb::SeriesValue {
            cell: Some(Sheet::cell(series, key, current)),
            current: Some(current.wire()),
            previous: previous.map(Version::wire),
            absolute_change: absolute,
            percent_change: percent,
            version_count: count(versions.len()),
            revision_count: count(revisions(versions)),
            caveats: caveats(sheet, key, versions),
        })
    })
}

/// Gives a count for the wire.
#[must_use]
pub fn count(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

/// Counts the versions that differ from the one before.
#[must_use]
pub fn revisions(versions: &[Version]) -> usize {
    let pairs = versions.iter().zip(versions.iter().skip(1));
    pairs.filter(|(before, version)| !version.agrees(before)).count()
}

/// Gives the change from one version to another, absolute and in percent, where both have a value in the same unit and of
/// the same base period.
#[must_use]
pub fn changes(from: &Version, to: &Version) -> (Option<WireDecimal>, Option<WireDecimal>) {
    let (Some(base), Some(value)) = (from.amount, to.amount) else {
        return (None, None);
    };
    if from.measured_in() != to.measured_in() {
        return (None, None);
    }
    let percent = exact::change(Measure::PercentChange, base, value);
    (value.minus(base).map(Exact::wire), percent.map(|percent| exact::wire(&format!("{percent:.3}"))))
}

/// Gives a version that contradicts the one that decides: of those that no newer edition supersedes, known at the same
/// time, or the last of another stream.
#[must_use]
pub fn conflict(versions: &[Version]) -> Option<&Version> {
    let (current, before) = versions.split_last()?;
    let standing = || before.iter().filter(|version| !version.release.superseded);
    if let Some(rival) = standing()
        .find(|version| version.release.known_at == current.release.known_at && !version.agrees(current))
    {
        return Some(rival);
    }
    let mut last_of: BTreeMap<&str, &Version> = BTreeMap::new();
    for version in standing() {
        last_of.insert(&version.release.event.stream, version);
    }
    last_of.remove(current.release.event.stream.as_str());
    let mut rivals = last_of.into_values().filter(|version| !version.agrees(current));
    rivals.next()
}

struct Doubts(Vec<pb::SeriesCaveat>);

impl Doubts {
    fn add(&mut self, code: Code, text: impl Into<String>) {
        self.0.push(pb::SeriesCaveat { code: code.into(), text: text.into(), event_id: String::new() });
    }

    fn because_of(&mut self, code: Code, text: String, by: &Version) {
        let event_id = by.release.event.id.clone();
        self.0.push(pb::SeriesCaveat { code: code.into(), text, event_id });
    }
}

/// Gives what is doubtful about a cell, by the number of the code.
fn caveats(sheet: &Sheet, key: &CellKey, versions: &[Version]) -> Vec<pb::SeriesCaveat> {
    let Some((current, before)) = versions.split_last() else { return Vec::new() };
    let mut doubts = Doubts(Vec::new());
    if current.is_provisional() {
        doubts.add(Code::Provisional, format!("obs_status is {}", current.observation.obs_status));
    }
    match sheet.later.get(key) {
        Some(later) if !later.agrees(current) => {
            doubts.because_of(Code::LaterRevised, format!("later known as {}", said(later)), later);
        }
        None => doubts.add(Code::LaterRevised, "later withdrawn with its release"),
        Some(_) => {}
    }
    if let Some(rival) = conflict(versions) {
        let text = format!("{} is said in {}", said(rival), rival.release.event.stream);
        doubts.because_of(Code::SourceConflict, text, rival);
    }
    against_the_version_before(&mut doubts, before.last(), current);
    if !key.is_exact() || current.observation.period.as_ref().is_some_and(is_marked) {
        doubts.add(Code::VaguePeriod, "the period has no exact bounds");
    }
    if current.is_present() && current.is_qualified() {
        doubts.add(Code::QualifiedValue, "the source gives a bound or an approximation");
    }
    if current.observation.obs_status == "B" {
        doubts.add(Code::Break, "the series breaks here");
    }
    if key.is_exact() && !has_length_of(&current.release.stated.frequency, key.end.saturating_sub(key.start))
    {
        let frequency = &current.release.stated.frequency;
        doubts.add(Code::OffFrequency, format!("the period is not one unit of frequency {frequency}"));
    }
    doubts.0.sort_by_key(|caveat| caveat.code);
    doubts.0
}

/// Tells whether a period can be one unit of a frequency (SDMX CL_FREQ), by its days: a year may be a fiscal one.
fn has_length_of(frequency: &str, days: i32) -> bool {
    match frequency {
        "A" => (365..=366).contains(&days),
        "S" => (181..=184).contains(&days),
        "Q" => (90..=92).contains(&days),
        "M" => (28..=31).contains(&days),
        "W" => days == 7,
        "D" => days == 1,
        _ => true,
    }
}

fn against_the_version_before(doubts: &mut Doubts, before: Option<&Version>, current: &Version) {
    let stated = &current.release.stated;
    let held = before.is_some_and(|before| before.state != State::Withdrawn);
    if !held {
        match stated.action() {
            Action::Replace => {
                doubts.add(Code::ReplacedNothing, "REPLACE of a cell that held no observation")
            }
            Action::Delete => doubts.add(Code::DeletedNothing, "DELETE of a cell that held no observation"),
            Action::Merge | Action::Unspecified => {}
        }
    }
    let Some(before) = before else { return };
    let old = &before.release.stated;
    for (what, from, to) in
        [("unit", &old.unit, &stated.unit), ("base period", &old.base_period, &stated.base_period)]
    {
        if from != to {
            doubts.add(Code::UnitChanged, format!("{what} {from:?} became {to:?}"));
        }
    }
    let (from, to) = (old.unit_multiplier, stated.unit_multiplier);
    if from != to {
        doubts.add(Code::UnitChanged, format!("unit multiplier {from} became {to}"));
    }
    if old.frequency != stated.frequency {
        let text = format!("frequency {:?} became {:?}", old.frequency, stated.frequency);
        doubts.add(Code::FrequencyChanged, text);
    }
    // 0 also means that none is stated.
    if stated.revision != 0 && old.revision.checked_add(1) != Some(stated.revision) {
        let text = format!("revision {} follows revision {}", stated.revision, old.revision);
        doubts.add(Code::RevisionOutOfOrder, text);
    }
    if is_large(before, current) {
        doubts.add(Code::LargeRevision, format!("{} became {}", said(before), said(current)));
    }
}

/// Tells whether a value changed by more than half of the one before.
fn is_large(before: &Version, current: &Version) -> bool {
    let (Some(base), Some(value)) = (before.amount, current.amount) else {
        return false;
    };
    let twice = value.minus(base).and_then(|apart| apart.size().times(2));
    before.measured_in() == current.measured_in()
        && twice.and_then(|twice| twice.exceeds(base.size())) == Some(true)
}

fn said(version: &Version) -> String {
    match version.state {
        State::Present => format!("{} {}", version.scaled, version.unit()),
        State::Missing => "missing".to_owned(),
        State::Withdrawn | State::Unspecified => "withdrawn".to_owned(),
    }
}
