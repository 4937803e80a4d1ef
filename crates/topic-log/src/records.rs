//! What is read.

use bytes::Bytes;
use polder_types::Error;

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// Everything durable.
    #[default]
    Uncommitted,
    /// Nothing of or behind the first transaction that is still open.
    Committed,
}

/// A part of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// Record batches in order, offsets and leader epoch (0) set. Each item holds one or more whole batches; the first
    /// may begin below the offset that was asked for, as batches are not cut.
    pub batches: Vec<Bytes>,
    pub bounds: Bounds,
    /// The aborted transactions that touch these batches: producer and first offset. Only for [`Isolation::Committed`].
    pub aborted: Vec<AbortedTransaction>,
}

impl Records {
    /// Bytes of all batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(Bytes::len).sum()
    }
}

/// A transaction whose records are to be passed over by who reads what is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// The offsets that a partition has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    pub log_start_offset: i64,
    /// One above the last durable record.
    pub high_watermark: i64,
    /// Where the first open transaction begins, or the high watermark.
    pub last_stable_offset: i64,
}

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOffset {
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// Why nothing could be read.
#[derive(Debug)]
pub enum ReadError {
    /// No such topic or partition.
    UnknownTopic,
    /// The offset is below the first or above the last.
    OffsetOutOfRange(Bounds),
    /// The disk failed, or a segment is damaged (`Corrupt`, names it).
    Failed(Error),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTopic => to.write_str("no such topic or partition"),
            Self::OffsetOutOfRange(bounds) => {
                write!(to, "the partition has offsets from {} to {}", bounds.log_start_offset, bounds.high_watermark)
            }
            Self::Failed(error) => write!(to, "{error}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
