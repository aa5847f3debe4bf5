//! Funding over gRPC: the known answers of real data, bounds, refusals, and what the command line shows of them.

use annals::pb;
use annals::pb::funding_caveat::Code as Caveat;
use annals::pb::funding_service_client::FundingServiceClient;
use annals::pb::google::r#type::Decimal;
use serde_json::{Value, json};
use tonic::Code;
use tonic::transport::Channel;

use crate::events::{self, dataset, id, with};
use crate::harness::{Said, Server, append};

type Client = FundingServiceClient<Channel>;

async fn client(server: &Server) -> Client {
    FundingServiceClient::new(server.channel().await)
}

async fn summary(client: &mut Client, question: Value) -> pb::SummarizeFundingResponse {
    let request: pb::SummarizeFundingRequest =
        events::message("annals.v1.SummarizeFundingRequest", &question);
    client.summarize_funding(request).await.unwrap().into_inner()
}

async fn comparison(client: &mut Client, question: Value) -> pb::CompareFundingResponse {
    let request: pb::CompareFundingRequest = events::message("annals.v1.CompareFundingRequest", &question);
    client.compare_funding(request).await.unwrap().into_inner()
}

/// Lists every transfer behind a row, page after page.
async fn behind(client: &mut Client, question: Value) -> Vec<pb::ListedTransfer> {
    let mut request: pb::ListTransfersRequest = events::message("annals.v1.ListTransfersRequest", &question);
    let mut found = Vec::new();
    loop {
        let page = client.list_transfers(request.clone()).await.unwrap().into_inner();
        found.extend(page.transfers);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

fn text(decimal: Option<&Decimal>) -> &str {
    decimal.map_or("", |decimal| decimal.value.as_str())
}

/// Gives stage, currency, count and exact sum of money.
fn exact(row: &pb::FundingRow) -> (&str, &str, i64, &str) {
    let money = row.money.as_ref().unwrap();
    (row.stage().as_str_name(), row.currency_code.as_str(), row.transfer_count, text(money.exact.as_ref()))
}

fn caveat(caveats: &[pb::FundingCaveat], code: Caveat) -> i64 {
    caveats.iter().find(|caveat| caveat.code() == code).map_or(0, |caveat| caveat.count)
}

/// Figures from the README of the data set.
#[tokio::test(flavor = "multi_thread")]
async fn eight_years_of_real_transfers_add_up_to_the_cent() {
    let server = Server::start();
    server.import(&dataset("unhcr-iati"));
    let mut client = client(&server).await;
    by_stage_and_currency(&mut client).await;
    by_provider(&mut client).await;
    one_operation(&mut client).await;
    suspected_duplicates(&mut client).await;
    every_row_has_the_transfers_that_it_counts(&mut client).await;
    the_command_line_shows_it(&server);
}

async fn by_stage_and_currency(client: &mut Client) {
    let all = summary(client, json!({"filter": {"streamPrefixes": ["activity/"]}, "rowLimit": 1000})).await;
    let rows: Vec<_> = all.rows.iter().map(exact).collect();
    for expected in [
        ("INCOMING_COMMITMENT", "GBP", 244, "769350233.62"),
        ("INCOMING_COMMITMENT", "EUR", 3_739, "7881355478.97"),
        ("INCOMING_COMMITMENT", "JPY", 90, "39538536000"),
        ("INCOMING_COMMITMENT", "USD", 30_925, "22204705065.32"),
        ("DISBURSEMENT", "USD", 2_736, "10155495372.49"),
        ("EXPENDITURE", "USD", 1_412, "21899218186.55"),
    ] {
        assert!(rows.contains(&expected), "{expected:?} {rows:?}");
    }
    assert_eq!((all.transfer_count, all.omitted_row_count), (40_782, 0));
    assert_eq!(rows.iter().map(|row| row.2).sum::<i64>(), 40_782);
    let few = summary(client, json!({"rowLimit": 2, "order": "COUNT_DESCENDING"})).await;
    assert_eq!(few.rows.iter().map(|row| row.transfer_count).collect::<Vec<_>>(), [30_925, 3_739]);
    assert_eq!(few.omitted_row_count, i64::try_from(rows.len()).unwrap() - 2);
    // Years are those of the transaction; each transfer is in one.
    let years = summary(client, json!({"groupBy": ["BY_YEAR"], "filter": {"currencies": ["GBP"]}})).await;
    assert_eq!(years.transfer_count, 244);
    assert!(years.rows.iter().all(|row| row.key[0].values.len() == 1 && row.key[0].values[0].len() == 4));
    let large = json!({"filter": {"amount": {"currencyCode": "GBP", "atLeast": "1000000.01"}}});
    assert_eq!(summary(client, large).await.transfer_count, 98);
}

async fn by_provider(client: &mut Client) {
    let britain = summary(client, json!({"providerIds": ["org:GB-GOV-1"], "groupBy": ["BY_PROVIDER"]})).await;
    assert_eq!(britain.transfer_count, 187);
    assert!(britain.rows.iter().all(|row| row.key[0].values == ["org:GB-GOV-1"]));
    let pounds = britain.rows.iter().map(exact).find(|row| row.1 == "GBP").unwrap();
    assert_eq!((pounds.2, pounds.3), (172, "761232104.68"));
    let pair =
        comparison(client, json!({"providerId": "org:GB-GOV-1", "receiverId": "org:XM-DAC-41121"})).await;
    assert_eq!(
        (pair.provider_ids, pair.receiver_ids),
        (vec!["org:GB-GOV-1".to_owned()], vec!["org:XM-DAC-41121".to_owned()],)
    );
    let pounds = pair.comparisons.iter().find(|comparison| comparison.currency_code == "GBP").unwrap();
    assert_eq!(text(pounds.promised.as_ref()), "761232104.68");
    assert_eq!((text(pounds.paid.as_ref()), text(pounds.balance.as_ref())), ("0", "761232104.68"));
}

async fn one_operation(client: &mut Client) {
    let streams = json!({"groupBy": ["BY_ACTIVITY"], "rowLimit": 10_000});
    let all = summary(client, streams).await;
    let albania: Vec<_> = all.rows.iter().filter(|row| row.key[0].values[0].ends_with("-ALB")).collect();
    assert_eq!(albania.iter().map(|row| row.transfer_count).sum::<i64>(), 35);
    // One activity a year: the sums of each stage and currency over all of them.
    let sum = |stage: &str, currency: &str| -> i64 {
        let rows = albania.iter().map(|row| exact(row)).filter(|row| (row.0, row.1) == (stage, currency));
        let cents = |text: &str| -> i64 {
            let (whole, part) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole}{part:0<2}").parse().unwrap()
        };
        rows.map(|row| cents(row.3)).sum()
    };
    assert_eq!(sum("INCOMING_COMMITMENT", "USD"), 321_178_666);
    assert_eq!(sum("INCOMING_COMMITMENT", "EUR"), 56_603_371);
    assert_eq!(sum("DISBURSEMENT", "USD"), 329_270_102);
    assert_eq!(sum("EXPENDITURE", "USD"), 349_448_680);
    let stream = albania[0].key[0].values[0].clone();
    let facility = comparison(client, json!({"stream": stream})).await;
    assert_eq!(facility.streams, [stream]);
    let of_stream: i64 =
        albania.iter().filter(|row| row.key == albania[0].key).map(|row| row.transfer_count).sum();
    assert_eq!(facility.stages.iter().map(|row| row.transfer_count).sum::<i64>(), of_stream);
}

async fn suspected_duplicates(client: &mut Client) {
    let all = summary(client, json!({"rowLimit": 1000})).await;
    assert_eq!(caveat(&all.caveats, Caveat::SuspectedDuplicates), 170);
    let without = summary(client, json!({"rowLimit": 1000, "excludeSuspectedDuplicates": true})).await;
    assert_eq!(without.transfer_count, 40_782 - 170);
    assert_eq!(caveat(&without.caveats, Caveat::SuspectedDuplicates), 170);
    let listed = behind(client, json!({"onlySuspectedDuplicates": true, "pageSize": 50})).await;
    assert_eq!(listed.len(), 170);
    assert!(listed.iter().all(|transfer| transfer.suspected_duplicate));
}

/// Whatever the key, several values and none included, the listing finds the transfers of the row and no others.
async fn every_row_has_the_transfers_that_it_counts(client: &mut Client) {
    let by = json!(["BY_YEAR", "BY_AID_TYPE", "BY_PROVIDER"]);
    let question = json!({"filter": {"currencies": ["GBP", "JPY"]}, "groupBy": by, "rowLimit": 10_000});
    let rows = summary(client, question).await.rows;
    assert!(rows.len() > 50, "{}", rows.len());
    let mut listed = 0;
    for row in &rows {
        let key: Vec<Value> = row.key.iter().map(|key| json!({"values": key.values})).collect();
        let question = json!({
            "filter": {"currencies": ["GBP", "JPY"]}, "groupBy": by, "key": key,
            "stage": row.stage().as_str_name(), "currencyCode": row.currency_code, "pageSize": 7,
        });
        let found = behind(client, question).await;
        assert_eq!(i64::try_from(found.len()).unwrap(), row.transfer_count, "{row:?}");
        listed += found.len();
    }
    assert_eq!(listed, 244 + 90);
}

fn the_command_line_shows_it(server: &Server) {
    let run = |arguments: &[&str]| {
        let url = server.url();
        let arguments: Vec<&str> = ["funding", "--server", &url].iter().chain(arguments).copied().collect();
        let output = crate::harness::annals(&arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = run(&["--by", "provider,year", "--provider", "org:GB-GOV-1", "--currency", "GBP"]);
    assert!(table.contains("org:GB-GOV-1") && table.contains("2016"), "{table}");
    let total = run(&["--currency", "JPY"]);
    assert!(total.contains("39,538,536,000") && total.contains("incoming commitment"), "{total}");
    assert!(run(&[]).contains("170 transfers look the same as one before them"));
    let json: Value = serde_json::from_str(&run(&["--currency", "JPY", "--json"])).unwrap();
    assert_eq!(json["rows"][0]["money"]["exact"]["value"], "39538536000");
}

/// Questions 8 and 9 of the article: an allocation and a gift in kind are never one sum.
#[tokio::test]
async fn what_could_fund_and_what_was_handed_over_stay_apart() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    let found = summary(&mut client, json!({"groupBy": ["BY_PROVIDER"]})).await;
    assert_eq!((found.transfer_count, found.rows.len()), (2, 2));
    let [handed_over, allocated] = &found.rows[..] else { panic!("{found:?}") };
    assert_eq!((allocated.stage().as_str_name(), allocated.currency_code.as_str()), ("ALLOCATION", "GBP"));
    let money = allocated.money.as_ref().unwrap();
    // The source rounds: the figure stands apart from exact sums, within its bounds.
    assert_eq!(money.stated[0].qualifier(), pb::AmountQualifier::RoundedAmount);
    assert_eq!(text(money.stated[0].amount.as_ref()), "4000000000");
    assert_eq!(text(money.exact.as_ref()), "0");
    assert_eq!((text(money.lower.as_ref()), text(money.upper.as_ref())), ("3500000000", "4500000000"));
    assert_eq!(handed_over.stage().as_str_name(), "DISBURSEMENT");
    assert_eq!(
        (&handed_over.money, handed_over.key[0].values.as_slice()),
        (&None, &["country:GB".to_owned()][..])
    );
    assert_eq!(text(handed_over.in_kind.as_ref().unwrap().stated[0].amount.as_ref()), "1600000");
    assert_eq!(caveat(&found.caveats, Caveat::ValuedInKind), 1);
    // Nothing was committed or pledged, and so no such row is there.
    let promised = json!({"filter": {"fundingStages": ["OUTGOING_COMMITMENT", "OUTGOING_PLEDGE"]}});
    assert_eq!(summary(&mut client, promised).await.rows, []);

    let large = json!({"countries": ["AL"], "amount": {"currencyCode": "GBP", "atLeast": "1000000.01"}});
    assert_eq!(summary(&mut client, json!({"filter": large})).await.transfer_count, 2);
    // What is only set aside is no transfer.
    let transferred = with(large, "not", json!({"fundingStages": ["ALLOCATION", "BUDGET"]}));
    assert_eq!(summary(&mut client, json!({"filter": transferred})).await.transfer_count, 1);

    let pair = comparison(&mut client, json!({"providerId": "country:GB", "receiverId": "country:AL"})).await;
    let [held] = &pair.comparisons[..] else { panic!("{pair:?}") };
    // Money alone: what was given in kind pays nothing off.
    assert_eq!((held.promised_stage().as_str_name(), text(held.paid.as_ref())), ("ALLOCATION", "0"));
    assert_eq!((held.outcome(), &held.balance), (pb::FundingOutcome::WithinPromise, &None));
    let earlier = json!({"scope": {"knownAt": "2024-05-01T00:00:00Z"}});
    assert_eq!(summary(&mut client, earlier).await.rows, []);
}

fn transfer(number: u64, stage: &str, units: i64, more: &Value) -> Value {
    let mut transfer = json!({
        "stage": stage, "amount": {"currencyCode": "EUR", "units": units.to_string()},
        "transactionRef": number.to_string(), "activityId": "XM-1",
    });
    for (key, value) in more.as_object().unwrap() {
        transfer[key] = value.clone();
    }
    json!({
        "id": id(number), "stream": "activity/XM-1", "title": "t", "validTime": {"edtf": "2024-05-22"},
        "modality": "ACTUAL", "assertion": "RECORDED", "fundingTransfer": transfer,
        "participants": [
            {"entity": {"id": "org:a", "name": "A"}, "role": "PROVIDER"},
            {"entity": {"id": "org:b", "name": "B"}, "role": "RECEIVER"},
        ],
    })
}

#[tokio::test]
async fn a_facility_is_followed_from_commitment_to_payment() {
    let server = Server::start();
    let mut log = server.log().await;
    let draws = json!({"commitmentEventId": id(1)});
    append(
        &mut log,
        &[
            transfer(1, "OUTGOING_COMMITMENT", 100, &json!({})),
            transfer(2, "DISBURSEMENT", 70, &draws),
            transfer(3, "DISBURSEMENT", 40, &draws),
            transfer(4, "BUDGET", 500, &json!({"amountQualifier": "UP_TO"})),
            transfer(5, "DISBURSEMENT", -10, &json!({"reversal": true})),
            transfer(6, "DISBURSEMENT", 7, &json!({"commitmentEventId": id(99)})),
        ],
    )
    .await
    .unwrap();
    let mut client = client(&server).await;
    let found = comparison(&mut client, json!({"activityId": "XM-1"})).await;
    let [budget, committed] = [
        found.comparisons.iter().find(|held| held.promised_stage().as_str_name() == "BUDGET").unwrap(),
        found
            .comparisons
            .iter()
            .find(|held| held.promised_stage().as_str_name() == "OUTGOING_COMMITMENT")
            .unwrap(),
    ];
    // 70 + 40 − 10 + 7 was paid.
    assert_eq!(
        (text(committed.promised.as_ref()), text(committed.paid.as_ref()), text(committed.balance.as_ref())),
        ("100", "107", "-7")
    );
    assert_eq!(committed.outcome(), pb::FundingOutcome::BeyondPromise);
    assert_eq!((budget.outcome(), &budget.balance), (pb::FundingOutcome::OutcomeUncertain, &None));
    assert_eq!((text(budget.balance_lower.as_ref()), text(budget.balance_upper.as_ref())), ("-107", "393"));
    let [drawn, unknown] = &found.draws[..] else { panic!("{found:?}") };
    assert_eq!((drawn.commitment_event_id.as_str(), text(drawn.balance.as_ref())), (&*id(1), "-10"));
    assert_eq!(unknown.commitment(), pb::funding_draw::Standing::Unknown);
    assert_eq!(caveat(&found.caveats, Caveat::PaidMoreThanPromised), 1);
    assert_eq!(caveat(&found.caveats, Caveat::CommitmentUnknown), 1);
    assert_eq!(caveat(&found.caveats, Caveat::Reversals), 1);
    assert_eq!(found.suspected_duplicates, []);

    // The commitment is withdrawn, and a payment is recorded once more under another id.
    let links = json!([{"type": "RETRACTS", "eventId": id(1)}]);
    let mut again = transfer(3, "DISBURSEMENT", 40, &draws);
    again["id"] = json!(id(8));
    append(&mut log, &[with(events::simple("activity/XM-1", "withdrawn"), "links", links), again])
        .await
        .unwrap();
    let now = comparison(&mut client, json!({"stream": "activity/XM-1"})).await;
    assert!(now.comparisons.iter().all(|held| held.promised_stage().as_str_name() == "BUDGET"));
    assert_eq!(now.draws[0].commitment(), pb::funding_draw::Standing::Closed);
    let [same] = &now.suspected_duplicates[..] else { panic!("{now:?}") };
    assert_eq!((same.event_ids.as_slice(), text(same.amount.as_ref())), (&[id(3), id(8)][..], "40"));
    // As of the sixth event all is as it was.
    let then = json!({"activityId": "XM-1", "scope": {"asOfPosition": "6"}});
    assert_eq!(comparison(&mut client, then).await, found);
    let shown = crate::harness::annals(&["funding", "--server", &server.url(), "--activity", "XM-1"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("up to") && shown.contains("500") && shown.contains(&id(8)), "{shown}");
}

#[tokio::test]
async fn sums_have_no_limit_of_digits() {
    let server = Server::start();
    let mut log = server.log().await;
    let largest: Vec<Value> =
        (1..=20).map(|number| transfer(number, "BUDGET", i64::MAX, &json!({}))).collect();
    append(&mut log, &largest).await.unwrap();
    let found = summary(&mut client(&server).await, json!({})).await;
    assert_eq!(exact(&found.rows[0]).3, "184467440737095516140");
}

#[tokio::test]
async fn a_wrong_question_is_refused_with_every_fault() {
    let server = Server::start();
    let mut client = client(&server).await;
    let request = pb::SummarizeFundingRequest {
        group_by: vec![1, 1, 0, 99],
        row_limit: -1,
        order: 9,
        provider_ids: vec![String::new()],
        ..pb::SummarizeFundingRequest::default()
    };
    let said = Said::of(&client.summarize_funding(request).await.unwrap_err());
    assert_eq!(
        said.fields(),
        ["provider_ids[0]", "group_by[1]", "group_by[2]", "group_by[3]", "row_limit", "order"]
    );
    let nothing = client.compare_funding(pb::CompareFundingRequest::default()).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
    let request = pb::ListTransfersRequest {
        key: vec![pb::FundingKey::default()],
        currency_code: "£".to_owned(),
        stage: 99,
        only_suspected_duplicates: true,
        exclude_suspected_duplicates: true,
        ..pb::ListTransfersRequest::default()
    };
    let said = Said::of(&client.list_transfers(request).await.unwrap_err());
    assert_eq!(said.fields(), ["key", "stage", "currency_code", "only_suspected_duplicates"]);
    let future = pb::Scope { as_of_position: 9, ..pb::Scope::default() };
    let request =
        pb::SummarizeFundingRequest { scope: Some(future), ..pb::SummarizeFundingRequest::default() };
    assert_eq!(client.summarize_funding(request).await.unwrap_err().code(), Code::OutOfRange);
}
