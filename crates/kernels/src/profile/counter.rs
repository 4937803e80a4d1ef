//! Which values there are and how often: exact while they are few, then a sketch with known bounds.
//!
//! Up to [`VALUES_MAX`] different values are counted exactly. Beyond, the number of different values comes from a
//! HyperLogLog, and the counts from the frequent-items algorithm of Misra and Gries (1982), as Anderson et al. run it
//! ("A High-Performance Algorithm for Identifying Frequent Items in Data Streams", 2017): when the table is full,
//! the median count is taken off every value, and what falls to zero is dropped. It is Space-Saving (Metwally et al.
//! 2005) seen from below (Agarwal et al., "Mergeable Summaries", 2012, section 3) without an eviction a row, and
//! parts merge.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::cardinality::HyperLogLog;

/// Values counted at a time. More would be more exact; this many take about a megabyte a column.
const VALUES_MAX: usize = 10_000;

/// What stands for a value until it is shown: a fixed-width value itself, ordered as the values are, or the place of
/// its first bytes in the arena.
#[derive(Clone, Copy)]
pub(super) struct Key {
    high: i64,
    low: u64,
}

impl Key {
    pub(super) fn fixed(value: i128) -> Self {
        Self { high: (value >> 64) as i64, low: value as u64 }
    }

    pub(super) fn as_fixed(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }
}

#[derive(Clone, Copy)]
struct Entry {
    count: u64,
    key: Key,
}

/// A value with its count; it occurred at least `count` and at most `count + error` times.
pub(super) struct Frequent<'a> {
    pub value: Shown<'a>,
    pub count: u64,
    pub error: u64,
}

pub(super) enum Shown<'a> {
    Fixed(i128),
    Bytes(&'a [u8]),
}

#[derive(Default)]
pub(super) struct Counter {
    entries: HashMap<u64, Entry, BuildHasherDefault<Passed>>,
    arena: Vec<u8>,
    /// True if the keys are places in the arena.
    in_arena: bool,
    /// What was taken off every value: the bound on how often one that is not here occurred.
    taken: u64,
    /// Every hash that went by, once there were too many to keep.
    sketch: Option<HyperLogLog>,
}

impl Counter {
    pub(super) fn add_fixed(&mut self, hash: u64, weight: u64, value: i128) {
        self.seen(hash);
        self.entries.entry(hash).or_insert_with(|| Entry { count: 0, key: Key::fixed(value) }).count += weight;
        self.purge();
    }

    /// `value`: as much of it as will be shown.
    pub(super) fn add_bytes<'a>(&mut self, hash: u64, weight: u64, value: impl FnOnce() -> &'a [u8]) {
        self.seen(hash);
        self.in_arena = true;
        let arena = &mut self.arena;
        let entry = self.entries.entry(hash).or_insert_with(|| Entry { count: 0, key: store(arena, value()) });
        entry.count += weight;
        self.purge();
    }

    fn seen(&mut self, hash: u64) {
        if let Some(sketch) = &mut self.sketch {
            sketch.add(hash);
        }
    }

    fn purge(&mut self) {
        if self.entries.len() <= VALUES_MAX {
            return;
        }
        if self.sketch.is_none() {
            self.sketch = Some(self.sketched());
        }
        let mut counts: Vec<u64> = self.entries.values().map(|entry| entry.count).collect();
        let middle = counts.len() / 2;
        let (_, median, _) = counts.select_nth_unstable(middle);
        let median = *median;
        self.taken += median;
        self.entries.retain(|_, entry| {
            entry.count = entry.count.saturating_sub(median);
            entry.count > 0
        });
        if self.in_arena {
            let old = std::mem::take(&mut self.arena);
            for entry in self.entries.values_mut() {
                entry.key = store(&mut self.arena, stored(&old, entry.key));
            }
        }
    }

    fn sketched(&self) -> HyperLogLog {
        let mut sketch = HyperLogLog::new();
        self.entries.keys().for_each(|hash| sketch.add(*hash));
        sketch
    }

    pub(super) fn merge(&mut self, other: Self) {
        match (&mut self.sketch, &other.sketch) {
            (Some(sketch), Some(others)) => sketch.merge(others),
            (Some(sketch), None) => other.entries.keys().for_each(|hash| sketch.add(*hash)),
            (None, Some(others)) => {
                let mut sketch = self.sketched();
                sketch.merge(others);
                self.sketch = Some(sketch);
            }
            (None, None) => {}
        }
        self.in_arena |= other.in_arena;
        self.taken += other.taken;
        for (hash, theirs) in other.entries {
            let arena = &mut self.arena;
            let entry = self.entries.entry(hash).or_insert_with(|| {
                let key = if other.in_arena { store(arena, stored(&other.arena, theirs.key)) } else { theirs.key };
                Entry { count: 0, key }
            });
            entry.count += theirs.count;
        }
        self.purge();
    }

    /// How many different values, and whether that is exact.
    pub(super) fn distinct(&self) -> (u64, bool) {
        match &self.sketch {
            None => (self.entries.len() as u64, true),
            Some(sketch) => (sketch.estimate().max(VALUES_MAX as u64 + 1), false),
        }
    }

    /// The most frequent values, most frequent first, equals in the values' order. Once inexact, only those that
    /// are surely more frequent than every value not tracked.
    pub(super) fn top(&self, n: usize) -> Vec<Frequent<'_>> {
        let mut entries: Vec<(u64, Entry)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.count > self.taken)
            .map(|(hash, entry)| (*hash, *entry))
            .collect();
        let order = |(left_hash, left): &(u64, Entry), (right_hash, right): &(u64, Entry)| {
            right.count.cmp(&left.count).then_with(|| self.compare(left.key, right.key)).then(left_hash.cmp(right_hash))
        };
        if entries.len() > n {
            entries.select_nth_unstable_by(n, order);
            entries.truncate(n);
        }
        entries.sort_unstable_by(order);
        let shown = |(_, Entry { count, key }): (u64, Entry)| {
            let value =
                if self.in_arena { Shown::Bytes(stored(&self.arena, key)) } else { Shown::Fixed(key.as_fixed()) };
            Frequent { value, count, error: self.taken }
        };
        entries.into_iter().map(shown).collect()
    }

    fn compare(&self, left: Key, right: Key) -> Ordering {
        if self.in_arena {
            stored(&self.arena, left).cmp(stored(&self.arena, right))
        } else {
            left.as_fixed().cmp(&right.as_fixed())
        }
    }
}

fn store(arena: &mut Vec<u8>, value: &[u8]) -> Key {
    let key = Key { high: arena.len() as i64, low: value.len() as u64 };
    arena.extend_from_slice(value);
    key
}

fn stored(arena: &[u8], key: Key) -> &[u8] {
    let start = key.high as usize;
    arena.get(start..start + key.low as usize).unwrap_or_default()
}

/// The keys are hashes already.
#[derive(Default)]
struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = super::hash::bytes(bytes);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests;
