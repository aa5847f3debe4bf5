//! Repairs a damaged store, offline and only as told: puts together what is left of the journal.
//!
//! ```text
//! found     │ frame │ frame │ damage │ frame │ frame │ torn end
//! set aside │ frame │ frame │ marker │ frame │ frame │ marker      positions and chain stay as they were
//! truncated │ frame │ frame │ marker │ frame │ frame │             the log ends earlier, and goes on from there
//! ```

use std::path::{Path, PathBuf};

use super::error::OpenError;
use super::open::open_error;
use super::store_file;
use crate::clock::IdSource;
use crate::domain::Position;
use crate::journal::SledJournal;
use crate::journal::salvage::{LostRun, Piece, examine as examine_files};

/// What a look at the raw files of a journal found.
#[derive(Debug)]
pub struct Damage {
    /// Runs of positions without a sound frame, rising.
    pub lost: Vec<LostRun>,
    /// Events that are there.
    pub events: u64,
    /// The last position, lost ones included.
    pub last: Position,
    pieces: Vec<Piece>,
}

impl Damage {
    fn of(pieces: Vec<Piece>) -> Self {
        let mut damage = Self { lost: Vec::new(), events: 0, last: Position::ZERO, pieces: Vec::new() };
        for piece in &pieces {
            match piece {
                Piece::Sound(frame) => {
                    damage.events += frame.events;
                    damage.last = frame.range.last;
                }
                Piece::Lost(run) => {
                    damage.lost.push(*run);
                    damage.last = run.last;
                }
            }
        }
        Self { pieces, ..damage }
    }

    /// Gives the run at the end of the log, if its end is lost.
    #[must_use]
    pub fn torn_end(&self) -> Option<LostRun> {
        self.lost.last().copied().filter(|run| run.last == self.last)
    }
}

/// What to do with positions that are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Put markers in their place: every position stays what it was.
    SetAside,
    /// Cut a lost end off: its positions will be given again. Damage elsewhere is not touched, and refuses the repair.
    TruncateEnd,
    /// Cut a lost end off and put markers in the place of the rest.
    SetAsideAndTruncateEnd,
}

/// Says why a store was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The store cannot be used at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is damage before the end, which cutting the end off does not mend.
    #[error("positions {} to {} are damaged before the end of the log", .0.first, .0.last)]
    NotAtTheEnd(LostRun),
    /// The end of the log is sound.
    #[error("the end of the log is sound: there is nothing to cut off")]
    EndIsSound,
}

/// Looks for damage in a directory that no process uses. Nothing is written.
///
/// # Errors
/// [`RepairError::Open`] when the directory holds no store, is in use, or cannot be read.
pub fn examine(directory: &Path, ids: &dyn IdSource) -> Result<Damage, RepairError> {
    let _lock = store_file::lock(directory)?;
    look(directory, ids)
}

fn look(directory: &Path, ids: &dyn IdSource) -> Result<Damage, RepairError> {
    let store = store_file::store_id(directory, ids)?;
    let journal = directory.join("journal");
    Ok(Damage::of(examine_files(&journal, store).map_err(open_error)?))
}

/// Writes the journal of a directory anew from what is left of it; the damaged files are kept, under the directory that
/// is given. The index is deleted: it is built again.
///
/// # Errors
/// [`RepairError`]; the store is then as it was.
pub fn repair(
    directory: &Path,
    remedy: Remedy,
    ids: &dyn IdSource,
) -> Result<(Damage, PathBuf), RepairError> {
    let _lock = store_file::lock(directory)?;
    let mut damage = look(directory, ids)?;
    let store = store_file::store_id(directory, ids)?;
    let torn = damage.torn_end();
    if remedy != Remedy::SetAside && torn.is_none() {
        return Err(RepairError::EndIsSound);
    }
    if remedy == Remedy::TruncateEnd
        && let Some(run) = damage.lost.iter().find(|run| Some(**run) != torn)
    {
        return Err(RepairError::NotAtTheEnd(*run));
    }
    if remedy != Remedy::SetAside {
        damage.pieces.pop();
    }
    let kept = aside(directory);
    SledJournal::rebuild(&directory.join("journal"), store, &damage.pieces, &kept).map_err(open_error)?;
    let index = directory.join("index");
    if index.exists() {
        std::fs::remove_dir_all(&index)
            .map_err(|source| OpenError::Io { path: index.display().to_string(), source })?;
    }
    Ok((damage, kept))
}

/// Begins the names of directories with damaged files.
const KEPT: &str = "damaged-";

/// Gives a directory with damaged files that a repair kept, if there is one.
#[must_use]
pub fn kept(directory: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(directory).ok()?.flatten();
    let found = entries.find(|entry| entry.file_name().to_string_lossy().starts_with(KEPT))?;
    Some(found.path())
}

/// Gives a name that is free for the damaged files.
fn aside(directory: &Path) -> PathBuf {
    let mut number = 1_u64;
    loop {
        let path = directory.join(format!("{KEPT}{number}"));
        if !path.exists() {
            return path;
        }
        number += 1;
    }
}
