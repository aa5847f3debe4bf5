use std::collections::HashMap;

use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::*;
use crate::cli::exit::Exit;

fn batch(ids: &[&str]) -> Batch {
    let events = ids.iter().map(|id| Event { id: (*id).to_owned(), ..Event::default() }).collect();
    let lines = (1..).step_by(10).take(ids.len()).collect();
    Batch { file: "f.jsonl".into(), events, lines }
}

fn refusal(code: Code, reason: ErrorReason, facts: &[(&str, &str)]) -> Status {
    let mut details = ErrorDetails::new();
    let facts: HashMap<String, String> =
        facts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    details.set_error_info(reason.as_str_name(), "annals.v1", facts);
    Status::with_error_details(code, "refused", details)
}

/// A log that knows, for each id, which request recorded it.
#[derive(Default)]
struct Fake {
    requests: Vec<Vec<String>>,
    calls: usize,
}

impl Fake {
    fn append(&mut self, events: &[Event]) -> Result<AppendEventsResponse, Status> {
        self.calls += 1;
        let ids: Vec<_> = events.iter().map(|event| event.id.clone()).collect();
        let known = |id: &String| self.requests.iter().any(|request| request.contains(id));
        if self.requests.contains(&ids) {
            return Ok(AppendEventsResponse { replayed: true, ..AppendEventsResponse::default() });
        }
        let missing = ids.iter().filter(|id| !known(id)).count();
        if missing < ids.len() {
            let facts = [("missing", missing.to_string())];
            let facts = facts.each_ref().map(|(key, value)| (*key, value.as_str()));
            return Err(refusal(Code::AlreadyExists, ErrorReason::PartialReplay, &facts));
        }
        self.requests.push(ids);
        Ok(AppendEventsResponse::default())
    }

    fn recorded(&self) -> Vec<&str> {
        self.requests.iter().flatten().map(String::as_str).collect()
    }
}

#[tokio::test]
async fn a_second_import_adds_nothing() {
    let (mut fake, mut totals) = (Fake::default(), Totals::default());
    let mut append = async |events: Vec<Event>| fake.append(&events);
    send(&batch(&["a", "b", "c"]), &mut append, &mut totals).await.unwrap();
    assert_eq!(totals, Totals { added: 3, replayed: 0 });
    send(&batch(&["a", "b", "c"]), &mut append, &mut totals).await.unwrap();
    assert_eq!(totals, Totals { added: 3, replayed: 3 });
    assert_eq!(totals.to_string(), "6 read, 3 added, 3 already there");
    assert_eq!(fake.calls, 2);
}

#[tokio::test]
async fn a_batch_that_is_partly_recorded_is_halved_in_order() {
    let (mut fake, mut totals) = (Fake::default(), Totals::default());
    let mut append = async |events: Vec<Event>| fake.append(&events);
    send(&batch(&["c"]), &mut append, &mut totals).await.unwrap();
    send(&batch(&["a", "b", "c", "d", "e"]), &mut append, &mut totals).await.unwrap();
    assert_eq!(totals, Totals { added: 5, replayed: 1 });
    assert_eq!(fake.recorded(), ["c", "a", "b", "d", "e"]);
}

#[tokio::test]
async fn events_recorded_by_other_requests_are_there() {
    let (mut fake, mut totals) = (Fake::default(), Totals::default());
    let mut append = async |events: Vec<Event>| fake.append(&events);
    send(&batch(&["a", "b", "c"]), &mut append, &mut totals).await.unwrap();
    send(&batch(&["b", "c"]), &mut append, &mut totals).await.unwrap();
    send(&batch(&["c"]), &mut append, &mut totals).await.unwrap();
    send(&batch(&["b", "c", "d"]), &mut append, &mut totals).await.unwrap();
    assert_eq!(totals, Totals { added: 4, replayed: 5 });
    assert_eq!(fake.recorded(), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let mut fake = Fake::default();
    let mut calls = 0;
    let mut append = async |events: Vec<Event>| {
        calls += 1;
        if calls < 3 {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(Duration::from_millis(1)));
            return Err(Status::with_error_details(Code::ResourceExhausted, "full", details));
        }
        fake.append(&events)
    };
    let mut totals = Totals::default();
    send(&batch(&["a"]), &mut append, &mut totals).await.unwrap();
    assert_eq!((totals.added, calls), (1, 3));
}

#[tokio::test]
async fn a_full_disk_is_not_asked_again() {
    let mut calls = 0;
    let mut append = async |_: Vec<Event>| {
        calls += 1;
        Err(refusal(Code::ResourceExhausted, ErrorReason::DiskFull, &[]))
    };
    let failure = send(&batch(&["a"]), &mut append, &mut Totals::default()).await.unwrap_err();
    assert_eq!((failure.exit(), calls), (Exit::Temporary, 1));
}

#[tokio::test]
async fn wrong_fields_are_told_by_line() {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation("events[1].valid_time.edtf", "no date");
    details.add_bad_request_violation("events[2]", "too large");
    details.add_bad_request_violation("events", "too many");
    let error = Status::with_error_details(Code::InvalidArgument, "wrong", details);
    let mut append = async |_: Vec<Event>| Err(error.clone());
    let failure = send(&batch(&["a", "b", "c"]), &mut append, &mut Totals::default()).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Data);
    let text = failure.to_string();
    assert!(
        text.contains(
            "\n  f.jsonl:11: valid_time.edtf: no date\n  f.jsonl:21: too large\n  events: too many"
        ),
        "{text}"
    );
}

#[test]
fn places_count_from_the_part_that_was_sent() {
    fn check(reason: ErrorReason, facts: &[(&str, &str)], first: usize, expected: &str) {
        let failure = batch(&["a", "b", "c"]).failure(&refusal(Code::InvalidArgument, reason, facts), first);
        assert!(failure.to_string().contains(expected), "{failure}");
    }
    check(ErrorReason::EventTooLarge, &[("index", "1")], 0, "at f.jsonl:11");
    check(ErrorReason::EventTooLarge, &[("index", "1")], 1, "at f.jsonl:21");
    check(ErrorReason::EventIdReused, &[("event_id", "c")], 1, "at f.jsonl:21");
    check(
        ErrorReason::LinkTargetUnknown,
        &[("field", "events[0].links[0]")],
        1,
        "field: f.jsonl:11: links[0]",
    );
}
