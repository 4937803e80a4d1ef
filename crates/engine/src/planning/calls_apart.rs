//! Functions that give rows, called twice with other arguments.
//!
//! DataFusion 55 compares two scans by the name of what they scan, which is that of the function for whatever arguments: one of two
//! subqueries that count the rows of `generate_series(1, 3)` and of `generate_series(1, 2)` would be answered for both, by the rule that
//! computes each part once as well as by the physical planner.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Result, TableReference};
use datafusion::logical_expr::logical_plan::{SubqueryAlias, TableScanBuilder};
use datafusion::logical_expr::{LogicalPlan, TableScan, TableSource};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// How the SQL planner ends the name of a function's rows.
const CALLED: &str = "()";

/// A rule that gives each further call of one function a name of its own, below the name that the rest of the plan knows.
pub(super) struct CallsApart;

impl fmt::Debug for CallsApart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallsApart")
    }
}

impl OptimizerRule for CallsApart {
    fn name(&self) -> &'static str {
        "polder_calls_apart"
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !has_several(&plan)? {
            return Ok(Transformed::no(plan));
        }
        let mut calls: HashMap<TableReference, Vec<Arc<dyn TableSource>>> = HashMap::new();
        plan.transform_down_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) if is_call(&scan) => {
                let known = calls.entry(scan.table_name.clone()).or_default();
                // One that was planned once and stands twice, as a common table expression does, is the same call.
                let number = known.iter().position(|source| Arc::ptr_eq(source, &scan.source)).unwrap_or_else(|| {
                    known.push(Arc::clone(&scan.source));
                    known.len() - 1
                });
                if number == 0 {
                    return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
                }
                // Not looked at again: the scan below it is no call any more.
                Ok(Transformed::new(renamed(scan, number + 1)?, true, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        })
    }
}

/// Filters name the columns by the scan: there are none yet when rules begin.
fn is_call(scan: &TableScan) -> bool {
    scan.table_name.table().ends_with(CALLED) && scan.filters.is_empty()
}

fn has_several(plan: &LogicalPlan) -> Result<bool> {
    let mut calls = 0;
    plan.apply_with_subqueries(|node| {
        calls += usize::from(matches!(node, LogicalPlan::TableScan(scan) if is_call(scan)));
        Ok(if calls > 1 { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(calls > 1)
}

fn renamed(scan: TableScan, number: usize) -> Result<LogicalPlan> {
    let own = format!("{} {number}", scan.table_name.table());
    let below = TableScanBuilder::new(TableReference::bare(own), scan.source)
        .with_projection(scan.projection)
        .with_fetch(scan.fetch)
        .build()?;
    Ok(LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(LogicalPlan::TableScan(below)), scan.table_name)?))
}
