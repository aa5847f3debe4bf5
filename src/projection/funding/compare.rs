//! What was promised against what was paid: for a facility, an activity, or a provider and a receiver.

use std::collections::{BTreeMap, BTreeSet};

use super::Question;
use super::amounts::{Amounts, Sum, wide};
use super::dimension::Dimension;
use super::summary::{self, Order, Row};
use super::transfers::Transfers;
use crate::domain::{AmountQualifier, EventId, Position, Role, Stage, TermField};
use crate::index::AmountRow;
use crate::index::{Scope, Status, View};
use crate::pb;
use crate::pb::FundingOutcome as Outcome;
use crate::pb::funding_caveat::Code;
use crate::pb::funding_draw::Standing;

/// Stages that promise.
const PROMISES: [Stage; 7] = [
    Stage::OutgoingCommitment,
    Stage::IncomingCommitment,
    Stage::OutgoingPledge,
    Stage::IncomingPledge,
    Stage::Allocation,
    Stage::Budget,
    Stage::PlannedDisbursement,
];
/// Stages that pay.
const PAYMENTS: [Stage; 3] = [Stage::IncomingFunds, Stage::Disbursement, Stage::Expenditure];
/// Most comparisons told.
const COMPARISONS_MAX: usize = 1_000;
/// Most draws, names and groups of likes told.
const LISTED_MAX: usize = 100;
/// Most events told of transfers that look the same.
const LIKES_MAX: usize = 10;

/// An answer, but for the ids of events: they are in the log.
#[derive(Debug)]
pub struct Compared {
    /// The answer.
    pub response: pb::CompareFundingResponse,
    /// Positions of the events whose ids each of its `suspected_duplicates` lacks.
    pub alike: Vec<Vec<Position>>,
}

/// Holds promises against payments.
#[must_use]
pub fn compare(view: &View, question: &Question) -> Compared {
    let transfers = Transfers::of(view, question);
    let rows_by = |dimensions: &[Dimension]| {
        let mut rows = summary::rows(&transfers, dimensions, question.exclude_duplicates);
        summary::sort(&mut rows, Order::Key);
        rows
    };
    let stages = rows_by(&[]);
    let mut comparisons = comparisons(&stages);
    let mut draws = draws(view, question.scope, &rows_by(&[Dimension::Field(TermField::CommitmentEvent)]));
    let mut caveats = summary::caveats(&stages);
    let beyond = comparisons.iter().filter(|found| found.outcome() == Outcome::BeyondPromise);
    caveats.push((Code::PaidMoreThanPromised, counted(beyond.count())));
    caveats.extend(draw_caveats(&draws));
    let omitted_comparison_count = cut(&mut comparisons, COMPARISONS_MAX);
    let omitted_draw_count = cut(&mut draws, LISTED_MAX);
    let names = |dimension: Dimension| {
        let rows = rows_by(&[dimension]);
        let names: BTreeSet<String> =
            rows.into_iter().flat_map(|row| row.key.into_iter().flatten()).collect();
        let mut names: Vec<String> = names.into_iter().collect();
        let omitted = cut(&mut names, LISTED_MAX);
        (names, omitted)
    };
    let (provider_ids, omitted_provider_count) = names(Dimension::Role(Role::Provider));
    let (receiver_ids, omitted_receiver_count) = names(Dimension::Role(Role::Receiver));
    let (streams, omitted_stream_count) = names(Dimension::Field(TermField::Stream));
    let mut alike = transfers.alike.clone();
    let omitted_suspected_duplicates_count = cut(&mut alike, LISTED_MAX);
    let suspected_duplicates = alike.iter().filter_map(|same| likes(&transfers, same)).collect();
    let response = pb::CompareFundingResponse {
        stages: stages.iter().map(Row::message).collect(),
        comparisons,
        draws,
        omitted_draw_count,
        provider_ids,
        omitted_provider_count,
        receiver_ids,
        omitted_receiver_count,
        streams,
        omitted_stream_count,
        suspected_duplicates,
        omitted_suspected_duplicates_count,
        caveats: summary::told(caveats),
        snapshot: question.scope.as_of.0,
        omitted_comparison_count,
    };
    let position = |index: &usize| transfers.all.get(*index).map(|transfer| transfers.position(transfer));
    let alike = alike.iter().map(|same| same.iter().take(LIKES_MAX).filter_map(position).collect());
    Compared { response, alike: alike.collect() }
}

/// Cuts a list short, and gives how many were cut off.
fn cut<T>(items: &mut Vec<T>, most: usize) -> i64 {
    let omitted = items.len().saturating_sub(most);
    items.truncate(most);
    i64::try_from(omitted).unwrap_or(i64::MAX)
}

fn counted(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Holds each promise against each payment in its currency, and always against disbursements.
fn comparisons(stages: &[Row]) -> Vec<pb::FundingComparison> {
    let money: BTreeMap<([u8; 3], u8), &Row> =
        stages.iter().filter(|row| row.money.count > 0).map(|row| ((row.currency, row.stage), row)).collect();
    let mut promises = PROMISES.map(Stage::number);
    let mut payments = PAYMENTS.map(Stage::number);
    promises.sort_unstable();
    payments.sort_unstable();
    let mut found = Vec::new();
    for ((currency, stage), promise) in &money {
        if !promises.contains(stage) {
            continue;
        }
        for paid_stage in payments {
            let paid = match money.get(&(*currency, paid_stage)) {
                Some(row) => row.money,
                None if paid_stage == Stage::Disbursement.number() => Amounts::EMPTY,
                None => continue,
            };
            found.push(comparison(promise, paid_stage, &paid));
        }
    }
    found
}

fn comparison(promise: &Row, paid_stage: u8, paid: &Amounts) -> pb::FundingComparison {
    let promised = &promise.money;
    let beyond = paid.lower.0.zip(promised.upper.0).is_some_and(|(paid, promised)| paid > promised);
    let within = paid.upper.0.zip(promised.lower.0).is_some_and(|(paid, promised)| paid <= promised);
    let outcome = match (beyond, within) {
        (true, _) => Outcome::BeyondPromise,
        (false, true) => Outcome::WithinPromise,
        (false, false) => Outcome::OutcomeUncertain,
    };
    pb::FundingComparison {
        currency_code: promise.currency_code(),
        promised_stage: promise.stage.into(),
        paid_stage: paid_stage.into(),
        promised: promised.all_exact().written(),
        paid: paid.all_exact().written(),
        balance: promised.all_exact().minus(paid.all_exact()).written(),
        balance_lower: promised.lower.minus(paid.upper).written(),
        balance_upper: promised.upper.minus(paid.lower).written(),
        outcome: outcome.into(),
    }
}

/// Follows the transfers that name a commitment to it.
fn draws(view: &View, scope: Scope, rows: &[Row]) -> Vec<pb::FundingDraw> {
    let drawing = rows.iter().filter_map(|row| Some((row.key.first()?.first()?, row)));
    drawing.map(|(commitment, row)| draw(view, scope, commitment, row)).collect()
}

fn draw(view: &View, scope: Scope, commitment: &str, row: &Row) -> pb::FundingDraw {
    let mut draw = pb::FundingDraw {
        commitment_event_id: commitment.to_owned(),
        commitment: Standing::Unknown.into(),
        stage: row.stage.into(),
        currency_code: row.currency_code(),
        money: row.money.message(),
        ..pb::FundingDraw::default()
    };
    let position = EventId::parse(commitment).ok().and_then(|id| view.position_of(&id));
    let Some(position) = position.filter(|position| view.in_scope(*position, scope)) else {
        return draw;
    };
    let Some((part, slot)) = view.locate(position).filter(|(part, slot)| !part.columns().is_no_entry(*slot))
    else {
        return draw;
    };
    let stands = view.knowledge().status(position, scope) == Status::Current;
    draw.commitment = if stands { Standing::Stands } else { Standing::Closed }.into();
    let Some(committed) = part.amounts().at(slot) else {
        return draw;
    };
    draw.commitment_stage = committed.stage.into();
    draw.commitment_currency_code = String::from_utf8_lossy(&committed.currency).into_owned();
    draw.commitment_amount = Sum(Some(committed.billionths())).written();
    draw.commitment_qualifier = committed.qualifier.into();
    if stands && committed.currency == row.currency && row.money.count > 0 && is_exact(&committed) {
        draw.balance = Sum(Some(committed.billionths())).minus(row.money.all_exact()).written();
    }
    draw
}

fn is_exact(row: &AmountRow) -> bool {
    let qualifier = AmountQualifier::from_number(i32::from(row.qualifier));
    row.flags & AmountRow::IN_KIND == 0 && qualifier.is_none_or(|found| found == AmountQualifier::Exact)
}

fn draw_caveats(draws: &[pb::FundingDraw]) -> [(Code, u64); 3] {
    let count =
        |holds: &dyn Fn(&pb::FundingDraw) -> bool| counted(draws.iter().filter(|draw| holds(draw)).count());
    let other_currency = |draw: &pb::FundingDraw| {
        !draw.commitment_currency_code.is_empty() && draw.commitment_currency_code != draw.currency_code
    };
    [
        (Code::CommitmentUnknown, count(&|draw| draw.commitment() == Standing::Unknown)),
        (Code::CommitmentClosed, count(&|draw| draw.commitment() == Standing::Closed)),
        (Code::CommitmentInOtherCurrency, count(&other_currency)),
    ]
}

fn likes(transfers: &Transfers<'_>, same: &[usize]) -> Option<pb::LikeTransfers> {
    let (_, row) = transfers.look(transfers.all.get(*same.first()?)?)?;
    Some(pb::LikeTransfers {
        event_ids: Vec::new(),
        transfer_count: wide(counted(same.len())),
        stage: row.stage.into(),
        currency_code: String::from_utf8_lossy(&row.currency).into_owned(),
        amount: Sum(Some(row.billionths())).written(),
    })
}
