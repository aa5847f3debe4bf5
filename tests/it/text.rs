//! Full-text search over gRPC.

use annals::pb;
use serde_json::{Value, json};
use tonic::Code;

use crate::events::{self, simple, with};
use crate::harness::{Said, Server, append};

async fn titles(server: &Server, question: &Value) -> Vec<String> {
    let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", question);
    let page = server.timeline().await.list_entries(request).await.unwrap().into_inner();
    page.entries.into_iter().map(|entry| entry.decoded().unwrap().title).collect()
}

fn text(words: &str) -> Value {
    json!({"filter": {"text": words}})
}

#[tokio::test]
async fn words_of_the_article_are_found_whatever_their_case_and_marks() {
    let server = Server::start();
    server.import_article();
    assert_eq!(titles(&server, &text("TASKFORCE")).await, ["Joint migration taskforce created"]);
    assert_eq!(
        titles(&server, &text("\"migration taskforce\"")).await,
        ["Joint migration taskforce created"]
    );
    assert_eq!(titles(&server, &text("\"taskforce migration\"")).await, Vec::<String>::new());
    // The name of someone who is met stands in the visit.
    let rama = titles(&server, &text("räma")).await;
    assert!(rama.iter().any(|title| title == "Foreign Secretary to visit Tirana"), "{rama:?}");
    // With another field of the filter, and with a facet.
    let kinds = json!({"filter": {"text": "taskforce", "kinds": ["STATEMENT"]}});
    assert_eq!(titles(&server, &kinds).await, Vec::<String>::new());
    let counted: pb::CountEntriesRequest =
        events::message("annals.v1.CountEntriesRequest", &with(text("task*"), "facet", json!("KIND")));
    let counts = server.timeline().await.count_entries(counted).await.unwrap().into_inner();
    let groups: Vec<(&str, i64)> =
        counts.groups.iter().map(|group| (group.key.as_str(), group.count)).collect();
    assert_eq!(groups, [("AGREEMENT", 1)]);
    // As known before the article, there is no taskforce.
    let before = with(text("taskforce"), "scope", json!({"knownAt": "2023-06-01T00:00:00Z"}));
    assert_eq!(titles(&server, &before).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_acknowledged_event_is_found_and_the_order_of_relevance_stays() {
    let server = Server::start();
    let mut log = server.log().await;
    let first =
        [("a/1", "Bridge opened"), ("a/2", "Bridge on the river: the bridge closed"), ("a/3", "River")];
    for (stream, title) in first {
        append(&mut log, &[simple(stream, title)]).await.unwrap();
        assert!(titles(&server, &text(title)).await.contains(&title.to_owned()), "found at once");
    }
    let ranked = with(text("bridge"), "order", json!("RELEVANCE"));
    let best = ["Bridge on the river: the bridge closed", "Bridge opened"];
    assert_eq!(titles(&server, &ranked).await, best);
    let request: pb::ListEntriesRequest = events::message(
        "annals.v1.ListEntriesRequest",
        &with(ranked.clone(), "scope", json!({"asOfPosition": "3"})),
    );
    let before = server.timeline().await.list_entries(request.clone()).await.unwrap().into_inner();
    assert!(before.entries[0].relevance > before.entries[1].relevance);
    for number in 0..50 {
        append(&mut log, &[simple(&format!("b/{number}"), &format!("Bridge number {number}"))])
            .await
            .unwrap();
    }
    let after = server.timeline().await.list_entries(request).await.unwrap().into_inner();
    assert_eq!(before, after, "scores are those of the snapshot");
    let read: pb::ReadEventsRequest =
        events::message("annals.v1.ReadEventsRequest", &json!({"filter": {"text": "\"number 4*\""}}));
    let mut stream = log.read_events(read).await.unwrap().into_inner();
    let mut found = 0;
    while let Some(part) = stream.message().await.unwrap() {
        if let Some(pb::read_events_response::Content::Events(batch)) = part.content {
            found += batch.events.len();
        }
    }
    assert_eq!(found, 11, "4 and 40 to 49");
}

#[tokio::test]
async fn bad_questions_for_words_are_refused_by_field() {
    let server = Server::start();
    for (question, field) in [
        (json!({"filter": {"text": "\"open"}}), "filter.text"),
        (json!({"filter": {"text": "***"}}), "filter.text"),
        (json!({"filter": {"not": {"text": "***"}}}), "filter.not.text"),
        (json!({"order": "RELEVANCE"}), "order"),
    ] {
        let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", &question);
        let said = Said::of(&server.timeline().await.list_entries(request).await.unwrap_err());
        assert_eq!(
            (said.code, said.fields().contains(&field.to_owned())),
            (Code::InvalidArgument, true),
            "{question}: {said:?}"
        );
    }
}

// The closing of connections must not wait for the test.
#[tokio::test(flavor = "multi_thread")]
async fn the_text_index_may_be_deleted_and_is_built_again() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut server = Server::start_in(&data, "");
    server.import_article();
    assert_eq!(titles(&server, &text("taskforce")).await.len(), 1);
    assert!(data.join("words").exists());
    server.stop();
    std::fs::remove_dir_all(data.join("words")).unwrap();
    let server = Server::start_in(&data, "");
    assert_eq!(titles(&server, &text("taskforce")).await.len(), 1);
}
