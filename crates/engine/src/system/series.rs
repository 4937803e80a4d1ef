//! `generate_series` and `range` over timestamps in microseconds, as all timestamps here are, and over `integer`.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, ident};

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
    let Expr::Literal(value, metadata) = expr else { return expr.clone() };
    let value = match value {
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

/// What is counted from, to and by is of 32 bits or fewer.
fn is_narrow(expr: &Expr) -> bool {
    use ScalarValue as V;
    matches!(expr, Expr::Literal(V::Int8(_) | V::Int16(_) | V::Int32(_), _))
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
