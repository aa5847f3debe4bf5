//! Clients of other makers against the real program: grpcurl, Python, Node, and buf on the proto files.

mod errors;
mod grpcurl;

use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::tools::{self, run};

/// A server that takes one append at a time.
const SHORT_QUEUE: &str = "[limits]\nwriter_queue_requests_max = 1\n";

fn python(server: &Server, scenario: &str) {
    run(tools::python().args(["scenarios.py", &server.address, scenario]));
}

fn node(server: &Server, scenario: &str) {
    run(tools::node().args(["scenarios.js", &server.address, scenario]));
}

fn with_article() -> Server {
    let server = Server::start();
    server.import_article();
    server
}

#[test]
fn python_finds_all_by_reflection() {
    python(&Server::start(), "reflection");
}

#[test]
fn python_retries_what_it_cancelled() {
    python(&Server::start(), "cancelled_appends");
}

#[test]
fn python_pages_while_another_appends() {
    python(&with_article(), "pages_while_another_appends");
}

#[test]
fn python_subscribes_sleeps_dies_and_resumes() {
    python(&Server::start(), "killed_subscriber");
}

#[test]
fn python_keeps_its_deadlines() {
    python(&Server::start(), "deadline");
}

#[test]
fn python_compresses() {
    python(&Server::start(), "gzip");
}

#[test]
fn python_does_not_get_past_the_limit_by_compression() {
    python(&Server::start(), "gzip_bomb");
}

#[test]
fn python_decodes_the_details_of_errors() {
    python(&Server::start(), "details");
}

#[test]
fn python_comes_again_when_the_queue_is_full() {
    python(&Server::start_with(SHORT_QUEUE), "full_queue");
}

#[test]
fn python_sends_text_that_is_not_utf8() {
    python(&Server::start(), "not_utf8");
}

#[test]
fn python_watches_health() {
    python(&Server::start(), "health");
}

#[test]
fn node_appends() {
    node(&Server::start(), "append");
}

#[test]
fn node_reads_to_the_end() {
    node(&Server::start(), "read");
}

#[test]
fn node_subscribes_until_it_cancels() {
    node(&Server::start(), "subscribe");
}

#[test]
fn node_keeps_its_deadlines() {
    node(&Server::start(), "deadline");
}

#[test]
fn node_is_told_that_the_server_saw_its_deadline_pass() {
    node(&Server::start(), "serverDeadline");
}

#[test]
fn node_pages() {
    node(&with_article(), "pages");
}

#[test]
fn buf_finds_nothing_to_change_in_the_proto_files() {
    run(tools::buf().arg("lint"));
    run(tools::buf().args(["format", "--diff", "--exit-code", "--exclude-path", "proto/google"]));
    run(tools::buf().args(["build", "--output", "/dev/null"]));
}

/// buf asks reflection v1, where grpcurl and Python ask v1alpha.
#[test]
fn buf_calls_by_reflection_v1() {
    let server = Server::start();
    let curl = |path: &str| {
        let options =
            ["curl", "--protocol", "grpc", "--http2-prior-knowledge", "--reflect-protocol", "grpc-v1"];
        run(tools::buf().args(options).arg(format!("{}/{path}", server.url())))
    };
    let head: serde_json::Value = serde_json::from_str(&curl("annals.v1.EventLogService/GetHead")).unwrap();
    assert_eq!(head["storeId"].as_str().map(str::len), Some(36));
}

/// Waits for something that comes soon.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < crate::harness::SOON, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
