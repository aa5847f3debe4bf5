//! A recorded event as clients see it: what they wrote, and what the server knows besides.

use prost::Message as _;

use super::check::{moment_of, timestamp_of};
use super::time::fill;
use crate::domain::{AmountQualifier, Comparison, Decimal, Measure, RecordForm, Source, TimeSpan};
use crate::domain::{known_from_sources, known_time};
use crate::journal::Record;
use crate::pb;
use crate::pb::event::Payload;
use crate::pb::storage::StoredFields;

pub use super::stored::StoredError as PresentError;

/// Gives a recorded event with every derived field filled in.
///
/// # Errors
/// [`PresentError`] when the bytes are no event.
pub fn present(record: &Record) -> Result<pb::Event, PresentError> {
    match record.form {
        RecordForm::Whole => whole(record),
        RecordForm::Erased => super::erased::present(record),
        RecordForm::Lost => {
            let reason = "it was damaged and set aside".to_owned();
            Err(PresentError { position: record.position, reason })
        }
    }
}

fn whole(record: &Record) -> Result<pb::Event, PresentError> {
    let error =
        |cause: prost::DecodeError| PresentError { position: record.position, reason: cause.to_string() };
    let mut event = pb::Event::decode(record.content.as_ref()).map_err(error)?;
    let fields = StoredFields::decode(record.server_fields.as_ref()).map_err(error)?;
    event.position = record.position.0;
    event.stream_revision = record.revision.0;
    event.recorded_at = Some(moment_of(record.recorded_at));
    event.recorded_by = fields.recorded_by;
    event.caveats.extend(fields.caveats);
    fill(event.valid_time.as_mut());
    let mut sources = Vec::with_capacity(event.sources.len());
    for source in &mut event.sources {
        let published = fill(source.published.as_mut());
        sources.push(dated(published));
    }
    if event.known_at.as_ref().and_then(timestamp_of).is_none() {
        let published_by = known_from_sources(&sources);
        event.known_at = Some(moment_of(known_time(None, published_by, record.recorded_at)));
        event.known_at_derived = true;
    }
    if let Some(payload) = &mut event.payload {
        fill_payload(payload);
    }
    Ok(event)
}

fn dated(published: Option<TimeSpan>) -> Source {
    Source {
        id: String::new(),
        attributed_to: Vec::new(),
        publisher: None,
        published,
        retrieved_at: None,
        quote: None,
    }
}

fn fill_payload(payload: &mut Payload) {
    match payload {
        Payload::FundingTransfer(transfer) => {
            fill(transfer.covers.as_mut());
        }
        Payload::Visit(visit) => {
            for stop in &mut visit.stops {
                fill(stop.when.as_mut());
            }
            for meeting in &mut visit.meetings {
                fill(meeting.when.as_mut());
            }
        }
        Payload::StatisticalRelease(release) => {
            fill(release.released.as_mut());
            for observation in &mut release.observations {
                fill(observation.period.as_mut());
            }
            release.comparisons.iter_mut().for_each(fill_comparison);
        }
        Payload::Statement(statement) => {
            for claim in &mut statement.claims {
                if let Some(figure) = &mut claim.figure {
                    fill(figure.period.as_mut());
                }
                claim.comparison.iter_mut().for_each(fill_comparison);
            }
        }
        Payload::Agreement(_) | Payload::Custom(_) => {}
    }
}

fn fill_comparison(found: &mut pb::Comparison) {
    let decimal = |found: &Option<pb::google::r#type::Decimal>| Decimal::parse(&found.as_ref()?.value).ok();
    let comparison = Comparison {
        base_period: fill(found.base_period.as_mut()),
        base_value: decimal(&found.base_value),
        period: fill(found.period.as_mut()),
        value: decimal(&found.value),
        measure: Measure::from_number(found.measure),
        stated: decimal(&found.stated),
        qualifier: AmountQualifier::from_number(found.stated_qualifier),
    };
    let written = |value: rust_decimal::Decimal| pb::google::r#type::Decimal { value: value.to_string() };
    found.computed = comparison.computed().map(written);
    found.computed_per_day = comparison.computed_per_day().map(written);
    found.comparable = comparison.is_comparable() == Some(true);
}
