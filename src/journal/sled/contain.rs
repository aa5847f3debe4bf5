//! Contains sled: its errors and panics become errors of the journal.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ::sled::Error;

use crate::journal::error::OpenError;
use crate::journal::walk::SourceError;

/// What sled answers when it fails.
pub(super) enum Failure {
    Error(Error),
    Panic(String),
}

/// Turns a panic into an error: sled panics on some damage and on some failed writes. Afterwards it
/// is only dropped or read from, and what is read is checked.
pub(super) fn guarded<T>(work: impl FnOnce() -> ::sled::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(Failure::Error),
        Err(panic) => Err(Failure::Panic(panic_text(panic.as_ref()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".to_owned())
}

pub(super) fn source_error(failure: Failure) -> SourceError {
    match failure {
        Failure::Error(Error::Io(error)) => SourceError::Io(error),
        Failure::Error(error) => SourceError::Damaged(error.to_string()),
        Failure::Panic(text) => SourceError::Damaged(text),
    }
}

pub(super) fn io_error(failure: Failure) -> io::Error {
    match source_error(failure) {
        SourceError::Io(error) => error,
        SourceError::Damaged(detail) => io::Error::other(detail),
    }
}

/// Says why a database of a rewrite could not be opened.
pub(super) fn open_failure(error: OpenError) -> io::Error {
    match error {
        OpenError::Io(error) => error,
        other @ (OpenError::Locked
        | OpenError::WrongStore { .. }
        | OpenError::Corrupt { .. }
        | OpenError::Store { .. }) => io::Error::other(other),
    }
}

pub(super) fn open_error(failure: Failure) -> OpenError {
    match source_error(failure) {
        // sled has no other sign of it; a rival may take the lock after `files::prepare` looked.
        SourceError::Io(error) if error.to_string().contains("could not acquire lock") => OpenError::Locked,
        SourceError::Io(error) => OpenError::Io(error),
        SourceError::Damaged(detail) => OpenError::Store { detail },
    }
}
