//! Which directory holds the journal's database: erasing a content writes all of it anew, elsewhere.
//!
//! ```text
//! journal/            db, conf, snap.*, blobs/, watermark     generation 0: the database itself
//! journal/CURRENT     "2\n"                                   then the database lies in journal/2/
//! journal/3/          unfinished, if CURRENT does not name it: removed when the journal is opened
//! ```
//!
//! `CURRENT` is replaced by a rename, so that it names the old or the new database, whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::doubt;
use super::error::OpenError;
use super::files::DATA_FILE;

const CURRENT: &str = "CURRENT";
const UNFINISHED: &str = "CURRENT.new";

/// Gives the directory of a generation.
#[must_use]
pub fn path(dir: &Path, generation: u64) -> PathBuf {
    if generation == 0 { dir.to_owned() } else { dir.join(generation.to_string()) }
}

/// Finds the generation in use; 0 in a new directory.
///
/// # Errors
/// [`OpenError::Store`] when `CURRENT` is missing, unreadable, or names a database that is not there: to begin a new
/// one would look like an empty log. [`OpenError::Io`] when the directory cannot be read.
pub fn current(dir: &Path) -> Result<u64, OpenError> {
    let damaged = |detail: String| Err(OpenError::Store { detail });
    let generation = match fs::read_to_string(dir.join(CURRENT)) {
        Ok(text) => match text.strip_suffix('\n').and_then(|text| text.parse().ok()) {
            Some(generation) => generation,
            None => return damaged(format!("{CURRENT} names no generation")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let others = others(dir, 0).map_err(OpenError::Io)?;
            if !dir.join(DATA_FILE).exists() && others.iter().any(|other| other.is_dir()) {
                return damaged(format!("{CURRENT} is missing"));
            }
            return Ok(0);
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return damaged(format!("{CURRENT} names no generation"));
        }
        Err(error) => return Err(OpenError::Io(error)),
    };
    if path(dir, generation).join(DATA_FILE).exists() {
        return Ok(generation);
    }
    damaged(format!("{CURRENT} names generation {generation}, which is not there"))
}

/// Makes a generation, whose files are durable, the one in use.
///
/// # Errors
/// When the file cannot be written or synced: which generation is in use is then unknown until the journal is opened
/// again.
pub fn switch(dir: &Path, generation: u64) -> io::Result<()> {
    let unfinished = dir.join(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    writeln!(file, "{generation}")?;
    file.sync_all()?;
    File::open(dir)?.sync_all()?;
    fs::rename(unfinished, dir.join(CURRENT))?;
    File::open(dir)?.sync_all()
}

/// Removes every generation but one.
///
/// # Errors
/// When something cannot be removed.
pub fn clean(dir: &Path, generation: u64) -> io::Result<()> {
    let others = others(dir, generation)?;
    if others.is_empty() {
        return Ok(());
    }
    for other in others {
        if other.is_dir() {
            fs::remove_dir_all(other)?;
        } else {
            fs::remove_file(other)?;
        }
    }
    File::open(dir)?.sync_all()
}

/// Gives what lies in the directory beside one generation and the file that names it.
fn others(dir: &Path, generation: u64) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let numbered = name.parse::<u64>().ok();
        let is_other = match numbered {
            Some(number) => number != generation,
            None => name == UNFINISHED || (generation != 0 && name != CURRENT && name != doubt::FILE),
        };
        if is_other {
            found.push(path);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(dir: &Path) {
        fs::create_dir_all(dir.join("blobs")).unwrap();
        fs::write(dir.join(DATA_FILE), b"x").unwrap();
        fs::write(dir.join("watermark"), b"x").unwrap();
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_switch_leaves_the_new_database_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(current(dir.path()).unwrap(), 0);
        database(dir.path());
        assert_eq!(current(dir.path()).unwrap(), 0);
        for generation in 1..=2 {
            database(&path(dir.path(), generation));
            switch(dir.path(), generation).unwrap();
            clean(dir.path(), generation).unwrap();
            assert_eq!(current(dir.path()).unwrap(), generation);
            assert_eq!(names(dir.path()), [generation.to_string(), "CURRENT".to_owned()]);
        }
    }

    #[test]
    fn what_was_not_switched_to_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        database(dir.path());
        database(&path(dir.path(), 1));
        fs::write(dir.path().join(UNFINISHED), b"1").unwrap();
        clean(dir.path(), current(dir.path()).unwrap()).unwrap();
        assert_eq!(names(dir.path()), ["blobs", "db", "watermark"]);
    }

    #[test]
    fn a_lost_or_damaged_name_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        database(&path(dir.path(), 3));
        for text in [None, Some(&b"x\n"[..]), Some(b"4\n"), Some(b"3"), Some(b"\xff\n")] {
            if let Some(text) = text {
                fs::write(dir.path().join(CURRENT), text).unwrap();
            }
            let error = current(dir.path()).unwrap_err();
            assert!(matches!(error, OpenError::Store { .. }), "{text:?}: {error:?}");
        }
        fs::write(dir.path().join(CURRENT), b"3\n").unwrap();
        assert_eq!(current(dir.path()).unwrap(), 3);
    }
}
