//! The dependent join below WITH RECURSIVE: every row carries its key from step to step.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::logical_plan::RecursiveQuery;
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, TableScan};

use super::join::{join_on_keys, key_pairs};
use super::push::{Pushed, Pusher, columns, columns_of, owned, project};

/// The rows of the step before, as a recursive query that carries keys sees them.
#[derive(Clone)]
pub(super) struct Step {
    name: String,
    table: Arc<CteWorkTable>,
    keys: Vec<String>,
    strict: bool,
}

impl Step {
    fn is_read_by(&self, scan: &TableScan) -> bool {
        let Ok(provider) = source_as_provider(&scan.source) else { return false };
        provider.downcast_ref::<CteWorkTable>().is_some_and(|table| table.name() == self.name)
    }
}

impl Pusher<'_> {
    /// Whether a plan takes anything, or reads rows that carry what was taken before.
    pub(super) fn touch(&self, plan: &LogicalPlan) -> Result<bool> {
        if self.keys.touch(plan)? {
            return Ok(true);
        }
        let mut reads = false;
        if !self.steps.is_empty() {
            plan.apply_with_subqueries(|node| {
                reads |= matches!(node, LogicalPlan::TableScan(scan) if self.step(scan).is_some());
                Ok(if reads { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })?;
        }
        Ok(reads)
    }

    fn step(&self, scan: &TableScan) -> Option<&Step> {
        self.steps.iter().find(|step| step.is_read_by(scan))
    }

    /// The rows of the step before, with their keys; nothing if it is another table that is read.
    pub(super) fn carried(&self, scan: &TableScan) -> Result<Option<Pushed>> {
        let Some(step) = self.step(scan) else { return Ok(None) };
        let source = provider_as_source(Arc::<CteWorkTable>::clone(&step.table));
        let plan = LogicalPlanBuilder::scan(scan.table_name.clone(), source, None)?.build()?;
        let keys = step.keys.iter().map(|key| Column::new(Some(scan.table_name.clone()), key)).collect();
        Ok(Some(Pushed { plan, keys, strict: step.strict, empty: None }))
    }

    pub(super) fn recursive(&self, query: RecursiveQuery) -> Result<Pushed> {
        let names = self.names.keys(self.keys.exprs.len());
        let (first, strict) = self.first_step(owned(query.static_term), &names)?;
        // As DataFusion has it: what comes of a step may be NULL where the first rows never are.
        let fields: Vec<Field> =
            first.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, first.schema().metadata().clone()));
        let table = Arc::new(CteWorkTable::new(&query.name, schema));
        let mut steps = self.steps.clone();
        steps.push(Step { name: query.name.clone(), table, keys: names.clone(), strict });
        let within = Pusher { outer: self.outer, keys: self.keys, names: self.names, steps };
        let originals = columns_of(&query.recursive_term);
        let next = within.total(owned(query.recursive_term))?;
        let next_strict = next.strict;
        let next = with_keys(originals, next, &names)?;
        let query = RecursiveQuery::try_new(query.name, Arc::new(first), Arc::new(next), query.is_distinct)?;
        Ok(Pushed {
            plan: LogicalPlan::RecursiveQuery(query),
            keys: names.into_iter().map(Column::new_unqualified).collect(),
            strict: strict && next_strict,
            empty: None,
        })
    }

    /// The rows to begin with. They are those of the outer query's keys only: from another key there may be no end.
    fn first_step(&self, plan: LogicalPlan, names: &[String]) -> Result<(LogicalPlan, bool)> {
        let originals = columns_of(&plan);
        let mut pushed = self.total(plan)?;
        let strict = pushed.strict;
        if strict && !pushed.keys.is_empty() {
            let (domain, wanted) = self.domain()?;
            let pairs = key_pairs(columns(&pushed.keys).collect(), &wanted, true);
            pushed.plan = join_on_keys(pushed.plan, domain, JoinType::LeftSemi, pairs, None)?;
        }
        Ok((with_keys(originals, pushed, names)?, strict))
    }
}

/// A query's own columns, and behind them its keys under names that all its steps share.
fn with_keys(originals: Vec<Expr>, pushed: Pushed, names: &[String]) -> Result<LogicalPlan> {
    let keys = columns(&pushed.keys).zip(names).map(|(key, name)| key.alias(name));
    project(originals.into_iter().chain(keys).collect(), pushed.plan)
}
