//! The words of one event, in its four fields.

use super::analysis::{Token, tokens};
use super::query::{Phrase, Slot};
use crate::codec::texts::Texts;

/// Words between two texts of a field, so that no phrase reaches from one into the other.
const GAP: u32 = 64;

/// Number of fields.
pub const FIELDS: usize = 4;

/// How much a word counts in the title, in names, in the summary and in quotes.
pub const WEIGHTS: [u32; FIELDS] = [4, 2, 1, 1];

/// The words of an event by field: title, names, summary, quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The words of each field, by rising place.
    pub fields: [Vec<Token>; FIELDS],
}

impl Document {
    /// Takes the words of an event's texts.
    #[must_use]
    pub fn of(texts: &Texts) -> Self {
        Self {
            fields: [&texts.titles, &texts.names, &texts.summaries, &texts.quotes].map(|found| field(found)),
        }
    }

    /// Gives how often a phrase is there, each time counted by the weight of its field.
    #[must_use]
    pub fn weight(&self, phrase: &Phrase) -> u32 {
        let counts = self.fields.iter().map(|field| count(field, phrase));
        counts.zip(WEIGHTS).map(|(count, weight)| count.saturating_mul(weight)).fold(0, u32::saturating_add)
    }
}

fn field(texts: &[String]) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    for text in texts {
        let from = found.last().map_or(0, |last| last.place.saturating_add(GAP));
        found.extend(tokens(text, from));
    }
    found
}

/// Counts the places at which a phrase begins.
fn count(field: &[Token], phrase: &Phrase) -> u32 {
    let begins = field.iter().enumerate().filter(|(index, first)| {
        let words = field.get(*index..).unwrap_or_default();
        words.len() >= phrase.slots.len()
            && phrase.slots.iter().zip(words).zip(first.place..).all(|((slot, word), place)| {
                // Across a gap between two texts places do not follow each other.
                word.place == place && slot.fits(word)
            })
    });
    u32::try_from(begins.count()).unwrap_or(u32::MAX)
}

impl Slot {
    fn fits(&self, token: &Token) -> bool {
        token.terms.iter().any(|held| {
            self.terms
                .iter()
                .any(|asked| if self.prefix { held.starts_with(asked.as_str()) } else { held == asked })
        })
    }
}
