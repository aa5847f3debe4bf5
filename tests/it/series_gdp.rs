//! Made-up series in the shape of real ones: a national product with its estimates, annual revision and new base year;
//! monthly counts with dimensions; and a series of very many vintages.

use annals::pb;
use annals::pb::cell_version::State;
use annals::pb::period_comparison::{Basis, Reason, Verdict};
use annals::pb::period_value::Flaw;
use annals::pb::series_caveat::Code;
use annals::pb::series_service_client::SeriesServiceClient;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::events::{self, with};
use crate::harness::{Server, append};

type Client = SeriesServiceClient<Channel>;

/// Asks one question, written as grpcurl would.
macro_rules! ask {
    ($client:expr, $method:ident, $request:ident, $question:expr) => {{
        let request: pb::$request = events::message(concat!("annals.v1.", stringify!($request)), &$question);
        $client.$method(request).await.unwrap().into_inner()
    }};
}

fn text(decimal: Option<&pb::google::r#type::Decimal>) -> &str {
    decimal.map_or("", |decimal| decimal.value.as_str())
}

fn known(day: &str) -> Value {
    json!({"knownAt": format!("{day}T23:59:59Z")})
}

async fn compare(client: &mut Client, question: Value) -> pb::PeriodComparison {
    ask!(client, compare_periods, ComparePeriodsRequest, question).comparison.unwrap()
}

fn event(stream: &str, day: &str, release: Value) -> Value {
    json!({
        "stream": stream, "title": "A release", "knownAt": format!("{day}T09:00:00Z"),
        "assertion": "RECORDED", "modality": "ACTUAL", "validTime": {"edtf": "2018/2019", "shape": "PERIOD"},
        "statisticalRelease": release,
    })
}

fn gdp() -> Value {
    json!({"dataflow": "XX.STAT:GDP(1.0)", "seriesKey": "Q.XX.GDP"})
}

/// One estimate of the product: periods with value and status, without a value to be withdrawn.
fn estimate(
    (day, vintage, revision): (&str, &str, u32),
    action: &str,
    base: &str,
    cells: &[(&str, &str, &str)],
) -> Value {
    let cells: Vec<Value> = cells
        .iter()
        .map(|(period, value, status)| {
            let cell = json!({"period": {"edtf": period, "shape": "PERIOD"}});
            if value.is_empty() {
                return cell;
            }
            with(with(cell, "value", json!({"value": value})), "obsStatus", json!(status))
        })
        .collect();
    event(
        "series/xx/gdp",
        day,
        json!({
            "dataflow": "XX.STAT:GDP(1.0)", "seriesKey": "Q.XX.GDP", "frequency": "Q", "unit": "EUR",
            "unitMultiplier": 6, "adjustment": "Y", "basePeriod": base, "vintage": vintage, "revision": revision,
            "action": action, "observations": cells,
        }),
    )
}

/// EDTF numbers the quarters of a year 33 to 36.
fn estimates() -> [Value; 6] {
    let first = [
        ("2018-33", "100.0", "A"),
        ("2018-34", "101.0", "A"),
        ("2018-35", "102.0", "A"),
        ("2018-36", "103.0", "A"),
        ("2019-33", "104.0", "P"),
    ];
    let annual = [
        ("2018-33", "100.5", "A"),
        ("2018-34", "101.4", "A"),
        ("2018-35", "102.0", "A"),
        ("2018-36", "103.2", "A"),
        ("2019-33", "104.6", "A"),
        ("2019-34", "105.0", "P"),
    ];
    let benchmark = [
        ("2018-34", "203.0", "A"),
        ("2018-35", "204.1", "A"),
        ("2018-36", "206.6", "A"),
        ("2019-33", "210.2", "A"),
        ("2019-34", "211.0", "A"),
    ];
    [
        estimate(("2019-04-28", "advance", 0), "MERGE", "2016", &first),
        estimate(("2019-05-28", "second", 1), "MERGE", "2016", &[("2019-33", "104.4", "P")]),
        estimate(("2019-06-28", "third", 2), "MERGE", "2016", &[("2019-33", "104.3", "A")]),
        estimate(("2019-07-28", "annual revision", 3), "MERGE", "2016", &annual),
        estimate(("2019-10-28", "benchmark", 4), "REPLACE", "2019", &benchmark),
        estimate(("2019-11-28", "withdrawal", 5), "DELETE", "2019", &[("2018-34", "", "")]),
    ]
}

#[tokio::test]
async fn a_national_product_is_known_estimate_by_estimate() {
    let server = Server::start();
    // Recorded backwards: what decides is when the public could know it.
    let mut estimates = estimates();
    estimates.reverse();
    append(&mut server.log().await, &estimates).await.unwrap();
    let mut client = SeriesServiceClient::new(server.channel().await);
    each_date_has_its_own_value(&mut client).await;
    first_published_against_latest(&mut client).await;
    rounds_are_counted(&mut client).await;
    a_new_base_year_is_not_compared_with_the_old(&mut client).await;
}

async fn each_date_has_its_own_value(client: &mut Client) {
    for (day, provisional, expected) in [
        ("2019-04-27", 0, &[][..]),
        ("2019-04-30", 1, &["100.0", "101.0", "102.0", "103.0", "104.0"][..]),
        ("2019-05-30", 1, &["100.0", "101.0", "102.0", "103.0", "104.4"]),
        ("2019-06-30", 0, &["100.0", "101.0", "102.0", "103.0", "104.3"]),
        ("2019-07-30", 1, &["100.5", "101.4", "102.0", "103.2", "104.6", "105.0"]),
        ("2019-10-30", 0, &["100.5", "203.0", "204.1", "206.6", "210.2", "211.0"]),
        ("2019-11-30", 0, &["100.5", "204.1", "206.6", "210.2", "211.0"]),
    ] {
        let question = json!({"series": gdp(), "scope": known(day)});
        let found = ask!(client, get_series, GetSeriesRequest, question).values;
        let values: Vec<&str> =
            found.iter().map(|value| text(value.current.as_ref().unwrap().value.as_ref())).collect();
        assert_eq!(values, expected, "{day}");
        let not_final = with(question, "provisionalOnly", json!(true));
        assert_eq!(ask!(client, get_series, GetSeriesRequest, not_final).values.len(), provisional, "{day}");
        assert!(found.iter().all(|value| value.current.as_ref().unwrap().provisional
            == value.caveats.iter().any(|caveat| caveat.code() == Code::Provisional)));
    }
    let all = json!({"series": gdp(), "includeWithdrawn": true, "from": "2018-04", "to": "2018-07"});
    let withdrawn = ask!(client, get_series, GetSeriesRequest, all).values;
    assert_eq!(withdrawn[0].current.as_ref().unwrap().state(), State::Withdrawn);
    assert_eq!(text(withdrawn[0].previous.as_ref().unwrap().scaled_value.as_ref()), "203000000");
    let header = ask!(client, list_series, ListSeriesRequest, json!({"series": gdp()})).series;
    let described = &header[0];
    assert_eq!((described.value_count, described.empty_count, described.vintage_count), (5, 1, 6));
    assert_eq!((described.base_period.as_str(), described.last_vintage.as_str()), ("2019", "withdrawal"));
}

async fn first_published_against_latest(client: &mut Client) {
    let cell = json!({"series": gdp(), "from": "2019", "to": "2019-04"});
    let now = ask!(client, list_vintages, ListVintagesRequest, cell).cells;
    let vintages: Vec<(&str, &str)> = now[0]
        .versions
        .iter()
        .map(|version| (version.vintage.as_str(), text(version.value.as_ref())))
        .collect();
    assert_eq!(
        vintages,
        [
            ("advance", "104.0"),
            ("second", "104.4"),
            ("third", "104.3"),
            ("annual revision", "104.6"),
            ("benchmark", "210.2")
        ]
    );
    assert_eq!((now[0].revision_count, text(now[0].first_value.as_ref())), (4, "104000000"));
    assert_eq!((&now[0].absolute_revision, &now[0].percent_revision), (&None, &None), "the base is another");
    assert_eq!(text(now[0].last_provisional_value.as_ref()), "104400000");
    assert_eq!(text(now[0].first_final_value.as_ref()), "104300000");
    let then = with(cell.clone(), "scope", known("2019-08-01"));
    let then = ask!(client, list_vintages, ListVintagesRequest, then).cells;
    let revision = (text(then[0].absolute_revision.as_ref()), text(then[0].percent_revision.as_ref()));
    assert_eq!(revision, ("600000", "0.577"));
    let value = ask!(client, get_series, GetSeriesRequest, cell).values;
    let codes: Vec<Code> = value[0].caveats.iter().map(pb::SeriesCaveat::code).collect();
    assert_eq!(codes, [Code::UnitChanged], "twice the value, but not in the same measure");
    assert_eq!(value[0].percent_change, None);
}

async fn rounds_are_counted(client: &mut Client) {
    let rounds = ask!(client, count_revisions, CountRevisionsRequest, json!({"series": gdp()})).rounds;
    let counts: Vec<(&str, [i32; 4])> = rounds
        .iter()
        .map(|round| {
            let counts =
                [round.added_count, round.revised_count, round.withdrawn_count, round.repeated_count];
            (round.vintage.as_str(), counts)
        })
        .collect();
    assert_eq!(
        counts,
        [
            ("advance", [5, 0, 0, 0]),
            ("second", [0, 1, 0, 0]),
            ("third", [0, 1, 0, 0]),
            ("annual revision", [1, 4, 0, 1]),
            ("benchmark", [0, 5, 0, 0]),
            ("withdrawal", [0, 0, 1, 0]),
        ]
    );
}

async fn a_new_base_year_is_not_compared_with_the_old(client: &mut Client) {
    for (day, change, reasons, verdict) in [
        ("2019-04-30", "4.000", vec![Reason::ProvisionalAgainstFinal], Verdict::ClaimMismatch),
        ("2019-06-30", "4.300", vec![], Verdict::HoldsPartly),
        ("2019-07-30", "4.080", vec![], Verdict::ClaimMismatch),
        ("2019-10-30", "", vec![Reason::DifferentUnit], Verdict::Uncheckable),
    ] {
        let question = json!({
            "series": gdp(), "basePeriod": "2018-33", "period": "2019-33", "scope": known(day),
            "stated": {"value": "4.3"},
        });
        let found = compare(client, question).await;
        assert_eq!(found.reasons().collect::<Vec<_>>(), reasons, "{day}");
        assert_eq!(found.comparable, reasons.is_empty());
        let computed = found.variants.first().and_then(|variant| variant.percent_change.as_ref());
        assert_eq!(text(computed), change, "{day}");
        let expected = if day == "2019-06-30" { Verdict::Holds } else { verdict };
        assert_eq!(found.verdict(), expected, "{day}");
    }
    // Restated quarters are of one base again.
    let question = json!({"series": gdp(), "basePeriod": "2018-36", "period": "2019-33"});
    let found = compare(client, question).await;
    assert_eq!(found.variants[0].percent_change.as_ref().unwrap().value, "1.742");
    assert!(!found.reasons().any(|reason| reason == Reason::DifferentUnit), "{:?}", found.reasons);
    // Chained volumes do not add up to a year.
    let year = json!({"series": gdp(), "period": "2018", "scope": known("2019-06-30")});
    let year = ask!(client, get_period_value, GetPeriodValueRequest, year).value.unwrap();
    assert_eq!((year.flaws().collect::<Vec<_>>(), year.value), (vec![Flaw::NotAdditive], None));
}

fn boats(day: &str, action: &str, cells: &[(String, &str, Option<u32>)]) -> Value {
    let cells: Vec<Value> = cells
        .iter()
        .map(|(month, sex, count)| {
            let cell = json!({"period": {"edtf": month, "shape": "PERIOD"}, "dimensions": {"SEX": sex}});
            match count {
                Some(count) => with(cell, "value", json!({"value": count.to_string()})),
                None => cell,
            }
        })
        .collect();
    event(
        "series/xx/boats",
        day,
        json!({
            "dataflow": "XX.STAT:BOATS(1.0)", "seriesKey": "M.XX", "frequency": "M", "unit": "PERSONS",
            "action": action, "observations": cells,
        }),
    )
}

#[tokio::test]
async fn monthly_counts_with_dimensions_add_up_where_they_are_whole() {
    let server = Server::start();
    let month = |year: u32, month: u32| format!("{year}-{month:02}");
    let of = |year: u32, months: u32, women: u32, men: u32| {
        (1..=months)
            .flat_map(|m| [(month(year, m), "F", Some(women * m)), (month(year, m), "M", Some(men))])
            .collect::<Vec<_>>()
    };
    append(
        &mut server.log().await,
        &[
            boats("2023-02-01", "MERGE", &of(2022, 12, 10, 100)),
            boats("2023-10-01", "MERGE", &of(2023, 9, 5, 50)),
            boats("2023-10-15", "DELETE", &[(month(2023, 9), "F", None)]),
            boats("2023-11-01", "MERGE", &[(month(2023, 9), "F", Some(45))]),
            boats("2023-12-01", "REPLACE", &[(month(2022, 12), "F", Some(20))]),
        ],
    )
    .await
    .unwrap();
    let mut client = SeriesServiceClient::new(server.channel().await);
    let selected = |sex: &str| match sex {
        "" => json!({"dataflow": "XX.STAT:BOATS(1.0)"}),
        sex => json!({"dataflow": "XX.STAT:BOATS(1.0)", "dimensions": {"SEX": sex}}),
    };
    for (sex, period, day, value, partial) in [
        ("F", "2022", "2023-03-01", "780", ""),
        ("M", "2022", "2023-03-01", "1200", ""),
        ("", "2022", "2023-03-01", "1980", ""),
        ("F", "2022", "2023-12-31", "680", ""),
        ("F", "2022-34", "2023-12-31", "150", ""),
        ("F", "2023-01/2023-09", "2023-10-02", "225", ""),
        ("F", "2023-01/2023-09", "2023-10-20", "", "180"),
        ("", "2023-01/2023-09", "2023-10-20", "", "630"),
        ("M", "2023-01/2023-09", "2023-10-20", "450", ""),
        ("F", "2023-01/2023-09", "2023-11-02", "225", ""),
    ] {
        let question = json!({"series": selected(sex), "period": period, "scope": known(day)});
        let found = ask!(client, get_period_value, GetPeriodValueRequest, question).value.unwrap();
        let sums = (text(found.value.as_ref()), text(found.partial_sum.as_ref()));
        assert_eq!(sums, (value, partial), "{sex} {period} {day}");
    }
    let question = json!({
        "series": selected("F"), "basePeriod": "2022", "period": "2023-01/2023-09", "scope": known("2023-11-02"),
    });
    let found = compare(&mut client, question).await;
    let ways: Vec<(Basis, &str, bool)> = found
        .variants
        .iter()
        .map(|variant| (variant.basis(), text(variant.percent_change.as_ref()), variant.comparable))
        .collect();
    assert_eq!(
        ways,
        [
            (Basis::AsAsked, "-71.154", false),
            (Basis::PerDay, "-61.433", false),
            (Basis::SameSpan, "-50.000", true)
        ]
    );
    // Withdrawn and published again: three versions, two revisions, and nothing lost.
    let cell = json!({"series": selected("F"), "from": "2023-09", "to": "2023-10"});
    let cells = ask!(client, list_vintages, ListVintagesRequest, cell).cells;
    let states: Vec<State> = cells[0].versions.iter().map(pb::CellVersion::state).collect();
    assert_eq!(states, [State::Present, State::Withdrawn, State::Present]);
    assert_eq!((cells[0].revision_count, text(cells[0].absolute_revision.as_ref())), (2, "0"));
}

fn number_from(variable: &str, otherwise: u32) -> u32 {
    std::env::var(variable).ok().map_or(otherwise, |value| value.parse().unwrap())
}

/// The value that a release gives to a period.
fn value_of(release: u32, period: u32) -> u32 {
    1_000 + period * 10 + release % (period + 2)
}

/// The day on which a release is published.
fn day(release: u32) -> String {
    let day = jiff::civil::date(2000, 1, 1) + jiff::Span::new().days(i64::from(release));
    day.to_string()
}

fn month(number: u32) -> String {
    format!("{:04}-{:02}", 1970 + number / 12, number % 12 + 1)
}

async fn publish_many(server: &Server, releases: u32, periods: u32) {
    let mut log = server.log().await;
    for release in 0..releases {
        let cells: Vec<Value> = (0..periods)
            .map(|period| {
                let value = value_of(release, period).to_string();
                json!({"period": {"edtf": month(period), "shape": "PERIOD"}, "value": {"value": value}})
            })
            .collect();
        let stated = json!({
            "dataflow": "XX.STAT:MANY(1.0)", "seriesKey": "M.XX.MANY", "frequency": "M", "unit": "EUR",
            "observations": cells,
        });
        append(&mut log, &[event("series/xx/many", &day(release), stated)]).await.unwrap();
    }
}

/// `ANNALS_SERIES_RELEASES` and `ANNALS_SERIES_PERIODS` ask for another size.
#[tokio::test]
async fn very_many_vintages_are_paged_through() {
    let releases = number_from("ANNALS_SERIES_RELEASES", 60);
    let periods = number_from("ANNALS_SERIES_PERIODS", 120);
    let server = Server::start();
    publish_many(&server, releases, periods).await;
    let mut client = SeriesServiceClient::new(server.channel().await).max_decoding_message_size(16 << 20);
    let series = json!({"dataflow": "XX.STAT:MANY(1.0)", "seriesKey": "M.XX.MANY"});
    let measured = std::time::Instant::now();
    let told = |what: &str| eprintln!("{what}: {} ms in all", measured.elapsed().as_millis());

    let question = json!({"series": series, "pageSize": 50});
    let mut request: pb::GetSeriesRequest = events::message("annals.v1.GetSeriesRequest", &question);
    let mut values = Vec::new();
    loop {
        let page = client.get_series(request.clone()).await.unwrap().into_inner();
        values.extend(page.values);
        told("a page of values");
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    let expected: Vec<String> =
        (0..periods).map(|period| value_of(releases - 1, period).to_string()).collect();
    let found: Vec<&str> =
        values.iter().map(|value| text(value.current.as_ref().unwrap().value.as_ref())).collect();
    assert_eq!(found, expected);

    let question = json!({"series": series, "changesOnly": true});
    let mut request: pb::ListVintagesRequest = events::message("annals.v1.ListVintagesRequest", &question);
    let mut cells = Vec::new();
    loop {
        let page = client.list_vintages(request.clone()).await.unwrap().into_inner();
        cells.extend(page.cells);
        told("a page of the triangle");
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(cells.len(), usize::try_from(periods).unwrap());
    for (period, cell) in (0..periods).zip(&cells) {
        // Each release gives another value than the one before: neighbours modulo at least 2.
        assert_eq!(cell.revision_count, i32::try_from(releases - 1).unwrap(), "{period}");
        let shown = u32::try_from(cell.versions.len()).unwrap();
        assert_eq!(
            (shown, cell.omitted_version_count),
            (releases.min(1_000), i32::try_from(releases.saturating_sub(1_000)).unwrap())
        );
    }
    let question = json!({"series": series, "basePeriod": "1975", "period": "1976"});
    let found = compare(&mut client, question).await;
    let sum = |from: u32| (from..from + 12).map(|period| value_of(releases - 1, period)).sum::<u32>();
    assert_eq!(text(found.value.as_ref().unwrap().value.as_ref()), sum(72).to_string());
    assert_eq!(text(found.base.as_ref().unwrap().value.as_ref()), sum(60).to_string());
    told("two years compared");

    // What is appended later counts in the next question, although the one before was kept.
    let correction = json!({
        "dataflow": "XX.STAT:MANY(1.0)", "seriesKey": "M.XX.MANY", "frequency": "M", "unit": "EUR",
        "observations": [{"period": {"edtf": month(0), "shape": "PERIOD"}, "value": {"value": "7"}}],
    });
    append(&mut server.log().await, &[event("series/xx/many", &day(releases), correction)]).await.unwrap();
    let first = ask!(client, get_series, GetSeriesRequest, json!({"series": series, "pageSize": 1}));
    assert_eq!(text(first.values[0].current.as_ref().unwrap().value.as_ref()), "7");
    told("one value after another release");
}

#[tokio::test]
async fn what_is_erased_is_in_no_answer_though_it_was_kept_for_the_next() {
    let server = Server::start();
    let number = events::id(1);
    let first = with(estimates()[0].clone(), "id", json!(number));
    append(&mut server.log().await, &[first, estimates()[1].clone()]).await.unwrap();
    let mut client = SeriesServiceClient::new(server.channel().await);
    let cells = async |client: &mut Client| {
        ask!(client, get_series, GetSeriesRequest, json!({"series": gdp()})).values.len()
    };
    assert_eq!(cells(&mut client).await, 5);
    let order = json!({"eventId": number, "reason": "on request", "authority": "an editor"});
    let order: pb::EraseEventRequest = events::message("annals.v1.EraseEventRequest", &order);
    server.admin().await.erase_event(order).await.unwrap();
    assert_eq!(cells(&mut client).await, 1);
}
