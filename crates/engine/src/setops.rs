//! `INTERSECT ALL` and `EXCEPT ALL` count: a row that is there three times meets two of the other side, and one is left.
//!
//! The planner makes them a semi join and an anti join, for which one row on the other side meets any number. Here each
//! side's equal rows are numbered first, and the number is compared too.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, NullEquality, Result};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::{Distinct, Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, Projection, Window};
use datafusion::optimizer::AnalyzerRule;

const LEFT_NUMBER: &str = "__number_left";
const RIGHT_NUMBER: &str = "__number_right";

#[derive(Debug)]
pub(crate) struct CountedRows;

impl AnalyzerRule for CountedRows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) if is_all(&join) => counted(join).map(Transformed::yes),
            node => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "counted_rows"
    }
}

/// Nothing but a set operation compares NULLs as equal before plans are optimised. Without ALL, its left side is distinct.
fn is_all(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && !join.on.is_empty()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

fn numbered(plan: Arc<LogicalPlan>, by: Vec<Expr>, name: &str) -> Result<LogicalPlan> {
    let number = row_number().partition_by(by).build()?.alias(name);
    Ok(LogicalPlan::Window(Window::try_new(vec![number], plan)?))
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let columns = join.left.schema().columns();
    let (left_keys, right_keys) = join.on.iter().cloned().unzip();
    let left = numbered(join.left, left_keys, LEFT_NUMBER)?;
    let right = numbered(join.right, right_keys, RIGHT_NUMBER)?;
    let mut on = join.on;
    on.push((Expr::Column(Column::new_unqualified(LEFT_NUMBER)), Expr::Column(Column::new_unqualified(RIGHT_NUMBER))));
    let joined = LogicalPlan::Join(Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        join.filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        false,
    )?);
    Projection::try_new(columns.into_iter().map(Expr::Column).collect(), Arc::new(joined)).map(LogicalPlan::Projection)
}
