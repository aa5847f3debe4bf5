//! Questions with pages: what each has in common.

use super::decode::{pinned, scope_at, within};
use super::limits::Limits;
use super::page_token::{self, ChainStart, PageToken};
use super::status::RequestError;
use crate::domain::{Findings, Position, StoreId};
use crate::index::Scope;
use crate::pb;
use crate::timeline::Key;

/// A question with pages, and what its next page token must be tied to.
#[derive(Debug)]
pub struct Paged<T> {
    /// The question.
    pub request: T,
    /// Digest of the question.
    pub question: [u8; 16],
    /// What the page token says of the history that it is of.
    pub history: Option<ChainStart>,
}

/// A request for a page.
pub trait PageRequest: prost::Message + Clone {
    /// The field that holds the state of knowledge.
    const SCOPE: &'static str = "scope";
    /// The state of knowledge asked for.
    fn scope(&self) -> Option<&pb::Scope>;
    /// The size asked for.
    fn page_size(&self) -> i32;
    /// The token of the page before.
    fn page_token(&self) -> &str;
    /// Gives the question: the request without its page fields.
    #[must_use]
    fn without_page(&self) -> Self;
}

/// Says where a message keeps its page fields.
macro_rules! page_requests {
    ($($message:ident),+ $(,)?) => {$(
        impl PageRequest for pb::$message {
            fn scope(&self) -> Option<&pb::Scope> {
                self.scope.as_ref()
            }
            fn page_size(&self) -> i32 {
                self.page_size
            }
            fn page_token(&self) -> &str {
                &self.page_token
            }
            fn without_page(&self) -> Self {
                Self { page_size: 0, page_token: String::new(), ..self.clone() }
            }
        }
    )+};
}

page_requests!(ListEntriesRequest, GetEntryHistoryRequest);
page_requests!(ListTransfersRequest);
page_requests!(ListSeriesRequest, GetSeriesRequest, ListVintagesRequest, CountRevisionsRequest);
page_requests!(ListTimelinesRequest);
page_requests!(ListAgreementsRequest, ListVisitsRequest, ListMeetingsRequest);
page_requests!(ListDependentsRequest);

/// Which page of which state of knowledge, held against its token.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The state of knowledge; `as_of` is a real position.
    pub scope: Scope,
    /// Where the page before ended.
    pub after: Option<Key>,
    /// Most items.
    pub page_size: usize,
    /// Digest of the question.
    pub question: [u8; 16],
    /// What the page token says of the history that it is of.
    pub history: Option<ChainStart>,
}

/// The page fields as they were sent.
#[derive(Clone, Copy, Debug)]
pub struct Unheld {
    scope: Scope,
    page_size: usize,
}

impl Turn {
    /// Reads the page fields of a request.
    pub fn read<R: PageRequest>(findings: &mut Findings, request: &R, limits: &Limits) -> Unheld {
        let page_size = match usize::try_from(request.page_size()) {
            Ok(0) => limits.page_size_default,
            Ok(size) => size.min(limits.page_size_max),
            Err(_) => {
                findings.violation_at("page_size", "must not be negative");
                limits.page_size_default
            }
        };
        Unheld { scope: scope_at(findings, R::SCOPE, request.scope()), page_size }
    }
}

impl Unheld {
    /// Holds the page fields against the store and the token.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn held(
        self,
        method: &str,
        request: &impl PageRequest,
        store: StoreId,
        head: Position,
    ) -> Result<Turn, RequestError> {
        let question = page_token::question(method, &request.without_page());
        let mut scope = pinned(self.scope, head)?;
        let (mut after, mut history) = (None, None);
        if !request.page_token().is_empty() {
            let token = PageToken::decode(request.page_token(), store, question)?;
            scope.as_of = within(token.snapshot.0, head)?;
            (after, history) = (Some(token.after), Some(token.chain));
        }
        Ok(Turn { scope, after, page_size: self.page_size, question, history })
    }
}
