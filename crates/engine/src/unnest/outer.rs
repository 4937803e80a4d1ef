//! Subqueries in the ON of an outer join that are about both of its sides.
//!
//! They are computed for the pairs that the rest of the condition leaves. A row of the side that stays whose pairs all fall
//! away is kept once, without the other side.

use std::sync::Arc;

use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, DataFusionError, Result};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, Window, WindowFunctionDefinition, lit, when,
};

use super::Names;
use super::attach::Attached;
use super::keys::is_subquery;
use super::push::{filter, project};

/// A LEFT or RIGHT join, without subqueries in its condition.
pub(super) fn pairs(join: Join, names: &Names) -> Result<LogicalPlan> {
    let schema = Arc::clone(&join.schema);
    let Join { left, right, on, filter: condition, join_type, join_constraint, null_equality, .. } = join;
    let (staying, other, on) = match join_type {
        JoinType::Right => (right, left, on.into_iter().map(|(left, right)| (right, left)).collect()),
        _ => (left, right, on),
    };
    let (row, there, fits) = (names.marker(), names.marker(), names.marker());
    let (all, place) = (names.marker(), names.marker());
    let others = Arc::clone(other.schema());
    let condition = condition.map(split_conjunction_owned).unwrap_or_default();
    let (with, without): (Vec<_>, Vec<_>) =
        condition.into_iter().partition(|expr| expr.exists(|part| Ok(is_subquery(part))).unwrap_or(true));

    let counted = LogicalPlan::Window(Window::try_new(vec![number(Vec::new())?.alias(&row)], staying)?);
    let mut marked = columns_of(&other);
    marked.push(lit(true).alias(&there));
    let marked = project(marked, Arc::unwrap_or_clone(other))?;
    let (counted, marked) = (Arc::new(counted), Arc::new(marked));
    let rest = conjunction(without);
    let joined = Join::try_new(counted, marked, on, rest, JoinType::Left, join_constraint, null_equality, false)?;
    let joined = LogicalPlan::Join(joined);

    let mut exprs = columns_of(&joined);
    let mut attached = Attached::new(joined, names);
    let mut holds = column(&there).is_not_null();
    for conjunct in with {
        holds = holds.and(attached.replace(conjunct)?.is_true());
    }
    exprs.push(when(holds, lit(1_i64)).end()?.alias(&fits));
    let tried = project(exprs, attached.into_plan())?;

    let count = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(count_udaf()), vec![column(&fits)]);
    let count = Expr::WindowFunction(Box::new(count)).partition_by(vec![column(&row)]).build()?.alias(&all);
    let counts = vec![count, number(vec![column(&row)])?.alias(&place)];
    let counted = LogicalPlan::Window(Window::try_new(counts, Arc::new(tried))?);
    let alone = column(&all).eq(lit(0_i64)).and(column(&place).eq(lit(1_u64)));
    let chosen = filter(Some(column(&fits).is_not_null().or(alone)), counted)?;

    let only_where = ScalarUDF::new_from_impl(OnlyWhere { signature: Signature::any(2, Volatility::Immutable) });
    let shown = schema.iter().map(|(qualifier, field)| {
        let own = Column::new(qualifier.cloned(), field.name());
        match others.has_column(&own) {
            true => only_where
                .call(vec![Expr::Column(own), column(&fits)])
                .alias_qualified(qualifier.cloned(), field.name()),
            false => Expr::Column(own),
        }
    });
    project(shown.collect(), chosen)
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn columns_of(plan: &LogicalPlan) -> Vec<Expr> {
    plan.schema().columns().into_iter().map(Expr::Column).collect()
}

/// The number of a row among those that have the same keys.
fn number(keys: Vec<Expr>) -> Result<Expr> {
    row_number().partition_by(keys).build()
}

/// A value, and NULL where another one is NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OnlyWhere {
    signature: Signature,
}

impl ScalarUDFImpl for OnlyWhere {
    fn name(&self) -> &str {
        "polder_only_where"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let field = arguments.arg_fields.first().map(|field| field.as_ref().clone().with_nullable(true));
        Ok(Arc::new(field.unwrap_or_else(|| Field::new(self.name(), DataType::Null, true))))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match ColumnarValue::values_to_arrays(&arguments.args)?.as_slice() {
            [value, flag] if value.data_type() == &DataType::Null => {
                debug_assert_eq!(value.len(), flag.len());
                Ok(ColumnarValue::Array(Arc::clone(value)))
            }
            [value, flag] => Ok(ColumnarValue::Array(nullif(value, &is_null(flag)?)?)),
            _ => Err(DataFusionError::Internal("a value and what it hangs on".into())),
        }
    }
}
