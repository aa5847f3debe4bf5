//! Agreements that answer a question, and counts of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use ahash::HashMap;

use super::act::{Basis, Record};
use super::anomaly::anomalies;
use super::group::Acts;
use super::life::Life;
use super::links::incoming;
use super::state::certainty;
use crate::domain::{Bounds, TermField};
use crate::filter::{Filter, Needle};
use crate::index::{Scope, View};
use crate::pb::agreement_state::{Certainty, Status, Verdict};

/// Orders of agreements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgreementOrder {
    /// By stream.
    #[default]
    Stream,
    /// By first act.
    FirstAct,
    /// By first act, latest first.
    FirstActDescending,
}

/// Which agreements.
#[derive(Clone, Debug)]
pub struct AgreementQuery {
    /// At least one act matches.
    pub filter: Filter,
    /// Keys of entities that must all be parties.
    pub between: Vec<String>,
    /// The day of the states.
    pub day: i32,
    /// In force, or possibly, on this day; with how sure that is, if it matters.
    pub in_force: Option<(i32, Option<Verdict>)>,
    /// One of these is possible.
    pub statuses: Vec<Status>,
    /// So sure is the status.
    pub certainty: Option<Certainty>,
    /// One of these numbers of anomalies is there.
    pub anomalies: Vec<i32>,
    /// The order.
    pub order: AgreementOrder,
    /// Which date of an act counts.
    pub basis: Basis,
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Streams of the page, in order.
    pub streams: Vec<String>,
    /// Agreements on all pages.
    pub total: usize,
    /// By status and certainty.
    pub statuses: BTreeMap<(Status, Certainty), u64>,
    /// By number of the anomaly.
    pub anomalies: BTreeMap<i32, u64>,
}

/// Finds agreements, and names those on a page: the places of its first and behind its last among all.
#[must_use]
pub fn list(view: &View, query: &AgreementQuery, page: Range<usize>) -> Listed {
    let acts = Acts::of(view, query.scope);
    let party = rarest(view, &query.between);
    let party = party.map(|needle| Filter { clauses: vec![vec![needle]], ..Filter::default() });
    let own = (!query.filter.is_all()).then_some(&query.filter);
    let filters: Vec<&Filter> = party.iter().chain(own).collect();
    let mut listed = Listed::default();
    let mut found: Vec<(i32, Cow<'_, str>)> = Vec::new();
    let streams = acts.by_stream(&filters);
    let mut links = if streams.is_empty() { HashMap::default() } else { incoming(view, query.scope) };
    for (stream, places) in streams {
        let acts: Vec<_> = places.iter().filter_map(|place| acts.get(*place)).collect();
        let record = Record { acts, incoming: links.remove(&stream).unwrap_or_default() };
        if take(&record, query, &mut listed) {
            found.push((record.first_day(query.basis).unwrap_or(Bounds::OPEN_END), stream));
        }
    }
    listed.total = found.len();
    listed.streams = on_page(found, query.order, page).into_iter().map(Cow::into_owned).collect();
    listed
}

/// Puts in order what stands on a page.
fn on_page<'a>(
    mut found: Vec<(i32, Cow<'a, str>)>,
    order: AgreementOrder,
    page: Range<usize>,
) -> Vec<Cow<'a, str>> {
    let compare = |one: &(i32, Cow<'a, str>), other: &(i32, Cow<'a, str>)| match order {
        AgreementOrder::Stream => one.1.cmp(&other.1),
        AgreementOrder::FirstAct => one.cmp(other),
        AgreementOrder::FirstActDescending => other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)),
    };
    // Up to the end of the page: what lies behind it is not put in order.
    if page.end < found.len() {
        found.select_nth_unstable_by(page.end, compare);
        found.truncate(page.end);
    }
    found.sort_unstable_by(compare);
    found.into_iter().skip(page.start).map(|(_, stream)| stream).collect()
}

fn rarest(view: &View, entities: &[String]) -> Option<Needle> {
    let terms = entities.iter().map(|entity| TermField::Entity.term(entity));
    let counted = terms.map(|term| {
        let events: u64 = view.parts().map(|part| part.posting_len(&term)).sum();
        (events, term)
    });
    counted.min().map(|(_, term)| Needle::Term(term))
}

/// Tells whether an agreement answers; counts it if it does.
fn take(record: &Record<'_>, query: &AgreementQuery, listed: &mut Listed) -> bool {
    if !query.between.is_empty() {
        let parties = record.parties();
        if !query.between.iter().all(|entity| parties.contains(entity.as_str())) {
            return false;
        }
    }
    let life = Life::of(record, query.basis);
    if let Some((day, wanted)) = query.in_force {
        let verdict = life.in_force(&life.possible(day), day);
        let fits = wanted.map_or(verdict != Verdict::No, |wanted| wanted == verdict);
        if !fits {
            return false;
        }
    }
    let possible = life.possible(query.day);
    let sure = certainty(&possible);
    let anomalies = anomalies(record, &life, query.basis, query.day);
    let fits = (query.statuses.is_empty() || query.statuses.iter().any(|status| possible.contains(status)))
        && query.certainty.is_none_or(|wanted| wanted == sure)
        && (query.anomalies.is_empty()
            || anomalies.iter().any(|found| query.anomalies.contains(&found.code.into())));
    if fits {
        let status = possible.first().copied().unwrap_or_default();
        *listed.statuses.entry((status, sure)).or_default() += 1;
        for anomaly in &anomalies {
            *listed.anomalies.entry(anomaly.code.into()).or_default() += 1;
        }
    }
    fits
}
