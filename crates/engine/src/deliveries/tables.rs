//! The lake's half of deliveries.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use polder_capability::Caller;
use polder_capability::deliveries::{
    Delivered, DeliveryDefinition, DeliveryOffset, DeliveryTables, DeliveryTarget, DeliveryWrite, OffsetStep,
    RejectedKey, RejectedRecord, TableTarget, TransformCall,
};
use polder_capability::topics::{TopicRight, TopicThing, topic_schema};
use polder_lake::{TableName, TableState};
use polder_metastore::{DeliveredTo, Deliveries as Stored};
use polder_types::{Error, ErrorKind, QueryId, Result};
use uuid::Uuid;

use super::attempt::{Attempt, Into, Made, full, repeated};
use super::history;
use super::parts::Settled;
use crate::engine::Engine;
use crate::session::{CONFLICT_TRIES, Session};

/// How deliveries' statements are recorded.
const VIA: &str = "delivery";

/// The columns of a table of rejected records.
const REJECTED: &str = "delivery text, topic text, partition integer, \"offset\" bigint, timestamp timestamptz, \
                        key bytea, value bytea, reason text, at timestamptz, headers jsonb";

fn name_of(table: &TableTarget) -> TableName {
    TableName::new(&table.schema, &table.name)
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// A text as a literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn time_literal(time: DateTime<Utc>) -> String {
    format!("TIMESTAMPTZ '{}'", time.to_rfc3339_opts(SecondsFormat::Micros, true))
}

#[async_trait]
impl DeliveryTables for Engine {
    async fn offsets(&self, delivery: Uuid) -> Result<Vec<DeliveryOffset>> {
        let stored = self.metastore.deliveries().offsets(delivery).await?;
        let offset = |DeliveredTo { topic, partition, next }| DeliveryOffset { topic, partition, next };
        Ok(stored.into_iter().map(offset).collect())
    }

    async fn forget(&self, delivery: Uuid, topic: Option<Uuid>) -> Result<()> {
        self.metastore.write(&[Stored::forget_write(delivery, topic)]).await
    }

    async fn check(&self, definition: &DeliveryDefinition, before: Option<&DeliveryDefinition>) -> Result<Vec<String>> {
        let engine = self.shared()?;
        let topic = TopicThing::Topic(&definition.topic);
        let caller = Caller::new(&definition.owner, VIA);
        if !self.topic_rights().may(&caller, TopicRight::Read, topic) {
            return Err(Error::new(ErrorKind::Forbidden, format!("permission denied for topic {}", definition.topic))
                .with_code("42501")
                .with_hint("its owner may GRANT SELECT ON TOPIC …; members of pg_read_all_data read all topics"));
        }
        // What is in the history is read by all who may read the topic, and the log keeps what is not in it yet.
        let is_history = definition.target.history().is_some();
        if is_history && !self.topic_rights().may(&caller, TopicRight::Alter, topic) {
            let message = format!("permission denied to keep the history of topic {}", definition.topic);
            return Err(Error::new(ErrorKind::Forbidden, message).with_code("42501").with_hint("a superuser does it"));
        }
        let session = engine.own_session(&definition.owner);
        let running = engine.recorder.unrecorded(QueryId::new(), session.caller(), &definition.name);
        let mut attempt = Attempt::begin(&engine, &session, &running).await?;
        // Nothing of it is committed.
        let checked = match &definition.target {
            DeliveryTarget::Table(table) | DeliveryTarget::History(table) => {
                let name = name_of(table);
                let into = Into {
                    table: &name,
                    partition_by: &definition.partition_by,
                    transform: definition.transform.as_deref(),
                    topic: &definition.topic,
                };
                let parted = attempt.check_parts(&into, is_history, Settled::of(definition, before)).await;
                let done = match parted {
                    Err(error) => Err(error),
                    Ok(()) if is_history => {
                        attempt.keep(&into, Uuid::nil(), &RecordBatch::new_empty(topic_schema())).await.map(|_| ())
                    }
                    Ok(()) => attempt.check(&into).await,
                };
                done.map(|()| Vec::new())
            }
            _ => match &definition.transform {
                Some(transform) => attempt.check_transform(&definition.topic, transform).await,
                None => Ok(topic_schema().fields().iter().map(|field| field.name().clone()).collect()),
            },
        };
        let checked = match checked {
            Ok(columns) => attempt.make_rejected(&name_of(&definition.errors_table())).await.map(|()| columns),
            Err(error) => Err(error),
        };
        let ended = attempt.run("ROLLBACK").await;
        let columns = checked?;
        ended.map(|_| columns)
    }

    async fn deliver(&self, write: DeliveryWrite) -> Result<Delivered> {
        let engine = self.shared()?;
        let records = match write.records.as_slice() {
            [] => None,
            batches @ [first, ..] => Some(concat_batches(&first.schema(), batches).map_err(internal)?),
        };
        let count = records.as_ref().map_or(0, RecordBatch::num_rows);
        let session = engine.own_session(&write.owner);
        let text = format!("DELIVERY {}: {count} records of topic {}", write.name, write.topic);
        let running = engine.recorder.begin(QueryId::new(), session.caller(), &text)?;
        let mut outcome = Err(Problem::Final(Error::internal("no try was made")));
        for attempt in 1..=CONFLICT_TRIES {
            running.end_commit();
            outcome = engine.deliver_once(&session, &running, &write, records.as_ref()).await;
            match &outcome {
                Err(Problem::Lost(_)) => tokio::time::sleep(Duration::from_millis(2 << attempt)).await,
                _ => break,
            }
        }
        let outcome = outcome.map_err(Problem::into_error);
        if let Ok(delivered) = &outcome {
            running.changed(delivered.rows);
        }
        engine.recorder.end(&running, outcome.as_ref().err());
        outcome
    }

    async fn history_ends(&self, definition: &DeliveryDefinition, topic: Uuid) -> Result<Vec<DeliveryOffset>> {
        let engine = self.shared()?;
        let Some(name) = definition.target.history().map(name_of) else { return Ok(Vec::new()) };
        if self.lake.newest().await?.table(&name).is_none() {
            return Ok(Vec::new());
        }
        let sql = history::ends_of(&name, topic);
        let session = engine.own_session(&definition.owner);
        let running = engine.recorder.unrecorded(QueryId::new(), session.caller(), &sql);
        let mut attempt = Attempt::begin(&engine, &session, &running).await?;
        let batches = attempt.query(&sql).await;
        attempt.run("ROLLBACK").await?;
        let mut ends = Vec::new();
        for batch in batches? {
            let (partitions, next) = (integers(&batch, "partition")?, integers(&batch, "next")?);
            for (partition, next) in partitions.values().iter().zip(next.values()) {
                let partition = i32::try_from(*partition).map_err(|_| Error::internal("no partition's number"))?;
                ends.push(DeliveryOffset { topic, partition, next: *next });
            }
        }
        Ok(ends)
    }

    async fn transform(&self, call: TransformCall<'_>, records: RecordBatch) -> Result<Vec<RecordBatch>> {
        let engine = self.shared()?;
        let session = engine.own_session(call.owner);
        let text = format!("DELIVERY: {} records of topic {} transformed", records.num_rows(), call.topic);
        let running = engine.recorder.unrecorded(QueryId::new(), session.caller(), &text);
        let mut attempt = Attempt::begin(&engine, &session, &running).await?;
        let found = attempt.transform_only(call.topic, call.sql, &records).await;
        attempt.run("ROLLBACK").await?;
        found
    }

    async fn rejected(
        &self,
        definition: &DeliveryDefinition,
        before: DateTime<Utc>,
        after: Option<&RejectedKey>,
        records_max: u32,
        bytes_max: u64,
    ) -> Result<Vec<RejectedRecord>> {
        let engine = self.shared()?;
        let name = name_of(&definition.errors_table());
        let newest = self.lake.newest().await?;
        let Some(table) = newest.table(&name) else { return Ok(Vec::new()) };
        let headers = if has_headers(table) { ", headers" } else { "" };
        let behind = after.map_or_else(String::new, |key| {
            let (at, topic) = (time_literal(key.at), literal(&key.topic));
            let (partition, offset) = (key.partition, key.offset);
            format!(
                " AND (at > {at} OR (at = {at} AND (topic > {topic} OR (topic = {topic} AND (partition > {partition} \
                 OR (partition = {partition} AND \"offset\" > {offset}))))))"
            )
        });
        let sql = format!(
            "SELECT topic, partition, \"offset\", timestamp, key, value, reason, at{headers} FROM {} WHERE delivery = {} \
             AND at < {}{behind} ORDER BY at, topic, partition, \"offset\" LIMIT {records_max}",
            full(&name),
            literal(&definition.name),
            time_literal(before),
        );
        let session = engine.own_session(&definition.owner);
        let running = engine.recorder.unrecorded(QueryId::new(), session.caller(), &sql);
        let mut attempt = Attempt::begin(&engine, &session, &running).await?;
        let batches = attempt.query(&sql).await;
        attempt.run("ROLLBACK").await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for batch in batches? {
            for record in records_of(&batch)? {
                bytes += record.key.as_ref().map_or(0, Bytes::len) as u64;
                bytes += record.value.as_ref().map_or(0, Bytes::len) as u64;
                if bytes > bytes_max && !found.is_empty() {
                    return Ok(found);
                }
                found.push(record);
            }
        }
        Ok(found)
    }
}

/// Why a try came to nothing.
enum Problem {
    /// Somebody else's commit came first, and another try may succeed.
    Lost(Error),
    Final(Error),
}

impl Problem {
    fn into_error(self) -> Error {
        match self {
            Self::Lost(error) | Self::Final(error) => error,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        if error.kind() == ErrorKind::Conflict { Self::Lost(error) } else { Self::Final(error) }
    }
}

impl Engine {
    fn own_session(self: &Arc<Self>, owner: &str) -> Session {
        Session::new(Arc::downgrade(self), Caller::new(owner, VIA))
    }

    async fn deliver_once(
        self: &Arc<Self>,
        session: &Session,
        running: &Arc<crate::record::Running>,
        write: &DeliveryWrite,
        records: Option<&RecordBatch>,
    ) -> Result<Delivered, Problem> {
        self.check_offsets(write.delivery, &write.offsets).await.map_err(Problem::Final)?;
        let mut attempt = Attempt::begin(self, session, running).await?;
        let written = self.write_all(&mut attempt, write, records).await;
        match written {
            Ok(delivered) => {
                attempt.run("COMMIT").await?;
                Ok(delivered)
            }
            Err(problem) => {
                // What is wrong is told already.
                let _ = attempt.run("ROLLBACK").await;
                Err(problem)
            }
        }
    }

    async fn write_all(
        &self,
        attempt: &mut Attempt<'_>,
        write: &DeliveryWrite,
        records: Option<&RecordBatch>,
    ) -> Result<Delivered, Problem> {
        let errors = name_of(&write.errors_into);
        if !write.redriven.is_empty() {
            attempt.take_rejected(&errors, &write.name, &write.redriven).await.map_err(Problem::Final)?;
        }
        let mut made = Made::default();
        if let (Some(target), Some(records)) = (&write.target, records) {
            let name = name_of(target);
            let into = Into {
                table: &name,
                partition_by: &write.partition_by,
                transform: write.transform.as_deref(),
                topic: &write.topic,
            };
            made = match write.history {
                Some(topic) => attempt.keep(&into, topic, records).await?,
                None => attempt.deliver(&into, records).await?,
            };
        }
        let mut rejected = write.rejected.clone();
        if let Some(records) = records {
            rejected.extend(rejected_of(records, &made, write)?);
        }
        if !rejected.is_empty() {
            attempt.make_rejected(&errors).await?;
            let headers =
                attempt.table(&errors).await.map_err(Problem::Final)?.is_some_and(|table| has_headers(&table));
            attempt.insert(&errors, rejected_batch(&write.name, &rejected, headers)?).await?;
        }
        let steps = write.offsets.iter().map(|step| {
            let OffsetStep { topic, partition, before, after } = *step;
            Stored::step_write(write.delivery, before, DeliveredTo { topic, partition, next: after }, write.now)
        });
        attempt.attach(steps.collect()).await?;
        Ok(Delivered {
            rows: made.rows,
            rejected: made.refused.len() as u64,
            made_table: made.table,
            new_columns: made.columns,
        })
    }

    /// # Errors
    /// `Conflict` when an offset is not where a step begins.
    async fn check_offsets(&self, delivery: Uuid, steps: &[OffsetStep]) -> Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        let stored = self.offsets(delivery).await?;
        for step in steps {
            let found = stored.iter().find(|offset| offset.topic == step.topic && offset.partition == step.partition);
            if found.map(|offset| offset.next) != step.before {
                return Err(Error::conflict(format!(
                    "the delivery's place in partition {} is {:?} and not {:?}",
                    step.partition,
                    found.map(|offset| offset.next),
                    step.before
                )));
            }
        }
        Ok(())
    }
}

impl Attempt<'_> {
    async fn make_rejected(&mut self, table: &TableName) -> Result<()> {
        self.run(&format!("CREATE TABLE IF NOT EXISTS {} ({REJECTED})", full(table))).await.map(|_| ())
    }

    /// Takes records out of the rejected ones.
    ///
    /// # Errors
    /// `Conflict` when one is not there.
    async fn take_rejected(&mut self, table: &TableName, delivery: &str, keys: &[RejectedKey]) -> Result<()> {
        let rows = keys.iter().map(|key| {
            let (topic, at) = (literal(&key.topic), time_literal(key.at));
            format!("({topic}, {}, {}::bigint, {at})", key.partition, key.offset)
        });
        let rows = rows.collect::<Vec<_>>().join(", ");
        let sql = format!(
            "DELETE FROM {} AS kept USING (VALUES {rows}) AS gone (topic, partition, place, at) \
             WHERE kept.delivery = {} AND kept.topic = gone.topic AND kept.partition = gone.partition \
             AND kept.\"offset\" = gone.place AND kept.at = gone.at",
            full(table),
            literal(delivery)
        );
        let gone = self.run(&sql).await?;
        if gone == keys.len() as u64 {
            return Ok(());
        }
        Err(Error::conflict(format!("{gone} of {} rejected records are in {table}", keys.len())))
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::internal(format!("records have no column {name}")))
}

fn binary(batch: &RecordBatch, name: &str) -> Result<BinaryArray> {
    let column = cast(column(batch, name)?, &DataType::Binary).map_err(internal)?;
    Ok(column.as_binary::<i32>().clone())
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Int64Array> {
    let column = cast(column(batch, name)?, &DataType::Int64).map_err(internal)?;
    Ok(column.as_primitive::<Int64Type>().clone())
}

fn micros(batch: &RecordBatch, name: &str) -> Result<TimestampMicrosecondArray> {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let column = cast(column(batch, name)?, &utc).map_err(internal)?;
    Ok(column.as_primitive::<TimestampMicrosecondType>().clone())
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = cast(column(batch, name)?, &DataType::Utf8).map_err(internal)?;
    Ok(column.as_string::<i32>().clone())
}

fn word(array: &StringArray, row: usize) -> Option<String> {
    use arrow::array::Array;
    array.is_valid(row).then(|| array.value(row).to_owned())
}

/// Tables of rejected records that were made before records' headers were kept have no column for them.
fn has_headers(table: &TableState) -> bool {
    table.top_columns().any(|column| column.name == "headers")
}

fn cell(array: &BinaryArray, row: usize) -> Option<Bytes> {
    use arrow::array::Array;
    array.is_valid(row).then(|| Bytes::copy_from_slice(array.value(row)))
}

/// The records that a write has refused.
fn rejected_of(records: &RecordBatch, made: &Made, write: &DeliveryWrite) -> Result<Vec<RejectedRecord>> {
    if made.refused.is_empty() {
        return Ok(Vec::new());
    }
    let partitions = cast(column(records, "partition")?, &DataType::Int32).map_err(internal)?;
    let partitions = partitions.as_primitive::<Int32Type>();
    let (offsets, times) = (integers(records, "offset")?, micros(records, "timestamp")?);
    let (keys, values) = (binary(records, "key_bytes")?, binary(records, "value_bytes")?);
    let headers = texts(records, "headers")?;
    let record = |(row, reason): (&usize, &String)| RejectedRecord {
        topic: write.topic.clone(),
        partition: partitions.value(*row),
        offset: offsets.value(*row),
        timestamp: times.value(*row).div_euclid(1_000),
        key: cell(&keys, *row),
        value: cell(&values, *row),
        headers: word(&headers, *row),
        reason: reason.clone(),
        at: write.now,
    };
    Ok(made.refused.iter().map(record).collect())
}

/// Rejected records as rows of their table.
fn rejected_batch(delivery: &str, records: &[RejectedRecord], headers: bool) -> Result<RecordBatch> {
    let times = TimestampMillisecondArray::from_iter_values(records.iter().map(|record| record.timestamp));
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let times = cast(&times.with_timezone("UTC"), &utc).map_err(internal)?;
    let at = records.iter().map(|record| record.at.timestamp_micros());
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("delivery", repeated(delivery, records.len())),
        ("topic", Arc::new(StringArray::from_iter_values(records.iter().map(|record| &record.topic)))),
        ("partition", Arc::new(Int32Array::from_iter_values(records.iter().map(|record| record.partition)))),
        ("offset", Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.offset)))),
        ("timestamp", times),
        ("key", Arc::new(records.iter().map(|record| record.key.as_deref()).collect::<BinaryArray>())),
        ("value", Arc::new(records.iter().map(|record| record.value.as_deref()).collect::<BinaryArray>())),
        ("reason", Arc::new(StringArray::from_iter_values(records.iter().map(|record| &record.reason)))),
        ("at", Arc::new(TimestampMicrosecondArray::from_iter_values(at).with_timezone("UTC"))),
    ];
    if headers {
        let all = records.iter().map(|record| record.headers.as_deref()).collect::<StringArray>();
        columns.push(("headers", Arc::new(all)));
    }
    RecordBatch::try_from_iter(columns).map_err(internal)
}

fn records_of(batch: &RecordBatch) -> Result<Vec<RejectedRecord>> {
    let (topics, reasons) = (texts(batch, "topic")?, texts(batch, "reason")?);
    let headers = batch.column_by_name("headers").map(|_| texts(batch, "headers")).transpose()?;
    let (partitions, offsets) = (integers(batch, "partition")?, integers(batch, "offset")?);
    let (times, at) = (micros(batch, "timestamp")?, micros(batch, "at")?);
    let (keys, values) = (binary(batch, "key")?, binary(batch, "value")?);
    let mut records = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let at = DateTime::from_timestamp_micros(at.value(row));
        records.push(RejectedRecord {
            topic: topics.value(row).to_owned(),
            partition: i32::try_from(partitions.value(row)).map_err(|_| Error::internal("no partition's number"))?,
            offset: offsets.value(row),
            timestamp: times.value(row).div_euclid(1_000),
            key: cell(&keys, row),
            value: cell(&values, row),
            headers: headers.as_ref().and_then(|headers| word(headers, row)),
            reason: reasons.value(row).to_owned(),
            at: at.ok_or_else(|| Error::internal("a time out of range"))?,
        });
    }
    Ok(records)
}
