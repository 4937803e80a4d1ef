//! Which columns of an answer are columns of a table, as they are: drivers change rows in place by it, and tell people where a
//! value comes from.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::TableReference;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};
use polder_capability::ORIGIN;
use polder_lake::{Snapshot, TableName};

use crate::system::pg_catalog;

/// The catalog in the qualifier that marks where a view's own plan begins.
const VIEW: &str = "polder$view";

/// What a view's plan is qualified by, within what the statement calls it.
pub(crate) fn view_mark(schema: &str, view: &str) -> TableReference {
    TableReference::full(VIEW, schema, view)
}

/// Whether it marks the plan of a view.
pub(crate) fn is_view_mark(name: &TableReference) -> bool {
    name.catalog() == Some(VIEW)
}

/// A column of something in FROM: the table or view, the column's name, and its place there.
struct Source<'a> {
    table: &'a TableReference,
    column: String,
    place: usize,
}

/// The columns of an answer, with the object id of the table and the number of the column where they come from as they are
/// ([`ORIGIN`]). `own_schema`: where tables without a schema are.
pub(super) fn told(columns: &SchemaRef, plan: &LogicalPlan, snapshot: &Snapshot, own_schema: &str) -> SchemaRef {
    if columns.fields().len() != plan.schema().fields().len() {
        return Arc::clone(columns);
    }
    let fields = columns.fields().iter().enumerate().map(|(at, field)| {
        let origin = source(plan, at).and_then(|source| {
            let name = TableName::new(source.table.schema().unwrap_or(own_schema), source.table.table());
            pg_catalog::column_origin(snapshot, &name, &source.column, source.place)
        });
        let Some((table, number)) = origin else { return Arc::clone(field) };
        let mut metadata = field.metadata().clone();
        metadata.insert(ORIGIN.to_owned(), format!("{table}.{number}"));
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), columns.metadata().clone()))
}

/// Where the column at a place of a plan comes from.
fn source(plan: &LogicalPlan, at: usize) -> Option<Source<'_>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let column = scan.projected_schema.fields().get(at)?.name().clone();
            let place = scan.source.schema().index_of(&column).ok()?;
            Some(Source { table: &scan.table_name, column, place })
        }
        LogicalPlan::Projection(projection) => source_of(projection.expr.get(at)?, &projection.input),
        LogicalPlan::Filter(filter) => source(&filter.input, at),
        LogicalPlan::Sort(sort) => source(&sort.input, at),
        LogicalPlan::Limit(limit) => source(&limit.input, at),
        LogicalPlan::SubqueryAlias(alias) if is_view_mark(&alias.alias) => {
            let column = alias.schema.fields().get(at)?.name().clone();
            Some(Source { table: &alias.alias, column, place: at })
        }
        LogicalPlan::SubqueryAlias(alias) => source(&alias.input, at),
        LogicalPlan::Distinct(Distinct::All(input)) => source(input, at),
        LogicalPlan::Window(window) if at < window.input.schema().fields().len() => source(&window.input, at),
        LogicalPlan::Aggregate(aggregate) => source_of(aggregate.group_expr.get(at)?, &aggregate.input),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::RightSemi | JoinType::RightAnti => source(&join.right, at),
                _ if at < left => source(&join.left, at),
                _ => source(&join.right, at - left),
            }
        }
        _ => None,
    }
}

fn source_of<'a>(expr: &Expr, input: &'a LogicalPlan) -> Option<Source<'a>> {
    match expr {
        Expr::Column(column) => source(input, input.schema().maybe_index_of_column(column)?),
        Expr::Alias(alias) => source_of(&alias.expr, input),
        _ => None,
    }
}
