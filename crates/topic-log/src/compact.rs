//! Compaction: of each key, the last record stays.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use crate::batch::{BatchHeader, HEADER_BYTES, batches, refill};
use crate::codec;
use crate::record;
use crate::room::{self, Opened};
use crate::view::Aborted;

/// Keys that one round remembers, about 100 MB.
const KEYS_MAX: usize = 2_000_000;

/// The last offset of each key. Keys are known by 128 bits of a hash: two of a billion keys meet with a chance of one in
/// 10^20.
#[derive(Debug, Default)]
pub(crate) struct Keys(HashMap<u128, i64>);

impl Keys {
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= KEYS_MAX
    }

    /// Learns the keys of a frame. What was aborted hides nothing.
    pub(crate) fn learn(&mut self, payload: &[u8], aborted: &[Aborted]) {
        for (header, batch) in batches(payload) {
            if header.is_control() || is_aborted(&header, aborted) {
                continue;
            }
            let Some(records) = unpack(&header, batch) else { continue };
            for record in record::all(&records, header.count).into_iter().flatten() {
                if let Some(key) = record.key {
                    let offset = header.base_offset + i64::from(record.offset_delta);
                    let last = self.0.entry(xxh3_128(key)).or_insert(offset);
                    *last = offset.max(*last);
                }
            }
        }
    }

    fn last(&self, key: &[u8]) -> Option<i64> {
        self.0.get(&xxh3_128(key)).copied()
    }
}

/// What may go.
#[derive(Debug)]
pub(crate) struct Rule<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) aborted: &'a [Aborted],
    /// Tombstones below this offset that are older than this time have been seen by everybody.
    pub(crate) tombstones: Option<(i64, i64)>,
    /// The last record of the partition's part stays, so that who reads there finds something to go on from.
    pub(crate) last_offset: i64,
}

impl Rule<'_> {
    /// What stays of a frame: whole batches, rewritten where some of their records go.
    pub(crate) fn keep(&self, payload: &[u8]) -> Vec<u8> {
        let mut kept = Vec::with_capacity(payload.len());
        for (header, batch) in batches(payload) {
            self.keep_of(&header, batch, &mut kept);
        }
        kept
    }

    fn keep_of(&self, header: &BatchHeader, batch: &[u8], to: &mut Vec<u8>) {
        if header.is_control() {
            // Readers need the ends of transactions as long as aborted ones are listed.
            to.extend_from_slice(batch);
            return;
        }
        let is_last = header.last_offset() >= self.last_offset;
        let unpacked = unpack(header, batch);
        let records = unpacked.as_ref().and_then(|records| record::all(records, header.count));
        let Some(records) = records else {
            // What cannot be read is not judged.
            to.extend_from_slice(batch);
            return;
        };
        let aborted = is_aborted(header, self.aborted);
        let (mut stay, mut count, mut newest) = (Vec::new(), 0, i64::MIN);
        for record in records {
            let offset = header.base_offset + i64::from(record.offset_delta);
            let holds = is_last && offset >= self.last_offset;
            if holds || (!aborted && self.stays(header, &record, offset)) {
                stay.extend_from_slice(record.bytes);
                count += 1;
                newest = newest.max(record.time(header));
            }
        }
        if count == header.count {
            to.extend_from_slice(batch);
        } else if count > 0 {
            match codec::compress(header.compression(), &stay) {
                Ok(packed) => refill(batch, &packed, count, newest, to),
                Err(error) => {
                    tracing::warn!(%error, "a batch is not compacted");
                    to.extend_from_slice(batch);
                }
            }
        }
    }

    fn stays(&self, header: &BatchHeader, record: &record::Record<'_>, offset: i64) -> bool {
        let Some(key) = record.key else { return true };
        if self.keys.last(key).is_some_and(|last| last > offset) {
            return false;
        }
        let timestamp = record.time(header);
        let seen = self.tombstones.is_some_and(|(below, before)| offset < below && timestamp < before);
        record.value.is_some() || !seen
    }
}

/// The records of a batch; `None` if they cannot be unpacked. Waits for room for them.
pub(crate) fn unpack<'a>(header: &BatchHeader, batch: &'a [u8]) -> Option<Opened<'a>> {
    room::open(header.compression(), batch.get(HEADER_BYTES..)?).ok()
}

fn is_aborted(header: &BatchHeader, aborted: &[Aborted]) -> bool {
    header.is_transactional()
        && aborted.iter().any(|one| {
            one.producer_id == header.producer_id && (one.first_offset..one.last_offset).contains(&header.base_offset)
        })
}
