//! `annals proof`: tamper evidence, fetched and checked.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tonic::Code;

use super::atomic_file::AtomicFile;
use super::client::call;
use super::exit::Exit;
use super::failure::Failure;
use super::{Context, json, output, status, table};
use crate::domain::{EventId, Position};
use crate::pb::{GetLogProofRequest, GetLogProofResponse};
use crate::proof::note::NOTE_BYTES_MAX;
use crate::proof::{Checkpoint, EvidenceError, VerifierKey};
use crate::wire::proof::{ProofFault, Proved, check};

const EXAMPLES: &str = "\
Examples:
  annals proof checkpoint --out annals.checkpoint        keep this file where the server cannot change it
  annals proof checkpoint --checkpoint annals.checkpoint --out later.checkpoint
  annals proof event 018f9ee2-9300-7064-8061-6e6e616c7364 --checkpoint annals.checkpoint
  annals proof event 018f9ee2-9300-7064-8061-6e6e616c7364 --out event.proof
  annals proof check event.proof --key \"$(cat annals.key)\"     asks no server

Exit code 0 means that everything was proved, 65 that something was not: the history was rewritten, or a file is not \
what it should be. Without --key the key that the server tells is believed; keep it, and give it the next time.";

/// Proves that an event is in the log, and that the log was not rewritten
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Proof {
    #[command(subcommand)]
    what: What,
}

/// What is to be proved.
#[derive(Debug, Subcommand)]
enum What {
    /// Fetches the signed state of the log, to be kept
    Checkpoint(CheckpointArgs),
    /// Proves that an event is in the log
    Event(EventArgs),
    /// Checks proofs that were kept, without a server
    Check(CheckArgs),
}

#[derive(Args, Debug)]
struct Trust {
    /// Checkpoint kept from earlier: the log must continue it
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    /// Public key that must have signed, as a C2SP verifier key [default: the one that comes with the proof]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

#[derive(Args, Debug)]
struct CheckpointArgs {
    /// File for the checkpoint; without one, standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// State of the log: its first so many events [default: all]
    #[arg(long, value_name = "POSITION")]
    position: Option<u64>,

    #[command(flatten)]
    trust: Trust,
}

#[derive(Args, Debug)]
struct EventArgs {
    /// Id of the event
    #[arg(value_name = "ID")]
    id: String,

    /// File for the proof, as JSON, for `annals proof check`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// State of the log: its first so many events [default: all]
    #[arg(long, value_name = "POSITION")]
    position: Option<u64>,

    #[command(flatten)]
    trust: Trust,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Proofs to check: answers of GetLogProof in the protobuf JSON mapping
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    trust: Trust,
}

impl Proof {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`]; exit 65 when something is not proved.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.what {
            What::Checkpoint(args) => args.run(context).await,
            What::Event(args) => args.run(context).await,
            What::Check(args) => args.run(context),
        }
    }
}

impl CheckpointArgs {
    async fn run(&self, context: &Context) -> Result<(), Failure> {
        let kept = Kept::read(&self.trust)?;
        let answer = kept.fetch(context, self.position, String::new()).await?;
        kept.check(&answer)?;
        kept.note_continued(answer.tree_size);
        match &self.out {
            Some(path) => {
                save(path, &answer.checkpoint)?;
                let events = table::count(answer.tree_size, "event", "events");
                output::note(format!("checkpoint of {events} in {}", path.display()));
                Ok(())
            }
            None if context.json => output::line(json::to_line(&answer)?),
            None => output::text(&answer.checkpoint),
        }
    }
}

impl EventArgs {
    async fn run(&self, context: &Context) -> Result<(), Failure> {
        let kept = Kept::read(&self.trust)?;
        let answer = kept.fetch(context, self.position, self.id.clone()).await?;
        let proved = kept.check(&answer)?;
        let asked = EventId::parse(&self.id).ok();
        if proved.event.map(|(_, id)| id) != asked {
            return Err(Failure::new(Exit::Data, "the proof is of another event than the one asked for"));
        }
        let line = json::to_line(&answer)?;
        if let Some(path) = &self.out {
            save(path, &format!("{line}\n"))?;
        }
        kept.note_continued(answer.tree_size);
        if context.json { output::line(line) } else { output::line(describe(&proved)) }
    }
}

impl CheckArgs {
    fn run(&self, context: &Context) -> Result<(), Failure> {
        let kept = Kept::read(&self.trust)?;
        for path in &self.files {
            let at = |what: String| format!("{}: {what}", path.display());
            let text = read(path)?;
            let answers: Vec<GetLogProofResponse> = json::parse_all(text.as_bytes())
                .map_err(|error| Failure::new(Exit::Data, at(format!("it is no proof: {error}"))))?;
            if answers.is_empty() {
                return Err(Failure::new(Exit::Data, at("it holds no proof".to_owned())));
            }
            for answer in &answers {
                let proved =
                    kept.check(answer).map_err(|failure| failure.detail(format!("in {}", path.display())))?;
                if !context.json {
                    output::line(at(describe(&proved)))?;
                }
            }
        }
        Ok(())
    }
}

/// What is known before anything is asked.
struct Kept {
    checkpoint: Option<String>,
    claimed: Option<Checkpoint>,
    key: Option<VerifierKey>,
}

impl Kept {
    fn read(trust: &Trust) -> Result<Self, Failure> {
        let checkpoint = trust.checkpoint.as_deref().map(read).transpose()?;
        let claimed = checkpoint.as_deref().map(Checkpoint::claimed_by).transpose().map_err(|error| {
            let path = trust.checkpoint.as_deref().unwrap_or(Path::new("")).display();
            Failure::new(Exit::Data, format!("{path} is no checkpoint: {error}"))
        })?;
        let key = trust.key.as_deref().map(str::trim).map(VerifierKey::parse).transpose();
        let key = key.map_err(|error| Failure::new(Exit::Usage, format!("--key is no key: {error}")))?;
        Ok(Self { checkpoint, claimed, key })
    }

    /// Asks for a proof, and where a checkpoint was kept, for a proof that the log continues it.
    async fn fetch(
        &self,
        context: &Context,
        position: Option<u64>,
        event_id: String,
    ) -> Result<GetLogProofResponse, Failure> {
        let request = GetLogProofRequest {
            position: position.unwrap_or_default(),
            event_id,
            consistent_with_position: self.claimed.as_ref().map_or(0, |kept| kept.size),
        };
        let answer = context.target.admin().await?.get_log_proof(call(request)).await;
        answer.map(tonic::Response::into_inner).map_err(|error| {
            let failure = status::failure(&error);
            match &self.claimed {
                Some(kept)
                    if error.code() == Code::OutOfRange && position.is_none_or(|asked| asked <= kept.size) => failure.detail(format!(
                    "the log does not reach the checkpoint of {}: it was rewritten, or is an older backup",
                    table::count(kept.size, "event", "events")
                )),
                _ => failure,
            }
        })
    }

    fn check(&self, answer: &GetLogProofResponse) -> Result<Proved, Failure> {
        let told = || {
            VerifierKey::parse(&answer.verifier_key)
                .map_err(|error| Failure::new(Exit::Data, format!("the proof comes without a key: {error}")))
        };
        let key = self.key.clone().map_or_else(told, Ok)?;
        let proved = check(answer, &key, self.checkpoint.as_deref()).map_err(|fault| refused(&fault))?;
        if self.key.is_none() {
            output::note(format!("note: the key was not given, and is believed: {key}"));
        }
        Ok(proved)
    }

    fn note_continued(&self, size: u64) {
        if let Some(kept) = &self.claimed {
            let (now, then) = (table::count(size, "event", "events"), kept.size);
            output::note(format!("the log of {now} continues the checkpoint of {then}"));
        }
    }
}

fn refused(fault: &ProofFault) -> Failure {
    let failure = Failure::new(Exit::Data, fault.to_string());
    match fault {
        ProofFault::Evidence(EvidenceError::Rewritten { .. }) => failure
            .detail("an event recorded before the checkpoint was changed, removed or added")
            .hint("keep the checkpoint and this answer: together they prove it to anyone"),
        ProofFault::Evidence(EvidenceError::NoProof { first, .. }) => {
            failure.hint(format!("a proof made with a checkpoint of {first} events holds one"))
        }
        ProofFault::Evidence(EvidenceError::Earlier { first, .. }) => {
            failure.hint(format!("--position {first} or later makes a proof to compare with the checkpoint"))
        }
        ProofFault::Evidence(
            EvidenceError::Checkpoint(_) | EvidenceError::Kept(_) | EvidenceError::NotIncluded { .. },
        )
        | ProofFault::Field(_)
        | ProofFault::Differs(_) => failure,
    }
}

fn describe(proved: &Proved) -> String {
    let Proved { state, event } = proved;
    let root = &state.root;
    match event {
        Some((Position(position), id)) => {
            format!(
                "event {id} is at position {position} of {} in {}; root hash {root}",
                state.size, state.origin
            )
        }
        None => {
            format!("{} has {}; root hash {root}", state.origin, table::count(state.size, "event", "events"))
        }
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::of_input(&error), format!("cannot read {}: {error}", path.display()))
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    let bytes_max = u64::try_from(NOTE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut file = std::io::Read::take(file, bytes_max);
    std::io::Read::read_to_string(&mut file, &mut text).map_err(failed)?;
    Ok(text)
}

fn save(path: &Path, text: &str) -> Result<(), Failure> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(text.as_bytes()).map_err(|error| output::write_failure(&error))?;
    file.commit()
}
