//! What went wrong, as the user sees it.

use std::error::Error;
use std::fmt;

use super::exit::Exit;

/// Why a command ends early: one line, further lines, hints, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    message: Option<String>,
    details: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// Begins with one line, lowercase and without a full stop.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: Some(message.into()), details: Vec::new(), hints: Vec::new() }
    }

    /// Ends the command without a word: what is to say was said.
    #[must_use]
    pub const fn quiet(exit: Exit) -> Self {
        Self { exit, message: None, details: Vec::new(), hints: Vec::new() }
    }

    /// A fault of the program itself.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    /// Begins with a line and the whole chain of causes of an error.
    #[must_use]
    pub fn caused(exit: Exit, message: &str, error: &dyn Error) -> Self {
        Self::new(exit, format!("{message}: {}", chain(error)))
    }

    /// Adds a line that belongs to the message.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds what the user may do.
    #[must_use]
    pub fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }

    /// Gives the exit.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells whether there is nothing to print.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.message.is_none()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(message) = &self.message else { return Ok(()) };
        write!(f, "error: {message}")?;
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        for line in &self.hints {
            write!(f, "\nhint: {line}")?;
        }
        Ok(())
    }
}

/// Joins an error and its causes with colons; a cause that the line already ends with is not repeated.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.ends_with(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn prints_message_details_and_hints() {
        let failure = Failure::new(Exit::Data, "bad").detail("title: empty").hint("look again");
        assert_eq!(failure.to_string(), "error: bad\n  title: empty\nhint: look again");
    }

    #[test]
    fn a_quiet_failure_prints_nothing() {
        let failure = Failure::quiet(Exit::Data);
        assert!(failure.is_quiet());
        assert_eq!(failure.to_string(), "");
    }

    #[test]
    fn causes_are_joined() {
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(chain(&error), "cannot open the store: disk on fire");
    }
}
