//! The server's log.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::config::LogFormat;

/// Says that the level is not one.
#[derive(Debug, thiserror::Error)]
#[error("log.level {level:?} is neither a level nor a filter")]
pub struct LevelError {
    /// What was given.
    pub level: String,
}

/// Sends the log to standard error. Only the first call of a process has an effect.
///
/// # Errors
/// [`LevelError`].
pub fn init(format: LogFormat, level: &str) -> Result<(), LevelError> {
    let filter = EnvFilter::try_new(level).map_err(|_| LevelError { level: level.to_owned() })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second initialisation in one process keeps the first: tests start many servers.
    let _ = match format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().with_ansi(false).try_init(),
    };
    Ok(())
}
