//! Payloads: agreements, funding transfers, visits, statements, custom kinds.

use super::check::{
    self, ID_CHARS_MAX, TEXT_CHARS_MAX, line, lines, optional_number, required_line, required_number,
};
use super::entity::{entity, optional_entity, participant, place};
use super::provenance::{codes, links};
use super::{statistics, time};
use crate::domain::codes::CodeList;
use crate::domain::tag::is_custom_type;
use crate::domain::{
    Action, Agreement, AmountQualifier, CaveatCode, Currency, EventId, Findings, FundingTransfer, Link,
    Money, Payload, Role, Shape, Stage, Statement, Visit, VisitStatus, check_country_code,
};
use crate::pb;
use crate::pb::event::Payload as Wire;

/// Reads the payload.
pub fn payload(findings: &mut Findings, found: Option<&mut Wire>) -> Option<Payload> {
    match found {
        Some(Wire::Agreement(found)) => {
            findings.at("agreement", |f| agreement(f, found)).map(|read| Payload::Agreement(Box::new(read)))
        }
        Some(Wire::FundingTransfer(found)) => findings
            .at("funding_transfer", |f| funding_transfer(f, found))
            .map(|read| Payload::FundingTransfer(Box::new(read))),
        Some(Wire::Visit(found)) => Some(Payload::Visit(Box::new(findings.at("visit", |f| visit(f, found))))),
        Some(Wire::StatisticalRelease(found)) => {
            let read = findings.at("statistical_release", |f| statistics::release(f, found));
            Some(Payload::StatisticalRelease(Box::new(read)))
        }
        Some(Wire::Statement(found)) => {
            findings.at("statement", |f| statement(f, found)).map(|read| Payload::Statement(Box::new(read)))
        }
        Some(Wire::Custom(found)) => {
            findings.at("custom", |f| custom(f, found));
            Some(Payload::Custom)
        }
        None => {
            findings.violation_at(
                "payload",
                "must be set: agreement, funding_transfer, visit, statistical_release, statement or custom",
            );
            None
        }
    }
}

fn agreement(findings: &mut Findings, found: &pb::Agreement) -> Option<Agreement> {
    required_line(findings, "agreement_id", &found.agreement_id, ID_CHARS_MAX);
    line(findings, "title", &found.title, TEXT_CHARS_MAX);
    optional_number(findings, "form", found.form, |n| pb::agreement::Form::try_from(n).ok());
    optional_number(findings, "binding", found.binding, |n| pb::agreement::Bindingness::try_from(n).ok());
    lines(findings, "citations", &found.citations, TEXT_CHARS_MAX);
    lines(findings, "provisions", &found.provisions, TEXT_CHARS_MAX);
    line(findings, "subject", &found.subject, TEXT_CHARS_MAX);
    check::prose(findings, "reservation_text", &found.reservation_text);
    let acting_party = optional_entity(findings, "acting_party", found.acting_party.as_ref());
    let effective_on = check::date(findings, "effective_on", found.effective_on.as_ref());
    let expires_on = check::date(findings, "expires_on", found.expires_on.as_ref());
    let action = required_number(findings, "action", found.action, Action::from_number)?;
    Some(Agreement {
        agreement_id: found.agreement_id.clone(),
        action,
        acting_party,
        effective_on,
        expires_on,
        retroactive: found.retroactive,
    })
}

fn funding_transfer(findings: &mut Findings, found: &mut pb::FundingTransfer) -> Option<FundingTransfer> {
    for (field, text) in [
        ("activity_id", &found.activity_id),
        ("transaction_ref", &found.transaction_ref),
        ("purpose", &found.purpose),
    ] {
        line(findings, field, text, TEXT_CHARS_MAX);
    }
    for (field, code, list) in [
        ("flow_type", &found.flow_type, CodeList::FlowType),
        ("finance_type", &found.finance_type, CodeList::FinanceType),
        ("tied_status", &found.tied_status, CodeList::TiedStatus),
        ("disbursement_channel", &found.disbursement_channel, CodeList::DisbursementChannel),
    ] {
        line(findings, field, code, ID_CHARS_MAX);
        if !code.is_empty() && !list.is_known(code) {
            findings.caveat_at(
                field,
                CaveatCode::CodeUnknown,
                format_args!("{code} is not in IATI's {list:?}"),
            );
        }
    }
    codes(findings, "aid_types", &found.aid_types);
    for (index, code) in found.aid_types.iter().enumerate() {
        // Vocabulary 1 is the OECD DAC list; others are not checked.
        if code.scheme == "iati-aid-type/1" && !CodeList::AidType.is_known(&code.value) {
            findings.at_index("aid_types", index, |f| {
                f.caveat_at("value", CaveatCode::CodeUnknown, "is not in IATI's AidType");
            });
        }
    }
    codes(findings, "sectors", &found.sectors);
    for (index, country) in found.recipient_countries.iter().enumerate() {
        findings.at_index("recipient_countries", index, |f| check_country_code(country, f));
    }
    let qualifier =
        optional_number(findings, "amount_qualifier", found.amount_qualifier, AmountQualifier::from_number);
    if let Some(in_kind) = &found.in_kind {
        findings.at("in_kind", |f| {
            check::prose(f, "description", &in_kind.description);
            line(f, "unit", &in_kind.unit, ID_CHARS_MAX);
            statistics::decimal(f, "quantity", in_kind.quantity.as_ref());
        });
    }
    event_reference(findings, "commitment_event_id", &mut found.commitment_event_id);
    time::span(findings, "covers", found.covers.as_mut(), Shape::Period);
    let value_date = check::date(findings, "value_date", found.value_date.as_ref());
    let stage = required_number(findings, "stage", found.stage, Stage::from_number);
    let amount = money(findings, found.amount.as_ref());
    Some(FundingTransfer {
        stage: stage?,
        amount: amount?,
        value_date,
        reversal: found.reversal,
        recipient_countries: found.recipient_countries.clone(),
        qualifier,
        // IATI's DisbursementChannel: 3 and 4 are aid in kind.
        in_kind: found.in_kind.is_some() || matches!(found.disbursement_channel.as_str(), "3" | "4"),
        activity_id: found.activity_id.clone(),
        transaction_ref: found.transaction_ref.clone(),
        flow_type: found.flow_type.clone(),
        finance_type: found.finance_type.clone(),
        tied_status: found.tied_status.clone(),
        disbursement_channel: found.disbursement_channel.clone(),
        aid_types: found.aid_types.iter().map(written_code).collect(),
        sectors: found.sectors.iter().map(written_code).collect(),
        commitment_event_id: found.commitment_event_id.clone(),
    })
}

fn written_code(code: &pb::Code) -> String {
    format!("{}:{}", code.scheme, code.value)
}

fn money(findings: &mut Findings, found: Option<&pb::google::r#type::Money>) -> Option<Money> {
    let Some(found) = found else {
        findings.violation_at("amount", "must be set");
        return None;
    };
    findings.at("amount", |f| {
        let currency = Currency::parse(&found.currency_code);
        if let Err(error) = &currency {
            f.violation_at("currency_code", error);
        }
        // The sign rule holds in every currency, so it is checked even where the code is wrong.
        if let Err(error) = Money::check_parts(found.units, found.nanos) {
            f.violation_at("nanos", error);
        }
        Money::new(currency.ok()?, found.units, found.nanos).ok()
    })
}

fn event_reference(findings: &mut Findings, field: &'static str, id: &mut String) {
    if id.is_empty() {
        return;
    }
    match EventId::parse(id) {
        // One spelling, so that equal events have equal bytes.
        Ok(read) => *id = read.to_string(),
        Err(error) => findings.violation_at(field, error),
    }
}

fn visit(findings: &mut Findings, found: &mut pb::Visit) -> Visit {
    line(findings, "visit_id", &found.visit_id, ID_CHARS_MAX);
    optional_number(findings, "category", found.category, |n| pb::visit::Category::try_from(n).ok());
    let status = optional_number(findings, "status", found.status, VisitStatus::from_number);
    check::prose(findings, "purpose", &found.purpose);
    lines(findings, "deliverables", &found.deliverables, TEXT_CHARS_MAX);
    let mut stops = Vec::with_capacity(found.stops.len());
    for (index, stop) in found.stops.iter_mut().enumerate() {
        stops.push(findings.at_index("stops", index, |f| {
            check::prose(f, "activity", &stop.activity);
            if let Some(found) = &stop.place {
                f.at("place", |f| place(f, found));
            }
            time::span(f, "when", stop.when.as_mut(), Shape::Instant)
        }));
    }
    for (index, meeting) in found.meetings.iter_mut().enumerate() {
        findings.at_index("meetings", index, |f| {
            check::prose(f, "topic", &meeting.topic);
            super::entity::participants(f, &meeting.participants);
            if let Some(found) = &meeting.place {
                f.at("place", |f| place(f, found));
            }
            time::span(f, "when", meeting.when.as_mut(), Shape::Instant);
        });
    }
    Visit { status, stops }
}

fn statement(findings: &mut Findings, found: &mut pb::Statement) -> Option<Statement> {
    if found.text.is_empty() {
        findings.violation_at("text", "must be set");
    }
    check::prose(findings, "text", &found.text);
    line(findings, "medium", &found.medium, TEXT_CHARS_MAX);
    line(findings, "occasion", &found.occasion, TEXT_CHARS_MAX);
    optional_number(findings, "stance", found.stance, |n| pb::statement::Stance::try_from(n).ok());
    let (mut comparisons, mut about) = (Vec::new(), Vec::new());
    for (index, found) in found.claims.iter_mut().enumerate() {
        if let Some(comparison) = findings.at_index("claims", index, |f| claim(f, found, &mut about)) {
            comparisons.push((index, comparison));
        }
    }
    let Some(speaker) = &found.speaker else {
        findings.violation_at("speaker", "must be set");
        return None;
    };
    let speaker = findings.at("speaker", |f| participant(f, speaker, Some(Role::Speaker)))?;
    Some(Statement { speaker, text: found.text.clone(), verbatim: found.verbatim, comparisons, about })
}

fn claim(
    findings: &mut Findings,
    found: &mut pb::Claim,
    about: &mut Vec<Link>,
) -> Option<crate::domain::Comparison> {
    check::prose(findings, "text", &found.text);
    line(findings, "hedging", &found.hedging, TEXT_CHARS_MAX);
    about.extend(links(findings, "about", &mut found.about));
    if let Some(figure) = &mut found.figure {
        findings.at("figure", |f| statistics::observation(f, figure));
    }
    for (index, review) in found.reviews.iter().enumerate() {
        findings.at_index("reviews", index, |f| {
            if let Some(reviewer) = &review.reviewer {
                f.at("reviewer", |f| entity(f, reviewer));
            }
            line(f, "verdict", &review.verdict, TEXT_CHARS_MAX);
            line(f, "url", &review.url, TEXT_CHARS_MAX);
            check::date(f, "on", review.on.as_ref());
        });
    }
    found.comparison.as_mut().map(|found| findings.at("comparison", |f| statistics::comparison(f, found)))
}

fn custom(findings: &mut Findings, found: &pb::CustomPayload) {
    if !is_custom_type(&found.r#type) {
        findings.violation_at(
            "type",
            "must be a reversed domain name with a version, for example org.example.thing.v1",
        );
    }
    line(findings, "type", &found.r#type, ID_CHARS_MAX);
    line(findings, "schema", &found.schema, TEXT_CHARS_MAX);
    line(findings, "content_type", &found.content_type, ID_CHARS_MAX);
    check::structure(findings, "data", found.data.as_ref());
}
