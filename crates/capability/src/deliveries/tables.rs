//! The lake's half of deliveries, which the engine has.

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use polder_types::Result;
use uuid::Uuid;

use super::{DeliveryDefinition, TableTarget};

/// How far a delivery has come in a partition: a row of `polder_delivery_offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryOffset {
    /// The topic's id, so that a topic of the same name that was made anew is another one.
    pub topic: Uuid,
    pub partition: i32,
    /// The first record that has not been delivered.
    pub next: i64,
}

/// How a write moves a delivery on in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetStep {
    pub topic: Uuid,
    pub partition: i32,
    /// What must be stored. `None`: nothing must be.
    pub before: Option<i64>,
    pub after: i64,
}

/// A record that could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// As a JSON object, as a topic's table has them. `None`: not known.
    pub headers: Option<String>,
    /// What is wrong with it: lower case, no full stop.
    pub reason: String,
    /// When it was rejected, in microseconds' precision.
    pub at: DateTime<Utc>,
}

impl RejectedRecord {
    #[must_use]
    pub fn row_key(&self) -> RejectedKey {
        RejectedKey { topic: self.topic.clone(), partition: self.partition, offset: self.offset, at: self.at }
    }
}

/// Which rejected record is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RejectedKey {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// When it was rejected, in microseconds' precision.
    pub at: DateTime<Utc>,
}

/// A transform to be run.
#[derive(Debug, Clone, Copy)]
pub struct TransformCall<'a> {
    /// The query is planned and run with this user's rights.
    pub owner: &'a str,
    /// The name by which the query calls the records.
    pub topic: &'a str,
    pub sql: &'a str,
}

/// One lot: everything in it happens, or nothing.
#[derive(Debug, Clone)]
pub struct DeliveryWrite {
    /// The delivery's id.
    pub delivery: Uuid,
    /// Its name, for the rejected records and for the snapshot's message.
    pub name: String,
    /// With whose rights.
    pub owner: String,
    /// The topic's name, by which the transform calls the records.
    pub topic: String,
    /// The records, with the columns of a topic's table.
    pub records: Vec<RecordBatch>,
    pub transform: Option<String>,
    /// `None`: the records were delivered elsewhere, and `records` is empty.
    pub target: Option<TableTarget>,
    /// The topic's id, if `target` is its history: records go into it as they are, with that id.
    pub history: Option<Uuid>,
    /// How `target` is partitioned if it is made now.
    pub partition_by: Vec<String>,
    /// Records that have been found wrong already.
    pub rejected: Vec<RejectedRecord>,
    pub errors_into: TableTarget,
    /// Rejected records that are taken up in this lot: they are deleted from `errors_into`.
    pub redriven: Vec<RejectedKey>,
    /// When this is: `at` of the records that this write rejects.
    pub now: DateTime<Utc>,
    pub offsets: Vec<OffsetStep>,
}

/// What came of a lot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Rows that were added to the table.
    pub rows: u64,
    /// Records that were rejected by this write, besides those that came as such.
    pub rejected: u64,
    /// Whether the table was made.
    pub made_table: bool,
    /// Columns that were added to it, by name.
    pub new_columns: Vec<String>,
}

/// Tables as deliveries need them.
///
/// The table of rejected records has the columns `delivery text, topic text, partition integer, "offset" bigint, timestamp
/// timestamptz, key bytea, value bytea, reason text, at timestamptz` and is made with the first of them.
#[async_trait]
pub trait DeliveryTables: Send + Sync {
    /// Where a delivery goes on, of all topics that it has read. Empty: it has delivered nothing.
    async fn offsets(&self, delivery: Uuid) -> Result<Vec<DeliveryOffset>>;

    /// Forgets a delivery's place. In one topic, if one is named.
    async fn forget(&self, delivery: Uuid, topic: Option<Uuid>) -> Result<()>;

    /// Refuses a definition that could never be delivered: whose transform cannot be planned over a topic's table by its
    /// owner, whose target is a view, or whose owner may not write it; and a partitioning that its table cannot have, or has not.
    /// Gives the names of the columns that rows have that go elsewhere than into a table. `before`: what it is until now, whose
    /// partitioning is not looked at again if it stays.
    ///
    /// # Errors
    /// As the statements would: `InvalidInput`, `NotFound`, `Forbidden`, `Unsupported`.
    async fn check(&self, definition: &DeliveryDefinition, before: Option<&DeliveryDefinition>) -> Result<Vec<String>>;

    /// Writes a lot, in one transaction of the lake: rows into the table (made if it is not there, with columns added that are
    /// new), rejected records into theirs, those redriven out of it, and the offsets.
    ///
    /// A record whose values do not fit the table, or that the transform fails on, is rejected with the reason and takes no
    /// other along. With offsets alone no snapshot need be made. Conflicts that another try would settle are tried again inside.
    ///
    /// # Errors
    /// `Conflict` when an offset before is not what is stored, or a redriven record is not there (any more): nothing has
    /// changed, and trying again as it is would be in vain. Any other error: nothing has changed, or (08007) nobody knows.
    async fn deliver(&self, write: DeliveryWrite) -> Result<Delivered>;

    /// How far the history of a topic, by its id, goes in each partition: behind its last row. Empty if the table is not there.
    async fn history_ends(&self, definition: &DeliveryDefinition, topic: Uuid) -> Result<Vec<DeliveryOffset>>;

    /// Runs a transform for a target that is no table. A record that it fails on takes the others along: the caller divides.
    async fn transform(&self, call: TransformCall<'_>, records: RecordBatch) -> Result<Vec<RecordBatch>>;

    /// Rejected records of a delivery (by name) from before a time: the oldest, in the order of `at`, topic, partition and
    /// offset, behind `after`. At most `records_max`, and about `bytes_max` of keys and values, but at least one. Empty if the
    /// table is not there.
    async fn rejected(
        &self,
        definition: &DeliveryDefinition,
        before: DateTime<Utc>,
        after: Option<&RejectedKey>,
        records_max: u32,
        bytes_max: u64,
    ) -> Result<Vec<RejectedRecord>>;
}
