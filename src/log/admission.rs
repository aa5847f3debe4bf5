//! Whether a request may be written: ids, then conditions, then links.
//!
//! All is decided by the thread that commits, against the index and what the round accepted before, so nothing can
//! come between the check and the write.

use std::ops::Range;

use super::append::{AppendRequest, Appended, AppendedEvent, Condition, Expected};
use super::error::{AppendError, ConditionViolation, ReadError, ViolatedCondition};
use super::reader::Reader;
use super::stage::Stage;
use crate::codec::stored::{AppendPlace, StoredParts};
use crate::domain::{EventId, Position, RecordForm, Revision, StreamName};
use crate::index::{Edge, View};
use crate::journal::Record;
use crate::journal::frame::BODY_BYTES_MAX;
use crate::seeded::{self, Bug};

/// What becomes of a request that is not refused.
#[derive(Debug)]
pub enum Admitted {
    /// Its events are staged at these places.
    Staged(Range<usize>),
    /// It repeats a request that is staged at these places: it waits for that one's commit.
    RepeatsStaged(Range<usize>),
    /// It repeats a recorded request, and this is the original answer.
    Replay(Appended),
}

/// Decides on the requests of a round, one after another.
#[derive(Debug)]
pub struct Admission {
    /// The index as of the last commit.
    pub view: View,
    /// The last durable position.
    pub head: Position,
    /// Reads recorded events, to compare digests.
    pub reader: Reader,
    /// What the round accepted so far.
    pub stage: Stage,
}

/// An event of the request that is known already.
struct Known {
    position: Position,
    same_content: bool,
    erased: bool,
    place: AppendPlace,
    staged_at: Option<usize>,
}

impl Admission {
    /// Decides on a request, and stages it if it may be written.
    ///
    /// # Errors
    /// [`AppendError`]; nothing is staged then.
    pub fn admit(&mut self, request: AppendRequest, read_only: bool) -> Result<Admitted, AppendError> {
        if !seeded::on(Bug::RetryNotRecognised)
            && let Some(replay) = self.replay_of(&request)?
        {
            return Ok(replay);
        }
        if read_only {
            return Err(AppendError::ReadOnly);
        }
        check_sizes(&request)?;
        self.check_conditions(&request)?;
        let edges = self.check_links(&request)?;
        let revisions = request.events.iter().map(|event| self.revision_of(&event.facts.stream));
        let revisions = revisions.collect::<Result<Vec<_>, _>>()?;
        Ok(Admitted::Staged(self.stage_all(request, edges, &revisions)))
    }

    /// `before` gives the last revision of each event's stream as it is now.
    fn stage_all(
        &mut self,
        request: AppendRequest,
        edges: Vec<Vec<Edge>>,
        before: &[Revision],
    ) -> Range<usize> {
        let places = self.stage.range_for(&request);
        let count = request.events.len();
        for (((index, event), edges), before) in request.events.into_iter().enumerate().zip(edges).zip(before)
        {
            let revision = self.stage.revision_of(&event.facts.stream).unwrap_or(*before).next();
            self.stage.push(event, revision, &edges, AppendPlace::new(index, count), &request.recorded_by);
        }
        places
    }

    fn replay_of(&mut self, request: &AppendRequest) -> Result<Option<Admitted>, AppendError> {
        let mut known = Vec::new();
        for event in &request.events {
            known.push(self.find(&event.facts.event_id, &event.content)?);
        }
        let recorded = known.iter().flatten().count();
        let ids = request.events.iter().map(|event| event.facts.event_id);
        let Some((first_id, _)) = ids.clone().zip(&known).find(|(_, known)| known.is_some()) else {
            return Ok(None);
        };
        for (id, known) in ids.zip(&known) {
            if let Some(Known { position, erased: true, .. }) = known {
                return Err(AppendError::Erased { id, position: *position });
            }
            if let Some(Known { position, same_content: false, .. }) = known {
                return Err(AppendError::EventIdReused { id, position: *position });
            }
        }
        let count = known.len();
        let first = known.first().and_then(Option::as_ref).map(|known| (known.position, known.staged_at));
        let whole = known.iter().enumerate().all(|(index, known)| {
            known.as_ref().is_some_and(|known| {
                known.place == AppendPlace::new(index, count)
                    && first.is_some_and(|(first, _)| known.position == first.plus(offset(index)))
            })
        });
        let Some((first, staged_at)) = first.filter(|_| whole) else {
            return Err(AppendError::PartialReplay { recorded, missing: count - recorded, id: first_id });
        };
        if let Some(place) = staged_at {
            return Ok(Some(Admitted::RepeatsStaged(place..place + count)));
        }
        let mut events = Vec::with_capacity(count);
        for index in 0..count {
            events.push(original(&self.reader.record(first.plus(offset(index)))?)?);
        }
        Ok(Some(Admitted::Replay(Appended { events, replayed: true })))
    }

    fn find(&mut self, id: &EventId, content: &[u8]) -> Result<Option<Known>, AppendError> {
        if let Some((place, (_, record))) =
            self.stage.find(id).and_then(|place| Some((place, self.stage.at(place)?)))
        {
            let same_content = record.content == content;
            let parts = StoredParts::of(record).map_err(ReadError::from)?;
            let position = record.position;
            return Ok(Some(Known {
                position,
                same_content,
                erased: false,
                place: parts.place,
                staged_at: Some(place),
            }));
        }
        let Some(position) = self.view.position_of(id) else {
            return Ok(None);
        };
        let record = self.reader.record(position)?;
        let same_content = Record::content_digest_of(&record.salt, content) == record.content_digest;
        let parts = StoredParts::of(&record).map_err(ReadError::from)?;
        let erased = record.form == RecordForm::Erased;
        Ok(Some(Known { position, same_content, erased, place: parts.place, staged_at: None }))
    }

    fn revision_of(&self, stream: &StreamName) -> Result<Revision, ReadError> {
        if let Some(revision) = self.stage.revision_of(stream) {
            return Ok(revision);
        }
        if !self.view.has_lost() {
            return Ok(self.view.revision_of(stream));
        }
        // Events of the stream may be among those that were lost: they cannot be counted.
        let last = self.view.last_of_stream(stream);
        let last = last.map(|position| self.reader.clone().record(position)).transpose()?;
        Ok(last.map_or(Revision(0), |record| record.revision))
    }

    fn check_conditions(&self, request: &AppendRequest) -> Result<(), AppendError> {
        let mut violated = Vec::new();
        for (index, condition) in request.conditions.iter().enumerate() {
            let violation = self.violation(condition)?;
            violated.extend(violation.map(|violation| ViolatedCondition { index, violation }));
        }
        if violated.is_empty() { Ok(()) } else { Err(AppendError::ConditionFailed(violated)) }
    }

    fn violation(&self, condition: &Condition) -> Result<Option<ConditionViolation>, ReadError> {
        let first_match = |filter: &crate::filter::Filter, after: Position| {
            filter.first_match(&self.view, after, self.head).or_else(|| self.stage.first_match(filter, after))
        };
        Ok(match condition {
            Condition::Stream { name, expected } => {
                let actual = self.revision_of(name)?;
                let holds = match expected {
                    Expected::Revision(revision) => actual == *revision,
                    Expected::Empty => actual.0 == 0,
                    Expected::Exists => actual.0 > 0,
                };
                (!holds).then(|| ConditionViolation::Stream { name: name.to_string(), actual })
            }
            Condition::NoneSince { filter, after } => {
                first_match(filter, *after).map(|position| ConditionViolation::NoneSince { position })
            }
            Condition::Absent { filter } => {
                first_match(filter, Position::ZERO).map(|position| ConditionViolation::Absent { position })
            }
        })
    }
}

/// Refuses what would not fit a frame: found only when the round is packed, it would fail its neighbours too.
fn check_sizes(request: &AppendRequest) -> Result<(), AppendError> {
    let bytes_max = usize::try_from(BODY_BYTES_MAX).unwrap_or(usize::MAX);
    for (index, event) in request.events.iter().enumerate() {
        let bytes = event.record_bytes();
        if bytes > bytes_max {
            return Err(AppendError::TooLarge { index, bytes, bytes_max });
        }
    }
    Ok(())
}

pub(super) fn offset(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

fn original(record: &Record) -> Result<AppendedEvent, ReadError> {
    let parts = StoredParts::of(record)?;
    Ok(AppendedEvent {
        id: record.event_id,
        position: record.position,
        revision: record.revision,
        recorded_at: record.recorded_at,
        caveats: parts.caveats,
    })
}
