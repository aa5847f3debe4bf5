//! Provenance over gRPC: where the article's figures come from, what rests on them, and what is refused.

use annals::pb;
use annals::pb::entry::Status;
use annals::pb::provenance_service_client::ProvenanceServiceClient;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{self, with};
use crate::harness::{Said, Server, append};

type Client = ProvenanceServiceClient<Channel>;

/// The article's release of 12,658 arrivals.
const ARRIVALS_2022: &str = "018f9ee2-9300-700b-8061-6e6e616c730b";
/// Its release of 922 arrivals.
const ARRIVALS_2023: &str = "018f9ee2-9300-700c-8061-6e6e616c730c";
/// Its release of 9,874 arrivals.
const ARRIVALS_2024: &str = "018f9ee2-9300-7011-8061-6e6e616c7311";
/// "A 93% drop".
const DROP: &str = "018f9ee2-9300-700d-8061-6e6e616c730d";
/// "A new record", and "continued to rise".
const RECORD: &str = "018f9ee2-9300-7012-8061-6e6e616c7312";
const RISE: &str = "018f9ee2-9300-7013-8061-6e6e616c7313";
/// The Home Office's 12,301, and its 12,658.
const FIRST: &str = "018f9ee2-9300-7064-8061-6e6e616c7364";
const REVISED: &str = "018f9ee2-9300-7065-8061-6e6e616c7365";
/// The agreement of 2022.
const AGREEMENT: &str = "018f9ee2-9300-7007-8061-6e6e616c7307";

async fn client(server: &Server) -> Client {
    ProvenanceServiceClient::new(server.channel().await)
}

async fn lineage(client: &mut Client, question: &Value) -> pb::GetLineageResponse {
    let request: pb::GetLineageRequest = events::message("annals.v1.GetLineageRequest", question);
    client.get_lineage(request).await.unwrap().into_inner()
}

/// Lists all dependents, page after page, as id and distance.
async fn dependents(client: &mut Client, question: &Value) -> Vec<(String, i32)> {
    let mut request: pb::ListDependentsRequest = events::message("annals.v1.ListDependentsRequest", question);
    let mut found = Vec::new();
    loop {
        let page = client.list_dependents(request.clone()).await.unwrap().into_inner();
        found.extend(page.dependents.into_iter().map(|found| (found.event.unwrap().id, found.distance)));
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

fn ids(lineage: &pb::GetLineageResponse) -> Vec<(&str, i32)> {
    let nodes = lineage.nodes.iter().map(|node| (node.event.as_ref().unwrap().id.as_str(), node.distance));
    nodes.collect()
}

fn sorted(found: &[(&str, i32)]) -> Vec<(String, i32)> {
    found.iter().map(|(id, distance)| ((*id).to_owned(), *distance)).collect()
}

#[tokio::test]
async fn a_figure_leads_to_quote_attribution_and_earlier_edition() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    // The article gives no source for its figures.
    let found = lineage(&mut client, &json!({"eventId": ARRIVALS_2022})).await;
    assert_eq!(ids(&found), [(ARRIVALS_2022, 0)]);
    let source = &found.nodes[0].event.as_ref().unwrap().sources[0];
    assert_eq!(source.quote.as_ref().unwrap().exact, "down from 12,658 in 2022 to 922");
    assert_eq!(source.attribution[0].kind(), pb::attribution::Kind::Unattributed);
    // The Home Office's own release took the place of its first.
    let found = lineage(&mut client, &json!({"eventId": REVISED})).await;
    assert_eq!(ids(&found), [(REVISED, 0), (FIRST, 1)]);
    assert_eq!(found.nodes[1].status(), Status::Superseded);
    assert_eq!(found.nodes[1].replaced_by, [REVISED]);
    assert!(found.nodes[0].event.as_ref().unwrap().sources[0].primary);
    // Before that was known the first one stood, and the other was no event that could be asked for.
    let scope = json!({"knownAt": "2023-06-01T00:00:00Z"});
    let found = lineage(&mut client, &json!({"eventId": FIRST, "scope": scope})).await;
    assert_eq!((ids(&found), found.nodes[0].status()), (vec![(FIRST, 0)], Status::Current));
    let request = json!({"eventId": REVISED, "scope": scope});
    let request: pb::GetLineageRequest = events::message("annals.v1.GetLineageRequest", &request);
    let refused = client.get_lineage(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}

#[tokio::test]
async fn a_claimed_cause_is_told_and_never_followed() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    let found = lineage(&mut client, &json!({"eventId": DROP})).await;
    assert_eq!(ids(&found), [(DROP, 0), (ARRIVALS_2022, 1), (ARRIVALS_2023, 1)]);
    let link = |field: &str| found.links.iter().find(|link| link.field == field).unwrap();
    let cause = link("statement.claims[0].about[2]");
    assert_eq!(cause.link.as_ref().unwrap().r#type(), pb::LinkType::ClaimedCause);
    assert_eq!(cause.link.as_ref().unwrap().event_id, AGREEMENT);
    assert_eq!((cause.followed, cause.resolved), (false, true));
    assert!(link("links[0]").followed && link("statement.claims[0].about[1]").followed);
    assert!(!link("links[2]").followed, "a confirmation is no foundation");
    assert!(!found.truncated);
    let found = lineage(&mut client, &json!({"eventId": DROP, "depth": 0})).await;
    assert_eq!((ids(&found), found.truncated), (vec![(DROP, 0)], true));
}

#[tokio::test]
async fn what_rests_on_a_figure_or_a_source_or_a_speaker_is_listed() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    let found = dependents(&mut client, &json!({"eventId": ARRIVALS_2022})).await;
    assert_eq!(found, sorted(&[(DROP, 1)]));
    let found = dependents(&mut client, &json!({"eventId": ARRIVALS_2024, "pageSize": 1})).await;
    assert_eq!(found, sorted(&[(RECORD, 1), (RISE, 1)]));
    // All of the article's 19 events name it; the three releases of the context name other sources.
    let article = json!({"sourceId": "source:independent-cameron-albania"});
    let found = dependents(&mut client, &article).await;
    assert_eq!(found.len(), 19);
    assert!(found.iter().all(|(_, distance)| *distance == 0));
    let statements = with(article.clone(), "filter", json!({"kinds": ["STATEMENT"]}));
    assert_eq!(dependents(&mut client, &statements).await.len(), 4);
    let published = json!({"publisherId": "org:the-independent", "pageSize": 3});
    assert_eq!(dependents(&mut client, &published).await.len(), 19);
    // Judges, police reform, and 26,000 and 6,000 removals.
    let found = dependents(&mut client, &json!({"attributedTo": "org:gb-fcdo"})).await;
    assert_eq!(found.len(), 4, "{found:?}");
    let found = dependents(&mut client, &json!({"eventId": AGREEMENT, "linkTypes": ["IMPLEMENTS"]})).await;
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn only_sources_that_support_the_field_are_named() {
    let server = Server::start();
    let source = |supports: Value| json!({"published": {"edtf": "2024-01-01"}, "supports": supports});
    let sources = json!([
        source(json!(["title", "visit.stops"])),
        source(json!([])),
        source(json!(["custom.data.amount"])),
        source(json!(["custom.database"])),
    ]);
    let event =
        with(with(events::simple("note/a", "a note"), "sources", sources), "id", json!(events::id(1)));
    append(&mut server.log().await, &[event]).await.unwrap();
    let mut client = client(&server).await;
    for (field, expected) in [
        ("", vec![0, 1, 2, 3]),
        ("title", vec![0, 1]),
        ("custom.data", vec![1, 2]),
        ("custom.data.amount[0]", vec![1, 2]),
        ("visit.stops[1].place", vec![0, 1]),
        ("summary", vec![1]),
    ] {
        let found = lineage(&mut client, &json!({"eventId": events::id(1), "field": field})).await;
        assert_eq!(found.nodes[0].source_indexes, expected, "{field}");
    }
}

#[tokio::test]
async fn bad_questions_are_refused_by_field() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    let request = json!({"eventId": "x", "field": "a\u{0}", "linkTypes": ["CLAIMED_CAUSE", "LINK_TYPE_UNSPECIFIED"], "depth": 101});
    let request: pb::GetLineageRequest = events::message("annals.v1.GetLineageRequest", &request);
    let refused = client.get_lineage(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields = ["event_id", "field", "link_types[0]", "link_types[1]", "depth"];
    assert_eq!(Said::of(&refused).fields(), fields);
    for request in [
        json!({}),
        json!({"eventId": DROP, "sourceId": "source:a"}),
        json!({"eventId": DROP, "depth": -1}),
        json!({"eventId": DROP, "pageSize": -1}),
    ] {
        let request: pb::ListDependentsRequest = events::message("annals.v1.ListDependentsRequest", &request);
        let refused = client.list_dependents(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let request = pb::ListDependentsRequest {
        event_id: "00000000-0000-7000-8000-000000000000".to_owned(),
        ..pb::ListDependentsRequest::default()
    };
    assert_eq!(client.list_dependents(request).await.unwrap_err().code(), Code::NotFound);
}

#[test]
fn the_command_line_shows_foundations_and_dependents() {
    let server = Server::start();
    server.import_article();
    let ask = |arguments: &[&str]| {
        let url = server.url();
        let mut all = vec!["provenance", "--server", &url];
        all.extend_from_slice(arguments);
        let output = crate::harness::annals(&all);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = ask(&[DROP]);
    for line in [
        "    source: The Independent, Cameron travels to Albania to bolster partnership on tackling illegal migration, 2024-05-22~",
        "      without a source, given by The Independent",
        &format!("    rests on: DERIVED_FROM {ARRIVALS_2022}"),
        &format!("    refers to: CLAIMED_CAUSE {AGREEMENT}"),
        "      \u{201c}down from 12,658 in 2022 to 922\u{201d}",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    let shown = ask(&[FIRST]);
    assert!(shown.contains(&format!("; superseded by {REVISED}")), "{shown}");
    let shown = ask(&[ARRIVALS_2024, "--dependents"]);
    assert_eq!(shown.lines().count(), 3, "{shown}");
    assert!(shown.contains(&format!("CITES {ARRIVALS_2024}")), "{shown}");
    let shown = ask(&["--attributed-to", "org:gb-fcdo", "--json"]);
    assert_eq!(shown.lines().count(), 4, "{shown}");
}
