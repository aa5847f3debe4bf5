//! The server that is measured, on one directory, started and stopped as often as need be: in this process, or as a
//! child whose memory is its own.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bench::error::BenchError;
use crate::clock::Stopwatch;
use crate::server::{Config, Overrides, Server};

/// Which program serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// This process. Its memory cannot be told from that of the clients, and it cannot be killed.
    Here,
    /// A child that runs this executable with the arguments of `annals serve`.
    Child(PathBuf),
}

/// A server that runs.
#[derive(Debug)]
enum Process {
    Here { stop: oneshot::Sender<()>, ended: JoinHandle<Result<(), BenchError>> },
    Child(Child),
}

/// What a start was like.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Where the server listens.
    pub address: SocketAddr,
    /// Time from the start until it serves.
    pub took: Duration,
}

/// A directory, and the server on it.
#[derive(Debug)]
pub struct Site {
    program: Program,
    /// Deleted at the end.
    home: tempfile::TempDir,
    /// For a server in this process.
    runtime: Runtime,
    running: Option<Process>,
}

/// Variables that would change the server under test.
const VARIABLES: [&str; 5] =
    ["ANNALS_DATA", "ANNALS_LISTEN", "ANNALS_CONFIG", "ANNALS_ALLOW_REMOTE", "ANNALS_LOG_FORMAT"];
/// Name of the data directory in the directory of the site.
const DATA: &str = "data";
/// Name of the child's log.
const LOG: &str = "server.log";
/// What is told of the child's log when it fails, in lines from its end.
const LOG_LINES_TOLD: usize = 5;

impl Site {
    /// Makes an empty directory under `parent`.
    ///
    /// # Errors
    /// [`BenchError::Io`].
    pub fn new(program: Program, parent: &Path) -> Result<Self, BenchError> {
        Ok(Self {
            program,
            home: tempfile::Builder::new().prefix("annals-bench-").tempdir_in(parent)?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .thread_name("bench-server")
                .enable_all()
                .build()?,
            running: None,
        })
    }

    /// Gives the directory that holds all of it.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Gives the data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.home.path().join(DATA)
    }

    /// Tells whether the server is a process of its own, so that it has memory of its own and can be killed.
    #[must_use]
    pub fn is_child(&self) -> bool {
        matches!(self.program, Program::Child(_))
    }

    /// Gives the id of the child that runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.running {
            Some(Process::Child(child)) => Some(child.id()),
            Some(Process::Here { .. }) | None => None,
        }
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Errors
    /// [`BenchError`] when it does not.
    pub fn start(&mut self) -> Result<Started, BenchError> {
        if self.running.is_some() {
            return Err(BenchError::Fault("the server runs already"));
        }
        let watch = Stopwatch::start();
        let address = match self.program.clone() {
            Program::Here => self.start_here()?,
            Program::Child(program) => self.start_child(&program)?,
        };
        Ok(Started { address, took: watch.elapsed() })
    }

    fn start_here(&mut self) -> Result<SocketAddr, BenchError> {
        let overrides = Overrides {
            data: Some(self.data()),
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            ..Overrides::default()
        };
        let server = self.runtime.block_on(Server::bind(Config::load(&overrides)?))?;
        let (mut ready, address) = (server.ready(), server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = self.runtime.spawn(async move {
            // A dropped sender means the same as a sent word.
            let stopped = async move { drop(stopped.await) };
            Ok(server.run(stopped).await?)
        });
        if self.runtime.block_on(ready.wait_for(|ready| *ready)).is_err() {
            self.runtime.block_on(ended)??;
            return Err(BenchError::Fault("the server ended before it was ready"));
        }
        self.running = Some(Process::Here { stop, ended });
        Ok(address)
    }

    fn start_child(&mut self, program: &Path) -> Result<SocketAddr, BenchError> {
        let log = File::options().create(true).append(true).open(self.home.path().join(LOG))?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data").arg(self.data()).args(["--listen", "127.0.0.1:0"]);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        // Ctrl-C is for the bench, which then stops its server.
        command.process_group(0);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(log)).spawn()?;
        let said = child.stdout.take();
        // From here on the child is stopped whatever happens.
        self.running = Some(Process::Child(child));
        let mut line = String::new();
        if let Some(said) = said {
            // One line, with the address, when the store is open; the end of the pipe when the child ends before.
            BufReader::new(said).read_line(&mut line)?;
        }
        let address = line.split_whitespace().next_back().and_then(|word| word.parse().ok());
        address.ok_or_else(|| self.failure("the server did not start"))
    }

    /// Stops the server as an operator would, and gives how long that took.
    ///
    /// # Errors
    /// [`BenchError`] when it ends badly.
    pub fn stop(&mut self) -> Result<Duration, BenchError> {
        let watch = Stopwatch::start();
        match self.running.take() {
            None => return Err(BenchError::Fault("no server runs")),
            Some(Process::Here { stop, ended }) => {
                // The server may have ended by itself; then its result says why.
                let _ = stop.send(());
                self.runtime.block_on(ended)??;
            }
            Some(Process::Child(mut child)) => {
                let told = terminate(&child);
                let ended = if matches!(&told, Ok(status) if status.success()) {
                    child.wait()
                } else {
                    child.kill().and_then(|()| child.wait())
                };
                if !ended?.success() {
                    return Err(self.failure("the server did not stop well"));
                }
            }
        }
        Ok(watch.elapsed())
    }

    /// Kills the server, so that it can tidy up nothing.
    ///
    /// # Errors
    /// [`BenchError::Fault`] when it is no child; [`BenchError::Io`].
    pub fn kill(&mut self) -> Result<(), BenchError> {
        match self.running.take() {
            Some(Process::Child(mut child)) => {
                child.kill()?;
                child.wait()?;
                Ok(())
            }
            running @ (Some(Process::Here { .. }) | None) => {
                self.running = running;
                Err(BenchError::Fault("only a child can be killed"))
            }
        }
    }

    /// Stops the server, if one runs, and deletes everything.
    ///
    /// # Errors
    /// As [`Site::stop`].
    pub fn close(mut self) -> Result<(), BenchError> {
        let stopped = if self.running.is_some() { self.stop().map(drop) } else { Ok(()) };
        stopped.and(std::fs::remove_dir_all(self.home.path()).map_err(BenchError::from))
    }

    /// Tells of a failure with the end of the child's log, which is deleted with the directory.
    fn failure(&self, what: &str) -> BenchError {
        let log = std::fs::read_to_string(self.home.path().join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let told = lines.get(lines.len().saturating_sub(LOG_LINES_TOLD)..).unwrap_or_default();
        BenchError::Io(io::Error::other(format!("{what}: {}", told.join(" | "))))
    }
}

impl Drop for Site {
    /// A bench that breaks off leaves no server behind.
    fn drop(&mut self) {
        if let Some(Process::Child(child)) = &mut self.running {
            let _ = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Sends SIGTERM. The standard library only kills, and every system with signals has a shell that can send others.
fn terminate(child: &Child) -> io::Result<ExitStatus> {
    Command::new("sh").args(["-c", "kill -TERM \"$0\"", &child.id().to_string()]).status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_starts_again_on_what_it_left() {
        let parent = tempfile::tempdir().unwrap();
        let mut site = Site::new(Program::Here, parent.path()).unwrap();
        for _ in 0..2 {
            assert_ne!(site.start().unwrap().address.port(), 0);
            assert!(site.start().is_err(), "it runs already");
            assert!(site.kill().is_err() && site.pid().is_none() && !site.is_child());
            site.stop().unwrap();
        }
        assert!(site.data().join("journal").is_dir());
        site.close().unwrap();
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_child_that_does_not_serve_is_told_of_with_its_words() {
        let parent = tempfile::tempdir().unwrap();
        let program = parent.path().join("annals");
        std::fs::write(&program, "#!/bin/sh\necho no room >&2\nexit 1\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let mut site = Site::new(Program::Child(program), parent.path()).unwrap();
        let BenchError::Io(error) = site.start().unwrap_err() else { panic!() };
        assert_eq!(error.to_string(), "the server did not start: no room");
    }
}
