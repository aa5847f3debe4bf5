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

/// What a checkpoint file holds, as one JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Saved {
    /// The store: a position means nothing in another.
    store_id: String,
    /// Everything at or below was printed or did not match.
    position: u64,
}

/// Where a reader stands, kept in a file if wanted.
#[derive(Debug)]
pub struct Place {
    file: Option<PathBuf>,
    start: Start,
    saved: Option<Saved>,
    now: Option<Saved>,
}

impl Place {
    /// Takes the place from the file, or begins at `start` if there is none.
    ///
    /// # Errors
    /// [`Failure`] when the file is there but cannot be read.
    pub fn open(file: Option<PathBuf>, start: Start) -> Result<Self, Failure> {
        let saved = match &file {
            Some(path) => load(path)?,
            None => None,
        };
        Ok(Self { file, start, now: saved.clone(), saved })
    }

    /// Asks for what follows.
    #[must_use]
    pub fn request(&self, filter: Option<Filter>) -> SubscribeEventsRequest {
        let (start, store_id) = match &self.now {
            Some(place) => (Start::AfterPosition(place.position), place.store_id.clone()),
            None => (self.start, String::new()),
        };
        SubscribeEventsRequest { filter, start: Some(start), store_id, ..SubscribeEventsRequest::default() }
    }

    /// Notes where the server began, which settles what "now" means for the next connection.
    pub fn started(&mut self, started: Started) {
        let place = Saved { store_id: started.store_id, position: started.after_position };
        self.now.get_or_insert(place);
    }

    /// Tells whether an event was not printed yet.
    #[must_use]
    pub fn is_new(&self, event: &Event) -> bool {
        self.now.as_ref().is_none_or(|place| event.position > place.position)
    }

    /// Notes that an event was printed.
    pub fn printed(&mut self, event: &Event) {
        self.evaluated(event.position);
    }

    /// Notes that everything at or below the position was printed or does not match.
    pub fn evaluated(&mut self, position: u64) {
        if let Some(place) = &mut self.now {
            place.position = place.position.max(position);
        }
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
        Started { head: 9, store_id: "s".to_owned(), after_position: position }
    }

    fn event(position: u64) -> Event {
        Event { position, ..Event::default() }
    }

    fn resume(place: &Place) -> (Start, String) {
        let request = place.request(None);
        (request.start.unwrap(), request.store_id)
    }

    #[test]
    fn no_event_is_printed_twice() {
        let mut place = Place::open(None, Start::FromStart(true)).unwrap();
        place.started(started(0));
        let mut printed = Vec::new();
        for position in [1, 2, 2, 1, 3] {
            if place.is_new(&event(position)) {
                place.printed(&event(position));
                printed.push(position);
            }
        }
        assert_eq!(printed, [1, 2, 3]);
    }

    #[test]
    fn resumes_from_the_furthest_place() {
        let mut place = Place::open(None, Start::FromNow(true)).unwrap();
        assert_eq!(resume(&place), (Start::FromNow(true), String::new()));
        place.started(started(4));
        assert_eq!(resume(&place), (Start::AfterPosition(4), "s".to_owned()));
        place.printed(&event(6));
        place.evaluated(9);
        place.evaluated(5);
        assert_eq!(resume(&place), (Start::AfterPosition(9), "s".to_owned()));
        // The next connection begins where this one stood, not where it was told to begin.
        place.started(started(9));
        assert!(!place.is_new(&event(9)));
        assert!(place.is_new(&event(10)));
    }

    #[test]
    fn the_file_keeps_the_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint");
        let mut place = Place::open(Some(path.clone()), Start::FromNow(true)).unwrap();
        place.save().unwrap();
        assert!(!path.exists(), "nothing is known yet");
        place.started(started(4));
        place.evaluated(7);
        place.save().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"storeId\":\"s\",\"position\":7}\n");
        let again = Place::open(Some(path.clone()), Start::FromStart(true)).unwrap();
        assert_eq!(resume(&again), (Start::AfterPosition(7), "s".to_owned()));
        fs::write(&path, "7").unwrap();
        let failure = Place::open(Some(path), Start::FromStart(true)).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data);
    }
}
