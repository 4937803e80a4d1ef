//! What is appended, and what comes back.

use std::collections::BTreeMap;

use bytes::Bytes;
use polder_types::Error;
use uuid::Uuid;

/// One fact. Those of one append are durable together, or none of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A new topic. Its configuration is kept as it is given; what the log itself acts on is listed at
    /// [`Topic`](crate::Topic) and must be readable.
    CreateTopic { name: String, id: Uuid, partitions: u32, config: BTreeMap<String, String> },
    /// A topic goes, with all of its records. Its name is free at once.
    DeleteTopic { id: Uuid },
    /// The topic has `total` partitions from now on; more than it had.
    AddPartitions { id: Uuid, total: u32 },
    /// The whole configuration is replaced.
    SetConfig { id: Uuid, config: BTreeMap<String, String> },
    /// Record batches of a client, version 2, one or more after each other. They are checked here; base offsets and
    /// leader epoch are set by the log, everything else passes as it is.
    Batch { topic: Uuid, partition: u32, bytes: Bytes },
    /// The end of a producer's transaction in one partition. Where there is no such partition any more it is
    /// [`Appended::Done`], as there is nothing to end.
    Marker { topic: Uuid, partition: u32, producer_id: i64, producer_epoch: i16, coordinator_epoch: i32, commit: bool },
    /// A value of whoever stands above, in a space of theirs. The last one wins, `None` forgets.
    State { space: u8, key: Bytes, value: Option<Bytes> },
    /// Records below `before` are forgotten; -1 means all that there are.
    DeleteRecords { topic: Uuid, partition: u32, before: i64 },
}

/// What became of an [`Entry`], durable by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// A batch or a marker.
    Batch(BatchAppended),
    /// Where the partition's records begin now.
    RecordsDeleted { log_start_offset: i64 },
    /// Anything else.
    Done,
}

/// Where a batch or a marker went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchAppended {
    pub base_offset: i64,
    pub last_offset: i64,
    /// Milliseconds since 1970; -1 where records keep the time of their creation.
    pub log_append_time: i64,
    pub log_start_offset: i64,
    /// An idempotent producer had sent it before: these are the offsets of the first time, and nothing was written.
    pub duplicate: bool,
}

/// Why an entry was not taken. Nothing of its append was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No such topic or partition.
    UnknownTopic,
    /// The name or the id is taken.
    TopicExists,
    /// A number of partitions that cannot be, with what would be right.
    InvalidPartitions(String),
    /// A setting that the log acts on cannot be read.
    InvalidConfig(String),
    /// The batch is damaged or lies about itself: checksum, lengths, counts.
    CorruptBatch(String),
    /// The batch is sound, but no client may send such a one.
    InvalidRecord(String),
    /// A batch of version 0 or 1.
    UnsupportedFormat,
    /// A batch above `max.message.bytes`, or an append above what a segment takes.
    TooLarge { bytes: usize, bytes_max: usize },
    /// The time of a record is further from the log's own than its topic takes.
    InvalidTimestamp(String),
    /// Neither the next sequence number nor one of the last five batches.
    OutOfOrderSequence { expected: i32, found: i32 },
    /// Another producer has taken this id over.
    InvalidProducerEpoch { current: i16, found: i16 },
    /// A batch outside of a transaction from a producer that has one open.
    InvalidTransactionState,
    /// Offsets that the partition does not have.
    OffsetOutOfRange { log_start_offset: i64, high_watermark: i64 },
}

/// Why an append is not in the log.
#[derive(Debug)]
pub enum AppendError {
    /// One entry was refused, by its place in the append; the log is as before.
    Refused { entry: usize, refusal: Refusal },
    /// The disk failed (`Exhausted` when it is full, `Unavailable` otherwise): whether the append is in the log is
    /// not known until the next one succeeds, and it was not served to anybody. It may be tried again.
    Failed(Error),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownTopic => to.write_str("no such topic or partition"),
            Self::TopicExists => to.write_str("the topic exists already"),
            Self::InvalidPartitions(why)
            | Self::InvalidConfig(why)
            | Self::InvalidRecord(why)
            | Self::InvalidTimestamp(why) => to.write_str(why),
            Self::CorruptBatch(why) => write!(to, "damaged record batch: {why}"),
            Self::UnsupportedFormat => to.write_str("record batches before version 2 are not taken"),
            Self::TooLarge { bytes, bytes_max } => write!(to, "{bytes} bytes are more than the {bytes_max} allowed"),
            Self::OutOfOrderSequence { expected, found } => {
                write!(to, "sequence number {found} instead of {expected}")
            }
            Self::InvalidProducerEpoch { current, found } => {
                write!(to, "producer epoch {found}, while {current} is the current one")
            }
            Self::InvalidTransactionState => to.write_str("the producer has a transaction open"),
            Self::OffsetOutOfRange { log_start_offset, high_watermark } => {
                write!(to, "the partition has offsets from {log_start_offset} to {high_watermark}")
            }
        }
    }
}

impl std::fmt::Display for AppendError {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { entry, refusal } => write!(to, "entry {entry}: {refusal}"),
            Self::Failed(error) => write!(to, "{error}"),
        }
    }
}

impl std::error::Error for AppendError {}
