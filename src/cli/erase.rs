//! `annals erase`: takes the content of an event away, for ever.

use clap::Args;
use tonic::Request;

use super::failure::Failure;
use super::{Context, json, output, status};
use crate::pb::EraseEventRequest;

const EXAMPLES: &str = "\
Examples:
  annals erase 018f9ee2-9300-7064-8061-6e6e616c7364 \\
      --authority 'High Court, order KB-2026-001234' --reason 'personal data, right to erasure'

The content goes from the journal, the index, and every later backup and export; the id stays taken, and chain and \
proofs still hold. It cannot be undone. Earlier backups and exports are yours to destroy. Write nothing into the reason \
that is to be forgotten: it is kept. The journal is written anew: appends wait meanwhile, and as much disk space as it \
takes must be free.";

/// Takes the content of an event away, for ever
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Erase {
    /// Id of the event
    #[arg(value_name = "ID")]
    id: String,

    /// Why, for the record; at most 1,000 characters
    #[arg(long, value_name = "TEXT")]
    reason: String,

    /// Who ordered it; at most 200 characters
    #[arg(long, value_name = "TEXT")]
    authority: String,
}

impl Erase {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses, or has no such event.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut client = context.target.admin().await?;
        // Without a deadline: how long it takes depends on the size of the journal.
        let request = Request::new(EraseEventRequest {
            event_id: self.id.clone(),
            reason: self.reason.clone(),
            authority: self.authority.clone(),
        });
        let answer = client.erase_event(request).await.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&answer)?);
        }
        let event = answer.event.unwrap_or_default();
        let erasure = event.erasure.unwrap_or_default();
        let when = if answer.already_erased { "had been erased before" } else { "is erased" };
        output::line(format!(
            "The content of event {} at position {} {when}: order at position {}, by {}: {}",
            event.id, event.position, erasure.position, erasure.authority, erasure.reason
        ))
    }
}
