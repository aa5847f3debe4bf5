//! `annals repair`: puts together what is left of a damaged store.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::{output, serve};
use crate::clock::System;
use crate::log::repair::{Damage, Remedy, RepairError, examine, repair};
use crate::server::{Config, Overrides};

const EXAMPLES: &str = "\
Examples:
  annals repair                        says what is damaged; changes nothing
  annals repair --set-aside            writes the journal anew, with markers in the place of lost events
  annals repair --truncate-end         cuts a lost end off

Every byte of the journal's files is looked at, so events are found that the store itself gave up. The damaged files are \
kept beside the new ones. Behind a marker every position stays what it was; reads and subscriptions tell of it. After an \
end was cut off its positions are given again: clients that had seen more are told so by POSITION_BEYOND_HEAD or \
STORE_MISMATCH. Stop the server first. Exit code 0 means that no event is lost, 65 that some are.";

/// Says what is damaged in a store, and repairs it as told
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Repair {
    /// Data directory [default: as for `annals serve`]
    #[arg(long, value_name = "DIR", env = "ANNALS_DATA", hide_env_values = true)]
    data: Option<PathBuf>,

    /// Configuration file, for its data directory
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Put markers in the place of lost events
    #[arg(long)]
    set_aside: bool,

    /// Cut a lost end off
    #[arg(long)]
    truncate_end: bool,
}

impl Repair {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the store cannot be read or repaired; a quiet one with exit 65 when events are lost.
    pub fn run(&self) -> Result<(), Failure> {
        let overrides =
            Overrides { data: self.data.clone(), config: self.config.clone(), ..Overrides::default() };
        let config = Config::load(&overrides).map_err(|error| serve::config_failure(&error))?;
        super::verify::check_is_store(&config.data)?;
        let remedy = match (self.set_aside, self.truncate_end) {
            (false, false) => None,
            (true, false) => Some(Remedy::SetAside),
            (false, true) => Some(Remedy::TruncateEnd),
            (true, true) => Some(Remedy::SetAsideAndTruncateEnd),
        };
        let Some(remedy) = remedy else {
            let damage = examine(&config.data, &System).map_err(|error| failure(&error))?;
            report(&damage)?;
            return outcome(&damage);
        };
        let (damage, kept) = repair(&config.data, remedy, &System).map_err(|error| failure(&error))?;
        report(&damage)?;
        if remedy != Remedy::SetAside
            && let Some(run) = damage.torn_end()
        {
            output::line(format!("The log now ends at position {}.", run.first.0 - 1))?;
        }
        output::line(format!("The journal was written anew; the damaged files are in {}.", kept.display()))?;
        outcome(&damage)
    }
}

fn report(damage: &Damage) -> Result<(), Failure> {
    for run in &damage.lost {
        output::line(format!("lost: positions {} to {}", run.first, run.last))?;
    }
    let lost: u64 = damage.lost.iter().map(|run| run.last.0 - run.first.0 + 1).sum();
    output::line(format!(
        "{} events are there, {lost} are lost, the last position is {}.",
        damage.events, damage.last
    ))
}

fn outcome(damage: &Damage) -> Result<(), Failure> {
    if damage.lost.is_empty() { Ok(()) } else { Err(Failure::quiet(Exit::Data)) }
}

fn failure(error: &RepairError) -> Failure {
    match error {
        RepairError::Open(error) => serve::open_failure(error),
        RepairError::NotAtTheEnd(_) => {
            Failure::caused(Exit::Data, "the store was not repaired", error).hint("add --set-aside")
        }
        RepairError::EndIsSound => Failure::caused(Exit::Data, "the store was not repaired", error),
    }
}
