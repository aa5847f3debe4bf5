use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: &str) {
    let number = Decimal::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(number.to_string(), expected, "{text:?}");
}

fn refuse(text: &str, expected: DecimalError) {
    assert_eq!(Decimal::parse(text), Err(expected), "{text:?}");
}

#[test]
fn reads_the_grammar_and_writes_the_canonical_form() {
    for (text, expected) in [
        ("0", "0"),
        ("12658", "12658"),
        ("+2.5", "2.5"),
        ("-2.5", "-2.5"),
        (".5", "0.5"),
        ("-.09", "-0.09"),
        ("5.", "5"),
        ("007", "7"),
        ("1.50", "1.50"),
        ("0.00", "0.00"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("2.5e6", "2500000"),
        ("2.5E+6", "2500000"),
        ("25e-1", "2.5"),
        ("1.50e1", "15.0"),
        ("1e0", "1"),
        ("0e999", "0"),
        ("0e99999999999999999999", "0"),
        ("1e27", "1000000000000000000000000000"),
        ("1e-28", "0.0000000000000000000000000001"),
        ("9999999999999999999999999999", "9999999999999999999999999999"),
        ("0000000000000000000000000000000001", "1"),
        ("-92.71600000000000000000000000", "-92.71600000000000000000000000"),
    ] {
        check(text, expected);
    }
}

#[test]
fn refuses_what_the_grammar_does_not_have() {
    refuse("", DecimalError::Empty);
    for text in ["NaN", "nan", "Infinity", "-inf", "+Infinity"] {
        refuse(text, DecimalError::NotFinite);
    }
    for (text, offset) in [("-", 1), ("+", 1), (".", 1), ("-.", 2), ("1e", 2), ("1e-", 3)] {
        refuse(text, DecimalError::DigitMissing { offset });
    }
    for (text, found, offset) in [
        ("1,5", ',', 1),
        (" 1", ' ', 0),
        ("1 ", ' ', 1),
        ("1.2.3", '.', 3),
        ("--1", '-', 1),
        ("1e5.0", '.', 3),
        ("1_000", '_', 1),
        ("e5", 'e', 0),
        ("0x10", 'x', 1),
        ("£5", '£', 0),
        ("1\u{661}", '\u{661}', 1),
        ("\u{2212}1", '\u{2212}', 0),
    ] {
        refuse(text, DecimalError::Unexpected { found, offset });
    }
}

#[test]
fn refuses_what_it_cannot_keep_exactly() {
    for text in [
        "10000000000000000000000000000",
        "1.0000000000000000000000000000",
        "1e28",
        "-1e28",
        "12e27",
        "1e99999999999999999999",
        "79228162514264337593543950335",
    ] {
        refuse(text, DecimalError::TooManyDigits);
    }
    for text in ["1e-29", "0.00000000000000000000000000001", "1e-99999999999999999999"] {
        refuse(text, DecimalError::TooManyDecimals);
    }
}

#[test]
fn compares_by_value_and_keeps_the_scale() {
    let (short, long) = (Decimal::parse("1.5").unwrap(), Decimal::parse("1.500").unwrap());
    assert_eq!(short, long);
    assert_eq!((short.scale(), long.scale()), (1, 3));
    assert!(Decimal::parse("-0.1").unwrap() < Decimal::parse("0").unwrap());
}

#[test]
fn tells_sign_and_zero() {
    for (text, is_zero, is_negative) in
        [("0.0", true, false), ("-0", true, false), ("-1", false, true), ("1", false, false)]
    {
        let number = Decimal::parse(text).unwrap();
        assert_eq!((number.is_zero(), number.is_negative()), (is_zero, is_negative), "{text}");
    }
}

proptest! {
    #[test]
    fn canonical_text_reads_back_the_same(
        mantissa in -9_999_999_999_999_999_999_999_999_999_i128..=9_999_999_999_999_999_999_999_999_999,
        scale in 0..=SCALE_MAX,
    ) {
        let number = Decimal::from_parts(mantissa, scale).unwrap();
        let again = Decimal::parse(&number.to_string()).unwrap();
        prop_assert_eq!(again, number);
        prop_assert_eq!(again.scale(), scale);
        prop_assert_eq!(again.value().mantissa(), mantissa);
    }

    #[test]
    fn any_text_gets_an_answer(text in "[-+.eE0-9 ,]{0,40}|\\PC{0,8}") {
        if let Ok(number) = Decimal::parse(&text) {
            prop_assert_eq!(Decimal::parse(&number.to_string()), Ok(number));
        }
    }
}
