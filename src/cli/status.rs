//! gRPC errors, as the user sees them.

use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::exit::Exit;
use super::failure::{Failure, chain};
use crate::pb::{Entry, Event, EventBatch};

/// The domain of the reasons in `annals.v1.ErrorReason`.
const DOMAIN: &str = "annals.v1";

/// Tells what a failed call means.
#[must_use]
pub fn failure(status: &Status) -> Failure {
    failure_at(status, str::to_owned)
}

/// Tells what a failed call means, with every field path rewritten by `place`.
#[must_use]
pub fn failure_at(status: &Status, place: impl Fn(&str) -> String) -> Failure {
    let details = status.get_error_details();
    let reason = reason_in(&details);
    let code = code_name(status.code());
    let head = reason.map_or_else(|| code.to_owned(), |reason| format!("{code} {reason}"));
    let mut failure =
        Failure::new(Exit::of_code(status.code()), format!("{head}: {}", message(status, &details, &place)));
    for line in detail_lines(&details, place) {
        failure = failure.detail(line);
    }
    if let Some(delay) = retry_delay_in(&details) {
        failure = failure.detail(format!("may be repeated after {} s", delay.as_secs_f64()));
    }
    match reason {
        Some(reason) => failure.hint(format!("annals explain {reason}")),
        None => failure,
    }
}

/// Decodes the events of a batch.
///
/// # Errors
/// [`Failure`] when one is no event: the server is at fault.
pub fn decoded(batch: &EventBatch) -> Result<Vec<Event>, Failure> {
    batch.decoded().map_err(|error| no_event(&error))
}

/// Decodes the event of an entry.
///
/// # Errors
/// [`Failure`] when it is none: the server is at fault.
pub fn event_of(entry: &Entry) -> Result<Event, Failure> {
    entry.decoded().map_err(|error| no_event(&error))
}

fn no_event(error: &prost::DecodeError) -> Failure {
    Failure::new(Exit::of_code(Code::Internal), format!("the server sent what is no event: {error}"))
}

/// Lists violations, preconditions, resources and facts, one a line.
fn detail_lines(details: &ErrorDetails, place: impl Fn(&str) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        lines.push(format!("{}: {}", place(&violation.field), violation.description));
    }
    for violation in details.precondition_failure().iter().flat_map(|failed| &failed.violations) {
        lines.push(format!("{} {}: {}", violation.r#type, violation.subject, violation.description));
    }
    if let Some(resource) = details.resource_info() {
        lines.push(format!("{} {}", resource.resource_type, resource.resource_name));
    }
    let facts = details.error_info().into_iter().flat_map(|info| &info.metadata);
    let mut facts: Vec<_> = facts
        .filter(|(key, value)| !is_counted(key, value))
        .map(|(key, value)| {
            let value = if key == "field" { place(value) } else { value.clone() };
            format!("{key}: {value}")
        })
        .collect();
    facts.sort_unstable();
    lines.append(&mut facts);
    lines
}

/// Leaves out how many violations there are, since they are listed, and that none was left out.
fn is_counted(key: &str, value: &str) -> bool {
    key == "violations" || (key == "omitted" && value == "0")
}

/// Gives the message, with the root cause of a failed connection, which tonic keeps apart.
fn message(status: &Status, details: &ErrorDetails, place: impl Fn(&str) -> String) -> String {
    let mut text = status.message().to_owned();
    // The message of a refused field begins with its path.
    let mut violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
    if let Some(first) = violations.find(|violation| !violation.field.is_empty())
        && let Some(rest) = status.message().strip_prefix(&first.field)
    {
        text = format!("{}{rest}", place(&first.field));
    }
    if let Some(source) = status.source() {
        let cause = chain(source);
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    if text.is_empty() { "the server gave no message".to_owned() } else { text }
}

/// Gives the reason, if the server is an Annals.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    reason_in(&status.get_error_details()).map(str::to_owned)
}

fn reason_in(details: &ErrorDetails) -> Option<&str> {
    let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
    Some(info.reason.as_str())
}

/// Gives a fact that belongs to the reason.
#[must_use]
pub fn metadata(status: &Status, key: &str) -> Option<String> {
    status.get_details_error_info().and_then(|mut info| info.metadata.remove(key))
}

/// Gives how long the server asks to wait.
#[must_use]
pub fn retry_delay(status: &Status) -> Option<Duration> {
    retry_delay_in(&status.get_error_details())
}

fn retry_delay_in(details: &ErrorDetails) -> Option<Duration> {
    details.retry_info().and_then(|info| info.retry_delay)
}

/// Tells whether the same call may succeed if it is made again a little later.
///
/// RESOURCE_EXHAUSTED counts only with a delay from the server, and not for a full disk, which does not pass by itself
/// in the time that a command waits. Codes that a
/// broken connection leaves behind count only without a reason, which only the server gives.
#[must_use]
pub fn is_transient(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded => true,
        Code::ResourceExhausted => {
            retry_delay(status).is_some() && reason(status).as_deref() != Some("DISK_FULL")
        }
        Code::Cancelled | Code::Unknown | Code::Internal => reason(status).is_none(),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Gives the name of a code as the gRPC specification writes it.
#[must_use]
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn status(code: Code, reason: &str, details: ErrorDetails) -> Status {
        let mut details = details;
        if !reason.is_empty() {
            details.set_error_info(reason, DOMAIN, HashMap::<String, String>::new());
        }
        Status::with_error_details(code, "two fields are wrong", details)
    }

    #[test]
    fn violations_are_listed_with_their_place() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("events[1].title", "must not be empty");
        details.add_bad_request_violation("conditions[0]", "must be set");
        let status = status(Code::InvalidArgument, "FIELD_INVALID", details);
        let failure = failure_at(&status, |field| format!("<{field}>"));
        assert_eq!(failure.exit(), Exit::Data);
        assert_eq!(
            failure.to_string(),
            "error: INVALID_ARGUMENT FIELD_INVALID: two fields are wrong\n  \
             <events[1].title>: must not be empty\n  <conditions[0]>: must be set\n\
             hint: annals explain FIELD_INVALID"
        );
    }

    #[test]
    fn a_message_that_begins_with_a_field_gets_its_place_too() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("events[1].title", "must not be empty");
        let facts = [("violations", "1"), ("omitted", "0")];
        let facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned()));
        details.set_error_info("FIELD_INVALID", DOMAIN, HashMap::from(facts));
        let message = "events[1].title must not be empty";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        assert_eq!(
            failure_at(&status, |_| "f:7: title".to_owned()).to_string(),
            "error: INVALID_ARGUMENT FIELD_INVALID: f:7: title must not be empty\n  \
             f:7: title: must not be empty\nhint: annals explain FIELD_INVALID"
        );
    }

    #[test]
    fn preconditions_facts_and_delay_are_shown() {
        let mut details = ErrorDetails::new();
        details.add_precondition_failure_violation("STREAM", "agreement/a", "has revision 3");
        details.set_retry_info(Some(Duration::from_millis(1_500)));
        let facts =
            [("position", "7"), ("condition", "0")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        details.set_error_info("CONDITION_FAILED", DOMAIN, HashMap::from(facts));
        let status = Status::with_error_details(Code::Aborted, "no", details);
        assert_eq!(
            failure(&status).to_string(),
            "error: ABORTED CONDITION_FAILED: no\n  STREAM agreement/a: has revision 3\n  \
             condition: 0\n  position: 7\n  may be repeated after 1.5 s\n\
             hint: annals explain CONDITION_FAILED"
        );
    }

    #[test]
    fn a_foreign_error_has_no_reason_to_explain() {
        let failure = failure(&Status::unimplemented(""));
        assert_eq!(failure.to_string(), "error: UNIMPLEMENTED: the server gave no message");
        assert_eq!(failure.exit(), Exit::Protocol);
    }

    #[test]
    fn transient_failures() {
        fn check(code: Code, reason: &str, delay: bool, expected: bool) {
            let mut details = ErrorDetails::new();
            if delay {
                details.set_retry_info(Some(Duration::from_secs(1)));
            }
            assert_eq!(is_transient(&status(code, reason, details)), expected, "{code:?} {reason} {delay}");
        }
        check(Code::Unavailable, "STARTING", true, true);
        check(Code::Unavailable, "", false, true);
        check(Code::ResourceExhausted, "WRITE_QUEUE_FULL", true, true);
        check(Code::ResourceExhausted, "DISK_FULL", true, false);
        check(Code::Internal, "", false, true);
        check(Code::Internal, "COMMIT_OUTCOME_UNKNOWN", false, false);
        check(Code::InvalidArgument, "FIELD_INVALID", false, false);
        check(Code::DataLoss, "CORRUPT", false, false);
    }
}
