//! The real program under the shim.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use annals::pb::event_log_service_client::EventLogServiceClient;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

/// Longest wait for anything that should come at once.
pub const SOON: Duration = Duration::from_secs(60);

/// Compiles the shim, once a process, and gives where it is.
pub fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim/shim.c");
        // Beside the test's own program: several may run at once.
        let target =
            std::env::current_exe().unwrap().with_extension(format!("shim.{}.so", std::process::id()));
        let cc = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let output = Command::new(&cc)
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(&target)
            .arg(&source)
            .args(["-ldl", "-lpthread"])
            .output()
            .unwrap_or_else(|error| {
                panic!("the crash suite needs the C compiler that Rust links with: {cc}: {error}")
            });
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        target
    })
}

/// Removes the compiled shim.
pub fn forget_shim() {
    let _ = std::fs::remove_file(shim());
}

/// Where to put what is written and thrown away: in memory, where there is such a place.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let made = made.or_else(|_| tempfile::tempdir()).unwrap();
    // The shim compares real paths.
    assert_eq!(made.path(), made.path().canonicalize().unwrap(), "the temp directory is reached by a link");
    made
}

/// A server, watched by the shim or not.
pub struct Program {
    child: Child,
    pub address: String,
    log: PathBuf,
}

/// Writes a configuration without a reserve of disk space: what holds it is allocated past the shim, and means nothing to
/// what is tested here.
fn config(run: &Path) -> PathBuf {
    let path = run.join("annals.toml");
    std::fs::write(&path, "[store]\ndisk_reserve_bytes = 0\n").unwrap();
    path
}

/// How a server came up.
pub enum Started {
    /// It serves.
    Serving(Program),
    /// It ended by itself, and this is what it said.
    Ended(String),
}

impl Program {
    /// Starts on `run/data`, with the trace in `run/trace` and the faults given.
    pub fn start(run: &Path, faults: Option<&str>) -> Started {
        let log = run.join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_annals"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json", "--data"])
            .arg(run.join("data"))
            .arg("--config")
            .arg(config(run))
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log).unwrap());
        if let Some(faults) = faults {
            command
                .env("LD_PRELOAD", shim())
                .env("ANNALS_SHIM_ROOT", run.join("data"))
                .env("ANNALS_SHIM_TRACE", run.join("trace"))
                .env("ANNALS_SHIM_FAULTS", faults);
        }
        if let Some(bug) = std::env::var_os("ANNALS_SEEDED_BUG") {
            command.env("ANNALS_SEEDED_BUG", bug);
        }
        let begin_at = std::fs::metadata(&log).unwrap().len();
        let child = command.spawn().unwrap();
        let mut program = Self { child, address: String::new(), log };
        let begin = Instant::now();
        loop {
            let text = program.said(begin_at);
            for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                if line["fields"]["message"] == "serving" {
                    program.address = line["fields"]["address"].as_str().unwrap().to_owned();
                    return Started::Serving(program);
                }
            }
            if program.child.try_wait().unwrap().is_some() {
                return Started::Ended(program.said(begin_at));
            }
            assert!(begin.elapsed() < SOON, "the server neither starts nor ends: {}", program.said(begin_at));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn said(&self, from: u64) -> String {
        let bytes = std::fs::read(&self.log).unwrap();
        String::from_utf8_lossy(&bytes[usize::try_from(from).unwrap()..]).into_owned()
    }

    /// Connects a client.
    pub async fn client(&self) -> Option<EventLogServiceClient<Channel>> {
        client(&self.address).await
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Asks it to stop, as an operator would, and waits for the end.
    pub fn terminate(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let begin = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < SOON, "the server does not stop: {}", self.said(0));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

/// Connects to an address.
pub async fn client(address: &str) -> Option<EventLogServiceClient<Channel>> {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.ok()?;
    Some(EventLogServiceClient::new(channel).max_decoding_message_size(16 << 20))
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
