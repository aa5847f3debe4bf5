//! Requests of the administration, from the wire: every violation at once.

use super::status::RequestError;
use crate::codec::check::required_line;
use crate::codec::erased::EraseOrder;
use crate::domain::{EventId, Findings, Invalid};
use crate::pb;

/// Longest reason of an erasure, in characters.
const ERASE_REASON_CHARS_MAX: usize = 1_000;
/// Longest name of who ordered an erasure, in characters.
const ERASE_AUTHORITY_CHARS_MAX: usize = 200;

/// Reads an order to erase.
///
/// # Errors
/// [`RequestError::Invalid`] with every violation.
pub fn erase_event(request: &pb::EraseEventRequest) -> Result<EraseOrder, RequestError> {
    let mut findings = Findings::default();
    let event_id =
        EventId::parse(&request.event_id).map_err(|error| findings.violation_at("event_id", error)).ok();
    required_line(&mut findings, "reason", &request.reason, ERASE_REASON_CHARS_MAX);
    required_line(&mut findings, "authority", &request.authority, ERASE_AUTHORITY_CHARS_MAX);
    findings.into_result()?;
    let event_id = event_id.ok_or_else(|| Invalid::one("event_id", "must be a UUID"))?;
    Ok(EraseOrder { event_id, reason: request.reason.clone(), authority: request.authority.clone() })
}
