//! Configuration: the reference file is the default, then a file, then what flags and variables say.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::{Table, Value};

use crate::log::QueueLimits;
use crate::wire::Limits;

/// Greatest limit on one event: with its own fields it must fit a frame of 1 MiB.
const EVENT_BYTES_LIMIT: usize = 512 * 1_024;

/// Form of the server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// What flags and variables say; nothing set = the file decides.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// Data directory.
    pub data: Option<PathBuf>,
    /// Address to listen on.
    pub listen: Option<SocketAddr>,
    /// Whether that may be beyond loopback.
    pub allow_remote: Option<bool>,
    /// Form of the log.
    pub log_format: Option<LogFormat>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Data directory.
    pub data: PathBuf,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Longest time to wait at a stop.
    pub drain: Duration,
    /// Most streams of one connection.
    pub connection_streams_max: u32,
    /// Page cache of the journal, in bytes.
    pub journal_cache_bytes: u64,
    /// Space on the disk that appends leave alone, in bytes.
    pub disk_reserve_bytes: u64,
    /// What clients are allowed.
    pub limits: Limits,
    /// Least level of the log.
    pub log_level: String,
    /// Form of the log.
    pub log_format: LogFormat,
}

/// Says why there is no usable configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key or value that is not known.
    #[error("{path}: {reason}")]
    Parse {
        /// Which.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A value is out of its range.
    #[error("{key} {rule}")]
    Value {
        /// Which.
        key: &'static str,
        /// What holds for it.
        rule: String,
    },
    /// There is no place for data.
    #[error("no data directory: give --data, or set HOME")]
    NoDataDirectory,
    /// The address is not loopback.
    #[error(
        "{0} is not a loopback address, and the server has neither encryption nor authentication: say --allow-remote if the network is safe"
    )]
    RemoteRefused(SocketAddr),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    server: ServerSection,
    store: StoreSection,
    limits: LimitsSection,
    log: LogSection,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSection {
    listen: SocketAddr,
    allow_remote: bool,
    drain_seconds: u64,
    connection_streams_max: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreSection {
    data: PathBuf,
    journal_cache_bytes: u64,
    disk_reserve_bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsSection {
    event_bytes_max: usize,
    batch_events_max: usize,
    batch_bytes_max: usize,
    page_size_default: usize,
    page_size_max: usize,
    subscriptions_max: usize,
    queries_max: usize,
    message_bytes_max: usize,
    writer_queue_requests_max: usize,
    writer_queue_bytes_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    level: String,
    format: LogFormat,
}

impl Config {
    /// The reference file: every key, its meaning and its default.
    pub const REFERENCE: &'static str = include_str!("../../config/annals.toml");

    /// Reads and checks the configuration. Nothing is opened or bound yet.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and key.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut table = parse("config/annals.toml", Self::REFERENCE)?;
        if let Some(path) = &overrides.config {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.display().to_string(), source })?;
            let name = path.display().to_string();
            check_keys(&name, &parse(&name, &text)?, &table)?;
            merge(&mut table, parse(&name, &text)?);
        }
        let name =
            overrides.config.as_deref().map_or("config/annals.toml".to_owned(), |p| p.display().to_string());
        let file: File = Value::Table(table).try_into().map_err(|error: toml::de::Error| {
            ConfigError::Parse { path: name, reason: error.message().to_owned() }
        })?;
        Self::of(file, overrides)
    }

    fn of(file: File, overrides: &Overrides) -> Result<Self, ConfigError> {
        let listen = overrides.listen.unwrap_or(file.server.listen);
        if !listen.ip().is_loopback() && !overrides.allow_remote.unwrap_or(file.server.allow_remote) {
            return Err(ConfigError::RemoteRefused(listen));
        }
        let data = match overrides.data.clone().unwrap_or(file.store.data) {
            path if path.as_os_str().is_empty() => default_data().ok_or(ConfigError::NoDataDirectory)?,
            path => path,
        };
        Ok(Self {
            data,
            listen,
            drain: Duration::from_secs(file.server.drain_seconds),
            connection_streams_max: at_least_one(
                "server.connection_streams_max",
                file.server.connection_streams_max,
            )?,
            journal_cache_bytes: file.store.journal_cache_bytes,
            disk_reserve_bytes: file.store.disk_reserve_bytes,
            limits: limits(&file.limits)?,
            log_level: file.log.level,
            log_format: overrides.log_format.unwrap_or(file.log.format),
        })
    }
}

fn limits(section: &LimitsSection) -> Result<Limits, ConfigError> {
    let event_bytes_max = at_least_one("limits.event_bytes_max", section.event_bytes_max)?;
    if event_bytes_max > EVENT_BYTES_LIMIT {
        let rule = format!("must be at most {EVENT_BYTES_LIMIT}");
        return Err(ConfigError::Value { key: "limits.event_bytes_max", rule });
    }
    if section.page_size_default > section.page_size_max {
        let rule = "must be at most limits.page_size_max".to_owned();
        return Err(ConfigError::Value { key: "limits.page_size_default", rule });
    }
    let queue = QueueLimits {
        requests_max: at_least_one("limits.writer_queue_requests_max", section.writer_queue_requests_max)?,
        bytes_max: at_least_one("limits.writer_queue_bytes_max", section.writer_queue_bytes_max)?,
    };
    Ok(Limits {
        event_bytes_max,
        batch_events_max: at_least_one("limits.batch_events_max", section.batch_events_max)?,
        batch_bytes_max: at_least_one("limits.batch_bytes_max", section.batch_bytes_max)?,
        page_size_default: at_least_one("limits.page_size_default", section.page_size_default)?,
        page_size_max: at_least_one("limits.page_size_max", section.page_size_max)?,
        subscriptions_max: at_least_one("limits.subscriptions_max", section.subscriptions_max)?,
        queries_max: at_least_one("limits.queries_max", section.queries_max)?,
        message_bytes_max: at_least_one("limits.message_bytes_max", section.message_bytes_max)?,
        queue,
    })
}

fn at_least_one<T: PartialEq + Default>(key: &'static str, value: T) -> Result<T, ConfigError> {
    if value == T::default() {
        return Err(ConfigError::Value { key, rule: "must be at least 1".to_owned() });
    }
    Ok(value)
}

fn parse(path: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| ConfigError::Parse {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Refuses keys that the reference does not have: a misspelt limit must not be ignored.
fn check_keys(path: &str, given: &Table, reference: &Table) -> Result<(), ConfigError> {
    for (key, value) in given {
        match (reference.get(key), value) {
            (Some(Value::Table(reference)), Value::Table(given)) => check_keys(path, given, reference)?,
            (Some(_), _) => {}
            (None, _) => {
                let reason = format!("unknown key {key}");
                return Err(ConfigError::Parse { path: path.to_owned(), reason });
            }
        }
    }
    Ok(())
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Gives the data directory of the user, by the XDG Base Directory Specification.
fn default_data() -> Option<PathBuf> {
    let set =
        |name: &str| env::var_os(name).filter(|value| Path::new(value).is_absolute()).map(PathBuf::from);
    let home = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local").join("share")))?;
    Some(home.join("annals"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, overrides: Overrides) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("annals.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&Overrides { config: Some(path), data: Some("/x".into()), ..overrides })
    }

    #[test]
    fn the_reference_file_holds_the_defaults() {
        let config = with("", Overrides::default()).unwrap();
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.disk_reserve_bytes, crate::log::disk::RESERVE_BYTES_DEFAULT);
        assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    }

    #[test]
    fn a_file_changes_what_it_names_and_flags_win() {
        let text = "[server]\nlisten = \"127.0.0.1:1\"\n[limits]\npage_size_max = 70\n";
        let config =
            with(text, Overrides { listen: Some("127.0.0.1:2".parse().unwrap()), ..Overrides::default() });
        let config = config.unwrap();
        assert_eq!((config.limits.page_size_max, config.listen.port()), (70, 2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("[limits]\npage_sizes = 7", "unknown key page_sizes"),
            ("[limits]\npage_size_max = 0", "limits.page_size"),
            ("[limits]\nevent_bytes_max = 1000000000", "limits.event_bytes_max must be at most 524288"),
            ("[server]\nlisten = \"0.0.0.0:1\"", "0.0.0.0:1 is not a loopback address"),
            ("[server", "annals.toml"),
        ] {
            let error = with(text, Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let allowed = Overrides { allow_remote: Some(true), ..Overrides::default() };
        assert!(with("[server]\nlisten = \"0.0.0.0:1\"", allowed).is_ok());
    }
}
