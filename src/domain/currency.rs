//! Currency codes of ISO 4217.

mod table;

use std::fmt;

use table::ROWS;

/// A code that is or was in ISO 4217, for example `GBP`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static Row);

/// What the standard says about one code.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Row {
    code: &'static str,
    exponent: Option<u8>,
    withdrawn_on: Option<(i16, u8)>,
}

/// Says why a text is not a currency code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    /// Not three capital letters.
    #[error("must be three capital letters A to Z, for example GBP")]
    NotThreeCapitals,
    /// The shape is right, but the standard never had the code.
    #[error("was never a code of ISO 4217")]
    NeverAssigned,
}

impl Currency {
    /// Reads a code in capital letters, current or withdrawn.
    ///
    /// # Errors
    /// [`CurrencyError`] when the text is not a code, or ISO 4217 never had it.
    pub fn parse(text: &str) -> Result<Self, CurrencyError> {
        if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(CurrencyError::NotThreeCapitals);
        }
        ROWS.binary_search_by(|row| row.code.cmp(text))
            .ok()
            .and_then(|index| ROWS.get(index))
            .map(Self)
            .ok_or(CurrencyError::NeverAssigned)
    }

    /// Gives the three letters.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0.code
    }

    /// Gives the three letters as bytes.
    #[must_use]
    pub fn code_bytes(self) -> [u8; 3] {
        self.code().as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// Gives the number of decimals of the minor unit: 2 for `GBP`, 0 for `JPY`.
    ///
    /// `None` for metals and units of account, and for codes withdrawn before 2012.
    #[must_use]
    pub const fn exponent(self) -> Option<u8> {
        self.0.exponent
    }

    /// Gives the year and month (1 to 12) of withdrawal; `None` for a current code.
    ///
    /// This is the month that list three of ISO 4217 gives, which can be the last month of use
    /// (`LTL`: 2014-12) or the first month without it (`HRK`: 2023-01).
    #[must_use]
    pub const fn withdrawn_on(self) -> Option<(i16, u8)> {
        self.0.withdrawn_on
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Currency").field(&self.code()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, exponent: Option<u8>, withdrawn_on: Option<(i16, u8)>) {
        let currency = Currency::parse(code).expect(code);
        assert_eq!(currency.to_string(), code);
        assert_eq!(currency.exponent(), exponent, "exponent of {code}");
        assert_eq!(currency.withdrawn_on(), withdrawn_on, "withdrawal of {code}");
    }

    #[test]
    fn table_ascends_and_every_row_can_be_found() {
        assert!(ROWS.windows(2).all(|pair| pair[0].code < pair[1].code));
        for row in &ROWS {
            check(row.code, row.exponent, row.withdrawn_on);
            assert!(row.exponent.is_none_or(|exponent| exponent <= 4), "{}", row.code);
            assert!(
                row.withdrawn_on.is_none_or(|(year, month)| {
                    (1978..=2026).contains(&year) && (1..=12).contains(&month)
                }),
                "{}",
                row.code
            );
        }
    }

    #[test]
    fn knows_current_codes() {
        for (code, exponent) in [
            ("GBP", Some(2)),
            ("ALL", Some(2)),
            ("JPY", Some(0)),
            ("KWD", Some(3)),
            ("CLF", Some(4)),
            ("UYW", Some(4)),
            ("XAU", None),
            ("XDR", None),
            ("ZWG", Some(2)),
            ("SLE", Some(2)),
            ("VED", Some(2)),
            ("XCG", Some(2)),
            ("STN", Some(2)),
            // Listed as historic for some countries, current in others or under a new name.
            ("EUR", Some(2)),
            ("IDR", Some(2)),
            ("TRY", Some(2)),
            ("PEN", Some(2)),
        ] {
            check(code, exponent, None);
        }
        assert_eq!(ROWS.iter().filter(|row| row.withdrawn_on.is_none()).count(), 178);
    }

    #[test]
    fn knows_withdrawn_codes() {
        for (code, exponent, month) in [
            ("BGN", Some(2), (2026, 1)),
            ("ANG", Some(2), (2025, 3)),
            ("ZWL", Some(2), (2024, 9)),
            ("SLL", Some(2), (2023, 12)),
            ("HRK", Some(2), (2023, 1)),
            ("CUC", Some(2), (2021, 6)),
            ("VEF", Some(2), (2018, 8)),
            ("MRO", Some(2), (2017, 12)),
            ("BYR", Some(0), (2017, 1)),
            ("LTL", Some(2), (2014, 12)),
            ("DEM", None, (2002, 3)),
            ("FRF", None, (2002, 3)),
            ("RUR", None, (2004, 1)),
            ("DDM", None, (1990, 9)),
            ("ESA", None, (1981, 12)),
        ] {
            check(code, exponent, Some(month));
        }
    }

    #[test]
    fn withdrawn_codes_have_an_exponent_from_2012_on() {
        for row in &ROWS {
            if let Some((year, _)) = row.withdrawn_on {
                // The UIC franc was a unit of account.
                let expected = year >= 2012 && row.code != "XFU";
                assert_eq!(row.exponent.is_some(), expected, "{}", row.code);
            }
        }
    }

    #[test]
    fn refuses_what_is_not_a_code() {
        for text in ["", "GB", "GBPX", "gbp", "Gbp", "G1P", " GBP", "£££", "£P"] {
            assert_eq!(Currency::parse(text), Err(CurrencyError::NotThreeCapitals), "{text:?}");
        }
        for text in ["AAA", "UKP", "BTC", "ZZZ", "XBT"] {
            assert_eq!(Currency::parse(text), Err(CurrencyError::NeverAssigned), "{text:?}");
        }
    }
}
