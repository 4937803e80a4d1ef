//! The steps of WITH RECURSIVE say of their columns what the first rows say.
//!
//! What a step reads of the step before was typed when the query was planned, before types that Arrow has none for were settled. The
//! planner refuses steps whose fields say other things than those of the first rows.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::logical_plan::{RecursiveQuery, TableScanBuilder};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, TableScan};

use super::kept_types::{keep, marked};

type Metadata = HashMap<String, String>;

/// Whether a plan has steps.
pub(super) fn any(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |= matches!(node, LogicalPlan::RecursiveQuery(_));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// A query whose steps say what its first rows say.
pub(super) fn aligned(query: RecursiveQuery) -> Result<LogicalPlan> {
    let said: Vec<Metadata> =
        query.static_term.schema().fields().iter().map(|field| field.metadata().clone()).collect();
    let next = Arc::unwrap_or_clone(query.recursive_term).transform_up_with_subqueries(|node| {
        let node = match node {
            LogicalPlan::TableScan(scan) => LogicalPlan::TableScan(before(scan, &query.name, &said)?),
            node => keep(node)?.data.recompute_schema()?,
        };
        Ok(Transformed::yes(node))
    });
    let next = saying(next.data()?, &said)?;
    RecursiveQuery::try_new(query.name, query.static_term, Arc::new(next), query.is_distinct)
        .map(LogicalPlan::RecursiveQuery)
}

/// The scan of the step before, whose columns say as much; any other is left as it is.
fn before(scan: TableScan, name: &str, said: &[Metadata]) -> Result<TableScan> {
    let Ok(provider) = source_as_provider(&scan.source) else { return Ok(scan) };
    let Some(table) = provider.downcast_ref::<CteWorkTable>().filter(|table| table.name() == name) else {
        return Ok(scan);
    };
    let schema = table.schema();
    let same = schema.fields().iter().zip(said).all(|(field, said)| field.metadata() == said);
    if same || schema.fields().len() != said.len() {
        return Ok(scan);
    }
    let told = |(field, said): (&Arc<Field>, &Metadata)| field.as_ref().clone().with_metadata(said.clone());
    let fields: Vec<Field> = schema.fields().iter().zip(said).map(told).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let source = provider_as_source(Arc::new(CteWorkTable::new(name, schema)));
    TableScanBuilder::new(scan.table_name, source)
        .with_projection(scan.projection)
        .with_filters(scan.filters)
        .with_fetch(scan.fetch)
        .build()
}

/// The rows of a plan, whose columns say no more and no less.
fn saying(plan: LogicalPlan, said: &[Metadata]) -> Result<LogicalPlan> {
    let differs = |(field, said): (&Arc<Field>, &Metadata)| field.metadata() != said;
    if !plan.schema().fields().iter().zip(said).any(differs) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().zip(said).map(|((qualifier, field), said)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        if field.metadata() == said {
            return column;
        }
        let marks = said.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        marked(column, marks).alias_qualified(qualifier.cloned(), field.name())
    });
    Projection::try_new(columns.collect(), Arc::new(plan.clone())).map(LogicalPlan::Projection)
}
