//! Where a lot goes: into a table, with its offsets, in one transaction; or out of the house, and the offsets after that.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use polder_capability::deliveries::{
    Delivered, DeliveryTarget, DeliveryWrite, OffsetStep, RejectedKey, RejectedRecord, TransformCall,
};
use polder_capability::topics::{columns, topic_schema};
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::JobDeliveries;
use crate::sinks::{Lot, Refused, Sink};
use crate::stored::Stored;

/// The way of one delivery's lots.
pub(crate) struct Outlet {
    payload: Stored,
    sink: Option<Arc<dyn Sink>>,
    backup: Option<Arc<dyn Sink>>,
}

impl Outlet {
    /// # Errors
    /// `InvalidInput` for a target that contradicts itself or lacks a secret.
    pub fn open(house: &JobDeliveries, payload: Stored) -> Result<Self> {
        let definition = &payload.definition;
        let sink = house.sinks.open(&definition.target, &definition.secrets, house.told(&definition.name))?;
        let open = |backup| house.sinks.open_backup(backup, &definition.secrets);
        let backup = definition.backup.as_ref().map(open).transpose()?;
        Ok(Self { payload, sink, backup })
    }

    /// Delivers records, and moves the delivery on by `steps`; `redriven` are gone from the rejected ones.
    pub async fn deliver(
        &self,
        house: &JobDeliveries,
        batches: Vec<RecordBatch>,
        steps: Vec<OffsetStep>,
        redriven: Vec<RejectedKey>,
        unread: Vec<RejectedRecord>,
    ) -> Result<Delivered> {
        let definition = &self.payload.definition;
        let now = house.now();
        let is_new = redriven.is_empty() && !batches.is_empty();
        let wants_all = is_new && definition.backup.as_ref().is_some_and(|backup| backup.all);
        if let Some(backup) = self.backup.as_ref().filter(|_| wants_all) {
            let records = together(&batches)?;
            backup.deliver(&self.lot(records.clone(), &records)).await?;
        }
        let mut write = DeliveryWrite {
            delivery: self.payload.id,
            name: definition.name.clone(),
            owner: definition.owner.clone(),
            topic: definition.topic.clone(),
            records: Vec::new(),
            transform: None,
            target: None,
            history: None,
            partition_by: Vec::new(),
            rejected: unread,
            errors_into: definition.errors_table(),
            redriven,
            now,
            offsets: steps,
        };
        match (&definition.target, &self.sink) {
            (DeliveryTarget::Table(table), _) => {
                write.records = batches;
                write.transform.clone_from(&definition.transform);
                write.target = Some(table.clone());
                write.partition_by.clone_from(&definition.partition_by);
            }
            (DeliveryTarget::History(table), _) => {
                // A lot that moves nothing on has no records either.
                write.history = write.offsets.first().map(|step| step.topic);
                write.records = batches;
                write.target = Some(table.clone());
                write.partition_by.clone_from(&definition.partition_by);
            }
            (_, Some(sink)) => write.rejected.extend(self.send(house, sink, &together(&batches)?, now).await?),
            (_, None) => return Err(Error::internal("a delivery has no way to its target")),
        }
        let sent = write.rejected.len() as u64;
        let delivered = house.tables()?.deliver(write).await?;
        Ok(Delivered { rejected: delivered.rejected + sent, ..delivered })
    }

    fn lot(&self, rows: RecordBatch, records: &RecordBatch) -> Lot {
        let times = records.column(columns::TIMESTAMP).as_primitive::<TimestampMicrosecondType>();
        let first = times.iter().next().flatten().and_then(DateTime::from_timestamp_micros);
        Lot {
            id: lot_id(self.payload.id, records),
            delivery: self.payload.definition.name.clone(),
            topic: self.payload.definition.topic.clone(),
            time: first.unwrap_or_default(),
            rows,
        }
    }

    /// Sends records out. Gives those that were refused.
    async fn send(
        &self,
        house: &JobDeliveries,
        sink: &Arc<dyn Sink>,
        records: &RecordBatch,
        now: DateTime<Utc>,
    ) -> Result<Vec<RejectedRecord>> {
        let mut refused = Vec::new();
        // Parts of the records that are sent together: where each begins, and how many it has.
        let mut parts = vec![(0, records.num_rows())];
        while let Some((from, count)) = parts.pop().filter(|(_, count)| *count > 0) {
            let part = records.slice(from, count);
            match self.rows(house, &part).await {
                Ok(rows) if rows.num_rows() == 0 => {}
                Ok(rows) => {
                    let answer = sink.deliver(&self.lot(rows.clone(), &part)).await?;
                    if !answer.is_empty() {
                        let of_rows = self.records_of(house, &part, &rows).await?;
                        let refusals = match of_rows.is_empty() {
                            false => of_records(&answer, &of_rows),
                            true => all_records(&answer, count),
                        };
                        refused.extend(
                            refusals.into_iter().map(|one| Refused { row: one.row + from, reason: one.reason }),
                        );
                    }
                }
                Err(error) if error.kind() == ErrorKind::InvalidInput && count == 1 => {
                    refused.push(Refused { row: from, reason: error.described() });
                }
                // One of them is what the transform fails on. The first half is taken next.
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    let half = count / 2;
                    parts.push((from + half, count - half));
                    parts.push((from, half));
                }
                Err(error) => return Err(error),
            }
        }
        let topic = &self.payload.definition.topic;
        let rejected: Vec<_> = refused.into_iter().map(|one| rejected(topic, records, one, now)).collect();
        if !rejected.is_empty() {
            let name = &self.payload.definition.name;
            sink.keep_rejected(name, &rejected).await?;
            if let Some(backup) = &self.backup {
                backup.keep_rejected(name, &rejected).await?;
            }
        }
        Ok(rejected)
    }

    /// What is sent for records: themselves, or what the transform makes of them.
    async fn rows(&self, house: &JobDeliveries, records: &RecordBatch) -> Result<RecordBatch> {
        let definition = &self.payload.definition;
        let Some(sql) = &definition.transform else { return Ok(records.clone()) };
        let call = TransformCall { owner: &definition.owner, topic: &definition.topic, sql };
        together_or(&house.tables()?.transform(call, records.clone()).await?, records)
    }

    /// The record that each row comes from. Empty: that cannot be told.
    async fn records_of(&self, house: &JobDeliveries, records: &RecordBatch, rows: &RecordBatch) -> Result<Vec<usize>> {
        if self.payload.definition.transform.is_none() {
            return Ok((0..rows.num_rows()).collect());
        }
        let mut of_rows = Vec::with_capacity(rows.num_rows());
        for record in 0..records.num_rows() {
            let made = self.rows(house, &records.slice(record, 1)).await?.num_rows();
            of_rows.extend(std::iter::repeat_n(record, made));
        }
        // Groups, for instance, are made of several records.
        Ok(if of_rows.len() == rows.num_rows() { of_rows } else { Vec::new() })
    }
}

/// All records, since none of them may be lost.
fn all_records(refused: &[Refused], count: usize) -> Vec<Refused> {
    let reason = refused.first().map(|one| one.reason.clone()).unwrap_or_default();
    (0..count).map(|row| Refused { row, reason: reason.clone() }).collect()
}

/// The records whose rows were refused, each once.
fn of_records(refused: &[Refused], of_rows: &[usize]) -> Vec<Refused> {
    let mut seen = std::collections::BTreeMap::new();
    for one in refused {
        if let Some(record) = of_rows.get(one.row) {
            seen.entry(*record).or_insert_with(|| one.reason.clone());
        }
    }
    seen.into_iter().map(|(row, reason)| Refused { row, reason }).collect()
}

fn together(batches: &[RecordBatch]) -> Result<RecordBatch> {
    concat_batches(&topic_schema(), batches).map_err(|error| Error::internal("joining records").with_source(error))
}

fn together_or(batches: &[RecordBatch], records: &RecordBatch) -> Result<RecordBatch> {
    match batches.first() {
        None => Ok(records.slice(0, 0)),
        Some(first) => concat_batches(&first.schema(), batches)
            .map_err(|error| Error::internal("joining what a transform gave").with_source(error)),
    }
}

/// The same for the same records: FNV-1a over their places.
fn lot_id(delivery: Uuid, records: &RecordBatch) -> Uuid {
    let mut hash = delivery.as_u128() ^ 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    };
    for partition in records.column(columns::PARTITION).as_primitive::<Int32Type>().values() {
        add(&partition.to_be_bytes());
    }
    for offset in records.column(columns::OFFSET).as_primitive::<Int64Type>().values() {
        add(&offset.to_be_bytes());
    }
    Uuid::from_u128(hash)
}

fn rejected(topic: &str, records: &RecordBatch, refused: Refused, now: DateTime<Utc>) -> RejectedRecord {
    let row = refused.row;
    let bytes = |column: usize| {
        let column = records.column(column).as_binary_view();
        column.is_valid(row).then(|| Bytes::copy_from_slice(column.value(row)))
    };
    let times = records.column(columns::TIMESTAMP).as_primitive::<TimestampMicrosecondType>();
    let headers = records.column(columns::HEADERS).as_string_view();
    RejectedRecord {
        topic: topic.to_owned(),
        partition: records.column(columns::PARTITION).as_primitive::<Int32Type>().value(row),
        offset: records.column(columns::OFFSET).as_primitive::<Int64Type>().value(row),
        timestamp: if times.is_valid(row) { times.value(row) / 1000 } else { -1 },
        key: bytes(columns::KEY_BYTES),
        value: bytes(columns::VALUE_BYTES),
        headers: headers.is_valid(row).then(|| headers.value(row).to_owned()),
        reason: refused.reason,
        at: now,
    }
}
