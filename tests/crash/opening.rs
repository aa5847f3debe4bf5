//! How long a store takes to open after SIGKILL, and with what.

use std::path::Path;
use std::time::Instant;

use annals::pb;
use serde_json::Value;

use crate::program::{Program, Started};
use crate::witness::{AppendKey, events_of};

const BATCH: u64 = 500;
const CLIENTS: u64 = 4;

/// One opening: what it was, seconds until it served, and what the server's log says of it.
#[derive(Debug)]
pub struct Opening {
    pub what: &'static str,
    pub seconds: f64,
    pub phases: Vec<(String, u64)>,
}

/// Loads `events` through gRPC, kills the server, and opens the store: as it is, and without its index.
pub async fn measure(events: u64) -> (Vec<Opening>, u64) {
    // On a disk, not in memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let run = directory.path();
    std::fs::create_dir_all(run.join("data")).unwrap();
    let mut program = start(run);
    load(&program.address, events).await;
    program.kill();
    let bytes = size(&run.join("data"));
    let mut openings = Vec::new();
    for what in ["after SIGKILL, index there", "again, after SIGKILL", "after SIGKILL, index deleted"] {
        if what.ends_with("deleted") {
            std::fs::remove_dir_all(run.join("data/index")).unwrap();
        }
        std::fs::write(run.join("log"), "").unwrap();
        let begin = Instant::now();
        let mut program = start(run);
        let seconds = begin.elapsed().as_secs_f64();
        let mut client = program.client().await.unwrap();
        let head = client.get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;
        assert_eq!(head, events, "nothing acknowledged is lost");
        openings.push(Opening { what, seconds, phases: phases(&run.join("log")) });
        program.kill();
    }
    (openings, bytes)
}

fn start(run: &Path) -> Program {
    match Program::start(run, None) {
        Started::Serving(program) => program,
        Started::Ended(said) => panic!("the server does not start: {said}"),
    }
}

async fn load(address: &str, events: u64) {
    let clients = (0..CLIENTS).map(|writer| {
        let address = address.to_owned();
        tokio::spawn(async move {
            let mut client = crate::program::client(&address).await.unwrap();
            let template = events_of(7, AppendKey { writer, number: 1 }).remove(0);
            let (mut number, share) = (0, events / CLIENTS);
            while number < share {
                let count = BATCH.min(share - number);
                let batch = (number..number + count).map(|number| {
                    let mut event = template.clone();
                    event.id = format!("00000000-0000-4000-8{writer:03x}-{number:012x}");
                    event.stream = format!("load/{}", number % 1_000);
                    event
                });
                let request = pb::AppendEventsRequest::of(batch.collect(), Vec::new());
                client.append_events(request).await.unwrap();
                number += count;
            }
        })
    });
    for client in futures_util::future::join_all(clients).await {
        client.unwrap();
    }
}

/// The times that the server's log gives, in milliseconds.
fn phases(log: &Path) -> Vec<(String, u64)> {
    let text = std::fs::read_to_string(log).unwrap();
    let mut phases = Vec::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let message = line["fields"]["message"].as_str().unwrap_or_default().to_owned();
        for (field, value) in line["fields"].as_object().into_iter().flatten() {
            let ms = value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
            if let Some(ms) = ms.filter(|_| field.ends_with("_ms") && message != "index ready") {
                phases.push((if field == "elapsed_ms" { message.clone() } else { field.clone() }, ms));
            }
        }
    }
    phases
}

fn size(directory: &Path) -> u64 {
    let content = crate::replay::read(directory);
    content.values().flatten().map(|bytes| bytes.len() as u64).sum()
}
