//! The one filter: which events, for reads, subscriptions, timelines and append conditions alike.

pub mod plan;
pub mod window;

pub use window::{Certainty, Window};

use std::sync::Arc;

use rust_decimal::Decimal as Exact;

use crate::domain::{Currency, EventFacts, Money, Position, StreamName, TermField};
use crate::search::document::Document;
use crate::search::{Found, TextQuery};

/// Most values in a filter, all fields together.
pub const FILTER_VALUES_MAX: usize = 1_000;

/// Most saved timelines that a filter names.
pub const FILTER_TIMELINES_MAX: usize = 16;

/// Most terms that [`Filter::needed_terms`] gives.
const NEEDED_TERMS_MAX: usize = 32;

/// Asks for events: every clause must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Each holds if any of its needles is found.
    pub clauses: Vec<Vec<Needle>>,
    /// Holds for transfers of such an amount.
    pub amount: Option<AmountRange>,
    /// Each holds if the event has all of its words.
    pub texts: Vec<Text>,
    /// One of them must hold, if there are any.
    pub timelines: Vec<Saved>,
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

    fn is_in(&self, words: Option<&Document>) -> bool {
        words.is_some_and(|words| self.query.phrases.iter().all(|phrase| words.weight(phrase) > 0))
    }
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
    fn matches(&self, event: &EventFacts, words: Option<&Document>) -> bool {
        let within = |window: &Window| window.matches(event.bounds, event.qualified).is_some();
        self.window.as_ref().is_none_or(within) && self.filter.matches(event, words)
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

    const fn as_term(&self) -> Option<&[u8]> {
        match self {
            Self::Term(term) => Some(term.as_slice()),
            Self::StreamPrefix(_) => None,
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
        self.clauses.is_empty()
            && self.amount.is_none()
            && self.texts.is_empty()
            && self.timelines.is_empty()
            && self.not.is_none()
    }

    /// Gives the bytes that the filter takes in memory, roughly.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let needles = self.clauses.iter().flatten().map(|needle| match needle {
            Needle::Term(term) => 32 + term.len(),
            Needle::StreamPrefix(prefix) => 32 + prefix.len(),
        });
        let texts = self.texts.iter().map(|text| text.query.cost_bytes());
        let saved = self
            .timelines
            .iter()
            .map(|saved| 64 + saved.id.len() + saved.asks().map_or(0, |asks| asks.filter.cost_bytes()));
        let not = self.not.as_ref().map_or(0, |not| not.cost_bytes());
        needles.sum::<usize>() + texts.sum::<usize>() + saved.sum::<usize>() + not
    }

    /// Gives the number of values, those of saved timelines included.
    #[must_use]
    pub fn value_count(&self) -> usize {
        let saved =
            self.timelines.iter().map(|saved| 1 + saved.asks().map_or(0, |asks| asks.filter.value_count()));
        self.clauses.iter().map(Vec::len).sum::<usize>()
            + self.texts.len()
            + saved.sum::<usize>()
            + self.not.as_ref().map_or(0, |not| not.value_count())
    }

    /// Gives the saved timelines that it names, those of `not` included.
    pub fn named(&mut self) -> impl Iterator<Item = &mut Saved> {
        let not = self.not.as_mut().map(|not| not.timelines.iter_mut());
        self.timelines.iter_mut().chain(not.into_iter().flatten())
    }

    /// Visits all words asked for, those of saved timelines and of `not` included.
    ///
    /// # Errors
    /// What a visit says.
    pub fn for_each_text<E>(&mut self, visit: &mut dyn FnMut(&mut Text) -> Result<(), E>) -> Result<(), E> {
        self.texts.iter_mut().try_for_each(&mut *visit)?;
        for asks in self.timelines.iter_mut().filter_map(|saved| saved.asks.as_mut()) {
            asks.filter.for_each_text(visit)?;
        }
        self.not.as_mut().map_or(Ok(()), |not| not.for_each_text(visit))
    }

    /// Gives the last position of which it is known whether events have the words asked for; `None` where no words
    /// are.
    #[must_use]
    pub fn words_known_to(&self) -> Option<Position> {
        let own = self.texts.iter().map(Text::known_to);
        let saved = self.timelines.iter().filter_map(|saved| saved.asks()?.filter.words_known_to());
        own.chain(saved).chain(self.not.as_ref().and_then(|not| not.words_known_to())).min()
    }

    /// Gives the score of an event by all words of its own, in millionths.
    #[must_use]
    pub fn score(&self, position: Position) -> i64 {
        let found = self.texts.iter().filter_map(|text| text.found.as_ref());
        found.map(|found| found.score(position)).fold(0, i64::saturating_add)
    }

    /// Gives terms of which every event that matches has one at least; nothing where none can be named so.
    #[must_use]
    pub fn needed_terms(&self) -> Option<Vec<&[u8]>> {
        // A long term is likely a name, a short one the number of a kind, a country or a currency.
        let length = |terms: &Vec<&[u8]>| terms.iter().map(|term| term.len()).min();
        let named = self.clauses.iter().filter(|clause| clause.len() <= NEEDED_TERMS_MAX);
        let terms = named.filter_map(|clause| clause.iter().map(Needle::as_term).collect());
        terms.max_by_key(length)
    }

    /// Tells whether an event matches; without its words nothing matches that asks for some.
    #[must_use]
    pub fn matches(&self, event: &EventFacts, words: Option<&Document>) -> bool {
        self.clauses.iter().all(|clause| clause.iter().any(|needle| needle.is_in(event)))
            && self.amount.as_ref().is_none_or(|range| {
                event.transfer.is_some_and(|transfer| range.contains_money(&transfer.amount))
            })
            && self.texts.iter().all(|text| text.is_in(words))
            && (self.timelines.is_empty()
                || self
                    .timelines
                    .iter()
                    .any(|saved| saved.asks().is_some_and(|asks| asks.matches(event, words))))
            && !self.not.as_ref().is_some_and(|not| not.matches(event, words))
    }
}
