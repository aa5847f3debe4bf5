//! What holds for every call: its deadline, the size of its message, and a line in the log.
//!
//! tonic's own timeout covers a call only until the response begins and answers CANCELLED; here a call ends at its
//! deadline wherever it is, with DEADLINE_EXCEEDED.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::debug;

use crate::clock::Stopwatch;
use crate::wire::{RequestError, codec, status};

/// tonic watches the same deadline from outside; ours comes first by this much, so that its code is the one sent.
const AHEAD: Duration = Duration::from_millis(2);

/// Wraps every call.
#[derive(Clone, Copy, Debug)]
pub struct CallLayer {
    /// Largest message taken, in bytes.
    pub message_bytes_max: usize,
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, message_bytes_max: self.message_bytes_max }
    }
}

/// A service with every call wrapped.
#[derive(Clone, Debug)]
pub struct CallService<S> {
    inner: S,
    message_bytes_max: usize,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let watch = Stopwatch::start();
        let method = request.uri().path().to_owned();
        let timeout =
            request.headers().get("grpc-timeout").and_then(|value| timeout_of(value.to_str().ok()?));
        let deadline = timeout.map(|timeout| Box::pin(tokio::time::sleep(timeout.saturating_sub(AHEAD))));
        let message_bytes_max = self.message_bytes_max;
        let answer = self.inner.call(request);
        Box::pin(async move {
            let (response, deadline) = match deadline {
                None => (answer.await?, None),
                Some(mut deadline) => {
                    let early = tokio::select! {
                        biased;
                        answer = answer => Ok(answer?),
                        () = &mut deadline => Err(deadline_passed()),
                    };
                    match early {
                        Ok(response) => (response, Some(deadline)),
                        Err(status) => (status.into_http(), None),
                    }
                }
            };
            let response = explained(response, message_bytes_max);
            let elapsed_us = watch.elapsed().as_micros();
            let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
            debug!(method, ?code, elapsed_us, "call");
            Ok(match deadline {
                Some(deadline) => {
                    response.map(|inner| Body::new(Bounded { inner, deadline: Some(deadline) }))
                }
                None => response,
            })
        })
    }
}

fn deadline_passed() -> Status {
    status::request_error(&RequestError::DeadlinePassed)
}

/// Gives tonic's own answers to messages that it cannot take the reasons that all other errors have.
fn explained(response: Response<Body>, bytes_max: usize) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.details().is_empty() => {
            codec::explained(&status, bytes_max).map_or(response, |status| status.into_http())
        }
        Some(_) | None => response,
    }
}

/// Reads `grpc-timeout`: at most 8 digits and a unit (gRPC over HTTP/2, Requests).
fn timeout_of(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3_600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

/// A response that ends at the deadline of its call.
struct Bounded {
    inner: Body,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl http_body::Body for Bounded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(deadline) = &mut this.deadline else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(deadline.as_mut().poll(context));
        this.deadline = None;
        let mut trailers = HeaderMap::new();
        if let Err(status) = deadline_passed().add_header(&mut trailers) {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.deadline.is_none() || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_read_as_the_protocol_writes_it() {
        for (text, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("100000000S", None),
            ("S", None),
            ("-1S", None),
            ("1x", None),
            ("", None),
        ] {
            assert_eq!(timeout_of(text), expected, "{text}");
        }
    }
}
