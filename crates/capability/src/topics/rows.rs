//! Topics as tables: records as rows.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use polder_types::Result;
use uuid::Uuid;

use crate::{BatchStream, Caller};

/// The place of a topic's columns in [`topic_schema`].
pub mod columns {
    /// `integer`.
    pub const PARTITION: usize = 0;
    /// `bigint`.
    pub const OFFSET: usize = 1;
    /// `timestamptz` in microseconds, of which records have milliseconds; NULL for a record that has none.
    pub const TIMESTAMP: usize = 2;
    /// `text`: what the registered schema makes of the bytes, by which they say that they were written, or else the text that
    /// they are; NULL for no key, and for bytes that are no text (UTF-8 without zeros).
    pub const KEY: usize = 3;
    /// `jsonb`: an object of their values by name, `{}` if there are none. A value is a text, or as `\x0a` if its bytes are no
    /// text; of a name that comes more than once it is an array of them.
    pub const HEADERS: usize = 4;
    /// `jsonb`: what the registered schema makes of the bytes, or else the JSON that they are, spelled as it came, or else a
    /// JSON string of their text; NULL for tombstones, and for bytes that are no text.
    pub const VALUE: usize = 5;
    /// `bytea`; NULL for no key.
    pub const KEY_BYTES: usize = 6;
    /// `bytea`; NULL for tombstones.
    pub const VALUE_BYTES: usize = 7;
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    // The name that Arrow's own list of types has for JSON; with nothing said beside it, it is PostgreSQL's `jsonb`.
    let json = HashMap::from([("ARROW:extension:name".to_owned(), "arrow.json".to_owned())]);
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("timestamp", time, true),
        Field::new("key", DataType::Utf8View, true),
        Field::new("headers", DataType::Utf8View, false).with_metadata(json.clone()),
        Field::new("value", DataType::Utf8View, true).with_metadata(json),
        Field::new("key_bytes", DataType::BinaryView, true),
        Field::new("value_bytes", DataType::BinaryView, true),
    ]))
});

/// The columns that every topic's table has, in the order of [`columns`].
#[must_use]
pub fn topic_schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}

/// A topic as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTable {
    pub name: Arc<str>,
    /// A topic that is deleted and made anew has another one.
    pub id: Uuid,
    /// They are numbered from 0.
    pub partitions: i32,
    /// Of the records of a key only the newest stays.
    pub is_compacted: bool,
    /// Bytes that are in the log though retention would have deleted them, since they are not kept elsewhere yet: as of the last
    /// look for what is old.
    pub held_bytes: u64,
}

/// Which records are wanted. All bounds hold together; those that are `None` are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicScan {
    /// Numbers that the topic does not have are passed over.
    pub partitions: Option<Vec<i32>>,
    /// The first offset.
    pub from_offset: Option<i64>,
    /// Behind the last offset.
    pub to_offset: Option<i64>,
    /// The earliest timestamp, in milliseconds since 1970. With a bound of time, records without timestamp are left out.
    pub from_ms: Option<i64>,
    /// Later than the latest timestamp.
    pub to_ms: Option<i64>,
    /// The records that are still to come, too: the parts have no end, unless `to_offset` says one.
    pub follow: bool,
}

/// Records of one partition that are to be read. What is in it does not change, but for records that are deleted meanwhile. Who
/// wants less moves the bounds closer together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPart {
    pub topic: Arc<str>,
    pub id: Uuid,
    pub partition: i32,
    /// The first offset. [`TopicRows::scan`] sets it to where the partition's records begin, if that is later than was asked.
    pub from: i64,
    /// Behind the last offset; `None`: the part has no end, and reading it waits for what comes.
    pub to: Option<i64>,
    /// As [`TopicScan::from_ms`], as is the next one.
    pub from_ms: Option<i64>,
    pub to_ms: Option<i64>,
    /// Whether `to - from` is near the number of rows, as it is not in a compacted topic or with bounds of time.
    pub is_dense: bool,
    /// Bytes that the whole partition takes, in order to plan.
    pub partition_bytes: u64,
    /// Values are wanted as they are spelled: with their keys in the order in which they were written, all of them. Otherwise they
    /// have the form of `jsonb`. [`TopicRows::scan`] sets it to false.
    pub spelled: bool,
}

/// Records that lie in the log as they were written, and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRecords {
    pub first_offset: i64,
    pub last_offset: i64,
    /// The latest time that they claim, in milliseconds since 1970.
    pub timestamp: i64,
    /// The batch that they are.
    pub batch: Bytes,
    /// Lower case, no full stop; names the offsets.
    pub reason: String,
}

/// Topics as tables. Records of transactions that were aborted are left out, and with the first one of a transaction that is
/// open the records end (isolation `committed`).
#[async_trait]
pub trait TopicRows: Send + Sync {
    /// The topics that the caller may read, in order. Looks at memory only.
    fn names(&self, caller: &Caller) -> Vec<Arc<str>>;

    /// The same with what is known of them, of one moment.
    fn all(&self, caller: &Caller) -> Vec<TopicTable> {
        self.names(caller).iter().filter_map(|name| self.find(caller, name)).collect()
    }

    /// A topic, if it is there and the caller may read it. Looks at memory only.
    fn find(&self, caller: &Caller, topic: &str) -> Option<TopicTable>;

    /// Fixes what is read: the records that are durable and committed now. A part for each partition that may have any, in
    /// the order of their numbers; parts that follow are there for every partition.
    ///
    /// # Errors
    /// `NotFound`: no such topic, or the caller may not read it. Those of the log.
    async fn scan(&self, caller: &Caller, topic: &str, scan: TopicScan) -> Result<Vec<TopicPart>>;

    /// Reads a part in the order of offsets, in batches of up to 8192 rows and about 4 MiB, with these columns of
    /// [`topic_schema`] in the order in which they are named. With no columns the batches have their number of rows only, and
    /// as far as can be nothing is looked at for it but the heads of the log's batches.
    ///
    /// The right to read was checked by [`TopicRows::scan`]. Records that are deleted meanwhile are left out. Each batch of a
    /// part that follows has what is there, and comes as soon as there is something.
    ///
    /// # Errors
    /// `InvalidInput` for a column that there is not. The stream's: `NotFound` when the topic is deleted meanwhile, `Corrupt` for
    /// records that cannot be read (which names their offsets), and those of the log and of the registry's store.
    fn read(&self, part: TopicPart, columns: Vec<usize>) -> Result<BatchStream>;

    /// The first records of a part that has an end that cannot be read; `None` if all can.
    ///
    /// # Errors
    /// As those of [`TopicRows::read`].
    async fn damaged(&self, part: &TopicPart) -> Result<Option<DamagedRecords>>;
}
