//! Statistical releases, observations, comparisons.

use super::check::{self, ID_CHARS_MAX, TEXT_CHARS_MAX, line, optional_number, required_line};
use super::entity::optional_entity;
use super::time;
use crate::domain::codes::CodeList;
use crate::domain::tag::is_dataflow;
use crate::domain::{
    AmountQualifier, Comparison, Decimal, Findings, Measure, Observation, ReleaseAction, Shape,
    StatisticalRelease,
};
use crate::pb;
use crate::pb::google::r#type::Decimal as WireDecimal;

/// Greatest power of ten of a unit, either way (SDMX CL_UNIT_MULT).
const UNIT_MULTIPLIER_MAX: i32 = 15;
/// Most decimals of a series (SDMX CL_DECIMALS).
const DECIMALS_MAX: u32 = 15;

/// Reads a release.
pub fn release(findings: &mut Findings, found: &mut pb::StatisticalRelease) -> StatisticalRelease {
    if !is_dataflow(&found.dataflow) {
        findings.violation_at("dataflow", "must be AGENCY:ID(VERSION), for example GB.HO:IRR_D01(1.0)");
    }
    line(findings, "dataflow", &found.dataflow, ID_CHARS_MAX);
    line(findings, "series_key", &found.series_key, TEXT_CHARS_MAX);
    dimensions(findings, &found.dimensions);
    line(findings, "indicator", &found.indicator, TEXT_CHARS_MAX);
    required_line(findings, "unit", &found.unit, ID_CHARS_MAX);
    for (field, text) in
        [("adjustment", &found.adjustment), ("base_period", &found.base_period), ("vintage", &found.vintage)]
    {
        line(findings, field, text, TEXT_CHARS_MAX);
    }
    if !found.frequency.is_empty() && !CodeList::Frequency.is_known(&found.frequency) {
        findings.violation_at("frequency", "must be of SDMX CL_FREQ, or X for irregular");
    }
    if found.unit_multiplier.checked_abs().is_none_or(|power| power > UNIT_MULTIPLIER_MAX) {
        findings.violation_at("unit_multiplier", "must lie in -15 to 15");
    }
    if found.decimals > DECIMALS_MAX {
        findings.violation_at("decimals", "must lie in 0 to 15");
    }
    let action = optional_number(findings, "action", found.action, ReleaseAction::from_number);
    let area = optional_entity(findings, "reference_area", found.reference_area.as_ref());
    let released = time::span(findings, "released", found.released.as_mut(), Shape::Instant);
    if found.observations.is_empty() {
        findings.violation_at("observations", "must not be empty");
    }
    let observations = found
        .observations
        .iter_mut()
        .enumerate()
        .filter_map(|(index, found)| findings.at_index("observations", index, |f| observation(f, found)));
    let observations = observations.collect();
    for (index, found) in found.comparisons.iter_mut().enumerate() {
        findings.at_index("comparisons", index, |f| {
            let read = comparison(f, found);
            read.check(f);
        });
    }
    StatisticalRelease {
        dataflow: found.dataflow.clone(),
        series_key: found.series_key.clone(),
        area_country: area.map(|area| area.country).unwrap_or_default(),
        action,
        released,
        observations,
    }
}

fn dimensions(findings: &mut Findings, found: &std::collections::BTreeMap<String, String>) {
    findings.at("dimensions", |f| {
        for (name, value) in found {
            required_line(f, "key", name, ID_CHARS_MAX);
            line(f, "value", value, TEXT_CHARS_MAX);
        }
    });
}

/// Reads an observation; what the server derives is cleared.
pub fn observation(findings: &mut Findings, found: &mut pb::Observation) -> Option<Observation> {
    found.previous_value = None;
    line(findings, "time_period", &found.time_period, ID_CHARS_MAX);
    if !found.obs_status.is_empty() && !CodeList::ObsStatus.is_known(&found.obs_status) {
        findings.violation_at("obs_status", "must be of SDMX CL_OBS_STATUS");
    }
    if !found.conf_status.is_empty() && !CodeList::ConfStatus.is_known(&found.conf_status) {
        findings.violation_at("conf_status", "must be of SDMX CL_CONF_STATUS");
    }
    optional_number(findings, "qualifier", found.qualifier, AmountQualifier::from_number);
    check::prose(findings, "note", &found.note);
    dimensions(findings, &found.dimensions);
    let value = decimal(findings, "value", found.value.as_ref());
    if found.period.is_none() {
        findings.violation_at("period", "must be set");
    }
    let period = time::span(findings, "period", found.period.as_mut(), Shape::Period)?;
    Some(Observation {
        period,
        value,
        has_value: found.value.is_some(),
        status: found.obs_status.clone(),
        dimensions: found.dimensions.clone(),
    })
}

/// Reads a comparison; what the server derives is cleared.
pub fn comparison(findings: &mut Findings, found: &mut pb::Comparison) -> Comparison {
    found.computed = None;
    found.computed_per_day = None;
    found.comparable = false;
    line(findings, "stated_wording", &found.stated_wording, TEXT_CHARS_MAX);
    Comparison {
        base_period: time::span(findings, "base_period", found.base_period.as_mut(), Shape::Period),
        base_value: decimal(findings, "base_value", found.base_value.as_ref()),
        period: time::span(findings, "period", found.period.as_mut(), Shape::Period),
        value: decimal(findings, "value", found.value.as_ref()),
        measure: optional_number(findings, "measure", found.measure, Measure::from_number),
        stated: decimal(findings, "stated", found.stated.as_ref()),
        qualifier: optional_number(
            findings,
            "stated_qualifier",
            found.stated_qualifier,
            AmountQualifier::from_number,
        ),
    }
}

/// Reads an exact decimal.
pub fn decimal(findings: &mut Findings, field: &'static str, found: Option<&WireDecimal>) -> Option<Decimal> {
    match Decimal::parse(&found?.value) {
        Ok(decimal) => Some(decimal),
        Err(error) => {
            findings.violation_at(field, error);
            None
        }
    }
}
