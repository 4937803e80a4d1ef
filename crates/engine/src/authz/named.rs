//! Which columns a plan names, whether anything comes of them or not. As in PostgreSQL each of them has to be readable: the
//! planner leaves out what nobody needs, so that the scan alone would not ask for them.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, Subquery, TableScan};

use super::guard::Guarded;

/// Of which guarded table, and which of its columns, a column of a plan is. `None`: of none, or it has been asked for.
type Origin = Option<(usize, usize)>;

/// The columns that expressions of a node can mean.
struct Around {
    schemas: Vec<DFSchemaRef>,
    origins: Vec<Vec<Origin>>,
}

impl Around {
    fn origin(&self, column: &Column) -> Origin {
        let places = self.schemas.iter().map(|schema| schema.maybe_index_of_column(column));
        places.zip(&self.origins).find_map(|(place, origins)| origins.get(place?).copied()).flatten()
    }
}

#[derive(Default)]
struct Walk {
    /// The guarded tables, and their columns that are named.
    tables: Vec<(Arc<dyn TableProvider>, BTreeSet<usize>)>,
    /// What subqueries can take from the queries around them, the innermost last.
    outer: Vec<Around>,
}

/// Refuses a plan, as it is before anything is left out of it, that names columns which may not be read.
///
/// # Errors
/// `Forbidden` (42501).
pub(crate) fn check_named(plan: &LogicalPlan) -> Result<()> {
    let mut walk = Walk::default();
    walk.plan(plan)?;
    for (table, named) in &walk.tables {
        if let Some(guarded) = table.downcast_ref::<Guarded>() {
            guarded.check_named(named)?;
        }
    }
    Ok(())
}

impl Walk {
    /// Gives what the columns of a plan are.
    fn plan(&mut self, plan: &LogicalPlan) -> Result<Vec<Origin>> {
        if let LogicalPlan::TableScan(scan) = plan {
            return self.scan(scan);
        }
        let mut around = Around { schemas: Vec::new(), origins: Vec::new() };
        for input in plan.inputs() {
            // What stands behind LATERAL takes columns from what is before it.
            let origins = match around.schemas.is_empty() {
                true => self.plan(input)?,
                false => {
                    self.outer.push(around);
                    let origins = self.plan(input);
                    around = self.outer.pop().unwrap_or(Around { schemas: Vec::new(), origins: Vec::new() });
                    origins?
                }
            };
            around.schemas.push(Arc::clone(input.schema()));
            around.origins.push(origins);
        }
        plan.apply_expressions(|expr| self.expression(expr, &mut around).map(|()| TreeNodeRecursion::Continue))?;
        Ok(passed_on(plan, around.origins))
    }

    fn scan(&mut self, scan: &TableScan) -> Result<Vec<Origin>> {
        let width = scan.projected_schema.fields().len();
        // What is no table of a catalog is nothing that anybody could be kept from.
        let Ok(table) = source_as_provider(&scan.source) else { return Ok(vec![None; width]) };
        if table.downcast_ref::<Guarded>().is_none() {
            return Ok(vec![None; width]);
        }
        let at = self.tables.len();
        self.tables.push((table, BTreeSet::new()));
        let origin = |place: usize| scan.projection.as_ref().map_or(Some(place), |all| all.get(place).copied());
        Ok((0..width).map(|place| Some((at, origin(place)?))).collect())
    }

    fn name(&mut self, origin: Origin) {
        if let Some((table, column)) = origin
            && let Some((_, named)) = self.tables.get_mut(table)
        {
            named.insert(column);
        }
    }

    fn expression(&mut self, expr: &Expr, around: &mut Around) -> Result<()> {
        expr.apply(|part| {
            match part {
                Expr::Column(column) => self.name(around.origin(column)),
                Expr::OuterReferenceColumn(_, column) => {
                    let origin = self.outer.iter().rev().find_map(|outer| outer.origin(column));
                    self.name(origin);
                }
                Expr::ScalarSubquery(query) => self.subquery(query, around)?,
                Expr::Exists(exists) => self.subquery(&exists.subquery, around)?,
                Expr::InSubquery(within) => self.subquery(&within.subquery, around)?,
                Expr::SetComparison(compared) => self.subquery(&compared.subquery, around)?,
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map(|_| ())
    }

    fn subquery(&mut self, query: &Subquery, around: &mut Around) -> Result<()> {
        let lent =
            Around { schemas: std::mem::take(&mut around.schemas), origins: std::mem::take(&mut around.origins) };
        self.outer.push(lent);
        let walked = self.plan(&query.subquery);
        if let Some(back) = self.outer.pop() {
            *around = back;
        }
        walked.map(|_| ())
    }
}

/// What the columns of a node are, by those of what is below it.
fn passed_on(plan: &LogicalPlan, below: Vec<Vec<Origin>>) -> Vec<Origin> {
    let width = plan.schema().fields().len();
    let mut passed = match plan {
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                below.into_iter().next_back().unwrap_or_default()
            }
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => {
                below.into_iter().next().unwrap_or_default()
            }
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => below.concat(),
        },
        LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Window(_) => below.into_iter().next().unwrap_or_default(),
        // What they give has been named in their expressions, or is given as it is by all of their inputs.
        _ => Vec::new(),
    };
    passed.resize(width, None);
    passed
}
