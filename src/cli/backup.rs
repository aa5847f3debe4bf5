//! `annals backup`: copies the log to a file, or checks such files.

use std::fmt;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tonic::Streaming;

use super::atomic_file::AtomicFile;
use super::exit::Exit;
use super::failure::{Failure, chain};
use super::output::write_failure;
use super::{Context, output, status, table};
use crate::log::backup::{BACKUP_FORMAT, Copied, Extent};
use crate::log::backup_file::{BackupFileError, BackupWriter};
use crate::log::restore::open_file;
use crate::pb::backup_response::Content;
use crate::pb::{BackupEnd, BackupRequest, BackupResponse};
use crate::wire::{backup, encode};

const EXAMPLES: &str = "\
Examples:
  annals backup --out monday.annals                            everything
  annals backup --out tuesday.annals --since monday.annals     what came after that
  annals backup --check monday.annals tuesday.annals           no server needed

Copies the journal up to its head while the server goes on, and checks every event on the way. The file appears only \
when it is complete and on disk. `annals restore` makes a store of a full backup and those that follow it.";

/// Copies the log to a file while the server goes on
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Backup {
    /// File to write
    #[arg(long, value_name = "FILE", required_unless_present = "check", conflicts_with = "check")]
    out: Option<PathBuf>,

    /// Only what was committed after this position, which must end a commit, such as the end of an earlier backup
    #[arg(long, value_name = "POSITION", conflicts_with = "check")]
    after_position: Option<u64>,

    /// Only what an earlier backup does not hold
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "after_position"])]
    since: Option<PathBuf>,

    /// Check backups, each following the one before: checksums, chain of hashes, digests
    #[arg(long, value_name = "FILE", num_args = 1..)]
    check: Vec<PathBuf>,
}

impl Backup {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server or a file refuses; no file is left then.
    pub async fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.out {
            Some(path) => self.make(context, path).await,
            None => check(context, &self.check),
        }
    }

    async fn make(&self, context: &Context, path: &Path) -> Result<(), Failure> {
        let since = self.since.as_deref().map(|earlier| Ok((earlier, read(earlier)?.extent))).transpose()?;
        let request = match &since {
            Some((_, extent)) => BackupRequest {
                after_position: extent.head.0,
                after_chain_hash: extent.head_chain.to_string(),
            },
            None => BackupRequest {
                after_position: self.after_position.unwrap_or_default(),
                after_chain_hash: String::new(),
            },
        };
        let file = BufWriter::new(AtomicFile::create(path)?);
        let answer = context.target.admin().await?.backup(request).await;
        let mut messages = answer.map_err(|error| status::failure(&error))?.into_inner();
        let extent = begin(&mut messages).await?;
        if let Some((earlier, before)) = since {
            extent.check_follows(&before).map_err(|error| {
                let what = format!("the server's log does not go on where {} ends", earlier.display());
                Failure::caused(Exit::Data, &what, &error)
            })?;
        }
        let (file, copied) = copy(&mut messages, file, extent).await?;
        file.into_inner().map_err(|error| write_failure(error.error()))?.commit()?;
        Described { path, extent, copied }.print(context)
    }
}

/// Takes the first message.
async fn begin(messages: &mut Streaming<BackupResponse>) -> Result<Extent, Failure> {
    let Some(Content::Begin(begin)) = next(messages).await? else {
        return Err(Failure::new(Exit::Protocol, "the server did not begin with the extent of the backup"));
    };
    if u32::try_from(begin.format) != Ok(BACKUP_FORMAT) {
        let text = format!("the server sends backups of format {}, which is not known here", begin.format);
        return Err(Failure::new(Exit::Protocol, text));
    }
    backup::extent(&begin).ok_or_else(|| Failure::new(Exit::Protocol, "the server's extent is malformed"))
}

/// Takes the frames and the end.
async fn copy(
    messages: &mut Streaming<BackupResponse>,
    file: BufWriter<AtomicFile>,
    extent: Extent,
) -> Result<(BufWriter<AtomicFile>, Copied), Failure> {
    let failed = |error: BackupFileError| {
        if let BackupFileError::Io(error) = &error {
            return write_failure(error);
        }
        Failure::caused(Exit::Data, "the server sent no sound backup", &error)
    };
    let bar = output::progress(Some(extent.head.0), "[{bar:30}] position {pos} of {len}, {eta} left");
    let mut writer = BackupWriter::begin(file, extent).map_err(failed)?;
    let mut checksum = blake3::Hasher::new();
    loop {
        match next(messages).await? {
            Some(Content::Frames(frames)) => {
                for frame in frames.frames {
                    checksum.update(&frame);
                    writer.push(frame).map_err(failed)?;
                }
                bar.set_position(writer.position().0);
            }
            Some(Content::End(end)) => {
                let (file, copied) = writer.finish().map_err(failed)?;
                bar.finish_and_clear();
                return if agrees(&end, &copied, &checksum) {
                    Ok((file, copied))
                } else {
                    Err(Failure::new(
                        Exit::Data,
                        "what arrived is not what the server sent: its checksum differs",
                    ))
                };
            }
            Some(Content::Begin(_)) | None => {
                return Err(Failure::new(
                    Exit::Unavailable,
                    "the server broke off before the end of the backup",
                ));
            }
        }
    }
}

fn agrees(end: &BackupEnd, copied: &Copied, checksum: &blake3::Hasher) -> bool {
    (end.frame_count, end.event_count) == (copied.frames, copied.events)
        && end.checksum == checksum.finalize().to_hex().as_str()
}

async fn next(messages: &mut Streaming<BackupResponse>) -> Result<Option<Content>, Failure> {
    let message = messages.message().await.map_err(|error| status::failure(&error))?;
    Ok(message.and_then(|message| message.content))
}

fn check(context: &Context, paths: &[PathBuf]) -> Result<(), Failure> {
    let mut before: Option<(&Path, Extent)> = None;
    for path in paths {
        let described = read(path)?;
        if let Some((earlier, extent)) = before {
            described.extent.check_follows(&extent).map_err(|error| {
                let what = format!("{} does not follow {}", path.display(), earlier.display());
                Failure::caused(Exit::Data, &what, &error)
            })?;
        }
        before = Some((path, described.extent));
        described.print(context)?;
    }
    Ok(())
}

/// Reads a backup to its end and checks all of it.
fn read(path: &Path) -> Result<Described<'_>, Failure> {
    let reader = open_file(path).map_err(|error| file_failure(path, &error))?;
    let extent = reader.extent();
    let copied = reader.finish().map_err(|error| file_failure(path, &error))?;
    Ok(Described { path, extent, copied })
}

/// Tells what is wrong with a backup.
#[must_use]
pub fn file_failure(path: &Path, error: &BackupFileError) -> Failure {
    let exit = match error {
        BackupFileError::Io(error) => Exit::of_input(error),
        BackupFileError::NotABackup
        | BackupFileError::Version { .. }
        | BackupFileError::Truncated { .. }
        | BackupFileError::Frames(_)
        | BackupFileError::FrameSize { .. }
        | BackupFileError::Checksum
        | BackupFileError::Trailing => Exit::Data,
    };
    Failure::new(exit, format!("{}: {}", path.display(), chain(error)))
}

/// What a file holds, as it is told.
struct Described<'a> {
    path: &'a Path,
    extent: Extent,
    copied: Copied,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Json<'a> {
    file: std::borrow::Cow<'a, str>,
    store_id: String,
    after_position: String,
    head: String,
    head_chain_hash: String,
    frame_count: String,
    event_count: String,
    checksum: String,
}

impl Described<'_> {
    fn print(&self, context: &Context) -> Result<(), Failure> {
        if !context.json {
            return output::line(self);
        }
        // 64-bit numbers are strings, as in the protobuf JSON mapping.
        let json = Json {
            file: self.path.to_string_lossy(),
            store_id: self.extent.store.to_string(),
            after_position: self.extent.after.to_string(),
            head: self.extent.head.to_string(),
            head_chain_hash: self.extent.head_chain.to_string(),
            frame_count: self.copied.frames.to_string(),
            event_count: self.copied.events.to_string(),
            checksum: encode::hexadecimal(&self.copied.checksum),
        };
        output::line(serde_json::to_string(&json).map_err(|error| Failure::internal(error.to_string()))?)
    }
}

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, extent, copied } = self;
        let events = table::count(copied.events, "event", "events");
        let frames = table::count(copied.frames, "frame", "frames");
        writeln!(f, "{}: {events} in {frames}", path.display())?;
        writeln!(f, "  store       {}", extent.store)?;
        writeln!(f, "  positions   after {} up to {}", extent.after, extent.head)?;
        writeln!(f, "  chain hash  {}", extent.head_chain)?;
        write!(f, "  checksum    {}", encode::hexadecimal(&copied.checksum))
    }
}
