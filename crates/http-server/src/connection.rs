//! Connections: how many there may be, and how long one may do nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

use crate::metrics::Metrics;

/// Connections at once. Further ones wait in the system's backlog.
const CONNECTIONS_MAX: usize = 1024;

/// How long a connection may be without a request: between two of them, or while sending the head of one. Bytes that
/// trickle in do not extend it, so a slow head is cut off, too.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Whether a connection has work, and since when it has none.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<ActivityState>);

#[derive(Debug)]
struct ActivityState {
    requests: usize,
    idle_since: Instant,
}

impl Activity {
    fn new() -> Self {
        Self(Mutex::new(ActivityState { requests: 0, idle_since: Instant::now() }))
    }

    /// Counts a request until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.0.lock().requests += 1;
        Busy(Arc::clone(self))
    }

    /// Sending is no idleness: a client on a slow line reads the end of an answer.
    fn touch(&self) {
        self.0.lock().idle_since = Instant::now();
    }

    fn deadline(&self, limit: Duration) -> Instant {
        let state = self.0.lock();
        if state.requests > 0 { Instant::now() + limit } else { state.idle_since + limit }
    }

    fn overdue(&self, limit: Duration) -> bool {
        let state = self.0.lock();
        state.requests == 0 && state.idle_since.elapsed() >= limit
    }
}

/// A request in progress on a connection.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.0.lock();
        state.requests = state.requests.saturating_sub(1);
        state.idle_since = Instant::now();
    }
}

/// The other side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub address: SocketAddr,
    pub activity: Arc<Activity>,
}

impl Connected<IncomingStream<'_, GuardedListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, GuardedListener>) -> Self {
        Self { address: *stream.remote_addr(), activity: Arc::clone(&stream.io().activity) }
    }
}

/// Accepts connections, up to a number, and watches them.
pub(crate) struct GuardedListener {
    inner: TcpListener,
    slots: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl GuardedListener {
    pub(crate) fn new(inner: TcpListener, metrics: Arc<Metrics>) -> Self {
        Self { inner, slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)), metrics }
    }
}

impl Listener for GuardedListener {
    type Io = GuardedStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        // The semaphore is never closed, so there is always a permit to wait for.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        // The listener of axum knows which errors of `accept` to wait out.
        let (stream, address) = Listener::accept(&mut self.inner).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot send small packets at once");
        }
        (GuardedStream::new(stream, IDLE_MAX, Arc::clone(&self.metrics), slot), address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

/// A connection that fails when it does nothing for too long, and counts its bytes.
pub(crate) struct GuardedStream<S> {
    inner: S,
    activity: Arc<Activity>,
    timer: Pin<Box<Sleep>>,
    limit: Duration,
    metrics: Arc<Metrics>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl<S> GuardedStream<S> {
    fn new(inner: S, limit: Duration, metrics: Arc<Metrics>, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            inner,
            activity: Arc::new(Activity::new()),
            timer: Box::pin(tokio::time::sleep(limit)),
            limit,
            metrics,
            _slot: slot,
        }
    }
}

fn idle_too_long() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no request for too long")
}

impl<S: AsyncRead + Unpin> AsyncRead for GuardedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.inner).poll_read(cx, buf) {
            result?;
            this.metrics.received(buf.filled().len() - before);
            if this.activity.overdue(this.limit) {
                return Poll::Ready(Err(idle_too_long()));
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            this.timer.as_mut().reset(this.activity.deadline(this.limit));
            std::task::ready!(this.timer.as_mut().poll(cx));
            if this.activity.overdue(this.limit) {
                return Poll::Ready(Err(idle_too_long()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> GuardedStream<S> {
    fn sent(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.metrics.sent(*count);
            self.activity.touch();
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GuardedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.sent(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.sent(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
