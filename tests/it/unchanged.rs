//! An answer as of a position never changes: the same questions before and after ten thousand events that correct, retract
//! or publish anew what they are about give the same bytes.

use std::collections::HashSet;

use annals::pb;
use annals::pb::agreement_service_client::AgreementServiceClient;
use annals::pb::funding_service_client::FundingServiceClient;
use annals::pb::provenance_service_client::ProvenanceServiceClient;
use annals::pb::series_service_client::SeriesServiceClient;
use annals::pb::visit_service_client::VisitServiceClient;
use prost::Message as _;
use serde_json::{Value, json};

use crate::events::{self, dataset, read_file, with};
use crate::harness::{Server, append};

/// Events appended between the two rounds.
const APPENDED: usize = 10_000;
/// Pages read of each answer.
const PAGES: usize = 3;

/// What was asked, and the bytes of the answer.
type Answers = Vec<(String, Vec<u8>)>;

/// Asks each question; gives the bytes of the answers.
macro_rules! answers {
    ($found:ident, $client:expr, $method:ident, $request:ident, $questions:expr) => {
        for question in $questions {
            let request: pb::$request =
                events::message(concat!("annals.v1.", stringify!($request)), &question);
            let asked = format!("{} {question}", stringify!($method));
            let answer = $client.$method(request).await;
            $found.push((asked, answer.map_or_else(refusal, |answer| answer.into_inner().encode_to_vec())));
        }
    };
}

/// Asks each question page after page; gives the bytes of the pages.
macro_rules! pages {
    ($found:ident, $client:expr, $method:ident, $request:ident, $questions:expr) => {
        for question in $questions {
            let mut request: pb::$request =
                events::message(concat!("annals.v1.", stringify!($request)), &question);
            request.page_size = 20;
            for page in 0..PAGES {
                let asked = format!("{} {question} page {page}", stringify!($method));
                let answer = $client.$method(request.clone()).await;
                let answer = match answer {
                    Ok(answer) => answer.into_inner(),
                    Err(status) => {
                        $found.push((asked, refusal(status)));
                        break;
                    }
                };
                $found.push((asked, answer.encode_to_vec()));
                request.page_token = answer.next_page_token;
                if request.page_token.is_empty() {
                    break;
                }
            }
        }
    };
}

/// The scopes asked in: all of the recorded, and what of it was known earlier.
fn scopes(position: u64) -> [Value; 3] {
    let position = position.to_string();
    [
        json!({"asOfPosition": position}),
        json!({"asOfPosition": position, "knownAt": "2023-06-01T00:00:00Z"}),
        json!({"asOfPosition": position, "knownAt": "2024-03-01T00:00:00Z"}),
    ]
}

/// Asks every query there is, as of a position; `ids` are events to ask for by id.
async fn all_answers(server: &Server, position: u64, ids: &[String]) -> Answers {
    let mut found = Answers::new();
    for scope in scopes(position) {
        let scoped = |question: Value| with(question, "scope", scope.clone());
        timelines(server, &mut found, &scoped, ids).await;
        differences(server, &mut found, &scope).await;
        views(server, &mut found, &scoped).await;
        series(server, &mut found, &scoped).await;
        provenance(server, &mut found, &scoped, ids).await;
        reads(server, &mut found, &scope).await;
    }
    found
}

async fn timelines(server: &Server, found: &mut Answers, scoped: &impl Fn(Value) -> Value, ids: &[String]) {
    let mut client = server.timeline().await;
    let filters = [
        json!({}),
        json!({"countries": ["AL"]}),
        json!({"timelines": ["gb-al"]}),
        json!({"text": "Albania"}),
        json!({"kinds": ["FUNDING_TRANSFER"]}),
    ];
    let orders = [
        "VALID_START",
        "VALID_START_DESCENDING",
        "KNOWN_AT",
        "KNOWN_AT_DESCENDING",
        "RECORDED",
        "RECORDED_DESCENDING",
        "RELEVANCE",
    ];
    for order in orders {
        for filter in filters.iter().filter(|filter| order != "RELEVANCE" || filter["text"].is_string()) {
            let question = scoped(json!({"filter": filter, "order": order}));
            let closed = with(question.clone(), "includeClosed", json!(true));
            pages!(found, client, list_entries, ListEntriesRequest, [question, closed]);
        }
    }
    for filter in filters {
        let question = scoped(json!({"filter": filter}));
        let facets = ["KIND", "ENTITY", "COUNTRY", "TAG", "PUBLISHER"];
        let facets = facets.map(|facet| with(question.clone(), "facet", json!(facet)));
        answers!(found, client, count_entries, CountEntriesRequest, facets);
        let axes = ["VALID", "KNOWN", "RECORDED"];
        let units = axes.map(|axis| with(question.clone(), "time", json!({"axis": axis, "unit": "YEAR"})));
        answers!(found, client, count_entries, CountEntriesRequest, units);
    }
    let histories = ids.iter().map(|id| scoped(json!({"eventId": id})));
    pages!(found, client, get_entry_history, GetEntryHistoryRequest, histories);
    pages!(found, client, list_timelines, ListTimelinesRequest, [scoped(json!({}))]);
    answers!(found, client, get_timeline, GetTimelineRequest, [scoped(json!({"timelineId": "gb-al"}))]);
}

async fn differences(server: &Server, found: &mut Answers, scope: &Value) {
    let mut client = server.timeline().await;
    let earlier = [json!({"asOfPosition": "10"}), json!({"knownAt": "2023-05-01T00:00:00Z"})];
    for (before, filter) in earlier.iter().flat_map(|earlier| {
        [json!({}), json!({"timelines": ["gb-al"]})].map(|filter| (earlier.clone(), filter))
    }) {
        let question = json!({"filter": filter, "before": before, "after": scope});
        pages!(found, client, diff_entries, DiffEntriesRequest, [question]);
    }
}

async fn views(server: &Server, found: &mut Answers, scoped: &impl Fn(Value) -> Value) {
    let mut agreements = AgreementServiceClient::new(server.channel().await);
    let lists = [
        json!({}),
        json!({"inForceOn": "1950-01-01", "inForce": "YES", "between": ["party:albania"]}),
        json!({"on": "2000-01-01", "order": "FIRST_ACT_DESCENDING"}),
    ];
    pages!(found, agreements, list_agreements, ListAgreementsRequest, lists.map(scoped));
    let one = json!({"stream": "agreement/gb-al-migration-2022", "on": "2024-05-22"});
    // Nothing is known of it before the article.
    let request: pb::GetAgreementRequest =
        events::message("annals.v1.GetAgreementRequest", &scoped(one.clone()));
    let answer = agreements.get_agreement(request).await;
    found.push((
        format!("get_agreement {one}"),
        answer.map_or_else(refusal, |a| a.into_inner().encode_to_vec()),
    ));

    let mut visits = VisitServiceClient::new(server.channel().await);
    pages!(
        found,
        visits,
        list_visits,
        ListVisitsRequest,
        [scoped(json!({})), scoped(json!({"countries": ["AL"]}))]
    );
    pages!(found, visits, list_meetings, ListMeetingsRequest, [scoped(json!({}))]);
    let one = json!({"stream": "visit/gb-al-2024-05-cameron"});
    let request: pb::GetVisitRequest = events::message("annals.v1.GetVisitRequest", &scoped(one.clone()));
    let answer = visits.get_visit(request).await;
    found.push((format!("get_visit {one}"), answer.map_or_else(refusal, |a| a.into_inner().encode_to_vec())));

    let mut funding = FundingServiceClient::new(server.channel().await);
    let sums = [json!({}), json!({"groupBy": ["BY_PROVIDER", "BY_YEAR"]})].map(scoped);
    answers!(found, funding, summarize_funding, SummarizeFundingRequest, sums);
    pages!(found, funding, list_transfers, ListTransfersRequest, [scoped(json!({}))]);
    let compared = scoped(json!({"stream": "activity/XM-DAC-41121-2016"}));
    answers!(found, funding, compare_funding, CompareFundingRequest, [compared]);
}

/// A refusal is an answer too, where what is asked for was not known yet.
fn refusal(status: tonic::Status) -> Vec<u8> {
    assert_eq!(status.code(), tonic::Code::NotFound, "{status:?}");
    format!("{:?} {}", status.code(), status.message()).into_bytes()
}

async fn series(server: &Server, found: &mut Answers, scoped: &impl Fn(Value) -> Value) {
    let mut client = SeriesServiceClient::new(server.channel().await);
    let selected = json!({"dataflow": "GB.HO:IRR_D01(1.0)", "seriesKey": "Q.small-boat-arrivals.albania"});
    let every = json!({"dataflow": "GB.HO:IRR_D01(1.0)", "seriesKey": "Q.small-boat-arrivals.*"});
    let one = scoped(json!({"series": selected}));
    let all = scoped(json!({"series": every}));
    pages!(found, client, list_series, ListSeriesRequest, [all.clone()]);
    let withdrawn = with(one.clone(), "includeWithdrawn", json!(true));
    pages!(found, client, get_series, GetSeriesRequest, [one.clone(), withdrawn]);
    pages!(found, client, list_vintages, ListVintagesRequest, [one.clone()]);
    pages!(found, client, count_revisions, CountRevisionsRequest, [all]);
    let year = with(one.clone(), "period", json!("2022"));
    let first = with(year.clone(), "firstPublished", json!(true));
    answers!(found, client, get_period_value, GetPeriodValueRequest, [year.clone(), first]);
    let compared = with(year, "basePeriod", json!("2021"));
    answers!(found, client, compare_periods, ComparePeriodsRequest, [compared]);
    let claim = scoped(json!({"eventId": "018f9ee2-9300-7006-8061-6e6e616c7306"}));
    let request: pb::CheckClaimRequest = events::message("annals.v1.CheckClaimRequest", &claim);
    let answer = client.check_claim(request).await;
    found.push((
        format!("check_claim {claim}"),
        answer.map_or_else(refusal, |a| a.into_inner().encode_to_vec()),
    ));
}

async fn provenance(server: &Server, found: &mut Answers, scoped: &impl Fn(Value) -> Value, ids: &[String]) {
    let mut client = ProvenanceServiceClient::new(server.channel().await);
    for id in ids {
        let question = scoped(json!({"eventId": id}));
        let request: pb::GetLineageRequest = events::message("annals.v1.GetLineageRequest", &question);
        let answer = client.get_lineage(request).await;
        let bytes = answer.map_or_else(refusal, |a| a.into_inner().encode_to_vec());
        found.push((format!("get_lineage {question}"), bytes));
    }
    let sources = [
        json!({"sourceId": "source:independent-cameron-albania"}),
        json!({"sourceId": "source:unhcr-iati-2016"}),
    ];
    pages!(found, client, list_dependents, ListDependentsRequest, sources.map(scoped));
}

async fn reads(server: &Server, found: &mut Answers, scope: &Value) {
    let mut log = server.log().await;
    for direction in ["FORWARD", "BACKWARD"] {
        let filter = json!({"timelines": ["gb-al"]});
        let question = json!({"scope": scope, "direction": direction, "limit": "100", "filter": filter});
        let request: pb::ReadEventsRequest = events::message("annals.v1.ReadEventsRequest", &question);
        let mut stream = log.read_events(request).await.unwrap().into_inner();
        let mut events = pb::EventBatch::default();
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(pb::read_events_response::Content::Events(batch)) = message.content {
                events.events.extend(batch.events);
            }
        }
        found.push((format!("read_events {question}"), events.encode_to_vec()));
    }
}

/// Adds the first events of a data set.
async fn import_some(server: &Server, name: &str, count: usize) {
    let mut log = server.log().await;
    let some: Vec<Value> = read_file(&dataset(name)).into_iter().take(count).collect();
    for batch in some.chunks(250) {
        append(&mut log, batch).await.unwrap();
    }
}

async fn save(server: &Server, method: &str, filter: Value) {
    let mut client = server.timeline().await;
    let question = json!({"timeline": {"id": "gb-al", "title": "GB and AL", "filter": filter}});
    if method == "create" {
        let request: pb::CreateTimelineRequest =
            events::message("annals.v1.CreateTimelineRequest", &question);
        client.create_timeline(request).await.map(|_| ()).unwrap();
    } else {
        let request: pb::UpdateTimelineRequest =
            events::message("annals.v1.UpdateTimelineRequest", &question);
        client.update_timeline(request).await.map(|_| ()).unwrap();
    }
}

/// Gives what is recorded of the data: where it stands, its id, and the event as it was sent.
async fn recorded(server: &Server) -> Vec<pb::Event> {
    let mut log = server.log().await;
    let mut stream = log.read_events(pb::ReadEventsRequest::default()).await.unwrap().into_inner();
    let mut found = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(pb::read_events_response::Content::Events(batch)) = message.content {
            found.extend(batch.decoded().unwrap());
        }
    }
    found.retain(|event| !event.stream.starts_with('$'));
    found
}

/// The event as a client would send it once more.
fn anew(event: &pb::Event) -> pb::Event {
    let valid_time = event.valid_time.as_ref().map(|span| pb::TimeSpan {
        edtf: span.edtf.clone(),
        shape: span.shape,
        time_zone: span.time_zone.clone(),
        ..pb::TimeSpan::default()
    });
    pb::Event {
        stream: event.stream.clone(),
        title: event.title.clone(),
        valid_time,
        known_at: event.known_at,
        modality: event.modality,
        assertion: event.assertion,
        participants: event.participants.clone(),
        sources: event.sources.clone(),
        payload: event.payload.clone(),
        ..pb::Event::default()
    }
}

/// Corrects, retracts or publishes anew, a third each. Known times are those of the events that they are about.
fn later(at: usize, target: &pb::Event, is_closed: bool) -> pb::Event {
    let link = |link_type: pb::LinkType| {
        vec![pb::Link { r#type: link_type.into(), event_id: target.id.clone(), ..pb::Link::default() }]
    };
    let copy = anew(target);
    match if is_closed { 2 } else { at % 3 } {
        0 => pb::Event { links: link(pb::LinkType::Corrects), title: format!("corrected {at}"), ..copy },
        1 => {
            let marker = events::event(&simple_note(at));
            pb::Event { links: link(pb::LinkType::Retracts), known_at: target.known_at, ..marker }
        }
        _ => pb::Event { title: format!("once more {at}"), ..copy },
    }
}

fn simple_note(at: usize) -> Value {
    events::simple("notes", &format!("withdrawn {at}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_as_of_a_position_are_the_same_bytes_after_ten_thousand_corrections() {
    let server = Server::start();
    server.import_article();
    server.import(&dataset("uk-small-boats"));
    import_some(&server, "unhcr-iati", 4_500).await;
    import_some(&server, "uk-treaties", 4_500).await;
    save(&server, "create", json!({"entityIds": ["country:AL"]})).await;
    let events = recorded(&server).await;
    assert!(events.len() > APPENDED);
    let head = events.last().unwrap().position + 1;
    let ids: Vec<String> = events.iter().take(30).map(|event| event.id.clone()).collect();
    let before = all_answers(&server, head, &ids).await;

    // Every event of the article and of the small boats is among those that are changed.
    let mut log = server.log().await;
    save(&server, "update", json!({"entityIds": ["country:GB"]})).await;
    let closed: HashSet<&str> =
        events.iter().flat_map(|event| &event.links).map(|link| link.event_id.as_str()).collect();
    let targets = events.iter().take(APPENDED).enumerate();
    let later: Vec<pb::Event> =
        targets.map(|(at, event)| later(at, event, closed.contains(event.id.as_str()))).collect();
    for batch in later.chunks(250) {
        let request = pb::AppendEventsRequest::of(batch.to_vec(), Vec::new());
        log.append_events(request).await.unwrap();
    }
    let after = all_answers(&server, head, &ids).await;
    assert_eq!(before.len(), after.len());
    let differ = before.iter().zip(&after).filter(|(one, other)| one != other);
    let differ: Vec<&str> = differ.map(|((asked, _), _)| asked.as_str()).collect();
    assert!(differ.is_empty(), "{} of {} answers differ: {differ:#?}", differ.len(), before.len());
    // And what was appended is of weight: asked as of now, most answers are others.
    let now = all_answers(&server, head + 1 + APPENDED as u64, &ids).await;
    let same = before.iter().zip(&now).filter(|((_, one), (_, other))| one == other).count();
    assert!(same * 2 < before.len(), "{same} of {} answers are the same", before.len());
    // A server that reads its index again gives the same answers as well.
    let server = server.restart();
    assert!(all_answers(&server, head, &ids).await == before, "after a start");
}
