//! Timelines over gRPC: the article's known answers, pages, histories, counts.

use annals::pb;
use annals::pb::entry::Status;
use annals::pb::timeline_service_client::TimelineServiceClient;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{self, id, simple, with};
use crate::harness::{Said, Server, append};

type Client = TimelineServiceClient<Channel>;

async fn list(client: &mut Client, question: &Value) -> pb::ListEntriesResponse {
    let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", question);
    client.list_entries(request).await.unwrap().into_inner()
}

fn titles(page: &pb::ListEntriesResponse) -> Vec<String> {
    page.entries.iter().map(|entry| entry.decoded().unwrap().title).collect()
}

fn between() -> Value {
    json!({
        "filter": {"allEntityIds": ["country:GB", "country:AL"]},
        "valid": {"from": "2022-01-01", "to": "2025-01-01"},
    })
}

const UK_ALBANIA: [&str; 10] = [
    "GBP 4bn of UK export finance allocated for Albania",
    "Returns agreement in operation",
    "UK and Albania agree to work together on Channel crossings",
    "UK Border Force staff placed in Tirana airport",
    "Exchange of senior police officers",
    "Joint migration taskforce created",
    "GBP 1.6m of cameras and drones handed to Albania",
    "Foreign Secretary to visit Tirana",
    "Potential joint programme to train Albanian judges",
    "Announced support for reform of Albania's police force",
];

#[tokio::test]
async fn the_articles_timeline_differs_by_what_was_known() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let today = list(&mut client, &between()).await;
    assert_eq!(titles(&today), UK_ALBANIA);
    let earlier = with(between(), "scope", json!({"knownAt": "2023-06-01T00:00:00Z"}));
    assert_eq!(titles(&list(&mut client, &earlier).await), Vec::<&str>::new());

    // The figure for 2022, as it was first published and after its revision.
    let figure = |known: &str| {
        json!({
            "filter": {"seriesKeys": ["A.AL.SMALL_BOAT"], "sourceIds": [
                "source:ho-irregular-migration-2023-03-09", "source:ho-irregular-migration-2023-08-24"]},
            "valid": {"from": "2022", "to": "2023", "match": "MUST"},
            "scope": {"knownAt": known},
        })
    };
    for (known, expected) in [
        ("2023-03-08T00:00:00Z", vec![]),
        ("2023-06-01T00:00:00Z", vec!["12301"]),
        ("2023-08-23T23:59:59Z", vec!["12301"]),
        ("2023-08-24T00:00:00Z", vec!["12658"]),
        ("2026-01-01T00:00:00Z", vec!["12658"]),
    ] {
        let page = list(&mut client, &figure(known)).await;
        let values: Vec<String> = page.entries.iter().map(first_value).collect();
        assert_eq!(values, expected, "known at {known}");
    }
}

fn first_value(entry: &pb::Entry) -> String {
    match entry.decoded().unwrap().payload.as_ref().unwrap() {
        pb::event::Payload::StatisticalRelease(release) => {
            release.observations[0].value.as_ref().unwrap().value.clone()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_what_certainly_lies_within_is_a_must() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let mut question = between();
    question["valid"] = json!({"from": "2024", "to": "2025", "match": "MUST"});
    let page = list(&mut client, &question).await;
    assert_eq!(titles(&page), ["GBP 1.6m of cameras and drones handed to Albania"]);
    question["valid"]["match"] = json!("MAY");
    let page = list(&mut client, &question).await;
    assert_eq!(page.entries.len(), 10);
    let certain =
        page.entries.iter().filter(|entry| entry.r#match == i32::from(pb::valid_window::Match::Must));
    assert_eq!(certain.count(), 1);
}

#[tokio::test]
async fn pages_are_one_snapshot_whatever_is_appended_meanwhile() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let mut log = server.log().await;
    let whole = list(&mut client, &between()).await;
    assert_eq!(whole.next_page_token, "");
    for order in [
        "VALID_START",
        "VALID_START_DESCENDING",
        "KNOWN_AT",
        "KNOWN_AT_DESCENDING",
        "RECORDED",
        "RECORDED_DESCENDING",
    ] {
        let question = with(with(between(), "order", json!(order)), "pageSize", json!(3));
        let pinned = with(
            with(between(), "order", json!(order)),
            "scope",
            json!({"asOfPosition": whole.snapshot.to_string()}),
        );
        let one_page = list(&mut client, &pinned).await.entries;
        let question = with(question, "scope", json!({"asOfPosition": whole.snapshot.to_string()}));
        let mut entries = Vec::new();
        let mut token = String::new();
        loop {
            let page = list(&mut client, &with(question.clone(), "pageToken", json!(token))).await;
            assert_eq!(page.snapshot, whole.snapshot);
            entries.extend(page.entries);
            let gb_al = json!([
                {"entity": {"id": "country:GB"}, "role": "PARTY"}, {"entity": {"id": "country:AL"}, "role": "PARTY"}
            ]);
            let noise = with(simple("noise", "appended meanwhile"), "participants", gb_al);
            let corrects = json!([{"type": "CITES", "eventId": "018f9ee2-9300-7001-8061-6e6e616c7301"}]);
            append(&mut log, &[with(noise, "links", corrects)]).await.unwrap();
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(entries, one_page, "{order}");
    }
    // Without a pinned scope the first page pins the head, and the token carries it.
    let question = with(between(), "pageSize", json!(3));
    let first = list(&mut client, &question).await;
    append(&mut log, &[simple("noise", "more")]).await.unwrap();
    let second = list(&mut client, &with(question, "pageToken", json!(first.next_page_token))).await;
    assert_eq!(second.snapshot, first.snapshot);
}

#[tokio::test]
async fn a_page_token_is_bound_to_its_question_and_store() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let question = with(between(), "pageSize", json!(3));
    let token = list(&mut client, &question).await.next_page_token;
    let refuse = async |question: Value, client: &mut Client| {
        let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", &question);
        Said::of(&client.list_entries(request).await.unwrap_err())
    };
    let mut other = with(question.clone(), "pageToken", json!(token));
    other["filter"]["tags"] = json!(["migration"]);
    let damaged = with(question.clone(), "pageToken", json!(token.replace('0', "1")));
    let foreign = with(question.clone(), "pageToken", json!("not a token"));
    for bad in [other, damaged, foreign] {
        let said = refuse(bad, &mut client).await;
        assert_eq!((said.code, said.reason.as_str()), (Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
        assert_eq!(said.fields(), ["page_token"]);
    }
    let elsewhere = Server::start();
    elsewhere.import_article();
    let mut client = elsewhere.timeline().await;
    let said = refuse(with(question, "pageToken", json!(token)), &mut client).await;
    assert_eq!((said.code, said.reason.as_str()), (Code::FailedPrecondition, "STORE_MISMATCH"));
}

#[tokio::test]
async fn questions_beyond_the_head_or_out_of_range_are_refused() {
    let server = Server::start();
    let mut client = server.timeline().await;
    for (question, reason, field) in [
        (json!({"scope": {"asOfPosition": "5"}}), "POSITION_BEYOND_HEAD", None),
        (json!({"pageSize": -1}), "FIELD_INVALID", Some("page_size")),
        (json!({"valid": {"from": "2024-13"}}), "FIELD_INVALID", Some("valid.from")),
        (json!({"valid": {"from": "2024", "to": "2023"}}), "FIELD_INVALID", Some("valid.to")),
        (json!({"filter": {"linkEventIds": ["x"]}}), "FIELD_INVALID", Some("filter.link_event_ids[0]")),
        (json!({"filter": {"not": {}}}), "FIELD_INVALID", Some("filter.not")),
        (
            json!({"filter": {"amount": {"currencyCode": "UKP"}}}),
            "FIELD_INVALID",
            Some("filter.amount.currency_code"),
        ),
    ] {
        let request: pb::ListEntriesRequest = events::message("annals.v1.ListEntriesRequest", &question);
        let said = Said::of(&client.list_entries(request).await.unwrap_err());
        assert_eq!(said.reason, reason, "{question}");
        if let Some(field) = field {
            assert_eq!(said.fields().first().map(String::as_str), Some(field), "{question}");
        }
    }
}

#[tokio::test]
async fn a_history_tells_every_version_and_what_ended_it() {
    let server = Server::start();
    let mut log = server.log().await;
    let event = |number: u64, title: &str, links: Value| {
        let event = with(simple("s", title), "id", json!(id(number)));
        let sources = json!([{"id": format!("source:{number}"), "type": "REPORT",
            "published": {"edtf": format!("2024-01-0{number}")}}]);
        with(with(event, "sources", sources), "links", links)
    };
    let link = |kind: &str, target: u64| json!([{"type": kind, "eventId": id(target)}]);
    append(&mut log, &[event(1, "first", json!([]))]).await.unwrap();
    append(&mut log, &[event(2, "corrected", link("CORRECTS", 1))]).await.unwrap();
    append(&mut log, &[event(3, "withdraws the correction", link("RETRACTS", 2))]).await.unwrap();
    append(&mut log, &[event(4, "superseded", link("SUPERSEDES", 1))]).await.unwrap();

    let mut client = server.timeline().await;
    let history = async |client: &mut Client, scope: Value| {
        let question = json!({"eventId": id(3), "scope": scope});
        let request: pb::GetEntryHistoryRequest =
            events::message("annals.v1.GetEntryHistoryRequest", &question);
        client.get_entry_history(request).await.unwrap().into_inner().versions
    };
    let versions = history(&mut client, json!({})).await;
    let seen: Vec<(u64, Status, u64)> =
        versions.iter().map(|v| (v.position_from, v.status(), v.position_to)).collect();
    let expected = [
        (1, Status::Superseded, 4),
        (2, Status::Retracted, 3),
        (3, Status::Retraction, 0),
        (4, Status::Current, 0),
    ];
    assert_eq!(seen, expected);
    let closing = versions[0].closed_by.as_ref().unwrap();
    assert_eq!((closing.event_id.as_str(), &closing.source_ids[..]), (&*id(4), &["source:4".to_owned()][..]));
    assert_eq!(closing.r#type(), pb::LinkType::Supersedes);
    assert_eq!(versions[0].known_to.unwrap().seconds, 1_704_326_400, "2024-01-04");

    // As of the third event the first version stood again, with two versions that are no retraction.
    let question = json!({"scope": {"asOfPosition": "3"}});
    let page = list(&mut client, &question).await;
    assert_eq!(titles(&page), ["first"]);
    assert_eq!(page.entries[0].version_count, 2);
    let page = list(&mut client, &json!({"scope": {"asOfPosition": "3"}, "includeClosed": true})).await;
    let statuses: Vec<Status> = page.entries.iter().map(pb::Entry::status).collect();
    assert_eq!(statuses, [Status::Current, Status::Retracted, Status::Retraction]);
    // And as known on the second of January the correction stood.
    let page = list(&mut client, &json!({"scope": {"knownAt": "2024-01-02T12:00:00Z"}})).await;
    assert_eq!(titles(&page), ["corrected"]);
}

#[tokio::test]
async fn counts_add_up() {
    let server = Server::start();
    server.import_article();
    let mut client = server.timeline().await;
    let count = async |client: &mut Client, question: Value| {
        let request: pb::CountEntriesRequest = events::message("annals.v1.CountEntriesRequest", &question);
        client.count_entries(request).await.unwrap().into_inner()
    };
    let by_kind = count(&mut client, json!({"facet": "KIND"})).await;
    let groups: Vec<(&str, i64)> = by_kind.groups.iter().map(|g| (g.key.as_str(), g.count)).collect();
    let expected = [
        ("AGREEMENT", 7),
        ("STATISTICAL_RELEASE", 6),
        ("STATEMENT", 4),
        ("FUNDING_TRANSFER", 2),
        ("CUSTOM", 1),
        ("VISIT", 1),
    ];
    // One of the 22 is superseded.
    assert_eq!((by_kind.total_count, groups), (21, expected.to_vec()));
    let by_year = count(&mut client, json!({"time": {"unit": "YEAR"}})).await;
    let groups: Vec<(&str, i64)> = by_year.groups.iter().map(|g| (g.key.as_str(), g.count)).collect();
    assert_eq!(groups, [("2022-01-01", 6), ("2023-01-01", 3), ("2024-01-01", 10)]);
    assert_eq!((by_year.open_start_count, by_year.total_count), (2, 21));
    let one = count(&mut client, json!({"facet": "COUNTRY", "groupLimit": 1})).await;
    assert_eq!((one.groups.len(), one.groups[0].key.as_str(), one.omitted_group_count), (1, "GB", 1));
    let total = count(&mut client, json!({})).await;
    assert_eq!((total.total_count, total.groups.len()), (21, 0));
}
