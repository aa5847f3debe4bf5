//! `annals restore`: makes a store from backups.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;

use super::backup::file_failure;
use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output, table};
use crate::log::{RestoreError, restore};

const EXAMPLES: &str = "\
Examples:
  annals restore --data /srv/annals monday.annals
  annals restore --data /srv/annals monday.annals tuesday.annals
  annals restore --data /srv/annals --key SIGNING_KEY monday.annals

The first file is a full backup, each other one goes on where the one before ends. The store has the same id, positions, \
times and chain as the one that was copied: never serve both to the same clients. The directory appears only when the \
store is complete and on disk. Exit code 65 means that a file is damaged or does not belong there, 73 that the directory \
is not empty.";

/// Makes a store from a full backup and those that follow it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Restore {
    /// Data directory to make; it must not exist, or be empty
    #[arg(long, value_name = "DIR", env = "ANNALS_DATA", hide_env_values = true)]
    data: PathBuf,

    /// Key that signed the checkpoints of the log: a copy of the file SIGNING_KEY of its data directory
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Backups, in order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Restore {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when a file or the directory refuses; nothing is made then.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let bar = output::progress(None, "position {pos}, {per_sec}");
        let restored = restore(&self.data, &self.files, self.key.as_deref(), &mut |position| {
            bar.set_position(position.0);
        });
        bar.finish_and_clear();
        let extent = restored.map_err(|error| failure(&error))?;
        if context.json {
            let text = serde_json::json!({
                "data": self.data.to_string_lossy(),
                "storeId": extent.store.to_string(),
                "head": extent.head.to_string(),
                "chainHash": extent.head_chain.to_string(),
            });
            return output::line(text);
        }
        let events = table::count(extent.head.0, "event", "events");
        let (directory, store) = (self.data.display(), extent.store);
        output::line(format_args!(
            "{directory}: {events} of store {store}; chain hash at position {} {}",
            extent.head, extent.head_chain
        ))
    }
}

fn failure(error: &RestoreError) -> Failure {
    let what = "nothing was restored";
    match error {
        RestoreError::Nothing => Failure::caused(Exit::Usage, what, error),
        RestoreError::NotEmpty { .. } => Failure::caused(Exit::CannotCreate, what, error),
        RestoreError::Io { source, .. } => {
            let is = |kind| source.kind() == kind;
            let exit = if is(io::ErrorKind::PermissionDenied) {
                Exit::Permission
            } else if is(io::ErrorKind::NotFound) {
                Exit::NoInput
            } else {
                Exit::Io
            };
            let failure = Failure::caused(exit, what, error);
            if is(io::ErrorKind::ResourceBusy) || is(io::ErrorKind::CrossesDevices) {
                failure.hint("the directory is a mount point: name a directory inside it")
            } else {
                failure
            }
        }
        RestoreError::File { path, source } => file_failure(Path::new(path), source),
        RestoreError::NotFull { .. } | RestoreError::Sequence { .. } => {
            Failure::caused(Exit::Data, what, error)
        }
        RestoreError::Open(_) | RestoreError::Commit(_) => Failure::caused(Exit::Io, what, error),
    }
}
