//! What holds for every EDTF text.

use proptest::prelude::*;

use super::*;

fn year() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (1990..2040_i32).prop_map(|year| year.to_string()),
        1 => (-9999..=-1_i32).prop_map(|year| format!("-{:04}", -year)),
        1 => (0..=9998_i32).prop_map(|year| format!("{year:04}")),
    ]
}

fn date() -> impl Strategy<Value = String> {
    let month = || 1..=12_i32;
    let plain = prop_oneof![
        year(),
        (year(), month()).prop_map(|(y, m)| format!("{y}-{m:02}")),
        (year(), month(), 1..=28_i32).prop_map(|(y, m, d)| format!("{y}-{m:02}-{d:02}")),
        (year(), 21..=24_i32).prop_map(|(y, s)| format!("{y}-{s}")),
        (year(), 33..=36_i32).prop_map(|(y, q)| format!("{y}-{q}")),
        (-999..=999_i32).prop_map(|d| {
            let sign = if d < 0 { "-" } else { "" };
            format!("{sign}{:03}X", d.abs())
        }),
        (0..=99_i32).prop_map(|c| format!("{c:02}XX")),
        year().prop_map(|y| format!("{y}-XX")),
        year().prop_map(|y| format!("{y}-XX-XX")),
        (year(), month()).prop_map(|(y, m)| format!("{y}-{m:02}-XX")),
    ];
    (plain, prop::sample::select(vec!["", "", "", "?", "~", "%"])).prop_map(|(d, q)| d + q)
}

/// Mostly valid; intervals and ranges may be out of order.
fn text() -> impl Strategy<Value = String> {
    let end = || prop_oneof![6 => date(), 1 => Just(String::new()), 1 => Just("..".to_owned())];
    let member = || {
        prop_oneof![
            3 => date(),
            1 => (date(), date()).prop_map(|(a, b)| format!("{a}..{b}")),
        ]
    };
    let dots = || prop::sample::select(vec!["", "", ".."]);
    prop_oneof![
        date(),
        (end(), end()).prop_map(|(a, b)| format!("{a}/{b}")),
        (dots(), prop::collection::vec(member(), 1..4), dots())
            .prop_map(|(a, members, b)| format!("[{a}{}{b}]", members.join(","))),
    ]
}

fn shape() -> impl Strategy<Value = Shape> {
    prop::sample::select(vec![Shape::Instant, Shape::Period, Shape::Ongoing])
}

fn window_end() -> impl Strategy<Value = Option<Day>> {
    prop::option::of((7_000..26_000_i32).prop_map(Day::from_number))
}

fn in_order<T: PartialOrd>(first: Option<T>, second: Option<T>) -> bool {
    first.zip(second).is_none_or(|(first, second)| first <= second)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_single_date_is_read(date in date(), shape in shape()) {
        prop_assert!(TimeSpan::parse(&date, "", Some(shape), shape).is_ok());
    }

    #[test]
    fn bounds_are_in_order(text in text(), shape in shape()) {
        let Ok(span) = TimeSpan::parse(&text, "", Some(shape), shape) else {
            return Ok(());
        };
        prop_assert!(in_order(span.earliest_start, span.latest_start));
        prop_assert!(in_order(span.earliest_end, span.latest_end));
        let day_later = span.earliest_start.map(|day| day.plus_days(1));
        prop_assert!(in_order(day_later, span.earliest_end));
        prop_assert!(in_order(span.latest_start.map(|day| day.plus_days(1)), span.latest_end));
        let limit = Day::from_civil(9999, 12, 31).map(|day| day.plus_days(1));
        prop_assert!(in_order(span.latest_end, limit));
    }

    #[test]
    fn what_must_may(text in text(), shape in shape(), from in window_end(), to in window_end()) {
        let Ok(span) = TimeSpan::parse(&text, "", Some(shape), shape) else {
            return Ok(());
        };
        if span.must_lie_within(from, to) {
            prop_assert!(span.may_overlap(from, to));
        }
        let window = (span.earliest_start, span.latest_end);
        prop_assert!(span.may_overlap(window.0, window.1));
        prop_assert_eq!(
            span.must_lie_within(window.0, window.1),
            !span.approximate && !span.uncertain
        );
    }

    #[test]
    fn two_days_in_order_are_an_interval(a in -4_371_587..=2_932_896_i32, b in -4_371_587..=2_932_896_i32) {
        let text = format!("{}/{}", Day::from_number(a), Day::from_number(b));
        match TimeSpan::parse(&text, "", None, Shape::Instant) {
            Ok(span) => prop_assert_eq!(span.length_days(), Some(b - a + 1)),
            Err(_) => prop_assert!(b < a),
        }
    }

    #[test]
    fn any_text_is_read_or_refused_within_itself(text in "[-0-9X/.,\\[\\]?~%TZ:+Y{}é]{0,24}") {
        if let Err(errors) = TimeSpan::parse(&text, "", None, Shape::Period) {
            for error in errors.0 {
                let TimeSpanError::Edtf { offset, .. } = error else {
                    return Err(TestCaseError::fail("the zone is right"));
                };
                prop_assert!(text.is_char_boundary(offset), "{} in {}", offset, text);
            }
        }
    }
}
