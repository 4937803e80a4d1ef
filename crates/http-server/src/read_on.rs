//! A body that is refused is read on for a while.
//!
//! A program that sends a file looks for the answer when it has sent all of it. If the connection is closed before, many
//! see only that, and never the reason. So what is left of a refused body is read and thrown away, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::header;
use bytes::Bytes;
use futures::{Stream, StreamExt};

/// What is read on at most. Whoever sends more has been told by `Expect: 100-continue`, or learns from the closed
/// connection.
const BYTES_MAX: u64 = 256 << 20;
const TIME_MAX: Duration = Duration::from_secs(30);

/// Bodies below this are in the system's buffers when the answer is sent.
const BYTES_SMALL: u64 = 64 << 10;

/// The request with a body that is read on, if it is a large one.
pub(crate) fn patient(request: Request) -> Request {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
    // More than is read on would be cut off all the same.
    let worth = length.map_or(chunked, |length: u64| length > BYTES_SMALL && length <= BYTES_MAX);
    if !worth {
        return request;
    }
    let (parts, body) = request.into_parts();
    Request::from_parts(parts, Body::from_stream(ReadOn(Some(body.into_data_stream()))))
}

/// `None` once all of it has been read.
struct ReadOn(Option<BodyDataStream>);

impl Stream for ReadOn {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let next = body.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        next
    }
}

impl Drop for ReadOn {
    fn drop(&mut self) {
        if let (Some(body), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { tokio::time::timeout(TIME_MAX, read(body)).await });
        }
    }
}

async fn read(mut body: BodyDataStream) {
    let mut left = BYTES_MAX;
    while let Some(Ok(bytes)) = body.next().await {
        match left.checked_sub(bytes.len() as u64) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
