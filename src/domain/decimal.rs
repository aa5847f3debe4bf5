//! Exact decimal numbers in the text form of `google.type.Decimal`.

use std::fmt;

use rust_decimal::Decimal as Number;

/// Most significant digits of a number; zeros that lead do not count, zeros that trail do.
pub const SIGNIFICANT_DIGITS_MAX: usize = 28;

/// Most digits after the decimal point.
pub const SCALE_MAX: u32 = 28;

/// An exact decimal number that keeps the zeros it was written with: 1.50 prints as `1.50`.
///
/// Comparison is by value: 1.50 equals 1.5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal(Number);

/// Says why a text is not a decimal number. Offsets are in bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text is empty.
    #[error("must not be empty; leave the value unset when it is missing")]
    Empty,
    /// An infinity or not-a-number, which have no place among exact decimals.
    #[error("must be a finite number")]
    NotFinite,
    /// No digit where the grammar needs one.
    #[error("needs a digit at offset {offset}")]
    DigitMissing {
        /// Where the digit should be.
        offset: usize,
    },
    /// A character that the grammar has no place for: a comma, a space, a second point.
    #[error("unexpected character {found:?} at offset {offset}")]
    Unexpected {
        /// The character.
        found: char,
        /// Where it is.
        offset: usize,
    },
    /// More significant digits than can be kept exactly, as written or with the exponent applied.
    #[error("has more than {SIGNIFICANT_DIGITS_MAX} significant digits")]
    TooManyDigits,
    /// More digits after the decimal point than can be kept exactly.
    #[error("has more than {SCALE_MAX} digits after the decimal point")]
    TooManyDecimals,
}

impl Decimal {
    /// Reads an optional sign, digits, an optional fraction, an optional exponent, for example
    /// `-.09`, `12658` or `2.5e6`.
    ///
    /// Differs from `google.type.Decimal` in one point: the empty text is an error, not zero,
    /// because nothing stated is not the statement of a zero. A negative zero becomes zero.
    ///
    /// # Errors
    /// [`DecimalError`] when the text is no such number, or cannot be kept exactly.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        if text.is_empty() {
            return Err(DecimalError::Empty);
        }
        let mut scanner = Scanner { text, offset: 0 };
        let negative = scanner.sign();
        if is_not_finite(scanner.rest()) {
            return Err(DecimalError::NotFinite);
        }
        let integer = scanner.digits();
        let fraction = if scanner.take(|found| found == '.') { scanner.digits() } else { "" };
        if integer.is_empty() && fraction.is_empty() {
            return Err(scanner.digit_missing());
        }
        let exponent = scanner.exponent()?;
        if let Some(found) = scanner.rest().chars().next() {
            return Err(DecimalError::Unexpected { found, offset: scanner.offset });
        }
        build(negative, integer, fraction, exponent)
    }

    /// Takes `mantissa` / 10^`scale`.
    ///
    /// # Errors
    /// [`DecimalError`] when there are too many digits.
    pub(super) fn from_parts(mantissa: i128, scale: u32) -> Result<Self, DecimalError> {
        if scale > SCALE_MAX {
            return Err(DecimalError::TooManyDecimals);
        }
        if mantissa.unsigned_abs() >= 10_u128.pow(28) {
            return Err(DecimalError::TooManyDigits);
        }
        Number::try_from_i128_with_scale(mantissa, scale).map(Self).map_err(|_| DecimalError::TooManyDigits)
    }

    /// Gives the number for calculation.
    #[must_use]
    pub const fn value(self) -> Number {
        self.0
    }

    /// Gives the count of digits after the decimal point, trailing zeros included.
    #[must_use]
    pub const fn scale(self) -> u32 {
        self.0.scale()
    }

    /// Says whether the number is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// Says whether the number is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }
}

/// Writes the canonical form: no plus sign, a digit before the point, no exponent.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Says whether the text, its sign taken off, is a name of a value that is not finite.
fn is_not_finite(text: &str) -> bool {
    ["nan", "inf", "infinity"].iter().any(|name| text.eq_ignore_ascii_case(name))
}

/// Puts the parts of the text together; `exponent` moves the decimal point to the right.
fn build(negative: bool, integer: &str, fraction: &str, exponent: i64) -> Result<Decimal, DecimalError> {
    let digits = || integer.bytes().chain(fraction.bytes()).skip_while(|digit| *digit == b'0');
    let significant = digits().count();
    if significant > SIGNIFICANT_DIGITS_MAX {
        return Err(DecimalError::TooManyDigits);
    }
    let mut mantissa: i128 = digits().fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    if negative {
        mantissa = -mantissa;
    }
    let decimals = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let scale = decimals.saturating_sub(exponent);
    match u32::try_from(scale) {
        Ok(scale) => Decimal::from_parts(mantissa, scale),
        Err(_) if scale > 0 => Err(DecimalError::TooManyDecimals),
        Err(_) if mantissa == 0 => Ok(Decimal::default()),
        Err(_) => u32::try_from(scale.unsigned_abs())
            .ok()
            .and_then(|zeros| 10_i128.checked_pow(zeros))
            .and_then(|factor| mantissa.checked_mul(factor))
            .ok_or(DecimalError::TooManyDigits)
            .and_then(|mantissa| Decimal::from_parts(mantissa, 0)),
    }
}

/// Reads the text from left to right.
struct Scanner<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    /// Steps over the next character if `wanted`; every wanted character is ASCII.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> bool {
        let taken = self.rest().starts_with(wanted);
        self.offset += usize::from(taken);
        taken
    }

    /// Steps over an optional sign; true for minus.
    fn sign(&mut self) -> bool {
        let negative = self.take(|found| found == '-');
        if !negative {
            self.take(|found| found == '+');
        }
        negative
    }

    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.offset += count;
        rest.get(..count).unwrap_or_default()
    }

    /// Reads an optional exponent; one beyond the range of `i64` is cut to it.
    fn exponent(&mut self) -> Result<i64, DecimalError> {
        if !self.take(|found| matches!(found, 'e' | 'E')) {
            return Ok(0);
        }
        let negative = self.sign();
        let digits = self.digits();
        if digits.is_empty() {
            return Err(self.digit_missing());
        }
        let size = digits.parse().unwrap_or(i64::MAX);
        Ok(if negative { -size } else { size })
    }

    fn digit_missing(&self) -> DecimalError {
        match self.rest().chars().next() {
            Some(found) => DecimalError::Unexpected { found, offset: self.offset },
            None => DecimalError::DigitMissing { offset: self.offset },
        }
    }
}

#[cfg(test)]
mod tests;
