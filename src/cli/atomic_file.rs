//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::exit::Exit;
use super::failure::Failure;

/// A file under a temporary name beside its place; dropped before [`AtomicFile::commit`] it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Makes the temporary file.
    ///
    /// # Errors
    /// [`Failure`] when the directory takes no file.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".annals-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // As any new file: readable by all but for the user's umask.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory).map_err(|error| create_failure(path, &error))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Puts the file in its place, on disk, over one that may be there.
    ///
    /// # Errors
    /// [`Failure`]; what was in its place is as before.
    pub fn commit(self) -> Result<(), Failure> {
        self.file.as_file().sync_all().map_err(|error| create_failure(&self.path, &error))?;
        let kept = self.file.persist(&self.path);
        kept.map(drop).map_err(|error| create_failure(&self.path, &error.error))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn create_failure(path: &Path, error: &io::Error) -> Failure {
    let text = error.to_string();
    // tempfile adds the temporary name, which means nothing to the user.
    let cause = text.split_once(" at path ").map_or(text.as_str(), |(cause, _)| cause);
    Failure::new(Exit::CannotCreate, format!("cannot make {}: {cause}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"one").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");

        let mut dropped = AtomicFile::create(&path).unwrap();
        dropped.write_all(b"two").unwrap();
        drop(dropped);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_told() {
        let failure = AtomicFile::create(Path::new("/nonexistent/out")).unwrap_err();
        assert_eq!(failure.exit(), Exit::CannotCreate);
        let text = failure.to_string();
        assert!(text.contains("/nonexistent/out: ") && !text.contains(".annals-"), "{text}");
    }
}
