//! A table's scan, so that an error names the file that is to blame.
//!
//! The Parquet reader says what is wrong with a page, but not in which file. So when a scan fails, the files of the
//! table are looked at: it costs nothing until then.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DataFusionResult;
use datafusion::common::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use parquet::errors::ParquetError;

use crate::check::first_broken;
use crate::error::{into_datafusion, is_of_file};
use crate::lake::Lake;
use crate::model::{Snapshot, TableState};
use crate::names::TableName;

/// The files that a scan reads.
#[derive(Clone)]
pub(crate) struct TableFiles {
    lake: Arc<Lake>,
    snapshot: Arc<Snapshot>,
    table: Arc<TableState>,
}

impl fmt::Debug for TableFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableFiles").field("table", &self.table.name).finish_non_exhaustive()
    }
}

impl TableFiles {
    pub fn new(lake: &Arc<Lake>, snapshot: &Arc<Snapshot>, table: &Arc<TableState>) -> Self {
        Self { lake: Arc::clone(lake), snapshot: Arc::clone(snapshot), table: Arc::clone(table) }
    }

    /// The error of a scan, or a better one that names the first file that is not as it was written.
    pub async fn explain(&self, error: DataFusionError) -> DataFusionError {
        if !is_of_file(&error) {
            return error;
        }
        match first_broken(&self.lake, &self.snapshot, &self.table).await {
            Ok(Some(problem)) => into_datafusion(problem.into_error().with_source(error)),
            Ok(None) => error,
            Err(second) => {
                tracing::warn!(%second, "looking for a broken file failed");
                error
            }
        }
    }
}

fn panicked() -> DataFusionError {
    ParquetError::General("the reader of a file has panicked".to_owned()).into()
}

/// Passes everything through, up and down.
#[derive(Debug, Clone)]
pub(crate) struct TableScanExec {
    input: Arc<dyn ExecutionPlan>,
    name: TableName,
    files: TableFiles,
}

impl TableScanExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, name: TableName, files: TableFiles) -> Self {
        Self { input, name, files }
    }

    pub fn table_name(&self) -> &TableName {
        &self.name
    }

    pub fn table(&self) -> &TableState {
        &self.files.table
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, ..self.clone() })
    }
}

impl DisplayAs for TableScanExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "TableScanExec: {}", self.name),
            // A tree has the node's name already.
            DisplayFormatType::TreeRender => write!(f, "table={}", self.name),
        }
    }
}

impl ExecutionPlan for TableScanExec {
    crate::one_input!("TableScanExec");
    crate::same_rows!();

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.input.repartitioned(target_partitions, config)?.map(|input| self.over(input)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let stream = self.input.execute(partition, context)?;
        let schema = stream.schema();
        let files = self.files.clone();
        // The reader of Parquet trusts some numbers of a file, and panics where they are harmed.
        let unharmed = AssertUnwindSafe(stream).catch_unwind().map(|batch| batch.unwrap_or_else(|_| Err(panicked())));
        let named = unharmed.then(move |batch| {
            // Only a failure pays for the copy.
            let files = batch.is_err().then(|| files.clone());
            async move {
                match (batch, files) {
                    (Err(error), Some(files)) => Err(files.explain(error).await),
                    (batch, _) => batch,
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, named)))
    }

    fn try_swapping_with_projection(
        &self,
        projection: &ProjectionExec,
    ) -> DataFusionResult<Option<Arc<dyn ExecutionPlan>>> {
        Ok(self.input.try_swapping_with_projection(projection)?.map(|input| self.over(input)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DataFusionResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(child_pushdown_result))
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> DataFusionResult<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        Ok(match self.input.try_pushdown_sort(order)? {
            SortOrderPushdownResult::Exact { inner } => SortOrderPushdownResult::Exact { inner: self.over(inner) },
            SortOrderPushdownResult::Inexact { inner } => SortOrderPushdownResult::Inexact { inner: self.over(inner) },
            SortOrderPushdownResult::Unsupported => SortOrderPushdownResult::Unsupported,
        })
    }
}
