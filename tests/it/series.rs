//! Statistical series over gRPC: the known answers of the data sets.

use annals::pb;
use annals::pb::period_comparison::{Basis, Reason, Verdict};
use annals::pb::period_value;
use annals::pb::series_service_client::SeriesServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::events::{self, dataset};
use crate::harness::{Server, append};

type Client = SeriesServiceClient<Channel>;

/// Asks one question, written as grpcurl would.
macro_rules! ask {
    ($client:expr, $method:ident, $request:ident, $question:expr) => {{
        let request: pb::$request = events::message(concat!("annals.v1.", stringify!($request)), &$question);
        $client.$method(request).await.unwrap().into_inner()
    }};
}

async fn client(server: &Server) -> Client {
    SeriesServiceClient::new(server.channel().await)
}

fn text(decimal: Option<&pb::google::r#type::Decimal>) -> &str {
    decimal.map_or("", |decimal| decimal.value.as_str())
}

/// The end of a day, as `scope.knownAt`.
fn known(day: &str) -> Value {
    json!({"knownAt": format!("{day}T23:59:59Z")})
}

async fn period(
    client: &mut Client,
    series: &Value,
    period: &str,
    scope: &Value,
    zero: bool,
) -> pb::PeriodValue {
    let question = json!({"series": series, "period": period, "scope": scope, "absentIsZero": zero});
    ask!(client, get_period_value, GetPeriodValueRequest, question).value.unwrap()
}

async fn compare(client: &mut Client, question: Value) -> pb::PeriodComparison {
    ask!(client, compare_periods, ComparePeriodsRequest, question).comparison.unwrap()
}

fn percent(comparison: &pb::PeriodComparison, basis: Basis) -> (&str, bool, Verdict) {
    let variant = comparison.variants.iter().find(|variant| variant.basis() == basis).unwrap();
    (text(variant.percent_change.as_ref()), variant.comparable, variant.verdict())
}

const VINTAGES: [&str; 5] = ["2023-03-09", "2023-05-31", "2023-08-24", "2023-11-23", "2024-02-29"];

fn albania() -> Value {
    json!({"dataflow": "GB.HO:IRR_D01(1.0)", "seriesKey": "Q.small-boat-arrivals.albania"})
}

fn everyone() -> Value {
    json!({"dataflow": "GB.HO:IRR_D01(1.0)", "seriesKey": "Q.small-boat-arrivals.*"})
}

/// What the README of the data set says of Albania and of all nationalities.
#[tokio::test(flavor = "multi_thread")]
async fn small_boat_arrivals_are_known_as_each_release_had_them() {
    let server = Server::start();
    server.import(&dataset("uk-small-boats"));
    let mut client = client(&server).await;

    for (day, in_2022, in_2023) in [
        ("2023-03-09", "12301", ""),
        ("2023-05-31", "12301", "28"),
        ("2023-07-27", "12301", "28"),
        ("2023-08-24", "12658", "148"),
        ("2023-11-23", "12658", "863"),
        ("2024-02-29", "12658", "924"),
    ] {
        let whole = period(&mut client, &albania(), "2022", &known(day), false).await;
        assert_eq!(text(whole.value.as_ref()), in_2022, "{day}");
        assert_eq!((whole.basis(), whole.part_count), (period_value::Basis::SumOfParts, 4));
        let year = period(&mut client, &albania(), "2023", &known(day), false).await;
        let found = year.value.as_ref().or(year.partial_sum.as_ref());
        assert_eq!(text(found), in_2023, "{day}");
        assert_eq!(year.value.is_some(), day == "2024-02-29", "only then is the year whole");
    }
    let early = period(&mut client, &albania(), "2023", &known("2023-03-09"), false).await;
    assert_eq!(early.flaws, [1, 2], "nothing is known, and the year is a gap");

    // The README has 45,774 and 29,437 from 2023-08-24 on. The packed file leaves out withdrawals that the source made:
    // four nationalities were renamed, and their old series go on; and four cells are withdrawn under the last month
    // of their quarter, which is another cell. `the_totals_once_withdrawn` puts that right and finds the README's sums.
    for (day, year, expected) in [
        ("2023-03-09", "2022", "45755"),
        ("2023-07-27", "2022", "45755"),
        ("2023-08-24", "2022", "45913"),
        ("2024-02-29", "2022", "45913"),
        ("2024-02-29", "2023", "29457"),
    ] {
        let all = period(&mut client, &everyone(), year, &known(day), true).await;
        assert_eq!(
            (text(all.value.as_ref()), all.basis()),
            (expected, period_value::Basis::SumOfSeries),
            "{day} {year}"
        );
    }
    let strict = period(&mut client, &everyone(), "2022", &Value::Null, false).await;
    assert_eq!((strict.value.is_some(), text(strict.partial_sum.as_ref())), (false, "45913"));
    assert!(strict.gap_count > 0, "many nationalities have quarters without a cell");

    the_triangle_of_albania(&mut client).await;
    the_changes_to_2023(&mut client).await;
    the_rounds_of_releases(&mut client).await;
    the_totals_once_withdrawn(&server, &mut client).await;
}

/// Withdraws what the source dropped and the packed file does not say: known answers 45,774 and 29,437.
async fn the_totals_once_withdrawn(server: &Server, client: &mut Client) {
    let drop = async |name: &str, day: &str, cells: &[Value]| {
        let key = format!("Q.small-boat-arrivals.{name}");
        let release = json!({
            "dataflow": "GB.HO:IRR_D01(1.0)", "seriesKey": key, "frequency": "Q", "unit": "PERSONS",
            "action": "DELETE", "observations": cells,
        });
        let event = json!({
            "stream": format!("series/gb-home-office/irr-d01/small-boat-arrivals/{name}"), "title": "Withdrawn",
            "knownAt": format!("{day}T00:00:00Z"), "assertion": "RECORDED", "modality": "ACTUAL",
            "validTime": {"edtf": "2018/2023", "shape": "PERIOD"}, "statisticalRelease": release,
        });
        append(&mut server.log().await, &[event]).await.unwrap();
    };
    for name in ["burma", "sudan-south", "macedonia", "burkina"] {
        let series = json!({"seriesKey": format!("Q.small-boat-arrivals.{name}")});
        let question = json!({"series": series, "pageSize": 1000});
        let values = ask!(client, get_series, GetSeriesRequest, question).values;
        let cells =
            values.iter().map(|value| value.cell.as_ref().unwrap().period.as_ref().unwrap().edtf.clone());
        let cells: Vec<Value> =
            cells.map(|edtf| json!({"period": {"edtf": edtf, "shape": "PERIOD"}})).collect();
        drop(name, "2023-08-24", &cells).await;
    }
    for (name, day, quarter) in [
        ("other-and-unknown", "2023-08-24", "2022-33"),
        ("not-currently-recorded", "2023-08-24", "2022-35"),
        ("mali", "2023-11-23", "2023-34"),
        ("russia", "2023-11-23", "2023-34"),
    ] {
        drop(name, day, &[json!({"period": {"edtf": quarter, "shape": "PERIOD"}})]).await;
    }
    for (day, year, expected) in [
        ("2023-07-27", "2022", "45755"),
        ("2023-08-24", "2022", "45774"),
        ("2024-02-29", "2022", "45774"),
        ("2024-02-29", "2023", "29437"),
    ] {
        let all = period(client, &everyone(), year, &known(day), true).await;
        assert_eq!(text(all.value.as_ref()), expected, "{day} {year}");
    }
}

async fn the_triangle_of_albania(client: &mut Client) {
    let question = json!({"series": albania(), "from": "2022", "to": "2023"});
    let triangle = ask!(client, list_vintages, ListVintagesRequest, question).cells;
    let rows: Vec<(String, Vec<&str>, &str, &str)> = triangle
        .iter()
        .map(|cell| {
            let values = cell.versions.iter().map(|version| text(version.value.as_ref())).collect();
            let period = cell.versions[0].time_period.clone();
            (period, values, text(cell.absolute_revision.as_ref()), text(cell.percent_revision.as_ref()))
        })
        .collect();
    let expected = [
        ("2022-Q1".to_owned(), vec!["235"], "0", "0.000"),
        ("2022-Q2".to_owned(), vec!["1930", "2194"], "264", "13.679"),
        ("2022-Q3".to_owned(), vec!["9037", "9044"], "7", "0.077"),
        ("2022-Q4".to_owned(), vec!["1099", "1185"], "86", "7.825"),
    ];
    assert_eq!(rows, expected);
    let q2 = ask!(
        client,
        get_series,
        GetSeriesRequest,
        json!({
            "series": albania(), "from": "2022-04", "to": "2022-07", "scope": known("2023-06-01"),
        })
    );
    let codes: Vec<i32> = q2.values[0].caveats.iter().map(|caveat| caveat.code).collect();
    assert_eq!(codes, [i32::from(pb::series_caveat::Code::LaterRevised)]);
    let header = ask!(client, list_series, ListSeriesRequest, json!({"series": albania()})).series;
    assert_eq!((header.len(), header[0].vintage_count, header[0].value_count), (1, 5, 20));
    assert_eq!(header[0].first_period.as_ref().unwrap().edtf, "2018-01/2018-03");
    assert_eq!(header[0].last_period.as_ref().unwrap().edtf, "2023-10/2023-12");
}

async fn the_changes_to_2023(client: &mut Client) {
    let years = compare(client, json!({"series": albania(), "basePeriod": "2022", "period": "2023"})).await;
    assert!(years.comparable, "{:?}", years.reasons);
    assert_eq!(percent(&years, Basis::AsAsked).0, "-92.700");
    assert_eq!(percent(&years, Basis::FirstPublishedBase).0, "-92.488");
    let nine = json!({"series": albania(), "basePeriod": "2022-01/2022-09", "period": "2023-01/2023-09"});
    let nine = compare(client, nine).await;
    assert_eq!(text(nine.base.as_ref().unwrap().value.as_ref()), "11473");
    assert_eq!((percent(&nine, Basis::AsAsked).0, nine.comparable), ("-92.478", true));
    // As known in November 2023 the year was not whole; against 2022 as first known it is another base.
    let then = json!({
        "series": albania(), "basePeriod": "2022", "period": "2023", "baseScope": known("2023-06-01"),
    });
    assert_eq!(percent(&compare(client, then).await, Basis::AsAsked).0, "-92.488");
    let cut = json!({
        "series": albania(), "basePeriod": "2022", "period": "2023-01/2023-09", "stated": {"value": "-93"},
        "statedQualifier": "ROUNDED_AMOUNT",
    });
    let cut = compare(client, cut).await;
    assert_eq!(cut.reasons().collect::<Vec<_>>(), [Reason::DifferentLength, Reason::DifferentCalendarSpan]);
    assert_eq!(percent(&cut, Basis::FullPeriod), ("-92.700", true, Verdict::Holds));
    assert_eq!(percent(&cut, Basis::SameSpan), ("-92.478", true, Verdict::ClaimMismatch));
    assert_eq!(cut.verdict(), Verdict::HoldsPartly);
}

async fn the_rounds_of_releases(client: &mut Client) {
    let question = json!({"series": {"dataflow": "GB.HO:IRR_D01(1.0)"}});
    let rounds = ask!(client, count_revisions, CountRevisionsRequest, question).rounds;
    let vintages: Vec<&str> = rounds.iter().map(|round| round.vintage.as_str()).collect();
    assert_eq!(vintages, VINTAGES);
    let counts: Vec<[i32; 3]> = rounds
        .iter()
        .map(|round| [round.release_count, round.revised_count, round.withdrawn_count])
        .collect();
    // The README's 26, 136 and 35 revised cells; of its 57 and 2 dropped ones the file withdraws none by their quarter.
    assert_eq!(counts, [[384, 0, 0], [143, 26, 0], [166, 136, 0], [171, 35, 0], [155, 0, 0]]);
}
