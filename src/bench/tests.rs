//! A whole run, short: every cell is there, and every answer was checked on the way.

use std::cell::Cell as Shared;
use std::io::{BufRead, Cursor};
use std::time::Duration;

use prost::Message as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::cell::{Shape, Target};
use super::events::{Requests, STREAMS, Templates};
use super::queries::serving::Program;
use super::queries::{self, QuerySettings};
use super::samples::{median, percentile_us};
use super::work::Condition;
use super::{BenchError, Settings, Subscribers, answer, cell, run};
use crate::pb::condition::Condition as Kind;
use crate::pb::stream_condition::Expected;
use crate::pb::{AppendEventsRequest, AppendEventsResponse, AppendedEvent, Event, StreamCondition};

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
fn neighbours_are_served_and_the_run_holds_what_it_is_compared_with() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        // Long enough that a batch comes to a reader, also where other tests take the cores.
        cell: Duration::from_millis(500),
        subscribers: few(),
        only: Some("annals realistic append 1 x 16 clients, ".to_owned()),
        directory: Some(directory.path().to_owned()),
        ..Settings::quick()
    };
    let report = run(&settings, &|_, _| {}).unwrap();
    let json = report.json();
    let beside = |work: &str| {
        let cells = json["cells"].as_array().unwrap();
        let named = |cell: &&Value| cell["work"].as_str().unwrap().ends_with(work);
        let cell = cells.iter().filter(named).find(|cell| cell["target"] == "annals").unwrap();
        assert!(cell["ratios"]["plain"].as_f64().unwrap() > 0.0, "{cell}");
        cell["beside_per_second"].as_f64()
    };
    for served in ["1 busy subscriber", "2 busy subscribers", "20 busy subscribers", "4 readers"] {
        assert!(beside(served).unwrap() > 0.0, "{served}");
    }
    for served in ["10 idle subscribers", "250 idle subscribers", "filled store", "none_since"] {
        assert_eq!(beside(served), None, "{served}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_request_asks_for_what_its_client_knows() {
    let templates = Templates::new(Shape::Smallest).unwrap();
    let mut requests = Requests::new(&templates, 3);
    let condition = |requests: &mut Requests<'_>, condition| {
        let request = AppendEventsRequest::decode(requests.next(2, condition)).unwrap();
        let streams = request.events.iter().map(|event| Event::decode(event.clone()).unwrap().stream);
        let mut streams: Vec<String> = streams.collect();
        let stream = streams.remove(0);
        assert_eq!(streams, std::slice::from_ref(&stream));
        (stream, request.conditions.into_iter().next().and_then(|condition| condition.condition))
    };
    assert_eq!(condition(&mut requests, Condition::Nothing), ("bench/3/0".to_owned(), None));
    requests.answered(17);
    let (stream, found) = condition(&mut requests, Condition::NoneSince);
    let Some(Kind::NoneSince(fence)) = found else { panic!("{found:?}") };
    assert_eq!((fence.after_position, fence.filter.unwrap().streams), (17, vec![stream]));
    for _ in 2..STREAMS {
        requests.next(2, Condition::Nothing);
    }
    // The first stream again, which has the two events of the first request.
    let (stream, found) = condition(&mut requests, Condition::Stream);
    let expected = StreamCondition { name: "bench/3/0".to_owned(), expected: Some(Expected::Revision(2)) };
    assert_eq!((stream, found), (expected.name.clone(), Some(Kind::Stream(expected))));
}

#[test]
fn an_answer_counts_only_if_it_is_whole_and_new() {
    let event = AppendedEvent { id: "x".to_owned(), ..AppendedEvent::default() };
    let answer = |events: usize, replayed| AppendEventsResponse {
        first_position: 5,
        last_position: 6,
        events: vec![event.clone(); events],
        replayed,
    };
    let of_call = |events, replayed| answer::of_call(answer(events, replayed).encode_to_vec().into(), 2);
    assert_eq!(of_call(2, false).unwrap(), 6);
    assert!(matches!(of_call(1, false), Err(BenchError::Answer { expected: 2, got: 1, .. })));
    assert!(of_call(2, true).is_err());
    let streamed = |field: u8, message: Vec<u8>| {
        let length = u8::try_from(message.len()).unwrap();
        answer::of_stream([vec![field << 3 | 2, length], message].concat().into(), 2)
    };
    assert_eq!(streamed(1, answer(2, false).encode_to_vec()).unwrap(), 6);
    assert!(streamed(1, answer(1, false).encode_to_vec()).is_err());
    // google.rpc.Status, code 9, no message.
    let refused = streamed(2, vec![1 << 3, 9]);
    assert!(matches!(refused, Err(BenchError::Call(status)) if status.code() == Code::FailedPrecondition));
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
        subscribers: Subscribers { busy: vec![2], idle: vec![10] },
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
    // Seven ways to append, two kinds of subscribers beside one, deliveries and reads, of both shapes.
    assert_eq!(report.loads.len(), 2 * (7 + 2 + 2), "{}", report.loads_table());
    for row in &report.loads {
        assert!(row.empty.events > 0 && row.full.events > 0 && row.ratio() > 0.0, "{row:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
