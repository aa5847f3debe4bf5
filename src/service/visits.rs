//! `VisitService`.

use tonic::{Request, Response, Status};

use super::Context;
use super::agreements::{stream_named, today};
use super::context::refused;
use super::page::Page;
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::visit_service_server::VisitService;
use crate::projection::Events;
use crate::projection::civil::date_of;
use crate::projection::visits::list::Found;
use crate::projection::visits::meetings::is_or_acts_for;
use crate::projection::visits::suspects::suspects;
use crate::projection::visits::{Taken, changes, record, state, stream_of_id, walk};
use crate::timeline::Certainty;
use crate::wire::limits::RESPONSE_BYTES_MAX;
use crate::wire::paging::Paged;
use crate::wire::visits::{self, MeetingsRequest, VisitRequest, VisitsRequest};
use crate::wire::{PageToken, RequestError};

/// Visits, over gRPC.
#[derive(Clone, Debug)]
pub struct Visits(pub Context);

#[tonic::async_trait]
impl VisitService for Visits {
    async fn get_visit(
        &self,
        request: Request<pb::GetVisitRequest>,
    ) -> Result<Response<pb::GetVisitResponse>, Status> {
        let log = self.0.log()?;
        let asked = visits::get_visit(request.get_ref(), today(&log), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.visit(&log, &asked)).await.map(Response::new)
    }

    async fn list_visits(
        &self,
        request: Request<pb::ListVisitsRequest>,
    ) -> Result<Response<pb::ListVisitsResponse>, Status> {
        let log = self.0.log()?;
        let store = (log.store_id(), log.head().position);
        let asked = visits::list_visits(request.get_ref(), &self.0.limits, today(&log), store);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.visits(&log, asked)).await.map(Response::new)
    }

    async fn list_meetings(
        &self,
        request: Request<pb::ListMeetingsRequest>,
    ) -> Result<Response<pb::ListMeetingsResponse>, Status> {
        let log = self.0.log()?;
        let store = (log.store_id(), log.head().position);
        let asked = visits::list_meetings(request.get_ref(), &self.0.limits, store);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.meetings(&log, asked)).await.map(Response::new)
    }
}

impl Context {
    fn visit(&self, log: &Log, asked: &VisitRequest) -> Result<pb::GetVisitResponse, Status> {
        let failed = |error: ReadError| self.read_failed(&error);
        let VisitRequest { name, day, scope } = asked;
        let stream = stream_named(name, |id| stream_of_id(log, id, *scope).map_err(failed))?;
        let mut events = Events::of(log);
        let found = record(log, &mut events, &stream, *scope).map_err(failed)?;
        let found = found.ok_or_else(|| refused(&RequestError::NothingStands(stream)))?;
        let (suspects, _) = suspects(log, &mut events, &found, *scope).map_err(failed)?;
        Ok(pb::GetVisitResponse {
            visit: Some(state(&found, *day, &suspects)),
            changes: changes(&found),
            change_count: i32::try_from(found.steps.len()).unwrap_or(i32::MAX),
            on: date_of(*day),
            snapshot: scope.as_of.0,
        })
    }

    fn visits(&self, log: &Log, asked: Paged<VisitsRequest>) -> Result<pb::ListVisitsResponse, Status> {
        let VisitsRequest { mut query, walk: asked_walk } = asked.request;
        let scope = asked_walk.scope;
        let chain = Self::check_snapshot(log, scope.as_of, asked.history)?;
        query.filter = self.resolved(log, query.filter, scope)?;
        let mut page = Page::new();
        let offer = |found: Found<'_>| {
            let mut visit = state(found.record, query.day, found.suspects);
            visit.r#match = match found.certainty {
                Certainty::May => pb::valid_window::Match::May,
                Certainty::Must => pb::valid_window::Match::Must,
            }
            .into();
            if page.push(visit) { Taken::Yes } else { Taken::Full }
        };
        let next = walk(log, &query, asked_walk, offer).map_err(|error| self.read_failed(&error))?;
        let token =
            |after| PageToken { snapshot: scope.as_of, chain, after }.encode(log.store_id(), asked.question);
        Ok(pb::ListVisitsResponse {
            visits: page.items,
            next_page_token: next.map_or_else(String::new, token),
            on: date_of(query.day),
            snapshot: scope.as_of.0,
        })
    }

    fn meetings(&self, log: &Log, asked: Paged<MeetingsRequest>) -> Result<pb::ListMeetingsResponse, Status> {
        let MeetingsRequest { mut query, walk: asked_walk, counterparts, persons } = asked.request;
        let scope = asked_walk.scope;
        let chain = Self::check_snapshot(log, scope.as_of, asked.history)?;
        query.filter = self.resolved(log, query.filter, scope)?;
        let mut meetings: Vec<pb::MetOnVisit> = Vec::new();
        let mut bytes = 0_usize;
        let offer = |found: Found<'_>| {
            let visit = state(found.record, query.day, &[]);
            let met = met(visit, [&query.visitors, &counterparts, &persons]);
            if met.is_empty() {
                return Taken::No;
            }
            bytes += met.iter().map(prost::Message::encoded_len).sum::<usize>();
            if bytes > RESPONSE_BYTES_MAX && !meetings.is_empty() {
                return Taken::Full;
            }
            meetings.extend(met);
            Taken::Yes
        };
        let next = walk(log, &query, asked_walk, offer).map_err(|error| self.read_failed(&error))?;
        let token =
            |after| PageToken { snapshot: scope.as_of, chain, after }.encode(log.store_id(), asked.question);
        Ok(pb::ListMeetingsResponse {
            meetings,
            next_page_token: next.map_or_else(String::new, token),
            snapshot: scope.as_of.0,
        })
    }
}

/// Gives the meetings of a visit of which visitor, counterpart and either are among the wanted.
fn met(visit: pb::VisitState, [visitors, counterparts, persons]: [&Vec<String>; 3]) -> Vec<pb::MetOnVisit> {
    let pairs = visit.meetings.into_iter().filter(|pair| {
        let is = |found: &Option<pb::Participant>, wanted: &[String]| {
            found.as_ref().is_some_and(|found| is_or_acts_for(found, wanted))
        };
        is(&pair.visitor, visitors)
            && is(&pair.counterpart, counterparts)
            && (is(&pair.visitor, persons) || is(&pair.counterpart, persons))
    });
    let met = pairs.map(|meeting| pb::MetOnVisit {
        meeting: Some(meeting),
        stream: visit.stream.clone(),
        event_id: visit.event_id.clone(),
        status: visit.status,
        modality: visit.modality,
        valid_time: visit.valid_time.clone(),
    });
    met.collect()
}
