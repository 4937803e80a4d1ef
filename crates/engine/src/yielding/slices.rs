//! Rows handed to a join in slices that it is done with soon.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt};

/// The first slice: a row alone may meet a million of the other side, of which nothing is known.
const ROWS_FIRST: usize = 1;
/// As many as a batch has: there is nothing to win beyond.
const ROWS_MAX: usize = 8_192;

/// A slice that takes less is followed by a larger one.
const QUICK: Duration = Duration::from_millis(2);
/// So many times: it would still be done soon.
const QUICK_TIMES: usize = 4;
/// A slice that takes longer is followed by a smaller one; and whoever has run for so long gives way.
const SLOW: Duration = Duration::from_millis(10);

/// The rows of its input in slices. How long the reader takes for one says how large the next one is.
///
/// A join may try millions of pairs for one row, and ends no poll before it has rows to give or gets none here.
#[derive(Debug, Clone)]
pub(super) struct SlicedExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl SlicedExec {
    pub(super) fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let known = PlanProperties::clone(input.properties());
        let properties = Arc::new(known.with_scheduling_type(SchedulingType::Cooperative));
        Self { input, properties }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::new(input))
    }
}

impl DisplayAs for SlicedExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => f.write_str("SlicedExec"),
            DisplayFormatType::TreeRender => Ok(()),
        }
    }
}

impl ExecutionPlan for SlicedExec {
    polder_lake::one_input!("SlicedExec");
    polder_lake::same_rows!();

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(Slices::of(self.input.execute(partition, context)?)))
    }
}

struct Slices {
    input: SendableRecordBatchStream,
    /// What is left of a batch.
    rest: Option<RecordBatch>,
    rows: usize,
    /// When the last slice was handed out, until its reader is back.
    handed: Option<Instant>,
    /// Since when the task runs without having given way here.
    running: Option<Instant>,
}

impl Slices {
    fn of(input: SendableRecordBatchStream) -> Self {
        Self { input, rest: None, rows: ROWS_FIRST, handed: None, running: None }
    }

    /// Learns from how long the last slice took.
    fn learn(&mut self, now: Instant) {
        let Some(taken) = self.handed.take().map(|handed| now.saturating_duration_since(handed)) else { return };
        if taken < QUICK {
            self.rows = (self.rows * QUICK_TIMES).min(ROWS_MAX);
        } else if taken > SLOW {
            self.rows = (self.rows / 2).max(1);
        }
    }

    fn next_slice(&mut self, batch: RecordBatch) -> RecordBatch {
        if batch.num_rows() <= self.rows {
            return batch;
        }
        self.rest = Some(batch.slice(self.rows, batch.num_rows() - self.rows));
        batch.slice(0, self.rows)
    }
}

impl Stream for Slices {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let now = Instant::now();
        self.learn(now);
        let running = *self.running.get_or_insert(now);
        if now.saturating_duration_since(running) > SLOW {
            self.running = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let batch = match self.rest.take() {
            Some(rest) => rest,
            None => match self.input.poll_next_unpin(context) {
                Poll::Pending => {
                    self.running = None;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(batch))) => batch,
                Poll::Ready(ended) => return Poll::Ready(ended),
            },
        };
        self.handed = Some(Instant::now());
        Poll::Ready(Some(Ok(self.next_slice(batch))))
    }
}

impl RecordBatchStream for Slices {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, Int64Array};
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    use super::*;

    fn slices(batches: &[i64]) -> Slices {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let of = |count: &i64| {
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter_values(0..*count))])
        };
        let batches: Vec<_> = batches.iter().map(|count| Ok(of(count).unwrap())).collect();
        Slices::of(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&schema), stream::iter(batches))))
    }

    #[tokio::test]
    async fn all_rows_come_in_their_order() {
        let mut slices = slices(&[5_000, 0, 3, 20_000]);
        let mut got = Vec::new();
        while let Some(batch) = slices.next().await {
            got.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
        }
        let wanted: Vec<i64> = [5_000, 0, 3, 20_000].into_iter().flat_map(|count| 0..count).collect();
        assert_eq!(got, wanted);
    }

    #[tokio::test]
    async fn a_slow_reader_gets_fewer() {
        let mut slices = slices(&[1_000]);
        assert_eq!(slices.next().await.unwrap().unwrap().num_rows(), 1);
        (slices.rows, slices.handed) = (64, None);
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let batch = slices.next().await.unwrap().unwrap();
            sizes.push(batch.num_rows());
            std::thread::sleep(SLOW * 2);
        }
        assert_eq!(sizes, [64, 32, 16]);
    }

    #[test]
    fn who_has_run_for_long_gives_way() {
        let mut slices = slices(&[1_000]);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(slices.poll_next_unpin(&mut context).is_ready());
        std::thread::sleep(SLOW * 2);
        assert!(slices.poll_next_unpin(&mut context).is_pending());
        assert!(slices.poll_next_unpin(&mut context).is_ready());
    }
}
