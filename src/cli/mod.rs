//! The command line: `annals SUBCOMMAND`.
//!
//! | exit | when (BSD `sysexits(3)`) |
//! |---|---|
//! | 0 | done; also when the reader of standard output has gone |
//! | 64 | wrong usage |
//! | 65 | wrong data: INVALID_ARGUMENT, ALREADY_EXISTS, FAILED_PRECONDITION, OUT_OF_RANGE, DATA_LOSS, findings of a check |
//! | 66 | not there: an input file, a store, an event (NOT_FOUND) |
//! | 69 | the server cannot be reached (UNAVAILABLE) |
//! | 70 | a fault of the program or the server (INTERNAL, UNKNOWN) |
//! | 73 | an output file cannot be made |
//! | 74 | reading or writing failed |
//! | 75 | may succeed later: ABORTED, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, CANCELLED, a locked store |
//! | 76 | the server does not speak this API (UNIMPLEMENTED) |
//! | 77 | not allowed: PERMISSION_DENIED, UNAUTHENTICATED, a file that may not be read |
//! | 78 | wrong configuration |

pub mod agreements;
pub mod append;
pub mod atomic_file;
pub mod backoff;
pub mod backup;
pub mod bench;
pub mod client;
pub mod compare;
pub mod count;
pub mod demo;
pub mod diff;
pub mod erase;
pub mod exit;
pub mod explain;
pub mod export;
pub mod failure;
pub mod filter_args;
pub mod funding;
pub mod history;
pub mod import;
pub mod info;
pub mod input;
pub mod json;
pub mod output;
pub mod proof;
pub mod provenance;
pub mod query_args;
pub mod repair;
pub mod restore;
pub mod series;
pub mod serve;
pub mod signal;
pub mod stable_id;
pub mod status;
pub mod table;
pub mod tail;
pub mod timeline;
pub mod timelines;
pub mod verify;
pub mod visits;
pub mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use client::{SERVER_DEFAULT, Target};
use exit::Exit;
use failure::Failure;

const EXAMPLES: &str = "\
Begin here:
  annals demo                        a server with the events of an article, and commands to try
  annals serve                       a server that keeps its events
  annals import events.jsonl.gz      load events from a file
  annals timeline --entity country:AL --from 2022 --to 2025
  annals explain CONDITION_FAILED    what an error means";

/// Keeps typed, sourced events in an append-only log, and answers what happened when, as known when.
#[derive(Debug, Parser)]
#[command(name = "annals", version, max_term_width = 100, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    /// Server that the client commands ask [default: http://127.0.0.1:50051]
    #[arg(long, global = true, value_name = "URL", env = "ANNALS_SERVER", hide_env_values = true)]
    server: Option<String>,

    /// Write JSON, one document a line, in the protobuf JSON mapping
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Import(import::Import),
    Export(export::Export),
    Append(append::Append),
    Timeline(timeline::Timeline),
    Timelines(timelines::Timelines),
    History(history::History),
    Diff(diff::Diff),
    Count(count::Count),
    Funding(funding::Funding),
    Provenance(provenance::Provenance),
    Agreements(agreements::Agreements),
    Visits(visits::Visits),
    Series(series::ShowSeries),
    Compare(compare::Compare),
    Tail(tail::Tail),
    Verify(verify::Verify),
    Repair(repair::Repair),
    Erase(erase::Erase),
    Proof(proof::Proof),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Info(info::Info),
    Bench(bench::Bench),
    Explain(explain::Explain),
}

/// What every command knows.
#[derive(Clone, Debug)]
pub struct Context {
    /// The server to ask.
    pub target: Target,
    /// True if `--server` stood on the command line, and not only in the environment.
    pub target_named: bool,
    /// True for JSON.
    pub json: bool,
}

/// Runs the program with its arguments, the name of the program first, and gives its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = Cli::command().try_get_matches_from(arguments).and_then(|matches| {
        let cli = Cli::from_arg_matches(&matches)?;
        Ok((cli, is_server_named(&matches)))
    });
    let (cli, target_named) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            // Help and version come this way too. A reader that has gone wants neither.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let target = Target::new(cli.server.unwrap_or_else(|| SERVER_DEFAULT.to_owned()));
    let context = Context { target, target_named, json: cli.json };
    match execute(&cli.command, &context) {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            if !failure.is_quiet() {
                output::note(&failure);
            }
            failure.exit().into()
        }
    }
}

fn is_server_named(matches: &ArgMatches) -> bool {
    let subcommand = matches.subcommand().map(|(_, matches)| matches);
    let sources = [Some(matches), subcommand].into_iter().flatten().filter_map(|m| m.value_source("server"));
    sources.into_iter().any(|source| source == ValueSource::CommandLine)
}

fn execute(command: &Command, context: &Context) -> Result<(), Failure> {
    let runtime = crate::server::runtime("annals");
    let runtime = runtime.map_err(|error| Failure::caused(Exit::Internal, "cannot start threads", &error))?;
    runtime.block_on(async {
        match command {
            Command::Serve(command) => command.run().await,
            Command::Demo(command) => command.run().await,
            Command::Import(command) => command.run(context).await,
            Command::Export(command) => command.run(context).await,
            Command::Append(command) => command.run(context).await,
            Command::Timeline(command) => command.run(context).await,
            Command::Timelines(command) => command.run(context).await,
            Command::History(command) => command.run(context).await,
            Command::Diff(command) => command.run(context).await,
            Command::Count(command) => command.run(context).await,
            Command::Funding(command) => command.run(context).await,
            Command::Provenance(command) => command.run(context).await,
            Command::Agreements(command) => command.run(context).await,
            Command::Visits(command) => command.run(context).await,
            Command::Series(command) => command.run(context).await,
            Command::Compare(command) => command.run(context).await,
            Command::Tail(command) => command.run(context).await,
            Command::Verify(command) => command.run(context).await,
            Command::Repair(command) => command.run(),
            Command::Erase(command) => command.run(context).await,
            Command::Proof(command) => command.run(context).await,
            Command::Backup(command) => command.run(context).await,
            Command::Restore(command) => command.run(context),
            Command::Info(command) => command.run(context).await,
            Command::Bench(command) => command.run(context).await,
            Command::Explain(command) => command.run(context),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_teaches() {
        for subcommand in Cli::command().get_subcommands() {
            let name = subcommand.get_name();
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("annals {name}")), "{name} has no example");
        }
    }

    #[test]
    fn the_server_counts_as_named_only_on_the_command_line() {
        fn check(line: &[&str], expected: bool) {
            let matches = Cli::command().try_get_matches_from(line).unwrap();
            assert_eq!(is_server_named(&matches), expected, "{line:?}");
        }
        check(&["annals", "verify"], false);
        check(&["annals", "verify", "--server", "http://h:1"], true);
        check(&["annals", "--server", "http://h:1", "verify"], true);
    }
}
