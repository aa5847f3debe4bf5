//! `annals verify`: checks every stored byte.

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;

use super::exit::Exit;
use super::failure::Failure;
use super::{Context, json, output, serve, status, table};
use crate::clock::System;
use crate::log::{LogConfig, OpenError, verify_directory};
use crate::pb::verify_response::Content;
use crate::pb::{VerifyFinding, VerifyRequest, VerifyResponse, VerifySummary};
use crate::server::{Config, Overrides};
use crate::wire::encode;

const EXAMPLES: &str = "\
Examples:
  annals verify                                     the store that `annals serve` uses
  annals verify --data /srv/annals
  annals verify --server http://127.0.0.1:50051     a store in use, by its server

Checks checksums, the chain of hashes, positions, revisions and ids, and compares the stored index with a rebuild. \
Findings go to standard output, one a line. Exit code 0 means that nothing was found, 65 that something was, 75 that \
a server uses the directory.";

/// Checks every stored byte of a store
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Verify {
    /// Data directory [default: as for `annals serve`]
    #[arg(long, value_name = "DIR", env = "ANNALS_DATA", hide_env_values = true)]
    data: Option<PathBuf>,

    /// Configuration file, for its data directory
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

impl Verify {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the check cannot be made; a quiet one with exit 65 when it finds something.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        let mut report = Report::new(context.json);
        if context.target_named {
            online(context, &mut report).await?;
        } else {
            let overrides =
                Overrides { data: self.data.clone(), config: self.config.clone(), ..Overrides::default() };
            let config = Config::load(&overrides).map_err(|error| serve::config_failure(&error))?;
            // The command has nothing else to do meanwhile: the check may keep this thread.
            offline(&config, context, &mut report)?;
        }
        report.finish()
    }
}

async fn online(context: &Context, report: &mut Report) -> Result<(), Failure> {
    let mut client = context.target.admin().await?;
    let answer = client.verify(VerifyRequest {}).await.map_err(|error| status::failure(&error))?;
    let mut messages = answer.into_inner();
    while let Some(message) = messages.message().await.map_err(|error| status::failure(&error))? {
        report.take(message)?;
    }
    Ok(())
}

fn offline(config: &Config, context: &Context, report: &mut Report) -> Result<(), Failure> {
    check_is_store(&config.data)?;
    let log_config =
        LogConfig { journal_cache_bytes: config.journal_cache_bytes, ..LogConfig::at(&config.data) };
    let mut failed = None;
    let outcome = verify_directory(&log_config, &System, |event| {
        report.take(encode::verify_event(event)).map_err(|failure| failed = Some(failure)).is_ok()
    });
    let outcome = outcome.map_err(|error| open_failure(&error, &config.data, context))?;
    if let Some(failure) = failed {
        return Err(failure);
    }
    report.take(encode::verify_summary(&outcome))
}

/// Makes sure that a mistyped directory is not taken for an empty store, and not made.
pub(super) fn check_is_store(directory: &Path) -> Result<(), Failure> {
    if let Err(error) = std::fs::read_dir(directory) {
        let text = format!("cannot read {}: {error}", directory.display());
        return Err(Failure::new(Exit::of_input(&error), text));
    }
    if directory.join("STORE").exists() || directory.join("journal").exists() {
        return Ok(());
    }
    let text = format!("{} holds no store", directory.display());
    Err(Failure::new(Exit::NoInput, text).hint("`annals verify --data DIR` names another directory"))
}

fn open_failure(error: &OpenError, directory: &Path, context: &Context) -> Failure {
    if matches!(error, OpenError::Locked) {
        let text = format!("{} is in use by a server", directory.display());
        return Failure::new(Exit::Temporary, text)
            .hint(format!("`annals verify --server {}` lets the server check it", context.target.url()));
    }
    serve::open_failure(error)
}

/// Prints what a check says, whoever makes it.
struct Report {
    json: bool,
    bar: ProgressBar,
    findings: u64,
    summary: Option<VerifySummary>,
}

impl Report {
    fn new(json: bool) -> Self {
        let bar = output::progress(None, "[{bar:30}] position {pos} of {len}, {eta} left");
        Self { json, bar, findings: 0, summary: None }
    }

    fn take(&mut self, message: VerifyResponse) -> Result<(), Failure> {
        let is_progress = matches!(message.content, Some(Content::Progress(_)));
        if self.json && !is_progress {
            let line = json::to_line(&message)?;
            self.bar.suspend(|| output::line(line))?;
        }
        match message.content {
            Some(Content::Progress(progress)) => {
                self.bar.set_length(progress.head);
                self.bar.set_position(progress.position);
            }
            Some(Content::Finding(finding)) => {
                self.findings += 1;
                if !self.json {
                    self.bar.suspend(|| output::line(describe(&finding)))?;
                }
            }
            Some(Content::Summary(summary)) => self.summary = Some(summary),
            None => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        self.bar.finish_and_clear();
        let Some(summary) = self.summary else {
            return Err(Failure::new(Exit::Unavailable, "the check was broken off before its end"));
        };
        if !self.json {
            output::line(conclusion(&summary))?;
        }
        if self.findings > 0 || summary.finding_count > 0 {
            return Err(Failure::quiet(Exit::Data));
        }
        Ok(())
    }
}

fn describe(finding: &VerifyFinding) -> String {
    let VerifyFinding { first_position, last_position, description } = finding;
    let description = output::plain(description);
    if first_position == last_position {
        format!("position {first_position}: {description}")
    } else {
        format!("positions {first_position} to {last_position}: {description}")
    }
}

fn conclusion(summary: &VerifySummary) -> String {
    let findings = match summary.finding_count.unsigned_abs() {
        0 => "nothing found".to_owned(),
        number => table::count(number, "finding", "findings"),
    };
    let events = table::count(summary.event_count, "event", "events");
    let segments = table::count(summary.segment_count.unsigned_abs(), "index segment", "index segments");
    format!("{events} and {segments} checked, {findings}; chain hash {}", summary.chain_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_and_conclusion() {
        let mut finding =
            VerifyFinding { first_position: 3, last_position: 3, description: "bad".to_owned() };
        assert_eq!(describe(&finding), "position 3: bad");
        finding.last_position = 5;
        assert_eq!(describe(&finding), "positions 3 to 5: bad");
        let mut summary =
            VerifySummary { event_count: 22, chain_hash: "ab".to_owned(), ..VerifySummary::default() };
        assert_eq!(
            conclusion(&summary),
            "22 events and 0 index segments checked, nothing found; chain hash ab"
        );
        summary.finding_count = 1;
        assert!(conclusion(&summary).contains("1 finding;"));
    }

    #[test]
    fn a_finding_is_exit_65_and_no_summary_is_no_success() {
        let mut report = Report::new(true);
        report.findings = 1;
        report.summary = Some(VerifySummary::default());
        assert_eq!(report.finish(), Err(Failure::quiet(Exit::Data)));
        assert_eq!(Report::new(true).finish().unwrap_err().exit(), Exit::Unavailable);
    }

    #[test]
    fn a_directory_without_a_store_is_not_made_one() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing");
        assert_eq!(check_is_store(&missing).unwrap_err().exit(), Exit::NoInput);
        assert!(!missing.exists());
        assert_eq!(check_is_store(directory.path()).unwrap_err().exit(), Exit::NoInput);
        std::fs::write(directory.path().join("x"), "").unwrap();
        assert_eq!(check_is_store(directory.path()).unwrap_err().exit(), Exit::NoInput);
        std::fs::write(directory.path().join("STORE"), "").unwrap();
        assert_eq!(check_is_store(directory.path()), Ok(()));
    }
}
