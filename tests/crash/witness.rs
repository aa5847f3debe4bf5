//! What clients were told, and how long the trace was by then: the judge of what a store must still hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use annals::pb;
use prost_types::{Struct, Value as StructValue, value::Kind as ValueKind};
use serde_json::json;

use crate::events;
use crate::trace::Random;

/// Names an append: its events follow from it and the seed of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendKey {
    pub writer: u64,
    pub number: u64,
}

/// An answer: where the first event stands, and the length of the trace when it had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub first_position: u64,
    pub at: u64,
}

/// All that is known of one run.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    pub seed: u64,
    /// Every append that was sent, and the first answer to it.
    pub appends: BTreeMap<AppendKey, Option<Answer>>,
    /// Events that subscribers saw: position, id, length of the trace.
    pub seen: Vec<(u64, String, u64)>,
    /// Heads that were shown: position, length of the trace.
    pub heads: Vec<(u64, u64)>,
    /// What contradicted an earlier answer, while the server ran.
    pub contradictions: Vec<String>,
}

/// A witness that many tasks tell things to.
#[derive(Debug)]
pub struct Notebook {
    trace: PathBuf,
    witness: Mutex<Witness>,
}

impl Notebook {
    pub fn new(seed: u64, trace: &Path) -> Self {
        let witness = Mutex::new(Witness { seed, ..Witness::default() });
        Self { trace: trace.to_owned(), witness }
    }

    /// The calls that had returned by now are in the trace up to here.
    fn now(&self) -> u64 {
        std::fs::metadata(&self.trace).map_or(0, |found| found.len())
    }

    pub fn sent(&self, key: AppendKey) {
        self.witness.lock().unwrap().appends.entry(key).or_insert(None);
    }

    /// Notes an answer. One that differs from an earlier one is a contradiction.
    pub fn answered(&self, key: AppendKey, response: &pb::AppendEventsResponse) {
        self.note(key, response, true);
    }

    fn note(&self, key: AppendKey, response: &pb::AppendEventsResponse, alone: bool) {
        let at = self.now();
        let positions: Vec<u64> = response.events.iter().map(|event| event.position).collect();
        let first_position = positions.first().copied().unwrap_or(0);
        let mut witness = self.witness.lock().unwrap();
        let dense = positions.iter().zip(first_position..).all(|(position, expected)| *position == expected);
        if !dense || positions.len() != events_of(witness.seed, key).len() {
            witness.contradictions.push(format!("{key:?} was answered with positions {positions:?}"));
        }
        let known = witness.appends.get(&key).copied().flatten();
        match known {
            Some(known) if known.first_position != first_position || (alone && !response.replayed) => {
                let text =
                    format!("{key:?} was at {known:?}, then {positions:?}, replay: {}", response.replayed);
                witness.contradictions.push(text);
            }
            Some(_) => {}
            None => drop(witness.appends.insert(key, Some(Answer { first_position, at }))),
        }
    }

    /// As [`Notebook::answered`], where several clients send one append at once: the answer that was no replay may
    /// come after those that were.
    pub fn answered_at_once(&self, key: AppendKey, response: &pb::AppendEventsResponse) {
        self.note(key, response, false);
    }

    pub fn has_answer(&self, key: AppendKey) -> bool {
        self.witness.lock().unwrap().appends.get(&key).is_some_and(Option::is_some)
    }

    pub fn answers_of(&self, writer: u64) -> usize {
        let witness = self.witness.lock().unwrap();
        witness.appends.iter().filter(|(key, answer)| key.writer == writer && answer.is_some()).count()
    }

    pub fn saw(&self, batch: &[pb::Event]) {
        let at = self.now();
        let seen = batch.iter().map(|event| (event.position, event.id.clone(), at));
        self.witness.lock().unwrap().seen.extend(seen);
    }

    pub fn head(&self, position: u64) {
        let at = self.now();
        let mut witness = self.witness.lock().unwrap();
        if witness.heads.last().is_none_or(|(last, _)| *last != position) {
            witness.heads.push((position, at));
        }
    }

    pub fn contradiction(&self, text: String) {
        self.witness.lock().unwrap().contradictions.push(text);
    }

    pub fn snapshot(&self) -> Witness {
        self.witness.lock().unwrap().clone()
    }

    /// The appends of a writer that nothing is known of.
    pub fn unanswered(&self, writer: u64) -> Vec<AppendKey> {
        let witness = self.witness.lock().unwrap();
        let open = witness.appends.iter().filter(|(key, answer)| key.writer == writer && answer.is_none());
        open.map(|(key, _)| *key).collect()
    }

    /// How many were answered.
    pub fn answers(&self) -> usize {
        self.witness.lock().unwrap().appends.values().flatten().count()
    }
}

impl Witness {
    /// Writes it down, so that a failure can be looked at again.
    pub fn save(&self, path: &Path) {
        let mut text = format!("seed {}\n", self.seed);
        for (key, answer) in &self.appends {
            let (position, at) = answer.map_or((0, 0), |answer| (answer.first_position, answer.at));
            writeln!(text, "append {} {} {position} {at}", key.writer, key.number).unwrap();
        }
        for (position, id, at) in &self.seen {
            writeln!(text, "seen {position} {id} {at}").unwrap();
        }
        for (position, at) in &self.heads {
            writeln!(text, "head {position} {at}").unwrap();
        }
        std::fs::write(path, text).unwrap();
    }

    pub fn load(path: &Path) -> Self {
        let mut witness = Self::default();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap();
            match words[0] {
                "seed" => witness.seed = number(1),
                "append" => {
                    let answer = Answer { first_position: number(3), at: number(4) };
                    let answer = (answer.first_position > 0).then_some(answer);
                    witness.appends.insert(AppendKey { writer: number(1), number: number(2) }, answer);
                }
                "seen" => witness.seen.push((number(1), words[2].to_owned(), number(3))),
                "head" => witness.heads.push((number(1), number(2))),
                other => panic!("{other} in a witness"),
            }
        }
        witness
    }
}

fn template() -> &'static pb::Event {
    static TEMPLATE: std::sync::OnceLock<pb::Event> = std::sync::OnceLock::new();
    TEMPLATE
        .get_or_init(|| events::event(&events::with(events::simple("w/0", "crash"), "attributes", json!({}))))
}

/// The events of an append: mostly a few small ones, now and then a large one, or more than a frame holds.
pub fn events_of(seed: u64, key: AppendKey) -> Vec<pb::Event> {
    let mut random = Random(seed ^ (key.writer << 48) ^ (key.number << 8));
    let count = match random.below(40) {
        0 => 65 + random.below(100),
        _ => 1 + random.below(5),
    };
    let event = |index: u64| {
        let len = match random.below(60) {
            0 => 20_000 + random.below(25_000),
            _ => random.below(700),
        };
        let mut event = template().clone();
        event.id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            seed as u32,
            key.writer as u16,
            key.number >> 12 & 0xfff,
            key.number & 0xfff,
            index
        );
        event.stream = format!("w/{}", (key.writer + key.number) % 7);
        event.title = format!("{}.{}.{index}", key.writer, key.number);
        // Letters that do not compress well, so that sizes are what they seem.
        let text = (0..len).map(|_| char::from(b'a' + (random.next() % 26) as u8)).collect();
        let text = StructValue { kind: Some(ValueKind::StringValue(text)) };
        event.attributes = Some(Struct { fields: [("text".to_owned(), text)].into() });
        event
    };
    (0..count).map(event).collect()
}
