//! Rows that are gone, taken out of a scan.
//!
//! The library's reader does it with a hash set of positions a file, of more than a hundred bytes a deleted row, which
//! no memory pool knows of. Ours keeps about a bit for each row, or two bytes where few are gone, takes them from the
//! query's pool, and passes batches on whole in which nothing is gone. All else is asked of the library's node.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::common::Result as DataFusionResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::sort_pushdown::SortOrderPushdownResult;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions, Statistics, StatisticsArgs,
};
use futures::TryStreamExt;
use polder_types::Result;
use roaring::RoaringTreemap;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use crate::deleted::deleted_positions;
use crate::error::into_datafusion;
use crate::lake::Lake;
use crate::model::{DataFile, Snapshot, TableState};

/// The library's node.
const REPLACED: &str = "LazyDeleteFilterExec";

/// Files whose positions are read while the rows of one before them are.
const AHEAD: usize = 2;

/// The positions that are gone from one file, and the memory that they take.
struct Gone {
    positions: RoaringTreemap,
    _memory: MemoryReservation,
}

/// The deletes of a table in one version, each file's read when the scan first comes to it.
pub(crate) struct Deletes {
    lake: Arc<Lake>,
    snapshot: Arc<Snapshot>,
    table: Arc<TableState>,
    /// In the order in which a scan reads them, more or less.
    files: BTreeMap<i64, (Arc<DataFile>, OnceCell<Arc<Gone>>)>,
}

impl Deletes {
    /// Of the files that have any.
    pub fn new(lake: &Arc<Lake>, snapshot: &Arc<Snapshot>, table: &Arc<TableState>) -> Self {
        let has_deletes =
            |file: &&Arc<DataFile>| file.delete.is_some() || !table.inlined_deletes_of(file.id).is_empty();
        let files = table.files.iter().filter(has_deletes);
        let files = files.map(|file| (file.id, (Arc::clone(file), OnceCell::new()))).collect();
        Self { lake: Arc::clone(lake), snapshot: Arc::clone(snapshot), table: Arc::clone(table), files }
    }

    async fn of_file(&self, id: i64, context: &TaskContext) -> DataFusionResult<Option<Arc<Gone>>> {
        let Some((file, read)) = self.files.get(&id) else { return Ok(None) };
        let gone = read.get_or_try_init(|| async {
            let mut positions = self.read(file).await.map_err(into_datafusion)?;
            positions.optimize();
            let memory = MemoryConsumer::new("deleted rows").register(context.memory_pool());
            memory.try_grow(positions.serialized_size())?;
            Ok::<_, DataFusionError>(Arc::new(Gone { positions, _memory: memory }))
        });
        gone.await.map(|gone| Some(Arc::clone(gone)))
    }

    async fn read(&self, file: &DataFile) -> Result<RoaringTreemap> {
        let mut positions = deleted_positions(&self.lake, &self.snapshot, &self.table, file).await?;
        // The metastore holds no negative ones.
        positions.extend(self.table.inlined_deletes_of(file.id).iter().filter_map(|at| u64::try_from(*at).ok()));
        Ok(positions)
    }

    /// Begins to read what the scan is likely to ask for next. What goes wrong here is told when it is asked for.
    fn read_ahead(self: &Arc<Self>, id: i64, context: &Arc<TaskContext>, ahead: &Mutex<Ahead>) {
        let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
        // Once a file, not once a batch.
        if ahead.of.replace(id) == Some(id) {
            return;
        }
        for (&next, (_, read)) in self.files.range(id + 1..).take(AHEAD) {
            if !read.initialized() {
                let (deletes, context) = (Arc::clone(self), Arc::clone(context));
                ahead.tasks.spawn(async move { drop(deletes.of_file(next, &context).await) });
            }
        }
    }
}

impl fmt::Debug for Deletes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deletes").field("table", &self.table.name).field("files", &self.files.len()).finish()
    }
}

/// The plan with our nodes in place of the library's.
///
/// # Errors
/// `Internal` if the library's node is not what it was when this was written.
pub(crate) fn replace(
    plan: Arc<dyn ExecutionPlan>,
    deletes: &Arc<Deletes>,
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let replaced = plan.transform_up(|node| {
        Ok(if node.name() == REPLACED {
            Transformed::yes(Arc::new(DeletedRowsExec::over(node, Arc::clone(deletes))?) as Arc<dyn ExecutionPlan>)
        } else {
            Transformed::no(node)
        })
    });
    Ok(replaced?.data)
}

/// Drops the rows that are gone, and the two columns that say where each stands: the file's id, and the place in it.
#[derive(Debug)]
struct DeletedRowsExec {
    /// The library's node, which is never run.
    planned: Arc<dyn ExecutionPlan>,
    columns: Columns,
    deletes: Arc<Deletes>,
}

#[derive(Debug, Clone)]
struct Columns {
    file: usize,
    position: usize,
    kept: Vec<usize>,
    schema: SchemaRef,
}

impl Columns {
    /// What comes in and not out: names are told apart by the library, and the file's id stands before the position.
    fn of(planned: &dyn ExecutionPlan) -> DataFusionResult<Self> {
        let unknown = || DataFusionError::Internal(format!("{REPLACED} has other columns than it used to have"));
        let [input] = planned.children()[..] else { return Err(unknown()) };
        let (from, schema) = (input.schema(), planned.schema());
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (index, field) in from.fields().iter().enumerate() {
            let is_kept = schema.fields().get(kept.len()).is_some_and(|wanted| wanted.name() == field.name());
            if is_kept { kept.push(index) } else { dropped.push(index) }
        }
        match dropped[..] {
            [file, position]
                if [file, position].iter().all(|index| from.field(*index).data_type() == &DataType::Int64) =>
            {
                Ok(Self { file, position, kept, schema })
            }
            _ => Err(unknown()),
        }
    }
}

impl DeletedRowsExec {
    fn over(planned: Arc<dyn ExecutionPlan>, deletes: Arc<Deletes>) -> DataFusionResult<Self> {
        Ok(Self { columns: Columns::of(planned.as_ref())?, planned, deletes })
    }
}

impl DisplayAs for DeletedRowsExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => f.write_str("DeletedRowsExec: ")?,
            // A tree has the node's name already.
            DisplayFormatType::TreeRender => {}
        }
        write!(f, "files={}", self.deletes.files.len())
    }
}

impl ExecutionPlan for DeletedRowsExec {
    fn name(&self) -> &str {
        "DeletedRowsExec"
    }

    fn schema(&self) -> SchemaRef {
        self.planned.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.planned.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        self.planned.maintains_input_order()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        self.planned.benefits_from_input_partitioning()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.planned.children()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let planned = Arc::clone(&self.planned).replace_children(children, options)?;
        Ok(Arc::new(Self::over(planned, Arc::clone(&self.deletes))?))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let [input] = self.planned.children()[..] else {
            return Err(DataFusionError::Internal("rows that are gone are taken out of one scan".into()));
        };
        let rows = input.execute(partition, Arc::clone(&context))?;
        let sieve = Arc::new(Sieve {
            columns: self.columns.clone(),
            deletes: Arc::clone(&self.deletes),
            context,
            ahead: Mutex::default(),
        });
        let left = rows.and_then(move |batch| {
            let sieve = Arc::clone(&sieve);
            async move { sieve.left(&batch).await }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), left)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.planned.child_stats_requests(partition)
    }

    fn statistics_from_inputs(
        &self,
        input_stats: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> DataFusionResult<Arc<Statistics>> {
        self.planned.statistics_from_inputs(input_stats, args)
    }

    fn gather_filters_for_pushdown(
        &self,
        phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> DataFusionResult<FilterDescription> {
        self.planned.gather_filters_for_pushdown(phase, parent_filters, config)
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
    ) -> DataFusionResult<SortOrderPushdownResult<Arc<dyn ExecutionPlan>>> {
        self.planned.try_pushdown_sort(order)?.try_map(|planned| -> DataFusionResult<Arc<dyn ExecutionPlan>> {
            Ok(Arc::new(Self::over(planned, Arc::clone(&self.deletes))?))
        })
    }
}

/// What is read ahead of one partition; it ends with the stream.
#[derive(Default)]
struct Ahead {
    /// The file that is read now.
    of: Option<i64>,
    tasks: JoinSet<()>,
}

/// What one partition takes its rows through.
struct Sieve {
    columns: Columns,
    deletes: Arc<Deletes>,
    context: Arc<TaskContext>,
    ahead: Mutex<Ahead>,
}

impl Sieve {
    async fn left(&self, batch: &RecordBatch) -> DataFusionResult<RecordBatch> {
        let files = numbers(batch, self.columns.file)?;
        let positions = numbers(batch, self.columns.position)?;
        let mut keep: Option<Vec<bool>> = None;
        let mut start = 0;
        // A batch is of one file, or of a few.
        for run in files.values().chunk_by(|one, next| one == next) {
            let end = start + run.len();
            if let Some(&id) = run.first()
                && let Some(gone) = self.deletes.of_file(id, &self.context).await?
            {
                self.deletes.read_ahead(id, &self.context, &self.ahead);
                mark(&gone.positions, &positions.values()[start..end], start, batch.num_rows(), &mut keep);
            }
            start = end;
        }
        let columns = self.columns.kept.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let kept = RecordBatch::try_new_with_options(Arc::clone(&self.columns.schema), columns, &options)?;
        match keep {
            Some(keep) => Ok(filter_record_batch(&kept, &BooleanArray::new(BooleanBuffer::from(keep), None))?),
            None => Ok(kept),
        }
    }
}

/// Notes which of the rows of one file, from row `start` of the batch on, are gone.
fn mark(gone: &RoaringTreemap, positions: &[i64], start: usize, rows: usize, keep: &mut Option<Vec<bool>>) {
    let (Some(&first), Some(&last)) = (positions.iter().min(), positions.iter().max()) else { return };
    let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
    if gone.range_cardinality(first..=last) == 0 {
        return;
    }
    let keep = keep.get_or_insert_with(|| vec![true; rows]);
    for (kept, position) in keep[start..].iter_mut().zip(positions) {
        *kept = !gone.contains(position.cast_unsigned());
    }
}

fn numbers(batch: &RecordBatch, index: usize) -> DataFusionResult<&Int64Array> {
    let column = batch.column(index);
    match column.as_primitive_opt::<Int64Type>().filter(|column| column.null_count() == 0) {
        Some(numbers) => Ok(numbers),
        None => Err(DataFusionError::Internal(format!("column {index} of a scan says where no row stands"))),
    }
}
