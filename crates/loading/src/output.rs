//! Where the lanes put what they read: batches to the writers, rejects aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use polder_types::{Error, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::format::Output;
use crate::progress::Job;
use crate::rejects::{Reject, Rejects};

/// Batches that wait for one writer. More would only cost memory.
const WAITING_BATCHES: usize = 2;

/// Lanes into one table.
pub(crate) struct LaneOutput {
    schema: SchemaRef,
    lanes: Vec<Sender<RecordBatch>>,
    rejects: Mutex<Rejects>,
    strict: bool,
    loaded: AtomicU64,
    rejected: AtomicU64,
    job: Arc<Job>,
}

impl LaneOutput {
    /// Lanes, and the ends to write from.
    pub(crate) fn new(
        schema: SchemaRef,
        lanes: usize,
        strict: bool,
        job: Arc<Job>,
    ) -> (Self, Vec<Receiver<RecordBatch>>) {
        let (lanes, ends) = (0..lanes.max(1)).map(|_| channel(WAITING_BATCHES)).unzip();
        let output = Self {
            schema,
            lanes,
            rejects: Mutex::default(),
            strict,
            loaded: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            job,
        };
        (output, ends)
    }

    /// Rows loaded and rejected up to now.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.loaded.load(Ordering::Relaxed), self.rejected.load(Ordering::Relaxed))
    }

    pub(crate) fn into_rejects(self) -> Rejects {
        self.rejects.into_inner()
    }
}

impl Output for LaneOutput {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn batch(&self, lane: usize, batch: RecordBatch) -> Result<()> {
        let rows = batch.num_rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        let sender = self.lanes.get(lane).ok_or_else(|| Error::internal(format!("there is no lane {lane}")))?;
        // The writer's own error is reported; this one only ends the reading.
        sender.blocking_send(batch).map_err(|_| Error::internal("the writer has stopped"))?;
        self.loaded.fetch_add(rows, Ordering::Relaxed);
        self.job.progress.add_rows(rows);
        Ok(())
    }

    fn reject(&self, _lane: usize, reject: Reject) -> Result<()> {
        if self.strict {
            return Err(reject.into_error());
        }
        self.rejected.fetch_add(1, Ordering::Relaxed);
        self.rejects.lock().push(reject, &self.job)
    }
}
