//! Statements: who said what.

use super::{Comparison, Event, Findings, Link, Participant};

/// Something said.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Who said it.
    pub speaker: Participant,
    /// What was said.
    pub text: String,
    /// Whether the text is word for word.
    pub verbatim: bool,
    /// Comparisons that the statement makes, by index of their claim.
    pub comparisons: Vec<(usize, Comparison)>,
    /// What its claims are about.
    pub about: Vec<Link>,
}

impl Statement {
    /// Checks that a verbatim text stands in a quote, and the claims' arithmetic.
    pub fn check(&self, event: &Event, findings: &mut Findings) {
        let quoted = || {
            event.sources.iter().filter_map(|s| s.quote.as_deref()).any(|quote| quote.contains(&self.text))
        };
        if self.verbatim && !quoted() {
            findings.violation_at("text", "is marked verbatim but stands in no quote of a source");
        }
        for (index, comparison) in &self.comparisons {
            findings.at_index("claims", *index, |f| {
                f.at("comparison", |f| comparison.check(f));
            });
        }
    }
}
