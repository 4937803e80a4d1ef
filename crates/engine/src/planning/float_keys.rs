//! Keys of joins that are floats, of which two zeros are one value, and so are all that are no numbers.
//!
//! DataFusion 55 hands the keys of one side to the scan of the other as a list, which tells 0.0 from -0.0.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, LogicalPlan, cast};

use crate::functions::call;
use crate::semantics::FLOAT;

/// The plan whose joins compare such keys by value.
pub(super) fn by_value(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(mut join) if !join.null_aware => {
            let changed = keys(&mut join)?;
            let join = LogicalPlan::Join(join);
            Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn keys(join: &mut Join) -> Result<bool> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        if is_float(left, join.left.schema())? && is_float(right, join.right.schema())? {
            for key in [left, right] {
                // Nothing casts what a function takes any more.
                *key = call(FLOAT, vec![cast(std::mem::take(key), DataType::Float64)]);
            }
            changed = true;
        }
    }
    Ok(changed)
}

fn is_float(key: &Expr, schema: &DFSchema) -> Result<bool> {
    Ok(key.get_type(schema)?.is_floating())
}
