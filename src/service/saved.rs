//! Saved timelines: written as events of the server's own, read as of any position, and put in the place of their ids in
//! filters.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Status;

use super::Context;
use super::context::refused;
use super::page::Page;
use crate::domain::{EventId, Invalid, Position, Revision, StreamName, TermField, Timestamp};
use crate::filter::{FILTER_VALUES_MAX, Filter};
use crate::index::{Scope, View};
use crate::log::{AppendError, AppendRequest, Appended, Condition, Expected, Log, Reader};
use crate::pb;
use crate::timeline::Key;
use crate::wire::PageToken;
use crate::wire::paging::Turn;
use crate::wire::saved::{self, Act, Order, TIMELINES_PREFIX};
use crate::wire::status::TimelineError;

/// How often an update that expects no certain revision is tried again when another came between.
const TRIES_MAX: usize = 16;

/// A timeline as its stream has it in some state of the log.
#[derive(Clone, Debug)]
struct Found {
    act: Act,
    timeline: pb::Timeline,
    revision: Revision,
    position: Position,
    recorded_at: Timestamp,
}

/// What comes before a write.
enum Before {
    /// The order was carried out before.
    Done(Found),
    /// The timeline as it is, if its stream has events.
    State(Option<Found>),
}

impl Found {
    fn shown(self) -> pb::Timeline {
        saved::shown(self.timeline, self.revision, self.position, self.recorded_at)
    }
}

fn stream_of(id: &str) -> StreamName {
    StreamName::from_recorded(&format!("{TIMELINES_PREFIX}{id}"))
}

/// Gives the last event in scope of a stream, by its term.
fn last_in(view: &View, term: &[u8], scope: Scope) -> Option<Position> {
    view.parts().rev().filter(|part| part.base() < scope.as_of).find_map(|part| {
        let mut posting = part.posting(term)?;
        posting.remove_range(part.slots_up_to(scope.as_of)..);
        let slots = posting.iter().rev().filter_map(|slot| u16::try_from(slot).ok());
        let known = |slot: &u16| part.columns().known_at(*slot).is_some_and(|known| known <= scope.known_at);
        slots.filter(known).map(|slot| part.position_at(slot)).next()
    })
}

impl Context {
    /// Carries out an order.
    ///
    /// # Errors
    /// When the timeline is not as the order needs it, or nothing can be written.
    async fn write_timeline(&self, log: &Arc<Log>, order: Order) -> Result<Found, Status> {
        let id = order.request_id.unwrap_or_else(|| log.ids().event_id());
        for _ in 0..TRIES_MAX {
            let (shared, asked) = (Arc::clone(log), order.clone());
            let before = self.query(move |context| context.before_write(&shared, &asked)).await?;
            let state = match before {
                Before::Done(found) => return Ok(found),
                Before::State(state) => state,
            };
            let revision = permitted(&order, state.as_ref(), log.head().position)?;
            match log.append(self.record(log, &order, id, revision)?).await {
                Ok(appended) => {
                    let lost = || self.append_failed(&AppendError::OutcomeUnknown);
                    return written(&order, &appended).ok_or_else(lost);
                }
                // Another write came between, perhaps of the same request: look again.
                Err(AppendError::ConditionFailed(_) | AppendError::EventIdReused { .. }) => {}
                Err(error) => return Err(self.append_failed(&error)),
            }
        }
        let refusal = AppendError::ConditionFailed(Vec::new());
        Err(self.append_failed(&refusal))
    }

    fn record(
        &self,
        log: &Log,
        order: &Order,
        id: EventId,
        revision: Revision,
    ) -> Result<AppendRequest, Status> {
        let event = saved::event(order, id, log.clock().now(), &self.limits);
        let event = event.map_err(|error| refused(&error))?;
        let expected = if revision.0 == 0 { Expected::Empty } else { Expected::Revision(revision) };
        Ok(AppendRequest {
            events: vec![log.propose(event.facts, event.content, event.caveats)],
            conditions: vec![Condition::Stream { name: stream_of(&order.timeline.id), expected }],
            recorded_by: String::new(),
        })
    }

    /// Looks for an earlier request with the same id, and for the timeline.
    fn before_write(&self, log: &Log, order: &Order) -> Result<Before, Status> {
        let head = log.head().position;
        let mut reader = log.reader();
        if let Some(id) = order.request_id {
            let earlier = log.index().view().position_of(&id).filter(|position| *position <= head);
            if let Some(position) = earlier {
                let found = self.recorded_at(&mut reader, position)?;
                let same = found.filter(|found| order.is_same(found.act, &found.timeline));
                let reused = || self.append_failed(&AppendError::EventIdReused { id, position });
                return same.map(Before::Done).ok_or_else(reused);
            }
        }
        let found = self.timeline_at(log, &mut reader, &order.timeline.id, Scope::up_to(head))?;
        Ok(Before::State(found))
    }

    /// Reads what an event says of a saved timeline; nothing where it is of no timeline's stream.
    fn recorded_at(&self, reader: &mut Reader, position: Position) -> Result<Option<Found>, Status> {
        let record = self.read(reader, position)?;
        if !record.stream.as_str().starts_with(TIMELINES_PREFIX) {
            return Ok(None);
        }
        let event = self.event(&record)?;
        Ok(saved::recorded(&event).map(|(act, timeline)| Found {
            act,
            timeline,
            revision: record.revision,
            position,
            recorded_at: record.recorded_at,
        }))
    }

    /// Gives the last that was written of a timeline, deletions included.
    fn timeline_at(
        &self,
        log: &Log,
        reader: &mut Reader,
        id: &str,
        scope: Scope,
    ) -> Result<Option<Found>, Status> {
        let term = TermField::Stream.term(stream_of(id).as_str());
        let last = last_in(&log.index().view(), &term, scope);
        last.map_or(Ok(None), |position| self.recorded_at(reader, position))
    }

    /// Puts saved timelines in the place of their ids, as of a position.
    ///
    /// # Errors
    /// NOT_FOUND when one is not there, INVALID_ARGUMENT when there are too many values with theirs.
    pub fn with_timelines(&self, log: &Log, mut filter: Filter, as_of: Position) -> Result<Filter, Status> {
        let mut reader = log.reader();
        for named in filter.named() {
            let found = self.timeline_at(log, &mut reader, &named.id, Scope::up_to(as_of))?;
            let found = found.filter(|found| found.act != Act::Deleted);
            let absent = || TimelineError::NotFound { id: named.id.clone(), position: as_of };
            let found = found.ok_or_else(|| refused(&absent().into()))?;
            named.asks = Some(saved::asks(&found.timeline));
        }
        let values = filter.value_count();
        if values > FILTER_VALUES_MAX {
            let rule =
                format!("must have at most {FILTER_VALUES_MAX} values, has {values} with its timelines'");
            return Err(refused(&Invalid::one("filter", rule).into()));
        }
        Ok(filter)
    }

    /// Completes a filter on a thread that may wait for the disk, if that is needed.
    ///
    /// # Errors
    /// As [`Context::with_timelines`].
    pub async fn resolved_soon(
        &self,
        log: &Arc<Log>,
        mut filter: Filter,
        as_of: Position,
    ) -> Result<Filter, Status> {
        if filter.named().next().is_none() && filter.words_known_to().is_none() {
            return Ok(filter);
        }
        let log = Arc::clone(log);
        self.query(move |context| context.looked_up(&log, filter, as_of, false)).await
    }

    /// Puts saved timelines in the place of their ids in conditions.
    ///
    /// # Errors
    /// As [`Context::with_timelines`].
    pub fn resolved_conditions(
        &self,
        log: &Log,
        conditions: Vec<Condition>,
        as_of: Position,
    ) -> Result<Vec<Condition>, Status> {
        let resolved = conditions.into_iter().map(|condition| {
            Ok(match condition {
                Condition::NoneSince { filter, after } => {
                    Condition::NoneSince { filter: self.with_timelines(log, filter, as_of)?, after }
                }
                Condition::Absent { filter } => {
                    Condition::Absent { filter: self.with_timelines(log, filter, as_of)? }
                }
                Condition::Stream { .. } => condition,
            })
        });
        let resolved = resolved.collect::<Result<Vec<_>, Status>>()?;
        let worded = |condition: &Condition| match condition {
            Condition::NoneSince { filter, .. } | Condition::Absent { filter } => {
                filter.words_known_to().is_some()
            }
            Condition::Stream { .. } => false,
        };
        if resolved.iter().any(worded) {
            let rule = "must not ask for words, nor name a timeline that does";
            return Err(refused(&Invalid::one("conditions", rule).into()));
        }
        let values: usize = resolved.iter().map(Condition::value_count).sum();
        if values > FILTER_VALUES_MAX {
            let rule = format!(
                "must have at most {FILTER_VALUES_MAX} filter values together, have {values} with their timelines'"
            );
            return Err(refused(&Invalid::one("conditions", rule).into()));
        }
        Ok(resolved)
    }

    /// Saves a timeline.
    ///
    /// # Errors
    /// What the timeline breaks, and as of any append.
    pub async fn create_timeline(
        &self,
        request: &pb::CreateTimelineRequest,
    ) -> Result<pb::CreateTimelineResponse, Status> {
        let log = self.log()?;
        let order = saved::create(request).map_err(|error| refused(&error))?;
        let timeline = Some(self.write_timeline(&log, order).await?.shown());
        Ok(pb::CreateTimelineResponse { timeline })
    }

    /// Writes a timeline anew.
    ///
    /// # Errors
    /// What the timeline breaks, and as of any append.
    pub async fn update_timeline(
        &self,
        request: &pb::UpdateTimelineRequest,
    ) -> Result<pb::UpdateTimelineResponse, Status> {
        let log = self.log()?;
        let order = saved::update(request).map_err(|error| refused(&error))?;
        let timeline = Some(self.write_timeline(&log, order).await?.shown());
        Ok(pb::UpdateTimelineResponse { timeline })
    }

    /// Deletes a timeline.
    ///
    /// # Errors
    /// What the timeline breaks, and as of any append.
    pub async fn delete_timeline(
        &self,
        request: &pb::DeleteTimelineRequest,
    ) -> Result<pb::DeleteTimelineResponse, Status> {
        let log = self.log()?;
        let order = saved::delete(request).map_err(|error| refused(&error))?;
        let found = self.write_timeline(&log, order).await?;
        Ok(pb::DeleteTimelineResponse { revision: found.revision.0, position: found.position.0 })
    }

    /// Gives a timeline as it stood.
    ///
    /// # Errors
    /// NOT_FOUND when it was not there.
    pub fn get_timeline(&self, log: &Log, id: &str, scope: Scope) -> Result<pb::GetTimelineResponse, Status> {
        let found = self.timeline_at(log, &mut log.reader(), id, scope)?;
        let found = found.filter(|found| found.act != Act::Deleted);
        let absent = || TimelineError::NotFound { id: id.to_owned(), position: scope.as_of };
        let found = found.ok_or_else(|| refused(&absent().into()))?;
        Ok(pb::GetTimelineResponse { timeline: Some(found.shown()), snapshot: scope.as_of.0 })
    }

    /// Lists timelines as they stood, by id.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn list_timelines(&self, log: &Log, turn: &Turn) -> Result<pb::ListTimelinesResponse, Status> {
        let snapshot = turn.scope.as_of;
        let chain = Self::check_snapshot(log, snapshot, turn.history)?;
        let mut reader = log.reader();
        let after = match turn.after {
            // The token names the last timeline of the page before by an event of its stream.
            Some(key) => {
                let record = self.read(&mut reader, key.position)?;
                Some(record.stream.to_string())
            }
            None => None,
        };
        let names = names_in(&log.index().view(), turn.scope);
        let wanted = names.iter().filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
        let (mut page, mut last, mut more) = (Page::new(), None, false);
        for (_, position) in wanted {
            let found = self.recorded_at(&mut reader, *position)?;
            let Some(found) = found.filter(|found| found.act != Act::Deleted) else {
                continue;
            };
            if page.items.len() == turn.page_size || !page.push(found.shown()) {
                more = true;
                break;
            }
            last = Some(Key { value: 0, position: *position });
        }
        let token = |after| PageToken { snapshot, chain, after }.encode(log.store_id(), turn.question);
        Ok(pb::ListTimelinesResponse {
            timelines: page.items,
            next_page_token: last.filter(|_| more).map_or_else(String::new, token),
            snapshot: snapshot.0,
        })
    }
}

/// Gives the streams of timelines, each with its last event in scope.
fn names_in(view: &View, scope: Scope) -> BTreeMap<String, Position> {
    let mut names = BTreeMap::new();
    let prefix = TermField::Stream.term(TIMELINES_PREFIX);
    for part in view.parts().filter(|part| part.base() < scope.as_of) {
        part.for_each_term(&prefix, &mut |term, _| {
            let name = String::from_utf8_lossy(term.get(1..).unwrap_or_default()).into_owned();
            names.entry(name).or_insert(Position::ZERO);
        });
    }
    names.retain(|name, position| match last_in(view, &TermField::Stream.term(name), scope) {
        Some(last) => {
            *position = last;
            true
        }
        None => false,
    });
    names
}

/// Tells whether the timeline is as an order needs it; gives the revision that it then has.
fn permitted(order: &Order, state: Option<&Found>, head: Position) -> Result<Revision, Status> {
    let id = || order.timeline.id.clone();
    let revision = state.map_or(Revision(0), |state| state.revision);
    let standing = state.filter(|state| state.act != Act::Deleted);
    let refusal = match (order.act, standing) {
        (Act::Created, Some(state)) => Some(TimelineError::Exists { id: id(), position: state.position }),
        (Act::Updated | Act::Deleted, None) => Some(TimelineError::NotFound { id: id(), position: head }),
        (Act::Created, None) | (Act::Updated | Act::Deleted, Some(_)) => order
            .expected
            .filter(|expected| *expected != revision)
            .map(|expected| TimelineError::Changed { id: id(), expected, actual: revision }),
    };
    refusal.map_or(Ok(revision), |refusal| Err(refused(&refusal.into())))
}

fn written(order: &Order, appended: &Appended) -> Option<Found> {
    let event = appended.events.first()?;
    Some(Found {
        act: order.act,
        timeline: order.timeline.clone(),
        revision: event.revision,
        position: event.position,
        recorded_at: event.recorded_at,
    })
}
