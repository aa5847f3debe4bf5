//! What transfers are grouped by, and how its values are found on the index.

use std::collections::HashMap;

use crate::domain::{Bounds, CalendarUnit, Day, Role, TermField};
use crate::index::Part;
use crate::pb;

/// A property of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Terms of a field.
    Field(TermField),
    /// Entities in a role.
    Role(Role),
    /// Number of the modality, written as its name.
    Modality,
    /// Stage.
    Stage,
    /// Currency.
    Currency,
    /// Unit of time that certainly holds the first day.
    Period(CalendarUnit),
}

impl Dimension {
    /// Gives the dimension with a number on the wire.
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Role(Role::Provider),
            2 => Self::Role(Role::Receiver),
            3 => Self::Stage,
            4 => Self::Currency,
            5 => Self::Period(CalendarUnit::Year),
            6 => Self::Period(CalendarUnit::Quarter),
            7 => Self::Period(CalendarUnit::Month),
            8 => Self::Field(TermField::FlowType),
            9 => Self::Field(TermField::FinanceType),
            10 => Self::Field(TermField::AidType),
            11 => Self::Field(TermField::Sector),
            12 => Self::Field(TermField::RecipientCountry),
            13 => Self::Field(TermField::Stream),
            14 => Self::Field(TermField::TiedStatus),
            15 => Self::Field(TermField::DisbursementChannel),
            16 => Self::Modality,
            17 => Self::Field(TermField::CommitmentEvent),
            _ => return None,
        })
    }
}

/// Sets of values, each with a number; 0 is the empty set.
#[derive(Debug)]
pub struct ValueSets {
    texts: Vec<String>,
    text_numbers: HashMap<String, u32>,
    /// Numbers of texts, in the order of texts.
    sets: Vec<Vec<u32>>,
    set_numbers: HashMap<Vec<u32>, u32>,
    /// Set and text to the set of both.
    joined: HashMap<(u32, u32), u32>,
}

impl Default for ValueSets {
    fn default() -> Self {
        Self {
            texts: Vec::new(),
            text_numbers: HashMap::new(),
            sets: vec![Vec::new()],
            set_numbers: HashMap::from([(Vec::new(), 0)]),
            joined: HashMap::new(),
        }
    }
}

fn number_of(len: usize) -> u32 {
    // There are at most as many as transfers in the log have values, and those are held in memory.
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl ValueSets {
    fn text(&self, number: u32) -> &str {
        self.texts.get(place(number)).map_or("", String::as_str)
    }

    /// Gives the values of a set, sorted.
    #[must_use]
    pub fn values(&self, set: u32) -> Vec<String> {
        let texts = self.sets.get(place(set)).map_or(&[][..], Vec::as_slice);
        texts.iter().map(|text| self.text(*text).to_owned()).collect()
    }

    fn text_number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.text_numbers.get(text) {
            return *number;
        }
        let number = number_of(self.texts.len());
        self.texts.push(text.to_owned());
        self.text_numbers.insert(text.to_owned(), number);
        number
    }

    /// Gives the set with one more text.
    fn with(&mut self, set: u32, text: u32) -> u32 {
        if let Some(joined) = self.joined.get(&(set, text)) {
            return *joined;
        }
        let mut texts = self.sets.get(place(set)).cloned().unwrap_or_default();
        if let Err(at) = texts.binary_search_by(|held| self.text(*held).cmp(self.text(text))) {
            texts.insert(at, text);
        }
        let next = number_of(self.sets.len());
        let joined = *self.set_numbers.entry(texts.clone()).or_insert(next);
        if joined == next {
            self.sets.push(texts);
        }
        self.joined.insert((set, text), joined);
        joined
    }

    fn single(&mut self, text: &str) -> u32 {
        let text = self.text_number(text);
        self.with(0, text)
    }

    /// Gives the number of the set of each slot of a part.
    #[must_use]
    pub fn of_part(&mut self, dimension: Dimension, part: &dyn Part) -> Vec<u32> {
        match dimension {
            Dimension::Field(field) => self.of_terms(part, &[field.number()], |value| value),
            Dimension::Role(role) => {
                let prefix = TermField::Participation.term(&format!("{}:", role.number()));
                self.of_terms(part, &prefix, |value| value)
            }
            Dimension::Modality => self.of_terms(part, &[TermField::Modality.number()], |value| {
                let number: i32 = value.parse().unwrap_or_default();
                pb::Modality::try_from(number).map_or("", |modality| modality.as_str_name())
            }),
            Dimension::Stage => self.of_amounts(part, |row| {
                let stage = pb::funding_transfer::Stage::try_from(i32::from(row.stage));
                stage.map_or_else(|_| row.stage.to_string(), |stage| stage.as_str_name().to_owned())
            }),
            Dimension::Currency => {
                self.of_amounts(part, |row| String::from_utf8_lossy(&row.currency).into_owned())
            }
            Dimension::Period(unit) => self.of_days(part, unit),
        }
    }

    fn of_terms(&mut self, part: &dyn Part, prefix: &[u8], written: impl Fn(&str) -> &str) -> Vec<u32> {
        let mut sets = vec![0; place(part.len())];
        part.for_each_term(prefix, &mut |term, slots| {
            let value = String::from_utf8_lossy(term.get(prefix.len()..).unwrap_or_default());
            let text = self.text_number(written(&value));
            for slot in slots {
                if let Some(set) = sets.get_mut(place(slot)) {
                    *set = self.with(*set, text);
                }
            }
        });
        sets
    }

    fn of_amounts(
        &mut self,
        part: &dyn Part,
        written: impl Fn(&crate::index::AmountRow) -> String,
    ) -> Vec<u32> {
        let mut sets = vec![0; place(part.len())];
        let mut known: HashMap<(u8, [u8; 3]), u32> = HashMap::new();
        for row in part.amounts().iter() {
            let single =
                *known.entry((row.stage, row.currency)).or_insert_with(|| self.single(&written(&row)));
            if let Some(set) = sets.get_mut(usize::from(row.slot)) {
                *set = single;
            }
        }
        sets
    }

    fn of_days(&mut self, part: &dyn Part, unit: CalendarUnit) -> Vec<u32> {
        let columns = part.columns();
        let mut known: HashMap<(i32, i32), u32> = HashMap::new();
        let days = (0..columns.len()).map(|slot| columns.bounds(u16::try_from(slot).ok()?));
        let sets = days.map(|days| {
            let Some(Bounds { earliest_start: earliest, latest_start: latest, .. }) = days else { return 0 };
            *known
                .entry((earliest, latest))
                .or_insert_with(|| period(earliest, latest, unit).map_or(0, |period| self.single(&period)))
        });
        sets.collect()
    }
}

/// Names the unit that holds both days, if one does.
fn period(earliest: i32, latest: i32, unit: CalendarUnit) -> Option<String> {
    if earliest == Bounds::OPEN_START || latest == Bounds::OPEN_END {
        return None;
    }
    let start = unit.start_of(Day::from_number(earliest));
    if start != unit.start_of(Day::from_number(latest)) {
        return None;
    }
    let (_, month, _) = start.to_civil()?;
    let day = start.to_string();
    let (year_and_month, _) = day.rsplit_once('-')?;
    let (year, _) = year_and_month.rsplit_once('-')?;
    Some(match unit {
        CalendarUnit::Year => year.to_owned(),
        CalendarUnit::Quarter => format!("{year}-Q{}", (month - 1) / 3 + 1),
        CalendarUnit::Month => year_and_month.to_owned(),
        CalendarUnit::Day | CalendarUnit::Week | CalendarUnit::Decade => day,
    })
}
