//! Times one query.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use tonic::Status;

use super::questions::{COUNT, LIST, Question};
use crate::bench::error::BenchError;
use crate::bench::samples::percentile_us;
use crate::bench::transport::Client;
use crate::clock::Stopwatch;
use crate::pb::{CountEntriesResponse, ListEntriesResponse};

/// Fewest measured calls of a query.
const CALLS_MIN: usize = 5;
/// Most measured calls of a query.
const CALLS_MAX: usize = 1_000;
/// Fewest measured calls of a slow query.
const SLOW_CALLS_MIN: usize = 3;
/// A query that was measured for so long is slow.
const SLOW_AFTER: Duration = Duration::from_secs(20);
/// Nothing is measured for longer.
const MEASURED_MAX: Duration = Duration::from_secs(40);
/// A first call that takes so long is measured like the others.
const FIRST_COUNTS_FROM: Duration = Duration::from_secs(5);
/// Longest wait for one answer.
const CALL_MAX: Duration = Duration::from_secs(60);
/// Longest wait until the words of all events can be asked for.
const WORDS_WAIT_MAX: Duration = Duration::from_secs(1_800);
/// Key of `ListEntriesRequest.page_token`.
const KEY_PAGE_TOKEN: u8 = 6 << 3 | 2;

/// What was found of one query.
#[derive(Clone, Debug)]
pub struct QueryRow {
    /// The query.
    pub name: &'static str,
    /// Calls measured.
    pub calls: usize,
    /// Half of them took at most this, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 took at most this, in microseconds.
    pub p99_us: f64,
    /// Mean size of an answer, in bytes.
    pub answer_bytes: usize,
    /// Mean number of entries counted; nothing where none were.
    pub counted: Option<u64>,
    /// What is to be known of it: why it failed, or which page was the last.
    pub note: Option<String>,
}

/// Asks about words until all events are known to them.
///
/// # Errors
/// [`BenchError::Call`] when that takes too long.
pub async fn wait_for_words(address: SocketAddr, question: &Question) -> Result<Duration, BenchError> {
    let mut client = Client::connect(address).await?;
    let watch = Stopwatch::start();
    let request = question.requests.first().cloned().unwrap_or_default();
    loop {
        match client.unary(question.path, request.clone()).await {
            Err(BenchError::Call(status)) if status.code() == tonic::Code::Unavailable => {
                if watch.elapsed() > WORDS_WAIT_MAX {
                    return Err(BenchError::Call(status));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            answer => return answer.map(|_| watch.elapsed()),
        }
    }
}

/// Times a query. One that the server refuses, or does not answer in its time, becomes a row that says so: the others
/// are still worth asking.
///
/// # Errors
/// [`BenchError`] when the server cannot be reached.
pub async fn measure(
    address: SocketAddr,
    question: &Question,
    cell: Duration,
) -> Result<QueryRow, BenchError> {
    let mut client = Client::connect(address).await?;
    let mut row = QueryRow {
        name: question.name,
        calls: 0,
        p50_us: 0.0,
        p99_us: 0.0,
        answer_bytes: 0,
        counted: None,
        note: None,
    };
    match ask(&mut client, question, cell, &mut row).await {
        Err(BenchError::Call(status)) => {
            row.note = Some(format!("{:?}: {}", status.code(), status.message()));
            Ok(row)
        }
        outcome => outcome.map(|()| row),
    }
}

async fn ask(
    client: &mut Client,
    question: &Question,
    cell: Duration,
    row: &mut QueryRow,
) -> Result<(), BenchError> {
    let mut requests = question.requests.clone();
    if question.page > 1 {
        row.note = turn_to_page(client, question.page, &mut requests).await?;
    }
    let mut latencies = Vec::new();
    let (mut bytes, mut counted) = (0_usize, 0);
    let mut watch = Stopwatch::start();
    for (number, request) in requests.iter().cycle().take(CALLS_MAX + 1).enumerate() {
        let begin = watch.elapsed();
        if is_enough(begin, latencies.len(), cell) {
            break;
        }
        let answer = call(client, question.path, request).await?;
        let took = watch.elapsed().saturating_sub(begin);
        // The first call finds the pages of memory cold and is not measured, unless it is too slow to be wasted.
        if number == 0 && took < FIRST_COUNTS_FROM {
            watch = Stopwatch::start();
            continue;
        }
        latencies.push(took);
        bytes += answer.len();
        if question.path == COUNT.0 {
            counted += u64::try_from(CountEntriesResponse::decode(answer)?.total_count).unwrap_or_default();
        }
    }
    row.calls = latencies.len();
    row.p50_us = percentile_us(&latencies, 50);
    row.p99_us = percentile_us(&latencies, 99);
    row.answer_bytes = bytes / latencies.len().max(1);
    let calls = u64::try_from(latencies.len().max(1)).unwrap_or(u64::MAX);
    row.counted = (question.path == COUNT.0).then_some(counted / calls);
    Ok(())
}

/// Makes a call that is not waited for without end.
async fn call(client: &mut Client, path: &'static str, request: &Bytes) -> Result<Bytes, BenchError> {
    let late = || BenchError::Call(Status::deadline_exceeded("no answer in a minute"));
    tokio::time::timeout(CALL_MAX, client.unary(path, request.clone())).await.map_err(|_| late())?
}

fn is_enough(elapsed: Duration, calls: usize, cell: Duration) -> bool {
    (elapsed > cell && calls >= CALLS_MIN)
        || (elapsed > SLOW_AFTER && calls >= SLOW_CALLS_MIN)
        || (elapsed > MEASURED_MAX && calls > 0)
}

/// Leafs through a list and leaves the request for a page that lies deep in it; tells of a list that ends before.
async fn turn_to_page(
    client: &mut Client,
    page: usize,
    requests: &mut Vec<Bytes>,
) -> Result<Option<String>, BenchError> {
    requests.truncate(1);
    let Some(first) = requests.first().cloned() else { return Ok(None) };
    for turned in 1..page {
        let request = requests.first().cloned().unwrap_or_default();
        let answer = ListEntriesResponse::decode(call(client, LIST.0, &request).await?)?;
        if answer.next_page_token.is_empty() {
            return Ok(Some(format!("page {turned} is the last")));
        }
        // The encodings of two messages one after the other are that of both merged (Protocol Buffers, Encoding).
        let mut next = BytesMut::from(&*first);
        next.put_u8(KEY_PAGE_TOKEN);
        let token = answer.next_page_token.as_bytes();
        prost::encoding::encode_varint(u64::try_from(token.len()).unwrap_or(u64::MAX), &mut next);
        next.put_slice(token);
        *requests = vec![next.freeze()];
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_queries_are_asked_less_often() {
        let (cell, second) = (Duration::from_secs(2), Duration::from_secs(1));
        for (elapsed, calls, expected) in [
            (second, 1_000, false),
            (second * 3, 4, false),
            (second * 3, 5, true),
            (second * 21, 2, false),
            (second * 21, 3, true),
            (second * 41, 1, true),
            (second * 41, 0, false),
        ] {
            assert_eq!(is_enough(elapsed, calls, cell), expected, "{elapsed:?} {calls}");
        }
    }
}
