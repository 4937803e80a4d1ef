//! Views are sealed too. Their owner's rights read what is below, and somebody who has not got them is told of no row that
//! the view leaves out: no condition, function or error of a statement meets it.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result as DataFusionResult, TableReference};
use datafusion::datasource::{ViewTable, source_as_provider};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, LogicalPlanBuilder, TableScan, cast};
use polder_lake::TableName;

use super::bound::Bound;
use super::governed::Governed;
use crate::authz::rights::SELECT;
use crate::authz::{Readable, Rights};
use crate::statement::origins;

/// The schemas of the system's tables, which show everybody their own.
const SYSTEM: [&str; 3] = ["polder", "information_schema", "pg_catalog"];

/// What a scan is called whose table is not told by its name.
const KEPT: &str = "kept";

/// A view of somebody else's as it is read by whoever `rights` is about; `None`: there is nothing in it to hide.
///
/// # Errors
/// When the plan cannot be built on.
pub(crate) fn sealed(
    name: &TableName,
    view: &LogicalPlan,
    rights: Rights<'_>,
) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
    if rights.who.superuser || !leaves_out(view) || reads_all(name, view, rights)? {
        return Ok(None);
    }
    let (mut open, mut columns) = (HashSet::new(), Vec::new());
    for (at, field) in view.schema().fields().iter().enumerate() {
        let column = Expr::Column(Column::from(view.schema().qualified_field(at)));
        if is_stored(view, at) {
            open.insert(field.name().clone());
            columns.push(column);
        } else {
            // Planning by itself, the types of what is computed may come out narrower.
            columns.push(cast(column, field.data_type().clone()).alias(field.name()));
        }
    }
    let plan = LogicalPlanBuilder::from(view.clone()).project(columns)?.build()?;
    let fields = view.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let table = Arc::new(ViewTable::new(view.clone(), None));
    Ok(Some(Arc::new(Governed::new(name.clone(), table, plan, fields, open, false))))
}

/// Whether there may be rows below a plan of which nothing is above it. What computes rows of others leaves none out, nor do
/// groups.
fn leaves_out(plan: &LogicalPlan) -> bool {
    let all = match plan {
        LogicalPlan::TableScan(scan) => scan.filters.is_empty() && scan.fetch.is_none(),
        LogicalPlan::Sort(sort) => sort.fetch.is_none(),
        LogicalPlan::Distinct(distinct) => matches!(distinct, Distinct::All(_)),
        LogicalPlan::Projection(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::EmptyRelation(_) => true,
        _ => false,
    };
    !all || plan.inputs().into_iter().any(leaves_out)
}

/// Whether somebody may read all that a view reads, without the view.
fn reads_all(name: &TableName, view: &LogicalPlan, rights: Rights<'_>) -> DataFusionResult<bool> {
    let mut all = true;
    view.apply_with_subqueries(|node| {
        let read = match node {
            LogicalPlan::TableScan(scan) if scan.table_name.table() == KEPT => Some(false),
            LogicalPlan::TableScan(TableScan { table_name, .. }) => Some(reads(name, table_name, rights)),
            LogicalPlan::SubqueryAlias(alias) if origins::is_view_mark(&alias.alias) => {
                Some(reads(name, &alias.alias, rights))
            }
            _ => None,
        };
        Ok(match read {
            Some(true) => TreeNodeRecursion::Jump,
            Some(false) => {
                all = false;
                TreeNodeRecursion::Stop
            }
            None => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(all)
}

/// Whether somebody may read all of a table or view, as a view of a schema names it.
fn reads(view: &TableName, table: &TableReference, rights: Rights<'_>) -> bool {
    let name = TableName::new(table.schema().unwrap_or(&view.schema), table.table());
    if SYSTEM.contains(&name.schema.as_str()) {
        return true;
    }
    let id = match (rights.snapshot.table(&name), rights.snapshot.view(&name)) {
        (Some(table), _) => table.id,
        (None, Some(view)) => view.id,
        (None, None) => return false,
    };
    let is_granted = rights.use_schema(&name.schema).is_ok() && rights.columns_with(id, SELECT) == Readable::All;
    is_granted && Bound::of(rights, id).is_none()
}

/// Whether the column at a place of a plan has values that are stored: to compare them with constants is to compute nothing
/// of rows that are left out.
fn is_stored(plan: &LogicalPlan, at: usize) -> bool {
    let of = |expr: &Expr, input: &LogicalPlan| match expr.clone().unalias() {
        Expr::Column(column) => input.schema().maybe_index_of_column(&column).is_some_and(|at| is_stored(input, at)),
        _ => false,
    };
    match plan {
        LogicalPlan::TableScan(scan) => {
            source_as_provider(&scan.source).is_ok_and(|table| table.get_logical_plan().is_none())
        }
        LogicalPlan::Projection(projection) => projection.expr.get(at).is_some_and(|expr| of(expr, &projection.input)),
        LogicalPlan::Filter(filter) => is_stored(&filter.input, at),
        LogicalPlan::Sort(sort) => is_stored(&sort.input, at),
        LogicalPlan::Limit(limit) => is_stored(&limit.input, at),
        LogicalPlan::SubqueryAlias(alias) => is_stored(&alias.input, at),
        _ => false,
    }
}
