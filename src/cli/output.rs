//! The only place that writes to standard output and standard error.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::exit::Exit;
use super::failure::Failure;

/// Writes one line to standard output.
///
/// # Errors
/// [`Failure`] when it cannot be written; quiet, with exit 0, when the reader has gone.
pub fn line(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| write_failure(&error))
}

/// Writes text that ends its lines itself to standard output.
///
/// # Errors
/// As [`line()`].
pub fn text(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| write_failure(&error))
}

/// Writes one line to standard error. There is nowhere to report that this failed.
pub fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Gives a buffered standard output for many lines.
#[must_use]
pub fn writer() -> Box<dyn Write + Send> {
    Box::new(BufWriter::with_capacity(64 * 1_024, io::stdout()))
}

/// Turns a failed write into a failure. A closed pipe is how `annals … | head` ends, not an error.
#[must_use]
pub fn write_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::quiet(Exit::Ok);
    }
    Failure::new(Exit::Io, format!("cannot write: {error}"))
}

/// Tells whether a person reads standard output.
#[must_use]
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Makes text safe for a terminal: recorded text must not move the cursor or change colours.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.replace(char::is_control, "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Makes a progress bar on standard error; a hidden one unless a person looks at it.
///
/// `template` is in the language of `indicatif`.
#[must_use]
pub fn progress(length: Option<u64>, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(plain("a\u{1b}[31mb\n"), "a\u{FFFD}[31mb\u{FFFD}");
        assert!(matches!(plain("Tiranë"), Cow::Borrowed("Tiranë")));
    }

    #[test]
    fn a_closed_pipe_is_no_error() {
        let closed = write_failure(&io::ErrorKind::BrokenPipe.into());
        assert_eq!((closed.exit(), closed.is_quiet()), (Exit::Ok, true));
        let full = write_failure(&io::ErrorKind::StorageFull.into());
        assert_eq!((full.exit(), full.is_quiet()), (Exit::Io, false));
    }
}
