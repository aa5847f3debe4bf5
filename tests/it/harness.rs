//! A real server: the program as a child process on a port of its own, its log kept and checked.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use annals::pb;
use annals::pb::admin_service_client::AdminServiceClient;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::timeline_service_client::TimelineServiceClient;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::events;

/// Longest wait for anything that should come at once.
pub const SOON: Duration = Duration::from_secs(60);

pub struct Server {
    child: Child,
    pub address: String,
    pub data: PathBuf,
    log: PathBuf,
    allowed: Vec<String>,
    _directory: Option<tempfile::TempDir>,
}

/// Runs `annals` with arguments to its end.
pub fn annals(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_annals")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

impl Server {
    /// Starts on a directory of its own.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts with a configuration file.
    pub fn start_with(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self::start_in(&directory.path().join("data"), config);
        server._directory = Some(directory);
        server
    }

    /// Starts on a given directory.
    pub fn start_in(data: &Path, config: &str) -> Self {
        let parent = data.parent().unwrap();
        std::fs::create_dir_all(parent).unwrap();
        let config_file = parent.join("annals.toml");
        std::fs::write(&config_file, config).unwrap();
        let log = parent.join(format!("log-{}", uuid::Uuid::new_v4()));
        let child = Command::new(env!("CARGO_BIN_EXE_annals"))
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", "127.0.0.1:0", "--log-format", "json", "--config"])
            .arg(&config_file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self {
            child,
            address: String::new(),
            data: data.to_owned(),
            log,
            allowed: Vec::new(),
            _directory: None,
        };
        server.address = server.wait_for_address();
        server
    }

    fn wait_for_address(&mut self) -> String {
        let begin = Instant::now();
        while begin.elapsed() < SOON {
            for line in self.log_lines() {
                if line["fields"]["message"] == "serving" {
                    return line["fields"]["address"].as_str().unwrap().to_owned();
                }
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", std::fs::read_to_string(&self.log).unwrap());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server did not start: {}", std::fs::read_to_string(&self.log).unwrap());
    }

    /// The lines of the server's log that are JSON.
    pub fn log_lines(&self) -> Vec<Value> {
        let lines = BufReader::new(File::open(&self.log).unwrap()).lines();
        lines.filter_map(|line| serde_json::from_str(&line.unwrap()).ok()).collect()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url()).unwrap().connect().await.unwrap()
    }

    pub async fn log(&self) -> EventLogServiceClient<Channel> {
        EventLogServiceClient::new(self.channel().await).max_decoding_message_size(16 << 20)
    }

    pub async fn timeline(&self) -> TimelineServiceClient<Channel> {
        TimelineServiceClient::new(self.channel().await)
    }

    pub async fn admin(&self) -> AdminServiceClient<Channel> {
        AdminServiceClient::new(self.channel().await)
    }

    /// Imports a file with the program.
    pub fn import(&self, path: &Path) -> String {
        let output = annals(&["import", "--server", &self.url(), path.to_str().unwrap()]);
        let text =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "import of {}: {text}", path.display());
        text
    }

    /// Imports the article's context and then its events.
    pub fn import_article(&self) {
        self.import(&events::article("context_releases.jsonl"));
        self.import(&events::article("events.jsonl"));
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; gives whether it ended well.
    pub fn wait(&mut self) -> bool {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(begin.elapsed() < SOON, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops as an operator would, and checks that it ended well.
    pub fn stop(&mut self) {
        self.signal("-TERM");
        assert!(self.wait(), "{}", std::fs::read_to_string(&self.log).unwrap());
    }

    /// Stops, and starts again on the same data.
    pub fn restart(mut self) -> Self {
        self.stop();
        let directory = self._directory.take();
        let mut next = Self::start_in(&self.data, "");
        next._directory = directory;
        next
    }

    #[allow(dead_code, reason = "the crash tests allow nothing")]
    /// Lets the server log a warning or an error with this message.
    pub fn allow(&mut self, message: &str) {
        self.allowed.push(message.to_owned());
    }

    #[allow(dead_code, reason = "the crash tests kill, the others do not")]
    /// Ends at once, without a chance to do anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("server log:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
            return;
        }
        for line in self.log_lines() {
            let serious = matches!(line["level"].as_str(), Some("WARN" | "ERROR"));
            let message = line["fields"]["message"].as_str().unwrap_or_default();
            let allowed = self.allowed.iter().any(|allowed| allowed == message);
            assert!(!serious || allowed, "the server logged {line}");
        }
    }
}

/// Appends events given as JSON.
pub async fn append(
    client: &mut EventLogServiceClient<Channel>,
    events: &[Value],
) -> Result<pb::AppendEventsResponse, tonic::Status> {
    let events = events.iter().map(events::event).collect();
    let request = pb::AppendEventsRequest::of(events, Vec::new());
    client.append_events(request).await.map(tonic::Response::into_inner)
}

/// What a status says, in the form that tests compare.
#[derive(Debug)]
pub struct Said {
    pub code: tonic::Code,
    pub reason: String,
    pub message: String,
    pub metadata: std::collections::HashMap<String, String>,
    pub details: ErrorDetails,
}

impl Said {
    pub fn of(status: &tonic::Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}")).clone();
        assert_eq!(info.domain, "annals.v1");
        assert!(pb::ErrorReason::from_str_name(&info.reason).is_some(), "unknown reason {}", info.reason);
        Self {
            code: status.code(),
            reason: info.reason,
            message: status.message().to_owned(),
            metadata: info.metadata,
            details,
        }
    }

    /// The paths of the fields that are wrong.
    pub fn fields(&self) -> Vec<String> {
        let bad = self.details.bad_request();
        bad.map(|bad| bad.field_violations.iter().map(|v| v.field.clone()).collect()).unwrap_or_default()
    }
}
