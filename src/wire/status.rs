//! The one map from errors to statuses. No `_` arm: a new variant does not compile until it is mapped.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::{EventId, Invalid, Position, Revision, StoreId};
use crate::journal::{self, ChainHash};
use crate::log::error::ReadError;
use crate::log::{AppendError, BackupError, ConditionViolation, DiskFull, EraseError, ViolatedCondition};
use crate::pb::ErrorReason;

/// Domain of every reason.
pub const ERROR_DOMAIN: &str = "annals.v1";
/// Bytes of violations that a status carries: details travel as a header, which clients bound.
const VIOLATIONS_BYTES_MAX: usize = 3_072;
/// Space comes back by an operator's hand, not by waiting a moment.
const DISK_FULL_RETRY: Duration = Duration::from_secs(30);

/// Says what is wrong with a request before any work is done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Fields break rules.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An event is too large.
    #[error("events[{index}] has {bytes} bytes, at most {bytes_max} are allowed")]
    EventTooLarge {
        /// Its index.
        index: usize,
        /// Its bytes.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// There are too many events.
    #[error("events are {events}, at most {events_max} are allowed")]
    TooManyEvents {
        /// How many.
        events: usize,
        /// The limit.
        events_max: usize,
    },
    /// The events together are too large.
    #[error("events have {bytes} bytes together, at most {bytes_max} are allowed")]
    BatchTooLarge {
        /// Their bytes.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The message is no protobuf message of its type.
    #[error("the message cannot be decoded: {reason}")]
    NotProtobuf {
        /// What the decoder says.
        reason: String,
        /// The event that it is about, if it is not the request as a whole.
        event: Option<usize>,
    },
    /// The message is larger than the wire takes.
    #[error("the message is larger than {bytes_max} bytes")]
    MessageTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The message holds more messages than a server decodes.
    #[error("the message holds more than {messages_max} messages")]
    TooManyMessages {
        /// The limit.
        messages_max: usize,
        /// The event that it is about, if it is not the request as a whole.
        event: Option<usize>,
    },
    /// The page token is not one of this question.
    #[error("page_token cannot be used: {reason}")]
    PageToken {
        /// Why.
        reason: &'static str,
    },
    /// A cursor or token is of another store.
    #[error("it is of store {given}, this is store {actual}")]
    StoreMismatch {
        /// What the client has.
        given: String,
        /// What this is.
        actual: StoreId,
    },
    /// A cursor or token is of another history of this store.
    #[error("at position {position} the log has another history than the one it was read from")]
    HistoryMismatch {
        /// Where the histories were compared.
        position: Position,
        /// The chain hash that the client has, in hexadecimal; of a page token its beginning.
        given: String,
        /// The chain hash that the log has there.
        actual: ChainHash,
    },
    /// A position lies beyond the head.
    #[error("position {position} is beyond the head {head}")]
    BeyondHead {
        /// The position.
        position: Position,
        /// The head.
        head: Position,
    },
    /// No event has the id.
    #[error("no event has the id {0}")]
    EventNotFound(EventId),
    /// A saved timeline is not as needed.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// No agreement or visit stands under a name.
    #[error("nothing stands under the name {0}")]
    NothingStands(String),
    /// The store is being opened.
    #[error("the server is starting: {progress}")]
    Starting {
        /// What is being done.
        progress: String,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    ShuttingDown,
    /// Too many subscriptions are open.
    #[error("{subscriptions_max} subscriptions are open, more are not allowed")]
    SubscriptionsExhausted {
        /// The limit.
        subscriptions_max: usize,
    },
    /// The deadline passed.
    #[error("the deadline passed")]
    DeadlinePassed,
}

/// Says how a saved timeline is not as a request needs it.
#[derive(Debug, thiserror::Error)]
pub enum TimelineError {
    /// None has the id.
    #[error("no timeline has the id {id} as of position {position}")]
    NotFound {
        /// The id.
        id: String,
        /// As of which position it was looked for.
        position: Position,
    },
    /// One has the id.
    #[error("a timeline has the id {id}")]
    Exists {
        /// The id.
        id: String,
        /// Where it was written last.
        position: Position,
    },
    /// It has another revision.
    #[error("timeline {id} has revision {actual}, not {expected}")]
    Changed {
        /// The id.
        id: String,
        /// The revision expected.
        expected: Revision,
        /// The revision that it has.
        actual: Revision,
    },
}

/// What goes into a status.
struct Failure {
    code: Code,
    reason: ErrorReason,
    metadata: Vec<(&'static str, String)>,
    details: ErrorDetails,
}

impl Failure {
    fn new(code: Code, reason: ErrorReason) -> Self {
        Self { code, reason, metadata: Vec::new(), details: ErrorDetails::new() }
    }

    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    fn field(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.details.add_bad_request_violation(field, description);
        self
    }

    fn retry_after(mut self, delay: Duration) -> Self {
        self.details.set_retry_info(Some(delay));
        self
    }

    fn status(mut self, message: impl Into<String>) -> Status {
        let metadata: HashMap<String, String> =
            self.metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.details.set_error_info(self.reason.as_str_name(), ERROR_DOMAIN, metadata);
        Status::with_error_details(self.code, message, self.details)
    }
}

/// Maps what is wrong with a request.
#[must_use]
pub fn request_error(error: &RequestError) -> Status {
    let message = error.to_string();
    let failure = match error {
        RequestError::Invalid(invalid) => return invalid_fields(invalid),
        RequestError::EventTooLarge { index, bytes, bytes_max } => {
            let field = format!("events[{index}]");
            too_large(ErrorReason::EventTooLarge, &field, ("bytes", *bytes), *bytes_max).with("index", index)
        }
        RequestError::TooManyEvents { events, events_max } => {
            too_large(ErrorReason::BatchTooLarge, "events", ("events", *events), *events_max)
        }
        RequestError::BatchTooLarge { bytes, bytes_max } => {
            too_large(ErrorReason::BatchTooLarge, "events", ("bytes", *bytes), *bytes_max)
        }
        RequestError::NotProtobuf { event, .. } => {
            Failure::new(Code::InvalidArgument, ErrorReason::MessageInvalid)
                .field(request_or_event(*event), "must be a protobuf message of its type")
        }
        RequestError::MessageTooLarge { bytes_max } => {
            Failure::new(Code::InvalidArgument, ErrorReason::MessageInvalid)
                .with("bytes_max", bytes_max)
                .field("request", format!("must have at most {bytes_max} bytes"))
        }
        RequestError::TooManyMessages { messages_max, event } => {
            Failure::new(Code::InvalidArgument, ErrorReason::MessageInvalid)
                .with("messages_max", messages_max)
                .field(request_or_event(*event), format!("must hold at most {messages_max} messages"))
        }
        RequestError::PageToken { reason } => {
            Failure::new(Code::InvalidArgument, ErrorReason::PageTokenInvalid).field("page_token", *reason)
        }
        RequestError::StoreMismatch { given, actual } => {
            Failure::new(Code::FailedPrecondition, ErrorReason::StoreMismatch)
                .with("expected_store_id", given)
                .with("store_id", actual)
        }
        RequestError::HistoryMismatch { position, given, actual } => {
            Failure::new(Code::FailedPrecondition, ErrorReason::StoreMismatch)
                .with("position", position)
                .with("expected_chain_hash", given)
                .with("chain_hash", actual)
        }
        RequestError::BeyondHead { position, head } => {
            Failure::new(Code::OutOfRange, ErrorReason::PositionBeyondHead)
                .with("position", position)
                .with("head", head)
        }
        RequestError::EventNotFound(id) => {
            let mut failure = Failure::new(Code::NotFound, ErrorReason::EventNotFound).with("event_id", id);
            failure.details.set_resource_info("annals.v1.Event", id.to_string(), "", "no event has this id");
            failure
        }
        RequestError::Timeline(error) => timeline_failure(error),
        RequestError::NothingStands(name) => {
            Failure::new(Code::NotFound, ErrorReason::NothingStands).with("name", name)
        }
        RequestError::Starting { progress } => {
            unavailable(Code::Unavailable, ErrorReason::Starting).with("progress", progress)
        }
        RequestError::ShuttingDown => unavailable(Code::Unavailable, ErrorReason::ShuttingDown),
        RequestError::SubscriptionsExhausted { subscriptions_max } => {
            unavailable(Code::ResourceExhausted, ErrorReason::SubscriptionsExhausted)
                .with("subscriptions_max", subscriptions_max)
        }
        RequestError::DeadlinePassed => Failure::new(Code::DeadlineExceeded, ErrorReason::DeadlinePassed),
    };
    failure.status(message)
}

fn timeline_failure(error: &TimelineError) -> Failure {
    match error {
        TimelineError::NotFound { id, position } => {
            let mut failure = Failure::new(Code::NotFound, ErrorReason::TimelineNotFound)
                .with("timeline", id)
                .with("position", position);
            failure.details.set_resource_info("annals.v1.Timeline", id, "", "no timeline has this id");
            failure
        }
        TimelineError::Exists { id, position } => Failure::new(Code::AlreadyExists, ErrorReason::MatchExists)
            .with("timeline", id)
            .with("position", position),
        TimelineError::Changed { id, expected, actual } => {
            Failure::new(Code::Aborted, ErrorReason::ConditionFailed)
                .with("timeline", id)
                .with("expected_revision", expected)
                .with("revision", actual)
        }
    }
}

/// Something passes a limit: `(unit, amount)` against `max`.
fn too_large(reason: ErrorReason, field: &str, (unit, amount): (&'static str, usize), max: usize) -> Failure {
    let limit = if unit == "bytes" { "bytes_max" } else { "events_max" };
    Failure::new(Code::InvalidArgument, reason)
        .with(unit, amount)
        .with(limit, max)
        .field(field, format!("must have at most {max} {unit}, has {amount}"))
}

/// The same request may succeed in a second.
fn unavailable(code: Code, reason: ErrorReason) -> Failure {
    Failure::new(code, reason).retry_after(Duration::from_secs(1))
}

fn request_or_event(event: Option<usize>) -> String {
    event.map_or_else(|| "request".to_owned(), |index| format!("events[{index}]"))
}

fn invalid_fields(invalid: &Invalid) -> Status {
    let mut failure = Failure::new(Code::InvalidArgument, ErrorReason::FieldInvalid);
    let mut bytes = 0;
    let mut shown = 0;
    for violation in &invalid.violations {
        bytes += violation.field.len() + violation.description.len() + 8;
        if bytes > VIOLATIONS_BYTES_MAX && shown > 0 {
            break;
        }
        shown += 1;
        let description: String = violation.description.chars().take(512).collect();
        let field: String = violation.field.chars().take(512).collect();
        failure.details.add_bad_request_violation(field, description);
    }
    let omitted = invalid.count - shown;
    let first = invalid.violations.first().map(ToString::to_string).unwrap_or_default();
    let first: String = first.chars().take(512).collect();
    let more = invalid.count.saturating_sub(1);
    let message = if more == 0 { first } else { format!("{first} (and {more} more)") };
    failure.with("violations", invalid.count).with("omitted", omitted).status(message)
}

/// Maps why an append was not acknowledged. `incident` names the fault in the server's log, for server faults.
#[must_use]
pub fn append_error(error: &AppendError, incident: &str) -> Status {
    let message = error.to_string();
    let failure = match error {
        AppendError::ConditionFailed(violated) => return condition_failed(violated),
        AppendError::EventIdReused { id, position } => {
            Failure::new(Code::AlreadyExists, ErrorReason::EventIdReused)
                .with("event_id", id)
                .with("position", position)
        }
        AppendError::Erased { id, position } => Failure::new(Code::AlreadyExists, ErrorReason::EventErased)
            .with("event_id", id)
            .with("position", position),
        AppendError::PartialReplay { recorded, missing, id } => {
            Failure::new(Code::AlreadyExists, ErrorReason::PartialReplay)
                .with("recorded", recorded)
                .with("missing", missing)
                .with("event_id", id)
        }
        AppendError::LinkTargetUnknown { at, target } => {
            link_failure(ErrorReason::LinkTargetUnknown, *at, *target, &message)
        }
        AppendError::LinkTargetClosed { at, target, closed_by } => {
            link_failure(ErrorReason::LinkTargetClosed, *at, *target, &message).with("closed_by", closed_by)
        }
        AppendError::LinkTargetKind { at, target, kind, target_kind } => {
            link_failure(ErrorReason::LinkTargetKind, *at, *target, &message)
                .with("kind", kind.name())
                .with("target_kind", target_kind.name())
        }
        AppendError::TooLarge { index, bytes, bytes_max } => {
            let field = format!("events[{index}]");
            too_large(ErrorReason::EventTooLarge, &field, ("bytes", *bytes), *bytes_max).with("index", index)
        }
        AppendError::QueueFull(_) => Failure::new(Code::ResourceExhausted, ErrorReason::WriteQueueFull)
            .retry_after(Duration::from_millis(100)),
        AppendError::DiskFull(DiskFull { free_bytes, needed_bytes }) => {
            Failure::new(Code::ResourceExhausted, ErrorReason::DiskFull)
                .with("free_bytes", free_bytes)
                .with("needed_bytes", needed_bytes)
                .retry_after(DISK_FULL_RETRY)
        }
        AppendError::OutcomeUnknown => {
            Failure::new(Code::Internal, ErrorReason::CommitOutcomeUnknown).with("incident", incident)
        }
        AppendError::ReadOnly => Failure::new(Code::FailedPrecondition, ErrorReason::StoreReadOnly),
        AppendError::Closing => return request_error(&RequestError::ShuttingDown),
        AppendError::Read(error) => return read_error(error, incident),
    };
    failure.status(message)
}

/// Maps why an event was not erased. `incident` names the fault in the server's log, for server faults.
#[must_use]
pub fn erase_error(error: &EraseError, incident: &str) -> Status {
    match error {
        EraseError::Unknown(id) => request_error(&RequestError::EventNotFound(*id)),
        EraseError::Reserved(_) => {
            let rule = "must not be an event of the server's own: it records what was done";
            invalid_fields(&Invalid::one("event_id", rule))
        }
        EraseError::Kept(_) => Failure::new(Code::FailedPrecondition, ErrorReason::ErasureBlocked)
            .status("files that a repair kept hold contents too: they must be removed first"),
        EraseError::Invalid(invalid) => invalid_fields(invalid),
        EraseError::Append(error) => append_error(error, incident),
        EraseError::Incomplete(_) => Failure::new(Code::Internal, ErrorReason::ErasureIncomplete)
            .with("incident", incident)
            .status(error.to_string()),
    }
}

fn link_failure(reason: ErrorReason, at: (usize, usize), target: EventId, message: &str) -> Failure {
    let (event, link) = at;
    let field = format!("events[{event}].links[{link}].event_id");
    let mut failure =
        Failure::new(Code::FailedPrecondition, reason).with("event_id", target).with("field", &field);
    failure.details.add_precondition_failure_violation(reason.as_str_name(), field, message);
    failure
}

fn condition_failed(violated: &[ViolatedCondition]) -> Status {
    let absent = violated.iter().find_map(|found| match &found.violation {
        ConditionViolation::Absent { position } => Some((found.index, *position)),
        ConditionViolation::Stream { .. } | ConditionViolation::NoneSince { .. } => None,
    });
    let only_absent =
        violated.iter().all(|found| matches!(found.violation, ConditionViolation::Absent { .. }));
    let mut failure = match absent.filter(|_| only_absent) {
        Some((index, position)) => Failure::new(Code::AlreadyExists, ErrorReason::MatchExists)
            .with("position", position)
            .with("condition", index),
        None => {
            let indexes: Vec<String> = violated.iter().map(|found| found.index.to_string()).collect();
            Failure::new(Code::Aborted, ErrorReason::ConditionFailed).with("conditions", indexes.join(","))
        }
    };
    for found in violated {
        let subject = format!("conditions[{}]", found.index);
        let (kind, description) = match &found.violation {
            ConditionViolation::Stream { name, actual } => {
                ("STREAM", format!("stream {name} has revision {actual}"))
            }
            ConditionViolation::NoneSince { position } => {
                ("NONE_SINCE", format!("the event at position {position} matches"))
            }
            ConditionViolation::Absent { position } => {
                ("ABSENT", format!("the event at position {position} matches"))
            }
        };
        failure.details.add_precondition_failure_violation(kind, subject, description);
    }
    failure.status(format!("{} condition(s) do not hold", violated.len()))
}

/// Maps why a backup was not begun.
#[must_use]
pub fn backup_error(error: &BackupError, incident: &str) -> Status {
    match error {
        BackupError::BeyondHead { position, head } => {
            request_error(&RequestError::BeyondHead { position: *position, head: *head })
        }
        BackupError::InsideCommit { position: _, nearest } => {
            let rule = format!("must be the end of a commit: the nearest one before it is {nearest}");
            request_error(&Invalid::one("after_position", rule).into())
        }
        BackupError::OtherHistory { position, given, actual } => {
            let (position, given, actual) = (*position, given.to_string(), *actual);
            request_error(&RequestError::HistoryMismatch { position, given, actual })
        }
        BackupError::Read(error) => read_error(error, incident),
    }
}

/// Maps a fault of the server's. The client is told what it must know; the cause is in the server's log, under
/// `incident`.
#[must_use]
pub fn read_error(error: &ReadError, incident: &str) -> Status {
    match error {
        ReadError::Journal(journal::ReadError::Corrupt { first, last, .. }) => {
            corrupt(*first, *last, incident)
        }
        ReadError::Missing(position) => corrupt(*position, *position, incident),
        ReadError::Stored(stored) => corrupt(stored.position, stored.position, incident),
        ReadError::Journal(journal::ReadError::Io(_)) | ReadError::Words(_) => internal(incident),
    }
}

fn corrupt(first: Position, last: Position, incident: &str) -> Status {
    Failure::new(Code::DataLoss, ErrorReason::Corrupt)
        .with("first_position", first)
        .with("last_position", last)
        .with("incident", incident)
        .status(format!("positions {first} to {last} are damaged"))
}

/// Maps a fault that no reason names.
#[must_use]
pub fn internal(incident: &str) -> Status {
    Failure::new(Code::Internal, ErrorReason::Internal)
        .with("incident", incident)
        .status("the server failed; the incident is in its log")
}
