//! A lot that is being gathered.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, GenericByteViewArray, RecordBatch};
use arrow::datatypes::{BinaryViewType, ByteViewType, Int64Type, StringViewType, TimestampMicrosecondType};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use polder_capability::deliveries::{DeliveryOffset, OffsetStep, RejectedRecord};
use polder_capability::topics::columns;
use uuid::Uuid;

/// What a record takes in memory beside its values: three numbers, and a view for each of five values.
const ROW_BYTES: u64 = 100;
/// What a lot may take in memory, in times of its bytes: at least [`HELD_BYTES_MIN`], and no more than [`HELD_BYTES_MAX`], or its
/// bytes if they are more.
const HELD_FACTOR: u64 = 4;
const HELD_BYTES_MIN: u64 = 64 << 20;
const HELD_BYTES_MAX: u64 = 256 << 20;

/// Records that have been read and not delivered, and how far each partition was read with them.
#[derive(Debug)]
pub(crate) struct Lot {
    topic: Uuid,
    /// Where the delivery goes on, as it is stored.
    stored: BTreeMap<i32, i64>,
    /// Where reading goes on.
    next: BTreeMap<i32, i64>,
    pub records: Vec<RecordBatch>,
    /// Records that could not be read, by their batches.
    pub rejected: Vec<RejectedRecord>,
    /// Of keys and values.
    pub bytes: u64,
    /// All that they take in memory, about: headers, what texts are made of values, and the places of the records count too.
    held: u64,
    /// Since when its records may have waited: the look before the one that read the first of them had found all that there was.
    /// So what came while the lot before was on its way has waited all that time.
    pub since: Option<DateTime<Utc>>,
    /// When the topic was last looked at, and the time before.
    looked: Option<DateTime<Utc>>,
    looked_before: Option<DateTime<Utc>>,
    /// The time of the oldest, in milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

impl Lot {
    /// Nothing yet, behind what is stored of a topic.
    pub fn new(topic: Uuid, stored: &[DeliveryOffset]) -> Self {
        let own = stored.iter().filter(|offset| offset.topic == topic);
        let stored: BTreeMap<i32, i64> = own.map(|offset| (offset.partition, offset.next)).collect();
        let next = stored.clone();
        Self {
            topic,
            stored,
            next,
            records: Vec::new(),
            rejected: Vec::new(),
            bytes: 0,
            held: 0,
            since: None,
            looked: None,
            looked_before: None,
            oldest_ms: None,
        }
    }

    /// Notes that the topic is looked at now, for what has come since it was looked at before.
    pub fn looks(&mut self, now: DateTime<Utc>) {
        self.looked_before = self.looked.replace(now);
    }

    /// Whether it is to be delivered, however short it has waited: its keys and values reach so many bytes, or it takes several
    /// times as much in memory. Little that is sent may unpack to much that is neither key nor value.
    pub fn is_full(&self, bytes: u64) -> bool {
        self.bytes >= bytes
            || self.held >= bytes.saturating_mul(HELD_FACTOR).clamp(HELD_BYTES_MIN, HELD_BYTES_MAX).max(bytes)
    }

    /// Where reading goes on in a partition; `None`: at its beginning.
    pub fn next(&self, partition: i32) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    pub fn count(&self) -> u64 {
        self.records.iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// Takes records in, all of one partition and in order.
    pub fn take(&mut self, partition: i32, batch: RecordBatch, now: DateTime<Utc>) {
        if batch.num_rows() == 0 {
            return;
        }
        let offsets = batch.column(columns::OFFSET).as_primitive::<Int64Type>();
        self.next.insert(partition, offsets.value(batch.num_rows() - 1) + 1);
        let own = values::<BinaryViewType>(&batch, &[columns::KEY_BYTES, columns::VALUE_BYTES]);
        let texts = values::<StringViewType>(&batch, &[columns::KEY, columns::VALUE, columns::HEADERS]);
        self.bytes += own;
        self.held += own + texts + ROW_BYTES * batch.num_rows() as u64;
        self.since.get_or_insert(self.looked_before.unwrap_or(now));
        let times = batch.column(columns::TIMESTAMP).as_primitive::<TimestampMicrosecondType>();
        let oldest = times.iter().flatten().min().map(|time| time.div_euclid(1_000));
        self.oldest_ms = [self.oldest_ms, oldest].into_iter().flatten().min();
        self.records.push(batch);
    }

    /// Takes a batch in that cannot be read.
    pub fn reject(&mut self, record: RejectedRecord, last_offset: i64, now: DateTime<Utc>) {
        self.read_to(record.partition, last_offset.saturating_add(1));
        let bytes = record.value.as_ref().map_or(0, Bytes::len) as u64;
        self.bytes += bytes;
        self.held += bytes;
        self.since.get_or_insert(self.looked_before.unwrap_or(now));
        self.rejected.push(record);
    }

    /// Everything below this offset of a partition is read: what is not among the records was no record, or was aborted.
    pub fn read_to(&mut self, partition: i32, to: i64) {
        let next = self.next.entry(partition).or_insert(to);
        *next = to.max(*next);
    }

    /// How the delivery moves on with this lot.
    pub fn steps(&self) -> Vec<OffsetStep> {
        let moved = self.next.iter().filter(|(partition, next)| self.stored.get(*partition) != Some(*next));
        let step = |(partition, next): (&i32, &i64)| OffsetStep {
            topic: self.topic,
            partition: *partition,
            before: self.stored.get(partition).copied(),
            after: *next,
        };
        moved.map(step).collect()
    }

    /// It has arrived.
    pub fn arrived(&mut self) {
        self.stored = self.next.clone();
        self.records.clear();
        self.rejected.clear();
        (self.bytes, self.held, self.since, self.oldest_ms) = (0, 0, None, None);
    }
}

/// Bytes of the values of some columns. What they share with others counts once for each: a look at memory itself would count a
/// whole block for each batch that has a part of it.
fn values<T: ByteViewType>(batch: &RecordBatch, columns: &[usize]) -> u64 {
    let bytes = |column: &usize| match batch.column(*column).as_any().downcast_ref::<GenericByteViewArray<T>>() {
        Some(values) => values.lengths().map(u64::from).sum::<u64>(),
        None => batch.column(*column).get_array_memory_size() as u64,
    };
    columns.iter().map(bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryViewArray, Int32Array, Int64Array, StringViewArray, TimestampMicrosecondArray};
    use polder_capability::topics::topic_schema;

    use super::*;

    fn batch(partition: i32, offsets: &[i64]) -> RecordBatch {
        batch_with(partition, offsets, Some("{}"), "{}")
    }

    /// Each record has this key and value, and these headers.
    fn batch_with(partition: i32, offsets: &[i64], part: Option<&str>, headers: &str) -> RecordBatch {
        let count = offsets.len();
        let texts = || Arc::new(StringViewArray::from(vec![part; count]));
        let bytes = || Arc::new(BinaryViewArray::from(vec![part.map(str::as_bytes); count]));
        let times = offsets.iter().map(|offset| offset * 1_000_000).collect::<Vec<_>>();
        RecordBatch::try_new(
            topic_schema(),
            vec![
                Arc::new(Int32Array::from(vec![partition; count])),
                Arc::new(Int64Array::from(offsets.to_vec())),
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
                texts(),
                Arc::new(StringViewArray::from(vec![headers; count])),
                texts(),
                bytes(),
                bytes(),
            ],
        )
        .unwrap()
    }

    #[test]
    fn a_lot_moves_on_what_it_has_read_and_nothing_else() {
        let (topic, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let stored = [
            DeliveryOffset { topic, partition: 0, next: 5 },
            DeliveryOffset { topic, partition: 1, next: 7 },
            DeliveryOffset { topic: other, partition: 2, next: 9 },
        ];
        let mut lot = Lot::new(topic, &stored);
        let now = DateTime::UNIX_EPOCH;
        assert_eq!((lot.next(0), lot.next(2)), (Some(5), None));
        lot.take(0, batch(0, &[5, 8]), now);
        lot.take(2, batch(2, &[3]), now);
        lot.read_to(0, 10);
        lot.read_to(1, 7);
        let step = |partition, before, after| OffsetStep { topic, partition, before, after };
        assert_eq!(lot.steps(), [step(0, Some(5), 10), step(2, None, 4)]);
        assert_eq!((lot.count(), lot.bytes, lot.oldest_ms), (3, 12, Some(3_000)));
        lot.arrived();
        assert_eq!((lot.count(), lot.steps().len(), lot.next(2)), (0, 0, Some(4)));
        lot.read_to(1, 8);
        assert_eq!(lot.steps(), [step(1, Some(7), 8)]);
    }

    #[test]
    fn a_lot_is_full_of_what_is_neither_key_nor_value_too() {
        let (topic, now) = (Uuid::from_u128(1), DateTime::UNIX_EPOCH);
        let offsets: Vec<i64> = (0..1000).collect();
        let headers = format!("{{\"h\": \"{}\"}}", "x".repeat(10_000));
        let taken = |part: Option<&str>, headers: &str, buffer: u64| {
            let mut lot = Lot::new(topic, &[]);
            let batch = batch_with(0, &offsets, part, headers);
            let most = (1..2000).find(|_| {
                lot.take(0, batch.clone(), now);
                lot.is_full(buffer)
            });
            let bytes = lot.bytes;
            lot.arrived();
            assert!(!lot.is_full(buffer));
            (most.unwrap(), bytes)
        };
        // Keys and values of 1,000 bytes each: they alone count.
        let part = "x".repeat(1000);
        assert_eq!(taken(Some(&part), "{}", 64 << 20), (34, 68_000_000));
        // Of headers alone, and of nothing at all, there are no more than so many.
        assert_eq!(taken(None, &headers, 1 << 20), (7, 0));
        assert_eq!(taken(None, &headers, 64 << 20), (27, 0));
        assert_eq!(taken(None, "{}", 1 << 20), (658, 0));
    }
}
