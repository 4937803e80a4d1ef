//! How much may go through a shard that is not on demand.

use std::collections::HashMap;

use parking_lot::Mutex;
use uuid::Uuid;

/// Bytes in a second into a shard.
const IN_BYTES: i64 = 1 << 20;
/// Records in a second into a shard.
const IN_RECORDS: i64 = 1_000;
/// Bytes in a second out of a shard, for all who share it.
const OUT_BYTES: i64 = 2 << 20;

/// After this time without use a shard is as new.
const IDLE_MS: i64 = 10_000;

/// Counters are looked through for idle ones when there are so many.
const COUNTERS_MAX: usize = 10_000;

/// What may go through at once; below 0 is what has gone through too early.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: i64,
    at_ms: i64,
}

impl Bucket {
    const fn full(per_second: i64, now_ms: i64) -> Self {
        Self { left: per_second, at_ms: now_ms }
    }

    fn fill(&mut self, per_second: i64, now_ms: i64) {
        let passed = now_ms.saturating_sub(self.at_ms).clamp(0, IDLE_MS);
        let more = passed * per_second / 1_000;
        if more > 0 || passed == 0 {
            self.left = (self.left + more).min(per_second);
            self.at_ms = self.at_ms.max(now_ms);
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Counter {
    in_bytes: Bucket,
    in_records: Bucket,
    out_bytes: Bucket,
}

impl Counter {
    const fn new(now_ms: i64) -> Self {
        Self {
            in_bytes: Bucket::full(IN_BYTES, now_ms),
            in_records: Bucket::full(IN_RECORDS, now_ms),
            out_bytes: Bucket::full(OUT_BYTES, now_ms),
        }
    }

    fn fill(&mut self, now_ms: i64) {
        self.in_bytes.fill(IN_BYTES, now_ms);
        self.in_records.fill(IN_RECORDS, now_ms);
        self.out_bytes.fill(OUT_BYTES, now_ms);
    }
}

/// The counters of all shards that are in use.
#[derive(Debug, Default)]
pub struct Limits(Mutex<HashMap<(Uuid, u32), Counter>>);

impl Limits {
    fn with<T>(&self, shard: (Uuid, u32), now_ms: i64, act: impl FnOnce(&mut Counter) -> T) -> T {
        let mut all = self.0.lock();
        if all.len() >= COUNTERS_MAX {
            all.retain(|_, counter| now_ms.saturating_sub(counter.in_bytes.at_ms) < IDLE_MS);
        }
        let counter = all.entry(shard).or_insert_with(|| Counter::new(now_ms));
        counter.fill(now_ms);
        act(counter)
    }

    /// Whether a record may go in. One that is larger than what may go in in a second goes in when nothing has for so long.
    pub fn may_put(&self, shard: (Uuid, u32), bytes: usize, now_ms: i64) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.with(shard, now_ms, |counter| {
            let may = counter.in_records.left >= 1 && counter.in_bytes.left >= bytes.min(IN_BYTES);
            if may {
                counter.in_records.left -= 1;
                counter.in_bytes.left -= bytes;
            }
            may
        })
    }

    /// Whether anything may be read now. What is read is counted afterwards.
    pub fn may_read(&self, shard: (Uuid, u32), now_ms: i64) -> bool {
        self.with(shard, now_ms, |counter| counter.out_bytes.left > 0)
    }

    pub fn has_read(&self, shard: (Uuid, u32), bytes: usize, now_ms: i64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.with(shard, now_ms, |counter| counter.out_bytes.left -= bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_waits_for_its_second() {
        let limits = Limits::default();
        let shard = (Uuid::nil(), 0);
        let put = |bytes, now_ms| limits.may_put(shard, bytes, now_ms);
        assert!(put(600_000, 0) && !put(600_000, 10) && put(400_000, 20));
        assert!(!put(600_000, 300) && put(600_000, 700));
        // Another shard has limits of its own.
        assert!(limits.may_put((Uuid::nil(), 1), 600_000, 700));
        // A record above the limit takes the time of several.
        assert!(put(4 << 20, 5_000) && !put(1, 7_000) && put(1, 9_000));
        assert_eq!((0..2_000).filter(|_| put(0, 20_000)).count(), 1_000);
        assert!(limits.may_read(shard, 20_000));
        limits.has_read(shard, 5 << 20, 20_000);
        assert!(!limits.may_read(shard, 21_000) && limits.may_read(shard, 22_000));
    }
}
