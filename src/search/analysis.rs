//! From text to tokens: word boundaries by UAX #29, then folding.
//!
//! One rule serves every language, because a name keeps its language wherever it is quoted: case and the diacritics of
//! the Latin, Greek and Cyrillic scripts do not count, letters that Unicode does not decompose are spelt out (`ß`, `ł`,
//! `ø`, `ı`), and a letter that some languages also write as two (`ü` as `ue`, `å` as `aa`) stands for both spellings.

use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Longest term, in bytes; what is longer is cut, in texts and in questions alike.
pub const TERM_BYTES_MAX: usize = 128;

/// A word at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Place among the words, from 0.
    pub place: u32,
    /// Its spellings, one or two, none twice.
    pub terms: Vec<String>,
}

/// Gives the words of a text, the first at `from`.
pub fn tokens(text: &str, from: u32) -> impl Iterator<Item = Token> {
    // NFKC makes one of full-width and ligature forms.
    let text: String = text.nfkc().collect();
    let words: Vec<Vec<String>> = text.unicode_words().flat_map(split).map(|word| spellings(&word)).collect();
    (from..).zip(words).map(|(place, terms)| Token { place, terms })
}

/// Splits what UAX #29 joins: `Albania's`, `U.S.`; but not numbers, of which separators of thousands are dropped.
fn split(word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before: Option<char> = None;
    let mut rest = word.chars().peekable();
    while let Some(found) = rest.next() {
        let in_number =
            before.is_some_and(char::is_numeric) && rest.peek().copied().is_some_and(char::is_numeric);
        if found.is_alphanumeric() || is_mark(found) || (in_number && found == '.') {
            if let Some(part) = parts.last_mut() {
                part.push(found);
            }
        } else if !(in_number && matches!(found, ',' | '\'' | '\u{2019}')) {
            parts.push(String::new());
        }
        before = Some(found);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// A mark that belongs to the letter before it, as in Arabic, Hebrew and the scripts of India.
fn is_mark(found: char) -> bool {
    unicode_normalization::char::is_combining_mark(found)
}

/// Gives the terms that a word is found by.
fn spellings(word: &str) -> Vec<String> {
    let short = fold(word, short_form);
    let long = fold(word, long_form);
    if short == long { vec![short] } else { vec![short, long] }
}

fn fold(word: &str, special: fn(char) -> Option<&'static str>) -> String {
    let mut folded = String::with_capacity(word.len());
    // Composed first, so that a letter and its mark are looked at as one.
    for found in word.nfc() {
        if let Some(letters) = special(found) {
            folded.push_str(letters);
            continue;
        }
        let letters = std::iter::once(found).nfd().filter(|part| !is_diacritic(*part));
        for letter in letters.flat_map(char::to_lowercase).filter(|part| !is_diacritic(*part)) {
            folded.push_str(short_form(letter).unwrap_or(letter.encode_utf8(&mut [0; 4])));
        }
    }
    let end = folded.floor_char_boundary(TERM_BYTES_MAX);
    folded.truncate(end);
    folded
}

/// Combining marks of the European scripts; those of others are vowels and belong to the word.
const fn is_diacritic(part: char) -> bool {
    matches!(part, '\u{300}'..='\u{36f}')
}

/// Letters that Unicode does not decompose.
const fn short_form(letter: char) -> Option<&'static str> {
    match letter {
        'ß' | 'ẞ' => Some("ss"),
        'æ' | 'Æ' => Some("ae"),
        'œ' | 'Œ' => Some("oe"),
        'ø' | 'Ø' => Some("o"),
        'đ' | 'Đ' | 'ð' | 'Ð' => Some("d"),
        'þ' | 'Þ' => Some("th"),
        'ł' | 'Ł' => Some("l"),
        'ħ' | 'Ħ' => Some("h"),
        'ı' => Some("i"),
        'ς' => Some("σ"),
        _ => None,
    }
}

/// Letters that are also written as two.
const fn long_form(letter: char) -> Option<&'static str> {
    match letter {
        'ä' | 'Ä' => Some("ae"),
        'ö' | 'Ö' | 'ø' | 'Ø' => Some("oe"),
        'ü' | 'Ü' => Some("ue"),
        'å' | 'Å' => Some("aa"),
        _ => short_form(letter),
    }
}
