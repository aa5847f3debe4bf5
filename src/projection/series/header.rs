//! Series as their releases describe them.

use std::collections::BTreeSet;

use super::book::{Book, CellKey, SeriesId, Sheet};
use super::caveat::{conflict, count};
use super::version::Version;
use crate::pb;
use crate::pb::series_caveat::Code;

/// Most streams that a series is shown with.
const STREAMS_MAX: usize = 10;

/// Describes each series of a book, in order.
pub fn headers(book: &Book) -> impl Iterator<Item = pb::Series> + '_ {
    book.sheets.iter().map(|(series, sheet)| header(series, sheet))
}

fn header(series: &SeriesId, sheet: &Sheet) -> pb::Series {
    let stated = || sheet.releases.iter().rev().map(|release| &release.stated);
    let text = |field: fn(&pb::StatisticalRelease) -> &String| {
        stated().map(field).find(|text| !text.is_empty()).cloned().unwrap_or_default()
    };
    let streams: BTreeSet<&String> = sheet.releases.iter().map(|release| &release.event.stream).collect();
    let present = || {
        let last = sheet.cells.iter().filter_map(|(key, versions)| Some((key, versions.last()?)));
        last.filter(|(_, current)| current.is_present())
    };
    let period = |found: Option<(&CellKey, &Version)>| {
        found.and_then(|(_, version)| version.observation.period.clone())
    };
    let value_count = present().count();
    let (first, last) = (sheet.releases.first(), sheet.releases.last());
    pb::Series {
        series: Some(series.wire()),
        indicator: text(|stated| &stated.indicator),
        unit: text(|stated| &stated.unit),
        unit_multiplier: stated().next().map_or(0, |stated| stated.unit_multiplier),
        frequency: text(|stated| &stated.frequency),
        adjustment: text(|stated| &stated.adjustment),
        base_period: text(|stated| &stated.base_period),
        reference_area: stated().find_map(|stated| stated.reference_area.clone()),
        dimensions: sheet.dimensions.clone(),
        streams: streams.into_iter().take(STREAMS_MAX).cloned().collect(),
        first_period: period(present().next()),
        // Of several that end on the same day, the first in the order of cells.
        last_period: period(present().rev().max_by_key(|(key, _)| key.end)),
        value_count: count(value_count),
        empty_count: count(sheet.cells.len() - value_count),
        vintage_count: count(sheet.releases.len()),
        first_known_at: first.and_then(|release| release.event.known_at),
        last_known_at: last.and_then(|release| release.event.known_at),
        last_release_event_id: last.map(|release| release.event.id.clone()).unwrap_or_default(),
        last_vintage: text(|stated| &stated.vintage),
        provisional_count: count(present().filter(|(_, current)| current.is_provisional()).count()),
        conflict_count: count(sheet.cells.values().filter(|versions| conflict(versions).is_some()).count()),
        caveats: caveats(sheet),
    }
}

/// Tells where releases of one series differ in what they should have in common.
fn caveats(sheet: &Sheet) -> Vec<pb::SeriesCaveat> {
    let mut found = Vec::new();
    for (before, release) in sheet.releases.iter().zip(sheet.releases.iter().skip(1)) {
        let (old, new) = (&before.stated, &release.stated);
        let mut add = |code: Code, text: String| {
            found.push(pb::SeriesCaveat { code: code.into(), text, event_id: release.event.id.clone() });
        };
        if old.unit != new.unit || old.unit_multiplier != new.unit_multiplier {
            let unit =
                |stated: &pb::StatisticalRelease| format!("{} x 10^{}", stated.unit, stated.unit_multiplier);
            add(Code::UnitChanged, format!("unit {} became {}", unit(old), unit(new)));
        }
        if old.frequency != new.frequency {
            add(Code::FrequencyChanged, format!("frequency {:?} became {:?}", old.frequency, new.frequency));
        }
    }
    found.truncate(CAVEATS_MAX);
    found
}

/// Most caveats that a series is shown with.
const CAVEATS_MAX: usize = 20;
