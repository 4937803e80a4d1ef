//! Topics: ordered, durable records, and those who read them together.
//!
//! What Kafka and Kinesis have in common, in neither's bytes: a *topic* is Kafka's topic and Kinesis' stream, a
//! *partition* is a shard. Records come and go as whole record batches in Kafka's format, version 2, which pass through
//! as they are.
//!
//! Calls that concern many things at once take a list and answer with one result for each, in the same order, so that one
//! that fails takes no other along. Only a call that fails as a whole (the caller may not, the server is stopping) is an
//! error itself.

mod admin;
mod bounds;
mod error;
mod groups;
mod kept;
mod quotas;
mod records;
mod rights;
mod rows;
mod shards;
mod store;
mod transactions;

pub use admin::{
    ConfigChange, ConfigEntry, ConfigKind, ConfigOperation, ConfigResource, ConfigSource, CreatedTopic, MorePartitions,
    NewTopic, TopicAdmin, TopicChoice, TopicDescription,
};
pub use bounds::{PartitionBounds, partition_bounds};
pub use error::{TopicError, TopicFailure, TopicResult};
pub use groups::{
    CommitOffsets, ConsumerDescription, ConsumerHeartbeat, ConsumerHeartbeatAnswer, ConsumerMember, FetchOffsets,
    FetchedOffset, GroupDescription, GroupKind, GroupListing, GroupMember, GroupState, JoinGroup, Joined, JoinedGroup,
    JoinedMember, LeavingMember, MemberId, OffsetEntry, SyncGroup, SyncedGroup, TopicAssignment, TopicGroups,
};
pub use kept::{KeptTopic, TopicKeeper};
pub use quotas::{Quota, QuotaChange, QuotaKey, QuotaName, TopicQuotas};
pub use records::{
    AbortedTransaction, Acks, EpochEnd, EpochQuestion, Fetch, FetchAnswer, FetchPartition, Fetched, FoundOffset,
    HeldRoom, Isolation, OffsetAt, OffsetQuestion, Produce, ProduceAnswer, ProduceBatch, Produced, TopicRecords,
};
pub use rights::{
    Grantee, TopicAcl, TopicAcls, TopicGrant, TopicGrantChange, TopicGrants, TopicNames, TopicRight, TopicRights,
    TopicThing,
};
pub use rows::{DamagedRecords, TopicPart, TopicRows, TopicScan, TopicTable, columns, topic_schema};
pub use shards::{
    Division, NewStream, Put, ReadRecord, ReadShard, Shard, ShardConsumer, ShardRead, ShardRecord, ShardStart, Shards,
    Stream, StreamChange,
};
pub use store::{StoreCounts, TopicStore};
pub use transactions::{InitProducer, Producer, TopicTransactions, TransactionOffsets};

use std::sync::Arc;

use uuid::Uuid;

use crate::Caller;

/// The epoch of every partition's leader: there is one server, so the leader never changes.
pub const LEADER_EPOCH: i32 = 0;

/// What a partition number, an offset or an epoch is when none is meant.
pub const NONE: i32 = -1;

/// Who asks, and from where. One per connection; descriptions of groups show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicClient {
    /// The user and the way in, such as `kafka` or `kinesis`.
    pub caller: Caller,
    /// What the program calls itself; quotas go by it. Empty: it does not say.
    pub client_id: Arc<str>,
    /// The address that it speaks from, without the port.
    pub host: Arc<str>,
}

/// A topic, by what the caller knows of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicRef {
    Name(Arc<str>),
    /// An id is never given twice: a topic that is deleted and made anew has another one.
    Id(Uuid),
}

impl TopicRef {
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::Name(name.into())
    }
}

/// One partition of a topic. A number that the topic does not have, a negative one included, is
/// [`TopicError::UnknownTopic`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: TopicRef,
    pub partition: i32,
}

/// All that a server of a protocol asks of topics.
pub trait Topics: TopicAdmin + TopicRecords + TopicGroups + TopicTransactions + TopicQuotas {}

impl<T: TopicAdmin + TopicRecords + TopicGroups + TopicTransactions + TopicQuotas + ?Sized> Topics for T {}
