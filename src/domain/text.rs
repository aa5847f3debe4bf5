//! Checks of free text: the String type of CloudEvents 1.0, in Unicode normalization form C.

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// What one field allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextRule {
    /// Fewest characters (Unicode code points), inclusive.
    pub min_chars: usize,
    /// Most characters (Unicode code points), inclusive.
    pub max_chars: usize,
    /// Whether line feed and tab are allowed, the only control characters that ever are.
    pub multiline: bool,
}

/// Says what is wrong with a text. An `index` counts Unicode code points from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Fewer characters than the rule asks for.
    #[error("must have at least {min} characters, has {found}")]
    TooShort {
        /// Fewest characters allowed.
        min: usize,
        /// Characters found.
        found: usize,
    },
    /// More characters than the rule allows.
    #[error("must have at most {max} characters, has {found}")]
    TooLong {
        /// Most characters allowed.
        max: usize,
        /// Characters found.
        found: usize,
    },
    /// A character of U+0000 to U+001F or U+007F to U+009F.
    #[error("has control character U+{code:04X} at character {index}")]
    Control {
        /// The code point.
        code: u32,
        /// Where it is.
        index: usize,
    },
    /// A code point that Unicode keeps for internal use, such as U+FFFE.
    #[error("has noncharacter U+{code:04X} at character {index}")]
    Noncharacter {
        /// The code point.
        code: u32,
        /// Where it is.
        index: usize,
    },
    /// The first place where the text differs from its normalization form C.
    #[error("is not in Unicode normalization form C at character {index}")]
    NotNormalized {
        /// Where the two differ.
        index: usize,
    },
}

/// Checks the length first, then each character, then the normalization form.
///
/// # Errors
/// [`TextError`] for the first thing that is wrong.
pub fn check_text(text: &str, rule: TextRule) -> Result<(), TextError> {
    let is_ascii = text.is_ascii();
    let found = if is_ascii { text.len() } else { text.chars().count() };
    if found < rule.min_chars {
        return Err(TextError::TooShort { min: rule.min_chars, found });
    }
    if found > rule.max_chars {
        return Err(TextError::TooLong { max: rule.max_chars, found });
    }
    if is_ascii {
        // No noncharacters, and always in form C; a byte is a character. Almost no text has a control character, and
        // a loop that does not stop at one looks at many bytes at once.
        if !text.bytes().fold(false, |found, byte| found | byte.is_ascii_control()) {
            return Ok(());
        }
        let mut characters = text.bytes().map(char::from).enumerate();
        return characters.try_for_each(|(index, found)| check_control(found, index, rule));
    }
    for (index, character) in text.chars().enumerate() {
        check_control(character, index, rule)?;
        let code = u32::from(character);
        if is_noncharacter(code) {
            return Err(TextError::Noncharacter { code, index });
        }
    }
    if is_nfc(text) {
        return Ok(());
    }
    Err(TextError::NotNormalized { index: first_difference(text) })
}

fn check_control(character: char, index: usize, rule: TextRule) -> Result<(), TextError> {
    let allowed = rule.multiline && matches!(character, '\n' | '\t');
    if character.is_control() && !allowed {
        return Err(TextError::Control { code: u32::from(character), index });
    }
    Ok(())
}

/// Counts the Unicode code points of a quotation, the unit of its start and end offsets.
#[must_use]
pub fn quote_length(text: &str) -> u64 {
    u64::try_from(char_count(text)).unwrap_or(u64::MAX)
}

fn char_count(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// Unicode, section 23.7: U+FDD0 to U+FDEF, and the last two code points of each plane.
const fn is_noncharacter(code: u32) -> bool {
    matches!(code, 0xFDD0..=0xFDEF) || code & 0xFFFE == 0xFFFE
}

fn first_difference(text: &str) -> usize {
    text.chars().zip(text.nfc()).take_while(|(given, normal)| given == normal).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: TextRule = TextRule { min_chars: 1, max_chars: 8, multiline: false };
    const LINES: TextRule = TextRule { multiline: true, ..LINE };

    fn check(text: &str, rule: TextRule, expected: Result<(), TextError>) {
        assert_eq!(check_text(text, rule), expected, "{text:?}");
    }

    #[test]
    fn accepts_plain_text() {
        for text in ["a", "Tirana", "12345678", "Shqipëri", "ÅÅÅÅÅÅÅÅ", "日本語", "👩‍🚀", "£4bn", "\u{FFFD}"]
        {
            check(text, LINE, Ok(()));
        }
        check("a\n\tb", LINES, Ok(()));
        check("", TextRule { min_chars: 0, ..LINE }, Ok(()));
    }

    #[test]
    fn counts_characters_not_bytes() {
        check("", LINE, Err(TextError::TooShort { min: 1, found: 0 }));
        check("123456789", LINE, Err(TextError::TooLong { max: 8, found: 9 }));
        check("ëëëëëëëëë", LINE, Err(TextError::TooLong { max: 8, found: 9 }));
    }

    #[test]
    fn refuses_control_characters() {
        for (text, rule, code, index) in [
            ("a\nb", LINE, 0x0A, 1),
            ("\t", LINE, 0x09, 0),
            ("ab\r\n", LINES, 0x0D, 2),
            ("\0", LINES, 0x00, 0),
            ("ë\u{7F}", LINES, 0x7F, 1),
            ("ëë\u{85}", LINES, 0x85, 2),
            ("\u{9F}", LINE, 0x9F, 0),
        ] {
            check(text, rule, Err(TextError::Control { code, index }));
        }
        check("\u{A0}", LINE, Ok(()));
    }

    #[test]
    fn refuses_noncharacters() {
        for (character, code) in [
            ('\u{FDD0}', 0xFDD0),
            ('\u{FDEF}', 0xFDEF),
            ('\u{FFFE}', 0xFFFE),
            ('\u{FFFF}', 0xFFFF),
            ('\u{1FFFE}', 0x1_FFFE),
            ('\u{10FFFF}', 0x10_FFFF),
        ] {
            let text = format!("ë{character}");
            check(&text, LINES, Err(TextError::Noncharacter { code, index: 1 }));
        }
        check("\u{FDCF}\u{FDF0}", LINE, Ok(()));
    }

    #[test]
    fn refuses_other_normalization_forms() {
        for (text, index) in [("e\u{308}", 0), ("Tirane\u{308}", 5), ("\u{212B}", 0), ("ë\u{0344}", 1)] {
            check(text, LINE, Err(TextError::NotNormalized { index }));
        }
        // A combining mark that has no composed form is in form C.
        check("q\u{308}", LINE, Ok(()));
    }

    #[test]
    fn messages_name_the_character_and_its_place() {
        let message = |text| check_text(text, LINE).unwrap_err().to_string();
        assert_eq!(message("a\u{1}"), "has control character U+0001 at character 1");
        assert_eq!(message("\u{1FFFF}"), "has noncharacter U+1FFFF at character 0");
        assert_eq!(message("ae\u{308}"), "is not in Unicode normalization form C at character 1");
    }

    #[test]
    fn quote_length_counts_code_points() {
        for (text, expected) in [("", 0), ("abc", 3), ("ëë", 2), ("👩‍🚀", 3), ("e\u{308}", 2)] {
            assert_eq!(quote_length(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn form_c_of_printable_text_passes(text in "\\PC{0,40}") {
            let normal: String = text.nfc().collect();
            let rule = TextRule { min_chars: 0, max_chars: 200, multiline: false };
            prop_assert_eq!(check_text(&normal, rule), Ok(()));
            prop_assert_eq!(check_text(&text, rule).is_ok(), normal == text);
        }
    }
}
