//! Figures of a store, each with the mark that it should reach.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};

const MIB: f64 = 1_024.0 * 1_024.0;

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Events a second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Bytes an event.
    BytesAnEvent,
    /// One figure divided by another.
    Ratio,
    /// Things.
    Count,
}

impl Unit {
    /// Gives the unit in which [`Figure::value`] stands, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::PerSecond => "1/s",
            Self::Bytes => "B",
            Self::BytesAnEvent => "B/event",
            Self::Ratio => "ratio",
            Self::Count => "count",
        }
    }

    fn write(self, value: f64) -> String {
        match self {
            Self::Seconds => format!("{value:.3} s"),
            Self::Milliseconds => format!("{value:.2} ms"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Bytes => format!("{:.1} MiB", value / MIB),
            Self::BytesAnEvent => format!("{value:.1} B/event"),
            Self::Ratio => format!("{value:.2}"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Mark {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// A figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Of what.
    pub name: String,
    /// Nothing where this run could not find it: the server is no process of its own, or the system does not say.
    pub value: Option<f64>,
    /// In what.
    pub unit: Unit,
    /// What it should be.
    pub mark: Option<Mark>,
}

/// A list of figures.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<Figure>);

impl Figures {
    /// Adds a figure.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Option<f64>>, unit: Unit) {
        self.0.push(Figure { name: name.into(), value: value.into(), unit, mark: None });
    }

    /// Adds a figure that has a mark.
    pub fn marked(&mut self, name: &str, value: impl Into<Option<f64>>, unit: Unit, mark: Mark) {
        self.0.push(Figure { name: name.to_owned(), value: value.into(), unit, mark: Some(mark) });
    }

    /// Gives a figure by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Figure> {
        self.0.iter().find(|figure| figure.name == name)
    }

    /// Writes a table for people.
    #[must_use]
    pub fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(["figure", "value", "mark", ""]);
        for figure in &self.0 {
            let value = figure.value.map_or_else(|| "–".to_owned(), |value| figure.unit.write(value));
            let mark = match figure.mark {
                Some(Mark::AtMost(most)) => format!("≤ {}", figure.unit.write(most)),
                Some(Mark::AtLeast(least)) => format!("≥ {}", figure.unit.write(least)),
                None => String::new(),
            };
            let met = match figure.met() {
                Some(true) => "met",
                Some(false) => "missed",
                None => "",
            };
            table.add_row([figure.name.clone(), value, mark, met.to_owned()]);
        }
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    /// Writes everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let figures = self.0.iter().map(|figure| {
            let mark = figure.mark.map(|mark| match mark {
                Mark::AtMost(most) => json!({"atMost": most}),
                Mark::AtLeast(least) => json!({"atLeast": least}),
            });
            json!({
                "figure": figure.name, "value": figure.value, "unit": figure.unit.name(), "mark": mark,
                "met": figure.met(),
            })
        });
        figures.collect()
    }
}

impl Figure {
    /// Tells whether the mark is reached; nothing without a mark or without a value.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        Some(self.mark?.is_met(self.value?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_met_or_missed_and_what_is_not_known_is_neither() {
        let mut figures = Figures::default();
        figures.marked("a", 1.3, Unit::Ratio, Mark::AtMost(1.3));
        figures.marked("b", 1.3, Unit::Ratio, Mark::AtLeast(1.4));
        figures.marked("c", None, Unit::Bytes, Mark::AtMost(1.0));
        figures.add("d", 1_048_576.0, Unit::Bytes);
        let met: Vec<_> = ["a", "b", "c", "d"].map(|name| figures.get(name).unwrap().met()).to_vec();
        assert_eq!(met, [Some(true), Some(false), None, None]);
        let table = figures.table().to_string();
        assert!(table.contains("1.0 MiB") && table.contains("≥ 1.40") && table.contains('–'), "{table}");
        let json = figures.json();
        assert_eq!(
            json[0],
            json!({"figure": "a", "value": 1.3, "unit": "ratio", "mark": {"atMost": 1.3}, "met": true})
        );
        assert_eq!(json[2]["value"], Value::Null);
    }
}
