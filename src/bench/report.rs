//! What a run found, as a table and as JSON.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::cell::{Base, Cell, Shape};
use super::samples::{Measured, median, percentile_us};
use super::work::{Beside, Load, Work};

/// What one round found in a cell.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Events a second.
    pub per_second: f64,
    /// Half of the calls, syncs or deliveries took at most this, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 took at most this, in microseconds.
    pub p99_us: f64,
    /// The same two of the acknowledgements of what was delivered.
    pub acknowledged_us: Option<(f64, f64)>,
    /// Events a second that subscribers and readers got beside what was measured.
    pub beside_per_second: Option<f64>,
    /// What the process held in memory at the end, and how much more than before, in bytes.
    pub memory: Option<Memory>,
}

/// Memory of the whole process: server, clients and bench.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// At the end, in bytes.
    pub resident: f64,
    /// How much more than before the server started, in bytes; less than 0 where some was given back.
    pub growth: f64,
}

impl Visit {
    /// Sums up samples; memory only where it is known what the process held before, in bytes.
    #[must_use]
    pub fn of(measured: &Measured, resident_before: Option<u64>) -> Self {
        let both = |samples: &[Duration]| (percentile_us(samples, 50), percentile_us(samples, 99));
        let (p50_us, p99_us) = both(&measured.latencies);
        let acknowledged_us =
            (!measured.acknowledgements.is_empty()).then(|| both(&measured.acknowledgements));
        let memory = resident_before
            .zip(measured.resident_bytes)
            .map(|(before, after)| Memory { resident: after as f64, growth: after as f64 - before as f64 });
        Self {
            per_second: measured.per_second(),
            p50_us,
            p99_us,
            acknowledged_us,
            beside_per_second: measured.beside_per_second,
            memory,
        }
    }
}

/// What all rounds found in a cell.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which cell.
    pub cell: Cell,
    /// In the order of the rounds.
    pub visits: Vec<Visit>,
}

impl Row {
    /// Begins.
    #[must_use]
    pub const fn new(cell: Cell) -> Self {
        Self { cell, visits: Vec::new() }
    }

    fn of(&self, value: impl Fn(&Visit) -> f64) -> Vec<f64> {
        self.visits.iter().map(value).collect()
    }

    fn median(&self, value: impl Fn(&Visit) -> f64) -> f64 {
        median(&self.of(value))
    }

    /// Gives the median of what only some cells have.
    fn known(&self, value: impl Fn(&Visit) -> Option<f64>) -> Option<f64> {
        let found: Vec<_> = self.visits.iter().filter_map(value).collect();
        (!found.is_empty()).then(|| median(&found))
    }

    fn acknowledged(&self) -> Option<(f64, f64)> {
        let p50 = self.known(|visit| visit.acknowledged_us.map(|(p50, _)| p50));
        p50.zip(self.known(|visit| visit.acknowledged_us.map(|(_, p99)| p99)))
    }

    fn beside(&self) -> Option<f64> {
        self.known(|visit| visit.beside_per_second)
    }

    fn memory(&self) -> Option<Memory> {
        let resident = self.known(|visit| visit.memory.map(|memory| memory.resident));
        let growth = self.known(|visit| visit.memory.map(|memory| memory.growth));
        resident.zip(growth).map(|(resident, growth)| Memory { resident, growth })
    }
}

/// What the numbers depend on.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Cores that the process may use.
    pub cores: usize,
    /// Load average of the last minute before the first round; nothing where the system does not say.
    pub load: Option<f64>,
    /// Median time to append the smallest event to a file and sync it, before the first round, in microseconds.
    pub sync_p50_us: f64,
    /// Mean size of an event as it is sent.
    pub event_bytes: Vec<(Shape, usize)>,
    /// Events in the store that is read from.
    pub stored_events: usize,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the numbers depend on.
    pub machine: Machine,
    /// How many rounds there were.
    pub rounds: usize,
    /// How long each cell was measured.
    pub cell: Duration,
    /// A row for each cell.
    pub rows: Vec<Row>,
}

const HEADER: [&str; 9] =
    ["events", "work", "target", "events/s", "min–max", "p50/p99 µs", "ratios", "beside", "MiB (growth)"];
const MIB: f64 = 1_048_576.0;

impl Report {
    /// Gives the row of a cell.
    #[must_use]
    pub fn row(&self, cell: Cell) -> Option<&Row> {
        self.rows.iter().find(|row| row.cell == cell)
    }

    /// Gives the median over the rounds of the rate of a cell divided by that of another in the same round.
    #[must_use]
    pub fn ratio(&self, cell: Cell, to: Cell) -> Option<f64> {
        let (row, base) = (self.row(cell)?, self.row(to)?);
        let pairs = row.visits.iter().zip(&base.visits);
        let ratios: Vec<f64> = pairs.map(|(visit, base)| visit.per_second / base.per_second).collect();
        (!ratios.is_empty()).then(|| median(&ratios))
    }

    /// Gives the names and the values of the ratios of a cell; not of cells that were not measured.
    #[must_use]
    pub fn ratios(&self, cell: Cell) -> Vec<(String, f64)> {
        let known = |base: Base| Some((base.name, self.ratio(cell, base.cell)?));
        cell.bases().into_iter().filter_map(known).collect()
    }

    /// Gives the facts of the machine and the run as lines.
    #[must_use]
    pub fn facts(&self) -> String {
        let Machine { cores, load, sync_p50_us, event_bytes, stored_events } = &self.machine;
        let load = load.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
        let sizes = event_bytes.iter().map(|(shape, bytes)| format!("{shape} {bytes}"));
        let sizes = sizes.collect::<Vec<_>>().join(", ");
        let (rounds, cell) = (self.rounds, self.cell.as_secs_f64());
        format!(
            "{rounds} rounds of {cell} s a cell, {cores} cores, load before {load}, append and sync \
             {sync_p50_us:.0} µs\nbytes an event: {sizes}; events in the store that is read: {stored_events}"
        )
    }

    /// Gives the table: medians over the rounds, with the least and the greatest rate.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(HEADER);
        for row in &self.rows {
            table.add_row(self.line(row));
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn line(&self, row: &Row) -> [String; HEADER.len()] {
        let rates = row.of(|visit| visit.per_second);
        let (least, greatest) = extremes(&rates);
        let pair = |p50: f64, p99: f64| format!("{p50:.0}/{p99:.0}");
        let ratios = self.ratios(row.cell).into_iter().map(|(name, ratio)| format!("{ratio:.2} {name}"));
        let memory = row
            .memory()
            .map(|Memory { resident, growth }| format!("{:.0} ({:+.0})", resident / MIB, growth / MIB));
        [
            row.cell.shape.to_string(),
            row.cell.work.to_string(),
            row.cell.target.to_string(),
            rate(median(&rates)),
            format!("{}–{}", rate(least), rate(greatest)),
            pair(row.median(|visit| visit.p50_us), row.median(|visit| visit.p99_us)),
            ratios.collect::<Vec<_>>().join(", "),
            beside(row).unwrap_or_default(),
            memory.unwrap_or_default(),
        ]
    }

    /// Gives everything, the rounds too.
    #[must_use]
    pub fn json(&self) -> Value {
        let bytes = self.machine.event_bytes.iter().map(|(shape, bytes)| (shape.to_string(), json!(bytes)));
        json!({
            "rounds": self.rounds,
            "cell_seconds": self.cell.as_secs_f64(),
            "machine": {
                "cores": self.machine.cores,
                "load_before": self.machine.load,
                "sync_p50_us": self.machine.sync_p50_us,
            },
            "event_bytes": bytes.collect::<serde_json::Map<_, _>>(),
            "stored_events": self.machine.stored_events,
            "cells": self.rows.iter().map(|row| self.cell_json(row)).collect::<Vec<_>>(),
        })
    }

    fn cell_json(&self, row: &Row) -> Value {
        let rates = row.of(|visit| visit.per_second);
        let (least, greatest) = extremes(&rates);
        let ratios = self.ratios(row.cell).into_iter().map(|(name, ratio)| (name, json!(ratio)));
        json!({
            "target": row.cell.target.to_string(),
            "events": row.cell.shape.to_string(),
            "work": row.cell.work.to_string(),
            "per_second": { "median": median(&rates), "min": least, "max": greatest, "rounds": rates },
            "p50_us": { "median": row.median(|visit| visit.p50_us), "rounds": row.of(|visit| visit.p50_us) },
            "p99_us": { "median": row.median(|visit| visit.p99_us), "rounds": row.of(|visit| visit.p99_us) },
            "ratios": ratios.collect::<serde_json::Map<_, _>>(),
            "acknowledged_us": row.acknowledged().map(|(p50, p99)| json!({ "p50": p50, "p99": p99 })),
            "beside_per_second": row.beside(),
            "process_bytes": row.memory().map(|memory| json!({
                "resident": memory.resident,
                "growth": memory.growth,
            })),
        })
    }

    /// Lists cells of the server under test that were not measured in every round, or gave nothing.
    #[must_use]
    pub fn gaps(&self) -> Vec<Cell> {
        let empty = |row: &&Row| {
            row.visits.len() != self.rounds
                || row.visits.iter().any(|visit| !(visit.per_second > 0.0 && visit.p50_us > 0.0))
        };
        self.rows.iter().filter(empty).map(|row| row.cell).collect()
    }
}

/// Says what else was measured: how fast the same events were acknowledged, or what neighbours got.
fn beside(row: &Row) -> Option<String> {
    if let Some((p50, p99)) = row.acknowledged() {
        return Some(format!("acknowledged {p50:.0}/{p99:.0} µs"));
    }
    let reads = matches!(row.cell.work, Work::Append(Load { beside: Beside::Stored { .. }, .. }));
    Some(format!("{} {}/s", rate(row.beside()?), if reads { "read" } else { "delivered" }))
}

fn extremes(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

/// Writes a rate to three figures.
fn rate(rate: f64) -> String {
    if rate >= 999_500.0 {
        format!("{:.2}M", rate / 1e6)
    } else if rate >= 99_950.0 {
        format!("{:.0}k", rate / 1e3)
    } else if rate >= 9_995.0 {
        format!("{:.1}k", rate / 1e3)
    } else {
        format!("{rate:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::cell::Target;

    fn row(target: Target, rates: &[f64]) -> Row {
        let cell = Cell { target, shape: Shape::Smallest, work: Work::ReadAll };
        let visits = rates.iter().map(|rate| Visit {
            per_second: *rate,
            p50_us: 1.0,
            p99_us: 2.0,
            acknowledged_us: None,
            beside_per_second: None,
            memory: None,
        });
        Row { cell, visits: visits.collect() }
    }

    fn report(rows: Vec<Row>) -> Report {
        let machine =
            Machine { cores: 2, load: None, sync_p50_us: 1.0, event_bytes: Vec::new(), stored_events: 0 };
        Report { machine, rounds: 3, cell: Duration::from_secs(1), rows }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() {
        // A slow moment hits both targets: 10 of 20, 100 of 200, 90 of 100.
        let report =
            report(vec![row(Target::Annals, &[10., 100., 90.]), row(Target::Null, &[20., 200., 100.])]);
        let cell = report.rows.first().unwrap().cell;
        assert_eq!(report.ratios(cell), [("null".to_owned(), 0.5)]);
        assert!(report.table().to_string().contains(" 0.50 null |"), "{}", report.table());
        assert!(report.gaps().is_empty());
    }

    #[test]
    fn a_base_that_was_not_measured_gives_no_ratio() {
        let report = report(vec![row(Target::Annals, &[1., 1., 1.])]);
        assert_eq!(report.ratios(report.rows.first().unwrap().cell), []);
    }

    #[test]
    fn a_cell_without_a_round_is_a_gap() {
        assert_eq!(report(vec![row(Target::Null, &[1., 1.])]).gaps().len(), 1);
        assert_eq!(report(vec![row(Target::Null, &[1., 0., 1.])]).gaps().len(), 1);
    }

    #[test]
    fn rates_have_three_figures() {
        for (value, expected) in
            [(9.4, "9"), (9_994.0, "9994"), (12_345.0, "12.3k"), (123_456.0, "123k"), (1_234_567.0, "1.23M")]
        {
            assert_eq!(rate(value), expected);
        }
    }
}
