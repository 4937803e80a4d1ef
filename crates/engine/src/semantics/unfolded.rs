//! `unnest` gives elements of the type that their array says it is of: `jsonb`, `oid`.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Unnest};
use datafusion::optimizer::AnalyzerRule;

use super::kept_types::{Marks, marked};
use crate::functions::types;

/// The first rule: what orders and compares values must know what they are.
#[derive(Debug)]
pub(super) struct UnfoldedTypes;

impl AnalyzerRule for UnfoldedTypes {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let told = plan.transform_up_with_subqueries(tell)?;
        if !told.transformed {
            return Ok(told.data);
        }
        // What a column is said to be, each node above it says too.
        told.data.transform_up_with_subqueries(|plan| plan.recompute_schema().map(Transformed::yes)).data()
    }

    fn name(&self) -> &str {
        "unfolded_types"
    }
}

/// A projection above an `unnest` says what its elements are: the node itself would forget it whenever it is made anew.
fn tell(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Unnest(unnest) = &plan else { return Ok(Transformed::no(plan)) };
    let mut found = false;
    let columns: Vec<Expr> = unnest
        .schema
        .iter()
        .map(|(qualifier, field)| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            let marks = elements(unnest, field.name());
            if marks.is_empty() {
                return column;
            }
            found = true;
            marked(column, marks).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    if !found {
        return Ok(Transformed::no(plan));
    }
    let projection = Projection::try_new(columns, Arc::new(plan))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// What the elements in a column are marked with.
fn elements(unnest: &Unnest, column: &str) -> Marks {
    let mut lists = unnest.list_type_columns.iter();
    let Some((at, list)) = lists.find(|(_, list)| list.output_column.name == column) else {
        return Marks::new();
    };
    let mut of: Option<Field> = Some(unnest.input.schema().field(*at).as_ref().clone());
    for _ in 0..list.depth {
        of = of.as_ref().and_then(types::item);
    }
    of.as_ref().map(types::marks).unwrap_or_default()
}
