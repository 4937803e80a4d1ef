//! Settings of topics, groups and transactions.

use std::fmt;

use uuid::Uuid;

use crate::groups::GroupLimits;
use crate::transactions::TransactionLimits;

/// Gives random bytes; handed in, so that a test can give the same ones again.
pub type Random = Box<dyn Fn() -> [u8; 16] + Send + Sync>;

/// Settings of [`Streaming`](crate::Streaming).
pub struct StreamingOptions {
    /// The number by which clients know this server.
    pub node_id: i32,
    /// Whether a topic that a client asks for is made if there is none.
    pub auto_create: bool,
    /// How many partitions a topic has that does not say.
    pub partitions: u32,
    /// Partitions of one topic.
    pub partitions_max: u32,
    /// Partitions of all topics: each takes memory.
    pub all_partitions_max: u64,
    /// The largest batch that a topic may be set to take, in bytes. It must fit into a segment of the log.
    pub message_bytes_max: u32,
    /// Bytes of one answer to a fetch, whatever the client asks for.
    pub fetch_bytes_max: u32,
    /// Bytes of all answers to fetches that are under way: those that come then are smaller, or wait.
    pub all_fetch_bytes_max: usize,
    /// Bytes that offsets, groups, transactional ids and quotas take in memory, about; beyond, none is taken that makes them
    /// more.
    pub kept_bytes_max: usize,
    pub groups: GroupLimits,
    pub transactions: TransactionLimits,
    pub random: Random,
}

impl Default for StreamingOptions {
    fn default() -> Self {
        Self {
            node_id: 1,
            auto_create: true,
            partitions: 1,
            partitions_max: 10_000,
            all_partitions_max: 100_000,
            message_bytes_max: 32 << 20,
            fetch_bytes_max: 64 << 20,
            all_fetch_bytes_max: 256 << 20,
            kept_bytes_max: 256 << 20,
            groups: GroupLimits::default(),
            transactions: TransactionLimits::default(),
            random: Box::new(|| *Uuid::new_v4().as_bytes()),
        }
    }
}

impl fmt::Debug for StreamingOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingOptions")
            .field("node_id", &self.node_id)
            .field("auto_create", &self.auto_create)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}
