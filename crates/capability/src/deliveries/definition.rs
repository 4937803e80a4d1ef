use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The schema of the lake that histories of topics are in.
pub const HISTORY_SCHEMA: &str = "topic_history";

/// The largest lot: more is delivered in several.
pub const BUFFER_BYTES_MAX: u64 = 256 << 20;
/// The longest that a record is held back.
pub const BUFFER_SECONDS_MAX: u64 = 900;
pub const BUFFER_BYTES_DEFAULT: u64 = 64 << 20;
pub const BUFFER_SECONDS_DEFAULT: u64 = 60;

/// What is delivered, where, and how. As JSON it is the payload of its job, which everybody may see who may see jobs: so
/// [`DeliveryDefinition::secrets`] are no part of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryDefinition {
    pub name: String,
    /// The topic is read and tables are written with this user's rights.
    pub owner: String,
    pub topic: String,
    /// True: the topic is the delivery's own. It is made and deleted with it, and filled by
    /// [`Deliveries::offer`](super::Deliveries::offer).
    #[serde(default)]
    pub owns_topic: bool,
    pub target: DeliveryTarget,
    /// A query over the topic's table, by the topic's name, run for each lot by itself: `SELECT value->>'id' AS id FROM
    /// "page-views"`. What it gives is delivered instead of the records. `None`: the records as they are; into a table, the
    /// fields of their JSON objects as columns.
    #[serde(default)]
    pub transform: Option<String>,
    #[serde(default)]
    pub buffer: Buffer,
    /// Expressions that a table is partitioned by when it is made, as in CREATE TABLE. Only for tables.
    #[serde(default)]
    pub partition_by: Vec<String>,
    /// Where rejected records are kept. `None`: see [`DeliveryDefinition::errors_table`].
    #[serde(default)]
    pub errors_into: Option<TableTarget>,
    /// Where records go besides, as Firehose's S3 backup does. Rejected ones are kept in their table nevertheless.
    #[serde(default)]
    pub backup: Option<Backup>,
    /// Where a partition is begun that has never been delivered from. Partitions that are added to the topic later, and a
    /// topic that is made anew, are read from their beginning.
    #[serde(default)]
    pub start: DeliveryStart,
    /// Of a history: bytes that the log keeps for it beyond the topic's retention. Of more, the oldest go without being kept.
    /// `None`: without bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_bytes_max: Option<u64>,
    /// What an API that made it keeps with it, for itself alone. Without secrets: it is shown with the definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<serde_json::Value>,
    /// Passwords and keys that the target's documentation names. Kept encrypted; never given out again.
    #[serde(skip)]
    pub secrets: Secrets,
}

impl DeliveryDefinition {
    /// A delivery of the records as they are, from the topic's beginning, with the default buffer.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        owner: impl Into<String>,
        topic: impl Into<String>,
        target: DeliveryTarget,
    ) -> Self {
        Self {
            name: name.into(),
            owner: owner.into(),
            topic: topic.into(),
            owns_topic: false,
            target,
            transform: None,
            buffer: Buffer::default(),
            partition_by: Vec::new(),
            errors_into: None,
            backup: None,
            start: DeliveryStart::default(),
            held_bytes_max: None,
            about: None,
            secrets: Secrets::default(),
        }
    }

    /// Whether records' values go on as they are spelled. A transform and a history have them as a topic's table has them.
    #[must_use]
    pub fn wants_spelled(&self) -> bool {
        self.transform.is_none() && self.target.history().is_none()
    }

    /// The table of rejected records: the one that was named, or else that of the target with `__rejected` behind its name, or
    /// that of the delivery's name in `public` for what does not go into a table.
    #[must_use]
    pub fn errors_table(&self) -> TableTarget {
        if let Some(table) = &self.errors_into {
            return table.clone();
        }
        match &self.target {
            DeliveryTarget::Table(table) | DeliveryTarget::History(table) => {
                TableTarget { schema: table.schema.clone(), name: format!("{}__rejected", table.name) }
            }
            _ => TableTarget { schema: "public".to_owned(), name: format!("{}__rejected", self.name) },
        }
    }
}

/// When a lot is delivered: once it has so many bytes, or its first record has waited so long, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buffer {
    /// Of keys and values, from 1 to [`BUFFER_BYTES_MAX`].
    pub bytes: u64,
    /// From 1 to [`BUFFER_SECONDS_MAX`].
    pub seconds: u64,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: BUFFER_BYTES_DEFAULT, seconds: BUFFER_SECONDS_DEFAULT }
    }
}

/// Where a partition is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStart {
    /// At the first record that is kept.
    #[default]
    Earliest,
    /// With what comes after the delivery was made.
    Latest,
}

/// Where records go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryTarget {
    Table(TableTarget),
    /// The records as they are, with the topic's id, into a table that is read with the topic: see [`DeliveryTarget::history_of`].
    History(TableTarget),
    Objects(ObjectsTarget),
    Http(HttpTarget),
    OpenSearch(OpenSearchTarget),
    Splunk(SplunkTarget),
    Postgres(PostgresTarget),
}

impl DeliveryTarget {
    /// The history of a topic: a table of its name.
    #[must_use]
    pub fn history_of(topic: &str) -> Self {
        Self::History(TableTarget { schema: HISTORY_SCHEMA.to_owned(), name: topic.to_owned() })
    }

    /// The table, of targets that are tables of the lake.
    #[must_use]
    pub const fn table(&self) -> Option<&TableTarget> {
        match self {
            Self::Table(table) | Self::History(table) => Some(table),
            _ => None,
        }
    }

    /// The table, of the history of a topic.
    #[must_use]
    pub const fn history(&self) -> Option<&TableTarget> {
        match self {
            Self::History(table) => Some(table),
            _ => None,
        }
    }

    /// `table`, `history`, `objects`, `http`, `opensearch`, `splunk`, `postgres`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::History(_) => "history",
            Self::Objects(_) => "objects",
            Self::Http(_) => "http",
            Self::OpenSearch(_) => "opensearch",
            Self::Splunk(_) => "splunk",
            Self::Postgres(_) => "postgres",
        }
    }

    /// The place for people to read: a table's name or a URL, without secrets.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Table(table) | Self::History(table) => table.to_string(),
            Self::Objects(objects) => objects.url.clone(),
            Self::Http(http) => http.url.clone(),
            Self::OpenSearch(search) => format!("{}/{}", search.url.trim_end_matches('/'), search.index),
            Self::Splunk(splunk) => splunk.url.clone(),
            Self::Postgres(postgres) => {
                format!("postgres://{}:{}/{}", postgres.host, postgres.port, postgres.database)
            }
        }
    }
}

/// A table of the lake. It is made when it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableTarget {
    pub schema: String,
    pub name: String,
}

impl fmt::Display for TableTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// Objects that records are written into besides.
///
/// Secrets: `backup_access_key_id` and `backup_secret_access_key`, both or neither.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// As they came, before any transform: the format says only how they are packed.
    pub objects: ObjectsTarget,
    /// True: all records. False: those that are rejected.
    #[serde(default)]
    pub all: bool,
}

/// How records lie in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectFormat {
    /// The bytes of each value, one behind the other, with nothing between them: what Firehose does.
    Raw,
    /// One JSON value a line.
    #[default]
    JsonLines,
    Parquet,
}

/// How an object's or a request's bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Zip,
    Snappy,
    /// Snappy in Hadoop's framing.
    HadoopSnappy,
    /// Not for Firehose.
    Zstd,
}

/// Objects in a bucket that speaks S3's protocol, or files of a folder that the server may write.
///
/// Secrets: `access_key_id` and `secret_access_key`, both or neither (then those of the server's environment).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectsTarget {
    /// `s3://bucket/folder`.
    pub url: String,
    /// `None`: AWS's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    #[serde(default)]
    pub region: Option<String>,
    #[serde(default)]
    pub format: ObjectFormat,
    #[serde(default)]
    pub compression: Compression,
    /// What objects' names begin with: text with `!{timestamp:yyyy/MM/dd}` (the lot's first record's time in UTC) and
    /// `!{partitionKeyFromQuery:column}` (a column of the transform's result), as Firehose has them. `None`:
    /// `!{timestamp:yyyy/MM/dd/HH}/`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// The same for what is rejected: rejected records then go there besides, as JSON lines. Also knows
    /// `!{firehose:error-output-type}`.
    #[serde(default)]
    pub error_prefix: Option<String>,
}

/// An endpoint that takes Firehose's requests.
///
/// Secrets: `access_key`, sent as `X-Amz-Firehose-Access-Key`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTarget {
    pub url: String,
    /// Sent as `X-Amz-Firehose-Common-Attributes`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// [`Compression::None`] or [`Compression::Gzip`].
    #[serde(default)]
    pub compression: Compression,
    /// How long a lot is tried before its records are rejected. 0: only once.
    #[serde(default = "retry_seconds")]
    pub retry_seconds: u64,
}

/// How often OpenSearch's index changes its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    #[default]
    None,
    /// `name-2026-11-28-03`.
    Hour,
    /// `name-2026-11-28`.
    Day,
    /// `name-2026-w48`.
    Week,
    /// `name-2026-11`.
    Month,
}

/// An index of OpenSearch or Elasticsearch, by the bulk API. A document's id is the record's place, so that a lot that is sent
/// again changes nothing.
///
/// Secrets: `password`, for `user`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSearchTarget {
    pub url: String,
    pub index: String,
    #[serde(default)]
    pub rotation: Rotation,
    #[serde(default)]
    pub user: Option<String>,
    /// How long a lot is tried before its records are rejected. 0: only once.
    #[serde(default = "retry_seconds")]
    pub retry_seconds: u64,
}

/// Splunk's HTTP event collector.
///
/// Secrets: `token`, which is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplunkTarget {
    /// Without `/services/collector…`.
    pub url: String,
    /// True: the bytes as they are, false: as events.
    #[serde(default)]
    pub raw: bool,
    /// How long a lot is tried before its records are rejected. 0: only once.
    #[serde(default = "retry_seconds")]
    pub retry_seconds: u64,
}

/// A table of a PostgreSQL server, which must be there.
///
/// Secrets: `password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresTarget {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub schema: String,
    pub table: String,
    /// Columns of a unique key: rows that are there already are left alone, so that a lot sent again changes nothing.
    #[serde(default)]
    pub key: Vec<String>,
    /// Refuse a server without TLS.
    #[serde(default)]
    pub tls: bool,
}

/// What Firehose does when nothing is said.
const fn retry_seconds() -> u64 {
    300
}

/// Passwords and keys by name. Neither printed nor serialised.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(pub BTreeMap<String, String>);

impl Secrets {
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
