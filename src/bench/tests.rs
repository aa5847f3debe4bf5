//! A whole run, short: every cell is there, and every answer was checked on the way.

use std::cell::Cell as Shared;
use std::io::{BufRead, Cursor};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::queries::serving::Program;
use super::queries::{self, QuerySettings};
use super::samples::{median, percentile_us};
use super::{Settings, cell, run};

#[test]
fn a_short_run_measures_every_cell() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        cell: Duration::from_millis(10),
        directory: Some(directory.path().to_owned()),
        ..Settings::quick()
    };
    let last = Shared::new((0, 0));
    let report = run(&settings, &|done, all| last.set((done, all))).unwrap();
    let cells: Vec<_> = cell::blocks().into_iter().flatten().collect();
    assert_eq!(last.get(), (cells.len(), cells.len()));
    assert_eq!(report.gaps(), []);
    let json = report.json();
    let measured = json["cells"].as_array().unwrap();
    assert_eq!(measured.len(), cells.len());
    for (cell, json) in cells.iter().zip(measured) {
        assert_eq!(json["work"], cell.work.to_string());
        assert!(json["per_second"]["median"].as_f64().unwrap() > 0.0, "{json}");
        assert_eq!(json["ratio_to_limit"].is_number(), cell.limit().is_some(), "{json}");
        assert_eq!(json["ratio_to_prealloc"].is_number(), cell.ceiling().is_some(), "{json}");
        assert_eq!(json["ratio_to_plain"].is_number(), cell.unconditional().is_some(), "{json}");
    }
    assert_eq!(report.table().row_count(), cells.len());
    // Every store and file was deleted.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn each_cell_stands_once_and_beside_its_limit() {
    let cells: Vec<_> = cell::blocks().into_iter().flatten().collect();
    for (at, cell) in cells.iter().enumerate() {
        assert_eq!(cells.iter().position(|other| other == cell), Some(at), "{cell:?}");
        for other in [cell.limit(), cell.ceiling(), cell.unconditional()].into_iter().flatten() {
            assert!(cells.contains(&other), "{cell:?} is compared with {other:?}");
        }
    }
}

#[test]
fn percentiles_and_medians() {
    let samples: Vec<_> = (1..=200).rev().map(Duration::from_micros).collect();
    let rounded = |hundredths| percentile_us(&samples, hundredths).round();
    assert_eq!((rounded(50), rounded(99), rounded(100)), (100.0, 198.0, 200.0));
    assert_eq!(percentile_us(&[], 50), 0.0);
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert_eq!(median(&[]), 0.0);
}

#[test]
fn a_short_run_asks_every_query_of_copies_of_the_example() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        include_str!("../../examples/uk-albania/context_releases.jsonl"),
        include_str!("../../examples/uk-albania/events.jsonl"),
    ];
    let file: Box<dyn BufRead + Send> = Box::new(Cursor::new(lines.concat()));
    let settings = QuerySettings {
        events: 50,
        cell: Duration::from_millis(1),
        directory: Some(directory.path().to_owned()),
        program: Program::Here,
        stop: CancellationToken::new(),
    };
    let report = queries::run(vec![file], &settings, &|_, _| {}).unwrap();
    // Whole copies of its 22 events.
    assert_eq!(report.events, 66);
    assert!(report.rows.len() >= 35, "{}", report.table());
    for row in &report.rows {
        let note = row.note.as_deref().unwrap_or_default();
        assert_eq!(note.is_empty(), !row.name.contains("page 100"), "{row:?}");
        assert!(note.is_empty() || note.ends_with("is the last"), "{row:?}");
        assert!(row.calls >= 5 && row.p99_us >= row.p50_us, "{row:?}");
    }
    let answered = |name: &str| report.rows.iter().find(|row| row.name == name).unwrap().answer_bytes;
    for name in ["list, two words, by relevance", "agreement", "visit", "series", "sums of all transfers"] {
        assert!(answered(name) > 100, "{name}");
    }
    // What only a server with a process of its own can show is told as missing; the rest is there.
    let json = report.figures.json();
    for figure in json.as_array().unwrap() {
        let name = figure["figure"].as_str().unwrap();
        let of_child = name.starts_with("memory")
            || ["open after kill -9", "open, cold, read from the disk", "index rebuild, a core"].contains(&name)
            // Of these few events no term has about a million.
            || name == "count about a million, p50";
        assert_eq!(figure["value"].is_null(), of_child, "{figure}");
    }
    assert!(report.figures.table().row_count() > 40);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
