//! Record batches of Kafka's format, version 2: what their headers say, whether it is true, and the few bytes that the log
//! sets. Layout: <https://kafka.apache.org/documentation/#recordbatch>.

use crate::entry::Refusal;
use crate::record;
use crate::varint::Varints;

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: usize = 61;
/// Bytes that the length does not count: base offset and the length itself.
pub(crate) const UNCOUNTED_BYTES: usize = 12;
/// Where what the checksum covers begins.
const CHECKED_FROM: usize = 21;
const COMPRESSION: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 0b1000;
pub(crate) const TRANSACTIONAL: i16 = 0b1_0000;
const CONTROL: i16 = 0b10_0000;

/// A batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: i64,
    /// All bytes, the header included.
    pub bytes: usize,
    pub attributes: i16,
    /// From the base offset to that of the last record that the batch was written with, which may be compacted away.
    pub last_offset_delta: i32,
    /// Milliseconds since 1970, as all times are.
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    /// -1: none.
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    /// Records that are in the batch; fewer than its offsets where it was compacted.
    pub count: i32,
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

impl BatchHeader {
    /// The first batch in these bytes; `None` if they do not hold the whole of it, or another version.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let length = i32::from_be_bytes(take(bytes, 8)?);
        let length = usize::try_from(length).ok()?.checked_add(UNCOUNTED_BYTES)?;
        if length < HEADER_BYTES || length > bytes.len() || bytes.get(16) != Some(&2) {
            return None;
        }
        Some(Self {
            base_offset: i64::from_be_bytes(take(bytes, 0)?),
            bytes: length,
            attributes: i16::from_be_bytes(take(bytes, 21)?),
            last_offset_delta: i32::from_be_bytes(take(bytes, 23)?),
            base_timestamp: i64::from_be_bytes(take(bytes, 27)?),
            max_timestamp: i64::from_be_bytes(take(bytes, 35)?),
            producer_id: i64::from_be_bytes(take(bytes, 43)?),
            producer_epoch: i16::from_be_bytes(take(bytes, 51)?),
            base_sequence: i32::from_be_bytes(take(bytes, 53)?),
            count: i32::from_be_bytes(take(bytes, 57)?),
        })
    }

    pub(crate) fn compression(&self) -> i16 {
        self.attributes & COMPRESSION
    }

    /// Whether all records have the time of their append, [`BatchHeader::max_timestamp`].
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// Whether it is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether its record is a marker of the log, such as the end of a transaction, and nobody's data.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The last offset that it takes, whether a record is still there or not.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Sequence numbers go around at the largest `i32`.
    pub(crate) fn last_sequence(&self) -> i32 {
        sequence_after(self.base_sequence, self.last_offset_delta)
    }
}

/// The sequence number `by` behind another one.
pub(crate) fn sequence_after(sequence: i32, by: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(by);
    i32::try_from(sum % (i64::from(i32::MAX) + 1)).unwrap_or(0)
}

/// The batches in these bytes, which are whole batches: those of a frame, or what [`check`] has passed.
pub(crate) fn batches(mut bytes: &[u8]) -> impl Iterator<Item = (BatchHeader, &[u8])> {
    std::iter::from_fn(move || {
        let header = BatchHeader::read(bytes)?;
        let (batch, rest) = bytes.split_at_checked(header.bytes)?;
        bytes = rest;
        Some((header, batch))
    })
}

/// Checks what a client has sent: lengths, checksum, counts, and the records where they are not compressed.
pub(crate) fn check(bytes: &[u8]) -> Result<Vec<BatchHeader>, Refusal> {
    let corrupt = |why: &str| Refusal::CorruptBatch(why.to_owned());
    let mut headers = Vec::with_capacity(1);
    let mut rest = bytes;
    while !rest.is_empty() {
        if matches!(rest.get(16), Some(0 | 1)) {
            return Err(Refusal::UnsupportedFormat);
        }
        let header =
            BatchHeader::read(rest).ok_or_else(|| corrupt("its length is not that of a batch of version 2"))?;
        let (batch, behind) = rest.split_at_checked(header.bytes).ok_or_else(|| corrupt("it is cut short"))?;
        check_one(&header, batch)?;
        headers.push(header);
        rest = behind;
    }
    if headers.is_empty() {
        return Err(corrupt("there is none"));
    }
    Ok(headers)
}

fn check_one(header: &BatchHeader, batch: &[u8]) -> Result<(), Refusal> {
    let corrupt = |why: &str| Err(Refusal::CorruptBatch(why.to_owned()));
    let invalid = |why: &str| Err(Refusal::InvalidRecord(why.to_owned()));
    let Some(stored) = take(batch, 17).map(u32::from_be_bytes) else { return corrupt("it is cut short") };
    if crc32c::crc32c(batch.get(CHECKED_FROM..).unwrap_or_default()) != stored {
        return corrupt("its checksum is another one");
    }
    if header.count <= 0 || header.last_offset_delta != header.count - 1 {
        return corrupt("its number of records is not that of its offsets");
    }
    if header.compression() > 4 {
        return corrupt("its compression is not known");
    }
    if header.is_control() {
        return invalid("control batches are not for clients to write");
    }
    if header.is_log_append_time() {
        return invalid("its timestamps claim to be the log's own");
    }
    let idempotent = header.producer_id >= 0;
    if idempotent && (header.producer_epoch < 0 || header.base_sequence < 0) {
        return invalid("a producer with an id has an epoch and sequence numbers");
    }
    if header.is_transactional() && !idempotent {
        return invalid("a transaction belongs to a producer with an id");
    }
    if header.compression() == 0 {
        return record::check(batch.get(HEADER_BYTES..).unwrap_or_default(), header.count);
    }
    Ok(())
}

/// Sets what the log gives to a batch: its base offset and, when told, the time of its append, with the checksum.
pub(crate) fn settle(batch: &mut [u8], base_offset: i64, append_time: Option<i64>) {
    put(batch, 0, base_offset.to_be_bytes());
    // The leader's epoch: there is one node, and so one epoch.
    put(batch, 12, 0_i32.to_be_bytes());
    if let (Some(time), Some(attributes)) = (append_time, take(batch, 21).map(i16::from_be_bytes)) {
        put(batch, 21, (attributes | LOG_APPEND_TIME).to_be_bytes());
        put(batch, 35, time.to_be_bytes());
        seal(batch);
    }
}

/// Writes the checksum that a changed batch has.
pub(crate) fn seal(batch: &mut [u8]) {
    let sum = crc32c::crc32c(batch.get(CHECKED_FROM..).unwrap_or_default());
    put(batch, 17, sum.to_be_bytes());
}

pub(crate) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

/// The end of a transaction, as a batch of one control record.
pub(crate) struct EndOfTransaction {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) commit: bool,
    pub(crate) timestamp: i64,
}

impl EndOfTransaction {
    pub(crate) fn write(&self) -> Vec<u8> {
        // Length, attributes, differences of time and offset, key (version 0, type), value (version 0, epoch), no headers.
        let mut record = vec![0_u8, 0, 0, 8, 0, 0, 0, u8::from(self.commit), 12, 0, 0];
        record.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        record.push(0);
        let mut batch = vec![0_u8; HEADER_BYTES];
        batch.push(u8::try_from(record.len() * 2).unwrap_or(0));
        batch.extend_from_slice(&record);
        let length = i32::try_from(batch.len() - UNCOUNTED_BYTES).unwrap_or(0);
        put(&mut batch, 8, length.to_be_bytes());
        put(&mut batch, 16, [2]);
        put(&mut batch, 21, (TRANSACTIONAL | CONTROL).to_be_bytes());
        put(&mut batch, 27, self.timestamp.to_be_bytes());
        put(&mut batch, 35, self.timestamp.to_be_bytes());
        put(&mut batch, 43, self.producer_id.to_be_bytes());
        put(&mut batch, 51, self.producer_epoch.to_be_bytes());
        put(&mut batch, 53, (-1_i32).to_be_bytes());
        put(&mut batch, 57, 1_i32.to_be_bytes());
        seal(&mut batch);
        batch
    }

    /// Whether a control batch commits; `None` if it is no end of a transaction.
    pub(crate) fn commits(control: &[u8]) -> Option<bool> {
        let mut record = Varints(control.get(HEADER_BYTES..)?);
        record.int()?;
        record.0 = record.0.get(1..)?;
        record.long()?;
        record.int()?;
        let key_bytes = usize::try_from(record.int()?).ok()?;
        let key = record.0.get(..key_bytes)?;
        match i16::from_be_bytes(take(key, 2)?) {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// The same batch with its records packed in another way. It gets its checksum.
pub(crate) fn repack(batch: &[u8], packed: &[u8], compression: i16, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(batch.get(..HEADER_BYTES).unwrap_or_default());
    to.extend_from_slice(packed);
    let filled = to.get_mut(start..).unwrap_or_default();
    let length = i32::try_from(filled.len() - UNCOUNTED_BYTES).unwrap_or(i32::MAX);
    put(filled, 8, length.to_be_bytes());
    if let Some(attributes) = take(filled, 21).map(i16::from_be_bytes) {
        put(filled, 21, (attributes & !COMPRESSION | compression).to_be_bytes());
    }
    seal(filled);
}

/// A batch with some of its records in it, packed as they were, of which the latest time is told. Its offsets stay what they
/// are.
pub(crate) fn refill(batch: &[u8], packed: &[u8], count: i32, max_timestamp: i64, to: &mut Vec<u8>) {
    let start = to.len();
    to.extend_from_slice(batch.get(..HEADER_BYTES).unwrap_or_default());
    to.extend_from_slice(packed);
    let filled = to.get_mut(start..).unwrap_or_default();
    let length = i32::try_from(filled.len() - UNCOUNTED_BYTES).unwrap_or(i32::MAX);
    put(filled, 8, length.to_be_bytes());
    put(filled, 35, max_timestamp.to_be_bytes());
    put(filled, 57, count.to_be_bytes());
    seal(filled);
}
