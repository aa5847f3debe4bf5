//! Differences between two states of knowledge.

use tonic::Status;

use super::Context;
use super::page::Page;
use crate::domain::Position;
use crate::log::{Log, Reader};
use crate::pb;
use crate::timeline::{Cause, DiffRequest, Entry, Key, diff};
use crate::wire::diff::{self as wire, CAUSES_MAX};
use crate::wire::paging::Paged;
use crate::wire::{PageToken, encode};

impl Context {
    /// Compares two states of knowledge.
    ///
    /// # Errors
    /// When the filter names what is not there, or the log cannot be read.
    pub fn diff_entries(
        &self,
        log: &Log,
        mut asked: Paged<DiffRequest>,
    ) -> Result<pb::DiffEntriesResponse, Status> {
        let snapshot = asked.request.after.as_of;
        let chain = Self::check_snapshot(log, snapshot, asked.history)?;
        // The state before may be the later one of the two: words are looked up in all that is in either.
        let last = snapshot.max(asked.request.before.as_of);
        asked.request.filter = self.with_timelines(log, asked.request.filter, snapshot)?;
        let looked_up = log.look_up(&mut asked.request.filter, last, false);
        looked_up.map_err(|error| self.search_failed(error))?;
        let found = diff(&log.index().view(), &asked.request);
        let mut reader = log.reader();
        let mut page = Page::new();
        let mut next = found.next;
        let mut before: Option<Key> = None;
        for difference in &found.differences {
            let mut entry = |entry: Option<&Entry>| {
                let read = |entry: &Entry| {
                    self.read_encoded(&mut reader, entry.position).map(|event| encode::entry(entry, event))
                };
                entry.map(read).transpose()
            };
            let mut message =
                wire::difference(entry(difference.before.as_ref())?, entry(difference.after.as_ref())?);
            for cause in difference.causes.iter().take(CAUSES_MAX) {
                message.causes.push(self.cause(&mut reader, cause)?);
            }
            let omitted = difference.causes.len().saturating_sub(CAUSES_MAX);
            message.omitted_cause_count = i32::try_from(omitted).unwrap_or(i32::MAX);
            if !page.push(message) {
                next = before;
                break;
            }
            before = Some(difference.key);
        }
        let mut answer = wire::page(&found, &asked.request, log.store_id());
        let token = |after| PageToken { snapshot, chain, after }.encode(log.store_id(), asked.question);
        answer.next_page_token = next.map_or_else(String::new, token);
        answer.differences = page.items;
        Ok(answer)
    }

    fn cause(&self, reader: &mut Reader, cause: &Cause) -> Result<pb::DifferenceCause, Status> {
        let other = match cause.link {
            Some((other, _)) => self.id_at(reader, other)?,
            None => String::new(),
        };
        let (id, source_ids) = self.told_by(reader, cause.position)?;
        Ok(wire::cause(cause, (id, other), source_ids))
    }

    /// Gives the id of an event.
    fn id_at(&self, reader: &mut Reader, position: Position) -> Result<String, Status> {
        let record = self.read(reader, position)?;
        Ok(record.event_id.to_string())
    }

    /// Gives the id of an event and those of its sources.
    ///
    /// # Errors
    /// DATA_LOSS or INTERNAL when it cannot be read.
    pub fn told_by(&self, reader: &mut Reader, position: Position) -> Result<(String, Vec<String>), Status> {
        let event = self.read_event(reader, position)?;
        let sources = event.sources.into_iter().map(|source| source.id).filter(|id| !id.is_empty());
        Ok((event.id, sources.collect()))
    }
}
