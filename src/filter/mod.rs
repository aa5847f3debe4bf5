//! The one filter: which events, for reads, subscriptions, timelines and append conditions alike.

pub mod plan;
pub mod window;

pub use window::{Certainty, Window};

use rust_decimal::Decimal as Exact;

use crate::domain::{Currency, EventFacts, Money, StreamName, TermField};

/// Most values in a filter, all fields together.
pub const FILTER_VALUES_MAX: usize = 1_000;

/// Most saved timelines that a filter names.
pub const FILTER_TIMELINES_MAX: usize = 16;

/// Asks for events: every clause must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Each holds if any of its needles is found.
    pub clauses: Vec<Vec<Needle>>,
    /// Holds for transfers of such an amount.
    pub amount: Option<AmountRange>,
    /// One of them must hold, if there are any.
    pub timelines: Vec<Saved>,
    /// Must not hold.
    pub not: Option<Box<Filter>>,
}

/// A saved timeline that a filter names.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// What it asks for, once that was looked up; until then nothing matches.
    pub asks: Option<Asks>,
}

/// What a saved timeline asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asks {
    /// Which events; names no timeline.
    pub filter: Filter,
    /// When they were true.
    pub window: Option<Window>,
}

impl Asks {
    fn matches(&self, event: &EventFacts) -> bool {
        let within = |window: &Window| window.matches(event.bounds, event.qualified).is_some();
        self.window.as_ref().is_none_or(within) && self.filter.matches(event)
    }
}

impl Saved {
    const fn asks(&self) -> Option<&Asks> {
        self.asks.as_ref()
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
        self.clauses.is_empty() && self.amount.is_none() && self.timelines.is_empty() && self.not.is_none()
    }

    /// Gives the bytes that the filter takes in memory, roughly.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let needles = self.clauses.iter().flatten().map(|needle| match needle {
            Needle::Term(term) => 32 + term.len(),
            Needle::StreamPrefix(prefix) => 32 + prefix.len(),
        });
        let saved = self
            .timelines
            .iter()
            .map(|saved| 64 + saved.id.len() + saved.asks().map_or(0, |asks| asks.filter.cost_bytes()));
        needles.sum::<usize>() + saved.sum::<usize>() + self.not.as_ref().map_or(0, |not| not.cost_bytes())
    }

    /// Gives the number of values, those of saved timelines included.
    #[must_use]
    pub fn value_count(&self) -> usize {
        let saved =
            self.timelines.iter().map(|saved| 1 + saved.asks().map_or(0, |asks| asks.filter.value_count()));
        self.clauses.iter().map(Vec::len).sum::<usize>()
            + saved.sum::<usize>()
            + self.not.as_ref().map_or(0, |not| not.value_count())
    }

    /// Gives the saved timelines that it names, those of `not` included.
    pub fn named(&mut self) -> impl Iterator<Item = &mut Saved> {
        let not = self.not.as_mut().map(|not| not.timelines.iter_mut());
        self.timelines.iter_mut().chain(not.into_iter().flatten())
    }

    /// Tells whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &EventFacts) -> bool {
        self.clauses.iter().all(|clause| clause.iter().any(|needle| needle.is_in(event)))
            && self
                .amount
                .as_ref()
                .is_none_or(|range| event.amount.as_ref().is_some_and(|money| range.contains_money(money)))
            && (self.timelines.is_empty()
                || self.timelines.iter().any(|saved| saved.asks().is_some_and(|asks| asks.matches(event))))
            && !self.not.as_ref().is_some_and(|not| not.matches(event))
    }
}
