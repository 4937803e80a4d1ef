//! What a log has done since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the log was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogMetrics {
    /// Bytes written, frames and all.
    pub bytes: u64,
    /// Times that the disk was asked to make writes durable.
    pub syncs: u64,
    /// Groups written; [`LogMetrics::appends`] by this is how many shared a sync.
    pub groups: u64,
    pub appends: u64,
    /// Payload bytes given to readers out of memory.
    pub cache_bytes: u64,
    /// Payload bytes given to readers from the disk.
    pub disk_bytes: u64,
    /// Segments that are known to be damaged: a rewriting or a scrub came upon them.
    pub damaged_segments: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    bytes: AtomicU64,
    syncs: AtomicU64,
    groups: AtomicU64,
    appends: AtomicU64,
    cache_bytes: AtomicU64,
    disk_bytes: AtomicU64,
}

impl Metrics {
    pub(crate) fn group(&self, appends: u64, bytes: usize) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.appends.fetch_add(appends, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, cache_bytes: usize, disk_bytes: usize) {
        self.cache_bytes.fetch_add(cache_bytes as u64, Ordering::Relaxed);
        self.disk_bytes.fetch_add(disk_bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> LogMetrics {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LogMetrics {
            bytes: of(&self.bytes),
            syncs: of(&self.syncs),
            groups: of(&self.groups),
            appends: of(&self.appends),
            cache_bytes: of(&self.cache_bytes),
            disk_bytes: of(&self.disk_bytes),
            damaged_segments: 0,
        }
    }
}
