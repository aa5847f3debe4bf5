//! Random payloads that keep the rules of their kinds.

use annals::pb;
use annals::pb::event::Payload;
use annals::pb::google::r#type::{Decimal, Money};

use super::{COUNTRIES, CURRENCIES, DATAFLOWS, ENTITIES, Rng, SERIES, entity, place, time};

fn participant(rng: &mut Rng, role: i32) -> pb::Participant {
    let on_behalf_of = rng.chance(15).then(|| entity(rng, ENTITIES));
    pb::Participant { entity: Some(entity(rng, ENTITIES)), role, on_behalf_of, ..pb::Participant::default() }
}

/// Makes participants; no entity stands twice in one role.
pub(super) fn participants(rng: &mut Rng, kind: u64) -> Vec<pb::Participant> {
    let mut roles = match kind {
        0 => vec![1, 2],
        1 => vec![*rng.pick(&[4, 5])],
        2 => vec![8, 9],
        _ => Vec::new(),
    };
    for _ in 0..rng.below(3) {
        let more = *rng.pick(&[1, 4, 5, 9, 12, 16, 99]);
        if !roles.contains(&more) {
            roles.push(more);
        }
    }
    roles.into_iter().map(|role| participant(rng, role)).collect()
}

/// Makes the payload of a kind, 0 to 5.
pub(super) fn of(rng: &mut Rng, kind: u64, sources: &mut [pb::Source]) -> Payload {
    match kind {
        0 => Payload::Agreement(pb::Agreement {
            agreement_id: "agreement:x".to_owned(),
            action: i32::try_from(rng.within(1, 6)).unwrap(),
            acting_party: rng.chance(40).then(|| entity(rng, ENTITIES)),
            ..pb::Agreement::default()
        }),
        1 => Payload::FundingTransfer(transfer(rng)),
        2 => Payload::Visit(pb::Visit {
            status: *rng.pick(&[0, 1, 2, 3, 4, 5, 6]),
            stops: (0..rng.below(2)).map(|_| stop(rng)).collect(),
            ..pb::Visit::default()
        }),
        3 => Payload::StatisticalRelease(release(rng)),
        4 => Payload::Statement(statement(rng, sources)),
        _ => Payload::Custom(pb::CustomPayload {
            r#type: "org.example.thing.v1".to_owned(),
            ..pb::CustomPayload::default()
        }),
    }
}

fn stop(rng: &mut Rng) -> pb::visit::Stop {
    pb::visit::Stop { place: Some(place(rng)), when: Some(time::valid(rng)), ..pb::visit::Stop::default() }
}

fn transfer(rng: &mut Rng) -> pb::FundingTransfer {
    let reversal = rng.chance(20);
    let (mut units, mut nanos) = (rng.within(0, 6), *rng.pick(&[0, 0, 500_000_000, 1]));
    if reversal {
        (units, nanos) = (-units, -nanos);
    }
    pb::FundingTransfer {
        stage: if rng.chance(80) {
            i32::try_from(rng.within(1, 4)).unwrap()
        } else {
            *rng.pick(&[11, 12, 20, 21, 22, 23])
        },
        amount: Some(Money { currency_code: rng.word(CURRENCIES), units, nanos }),
        reversal,
        recipient_countries: if rng.chance(40) { rng.words(COUNTRIES) } else { Vec::new() },
        amount_qualifier: if rng.chance(70) { rng.within(0, 1) } else { rng.within(2, 8) }
            .try_into()
            .unwrap(),
        activity_id: rng.word(ACTIVITIES),
        transaction_ref: rng.word(REFERENCES),
        flow_type: rng.word(FLOWS),
        finance_type: rng.word(FINANCES),
        tied_status: rng.word(&["", "", "3", "5"]),
        disbursement_channel: rng.word(&["", "", "1", "3", "4"]),
        aid_types: codes(rng, AID_TYPES),
        sectors: codes(rng, SECTORS),
        in_kind: rng.chance(10).then(pb::InKind::default),
        ..pb::FundingTransfer::default()
    }
}

const ACTIVITIES: &[&str] = &["", "XM-1", "XM-10"];
const REFERENCES: &[&str] = &["", "-", "R1", "R2"];
const FLOWS: &[&str] = &["", "10", "22", "odd"];
const FINANCES: &[&str] = &["", "110", "421"];
const AID_TYPES: &[&str] = &["iati-aid-type/1:B02", "iati-aid-type/1:C01", "iati-aid-type/2:1"];
const SECTORS: &[&str] = &["dac:72010", "dac:15110", "own:border"];

fn codes(rng: &mut Rng, from: &[&str]) -> Vec<pb::Code> {
    let written = if rng.chance(50) { rng.words(from) } else { Vec::new() };
    let code = |text: &String| {
        let (scheme, value) = text.split_once(':').unwrap();
        pb::Code { scheme: scheme.to_owned(), value: value.to_owned(), ..pb::Code::default() }
    };
    written.iter().map(code).collect()
}

/// Asks for a property of transfers.
pub(super) fn transfer_field(rng: &mut Rng, filter: &mut pb::Filter) {
    match rng.below(9) {
        0 => filter.flow_types = rng.words(&["10", "22", "odd"]),
        1 => filter.finance_types = rng.words(&["110", "421"]),
        2 => filter.aid_types = rng.words(AID_TYPES),
        3 => filter.sectors = rng.words(SECTORS),
        4 => filter.recipient_countries = rng.words(COUNTRIES),
        5 => filter.tied_statuses = rng.words(&["3", "5"]),
        6 => filter.disbursement_channels = rng.words(&["1", "3", "4"]),
        7 => filter.activity_ids = rng.words(&["XM-1", "XM-10"]),
        _ => filter.currencies = rng.words(CURRENCIES),
    }
}

fn release(rng: &mut Rng) -> pb::StatisticalRelease {
    let period = pb::TimeSpan { edtf: "2022".to_owned(), ..pb::TimeSpan::default() };
    let value = Some(Decimal { value: rng.below(20_000).to_string() });
    pb::StatisticalRelease {
        dataflow: rng.word(DATAFLOWS),
        series_key: if rng.chance(80) { rng.word(SERIES) } else { String::new() },
        unit: "persons".to_owned(),
        reference_area: rng.chance(50).then(|| entity(rng, ENTITIES)),
        observations: vec![pb::Observation { period: Some(period), value, ..pb::Observation::default() }],
        ..pb::StatisticalRelease::default()
    }
}

fn statement(rng: &mut Rng, sources: &mut [pb::Source]) -> pb::Statement {
    let quote = sources.first_mut().filter(|_| rng.chance(30));
    let verbatim = quote.is_some();
    if let Some(source) = quote {
        source.quote = Some(pb::Quote { exact: "it is a fact".to_owned(), ..pb::Quote::default() });
    }
    let role = *rng.pick(&[0, 0, 12, 18]);
    pb::Statement {
        speaker: Some(participant(rng, role)),
        text: "a fact".to_owned(),
        verbatim,
        ..pb::Statement::default()
    }
}

/// Makes a range of amounts with one bound or two, some between the amounts that there are.
pub(super) fn amount_range(rng: &mut Rng) -> pb::AmountRange {
    let mut bound = |chance: u64| if rng.chance(chance) { rng.word(BOUNDS) } else { String::new() };
    let (at_least, mut at_most) = (bound(60), bound(60));
    if at_least.is_empty() && at_most.is_empty() {
        at_most = "3.5".to_owned();
    }
    pb::AmountRange { currency_code: rng.word(CURRENCIES), at_least, at_most }
}

const BOUNDS: &[&str] = &["-2", "-1.5", "0", "0.000000001", "1", "2.5", "3.000000001", "3", "4.25", "6"];
