//! Exact decimal arithmetic over values of any unit multiplier.

use rust_decimal::Decimal as Number;

use crate::domain::{Comparison, Decimal, Measure};
use crate::pb::google::r#type::Decimal as WireDecimal;

/// `mantissa` / 10^`scale`, in up to 38 digits.
#[derive(Clone, Copy, Debug)]
pub struct Exact {
    mantissa: i128,
    scale: u32,
}

impl Exact {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// Takes a value times a power of ten; `None` where that has too many digits.
    #[must_use]
    pub fn scaled(value: Decimal, power: i32) -> Option<Self> {
        let number = value.value();
        let scale = i64::from(number.scale()) - i64::from(power);
        match u32::try_from(scale) {
            Ok(scale) => Some(Self { mantissa: number.mantissa(), scale }),
            Err(_) => {
                let zeros = u32::try_from(scale.unsigned_abs()).ok()?;
                let mantissa = number.mantissa().checked_mul(10_i128.checked_pow(zeros)?)?;
                Some(Self { mantissa, scale: 0 })
            }
        }
    }

    /// Adds; `None` where the sum has too many digits.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let mantissa = self.at(scale)?.checked_add(other.at(scale)?)?;
        Some(Self { mantissa, scale })
    }

    /// Takes away; `None` where the difference has too many digits.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { mantissa: other.mantissa.checked_neg()?, scale: other.scale })
    }

    /// Multiplies by a whole number.
    #[must_use]
    pub fn times(self, factor: i32) -> Option<Self> {
        Some(Self { mantissa: self.mantissa.checked_mul(i128::from(factor))?, scale: self.scale })
    }

    fn at(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(10_i128.checked_pow(scale.checked_sub(self.scale)?)?)
    }

    /// Tells whether it is more than another.
    #[must_use]
    pub fn exceeds(self, other: Self) -> Option<bool> {
        self.minus(other).map(|apart| apart.mantissa > 0)
    }

    /// Tells whether two are the same number.
    #[must_use]
    pub fn equals(self, other: Self) -> bool {
        self.minus(other).is_some_and(|apart| apart.mantissa == 0)
    }

    /// Gives the size without the sign.
    #[must_use]
    pub const fn size(self) -> Self {
        Self { mantissa: self.mantissa.saturating_abs(), scale: self.scale }
    }

    /// Gives the number for a division; `None` where it has too many digits.
    #[must_use]
    pub fn number(self) -> Option<Number> {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Number::try_from_i128_with_scale(mantissa, scale).ok()
    }

    /// Writes the number with every decimal that it was given with.
    #[must_use]
    pub fn text(self) -> String {
        written(self.mantissa, i64::from(self.scale))
    }

    /// Writes the number for the wire.
    #[must_use]
    pub fn wire(self) -> WireDecimal {
        WireDecimal { value: self.text() }
    }
}

/// Gives a change in the unit of a measure, to three decimals, halves away from zero.
#[must_use]
pub fn change(measure: Measure, base: Exact, value: Exact) -> Option<Number> {
    Comparison::change_between(measure, base.number()?, value.number()?)
}

/// Writes a value times a power of ten, however many digits that has.
#[must_use]
pub fn scaled_text(value: Decimal, power: i32) -> String {
    let number = value.value();
    written(number.mantissa(), i64::from(number.scale()) - i64::from(power))
}

/// Writes `mantissa` / 10^`scale`.
fn written(mantissa: i128, scale: i64) -> String {
    let mut digits = mantissa.unsigned_abs().to_string();
    let sign = if mantissa < 0 { "-" } else { "" };
    let Ok(decimals) = usize::try_from(scale) else {
        // Zero has no zeros behind it.
        let zeros = if mantissa == 0 { 0 } else { usize::try_from(scale.unsigned_abs()).unwrap_or(0) };
        digits.extend(std::iter::repeat_n('0', zeros));
        return format!("{sign}{digits}");
    };
    if decimals == 0 {
        return format!("{sign}{digits}");
    }
    let missing = (decimals + 1).saturating_sub(digits.len());
    digits.insert_str(0, &"0".repeat(missing));
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    format!("{sign}{whole}.{fraction}")
}

/// Writes a decimal for the wire.
#[must_use]
pub fn wire(text: &str) -> WireDecimal {
    WireDecimal { value: text.to_owned() }
}

/// Gives a decimal without zeros at its end, so that equal numbers are equal texts.
#[must_use]
pub fn canonical(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(text: &str, power: i32) -> String {
        scaled_text(Decimal::parse(text).unwrap(), power)
    }

    #[test]
    fn powers_of_ten_are_applied_exactly() {
        for (text, power, expected) in [
            ("12658", 0, "12658"),
            ("1.50", 6, "1500000"),
            ("1.5", -3, "0.0015"),
            ("-0.25", 1, "-2.5"),
            ("0", 15, "0"),
            ("0.00", 1, "0.0"),
            ("9999999999999999999999999999", 15, "9999999999999999999999999999000000000000000"),
        ] {
            assert_eq!(scaled(text, power), expected, "{text} x 10^{power}");
        }
    }

    #[test]
    fn sums_are_exact_or_not_given() {
        let exact = |text: &str, power| Exact::scaled(Decimal::parse(text).unwrap(), power);
        let sum = exact("0.1", 0).unwrap().plus(exact("2.25", 0).unwrap()).unwrap();
        assert_eq!(sum.text(), "2.35");
        assert_eq!(exact("9999999999999999999999999999", 15).map(Exact::text), None);
        let (large, small) =
            (exact("9999999999999999999999999999", 0), exact("0.0000000000000000000000000001", 0));
        assert!(large.unwrap().plus(small.unwrap()).is_none(), "56 digits");
        assert!(exact("1.50", 0).unwrap().equals(exact("1.5", 0).unwrap()));
        assert_eq!(canonical("1.500"), "1.5");
        assert_eq!(canonical("100"), "100");
        assert_eq!(canonical("0.0"), "0");
    }
}
