//! Agreements that answer a question, and counts of them.

use std::collections::{BTreeMap, BTreeSet};

use super::act::Basis;
use super::anomaly::anomalies;
use super::gather::{Record, records_at};
use super::life::{Life, parties};
use super::places::{places, streams_with};
use super::state::{certainty, first_day};
use crate::domain::{Bounds, Position, TermField};
use crate::filter::{Filter, Needle};
use crate::index::{Scope, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb::agreement_state::{Certainty, Status, Verdict};

/// Streams folded at once: what bounds the memory of a question.
const STREAMS_AT_ONCE: usize = 1_000;

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
    /// Streams, in order.
    pub streams: Vec<String>,
    /// By status and certainty.
    pub statuses: BTreeMap<(Status, Certainty), u64>,
    /// By number of the anomaly.
    pub anomalies: BTreeMap<i32, u64>,
}

/// Finds agreements.
///
/// # Errors
/// [`ReadError`] when an event cannot be read.
pub fn list(log: &Log, query: &AgreementQuery) -> Result<Listed, ReadError> {
    let streams = candidates(log, query)?;
    let places = places(&log.index().view(), &streams, query.scope);
    let mut in_order: Vec<(String, Vec<(Position, bool)>)> = places.into_iter().collect();
    // By first act in the log: neighbours share frames.
    in_order.sort_unstable_by_key(|(_, acts)| acts.first().copied());
    let mut listed = Listed::default();
    let mut found: Vec<(i32, String)> = Vec::new();
    let mut left = in_order.into_iter().peekable();
    while left.peek().is_some() {
        let places = left.by_ref().take(STREAMS_AT_ONCE).collect();
        for record in records_at(log, &places, query.scope)?.into_values() {
            if take(&record, query, &mut listed) {
                found.push((first_day(&record, query.basis).unwrap_or(Bounds::OPEN_END), record.stream));
            }
        }
    }
    match query.order {
        AgreementOrder::Stream => found.sort_by(|one, other| one.1.cmp(&other.1)),
        AgreementOrder::FirstAct => found.sort(),
        AgreementOrder::FirstActDescending => {
            found.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        }
    }
    listed.streams = found.into_iter().map(|(_, stream)| stream).collect();
    Ok(listed)
}

/// Gives the streams that can answer.
fn candidates(log: &Log, query: &AgreementQuery) -> Result<BTreeSet<String>, ReadError> {
    let rarest = rarest(&log.index().view(), &query.between);
    let party = rarest.map(|needle| Filter { clauses: vec![vec![needle]], ..Filter::default() });
    let matching = streams_with(log, party.as_ref().unwrap_or(&query.filter), query.scope)?;
    if party.is_none() || query.filter.is_all() {
        return Ok(matching);
    }
    // The party may be named by another act than the one that matches.
    let others = streams_with(log, &query.filter, query.scope)?;
    Ok(matching.intersection(&others).cloned().collect())
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
fn take(record: &Record, query: &AgreementQuery, listed: &mut Listed) -> bool {
    let parties = parties(record);
    if !query.between.iter().all(|entity| parties.contains_key(entity.as_str())) {
        return false;
    }
    let lives = [Life::of(record, Basis::Act), Life::of(record, Basis::Effective)];
    let life = match query.basis {
        Basis::Act => &lives[0],
        Basis::Effective => &lives[1],
    };
    if let Some((day, wanted)) = query.in_force {
        let verdict = life.in_force(&life.possible(day), day);
        let fits = wanted.map_or(verdict != Verdict::No, |wanted| wanted == verdict);
        if !fits {
            return false;
        }
    }
    let possible = life.possible(query.day);
    let sure = certainty(&possible);
    let anomalies = anomalies(record, &lives, query.basis, query.day);
    let fits = (query.statuses.is_empty() || query.statuses.iter().any(|status| possible.contains(status)))
        && query.certainty.is_none_or(|wanted| wanted == sure)
        && (query.anomalies.is_empty()
            || anomalies.iter().any(|found| query.anomalies.contains(&found.code)));
    if fits {
        let status = possible.first().copied().unwrap_or_default();
        *listed.statuses.entry((status, sure)).or_default() += 1;
        for anomaly in &anomalies {
            *listed.anomalies.entry(anomaly.code).or_default() += 1;
        }
    }
    fits
}
