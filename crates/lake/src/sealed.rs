//! A scan of a table of which somebody is shown a part only.
//!
//! The plan below it takes the hidden rows out and masks columns. Nothing of the plan above gets in: it has no children that
//! an optimizer could push a condition, a limit or a projection into, or that an EXPLAIN could show. It knows no statistics,
//! since those of the files tell of hidden rows; and what it is said to have read does not depend on what was asked. Its rows
//! come in one partition, which the plan above spreads where it is worth it, and in batches of one size: how many there are
//! of either, which metrics show, would tell in how many files hidden rows meet a condition.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::BatchCoalescer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use datafusion::common::Result as DataFusionResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt};
use polder_types::Error;

use crate::names::TableName;
use crate::scan_size::ScanSize;

/// A plan of its own within another one.
pub struct SealedExec {
    inner: Arc<dyn ExecutionPlan>,
    name: TableName,
    /// The columns as the plan above knows them.
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    /// What it counts as having read.
    cost: ScanSize,
    started: AtomicBool,
    metrics: ExecutionPlanMetricsSet,
}

impl SealedExec {
    /// Seals a plan that gives columns of the types of `schema`. `cost` is what a scan counts as that everybody asks for
    /// alike: without conditions that somebody has chosen.
    #[must_use]
    pub fn new(inner: Arc<dyn ExecutionPlan>, name: TableName, schema: SchemaRef, cost: &[ScanSize]) -> Self {
        // The plan above is the same whatever is below: how many files have rows for a condition tells of hidden ones.
        let inner: Arc<dyn ExecutionPlan> = match inner.properties().output_partitioning().partition_count() {
            1 => inner,
            _ => Arc::new(CoalescePartitionsExec::new(inner)),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let cost = ScanSize {
            table: Some(name.clone()),
            files: cost.iter().map(|scan| scan.files).sum(),
            rows: None,
            bytes: cost.iter().fold(0, |sum, scan| sum.saturating_add(scan.bytes)),
        };
        let (started, metrics) = (AtomicBool::new(false), ExecutionPlanMetricsSet::new());
        Self { inner, name, schema, properties: Arc::new(properties), cost, started, metrics }
    }

    pub(crate) fn cost(&self) -> &ScanSize {
        &self.cost
    }
}

impl fmt::Debug for SealedExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedExec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DisplayAs for SealedExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "SealedExec: {}", self.name),
            // A tree has the node's name already.
            DisplayFormatType::TreeRender => write!(f, "table={}", self.name),
        }
    }
}

impl ExecutionPlan for SealedExec {
    fn name(&self) -> &'static str {
        "SealedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Err(DataFusionError::Internal("SealedExec has no inputs".to_owned()))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    /// Run once more, in a recursive query, what is within begins anew as well.
    fn reset_state(self: Arc<Self>) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let inner = reset_plan_states(Arc::clone(&self.inner))?;
        let cost = std::slice::from_ref(&self.cost);
        Ok(Arc::new(Self::new(inner, self.name.clone(), Arc::clone(&self.schema), cost)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        if !self.started.swap(true, Ordering::Relaxed) {
            let bytes = usize::try_from(self.cost.bytes).unwrap_or(usize::MAX);
            MetricBuilder::new(&self.metrics).global_counter("bytes_scanned").add(bytes);
        }
        let size = context.session_config().batch_size();
        let rows = in_batches_of(size, self.inner.execute(partition, context)?);
        let (schema, name) = (Arc::clone(&self.schema), self.name.clone());
        let named = rows.map(move |batch| {
            let batch = batch.map_err(|error| untold(error, &name))?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            // Of rows that are only counted none is asked for, and one is there.
            let columns = batch.columns().iter().take(schema.fields().len()).cloned().collect();
            Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), named)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The error of what is computed below, without the value that it is about: that may be a hidden one. Others are as they are.
fn untold(error: DataFusionError, name: &TableName) -> DataFusionError {
    let code = match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<Error>().map(Error::code) {
            Some(code) if code.starts_with("22") => code,
            _ => return error,
        },
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            ArrowError::DivideByZero => "22012",
            ArrowError::ArithmeticOverflow(_) => "22003",
            ArrowError::CastError(_) | ArrowError::ParseError(_) => "22P02",
            ArrowError::ComputeError(_) | ArrowError::InvalidArgumentError(_) => "22000",
            _ => return error,
        },
        DataFusionError::Execution(_) => "22000",
        _ => return error,
    };
    let told = Error::invalid(format!("a policy or a mask of {name} cannot be computed for one of its rows"))
        .with_code(code)
        .with_hint("its owner is told which value it is");
    DataFusionError::External(Box::new(told))
}

/// The same rows in batches of one size, but for the last.
fn in_batches_of(
    size: usize,
    rows: SendableRecordBatchStream,
) -> impl Stream<Item = DataFusionResult<RecordBatch>> + Send {
    let even = BatchCoalescer::new(rows.schema(), size);
    futures::stream::try_unfold(Some((rows, even)), |state| async move {
        let Some((mut rows, mut even)) = state else { return Ok::<_, DataFusionError>(None) };
        loop {
            if let Some(batch) = even.next_completed_batch() {
                return Ok(Some((batch, Some((rows, even)))));
            }
            match rows.next().await.transpose()? {
                Some(batch) => even.push_batch(batch)?,
                None => {
                    even.finish_buffered_batch()?;
                    return Ok(even.next_completed_batch().map(|batch| (batch, None)));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests;
