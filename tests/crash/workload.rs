//! Clients at work on the real program: writers, a subscriber, and one that asks for the head.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use annals::pb;
use annals::pb::subscribe_events_request::Start;
use annals::pb::subscribe_events_response::Content;

use crate::program::{Program, Started, client};
use crate::trace::{self, Call};
use crate::witness::{AppendKey, Notebook, Witness, events_of};

/// How a phase ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// SIGTERM: the server stops well, as far as its faults let it.
    Stop,
    /// SIGKILL.
    Kill,
}

/// One life of the server.
#[derive(Clone, Debug)]
pub struct Phase {
    /// What the shim does; see shim.c.
    pub faults: String,
    pub writers: u64,
    /// Answers to wait for; fewer come where a fault stops the server.
    pub answers: usize,
    pub end: End,
    /// Whether the server may refuse to start: a fault may meet its start.
    pub may_refuse: bool,
}

/// What a run left.
pub struct Run {
    pub directory: PathBuf,
    pub calls: Vec<Call>,
    pub witness: Witness,
    /// What broke a promise while the server ran.
    pub violations: Vec<String>,
}

/// Runs phases one after another on one store in `directory`.
pub async fn run(directory: &Path, seed: u64, phases: &[Phase]) -> Run {
    let trace = directory.join("trace");
    let notebook = Arc::new(Notebook::new(seed, &trace));
    let mut violations = Vec::new();
    std::fs::create_dir_all(directory.join("data")).unwrap();
    std::fs::File::create(directory.join("log")).unwrap();
    for (index, phase) in phases.iter().enumerate() {
        let program = match Program::start(directory, Some(&phase.faults)) {
            Started::Serving(program) => program,
            Started::Ended(said) => {
                if !phase.may_refuse {
                    violations
                        .push(format!("life {index} does not start after {:?}: {said}", &phases[..index]));
                    break;
                }
                continue;
            }
        };
        life(program, phase, index as u64, &notebook).await;
    }
    let witness = notebook.snapshot();
    violations.extend(witness.contradictions.clone());
    Run { directory: directory.to_owned(), calls: trace::read(&trace), witness, violations }
}

async fn life(mut program: Program, phase: &Phase, index: u64, notebook: &Arc<Notebook>) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for writer in 0..phase.writers {
        let (notebook, stop, address) = (Arc::clone(notebook), Arc::clone(&stop), program.address.clone());
        tasks.push(tokio::spawn(async move { write(&address, writer, index, &notebook, &stop).await }));
    }
    let (book, address) = (Arc::clone(notebook), program.address.clone());
    let subscriber = tokio::spawn(async move { subscribe(&address, &book).await });
    let (book, halt, address) = (Arc::clone(notebook), Arc::clone(&stop), program.address.clone());
    let watcher = tokio::spawn(async move { watch_head(&address, &book, &halt).await });

    let wanted = notebook.answers() + phase.answers;
    let begin = Instant::now();
    // Writers end when the server is gone or takes no more.
    while notebook.answers() < wanted && !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        assert!(begin.elapsed() < Duration::from_secs(120), "no progress under {phase:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if phase.end == End::Kill {
        program.kill();
    }
    stop.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    watcher.await.unwrap();
    if phase.end == End::Stop && program.is_alive() {
        program.terminate();
    }
    program.kill();
    subscriber.await.unwrap();
}

/// Retries what is open, and one that was answered, then appends until told to stop.
async fn write(address: &str, writer: u64, life: u64, notebook: &Notebook, stop: &AtomicBool) {
    let Some(mut client) = client(address).await else { return };
    let seed = notebook.snapshot().seed;
    let open = notebook.unanswered(writer);
    let first = AppendKey { writer, number: 0 };
    let again = (life > 0).then_some(first).into_iter().chain(open);
    let fresh = (0..).map(|number| AppendKey { writer, number: life * 1_000 + number });
    let mut refused = 0;
    for key in again.chain(fresh) {
        if stop.load(Ordering::SeqCst) || refused == 3 {
            return;
        }
        notebook.sent(key);
        let request = pb::AppendEventsRequest::of(events_of(seed, key), Vec::new());
        match client.append_events(request).await {
            Ok(response) => notebook.answered(key, response.get_ref()),
            Err(_) => refused += 1,
        }
    }
}

async fn subscribe(address: &str, notebook: &Notebook) {
    let Some(mut client) = client(address).await else { return };
    let request = pb::SubscribeEventsRequest { start: Some(Start::FromStart(true)), ..Default::default() };
    let Ok(response) = client.subscribe_events(request).await else { return };
    let mut stream = response.into_inner();
    while let Ok(Some(message)) = stream.message().await {
        if let Some(Content::Events(batch)) = message.content {
            notebook.saw(&batch.decoded().unwrap());
        }
    }
}

async fn watch_head(address: &str, notebook: &Notebook, stop: &AtomicBool) {
    let Some(mut client) = client(address).await else { return };
    while !stop.load(Ordering::SeqCst) {
        let Ok(head) = client.get_head(pb::GetHeadRequest {}).await else { return };
        notebook.head(head.get_ref().position);
        tokio::time::sleep(Duration::from_micros(300)).await;
    }
}
