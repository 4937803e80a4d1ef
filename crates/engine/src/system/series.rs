//! `generate_series` and `range` over timestamps in microseconds, as all timestamps here are, and over `integer`.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, cast, ident};

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
        let name = schema.field(0).name();
        let plan = LogicalPlanBuilder::scan("series", provider_as_source(series), None)?
            .project([cast(ident(name), to).alias(name)])?
            .build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }
}
