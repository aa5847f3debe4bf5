//! What is shown of series.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::CellAlignment;

use super::{Found, spark};
use crate::cli::failure::Failure;
use crate::cli::{output, table, when};
use crate::pb::cell_version::State;
use crate::pb::google::r#type::Decimal;
use crate::pb::series_caveat::Code;
use crate::pb::{CellHistory, CellVersion, Series, SeriesCell, SeriesRef, SeriesValue};

/// Most releases that a triangle shows: the last ones.
const RELEASES_SHOWN: usize = 12;

/// Lists series.
pub(super) fn list(found: &Found<Series>) -> Result<(), Failure> {
    if !found.items.is_empty() {
        let mut shown = table::new(&[
            "dataflow",
            "series",
            "indicator",
            "unit",
            "freq",
            "first",
            "last",
            "values",
            "releases",
            "last known",
            "mind",
        ]);
        for series in &found.items {
            let (name, period) = (series.series.as_ref(), |span: &Option<crate::pb::TimeSpan>| {
                span.as_ref().map_or_else(|| "-".to_owned(), |span| clean(&span.edtf))
            });
            shown.add_row([
                name.map(|name| clean(&name.dataflow)).unwrap_or_default(),
                name.map(key_of).unwrap_or_default(),
                or_dash(&series.indicator),
                unit(&series.unit, series.unit_multiplier),
                or_dash(&series.frequency),
                period(&series.first_period),
                period(&series.last_period),
                series.value_count.to_string(),
                series.vintage_count.to_string(),
                series.last_known_at.as_ref().map(when::format).unwrap_or_default(),
                mind(series),
            ]);
        }
        output::line(shown.trim_fmt())?;
    }
    end(found, "series", "series")
}

fn mind(series: &Series) -> String {
    let counted = [(series.provisional_count, "provisional"), (series.conflict_count, "contradicted")];
    let counted =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    counted.collect::<Vec<_>>().join(", ")
}

/// Shows what each period holds, below a line of blocks of each series.
pub(super) fn values(found: &Found<SeriesValue>) -> Result<(), Failure> {
    let current = |value: &SeriesValue| value.current.clone().unwrap_or_default();
    for (name, rows) in groups(&found.items, |value| value.cell.as_ref()) {
        output::line(&name)?;
        let scaled =
            rows.iter().map(|value| value.current.as_ref().and_then(|now| now.scaled_value.as_ref()));
        if let Some(line) = spark::line(scaled.map(|value| value.map_or("", |value| value.value.as_str()))) {
            output::line(line)?;
        }
        let mut shown = table::new(&[
            "period", "value", "unit", "status", "before", "change", "%", "known", "release", "mind",
        ]);
        for column in [1, 4, 5, 6] {
            if let Some(column) = shown.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for value in rows {
            let now = current(value);
            shown.add_row([
                period(value.cell.as_ref()),
                version(&now),
                unit(&now.unit, now.unit_multiplier),
                or_dash(&now.obs_status),
                value.previous.as_ref().map_or_else(|| "-".to_owned(), version),
                decimal(value.absolute_change.as_ref()),
                decimal(value.percent_change.as_ref()),
                now.known_at.as_ref().map(when::format).unwrap_or_default(),
                or_dash(&now.vintage),
                caveats(value),
            ]);
        }
        output::line(format!("{}\n", shown.trim_fmt()))?;
    }
    end(found, "period", "periods")
}

/// Shows what was published first against the latest.
pub(super) fn revisions(found: &Found<CellHistory>) -> Result<(), Failure> {
    for (name, rows) in groups(&found.items, |cell| cell.cell.as_ref()) {
        output::line(&name)?;
        let mut shown =
            table::new(&["period", "first published", "latest", "revision", "%", "revisions", "first known"]);
        for column in 1..6 {
            if let Some(column) = shown.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for cell in rows {
            let first = cell.versions.iter().find(|version| version.state() == State::Present);
            let first = first.and_then(|version| version.known_at.as_ref());
            shown.add_row([
                period(cell.cell.as_ref()),
                decimal(cell.first_value.as_ref()),
                decimal(cell.latest_value.as_ref()),
                decimal(cell.absolute_revision.as_ref()),
                decimal(cell.percent_revision.as_ref()),
                cell.revision_count.to_string(),
                first.map_or_else(|| "-".to_owned(), when::format),
            ]);
        }
        output::line(format!("{}\n", shown.trim_fmt()))?;
    }
    end(found, "period", "periods")
}

/// Shows what each release said of each period: a row a period, a column a release.
pub(super) fn triangle(found: &Found<CellHistory>) -> Result<(), Failure> {
    for (name, rows) in groups(&found.items, |cell| cell.cell.as_ref()) {
        output::line(&name)?;
        let at = |version: &CellVersion| {
            version.known_at.as_ref().map(|known| (known.seconds, known.nanos, when::format(known)))
        };
        let all: BTreeSet<_> = rows.iter().flat_map(|cell| &cell.versions).filter_map(at).collect();
        let columns: Vec<_> = all.iter().skip(all.len().saturating_sub(RELEASES_SHOWN)).collect();
        let header: Vec<&str> =
            std::iter::once("period").chain(columns.iter().map(|(_, _, day)| day.as_str())).collect();
        let mut shown = table::new(&header);
        for column in 1..header.len() {
            if let Some(column) = shown.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for cell in rows {
            // Of two releases of one moment the later decides, as everywhere.
            let said: BTreeMap<_, _> =
                cell.versions.iter().filter_map(|said| Some((at(said)?, version(said)))).collect();
            let said = columns.iter().map(|column| said.get(*column).cloned().unwrap_or_default());
            shown.add_row(std::iter::once(period(cell.cell.as_ref())).chain(said));
        }
        output::line(shown.trim_fmt())?;
        let left_out = all.len().saturating_sub(RELEASES_SHOWN);
        if left_out > 0 {
            output::line(format!("{left_out} earlier known times are not shown (--json has them)"))?;
        }
        output::line("")?;
    }
    end(found, "period", "periods")
}

fn end<T>(found: &Found<T>, one: &str, many: &str) -> Result<(), Failure> {
    let count = table::count(u64::try_from(found.items.len()).unwrap_or(u64::MAX), one, many);
    let more = if found.more { "; there are more (--limit)" } else { "" };
    output::line(format!("{count} as of position {}{more}", found.snapshot))
}

/// Gives items by series and dimensions, in order, each group with its name.
fn groups<T>(items: &[T], cell: impl Fn(&T) -> Option<&SeriesCell>) -> Vec<(String, Vec<&T>)> {
    let mut groups: BTreeMap<(String, String), Vec<&T>> = BTreeMap::new();
    for item in items {
        let found = cell(item);
        let name = found.and_then(|cell| cell.series.as_ref());
        let name = name.map(|name| format!("{} {}", clean(&name.dataflow), key_of(name)));
        let dimensions = found.map(|cell| {
            cell.dimensions.iter().map(|(name, value)| format!(" {}={}", clean(name), clean(value)))
        });
        let dimensions = dimensions.map(Iterator::collect).unwrap_or_default();
        groups.entry((name.unwrap_or_default(), dimensions)).or_default().push(item);
    }
    groups.into_iter().map(|((name, dimensions), items)| (format!("{name}{dimensions}"), items)).collect()
}

/// Gives what is doubtful, in words.
fn caveats(value: &SeriesValue) -> String {
    let words = |code: Code| match code {
        Code::Unspecified => "",
        Code::Provisional => "provisional",
        Code::LaterRevised => "revised later",
        Code::SourceConflict => "contradicted",
        Code::UnitChanged => "unit changed",
        Code::FrequencyChanged => "frequency changed",
        Code::RevisionOutOfOrder => "revision out of order",
        Code::ReplacedNothing => "replaced nothing",
        Code::DeletedNothing => "deleted nothing",
        Code::LargeRevision => "large revision",
        Code::VaguePeriod => "vague period",
        Code::QualifiedValue => "a bound",
        Code::Break => "break",
        Code::OffFrequency => "off frequency",
    };
    let mut told: Vec<&str> = value.caveats.iter().map(|caveat| words(caveat.code())).collect();
    told.dedup();
    told.join(", ")
}

fn version(version: &CellVersion) -> String {
    match version.state() {
        State::Present => decimal(version.value.as_ref()),
        State::Missing => "missing".to_owned(),
        State::Withdrawn => "withdrawn".to_owned(),
        State::Unspecified => String::new(),
    }
}

/// Gives a unit with its power of ten.
fn unit(unit: &str, power: i32) -> String {
    if power == 0 { or_dash(unit) } else { format!("{} ×10^{power}", clean(unit)) }
}

fn period(cell: Option<&SeriesCell>) -> String {
    cell.and_then(|cell| cell.period.as_ref()).map(|period| clean(&period.edtf)).unwrap_or_default()
}

fn key_of(name: &SeriesRef) -> String {
    clean(if name.series_key.is_empty() { &name.stream } else { &name.series_key })
}

fn decimal(found: Option<&Decimal>) -> String {
    found.map_or_else(|| "-".to_owned(), |found| clean(&found.value))
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { clean(text) }
}

fn clean(text: &str) -> String {
    output::plain(text).into_owned()
}
