//! Runs a target on a runtime of its own and on a port of its own.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::OnceLock;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;

use super::cell::Target;
use super::error::BenchError;
use super::null::{Null, Prebuilt};
use crate::server::{self, CONNECTION_WINDOW_BYTES, Config, Overrides, STREAM_WINDOW_BYTES, Server};

/// Size of a file that is written before it is used: more than a cell of a second fills on most disks.
const PREALLOCATED_MIB: usize = 256;

/// The runtime of the servers.
#[derive(Debug)]
pub struct Host {
    runtime: Runtime,
    /// A file without a name whose blocks were written; made when it is first needed, and written again from its start
    /// for each target that has it.
    allocated: OnceLock<File>,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), BenchError>>,
    /// Deleted when the server has stopped.
    directory: Option<tempfile::TempDir>,
}

impl Host {
    /// Starts the threads, as many as there are cores.
    ///
    /// # Errors
    /// [`BenchError::Io`].
    pub fn new() -> Result<Self, BenchError> {
        Ok(Self { runtime: server::runtime("bench-server")?, allocated: OnceLock::new() })
    }

    /// Starts a target, empty, with its files in a new directory under `parent`.
    ///
    /// # Errors
    /// [`BenchError`] when it does not start.
    pub fn start(&self, target: Target, prebuilt: &Prebuilt, parent: &Path) -> Result<Running, BenchError> {
        match target {
            Target::Raw | Target::Codec | Target::Index => {
                Err(BenchError::Fault("a file or a function is not a server"))
            }
            Target::Null => self.null(Null::new(prebuilt.clone()), None),
            Target::NullLog => {
                let directory = directory(parent)?;
                let file = File::create_new(directory.path().join("log"))?;
                self.null(Null::with_file(file)?, Some(directory))
            }
            Target::NullPrealloc => self.null(Null::with_file(self.allocated(parent)?)?, None),
            Target::Annals => self.annals(directory(parent)?),
        }
    }

    fn allocated(&self, parent: &Path) -> std::io::Result<File> {
        let mut file = match self.allocated.get() {
            Some(file) => file.try_clone()?,
            None => {
                let file = allocate(tempfile::tempfile_in(parent)?)?;
                self.allocated.get_or_init(|| file).try_clone()?
            }
        };
        file.rewind()?;
        Ok(file)
    }

    fn null(&self, null: Null, directory: Option<tempfile::TempDir>) -> Result<Running, BenchError> {
        let listener = self.runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = self.runtime.spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = tonic::transport::Server::builder()
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .add_service(null);
            Ok(server.serve_with_incoming_shutdown(incoming, ignore(stopped)).await?)
        });
        Ok(Running { address, stop, ended, directory })
    }

    fn annals(&self, directory: tempfile::TempDir) -> Result<Running, BenchError> {
        let overrides = Overrides {
            data: Some(directory.path().to_owned()),
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            ..Overrides::default()
        };
        let server = self.runtime.block_on(Server::bind(Config::load(&overrides)?))?;
        let (mut ready, address) = (server.ready(), server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = self.runtime.spawn(async move { Ok(server.run(ignore(stopped)).await?) });
        if self.runtime.block_on(ready.wait_for(|ready| *ready)).is_err() {
            self.runtime.block_on(ended)??;
            return Err(BenchError::Fault("the server ended before it was ready"));
        }
        Ok(Running { address, stop, ended, directory: Some(directory) })
    }

    /// Stops a server whose clients are gone, and deletes its files.
    ///
    /// # Errors
    /// [`BenchError`] when it failed meanwhile.
    pub fn stop(&self, running: Running) -> Result<(), BenchError> {
        // The server may have ended by itself; then its result says why.
        let _ = running.stop.send(());
        self.runtime.block_on(running.ended)??;
        running.directory.map_or(Ok(()), tempfile::TempDir::close)?;
        Ok(())
    }
}

/// Writes zeros.
fn allocate(mut file: File) -> std::io::Result<File> {
    let zeros = vec![0; 1_024 * 1_024];
    for _ in 0..PREALLOCATED_MIB {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    Ok(file)
}

fn directory(parent: &Path) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix("annals-bench-").tempdir_in(parent)
}

/// A dropped sender means the same as a sent word.
async fn ignore(stopped: oneshot::Receiver<()>) {
    let _ = stopped.await;
}
