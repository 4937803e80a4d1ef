//! Groups of values that may be equal and yet be written differently: a day and 24 hours, or 1 and 1.0 in JSON.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection};

use super::order::key;

/// Groups by what is the same for equal values; one of them stands for all. Of several sets of groups, a value is in some
/// and not in others: they are left as they are.
pub(super) fn aggregate(node: Aggregate) -> Result<Transformed<LogicalPlan>> {
    if node.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(node)));
    }
    let input = node.input.schema();
    let keys: Vec<Option<Expr>> = node.group_expr.iter().map(|expr| key(expr, input)).collect();
    if keys.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(node)));
    }
    let (mut groups, mut aggregates) = (Vec::with_capacity(keys.len()), node.aggr_expr.clone());
    let mut shown: Vec<Column> = node.schema.columns();
    for (at, (expr, key)) in node.group_expr.iter().zip(keys).enumerate() {
        let Some(key) = key else {
            groups.push(expr.clone());
            continue;
        };
        let name = format!("__value_{at}");
        groups.push(key.alias(format!("__key_{at}")));
        aggregates.push(first_value(expr.clone().unalias(), Vec::new()).alias(&name));
        if let Some(column) = shown.get_mut(at) {
            *column = Column::new_unqualified(name);
        }
    }
    let columns = shown.into_iter().zip(node.schema.iter()).map(|(column, (qualifier, field))| {
        let same = column.name == *field.name();
        let column = Expr::Column(column);
        if same { column } else { column.alias_qualified(qualifier.cloned(), field.name()) }
    });
    let columns = columns.collect();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(node.input, groups, aggregates)?);
    Projection::try_new(columns, Arc::new(plan)).map(|plan| Transformed::yes(LogicalPlan::Projection(plan)))
}

/// Different rows, where a column has such values.
pub(super) fn distinct(input: Arc<LogicalPlan>) -> Result<Transformed<LogicalPlan>> {
    let columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
    if columns.iter().all(|column| key(column, input.schema()).is_none()) {
        return Ok(Transformed::no(LogicalPlan::Distinct(Distinct::All(input))));
    }
    aggregate(Aggregate::try_new(input, columns, Vec::new())?)
}
