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
        stage: i32::try_from(rng.within(1, 4)).unwrap(),
        amount: Some(Money { currency_code: rng.word(CURRENCIES), units, nanos }),
        reversal,
        recipient_countries: if rng.chance(40) { rng.words(COUNTRIES) } else { Vec::new() },
        ..pb::FundingTransfer::default()
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
