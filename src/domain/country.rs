//! Country codes: ISO 3166-1, ISO 3166-3, and Kosovo.

/// Judges codes of countries and former countries.
#[derive(Clone, Copy, Debug)]
pub struct CountryCode;

/// Says what a country code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountryVerdict {
    /// An officially assigned alpha-2 code of ISO 3166-1.
    Current,
    /// An alpha-4 code of ISO 3166-3: a country whose name was removed from ISO 3166-1.
    Former,
    /// `XK`, the user-assigned code in common use for Kosovo.
    UserAssigned,
    /// A code that people use in place of the assigned one, which is given here.
    HintFor(&'static str),
    /// Anything else, lower case and alpha-3 included.
    Unknown,
}

impl CountryCode {
    /// Judges `code` by exact, case-sensitive comparison.
    #[must_use]
    pub fn classify(code: &str) -> CountryVerdict {
        match code {
            "XK" => CountryVerdict::UserAssigned,
            // Exceptionally reserved in ISO 3166-1, not assigned.
            "UK" => CountryVerdict::HintFor("GB"),
            // The institutions of the European Union write EL for Greece.
            "EL" => CountryVerdict::HintFor("GR"),
            other if is_current(other) => CountryVerdict::Current,
            other if FORMER.binary_search(&other).is_ok() => CountryVerdict::Former,
            _ => CountryVerdict::Unknown,
        }
    }
}

/// Two letters as a number, in the same order: an event names several countries, and numbers are compared at once.
fn letters(code: &str) -> Option<u16> {
    Some(u16::from_be_bytes(code.as_bytes().try_into().ok()?))
}

fn is_current(code: &str) -> bool {
    let wanted = letters(code);
    wanted.is_some() && CURRENT.binary_search_by_key(&wanted, |current| letters(current)).is_ok()
}

/// The officially assigned alpha-2 codes of ISO 3166-1, in ascending order.
static CURRENT: [&str; 249] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", "BA",
    "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV",
    "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU",
    "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE", "EG", "EH", "ER", "ES",
    "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM",
    "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM", "HN", "HR", "HT", "HU", "ID", "IE",
    "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM", "JO", "JP", "KE", "KG", "KH", "KI", "KM",
    "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY",
    "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT",
    "MU", "MV", "MW", "MX", "MY", "MZ", "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU",
    "NZ", "OM", "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA",
    "RE", "RO", "RS", "RU", "RW", "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM",
    "SN", "SO", "SR", "SS", "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL",
    "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE",
    "VG", "VI", "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

/// The alpha-4 codes of ISO 3166-3, in ascending order.
static FORMER: [&str; 31] = [
    "AIDJ", "ANHH", "BQAQ", "BUMM", "BYAA", "CSHH", "CSXX", "CTKI", "DDDE", "DYBJ", "FQHH", "FXFR", "GEHH",
    "HVBF", "JTUM", "MIUM", "NHVU", "NQAQ", "NTHH", "PCHH", "PUUM", "PZPA", "RHZW", "SKIN", "SUHH", "TPTL",
    "VDVN", "WKUM", "YDYE", "YUCS", "ZRCD",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: CountryVerdict) {
        assert_eq!(CountryCode::classify(code), expected, "{code:?}");
    }

    #[test]
    fn tables_ascend_and_have_the_shape_of_their_standard() {
        for (table, length) in [(&CURRENT[..], 2), (&FORMER[..], 4)] {
            assert!(table.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(table.iter().all(|code| code.len() == length));
            assert!(table.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_uppercase())));
        }
    }

    #[test]
    fn tells_current_former_and_user_assigned_codes_apart() {
        for code in ["AD", "AL", "GB", "GR", "SS", "TL", "ZW", "CW", "AX"] {
            check(code, CountryVerdict::Current);
        }
        for code in ["CSHH", "DDDE", "SUHH", "YUCS", "CSXX", "ANHH", "AIDJ", "ZRCD", "SKIN"] {
            check(code, CountryVerdict::Former);
        }
        check("XK", CountryVerdict::UserAssigned);
    }

    #[test]
    fn hints_at_the_assigned_code() {
        check("UK", CountryVerdict::HintFor("GB"));
        check("EL", CountryVerdict::HintFor("GR"));
    }

    #[test]
    fn knows_nothing_else() {
        for code in ["", "A", "gb", "GBR", "SU", "AN", "EU", "ZZ", "XX", "GBGB", "G\u{412}", " GB"] {
            check(code, CountryVerdict::Unknown);
        }
    }
}
