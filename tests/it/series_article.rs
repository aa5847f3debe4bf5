//! The article's figures over gRPC: what was known when, how years compare, and what becomes of the claims made.

use annals::pb;
use annals::pb::period_comparison::{Basis, Reason, Variant, Verdict};
use annals::pb::series_caveat::Code;
use annals::pb::series_service_client::SeriesServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::events::{self, dataset, id};
use crate::harness::{Server, append};

type Client = SeriesServiceClient<Channel>;

/// Asks one question, written as grpcurl would.
macro_rules! ask {
    ($client:expr, $method:ident, $request:ident, $question:expr) => {{
        let request: pb::$request = events::message(concat!("annals.v1.", stringify!($request)), &$question);
        $client.$method(request).await.unwrap().into_inner()
    }};
}

const FLOW: &str = "GB.HO:SMALL_BOAT_ARRIVALS(1.0)";
/// Statements of the article: over 90 %, 93 %, a record, a rise; and the release behind the first figures.
const OVER_90: &str = "018f9ee2-9300-7006-8061-6e6e616c7306";
const DROP_OF_93: &str = "018f9ee2-9300-700d-8061-6e6e616c730d";
const RECORD: &str = "018f9ee2-9300-7012-8061-6e6e616c7312";
const RISE: &str = "018f9ee2-9300-7013-8061-6e6e616c7313";
const FULL_YEAR_2023: &str = "018f9ee2-9300-7066-8061-6e6e616c7366";

fn text(decimal: Option<&pb::google::r#type::Decimal>) -> &str {
    decimal.map_or("", |decimal| decimal.value.as_str())
}

fn series(key: &str) -> Value {
    json!({"dataflow": FLOW, "seriesKey": key})
}

fn quarters() -> Value {
    json!({"dataflow": "GB.HO:IRR_D01(1.0)", "seriesKey": "Q.small-boat-arrivals.albania"})
}

async fn year(client: &mut Client, year: &str, scope: Value) -> String {
    let question = json!({"series": series("A.AL.SMALL_BOAT"), "period": year, "scope": scope});
    let value = ask!(client, get_period_value, GetPeriodValueRequest, question).value.unwrap();
    text(value.value.as_ref()).to_owned()
}

async fn compare(client: &mut Client, question: Value) -> pb::PeriodComparison {
    ask!(client, compare_periods, ComparePeriodsRequest, question).comparison.unwrap()
}

async fn check(client: &mut Client, question: Value) -> Vec<pb::CheckedClaim> {
    ask!(client, check_claim, CheckClaimRequest, question).claims
}

/// Way, change in percent, comparable, verdict.
fn way(variant: &Variant) -> (Basis, &str, bool, Verdict) {
    (variant.basis(), text(variant.percent_change.as_ref()), variant.comparable, variant.verdict())
}

fn ways(comparison: &pb::PeriodComparison) -> Vec<(Basis, &str, bool, Verdict)> {
    comparison.variants.iter().map(way).collect()
}

#[tokio::test]
async fn the_figures_of_the_article_as_they_were_known_and_as_they_compare() {
    let server = Server::start();
    server.import_article();
    let mut client = SeriesServiceClient::new(server.channel().await);
    known_when(&mut client).await;
    every_vintage(&mut client).await;
    what_is_provisional_or_contradicted(&server, &mut client).await;
    the_change_as_asked_and_otherwise(&mut client).await;
}

/// Questions 3 and 4.
async fn known_when(client: &mut Client) {
    for (day, in_2022, in_2023) in [
        ("2023-03-01", "", ""),
        ("2023-06-01", "12301", ""),
        ("2023-07-01", "12301", ""),
        ("2023-08-24", "12658", ""),
        ("2023-09-01", "12658", ""),
        ("2024-02-28", "12658", ""),
        ("2024-03-01", "12658", "924"),
    ] {
        let scope = json!({"knownAt": format!("{day}T23:59:59Z")});
        assert_eq!(year(client, "2022", scope.clone()).await, in_2022, "{day}");
        assert_eq!(year(client, "2023", scope).await, in_2023, "{day}");
    }
    // By the order of recording the three releases came in at positions 1 to 3, all on one day.
    for (position, in_2022, in_2023) in [("1", "12301", ""), ("2", "12658", ""), ("3", "12658", "924")] {
        let scope = json!({"asOfPosition": position});
        assert_eq!(year(client, "2022", scope.clone()).await, in_2022);
        assert_eq!(year(client, "2023", scope).await, in_2023);
    }
}

/// Question 5.
async fn every_vintage(client: &mut Client) {
    let question = json!({"series": series("A.AL.SMALL_BOAT"), "changesOnly": true});
    let cells = ask!(client, list_vintages, ListVintagesRequest, question).cells;
    let [in_2022, in_2023] = &cells[..] else { panic!("{cells:?}") };
    let values = |cell: &pb::CellHistory| {
        cell.versions.iter().map(|version| text(version.value.as_ref()).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(in_2022), ["12301", "12658"], "the article repeats the second");
    assert_eq!(values(in_2023), ["924"]);
    let revision = (text(in_2022.absolute_revision.as_ref()), text(in_2022.percent_revision.as_ref()));
    assert_eq!((in_2022.revision_count, revision), (1, ("357", "2.902")));
    let rounds =
        ask!(client, count_revisions, CountRevisionsRequest, json!({"series": series("A.AL.SMALL_BOAT")}));
    let counts: Vec<_> = rounds
        .rounds
        .iter()
        .map(|round| (round.added_count, round.revised_count, round.repeated_count))
        .collect();
    assert_eq!(counts, [(1, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 1)]);
}

/// Questions 16 and 23.
async fn what_is_provisional_or_contradicted(server: &Server, client: &mut Client) {
    let question = json!({"series": {"dataflow": FLOW}, "provisionalOnly": true});
    let found = ask!(client, get_series, GetSeriesRequest, question).values;
    let values: Vec<&str> =
        found.iter().map(|value| text(value.current.as_ref().unwrap().value.as_ref())).collect();
    assert_eq!(values, ["922", "9874"]);
    let conflicts = json!({"series": {"dataflow": FLOW}, "conflictsOnly": true});
    assert_eq!(ask!(client, get_series, GetSeriesRequest, conflicts).values, []);

    // Another publisher counts otherwise.
    let mut rival = release(90, "A.AL.SMALL_BOAT", "PERSONS", &[("2023", "930", "A")]);
    rival["stream"] = json!("series/another-counter/AL");
    rival["knownAt"] = json!("2024-03-10T00:00:00Z");
    append(&mut server.log().await, &[rival]).await.unwrap();
    let found = ask!(client, get_series, GetSeriesRequest, conflicts).values;
    let [only] = &found[..] else { panic!("{found:?}") };
    let conflict = only.caveats.iter().find(|caveat| caveat.code() == Code::SourceConflict).unwrap();
    assert_eq!(conflict.event_id, FULL_YEAR_2023);
    assert_eq!(only.cell.as_ref().unwrap().period.as_ref().unwrap().edtf, "2023");
    let retraction = json!({
        "id": id(91), "stream": "series/another-counter/AL", "title": "withdrawn", "assertion": "RECORDED",
        "modality": "ACTUAL", "validTime": {"edtf": "2023"}, "links": [{"type": "RETRACTS", "eventId": id(90)}],
        "custom": {"type": "org.example.note.v1", "data": {}},
    });
    append(&mut server.log().await, &[retraction]).await.unwrap();
    assert_eq!(ask!(client, get_series, GetSeriesRequest, conflicts).values, []);
}

/// Question 6, and what the full years and the first three quarters say.
async fn the_change_as_asked_and_otherwise(client: &mut Client) {
    let question = json!({
        "series": series("X.AL.SMALL_BOAT"), "baseSeries": series("A.AL.SMALL_BOAT"), "basePeriod": "2022",
        "period": "2023-01-01/2023-11-29",
    });
    let found = compare(client, question).await;
    assert!(!found.comparable);
    let reasons: Vec<Reason> = found.reasons().collect();
    assert!(
        reasons.starts_with(&[Reason::DifferentLength, Reason::DifferentCalendarSpan]),
        "{reasons:?}: 333 days against 365"
    );
    assert_eq!((found.base.as_ref().unwrap().days, found.value.as_ref().unwrap().days), (365, 333));
    assert_eq!(
        ways(&found),
        [
            (Basis::AsAsked, "-92.716", false, Verdict::Unspecified),
            (Basis::PerDay, "-92.016", false, Verdict::Unspecified),
            (Basis::FullPeriod, "-92.700", true, Verdict::Unspecified),
            (Basis::FirstPublishedBase, "-92.505", false, Verdict::Unspecified),
            (Basis::FullPeriodFirstPublishedBase, "-92.488", true, Verdict::Unspecified),
        ]
    );
}

/// Questions 7 and 28: what the article claims, held against its own figures and against the Home Office's quarters.
#[tokio::test]
async fn the_claims_of_the_article_are_held_against_the_series() {
    let server = Server::start();
    server.import_article();
    server.import(&dataset("uk-small-boats"));
    let mut client = SeriesServiceClient::new(server.channel().await);

    // The statement names no figure, so it is checked only where a series is named for it.
    let alone = check(&mut client, json!({"eventId": OVER_90})).await;
    assert_eq!((alone.len(), alone[0].verdict(), &alone[0].from_series), (1, Verdict::Uncheckable, &None));
    for named in [series("A.AL.SMALL_BOAT"), quarters()] {
        let claims = check(&mut client, json!({"eventId": OVER_90, "series": named})).await;
        assert_eq!(claims[0].field, "statement.claims[0].comparison");
        let found = claims[0].from_series.as_ref().unwrap();
        assert_eq!(
            ways(found),
            [
                (Basis::AsAsked, "-92.700", true, Verdict::Holds),
                (Basis::FirstPublishedBase, "-92.488", true, Verdict::Holds),
            ]
        );
        assert_eq!((claims[0].verdict(), found.comparable), (Verdict::Holds, true));
    }
    // Before the full year was known it could not be checked with full years.
    let early = json!({
        "eventId": OVER_90, "series": quarters(), "filter": {"streamPrefixes": ["series/gb-home-office/irr-d01/"]},
        "scope": {"knownAt": "2023-12-31T00:00:00Z"},
    });
    // The statement itself is not known then: it is asked of the log only as far as that knows it.
    let request: pb::CheckClaimRequest = events::message("annals.v1.CheckClaimRequest", &early);
    assert_eq!(client.check_claim(request).await.unwrap_err().code(), tonic::Code::NotFound);

    the_drop_of_93(&mut client).await;

    let record = check(&mut client, json!({"eventId": RECORD})).await;
    let stated = record[0].from_stated_values.as_ref().unwrap();
    assert_eq!((stated.verdict(), stated.comparable), (Verdict::Holds, false), "9,874 exceeds 9,607");
    assert_eq!(record[0].verdict(), Verdict::Holds, "no series knows the base");
    assert_eq!(check(&mut client, json!({"eventId": RISE})).await, [], "no figure is claimed");
    to_the_same_day_of_the_year(&server, &mut client).await;
}

async fn the_drop_of_93(client: &mut Client) {
    let claims = check(client, json!({"eventId": DROP_OF_93})).await;
    let claim = &claims[0];
    let stated = claim.from_stated_values.as_ref().unwrap();
    assert_eq!(way(stated), (Basis::AsAsked, "-92.716", false, Verdict::Holds));
    assert_eq!(
        ways(claim.from_series.as_ref().unwrap()),
        [
            (Basis::AsAsked, "-92.716", false, Verdict::Holds),
            (Basis::PerDay, "-92.016", false, Verdict::ClaimMismatch),
            (Basis::FullPeriod, "-92.700", true, Verdict::Holds),
            (Basis::FirstPublishedBase, "-92.505", false, Verdict::Holds),
            (Basis::FullPeriodFirstPublishedBase, "-92.488", true, Verdict::ClaimMismatch),
        ]
    );
    assert_eq!(claim.verdict(), Verdict::HoldsPartly);
    // Quarters do not end on 29 November: only the year as a whole can be asked of them.
    let by_quarter = check(client, json!({"eventId": DROP_OF_93, "series": quarters()})).await;
    let found = by_quarter[0].from_series.as_ref().unwrap();
    assert!(found.reasons().any(|reason| reason == Reason::ValueUnknown));
    assert_eq!(text(found.value.as_ref().unwrap().partial_sum.as_ref()), "863");
    assert_eq!(
        ways(found),
        [
            (Basis::FullPeriod, "-92.700", true, Verdict::Holds),
            (Basis::FullPeriodFirstPublishedBase, "-92.488", true, Verdict::ClaimMismatch),
        ]
    );
    let nine = json!({
        "series": quarters(), "basePeriod": "2022-01/2022-09", "period": "2023-01/2023-09",
        "stated": {"value": "-92.5"},
    });
    let nine = compare(client, nine).await;
    assert_eq!(way(&nine.variants[0]), (Basis::AsAsked, "-92.478", true, Verdict::Holds));
}

/// Question 28: a running total against those to the same day of the years before.
async fn to_the_same_day_of_the_year(server: &Server, client: &mut Client) {
    let mut totals = release(
        92,
        "X._T.SMALL_BOAT",
        "PERSONS",
        &[("2023-01-01/2023-05-20", "7297", "P"), ("2022-01-01/2022-05-20", "8840", "P")],
    );
    for observation in totals["statisticalRelease"]["observations"].as_array_mut().unwrap() {
        observation["cumulative"] = json!(true);
        observation["partialPeriod"] = json!(true);
    }
    append(&mut server.log().await, &[totals]).await.unwrap();
    for (base, change, per_day) in
        [("2023-01-01/2023-05-20", "35.316", "34.356"), ("2022-01-01/2022-05-20", "11.697", "10.905")]
    {
        let period = "2024-01-01/2024-05-20";
        let question = json!({"series": series("X._T.SMALL_BOAT"), "basePeriod": base, "period": period});
        let found = compare(client, question).await;
        // A leap year: one day more, but the same days of the calendar. The end of the article's period is approximate.
        assert_eq!(found.reasons().collect::<Vec<_>>(), [Reason::VagueValue]);
        assert_eq!(
            ways(&found),
            [
                (Basis::AsAsked, change, false, Verdict::Unspecified),
                (Basis::PerDay, per_day, false, Verdict::Unspecified),
            ]
        );
    }
}

/// A release with period, value and status of each observation.
fn release(number: u64, key: &str, unit: &str, observations: &[(&str, &str, &str)]) -> Value {
    let observations: Vec<Value> = observations
        .iter()
        .map(|(period, value, status)| {
            let period = json!({"edtf": period, "shape": "PERIOD"});
            json!({"period": period, "value": {"value": value}, "obsStatus": status})
        })
        .collect();
    json!({
        "id": id(number), "stream": format!("series/test/{number}"), "title": "A release",
        "assertion": "RECORDED", "modality": "ACTUAL", "validTime": {"edtf": "2023", "shape": "PERIOD"},
        "statisticalRelease": {
            "dataflow": FLOW, "seriesKey": key, "unit": unit, "observations": observations,
        },
    })
}

/// A statement that one period of a series changed against another, as a percentage.
fn claim(number: u64, periods: (&str, &str), (stated, qualifier): (&str, &str), about: &[&str]) -> Value {
    let about: Vec<Value> = about.iter().map(|id| json!({"type": "DERIVED_FROM", "eventId": id})).collect();
    let period = |edtf: &str| json!({"edtf": edtf, "shape": "PERIOD"});
    json!({
        "id": id(number), "stream": "statement/test", "title": "A claim", "assertion": "RECORDED",
        "modality": "ACTUAL", "validTime": {"edtf": "2024-05-22"},
        "statement": {
            "speaker": {"entity": {"id": "org:speaker", "name": "Speaker"}, "role": "SPEAKER"}, "text": "It fell.",
            "claims": [{
                "text": "it fell", "about": about,
                "comparison": {
                    "basePeriod": period(periods.0), "period": period(periods.1), "measure": "PERCENT_CHANGE",
                    "stated": {"value": stated}, "statedQualifier": qualifier,
                },
            }],
        },
    })
}

#[tokio::test]
async fn claims_that_are_wrong_rounded_unknown_or_of_another_unit() {
    let server = Server::start();
    server.import_article();
    let mut client = SeriesServiceClient::new(server.channel().await);
    let years = ("2022", "2023");
    let (pounds, people) = (id(80), id(81));
    append(
        &mut server.log().await,
        &[
            release(80, "A.AL.SPENDING", "GBP", &[("2022", "200", "A")]),
            release(81, "A.AL.STAFF", "PERSONS", &[("2023", "100", "A")]),
            claim(1, years, ("-95", "EXACT"), &[FULL_YEAR_2023]),
            claim(2, years, ("-92.6", "ROUNDED_AMOUNT"), &[FULL_YEAR_2023]),
            claim(3, years, ("-92.7", "ROUNDED_AMOUNT"), &[FULL_YEAR_2023]),
            claim(4, years, ("-93", "UNDER"), &[FULL_YEAR_2023]),
            claim(5, years, ("-90", "AT_LEAST"), &[FULL_YEAR_2023]),
            claim(6, ("2019", "2020"), ("-90", "OVER"), &[FULL_YEAR_2023]),
            claim(7, years, ("-50", "EXACT"), &[&pounds, &people]),
            claim(8, years, ("-93", "ROUNDED_AMOUNT"), &[OVER_90]),
        ],
    )
    .await
    .unwrap();
    let fell = "-92.700";
    for (number, verdict, reasons, change) in [
        (1, Verdict::ClaimMismatch, vec![], fell),
        // Half a unit of the last digit is 0.05: -92.600 and -92.700 are 0.1 apart, -92.488 is further.
        (2, Verdict::ClaimMismatch, vec![], fell),
        // Within its rounding of the figures as they stand; not of the base as it was first published.
        (3, Verdict::HoldsPartly, vec![], fell),
        (4, Verdict::Holds, vec![], fell),
        (5, Verdict::Holds, vec![], fell),
        (6, Verdict::Uncheckable, vec![Reason::ValueUnknown, Reason::FlawedValue], ""),
        // 200 pounds and 100 people: half of nothing.
        (7, Verdict::Uncheckable, vec![Reason::DifferentUnit, Reason::DifferentSeries], ""),
    ] {
        let claims = check(&mut client, json!({"eventId": id(number)})).await;
        let found = claims[0].from_series.as_ref().unwrap();
        assert_eq!(claims[0].verdict(), verdict, "{number} {found:?}");
        let told: Vec<Reason> = found.reasons().filter(|reason| reasons.contains(reason)).collect();
        assert!(told.len() == reasons.len() || number == 6, "{number} {:?}", found.reasons);
        assert_eq!(found.comparable, reasons.is_empty());
        let computed = found.variants.first().and_then(|variant| variant.percent_change.as_ref());
        assert_eq!(text(computed), change, "{number}");
    }
    // A link to what is no release names no series.
    let unknown = check(&mut client, json!({"eventId": id(8)})).await;
    assert_eq!((unknown[0].verdict(), &unknown[0].from_series), (Verdict::Uncheckable, &None));
    // The same, asked of a series by name.
    let named = check(&mut client, json!({"eventId": id(8), "series": series("A.AL.SMALL_BOAT")})).await;
    assert_eq!(named[0].verdict(), Verdict::HoldsPartly, "{named:?}");
}
