//! Differences between two states of knowledge over gRPC: what changed, and which event and source say so.

use annals::pb;
use annals::pb::difference_cause::Axis;
use annals::pb::entry_difference::Change;
use annals::pb::timeline_service_client::TimelineServiceClient;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{self, id, simple, with};
use crate::harness::{Said, Server, append};

type Client = TimelineServiceClient<Channel>;

/// The first figure of Albanian arrivals in 2022, and its revision.
const FIRST: &str = "018f9ee2-9300-7064-8061-6e6e616c7364";
const REVISED: &str = "018f9ee2-9300-7065-8061-6e6e616c7365";
/// The reading that 26,000 were removed under the returns agreement.
const REMOVALS: &str = "018f9ee2-9300-700f-8061-6e6e616c730f";

async fn diff(client: &mut Client, question: &Value) -> pb::DiffEntriesResponse {
    let request: pb::DiffEntriesRequest = events::message("annals.v1.DiffEntriesRequest", question);
    client.diff_entries(request).await.unwrap().into_inner()
}

async fn refused(client: &mut Client, question: &Value) -> Said {
    let request: pb::DiffEntriesRequest = events::message("annals.v1.DiffEntriesRequest", question);
    Said::of(&client.diff_entries(request).await.unwrap_err())
}

fn counts(found: &pb::DiffEntriesResponse) -> (i64, i64, i64) {
    (found.added_count, found.changed_count, found.withdrawn_count)
}

fn event(entry: Option<&pb::Entry>) -> pb::Event {
    entry.unwrap().decoded().unwrap()
}

fn value(entry: Option<&pb::Entry>) -> String {
    match event(entry).payload.unwrap() {
        pb::event::Payload::StatisticalRelease(release) => {
            release.observations[0].value.as_ref().unwrap().value.clone()
        }
        other => panic!("{other:?}"),
    }
}

/// Two moments of known time, with the log as it is.
fn known(filter: Value, before: &str, after: &str) -> Value {
    json!({"filter": filter, "before": {"knownAt": before}, "after": {"knownAt": after}})
}

#[tokio::test]
async fn the_figure_for_2022_changed_because_the_office_published_anew() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let filter = json!({"streamPrefixes": ["series/gb-home-office/small-boat-arrivals/AL"]});
    let question = known(filter.clone(), "2023-07-01T00:00:00Z", "2023-09-01T00:00:00Z");
    let found = diff(&mut client, &question).await;
    assert_eq!((counts(&found), found.differences.len()), ((0, 1, 0), 1));
    assert_eq!((found.snapshot, found.before_snapshot), (22, 22));
    let difference = &found.differences[0];
    assert_eq!(difference.change(), Change::Changed);
    assert_eq!([value(difference.before.as_ref()), value(difference.after.as_ref())], ["12301", "12658"]);
    let [cause] = &difference.causes[..] else { panic!("{:?}", difference.causes) };
    assert_eq!((cause.event_id.as_str(), cause.linked_event_id.as_str()), (REVISED, FIRST));
    assert_eq!((cause.r#type(), cause.axis(), cause.left), (pb::LinkType::Supersedes, Axis::Known, false));
    assert_eq!(cause.source_ids, ["source:ho-irregular-migration-2023-08-24"]);
    assert_eq!(cause.known_at.unwrap().seconds, 1_692_835_200, "2023-08-24");
    assert_eq!(difference.omitted_cause_count, 0);

    // Asked the other way round, the same event is what no longer counts.
    let back = known(filter.clone(), "2023-09-01T00:00:00Z", "2023-07-01T00:00:00Z");
    let found = diff(&mut client, &back).await;
    let difference = &found.differences[0];
    assert_eq!([value(difference.before.as_ref()), value(difference.after.as_ref())], ["12658", "12301"]);
    assert_eq!(difference.causes.len(), 1);
    assert_eq!((difference.causes[0].event_id.as_str(), difference.causes[0].left), (REVISED, true));

    // Before its day, and within one state, nothing differs.
    for (before, after) in [
        ("2023-07-01T00:00:00Z", "2023-08-23T23:59:59Z"),
        ("2023-08-24T00:00:00Z", "2023-12-31T00:00:00Z"),
        ("2023-09-01T00:00:00Z", "2023-09-01T00:00:00Z"),
    ] {
        let found = diff(&mut client, &known(filter.clone(), before, after)).await;
        assert_eq!((counts(&found), found.differences.len()), ((0, 0, 0), 0), "{before} {after}");
    }
}

#[tokio::test]
async fn what_the_article_added_between_two_days() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let filter = json!({"allEntityIds": ["country:GB", "country:AL"]});
    let mut question = known(filter, "2023-07-01T00:00:00Z", "2024-05-23T23:59:59Z");
    question["valid"] = json!({"from": "2022", "to": "2025"});
    let whole = diff(&mut client, &question).await;
    assert_eq!(counts(&whole), (10, 0, 0));
    for difference in &whole.differences {
        assert_eq!((difference.change(), &difference.before), (Change::Added, &None));
        let [cause] = &difference.causes[..] else { panic!("{difference:?}") };
        assert_eq!(cause.event_id, event(difference.after.as_ref()).id);
        assert_eq!((cause.r#type, cause.linked_event_id.as_str(), cause.axis()), (0, "", Axis::Known));
        assert_eq!(cause.source_ids, ["source:independent-cameron-albania"]);
    }
    // Page by page it is the same, with the same counts on each.
    for size in [1, 3, 10, 11] {
        let (mut differences, mut token) = (Vec::new(), String::new());
        loop {
            let page = with(with(question.clone(), "pageSize", json!(size)), "pageToken", json!(token));
            let page = diff(&mut client, &page).await;
            assert_eq!((counts(&page), page.snapshot), (counts(&whole), whole.snapshot));
            assert!(page.differences.len() <= size);
            differences.extend(page.differences);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(differences, whole.differences, "pages of {size}");
    }
}

#[tokio::test]
async fn a_reading_that_is_withdrawn_is_told_with_who_withdrew_it() {
    let server = Server::start();
    server.import_article();
    let mut log = server.log().await;
    let mut client = server.timeline().await;
    let withdrawal = with(simple("notes", "Not all under the returns agreement"), "id", json!(id(1)));
    let sources = json!([{"id": "source:recorder", "type": "REPORT"}]);
    let withdrawal = with(withdrawal, "sources", sources);
    let links = json!([{"type": "RETRACTS", "eventId": REMOVALS}]);
    append(&mut log, &[with(withdrawal, "links", links)]).await.unwrap();
    let found = diff(&mut client, &json!({"before": {"asOfPosition": "22"}})).await;
    assert_eq!((counts(&found), found.before_snapshot, found.snapshot), ((0, 0, 1), 22, 23));
    let difference = &found.differences[0];
    assert_eq!(
        (difference.change(), event(difference.before.as_ref()).id.as_str()),
        (Change::Withdrawn, REMOVALS)
    );
    let [cause] = &difference.causes[..] else { panic!("{difference:?}") };
    assert_eq!((cause.event_id.as_str(), cause.linked_event_id.as_str()), (&*id(1), REMOVALS));
    assert_eq!((cause.r#type(), cause.axis(), cause.left), (pb::LinkType::Retracts, Axis::Recorded, false));
    assert_eq!(cause.source_ids, ["source:recorder"]);
}

#[tokio::test]
async fn known_late_and_recorded_late_are_told_apart() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = server.timeline().await;
    let event = |number: u64, known: &str| {
        let event = with(simple("s", &number.to_string()), "id", json!(id(number)));
        with(event, "knownAt", json!(format!("{known}T00:00:00Z")))
    };
    // The second was known first, and recorded last.
    append(&mut log, &[event(1, "2024-01-01")]).await.unwrap();
    append(&mut log, &[event(2, "2020-01-01")]).await.unwrap();
    let axes = async |client: &mut Client, before: Value, after: Value| {
        let found = diff(client, &json!({"before": before, "after": after})).await;
        let told = found.differences.iter().map(|difference| {
            let [cause] = &difference.causes[..] else { panic!("{difference:?}") };
            (cause.position, cause.axis(), difference.change())
        });
        told.collect::<Vec<_>>()
    };
    let scope = |position: u64, known: &str| json!({"asOfPosition": position.to_string(), "knownAt": format!("{known}T12:00:00Z")});
    let (early, late) = ("2021-01-01", "2025-01-01");
    let found = axes(&mut client, scope(2, early), scope(2, late)).await;
    assert_eq!(found, [(1, Axis::Known, Change::Added)]);
    let found = axes(&mut client, scope(1, late), scope(2, late)).await;
    assert_eq!(found, [(2, Axis::Recorded, Change::Added)]);
    // One came, the other went.
    let found = axes(&mut client, scope(1, late), scope(2, early)).await;
    assert_eq!(found, [(1, Axis::Known, Change::Withdrawn), (2, Axis::Recorded, Change::Added)]);
    let found = axes(&mut client, scope(1, "2019-01-01"), scope(2, early)).await;
    assert_eq!(found, [(2, Axis::Both, Change::Added)]);
}

#[tokio::test]
async fn a_correction_moves_an_entry_into_the_filter_and_out_of_it() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = server.timeline().await;
    let tagged = |number: u64, tag: &str| {
        let event = with(simple("s", "an entry"), "id", json!(id(number)));
        with(event, "tags", json!([tag]))
    };
    append(&mut log, &[tagged(1, "red")]).await.unwrap();
    let links = json!([{"type": "CORRECTS", "eventId": id(1)}]);
    append(&mut log, &[with(tagged(2, "blue"), "links", links)]).await.unwrap();
    for (tag, expected) in [("red", (0, 0, 1)), ("blue", (1, 0, 0)), ("green", (0, 0, 0))] {
        let question = json!({"filter": {"tags": [tag]}, "before": {"asOfPosition": "1"}});
        assert_eq!(counts(&diff(&mut client, &question).await), expected, "{tag}");
    }
    let both = diff(&mut client, &json!({"before": {"asOfPosition": "1"}})).await;
    assert_eq!(counts(&both), (0, 1, 0));
}

#[tokio::test]
async fn bad_comparisons_name_every_field() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let question = json!({
        "filter": {"timelines": ["No Such Id"]},
        "valid": {"from": "2024-13"},
        "pageSize": -1,
    });
    let said = refused(&mut client, &question).await;
    assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert_eq!(said.fields(), ["filter.timelines[0]", "valid.from", "page_size"]);
    for side in ["before", "after"] {
        let said = refused(&mut client, &json!({side: {"asOfPosition": "23"}})).await;
        assert_eq!(said.reason, "POSITION_BEYOND_HEAD", "{side}");
    }
    let question = known(json!({}), "2023-07-01T00:00:00Z", "2024-06-01T00:00:00Z");
    let question = with(question, "pageSize", json!(2));
    let token = diff(&mut client, &question).await.next_page_token;
    let other = with(question, "before", json!({"knownAt": "2023-07-02T00:00:00Z"}));
    let said = refused(&mut client, &with(other, "pageToken", json!(token))).await;
    assert_eq!((said.reason.as_str(), said.fields()), ("PAGE_TOKEN_INVALID", vec!["page_token".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_tells_what_changed_and_who_says_so() {
    let server = Server::start();
    server.import_article();
    let url = server.url();
    let diff = ["diff", "--server", &url, "--stream-prefix", "series/gb-home-office/small-boat-arrivals/AL"];
    let states = ["--from-known-at", "2023-07-01", "--to-known-at", "2023-09-01"];
    let run = |more: &[&str]| {
        let output = crate::harness::annals(&[&diff[..], &states[..], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run(&[]);
    for expected in
        ["12,301", "12,658", "SUPERSEDES at position 2", "source:ho-irregular-migration-2023-08-24"]
    {
        assert!(said.contains(expected), "{said}");
    }
    assert!(said.contains("0 added, 1 changed, 0 withdrawn as of position 22"), "{said}");
    let said: Value = serde_json::from_str(run(&["--json"]).trim()).unwrap();
    assert_eq!(
        (said["change"].as_str(), said["causes"][0]["eventId"].as_str()),
        (Some("CHANGED"), Some(REVISED))
    );
}
