//! Where a reader of the log stands.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::atomic_file::AtomicFile;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::write_failure;
use crate::pb::subscribe_events_request::Start;
use crate::pb::{Event, Filter, Started, SubscribeEventsRequest};

/// What a checkpoint file holds, as one JSON object. Files of earlier versions have only the first two fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Saved {
    /// The store: a position means nothing in another.
    store_id: String,
    /// Everything at or below was printed or did not match.
    position: u64,
    /// The last position whose chain hash is known, at most `position`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    chain_hash: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    chain_position: u64,
    /// Digest of the events printed after `chain_position`, in order; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    printed: String,
    /// Digest of the filter that chose them; empty if several did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    filter: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Adds an event to a digest of events. What is derived or may be erased does not enter it.
fn with(digest: &str, event: &Event) -> String {
    let time = event.recorded_at.unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(digest.as_bytes()).update(&event.position.to_be_bytes()).update(event.id.as_bytes());
    hasher.update(&time.seconds.to_be_bytes()).update(&time.nanos.to_be_bytes());
    hasher.finalize().to_hex().to_string()
}

/// Where a reader stands, kept in a file if wanted.
///
/// Events come without chain hashes; checkpoints have them. So a subscription is taken up where the hash is known, and
/// what was printed since then is skipped. What is skipped must be what was printed: otherwise an older backup was
/// restored, and other events stand there now.
#[derive(Debug)]
pub struct Place {
    file: Option<PathBuf>,
    start: Start,
    filter: Option<Filter>,
    saved: Option<Saved>,
    now: Option<Saved>,
    /// Digest of the events skipped in this subscription, as long as they are to be compared.
    skipped: Option<String>,
}

impl Place {
    /// Takes the place from the file, or begins at `start` if there is none.
    ///
    /// # Errors
    /// [`Failure`] when the file is there but cannot be read.
    pub fn open(file: Option<PathBuf>, start: Start, filter: Option<Filter>) -> Result<Self, Failure> {
        let saved = match &file {
            Some(path) => load(path)?,
            None => None,
        };
        Ok(Self { file, start, filter, now: saved.clone(), saved, skipped: None })
    }

    /// Asks for what follows.
    #[must_use]
    pub fn request(&self) -> SubscribeEventsRequest {
        let request = SubscribeEventsRequest { filter: self.filter.clone(), ..Default::default() };
        let Some(place) = &self.now else {
            return SubscribeEventsRequest { start: Some(self.start), ..request };
        };
        let position = if place.chain_hash.is_empty() { place.position } else { place.chain_position };
        SubscribeEventsRequest {
            start: Some(Start::AfterPosition(position)),
            store_id: place.store_id.clone(),
            after_chain_hash: place.chain_hash.clone(),
            ..request
        }
    }

    /// Notes where the server began, which settles what "now" means for the next connection.
    ///
    /// # Errors
    /// [`Failure`] when the server has less than was printed.
    pub fn started(&mut self, started: Started) -> Result<(), Failure> {
        let filter = self.filter_digest();
        let place = self.now.get_or_insert_with(|| Saved {
            store_id: started.store_id,
            position: started.after_position,
            ..Saved::default()
        });
        if started.head < place.position {
            let (position, head) = (place.position, started.head);
            let text = format!("position {position}, which was printed, is beyond the server's head {head}");
            return Err(restored(text, "POSITION_BEYOND_HEAD"));
        }
        self.skipped = None;
        if place.chain_hash.is_empty() {
            place.chain_position = started.after_position;
            place.chain_hash = started.after_chain_hash;
            place.printed.clear();
            place.filter = filter;
        } else if place.filter == filter {
            self.skipped = Some(String::new());
        } else {
            // With another filter other events come again: there is nothing to compare up to the next known hash.
            place.filter.clear();
        }
        Ok(())
    }

    /// Tells whether an event was not printed yet.
    ///
    /// # Errors
    /// [`Failure`] when other events were printed than those that come again.
    pub fn is_new(&mut self, event: &Event) -> Result<bool, Failure> {
        if self.now.as_ref().is_none_or(|place| event.position > place.position) {
            self.compare()?;
            return Ok(true);
        }
        if let Some(skipped) = &mut self.skipped {
            *skipped = with(skipped, event);
        }
        Ok(false)
    }

    /// Notes that an event was printed.
    pub fn printed(&mut self, event: &Event) {
        if let Some(place) = &mut self.now {
            place.position = place.position.max(event.position);
            place.printed = with(&place.printed, event);
        }
    }

    /// Notes that everything at or below the position was printed or does not match. `chain_hash` is the hash there, or
    /// empty.
    ///
    /// # Errors
    /// [`Failure`] when other events were printed than those that came again.
    pub fn evaluated(&mut self, position: u64, chain_hash: String) -> Result<(), Failure> {
        let filter = self.filter_digest();
        if self.now.as_ref().is_none_or(|place| position < place.position) {
            return Ok(());
        }
        self.compare()?;
        if let Some(place) = &mut self.now {
            place.position = position;
            if !chain_hash.is_empty() {
                place.chain_position = position;
                place.chain_hash = chain_hash;
                place.printed.clear();
                place.filter = filter;
            }
        }
        Ok(())
    }

    /// Notes that events are lost: what was printed of them cannot come again.
    pub fn lost(&mut self) {
        self.skipped = None;
    }

    /// Compares what was skipped with what was printed, once a subscription.
    fn compare(&mut self) -> Result<(), Failure> {
        let (Some(skipped), Some(place)) = (self.skipped.take(), &self.now) else { return Ok(()) };
        if skipped == place.printed {
            return Ok(());
        }
        let (first, last) = (place.chain_position + 1, place.position);
        let text = format!("other events stand at positions {first} to {last} than those that were printed");
        Err(restored(text, "STORE_MISMATCH"))
    }

    fn filter_digest(&self) -> String {
        let bytes = self.filter.as_ref().map(prost::Message::encode_to_vec).unwrap_or_default();
        blake3::hash(&bytes).to_hex().chars().take(16).collect()
    }

    /// Writes the place to the file, if there is one and it has moved.
    ///
    /// # Errors
    /// [`Failure`] when the file cannot be written; the one before is as it was.
    pub fn save(&mut self) -> Result<(), Failure> {
        let (Some(path), Some(now)) = (&self.file, &self.now) else { return Ok(()) };
        if self.saved.as_ref() == Some(now) {
            return Ok(());
        }
        let mut file = AtomicFile::create(path)?;
        let text = serde_json::to_string(now).map_err(|error| Failure::internal(error.to_string()))?;
        writeln!(file, "{text}").map_err(|error| write_failure(&error))?;
        file.commit()?;
        self.saved = Some(now.clone());
        Ok(())
    }
}

fn restored(text: String, reason: &str) -> Failure {
    Failure::new(Exit::Data, text)
        .detail("an older backup was restored, or a damaged end was cut off")
        .hint(format!("annals explain {reason}"))
}

fn load(path: &Path) -> Result<Option<Saved>, Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Failure::new(
                Exit::of_input(&error),
                format!("cannot read {}: {error}", path.display()),
            ));
        }
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Failure::new(Exit::Data, format!("{} is no checkpoint file: {error}", path.display()))
            .hint("delete it to begin anew")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(position: u64) -> Started {
        let after_chain_hash = format!("h{position}");
        Started { head: 9, store_id: "s".to_owned(), after_position: position, after_chain_hash }
    }

    fn event(position: u64) -> Event {
        Event { position, id: format!("e{position}"), ..Event::default() }
    }

    fn open(file: Option<&Path>, start: Start) -> Place {
        Place::open(file.map(Path::to_owned), start, None).unwrap()
    }

    fn resume(place: &Place) -> (Start, String, String) {
        let request = place.request();
        (request.start.unwrap(), request.store_id, request.after_chain_hash)
    }

    fn after(position: u64) -> (Start, String, String) {
        (Start::AfterPosition(position), "s".to_owned(), format!("h{position}"))
    }

    fn print(place: &mut Place, positions: &[u64]) -> Vec<u64> {
        let mut printed = Vec::new();
        for position in positions {
            if place.is_new(&event(*position)).unwrap() {
                place.printed(&event(*position));
                printed.push(*position);
            }
        }
        printed
    }

    #[test]
    fn no_event_is_printed_twice() {
        let mut place = open(None, Start::FromStart(true));
        place.started(started(0)).unwrap();
        assert_eq!(print(&mut place, &[1, 2, 2, 1, 3]), [1, 2, 3]);
    }

    #[test]
    fn resumes_where_the_chain_is_known_and_skips_what_was_printed() {
        let mut place = open(None, Start::FromNow(true));
        assert_eq!(resume(&place), (Start::FromNow(true), String::new(), String::new()));
        place.started(started(4)).unwrap();
        assert_eq!(resume(&place), after(4));
        print(&mut place, &[6]);
        place.evaluated(7, "h7".to_owned()).unwrap();
        place.evaluated(5, "h5".to_owned()).unwrap();
        assert_eq!(resume(&place), after(7));
        print(&mut place, &[8]);
        place.evaluated(9, String::new()).unwrap();
        assert_eq!(resume(&place), after(7), "no chain hash is known at 9");
        // The next connection begins where this one stood, not where it was told to begin.
        place.started(started(7)).unwrap();
        assert_eq!(print(&mut place, &[8, 10]), [10]);
    }

    #[test]
    fn other_events_than_those_that_were_printed_are_told() {
        let stood = || {
            let mut place = open(None, Start::FromStart(true));
            place.started(started(0)).unwrap();
            print(&mut place, &[1, 2, 3]);
            place
        };
        // The same again, with more behind it.
        let mut place = stood();
        place.started(started(0)).unwrap();
        assert_eq!(print(&mut place, &[1, 2, 3, 4]), [4]);
        // Fewer, more, or others.
        for again in [vec![1, 2], vec![], vec![2, 3], vec![1, 1, 2, 3]] {
            let mut place = stood();
            place.started(started(0)).unwrap();
            print(&mut place, &again);
            assert_eq!(place.is_new(&event(4)).unwrap_err().exit(), Exit::Data, "{again:?}");
            let mut place = stood();
            place.started(started(0)).unwrap();
            print(&mut place, &again);
            assert_eq!(place.evaluated(3, "h3".to_owned()).unwrap_err().exit(), Exit::Data, "{again:?}");
        }
        // A head below what was printed.
        let failure = stood().started(Started { head: 2, ..started(0) }).unwrap_err();
        assert!(failure.to_string().contains("POSITION_BEYOND_HEAD"), "{failure}");
        // Nothing to compare where events were lost.
        let mut place = stood();
        place.started(started(0)).unwrap();
        place.lost();
        assert_eq!(print(&mut place, &[3, 4]), [4]);
    }

    #[test]
    fn the_file_keeps_the_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        let mut place = open(Some(&path), Start::FromNow(true));
        place.save().unwrap();
        assert!(!path.exists(), "nothing is known yet");
        place.started(started(4)).unwrap();
        print(&mut place, &[6]);
        place.evaluated(7, String::new()).unwrap();
        place.save().unwrap();
        let again = open(Some(&path), Start::FromStart(true));
        assert_eq!(again.now, place.now);
        assert_eq!(resume(&again), after(4));
        fs::write(&path, "7").unwrap();
        let failure = Place::open(Some(path), Start::FromStart(true), None).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data);
    }

    #[test]
    fn a_file_of_an_earlier_version_is_taken_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        fs::write(&path, "{\"storeId\":\"s\",\"position\":7}\n").unwrap();
        let mut place = open(Some(&path), Start::FromStart(true));
        assert_eq!(resume(&place), (Start::AfterPosition(7), "s".to_owned(), String::new()));
        place.started(started(7)).unwrap();
        assert_eq!(resume(&place), after(7), "the hash is known from here on");
        assert_eq!(print(&mut place, &[7, 8]), [8]);
    }

    #[test]
    fn another_filter_may_choose_other_events() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        let mut place = open(Some(&path), Start::FromStart(true));
        place.started(started(0)).unwrap();
        print(&mut place, &[1, 2, 3]);
        place.save().unwrap();
        let filter = Filter { tags: vec!["t".to_owned()], ..Filter::default() };
        let mut other = Place::open(Some(path), Start::FromStart(true), Some(filter)).unwrap();
        other.started(started(0)).unwrap();
        assert_eq!(print(&mut other, &[2, 4]), [4]);
        // The connection breaks before the next checkpoint, and after it.
        other.started(started(0)).unwrap();
        assert_eq!(print(&mut other, &[2, 4, 5]), [5]);
        other.evaluated(6, "h6".to_owned()).unwrap();
        print(&mut other, &[7]);
        other.started(started(6)).unwrap();
        assert!(other.is_new(&event(8)).is_err(), "from the checkpoint on, it is compared again");
    }
}
