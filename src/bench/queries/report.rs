//! What a run found, as tables and as JSON.

use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::figures::Figures;
use super::loads::LoadRow;
use super::measure::QueryRow;
use crate::bench::samples::Measured;

/// What a run found.
#[derive(Clone, Debug)]
pub struct QueryReport {
    /// Events in the store.
    pub events: usize,
    /// How long filling it took.
    pub loaded_in: Duration,
    /// How long it took until the first question about words was answered.
    pub words_in: Duration,
    /// Whether the server was a process of its own.
    pub child: bool,
    /// By query.
    pub rows: Vec<QueryRow>,
    /// By load.
    pub loads: Vec<LoadRow>,
    /// Of the store.
    pub figures: Figures,
}

impl QueryReport {
    /// Writes what the tables depend on.
    #[must_use]
    pub fn facts(&self) -> String {
        format!(
            "{} events, loaded in {:.0} s; words of all events known after {:.0} s; one client asks, server in {}\n\
             marks are for 10 million events: in a small store what is the same at any size weighs more",
            self.events,
            self.loaded_in.as_secs_f64(),
            self.words_in.as_secs_f64(),
            if self.child { "a process of its own" } else { "the same process" }
        )
    }

    /// Writes a table of the queries, for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["query", "calls", "p50 ms", "p99 ms", "answer KiB", "counted", ""]);
        for row in &self.rows {
            table.add_row([
                row.name.to_owned(),
                row.calls.to_string(),
                format!("{:.2}", row.p50_us / 1e3),
                format!("{:.2}", row.p99_us / 1e3),
                format!("{:.1}", row.answer_bytes as f64 / 1_024.0),
                row.counted.map(|counted| counted.to_string()).unwrap_or_default(),
                row.note.clone().unwrap_or_default(),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(5) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Writes a table of the loads, for people.
    #[must_use]
    pub fn loads_table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header([
            "load",
            "empty /s",
            "full /s",
            "full/empty",
            "empty p50/p99 ms",
            "full p50/p99 ms",
        ]);
        for row in &self.loads {
            let latencies = |measured| {
                let (p50, p99) = LoadRow::latencies_us(measured);
                format!("{:.2}/{:.2}", p50 / 1e3, p99 / 1e3)
            };
            table.add_row([
                row.name.clone(),
                format!("{:.0}", row.empty.per_second()),
                format!("{:.0}", row.full.per_second()),
                format!("{:.2}", row.ratio()),
                latencies(&row.empty),
                latencies(&row.full),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Writes everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "query": row.name, "calls": row.calls, "p50Us": row.p50_us, "p99Us": row.p99_us,
                "answerBytes": row.answer_bytes, "counted": row.counted, "note": row.note,
            })
        });
        let loads = self.loads.iter().map(|row| {
            let of = |measured: &Measured| {
                let (p50, p99) = LoadRow::latencies_us(measured);
                json!({"perSecond": measured.per_second(), "p50Us": p50, "p99Us": p99})
            };
            json!({"load": row.name, "empty": of(&row.empty), "full": of(&row.full), "ratio": row.ratio()})
        });
        json!({
            "events": self.events, "loadedInSeconds": self.loaded_in.as_secs_f64(),
            "wordsInSeconds": self.words_in.as_secs_f64(), "ownProcess": self.child,
            "queries": rows.collect::<Vec<_>>(), "loads": loads.collect::<Vec<_>>(), "figures": self.figures.json(),
        })
    }
}
