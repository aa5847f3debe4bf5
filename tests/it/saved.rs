//! Saved timelines over gRPC: their life with its history, and their place wherever a filter is.

use annals::pb;
use annals::pb::funding_service_client::FundingServiceClient;
use annals::pb::subscribe_events_response::Content;
use annals::pb::timeline_service_client::TimelineServiceClient;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{self, id, simple, with};
use crate::harness::{SOON, Said, Server, append};

type Client = TimelineServiceClient<Channel>;

/// Asks one question, written as grpcurl would; gives the answer or what the refusal says.
macro_rules! ask {
    ($client:expr, $method:ident, $request:ident, $question:expr) => {{
        let request: pb::$request = events::message(concat!("annals.v1.", stringify!($request)), &$question);
        $client.$method(request).await.map(tonic::Response::into_inner).map_err(|status| Said::of(&status))
    }};
}

fn timeline(name: &str, filter: Value) -> Value {
    json!({"id": name, "title": format!("All of {name}"), "filter": filter})
}

async fn create(client: &mut Client, timeline: Value) -> pb::Timeline {
    let made = ask!(client, create_timeline, CreateTimelineRequest, json!({"timeline": timeline}));
    made.unwrap().timeline.unwrap()
}

async fn titles(client: &mut Client, question: Value) -> Vec<String> {
    let page = ask!(client, list_entries, ListEntriesRequest, question).unwrap();
    page.entries.into_iter().map(|entry| entry.decoded().unwrap().title).collect()
}

fn tagged(title: &str, tag: &str) -> Value {
    with(simple("s", title), "tags", json!([tag]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_lives_and_its_history_stays() {
    let mut server = Server::start();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    append(&mut log, &[tagged("red", "red"), tagged("blue", "blue")]).await.unwrap();
    let made = create(&mut client, timeline("mine", json!({"tags": ["red"]}))).await;
    assert_eq!((made.revision, made.position), (1, 3));
    let changed = json!({"timeline": timeline("mine", json!({"tags": ["blue"]})), "expectedRevision": "1"});
    let changed = ask!(client, update_timeline, UpdateTimelineRequest, changed).unwrap().timeline.unwrap();
    assert_eq!((changed.revision, changed.position), (2, 4));
    let deleted = json!({"timelineId": "mine", "expectedRevision": "2"});
    let deleted = ask!(client, delete_timeline, DeleteTimelineRequest, deleted).unwrap();
    assert_eq!((deleted.revision, deleted.position), (3, 5));
    // A name is free again when its timeline is deleted; the revisions go on.
    let again = create(&mut client, timeline("mine", json!({"tags": ["red", "blue"]}))).await;
    assert_eq!((again.revision, again.position), (4, 6));

    for restarted in [false, true] {
        if restarted {
            server = server.restart();
            client = server.timeline().await;
            log = server.log().await;
        }
        for (position, expected) in
            [("3", Some(&made)), ("4", Some(&changed)), ("5", None), ("6", Some(&again))]
        {
            let scope = json!({"asOfPosition": position});
            let got = json!({"timelineId": "mine", "scope": scope});
            let got = ask!(client, get_timeline, GetTimelineRequest, got);
            let listed = json!({"scope": scope});
            let listed = ask!(client, list_timelines, ListTimelinesRequest, listed).unwrap().timelines;
            match expected {
                Some(expected) => {
                    assert_eq!(got.unwrap().timeline.as_ref(), Some(expected), "as of {position}");
                    assert_eq!(listed, std::slice::from_ref(expected), "as of {position}");
                }
                None => {
                    let said = got.unwrap_err();
                    assert_eq!((said.code, said.reason.as_str()), (Code::NotFound, "TIMELINE_NOT_FOUND"));
                    assert_eq!(listed, []);
                }
            }
        }
        // A question as of an earlier position means the definition of that position.
        let by =
            |position: &str| json!({"filter": {"timelines": ["mine"]}, "scope": {"asOfPosition": position}});
        assert_eq!(titles(&mut client, by("3")).await, ["red"]);
        assert_eq!(titles(&mut client, by("4")).await, ["blue"]);
        assert_eq!(titles(&mut client, by("6")).await, ["red", "blue"]);
        let said = ask!(client, list_entries, ListEntriesRequest, by("5")).unwrap_err();
        assert_eq!((said.code, said.reason.as_str()), (Code::NotFound, "TIMELINE_NOT_FOUND"));
    }
    // They are events, in a stream that the server alone writes.
    let question = json!({"filter": {"streams": ["$timelines/mine"]}});
    let mut read = ask!(log, read_events, ReadEventsRequest, question).unwrap();
    let mut found = Vec::new();
    while let Some(message) = read.message().await.unwrap() {
        if let Some(pb::read_events_response::Content::Events(batch)) = message.content {
            found.extend(batch.decoded().unwrap().into_iter().map(|event| event.title));
        }
    }
    let [created, updated] = ["A timeline was created", "A timeline was updated"];
    assert_eq!(found, [created, updated, "A timeline was deleted", created]);
    let said = append(&mut log, &[simple("$timelines/mine", "not by a client")]).await.unwrap_err();
    assert_eq!(Said::of(&said).fields(), ["events[0].stream"]);
}

#[tokio::test]
async fn a_timeline_stands_wherever_a_filter_does() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    let filter = json!({"allEntityIds": ["country:GB", "country:AL"]});
    let valid = json!({"from": "2022", "to": "2025"});
    create(&mut client, with(timeline("gb-al", filter.clone()), "valid", valid.clone())).await;
    let named = json!({"timelines": ["gb-al"]});
    let plain = json!({"filter": filter, "valid": valid});
    let saved = json!({"filter": named});

    let expected = titles(&mut client, plain.clone()).await;
    assert_eq!(expected.len(), 10);
    assert_eq!(titles(&mut client, saved.clone()).await, expected);
    let (one, other) =
        (with(plain.clone(), "facet", json!("KIND")), with(saved.clone(), "facet", json!("KIND")));
    assert_eq!(
        ask!(client, count_entries, CountEntriesRequest, one).unwrap(),
        ask!(client, count_entries, CountEntriesRequest, other).unwrap()
    );
    let known = json!({"knownAt": "2023-07-01T00:00:00Z"});
    let [one, other] = [plain, saved.clone()].map(|question| with(question, "before", known.clone()));
    let differences = ask!(client, diff_entries, DiffEntriesRequest, other).unwrap();
    let plainly = ask!(client, diff_entries, DiffEntriesRequest, one).unwrap();
    // A saved window chooses entries. How sure they lie in a window is said of the window of the request alone.
    let told = |found: &pb::DiffEntriesResponse| {
        let causes =
            found.differences.iter().map(|difference| (difference.change, difference.causes.clone()));
        causes.collect::<Vec<_>>()
    };
    assert_eq!(told(&differences), told(&plainly));
    assert_eq!(differences.added_count, 10);

    let mut funding = FundingServiceClient::new(server.channel().await);
    let sums = ask!(funding, summarize_funding, SummarizeFundingRequest, saved.clone()).unwrap();
    let plain = json!({"filter": {"allEntityIds": ["country:GB", "country:AL"]}, "valid": {"from": "2022", "to": "2025"}});
    assert_eq!(sums, ask!(funding, summarize_funding, SummarizeFundingRequest, plain).unwrap());

    let mut read = ask!(log, read_events, ReadEventsRequest, saved.clone()).unwrap();
    let mut count = 0;
    while let Some(message) = read.message().await.unwrap() {
        if let Some(pb::read_events_response::Content::Events(batch)) = message.content {
            count += batch.events.len();
        }
    }
    assert_eq!(count, 10);
    let mut stream = ask!(log, subscribe_events, SubscribeEventsRequest, saved.clone()).unwrap();
    let mut count = 0;
    loop {
        let message = tokio::time::timeout(SOON, stream.message()).await.expect("in time");
        match message.unwrap().unwrap().content.unwrap() {
            Content::Events(batch) => count += batch.events.len(),
            Content::CaughtUp(_) => break,
            _ => {}
        }
    }
    assert_eq!(count, 10);
    // It narrows together with other fields, and it may be what is left out.
    let narrowed = json!({"filter": {"timelines": ["gb-al"], "kinds": ["FUNDING_TRANSFER"]}});
    assert_eq!(titles(&mut client, narrowed).await.len(), 2);
    let left_out = json!({"filter": {"not": {"timelines": ["gb-al"]}, "kinds": ["FUNDING_TRANSFER"]}});
    assert_eq!(titles(&mut client, left_out).await.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_saved_or_named_is_refused() {
    let server = Server::start();
    let mut client = server.timeline().await;
    create(&mut client, timeline("one", json!({"tags": ["red"]}))).await;
    let head = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;

    // No timeline names another, itself included: there is nothing that could go in circles.
    for name in ["one", "other", "new"] {
        let nested = json!({"timeline": timeline("new", json!({"timelines": [name]}))});
        let said = ask!(client, create_timeline, CreateTimelineRequest, nested).unwrap_err();
        assert_eq!(
            (said.code, said.fields()),
            (Code::InvalidArgument, vec!["timeline.filter.timelines".to_owned()])
        );
    }
    let nested = json!({"timeline": timeline("one", json!({"not": {"timelines": ["one"]}}))});
    let said = ask!(client, update_timeline, UpdateTimelineRequest, nested).unwrap_err();
    assert_eq!(said.fields(), ["timeline.filter.timelines"]);

    let bad = json!({"timeline": {"id": "A b", "filter": {"linkEventIds": ["x"]}, "valid": {"from": "2024-13"}},
        "requestId": "x"});
    let said = ask!(client, create_timeline, CreateTimelineRequest, bad).unwrap_err();
    assert_eq!(said.reason, "FIELD_INVALID");
    let expected = [
        "request_id",
        "timeline.id",
        "timeline.title",
        "timeline.filter.link_event_ids[0]",
        "timeline.valid.from",
    ];
    assert_eq!(said.fields(), expected);
    let said = ask!(client, create_timeline, CreateTimelineRequest, json!({})).unwrap_err();
    assert_eq!(said.fields(), ["timeline"]);

    let there = json!({"timeline": timeline("one", json!({}))});
    let said = ask!(client, create_timeline, CreateTimelineRequest, there).unwrap_err();
    assert_eq!(said.reason, "MATCH_EXISTS");
    let absent = json!({"timeline": timeline("none", json!({}))});
    let said = ask!(client, update_timeline, UpdateTimelineRequest, absent).unwrap_err();
    assert_eq!((said.code, said.reason.as_str()), (Code::NotFound, "TIMELINE_NOT_FOUND"));
    let absent = json!({"timelineId": "none"});
    let said = ask!(client, delete_timeline, DeleteTimelineRequest, absent).unwrap_err();
    assert_eq!(said.reason, "TIMELINE_NOT_FOUND");
    let stale = json!({"timeline": timeline("one", json!({})), "expectedRevision": "7"});
    let said = ask!(client, update_timeline, UpdateTimelineRequest, stale).unwrap_err();
    assert_eq!(said.reason, "CONDITION_FAILED");
    for question in
        [json!({"filter": {"timelines": ["none"]}}), json!({"filter": {"not": {"timelines": ["none"]}}})]
    {
        let said = ask!(client, list_entries, ListEntriesRequest, question).unwrap_err();
        assert_eq!((said.code, said.reason.as_str()), (Code::NotFound, "TIMELINE_NOT_FOUND"));
    }
    let after = server.log().await.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;
    assert_eq!(after, head, "what was refused wrote nothing");
}

#[tokio::test]
async fn a_repeated_request_is_carried_out_once() {
    let server = Server::start();
    let mut client = server.timeline().await;
    let request = json!({"timeline": timeline("one", json!({"tags": ["red"]})), "requestId": id(1)});
    let first = ask!(client, create_timeline, CreateTimelineRequest, request).unwrap();
    assert_eq!(ask!(client, create_timeline, CreateTimelineRequest, request).unwrap(), first);
    let other = json!({"timeline": timeline("two", json!({})), "requestId": id(1)});
    let said = ask!(client, create_timeline, CreateTimelineRequest, other).unwrap_err();
    assert_eq!(said.code, Code::AlreadyExists);
    for name in ["two", "three", "four"] {
        create(&mut client, timeline(name, json!({}))).await;
    }
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let question = json!({"pageSize": 1, "pageToken": token});
        let page = ask!(client, list_timelines, ListTimelinesRequest, question).unwrap();
        assert_eq!(page.snapshot, 4, "the first page pins the head");
        names.extend(page.timelines.into_iter().map(|timeline| timeline.id));
        create(&mut client, timeline(&format!("meanwhile-{}", names.len()), json!({}))).await;
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["four", "one", "three", "two"]);
}

#[test]
fn the_command_line_saves_shows_uses_and_deletes_timelines() {
    let server = Server::start();
    server.import_article();
    let ask = |arguments: &[&str]| {
        let url = server.url();
        let mut all = vec!["--server", &url];
        all.extend_from_slice(arguments);
        let output = crate::harness::annals(&all);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let made =
        ["timelines", "create", "gb-al", "--title", "UK and Albania", "--country", "AL", "--from", "2022"];
    let (done, shown) = ask(&made);
    assert!(done && shown.contains("gb-al: UK and Albania") && shown.contains("when 2022/.."), "{shown}");
    let (done, shown) = ask(&["count", "--timeline", "gb-al", "--kind", "visit"]);
    assert!(done && shown.starts_with("1 entry"), "{shown}");
    let (done, shown) =
        ask(&["timelines", "update", "gb-al", "--title", "Statements", "--kind", "statement"]);
    assert!(done && shown.contains(r#"filter {"kinds":["STATEMENT"]}"#), "{shown}");
    let (done, shown) = ask(&["timeline", "--timeline", "gb-al"]);
    assert!(done && shown.contains("4 entries"), "{shown}");
    let (done, shown) = ask(&["timelines", "list"]);
    assert!(done && shown.lines().count() == 2 && shown.contains("Statements"), "{shown}");
    let (done, shown) = ask(&["timelines", "get", "gb-al", "--as-of", "23"]);
    assert!(done && shown.contains("UK and Albania"), "{shown}");
    let (done, shown) = ask(&["timelines", "delete", "gb-al", "--expected-revision", "1"]);
    assert!(!done, "{shown}");
    let (done, shown) = ask(&["timelines", "delete", "gb-al"]);
    assert!(done && shown.contains("position 25"), "{shown}");
    let (done, shown) = ask(&["timeline", "--timeline", "gb-al"]);
    assert!(!done && shown.contains("TIMELINE_NOT_FOUND"), "{shown}");
    let (done, shown) = ask(&["timeline", "--text", "task*", "--order", "relevance"]);
    assert!(done && shown.contains("Joint migration taskforce created"), "{shown}");
}
