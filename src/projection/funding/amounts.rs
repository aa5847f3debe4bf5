//! Sums of amounts in billionths of a unit, and the bounds that follow from how amounts are stated.

use crate::domain::AmountQualifier;
use crate::index::AmountRow;
use crate::pb;
use crate::pb::google::r#type::Decimal;

/// Billionths in a unit.
const BILLIONTHS: u128 = 1_000_000_000;

/// An exact sum of billionths; `None` = without bound, which a sum beyond 128 bits is, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum(pub Option<i128>);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(Some(0));

    /// Adds.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.zip(other.0).and_then(|(one, other)| one.checked_add(other)))
    }

    /// Subtracts.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.zip(other.0).and_then(|(one, other)| one.checked_sub(other)))
    }

    /// Writes the sum without trailing zeros; nothing where it has no bound.
    #[must_use]
    pub fn written(self) -> Option<Decimal> {
        let value = self.0?;
        let sign = if value < 0 { "-" } else { "" };
        let (whole, rest) = (value.unsigned_abs() / BILLIONTHS, value.unsigned_abs() % BILLIONTHS);
        let fraction = format!("{rest:09}");
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        Some(Decimal { value: format!("{sign}{whole}{point}{fraction}") })
    }
}

/// Gives the least and the greatest amount that a statement allows.
#[must_use]
pub fn bounds(figure: i128, qualifier: Option<AmountQualifier>) -> (Sum, Sum) {
    // Under 2^63 units: its sign can always be turned.
    let size = figure.abs();
    let (least, most) = match qualifier {
        None | Some(AmountQualifier::Exact) => (size, Some(size)),
        Some(AmountQualifier::Rounded) => match half_a_digit(size) {
            Some(half) => (size - half, Some(size + half)),
            None => (0, None),
        },
        Some(AmountQualifier::UpTo | AmountQualifier::Under | AmountQualifier::Nearly) => (0, Some(size)),
        Some(AmountQualifier::AtLeast | AmountQualifier::Over) => (size, None),
        Some(AmountQualifier::About) => (0, None),
    };
    if figure < 0 { (Sum(most.map(|most| -most)), Sum(Some(-least))) } else { (Sum(Some(least)), Sum(most)) }
}

/// Gives half a unit of the last digit that is not zero, rounded up to a billionth; nothing for zero.
///
/// What is rounded to a power of ten is a multiple of it, so it was rounded by no more.
const fn half_a_digit(size: i128) -> Option<i128> {
    if size == 0 {
        return None;
    }
    let (mut rest, mut unit) = (size, 1);
    while rest % 10 == 0 {
        rest /= 10;
        unit *= 10;
    }
    Some((unit + 1) / 2)
}

/// Numbers of qualifiers, and 0 for none.
const QUALIFIERS: usize = 9;

/// Sums of amounts of one stage and one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Transfers.
    pub count: u64,
    /// The sum is not less.
    pub lower: Sum,
    /// The sum is not more.
    pub upper: Sum,
    stated: [(u64, Sum); QUALIFIERS],
    reversals: (u64, Sum),
    duplicates: (u64, Sum),
}

fn add(tally: &mut (u64, Sum), figure: i128) {
    tally.0 += 1;
    tally.1 = tally.1.plus(Sum(Some(figure)));
}

impl Amounts {
    /// The sums of nothing.
    pub const EMPTY: Self = Self {
        count: 0,
        lower: Sum::ZERO,
        upper: Sum::ZERO,
        stated: [(0, Sum::ZERO); QUALIFIERS],
        reversals: (0, Sum::ZERO),
        duplicates: (0, Sum::ZERO),
    };

    /// Adds a transfer.
    pub fn add(&mut self, row: &AmountRow) {
        let figure = row.billionths();
        let (lower, upper) = bounds(figure, AmountQualifier::from_number(i32::from(row.qualifier)));
        self.count += 1;
        self.lower = self.lower.plus(lower);
        self.upper = self.upper.plus(upper);
        if let Some(stated) = self.stated.get_mut(usize::from(row.qualifier)) {
            add(stated, figure);
        }
        if row.flags & AmountRow::REVERSAL != 0 {
            add(&mut self.reversals, figure);
        }
    }

    /// Notes that a transfer is suspected to be a duplicate.
    pub fn suspect(&mut self, row: &AmountRow) {
        add(&mut self.duplicates, row.billionths());
    }

    /// Tells whether there is nothing to tell.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0 && self.duplicates.0 == 0
    }

    /// Gives the sum of what is stated exactly or without a qualifier.
    #[must_use]
    pub fn exact(&self) -> Sum {
        let [unstated, exact, ..] = self.stated;
        unstated.1.plus(exact.1)
    }

    /// Gives the count of transfers that are known only within bounds.
    #[must_use]
    pub const fn qualified_count(&self) -> u64 {
        let [unstated, exact, ..] = self.stated;
        self.count - unstated.0 - exact.0
    }

    /// Gives the sum, if every amount is exact.
    #[must_use]
    pub fn all_exact(&self) -> Sum {
        if self.qualified_count() == 0 { self.exact() } else { Sum(None) }
    }

    /// Gives the count of reversals.
    #[must_use]
    pub const fn reversal_count(&self) -> u64 {
        self.reversals.0
    }

    /// Gives the count of suspected duplicates.
    #[must_use]
    pub const fn duplicate_count(&self) -> u64 {
        self.duplicates.0
    }

    /// Gives the message; nothing where there is nothing to tell.
    #[must_use]
    pub fn message(&self) -> Option<pb::FundingAmounts> {
        let stated = (0_i32..).zip(&self.stated).filter(|(_, (count, _))| *count > 0);
        let stated = stated.map(|(qualifier, (count, sum))| pb::StatedAmounts {
            qualifier,
            transfer_count: wide(*count),
            amount: sum.written(),
        });
        (!self.is_empty()).then(|| pb::FundingAmounts {
            transfer_count: wide(self.count),
            exact: self.exact().written(),
            lower: self.lower.written(),
            upper: self.upper.written(),
            stated: stated.collect(),
            reversal_count: wide(self.reversals.0),
            reversal_amount: self.reversals.1.written(),
            suspected_duplicate_count: wide(self.duplicates.0),
            suspected_duplicate_amount: self.duplicates.1.written(),
        })
    }
}

/// Gives a count as the wire has it.
#[must_use]
pub fn wide(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
