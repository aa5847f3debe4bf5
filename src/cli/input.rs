//! Files of lines, plain or compressed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use super::exit::Exit;
use super::failure::Failure;

/// Longest line, in bytes: an event of 64 KiB stays below it however its text is escaped in JSON.
pub const LINE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
/// Names standard input.
pub const STDIN: &str = "-";

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens a file, or standard input for `-`, and unpacks it if its first bytes say that it is gzip, whatever its
/// name. `bar` counts the bytes as they stand in the file.
///
/// # Errors
/// [`Failure`] when it cannot be opened.
pub fn open(path: &str, bar: &ProgressBar) -> Result<Box<dyn BufRead + Send>, Failure> {
    let raw: Box<dyn Read + Send> = if path == STDIN {
        Box::new(io::stdin())
    } else {
        let failed =
            |error: io::Error| Failure::new(Exit::of_input(&error), format!("cannot open {path}: {error}"));
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(Failure::new(Exit::NoInput, format!("cannot read {path}: it is a directory")));
        }
        Box::new(file)
    };
    unpacked(bar.wrap_read(raw)).map_err(|error| read_failure(path, &error))
}

fn unpacked(mut raw: impl Read + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let mut head = Vec::new();
    raw.by_ref().take(2).read_to_end(&mut head)?;
    let packed = head == GZIP_MAGIC;
    let whole = BufReader::with_capacity(64 * 1_024, Cursor::new(head).chain(raw));
    Ok(if packed { Box::new(BufReader::new(MultiGzDecoder::new(whole))) } else { Box::new(whole) })
}

/// Tells that a file could not be read to its end.
#[must_use]
pub fn read_failure(path: &str, error: &io::Error) -> Failure {
    // A damaged or cut gzip file is wrong data; the disk did its part.
    let damaged = [io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput, io::ErrorKind::UnexpectedEof];
    let exit = if damaged.contains(&error.kind()) { Exit::Data } else { Exit::Io };
    Failure::new(exit, format!("cannot read {path}: {error}"))
}

/// The lines of a file that are not blank, numbered from 1.
pub struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R> std::fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R: BufRead> Lines<R> {
    /// Begins before the first line.
    pub const fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// Reads the next line that is not blank into `line`, and gives its number; `None` at the end.
    ///
    /// # Errors
    /// As the reader; [`io::ErrorKind::InvalidData`] for a line beyond [`LINE_BYTES_MAX`].
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<u64>> {
        loop {
            line.clear();
            let read = self.reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let length = line.trim_ascii_end().len();
            if u64::try_from(length).is_ok_and(|length| length > LINE_BYTES_MAX) {
                let text = format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.number);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            line.truncate(length);
            if !line.trim_ascii_start().is_empty() {
                return Ok(Some(self.number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: Vec<u8>) -> io::Result<Vec<(u64, String)>> {
        let mut lines = Lines::new(unpacked(Cursor::new(bytes))?);
        let (mut line, mut all) = (Vec::new(), Vec::new());
        while let Some(number) = lines.next(&mut line)? {
            all.push((number, String::from_utf8(line.clone()).unwrap()));
        }
        Ok(all)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_packed_lines() {
        let expected = vec![(1, "a".to_owned()), (3, "b".to_owned()), (4, " c".to_owned())];
        let text = b"a\n \t\nb\r\n c";
        assert_eq!(lines(text.to_vec()).unwrap(), expected);
        assert_eq!(lines(gzip(text)).unwrap(), expected);
        // Files of several members come from `cat a.gz b.gz`.
        assert_eq!(lines([gzip(b"a\n\n"), gzip(b"b\n c")].concat()).unwrap(), expected);
        assert_eq!(lines(Vec::new()).unwrap(), []);
        assert_eq!(lines(b"a".to_vec()).unwrap(), [(1, "a".to_owned())]);
    }

    #[test]
    fn a_cut_file_is_wrong_data() {
        let mut packed = gzip(b"a long enough line to be cut in the middle\n");
        packed.truncate(packed.len() - 12);
        let error = lines(packed).unwrap_err();
        assert_eq!(read_failure("f", &error).exit(), Exit::Data, "{error}");
    }

    #[test]
    fn lines_are_bounded() {
        let max = usize::try_from(LINE_BYTES_MAX).unwrap();
        assert_eq!(lines(vec![b'x'; max]).unwrap().len(), 1);
        let error = lines([b"a\n".to_vec(), vec![b'x'; max + 1]].concat()).unwrap_err();
        assert!(error.to_string().starts_with("line 2 is longer"), "{error}");
    }

    #[test]
    fn files_that_cannot_be_opened() {
        let missing = open("/nonexistent/file", &ProgressBar::hidden()).err().unwrap();
        assert_eq!(missing.exit(), Exit::NoInput);
        let directory = tempfile::tempdir().unwrap();
        let directory = open(directory.path().to_str().unwrap(), &ProgressBar::hidden()).err().unwrap();
        assert_eq!(directory.exit(), Exit::NoInput);
    }
}
