//! The life of an agreement: which stages it may and must have reached by a day.

use std::collections::BTreeSet;

use super::act::{Act, Basis, Record, When};
use crate::domain::{Action, Bounds, LinkType, Position};
use crate::pb::agreement_state::{Status, Verdict};

/// From when on something may be, and must be, the case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Level {
    may_from: Option<i32>,
    must_from: Option<i32>,
}

impl Level {
    fn of(whens: impl Iterator<Item = When>) -> Self {
        let mut level = Self::default();
        for when in whens {
            level.may_from = level.may_from.into_iter().chain([when.earliest]).min();
            if when.sure {
                level.must_from = level.must_from.into_iter().chain([when.latest]).min();
            }
        }
        level
    }

    fn or(self, other: Self) -> Self {
        Self {
            may_from: self.may_from.into_iter().chain(other.may_from).min(),
            must_from: self.must_from.into_iter().chain(other.must_from).min(),
        }
    }

    fn may(self, day: i32) -> bool {
        self.may_from.is_some_and(|from| from <= day)
    }

    fn must(self, day: i32) -> bool {
        self.must_from.is_some_and(|from| from <= day)
    }

    fn days(self) -> impl Iterator<Item = i32> {
        self.may_from.into_iter().chain(self.must_from)
    }
}

/// What the last of several acts says: acts in order of earliest day, latest day and position.
#[derive(Clone, Debug)]
pub struct Last<T> {
    steps: Vec<(When, T)>,
}

impl<T: Copy + Ord> Last<T> {
    /// Puts acts in order.
    #[must_use]
    pub fn of(mut steps: Vec<(When, Position, T)>) -> Self {
        steps.sort_by_key(|(when, position, _)| (when.earliest, when.latest, *position));
        Self { steps: steps.into_iter().map(|(when, _, value)| (when, value)).collect() }
    }

    /// Gives every value that can be the last by a day; `None` = there is none yet.
    #[must_use]
    pub fn at(&self, day: i32) -> BTreeSet<Option<T>> {
        let mut possible = BTreeSet::from([None]);
        for (when, value) in &self.steps {
            if when.must(day) {
                possible.clear();
            }
            if when.may(day) {
                possible.insert(Some(*value));
            }
        }
        possible
    }

    /// Gives the value of the last act that may have happened by a day.
    #[must_use]
    pub fn latest(&self, day: i32) -> Option<T> {
        let mut passed = self.steps.iter().rev().filter(|(when, _)| when.may(day));
        passed.next().map(|(_, value)| *value)
    }

    fn days(&self) -> impl Iterator<Item = i32> {
        self.steps.iter().flat_map(|(when, _)| [when.earliest, when.latest])
    }
}

/// The stages below an end, the highest first.
const STAGES: [Status; 10] = [
    Status::InForce,
    Status::ProvisionallyApplied,
    Status::Established,
    Status::Ratified,
    Status::Signed,
    Status::Adopted,
    Status::Initialled,
    Status::Negotiated,
    Status::Proposed,
    Status::ReportedToExist,
];

/// Gives the stage that an act reaches; nothing for one that ends or suspends.
const fn stage_of(action: Action) -> Option<Status> {
    match action {
        Action::Proposed => Some(Status::Proposed),
        Action::Negotiated => Some(Status::Negotiated),
        Action::Initialled => Some(Status::Initialled),
        Action::Adopted | Action::OpenedForSignature => Some(Status::Adopted),
        Action::Signed => Some(Status::Signed),
        Action::Ratified
        | Action::Accepted
        | Action::Approved
        | Action::Acceded
        | Action::Succeeded
        | Action::FormallyConfirmed => Some(Status::Ratified),
        Action::Established => Some(Status::Established),
        Action::ProvisionallyApplied => Some(Status::ProvisionallyApplied),
        Action::EnteredIntoForce => Some(Status::InForce),
        Action::Reserved
        | Action::Declared
        | Action::Objected
        | Action::Amended
        | Action::Extended
        | Action::Registered
        | Action::MeasureImplemented
        | Action::ReportedToExist => Some(Status::ReportedToExist),
        Action::Suspended
        | Action::Resumed
        | Action::Denounced
        | Action::Withdrawn
        | Action::Terminated
        | Action::Expired => None,
    }
}

/// The life of an agreement by one basis.
#[derive(Clone, Debug)]
pub struct Life {
    cancelled: Level,
    terminated: Level,
    replaced: Level,
    denounced: Level,
    members: Members,
    expired: Level,
    terms: Last<i32>,
    suspension: Last<bool>,
    stages: Vec<(Status, Level)>,
    operating: Level,
}

impl Life {
    /// Folds a record.
    #[must_use]
    pub fn of(record: &Record<'_>, basis: Basis) -> Self {
        let acts: Vec<(&Act<'_>, When)> = record.counting().map(|act| (act, act.when(basis))).collect();
        let acted = |wanted: fn(&Act<'_>) -> bool| {
            Level::of(acts.iter().filter(move |(act, _)| wanted(act)).map(|(_, when)| *when))
        };
        let linked = |wanted: LinkType| {
            let links = record.incoming.iter().filter(move |link| link.link_type == wanted);
            Level::of(
                links.map(|link| link.happening).filter(|from| from.counts).map(|from| from.when(basis)),
            )
        };
        let own_terms = acts
            .iter()
            .filter_map(|(act, when)| Some((*when, act.happening.position, act.happening.expires_on?)));
        let extensions = record.incoming.iter().filter(|link| link.link_type == LinkType::Extends);
        let extensions = extensions.map(|link| link.happening).filter(|from| from.counts);
        let extensions =
            extensions.filter_map(|from| Some((from.when(basis), from.position, from.expires_on?)));
        let suspensions = acts
            .iter()
            .filter(|(act, _)| matches!(act.facts.action, Action::Suspended | Action::Resumed))
            .map(|(act, when)| (*when, act.happening.position, act.facts.action == Action::Suspended));
        let stages = STAGES.iter().map(|stage| {
            let reached = acts.iter().filter(|(act, _)| stage_of(act.facts.action) == Some(*stage));
            (*stage, Level::of(reached.map(|(_, when)| *when)))
        });
        Self {
            cancelled: linked(LinkType::Cancels),
            terminated: acted(|act| act.facts.action == Action::Terminated).or(linked(LinkType::Terminates)),
            replaced: linked(LinkType::Replaces),
            denounced: acted(|act| act.facts.action.is_leaving() && act.acting().is_none()),
            members: Members::of(&acts),
            expired: acted(|act| act.facts.action == Action::Expired),
            terms: Last::of(own_terms.chain(extensions).collect()),
            suspension: Last::of(suspensions.collect()),
            stages: stages.collect(),
            operating: acted(|act| {
                matches!(
                    act.facts.action,
                    Action::ReportedToExist | Action::MeasureImplemented | Action::Established
                )
            }),
        }
    }

    /// Gives every possible status on a day, the highest first.
    #[must_use]
    pub fn possible(&self, day: i32) -> Vec<Status> {
        let terms = self.terms.at(day);
        let over = |term: &Option<i32>| term.is_some_and(|expires_on| expires_on < day);
        let suspended = self.suspension.at(day);
        let ends = [
            (Status::Cancelled, self.cancelled.may(day), self.cancelled.must(day)),
            (Status::Terminated, self.terminated.may(day), self.terminated.must(day)),
            (Status::Replaced, self.replaced.may(day), self.replaced.must(day)),
            (
                Status::Denounced,
                self.denounced.may(day) || self.members.may_be_deserted(day),
                self.denounced.must(day) || self.members.are_deserted(day),
            ),
            (
                Status::Expired,
                self.expired.may(day) || terms.iter().any(over),
                self.expired.must(day) || terms.iter().all(over),
            ),
            (
                Status::Suspended,
                suspended.contains(&Some(true)),
                suspended.iter().all(|value| *value == Some(true)),
            ),
        ];
        let stages = self.stages.iter().map(|(status, level)| (*status, level.may(day), level.must(day)));
        let mut possible = Vec::new();
        for (status, may, must) in ends.into_iter().chain(stages) {
            if may {
                possible.push(status);
            }
            if must {
                return possible;
            }
        }
        possible.push(Status::NotYet);
        possible
    }

    /// Tells whether it is in force on a day, if these are the possible statuses.
    #[must_use]
    pub fn in_force(&self, possible: &[Status], day: i32) -> Verdict {
        if possible == [Status::InForce] {
            return Verdict::Yes;
        }
        // What is carried out is, perhaps, in force; nobody has recorded since when.
        let alive = possible.iter().any(|status| STAGES.contains(status));
        let may = possible.contains(&Status::InForce) || (self.operating.may(day) && alive);
        if may { Verdict::Possibly } else { Verdict::No }
    }

    /// Gives the last day of the term that counts on a day.
    #[must_use]
    pub fn expires_on(&self, day: i32) -> Option<i32> {
        self.terms.latest(day)
    }

    /// Gives the first day from which on it has certainly ended by an act or from elsewhere.
    #[must_use]
    pub fn ended_from(&self) -> Option<i32> {
        let ends = [self.cancelled, self.terminated, self.replaced, self.denounced, self.expired];
        ends.iter().filter_map(|end| end.must_from).chain(self.members.deserted_from()).min()
    }

    /// Gives the days, rising, on which something may change.
    #[must_use]
    pub fn turning_days(&self) -> Vec<i32> {
        let ends =
            [self.cancelled, self.terminated, self.replaced, self.denounced, self.expired, self.operating];
        let levels =
            ends.into_iter().chain(self.stages.iter().map(|(_, level)| *level)).flat_map(Level::days);
        let terms = self.terms.steps.iter().map(|(_, expires_on)| expires_on.saturating_add(1));
        let days = levels.chain(self.terms.days()).chain(terms).chain(self.suspension.days());
        let days = days.chain(self.members.left.iter().flat_map(Last::days));
        let days: BTreeSet<i32> =
            days.filter(|day| *day != Bounds::OPEN_START && *day != Bounds::OPEN_END).collect();
        days.into_iter().collect()
    }
}

/// The parties that ever left, and how many must be gone for the agreement to end.
#[derive(Clone, Debug)]
struct Members {
    /// Whether the last that each did was to leave; a party that consents again is back.
    left: Vec<Last<bool>>,
    needed: usize,
}

impl Members {
    fn of(acts: &[(&Act<'_>, When)]) -> Self {
        let named = acts.iter().flat_map(|(act, _)| &act.facts.parties);
        let parties: BTreeSet<&str> = named.map(AsRef::as_ref).collect();
        let leaving: BTreeSet<&str> = acts
            .iter()
            .filter(|(act, _)| act.facts.action.is_leaving())
            .filter_map(|(act, _)| act.acting())
            .collect();
        let left = leaving.into_iter().map(|party| {
            let own = acts.iter().filter(|(act, _)| act.acting() == Some(party));
            let steps = own.filter(|(act, _)| act.facts.action.is_leaving() || act.facts.action.is_consent());
            Last::of(
                steps
                    .map(|(act, when)| (*when, act.happening.position, act.facts.action.is_leaving()))
                    .collect(),
            )
        });
        Self { left: left.collect(), needed: parties.len().saturating_sub(1).max(1) }
    }

    /// Tells whether fewer than two may be left on a day.
    fn may_be_deserted(&self, day: i32) -> bool {
        let gone = self.left.iter().filter(|last| last.at(day).contains(&Some(true)));
        gone.count() >= self.needed
    }

    /// Tells whether fewer than two are certainly left on a day.
    fn are_deserted(&self, day: i32) -> bool {
        let gone = self.left.iter().filter(|last| last.at(day).iter().all(|value| *value == Some(true)));
        gone.count() >= self.needed
    }

    /// Gives the first day on which fewer than two are certainly left.
    fn deserted_from(&self) -> Option<i32> {
        let mut days: Vec<i32> = self.left.iter().flat_map(Last::days).collect();
        days.sort_unstable();
        days.into_iter().find(|day| *day != Bounds::OPEN_END && self.are_deserted(*day))
    }
}
