//! The key that checkpoints of a log are signed with, in a file of the data directory.
//!
//! ```text
//! DIR/SIGNING_KEY   one line: the signer key in the form of C2SP notes; readable by its owner only
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use tracing::info;

use super::OpenError;
use crate::clock::IdSource;
use crate::domain::StoreId;
use crate::proof::Signer;

const FILE: &str = "SIGNING_KEY";
/// More bytes than any key file has.
const FILE_BYTES_MAX: u64 = 1_024;

/// Gives the name of a log, under which it signs: the origin of its checkpoints.
#[must_use]
pub fn origin(store: StoreId) -> String {
    format!("annals/{store}")
}

/// Makes a key for a log.
///
/// # Errors
/// [`OpenError::SigningKey`]; an origin is always fit to be a name, so that there is none.
pub fn make(store: StoreId, ids: &dyn IdSource) -> Result<Signer, OpenError> {
    Signer::new(&origin(store), &ids.secret()).map_err(|error| refused(Path::new(FILE), error.to_string()))
}

/// Reads the key of a directory; where there is none, one is made.
///
/// # Errors
/// [`OpenError::SigningKey`] when the file holds no key, or that of another store; [`OpenError::Io`] when it cannot
/// be read or written.
pub fn load_or_make(directory: &Path, store: StoreId, ids: &dyn IdSource) -> Result<Signer, OpenError> {
    let path = directory.join(FILE);
    let io_error = |source| OpenError::Io { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    match File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => {
            let text = String::from_utf8(bytes).map_err(|_| refused(&path, "it is not text".to_owned()))?;
            read(&path, &text, store)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let signer = make(store, ids)?;
            write(directory, &path, &signer).map_err(io_error)?;
            info!(verifier_key = %signer.verifier(), "signing key made");
            Ok(signer)
        }
        Err(error) => Err(io_error(error)),
    }
}

fn read(path: &Path, text: &str, store: StoreId) -> Result<Signer, OpenError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let signer = Signer::parse(line).map_err(|error| refused(path, error.to_string()))?;
    let name = signer.verifier().name();
    if name == origin(store) {
        Ok(signer)
    } else {
        Err(refused(path, format!("it is the key of {name}, this is {}", origin(store))))
    }
}

fn refused(path: &Path, reason: String) -> OpenError {
    OpenError::SigningKey { path: path.display().to_string(), reason }
}

/// Writes the file so that it is whole or absent after a power cut, and readable by nobody else at any moment.
fn write(directory: &Path, path: &Path, signer: &Signer) -> io::Result<()> {
    let unfinished = directory.join("SIGNING_KEY.new");
    // A file that a crash left may have any mode.
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    writeln!(file, "{}", signer.secret_text())?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = System.store_id();
        std::fs::write(directory.path().join("SIGNING_KEY.new"), "torn").unwrap();
        let made = load_or_make(directory.path(), store, &System).unwrap();
        let again = load_or_make(directory.path(), store, &System).unwrap();
        assert_eq!(made.verifier(), again.verifier());
        assert_eq!(made.verifier().name(), format!("annals/{store}"));
        let path = directory.path().join(FILE);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        std::fs::remove_file(&path).unwrap();
        let other = load_or_make(directory.path(), store, &System).unwrap();
        assert_ne!(made.verifier(), other.verifier(), "keys are random");
    }

    #[test]
    fn a_damaged_or_foreign_key_is_refused_by_the_name_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let (store, path) = (System.store_id(), directory.path().join(FILE));
        load_or_make(directory.path(), store, &System).unwrap();
        let sound = std::fs::read(&path).unwrap();
        let text = String::from_utf8(sound.clone()).unwrap();
        let check = |bytes: &[u8], store: StoreId| {
            std::fs::write(&path, bytes).unwrap();
            let error = load_or_make(directory.path(), store, &System).unwrap_err();
            assert!(matches!(error, OpenError::SigningKey { .. }), "{error}");
            assert!(error.to_string().contains("SIGNING_KEY"), "{error}");
        };
        check(b"", store);
        check(b"\xff", store);
        check(&sound[..40], store);
        check(text.replace("annals/", "Annals/").as_bytes(), store);
        check(&sound, System.store_id());
        let mut flipped = sound;
        let at = flipped.len() - 10;
        flipped[at] ^= 1;
        check(&flipped, store);
    }
}
