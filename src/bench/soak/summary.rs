//! The first sixth of a soak beside its last: what did not stay as it was.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::sample::Sample;
use crate::bench::samples::median;

/// Parts of a run of which the first and the last are compared.
const PARTS: usize = 6;
const MIB: f64 = 1_024.0 * 1_024.0;
/// Events by which the growth of memory and disk is told.
const MILLION: f64 = 1e6;

/// A figure in the first sixth and in the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// What.
    pub name: &'static str,
    /// Median of the samples of the first sixth; nothing where none has it.
    pub first: Option<f64>,
    /// Of the last.
    pub last: Option<f64>,
}

impl Compared {
    fn of(name: &'static str, parts: (&[Sample], &[Sample]), value: fn(&Sample) -> Option<f64>) -> Self {
        let of = |samples: &[Sample]| {
            let values: Vec<f64> = samples.iter().filter_map(value).collect();
            (!values.is_empty()).then(|| median(&values))
        };
        Self { name, first: of(parts.0), last: of(parts.1) }
    }

    /// Gives the last divided by the first.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let (first, last) = (self.first?, self.last?);
        (first > 0.0).then(|| last / first)
    }
}

/// What is to be known of a whole run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Figures that should stay as they are.
    pub compared: Vec<Compared>,
    /// Bytes by which figures grew, by name, for each million events that were appended between both sixths.
    pub grown: Vec<(&'static str, Option<f64>)>,
    /// Calls that failed.
    pub errors: u64,
}

impl Summary {
    /// Compares both ends of a run.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Self {
        let part = samples.len().div_ceil(PARTS);
        let first = samples.get(..part).unwrap_or_default();
        let last = samples.get(samples.len().saturating_sub(part)..).unwrap_or_default();
        let compared = |name, value| Compared::of(name, (first, last), value);
        let head = compared("head", |sample| Some(sample.head as f64));
        let events = head.last.zip(head.first).map(|(last, first)| last - first).filter(|more| *more > 0.0);
        let grown = |name, value| {
            let found: Compared = compared(name, value);
            let more = found.last.zip(found.first).map(|(last, first)| last - first);
            (name, more.zip(events).map(|(more, events)| more / events * MILLION))
        };
        Self {
            compared: vec![
                compared("appended, events/s", |sample| Some(sample.appended_per_second)),
                compared("append p50, µs", |sample| sample.append_p50_us),
                compared("append p99, µs", |sample| sample.append_p99_us),
                compared("read, events/s", |sample| Some(sample.read_per_second)),
                compared("delivered, events/s", |sample| Some(sample.delivered_per_second)),
                compared("query p99, µs", |sample| sample.query_p99_us),
                compared("sync beside p99, µs", |sample| sample.sync_p99_us),
                compared("resident memory, MiB", |sample| sample.resident.map(|bytes| bytes as f64 / MIB)),
                compared("threads", |sample| sample.threads.map(|threads| threads as f64)),
            ],
            grown: vec![
                grown("resident memory", |sample| sample.resident.map(|bytes| bytes as f64)),
                grown("anonymous memory", |sample| sample.anonymous.map(|bytes| bytes as f64)),
                grown("disk", |sample| Some(sample.disk as f64)),
            ],
            errors: samples.iter().map(|sample| sample.errors).sum(),
        }
    }

    /// Writes a table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["median of samples", "first sixth", "last sixth", "last / first"]);
        let write = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
        for compared in &self.compared {
            let ratio = compared.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            table.add_row([compared.name.to_owned(), write(compared.first), write(compared.last), ratio]);
        }
        for (name, bytes) in &self.grown {
            let grown = bytes
                .map_or_else(|| "–".to_owned(), |bytes| format!("{:+.1} MiB", bytes / 1_024.0 / 1_024.0));
            table.add_row([format!("{name}, a million events"), String::new(), String::new(), grown]);
        }
        table.add_row([
            "calls that failed".to_owned(),
            String::new(),
            String::new(),
            self.errors.to_string(),
        ]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Writes everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let compared = self.compared.iter().map(|compared| {
            json!({
                "figure": compared.name, "firstSixth": compared.first, "lastSixth": compared.last,
                "ratio": compared.ratio(),
            })
        });
        let grown = self.grown.iter();
        let grown = grown.map(|(name, bytes)| json!({"figure": name, "bytesAMillionEvents": bytes}));
        json!({
            "compared": compared.collect::<Vec<_>>(), "grown": grown.collect::<Vec<_>>(),
            "errors": self.errors,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_compared() {
        let samples: Vec<Sample> = (0..12_u32)
            .map(|at| Sample {
                appended_per_second: if at < 6 { 100.0 } else { 50.0 },
                append_p99_us: (at > 0).then_some(if at < 2 { 10.0 } else { 30.0 }),
                resident: Some(1_000 * u64::from(at)),
                head: 500_000 * u64::from(at),
                errors: 1,
                ..Sample::default()
            })
            .collect();
        let summary = Summary::of(&samples);
        let ratio = |name| summary.compared.iter().find(|compared| compared.name == name).unwrap().ratio();
        assert_eq!(ratio("appended, events/s"), Some(0.5));
        assert_eq!(ratio("append p99, µs"), Some(3.0));
        assert_eq!(ratio("query p99, µs"), None);
        // 10 samples of 1,000 bytes each lie between the middles, and 5 million events.
        assert_eq!(summary.grown[0], ("resident memory", Some(2_000.0)));
        assert_eq!(summary.grown[1], ("anonymous memory", None));
        assert_eq!(summary.errors, 12);
        assert!(summary.table().to_string().contains("0.50"), "{}", summary.table());
        assert!(Summary::of(&[]).compared.iter().all(|compared| compared.first.is_none()));
    }
}
