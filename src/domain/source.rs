//! Who says so: sources, quotes.

use super::{CaveatCode, Entity, Findings, TimeSpan, Timestamp};

/// Longest quote that raises no remark, in characters: beyond it, copying becomes a question of rights.
pub const QUOTE_CHARS_USUAL: u64 = 300;

/// Where an event was taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Stable id; may be empty.
    pub id: String,
    /// Who published it.
    pub publisher: Option<Entity>,
    /// When it made the event known.
    pub published: Option<TimeSpan>,
    /// When the recorder fetched it.
    pub retrieved_at: Option<Timestamp>,
    /// Words of the source.
    pub quote: Option<String>,
}

impl Source {
    /// Remarks on what is missing or unusual.
    pub fn check(&self, findings: &mut Findings) {
        if self.published.is_none() && self.retrieved_at.is_none() {
            findings.caveat(CaveatCode::UndatedSource, "neither published nor retrieved_at is given");
        }
        if self.quote.as_deref().is_some_and(|quote| super::quote_length(quote) > QUOTE_CHARS_USUAL) {
            findings.caveat_at("quote", CaveatCode::LongQuote, "more than 300 characters are quoted");
        }
    }
}

/// Gives the moment by which the earliest of the sources had made the event known.
#[must_use]
pub fn known_from_sources(sources: &[Source]) -> Option<Timestamp> {
    sources.iter().filter_map(|source| source.published.as_ref()?.known_from()).min()
}
