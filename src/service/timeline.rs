//! `TimelineService`.

use tonic::{Request, Response, Status};

use super::context::refused;
use super::page::Page;
use super::{Context, Messages};
use crate::domain::{EventId, Position};
use crate::filter::Filter;
use crate::index::Scope;
use crate::log::{Log, Reader};
use crate::pb;
use crate::pb::timeline_service_server::TimelineService;
use crate::timeline::{CountRequest, Key, Order, Version, count, history, list};
use crate::wire::decode::{self, HistoryRequest};
use crate::wire::paging::Paged;
use crate::wire::{PageToken, RequestError, diff, encode, saved};

/// Timelines, over gRPC.
#[derive(Clone, Debug)]
pub struct Timeline(pub Context);

#[tonic::async_trait]
impl TimelineService for Timeline {
    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let log = self.0.log()?;
        let (store, head) = (log.store_id(), log.head().position);
        let asked = decode::list_entries(request.get_ref(), &self.0.limits, store, head);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.list_entries(&log, asked)).await.map(Response::new)
    }

    async fn get_entry_history(
        &self,
        request: Request<pb::GetEntryHistoryRequest>,
    ) -> Result<Response<pb::GetEntryHistoryResponse>, Status> {
        let log = self.0.log()?;
        let (store, head) = (log.store_id(), log.head().position);
        let asked = decode::entry_history(request.get_ref(), &self.0.limits, store, head);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.entry_history(&log, &asked)).await.map(Response::new)
    }

    async fn count_entries(
        &self,
        request: Request<pb::CountEntriesRequest>,
    ) -> Result<Response<pb::CountEntriesResponse>, Status> {
        let log = self.0.log()?;
        let asked = decode::count_entries(request.get_ref(), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        let answer = self.0.query(move |context| {
            let asked = CountRequest { filter: context.resolved(&log, asked.filter, asked.scope)?, ..asked };
            Ok(encode::counts(count(&log.index().view(), &asked), asked.scope.as_of))
        });
        answer.await.map(Response::new)
    }

    async fn diff_entries(
        &self,
        request: Request<pb::DiffEntriesRequest>,
    ) -> Result<Response<pb::DiffEntriesResponse>, Status> {
        let log = self.0.log()?;
        let (store, head) = (log.store_id(), log.head().position);
        let asked = diff::diff_entries(request.get_ref(), &self.0.limits, store, head);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.diff_entries(&log, asked)).await.map(Response::new)
    }

    type WatchEntriesStream = Messages<pb::WatchEntriesResponse>;

    async fn watch_entries(
        &self,
        request: Request<pb::WatchEntriesRequest>,
    ) -> Result<Response<Self::WatchEntriesStream>, Status> {
        self.0.watch_entries(request.get_ref()).await.map(Response::new)
    }

    async fn create_timeline(
        &self,
        request: Request<pb::CreateTimelineRequest>,
    ) -> Result<Response<pb::CreateTimelineResponse>, Status> {
        self.0.create_timeline(request.get_ref()).await.map(Response::new)
    }

    async fn update_timeline(
        &self,
        request: Request<pb::UpdateTimelineRequest>,
    ) -> Result<Response<pb::UpdateTimelineResponse>, Status> {
        self.0.update_timeline(request.get_ref()).await.map(Response::new)
    }

    async fn get_timeline(
        &self,
        request: Request<pb::GetTimelineRequest>,
    ) -> Result<Response<pb::GetTimelineResponse>, Status> {
        let log = self.0.log()?;
        let asked = saved::get(request.get_ref(), log.head().position);
        let (id, scope) = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.get_timeline(&log, &id, scope)).await.map(Response::new)
    }

    async fn list_timelines(
        &self,
        request: Request<pb::ListTimelinesRequest>,
    ) -> Result<Response<pb::ListTimelinesResponse>, Status> {
        let log = self.0.log()?;
        let (store, head) = (log.store_id(), log.head().position);
        let asked = saved::list(request.get_ref(), &self.0.limits, store, head);
        let turn = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.list_timelines(&log, &turn)).await.map(Response::new)
    }

    async fn delete_timeline(
        &self,
        request: Request<pb::DeleteTimelineRequest>,
    ) -> Result<Response<pb::DeleteTimelineResponse>, Status> {
        self.0.delete_timeline(request.get_ref()).await.map(Response::new)
    }
}

impl Context {
    /// Completes a filter with what only the log knows, as of a state of it. Every query calls it before it plans.
    ///
    /// # Errors
    /// When the filter names what is not there, or the log cannot be read.
    pub fn resolved(&self, log: &Log, filter: Filter, scope: Scope) -> Result<Filter, Status> {
        self.looked_up(log, filter, scope.as_of, false)
    }

    /// Completes a filter; `ranked` tells whether scores of words are needed.
    ///
    /// # Errors
    /// As [`Context::resolved`].
    pub fn looked_up(
        &self,
        log: &Log,
        filter: Filter,
        as_of: Position,
        ranked: bool,
    ) -> Result<Filter, Status> {
        let mut filter = self.with_timelines(log, filter, as_of)?;
        log.look_up(&mut filter, as_of, ranked).map_err(|error| self.search_failed(error))?;
        Ok(filter)
    }

    fn list_entries(
        &self,
        log: &Log,
        mut asked: Paged<crate::timeline::ListRequest>,
    ) -> Result<pb::ListEntriesResponse, Status> {
        let snapshot = asked.request.scope.as_of;
        let chain = Self::check_snapshot(log, snapshot, asked.history)?;
        let ranked = asked.request.order == Order::Relevance;
        asked.request.filter = self.looked_up(log, asked.request.filter, snapshot, ranked)?;
        let listed = list(&log.index().view(), &asked.request);
        let mut reader = log.reader();
        let mut page = Page::new();
        let mut next = listed.next;
        let mut before: Option<Key> = None;
        for (entry, key) in listed.entries.iter().zip(&listed.keys) {
            let event = self.read_encoded(&mut reader, entry.position)?;
            let relevance = if ranked { encode::relevance(key.value) } else { 0.0 };
            if !page.push(pb::Entry { relevance, ..encode::entry(entry, event) }) {
                next = before;
                break;
            }
            before = Some(*key);
        }
        let token = |after| PageToken { snapshot, chain, after }.encode(log.store_id(), asked.question);
        Ok(pb::ListEntriesResponse {
            entries: page.items,
            next_page_token: next.map_or_else(String::new, token),
            snapshot: snapshot.0,
            store_id: log.store_id().to_string(),
        })
    }

    fn entry_history(
        &self,
        log: &Log,
        asked: &Paged<HistoryRequest>,
    ) -> Result<pb::GetEntryHistoryResponse, Status> {
        let HistoryRequest { event_id, scope, after, page_size } = asked.request;
        let chain = Self::check_snapshot(log, scope.as_of, asked.history)?;
        let versions = {
            let view = log.index().view();
            let found = view.position_of(&event_id).filter(|position| view.in_scope(*position, scope));
            let position = found.ok_or_else(|| refused(&RequestError::EventNotFound(event_id)))?;
            history(&view, position, scope)
        };
        let mut reader = log.reader();
        let mut page = Page::new();
        let mut last = None;
        let mut pending = versions.iter().filter(|version| version.position > after).peekable();
        while let Some(version) = pending.next_if(|_| page.items.len() < page_size) {
            let event = self.read_event(&mut reader, version.position)?;
            let closer = self.closer(&mut reader, version)?;
            if !page.push(encode::version(version, event, closer)) {
                break;
            }
            last = Some(version.position);
        }
        let more = versions.last().map(|version| version.position) > last;
        let next = last.filter(|_| more).map(|position| Key { value: 0, position });
        let token =
            |after| PageToken { snapshot: scope.as_of, chain, after }.encode(log.store_id(), asked.question);
        Ok(pb::GetEntryHistoryResponse {
            versions: page.items,
            next_page_token: next.map_or_else(String::new, token),
            snapshot: scope.as_of.0,
        })
    }

    /// Gives the event that ended a version, with the ids of its sources.
    fn closer(
        &self,
        reader: &mut Reader,
        version: &Version,
    ) -> Result<Option<(EventId, Vec<String>)>, Status> {
        let Some(position) = version.ended_by() else {
            return Ok(None);
        };
        let position: Position = position;
        let record = self.read(reader, position)?;
        let event = self.event(&record)?;
        let sources = event.sources.into_iter().map(|source| source.id).filter(|id| !id.is_empty());
        Ok(Some((record.event_id, sources.collect())))
    }
}
