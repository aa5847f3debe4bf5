//! `ProvenanceService`.

use tonic::{Request, Response, Status};

use super::Context;
use super::context::refused;
use super::page::Page;
use crate::domain::Invalid;
use crate::log::Log;
use crate::pb;
use crate::pb::provenance_service_server::ProvenanceService;
use crate::projection::Events;
use crate::projection::provenance::{Dependent, Dependents, DependentsError, Root, dependents, lineage};
use crate::timeline::Key;
use crate::wire::paging::Paged;
use crate::wire::provenance::{self, DependentsRequest, LineageRequest};
use crate::wire::{PageToken, RequestError};

/// Provenance, over gRPC.
#[derive(Clone, Debug)]
pub struct Provenance(pub Context);

#[tonic::async_trait]
impl ProvenanceService for Provenance {
    async fn get_lineage(
        &self,
        request: Request<pb::GetLineageRequest>,
    ) -> Result<Response<pb::GetLineageResponse>, Status> {
        let log = self.0.log()?;
        let asked = provenance::get_lineage(request.get_ref(), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.lineage(&log, &asked)).await.map(Response::new)
    }

    async fn list_dependents(
        &self,
        request: Request<pb::ListDependentsRequest>,
    ) -> Result<Response<pb::ListDependentsResponse>, Status> {
        let log = self.0.log()?;
        let store = (log.store_id(), log.head().position);
        let asked = provenance::list_dependents(request.get_ref(), &self.0.limits, store);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.dependents(&log, asked)).await.map(Response::new)
    }
}

impl Context {
    fn lineage(&self, log: &Log, asked: &LineageRequest) -> Result<pb::GetLineageResponse, Status> {
        let LineageRequest { event_id, query } = asked;
        let not_found = || refused(&RequestError::EventNotFound(*event_id));
        let root = {
            let view = log.index().view();
            let root = view.position_of(event_id).filter(|root| view.in_scope(*root, query.scope));
            root.ok_or_else(not_found)?
        };
        let found = lineage(log, root, query).map_err(|error| self.read_failed(&error))?;
        let mut events = Events::of(log);
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        for node in found.nodes {
            let replaced_by = node.replaced_by.iter().map(|position| Ok(events.get(*position)?.id));
            let replaced_by: Result<Vec<String>, _> = replaced_by.collect();
            let replaced_by = replaced_by.map_err(|error| self.read_failed(&error))?;
            let (node, carried) = provenance::node(node, replaced_by, query);
            nodes.push(node);
            links.extend(carried);
        }
        Ok(pb::GetLineageResponse { nodes, links, truncated: found.truncated, snapshot: query.scope.as_of.0 })
    }

    fn dependents(
        &self,
        log: &Log,
        asked: Paged<DependentsRequest>,
    ) -> Result<pb::ListDependentsResponse, Status> {
        let DependentsRequest { query, page_size } = asked.request;
        let scope = query.scope;
        if let Root::Event(id) = &query.root {
            let view = log.index().view();
            let found = view.position_of(id).filter(|position| view.in_scope(*position, scope));
            found.ok_or_else(|| refused(&RequestError::EventNotFound(*id)))?;
        }
        let chain = Self::check_snapshot(log, scope.as_of, asked.history)?;
        let query = Dependents { filter: self.resolved(log, query.filter, scope)?, ..query };
        let (mut page, mut last) = (Page::new(), None);
        let offer = |found: Dependent| {
            let key = Key { value: i64::from(found.distance), position: found.position };
            if page.items.len() == page_size || !page.push(provenance::dependent(found)) {
                return false;
            }
            last = Some(key);
            true
        };
        let more = dependents(log, &query, offer).map_err(|error| match error {
            DependentsError::TooMany => {
                refused(&RequestError::Invalid(Invalid::one("depth", error.to_string())))
            }
            DependentsError::Read(error) => self.read_failed(&error),
        })?;
        let token =
            |after| PageToken { snapshot: scope.as_of, chain, after }.encode(log.store_id(), asked.question);
        Ok(pb::ListDependentsResponse {
            dependents: page.items,
            next_page_token: last.filter(|_| more).map_or_else(String::new, token),
            snapshot: scope.as_of.0,
        })
    }
}
