//! Agreements over gRPC: the known answers of the treaty register and of the article.

use annals::pb;
use annals::pb::agreement_service_client::AgreementServiceClient;
use annals::pb::agreement_state::{Certainty, Status, Verdict};
use annals::pb::anomaly::Code;
use serde_json::{Value, json};
use tonic::Code as GrpcCode;
use tonic::transport::Channel;

use crate::events::{self, dataset, simple, with};
use crate::harness::{Said, Server, append};

type Client = AgreementServiceClient<Channel>;

async fn list(client: &mut Client, question: &Value) -> pb::ListAgreementsResponse {
    let request: pb::ListAgreementsRequest = events::message("annals.v1.ListAgreementsRequest", question);
    client.list_agreements(request).await.unwrap().into_inner()
}

async fn get(client: &mut Client, question: &Value) -> pb::AgreementState {
    let request: pb::GetAgreementRequest = events::message("annals.v1.GetAgreementRequest", question);
    client.get_agreement(request).await.unwrap().into_inner().agreement.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn treaties_in_force_are_those_of_the_register() {
    let server = Server::start();
    server.import(&dataset("uk-treaties"));
    let mut client = AgreementServiceClient::new(server.channel().await);
    let days = ["1930-01-01", "1950-01-01", "1975-01-01", "2010-01-01"];
    for (party, expected) in [
        ("party:albania", [19, 62, 164, 204]),
        ("party:france", [132, 325, 814, 902]),
        ("party:egypt", [48, 179, 313, 349]),
        ("party:united-states-of-america", [68, 236, 626, 669]),
    ] {
        for (day, expected) in days.into_iter().zip(expected) {
            let question = json!({"between": [party], "inForceOn": day, "inForce": "YES", "pageSize": 1});
            assert_eq!(list(&mut client, &question).await.total_count, expected, "{party} on {day}");
        }
    }
    // What is unusual in the register, and real: 212 in force before signature.
    let all = list(&mut client, &json!({"on": "2022-01-01", "pageSize": 1})).await;
    // Twelve of the 8,097 treaties have no dated act, hence no event.
    assert_eq!(all.total_count, 8_085);
    let anomalies = |code: Code| {
        let found = all.anomaly_counts.iter().find(|found| found.code() == code);
        found.map_or(0, |found| found.count)
    };
    assert_eq!(anomalies(Code::InForceBeforeSignature), 212);
    assert_eq!(anomalies(Code::EndedBeforeSignature), 1);
    assert_eq!(anomalies(Code::InForceBeforeProvisionalApplication), 1);
    // All pages together are what one page is.
    let question = json!({"between": ["party:albania", "party:united-kingdom"], "inForceOn": "1950-01-01", "inForce": "YES"});
    let whole = list(&mut client, &with(question.clone(), "pageSize", json!(1_000))).await;
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let page = with(with(question.clone(), "pageSize", json!(7)), "pageToken", json!(token));
        let page = list(&mut client, &page).await;
        paged.extend(page.agreements);
        if page.next_page_token.is_empty() {
            break;
        }
        token = page.next_page_token;
    }
    assert_eq!(paged, whole.agreements);
}

#[tokio::test]
async fn of_the_articles_agreements_none_is_certainly_in_force() {
    let server = Server::start();
    server.import_article();
    let mut client = AgreementServiceClient::new(server.channel().await);
    let between = json!({"between": ["country:GB", "country:AL"], "inForceOn": "2024-01-01"});
    let certain = list(&mut client, &with(between.clone(), "inForce", json!("YES"))).await;
    assert_eq!(certain.total_count, 0);
    let possible = list(&mut client, &with(between.clone(), "inForce", json!("POSSIBLY"))).await;
    let streams: Vec<&str> = possible.agreements.iter().map(|found| found.stream.as_str()).collect();
    assert!(streams.contains(&"agreement/gb-al-returns"), "{streams:?}");
    assert!(streams.contains(&"agreement/gb-al-migration-2022"), "{streams:?}");
    // Nothing of it was known a year before the article.
    let earlier = with(between, "scope", json!({"knownAt": "2023-06-01T00:00:00Z"}));
    assert_eq!(list(&mut client, &earlier).await.total_count, 0);

    let returns = get(&mut client, &json!({"stream": "agreement/gb-al-returns", "on": "2024-01-01"})).await;
    assert_eq!((returns.status(), returns.in_force()), (Status::ReportedToExist, Verdict::Possibly));
    assert_eq!(returns.certainty(), Certainty::Possible);
    let migration =
        get(&mut client, &json!({"stream": "agreement/gb-al-migration-2022", "on": "2024-05-22"})).await;
    let provisions: Vec<&str> = migration.provisions.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(provisions.len(), 2, "{provisions:?}");
    let taskforce = json!({"stream": "agreement/gb-al-joint-migration-taskforce", "on": "2024-05-22"});
    assert_eq!(get(&mut client, &taskforce).await.status(), Status::Established);
}

fn act(stream: &str, day: &str, action: &str) -> Value {
    let mut event = simple(stream, action);
    event.as_object_mut().unwrap().remove("custom");
    let event = with(event, "validTime", json!({"edtf": day}));
    with(event, "agreement", json!({"agreementId": "agreement:x", "action": action}))
}

#[tokio::test]
async fn what_happens_elsewhere_ends_prolongs_and_suspends() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = AgreementServiceClient::new(server.channel().await);
    let expires = json!({"agreementId": "agreement:x", "action": "ENTERED_INTO_FORCE", "expiresOn": {"year": 2010, "month": 12, "day": 31}});
    let entry = with(act("agreement/x", "2000-01-01", "ENTERED_INTO_FORCE"), "agreement", expires);
    append(&mut log, &[entry]).await.unwrap();
    async fn status(client: &mut Client, on: &str) -> Status {
        get(client, &json!({"stream": "agreement/x", "on": on})).await.status()
    }
    assert_eq!(status(&mut client, "2010-12-31").await, Status::InForce);
    assert_eq!(status(&mut client, "2011-01-01").await, Status::Expired);
    let longer = json!({"agreementId": "agreement:y", "action": "SIGNED", "expiresOn": {"year": 2030, "month": 12, "day": 31}});
    let extension = with(act("agreement/y", "2009-06-01", "SIGNED"), "agreement", longer);
    let extension = with(extension, "links", json!([{"type": "EXTENDS", "stream": "agreement/x"}]));
    append(&mut log, &[extension]).await.unwrap();
    assert_eq!(status(&mut client, "2011-01-01").await, Status::InForce);
    append(
        &mut log,
        &[act("agreement/x", "2012-01-01", "SUSPENDED"), act("agreement/x", "2013-01-01", "RESUMED")],
    )
    .await
    .unwrap();
    assert_eq!(status(&mut client, "2012-06-01").await, Status::Suspended);
    assert_eq!(status(&mut client, "2013-06-01").await, Status::InForce);
    let new = with(
        act("agreement/z", "2015-01-01", "ENTERED_INTO_FORCE"),
        "links",
        json!([{"type": "REPLACES", "stream": "agreement/x"}]),
    );
    append(&mut log, &[new]).await.unwrap();
    assert_eq!(status(&mut client, "2014-12-31").await, Status::InForce);
    let replaced = get(&mut client, &json!({"stream": "agreement/x", "on": "2015-01-01"})).await;
    assert_eq!((replaced.status(), replaced.in_force()), (Status::Replaced, Verdict::No));
    assert_eq!(replaced.relations.len(), 2);
}

#[tokio::test]
async fn bad_questions_are_refused_by_field() {
    let server = Server::start();
    let mut client = AgreementServiceClient::new(server.channel().await);
    let refused = pb::GetAgreementRequest { on: "2024-13-01".to_owned(), ..Default::default() };
    let said = Said::of(&client.get_agreement(refused).await.unwrap_err());
    assert_eq!(said.fields(), ["stream", "on"]);
    let absent = pb::GetAgreementRequest { stream: "agreement/none".to_owned(), ..Default::default() };
    let said = Said::of(&client.get_agreement(absent).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (GrpcCode::NotFound, "NOTHING_STANDS"));
    let refused =
        pb::ListAgreementsRequest { in_force: 3, page_size: -1, statuses: vec![99], ..Default::default() };
    let said = Said::of(&client.list_agreements(refused).await.unwrap_err());
    assert_eq!(said.fields(), ["in_force", "statuses[0]", "page_size"]);
}

#[tokio::test]
async fn the_command_line_shows_agreements() {
    let server = Server::start();
    server.import_article();
    let run = |arguments: &[&str]| {
        let url = server.url();
        let arguments: Vec<&str> =
            ["agreements", "--server", &url].iter().chain(arguments).copied().collect();
        let output = crate::harness::annals(&arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let shown = |arguments: &[&str]| {
        let (code, text) = run(arguments);
        assert_eq!(code, 0, "{arguments:?}");
        text
    };
    let between = ["--between", "country:GB", "--between", "country:AL", "--in-force-on", "2024-01-01"];
    let listed = shown(&between);
    assert!(listed.contains("agreement/gb-al-returns"), "{listed}");
    assert!(listed.contains("possibly reported to exist"), "{listed}");
    let certain = shown(&[&between[..], &["--in-force", "yes"]].concat());
    assert!(certain.starts_with("0 agreements on 2024-01-01 as of position"), "{certain}");
    assert!(shown(&[&between[..], &["--known-at", "2023-06-01"]].concat()).starts_with("0 agreements"));
    let established = shown(&["--status", "established", "--on", "2024-05-22"]);
    assert!(established.contains("agreement/gb-al-joint-migration-taskforce"), "{established}");
    let one = shown(&["agreement/gb-al-migration-2022", "--on", "2024-05-22"]);
    for part in
        ["stream: agreement/gb-al-migration-2022", "measure", "in force:", "on 2024-05-22 as of position"]
    {
        assert!(one.contains(part), "{part} is not in {one}");
    }
    let lines = shown(&["--json", "--limit", "2"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let id = lines[0]["agreementId"].as_str().unwrap();
    let one: Value = serde_json::from_str(&shown(&[id, "--json"])).unwrap();
    assert_eq!(one["agreement"]["agreementId"], id);
    assert_eq!(run(&["agreement/none"]).0, 66);
    assert_eq!(run(&["--status", "sealed"]).0, 64);
    assert_eq!(run(&["--in-force", "yes"]).0, 64);
}
