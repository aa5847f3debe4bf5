//! Tables and lines for people.

use comfy_table::{ContentArrangement, Table, presets};

use super::failure::Failure;
use super::output;
use crate::pb::entry::Status;
use crate::pb::event::Payload;
use crate::pb::google::r#type::Date;
use crate::pb::{EntityRef, Event, Source};

/// Begins a table with its header. On a terminal it fits the width; elsewhere each row is one line.
#[must_use]
pub fn new(header: &[&str]) -> Table {
    let mut table = Table::new();
    if output::is_terminal() {
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    } else {
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(header);
    table
}

/// Gives the valid time as it was written.
#[must_use]
pub fn valid_time(event: &Event) -> String {
    let written = event.valid_time.as_ref().map_or("", |time| time.edtf.as_str());
    output::plain(written).into_owned()
}

/// Gives the kind in words; for a custom payload its type.
#[must_use]
pub fn kind(event: &Event) -> String {
    let kind = match &event.payload {
        None => "",
        Some(Payload::Agreement(_)) => "agreement",
        Some(Payload::FundingTransfer(_)) => "funding transfer",
        Some(Payload::Visit(_)) => "visit",
        Some(Payload::StatisticalRelease(_)) => "statistical release",
        Some(Payload::Statement(_)) => "statement",
        Some(Payload::Custom(custom)) => custom.r#type.as_str(),
    };
    output::plain(kind).into_owned()
}

/// Gives the first source, by its publisher if it has one, and how many more there are.
#[must_use]
pub fn source(event: &Event) -> String {
    let Some((first, others)) = event.sources.split_first() else { return String::new() };
    let name = output::plain(source_name(first)).into_owned();
    if others.is_empty() { name } else { format!("{name} +{}", others.len()) }
}

fn source_name(source: &Source) -> &str {
    let publisher = source.publisher.iter().flat_map(|publisher| [&publisher.name, &publisher.id]);
    let mut names = publisher.chain([&source.id, &source.title]);
    names.find(|name| !name.is_empty()).map_or("", String::as_str)
}

/// Gives a status in words.
#[must_use]
pub const fn status(status: Status) -> &'static str {
    match status {
        Status::Unspecified => "",
        Status::Current => "current",
        Status::Corrected => "corrected",
        Status::Superseded => "superseded",
        Status::Retracted => "retracted",
        Status::Duplicate => "duplicate",
        Status::Retraction => "retraction",
    }
}

/// Turns a name of the API into words.
#[must_use]
pub fn words(name: &str) -> String {
    name.to_lowercase().replace('_', " ")
}

/// Finds the value of an enum of the API by its name in words or with hyphens: `in-force`.
///
/// # Errors
/// A sentence, when there is none of that name.
pub fn value_named<T>(text: &str, find: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let name = text.to_uppercase().replace(['-', ' '], "_");
    let known = find(&name).filter(|_| !name.ends_with("UNSPECIFIED"));
    known.ok_or_else(|| "is not one of the values; write it like in-force or under-way".to_owned())
}

/// Writes a day.
#[must_use]
pub fn day(date: Option<&Date>) -> String {
    let written = |date: &Date| {
        let sign = if date.year < 0 { "-" } else { "" };
        format!("{sign}{:04}-{:02}-{:02}", date.year.unsigned_abs(), date.month, date.day)
    };
    date.map_or_else(String::new, written)
}

/// Gives the name of an entity, or its id where it has none.
#[must_use]
pub fn entity(entity: Option<&EntityRef>) -> String {
    let name = entity.map_or("", |entity| if entity.name.is_empty() { &entity.id } else { &entity.name });
    output::plain(name).into_owned()
}

/// Writes what is known of something, one fact a line; facts without a value are left out.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub fn facts(facts: &[(&str, String)]) -> Result<(), Failure> {
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        output::line(format!("{name}: {}", output::plain(value)))?;
    }
    Ok(())
}

/// Shows a table between empty lines; nothing where it has no rows.
///
/// # Errors
/// [`Failure`] when it cannot be written.
pub fn below(shown: &Table) -> Result<(), Failure> {
    if shown.row_count() == 0 {
        return Ok(());
    }
    output::line(format!("\n{}\n", shown.trim_fmt()))
}

/// Gives a number with its noun: `1 entry`, `2 entries`.
#[must_use]
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{CustomPayload, TimeSpan};

    fn named(id: &str, publisher: Option<(&str, &str)>) -> Source {
        let publisher = publisher.map(|(id, name)| EntityRef {
            id: id.to_owned(),
            name: name.to_owned(),
            ..EntityRef::default()
        });
        Source { id: id.to_owned(), publisher, ..Source::default() }
    }

    #[test]
    fn sources() {
        fn check(sources: Vec<Source>, expected: &str) {
            assert_eq!(source(&Event { sources, ..Event::default() }), expected);
        }
        check(vec![], "");
        check(vec![named("source:a", None)], "source:a");
        check(vec![named("source:a", Some(("org:b", "")))], "org:b");
        check(vec![named("source:a", Some(("org:b", "B"))), named("source:c", None)], "B +1");
    }

    #[test]
    fn cells_hold_no_control_characters() {
        let payload =
            Payload::Custom(CustomPayload { r#type: "a\u{7}".to_owned(), ..CustomPayload::default() });
        let valid_time = TimeSpan { edtf: "2022\u{1b}".to_owned(), ..TimeSpan::default() };
        let event = Event { payload: Some(payload), valid_time: Some(valid_time), ..Event::default() };
        assert_eq!(kind(&event), "a\u{FFFD}");
        assert_eq!(super::valid_time(&event), "2022\u{FFFD}");
    }

    #[test]
    fn days_and_names_of_the_api() {
        let date = |year, month, day| Date { year, month, day };
        assert_eq!(day(Some(&date(2024, 5, 22))), "2024-05-22");
        assert_eq!((day(Some(&date(-44, 3, 15))), day(None)), ("-0044-03-15".to_owned(), String::new()));
        let find = |name: &str| (name == "IN_FORCE" || name == "STATUS_UNSPECIFIED").then_some(());
        assert_eq!(value_named("in-force", find), Ok(()));
        assert!(value_named("status-unspecified", find).is_err() && value_named("", find).is_err());
        assert_eq!(words("IN_FORCE"), "in force");
    }

    #[test]
    fn nouns() {
        assert_eq!(count(0, "entry", "entries"), "0 entries");
        assert_eq!(count(1, "entry", "entries"), "1 entry");
    }
}
