//! A whole run, short: every cell is there, and every answer was checked on the way.

use std::cell::Cell as Shared;
use std::io::{BufRead, Cursor};
use std::time::Duration;

use super::cell::Target;
use super::queries::{self, QuerySettings};
use super::samples::{median, percentile_us};
use super::{BenchError, Settings, Subscribers, cell, run};

#[test]
fn a_short_run_measures_every_cell() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        cell: Duration::from_millis(10),
        subscribers: few(),
        directory: Some(directory.path().to_owned()),
        ..Settings::quick()
    };
    let last = Shared::new((0, 0));
    let report = run(&settings, &|done, all| last.set((done, all))).unwrap();
    let cells: Vec<_> = cell::blocks(&few()).into_iter().flatten().collect();
    assert_eq!(last.get(), (cells.len(), cells.len()));
    assert_eq!(report.gaps(), []);
    let json = report.json();
    let measured = json["cells"].as_array().unwrap();
    assert_eq!(measured.len(), cells.len());
    for (cell, json) in cells.iter().zip(measured) {
        assert_eq!(json["work"], cell.work.to_string());
        assert!(json["per_second"]["median"].as_f64().unwrap() > 0.0, "{json}");
        let ratios = json["ratios"].as_object().unwrap();
        assert_eq!(ratios.len(), cell.bases().len(), "{json}");
        assert!(ratios.values().all(|ratio| ratio.as_f64().unwrap() > 0.0), "{json}");
        let annals = cell.target == Target::Annals;
        assert_eq!(json["process_bytes"]["resident"].as_f64().is_some_and(|bytes| bytes > 0.0), annals);
    }
    for work in ["2 busy subscribers", "4 readers"] {
        let cell = measured.iter().find(|json| json["work"].as_str().unwrap().ends_with(work)).unwrap();
        assert!(cell["beside_per_second"].as_f64().unwrap() > 0.0, "{cell}");
    }
    assert_eq!(report.table().row_count(), cells.len());
    // Every store and file was deleted.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

fn few() -> Subscribers {
    Subscribers { busy: vec![1, 2, 20], idle: vec![10, 250] }
}

#[test]
fn each_cell_stands_once_and_beside_what_it_is_compared_with() {
    let blocks = cell::blocks(&Settings::full().subscribers);
    let lines: Vec<_> = blocks.iter().flatten().map(ToString::to_string).collect();
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(lines.iter().position(|other| other == line), Some(at), "{line}");
    }
    for block in &blocks {
        for (cell, base) in
            block.iter().flat_map(|cell| cell.bases().into_iter().map(move |base| (cell, base)))
        {
            assert!(block.contains(&base.cell), "{cell} is compared with {}", base.cell);
        }
    }
}

#[test]
fn only_what_is_named_is_kept_and_what_it_is_compared_with() {
    let kept = |text| -> Vec<String> {
        let blocks = cell::only(cell::blocks(&few()), text);
        assert!(blocks.iter().all(|block| !block.is_empty()));
        blocks.iter().flatten().map(ToString::to_string).collect()
    };
    assert_eq!(
        kept("annals smallest append 1 x 16 on a stream"),
        [
            "annals smallest append 1 × 16 clients",
            "null-log smallest append 1 × 16 on a stream",
            "annals smallest append 1 × 16 on a stream",
        ]
    );
    assert_eq!(kept("annals realistic read all").len(), 2);
    assert_eq!(kept("").len(), cell::blocks(&few()).iter().flatten().count());
    assert_eq!(kept("append 1 clients"), [""; 0]);
}

#[test]
fn a_run_of_no_cell_is_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        only: Some("nothing of the kind".to_owned()),
        directory: Some(directory.path().to_owned()),
        ..Settings::quick()
    };
    let refused = run(&settings, &|_, _| panic!("a cell was measured"));
    assert!(matches!(refused, Err(BenchError::NoCell(text)) if text == "nothing of the kind"));
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
    };
    let report = queries::run(vec![file], &settings, &|_, _| {}).unwrap();
    // Whole copies of its 22 events.
    assert_eq!(report.events, 66);
    assert!(report.rows.len() >= 25, "{}", report.table());
    for row in &report.rows {
        assert!(row.calls >= 5 && row.p99_us >= row.p50_us, "{row:?}");
    }
    let answered = |name: &str| report.rows.iter().find(|row| row.name == name).unwrap().answer_bytes;
    for name in ["list, two words, by relevance", "agreement", "visit", "series", "sums of all transfers"] {
        assert!(answered(name) > 100, "{name}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
