//! `annals serve`: runs the server.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::failure::Failure;
use super::{output, signal};
use crate::log::OpenError;
use crate::server::{Config, ConfigError, LogFormat, Overrides, Server, StartError, telemetry};

const EXAMPLES: &str = "\
Examples:
  annals serve
  annals serve --data /srv/annals --listen 127.0.0.1:50052
  annals serve --config annals.toml --log-format json

Flags win over variables, variables over the file. When the store is open, one line with the address is written to \
standard output; the log goes to standard error. SIGINT (Ctrl-C) or SIGTERM ends the server: what was accepted is \
finished, open subscriptions are told where to resume.";

/// Runs the server until it is interrupted
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Serve {
    /// Data directory [default: annals in XDG_DATA_HOME, or in ~/.local/share]
    #[arg(long, value_name = "DIR", env = "ANNALS_DATA", hide_env_values = true)]
    data: Option<PathBuf>,

    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:50051]
    #[arg(long, value_name = "ADDR", env = "ANNALS_LISTEN", hide_env_values = true, value_parser = parse_listen)]
    listen: Option<SocketAddr>,

    /// Configuration file
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,

    /// Listen beyond loopback, without encryption or authentication
    #[arg(long, env = "ANNALS_ALLOW_REMOTE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    allow_remote: bool,

    /// Form of the log [default: human]
    #[arg(long, value_enum, env = "ANNALS_LOG_FORMAT", hide_env_values = true)]
    log_format: Option<LogFormatArg>,
}

/// Forms of the log, as written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormatArg {
    /// Lines for people
    Human,
    /// One JSON object a line
    Json,
}

impl Serve {
    /// Runs the command.
    ///
    /// # Errors
    /// [`Failure`] when the server does not start, or does not stop well.
    pub async fn run(&self) -> Result<(), Failure> {
        let config = Config::load(&self.overrides()).map_err(|error| config_failure(&error))?;
        telemetry::init(config.log_format, &config.log_level)
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        let server = Server::bind(config).await.map_err(|error| start_failure(&error, "annals serve"))?;
        let (mut ready, address) = (server.ready(), server.local_addr());
        let announce = async move {
            if ready.wait_for(|ready| *ready).await.is_ok() {
                // A server serves on when nobody reads its standard output.
                let _ = output::line(format_args!("annals listens on {address}"));
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = server.run(signal::interrupted()) => ended,
            () = announce => Ok(()),
        };
        ended.map_err(|error| start_failure(&error, "annals serve"))
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            data: self.data.clone(),
            listen: self.listen,
            allow_remote: self.allow_remote.then_some(true),
            log_format: self.log_format.map(|format| match format {
                LogFormatArg::Human => LogFormat::Human,
                LogFormatArg::Json => LogFormat::Json,
            }),
        }
    }
}

/// Reads an address to listen on; without a host, as in `:0`, it is loopback.
///
/// # Errors
/// A sentence, when it is no address.
pub fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let whole = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    if let Ok(address) = whole.parse() {
        return Ok(address);
    }
    let mut addresses = whole.to_socket_addrs().map_err(|_| "must be HOST:PORT, such as 127.0.0.1:50051")?;
    addresses.next().ok_or_else(|| format!("`{text}` has no address"))
}

/// Tells what is wrong with a configuration.
#[must_use]
pub fn config_failure(error: &ConfigError) -> Failure {
    Failure::caused(Exit::Config, "the configuration cannot be used", error)
}

/// Tells why a server did not start; `program` is the command that failed, for the hint.
#[must_use]
pub fn start_failure(error: &StartError, program: &str) -> Failure {
    match error {
        StartError::Bind { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
            let free = SocketAddr::new(address.ip(), 0);
            Failure::new(Exit::Unavailable, format!("{address} is taken: another program listens there"))
                .hint(format!("`{program} --listen {free}` takes a free port"))
        }
        StartError::Bind { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            Failure::caused(Exit::Permission, "the server does not start", error)
        }
        StartError::Open(open) => open_failure(open),
        StartError::Bind { .. } => Failure::caused(Exit::Unavailable, "the server does not start", error),
        StartError::Transport(_) | StartError::Reflection(_) => {
            Failure::caused(Exit::Internal, "the server failed", error)
        }
        StartError::Close(_) => Failure::caused(Exit::Io, "the server did not stop well", error),
    }
}

/// Tells why a store cannot be opened.
#[must_use]
pub fn open_failure(error: &OpenError) -> Failure {
    let what = "the store cannot be opened";
    match error {
        OpenError::Locked => Failure::caused(Exit::Temporary, what, error),
        OpenError::Io { source, .. } => Failure::caused(io_exit(source), what, error),
        OpenError::StoreFile { .. }
        | OpenError::SigningKey { .. }
        | OpenError::WrongStore { .. }
        | OpenError::Read(_) => Failure::caused(Exit::Data, what, error),
        OpenError::Format { .. } => Failure::caused(Exit::Data, what, error)
            .hint("a later version of annals wrote it; use that version"),
        OpenError::Erase(_) => Failure::caused(Exit::Io, what, error),
        OpenError::Journal(journal) => {
            let source: Option<&(dyn Error + 'static)> = journal.source();
            let exit = source.and_then(|source| source.downcast_ref()).map_or(Exit::Data, io_exit);
            Failure::caused(exit, what, error)
        }
    }
}

fn io_exit(error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::PermissionDenied { Exit::Permission } else { Exit::Io }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        fn check(text: &str, expected: Option<&str>) {
            let address = parse_listen(text).ok().map(|address| address.to_string());
            assert_eq!(address.as_deref(), expected, "{text}");
        }
        check("127.0.0.1:50051", Some("127.0.0.1:50051"));
        check(":0", Some("127.0.0.1:0"));
        check("[::1]:7", Some("[::1]:7"));
        check("50051", None);
        check("127.0.0.1", None);
        check("127.0.0.1:66000", None);
    }

    #[test]
    fn a_taken_port_is_told_with_a_way_out() {
        let address: SocketAddr = "127.0.0.1:50051".parse().unwrap();
        let error = StartError::Bind { address, source: io::ErrorKind::AddrInUse.into() };
        let failure = start_failure(&error, "annals demo");
        assert_eq!(failure.exit(), Exit::Unavailable);
        let text = failure.to_string();
        assert!(text.contains("127.0.0.1:50051 is taken"), "{text}");
        assert!(text.contains("annals demo --listen 127.0.0.1:0"), "{text}");
    }

    #[test]
    fn stores_that_cannot_be_opened() {
        fn check(error: &OpenError, expected: Exit) {
            assert_eq!(open_failure(error).exit(), expected, "{error}");
        }
        check(&OpenError::Locked, Exit::Temporary);
        check(&OpenError::Format { found: 9, known: 1 }, Exit::Data);
        let io = |kind: io::ErrorKind| OpenError::Io { path: "/x".to_owned(), source: kind.into() };
        check(&io(io::ErrorKind::PermissionDenied), Exit::Permission);
        check(&io(io::ErrorKind::StorageFull), Exit::Io);
    }
}
