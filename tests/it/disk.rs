//! A full disk: the real program on a small file system of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use annals::pb;
use annals::pb::admin_service_client::AdminServiceClient;
use annals::pb::event_log_service_client::EventLogServiceClient;
use annals::pb::read_events_response::Content as Part;
use annals::pb::subscribe_events_response::Content;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::events::{self, id, simple, with};
use crate::harness::{SOON, Said, append};

const MIB: u64 = 1_024 * 1_024;
/// Half of the reserve of 64 MiB.
const HELD: u64 = 32 * MIB;

/// A shell that runs what it is told; whatever it started ends with it.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    /// Starts one that may mount file systems for itself alone.
    fn start(flags: &str) -> Self {
        let mut child = Command::new("unshare")
            .args([flags, "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs the program unshare of util-linux");
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, stdin, stdout }
    }

    /// Runs a command; gives its exit code and standard output, or nothing if the shell is gone.
    fn run(&mut self, command: &str) -> Option<(i32, String)> {
        writeln!(self.stdin, "{command}\necho \"=== $?\"").ok()?;
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.strip_prefix("=== ") {
                Some(code) => return Some((code.trim().parse().unwrap(), printed)),
                None => printed.push_str(&line),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A small file system that only a shell sees.
struct Room {
    shell: Shell,
    mount: PathBuf,
    directory: tempfile::TempDir,
    /// The server that runs there.
    server: Option<String>,
}

impl Room {
    fn new(bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mount = directory.path().join("room");
        std::fs::create_dir(&mount).unwrap();
        // In a user namespace of its own anybody may mount; where such are not allowed, root may.
        for flags in ["-rm", "-m"] {
            let mut shell = Shell::start(flags);
            let mounted = shell.run(&format!("mount -t tmpfs -o size={bytes} tmpfs {}", mount.display()));
            if mounted.is_some_and(|(code, _)| code == 0) {
                return Self { shell, mount, directory, server: None };
            }
        }
        panic!(
            "this test mounts a small file system: allow user namespaces (unshare -rm), or run it as root"
        );
    }

    /// Runs a command in the room; `{}` in it stands for its directory.
    fn run(&mut self, command: &str) -> (i32, String) {
        let command = command.replace("{}", self.mount.to_str().unwrap());
        self.shell.run(&command).expect("the shell lives")
    }

    fn number(&mut self, command: &str) -> u64 {
        let (_, printed) = self.run(command);
        printed.trim().parse().unwrap_or_else(|_| panic!("{command}: {printed}"))
    }

    /// Takes all that is left, to the last byte.
    fn fill(&mut self) {
        self.run("cat /dev/zero >> {}/rest 2>/dev/null");
        assert_eq!(self.number("df --output=avail -B1 {} | tail -1"), 0);
    }

    /// Starts the server; gives its address.
    async fn serve(&mut self) -> String {
        let (out, log) = (self.directory.path().join("out"), self.directory.path().join("log"));
        let _ = std::fs::remove_file(&out);
        let program = env!("CARGO_BIN_EXE_annals");
        let (out_path, log_path) = (out.display(), log.display());
        let (_, pid) = self.run(&format!(
            "{program} serve --data {{}}/data --listen 127.0.0.1:0 --log-format json >{out_path} 2>>{log_path} </dev/null & echo $!"
        ));
        self.server = Some(pid.trim().to_owned());
        let begin = Instant::now();
        loop {
            let said = std::fs::read_to_string(&out).unwrap_or_default();
            if let Some(address) = said.strip_suffix('\n').and_then(|line| line.rsplit(' ').next()) {
                return format!("http://{address}");
            }
            let (dead, _) = self.run(&format!("! kill -0 {}", pid.trim()));
            assert!(dead != 0 && begin.elapsed() < SOON, "the server did not start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the server with a signal; gives its exit code.
    fn end(&mut self, signal: &str) -> i32 {
        let pid = self.server.take().unwrap();
        self.run(&format!("kill {signal} {pid}; wait {pid}")).0
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Tells whether the log of the servers has a message.
    fn logged(&self, message: &str) -> bool {
        self.log().contains(message)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("log of the servers:\n{}", self.log());
        }
        if let Some(pid) = self.server.take() {
            let _ = self.shell.run(&format!("kill -9 {pid}; wait {pid}"));
        }
    }
}

/// One append of about half a megabyte that does not pack.
fn large(number: u64) -> Vec<Value> {
    let text = |index: u64| -> String {
        let block =
            |part: u64| blake3::hash(format!("{number} {index} {part}").as_bytes()).to_hex().to_string();
        (0..80).map(block).collect()
    };
    let event = |index: u64| {
        let event = with(simple("large", &number.to_string()), "id", json!(id((number << 16) | index)));
        with(event, "attributes", json!({"text": text(index)}))
    };
    (0..100).map(event).collect()
}

type Log = EventLogServiceClient<Channel>;

async fn connect(url: &str) -> Log {
    Log::connect(url.to_owned()).await.unwrap().max_decoding_message_size(16 << 20)
}

/// The ids of all events, read from a server.
async fn ids(log: &mut Log) -> Vec<String> {
    let mut stream = log.read_events(pb::ReadEventsRequest::default()).await.unwrap().into_inner();
    let mut ids = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Part::Events(batch)) = message.content {
            ids.extend(batch.decoded().unwrap().into_iter().map(|event| event.id));
        }
    }
    ids
}

async fn assert_refused(log: &mut Log, events: &[Value]) {
    let said = Said::of(&append(log, events).await.unwrap_err());
    assert_eq!((said.code, said.reason.as_str()), (Code::ResourceExhausted, "DISK_FULL"));
    assert!(said.details.retry_info().unwrap().retry_delay.is_some());
    let number = |key: &str| said.metadata[key].parse::<u64>().unwrap();
    assert!(number("free_bytes") < number("needed_bytes"), "{said:?}");
}

/// Takes messages until one is as wanted; gives the number of events before it.
async fn until(
    stream: &mut Streaming<pb::SubscribeEventsResponse>,
    wanted: impl Fn(&Content) -> bool,
) -> usize {
    let mut events = 0;
    loop {
        let message = tokio::time::timeout(SOON, stream.message()).await.expect("a message in time");
        match message.unwrap().expect("the stream goes on").content.unwrap() {
            content if wanted(&content) => return events,
            Content::Events(batch) => events += batch.events.len(),
            _ => {}
        }
    }
}

fn annals(arguments: &str) -> String {
    format!("{} {arguments}", env!("CARGO_BIN_EXE_annals"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_appends_and_nothing_else_and_loses_nothing() {
    let mut room = Room::new(112 * MIB);
    room.run(&format!("head -c {} /dev/zero > {{}}/foreign", 24 * MIB));
    let url = room.serve().await;
    assert_eq!(room.number("stat -c %s {}/data/RESERVE"), HELD);
    let mut log = connect(&url).await;
    let request: pb::SubscribeEventsRequest =
        events::message("annals.v1.SubscribeEventsRequest", &json!({"heartbeatInterval": "1s"}));
    let mut followed = log.subscribe_events(request).await.unwrap().into_inner();
    until(&mut followed, |content| matches!(content, Content::CaughtUp(_))).await;

    // Appends are taken until they are refused, with the last space still free.
    let mut acknowledged = Vec::new();
    let mut number = 0;
    let refused = loop {
        let events = large(number);
        if let Err(status) = append(&mut log, &events).await {
            assert_eq!(Said::of(&status).reason, "DISK_FULL");
            break events;
        }
        acknowledged.extend(events.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
        number += 1;
        assert!(number < 400, "the disk must fill");
    };
    assert!(number > 5, "{number}");
    assert!(room.number("df --output=avail -B1 {} | tail -1") > 24 * MIB);
    assert_refused(&mut log, &refused).await;

    // Others take all of the rest. Reads, subscriptions and repeated requests go on.
    room.fill();
    assert_refused(&mut log, &[simple("s", "small")]).await;
    assert_eq!(ids(&mut log).await, acknowledged);
    assert!(append(&mut log, &large(0)).await.unwrap().replayed);
    let followed_events = until(&mut followed, |content| matches!(content, Content::Heartbeat(_))).await;
    assert_eq!(followed_events, acknowledged.len());
    let mut admin = AdminServiceClient::connect(url.clone()).await.unwrap();
    let info = admin.get_server_info(pb::GetServerInfoRequest {}).await.unwrap().into_inner();
    assert!(!info.read_only, "it is not poisoned");
    drop(followed);

    // It opens again and again, after a kill and after a stop, while others take what becomes free.
    let mut url = url;
    for signal in ["-KILL", "-TERM", "-KILL", "-TERM"] {
        let code = room.end(signal);
        assert_eq!(code, if signal == "-TERM" { 0 } else { 128 + 9 }, "{}", room.log());
        room.fill();
        url = room.serve().await;
        let mut log = connect(&url).await;
        assert_eq!(ids(&mut log).await, acknowledged);
        assert_refused(&mut log, &refused).await;
    }
    assert!(room.logged("the disk is full: the space held for this is released"));
    let mut log = connect(&url).await;
    assert!(room.logged("the disk is nearly full: appends are refused"));

    // Space comes back: the same server takes appends, and holds its space again.
    room.run("rm {}/rest {}/foreign");
    let answer = append(&mut log, &refused).await.unwrap();
    assert!(!answer.replayed, "a refused append left nothing behind");
    acknowledged.extend(refused.iter().map(|event| event["id"].as_str().unwrap().to_owned()));
    assert_eq!(room.number("stat -c %s {}/data/RESERVE"), HELD);
    assert!(room.logged("there is space again: appends are taken"));
    assert_eq!(room.end("-TERM"), 0);
    let (code, printed) = room.run(&annals("verify --data {}/data"));
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains(&format!("{} events", acknowledged.len())), "{printed}");
    let url = room.serve().await;
    assert_eq!(ids(&mut connect(&url).await).await, acknowledged);
}

/// A command does not wait for an operator to make space.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_into_a_full_disk_says_so_at_once() {
    let mut room = Room::new(80 * MIB);
    let url = room.serve().await;
    room.run(&format!("head -c {} /dev/zero > {{}}/foreign", 20 * MIB));
    let file = events::article("events.jsonl");
    let (code, said) = room.run(&annals(&format!("import --server {url} {} 2>&1", file.display())));
    assert_eq!(code, 75, "{said}");
    assert!(said.contains("DISK_FULL"), "{said}");
    assert_eq!(ids(&mut connect(&url).await).await, Vec::<String>::new());
}
