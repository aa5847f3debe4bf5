//! The revision triangle, and what each round of releases did.

use std::collections::BTreeMap;

use super::book::{Book, CellKey, SeriesId, Sheet};
use super::caveat::{CellsAsked, changes, count, revisions};
use super::exact;
use super::version::Version;
use crate::domain::Timestamp;
use crate::pb;
use crate::pb::google::r#type::Decimal as WireDecimal;

/// Most versions of one cell that an answer holds.
const VERSIONS_MAX: usize = 1_000;

/// Which cells of a triangle.
#[derive(Clone, Copy, Debug)]
pub struct TriangleAsked {
    /// First day, inclusive.
    pub from: i32,
    /// Day after the last, exclusive.
    pub to: i32,
    /// Leaves out versions that repeat the one before.
    pub changes_only: bool,
    /// Leaves out cells that were never revised.
    pub revised_only: bool,
}

/// Gives every version of the cells asked for, in order, without the first `skip`.
pub fn triangle<'a>(
    book: &'a Book,
    asked: &'a TriangleAsked,
    skip: usize,
) -> impl Iterator<Item = pb::CellHistory> + 'a {
    let cells = book.cells().filter(|(_, _, key, versions)| {
        CellsAsked::overlaps(asked.from, asked.to, key) && (!asked.revised_only || revisions(versions) > 0)
    });
    cells
        .skip(skip)
        .filter_map(|(series, _, key, versions)| history(series, key, versions, asked.changes_only))
}

fn history(
    series: &SeriesId,
    key: &CellKey,
    versions: &[Version],
    changes_only: bool,
) -> Option<pb::CellHistory> {
    let current = versions.last()?;
    let first = versions.iter().find(|version| version.is_present());
    let latest = Some(current).filter(|current| current.is_present());
    let (absolute, percent) = match (first, latest) {
        (Some(first), Some(latest)) => changes(first, latest),
        (None | Some(_), None) | (None, Some(_)) => (None, None),
    };
    let last_provisional = versions.iter().rposition(Version::is_provisional);
    let finals = versions.iter().skip(last_provisional.map_or(0, |last| last + 1));
    let mut first_final = finals.filter(|version| version.is_present());
    let mut shown: Vec<&Version> = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| versions.get(before));
        if !changes_only || before.is_none_or(|before| !repeats(version, before)) {
            shown.push(version);
        }
    }
    Some(pb::CellHistory {
        cell: Some(Sheet::cell(series, key, current)),
        versions: shown.iter().take(VERSIONS_MAX).map(|version| version.wire()).collect(),
        omitted_version_count: count(shown.len().saturating_sub(VERSIONS_MAX)),
        revision_count: count(revisions(versions)),
        first_value: scaled(first),
        latest_value: scaled(latest),
        absolute_revision: absolute,
        percent_revision: percent,
        last_provisional_value: scaled(last_provisional.and_then(|last| versions.get(last))),
        first_final_value: scaled(first_final.next()),
    })
}

fn repeats(version: &Version, before: &Version) -> bool {
    version.agrees(before) && version.observation.obs_status == before.observation.obs_status
}

fn scaled(version: Option<&Version>) -> Option<WireDecimal> {
    version.map(|version| exact::wire(&version.scaled))
}

/// Counts what the releases of each known time did, by known time.
#[must_use]
pub fn rounds(book: &Book) -> Vec<pb::RevisionRound> {
    let mut rounds: BTreeMap<Timestamp, pb::RevisionRound> = BTreeMap::new();
    let releases = book.sheets.values().flat_map(|sheet| &sheet.releases);
    let mut releases: Vec<_> = releases.collect();
    releases.sort_by_key(|release| (release.known_at, release.position));
    for release in releases {
        let round = rounds.entry(release.known_at).or_default();
        round.known_at = release.event.known_at;
        round.release_count = round.release_count.saturating_add(1);
        if round.vintage.is_empty() {
            round.vintage.clone_from(&release.stated.vintage);
        }
    }
    for (_, _, _, versions) in book.cells() {
        let mut before: Option<&Version> = None;
        for version in versions {
            let round = rounds.entry(version.release.known_at).or_default();
            let held = before.is_some_and(Version::is_present);
            let counted = match (held, version.is_present()) {
                (false, true) => &mut round.added_count,
                (true, false) => &mut round.withdrawn_count,
                (true, true) if before.is_some_and(|before| !version.agrees(before)) => {
                    &mut round.revised_count
                }
                (true, true) | (false, false) => &mut round.repeated_count,
            };
            *counted = counted.saturating_add(1);
            before = Some(version);
        }
    }
    rounds.into_values().collect()
}
