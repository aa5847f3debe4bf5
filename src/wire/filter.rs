//! Filters, from the wire.

use crate::domain::tag::is_timeline_id;
use crate::domain::text::{TextRule, check_text};
use crate::domain::{
    Action, Assertion, Currency, Decimal, EventId, Findings, Kind, Modality, Role, Stage, TermField,
    VisitStatus,
};
use crate::filter::{AmountRange, FILTER_TIMELINES_MAX, FILTER_VALUES_MAX, Filter, Needle, Saved, Text};
use crate::pb;
use crate::search::TextQuery;

/// Reads a filter; none matches everything.
pub fn filter(findings: &mut Findings, found: Option<&pb::Filter>) -> Filter {
    let Some(found) = found else {
        return Filter::default();
    };
    findings.at("filter", |f| {
        let mut read = read(f, found);
        let named = read.named().count();
        if named > FILTER_TIMELINES_MAX {
            f.violation(format_args!("must name at most {FILTER_TIMELINES_MAX} timelines, names {named}"));
        }
        let values = read.value_count();
        if values > FILTER_VALUES_MAX {
            f.violation(format_args!("must have at most {FILTER_VALUES_MAX} values, has {values}"));
        }
        read
    })
}

fn read(findings: &mut Findings, found: &pb::Filter) -> Filter {
    let mut clauses = Clauses { findings, clauses: Vec::new() };
    clauses.envelope(found);
    clauses.payload(found);
    clauses.transfer(found);
    let clauses = clauses.clauses;
    let amount = found.amount.as_ref().and_then(|found| findings.at("amount", |f| amount(f, found)));
    let not = found.not.as_ref().map(|found| findings.at("not", |f| Box::new(not(f, found))));
    let texts = text(findings, &found.text);
    let timelines = timelines(findings, &found.timelines);
    Filter { clauses, amount, texts, timelines, not }
}

fn timelines(findings: &mut Findings, ids: &[String]) -> Vec<Saved> {
    for (index, id) in ids.iter().enumerate() {
        if !is_timeline_id(id) {
            findings.at_index("timelines", index, |f| f.violation("must have 1 to 63 of a-z, 0-9 and -"));
        }
    }
    ids.iter().map(|id| Saved { id: id.clone(), asks: None }).collect()
}

fn not(findings: &mut Findings, found: &pb::Filter) -> Filter {
    if found.not.is_some() {
        findings.violation_at("not", "must not be set inside `not`");
        return Filter::default();
    }
    let read = read(findings, found);
    if read.is_all() {
        findings.violation("must ask something: nothing would match");
    }
    read
}

fn text(findings: &mut Findings, found: &str) -> Vec<Text> {
    if found.is_empty() {
        return Vec::new();
    }
    match TextQuery::parse(found) {
        Ok(query) => vec![Text { query, found: None }],
        Err(error) => {
            findings.violation_at("text", error);
            Vec::new()
        }
    }
}

fn amount(findings: &mut Findings, found: &pb::AmountRange) -> Option<AmountRange> {
    let currency = Currency::parse(&found.currency_code);
    if let Err(error) = &currency {
        findings.violation_at("currency_code", error);
    }
    let mut bound = |field: &'static str, text: &str| {
        if text.is_empty() {
            return None;
        }
        match Decimal::parse(text) {
            Ok(decimal) => Some(decimal.value()),
            Err(error) => {
                findings.violation_at(field, error);
                None
            }
        }
    };
    let at_least = bound("at_least", &found.at_least);
    let at_most = bound("at_most", &found.at_most);
    if found.at_least.is_empty() && found.at_most.is_empty() {
        findings.violation("must have at_least or at_most");
    }
    Some(AmountRange { currency: currency.ok()?, at_least, at_most })
}

/// Clauses in the making.
struct Clauses<'a> {
    findings: &'a mut Findings,
    clauses: Vec<Vec<Needle>>,
}

impl Clauses<'_> {
    fn envelope(&mut self, found: &pb::Filter) {
        self.texts("streams", TermField::Stream, &found.streams);
        self.prefixes(&found.stream_prefixes);
        self.numbers("kinds", TermField::Kind, &found.kinds, |n| Kind::from_number(n).map(Kind::number));
        self.texts("entity_ids", TermField::Entity, &found.entity_ids);
        self.participations(&found.participations);
        for (index, id) in found.all_entity_ids.iter().enumerate() {
            self.text("all_entity_ids", index, id);
            self.push(vec![Needle::Term(TermField::Entity.term(id))]);
        }
        self.texts("countries", TermField::Country, &found.countries);
        self.texts("places", TermField::Place, &found.places);
        self.texts("tags", TermField::Tag, &found.tags);
        self.texts("source_ids", TermField::Source, &found.source_ids);
        self.texts("publisher_ids", TermField::Publisher, &found.publisher_ids);
        self.numbers("modalities", TermField::Modality, &found.modalities, |n| {
            Modality::from_number(n).map(Modality::number)
        });
        self.numbers("assertions", TermField::Assertion, &found.assertions, |n| {
            Assertion::from_number(n).map(Assertion::number)
        });
        let ids: Vec<String> =
            found.external_ids.iter().map(|id| format!("{}:{}", id.scheme, id.value)).collect();
        self.texts("external_ids", TermField::ExternalId, &ids);
        self.event_ids("link_event_ids", TermField::LinkEvent, &found.link_event_ids);
        self.texts("link_streams", TermField::LinkStream, &found.link_streams);
        self.texts("attributed_to", TermField::Attribution, &found.attributed_to);
    }

    fn payload(&mut self, found: &pb::Filter) {
        self.numbers("funding_stages", TermField::Stage, &found.funding_stages, |n| {
            Stage::from_number(n).map(Stage::number)
        });
        self.numbers("agreement_actions", TermField::Action, &found.agreement_actions, |n| {
            Action::from_number(n).map(Action::number)
        });
        self.numbers("visit_statuses", TermField::VisitStatus, &found.visit_statuses, |n| {
            VisitStatus::from_number(n).map(VisitStatus::number)
        });
        self.texts("dataflows", TermField::Dataflow, &found.dataflows);
        self.texts("series_keys", TermField::SeriesKey, &found.series_keys);
    }

    fn transfer(&mut self, found: &pb::Filter) {
        self.texts("flow_types", TermField::FlowType, &found.flow_types);
        self.texts("finance_types", TermField::FinanceType, &found.finance_types);
        self.texts("aid_types", TermField::AidType, &found.aid_types);
        self.texts("sectors", TermField::Sector, &found.sectors);
        self.texts("recipient_countries", TermField::RecipientCountry, &found.recipient_countries);
        self.texts("tied_statuses", TermField::TiedStatus, &found.tied_statuses);
        self.texts("disbursement_channels", TermField::DisbursementChannel, &found.disbursement_channels);
        self.texts("activity_ids", TermField::ActivityId, &found.activity_ids);
        self.event_ids("commitment_event_ids", TermField::CommitmentEvent, &found.commitment_event_ids);
        self.texts("currencies", TermField::Currency, &found.currencies);
    }

    fn push(&mut self, clause: Vec<Needle>) {
        if !clause.is_empty() {
            self.clauses.push(clause);
        }
    }

    fn text(&mut self, field: &'static str, index: usize, text: &str) {
        let rule = TextRule { min_chars: 1, max_chars: 4_500, multiline: false };
        if let Err(error) = check_text(text, rule) {
            self.findings.at_index(field, index, |f| f.violation(error));
        }
    }

    fn texts(&mut self, field: &'static str, term: TermField, texts: &[String]) {
        for (index, text) in texts.iter().enumerate() {
            self.text(field, index, text);
        }
        self.push(texts.iter().map(|text| Needle::Term(term.term(text))).collect());
    }

    fn prefixes(&mut self, prefixes: &[String]) {
        for (index, prefix) in prefixes.iter().enumerate() {
            self.text("stream_prefixes", index, prefix);
        }
        self.push(prefixes.iter().map(|prefix| Needle::stream_prefix(prefix)).collect());
    }

    fn numbers(
        &mut self,
        field: &'static str,
        term: TermField,
        numbers: &[i32],
        known: impl Fn(i32) -> Option<u8>,
    ) {
        let mut clause = Vec::with_capacity(numbers.len());
        for (index, number) in numbers.iter().enumerate() {
            match known(*number) {
                Some(number) => clause.push(Needle::Term(term.term(&number.to_string()))),
                None => self.findings.at_index(field, index, |f| {
                    f.violation(format_args!("has the unknown number {number}"));
                }),
            }
        }
        self.push(clause);
    }

    fn participations(&mut self, found: &[pb::Participation]) {
        let mut clause = Vec::with_capacity(found.len());
        for (index, participation) in found.iter().enumerate() {
            self.text("participations", index, &participation.entity_id);
            match Role::from_number(participation.role) {
                Some(role) => {
                    let value = format!("{}:{}", role.number(), participation.entity_id);
                    clause.push(Needle::Term(TermField::Participation.term(&value)));
                }
                None => self.findings.at_index("participations", index, |f| {
                    f.violation_at("role", "must be set to a known role");
                }),
            }
        }
        self.push(clause);
    }

    fn event_ids(&mut self, field: &'static str, term: TermField, ids: &[String]) {
        let mut clause = Vec::with_capacity(ids.len());
        for (index, id) in ids.iter().enumerate() {
            match EventId::parse(id) {
                Ok(id) => clause.push(Needle::Term(term.term(&id.to_string()))),
                Err(error) => self.findings.at_index(field, index, |f| f.violation(error)),
            }
        }
        self.push(clause);
    }
}
