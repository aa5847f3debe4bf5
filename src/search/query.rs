//! What is looked for: words, words that begin so, and phrases, all of which must be there.

use super::analysis::tokens;

/// Longest question, in characters.
pub const QUERY_CHARS_MAX: usize = 1_000;
/// Most words in a question.
pub const QUERY_WORDS_MAX: usize = 32;

/// Says what is wrong with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextQueryError {
    /// Nothing to look for.
    #[error("has no word to look for")]
    NoWord,
    /// Too long.
    #[error("must have at most {QUERY_CHARS_MAX} characters")]
    TooLong,
    /// Too many words.
    #[error("must have at most {QUERY_WORDS_MAX} words")]
    TooManyWords,
    /// An open phrase.
    #[error("has a quotation mark that is not closed")]
    OpenPhrase,
}

/// One word of a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its spellings; any of them will do.
    pub terms: Vec<String>,
    /// Whether it only has to begin so.
    pub prefix: bool,
}

/// Words that must follow each other within one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// The words, at least one.
    pub slots: Vec<Slot>,
}

/// What is looked for; every phrase must be there, each in any field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextQuery {
    /// The phrases, at least one.
    pub phrases: Vec<Phrase>,
}

impl TextQuery {
    /// Reads a question: words, `"phrases"`, and `begin*`. A word that is several to the analysis (`Tirana-based`) is a
    /// phrase of them.
    ///
    /// # Errors
    /// [`TextQueryError`].
    pub fn parse(text: &str) -> Result<Self, TextQueryError> {
        if text.chars().count() > QUERY_CHARS_MAX {
            return Err(TextQueryError::TooLong);
        }
        let mut phrases = Vec::new();
        for (index, piece) in text.split('"').enumerate() {
            if index % 2 == 1 {
                phrases.extend(phrase(piece));
            } else {
                phrases.extend(piece.split_whitespace().filter_map(phrase));
            }
        }
        if text.matches('"').count() % 2 == 1 {
            return Err(TextQueryError::OpenPhrase);
        }
        match phrases.iter().map(|phrase| phrase.slots.len()).sum::<usize>() {
            0 => Err(TextQueryError::NoWord),
            words if words > QUERY_WORDS_MAX => Err(TextQueryError::TooManyWords),
            _ => Ok(Self { phrases }),
        }
    }

    /// Gives the bytes that the question takes in memory, roughly.
    #[must_use]
    pub fn cost_bytes(&self) -> usize {
        let terms = self.phrases.iter().flat_map(|phrase| &phrase.slots).flat_map(|slot| &slot.terms);
        terms.map(|term| 48 + term.len()).sum()
    }
}

fn phrase(text: &str) -> Option<Phrase> {
    let (text, prefix) = text.strip_suffix('*').map_or((text, false), |begin| (begin, true));
    let mut slots: Vec<Slot> =
        tokens(text, 0).map(|token| Slot { terms: token.terms, prefix: false }).collect();
    slots.last_mut()?.prefix = prefix;
    Some(Phrase { slots })
}
