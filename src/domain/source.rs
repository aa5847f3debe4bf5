//! Who says so: sources, quotes.

use super::{CaveatCode, Entity, Findings, TimeSpan, Timestamp};

/// Longest quote that raises no remark, in characters: beyond it, copying becomes a question of rights.
pub const QUOTE_CHARS_USUAL: u64 = 300;

/// Where an event was taken from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Stable id; may be empty.
    pub id: String,
    /// To whom it ascribes the event, outermost first.
    pub attributed_to: Vec<Entity>,
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
    /// Checks its dates, and remarks on what is missing or unusual.
    pub fn check(&self, now: Timestamp, findings: &mut Findings) {
        // A day's grace: a date begins earlier in zones ahead of the server's clock.
        let tomorrow = now.plus_micros(24 * 60 * 60 * 1_000_000);
        let begins = self.published.as_ref().and_then(|span| span.earliest_start);
        if begins.is_some_and(|day| day > super::day_of(tomorrow)) {
            findings.violation_at("published", "must not be in the future");
        }
        if self.retrieved_at.is_some_and(|retrieved| retrieved > tomorrow) {
            findings.violation_at("retrieved_at", "must not be in the future");
        }
        if self.published.is_none() && self.retrieved_at.is_none() {
            findings.caveat(CaveatCode::UndatedSource, "neither published nor retrieved_at is given");
        }
        if self.quote.as_deref().is_some_and(|quote| super::quote_length(quote) > QUOTE_CHARS_USUAL) {
            findings.caveat_at("quote", CaveatCode::LongQuote, "more than 300 characters are quoted");
        }
    }
}

/// Gives when the public could know an event: as written, else when a source had certainly made it known, else when
/// it was recorded. A source dated vaguely, `2024` in May 2024, was known when it was recorded at the latest.
#[must_use]
pub fn known_time(
    written: Option<Timestamp>,
    published_by: Option<Timestamp>,
    recorded_at: Timestamp,
) -> Timestamp {
    written.unwrap_or_else(|| published_by.map_or(recorded_at, |published| published.min(recorded_at)))
}

/// Gives the moment by which the earliest of the sources had made the event known.
#[must_use]
pub fn known_from_sources(sources: &[Source]) -> Option<Timestamp> {
    sources.iter().filter_map(|source| source.published.as_ref()?.known_from()).min()
}
