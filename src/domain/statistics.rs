//! Statistical releases, in the terms of SDMX 3.

use std::collections::BTreeMap;

use ahash::HashSet;

use super::codes::means_missing;
use super::{CaveatCode, Decimal, Findings, ReleaseAction, TimeSpan};

/// Values of a series, published together.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticalRelease {
    /// `AGENCY:ID(VERSION)`.
    pub dataflow: String,
    /// Dot-separated key of the series; may be empty.
    pub series_key: String,
    /// ISO 3166 code of the reference area; may be empty.
    pub area_country: String,
    /// What it does to earlier values.
    pub action: Option<ReleaseAction>,
    /// When it was released.
    pub released: Option<TimeSpan>,
    /// The values.
    pub observations: Vec<Observation>,
}

/// One value, or a hole where a value was expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// When it is of.
    pub period: TimeSpan,
    /// The value, if it could be read.
    pub value: Option<Decimal>,
    /// Whether a value is given, readable or not; not = missing.
    pub has_value: bool,
    /// SDMX CL_OBS_STATUS; empty means A.
    pub status: String,
    /// The cell within the series.
    pub dimensions: BTreeMap<String, String>,
}

impl StatisticalRelease {
    /// Checks that values and statuses agree and that no cell stands twice.
    pub fn check(&self, findings: &mut Findings) {
        let mut cells = HashSet::default();
        for (index, observation) in self.observations.iter().enumerate() {
            findings.at_index("observations", index, |f| {
                self.check_observation(observation, f);
                if !cells.insert((observation.period.edtf.as_str(), &observation.dimensions)) {
                    f.violation("repeats the period and dimensions of an earlier observation");
                }
            });
        }
    }

    fn check_observation(&self, observation: &Observation, findings: &mut Findings) {
        let missing = means_missing(&observation.status);
        match (observation.has_value, missing) {
            (false, false) if self.action != Some(ReleaseAction::Delete) => findings.violation_at(
                "value",
                "must be set unless obs_status says that it is missing (L, M, H, Q or J)",
            ),
            (true, true) => findings.violation_at(
                "value",
                format_args!("must not be set: obs_status {} says that it is missing", observation.status),
            ),
            (false | true, _) => {}
        }
        let released = self.released.as_ref().and_then(|span| span.latest_end);
        if let (Some(released), Some(end)) = (released, observation.period.earliest_end)
            && end > released
            && matches!(observation.status.as_str(), "" | "A")
        {
            findings.caveat_at(
                "obs_status",
                CaveatCode::StatusUnexpected,
                "the period ends after the release, but the status is A: P or F would be expected",
            );
        }
    }
}
