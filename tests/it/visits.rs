//! Visits over gRPC: the known answers of the article, and what becomes of plans.

use annals::pb;
use annals::pb::visit::Status;
use annals::pb::visit_caveat::Code;
use annals::pb::visit_service_client::VisitServiceClient;
use serde_json::{Value, json};
use tonic::Code as GrpcCode;
use tonic::transport::Channel;

use crate::events::{self, id, simple, with};
use crate::harness::{Said, Server, append};

type Client = VisitServiceClient<Channel>;

const CAMERON: &str = "visit/gb-al-2024-05-cameron";

async fn client(server: &Server) -> Client {
    VisitServiceClient::new(server.channel().await)
}

/// Lists all visits, page after page.
async fn list(client: &mut Client, question: &Value) -> Vec<pb::VisitState> {
    let mut request: pb::ListVisitsRequest = events::message("annals.v1.ListVisitsRequest", question);
    let mut found = Vec::new();
    loop {
        let page = client.list_visits(request.clone()).await.unwrap().into_inner();
        found.extend(page.visits);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

async fn streams(client: &mut Client, question: &Value) -> Vec<String> {
    list(client, question).await.into_iter().map(|visit| visit.stream).collect()
}

/// Lists all meetings, page after page.
async fn meetings(client: &mut Client, question: &Value) -> Vec<pb::MetOnVisit> {
    let mut request: pb::ListMeetingsRequest = events::message("annals.v1.ListMeetingsRequest", question);
    let mut found = Vec::new();
    loop {
        let page = client.list_meetings(request.clone()).await.unwrap().into_inner();
        found.extend(page.meetings);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

async fn get(client: &mut Client, question: &Value) -> pb::GetVisitResponse {
    let request: pb::GetVisitRequest = events::message("annals.v1.GetVisitRequest", question);
    client.get_visit(request).await.unwrap().into_inner()
}

async fn visit(client: &mut Client, question: &Value) -> pb::VisitState {
    get(client, question).await.visit.unwrap()
}

fn caveats(visit: &pb::VisitState) -> Vec<Code> {
    visit.caveats.iter().map(pb::VisitCaveat::code).collect()
}

/// Gives name and office of a participant.
fn named(participant: Option<&pb::Participant>) -> (&str, &str) {
    let participant = participant.unwrap();
    (&participant.entity.as_ref().unwrap().name, &participant.capacity)
}

/// A state of a visit as the lists of travels of a foreign ministry give it.
fn state(number: u64, stream: &str, edtf: &str, status: &str) -> Value {
    let event = simple(stream, "Secretary Baker travels");
    let mut event = with(event, "id", json!(id(number)));
    event.as_object_mut().unwrap().remove("custom");
    let event = with(event, "validTime", json!({"edtf": edtf, "shape": "PERIOD"}));
    let visitor = json!({"id": "person:james-baker", "type": "PERSON", "name": "James A. Baker III"});
    let state = json!({"id": "country:US", "type": "COUNTRY", "name": "United States", "country": "US"});
    let event = with(
        event,
        "participants",
        json!([
            {"entity": visitor, "role": "VISITOR", "capacity": "Secretary of State", "onBehalfOf": state},
            {"entity": {"id": "country:AL", "type": "COUNTRY", "country": "AL"}, "role": "HOST"},
        ]),
    );
    let event = with(event, "places", json!([{"name": "Tirana", "country": "AL", "role": "DESTINATION"}]));
    with(event, "visit", json!({"visitId": stream.replace('/', ":"), "status": status}))
}

fn planned(event: Value, sequence: u32) -> Value {
    let mut event = with(event, "modality", json!("PLANNED"));
    event["visit"]["sequence"] = json!(sequence);
    event
}

fn known(event: Value, day: &str) -> Value {
    with(event, "knownAt", json!(format!("{day}T00:00:00Z")))
}

/// Question 11: the article knows one visit by David Cameron, and it is planned.
#[tokio::test]
async fn david_cameron_plans_one_visit() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    for question in [
        json!({"visitors": ["person:david-cameron"]}),
        json!({"visitors": ["country:GB"], "hosts": ["country:AL"]}),
        json!({"persons": ["person:edi-rama"]}),
        json!({"met": ["person:igli-hasani"]}),
        json!({"offices": ["FOREIGN secretary"], "countries": ["AL"]}),
        json!({"places": ["tirana"]}),
        json!({"places": ["wikidata:Q19689"], "statuses": ["SCHEDULED", "TENTATIVE"]}),
        json!({"places": ["Police Command Centre"]}),
        json!({"filter": {"tags": ["diplomacy"]}, "valid": {"from": "2024-05", "to": "2024-06"}}),
        json!({"order": "START_DESCENDING", "pageSize": 1}),
    ] {
        assert_eq!(streams(&mut client, &question).await, [CAMERON], "{question}");
    }
    for question in [
        json!({"visitors": ["person:edi-rama"]}),
        json!({"hosts": ["person:edi-rama"]}),
        json!({"met": ["person:david-cameron"]}),
        json!({"offices": ["Home Secretary"]}),
        json!({"countries": ["GB"]}),
        json!({"places": ["London"]}),
        json!({"statuses": ["COMPLETED"]}),
        json!({"valid": {"to": "2024-05"}}),
        // The day is inferred: it may lie in May, but that is not certain.
        json!({"valid": {"from": "2024-05", "to": "2024-06", "match": "MUST"}}),
        json!({"scope": {"knownAt": "2024-01-01T00:00:00Z"}}),
    ] {
        assert_eq!(streams(&mut client, &question).await, [""; 0], "{question}");
    }
    let found = visit(&mut client, &json!({"stream": CAMERON, "on": "2024-05-22"})).await;
    assert_eq!(
        found,
        visit(&mut client, &json!({"visitId": "visit:gb-al-2024-05-cameron", "on": "2024-05-22"})).await
    );
    assert_eq!((found.status(), found.modality()), (Status::Scheduled, pb::Modality::Planned));
    assert_eq!(found.category(), pb::visit::Category::Working);
    assert_eq!(named(found.visitors.first()), ("Lord David Cameron", "Foreign Secretary"));
    assert_eq!(named(found.hosts.first()), ("Albania", ""));
    let stops: Vec<&str> =
        found.itinerary.iter().map(|stop| stop.place.as_ref().unwrap().name.as_str()).collect();
    assert_eq!(stops, ["police command centre", "British cultural centre at a former mausoleum"]);
    assert_eq!(found.deliverables.len(), 3);
    assert_eq!(found.sources[0].id, "source:independent-cameron-albania");
    assert_eq!(caveats(&found), []);
    let listed = list(&mut client, &json!({"valid": {"from": "2024-05", "to": "2024-06"}})).await;
    assert_eq!(listed[0].r#match(), pb::valid_window::Match::May);
}

/// Question 12: whom he is to meet, and in which office.
#[tokio::test]
async fn three_are_to_be_met_in_tirana() {
    let server = Server::start();
    server.import_article();
    let mut client = client(&server).await;
    let found = meetings(&mut client, &json!({"visitors": ["person:david-cameron"]})).await;
    let met: Vec<(&str, &str)> =
        found.iter().map(|found| named(found.meeting.as_ref().unwrap().counterpart.as_ref())).collect();
    // The meeting names them; their offices stand with the participants of the visit.
    let expected =
        [("Edi Rama", "Prime Minister"), ("Bajram Begaj", "President"), ("Igli Hasani", "foreign minister")];
    assert_eq!(met, expected);
    for found in &found {
        let meeting = found.meeting.as_ref().unwrap();
        assert_eq!(named(meeting.visitor.as_ref()), ("Lord David Cameron", "Foreign Secretary"));
        assert_eq!(meeting.topic, "illegal migration");
        assert_eq!((found.stream.as_str(), found.status()), (CAMERON, Status::Scheduled));
        assert_eq!(found.modality(), pb::Modality::Planned);
    }
    let count = async |client: &mut Client, question: Value| meetings(client, &question).await.len();
    assert_eq!(count(&mut client, json!({"counterparts": ["person:edi-rama"]})).await, 1);
    assert_eq!(count(&mut client, json!({"persons": ["person:edi-rama", "person:bajram-begaj"]})).await, 2);
    assert_eq!(count(&mut client, json!({"persons": ["country:GB"]})).await, 3);
    assert_eq!(count(&mut client, json!({"visitors": ["person:edi-rama"]})).await, 0);
    assert_eq!(count(&mut client, json!({"statuses": ["COMPLETED"]})).await, 0);
}

/// Question 17: what was planned, has passed, and nobody confirmed.
#[tokio::test]
async fn visit_and_cultural_centre_are_overdue() {
    let server = Server::start();
    server.import_article();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    let overdue = json!({"overdueOnly": true, "on": "2024-06-01"});
    let found = list(&mut client, &overdue).await;
    assert_eq!(found.iter().map(|visit| visit.stream.as_str()).collect::<Vec<_>>(), [CAMERON]);
    assert_eq!(caveats(&found[0]), [Code::Overdue]);
    // It had passed the day after, not on the day itself.
    assert_eq!(streams(&mut client, &with(overdue.clone(), "on", json!("2024-05-23"))).await, [CAMERON]);
    assert_eq!(streams(&mut client, &with(overdue.clone(), "on", json!("2024-05-22"))).await, [""; 0]);
    // The cultural centre is no visit: the timeline of plans has both, and no other plan has passed by then.
    let plans = json!({"filter": {"modalities": ["PLANNED"]}, "valid": {"to": "2024-06"}});
    let plans = events::message::<pb::ListEntriesRequest>("annals.v1.ListEntriesRequest", &plans);
    let plans = server.timeline().await.list_entries(plans).await.unwrap().into_inner();
    let plans = plans.entries.into_iter().map(|entry| entry.decoded().unwrap());
    let passed = plans.filter(|event| {
        let end = event.valid_time.as_ref().and_then(|span| span.latest_end);
        end.is_some_and(|end| (end.year, end.month, end.day) <= (2024, 6, 1))
    });
    let passed: Vec<String> = passed.map(|event| event.stream).collect();
    assert_eq!(passed, [CAMERON, "facility/tirana-british-cultural-centre"]);
    // A report from elsewhere that it took place settles it; a denial does not.
    let denied = with(simple("note/denied", "nothing took place"), "modality", json!("NEGATED"));
    let links = json!([{"type": "CONFIRMS", "stream": CAMERON}]);
    append(&mut log, &[with(denied, "links", links.clone())]).await.unwrap();
    assert_eq!(streams(&mut client, &overdue).await, [CAMERON]);
    let report = with(with(simple("note/report", "it took place"), "id", json!(id(7))), "links", links);
    append(&mut log, &[report]).await.unwrap();
    assert_eq!(streams(&mut client, &overdue).await, [""; 0]);
    let confirmed = visit(&mut client, &json!({"stream": CAMERON, "on": "2024-06-01"})).await;
    assert_eq!((confirmed.confirmed_by, confirmed.caveats), (vec![id(7)], Vec::new()));
}

/// Question 24: the lists of a foreign ministry hold some travels twice.
#[tokio::test]
async fn the_same_travel_under_two_numbers_is_suspected() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    let travels = [
        state(1, "visit/us-secretary-1001", "1991-06-22", "COMPLETED"),
        state(2, "visit/us-secretary-1002", "1991-06-22", "COMPLETED"),
        // Other dates, and another place.
        state(3, "visit/us-secretary-1003", "1991-06-22/1991-06-23", "COMPLETED"),
        with(
            state(4, "visit/us-secretary-1004", "1991-06-22", "COMPLETED"),
            "places",
            json!([{"name": "Berlin", "country": "DE", "role": "DESTINATION"}]),
        ),
    ];
    append(&mut log, &travels).await.unwrap();
    let suspected = json!({"duplicateSuspectsOnly": true, "pageSize": 1});
    let found = list(&mut client, &suspected).await;
    let named: Vec<(&str, &[String])> =
        found.iter().map(|visit| (visit.stream.as_str(), visit.caveats[0].names.as_slice())).collect();
    let (one, other) = ("visit/us-secretary-1001".to_owned(), "visit/us-secretary-1002".to_owned());
    assert_eq!(named, [(one.as_str(), &[other.clone()][..]), (other.as_str(), &[one.clone()][..])]);
    // The one for whom a visitor acts is no visitor.
    let by = json!([
        {"entity": {"id": "country:US", "type": "COUNTRY"}, "role": "VISITOR"},
        {"entity": {"id": "country:AL", "type": "COUNTRY", "country": "AL"}, "role": "HOST"},
    ]);
    let state_itself = with(state(5, "visit/us-5", "1991-06-22", "COMPLETED"), "participants", by);
    append(&mut log, &[state_itself]).await.unwrap();
    assert_eq!(streams(&mut client, &suspected).await, [one.as_str(), other.as_str()]);
    // Once they are said to be the same, nothing is left to suspect.
    let mark = with(
        simple("note/same", "the same travel"),
        "links",
        json!([{"type": "RETRACTS", "eventId": id(2)}]),
    );
    append(&mut log, &[mark]).await.unwrap();
    assert_eq!(streams(&mut client, &suspected).await, [""; 0]);
}

#[tokio::test]
async fn a_cancellation_counts_until_it_is_retracted_or_overtaken() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    let stream = "visit/us-1";
    let plan = planned(known(state(1, stream, "2024-07-01/2024-07-03", "SCHEDULED"), "2024-01-01"), 0);
    let off = known(with(simple("note/off", "It is called off"), "id", json!(id(2))), "2024-02-01");
    let off = with(off, "links", json!([{"type": "CANCELS", "stream": stream}]));
    append(&mut log, &[plan, off]).await.unwrap();
    let question = json!({"stream": stream, "on": "2024-06-01"});
    let found = visit(&mut client, &question).await;
    assert_eq!((found.status(), found.cancelled_by), (Status::Cancelled, vec![id(2)]));
    // Known earlier, or recorded up to the plan, it was on.
    for scope in [json!({"knownAt": "2024-01-31T00:00:00Z"}), json!({"asOfPosition": 1})] {
        let earlier = visit(&mut client, &with(question.clone(), "scope", scope)).await;
        assert_eq!((earlier.status(), earlier.cancelled_by), (Status::Scheduled, Vec::new()));
    }
    assert_eq!(streams(&mut client, &json!({"statuses": ["CANCELLED"]})).await, [stream]);
    assert_eq!(streams(&mut client, &json!({"overdueOnly": true, "on": "2025"})).await, [""; 0]);
    // The cancellation is withdrawn.
    let back = known(with(simple("note/on", "It is on"), "id", json!(id(3))), "2024-03-01");
    append(&mut log, &[with(back, "links", json!([{"type": "RETRACTS", "eventId": id(2)}]))]).await.unwrap();
    assert_eq!(visit(&mut client, &question).await.status(), Status::Scheduled);
    let between = with(question.clone(), "scope", json!({"knownAt": "2024-02-15T00:00:00Z"}));
    assert_eq!(visit(&mut client, &between).await.status(), Status::Cancelled);
    // Another calls off the state itself, and a plan known later overtakes it.
    let off = known(with(simple("note/off-again", "Off again"), "id", json!(id(4))), "2024-04-01");
    append(&mut log, &[with(off, "links", json!([{"type": "CANCELS", "eventId": id(1)}]))]).await.unwrap();
    assert_eq!(visit(&mut client, &question).await.cancelled_by, [id(4)]);
    let plan = planned(known(state(5, stream, "2024-09-01", "SCHEDULED"), "2024-05-01"), 1);
    append(&mut log, &[plan]).await.unwrap();
    let found = visit(&mut client, &question).await;
    assert_eq!((found.status(), found.sequence, found.event_id), (Status::Scheduled, 1, id(5)));
}

#[tokio::test]
async fn a_postponed_visit_moves_to_its_new_dates() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    let stream = "visit/us-1";
    let first = planned(known(state(1, stream, "2024-07-01", "SCHEDULED"), "2024-01-01"), 0);
    let put_off = planned(known(state(2, stream, "2024-07-01", "POSTPONED"), "2024-02-01"), 1);
    let second = planned(known(state(3, stream, "2024-09-01/2024-09-02", "SCHEDULED"), "2024-03-01"), 2);
    // Reported last, of a plan that was no longer the last.
    let late = planned(known(state(4, stream, "2024-08-01", "TENTATIVE"), "2024-03-15"), 1);
    append(&mut log, &[second, first, late, put_off]).await.unwrap();
    let found = get(&mut client, &json!({"stream": stream, "on": "2024-06-01"})).await;
    let told: Vec<(String, bool, bool)> = found
        .changes
        .iter()
        .map(|change| (change.event_id.clone(), change.determines, change.moved))
        .collect();
    let expected = [(1, false, false), (2, false, false), (3, true, true), (4, false, true)];
    assert_eq!(told, expected.map(|(number, determines, moved)| (id(number), determines, moved)));
    assert_eq!((found.change_count, found.snapshot), (4, 4));
    let state = found.visit.unwrap();
    assert_eq!((state.event_id, state.status, state.sequence), (id(3), Status::Scheduled.into(), 2));
    assert_eq!(
        (state.caveats[0].code(), state.caveats[0].names.clone()),
        (Code::SequenceNotIncreasing, vec![id(4)])
    );
    // It is listed where it is now, and where it was then.
    let july = json!({"valid": {"from": "2024-07", "to": "2024-08"}, "filter": {"countries": ["AL"]}});
    assert_eq!(streams(&mut client, &july).await, [""; 0]);
    assert_eq!(streams(&mut client, &json!({"valid": {"from": "2024-09", "to": "2024-10"}})).await, [stream]);
    let then = with(july, "scope", json!({"knownAt": "2024-02-15T00:00:00Z"}));
    let then = list(&mut client, &then).await;
    assert_eq!((then.len(), then[0].status()), (1, Status::Postponed));
    // What was put off is not overdue; a plan is.
    let passed = json!({"overdueOnly": true, "on": "2025"});
    assert_eq!(streams(&mut client, &passed).await, [stream]);
    let then = with(passed, "scope", json!({"knownAt": "2024-02-15T00:00:00Z"}));
    assert_eq!(streams(&mut client, &then).await, [""; 0]);
}

#[tokio::test]
async fn an_itinerary_has_its_stops_and_who_is_met_at_them() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    let mut event = state(1, "visit/us-1", "1991-06-22/1991-06-24", "COMPLETED");
    let person = |key: &str| json!({"id": format!("person:{key}"), "type": "PERSON", "name": key});
    let participants = event["participants"].as_array_mut().unwrap();
    participants.push(json!({"entity": person("aide"), "role": "DELEGATION_MEMBER"}));
    participants.push(json!({"entity": person("alia"), "role": "HOST", "capacity": "President"}));
    participants.push(json!({"entity": person("bufi"), "role": "COUNTERPART", "capacity": "Prime Minister"}));
    event["visit"]["stops"] = json!([
        {"place": {"name": "Skanderbeg Square", "country": "AL"}, "when": {"edtf": "1991-06-22"}, "activity": "speech"},
        {"place": {"name": "Pristina", "country": "XK"}, "when": {"edtf": "1991-07-01"}},
    ]);
    event["visit"]["meetings"] = json!([
        {"participants": [{"entity": person("aide"), "role": "COUNTERPART"},
                          {"entity": person("bufi"), "role": "COUNTERPART"}],
         "topic": "aid", "place": {"name": "Tirana"}, "when": {"edtf": "1991-06-23"}},
    ]);
    append(&mut log, &[event]).await.unwrap();
    let found = visit(&mut client, &json!({"stream": "visit/us-1"})).await;
    assert_eq!(found.visitors.len(), 2);
    assert_eq!(found.hosts.len(), 2);
    assert_eq!(found.itinerary[0].activity, "speech");
    assert_eq!(
        (found.caveats[0].code(), found.caveats[0].names.as_slice()),
        (Code::StopOutside, &["Pristina".to_owned()][..])
    );
    // Who travels along is not met; who is described is not met twice; a state is nobody to meet.
    let met: Vec<(&str, &str, &str)> = found
        .meetings
        .iter()
        .map(|met| (named(met.counterpart.as_ref()).0, named(met.counterpart.as_ref()).1, met.topic.as_str()))
        .collect();
    assert_eq!(met, [("bufi", "Prime Minister", "aid"), ("alia", "President", "")]);
    for question in [
        json!({"places": ["pristina"]}),
        json!({"places": ["Tirana"], "countries": ["XK"]}),
        json!({"met": ["person:alia"]}),
    ] {
        assert_eq!(streams(&mut client, &question).await, ["visit/us-1"], "{question}");
    }
    // Without stops, the destinations are the way.
    append(&mut log, &[state(2, "visit/us-2", "1992", "COMPLETED")]).await.unwrap();
    let found = visit(&mut client, &json!({"stream": "visit/us-2"})).await;
    assert_eq!(found.itinerary.len(), 1);
    assert_eq!(found.itinerary[0].place.as_ref().unwrap().name, "Tirana");
}

#[tokio::test]
async fn pages_together_are_what_one_page_is() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    let mut travels = Vec::new();
    for number in 1_u64..=25 {
        let (stream, day) = (format!("visit/us-{}", number % 17), format!("2000-01-{:02}", number % 9 + 1));
        let met = json!([{"participants": [
            {"entity": {"id": format!("person:a-{}", number % 3), "type": "PERSON"}, "role": "COUNTERPART"},
            {"entity": {"id": "person:b", "type": "PERSON"}, "role": "COUNTERPART"},
        ]}]);
        let mut event = state(number, &stream, &day, "COMPLETED");
        event["visit"]["meetings"] = met;
        travels.push(event);
    }
    append(&mut log, &travels).await.unwrap();
    for order in ["START", "START_DESCENDING"] {
        let question = json!({"order": order});
        let whole = list(&mut client, &with(question.clone(), "pageSize", json!(1_000))).await;
        assert_eq!(whole.len(), 17);
        for size in [1, 4, 16, 17] {
            assert_eq!(list(&mut client, &with(question.clone(), "pageSize", json!(size))).await, whole);
        }
    }
    for question in [json!({}), json!({"counterparts": ["person:a-1"]})] {
        let whole = meetings(&mut client, &question).await;
        assert!(!whole.is_empty());
        for size in [1, 3, 17] {
            assert_eq!(meetings(&mut client, &with(question.clone(), "pageSize", json!(size))).await, whole);
        }
    }
    // A token is bound to its question, and its pages to one state of the log.
    let first = pb::ListVisitsRequest { page_size: 5, ..Default::default() };
    let first = client.list_visits(first).await.unwrap().into_inner();
    append(&mut log, &[state(99, "visit/later", "2000-01-05", "COMPLETED")]).await.unwrap();
    let token = first.next_page_token;
    let next = pb::ListVisitsRequest { page_size: 100, page_token: token.clone(), ..Default::default() };
    let next = client.list_visits(next).await.unwrap().into_inner();
    assert_eq!((next.visits.len(), next.snapshot), (12, first.snapshot));
    let other = pb::ListVisitsRequest { page_token: token, overdue_only: true, ..Default::default() };
    let said = Said::of(&client.list_visits(other).await.unwrap_err());
    assert_eq!(said.fields(), ["page_token"]);
}

#[tokio::test]
async fn a_visit_of_very_many_states_is_found_within_a_few_pages() {
    let server = Server::start();
    let mut log = server.log().await;
    let mut client = client(&server).await;
    for batch in 0_u64..11 {
        let plan = |number: u64| planned(state(number, "visit/us-1", "2024-07-01", "SCHEDULED"), 0);
        let plans: Vec<Value> = (batch * 500 + 1..=batch * 500 + 500).map(plan).collect();
        append(&mut log, &plans).await.unwrap();
    }
    let mut request = pb::ListVisitsRequest::default();
    let (mut pages, mut found) = (0, Vec::new());
    loop {
        let page = client.list_visits(request.clone()).await.unwrap().into_inner();
        pages += 1;
        found.extend(page.visits.into_iter().map(|visit| visit.event_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, [id(5_500)]);
    assert!(pages <= 3, "{pages}");
    let history = get(&mut client, &json!({"stream": "visit/us-1"})).await;
    assert_eq!((history.changes.len(), history.change_count), (1_000, 5_500));
}

#[tokio::test]
async fn bad_questions_are_refused_by_field() {
    let server = Server::start();
    let mut client = client(&server).await;
    let refused = pb::GetVisitRequest { on: "2024-13-01".to_owned(), ..Default::default() };
    let said = Said::of(&client.get_visit(refused).await.unwrap_err());
    assert_eq!(said.fields(), ["stream", "on"]);
    let absent = pb::GetVisitRequest { visit_id: "visit:none".to_owned(), ..Default::default() };
    let said = Said::of(&client.get_visit(absent).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (GrpcCode::NotFound, "NOTHING_STANDS"));
    let refused = pb::ListVisitsRequest {
        valid: Some(pb::ValidWindow { from: "x".to_owned(), ..Default::default() }),
        on: "yesterday".to_owned(),
        statuses: vec![2, 0, 99],
        order: 9,
        persons: vec![String::new()],
        met: vec!["a".to_owned(); 1_001],
        page_size: -1,
        ..Default::default()
    };
    let said = Said::of(&client.list_visits(refused).await.unwrap_err());
    assert_eq!(
        said.fields(),
        ["valid.from", "on", "statuses[1]", "statuses[2]", "order", "persons[0]", "met", "page_size"]
    );
    let refused = pb::ListMeetingsRequest {
        statuses: vec![99],
        counterparts: vec![String::new()],
        page_size: -1,
        ..Default::default()
    };
    let said = Said::of(&client.list_meetings(refused).await.unwrap_err());
    assert_eq!(said.fields(), ["statuses[0]", "counterparts[0]", "page_size"]);
    let beyond = pb::Scope { as_of_position: 99, known_at: None };
    let beyond = pb::ListVisitsRequest { scope: Some(beyond), ..Default::default() };
    assert_eq!(Said::of(&client.list_visits(beyond).await.unwrap_err()).code, GrpcCode::OutOfRange);
}

/// Runs the command line with success, and gives what it shows.
fn shown(server: &Server, arguments: &[&str]) -> String {
    let url = server.url();
    let arguments: Vec<&str> = ["visits", "--server", &url].iter().chain(arguments).copied().collect();
    let output = crate::harness::annals(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_command_line_shows_visits() {
    let server = Server::start();
    server.import_article();
    let listed = shown(&server, &["--visitor", "person:david-cameron", "--on", "2024-05-22"]);
    assert!(listed.contains("Lord David Cameron (Foreign Secretary)"), "{listed}");
    assert!(listed.contains("scheduled") && listed.contains("1 visit as of position"), "{listed}");
    let overdue = shown(&server, &["--overdue", "--on", "2024-06-01", "--visited", "AL", "--from", "2024"]);
    assert!(overdue.contains(CAMERON) && overdue.contains("overdue"), "{overdue}");
    assert!(shown(&server, &["--status", "under-way"]).starts_with("0 visits as of position"));
    assert!(shown(&server, &["--known-at", "2024-01-01"]).starts_with("0 visits"));
    let met = shown(&server, &["--meetings", "--met", "person:bajram-begaj"]);
    assert!(met.contains("Bajram Begaj (President)") && met.contains("1 meeting as of"), "{met}");
    for name in [CAMERON, "visit:gb-al-2024-05-cameron"] {
        let one = shown(&server, &[name, "--on", "2024-06-01"]);
        for part in
            ["police command centre", "Igli Hasani (foreign minister)", "mind: its time", "on 2024-06-01"]
        {
            assert!(one.contains(part), "{part} is not in {one}");
        }
    }
    let lines = shown(&server, &["--meetings", "--json", "--limit", "2"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["meeting"]["counterpart"]["entity"]["id"], "person:edi-rama");
    let one: Value = serde_json::from_str(&shown(&server, &[CAMERON, "--json"])).unwrap();
    assert_eq!(one["visit"]["status"], "SCHEDULED");
    let list: Value = serde_json::from_str(shown(&server, &["--json"]).trim()).unwrap();
    assert_eq!(list["stream"], CAMERON);
}

#[tokio::test]
async fn the_command_line_says_what_is_wrong_with_a_visit() {
    let server = Server::start();
    let run = |arguments: &[&str]| {
        let url = server.url();
        let arguments: Vec<&str> = ["visits", "--server", &url].iter().chain(arguments).copied().collect();
        let output = crate::harness::annals(&arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["visit/none"]).0, 66);
    assert_eq!(run(&["--status", "flown"]).0, 64);
    assert_eq!(run(&["visit/none", "--overdue"]).0, 64);
    let (code, said) = run(&["--on", "yesterday"]);
    assert!(code == 65 && said.contains("on"), "{code} {said}");
}
