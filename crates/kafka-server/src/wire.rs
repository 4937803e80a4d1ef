//! Bytes into frames: a length of four bytes, and what it says. Everything has a bound.

use std::io::{self, ErrorKind};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::apis::{self, Api};
use crate::shape::{self, Broken};

/// Bytes of a request from somebody who has not logged in.
pub(crate) const EARLY_BYTES_MAX: usize = 64 << 10;

/// Bytes of a request that brings no records.
pub(crate) const PLAIN_BYTES_MAX: usize = 8 << 20;

/// Bytes of any request, as a Kafka broker takes them.
pub(crate) const FRAME_BYTES_MAX: usize = 100 << 20;

/// Bytes that frames of all connections may take together.
pub(crate) const FRAMES_BYTES_MAX: usize = 256 << 20;

/// A frame of fewer bytes is not counted among those of all connections.
const SMALL_BYTES: usize = 4 << 10;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 16 << 10;

/// The same of a frame whose bytes are counted among those of all connections: a batch as clients make it comes into its place
/// without growing there.
const LARGE_PIECE_BYTES: usize = 1 << 20;

/// Length, key, version, correlation id.
const HEAD_BYTES: usize = 12;

/// A connection, in the clear or encrypted.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// What a frame says of itself, and what it says.
#[derive(Debug)]
pub(crate) struct Request {
    pub api: &'static Api,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<StrBytes>,
    /// Checked: the codec may read it.
    pub body: Bytes,
}

/// A frame that can be answered, or must be.
#[derive(Debug)]
pub(crate) enum Frame {
    Request(Request),
    /// ApiVersions in a version that is too new: its client asks again when it is told which there are.
    TooNew {
        correlation_id: i32,
    },
}

/// Why a frame cannot be answered, so that the connection ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("a frame says that it has {0} bytes")]
    Size(i64),
    #[error("there is no request with the key {key} in version {version} here")]
    Unknown { key: i16, version: i16 },
    #[error("a request with the key {key} in version {version} cannot be read: {broken}")]
    Broken { key: i16, version: i16, broken: Broken },
}

/// What has come in and is not read yet.
pub(crate) struct Input {
    buffer: BytesMut,
    frames: Arc<Semaphore>,
    /// For the frame that is on its way.
    permit: Option<OwnedSemaphorePermit>,
    frame_max: usize,
}

impl Input {
    pub(crate) fn new(frames: Arc<Semaphore>) -> Self {
        Self { buffer: BytesMut::new(), frames, permit: None, frame_max: EARLY_BYTES_MAX }
    }

    /// Takes bytes that have come in some other way.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// From now on frames may be as large as they are for somebody who is known.
    pub(crate) fn trust(&mut self) {
        self.frame_max = FRAME_BYTES_MAX;
    }

    /// Whether a frame has begun.
    pub(crate) fn has_begun(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Bytes that are here and not read yet.
    pub(crate) fn received(&self) -> u32 {
        u32::try_from(self.buffer.len()).unwrap_or(u32::MAX)
    }

    /// Bytes of the next frame without its length, as soon as they are known.
    ///
    /// # Errors
    /// One that is larger, or smaller, than any can be.
    pub(crate) fn expected(&self) -> Result<Option<usize>, Refused> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        let said = i32::from_be_bytes(*length);
        let refused = || Refused::Size(said.into());
        let length = usize::try_from(said).map_err(|_| refused())?;
        if length > self.frame_max {
            return Err(refused());
        }
        // Only records are large. The key is told before the rest is waited for.
        if length > PLAIN_BYTES_MAX {
            let key = rest.split_first_chunk::<2>().map(|(key, _)| i16::from_be_bytes(*key));
            if key.is_some_and(|key| key != ApiKey::Produce as i16) {
                return Err(refused());
            }
        }
        Ok(Some(length))
    }

    /// Whether a whole frame is there, or bytes that are none, so that there is nothing to wait for.
    pub(crate) fn is_complete(&self) -> bool {
        self.expected().map_or(true, |length| length.is_some_and(|length| self.buffer.len() >= length + 4))
    }

    /// Whether the next frame brings records.
    pub(crate) fn is_produce(&self) -> bool {
        self.buffer.get(4..6) == Some(&(ApiKey::Produce as i16).to_be_bytes()[..])
    }

    /// The next frame, if all of it is there, with the memory that it has taken.
    pub(crate) fn next(&mut self) -> Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>, Refused> {
        match self.expected()? {
            Some(length) if self.buffer.len() >= length + 4 => {
                self.buffer.advance(4);
                let frame = self.buffer.split_to(length).freeze();
                Ok(Some((frame, self.permit.take())))
            }
            _ => Ok(None),
        }
    }

    /// Reads on; 0 bytes: there are no more. Dropping the future loses nothing.
    pub(crate) async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<usize> {
        let broken = |refused: Refused| io::Error::new(ErrorKind::InvalidData, refused);
        let missing = match self.expected().map_err(broken)? {
            Some(length) => {
                if length > SMALL_BYTES && self.permit.is_none() {
                    let count = u32::try_from(length).unwrap_or(u32::MAX);
                    let permit = Arc::clone(&self.frames).acquire_many_owned(count).await;
                    self.permit = Some(permit.map_err(|_| io::Error::from(ErrorKind::ConnectionAborted))?);
                }
                (length + 4).saturating_sub(self.buffer.len())
            }
            None => HEAD_BYTES.saturating_sub(self.buffer.len()),
        };
        // As much as has come, within a piece; a large frame grows as it comes, not as it says.
        let piece = if self.permit.is_some() { LARGE_PIECE_BYTES } else { PIECE_BYTES };
        let room = missing.clamp(PIECE_BYTES, piece.max(self.buffer.len()));
        self.buffer.reserve(room);
        let mut limited = stream.take(u64::try_from(room).unwrap_or(u64::MAX));
        limited.read_buf(&mut self.buffer).await
    }
}

/// Reads a frame's header, and walks over its body.
///
/// # Errors
/// One that nobody can answer.
pub(crate) fn parse(mut frame: Bytes) -> Result<Frame, Refused> {
    if frame.len() < HEAD_BYTES - 4 {
        return Err(Refused::Size(i64::try_from(frame.len()).unwrap_or(i64::MAX)));
    }
    let (key, version, correlation_id) = (frame.get_i16(), frame.get_i16(), frame.get_i32());
    let Some((api, body_shape)) = apis::of_key(key) else { return Err(Refused::Unknown { key, version }) };
    if !api.takes(version) {
        return match api.key {
            ApiKey::ApiVersions => Ok(Frame::TooNew { correlation_id }),
            _ => Err(Refused::Unknown { key, version }),
        };
    }
    let broken = |broken| Refused::Broken { key, version, broken };
    let flexible = api.is_flexible(version);
    let client_id = client_id(&mut frame).map_err(broken)?;
    if flexible {
        frame.advance(shape::tags_length(&frame).map_err(broken)?);
    }
    shape::check(body_shape, &frame, version, flexible).map_err(broken)?;
    Ok(Frame::Request(Request { api, version, correlation_id, client_id, body: frame }))
}

/// The client's name of itself, the last part of every header.
fn client_id(frame: &mut Bytes) -> Result<Option<StrBytes>, Broken> {
    if frame.len() < 2 {
        return Err(Broken::Short);
    }
    match frame.get_i16() {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| Broken::Length)?;
            if length > frame.len() {
                return Err(Broken::Short);
            }
            StrBytes::from_utf8(frame.split_to(length)).map(Some).map_err(|_| Broken::Field)
        }
    }
}

#[cfg(test)]
mod tests;
