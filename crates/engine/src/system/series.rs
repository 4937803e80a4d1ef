//! `generate_series` and `range` over timestamps in microseconds, as all timestamps here are, and over `integer`.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, ScalarValue, internal_err};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::ExecutionPlanProperties;
use datafusion::physical_plan::execution_plan::Boundedness;
use datafusion::physical_plan::memory::{LazyBatchGenerator, LazyMemoryExec};
use parking_lot::RwLock;

use crate::computed::{self, Computed};

/// The function that DataFusion brings, which counts in nanoseconds.
#[derive(Debug)]
struct Series(Arc<dyn TableFunctionImpl>);

pub(super) fn register(state: &mut SessionState) {
    for name in ["generate_series", "range"] {
        if let Some(known) = state.table_functions().get(name) {
            let inner = Arc::clone(known.function());
            state.register_udtf(name, Arc::new(Series(inner)));
        }
    }
}

fn nanoseconds(expr: &Expr) -> Expr {
    let (value, metadata) = match expr {
        Expr::Literal(value, metadata) => (value, metadata),
        // Planned without its value, to see what else there is.
        open if is_open(open) => return Expr::Literal(ScalarValue::Null, None),
        other => return other.clone(),
    };
    let value = match value {
        // It takes none that has a type.
        number if number.is_null() && number.data_type().is_integer() => ScalarValue::Null,
        ScalarValue::TimestampMicrosecond(micros, zone) => {
            ScalarValue::TimestampNanosecond(micros.and_then(|micros| micros.checked_mul(1000)), zone.clone())
        }
        ScalarValue::Int8(value) => ScalarValue::Int64(value.map(i64::from)),
        ScalarValue::Int16(value) => ScalarValue::Int64(value.map(i64::from)),
        ScalarValue::Int32(value) => ScalarValue::Int64(value.map(i64::from)),
        other => other.clone(),
    };
    Expr::Literal(value, metadata.clone())
}

fn is_open(expr: &Expr) -> bool {
    expr.exists(|part| Ok(matches!(part, Expr::Placeholder(_)))).unwrap_or(false)
}

/// What is counted from, to and by is of 32 bits or fewer.
fn is_narrow(expr: &Expr) -> bool {
    use ScalarValue as V;
    match expr {
        Expr::Literal(value, _) => matches!(value, V::Null | V::Int8(_) | V::Int16(_) | V::Int32(_)),
        open => {
            let narrow = |data_type| matches!(data_type, DataType::Null | DataType::Int16 | DataType::Int32);
            is_open(open) && open.get_type(&DFSchema::empty()).is_ok_and(narrow)
        }
    }
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let arguments: Vec<Expr> = args.exprs().iter().map(nanoseconds).collect();
        let series = self.0.call_with_args(TableFunctionArgs::new(&arguments, args.session()))?;
        let schema = series.schema();
        let to = match schema.field(0).data_type() {
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
            DataType::Int64 if args.exprs().iter().all(is_narrow) => DataType::Int32,
            _ => return Ok(series),
        };
        let field = schema.field(0).clone().with_data_type(to);
        Ok(Computed::table(Arc::new(Schema::new(vec![field])), Counted(series)))
    }
}

/// A series whose numbers or moments become another type where they are made: a projection above it would be spread over
/// several threads, and its rows would come in any order.
struct Counted(Arc<dyn TableProvider>);

#[async_trait]
impl computed::Rows for Counted {
    async fn plan(
        &self,
        state: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let made = self.0.scan(state, None, &[], None).await?;
        let Some(series) = made.downcast_ref::<LazyMemoryExec>() else {
            return internal_err!("a series is made by {}", made.name());
        };
        let cast = |generator: &Arc<RwLock<dyn LazyBatchGenerator>>| -> Arc<RwLock<dyn LazyBatchGenerator>> {
            Arc::new(RwLock::new(Cast { inner: Arc::clone(generator), schema: Arc::clone(schema) }))
        };
        let generators = series.generators().iter().map(cast).collect();
        let mut counted = LazyMemoryExec::try_new(Arc::clone(schema), generators)?.with_projection(projection.cloned());
        if let (Some(order), Some(field)) = (made.output_ordering(), counted.schema().fields().first()) {
            let column = Arc::new(Column::new(field.name(), 0));
            counted.add_ordering([PhysicalSortExpr::new(column, order.first().options)]);
        }
        Ok(Arc::new(counted))
    }
}

/// Gives the batches of another one with their only column as another type.
#[derive(Debug)]
struct Cast {
    inner: Arc<RwLock<dyn LazyBatchGenerator>>,
    schema: SchemaRef,
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.read().fmt(f)
    }
}

impl LazyBatchGenerator for Cast {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn boundedness(&self) -> Boundedness {
        self.inner.read().boundedness()
    }

    fn generate_next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.inner.write().generate_next_batch()? else { return Ok(None) };
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let values = cast_with_options(batch.column(0), self.schema.field(0).data_type(), &options)?;
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), vec![values])?))
    }

    fn reset_state(&self) -> Arc<RwLock<dyn LazyBatchGenerator>> {
        let inner = self.inner.read().reset_state();
        Arc::new(RwLock::new(Self { inner, schema: Arc::clone(&self.schema) }))
    }
}
