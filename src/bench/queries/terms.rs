//! Terms that many events have, few, or about a million.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::pb::Event;

/// Matches of the count that has a mark.
const MILLION: f64 = 1e6;
/// A rare term is in at most one event of so many.
const RARE: usize = 1_000;

/// Terms by how many of the original events have them.
#[derive(Debug, Default)]
pub struct Terms {
    entities: BTreeMap<String, usize>,
    words: BTreeMap<String, usize>,
    /// Tags and first parts of stream names, as filters.
    others: BTreeMap<String, (Value, usize)>,
    events: usize,
}

impl Terms {
    /// Counts the terms of events.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let mut terms = Self { events: events.len(), ..Self::default() };
        for event in events {
            let entities = event.participants.iter().filter_map(|participant| participant.entity.as_ref());
            for id in entities.map(|entity| entity.id.as_str()).collect::<BTreeSet<_>>() {
                if !id.is_empty() {
                    *terms.entities.entry(id.to_owned()).or_default() += 1;
                }
            }
            for word in words(&event.title).collect::<BTreeSet<_>>() {
                *terms.words.entry(word).or_default() += 1;
            }
            for tag in event.tags.iter().collect::<BTreeSet<_>>() {
                terms.add_other(&format!("tag {tag}"), json!({"tags": [tag]}));
            }
            if let Some((first, _)) = event.stream.split_once('/') {
                terms.add_other(&format!("stream {first}"), json!({"streamPrefixes": [format!("{first}/")]}));
            }
        }
        terms
    }

    fn add_other(&mut self, name: &str, filter: Value) {
        self.others.entry(name.to_owned()).or_insert((filter, 0)).1 += 1;
    }

    /// Gives the entity that most events have.
    #[must_use]
    pub fn common_entity(&self) -> Option<&str> {
        common(&self.entities)
    }

    /// Gives an entity that few events have.
    #[must_use]
    pub fn rare_entity(&self) -> Option<&str> {
        self.rare(&self.entities)
    }

    /// Gives the word that is in most titles.
    #[must_use]
    pub fn common_word(&self) -> Option<&str> {
        common(&self.words)
    }

    /// Gives a word that is in few titles.
    #[must_use]
    pub fn rare_word(&self) -> Option<&str> {
        self.rare(&self.words)
    }

    /// Gives the filter by one term that about a million events of so many copies have, or as near as there is one.
    #[must_use]
    pub fn about_a_million(&self, copies: usize) -> Option<Value> {
        let entities = self.entities.iter().map(|(id, count)| (json!({"entityIds": [id]}), *count));
        let others = self.others.values().cloned();
        let distance = |count: usize| ((count * copies).max(1) as f64 / MILLION).ln().abs();
        let nearest =
            entities.chain(others).min_by(|(_, one), (_, other)| distance(*one).total_cmp(&distance(*other)));
        nearest.map(|(filter, _)| filter)
    }

    /// Gives the most frequent of the rare: the rarest of all may be a slip of the pen.
    fn rare<'a>(&self, counts: &'a BTreeMap<String, usize>) -> Option<&'a str> {
        let most = (self.events / RARE).max(1);
        let rare = counts.iter().filter(|(_, count)| **count <= most);
        rare.max_by_key(|(_, count)| **count).map(|(term, _)| term.as_str())
    }
}

fn common(counts: &BTreeMap<String, usize>) -> Option<&str> {
    counts.iter().max_by_key(|(_, count)| **count).map(|(term, _)| term.as_str())
}

/// Gives the words of a title that are worth asking for.
pub fn words(title: &str) -> impl Iterator<Item = String> {
    let words = title.split(' ').filter(|word| word.len() > 4 && word.chars().all(char::is_alphabetic));
    words.map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{EntityRef, Participant};

    #[test]
    fn terms_are_told_apart_by_how_many_have_them() {
        let event = |entity: &str, title: &str, tag: &str| Event {
            title: title.to_owned(),
            stream: "a/b".to_owned(),
            tags: vec![tag.to_owned()],
            participants: vec![Participant {
                entity: Some(EntityRef { id: entity.to_owned(), ..EntityRef::default() }),
                ..Participant::default()
            }],
            ..Event::default()
        };
        let mut events = vec![event("many", "Treaty treaty of London", "t"); 99];
        events.push(event("few", "Treaty on Whales, whales", "u"));
        let terms = Terms::of(&events);
        assert_eq!((terms.common_entity(), terms.rare_entity()), (Some("many"), Some("few")));
        assert_eq!((terms.common_word(), terms.rare_word()), (Some("treaty"), Some("whales")));
        assert_eq!(terms.about_a_million(10_000), Some(json!({"streamPrefixes": ["a/"]})));
        assert_eq!(terms.about_a_million(900_000), Some(json!({"entityIds": ["few"]})));
        assert_eq!(Terms::of(&[]).about_a_million(1), None);
    }
}
