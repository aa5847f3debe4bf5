//! `annals info`: what the server is.

use clap::Args;

use super::client::call;
use super::failure::Failure;
use super::{Context, json, output, status, when};
use crate::pb::{GetServerInfoRequest, GetServerInfoResponse};

const EXAMPLES: &str = "\
Examples:
  annals info
  annals info --server http://127.0.0.1:50052
  annals info --json | jq .limits";

/// Shows what a server is, holds and allows
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Info {}

impl Info {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server does not answer.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let answer = context.target.admin().await?.get_server_info(call(GetServerInfoRequest {})).await;
        let info = answer.map_err(|error| status::failure(&error))?.into_inner();
        if context.json {
            return output::line(json::to_line(&info)?);
        }
        let facts = facts(&info);
        let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        facts.iter().try_for_each(|(name, value)| output::line(format_args!("{name:width$}  {value}")))
    }
}

fn facts(info: &GetServerInfoResponse) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("version", info.version.clone()),
        ("store", info.store_id.clone()),
        ("head", info.head.to_string()),
        ("started", info.started_at.as_ref().map(when::format).unwrap_or_default()),
        ("takes writes", if info.read_only { "no" } else { "yes" }.to_owned()),
    ];
    if let Some(limits) = &info.limits {
        let bytes = |bytes: i64| format!("{bytes} bytes");
        facts.extend([
            ("event", bytes(limits.event_bytes_max)),
            ("append", format!("{} events, {}", limits.batch_events_max, bytes(limits.batch_bytes_max))),
            ("conditions of an append", limits.conditions_max.to_string()),
            ("stream name", bytes(limits.stream_name_bytes_max)),
            ("tags of an event", limits.tags_max.to_string()),
            ("values of a filter", limits.filter_values_max.to_string()),
            ("page", format!("{} entries, at most {}", limits.page_size_default, limits.page_size_max)),
            ("subscriptions", limits.subscriptions_max.to_string()),
            (
                "waiting for the writer",
                format!(
                    "{} appends, {}",
                    limits.writer_queue_requests_max,
                    bytes(limits.writer_queue_bytes_max)
                ),
            ),
            ("message", bytes(limits.message_bytes_max)),
        ]);
    }
    if let Some(formats) = &info.formats {
        let text = format!("frame {}, segment {}, store {}", formats.frame, formats.segment, formats.store);
        facts.push(("formats on disk", text));
    }
    facts.push(("verifier key", info.verifier_key.clone()));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Formats, Limits};

    #[test]
    fn facts_are_told() {
        let info = GetServerInfoResponse {
            head: 22,
            read_only: true,
            limits: Some(Limits { batch_events_max: 1_000, batch_bytes_max: 5, ..Limits::default() }),
            formats: Some(Formats { frame: 1, segment: 2, store: 3 }),
            ..GetServerInfoResponse::default()
        };
        let facts = facts(&info);
        for expected in [
            ("head", "22"),
            ("takes writes", "no"),
            ("append", "1000 events, 5 bytes"),
            ("formats on disk", "frame 1, segment 2, store 3"),
        ] {
            assert!(facts.iter().any(|(name, value)| (*name, value.as_str()) == expected), "{expected:?}");
        }
    }
}
