//! Visits.

use super::{CaveatCode, Day, Event, Findings, Role, TimeSpan, VisitStatus};

/// Longest visit that raises no remark, in days.
pub const VISIT_DAYS_USUAL: i32 = 60;

/// A journey of someone to someone.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit {
    /// How far along; `None` where not said.
    pub status: Option<VisitStatus>,
    /// When each stop is, as far as said.
    pub stops: Vec<Option<TimeSpan>>,
}

impl Visit {
    /// Checks that someone visits someone or some place, and that the times agree.
    pub fn check(&self, event: &Event, today: Day, findings: &mut Findings) {
        let has = |role: Role| event.participants.iter().any(|p| p.role == Some(role));
        if !has(Role::Visitor) {
            findings.violation("needs a participant with the role VISITOR");
        }
        let destination = event.places.iter().any(|place| place.is_destination) || !self.stops.is_empty();
        if !has(Role::Host) && !destination {
            findings.violation("needs a participant with the role HOST, or a destination");
        }
        let span = &event.valid_time;
        if self.status == Some(VisitStatus::Completed)
            && span.earliest_start.is_some_and(|day| day > today.plus_days(1))
        {
            findings.violation_at("status", "must not be COMPLETED before the visit begins");
        }
        if let Some(days) = span.length_days()
            && days > VISIT_DAYS_USUAL
        {
            findings.caveat(CaveatCode::LongVisit, format_args!("lasts {days} days"));
        }
        for (index, stop) in self.stops.iter().enumerate() {
            let Some(stop) = stop else { continue };
            if !stop.may_overlap(span.earliest_start, span.latest_end) {
                findings.at_index("stops", index, |f| {
                    f.caveat_at("when", CaveatCode::StopOutsideVisit, "lies outside the visit");
                });
            }
        }
    }
}
