//! The questions, made of the events that are asked about.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

use super::replicate::{Originals, copied_id, copied_name, years_back};
use super::terms::{Terms, words};
use crate::bench::error::BenchError;
use crate::pb::Event;
use crate::pb::POOL;
use crate::pb::event::Payload;

/// A page that lies deep in a list.
const PAGE_DEEP: usize = 100;
/// Variants of a question, asked in turn, so that no answer is the one before.
const VARIANTS: usize = 64;

/// A question in its variants.
#[derive(Debug)]
pub struct Question {
    /// What is asked, in words.
    pub name: &'static str,
    /// Path of the call.
    pub path: &'static str,
    /// Encoded requests.
    pub requests: Vec<Bytes>,
    /// Whether it is about words.
    pub words: bool,
    /// Which page of a list is asked for; the requests are for the first.
    pub page: usize,
}

/// Events of a sort, each with the number of one of its copies.
struct Sample<'a>(Vec<(&'a Event, usize)>);

impl<'a> Sample<'a> {
    fn of(originals: &'a Originals, copies: usize, wanted: impl Fn(&Event) -> bool) -> Self {
        let found: Vec<&Event> = originals.events.iter().filter(|event| wanted(event)).collect();
        let step = (found.len() / VARIANTS).max(1);
        let taken = found.into_iter().step_by(step).take(VARIANTS).enumerate();
        Self(taken.map(|(index, event)| (event, index % copies.max(1))).collect())
    }

    fn ask(&self, question: impl Fn(&Event, usize) -> Option<Value>) -> Vec<Value> {
        self.0.iter().filter_map(|(event, copy)| question(event, *copy)).collect()
    }
}

/// Makes the questions that the events can answer.
///
/// # Errors
/// [`BenchError::Example`] where a question is none of the API.
pub fn questions(originals: &Originals, copies: usize) -> Result<Vec<Question>, BenchError> {
    let mut made = Made::default();
    let terms = Terms::of(&originals.events);
    entries(&mut made, originals, copies)?;
    by_frequency(&mut made, &terms)?;
    counts(&mut made, originals, copies, &terms)?;
    agreements(&mut made, originals, copies)?;
    funding(&mut made, originals)?;
    visits(&mut made, originals, copies)?;
    series(&mut made, originals)?;
    provenance(&mut made, originals, copies)?;
    Ok(made.questions)
}

#[derive(Default)]
struct Made {
    questions: Vec<Question>,
}

impl Made {
    /// Adds a question, unless no event can be asked about.
    fn add(
        &mut self,
        name: &'static str,
        (path, message): (&'static str, &'static str),
        asked: &[Value],
    ) -> Result<(), BenchError> {
        let descriptor = POOL.get_message_by_name(&format!("annals.v1.{message}"));
        let descriptor = descriptor.ok_or(BenchError::Fault("the API has no such request"))?;
        let mut requests = Vec::new();
        for question in asked {
            let message = DynamicMessage::deserialize(descriptor.clone(), question)?;
            requests.push(message.encode_to_vec().into());
        }
        if !requests.is_empty() {
            let words = asked.iter().any(|question| question.pointer("/filter/text").is_some());
            self.questions.push(Question { name, path, requests, words, page: 1 });
        }
        Ok(())
    }

    /// Turns the last question, a list, into one for a page deep in it.
    fn deep(&mut self, page: usize) {
        if let Some(question) = self.questions.last_mut() {
            question.page = page;
        }
    }
}

/// Path and request of the call that lists entries.
pub const LIST: (&str, &str) = ("/annals.v1.TimelineService/ListEntries", "ListEntriesRequest");
/// Path and request of the call that counts entries.
pub const COUNT: (&str, &str) = ("/annals.v1.TimelineService/CountEntries", "CountEntriesRequest");
const HISTORY: (&str, &str) = ("/annals.v1.TimelineService/GetEntryHistory", "GetEntryHistoryRequest");
const DIFF: (&str, &str) = ("/annals.v1.TimelineService/DiffEntries", "DiffEntriesRequest");

fn year_of(event: &Event) -> Option<i32> {
    event.valid_time.as_ref()?.edtf.get(..4)?.parse().ok()
}

/// Gives the year in which a source was published, or else in which it happened.
fn known_year(event: &Event) -> Option<i32> {
    let published = event.sources.iter().filter_map(|source| source.published.as_ref()?.edtf.get(..4));
    published.filter_map(|year| year.parse().ok()).max().or_else(|| year_of(event))
}

/// Gives the first entity with an id.
fn entity_of(event: &Event) -> Option<&str> {
    let entities = event.participants.iter().filter_map(|participant| participant.entity.as_ref());
    entities.map(|entity| entity.id.as_str()).find(|id| !id.is_empty())
}

/// Adds a field to a question.
fn with(mut question: Value, field: &str, value: Value) -> Value {
    if let Some(fields) = question.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    question
}

/// Asks about the events of entities; `more` gives the rest of the question, from the year in which one was known.
fn of_entities(any: &Sample<'_>, more: impl Fn(i32) -> Value) -> Vec<Value> {
    any.ask(|event, copy| {
        let year = known_year(event)?.saturating_sub(i32::try_from(years_back(copy)).ok()?);
        Some(with(more(year), "filter", json!({"entityIds": [entity_of(event)?]})))
    })
}

fn within_years(any: &Sample<'_>, certainty: &str) -> Vec<Value> {
    any.ask(|event, copy| {
        let year = year_of(event)?.saturating_sub(i32::try_from(years_back(copy)).ok()?);
        let (from, to) = (format!("{year:04}"), format!("{:04}", year + 1));
        Some(json!({"valid": {"from": from, "to": to, "match": certainty}}))
    })
}

/// Asks for two words of a title.
fn words_of(event: &Event) -> Option<Value> {
    let words: Vec<String> = words(&event.title).take(2).collect();
    (!words.is_empty()).then(|| json!({"filter": {"text": words.join(" ")}, "order": "RELEVANCE"}))
}

/// Gives the state of the log when half of it was loaded; of every copy that was loaded at once, a part.
fn half_of(originals: &Originals, copies: usize) -> Value {
    json!({"asOfPosition": originals.events.len() * copies / 2})
}

/// Gives what was known at the end of a year.
fn known_in(year: i32) -> Value {
    json!({"scope": {"knownAt": format!("{:04}-12-31T00:00:00Z", year.max(1971))}})
}

fn entries(made: &mut Made, originals: &Originals, copies: usize) -> Result<(), BenchError> {
    let any = Sample::of(originals, copies, |_| true);
    let half = half_of(originals, copies);
    let stream =
        |event: &Event, copy| Some(json!({"filter": {"streams": [copied_name(&event.stream, copy)]}}));
    let id = |event: &Event, copy| Some(json!({"eventId": copied_id(&event.id, copy)}));
    let all_by_year = json!({"time": {"axis": "VALID", "unit": "YEAR"}, "groupLimit": 1_000});
    made.add("list, first page of all", LIST, &[json!({})])?;
    made.add("list, latest known first", LIST, &[json!({"order": "KNOWN_AT_DESCENDING"})])?;
    made.add("list, page 100 of all", LIST, &[json!({})])?;
    made.deep(PAGE_DEEP);
    made.add("list, one stream", LIST, &any.ask(stream))?;
    made.add("list, one entity", LIST, &of_entities(&any, |_| json!({})))?;
    let as_of = of_entities(&any, |_| json!({"scope": half}));
    made.add("list, one entity, as of half the log", LIST, &as_of)?;
    made.add("list, one entity, as known at a time", LIST, &of_entities(&any, known_in))?;
    made.add("list, may lie in a year", LIST, &within_years(&any, "MAY"))?;
    made.add("list, must lie in a year", LIST, &within_years(&any, "MUST"))?;
    made.add("list, two words, by relevance", LIST, &any.ask(|event, _| words_of(event)))?;
    made.add("count all", COUNT, &[json!({})])?;
    made.add("count all by year", COUNT, &[all_by_year])?;
    made.add("count one entity by kind", COUNT, &of_entities(&any, |_| json!({"facet": "KIND"})))?;
    made.add("history of an entry", HISTORY, &any.ask(id))?;
    let since = of_entities(&any, |_| json!({"before": half}));
    made.add("differences of one entity since half the log", DIFF, &since)
}

/// Adds lists of what many events have, and few.
fn by_frequency(made: &mut Made, terms: &Terms) -> Result<(), BenchError> {
    let entity = |id: Option<&str>| id.map(|id| json!({"filter": {"entityIds": [id]}}));
    let word = |word: Option<&str>| word.map(|word| json!({"filter": {"text": word}, "order": "RELEVANCE"}));
    made.add("list, the most common entity", LIST, entity(terms.common_entity()).as_slice())?;
    made.add("list, the most common entity, page 100", LIST, entity(terms.common_entity()).as_slice())?;
    made.deep(PAGE_DEEP);
    made.add("list, a rare entity", LIST, entity(terms.rare_entity()).as_slice())?;
    made.add("list, the most common word, by relevance", LIST, word(terms.common_word()).as_slice())?;
    made.add("list, a rare word, by relevance", LIST, word(terms.rare_word()).as_slice())
}

/// Name of the count that has a mark.
pub const COUNT_MILLION: &str = "count about a million of one term";

/// Adds counts of much.
fn counts(made: &mut Made, originals: &Originals, copies: usize, terms: &Terms) -> Result<(), BenchError> {
    let any = Sample::of(originals, copies, |_| true);
    let half = half_of(originals, copies);
    let million = terms.about_a_million(copies);
    let of_million = |more: Value| million.clone().map(|filter| with(more, "filter", filter));
    made.add(COUNT_MILLION, COUNT, of_million(json!({})).as_slice())?;
    let as_of = of_million(json!({"scope": half}));
    made.add("count about a million of one term, as of half the log", COUNT, as_of.as_slice())?;
    // So late that all is known: each candidate's known time is looked at, and none falls away.
    let known = of_million(known_in(2_100));
    made.add("count about a million of one term, as known at a time", COUNT, known.as_slice())?;
    let must = json!({"valid": {"from": "1900", "to": "2000", "match": "MUST"}});
    made.add("count about a million of one term, in a century", COUNT, of_million(must).as_slice())?;
    let word = terms.common_word().map(|word| json!({"filter": {"text": word}}));
    made.add("count the most common word", COUNT, word.as_slice())?;
    made.add("count, may lie in a year", COUNT, &within_years(&any, "MAY"))?;
    made.add("count, must lie in a year", COUNT, &within_years(&any, "MUST"))
}

fn agreements(made: &mut Made, originals: &Originals, copies: usize) -> Result<(), BenchError> {
    const GET: (&str, &str) = ("/annals.v1.AgreementService/GetAgreement", "GetAgreementRequest");
    const LIST: (&str, &str) = ("/annals.v1.AgreementService/ListAgreements", "ListAgreementsRequest");
    let acts = Sample::of(originals, copies, |event| matches!(event.payload, Some(Payload::Agreement(_))));
    made.add(
        "agreement",
        GET,
        &acts
            .ask(|event, copy| Some(json!({"stream": copied_name(&event.stream, copy), "on": "2000-01-01"}))),
    )?;
    made.add(
        "agreements of one party in force",
        LIST,
        &acts.ask(|event, _| {
            Some(json!({"between": [entity_of(event)?], "inForceOn": "1950-01-01", "inForce": "YES"}))
        }),
    )?;
    let all = acts.0.first().map(|_| json!({"inForceOn": "1950-01-01", "inForce": "YES"}));
    made.add("all agreements in force", LIST, all.as_slice())
}

fn funding(made: &mut Made, originals: &Originals) -> Result<(), BenchError> {
    const SUM: (&str, &str) = ("/annals.v1.FundingService/SummarizeFunding", "SummarizeFundingRequest");
    const LIST: (&str, &str) = ("/annals.v1.FundingService/ListTransfers", "ListTransfersRequest");
    let is_transfer = |event: &Event| matches!(event.payload, Some(Payload::FundingTransfer(_)));
    let transfers = Sample::of(originals, 1, is_transfer);
    if transfers.0.is_empty() {
        return Ok(());
    }
    made.add("sums of all transfers", SUM, &[json!({})])?;
    made.add(
        "sums of all transfers by provider and year",
        SUM,
        &[json!({"groupBy": ["BY_PROVIDER", "BY_YEAR"], "rowLimit": 1_000})],
    )?;
    made.add(
        "sums of one activity by year",
        SUM,
        &transfers
            .ask(|event, _| Some(json!({"filter": {"streams": [event.stream]}, "groupBy": ["BY_YEAR"]}))),
    )?;
    made.add(
        "transfers of one entity",
        LIST,
        &transfers.ask(|event, _| Some(json!({"filter": {"entityIds": [entity_of(event)?]}}))),
    )
}

fn visits(made: &mut Made, originals: &Originals, copies: usize) -> Result<(), BenchError> {
    const GET: (&str, &str) = ("/annals.v1.VisitService/GetVisit", "GetVisitRequest");
    const LIST: (&str, &str) = ("/annals.v1.VisitService/ListVisits", "ListVisitsRequest");
    let visits = Sample::of(originals, copies, |event| matches!(event.payload, Some(Payload::Visit(_))));
    made.add(
        "visit",
        GET,
        &visits.ask(|event, copy| Some(json!({"stream": copied_name(&event.stream, copy)}))),
    )?;
    made.add(
        "visits with one person",
        LIST,
        &visits.ask(|event, _| Some(json!({"persons": [entity_of(event)?]}))),
    )
}

fn series(made: &mut Made, originals: &Originals) -> Result<(), BenchError> {
    const GET: (&str, &str) = ("/annals.v1.SeriesService/GetSeries", "GetSeriesRequest");
    const VINTAGES: (&str, &str) = ("/annals.v1.SeriesService/ListVintages", "ListVintagesRequest");
    const VALUE: (&str, &str) = ("/annals.v1.SeriesService/GetPeriodValue", "GetPeriodValueRequest");
    let is_release = |event: &Event| matches!(event.payload, Some(Payload::StatisticalRelease(_)));
    let releases = Sample::of(originals, 1, is_release);
    let selector = |event: &Event| {
        let Some(Payload::StatisticalRelease(release)) = &event.payload else { return None };
        Some(json!({"dataflow": release.dataflow, "seriesKey": release.series_key}))
    };
    made.add("series", GET, &releases.ask(|event, _| Some(json!({"series": selector(event)?}))))?;
    made.add(
        "all vintages of a series",
        VINTAGES,
        &releases.ask(|event, _| Some(json!({"series": selector(event)?}))),
    )?;
    made.add(
        "value of a year",
        VALUE,
        &releases.ask(|event, _| {
            Some(json!({"series": selector(event)?, "period": format!("{:04}", year_of(event)?)}))
        }),
    )
}

fn provenance(made: &mut Made, originals: &Originals, copies: usize) -> Result<(), BenchError> {
    const LINEAGE: (&str, &str) = ("/annals.v1.ProvenanceService/GetLineage", "GetLineageRequest");
    const DEPENDENTS: (&str, &str) = ("/annals.v1.ProvenanceService/ListDependents", "ListDependentsRequest");
    let any = Sample::of(originals, copies, |_| true);
    made.add(
        "what an event rests on",
        LINEAGE,
        &any.ask(|event, copy| Some(json!({"eventId": copied_id(&event.id, copy)}))),
    )?;
    made.add(
        "what rests on an event",
        DEPENDENTS,
        &any.ask(|event, copy| Some(json!({"eventId": copied_id(&event.id, copy)}))),
    )?;
    made.add(
        "what rests on a source, first page",
        DEPENDENTS,
        &any.ask(|event, _| {
            let source = event.sources.iter().find(|source| !source.id.is_empty())?;
            Some(json!({"sourceId": source.id}))
        }),
    )
}
