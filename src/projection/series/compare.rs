//! Two periods compared, as asked and in every other way that the series offer.

use super::book::Book;
use super::period::{PeriodAsked, Span, Valued};
use super::variant::{Side, Stated, cut, extended, joined, reasons, unknown, variant};
use crate::pb::PeriodComparison;
use crate::pb::period_comparison::{Basis, Reason, Variant, Verdict};

/// Which periods.
#[derive(Clone, Debug)]
pub struct CompareAsked {
    /// The period compared with.
    pub base: Span,
    /// The period compared.
    pub period: Span,
    /// Whether what is not known counts as zero.
    pub absent_is_zero: bool,
    /// What is stated.
    pub stated: Stated,
}

/// One side as it is being compared.
struct Half<'a> {
    side: Side<'a>,
    span: &'a Span,
    valued: Valued,
    absent_is_zero: bool,
}

impl Half<'_> {
    fn at(&self, span: &Span, first_published: bool) -> Valued {
        let absent_is_zero = self.absent_is_zero;
        self.side.value(&PeriodAsked { span: span.clone(), absent_is_zero, first_published })
    }
}

/// Compares two periods.
#[must_use]
pub fn compare(base: Side<'_>, side: Side<'_>, asked: &CompareAsked) -> PeriodComparison {
    let half = |side: Side<'_>, span: &Span| {
        let absent_is_zero = asked.absent_is_zero;
        let of = PeriodAsked { span: span.clone(), absent_is_zero, first_published: false };
        // As asked means of the series asked for: only another way may look elsewhere.
        super::period_value(side.own, &of)
    };
    let (base_valued, valued) = (half(base, &asked.base), half(side, &asked.period));
    let books: Vec<&Book> =
        [Some(base.own), Some(side.own), base.other, side.other].into_iter().flatten().collect();
    let absent_is_zero = asked.absent_is_zero;
    let base = Half { side: base, span: &asked.base, valued: base_valued, absent_is_zero };
    let value = Half { side, span: &asked.period, valued, absent_is_zero };
    let reasons = reasons((base.span, &base.valued), (value.span, &value.valued), &books);
    let variants = Ways { base: &base, value: &value, books: &books, stated: asked.stated }.all(&reasons);
    let verdicts: Vec<Verdict> = variants.iter().map(Variant::verdict).collect();
    let verdict = if variants.is_empty() { unknown(asked.stated) } else { joined(&verdicts) };
    PeriodComparison {
        variants,
        comparable: reasons.is_empty(),
        reasons: reasons.into_iter().map(i32::from).collect(),
        verdict: verdict.into(),
        base: Some(base.valued.wire),
        value: Some(value.valued.wire),
    }
}

/// The ways to compare two halves.
struct Ways<'a> {
    base: &'a Half<'a>,
    value: &'a Half<'a>,
    books: &'a [&'a Book],
    stated: Stated,
}

impl Ways<'_> {
    fn all(&self, reasons: &[Reason]) -> Vec<Variant> {
        let (base, value) = ((self.base.span, &self.base.valued), (self.value.span, &self.value.valued));
        let mut found = Vec::new();
        found.extend(self.way(Basis::AsAsked, base, value));
        if base.0.days() != value.0.days() {
            // Days make up for the length, and for nothing else.
            let comparable = reasons.iter().all(|reason| *reason == Reason::DifferentLength);
            let way = self.way(Basis::PerDay, base, value);
            found.extend(way.map(|way| Variant { comparable, ..way }));
        }
        let full = reasons.contains(&Reason::DifferentLength).then(|| self.full_period()).flatten();
        if let Some((base, value)) = &full {
            found.extend(self.way(Basis::FullPeriod, (&base.0, &base.1), (&value.0, &value.1)));
        }
        if reasons.contains(&Reason::DifferentLength)
            && let Some((base, value)) = self.same_span()
        {
            found.extend(self.way(Basis::SameSpan, (&base.0, &base.1), (&value.0, &value.1)));
        }
        found.extend(self.first_published(Basis::FirstPublishedBase, base, value));
        if let Some((base, value)) = &full {
            let (base, value) = ((&base.0, &base.1), (&value.0, &value.1));
            found.extend(self.first_published(Basis::FullPeriodFirstPublishedBase, base, value));
        }
        found
    }

    fn way(&self, basis: Basis, base: (&Span, &Valued), value: (&Span, &Valued)) -> Option<Variant> {
        let (first, second) = (base.1.amount?, value.1.amount?);
        let reasons = reasons(base, value, self.books);
        // A change from one unit to another is no number.
        let is_change = !reasons.contains(&Reason::DifferentUnit);
        let comparable = reasons.is_empty();
        is_change.then(|| variant(basis, (base.0, first), (value.0, second), self.stated, comparable))
    }

    /// Extends the shorter half to the calendar span of the longer.
    fn full_period(&self) -> Option<((Span, Valued), (Span, Valued))> {
        let (base, value) = (self.base, self.value);
        if base.span.days() < value.span.days() {
            let span = extended(base.span, value.span)?;
            let valued = base.at(&span, false);
            Some(((span, valued), (value.span.clone(), value.valued.clone())))
        } else {
            let span = extended(value.span, base.span)?;
            let valued = value.at(&span, false);
            Some(((base.span.clone(), base.valued.clone()), (span, valued)))
        }
    }

    /// Cuts the longer half to the calendar span of the shorter.
    fn same_span(&self) -> Option<((Span, Valued), (Span, Valued))> {
        let (base, value) = (self.base, self.value);
        if base.span.days() < value.span.days() {
            let span = cut(value.span, base.span)?;
            let valued = value.at(&span, false);
            Some(((base.span.clone(), base.valued.clone()), (span, valued)))
        } else {
            let span = cut(base.span, value.span)?;
            let valued = base.at(&span, false);
            Some(((span, valued), (value.span.clone(), value.valued.clone())))
        }
    }

    /// Puts the base as it was first published in its place, where that is another value.
    fn first_published(
        &self,
        basis: Basis,
        base: (&Span, &Valued),
        value: (&Span, &Valued),
    ) -> Option<Variant> {
        let first = self.base.at(base.0, true);
        if first.amount?.equals(base.1.amount?) {
            return None;
        }
        self.way(basis, (base.0, &first), value)
    }
}
