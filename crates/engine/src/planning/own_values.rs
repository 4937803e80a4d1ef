//! VALUES in FROM are of the types that they say.
//!
//! DataFusion 55 gives every VALUES within an INSERT the columns of the table that is inserted into, those that a SELECT computes
//! with too: `INSERT INTO t (a) SELECT x * 10 FROM (VALUES (1.7)) v (x)` inserts 20 where `a` is an integer, and rows of another
//! width are refused.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{Query, SetExpr, TableFactor, Values};

#[derive(Debug)]
pub(crate) struct OwnValues;

impl RelationPlanner for OwnValues {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Derived { lateral: false, subquery, alias, sample: None } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(values) = values(subquery) else { return Ok(RelationPlanning::Original(Box::new(relation))) };
        let none = DFSchema::empty();
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let cells = row.content.iter().map(|cell| context.sql_to_expr(cell.clone(), &none));
            rows.push(cells.collect::<Result<Vec<_>>>()?);
        }
        let plan = LogicalPlanBuilder::values(rows)?.build()?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}

/// The rows of a query that is nothing else.
fn values(query: &Query) -> Option<&Values> {
    let SetExpr::Values(values) = query.body.as_ref() else { return None };
    let bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    (bare && query.fetch.is_none() && !values.value_keyword).then_some(values)
}
