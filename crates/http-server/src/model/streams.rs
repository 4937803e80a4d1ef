//! Topics, those who read them, and what is delivered from them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use polder_capability::deliveries as contract;
use polder_capability::topics::{ConfigEntry, ConfigSource, GroupKind, GroupListing, GroupState};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::query::QueryError;

/// What a topic's values are written by, if somebody has registered it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicSchema {
    pub subject: String,
    pub version: i32,
    pub id: i32,
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub kind: String,
    pub text: String,
}

/// A topic and what is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Topic {
    pub name: String,
    /// A topic that is deleted and made anew has another one.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub partitions: u32,
    /// Kept by the server for itself.
    pub internal: bool,
    /// Between the first and the last offset; in a compacted topic some of them are gone.
    pub records: u64,
    /// Records that there ever were: what has come in between two answers is the difference.
    pub written: u64,
    /// Bytes on the disk, as they came. `null`: not known.
    pub bytes: Option<u64>,
    /// The time of the newest record.
    pub newest_at: Option<DateTime<Utc>>,
    /// `delete`, `compact` or both.
    pub cleanup_policy: Option<String>,
    pub retention_ms: Option<i64>,
    /// The newest version that is registered for its values.
    pub schema: Option<TopicSchema>,
}

/// Where a partition begins and ends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Partition {
    pub partition: i32,
    /// The first offset that is kept.
    pub start: i64,
    /// Where the next record goes.
    pub end: i64,
    /// Where readers of committed records stop: the end, or the first record of an open transaction.
    pub stable: i64,
    pub bytes: Option<u64>,
    pub newest_at: Option<DateTime<Utc>>,
}

/// How far a group has come in a partition.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupOffset {
    pub topic: String,
    pub partition: i32,
    /// The next record that it will read.
    pub offset: i64,
    /// The partition's end. `null`: the topic is gone.
    pub end: Option<i64>,
    /// Records that are not read yet.
    pub lag: Option<u64>,
    /// The member that reads it.
    pub member: Option<String>,
}

/// A setting of a topic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopicSetting {
    pub name: String,
    pub value: Option<String>,
    pub source: SettingSource,
    pub read_only: bool,
    pub documentation: Option<String>,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SettingSource {
    /// Set for this topic.
    Topic,
    Server,
    Default,
}

impl From<ConfigEntry> for TopicSetting {
    fn from(entry: ConfigEntry) -> Self {
        Self {
            name: entry.name,
            value: entry.value,
            source: match entry.source {
                ConfigSource::Own => SettingSource::Topic,
                ConfigSource::Server => SettingSource::Server,
                ConfigSource::Default => SettingSource::Default,
            },
            read_only: entry.read_only,
            documentation: entry.documentation.map(str::to_owned),
        }
    }
}

/// What a key or a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PayloadKind {
    /// There is none. A value that is none deletes its key in a compacted topic.
    None,
    Json,
    Text,
    /// No text: its bytes are told in hexadecimal.
    Binary,
}

/// A key or a value for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Payload {
    pub kind: PayloadKind,
    /// JSON, text, or hexadecimal digits.
    pub text: String,
    /// All its bytes, as they were written.
    pub bytes: u64,
    /// The text is longer than this.
    pub cut: bool,
    /// The schema by which it was read.
    pub schema_id: Option<i32>,
}

/// A record of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Message {
    pub partition: i32,
    pub offset: i64,
    pub timestamp: Option<DateTime<Utc>>,
    pub key: Payload,
    /// A JSON object of texts by name; of a name that comes more than once, a list.
    pub headers: Payload,
    pub value: Payload,
}

/// What reads topics together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Group {
    pub name: String,
    pub kind: ReaderKind,
    pub state: ReaderState,
    pub protocol: String,
    pub members: u32,
    pub topics: Vec<String>,
    /// Records that are not read yet, in all partitions.
    pub lag: u64,
}

/// Who divides the partitions among the members.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReaderKind {
    /// They themselves.
    Classic,
    /// The server.
    Consumer,
}

impl From<GroupKind> for ReaderKind {
    fn from(kind: GroupKind) -> Self {
        match kind {
            GroupKind::Classic => Self::Classic,
            GroupKind::Consumer => Self::Consumer,
        }
    }
}

/// What a group is at.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReaderState {
    /// It has no members.
    Empty,
    /// Its partitions are being divided.
    Rebalancing,
    Stable,
    Dead,
}

impl From<GroupState> for ReaderState {
    fn from(state: GroupState) -> Self {
        match state {
            GroupState::Empty => Self::Empty,
            GroupState::Stable => Self::Stable,
            GroupState::Dead => Self::Dead,
            GroupState::PreparingRebalance
            | GroupState::CompletingRebalance
            | GroupState::Assigning
            | GroupState::Reconciling => Self::Rebalancing,
        }
    }
}

impl From<GroupListing> for Group {
    fn from(listing: GroupListing) -> Self {
        Self {
            name: listing.group,
            kind: listing.kind.into(),
            state: listing.state.into(),
            protocol: listing.protocol_type,
            members: 0,
            topics: Vec::new(),
            lag: 0,
        }
    }
}

/// A member of a group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Member {
    pub id: String,
    /// The name of a static member.
    pub instance: Option<String>,
    pub client_id: String,
    pub host: String,
    /// What it reads.
    pub assigned: Vec<Assigned>,
}

/// Partitions of a topic that a member reads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Assigned {
    pub topic: String,
    pub partitions: Vec<i32>,
}

/// What a delivery is at.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    Running,
    Starting,
    Paused,
    Failing,
}

/// A delivery from a topic and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    pub name: String,
    pub owner: String,
    pub topic: String,
    /// `table`, `objects`, `http`, `opensearch`, `splunk`, `postgres`.
    pub kind: String,
    /// A table's name or a URL.
    pub place: String,
    pub table: Option<TableName>,
    pub rejected_into: TableName,
    /// The SQL that makes rows of records.
    pub transform: Option<String>,
    pub buffer_bytes: u64,
    pub buffer_seconds: u64,
    pub state: DeliveryState,
    pub created_at: DateTime<Utc>,
    /// Records that arrived since the server started, as the next three.
    pub records: u64,
    pub bytes: u64,
    pub rejected: u64,
    /// Deleted from the topic before they were delivered.
    pub lost: u64,
    /// Over the last minute.
    pub records_per_second: f64,
    /// Records that have not arrived. `null`: not known yet.
    pub lag_records: Option<u64>,
    /// How long ago the oldest of them was written.
    pub lag_ms: Option<u64>,
    pub buffered_bytes: u64,
    /// Of a history: what the log of topics keeps for it beyond the topic's retention.
    pub held_bytes: Option<u64>,
    pub last_delivery_at: Option<DateTime<Utc>>,
    pub last_error: Option<QueryError>,
    pub last_error_at: Option<DateTime<Utc>>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The newest run of its job, which has its name.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub run_id: Option<Uuid>,
}

/// A table of the lake.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TableName {
    pub schema: String,
    pub name: String,
}

impl From<contract::TableTarget> for TableName {
    fn from(table: contract::TableTarget) -> Self {
        Self { schema: table.schema, name: table.name }
    }
}

impl From<contract::DeliveryStatus> for Delivery {
    fn from(status: contract::DeliveryStatus) -> Self {
        let contract::DeliveryStatus { definition, counts, .. } = status;
        let rejected_into = definition.errors_table().into();
        let (kind, place) = (definition.target.kind().to_owned(), definition.target.place());
        let table = definition.target.table().cloned().map(Into::into);
        Self {
            name: definition.name,
            owner: definition.owner,
            topic: definition.topic,
            kind,
            place,
            table,
            rejected_into,
            transform: definition.transform,
            buffer_bytes: definition.buffer.bytes,
            buffer_seconds: definition.buffer.seconds,
            state: match status.state {
                contract::DeliveryState::Running => DeliveryState::Running,
                contract::DeliveryState::Starting => DeliveryState::Starting,
                contract::DeliveryState::Paused => DeliveryState::Paused,
                contract::DeliveryState::Failing => DeliveryState::Failing,
            },
            created_at: status.created_at,
            records: counts.records,
            bytes: counts.bytes,
            rejected: counts.rejected,
            lost: counts.lost,
            records_per_second: counts.records_per_second,
            lag_records: status.lag_records,
            lag_ms: status.lag_ms,
            buffered_bytes: status.buffered_bytes,
            held_bytes: status.held_bytes,
            last_delivery_at: status.last_delivery_at,
            last_error: status.last_error.map(Into::into),
            last_error_at: status.last_error_at,
            next_attempt_at: status.next_attempt_at,
            run_id: status.run.map(|run| run.0),
        }
    }
}

/// A topic to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicRequest {
    pub name: String,
    /// As many as the server makes by itself, without it.
    pub partitions: Option<i32>,
    /// Settings by name, as `{"retention.ms": "86400000"}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub settings: BTreeMap<String, Value>,
}
