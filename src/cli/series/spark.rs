//! Values as a line of blocks.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

/// Blocks from lowest to highest.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// What stands for no value.
const NONE: char = '·';
/// Most values of a line: the last ones.
const LENGTH_MAX: usize = 72;

/// Draws values between their least and their greatest; `None` where fewer than two are numbers.
pub(super) fn line<'a>(values: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut numbers: Vec<Option<Decimal>> = values.map(|text| text.parse().ok()).collect();
    numbers.drain(..numbers.len().saturating_sub(LENGTH_MAX));
    let known = || numbers.iter().flatten().copied();
    known().nth(1)?;
    let (least, greatest) = (known().min()?, known().max()?);
    Some(numbers.iter().map(|number| number.map_or(NONE, |number| block(number, least, greatest))).collect())
}

fn block(number: Decimal, least: Decimal, greatest: Decimal) -> char {
    let steps = Decimal::from(BLOCKS.len() - 1);
    let range = greatest.checked_sub(least).filter(|range| !range.is_zero());
    let level = range.and_then(|range| number.checked_sub(least)?.checked_div(range)?.checked_mul(steps));
    let level = level.and_then(|level| level.round().to_usize()).unwrap_or(BLOCKS.len() / 2);
    BLOCKS.get(level).copied().unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_blocks() {
        fn check(values: &[&str], expected: Option<&str>) {
            assert_eq!(line(values.iter().copied()).as_deref(), expected);
        }
        check(&[], None);
        check(&["1", ""], None);
        check(&["12658", "924"], Some("█▁"));
        check(&["0", "1", "2", "3", "4", "5", "6", "7"], Some("▁▂▃▄▅▆▇█"));
        check(&["-1.5", "", "1.5"], Some("▁·█"));
        check(&["5", "5", "5"], Some("▅▅▅"));
        // Beyond what can be calculated nothing is claimed.
        check(&["79228162514264337593543950335", "-79228162514264337593543950335"], Some("▅▅"));
        assert_eq!(line(std::iter::repeat_n("1", 500)).map(|line| line.chars().count()), Some(72));
    }
}
