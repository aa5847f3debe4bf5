//! `FundingService`.

use tonic::{Request, Response, Status};

use super::Context;
use super::context::refused;
use super::page::Page;
use crate::log::Log;
use crate::pb;
use crate::pb::funding_service_server::FundingService;
use crate::projection::funding::{Question, RowRequest, SummaryRequest, compare, list, summarize};
use crate::timeline::Key;
use crate::wire::paging::Paged;
use crate::wire::{PageToken, funding};

/// Sums of money, over gRPC.
#[derive(Clone, Debug)]
pub struct Funding(pub Context);

#[tonic::async_trait]
impl FundingService for Funding {
    async fn summarize_funding(
        &self,
        request: Request<pb::SummarizeFundingRequest>,
    ) -> Result<Response<pb::SummarizeFundingResponse>, Status> {
        let log = self.0.log()?;
        let asked = funding::summary(request.get_ref(), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.summarize_funding(&log, asked)).await.map(Response::new)
    }

    async fn list_transfers(
        &self,
        request: Request<pb::ListTransfersRequest>,
    ) -> Result<Response<pb::ListTransfersResponse>, Status> {
        let log = self.0.log()?;
        let (store, head) = (log.store_id(), log.head().position);
        let asked = funding::list_transfers(request.get_ref(), &self.0.limits, store, head);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.list_transfers(&log, asked)).await.map(Response::new)
    }

    async fn compare_funding(
        &self,
        request: Request<pb::CompareFundingRequest>,
    ) -> Result<Response<pb::CompareFundingResponse>, Status> {
        let log = self.0.log()?;
        let asked = funding::comparison(request.get_ref(), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.compare_funding(&log, asked)).await.map(Response::new)
    }
}

impl Context {
    fn completed(&self, log: &Log, question: Question) -> Result<Question, Status> {
        Ok(Question { filter: self.resolved(log, question.filter, question.scope)?, ..question })
    }

    fn summarize_funding(
        &self,
        log: &Log,
        asked: SummaryRequest,
    ) -> Result<pb::SummarizeFundingResponse, Status> {
        let asked = SummaryRequest { question: self.completed(log, asked.question)?, ..asked };
        let mut answer = summarize(&log.index().view(), &asked);
        let rows = std::mem::take(&mut answer.rows);
        let found = rows.len();
        let mut page = Page::new();
        // Rows that do not fit are told of as those beyond the limit are.
        let taken = rows.into_iter().map_while(|row| page.push(row).then_some(())).count();
        answer.omitted_row_count += i64::try_from(found - taken).unwrap_or(i64::MAX);
        answer.rows = page.items;
        Ok(answer)
    }

    fn list_transfers(
        &self,
        log: &Log,
        mut asked: Paged<RowRequest>,
    ) -> Result<pb::ListTransfersResponse, Status> {
        let snapshot = asked.request.question.scope.as_of;
        let chain = Self::check_snapshot(log, snapshot, asked.history)?;
        asked.request.question = self.completed(log, asked.request.question)?;
        let (listed, mut more) = list(&log.index().view(), &asked.request);
        let mut reader = log.reader();
        let mut page = Page::new();
        let mut last = None;
        for transfer in listed {
            let event = Some(self.read_event(&mut reader, transfer.position)?);
            if !page.push(pb::ListedTransfer { event, suspected_duplicate: transfer.is_duplicate }) {
                more = true;
                break;
            }
            last = Some(Key { value: 0, position: transfer.position });
        }
        let token = |after| PageToken { snapshot, chain, after }.encode(log.store_id(), asked.question);
        Ok(pb::ListTransfersResponse {
            transfers: page.items,
            next_page_token: last.filter(|_| more).map_or_else(String::new, token),
            snapshot: snapshot.0,
            store_id: log.store_id().to_string(),
        })
    }

    fn compare_funding(&self, log: &Log, asked: Question) -> Result<pb::CompareFundingResponse, Status> {
        let asked = self.completed(log, asked)?;
        let compared = compare(&log.index().view(), &asked);
        let mut answer = compared.response;
        let mut reader = log.reader();
        for (same, positions) in answer.suspected_duplicates.iter_mut().zip(compared.alike) {
            for position in positions {
                let record = self.read(&mut reader, position)?;
                same.event_ids.push(record.event_id.to_string());
            }
        }
        Ok(answer)
    }
}
