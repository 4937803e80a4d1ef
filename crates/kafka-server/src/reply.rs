//! Answers into frames.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Encodable, HeaderVersion};
use polder_capability::topics::HeldRoom;

/// Records of more bytes are sent from where they are; fewer are copied, so that they do not make packets of their own.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Reply {
    /// A frame, in the pieces in which it is to be sent (none if the client waits for no answer), and how long nothing more is
    /// taken from the client.
    Frame(Vec<Bytes>, Duration),
    /// The same, with records that take memory of what all answers have.
    Records(Vec<Bytes>, Duration, HeldRoom),
    /// The connection ends, and why.
    HangUp(String),
}

impl Reply {
    /// Keeps a share of the memory until the frame is sent.
    pub(crate) fn holding(self, room: HeldRoom) -> Self {
        match self {
            Self::Frame(pieces, throttle) => Self::Records(pieces, throttle, room),
            other => other,
        }
    }
}

/// A frame as it is written.
pub(crate) struct Pieces {
    done: Vec<Bytes>,
    /// What has not become a piece yet.
    pub open: BytesMut,
}

impl Pieces {
    /// Begins a frame. `header_version`: that of the answer.
    pub(crate) fn begin(correlation_id: i32, header_version: i16) -> Self {
        let mut open = BytesMut::new();
        open.put_i32(0);
        open.put_i32(correlation_id);
        if header_version >= 1 {
            // No tags.
            open.put_u8(0);
        }
        Self { done: Vec::new(), open }
    }

    /// Bytes that stand somewhere already.
    pub(crate) fn put(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPIED_BYTES_MAX {
            self.open.extend_from_slice(bytes);
            return;
        }
        if !self.open.is_empty() {
            self.done.push(self.open.split().freeze());
        }
        self.done.push(bytes.clone());
    }

    /// The frame; `None` if it is larger than a frame can be.
    pub(crate) fn finish(mut self) -> Option<Vec<Bytes>> {
        if !self.open.is_empty() {
            self.done.push(self.open.freeze());
        }
        let length = i32::try_from(self.done.iter().map(Bytes::len).sum::<usize>() - 4).ok()?;
        let (first, rest) = self.done.split_first_mut()?;
        let mut head = BytesMut::from(&first[..]);
        head.get_mut(..4)?.copy_from_slice(&length.to_be_bytes());
        let mut all = Vec::with_capacity(1 + rest.len());
        all.push(head.freeze());
        all.extend_from_slice(rest);
        Some(all)
    }
}

/// An answer that the codec writes.
pub(crate) fn encoded<R: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    response: &R,
    throttle: Duration,
) -> Reply {
    let mut pieces = Pieces::begin(correlation_id, R::header_version(version));
    if let Err(error) = response.encode(&mut pieces.open, version) {
        return Reply::HangUp(format!("an answer cannot be written: {error}"));
    }
    match pieces.finish() {
        Some(frame) => Reply::Frame(frame, throttle),
        None => Reply::HangUp("an answer is larger than a frame can be".into()),
    }
}
