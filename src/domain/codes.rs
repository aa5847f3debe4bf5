//! Code lists of IATI 2.03 and of SDMX: which codes are known, and what some of them mean.

/// One published list of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeList {
    /// IATI `FlowType`, for example 10 for official development assistance.
    FlowType,
    /// IATI `FinanceType`, for example 110 for a standard grant.
    FinanceType,
    /// IATI `AidType` in vocabulary 1 (OECD DAC), for example C01 for a project.
    AidType,
    /// IATI `TiedStatus`, for example 5 for untied.
    TiedStatus,
    /// IATI `DisbursementChannel`, for example 4 for aid in kind managed by the donor.
    DisbursementChannel,
    /// IATI `OrganisationType`, for example 10 for a government.
    OrganisationType,
    /// SDMX `CL_OBS_STATUS`, for example P for provisional.
    ObsStatus,
    /// SDMX `CL_CONF_STATUS`, also known as `CL_OBS_CONF`, for example F for free.
    ConfStatus,
    /// SDMX `CL_FREQ`, for example Q for quarterly; and X for irregular or cumulative to date,
    /// which SDMX does not have.
    Frequency,
}

impl CodeList {
    /// Gives the codes of the list, withdrawn ones included, in ascending byte order.
    #[must_use]
    pub const fn codes(self) -> &'static [&'static str] {
        match self {
            Self::FlowType => FLOW_TYPES,
            Self::FinanceType => FINANCE_TYPES,
            Self::AidType => AID_TYPES,
            Self::TiedStatus => TIED_STATUSES,
            Self::DisbursementChannel => DISBURSEMENT_CHANNELS,
            Self::OrganisationType => ORGANISATION_TYPES,
            Self::ObsStatus => OBS_STATUSES,
            Self::ConfStatus => CONF_STATUSES,
            Self::Frequency => FREQUENCIES,
        }
    }

    /// Says whether the list has the code; upper and lower case differ.
    #[must_use]
    pub fn is_known(self, code: &str) -> bool {
        self.codes().binary_search(&code).is_ok()
    }
}

/// Says whether an observation status means that there is no value, and why: H holiday, J
/// derogation, L not collected, M cannot exist, Q suppressed.
#[must_use]
pub fn means_missing(obs_status: &str) -> bool {
    matches!(obs_status, "H" | "J" | "L" | "M" | "Q")
}

static FLOW_TYPES: &[&str] = &["10", "20", "21", "22", "30", "35", "36", "37", "40", "50"];

static FINANCE_TYPES: &[&str] = &[
    "1", "110", "1100", "1101", "1102", "1103", "1104", "1105", "1106", "1107", "1108", "111", "2", "200",
    "210", "2100", "211", "3", "300", "310", "3100", "311", "4", "400", "410", "411", "412", "413", "414",
    "421", "422", "4221", "4222", "423", "424", "425", "431", "432", "433", "434", "451", "452", "453",
    "510", "511", "512", "520", "530", "610", "611", "612", "613", "614", "615", "616", "617", "618", "620",
    "621", "622", "623", "624", "625", "626", "627", "630", "631", "632", "633", "634", "635", "636", "637",
    "638", "639", "700", "710", "711", "712", "800", "810", "811", "900", "910", "911", "912",
];

static AID_TYPES: &[&str] = &[
    "A00", "A01", "A02", "B01", "B02", "B021", "B022", "B02a", "B02b", "B03", "B031", "B032", "B033", "B04",
    "B05", "C01", "D01", "D011", "D012", "D013", "D02", "D021", "E01", "E02", "F01", "F02", "F03", "G01",
    "H00", "H01", "H02", "H03", "H04", "H05", "H06", "I01", "I02", "I03", "I04", "I05", "J01", "K01", "K011",
    "K012", "K02", "L01",
];

static TIED_STATUSES: &[&str] = &["3", "4", "5"];

static DISBURSEMENT_CHANNELS: &[&str] = &["1", "2", "3", "4"];

static ORGANISATION_TYPES: &[&str] =
    &["10", "11", "15", "21", "22", "23", "24", "30", "40", "60", "70", "71", "72", "73", "80", "90"];

static OBS_STATUSES: &[&str] =
    &["A", "B", "D", "E", "F", "G", "H", "I", "J", "L", "M", "N", "P", "Q", "S", "U", "V"];

static CONF_STATUSES: &[&str] = &["A", "C", "D", "F", "G", "M", "N", "O", "S", "T"];

static FREQUENCIES: &[&str] = &["A", "B", "D", "H", "M", "N", "Q", "S", "W", "X"];

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: [CodeList; 9] = [
        CodeList::FlowType,
        CodeList::FinanceType,
        CodeList::AidType,
        CodeList::TiedStatus,
        CodeList::DisbursementChannel,
        CodeList::OrganisationType,
        CodeList::ObsStatus,
        CodeList::ConfStatus,
        CodeList::Frequency,
    ];

    #[test]
    fn lists_ascend_and_know_their_codes() {
        for list in LISTS {
            assert!(list.codes().windows(2).all(|pair| pair[0] < pair[1]), "{list:?}");
            for code in list.codes() {
                assert!(list.is_known(code), "{list:?} {code}");
            }
        }
    }

    #[test]
    fn knows_the_codes_that_the_seed_uses() {
        for (list, code) in [
            (CodeList::FlowType, "22"),
            (CodeList::FinanceType, "110"),
            (CodeList::FinanceType, "1100"),
            (CodeList::FinanceType, "421"),
            (CodeList::AidType, "B03"),
            (CodeList::AidType, "C01"),
            (CodeList::TiedStatus, "5"),
            (CodeList::DisbursementChannel, "4"),
            (CodeList::OrganisationType, "80"),
            (CodeList::ObsStatus, "P"),
            (CodeList::ConfStatus, "F"),
            (CodeList::Frequency, "X"),
        ] {
            assert!(list.is_known(code), "{list:?} {code}");
        }
    }

    #[test]
    fn knows_no_other_codes() {
        for list in LISTS {
            for code in ["", " ", "0", "00", "99", "ZZ", "a", "c01", "A ", "Ä"] {
                assert!(!list.is_known(code), "{list:?} {code:?}");
            }
        }
    }

    #[test]
    fn tells_missing_from_present() {
        let missing: Vec<_> = OBS_STATUSES.iter().filter(|status| means_missing(status)).copied().collect();
        assert_eq!(missing, ["H", "J", "L", "M", "Q"]);
        assert!(!means_missing("") && !means_missing("h") && !means_missing("HJ"));
    }
}
