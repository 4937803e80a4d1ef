//! What new rows of its tables add to a query's rows.
//!
//! Of tables that have only grown, a query made of filters, projections and inner joins gives the rows that it gave before
//! and besides: for a join, new rows of the left side with all of the right, and old rows of the left side with new ones
//! of the right.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableScan, Volatility, col, ident, lit};
use polder_lake::{Lake, LakeTable, Snapshot};
use polder_types::{Error, Result};

use crate::error::from_datafusion;

/// Why a query can only be run as a whole.
pub(super) type Reason = String;

/// The tables that a query reads, if new rows of them can only add rows to it.
pub(super) fn sources(plan: &LogicalPlan, snapshot: &Snapshot) -> std::result::Result<Vec<i64>, Reason> {
    let mut tables = Vec::new();
    let mut reason = None;
    let walked = plan.apply(|node| {
        match check(node, snapshot) {
            Ok(table) => tables.extend(table),
            Err(why) => {
                reason = Some(why);
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    match (reason, walked) {
        (Some(why), _) => Err(why),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(_)) => Ok(tables),
    }
}

/// One node: the table that it reads, if it is a scan.
fn check(node: &LogicalPlan, snapshot: &Snapshot) -> std::result::Result<Option<i64>, Reason> {
    for expr in node.expressions() {
        check_expr(&expr)?;
    }
    match node {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => Ok(None),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => Ok(None),
        LogicalPlan::Join(join) => Err(format!("it has a {} join", join.join_type.to_string().to_lowercase())),
        LogicalPlan::TableScan(scan) => match table_of(scan) {
            Some((table, version)) if version == snapshot.id && snapshot.tables.contains_key(&table) => Ok(Some(table)),
            Some(_) => Err(format!("it reads another version of {}", scan.table_name.table())),
            None => Err(format!("{} is no table of the lake", scan.table_name.table())),
        },
        LogicalPlan::Aggregate(_) => Err("it has GROUP BY below other parts".into()),
        LogicalPlan::Sort(_) => Err("it has ORDER BY".into()),
        LogicalPlan::Limit(_) => Err("it has LIMIT".into()),
        LogicalPlan::Distinct(_) => Err("it has DISTINCT".into()),
        LogicalPlan::Window(_) => Err("it has window functions".into()),
        LogicalPlan::Union(_) => Err("it has UNION".into()),
        other => Err(format!("it has {}", other.display().to_string().split(':').next().unwrap_or_default())),
    }
}

/// Refuses what gives another value when it is computed at another time, or from more rows than its own. What goes by the
/// session's time zone is none of that: rows are never put beside those that another zone gave.
pub(super) fn check_expr(expr: &Expr) -> std::result::Result<(), Reason> {
    let mut reason = None;
    let _ = expr.apply(|part| {
        reason = match part {
            Expr::ScalarFunction(function) if function.func.signature().volatility != Volatility::Immutable => {
                Some(format!("{}() gives another value each time", function.name()))
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::OuterReferenceColumn(..) => {
                Some("it has a subquery".to_owned())
            }
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        Ok(TreeNodeRecursion::Stop)
    });
    reason.map_or(Ok(()), Err)
}

/// A lake's table and its version.
fn table_of(scan: &TableScan) -> Option<(i64, i64)> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<LakeTable>()?;
    Some((table.state().id, table.version()))
}

/// Tables that have grown: where the ids of their new rows begin.
pub(super) struct Grown<'a> {
    pub lake: &'a Arc<Lake>,
    pub snapshot: &'a Arc<Snapshot>,
    pub from: BTreeMap<i64, i64>,
}

impl Grown<'_> {
    /// Plans that together give the rows that have come, each of them once. All have the columns of `plan`.
    ///
    /// # Errors
    /// `Internal` for a plan that [`sources`] refuses.
    pub fn terms(&self, plan: &LogicalPlan) -> Result<Vec<LogicalPlan>> {
        match plan {
            LogicalPlan::TableScan(scan) => match self.first_new(scan) {
                Some(from) => Ok(vec![self.part(scan, from..i64::MAX)?]),
                None => Ok(Vec::new()),
            },
            LogicalPlan::Join(join) => {
                let mut terms = Vec::new();
                for left in self.terms(&join.left)? {
                    terms.push(over(plan, vec![left, join.right.as_ref().clone()])?);
                }
                for right in self.terms(&join.right)? {
                    terms.push(over(plan, vec![self.before(&join.left)?, right])?);
                }
                Ok(terms)
            }
            _ => match plan.inputs().as_slice() {
                [input] => self.terms(input)?.into_iter().map(|term| over(plan, vec![term])).collect(),
                _ => Err(Error::internal("a plan that cannot be refreshed in part")),
            },
        }
    }

    fn first_new(&self, scan: &TableScan) -> Option<i64> {
        self.from.get(&table_of(scan)?.0).copied()
    }

    /// The plan over the rows that were there before.
    fn before(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        let old = plan.clone().transform_up(|node| {
            let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
            let Some(from) = self.first_new(scan) else { return Ok(Transformed::no(node)) };
            let part = self
                .part(scan, 0..from)
                .map_err(|error| datafusion::common::DataFusionError::External(Box::new(error)))?;
            Ok(Transformed::yes(part))
        });
        old.data().map_err(from_datafusion)
    }

    /// The rows of a scan whose ids are in a range, under the scan's name and with its columns.
    fn part(&self, scan: &TableScan, ids: Range<i64>) -> Result<LogicalPlan> {
        let table = table_of(scan).and_then(|(table, _)| self.snapshot.tables.get(&table));
        let table = table.ok_or_else(|| Error::internal("a scan of no table"))?;
        let rows = LakeTable::open_around(self.lake, self.snapshot, table, &ids)?;
        let source = provider_as_source(Arc::new(rows));
        let columns = scan.projected_schema.fields().iter().map(|field| ident(field.name()));
        let part = || {
            LogicalPlanBuilder::scan("part", source, None)?
                .filter(col("rowid").gt_eq(lit(ids.start)).and(col("rowid").lt(lit(ids.end))))?
                .project(columns.collect::<Vec<_>>())?
                .alias(scan.table_name.clone())?
                .build()
        };
        part().map_err(from_datafusion)
    }
}

/// A node over other inputs.
fn over(node: &LogicalPlan, inputs: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    node.with_new_exprs(node.expressions(), inputs).map_err(from_datafusion)
}
