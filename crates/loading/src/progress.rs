//! How far a load is, readable from any thread without waiting.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use polder_capability::LoadProgress;
use polder_runtime::{Clock, OwnFiles};
use polder_types::{Error, Result};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for other loads to end.
    Queued,
    /// Brings remote files here, unpacks and hashes.
    Fetching,
    Inferring,
    Loading,
    Committing,
}

/// The phases, in their order.
const PHASES: [(Phase, &str); 5] = [
    (Phase::Queued, "queued"),
    (Phase::Fetching, "fetching"),
    (Phase::Inferring, "inferring"),
    (Phase::Loading, "loading"),
    (Phase::Committing, "committing"),
];

/// No total is known.
const UNKNOWN: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Progress {
    phase: AtomicU8,
    rows: AtomicU64,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    source: Mutex<String>,
    clock: Arc<dyn Clock>,
    started_at: DateTime<Utc>,
}

impl Progress {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            phase: AtomicU8::new(0),
            rows: AtomicU64::new(0),
            bytes_done: AtomicU64::new(0),
            bytes_total: AtomicU64::new(UNKNOWN),
            source: Mutex::new(String::new()),
            started_at: clock.now(),
            clock,
        }
    }

    /// Begins a phase; the bytes count from nothing again.
    pub(crate) fn enter(&self, phase: Phase, bytes_total: Option<u64>) {
        let place = PHASES.iter().position(|(known, _)| *known == phase).unwrap_or(0);
        self.bytes_done.store(0, Ordering::Relaxed);
        self.bytes_total.store(bytes_total.unwrap_or(UNKNOWN), Ordering::Relaxed);
        self.phase.store(u8::try_from(place).unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn is_in(&self, phase: Phase) -> bool {
        let place = usize::from(self.phase.load(Ordering::Relaxed));
        PHASES.get(place).is_some_and(|(known, _)| *known == phase)
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_source(&self, source: &str) {
        source.clone_into(&mut self.source.lock());
    }

    pub(crate) fn elapsed_ms(&self) -> u64 {
        let elapsed = self.clock.now().signed_duration_since(self.started_at);
        u64::try_from(elapsed.num_milliseconds()).unwrap_or(0)
    }

    pub(crate) fn snapshot(&self) -> LoadProgress {
        let place = usize::from(self.phase.load(Ordering::Relaxed));
        let total = self.bytes_total.load(Ordering::Relaxed);
        LoadProgress {
            phase: PHASES.get(place).map_or("queued", |(_, name)| name).to_owned(),
            rows: self.rows.load(Ordering::Relaxed),
            bytes_done: self.bytes_done.load(Ordering::Relaxed),
            bytes_total: (total != UNKNOWN).then_some(total),
            elapsed_ms: self.elapsed_ms(),
            current_source: self.source.lock().clone(),
        }
    }
}

/// Text kept in memory between the passes over it, for all files of one load together.
const MEMORY_BYTES_MAX: u64 = 128 << 20;

/// What every step of one load (or preview) shares.
#[derive(Debug)]
pub(crate) struct Job {
    pub cancel: CancellationToken,
    pub progress: Arc<Progress>,
    pub temp_dir: PathBuf,
    /// What is not to be loaded.
    pub own_files: OwnFiles,
    /// Threads that read text at the same time.
    pub threads: usize,
    /// Bytes that may still be kept in memory.
    memory_left: AtomicU64,
    /// Bytes that may still be written to temporary files.
    spool_left: AtomicU64,
}

impl Job {
    pub(crate) fn new(cancel: CancellationToken, progress: Arc<Progress>, temp_dir: PathBuf) -> Self {
        // More threads than eight gain nothing: the writer is the slower half.
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(8));
        Self {
            cancel,
            progress,
            temp_dir,
            own_files: OwnFiles::default(),
            threads,
            memory_left: AtomicU64::new(MEMORY_BYTES_MAX),
            spool_left: AtomicU64::new(polder_types::limits::UPLOAD_BYTES_MAX),
        }
    }

    /// # Errors
    /// `Cancelled` once the caller has asked for it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }

    pub(crate) fn take_memory(&self, bytes: u64) -> bool {
        take(&self.memory_left, bytes)
    }

    pub(crate) fn take_spool(&self, bytes: u64) -> bool {
        take(&self.spool_left, bytes)
    }
}

fn take(left: &AtomicU64, bytes: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
}
