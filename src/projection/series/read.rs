//! Finds and reads the releases that a question is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::{Book, Dimensions};
use super::kept::Books;
use super::version::Release;
use crate::domain::{Kind, LinkType, Position, TermField, Timestamp};
use crate::filter::plan::slots_of;
use crate::filter::{Filter, Needle};
use crate::index::{Scope, View};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::event::Payload;
use crate::projection::Events;

/// Most releases that one question reads.
pub const RELEASES_MAX: usize = 50_000;
/// Most observations that one question reads.
pub const OBSERVATIONS_MAX: usize = 2_000_000;

/// Which series, and which of their cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The dataflow; empty = any.
    pub dataflow: String,
    /// The series key, `*` for any value of a dimension; empty = any.
    pub series_key: String,
    /// The stream; empty = any.
    pub stream: String,
    /// Values of dimensions.
    pub dimensions: Dimensions,
}

/// Why a question about series has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// It is about more releases than one question reads.
    #[error("selects more than {RELEASES_MAX} releases: narrow it by dataflow, series_key or stream")]
    TooMany,
    /// Its releases hold more observations than one question reads.
    #[error(
        "selects more than {OBSERVATIONS_MAX} observations: narrow it by dataflow, series_key, stream or filter"
    )]
    TooManyObservations,
    /// An event cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// A release that is to be read, and which states of knowledge hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) position: Position,
    pub(super) known_at: Timestamp,
    pub(super) superseded: bool,
    pub(super) asked: bool,
    pub(super) later: bool,
}

/// Reads the series that a selector names, as of a state of knowledge, or takes them from the books kept.
///
/// # Errors
/// [`SeriesError`].
pub fn read(
    log: &Log,
    books: &Books,
    filter: &Filter,
    selector: &Selector,
    scope: Scope,
) -> Result<Arc<Book>, SeriesError> {
    let found = find(&log.index().view(), filter, selector, scope)?;
    if let Some(book) = books.get(&found, &selector.dimensions) {
        return Ok(book);
    }
    let (book, observations) = made(log, &found, &selector.dimensions)?;
    let book = Arc::new(book);
    books.put(found, selector.dimensions.clone(), observations, &book);
    Ok(book)
}

/// Makes a book of releases; tells also how many observations they hold.
fn made(log: &Log, found: &[Found], dimensions: &Dimensions) -> Result<(Book, usize), SeriesError> {
    let mut events = Events::of(log);
    let mut releases = Vec::with_capacity(found.len());
    let mut count: usize = 0;
    for Found { position, known_at, superseded, asked, later } in found.iter().copied() {
        let mut event = events.get(position)?;
        // An event whose content was erased while this was planned is no release any more.
        let Some(Payload::StatisticalRelease(mut stated)) = event.payload.take() else {
            continue;
        };
        let observations = std::mem::take(&mut stated.observations);
        count = count.saturating_add(observations.len());
        if count > OBSERVATIONS_MAX {
            return Err(SeriesError::TooManyObservations);
        }
        releases
            .push((Release { position, known_at, event, stated, superseded, asked, later }, observations));
    }
    Ok((Book::of(releases, dimensions), count))
}

fn find(view: &View, filter: &Filter, selector: &Selector, scope: Scope) -> Result<Vec<Found>, SeriesError> {
    let Some(filter) = narrowed(view, filter, selector) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        let slots = filter.slots(part, part.slots_up_to(scope.as_of));
        for slot in slots_of(&slots).filter(|slot| !part.columns().is_no_entry(*slot)) {
            let Some(known_at) = part.columns().known_at(slot) else { continue };
            let position = part.position_at(slot);
            let asked = is_vintage(view, position, known_at, scope);
            let later = is_vintage(view, position, known_at, Scope::up_to(scope.as_of));
            if !asked && !later {
                continue;
            }
            if found.len() == RELEASES_MAX {
                return Err(SeriesError::TooMany);
            }
            let mut closers = view.knowledge().effective_closers(position, scope);
            let superseded = asked && closers.any(|edge| edge.link_type == LinkType::Supersedes);
            found.push(Found { position, known_at, superseded, asked, later });
        }
    }
    Ok(found)
}

/// Tells whether a release counts: it is in scope, and nothing says that it is wrong, withdrawn or a repetition. A newer
/// edition leaves the one before as a vintage.
fn is_vintage(view: &View, position: Position, known_at: Timestamp, scope: Scope) -> bool {
    let knowledge = view.knowledge();
    let mut repeats = knowledge.carried_by(position).iter();
    scope.contains(position, known_at)
        && !knowledge.effective_closers(position, scope).any(|edge| edge.link_type != LinkType::Supersedes)
        && !repeats.any(|edge| {
            edge.link_type == LinkType::DuplicateOf && scope.contains(edge.target, edge.target_known_at)
        })
        && !knowledge.only_retracts(position)
}

/// Joins a filter and what the index knows of a selector; `None` where nothing can match.
fn narrowed(view: &View, filter: &Filter, selector: &Selector) -> Option<Filter> {
    let mut filter = filter.clone();
    let mut demand = |field: TermField, value: &str| {
        filter.clauses.push(vec![Needle::Term(field.term(value))]);
    };
    demand(TermField::Kind, &Kind::StatisticalRelease.number().to_string());
    for (field, value) in [(TermField::Dataflow, &selector.dataflow), (TermField::Stream, &selector.stream)] {
        if !value.is_empty() {
            demand(field, value);
        }
    }
    if selector.series_key.is_empty() {
        return Some(filter);
    }
    if !has_wildcard(&selector.series_key) {
        demand(TermField::SeriesKey, &selector.series_key);
        return Some(filter);
    }
    let mut terms: BTreeSet<Vec<u8>> = BTreeSet::new();
    for part in view.parts() {
        part.for_each_term(&[TermField::SeriesKey.number()], &mut |term, _| {
            let key = term.get(1..).and_then(|key| std::str::from_utf8(key).ok());
            if key.is_some_and(|key| key_matches(&selector.series_key, key)) {
                terms.insert(term.to_vec());
            }
        });
    }
    if terms.is_empty() {
        return None;
    }
    filter.clauses.push(terms.into_iter().map(Needle::Term).collect());
    Some(filter)
}

fn has_wildcard(key: &str) -> bool {
    key.split('.').any(|value| value == "*")
}

/// Tells whether a key has the values of a pattern: as many, each the same or asked for as `*`.
fn key_matches(pattern: &str, key: &str) -> bool {
    pattern.split('.').count() == key.split('.').count()
        && pattern.split('.').zip(key.split('.')).all(|(asked, value)| asked == "*" || asked == value)
}

/// Names the selector of one series.
#[must_use]
pub fn selector_of(stream: &str, release: &pb::StatisticalRelease) -> Selector {
    let stream = if release.series_key.is_empty() { stream.to_owned() } else { String::new() };
    let (dataflow, series_key) = (release.dataflow.clone(), release.series_key.clone());
    Selector { dataflow, series_key, stream, dimensions: Dimensions::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_value_of_one_dimension() {
        for (pattern, key, expected) in [
            ("Q.*.albania", "Q.small-boat.albania", true),
            ("Q.*.albania", "Q.small-boat.france", false),
            ("*", "A.AL", false),
            ("*.*", "A.AL", true),
            ("*.*", "A.", true),
            ("A.*", "A.AL.X", false),
        ] {
            assert_eq!(key_matches(pattern, key), expected, "{pattern} {key}");
        }
        assert!(has_wildcard("A.*") && !has_wildcard("A.x*"));
    }
}
