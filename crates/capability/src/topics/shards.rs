//! Topics as Kinesis knows them: a stream is a topic, a shard a partition.
//!
//! Each shard is in charge of a range of hash keys, which are what MD5 makes of partition keys. A shard that is split or merged is
//! *closed*: its partition stays with the records in it, and others are in charge. A topic that Kafka has made is a stream whose
//! shards divide all hash keys evenly. The key of a record is its partition key.
//!
//! A sequence number is an offset counted on from a shard's beginning, which lies behind the ends of its parents: so it orders the
//! records of a key even where shards are split and merged.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::{TopicClient, TopicRef, TopicResult};

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The partition's number.
    pub number: u32,
    /// The first hash key that it is in charge of, or was.
    pub first_hash: u128,
    /// The last one.
    pub last_hash: u128,
    /// The shard that it was split or merged from.
    pub parent: Option<u32>,
    /// The other one that it was merged from.
    pub adjacent_parent: Option<u32>,
    /// The sequence number of its first record, whether that is kept or not.
    pub first_sequence: i64,
    /// Of its last record, if it is closed.
    pub last_sequence: Option<i64>,
    /// Milliseconds since 1970; 0 where nobody knows.
    pub created_ms: i64,
    /// When it was split or merged, in milliseconds since 1970.
    pub closed_ms: Option<i64>,
}

impl Shard {
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed_ms.is_none()
    }
}

/// Who reads a stream with a way of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardConsumer {
    pub name: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    pub tags: Vec<(String, String)>,
}

/// A topic as a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    pub name: String,
    pub id: Uuid,
    /// Milliseconds since 1970; 0 for a topic that Kafka has made.
    pub created_ms: i64,
    /// Nobody has said how much goes through a shard, so it has no limits.
    pub on_demand: bool,
    /// Hours; `None` for ever.
    pub retention_hours: Option<i64>,
    /// Bytes of one record, with its key.
    pub record_bytes_max: usize,
    pub tags: Vec<(String, String)>,
    /// Names of what is to be measured by shard.
    pub metrics: Vec<String>,
    pub consumers: Vec<ShardConsumer>,
    /// All that are open, and closed ones that may have records yet, in the order of their numbers.
    pub shards: Vec<Shard>,
}

/// A stream to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewStream {
    pub name: String,
    pub shards: u32,
    pub on_demand: bool,
    pub record_bytes_max: usize,
    pub tags: Vec<(String, String)>,
}

/// A change of what is kept about a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamChange {
    OnDemand(bool),
    RetentionHours(i64),
    RecordBytesMax(usize),
    Tag(Vec<(String, String)>),
    Untag(Vec<String>),
    /// The whole list.
    Metrics(Vec<String>),
    AddConsumer(ShardConsumer),
    RemoveConsumer(String),
    /// Tags of a consumer, by its name: those that come and those that go.
    TagConsumer(String, Vec<(String, String)>),
    UntagConsumer(String, Vec<String>),
}

/// How the shards of a stream are to be divided anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// One in two: the second one begins with this hash key.
    Split { shard: u32, at: u128 },
    /// Two neighbours in one.
    Merge { shard: u32, adjacent: u32 },
    /// To so many, each about as large.
    Total(u32),
}

/// A record to be put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRecord {
    pub partition_key: String,
    /// Instead of what MD5 makes of the partition key.
    pub hash_key: Option<u128>,
    pub data: Bytes,
}

/// Where a record was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    pub shard: u32,
    pub sequence: i64,
}

/// A place in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardStart {
    TrimHorizon,
    Latest,
    At(i64),
    After(i64),
    /// The first record of this time or later, in milliseconds since 1970.
    Timestamp(i64),
}

/// A reading of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadShard {
    /// By its id: a stream that is deleted and made anew is another one.
    pub stream: Uuid,
    pub shard: u32,
    /// From here on.
    pub sequence: i64,
    pub records_max: usize,
    /// Of data and keys; one record is given however large it is.
    pub bytes_max: usize,
    /// How long to wait for a record if there is none.
    pub wait_max: Duration,
    /// Whether it counts against the shard's limits of reading.
    pub shared: bool,
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRecord {
    pub sequence: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    pub partition_key: String,
    pub data: Vec<u8>,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardRead {
    pub records: Vec<ReadRecord>,
    /// Where to go on; `None`: the shard is closed, and this was its end.
    pub next: Option<i64>,
    /// Milliseconds from what was read to now; 0 if there is nothing behind it.
    pub behind_ms: i64,
    /// Those that go on where it ends, if this was the end.
    pub children: Vec<Shard>,
}

/// Streams and their shards. Each change is durable when the call returns.
///
/// Whoever may not know of a stream is told that there is none (`UnknownTopic`); who may know and not do, `TopicForbidden`.
#[async_trait]
pub trait Shards: Send + Sync {
    /// Those that the caller may know of, in the order of names.
    fn streams(&self, client: &TopicClient) -> Vec<Stream>;

    /// # Errors
    /// `UnknownTopic`.
    fn stream(&self, client: &TopicClient, stream: &TopicRef) -> TopicResult<Stream>;

    /// # Errors
    /// Those of `TopicAdmin::create`.
    async fn create_stream(&self, client: &TopicClient, new: NewStream) -> TopicResult<()>;

    /// # Errors
    /// Those of `TopicAdmin::delete`.
    async fn delete_stream(&self, client: &TopicClient, stream: &TopicRef) -> TopicResult<()>;

    /// # Errors
    /// `InvalidConfig`, and those of the log.
    async fn change_stream(&self, client: &TopicClient, stream: &TopicRef, change: StreamChange) -> TopicResult<()>;

    /// Divides anew, as one fact. Records that are on their way are in the old shards before.
    ///
    /// # Errors
    /// `InvalidPartitions`: there are no such shards, they are closed, no neighbours, or there would be too many.
    async fn divide(&self, client: &TopicClient, stream: &TopicRef, division: Division) -> TopicResult<()>;

    /// Puts records, those of each shard in their order. Each is durable when it returns without an error of its own: `Throttled`
    /// beyond the limits of a shard (1 MiB and 1,000 records in a second), unless the stream is on demand; `TooLarge`.
    ///
    /// # Errors
    /// For all of them: `UnknownTopic`, `TopicForbidden`.
    async fn put(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        records: Vec<ShardRecord>,
    ) -> TopicResult<Vec<TopicResult<Put>>>;

    /// The sequence number to read on from.
    ///
    /// # Errors
    /// `InvalidPartitions`: no such shard; `OffsetOutOfRange`: no such sequence number.
    async fn start_at(
        &self,
        client: &TopicClient,
        stream: &TopicRef,
        shard: u32,
        start: ShardStart,
    ) -> TopicResult<i64>;

    /// Reads what is committed. What is not kept any more is passed over.
    ///
    /// # Errors
    /// `UnknownTopicId`, `InvalidPartitions`, `Throttled`: beyond 2 MiB in a second of a shard that has limits.
    async fn read_shard(&self, client: &TopicClient, read: &ReadShard) -> TopicResult<ShardRead>;
}
