//! Writing and reading records.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{TopicClient, TopicPartition, TopicResult};

/// What a writer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// Nothing: the records are written, and nobody is told.
    None,
    /// Durable on this server, which is the same as on all, as there is one.
    Leader,
    All,
}

/// Records for one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceBatch {
    pub to: TopicPartition,
    /// One or more whole record batches, version 2, as they came: nothing in them has been looked at.
    pub bytes: Bytes,
}

/// Records to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produce {
    /// Of the transaction that transactional batches belong to.
    pub transactional_id: Option<String>,
    pub acks: Acks,
    pub timeout: Duration,
    pub batches: Vec<ProduceBatch>,
}

/// Where records were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// Of the first record.
    pub base_offset: i64,
    /// Milliseconds since 1970; `None`: the topic keeps the writers' own times.
    pub log_append_time: Option<i64>,
    pub log_start_offset: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProduceAnswer {
    /// How long the client is to send nothing.
    pub throttle: Duration,
    pub results: Vec<TopicResult<Produced>>,
}

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    #[default]
    Uncommitted,
    /// None of a transaction that is open: the reader stops before it. Those of aborted ones are named in the answer.
    Committed,
}

/// One partition to read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartition {
    pub from: TopicPartition,
    pub offset: i64,
    /// Of this partition. One batch is given even if it is larger, so that a reader always gets on.
    pub bytes_max: u32,
    /// The epoch of the leader that the reader knows; `None`: it does not say.
    pub leader_epoch: Option<i32>,
}

/// A reading of some partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Waits until there are `bytes_min`, or an error, in all partitions together, but no longer than this.
    pub wait_max: Duration,
    pub bytes_min: u32,
    /// Of all partitions together; the first one that has any gives one batch even if it is larger.
    pub bytes_max: u32,
    pub isolation: Isolation,
    pub partitions: Vec<FetchPartition>,
}

/// A transaction whose records are to be passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// What was read of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub high_watermark: i64,
    pub last_stable_offset: i64,
    pub log_start_offset: i64,
    /// Of those read; only with [`Isolation::Committed`].
    pub aborted: Vec<AbortedTransaction>,
    /// Whole record batches, in order. The first may begin before the offset that was asked for.
    pub batches: Vec<Bytes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchAnswer {
    pub throttle: Duration,
    pub results: Vec<TopicResult<Fetched>>,
    /// To be kept until the records are sent, or done with.
    pub room: HeldRoom,
}

/// A share of the memory that all answers have together; given back when it is dropped.
#[derive(Clone, Default)]
pub struct HeldRoom(Option<Arc<dyn Any + Send + Sync>>);

impl HeldRoom {
    /// A share that is given back when `held` is dropped.
    #[must_use]
    pub fn of<T: Any + Send + Sync>(held: Option<T>) -> Self {
        Self(held.map(|held| Arc::new(held) as Arc<dyn Any + Send + Sync>))
    }
}

impl fmt::Debug for HeldRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeldRoom").field(&self.0.is_some()).finish()
    }
}

impl PartialEq for HeldRoom {
    /// It is no part of what an answer says.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for HeldRoom {}

/// A place in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAt {
    /// The first record that is kept.
    Earliest,
    /// Where the next one goes; with [`Isolation::Committed`] the first of an open transaction.
    Latest,
    /// The record with the latest timestamp.
    MaxTimestamp,
    /// The first record whose timestamp, in milliseconds since 1970, is this one or later.
    Timestamp(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetQuestion {
    pub of: TopicPartition,
    pub at: OffsetAt,
    pub leader_epoch: Option<i32>,
}

/// A record's place. Without `offset` there is no such record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundOffset {
    pub offset: Option<i64>,
    /// Of that record, when it was looked for by time.
    pub timestamp: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochQuestion {
    pub of: TopicPartition,
    /// The epoch that the reader believes is the leader's.
    pub current: Option<i32>,
    /// The one whose end is asked for.
    pub epoch: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The newest epoch that is not newer than the one asked for; `None`: there was none so old.
    pub epoch: Option<i32>,
    pub end_offset: i64,
}

/// Writing and reading records.
#[async_trait]
pub trait TopicRecords: Send + Sync {
    /// Writes. With [`Acks::Leader`] and [`Acks::All`] all that succeeded is durable when it returns, as far as the
    /// server's settings promise; a batch that a producer sends again is found and answered as the first time.
    ///
    /// Takes its place in the order of each partition when it is first polled, without waiting for anything before that: a
    /// connection polls several in turn and only then waits for them, so that they share a sync and stay in order.
    async fn produce(&self, client: &TopicClient, produce: Produce) -> TopicResult<ProduceAnswer>;

    /// Reads, waiting as asked. Dropping the future ends the wait.
    async fn fetch(&self, client: &TopicClient, fetch: &Fetch) -> TopicResult<FetchAnswer>;

    async fn offsets(
        &self,
        client: &TopicClient,
        questions: Vec<OffsetQuestion>,
        isolation: Isolation,
    ) -> TopicResult<Vec<TopicResult<FoundOffset>>>;

    async fn epoch_ends(
        &self,
        client: &TopicClient,
        questions: Vec<EpochQuestion>,
    ) -> TopicResult<Vec<TopicResult<EpochEnd>>>;

    /// Deletes the records before an offset; `None`: all there are. Gives the first offset that is left.
    async fn delete_records(
        &self,
        client: &TopicClient,
        before: Vec<(TopicPartition, Option<i64>)>,
    ) -> TopicResult<Vec<TopicResult<i64>>>;
}
