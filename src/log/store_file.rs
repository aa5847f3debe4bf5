//! The store's own file: which store a data directory holds, and in which format.
//!
//! ```text
//! DIR/STORE     this file
//! DIR/LOCK      locked by the process that uses the directory
//! DIR/journal/  the truth
//! DIR/index/    sealed segments; may be deleted at any time
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use super::OpenError;
use crate::clock::IdSource;
use crate::domain::StoreId;

/// Version of the data directory as a whole.
pub const STORE_FORMAT: u32 = 1;

const FIRST_LINE: &str = "annals store";

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.display().to_string(), source }
}

/// Makes the directory if need be and locks it.
///
/// # Errors
/// [`OpenError::Locked`] when another process holds it, [`OpenError::Io`] when it cannot be used.
pub fn lock(directory: &Path) -> Result<File, OpenError> {
    std::fs::create_dir_all(directory).map_err(io_error(directory))?;
    let path = directory.join("LOCK");
    let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = options.map_err(io_error(&path))?;
    if crate::journal::files::lock(&file).map_err(io_error(&path))? {
        Ok(file)
    } else {
        Err(OpenError::Locked)
    }
}

/// Reads which store the directory holds; a new directory gets a new store.
///
/// # Errors
/// [`OpenError::StoreFile`] and [`OpenError::Format`] when the file is not understood, [`OpenError::Io`] when it
/// cannot be read or written, or when a journal lies there without it.
pub fn store_id(directory: &Path, ids: &dyn IdSource) -> Result<StoreId, OpenError> {
    let path = directory.join("STORE");
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let journal = directory.join("journal");
            if journal.join("db").exists() || journal.join("CURRENT").exists() {
                let reason = "it is missing, but a journal is there".to_owned();
                return Err(OpenError::StoreFile { path: path.display().to_string(), reason });
            }
            let id = ids.store_id();
            write(directory, &path, id).map_err(io_error(&path))?;
            Ok(id)
        }
        Err(error) => Err(io_error(&path)(error)),
    }
}

fn parse(path: &Path, text: &str) -> Result<StoreId, OpenError> {
    let error =
        |reason: &str| OpenError::StoreFile { path: path.display().to_string(), reason: reason.to_owned() };
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(error("its first line is not `annals store`"));
    }
    let mut value = |key: &str| {
        let line = lines.next()?.strip_prefix(key)?.strip_prefix(' ')?;
        Some(line.to_owned())
    };
    let format: Option<u32> = value("format").and_then(|format| format.parse().ok());
    let found = format.ok_or_else(|| error("it has no line `format`"))?;
    if found != STORE_FORMAT {
        return Err(OpenError::Format { found, known: STORE_FORMAT });
    }
    let id = value("id").and_then(|id| StoreId::parse(&id));
    id.ok_or_else(|| error("it has no line `id` with a UUID"))
}

/// Writes the file so that it is whole or absent after a power cut.
pub(super) fn write(directory: &Path, path: &Path, id: StoreId) -> io::Result<()> {
    let unfinished = directory.join("STORE.new");
    let mut file = File::create(&unfinished)?;
    write!(file, "{FIRST_LINE}\nformat {STORE_FORMAT}\nid {id}\n")?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()
}
