//! Deliveries: what comes into a topic is brought on, in small lots, into a table of the lake or out of the house.
//!
//! A delivery is a job of the kind [`DELIVERY_KIND`] that is always due. Its definition is the job's payload, its name the
//! job's name. Into tables each record comes exactly once, since the place in the topic up to which it has been read is
//! written in the transaction that writes the rows; elsewhere it comes at least once.

mod definition;
mod history;
mod status;
mod tables;

pub use definition::{
    BUFFER_BYTES_DEFAULT, BUFFER_BYTES_MAX, BUFFER_SECONDS_DEFAULT, BUFFER_SECONDS_MAX, Backup, Buffer, Compression,
    DeliveryDefinition, DeliveryStart, DeliveryTarget, HISTORY_SCHEMA, HttpTarget, ObjectFormat, ObjectsTarget,
    OpenSearchTarget, PostgresTarget, Rotation, Secrets, SplunkTarget, TableTarget,
};
pub use history::{HistoryHold, TopicHistory};
pub use status::{DeliveryCounts, DeliveryState, DeliveryStatus};
pub use tables::{
    Delivered, DeliveryOffset, DeliveryTables, DeliveryWrite, OffsetStep, RejectedKey, RejectedRecord, TransformCall,
};

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use polder_types::{Error, Result};
use uuid::Uuid;

use crate::{Caller, IfExists, JobDefinition};

/// The kind of the jobs that deliveries are.
pub const DELIVERY_KIND: &str = "delivery";

/// Sees that a job that is removed or replaced as such is no delivery, which has offsets and secrets beside its job.
///
/// # Errors
/// `InvalidInput` (42809).
pub fn check_is_no_delivery(job: &JobDefinition) -> Result<()> {
    if job.kind != DELIVERY_KIND {
        return Ok(());
    }
    let name = &job.name;
    Err(Error::invalid(format!("{name:?} is a delivery"))
        .with_code("42809")
        .with_hint("DROP DELIVERY, ALTER DELIVERY or CREATE OR REPLACE DELIVERY"))
}

/// What is changed about a delivery. Each `None` leaves what there is. It takes effect with the next lot; what was gathered
/// and not delivered yet is read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlterDelivery {
    pub buffer_bytes: Option<u64>,
    pub buffer_seconds: Option<u64>,
    /// `Some(None)`: no transform any more.
    pub transform: Option<Option<String>>,
    pub partition_by: Option<Vec<String>>,
    /// `Some(None)`: without bound.
    pub held_bytes_max: Option<Option<u64>>,
    /// `Some(None)`: the default table.
    pub errors_into: Option<Option<TableTarget>>,
    /// Another place to deliver to. The place in the topic stays.
    pub target: Option<DeliveryTarget>,
    /// `Some(None)`: no backup any more.
    pub backup: Option<Option<Backup>>,
    /// Alone it takes effect without a lot being read again.
    pub about: Option<serde_json::Value>,
    /// Takes the place of all secrets. With a new `target` and `None` the old ones are kept.
    pub secrets: Option<Secrets>,
}

/// A record that is offered to a delivery by itself, as Firehose's `PutRecord` does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferedRecord {
    pub key: Option<Bytes>,
    pub value: Bytes,
}

/// What came of the rejected records that were delivered again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Redriven {
    /// Rejected records that were taken up.
    pub read: u64,
    /// Of them, those that arrived.
    pub delivered: u64,
    /// Of them, those that were rejected again, and are kept with their new reason.
    pub rejected: u64,
}

/// Deliveries, as statements and servers see them. They are called by their names.
///
/// Whether the caller may is for whoever calls: a delivery reads its topic and writes its table with its owner's rights, and
/// only its owner (or who has the owner's rights) changes it.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Makes a delivery and begins it. Gives it, and true if it was made or changed. One that replaces another goes on from
    /// where that one was if both read the same topic; otherwise it begins anew.
    ///
    /// # Errors
    /// `InvalidInput` for a definition that contradicts itself or whose transform cannot be planned, `NotFound` for a topic
    /// that is not there, `AlreadyExists` (42710) for a delivery, or a job of another kind, of that name.
    async fn create(&self, definition: DeliveryDefinition, if_exists: IfExists) -> Result<(DeliveryStatus, bool)>;

    /// # Errors
    /// `NotFound` (42704), and as [`Deliveries::create`].
    async fn alter(&self, name: &str, change: AlterDelivery) -> Result<DeliveryStatus>;

    /// Stops it where it is. What it had gathered is read again when it is resumed.
    ///
    /// # Errors
    /// `NotFound` (42704).
    async fn pause(&self, name: &str) -> Result<DeliveryStatus>;

    /// # Errors
    /// `NotFound` (42704).
    async fn resume(&self, name: &str) -> Result<DeliveryStatus>;

    /// Ends it, forgets its place, and deletes its topic if that is its own. Tables and rejected records stay. False if there
    /// is none.
    async fn remove(&self, name: &str) -> Result<bool>;

    /// All deliveries, by name, with nobody's secrets.
    async fn list(&self) -> Result<Vec<DeliveryStatus>>;

    async fn find(&self, name: &str) -> Result<Option<DeliveryStatus>>;

    /// Delivers the rejected records once more, all that there are when it begins, paused or not. Into a table each comes
    /// once: it is gone from the rejected ones in the transaction that writes it.
    ///
    /// # Errors
    /// `NotFound` (42704); what keeps a lot from being delivered as a whole. Those before it are delivered then.
    async fn redrive(&self, name: &str) -> Result<Redriven>;

    /// Has the log keep the records of a topic, by its name and id, while somebody reads it together with its history, from what is not
    /// in the history yet when this returns. Looks at memory only.
    fn hold(&self, name: &str, topic: Uuid) -> Arc<HistoryHold>;

    /// The delivery that keeps the history of a topic, by the topic's name, if there is one.
    async fn history(&self, topic: &str) -> Result<Option<TopicHistory>>;

    /// Writes records into the topic of a delivery whose topic is its own. They are durable when it returns, all of them or
    /// none. Gives the place of each: the partition and the offset.
    ///
    /// # Errors
    /// `NotFound` (42704), `Unsupported` (0A000) for a delivery that reads a topic of somebody else's, `Exhausted` or
    /// `Unavailable` when it is to be tried again.
    async fn offer(&self, caller: &Caller, name: &str, records: Vec<OfferedRecord>) -> Result<Vec<(i32, i64)>>;
}
