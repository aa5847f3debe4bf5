//! Full-text search of the model: the words of every event, gathered anew for every question.
//!
//! What a word is, and how a question is read, is defined by `search::analysis` and `search::query`, which have tests of
//! their own; here they are trusted.

use std::collections::BTreeMap;

use annals::domain::Position;
use annals::pb;
use annals::pb::event::Payload;
use annals::search::TextQuery;
use annals::search::analysis::tokens;

use super::Model;

/// The texts of an event with what a word in them counts.
fn texts(event: &pb::Event) -> Vec<(u32, Vec<String>)> {
    let (mut titles, mut names) = (vec![event.title.clone()], Vec::new());
    let (mut summaries, mut quotes) = (vec![event.summary.clone()], Vec::new());
    people(&event.participants, &mut names);
    names.extend(event.places.iter().map(|place| place.name.clone()));
    for source in &event.sources {
        names.push(source.title.clone());
        names.extend(source.publisher.iter().map(|publisher| publisher.name.clone()));
        names.extend(source.authors.clone());
        quotes.extend(source.quote.iter().map(|quote| quote.exact.clone()));
        names.extend(
            source.attribution.iter().filter_map(|found| found.by.as_ref()).map(|by| by.name.clone()),
        );
    }
    match event.payload.as_ref() {
        Some(Payload::Agreement(agreement)) => {
            titles.push(agreement.title.clone());
            names.extend(agreement.acting_party.iter().map(|party| party.name.clone()));
            summaries.push(agreement.subject.clone());
            summaries.extend(agreement.provisions.clone());
            summaries.push(agreement.reservation_text.clone());
        }
        Some(Payload::FundingTransfer(transfer)) => {
            summaries.push(transfer.purpose.clone());
            summaries.extend(transfer.in_kind.iter().map(|kind| kind.description.clone()));
        }
        Some(Payload::Visit(visit)) => {
            summaries.push(visit.purpose.clone());
            summaries.extend(visit.deliverables.clone());
            for stop in &visit.stops {
                names.extend(stop.place.iter().map(|place| place.name.clone()));
                summaries.push(stop.activity.clone());
            }
            for meeting in &visit.meetings {
                people(&meeting.participants, &mut names);
                names.extend(meeting.place.iter().map(|place| place.name.clone()));
                summaries.push(meeting.topic.clone());
            }
        }
        Some(Payload::StatisticalRelease(release)) => {
            titles.push(release.indicator.clone());
            names.extend(release.reference_area.iter().map(|area| area.name.clone()));
        }
        Some(Payload::Statement(statement)) => {
            people(statement.speaker.as_slice(), &mut names);
            quotes.push(statement.text.clone());
            quotes.extend(statement.claims.iter().map(|claim| claim.text.clone()));
        }
        Some(Payload::Custom(_)) | None => {}
    }
    vec![(4, titles), (2, names), (1, summaries), (1, quotes)]
}

fn people(participants: &[pb::Participant], names: &mut Vec<String>) {
    for participant in participants {
        names.extend(participant.entity.iter().map(|entity| entity.name.clone()));
        names.push(participant.capacity.clone());
        names.extend(participant.on_behalf_of.iter().map(|entity| entity.name.clone()));
    }
}

/// Gives how much each phrase of a question counts in an event.
fn weights(event: &pb::Event, query: &TextQuery) -> Vec<u32> {
    let texts = texts(event);
    let weights = query.phrases.iter().map(|phrase| {
        let mut total = 0;
        for (weight, found) in &texts {
            for text in found {
                let words: Vec<Vec<String>> = tokens(text, 0).map(|token| token.terms).collect();
                for begin in words.windows(phrase.slots.len()) {
                    let fits = begin.iter().zip(&phrase.slots).all(|(word, slot)| {
                        slot.terms.iter().any(|asked| {
                            word.iter().any(|held| held == asked || (slot.prefix && held.starts_with(asked)))
                        })
                    });
                    total += if fits { *weight } else { 0 };
                }
            }
        }
        total
    });
    weights.collect()
}

/// Tells whether an event has all the words of a question.
pub(crate) fn matches(event: &pb::Event, text: &str) -> bool {
    // Records of the server's own are not searched.
    text.is_empty()
        || !event.stream.starts_with('$')
            && weights(event, &TextQuery::parse(text).unwrap()).iter().all(|weight| *weight > 0)
}

impl Model {
    /// Gives the scores of the events up to a position, in millionths: BM25 with k1 = 1.2 and b = 0.
    pub(crate) fn scores(&self, text: &str, as_of: Position) -> BTreeMap<Position, i64> {
        let query = TextQuery::parse(text).unwrap();
        let events = self.events.iter().filter(|event| event.position <= as_of && event.is_entry());
        let held: Vec<(Position, Vec<u32>)> =
            events.map(|event| (event.position, weights(&event.event, &query))).collect();
        let total = f64::from(u32::try_from(as_of.0).unwrap());
        let scores = held.iter().map(|(position, weights)| {
            let mut score = 0.0;
            for (index, weight) in weights.iter().enumerate() {
                let holders = held.iter().filter(|(_, held)| held[index] > 0).count();
                let holders = f64::from(u32::try_from(holders).unwrap());
                let rarity = (1.0 + (total - holders + 0.5) / (holders + 0.5)).ln();
                score += rarity * f64::from(*weight) * (1.2 + 1.0) / (f64::from(*weight) + 1.2);
            }
            #[expect(clippy::cast_possible_truncation, reason = "a score is small")]
            let millionths = (score * 1e6).round() as i64;
            (*position, millionths)
        });
        scores.collect()
    }
}
