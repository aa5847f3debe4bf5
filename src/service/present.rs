//! Records as the messages that clients see.

use tonic::Status;

use super::Context;
use crate::codec::present;
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

    /// Gives records as events.
    ///
    /// # Errors
    /// As [`Context::event`].
    pub fn events(&self, records: &[Record]) -> Result<Vec<pb::Event>, Status> {
        records.iter().map(|record| self.event(record)).collect()
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
