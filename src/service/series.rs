//! `SeriesService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::Context;
use super::context::refused;
use super::page::Page;
use crate::domain::{EventId, Invalid, Position};
use crate::index::Scope;
use crate::log::Log;
use crate::pb;
use crate::pb::event::Payload;
use crate::pb::series_service_server::SeriesService;
use crate::projection::Events;
use crate::projection::series::claim::{CLAIMS_MAX, comparisons};
use crate::projection::series::read::selector_of;
use crate::projection::series::variant::Side;
use crate::projection::series::{self, Book, ClaimAsked, Selector, SeriesError};
use crate::timeline::Key;
use crate::wire::paging::Paged;
use crate::wire::series::{self as asked, Claiming, Comparing, Listing, Which};
use crate::wire::{PageToken, RequestError};

/// Most series that the values of a claim are looked up in.
const CLAIM_SERIES_MAX: usize = 20;

/// Statistical series, over gRPC.
#[derive(Clone, Debug)]
pub struct Series(pub Context);

/// Answers a question with pages.
macro_rules! paged {
    ($self:ident, $request:ident, $decode:path, $pages:ident) => {{
        let log = $self.0.log()?;
        let held = (&$self.0.limits, log.store_id(), log.head().position);
        let asked = $decode($request.get_ref(), held).map_err(|error| refused(&error))?;
        $self.0.query(move |context| context.$pages(&log, asked)).await.map(Response::new)
    }};
}

#[tonic::async_trait]
impl SeriesService for Series {
    async fn list_series(
        &self,
        request: Request<pb::ListSeriesRequest>,
    ) -> Result<Response<pb::ListSeriesResponse>, Status> {
        paged!(self, request, asked::list_series, list_series)
    }

    async fn get_series(
        &self,
        request: Request<pb::GetSeriesRequest>,
    ) -> Result<Response<pb::GetSeriesResponse>, Status> {
        paged!(self, request, asked::get_series, get_series)
    }

    async fn list_vintages(
        &self,
        request: Request<pb::ListVintagesRequest>,
    ) -> Result<Response<pb::ListVintagesResponse>, Status> {
        paged!(self, request, asked::list_vintages, list_vintages)
    }

    async fn count_revisions(
        &self,
        request: Request<pb::CountRevisionsRequest>,
    ) -> Result<Response<pb::CountRevisionsResponse>, Status> {
        paged!(self, request, asked::count_revisions, count_revisions)
    }

    async fn get_period_value(
        &self,
        request: Request<pb::GetPeriodValueRequest>,
    ) -> Result<Response<pb::GetPeriodValueResponse>, Status> {
        let log = self.0.log()?;
        let asked = asked::period_value(request.get_ref(), log.head().position);
        let (which, asked) = asked.map_err(|error| refused(&error))?;
        let answer = self.0.query(move |context| {
            let book = context.book(&log, &which)?;
            let value = Some(series::period_value(&book, &asked).wire);
            Ok(pb::GetPeriodValueResponse { value, snapshot: which.scope.as_of.0 })
        });
        answer.await.map(Response::new)
    }

    async fn compare_periods(
        &self,
        request: Request<pb::ComparePeriodsRequest>,
    ) -> Result<Response<pb::ComparePeriodsResponse>, Status> {
        let log = self.0.log()?;
        let asked = asked::compare_periods(request.get_ref(), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.compare_periods(&log, &asked)).await.map(Response::new)
    }

    async fn check_claim(
        &self,
        request: Request<pb::CheckClaimRequest>,
    ) -> Result<Response<pb::CheckClaimResponse>, Status> {
        let log = self.0.log()?;
        let asked = asked::check_claim(request.get_ref(), log.head().position);
        let asked = asked.map_err(|error| refused(&error))?;
        self.0.query(move |context| context.check_claim(&log, &asked)).await.map(Response::new)
    }
}

/// Where one page ends: what is on it, and the token of the next.
struct Cut<T> {
    items: Vec<T>,
    next_page_token: String,
    snapshot: u64,
}

impl Context {
    /// Reads the series of a question.
    fn book(&self, log: &Log, which: &Which) -> Result<Arc<Book>, Status> {
        let filter = self.resolved(log, which.filter.clone(), which.scope)?;
        let read = series::read(log, &self.books, &filter, &which.selector, which.scope);
        read.map_err(|error| self.series_failed(&error))
    }

    fn series_failed(&self, error: &SeriesError) -> Status {
        match error {
            SeriesError::TooMany | SeriesError::TooManyObservations => {
                refused(&RequestError::Invalid(Invalid::one("series", error.to_string())))
            }
            SeriesError::Read(error) => self.read_failed(error),
        }
    }

    fn cut<A, T: prost::Message>(
        log: &Log,
        asked: &Paged<Listing<A>>,
        items: impl Iterator<Item = T>,
    ) -> Result<Cut<T>, Status> {
        let Listing { which, skip, page_size, .. } = &asked.request;
        let snapshot = which.scope.as_of;
        let chain = Self::check_snapshot(log, snapshot, asked.history)?;
        let mut page = Page::new();
        let mut more = false;
        for item in items {
            if page.items.len() == *page_size || !page.push(item) {
                more = true;
                break;
            }
        }
        // The answer is the same whenever it is asked of the snapshot, so a page begins by number.
        let after = Key {
            value: i64::try_from(skip.saturating_add(page.items.len())).unwrap_or(i64::MAX),
            position: Position::ZERO,
        };
        let token = || PageToken { snapshot, chain, after }.encode(log.store_id(), asked.question);
        let next_page_token = if more { token() } else { String::new() };
        Ok(Cut { items: page.items, next_page_token, snapshot: snapshot.0 })
    }

    fn list_series(&self, log: &Log, asked: Paged<Listing<()>>) -> Result<pb::ListSeriesResponse, Status> {
        let book = self.book(log, &asked.request.which)?;
        let Cut { items, next_page_token, snapshot } =
            Self::cut(log, &asked, series::headers(&book).skip(asked.request.skip))?;
        Ok(pb::ListSeriesResponse { series: items, next_page_token, snapshot })
    }

    fn get_series(
        &self,
        log: &Log,
        asked: Paged<Listing<series::CellsAsked>>,
    ) -> Result<pb::GetSeriesResponse, Status> {
        let book = self.book(log, &asked.request.which)?;
        let values = series::values(&book, &asked.request.asked, asked.request.skip);
        let Cut { items, next_page_token, snapshot } = Self::cut(log, &asked, values)?;
        Ok(pb::GetSeriesResponse { values: items, next_page_token, snapshot })
    }

    fn list_vintages(
        &self,
        log: &Log,
        asked: Paged<Listing<series::TriangleAsked>>,
    ) -> Result<pb::ListVintagesResponse, Status> {
        let book = self.book(log, &asked.request.which)?;
        let cells = series::triangle(&book, &asked.request.asked, asked.request.skip);
        let Cut { items, next_page_token, snapshot } = Self::cut(log, &asked, cells)?;
        Ok(pb::ListVintagesResponse { cells: items, next_page_token, snapshot })
    }

    fn count_revisions(
        &self,
        log: &Log,
        asked: Paged<Listing<()>>,
    ) -> Result<pb::CountRevisionsResponse, Status> {
        let book = self.book(log, &asked.request.which)?;
        let rounds = series::rounds(&book).into_iter().skip(asked.request.skip);
        let Cut { items, next_page_token, snapshot } = Self::cut(log, &asked, rounds)?;
        Ok(pb::CountRevisionsResponse { rounds: items, next_page_token, snapshot })
    }

    fn compare_periods(&self, log: &Log, asked: &Comparing) -> Result<pb::ComparePeriodsResponse, Status> {
        let Comparing { value, base, asked } = asked;
        let own = self.book(log, value)?;
        let is_same = value.selector == base.selector;
        let in_scope = |which: &Which, scope: Scope| Which { scope, ..which.clone() };
        let own_base = if is_same && value.scope == base.scope { None } else { Some(self.book(log, base)?) };
        // Where the sides name different series, each may be asked for what the other does not know.
        let crossed = if is_same {
            None
        } else {
            let of_value = self.book(log, &in_scope(base, value.scope))?;
            Some((of_value, self.book(log, &in_scope(value, base.scope))?))
        };
        let (of_value, of_base) =
            crossed.as_ref().map_or((None, None), |(one, other)| (Some(one.as_ref()), Some(other.as_ref())));
        let side = Side { own: &own, other: of_value };
        let base_side = Side { own: own_base.as_ref().unwrap_or(&own), other: of_base };
        let comparison = series::compare(base_side, side, asked);
        Ok(pb::ComparePeriodsResponse { comparison: Some(comparison), snapshot: value.scope.as_of.0 })
    }

    fn check_claim(&self, log: &Log, asked: &Claiming) -> Result<pb::CheckClaimResponse, Status> {
        let Claiming { event_id, selector, filter, scope, absent_is_zero } = asked;
        let position = {
            let view = log.index().view();
            view.position_of(event_id).filter(|position| view.in_scope(*position, *scope))
        };
        let position = position.ok_or_else(|| refused(&RequestError::EventNotFound(*event_id)))?;
        let mut events = Events::of(log);
        let event = events.get(position).map_err(|error| self.read_failed(&error))?;
        let stated = comparisons(&event);
        let mut claims = Vec::new();
        for (field, stated, links) in stated.iter().take(CLAIMS_MAX) {
            let selectors = match selector {
                Some(selector) => vec![selector.clone()],
                None => self.series_of(log, &mut events, &event, links, *scope)?,
            };
            let mut books = Vec::new();
            for selector in selectors {
                books.push(self.book(log, &Which { selector, filter: filter.clone(), scope: *scope })?);
            }
            let asked = ClaimAsked { stated, books: &books, absent_is_zero: *absent_is_zero };
            claims.push(series::check_claim(field.clone(), &asked));
        }
        let omitted = stated.len().saturating_sub(claims.len());
        let omitted_claim_count = i32::try_from(omitted).unwrap_or(i32::MAX);
        Ok(pb::CheckClaimResponse { claims, omitted_claim_count, snapshot: scope.as_of.0 })
    }

    /// Gives the series that an event is of, or that links of it or of its claim name.
    fn series_of(
        &self,
        log: &Log,
        events: &mut Events,
        event: &pb::Event,
        links: &[pb::Link],
        scope: Scope,
    ) -> Result<Vec<Selector>, Status> {
        if let Some(Payload::StatisticalRelease(release)) = &event.payload {
            return Ok(vec![selector_of(&event.stream, release)]);
        }
        let ids = links.iter().chain(&event.links).filter_map(|link| EventId::parse(&link.event_id).ok());
        let mut found: Vec<Selector> = Vec::new();
        for id in ids.take(CLAIM_SERIES_MAX) {
            let position = {
                let view = log.index().view();
                view.position_of(&id).filter(|position| {
                    let is_entry =
                        view.locate(*position).is_some_and(|(part, slot)| !part.columns().is_no_entry(slot));
                    is_entry && view.in_scope(*position, scope)
                })
            };
            let Some(position) = position else { continue };
            let named = events.get(position).map_err(|error| self.read_failed(&error))?;
            if let Some(Payload::StatisticalRelease(release)) = &named.payload {
                let selector = selector_of(&named.stream, release);
                if !found.contains(&selector) {
                    found.push(selector);
                }
            }
        }
        Ok(found)
    }
}
