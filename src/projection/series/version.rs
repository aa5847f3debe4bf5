//! What one release says of one cell.

use std::sync::Arc;

use super::exact::{Exact, canonical, scaled_text};
use crate::domain::{Decimal, Position, Timestamp};
use crate::pb;
use crate::pb::cell_version::State;
use crate::pb::statistical_release::Action;

/// What the versions of one release have in common.
#[derive(Clone, Debug)]
pub struct Release {
    /// Its place in the log.
    pub position: Position,
    /// When the public could know it.
    pub known_at: Timestamp,
    /// The event, its observations taken out.
    pub event: pb::Event,
    /// The release, its observations taken out.
    pub stated: pb::StatisticalRelease,
    /// Whether a newer edition supersedes it, in the scope asked for.
    pub superseded: bool,
    /// Whether it is in the scope asked for.
    pub asked: bool,
    /// Whether it counts when all that is recorded is known.
    pub later: bool,
}

/// What one release says of one cell.
#[derive(Clone, Debug)]
pub struct Version {
    /// The release.
    pub release: Arc<Release>,
    /// The observation.
    pub observation: pb::Observation,
    /// What is said.
    pub state: State,
    /// The value, scaled, as text.
    pub scaled: String,
    /// The value, scaled; `None` without a value, or where it has too many digits to calculate with.
    pub amount: Option<Exact>,
}

impl Version {
    /// Reads an observation of a release.
    #[must_use]
    pub fn of(release: &Arc<Release>, observation: pb::Observation) -> Self {
        let value = observation.value.as_ref().and_then(|value| Decimal::parse(&value.value).ok());
        let state = match (release.stated.action(), value) {
            (Action::Delete, _) => State::Withdrawn,
            (Action::Merge | Action::Replace | Action::Unspecified, Some(_)) => State::Present,
            (Action::Merge | Action::Replace | Action::Unspecified, None) => State::Missing,
        };
        let value = value.filter(|_| state == State::Present);
        let power = release.stated.unit_multiplier;
        Self {
            release: Arc::clone(release),
            observation,
            state,
            scaled: value.map(|value| scaled_text(value, power)).unwrap_or_default(),
            amount: value.and_then(|value| Exact::scaled(value, power)),
        }
    }

    /// Tells whether there is a value.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.state == State::Present
    }

    /// Tells whether the value is not final (SDMX CL_OBS_STATUS): provisional, estimated, forecast, not validated.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.is_present() && matches!(self.observation.obs_status.as_str(), "P" | "E" | "F" | "V")
    }

    /// Tells whether two versions say the same of the cell: state, value and unit.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        self.state == other.state
            && (!self.is_present()
                || (self.unit() == other.unit() && canonical(&self.scaled) == canonical(&other.scaled)))
    }

    /// Gives the unit.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.release.stated.unit
    }

    /// Gives the unit and the base period: values of an index of 2010 and of 2015 are of different units.
    #[must_use]
    pub fn measured_in(&self) -> (&str, &str) {
        (&self.release.stated.unit, &self.release.stated.base_period)
    }

    /// Tells whether values of this kind add up over time and series.
    #[must_use]
    pub fn is_additive(&self) -> bool {
        let unit = self.unit().to_ascii_uppercase();
        let relative = ["PERCENT", "INDEX", "RATE", "RATIO", "PC_", "IX_"];
        self.release.stated.base_period.is_empty()
            && !relative.iter().any(|start| unit.starts_with(start))
            && !matches!(unit.as_str(), "PC" | "PT" | "IX" | "PCPA")
            && !unit.contains(['%', '/'])
            && !unit.contains("_PER_")
    }

    /// Tells whether the source gives a bound or an approximation.
    #[must_use]
    pub fn is_qualified(&self) -> bool {
        !matches!(
            self.observation.qualifier(),
            pb::AmountQualifier::Unspecified
                | pb::AmountQualifier::Exact
                | pb::AmountQualifier::RoundedAmount
        )
    }

    /// Writes the version for the wire.
    #[must_use]
    pub fn wire(&self) -> pb::CellVersion {
        let Release { event, stated, superseded, .. } = self.release.as_ref();
        let observation = &self.observation;
        let present = self.is_present();
        let sources = event.sources.iter().map(|source| source.id.clone()).filter(|id| !id.is_empty());
        pb::CellVersion {
            event_id: event.id.clone(),
            position: event.position,
            known_at: event.known_at,
            vintage: stated.vintage.clone(),
            revision: stated.revision,
            stream: event.stream.clone(),
            state: self.state.into(),
            value: observation.value.clone().filter(|_| present),
            unit: stated.unit.clone(),
            unit_multiplier: stated.unit_multiplier,
            scaled_value: present.then(|| super::exact::wire(&self.scaled)),
            obs_status: observation.obs_status.clone(),
            conf_status: observation.conf_status.clone(),
            provisional: self.is_provisional(),
            qualifier: observation.qualifier,
            cumulative: observation.cumulative,
            partial_period: observation.partial_period,
            time_period: observation.time_period.clone(),
            note: observation.note.clone(),
            source_ids: sources.collect(),
            superseded: *superseded,
        }
    }
}
