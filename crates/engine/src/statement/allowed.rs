//! What a statement may read and hold: checked before its plans run, and while they do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use polder_capability::Caller;
use polder_lake::scan_sizes;
use polder_types::Result;
use tokio::time::MissedTickBehavior;

use super::Context;
use crate::engine::Engine;
use crate::error::{from_datafusion, into_datafusion};
use crate::limits::Allowance;
use crate::record::Running;
use crate::session::Inner;

/// How often it is looked at what a plan has read: it may read for long before its first row comes.
pub(crate) const CHECK_EVERY: Duration = Duration::from_millis(50);

impl Engine {
    /// Settles what the statement that begins now may read, and how long it may take. `timed`: somebody else minds its time, who
    /// knows for how long a cursor is waited for and not only kept.
    pub(super) async fn allow(&self, caller: &Caller, inner: &mut Inner, running: &Arc<Running>) -> Result<()> {
        let (limits, timed) = (inner.settings.limits.now, inner.typed);
        let day = match limits.bytes_scanned_per_day {
            Some(most) => Some((most, self.recorder.read_today(&caller.user).await?)),
            None => None,
        };
        let timeout = limits.timeout.filter(|_| !timed);
        let ends = timeout.map(|millis| Instant::now() + Duration::from_millis(millis));
        running.allow(limits.bytes_scanned, day, ends);
        inner.settings.running = Arc::downgrade(running);
        Ok(())
    }
}

impl Context<'_> {
    /// Refuses a plan that would read more than it may.
    ///
    /// # Errors
    /// `Exhausted` (53400).
    pub(super) fn check_allowed(&self, physical: &Arc<dyn ExecutionPlan>) -> Result<()> {
        let allowance = self.running.allowance();
        if !allowance.is_limited() {
            return Ok(());
        }
        allowance.check_plan(self.running.bytes_read(), planned_bytes(physical))
    }

    /// What a plan runs in: with the memory that its statement may have.
    pub(super) fn task_context(&self, state: &SessionState) -> Result<Arc<TaskContext>> {
        self.running.memory.context(state, self.settings.limits.now.statement_memory).map_err(from_datafusion)
    }

    /// The rows of a plan, which end in an error once it has read more than it may.
    pub(super) fn within_allowance(&self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let allowance = self.running.allowance();
        if allowance.is_limited() { watched(rows, allowance, Arc::clone(self.running)) } else { rows }
    }
}

/// What the scans of a plan would read.
pub(crate) fn planned_bytes(physical: &Arc<dyn ExecutionPlan>) -> u64 {
    scan_sizes(physical).iter().fold(0_u64, |sum, scan| sum.saturating_add(scan.bytes))
}

fn watched(rows: SendableRecordBatchStream, allowance: Allowance, running: Arc<Running>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let mut ticks = tokio::time::interval(CHECK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let batches = futures::stream::try_unfold((rows, ticks), move |(mut rows, mut ticks)| {
        let running = Arc::clone(&running);
        async move {
            loop {
                let batch = tokio::select! {
                    biased;
                    _ = ticks.tick() => {
                        allowance.check_read(running.bytes_read()).map_err(into_datafusion)?;
                        continue;
                    }
                    batch = rows.next() => batch,
                };
                let batch = batch.transpose()?;
                return Ok::<_, DataFusionError>(batch.map(|batch| (batch, (rows, ticks))));
            }
        }
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}
