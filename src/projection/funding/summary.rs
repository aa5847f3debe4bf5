//! Rows of sums.

use super::Question;
use super::amounts::{Amounts, Sum, wide};
use super::dimension::Dimension;
use super::grouping::Groups;
use super::transfers::Transfers;
use crate::domain::{Bounds, Day, Modality, Stage, TermField};
use crate::index::View;
use crate::pb;
use crate::pb::funding_caveat::Code;

/// Order of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By key, stage, currency.
    #[default]
    Key,
    /// By count, most first.
    Count,
    /// By stage and currency, within these by exact sum of money, greatest first.
    Amount,
}

/// Which transfers to sum, and by what.
#[derive(Clone, Debug)]
pub struct SummaryRequest {
    /// Which transfers.
    pub question: Question,
    /// By what to group.
    pub group_by: Vec<Dimension>,
    /// Most rows.
    pub row_limit: usize,
    /// Their order.
    pub order: Order,
}

/// The transfers with one key, in one stage and currency.
#[derive(Clone, Debug)]
pub struct Row {
    /// Values, by dimension.
    pub key: Vec<Vec<String>>,
    /// Number of the stage.
    pub stage: u8,
    /// ISO 4217 code.
    pub currency: [u8; 3],
    /// Transfers of money.
    pub money: Amounts,
    /// Goods and services.
    pub in_kind: Amounts,
    not_actual: u64,
    approximate: u64,
    first: Option<i32>,
    last: Option<i32>,
}

impl Row {
    const fn new(key: Vec<Vec<String>>, stage: u8, currency: [u8; 3]) -> Self {
        let (money, in_kind) = (Amounts::EMPTY, Amounts::EMPTY);
        Self { key, stage, currency, money, in_kind, not_actual: 0, approximate: 0, first: None, last: None }
    }

    /// Gives the count of transfers.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.money.count + self.in_kind.count
    }

    /// Gives the currency as text.
    #[must_use]
    pub fn currency_code(&self) -> String {
        String::from_utf8_lossy(&self.currency).into_owned()
    }

    /// Gives the message.
    #[must_use]
    pub fn message(&self) -> pb::FundingRow {
        let day = |day: Option<i32>| day.map_or_else(String::new, |day| Day::from_number(day).to_string());
        pb::FundingRow {
            key: self.key.iter().map(|values| pb::FundingKey { values: values.clone() }).collect(),
            stage: self.stage.into(),
            currency_code: self.currency_code(),
            transfer_count: wide(self.count()),
            money: self.money.message(),
            in_kind: self.in_kind.message(),
            not_actual_count: wide(self.not_actual),
            approximate_date_count: wide(self.approximate),
            first_date: day(self.first),
            last_date: day(self.last),
        }
    }
}

/// Sums the transfers of each row; rows stand in no certain order.
#[must_use]
pub fn rows(transfers: &Transfers<'_>, dimensions: &[Dimension], exclude_duplicates: bool) -> Vec<Row> {
    let groups = Groups::of(transfers, dimensions);
    let keys = groups.keys.iter();
    let mut rows: Vec<Row> = keys.map(|key| Row::new(groups.values(key), key.stage, key.currency)).collect();
    let actual_term = TermField::Modality.term(&Modality::Actual.number().to_string());
    let mut actual = None;
    let mut in_part = None;
    for (transfer, group) in transfers.all.iter().zip(&groups.of_transfer) {
        let (Some((part, amount)), Some(row)) = (transfers.look(transfer), rows.get_mut(*group)) else {
            continue;
        };
        if in_part != Some(transfer.part) {
            in_part = Some(transfer.part);
            actual = part.posting(&actual_term);
        }
        let in_kind = amount.flags & crate::index::AmountRow::IN_KIND != 0;
        let amounts = if in_kind { &mut row.in_kind } else { &mut row.money };
        if transfer.is_duplicate {
            amounts.suspect(&amount);
            if exclude_duplicates {
                continue;
            }
        }
        amounts.add(&amount);
        let slot = u32::from(amount.slot);
        row.not_actual += u64::from(!actual.as_ref().is_some_and(|actual| actual.contains(slot)));
        let columns = part.columns();
        row.approximate += u64::from(columns.is_qualified(amount.slot));
        if let Some(bounds) = columns.bounds(amount.slot) {
            let first = (bounds.earliest_start != Bounds::OPEN_START).then_some(bounds.earliest_start);
            let last = (bounds.latest_start != Bounds::OPEN_END).then_some(bounds.latest_start);
            row.first = row.first.into_iter().chain(first).min();
            row.last = row.last.max(last);
        }
    }
    rows
}

/// Sorts rows.
pub fn sort(rows: &mut [Row], order: Order) {
    let by_key = |one: &Row, other: &Row| {
        let place = |row: &Row| (row.stage, row.currency);
        one.key.cmp(&other.key).then_with(|| place(one).cmp(&place(other)))
    };
    rows.sort_by(|one, other| {
        let first = match order {
            Order::Key => std::cmp::Ordering::Equal,
            Order::Count => other.count().cmp(&one.count()),
            Order::Amount => {
                let (Sum(exact), Sum(others)) = (one.money.exact(), other.money.exact());
                let places = (one.stage, one.currency).cmp(&(other.stage, other.currency));
                places.then_with(|| others.cmp(&exact))
            }
        };
        first.then_with(|| by_key(one, other))
    });
}

/// Tells what to mind of rows, in the order of codes.
#[must_use]
pub fn caveats(rows: &[Row]) -> Vec<(Code, u64)> {
    let of = |count: fn(&Amounts) -> u64| -> u64 {
        rows.iter().map(|row| count(&row.money) + count(&row.in_kind)).sum()
    };
    let cancelled = rows.iter().filter(|row| row.stage == Stage::Cancellation.number());
    vec![
        (Code::SuspectedDuplicates, of(Amounts::duplicate_count)),
        (Code::QualifiedAmounts, of(Amounts::qualified_count)),
        (Code::ValuedInKind, rows.iter().map(|row| row.in_kind.count).sum()),
        (Code::NotActual, rows.iter().map(|row| row.not_actual).sum()),
        (Code::ApproximateDates, rows.iter().map(|row| row.approximate).sum()),
        (Code::Reversals, of(Amounts::reversal_count)),
        (Code::Cancellations, cancelled.map(Row::count).sum()),
    ]
}

/// Gives the messages of what is to be minded.
#[must_use]
pub fn told(caveats: Vec<(Code, u64)>) -> Vec<pb::FundingCaveat> {
    let found = caveats.into_iter().filter(|(_, count)| *count > 0);
    found.map(|(code, count)| pb::FundingCaveat { code: code.into(), count: wide(count) }).collect()
}

/// Sums transfers. The answer holds at most `row_limit` rows; whoever sends it may have to cut it further.
#[must_use]
pub fn summarize(view: &View, request: &SummaryRequest) -> pb::SummarizeFundingResponse {
    let transfers = Transfers::of(view, &request.question);
    let mut rows = rows(&transfers, &request.group_by, request.question.exclude_duplicates);
    sort(&mut rows, request.order);
    let omitted = rows.len().saturating_sub(request.row_limit);
    pb::SummarizeFundingResponse {
        rows: rows.iter().take(request.row_limit).map(Row::message).collect(),
        omitted_row_count: i64::try_from(omitted).unwrap_or(i64::MAX),
        transfer_count: wide(rows.iter().map(Row::count).sum()),
        caveats: told(caveats(&rows)),
        snapshot: request.question.scope.as_of.0,
    }
}
