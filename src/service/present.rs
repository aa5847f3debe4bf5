//! Records as the messages that clients see.

use bytes::Bytes;
use tonic::Status;

use super::Context;
use crate::codec::present::{self, present};
use crate::domain::Position;
use crate::journal::Record;
use crate::log::Reader;
use crate::pb;

impl Context {
    /// Gives a record as an event.
    ///
    /// # Errors
    /// DATA_LOSS when its bytes are no event.
    pub fn event(&self, record: &Record) -> Result<pb::Event, Status> {
        present(record).map_err(|error| self.read_failed(&error.into()))
    }

    /// Gives records as a batch of events.
    ///
    /// # Errors
    /// As [`Context::event`].
    pub fn batch(&self, records: &[Record]) -> Result<pb::EventBatch, Status> {
        // What the server adds is about half of what was written.
        let written: usize = records.iter().map(|record| record.content.len()).sum();
        let mut bytes = Vec::with_capacity(written + written / 2 + 64 * records.len());
        let mut ends = Vec::with_capacity(records.len());
        for record in records {
            present::write(record, &mut bytes).map_err(|error| self.read_failed(&error.into()))?;
            ends.push(bytes.len());
        }
        let bytes = Bytes::from(bytes);
        let mut begin = 0;
        let events = ends.into_iter().map(|end| bytes.slice(std::mem::replace(&mut begin, end)..end));
        Ok(pb::EventBatch { events: events.collect() })
    }

    /// Reads an event.
    ///
    /// # Errors
    /// DATA_LOSS or INTERNAL when it cannot be read.
    pub fn read_event(&self, reader: &mut Reader, position: Position) -> Result<pb::Event, Status> {
        let record = reader.record(position).map_err(|error| self.read_failed(&error))?;
        self.event(&record)
    }
}
