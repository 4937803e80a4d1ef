//! Topics as tables, in the schema `topics`.
//!
//! A name without a schema that is no table or view of the search path is looked for there too. While a delivery is carried
//! out, the records that it brings stand for their topic. What a delivery keeps of a topic in the lake is read with it.

mod history;

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result as DataFusionResult, ScalarValue};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::union::UnionExec;
use futures::StreamExt;
use polder_capability::Caller;
use polder_capability::deliveries::HistoryHold;
use polder_capability::topics::{TopicPart, TopicRows, TopicScan, topic_schema};
use polder_types::Error;

use self::history::Kept;
use crate::authz::Who;
use crate::engine::Engine;
use crate::error::into_datafusion;
use crate::system::pg_catalog::World;

/// The schema that topics are in.
pub(crate) const SCHEMA: &str = "topics";

/// How reading by statements is told to those who decide about rights.
const VIA: &str = "sql";

/// The schema of topics, as far as somebody may read them.
pub(crate) struct TopicsSchema {
    world: World,
    caller: Caller,
    /// A schema of that name in the lake, whose tables come first.
    lake: Option<Arc<dyn SchemaProvider>>,
}

impl TopicsSchema {
    pub fn new(world: &World, who: &Who, lake: Option<Arc<dyn SchemaProvider>>) -> Self {
        Self { world: world.clone(), caller: caller(who), lake }
    }
}

/// Who reads topics.
pub(crate) fn caller(who: &Who) -> Caller {
    Caller::new(who.role_name(), VIA)
}

impl fmt::Debug for TopicsSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TopicsSchema")
    }
}

#[async_trait]
impl SchemaProvider for TopicsSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.lake.as_ref().map(|lake| lake.table_names()).unwrap_or_default();
        if let Some(rows) = self.world.engine().topic_rows() {
            names.extend(rows.names(&self.caller).iter().map(|name| name.to_string()));
        }
        names.sort();
        names.dedup();
        names
    }

    fn table_exist(&self, name: &str) -> bool {
        let is_topic = || self.world.engine().topic_rows().is_some_and(|rows| rows.find(&self.caller, name).is_some());
        self.lake.as_ref().is_some_and(|lake| lake.table_exist(name)) || is_topic()
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        if let Some(brought) = self.world.brought().filter(|brought| brought.topic == name) {
            return Ok(Some(Arc::clone(&brought.table)));
        }
        if let Some(lake) = &self.lake
            && let Some(table) = lake.table(name).await?
        {
            return Ok(Some(table));
        }
        let Some(rows) = self.world.engine().topic_rows() else { return Ok(None) };
        if rows.find(&self.caller, name).is_none() {
            return Ok(None);
        }
        let (caller, topic, schema) = (self.caller.clone(), name.to_owned(), shown());
        let engine = Arc::clone(self.world.engine());
        Ok(Some(Arc::new(TopicTable { engine, rows, caller, topic, schema })))
    }
}

/// A topic's columns. Functions of bytes know one layout of them, which is not that of a topic's rows.
pub(crate) fn shown() -> SchemaRef {
    let schema = topic_schema();
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::BinaryView => field.as_ref().clone().with_data_type(DataType::Binary),
        _ => field.as_ref().clone(),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Whole rows of a topic in the layout that the engine has for them.
pub(crate) fn laid_out(records: &RecordBatch) -> polder_types::Result<RecordBatch> {
    as_shown(records, &shown())
}

fn as_shown(batch: &RecordBatch, schema: &SchemaRef) -> polder_types::Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => arrow::compute::cast(column, field.data_type()),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect::<Result<Vec<_>, _>>();
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options))
        .map_err(|error| Error::internal(error.to_string()))
}

/// A topic, read to where it ends when the statement begins.
struct TopicTable {
    engine: Arc<Engine>,
    rows: Arc<dyn TopicRows>,
    caller: Caller,
    topic: String,
    schema: SchemaRef,
}

impl fmt::Debug for TopicTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicTable").field("topic", &self.topic).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for TopicTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        // Conditions that stay above may leave fewer rows.
        let limit = limit.filter(|_| filters.is_empty());
        let wanted = narrowed(filters);
        let kept = match self.rows.find(&self.caller, &self.topic) {
            Some(topic) => Kept::of(&self.engine, &self.topic, topic.id).await.map_err(into_datafusion)?,
            None => None,
        };
        let from_table = match &kept {
            Some(kept) => kept.plan(state, &columns, &wanted, limit).await?,
            None => None,
        };
        // Behind the look at what is kept: the log has all that is not.
        let mut parts = self.rows.scan(&self.caller, &self.topic, wanted).await.map_err(into_datafusion)?;
        if let Some(kept) = &kept {
            kept.leave_to_log(&mut parts).map_err(into_datafusion)?;
        }
        let hold = kept.map(|kept| kept.hold);
        let projected = Arc::new(self.schema.project(&columns)?);
        let streams = shared_out(parts, state.config().target_partitions()).into_iter().map(|parts| {
            let (rows, columns) = (Arc::clone(&self.rows), columns.clone());
            Arc::new(Parts { rows, parts, columns, schema: Arc::clone(&projected), hold: hold.clone() })
                as Arc<dyn PartitionStream>
        });
        let exec = StreamingTableExec::try_new(Arc::clone(&projected), streams.collect(), None, [], false, limit)?;
        UnionExec::try_new(from_table.into_iter().chain([Arc::new(exec) as _]).collect())
    }
}

/// As many streams as there are partitions, but no more than work at once.
fn shared_out(parts: Vec<TopicPart>, at_once: usize) -> Vec<Vec<TopicPart>> {
    let mut shared = vec![Vec::new(); parts.len().clamp(1, at_once.max(1))];
    let count = shared.len();
    for (place, part) in parts.into_iter().enumerate() {
        if let Some(share) = shared.get_mut(place % count) {
            share.push(part);
        }
    }
    shared
}

/// Some partitions, one after the other.
struct Parts {
    rows: Arc<dyn TopicRows>,
    parts: Vec<TopicPart>,
    columns: Vec<usize>,
    schema: SchemaRef,
    /// The log keeps the records until they are read.
    hold: Option<Arc<HistoryHold>>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl PartitionStream for Parts {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (rows, columns) = (Arc::clone(&self.rows), self.columns.clone());
        let parts = futures::stream::iter(self.parts.clone());
        let read = move |part| match rows.read(part, columns.clone()) {
            Ok(batches) => batches,
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        };
        let schema = Arc::clone(&self.schema);
        let batches = parts.flat_map(read).map(move |batch| batch.and_then(|batch| as_shown(&batch, &schema)));
        let hold = self.hold.clone();
        let batches = batches.map(move |batch| {
            let _held = &hold;
            batch.map_err(into_datafusion)
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

/// Which part of a topic conditions leave: `partition`, `"offset"` and `timestamp` beside constants. The conditions themselves
/// stay above.
fn narrowed(filters: &[Expr]) -> TopicScan {
    let mut scan = TopicScan::default();
    for filter in filters {
        narrow(&mut scan, filter);
    }
    scan
}

fn narrow(scan: &mut TopicScan, filter: &Expr) {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return };
    if *op == Operator::And {
        narrow(scan, left);
        narrow(scan, right);
        return;
    }
    let (column, op, value) = match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(value, _)) => (column, *op, value),
        (Expr::Literal(value, _), Expr::Column(column)) => match op.swap() {
            Some(op) => (column, op, value),
            None => return,
        },
        _ => return,
    };
    match column.name() {
        "partition" => {
            if let (Operator::Eq, Some(partition)) = (op, whole(value).and_then(|value| i32::try_from(value).ok())) {
                scan.partitions = match scan.partitions.take() {
                    Some(others) => Some(others.into_iter().filter(|other| *other == partition).collect()),
                    None => Some(vec![partition]),
                };
            }
        }
        "offset" => {
            if let Some((from, until)) = whole(value).and_then(|value| range(op, value)) {
                scan.from_offset = scan.from_offset.max(from);
                scan.to_offset = earlier(scan.to_offset, until);
            }
        }
        "timestamp" => {
            if let Some((from, until)) = milliseconds(value).and_then(|value| range(op, value)) {
                scan.from_ms = scan.from_ms.max(from);
                scan.to_ms = earlier(scan.to_ms, until);
            }
        }
        _ => {}
    }
}

fn earlier(known: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (known, other) {
        (Some(known), Some(other)) => Some(known.min(other)),
        (one, other) => one.or(other),
    }
}

/// What a comparison leaves: from, inclusive, until, exclusive.
fn range(op: Operator, value: i64) -> Option<(Option<i64>, Option<i64>)> {
    let next = value.checked_add(1)?;
    match op {
        Operator::Eq => Some((Some(value), Some(next))),
        Operator::GtEq => Some((Some(value), None)),
        Operator::Gt => Some((Some(next), None)),
        Operator::Lt => Some((None, Some(value))),
        Operator::LtEq => Some((None, Some(next))),
        _ => None,
    }
}

fn whole(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Int32(value) => value.map(i64::from),
        ScalarValue::Int64(value) => *value,
        _ => None,
    }
}

/// A time in milliseconds; `None` for one between two of them, which a record never has.
fn milliseconds(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampMillisecond(value, _) => *value,
        ScalarValue::TimestampMicrosecond(Some(value), _) if value % 1_000 == 0 => Some(value / 1_000),
        ScalarValue::TimestampNanosecond(Some(value), _) if value % 1_000_000 == 0 => Some(value / 1_000_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn conditions_narrow_what_is_read() {
        let scan = narrowed(&[
            col("partition").eq(lit(3_i32)),
            lit(10_i64).lt_eq(col("offset")).and(col("offset").lt(lit(20_i64))),
            col("offset").gt(lit(11_i64)),
        ]);
        assert_eq!(scan.partitions, Some(vec![3]));
        assert_eq!((scan.from_offset, scan.to_offset), (Some(12), Some(20)));
        let time = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let scan = narrowed(&[col("timestamp").gt_eq(time(5_000)), col("timestamp").lt_eq(time(7_000))]);
        assert_eq!((scan.from_ms, scan.to_ms), (Some(5), Some(8)));
        // What says nothing of the kind, or no more than that one of two holds, leaves everything.
        let either = col("offset").eq(lit(1_i64)).or(col("offset").eq(lit(2_i64)));
        assert_eq!(
            narrowed(&[either, col("key").eq(lit("a")), col("timestamp").lt(time(5_500))]),
            TopicScan::default()
        );
        let never = narrowed(&[col("partition").eq(lit(1_i32)), col("partition").eq(lit(2_i32))]);
        assert_eq!(never.partitions, Some(Vec::new()));
    }
}
