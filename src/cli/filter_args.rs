//! Options that say which events.

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::failure::Failure;
use super::json;
use crate::pb::{EventKind, Filter};

/// Which events. Values of one option are alternatives; different options must all hold.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which events")]
pub struct FilterArgs {
    /// Entity id in any role, such as country:GB; may be repeated
    #[arg(long = "entity", value_name = "ID")]
    pub entities: Vec<String>,

    /// Ask for events that name every --entity, not just one of them: "between A and B"
    #[arg(long, requires = "entities")]
    pub all_entities: bool,

    /// Stream, by its whole name; may be repeated
    #[arg(long = "stream", value_name = "NAME")]
    pub streams: Vec<String>,

    /// Beginning of stream names, such as agreement/; may be repeated
    #[arg(long = "stream-prefix", value_name = "PREFIX")]
    pub stream_prefixes: Vec<String>,

    /// Kind of event; may be repeated
    #[arg(long = "kind", value_name = "KIND", value_enum, ignore_case = true)]
    pub kinds: Vec<KindArg>,

    /// Country of entities and places, such as AL; may be repeated
    #[arg(long = "country", value_name = "CODE")]
    pub countries: Vec<String>,

    /// Tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,

    /// Source id; may be repeated
    #[arg(long = "source", value_name = "ID")]
    pub sources: Vec<String>,

    /// Saved timeline, by its id; may be repeated
    #[arg(long = "timeline", value_name = "ID")]
    pub timelines: Vec<String>,

    /// Words that must all be in titles, names, summaries or quotes: taskforce, "a phrase", remov*
    #[arg(long, value_name = "WORDS")]
    pub text: Option<String>,

    /// A whole filter as the API has it, in JSON: '{"participations":[{"entityId":"country:AL","role":"HOST"}]}'.
    /// The other options add to it
    #[arg(long, value_name = "JSON")]
    pub filter_json: Option<String>,
}

/// Kinds of events, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// An act in the life of an agreement
    Agreement,
    /// A movement of money or goods
    #[value(alias = "funding_transfer")]
    FundingTransfer,
    /// A visit
    Visit,
    /// A release of statistics
    #[value(alias = "statistical_release")]
    StatisticalRelease,
    /// A public statement
    Statement,
    /// Any other kind
    Custom,
}

impl From<KindArg> for EventKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Agreement => Self::Agreement,
            KindArg::FundingTransfer => Self::FundingTransfer,
            KindArg::Visit => Self::Visit,
            KindArg::StatisticalRelease => Self::StatisticalRelease,
            KindArg::Statement => Self::Statement,
            KindArg::Custom => Self::Custom,
        }
    }
}

impl FilterArgs {
    /// Makes the filter; `None` when nothing was asked.
    ///
    /// # Errors
    /// [`Failure`] when `--filter-json` is not a filter.
    pub fn filter(&self) -> Result<Option<Filter>, Failure> {
        let mut filter = match &self.filter_json {
            Some(text) => parse_json(text)?,
            None => Filter::default(),
        };
        let entities = if self.all_entities { &mut filter.all_entity_ids } else { &mut filter.entity_ids };
        entities.extend_from_slice(&self.entities);
        filter.streams.extend_from_slice(&self.streams);
        filter.stream_prefixes.extend_from_slice(&self.stream_prefixes);
        filter.kinds.extend(self.kinds.iter().map(|kind| i32::from(EventKind::from(*kind))));
        filter.countries.extend_from_slice(&self.countries);
        filter.tags.extend_from_slice(&self.tags);
        filter.source_ids.extend_from_slice(&self.sources);
        filter.timelines.extend_from_slice(&self.timelines);
        if let Some(text) = &self.text {
            filter.text.clone_from(text);
        }
        Ok((filter != Filter::default()).then_some(filter))
    }
}

/// Reads a filter from JSON.
///
/// # Errors
/// [`Failure`] when it is none.
pub fn parse_json(text: &str) -> Result<Filter, Failure> {
    json::parse(text.as_bytes()).map_err(|error| {
        Failure::new(Exit::Usage, format!("--filter-json is not a filter: {error}"))
            .hint("`grpcurl -plaintext HOST:PORT describe annals.v1.Filter` shows its fields")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: FilterArgs,
    }

    fn filter(line: &[&str]) -> Option<Filter> {
        let words = std::iter::once(&"annals").chain(line);
        Line::try_parse_from(words).unwrap().filter.filter().unwrap()
    }

    #[test]
    fn options_become_a_filter() {
        assert_eq!(filter(&[]), None);
        let made =
            filter(&["--entity", "country:GB", "--entity", "country:AL", "--kind", "funding-transfer"]);
        let expected = Filter {
            entity_ids: vec!["country:GB".to_owned(), "country:AL".to_owned()],
            kinds: vec![EventKind::FundingTransfer.into()],
            ..Filter::default()
        };
        assert_eq!(made, Some(expected));
        let both = filter(&["--entity", "country:GB", "--all-entities", "--tag", "migration"]).unwrap();
        assert_eq!(
            (both.all_entity_ids, both.tags),
            (vec!["country:GB".to_owned()], vec!["migration".to_owned()])
        );
        assert!(both.entity_ids.is_empty());
    }

    #[test]
    fn saved_timelines_and_words_are_part_of_the_filter() {
        let made = filter(&["--timeline", "gb-al", "--timeline", "migration", "--text", "joint taskforce"]);
        let expected = Filter {
            timelines: vec!["gb-al".to_owned(), "migration".to_owned()],
            text: "joint taskforce".to_owned(),
            ..Filter::default()
        };
        assert_eq!(made, Some(expected));
    }

    #[test]
    fn json_and_options_add_up() {
        let made =
            filter(&["--filter-json", r#"{"tags":["a"],"not":{"kinds":["VISIT"]}}"#, "--tag", "b"]).unwrap();
        assert_eq!(made.tags, ["a", "b"]);
        assert_eq!(made.not.unwrap().kinds, [i32::from(EventKind::Visit)]);
    }

    #[test]
    fn a_wrong_filter_is_a_usage_error() {
        let failure = parse_json(r#"{"tag":["a"]}"#).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains("unrecognized field name 'tag'"), "{failure}");
    }
}
