//! Sums, bounds and their text.

use proptest::prelude::*;

use super::amounts::{Sum, bounds};
use super::dimension::Dimension;
use crate::domain::AmountQualifier;

const UNIT: i128 = 1_000_000_000;

fn check(figure: i128, qualifier: Option<AmountQualifier>, lower: Option<i128>, upper: Option<i128>) {
    assert_eq!(bounds(figure, qualifier), (Sum(lower), Sum(upper)), "{figure} {qualifier:?}");
    let turned = (Sum(upper.map(|upper| -upper)), Sum(lower.map(|lower| -lower)));
    if figure != 0 {
        assert_eq!(bounds(-figure, qualifier), turned, "-{figure} {qualifier:?}");
    }
}

#[test]
fn what_is_stated_bounds_what_was_paid() {
    use AmountQualifier::{About, AtLeast, Exact, Nearly, Over, Rounded, Under, UpTo};
    let five = 5 * UNIT;
    for qualifier in [None, Some(Exact)] {
        check(five, qualifier, Some(five), Some(five));
    }
    for qualifier in [UpTo, Under, Nearly] {
        check(five, Some(qualifier), Some(0), Some(five));
    }
    for qualifier in [AtLeast, Over] {
        check(five, Some(qualifier), Some(five), None);
    }
    check(five, Some(About), Some(0), None);
    check(five, Some(Rounded), Some(five - UNIT / 2), Some(five + UNIT / 2));
    check(1_600_000 * UNIT, Some(Rounded), Some(1_550_000 * UNIT), Some(1_650_000 * UNIT));
    check(four_billion(), Some(Rounded), Some(3_500_000_000 * UNIT), Some(4_500_000_000 * UNIT));
    check(1, Some(Rounded), Some(0), Some(2));
    check(0, Some(Rounded), Some(0), None);
    check(0, None, Some(0), Some(0));
}

const fn four_billion() -> i128 {
    4_000_000_000 * UNIT
}

#[test]
fn sums_are_written_exactly() {
    for (sum, text) in [
        (0, "0"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (-1_750_000_000, "-1.75"),
        (76_935_023_362 * 10_000_000, "769350233.62"),
        (i128::MAX, "170141183460469231731687303715.884105727"),
        (i128::MIN, "-170141183460469231731687303715.884105728"),
    ] {
        assert_eq!(Sum(Some(sum)).written().unwrap().value, text);
    }
    assert_eq!(Sum(None).written(), None);
}

#[test]
fn beyond_128_bits_there_is_no_sum_rather_than_a_wrong_one() {
    assert_eq!(Sum(Some(i128::MAX)).plus(Sum(Some(1))), Sum(None));
    assert_eq!(Sum(Some(i128::MIN)).minus(Sum(Some(1))), Sum(None));
    assert_eq!(Sum(None).plus(Sum(Some(1))), Sum(None));
}

#[test]
fn every_dimension_of_the_api_is_known() {
    for number in 1..=17 {
        assert!(Dimension::from_number(number).is_some(), "{number}");
        assert!(crate::pb::FundingDimension::try_from(number).is_ok(), "{number}");
    }
    assert_eq!(Dimension::from_number(0), None);
    assert_eq!(Dimension::from_number(18), None);
    assert!(crate::pb::FundingDimension::try_from(18).is_err());
}

proptest! {
    #[test]
    fn the_figure_lies_within_its_bounds(
        units in any::<i64>(), nanos in 0..1_000_000_000_i32, qualifier in 0..9_i32,
    ) {
        let nanos = if units < 0 { -nanos } else { nanos };
        let figure = i128::from(units) * UNIT + i128::from(nanos);
        let (Sum(lower), Sum(upper)) = bounds(figure, AmountQualifier::from_number(qualifier));
        prop_assert!(lower.is_none_or(|lower| lower <= figure));
        prop_assert!(upper.is_none_or(|upper| upper >= figure));
    }
}
