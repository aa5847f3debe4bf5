//! `AgreementService`.

use tonic::{Request, Response, Status};

use super::Context;
use super::context::refused;
use super::page::Page;
use crate::domain::{Day, day_of};
use crate::log::Log;
use crate::log::error::ReadError;
use crate::pb;
use crate::pb::agreement_service_server::AgreementService;
use crate::projection::agreements::{Detail, dossier, dossiers, list, state, stream_of_id};
use crate::projection::civil::date_of;
use crate::wire::agreements::{self, AgreementRequest, AgreementsRequest, Named};
use crate::wire::paging::Paged;
use crate::wire::{PageToken, RequestError};

/// Agreements, over gRPC.
#[derive(Clone, Debug)]
pub struct Agreements(pub Context);

/// Gives the day of the log's clock, in UTC.
#[must_use]
pub fn today(log: &Log) -> Day {
    day_of(log.clock().now())
}

#[tonic::async_trait]
impl AgreementService for Agreements {
    async fn get_agreement(
        &self,
        request: Request<pb::GetAgreementRequest>,
    ) -> Result<Response<pb::GetAgreementResponse>, Status> {
        let log = self.0.log()?;
        let asked = agreements::get_agreement(request.get_ref(), today(&log), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.agreement(&log, &asked)).await.map(Response::new)
    }

    async fn list_agreements(
        &self,
        request: Request<pb::ListAgreementsRequest>,
    ) -> Result<Response<pb::ListAgreementsResponse>, Status> {
        let log = self.0.log()?;
        let store = (log.store_id(), log.head().position);
        let asked = agreements::list_agreements(request.get_ref(), &self.0.limits, today(&log), store);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.agreements(&log, asked)).await.map(Response::new)
    }
}

impl Context {
    fn agreement(&self, log: &Log, asked: &AgreementRequest) -> Result<pb::GetAgreementResponse, Status> {
        let failed = |error: ReadError| self.read_failed(&error);
        let AgreementRequest { name, day, scope, basis } = asked;
        let find = |id: &str| Ok(stream_of_id(&log.index().view(), id, *scope));
        let name = stream_named(name, find)?;
        let found = dossier(log, &name, *scope).map_err(failed)?;
        let found = found.ok_or_else(|| refused(&RequestError::NothingStands(name)))?;
        Ok(pb::GetAgreementResponse {
            agreement: Some(state(&found, *basis, *day, Detail::Full)),
            on: date_of(*day),
            snapshot: scope.as_of.0,
        })
    }

    fn agreements(
        &self,
        log: &Log,
        mut asked: Paged<AgreementsRequest>,
    ) -> Result<pb::ListAgreementsResponse, Status> {
        let failed = |error: ReadError| self.read_failed(&error);
        let scope = asked.request.query.scope;
        let chain = Self::check_snapshot(log, scope.as_of, asked.history)?;
        let filter = std::mem::take(&mut asked.request.query.filter);
        asked.request.query.filter = self.resolved(log, filter, scope)?;
        let AgreementsRequest { query, skip, page_size } = asked.request;
        let listed = list(&log.index().view(), &query, skip..skip.saturating_add(page_size));
        let mut answer = agreements::counted(&listed, query.day, scope.as_of);
        let shown = listed.streams.iter().cloned().collect();
        let mut found = dossiers(log, &shown, scope).map_err(failed)?;
        let mut page = Page::new();
        for name in &listed.streams {
            let Some(dossier) = found.remove(name) else { continue };
            if !page.push(state(&dossier, query.basis, query.day, Detail::Summary)) {
                break;
            }
        }
        let shown = skip.saturating_add(page.items.len());
        if shown < listed.total {
            let after = agreements::key(shown, query.day);
            let token = PageToken { snapshot: scope.as_of, chain, after };
            answer.next_page_token = token.encode(log.store_id(), asked.question);
        }
        answer.agreements = page.items;
        Ok(answer)
    }
}

/// Gives the stream that a question names.
///
/// # Errors
/// NOT_FOUND when no standing event carries the identifier, and the error of `find`.
pub fn stream_named(
    name: &Named,
    find: impl FnOnce(&str) -> Result<Option<String>, Status>,
) -> Result<String, Status> {
    match name {
        Named::Stream(stream) => Ok(stream.as_str().to_owned()),
        Named::Id(id) => find(id)?.ok_or_else(|| refused(&RequestError::NothingStands(id.clone()))),
    }
}
