//! The one filter: which events, for reads, subscriptions, timelines and append conditions alike.

pub mod plan;

use std::sync::Arc;

use rust_decimal::Decimal as Exact;

use crate::domain::{Currency, EventFacts, Money, Position, StreamName, TermField};
use crate::search::{Found, TextQuery};

/// Most values in a filter, all fields together.
pub const FILTER_VALUES_MAX: usize = 1_000;

/// Asks for events: every clause must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Each holds if any of its needles is found.
    pub clauses: Vec<Vec<Needle>>,
    /// Holds for transfers of such an amount.
    pub amount: Option<AmountRange>,
    /// Each holds if the event has all of its words. Not within `not`.
    pub texts: Vec<Text>,
    /// Must not hold.
    pub not: Option<Box<Filter>>,
}

/// Words that an event must have.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The words.
    pub query: TextQuery,
    /// Which events have them, up to a position; `None` = not looked up yet.
    pub found: Option<Arc<Found>>,
}

impl Text {
    /// Gives the last position of which it is known whether the event has the words.
    #[must_use]
    pub fn known_to(&self) -> Position {
        self.found.as_ref().map_or(Position::ZERO, |found| found.up_to)
    }
}

/// What is looked for in the terms of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needle {
    /// A term, in full.
    Term(Vec<u8>),
    /// A beginning of the stream's name.
    StreamPrefix(String),
}

impl Needle {
    /// Looks for streams that begin so. A beginning that ends with `/` is itself a term.
    #[must_use]
    pub fn stream_prefix(prefix: &str) -> Self {
        if prefix.ends_with('/') {
            Self::Term(TermField::Category.term(prefix))
        } else {
            Self::StreamPrefix(prefix.to_owned())
        }
    }

    fn is_in(&self, event: &EventFacts) -> bool {
        match self {
            Self::Term(term) => event.terms.contains(term),
            Self::StreamPrefix(prefix) => event.stream.as_str().starts_with(prefix.as_str()),
        }
    }
}

/// Amounts in one currency, both bounds inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmountRange {
    /// Amounts in other currencies do not match.
    pub currency: Currency,
    /// Least amount.
    pub at_least: Option<Exact>,
    /// Greatest amount.
    pub at_most: Option<Exact>,
}

impl AmountRange {
    /// Tells whether an amount lies within.
    #[must_use]
    pub fn contains(&self, currency: [u8; 3], units: i64, nanos: i32) -> bool {
        let amount = Exact::from(units) + Exact::new(i64::from(nanos), 9);
        currency == self.currency.code_bytes()
            && self.at_least.is_none_or(|least| amount >= least)
            && self.at_most.is_none_or(|most| amount <= most)
    }

    fn contains_money(&self, money: &Money) -> bool {
        self.contains(money.currency().code_bytes(), money.units(), money.nanos())
    }
}

impl Filter {
    /// Asks for the events of one stream.
    #[must_use]
    pub fn of_stream(name: &StreamName) -> Self {
        let clauses = vec![vec![Needle::Term(TermField::Stream.term(name.as_str()))]];
        Self { clauses, ..Self::default() }
    }

    /// Tells whether it asks nothing, so that every event matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.clauses.is_empty() && self.amount.is_none() && self.texts.is_empty() && self.not.is_none()
    }

    /// Gives the bytes that the filter takes in memory, roughly.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let needles = self.clauses.iter().flatten().map(|needle| match needle {
            Needle::Term(term) => 32 + term.len(),
            Needle::StreamPrefix(prefix) => 32 + prefix.len(),
        });
        let texts = self.texts.iter().map(|text| text.query.cost_bytes());
        needles.sum::<usize>() + texts.sum::<usize>() + self.not.as_ref().map_or(0, |not| not.cost_bytes())
    }

    /// Gives the number of values.
    #[must_use]
    pub fn value_count(&self) -> usize {
        self.clauses.iter().map(Vec::len).sum::<usize>()
            + self.texts.len()
            + self.not.as_ref().map_or(0, |not| not.value_count())
    }

    /// Gives the score of an event by all words, in millionths.
    #[must_use]
    pub fn score(&self, position: Position) -> i64 {
        let found = self.texts.iter().filter_map(|text| text.found.as_ref());
        found.map(|found| found.score(position)).fold(0, i64::saturating_add)
    }

    /// Tells whether an event matches, as far as its facts tell: words are not among them.
    #[must_use]
    pub fn matches(&self, event: &EventFacts) -> bool {
        self.clauses.iter().all(|clause| clause.iter().any(|needle| needle.is_in(event)))
            && self.amount.as_ref().is_none_or(|range| {
                event.transfer.is_some_and(|transfer| range.contains_money(&transfer.amount))
            })
            && !self.not.as_ref().is_some_and(|not| not.matches(event))
    }
}
