//! Stated changes, checked by exact arithmetic.

use rust_decimal::Decimal as Exact;

use super::{AmountQualifier, CaveatCode, Day, Decimal, Findings, Measure, TimeSpan};

/// Decimals of a computed change: a thousandth of a per cent tells every stated figure apart.
const COMPUTED_SCALE: u32 = 3;

/// A change between two values, as a source states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The period compared with.
    pub base_period: Option<TimeSpan>,
    /// The value in it.
    pub base_value: Option<Decimal>,
    /// The period compared.
    pub period: Option<TimeSpan>,
    /// The value in it.
    pub value: Option<Decimal>,
    /// What is stated.
    pub measure: Option<Measure>,
    /// How much, as stated.
    pub stated: Option<Decimal>,
    /// How the stated figure is meant.
    pub qualifier: Option<AmountQualifier>,
}

impl Comparison {
    /// Gives the change that follows from the two values, to three decimals, halves away from zero.
    #[must_use]
    pub fn computed(&self) -> Option<Exact> {
        Self::change_between(self.measure?, self.base_value.as_ref()?.value(), self.value.as_ref()?.value())
    }

    /// Gives the change that follows from the two values after each is divided by the days of its period.
    #[must_use]
    pub fn computed_per_day(&self) -> Option<Exact> {
        let base = self.base_value.as_ref()?.value();
        Self::change_per_day(self.measure?, base, self.value.as_ref()?.value(), self.lengths()?)
    }

    /// Tells whether the periods have the same length; `None` when a length is not known.
    #[must_use]
    pub fn is_comparable(&self) -> Option<bool> {
        // A leap year against another year is the same calendar span, though a day longer.
        let (base, period) = (self.base_period.as_ref()?, self.period.as_ref()?);
        let (base_days, days) = self.lengths()?;
        Some(base_days == days || same_calendar_span(base, period))
    }

    fn lengths(&self) -> Option<(i32, i32)> {
        Some((self.base_period.as_ref()?.length_days()?, self.period.as_ref()?.length_days()?))
    }

    /// Gives the change from one value to another in the unit of a measure, to three decimals, halves away from zero.
    #[must_use]
    pub fn change_between(measure: Measure, base: Exact, value: Exact) -> Option<Exact> {
        let change = match measure {
            Measure::PercentChange => {
                value.checked_sub(base)?.checked_div(base)?.checked_mul(Exact::ONE_HUNDRED)?
            }
            Measure::AbsoluteChange | Measure::PercentagePoints => value.checked_sub(base)?,
            Measure::Ratio => value.checked_div(base)?,
            Measure::RecordHigh | Measure::RecordLow => return None,
        };
        Some(rounded(change))
    }

    /// Gives the change from one value to another after each is divided by the days of its period.
    #[must_use]
    pub fn change_per_day(
        measure: Measure,
        base: Exact,
        value: Exact,
        (base_days, days): (i32, i32),
    ) -> Option<Exact> {
        // Each is multiplied by the days of the other, so that there is one division, and nothing is rounded before.
        let (base_days, days) = (Exact::from(base_days), Exact::from(days));
        let (base, value) = (base.checked_mul(days)?, value.checked_mul(base_days)?);
        match measure {
            Measure::AbsoluteChange | Measure::PercentagePoints => {
                let both = base_days.checked_mul(days)?;
                Some(rounded(value.checked_sub(base)?.checked_div(both)?))
            }
            Measure::PercentChange | Measure::Ratio | Measure::RecordHigh | Measure::RecordLow => {
                Self::change_between(measure, base, value)
            }
        }
    }

    /// Remarks on periods that differ, and on a stated change that its values do not give.
    pub fn check(&self, findings: &mut Findings) {
        if let (Some(false), Some((base_days, days))) = (self.is_comparable(), self.lengths()) {
            findings.caveat(
                CaveatCode::PeriodsDiffer,
                format_args!("{base_days} days are compared with {days} days"),
            );
        }
        let (Some(stated), Some(computed)) = (self.stated.as_ref(), self.computed()) else {
            return;
        };
        if !self.agrees(stated.value(), computed) {
            findings.caveat_at(
                "stated",
                CaveatCode::ClaimMismatch,
                format_args!("{stated} is stated, {computed} follows from the values"),
            );
        }
    }

    fn agrees(&self, stated: Exact, computed: Exact) -> bool {
        is_agreed(stated, self.qualifier, computed)
    }
}

fn rounded(change: Exact) -> Exact {
    let midpoint = rust_decimal::RoundingStrategy::MidpointAwayFromZero;
    change.round_dp_with_strategy(COMPUTED_SCALE, midpoint)
}

/// Tells whether a stated change is the computed one within the stated rounding: half a unit of its last place.
#[must_use]
pub fn is_agreed(stated: Exact, qualifier: Option<AmountQualifier>, computed: Exact) -> bool {
    // Twice the difference against a whole unit: half a unit may lie beyond what the type can hold.
    let unit = Exact::new(1, stated.scale());
    let twice = stated.checked_sub(computed).and_then(|apart| apart.abs().checked_mul(Exact::TWO));
    let near = twice.is_some_and(|twice| twice <= unit);
    // "Fell by over 90 %" speaks of the size of the change in its direction.
    let same_direction = stated.is_sign_negative() == computed.is_sign_negative();
    let (size, stated_size) = (computed.abs(), stated.abs());
    match qualifier {
        None | Some(AmountQualifier::Exact | AmountQualifier::Rounded | AmountQualifier::About) => near,
        Some(AmountQualifier::Over | AmountQualifier::AtLeast) => same_direction && size >= stated_size,
        Some(AmountQualifier::UpTo | AmountQualifier::Under | AmountQualifier::Nearly) => {
            same_direction && size <= stated_size
        }
    }
}

/// Tells whether two spans begin on the same day of the year and end on the same day of the year.
fn same_calendar_span(one: &TimeSpan, other: &TimeSpan) -> bool {
    let ends = |span: &TimeSpan| Some((span.earliest_start?, span.latest_end?));
    ends(one).zip(ends(other)).is_some_and(|(one, other)| is_same_place(one, other))
}

/// Tells whether two spans, [start, end), have the same place in the calendar: from the same day of a year to the same
/// day of as many years later.
#[must_use]
pub fn is_same_place(one: (Day, Day), other: (Day, Day)) -> bool {
    let place = |(start, end): (Day, Day)| {
        let (start, end) = (start.to_civil()?, end.to_civil()?);
        Some(((start.1, start.2), (end.1, end.2), end.0 - start.0))
    };
    place(one).is_some() && place(one) == place(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Shape;

    fn comparison(
        periods: [&str; 2],
        values: [&str; 2],
        stated: &str,
        qualifier: AmountQualifier,
    ) -> Comparison {
        let span = |edtf| TimeSpan::parse(edtf, "", Some(Shape::Period), Shape::Period).ok();
        let decimal = |text| Decimal::parse(text).ok();
        Comparison {
            base_period: span(periods[0]),
            base_value: decimal(values[0]),
            period: span(periods[1]),
            value: decimal(values[1]),
            measure: Some(Measure::PercentChange),
            stated: decimal(stated),
            qualifier: Some(qualifier),
        }
    }

    fn caveats(comparison: &Comparison) -> Vec<CaveatCode> {
        let mut findings = Findings::default();
        comparison.check(&mut findings);
        findings.take_caveats().into_iter().map(|caveat| caveat.code).collect()
    }

    #[test]
    fn the_articles_change_is_computed_as_published_figures_give_it() {
        let cut =
            comparison(["2022", "2023-01-01/2023-11-29"], ["12658", "922"], "-93", AmountQualifier::Rounded);
        assert_eq!(cut.computed().map(|c| c.to_string()).as_deref(), Some("-92.716"));
        assert_eq!(cut.computed_per_day().map(|c| c.to_string()).as_deref(), Some("-92.016"));
        assert_eq!(caveats(&cut), [CaveatCode::PeriodsDiffer]);
        let full = comparison(["2022", "2023"], ["12658", "924"], "-90", AmountQualifier::Over);
        assert_eq!(full.computed().map(|c| c.to_string()).as_deref(), Some("-92.700"));
        assert_eq!(caveats(&full), []);
    }

    proptest::proptest! {
        #[test]
        fn any_decimals_are_compared_without_a_panic(
            base in "-?[0-9]{1,14}(\\.[0-9]{1,14})?",
            value in "-?[0-9]{1,14}(\\.[0-9]{1,14})?",
            stated in "-?(0\\.[0-9]{26,28}|[0-9]{26,28})",
        ) {
            caveats(&comparison(["2022", "2023"], [&base, &value], &stated, AmountQualifier::Exact));
        }
    }

    #[test]
    fn a_leap_year_is_comparable_with_another_year() {
        let years = comparison(["2023", "2024"], ["100", "50"], "-50", AmountQualifier::Exact);
        assert_eq!(caveats(&years), []);
    }

    #[test]
    fn a_claim_beyond_its_rounding_is_remarked() {
        let wrong = comparison(["2022", "2023"], ["12658", "924"], "-95", AmountQualifier::Rounded);
        assert_eq!(caveats(&wrong), [CaveatCode::ClaimMismatch]);
        let over = comparison(["2022", "2023"], ["12658", "924"], "-93", AmountQualifier::Over);
        assert_eq!(caveats(&over), [CaveatCode::ClaimMismatch]);
    }
}
