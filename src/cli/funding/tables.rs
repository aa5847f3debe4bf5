//! What is shown of sums.

use comfy_table::{CellAlignment, Table};

use crate::cli::failure::Failure;
use crate::cli::table::words;
use crate::cli::{output, table};
use crate::domain::Currency;
use crate::pb::funding_caveat::Code;
use crate::pb::google::r#type::Decimal;
use crate::pb::{
    AmountQualifier, CompareFundingResponse, FundingAmounts, FundingCaveat, FundingComparison, FundingDraw,
    FundingOutcome, FundingRow, LikeTransfers, SummarizeFundingResponse,
};

/// Shows rows of sums, and below them what to mind.
pub(super) fn summary(names: &[String], answer: &SummarizeFundingResponse) -> Result<(), Failure> {
    if !answer.rows.is_empty() {
        output::line(rows(names, &answer.rows).trim_fmt())?;
    }
    let total = table::count(answer.transfer_count.unsigned_abs(), "transfer", "transfers");
    let mut text = format!("{total} as of position {}", answer.snapshot);
    if answer.omitted_row_count > 0 {
        let omitted = table::count(answer.omitted_row_count.unsigned_abs(), "row", "rows");
        text.push_str(&format!("; {omitted} more (--row-limit)"));
    }
    output::line(text)?;
    caveats(&answer.caveats)
}

/// Shows promises against payments.
pub(super) fn comparison(answer: &CompareFundingResponse) -> Result<(), Failure> {
    for (name, values, omitted) in [
        ("streams", &answer.streams, answer.omitted_stream_count),
        ("providers", &answer.provider_ids, answer.omitted_provider_count),
        ("receivers", &answer.receiver_ids, answer.omitted_receiver_count),
    ] {
        if !values.is_empty() {
            let more = if omitted > 0 { format!(" and {omitted} more") } else { String::new() };
            output::line(format!("{name}: {}{more}", output::plain(&values.join(", "))))?;
        }
    }
    if answer.stages.is_empty() {
        return output::line(format!("0 transfers as of position {}", answer.snapshot));
    }
    output::line(rows(&[], &answer.stages).trim_fmt())?;
    if !answer.comparisons.is_empty() {
        let mut shown =
            table::new(&["promised", "paid", "currency", "promised", "paid", "balance", "outcome"]);
        align(&mut shown, 3..6);
        shown.add_rows(answer.comparisons.iter().map(held_row));
        output::line(format!("\n{}", shown.trim_fmt()))?;
    }
    if !answer.draws.is_empty() {
        let mut shown = table::new(&["commitment", "stands", "committed", "stage", "drawn", "balance"]);
        align(&mut shown, 2..3);
        align(&mut shown, 4..6);
        shown.add_rows(answer.draws.iter().map(draw_row));
        output::line(format!("\n{}", shown.trim_fmt()))?;
    }
    for like in &answer.suspected_duplicates {
        output::line(alike(like))?;
    }
    for (omitted, what) in [
        (answer.omitted_comparison_count, "comparisons"),
        (answer.omitted_draw_count, "draws"),
        (answer.omitted_suspected_duplicates_count, "groups of transfers that look the same"),
    ] {
        if omitted > 0 {
            output::line(format!("{omitted} {what} more"))?;
        }
    }
    output::line(format!("as of position {}", answer.snapshot))?;
    caveats(&answer.caveats)
}

fn align(shown: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = shown.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn rows(names: &[String], rows: &[FundingRow]) -> Table {
    let fixed =
        ["stage", "currency", "transfers", "exact", "stated otherwise", "at least", "at most", "in kind"];
    let header: Vec<&str> = names.iter().map(String::as_str).chain(fixed).collect();
    let mut shown = table::new(&header);
    align(&mut shown, names.len() + 2..header.len());
    for row in rows {
        let keys = row.key.iter().map(|key| {
            if key.values.is_empty() {
                "-".to_owned()
            } else {
                output::plain(&key.values.join(" + ")).into_owned()
            }
        });
        let code = row.currency_code.as_str();
        let money = |shown: fn(&FundingAmounts, &str) -> String| {
            row.money.as_ref().map_or_else(|| "-".to_owned(), |money| shown(money, code))
        };
        let amounts = [
            money(|money, code| decimal(money.exact.as_ref(), code)),
            money(otherwise),
            money(|money, code| bound(money, money.lower.as_ref(), code)),
            money(|money, code| bound(money, money.upper.as_ref(), code)),
            row.in_kind.as_ref().map_or_else(|| "-".to_owned(), |kind| stated(kind, code, 0)),
        ];
        let stage = words(row.stage().as_str_name());
        let place = [stage, output::plain(code).into_owned(), thousands(&row.transfer_count.to_string())];
        shown.add_row(keys.chain(place).chain(amounts));
    }
    shown
}

/// Gives what is not stated exactly.
fn otherwise(money: &FundingAmounts, code: &str) -> String {
    let text = stated(money, code, 2);
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Gives figures by qualifier, from a number of qualifier on.
fn stated(amounts: &FundingAmounts, code: &str, from: i32) -> String {
    let found = amounts.stated.iter().filter(|stated| stated.qualifier >= from);
    let shown = found.map(|stated| {
        let figure = decimal(stated.amount.as_ref(), code);
        match qualifier(stated.qualifier()) {
            "" => figure,
            words => format!("{words} {figure}"),
        }
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// Gives a bound where the exact sum does not say it already.
fn bound(money: &FundingAmounts, found: Option<&Decimal>, code: &str) -> String {
    if money.stated.iter().all(|stated| stated.qualifier < 2) { "-".to_owned() } else { decimal(found, code) }
}

const fn qualifier(qualifier: AmountQualifier) -> &'static str {
    match qualifier {
        AmountQualifier::Unspecified | AmountQualifier::Exact => "",
        AmountQualifier::RoundedAmount => "rounded",
        AmountQualifier::About => "about",
        AmountQualifier::UpTo => "up to",
        AmountQualifier::AtLeast => "at least",
        AmountQualifier::Over => "over",
        AmountQualifier::Under => "under",
        AmountQualifier::Nearly => "nearly",
    }
}

fn held_row(held: &FundingComparison) -> Vec<String> {
    let code = held.currency_code.as_str();
    let outcome = match held.outcome() {
        FundingOutcome::Unspecified => "",
        FundingOutcome::WithinPromise => "within",
        FundingOutcome::BeyondPromise => "more paid than promised",
        FundingOutcome::OutcomeUncertain => "uncertain",
    };
    let balance = match &held.balance {
        Some(balance) => decimal(Some(balance), code),
        None => format!(
            "{} to {}",
            decimal(held.balance_lower.as_ref(), code),
            decimal(held.balance_upper.as_ref(), code)
        ),
    };
    vec![
        words(held.promised_stage().as_str_name()),
        words(held.paid_stage().as_str_name()),
        output::plain(code).into_owned(),
        decimal(held.promised.as_ref(), code),
        decimal(held.paid.as_ref(), code),
        balance,
        outcome.to_owned(),
    ]
}

fn draw_row(draw: &FundingDraw) -> Vec<String> {
    let code = draw.currency_code.as_str();
    let committed = &draw.commitment_currency_code;
    let money = draw.money.as_ref().map_or_else(|| "-".to_owned(), |money| stated(money, code, 0));
    vec![
        output::plain(&draw.commitment_event_id).into_owned(),
        words(draw.commitment().as_str_name()),
        format!("{} {}", decimal(draw.commitment_amount.as_ref(), committed), output::plain(committed)),
        words(draw.stage().as_str_name()),
        format!("{money} {}", output::plain(code)),
        decimal(draw.balance.as_ref(), code),
    ]
}

fn alike(like: &LikeTransfers) -> String {
    let code = like.currency_code.as_str();
    format!(
        "{} transfers look the same: {} {} {} in {}",
        like.transfer_count,
        words(like.stage().as_str_name()),
        decimal(like.amount.as_ref(), code),
        output::plain(code),
        output::plain(&like.event_ids.join(" ")),
    )
}

fn caveats(caveats: &[FundingCaveat]) -> Result<(), Failure> {
    for caveat in caveats {
        let count = caveat.count.unsigned_abs();
        let of = |one: &str, many: &str, rest: &str| format!("{} {rest}", table::count(count, one, many));
        let transfers = |rest: &str| of("transfer", "transfers", rest);
        output::line(match caveat.code() {
            Code::Unspecified => continue,
            Code::SuspectedDuplicates if count == 1 => transfers("looks the same as one before it"),
            Code::SuspectedDuplicates => transfers("look the same as one before them"),
            Code::QualifiedAmounts => transfers("with an amount that is known only within bounds"),
            Code::ValuedInKind => transfers("in kind, at a stated value: no money"),
            Code::NotActual => transfers("not said to have happened (--by modality)"),
            Code::ApproximateDates => transfers("with an approximate or uncertain date"),
            Code::Reversals => of("reversal", "reversals", "in the sums, net"),
            Code::Cancellations => of("cancellation", "cancellations", "that reduce no promise here"),
            Code::PaidMoreThanPromised => {
                of("comparison", "comparisons", "in which more was paid than promised")
            }
            Code::CommitmentUnknown => of("draw", "draws", "on a commitment that is not known"),
            Code::CommitmentClosed => of("draw", "draws", "on a commitment that no longer stands"),
            Code::CommitmentInOtherCurrency => of("draw", "draws", "on a commitment in another currency"),
        })?;
    }
    Ok(())
}

/// Gives a decimal with separators of thousands and the decimals of its currency; `?` where it is not known.
fn decimal(found: Option<&Decimal>, code: &str) -> String {
    let Some(found) = found else {
        return "?".to_owned();
    };
    let text = output::plain(&found.value);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let decimals = Currency::parse(code).ok().and_then(Currency::exponent).map_or(0, usize::from);
    let whole = thousands(whole);
    if fraction.is_empty() && decimals == 0 { whole } else { format!("{whole}.{fraction:0<decimals$}") }
}

/// Puts commas between thousands.
fn thousands(whole: &str) -> String {
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = digits;
    while let Some((head, tail)) = rest.len().checked_sub(3).and_then(|at| rest.split_at_checked(at)) {
        if head.is_empty() {
            break;
        }
        parts.push(tail);
        rest = head;
    }
    parts.push(rest);
    parts.reverse();
    format!("{sign}{}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_shown_in_full() {
        fn check(value: &str, code: &str, expected: &str) {
            assert_eq!(decimal(Some(&Decimal { value: value.to_owned() }), code), expected);
        }
        check("769350233.62", "GBP", "769,350,233.62");
        check("39538536000", "JPY", "39,538,536,000");
        check("-461.2", "USD", "-461.20");
        check("-100000", "USD", "-100,000.00");
        check("0", "KWD", "0.000");
        check("999", "", "999");
        check("1000.000000001", "GBP", "1,000.000000001");
        check("184467440737095516140", "EUR", "184,467,440,737,095,516,140.00");
        assert_eq!(decimal(None, "GBP"), "?");
    }

    #[test]
    fn what_is_not_exact_says_so() {
        let amounts: FundingAmounts = FundingAmounts {
            stated: vec![
                crate::pb::StatedAmounts { qualifier: 1, ..crate::pb::StatedAmounts::default() },
                crate::pb::StatedAmounts {
                    qualifier: AmountQualifier::UpTo.into(),
                    amount: Some(Decimal { value: "5000".to_owned() }),
                    ..crate::pb::StatedAmounts::default()
                },
            ],
            ..FundingAmounts::default()
        };
        assert_eq!(otherwise(&amounts, "GBP"), "up to 5,000.00");
        assert_eq!(words("OUTGOING_COMMITMENT"), "outgoing commitment");
    }
}
