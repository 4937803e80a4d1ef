//! Messages on a connection: what comes in is cut into whole messages, what goes out is gathered and sent in pieces.

pub(crate) mod backend;
pub(crate) mod frontend;
mod unread;

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use polder_types::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use frontend::{Message, broken};
use unread::Unread;

/// A message of a client. More is data in disguise, and comes by COPY in parts.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// A message before anybody has logged in.
pub(crate) const EARLY_BYTES_MAX: usize = 10_000;

/// Gathered before it is sent: large enough for few calls of the system, small enough to be nothing in memory.
const SEND_BYTES: usize = 64 << 10;

/// Read ahead while a statement runs; more waits in the system's buffers. So much each connection may hold anyhow.
const AHEAD_BYTES_MAX: usize = 256 << 10;

/// Of a message that has begun so many bytes must come each time, until all of it is there.
const PROGRESS_BYTES: usize = 64 << 10;

/// The time that they have before anybody has logged in; then it is a setting of the server.
const MESSAGE_TIME: Duration = Duration::from_secs(120);

/// How long a thread stays awake for a client that has been asking again within this time.
const AWAKE_TIME: Duration = Duration::from_micros(100);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// A connection, after TLS.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    unread: Unread,
    message_time: Duration,
    /// Whether there is a processor that may be kept from sleeping.
    stays_awake: bool,
    /// The client has last asked again within [`AWAKE_TIME`].
    is_brisk: bool,
    pub output: BytesMut,
}

/// The client is gone, or nothing can be sent to it.
#[derive(Debug)]
pub(crate) struct Gone(pub io::Error);

impl From<io::Error> for Gone {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// The end of a client that sends half a message and then nothing.
fn stalled() -> Error {
    Error::new(ErrorKind::Unavailable, "terminating connection: the rest of a message did not come in time")
        .with_code("08006")
}

fn no_room() -> Error {
    Error::new(
        ErrorKind::Exhausted,
        "terminating connection: there is no room for so large a message beside those of others",
    )
    .with_code("53200")
    .with_hint("send it again later, or load data with COPY")
}

/// A message, or what is wrong with it.
pub(crate) type Incoming = Result<Message>;

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        let (input, output) = (BytesMut::new(), BytesMut::new());
        Self {
            stream,
            input,
            unread: Unread::default(),
            message_time: MESSAGE_TIME,
            stays_awake: false,
            is_brisk: false,
            output,
        }
    }

    /// Makes what it holds of messages a part of what all connections hold, and says how long the next part of one may take.
    pub(crate) fn share(&mut self, all: &Arc<AtomicUsize>, message_time: Duration) {
        self.unread = Unread::of(all);
        self.message_time = message_time;
    }

    /// From here on the thread may stay awake for a client that asks again at once.
    pub(crate) fn stay_awake(&mut self) {
        self.stays_awake = true;
    }

    /// The stream below, for TLS. Nothing may have been read ahead: what came in the clear must not count as secret.
    pub(crate) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.input.is_empty().then_some(self.stream)
    }

    /// The stream below, with what has been read ahead coming first: for TLS that begins by itself.
    pub(crate) fn into_replayed(self) -> Box<dyn Stream> {
        let ahead = io::Cursor::new(self.input.freeze());
        let (reader, writer) = tokio::io::split(self.stream);
        Box::new(tokio::io::join(AsyncReadExt::chain(ahead, reader), writer))
    }

    /// Takes bytes as if they had arrived.
    pub(crate) fn receive(&mut self, data: &[u8]) {
        self.input.extend_from_slice(data);
    }

    /// Reads what has arrived, at least one byte. Nothing is lost when this is dropped.
    async fn fill(&mut self) -> Result<(), Gone> {
        self.input.reserve(8 << 10);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(Gone(io::ErrorKind::UnexpectedEof.into())),
            _ => Ok(()),
        }
    }

    /// Reads the beginning of what comes next. A client that has asked again at once is looked out for a moment longer
    /// before the thread sleeps: waking a processor that sleeps takes longer than many an answer.
    async fn awaited(&mut self) -> Result<(), Gone> {
        let begun = Instant::now();
        while self.stays_awake && self.is_brisk && begun.elapsed() < AWAKE_TIME {
            if let Some(filled) = self.fill().now_or_never() {
                return filled;
            }
            tokio::task::yield_now().await;
        }
        self.fill().await?;
        self.is_brisk = begun.elapsed() < AWAKE_TIME;
        Ok(())
    }

    /// Ends when the client goes away; what it sends meanwhile is kept.
    pub(crate) async fn gone(&mut self) -> Gone {
        while self.input.len() < AHEAD_BYTES_MAX {
            if let Err(gone) = self.fill().await {
                return gone;
            }
        }
        std::future::pending().await
    }

    /// The body of a message without a type, as those of the start-up are.
    ///
    /// # Errors
    /// `Ok(None)` for a length that cannot be.
    pub(crate) async fn early(&mut self) -> Result<Option<Bytes>, Gone> {
        while self.input.len() < 4 {
            self.fill().await?;
        }
        let mut head = self.input.get(..4).unwrap_or_default();
        let length = head.get_u32() as usize;
        if !(8..=EARLY_BYTES_MAX).contains(&length) {
            return Ok(None);
        }
        while self.input.len() < length {
            self.fill().await?;
        }
        let mut message = self.input.split_to(length).freeze();
        message.advance(4);
        Ok(Some(message))
    }

    /// The first byte that the client sends, without taking it.
    pub(crate) async fn first_byte(&mut self) -> Result<u8, Gone> {
        while self.input.is_empty() {
            self.fill().await?;
        }
        Ok(self.input.first().copied().unwrap_or_default())
    }

    /// The next message. Nothing is lost when this is dropped.
    ///
    /// # Errors
    /// For one that has begun and does not go on in time, and for one that has no room beside those of others.
    pub(crate) async fn message(&mut self, bytes_max: Option<usize>) -> Result<Incoming, Gone> {
        let (mut deadline, mut expected) = (None, 0);
        loop {
            if let Some(message) = self.buffered(bytes_max) {
                return Ok(message);
            }
            if !self.unread.hold(self.input.len().saturating_sub(AHEAD_BYTES_MAX)) {
                return Ok(Err(no_room()));
            }
            if self.input.is_empty() {
                self.awaited().await?;
                continue;
            }
            if deadline.is_none() || self.input.len() >= expected {
                deadline = Some(Instant::now() + self.message_time);
                expected = self.input.len() + PROGRESS_BYTES;
            }
            let until = deadline.unwrap_or_else(Instant::now);
            match tokio::time::timeout_at(until, self.fill()).await {
                Ok(filled) => filled?,
                Err(_) => {
                    // Whoever listens on, as a COPY that fails does, need not wait as long again.
                    self.message_time = Duration::ZERO;
                    return Ok(Err(stalled()));
                }
            }
        }
    }

    /// The next message, if all of it is here.
    pub(crate) fn buffered(&mut self, bytes_max: Option<usize>) -> Option<Incoming> {
        let (kind, length) = self.head()?;
        let bytes_max = bytes_max.unwrap_or(MESSAGE_BYTES_MAX);
        if length < 4 {
            return Some(Err(broken("a message has no length")));
        }
        if length > bytes_max {
            let message = format!("a message of {length} bytes; at most {bytes_max} are taken");
            return Some(Err(Error::new(ErrorKind::TooLarge, message).with_hint("load data with COPY")));
        }
        if self.input.len() < length + 1 {
            return None;
        }
        let mut message = self.input.split_to(length + 1).freeze();
        if length > AHEAD_BYTES_MAX {
            // What is left would keep the large message's memory for as long as the connection is there.
            self.input = BytesMut::from(&self.input[..]);
        }
        // It cannot be more than it was.
        self.unread.hold(self.input.len().saturating_sub(AHEAD_BYTES_MAX));
        message.advance(5);
        Some(Message::read(kind, message))
    }

    /// Whether all of the next message is here.
    pub(crate) fn has_message(&self) -> bool {
        self.head().is_some_and(|(_, length)| self.input.len() > length)
    }

    fn head(&self) -> Option<(u8, usize)> {
        let mut head = self.input.get(..5)?;
        Some((head.get_u8(), head.get_u32() as usize))
    }

    /// The type of the next message, if it begins to arrive in time.
    pub(crate) async fn next_kind_within(&mut self, time: Duration) -> Result<Option<u8>, Gone> {
        if self.input.is_empty()
            && let Ok(filled) = tokio::time::timeout(time, self.fill()).await
        {
            filled?;
        }
        Ok(self.input.first().copied())
    }

    /// Sends what is gathered.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        self.stream.write_all_buf(&mut self.output).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Sends what is gathered if it is much. Waits for as long as the client does not read.
    pub(crate) async fn relieve(&mut self) -> Result<(), Gone> {
        if self.output.len() >= SEND_BYTES { self.flush().await } else { Ok(()) }
    }

    pub(crate) async fn close(&mut self) {
        // Whoever is gone already has missed nothing.
        let _ = self.stream.shutdown().await;
    }
}

#[cfg(test)]
mod tests;
