//! Exact amounts of money by the rules of `google.type.Money`.

use super::currency::Currency;
use super::decimal::Decimal;

/// Most nanos, either side of zero.
pub const NANOS_MAX: u32 = 999_999_999;

/// Digits after the decimal point that nanos can hold.
const NANOS_DIGITS: u32 = 9;

/// An amount in one currency: `units` whole units and `nanos` billionths of a unit.
///
/// Both have the sign of the amount or are zero. -1.75 is -1 unit and -750,000,000 nanos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    currency: Currency,
    units: i64,
    nanos: i32,
}

/// Says which rule of `google.type.Money` an amount breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// The nanos make a whole unit or more.
    #[error("nanos must be from -{NANOS_MAX} to {NANOS_MAX}, is {nanos}")]
    NanosOutOfRange {
        /// The nanos given.
        nanos: i32,
    },
    /// Units and nanos have opposite signs.
    #[error("units and nanos must have the same sign: {units} and {nanos}")]
    SignsDiffer {
        /// The units given.
        units: i64,
        /// The nanos given.
        nanos: i32,
    },
}

impl Money {
    /// Takes an amount.
    ///
    /// # Errors
    /// [`MoneyError`] when the nanos are out of range, or units and nanos disagree in sign.
    pub fn new(currency: Currency, units: i64, nanos: i32) -> Result<Self, MoneyError> {
        Self::check_parts(units, nanos)?;
        Ok(Self { currency, units, nanos })
    }

    /// Checks the rules that hold in every currency.
    ///
    /// # Errors
    /// [`MoneyError`] when the nanos are out of range, or units and nanos disagree in sign.
    pub fn check_parts(units: i64, nanos: i32) -> Result<(), MoneyError> {
        if nanos.unsigned_abs() > NANOS_MAX {
            return Err(MoneyError::NanosOutOfRange { nanos });
        }
        if units.signum() * i64::from(nanos.signum()) < 0 {
            return Err(MoneyError::SignsDiffer { units, nanos });
        }
        Ok(())
    }

    /// Gives the currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// Gives the whole units.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.units
    }

    /// Gives the billionths of a unit beyond the whole units.
    #[must_use]
    pub const fn nanos(self) -> i32 {
        self.nanos
    }

    /// Gives the amount as one exact number without trailing zeros in the fraction.
    #[must_use]
    pub fn to_decimal(self) -> Decimal {
        let scale = self.decimals_used();
        let billionths = i128::from(self.units) * 1_000_000_000 + i128::from(self.nanos);
        let mantissa = billionths / 10_i128.pow(NANOS_DIGITS - scale);
        // An i64 has at most 19 digits, nanos add 9: never more than a Decimal holds.
        Decimal::from_parts(mantissa, scale).unwrap_or_default()
    }

    /// Gives the count of decimals needed to write the amount, 0 to 9: 2 for 1.50 + 0.03.
    #[must_use]
    pub fn decimals_used(self) -> u32 {
        if self.nanos == 0 {
            return 0;
        }
        let mut rest = self.nanos;
        let mut decimals = NANOS_DIGITS;
        while rest % 10 == 0 {
            rest /= 10;
            decimals -= 1;
        }
        decimals
    }

    /// Says whether the amount has more decimals than its currency; false if the currency has no
    /// stated minor unit.
    #[must_use]
    pub fn exceeds_currency_decimals(self) -> bool {
        self.currency.exponent().is_some_and(|exponent| self.decimals_used() > u32::from(exponent))
    }

    /// Says whether the amount is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.units == 0 && self.nanos == 0
    }

    /// Says whether the amount is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.units < 0 || self.nanos < 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(code: &str, units: i64, nanos: i32) -> Result<Money, MoneyError> {
        Money::new(Currency::parse(code).unwrap(), units, nanos)
    }

    fn check(units: i64, nanos: i32, text: &str, decimals: u32) {
        let amount = money("GBP", units, nanos).unwrap();
        assert_eq!(amount.to_decimal().to_string(), text);
        assert_eq!(amount.decimals_used(), decimals, "decimals of {text}");
    }

    #[test]
    fn converts_to_decimal_without_loss() {
        check(4_000_000_000, 0, "4000000000", 0);
        check(1_600_000, 500_000_000, "1600000.5", 1);
        check(-1, -750_000_000, "-1.75", 2);
        check(0, 0, "0", 0);
        check(0, 1, "0.000000001", 9);
        check(0, -10, "-0.00000001", 8);
        check(i64::MAX, 999_999_999, "9223372036854775807.999999999", 9);
        check(i64::MIN, -999_999_999, "-9223372036854775808.999999999", 9);
        check(i64::MIN, 0, "-9223372036854775808", 0);
    }

    #[test]
    fn refuses_what_breaks_the_rules() {
        for nanos in [1_000_000_000, -1_000_000_000, i32::MAX, i32::MIN] {
            assert_eq!(money("GBP", 0, nanos), Err(MoneyError::NanosOutOfRange { nanos }));
        }
        for (units, nanos) in [(1, -1), (-1, 1), (i64::MIN, 999_999_999)] {
            assert_eq!(money("GBP", units, nanos), Err(MoneyError::SignsDiffer { units, nanos }));
        }
    }

    #[test]
    fn tells_sign_and_zero() {
        for (units, nanos, is_zero, is_negative) in [
            (0, 0, true, false),
            (1, 0, false, false),
            (0, 1, false, false),
            (-1, 0, false, true),
            (0, -1, false, true),
        ] {
            let amount = money("GBP", units, nanos).unwrap();
            assert_eq!((amount.is_zero(), amount.is_negative()), (is_zero, is_negative));
        }
    }

    #[test]
    fn compares_decimals_with_the_minor_unit() {
        for (code, nanos, expected) in [
            ("GBP", 250_000_000, false),
            ("GBP", 255_000_000, true),
            ("JPY", 0, false),
            ("JPY", 100_000_000, true),
            ("KWD", 125_000_000, false),
            ("CLF", 123_450_000, true),
            ("XAU", 123_456_789, false),
        ] {
            let amount = money(code, 1, nanos).unwrap();
            assert_eq!(amount.exceeds_currency_decimals(), expected, "{code} {nanos}");
        }
    }

    proptest! {
        #[test]
        fn decimal_equals_units_plus_nanos(units in 0..=i64::MAX, nanos in 0..=999_999_999_i32) {
            let up = money("USD", units, nanos).unwrap().to_decimal();
            let down = money("USD", -units, -nanos).unwrap().to_decimal();
            prop_assert_eq!(up.value(), -down.value());
            let text = format!("{units}.{nanos:09}");
            prop_assert_eq!(up, Decimal::parse(&text).unwrap());
        }
    }
}
