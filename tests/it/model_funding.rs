//! Sums of transfers by the model: every event looked at, every rule as the API states it.

use std::collections::{BTreeMap, BTreeSet};

use annals::domain::Position;
use annals::index::Scope;
use annals::pb;
use annals::pb::event::Payload;
use annals::pb::funding_caveat::Code;
use annals::pb::funding_draw::Standing;
use annals::pb::google::r#type::Decimal;
use annals::timeline::Order;

use super::filter::{key, roles};
use super::timeline::{Between, Question};
use super::{Model, Recorded, id_of};

/// Which transfers, as the model is asked for them.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) filter: pb::Filter,
    pub(crate) window: Option<Between>,
    pub(crate) scope: Scope,
    pub(crate) providers: Vec<String>,
    pub(crate) receivers: Vec<String>,
    pub(crate) exclude: bool,
}

type Group = (Vec<Vec<String>>, i32, String);

fn transfer(event: &pb::Event) -> Option<&pb::FundingTransfer> {
    if let Some(Payload::FundingTransfer(transfer)) = &event.payload { Some(transfer) } else { None }
}

fn billionths(transfer: &pb::FundingTransfer) -> i128 {
    let amount = transfer.amount.as_ref().unwrap();
    i128::from(amount.units) * 1_000_000_000 + i128::from(amount.nanos)
}

fn written(value: i128) -> Decimal {
    let text = format!("{:010}", value.abs());
    let (whole, part) = text.split_at(text.len() - 9);
    let joined = format!("{whole}.{part}");
    let joined = joined.trim_end_matches('0').trim_end_matches('.');
    Decimal { value: format!("{}{joined}", if value < 0 { "-" } else { "" }) }
}

fn in_kind(transfer: &pb::FundingTransfer) -> bool {
    transfer.in_kind.is_some() || ["3", "4"].contains(&transfer.disbursement_channel.as_str())
}

fn in_role(event: &pb::Event, role: pb::Role) -> BTreeSet<String> {
    let found = roles(event).into_iter().filter(|(_, held)| *held == Some(role.into()));
    found.map(|(entity, _)| key(entity).to_owned()).collect()
}

fn text(value: &str) -> BTreeSet<String> {
    if value.is_empty() { BTreeSet::new() } else { BTreeSet::from([value.to_owned()]) }
}

fn codes(found: &[pb::Code]) -> BTreeSet<String> {
    found.iter().map(|code| format!("{}:{}", code.scheme, code.value)).collect()
}

/// Gives the values of a transfer in a dimension.
fn values(event: &Recorded, dimension: pb::FundingDimension) -> BTreeSet<String> {
    use pb::FundingDimension as By;
    let found = transfer(&event.event).unwrap();
    match dimension {
        By::Unspecified => panic!("never asked"),
        By::ByProvider => in_role(&event.event, pb::Role::Provider),
        By::ByReceiver => in_role(&event.event, pb::Role::Receiver),
        By::ByStage => text(found.stage().as_str_name()),
        By::ByCurrency => text(&found.amount.as_ref().unwrap().currency_code),
        By::ByYear => period(event, 12),
        By::ByQuarter => period(event, 3),
        By::ByMonth => period(event, 1),
        By::ByFlowType => text(&found.flow_type),
        By::ByFinanceType => text(&found.finance_type),
        By::ByAidType => codes(&found.aid_types),
        By::BySector => codes(&found.sectors),
        By::ByRecipientCountry => found.recipient_countries.iter().cloned().collect(),
        By::ByActivity => text(&event.event.stream),
        By::ByTiedStatus => text(&found.tied_status),
        By::ByDisbursementChannel => text(&found.disbursement_channel),
        By::ByModality if event.event.modality == 0 => BTreeSet::new(),
        By::ByModality => text(event.event.modality().as_str_name()),
        By::ByCommitment => text(&found.commitment_event_id),
    }
}

/// Names the period of so many months that both bounds of the first day lie in.
fn period(event: &Recorded, months: u8) -> BTreeSet<String> {
    let unit = |day: annals::domain::Day| {
        let (year, month, _) = day.to_civil().unwrap();
        (year, (month - 1) / months)
    };
    let (Some(earliest), Some(latest)) = (event.span.earliest_start, event.span.latest_start) else {
        return BTreeSet::new();
    };
    let (year, number) = unit(earliest);
    if unit(latest) != (year, number) {
        return BTreeSet::new();
    }
    let year = if year < 0 { format!("-{:04}", -year) } else { format!("{year:04}") };
    BTreeSet::from([match months {
        12 => year,
        3 => format!("{year}-Q{}", number + 1),
        _ => format!("{year}-{:02}", number + 1),
    }])
}

/// What a stated figure allows: least and most.
fn allowed(figure: i128, qualifier: pb::AmountQualifier) -> (Option<i128>, Option<i128>) {
    use pb::AmountQualifier as Q;
    let size = figure.abs();
    let rounding = || {
        let zeros = size.to_string().chars().rev().take_while(|digit| *digit == '0').count();
        let unit = 10_i128.pow(zeros.try_into().unwrap());
        unit / 2 + unit % 2
    };
    let (least, most) = match qualifier {
        Q::Unspecified | Q::Exact => (Some(size), Some(size)),
        Q::RoundedAmount if size == 0 => (Some(0), None),
        Q::RoundedAmount => (Some(size - rounding()), Some(size + rounding())),
        Q::UpTo | Q::Under | Q::Nearly => (Some(0), Some(size)),
        Q::AtLeast | Q::Over => (Some(size), None),
        Q::About => (Some(0), None),
    };
    if figure < 0 { (most.map(|most| -most), least.map(|least| -least)) } else { (least, most) }
}

fn total(parts: impl Iterator<Item = Option<i128>>) -> Option<Decimal> {
    parts.sum::<Option<i128>>().map(written)
}

fn count_of(number: usize) -> i64 {
    number.try_into().unwrap()
}

/// Sums transfers of one stage and currency; `suspects` may be among them.
fn amounts(all: &[&pb::FundingTransfer], suspects: &[&pb::FundingTransfer]) -> Option<pb::FundingAmounts> {
    if all.is_empty() && suspects.is_empty() {
        return None;
    }
    let sum = |some: &mut dyn Iterator<Item = &&pb::FundingTransfer>| {
        total(some.map(|transfer| Some(billionths(transfer))))
    };
    let bounds = || all.iter().map(|transfer| allowed(billionths(transfer), transfer.amount_qualifier()));
    let stated = (0..9).filter_map(|number| {
        let same: Vec<_> = all.iter().filter(|transfer| transfer.amount_qualifier == number).collect();
        (!same.is_empty()).then(|| pb::StatedAmounts {
            qualifier: number,
            transfer_count: count_of(same.len()),
            amount: sum(&mut same.iter().copied()),
        })
    });
    let reversals: Vec<_> = all.iter().filter(|transfer| transfer.reversal).collect();
    Some(pb::FundingAmounts {
        transfer_count: count_of(all.len()),
        exact: sum(&mut all.iter().filter(|transfer| transfer.amount_qualifier < 2)),
        lower: total(bounds().map(|(least, _)| least)),
        upper: total(bounds().map(|(_, most)| most)),
        stated: stated.collect(),
        reversal_count: count_of(reversals.len()),
        reversal_amount: sum(&mut reversals.iter().copied()),
        suspected_duplicate_count: count_of(suspects.len()),
        suspected_duplicate_amount: sum(&mut suspects.iter()),
    })
}

impl Model {
    /// Gives the transfers that count, in position order, each with whether it looks the same as one before.
    pub(crate) fn transfers(&self, asked: &Asked) -> Vec<(&Recorded, bool)> {
        let question = Question {
            filter: asked.filter.clone(),
            window: asked.window,
            scope: asked.scope,
            include_closed: false,
        };
        let entries = self.list(&question, Order::Recorded);
        let named = |event: &Recorded, role, ids: &[String]| {
            ids.is_empty() || ids.iter().any(|id| in_role(&event.event, role).contains(id))
        };
        let mut found: Vec<(&Recorded, bool)> = Vec::new();
        for event in entries.iter().map(|entry| self.at(entry.position)) {
            if transfer(&event.event).is_some()
                && named(event, pb::Role::Provider, &asked.providers)
                && named(event, pb::Role::Receiver, &asked.receivers)
            {
                let suspect = found.iter().any(|(before, _)| looks_same(before, event));
                found.push((event, suspect));
            }
        }
        found
    }

    fn groups(&self, asked: &Asked, by: &[pb::FundingDimension]) -> BTreeMap<Group, Vec<(&Recorded, bool)>> {
        let mut groups: BTreeMap<Group, Vec<(&Recorded, bool)>> = BTreeMap::new();
        for (event, suspect) in self.transfers(asked) {
            let found = transfer(&event.event).unwrap();
            let values = by.iter().map(|by| values(event, *by).into_iter().collect()).collect();
            let currency = found.amount.as_ref().unwrap().currency_code.clone();
            groups.entry((values, found.stage, currency)).or_default().push((event, suspect));
        }
        groups
    }

    /// Gives the positions behind a row: all where no part of it is asked for.
    pub(crate) fn behind(
        &self,
        asked: &Asked,
        by: &[pb::FundingDimension],
        row: (Option<&[pb::FundingKey]>, i32, &str),
        only_suspects: bool,
    ) -> Vec<(Position, bool)> {
        let (key, stage, currency) = row;
        let key: Option<Vec<Vec<String>>> = key.map(|key| key.iter().map(|k| k.values.clone()).collect());
        let mut found = Vec::new();
        for ((values, of_stage, of_currency), events) in self.groups(asked, by) {
            if key.as_ref().is_none_or(|key| *key == values)
                && (stage == 0 || stage == of_stage)
                && (currency.is_empty() || currency == of_currency)
            {
                let wanted = |suspect: bool| if suspect { !asked.exclude } else { !only_suspects };
                found
                    .extend(events.iter().filter(|(_, s)| wanted(*s)).map(|(event, s)| (event.position, *s)));
            }
        }
        found.sort_unstable();
        found
    }

    fn rows(&self, asked: &Asked, by: &[pb::FundingDimension]) -> Vec<pb::FundingRow> {
        let groups = self.groups(asked, by).into_iter();
        groups.map(|(group, events)| row(group, &events, asked.exclude)).collect()
    }

    /// Sums transfers; rows in the order of keys.
    pub(crate) fn summarize(
        &self,
        asked: &Asked,
        by: &[pb::FundingDimension],
        order: pb::summarize_funding_request::Order,
        limit: usize,
    ) -> pb::SummarizeFundingResponse {
        use pb::summarize_funding_request::Order;
        let mut rows = self.rows(asked, by);
        let caveats = caveats(&rows);
        let transfer_count = rows.iter().map(|row| row.transfer_count).sum();
        let exact = |row: &pb::FundingRow| -> i128 {
            let text = row.money.as_ref().map_or("0", |money| money.exact.as_ref().unwrap().value.as_str());
            super::filter::billionths_of(text)
        };
        // Stable: what is equal stays in the order of keys.
        match order {
            Order::Unspecified | Order::Key => {}
            Order::CountDescending => rows.sort_by_key(|row| std::cmp::Reverse(row.transfer_count)),
            Order::AmountDescending => {
                rows.sort_by_key(|row| (row.stage, row.currency_code.clone(), std::cmp::Reverse(exact(row))))
            }
        }
        let omitted_row_count = count_of(rows.len().saturating_sub(limit));
        rows.truncate(limit);
        let snapshot = asked.scope.as_of.0;
        pb::SummarizeFundingResponse { rows, omitted_row_count, transfer_count, caveats, snapshot }
    }

    /// Holds promises against payments; also gives the positions of those that look the same.
    pub(crate) fn compare(&self, asked: &Asked) -> (pb::CompareFundingResponse, Vec<Vec<Position>>) {
        let stages = self.rows(asked, &[]);
        let comparisons = comparisons(&stages);
        let draws: Vec<pb::FundingDraw> = self
            .rows(asked, &[pb::FundingDimension::ByCommitment])
            .iter()
            .filter(|row| !row.key[0].values.is_empty())
            .map(|row| self.draw(row, asked.scope))
            .collect();
        let mut caveats = caveats(&stages);
        let beyond = comparisons.iter().filter(|found| found.outcome == 2).count();
        let standing = |standing: Standing| draws.iter().filter(|d| d.commitment() == standing).count();
        let other = draws.iter().filter(|draw| {
            draw.commitment_amount.is_some() && draw.commitment_currency_code != draw.currency_code
        });
        for (code, count) in [
            (Code::PaidMoreThanPromised, beyond),
            (Code::CommitmentUnknown, standing(Standing::Unknown)),
            (Code::CommitmentClosed, standing(Standing::Closed)),
            (Code::CommitmentInOtherCurrency, other.count()),
        ] {
            push(&mut caveats, code, count_of(count));
        }
        let names = |by: pb::FundingDimension| -> Vec<String> {
            let found: BTreeSet<String> =
                self.transfers(asked).into_iter().flat_map(|(event, _)| values(event, by)).collect();
            found.into_iter().collect()
        };
        let (suspected_duplicates, alike) = self.alike(asked);
        let response = pb::CompareFundingResponse {
            stages,
            comparisons,
            draws,
            provider_ids: names(pb::FundingDimension::ByProvider),
            receiver_ids: names(pb::FundingDimension::ByReceiver),
            streams: names(pb::FundingDimension::ByActivity),
            suspected_duplicates,
            caveats,
            snapshot: asked.scope.as_of.0,
            ..pb::CompareFundingResponse::default()
        };
        (response, alike)
    }

    fn alike(&self, asked: &Asked) -> (Vec<pb::LikeTransfers>, Vec<Vec<Position>>) {
        let all = self.transfers(asked);
        let mut groups = Vec::new();
        let mut positions = Vec::new();
        for (first, _) in all.iter().filter(|(_, suspect)| !suspect) {
            let same: Vec<_> = all.iter().filter(|(event, _)| looks_same(first, event)).collect();
            if same.len() > 1 {
                let found = transfer(&first.event).unwrap();
                groups.push(pb::LikeTransfers {
                    event_ids: Vec::new(),
                    transfer_count: count_of(same.len()),
                    stage: found.stage,
                    currency_code: found.amount.as_ref().unwrap().currency_code.clone(),
                    amount: Some(written(billionths(found))),
                });
                positions.push(same.iter().take(10).map(|(event, _)| event.position).collect());
            }
        }
        (groups, positions)
    }

    fn draw(&self, row: &pb::FundingRow, scope: Scope) -> pb::FundingDraw {
        let id = &row.key[0].values[0];
        let mut draw = pb::FundingDraw {
            commitment_event_id: id.clone(),
            commitment: Standing::Unknown.into(),
            stage: row.stage,
            currency_code: row.currency_code.clone(),
            money: row.money.clone(),
            ..pb::FundingDraw::default()
        };
        let found = self.find(id_of(id)).filter(|event| {
            super::timeline::in_scope(event.position, event.known_at, scope) && event.is_entry()
        });
        let Some(event) = found else { return draw };
        let stands = self.status(event.position, scope) == annals::index::Status::Current;
        draw.commitment = if stands { Standing::Stands } else { Standing::Closed }.into();
        let Some(committed) = transfer(&event.event) else { return draw };
        draw.commitment_stage = committed.stage;
        draw.commitment_currency_code = committed.amount.as_ref().unwrap().currency_code.clone();
        draw.commitment_amount = Some(written(billionths(committed)));
        draw.commitment_qualifier = committed.amount_qualifier;
        let exact = committed.amount_qualifier < 2 && !in_kind(committed);
        let paid = row.money.as_ref().filter(|money| money.transfer_count > 0 && all_exact(money));
        if let Some(paid) = paid
            && stands
            && exact
            && draw.commitment_currency_code == draw.currency_code
        {
            draw.balance = Some(written(billionths(committed) - of(&paid.exact).unwrap()));
        }
        draw
    }
}

fn looks_same(one: &Recorded, other: &Recorded) -> bool {
    let (first, second) = (transfer(&one.event).unwrap(), transfer(&other.event).unwrap());
    let date = |event: &Recorded| {
        (event.span.earliest_start, event.span.latest_start, event.span.earliest_end, event.span.latest_end)
    };
    one.event.stream == other.event.stream
        && first.transaction_ref == second.transaction_ref
        && first.stage == second.stage
        && first.amount == second.amount
        && date(one) == date(other)
}

fn row(group: Group, events: &[(&Recorded, bool)], exclude: bool) -> pb::FundingRow {
    let (values, stage, currency_code) = group;
    let counted: Vec<&Recorded> =
        events.iter().filter(|(_, suspect)| !(exclude && *suspect)).map(|(event, _)| *event).collect();
    let part = |kind: bool| {
        let of_kind = |event: &&Recorded| in_kind(transfer(&event.event).unwrap()) == kind;
        let all = counted.iter().copied().filter(of_kind).map(|event| transfer(&event.event).unwrap());
        let suspects = events.iter().filter(|(_, suspect)| *suspect).map(|(event, _)| *event);
        let suspects = suspects.filter(of_kind).map(|event| transfer(&event.event).unwrap());
        amounts(&all.collect::<Vec<_>>(), &suspects.collect::<Vec<_>>())
    };
    let days = |day: fn(&Recorded) -> Option<annals::domain::Day>| counted.iter().filter_map(move |e| day(e));
    let told = |day: Option<annals::domain::Day>| day.map_or_else(String::new, |day| day.to_string());
    pb::FundingRow {
        key: values.into_iter().map(|values| pb::FundingKey { values }).collect(),
        stage,
        currency_code,
        transfer_count: count_of(counted.len()),
        money: part(false),
        in_kind: part(true),
        not_actual_count: count_of(counted.iter().filter(|event| event.event.modality != 1).count()),
        approximate_date_count: count_of(
            counted.iter().filter(|event| event.span.approximate || event.span.uncertain).count(),
        ),
        first_date: told(days(|event| event.span.earliest_start).min()),
        last_date: told(days(|event| event.span.latest_start).max()),
    }
}

fn push(caveats: &mut Vec<pb::FundingCaveat>, code: Code, count: i64) {
    if count > 0 {
        caveats.push(pb::FundingCaveat { code: code.into(), count });
    }
}

fn caveats(rows: &[pb::FundingRow]) -> Vec<pb::FundingCaveat> {
    let mut found = Vec::new();
    let amounts = || rows.iter().flat_map(|row| row.money.iter().chain(&row.in_kind));
    let qualified = |amounts: &pb::FundingAmounts| -> i64 {
        let stated = amounts.stated.iter().filter(|stated| stated.qualifier > 1);
        stated.map(|stated| stated.transfer_count).sum()
    };
    push(&mut found, Code::SuspectedDuplicates, amounts().map(|a| a.suspected_duplicate_count).sum());
    push(&mut found, Code::QualifiedAmounts, amounts().map(qualified).sum());
    let kind = rows.iter().filter_map(|row| row.in_kind.as_ref()).map(|amounts| amounts.transfer_count);
    push(&mut found, Code::ValuedInKind, kind.sum());
    push(&mut found, Code::NotActual, rows.iter().map(|row| row.not_actual_count).sum());
    push(&mut found, Code::ApproximateDates, rows.iter().map(|row| row.approximate_date_count).sum());
    push(&mut found, Code::Reversals, amounts().map(|amounts| amounts.reversal_count).sum());
    let cancelled = rows.iter().filter(|row| row.stage == 23).map(|row| row.transfer_count);
    push(&mut found, Code::Cancellations, cancelled.sum());
    found
}

fn all_exact(money: &pb::FundingAmounts) -> bool {
    money.stated.iter().all(|stated| stated.qualifier < 2)
}

fn of(decimal: &Option<Decimal>) -> Option<i128> {
    decimal.as_ref().map(|decimal| super::filter::billionths_of(&decimal.value))
}

fn comparisons(stages: &[pb::FundingRow]) -> Vec<pb::FundingComparison> {
    let mut found = Vec::new();
    let currencies: BTreeSet<&String> = stages.iter().map(|row| &row.currency_code).collect();
    let nothing = pb::FundingAmounts {
        exact: Some(written(0)),
        lower: Some(written(0)),
        upper: Some(written(0)),
        ..pb::FundingAmounts::default()
    };
    for currency in currencies {
        let money = |stage: i32| {
            let row = stages.iter().find(|row| row.stage == stage && row.currency_code == *currency)?;
            row.money.as_ref().filter(|money| money.transfer_count > 0)
        };
        for promised_stage in [2, 11, 12, 13, 20, 21, 22] {
            let Some(promised) = money(promised_stage) else { continue };
            for paid_stage in [1, 3, 4] {
                let Some(paid) = money(paid_stage).or((paid_stage == 3).then_some(&nothing)) else {
                    continue;
                };
                let less = |one: &Option<Decimal>, other: &Option<Decimal>| Some(of(one)? - of(other)?);
                let beyond = less(&paid.lower, &promised.upper).is_some_and(|rest| rest > 0);
                let within = less(&promised.lower, &paid.upper).is_some_and(|rest| rest >= 0);
                let exact =
                    |amounts: &pb::FundingAmounts| amounts.exact.clone().filter(|_| all_exact(amounts));
                found.push(pb::FundingComparison {
                    currency_code: currency.clone(),
                    promised_stage,
                    paid_stage,
                    promised: exact(promised),
                    paid: exact(paid),
                    balance: less(&exact(promised), &exact(paid)).map(written),
                    balance_lower: less(&promised.lower, &paid.upper).map(written),
                    balance_upper: less(&promised.upper, &paid.lower).map(written),
                    outcome: if beyond {
                        2
                    } else if within {
                        1
                    } else {
                        3
                    },
                });
            }
        }
    }
    found
}
