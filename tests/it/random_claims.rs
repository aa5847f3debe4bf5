//! Random claims, and what the model finds of them.

use annals::pb;
use annals::pb::event::Payload;
use annals::pb::google::r#type::Decimal;
use annals::pb::series_service_server::SeriesService as _;
use tonic::{Code, Request};

use super::{ASKED, Seen, World, judge};
use crate::model::timeline::in_scope;
use crate::model_series::Asked;
use crate::model_series::compare::claim;

/// Also periods whose bounds are not exact, or marked.
const CLAIMED: &[&str] = &["2022~", "2023-33?", "2022/..", "[2022-01..2022-03]", "2023-01-01/2023-11-29"];
const STATED: &[&str] = &["-93", "-90", "50", "0", "12.5", "-100", "1.00"];
const VALUES: &[&str] = &["0", "1", "12.5", "12.50", "100", "151", "-40"];

impl World {
    fn claimed_period(&mut self) -> Option<pb::TimeSpan> {
        let periods = if self.rng.chance(80) { ASKED } else { CLAIMED };
        let edtf = self.text(periods);
        self.rng.chance(93).then(|| pb::TimeSpan { edtf, shape: 2, ..pb::TimeSpan::default() })
    }

    /// Gives a random comparison, as a source states it.
    pub(super) fn stated_comparison(&mut self) -> pb::Comparison {
        let mut number = |percent: u64, from: &[&str]| {
            let value = self.text(from);
            self.rng.chance(percent).then_some(Decimal { value })
        };
        let (base_value, value, stated) = (number(50, VALUES), number(70, VALUES), number(85, STATED));
        pb::Comparison {
            base_period: self.claimed_period(),
            base_value,
            period: self.claimed_period(),
            value,
            measure: i32::try_from(self.rng.within(1, 6)).unwrap(),
            stated,
            stated_qualifier: i32::try_from(self.rng.below(9)).unwrap(),
            ..pb::Comparison::default()
        }
    }

    fn link(&mut self) -> Option<pb::Link> {
        let known = !self.model.events.is_empty() && self.rng.chance(85);
        let event_id = known.then(|| self.rng.pick(&self.model.events).id.to_string())?;
        // CITES, DERIVED_FROM, QUOTES: which of them makes no difference.
        Some(pb::Link { r#type: *self.rng.pick(&[20, 21, 22]), event_id, ..pb::Link::default() })
    }

    /// Gives a statement with some claims, and links that name releases, other statements and what is not in scope.
    pub(super) fn statement(&mut self) -> Payload {
        let mut claims = Vec::new();
        for _ in 0..self.rng.within(1, 3) {
            let comparison = self.rng.chance(85).then(|| self.stated_comparison());
            let about = (0..self.rng.within(0, 2)).filter_map(|_| self.link()).collect();
            claims.push(pb::Claim { text: "it fell".to_owned(), comparison, about, ..pb::Claim::default() });
        }
        let entity =
            pb::EntityRef { id: "org:a".to_owned(), name: "A".to_owned(), ..pb::EntityRef::default() };
        let speaker = pb::Participant { entity: Some(entity), role: 12, ..pb::Participant::default() };
        Payload::Statement(pb::Statement {
            speaker: Some(speaker),
            text: "It fell.".to_owned(),
            claims,
            ..pb::Statement::default()
        })
    }

    /// Asks of the claims of some event.
    pub(super) fn check(&mut self, asked: Asked, seen: &mut Seen, scope: Option<pb::Scope>) {
        let at = usize::try_from(self.rng.below(u64::try_from(self.model.events.len()).unwrap())).unwrap();
        let (event, absent_is_zero) = (self.model.events[at].clone(), self.rng.chance(30));
        let named = self.rng.chance(40);
        let request = pb::CheckClaimRequest {
            event_id: event.id.to_string(),
            series: named.then(|| asked.series.clone()),
            filter: Some(asked.filter.clone()),
            scope,
            absent_is_zero,
        };
        let found = self.runtime.block_on(self.service.check_claim(Request::new(request.clone())));
        if !in_scope(event.position, event.known_at, asked.scope) {
            assert_eq!(found.unwrap_err().code(), Code::NotFound);
            return;
        }
        let mut found = found.unwrap().into_inner();
        assert_eq!((found.snapshot, found.omitted_claim_count), (asked.scope.as_of.0, 0));
        let mut expected = claim::check(&self.model, &event, &asked, named, absent_is_zero);
        for claim in found.claims.iter_mut().chain(&mut expected) {
            // What the server derives of a comparison is judged elsewhere.
            let stated = claim.stated.as_mut().unwrap();
            (stated.computed, stated.computed_per_day, stated.comparable) = (None, None, false);
            for period in [&mut stated.base_period, &mut stated.period].into_iter().flatten() {
                *period = pb::TimeSpan { edtf: period.edtf.clone(), ..pb::TimeSpan::default() };
            }
        }
        seen.claims += found.claims.iter().filter(|claim| claim.from_series.is_some()).count();
        seen.verdicts += found.claims.iter().filter(|claim| (1..=3).contains(&claim.verdict)).count();
        assert_eq!(found.claims, expected, "{asked:?} {request:?}");
    }
}

/// The selector of the series that a release is of.
pub(crate) fn series_of(event: &crate::model::Recorded) -> Option<pb::SeriesSelector> {
    let Some(Payload::StatisticalRelease(release)) = &event.event.payload else { return None };
    let (dataflow, series_key, stream) = judge::name_of(event, release);
    Some(pb::SeriesSelector { dataflow, series_key, stream, ..pb::SeriesSelector::default() })
}
