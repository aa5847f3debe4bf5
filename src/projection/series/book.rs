//! The releases of many series, sorted into cells.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::version::{Release, Version};
use crate::domain::{Bounds, Day};
use crate::pb;
use crate::pb::google::r#type::Date;

/// Names of dimensions with their values.
pub type Dimensions = BTreeMap<String, String>;

/// Names one series: dataflow, series key, and the stream where there is no key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesId {
    /// The dataflow.
    pub dataflow: String,
    /// The series key.
    pub series_key: String,
    /// The stream, where there is no key.
    pub stream: String,
}

impl SeriesId {
    /// Names the series of a release.
    #[must_use]
    pub fn of(stream: &str, release: &pb::StatisticalRelease) -> Self {
        let (dataflow, series_key) = (release.dataflow.clone(), release.series_key.clone());
        let stream = if series_key.is_empty() { stream.to_owned() } else { String::new() };
        Self { dataflow, series_key, stream }
    }

    /// Writes the name for the wire.
    #[must_use]
    pub fn wire(&self) -> pb::SeriesRef {
        let Self { dataflow, series_key, stream } = self.clone();
        pb::SeriesRef { dataflow, series_key, stream }
    }
}

/// Seconds and nanoseconds; `None` for a bound without a time of day.
type Moment = Option<(i64, i32)>;

/// Cells with their versions.
type Cells<'a> = Vec<(&'a CellKey, &'a [Version])>;

/// Names one cell of a series, in the order of answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey {
    /// First day that it can begin on.
    pub start: i32,
    /// Last day, exclusive, that it can end on.
    pub end: i32,
    /// Last day that it can begin on, and first that it can end on.
    inner: (i32, i32),
    /// Moments of start and end, where the period has times of day.
    moments: (Moment, Moment),
    /// Dimensions.
    pub dimensions: Dimensions,
}

impl CellKey {
    /// Names the cell of a period, whose derived fields are filled.
    #[must_use]
    pub fn of(period: &pb::TimeSpan, dimensions: Dimensions) -> Self {
        let moment = |moment: &Option<prost_types::Timestamp>| moment.as_ref().map(|m| (m.seconds, m.nanos));
        Self {
            start: number(period.earliest_start, Bounds::OPEN_START),
            end: number(period.latest_end, Bounds::OPEN_END),
            inner: (
                number(period.latest_start, Bounds::OPEN_START),
                number(period.earliest_end, Bounds::OPEN_END),
            ),
            moments: (moment(&period.start_instant), moment(&period.end_instant)),
            dimensions,
        }
    }

    /// Tells whether the period has exact bounds, in whole days.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.inner == (self.start, self.end)
            && self.moments == (None, None)
            && self.start != Bounds::OPEN_START
            && self.end != Bounds::OPEN_END
    }
}

fn number(date: Option<Date>, open: i32) -> i32 {
    let day = date.and_then(|date| {
        Day::from_civil(date.year, u32::try_from(date.month).ok()?, u32::try_from(date.day).ok()?)
    });
    day.map_or(open, Day::number)
}

/// Tells whether a period is marked approximate or uncertain.
#[must_use]
pub fn is_marked(period: &pb::TimeSpan) -> bool {
    period.approximate || period.uncertain
}

/// One series: its releases and cells.
#[derive(Debug, Default)]
pub struct Sheet {
    /// Releases in the scope asked for, by (known_at, position).
    pub releases: Vec<Arc<Release>>,
    /// Dimensions of the series, each as the latest release has it that states it.
    pub dimensions: Dimensions,
    /// Versions of each cell in the scope asked for, by (known_at, position). None is empty.
    pub cells: BTreeMap<CellKey, Vec<Version>>,
    /// The version of each cell that decides when all that is recorded is known.
    pub later: BTreeMap<CellKey, Version>,
}

/// Many series.
#[derive(Debug, Default)]
pub struct Book {
    /// By name.
    pub sheets: BTreeMap<SeriesId, Sheet>,
}

/// Cells of one series and one set of dimensions: what a period is summed of.
#[derive(Debug)]
pub struct Group<'a> {
    /// The series.
    pub series: &'a SeriesId,
    /// The set of dimensions.
    pub dimensions: &'a Dimensions,
    /// Its cells, in order.
    pub cells: Cells<'a>,
}

impl Book {
    /// Sorts releases into series and cells; `asked` must hold of the dimensions of a cell.
    #[must_use]
    pub fn of(mut releases: Vec<(Release, Vec<pb::Observation>)>, asked: &Dimensions) -> Self {
        releases.sort_by_key(|(release, _)| (release.known_at, release.position));
        let mut book = Self::default();
        for (release, observations) in releases {
            let series = SeriesId::of(&release.event.stream, &release.stated);
            let sheet = book.sheets.entry(series).or_default();
            sheet.take(Arc::new(release), observations);
        }
        book.sheets.retain(|_, sheet| {
            let Sheet { dimensions, cells, later, .. } = sheet;
            let fits = |key: &CellKey| {
                asked.iter().all(|(name, value)| {
                    key.dimensions.get(name).or_else(|| dimensions.get(name)) == Some(value)
                })
            };
            cells.retain(|key, _| fits(key));
            later.retain(|key, _| fits(key));
            !cells.is_empty()
        });
        book
    }

    /// Gives every cell, in order.
    pub fn cells(&self) -> impl Iterator<Item = (&SeriesId, &Sheet, &CellKey, &[Version])> {
        self.sheets.iter().flat_map(|(series, sheet)| {
            sheet.cells.iter().map(move |(key, versions)| (series, sheet, key, versions.as_slice()))
        })
    }

    /// Gives the cells by series and set of dimensions.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<(&SeriesId, &Dimensions), Cells<'_>> = BTreeMap::new();
        for (series, _, key, versions) in self.cells() {
            groups.entry((series, &key.dimensions)).or_default().push((key, versions));
        }
        let groups = groups.into_iter();
        groups.map(|((series, dimensions), cells)| Group { series, dimensions, cells }).collect()
    }
}

impl Sheet {
    /// Adds a release; they come by (known_at, position).
    fn take(&mut self, release: Arc<Release>, observations: Vec<pb::Observation>) {
        if release.asked {
            self.dimensions.extend(release.stated.dimensions.clone());
            self.releases.push(Arc::clone(&release));
        }
        // Of two observations of one cell the later counts.
        let mut said: BTreeMap<CellKey, pb::Observation> = BTreeMap::new();
        for observation in observations {
            if let Some(period) = &observation.period {
                said.insert(CellKey::of(period, observation.dimensions.clone()), observation);
            }
        }
        for (key, observation) in said {
            let version = Version::of(&release, observation);
            if release.later {
                self.later.insert(key.clone(), version.clone());
            }
            if release.asked {
                self.cells.entry(key).or_default().push(version);
            }
        }
    }

    /// Gives a cell as answers name it: with the period as the deciding release writes it.
    #[must_use]
    pub fn cell(series: &SeriesId, key: &CellKey, version: &Version) -> pb::SeriesCell {
        pb::SeriesCell {
            series: Some(series.wire()),
            period: version.observation.period.clone(),
            dimensions: key.dimensions.clone(),
        }
    }
}
