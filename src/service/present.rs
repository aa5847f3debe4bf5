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

    /// Gives a record as an encoded event.
    ///
    /// # Errors
    /// As [`Context::event`].
    pub fn encoded(&self, record: &Record) -> Result<Bytes, Status> {
        present::encoded(record).map_err(|error| self.read_failed(&error.into()))
    }

    /// Reads an event.
    ///
    /// # Errors
    /// DATA_LOSS or INTERNAL when it cannot be read.
    pub fn read_event(&self, reader: &mut Reader, position: Position) -> Result<pb::Event, Status> {
        self.event(&self.read(reader, position)?)
    }

    /// Reads an event, encoded.
    ///
    /// # Errors
    /// As [`Context::read_event`].
    pub fn read_encoded(&self, reader: &mut Reader, position: Position) -> Result<Bytes, Status> {
        self.encoded(&self.read(reader, position)?)
    }

    /// Reads a record.
    ///
    /// # Errors
    /// DATA_LOSS or INTERNAL when it cannot be read.
    pub fn read(&self, reader: &mut Reader, position: Position) -> Result<Record, Status> {
        reader.record(position).map_err(|error| self.read_failed(&error))
    }
}
