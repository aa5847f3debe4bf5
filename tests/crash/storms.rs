//! Many clients at once: contests under one condition, cancelled calls, retries across crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annals::pb;
use annals::pb::condition::Condition as WireCondition;
use futures_util::future::join_all;

use crate::check::{Ask, Judge};
use crate::program::{self, Program, Started};
use crate::trace::Random;
use crate::witness::{AppendKey, Notebook, events_of};

const CONTESTANTS: u64 = 8;

fn serving(started: Started) -> Program {
    match started {
        Started::Serving(program) => program,
        Started::Ended(said) => panic!("the server does not start: {said}"),
    }
}

/// Eight appends at once under one `none_since` condition, `rounds` times: exactly one succeeds each time.
pub async fn contest(rounds: u64) {
    let scratch = program::scratch();
    let program = serving(Program::start(scratch.path(), None));
    let mut clients = Vec::new();
    for _ in 0..CONTESTANTS {
        clients.push(program.client().await.unwrap());
    }
    for round in 0..rounds {
        let stream = format!("contest/{round}");
        let appends = clients.iter().zip(0..).map(|(client, contestant)| {
            let filter = pb::Filter { streams: vec![stream.clone()], ..pb::Filter::default() };
            let none = pb::NoneSinceCondition { filter: Some(filter), after_position: round };
            let mut event = events_of(round, AppendKey { writer: contestant, number: 0 }).remove(0);
            event.stream.clone_from(&stream);
            event.attributes = None;
            let conditions = vec![pb::Condition { condition: Some(WireCondition::NoneSince(none)) }];
            let request = pb::AppendEventsRequest::of(vec![event], conditions);
            let mut client = client.clone();
            async move { client.append_events(request).await }
        });
        let answers = join_all(appends).await;
        let won = answers.iter().flatten().count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(status.code(), tonic::Code::Aborted, "round {round}: {status:?}");
        }
        let position = answers.iter().flatten().next().unwrap().get_ref().events[0].position;
        assert_eq!(position, round + 1, "nothing else was written");
    }
    let head = clients[0].get_head(pb::GetHeadRequest {}).await.unwrap().into_inner().position;
    assert_eq!(head, rounds);
}

/// Calls that are cancelled while their group is being committed: every other append gets its answer, and each
/// cancelled one is there whole or not at all. Gives how many were cancelled, and answered.
pub async fn cancel(appends: u64, seed: u64) -> (u64, u64) {
    let scratch = program::scratch();
    let mut program = serving(Program::start(scratch.path(), None));
    let notebook = Arc::new(Notebook::new(seed, &scratch.path().join("trace")));
    let cancelled = Arc::new(AtomicU64::new(0));
    // What the last answer took, in microseconds: a commit takes as long as the machine lets it.
    let usual = Arc::new(AtomicU64::new(1_000));
    let writers = (0..16).map(|writer| {
        let (notebook, cancelled, usual, address) =
            (Arc::clone(&notebook), Arc::clone(&cancelled), Arc::clone(&usual), program.address.clone());
        tokio::spawn(async move {
            let mut client = program::client(&address).await.unwrap();
            let mut random = Random(seed ^ writer);
            for number in 0..appends {
                let key = AppendKey { writer, number };
                notebook.sent(key);
                let events = events_of(seed, key);
                let request = pb::AppendEventsRequest::of(events, Vec::new());
                let begin = Instant::now();
                let call = client.append_events(request);
                // Every second writer lets go of its calls, about half of them before they are answered.
                let patience = match writer % 2 {
                    0 => Duration::from_mins(1),
                    _ => Duration::from_micros(random.below(2 * usual.load(Ordering::SeqCst) + 1)),
                };
                match tokio::time::timeout(patience, call).await {
                    Ok(answer) => {
                        notebook.answered(key, answer.expect("nobody else is harmed").get_ref());
                        usual.store(begin.elapsed().as_micros() as u64, Ordering::SeqCst);
                    }
                    Err(_) => drop(cancelled.fetch_add(1, Ordering::SeqCst)),
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    program.kill();
    let answered = notebook.answers() as u64;
    judge(&notebook, scratch.path(), seed);
    (cancelled.load(Ordering::SeqCst), answered)
}

/// Every append is sent by three clients at once, again after every crash, and again when it was answered: each event
/// is recorded once, and every answer names its original place. Gives appends, calls and crashes.
pub async fn retry(appends: u64, seed: u64) -> (u64, u64, u64) {
    let scratch = program::scratch();
    std::fs::create_dir_all(scratch.path().join("data")).unwrap();
    let notebook = Arc::new(Notebook::new(seed, &scratch.path().join("trace")));
    let mut random = Random(seed);
    let calls = Arc::new(AtomicU64::new(0));
    let mut crashes = 0;
    loop {
        let open = (0..4).map(|writer| notebook.answers_of(writer)).sum::<usize>() as u64;
        let last = open >= 4 * appends;
        let faults = if last { String::new() } else { format!("any:{}:kill", 80 + random.below(250)) };
        let mut program = match Program::start(scratch.path(), Some(&faults)) {
            Started::Serving(program) => program,
            Started::Ended(_) => continue,
        };
        let clients = (0..12).map(|client| {
            let (notebook, calls, address) =
                (Arc::clone(&notebook), Arc::clone(&calls), program.address.clone());
            let mut random = Random(seed ^ client ^ crashes << 8);
            tokio::spawn(async move {
                let Some(mut connection) = program::client(&address).await else { return };
                let writer = client % 4;
                for number in 0..appends {
                    let key = AppendKey { writer, number };
                    if notebook.has_answer(key) && !last && random.percent(90) {
                        continue;
                    }
                    notebook.sent(key);
                    let request = pb::AppendEventsRequest::of(events_of(seed, key), Vec::new());
                    calls.fetch_add(1, Ordering::SeqCst);
                    match connection.append_events(request).await {
                        Ok(answer) => notebook.answered_at_once(key, answer.get_ref()),
                        Err(_) => return,
                    }
                }
            })
        });
        for client in join_all(clients).await {
            client.unwrap();
        }
        program.kill();
        if last {
            break;
        }
        crashes += 1;
    }
    assert_eq!(notebook.answers() as u64, 4 * appends, "every append gets its answer in the end");
    judge(&notebook, scratch.path(), seed);
    (4 * appends, calls.load(Ordering::SeqCst), crashes)
}

fn judge(notebook: &Notebook, directory: &std::path::Path, seed: u64) {
    let witness = notebook.snapshot();
    assert!(witness.contradictions.is_empty(), "seed {seed}: {:?}", witness.contradictions);
    let checked = tokio::task::block_in_place(|| {
        Judge::new(witness).check(&directory.join("data"), Ask { at: u64::MAX, seed, retries: 20 })
    });
    checked.unwrap_or_else(|text| panic!("seed {seed}: {text}"));
}
