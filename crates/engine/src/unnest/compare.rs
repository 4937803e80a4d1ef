//! `x = ANY (SELECT …)`, `IN`, `x < ALL (SELECT …)` as values: true, false, or unknown.

use std::sync::Arc;

use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprSchemable, JoinType, LogicalPlan, Operator, binary_expr, lit, when,
};

use super::attach::{Attached, MARK, Named, VALUE};
use super::push::project;

const ROWS: &str = "rows";
const VALUES: &str = "values";
const LEAST: &str = "least";
const GREATEST: &str = "greatest";

impl Attached<'_> {
    /// `operand op ANY (subquery)`.
    ///
    /// For equality the value is looked for among the distinct ones; for an order, the least or the greatest tells. Beside
    /// it a count of rows, and of those that are not NULL, tells false from unknown.
    pub fn any(&mut self, operand: Expr, op: Operator, subquery: &Subquery) -> Result<Expr> {
        let named = self.named(subquery, true)?;
        let nullable = operand.nullable(self.schema()).unwrap_or(true)
            || named.column(VALUE).nullable(named.plan.schema()).unwrap_or(true);
        let summary = self.summary(&named, op != Operator::Eq)?;
        let of = |name: &str| Expr::Column(datafusion::common::Column::new(Some(summary.as_str()), name));
        let compare = |other: &str| binary_expr(operand.clone(), op, of(other));
        let hit = match op {
            Operator::Eq => self.found(&operand, &named)?,
            Operator::NotEq => compare(LEAST).or(compare(GREATEST)),
            Operator::Lt | Operator::LtEq => compare(GREATEST),
            Operator::Gt | Operator::GtEq => compare(LEAST),
            other => return not_impl_err!("{other} ANY or ALL with a subquery"),
        };
        let none = of(ROWS).is_null().or(of(ROWS).eq(lit(0_i64)));
        let unknown = operand.clone().is_null().or(of(ROWS).gt(of(VALUES)));
        let mut case = when(hit, lit(true));
        let mut case = case.when(none, lit(false));
        if nullable {
            case = case.when(unknown, lit(ScalarValue::Boolean(None)));
        }
        case.otherwise(lit(false))
    }

    /// Joins what is known of the subquery as a whole; gives the name of it.
    fn summary(&mut self, named: &Named, ordered: bool) -> Result<String> {
        let relation = self.names.relation();
        let own = |expr: Expr, name: &str| expr.alias_qualified(Some(relation.as_str()), name);
        let value = named.column(VALUE);
        let keys: Vec<Expr> = named.keys.iter().cloned().map(Expr::Column).collect();
        let mut whole = vec![own(count(lit(1_i64)), ROWS), own(count(value.clone()), VALUES)];
        if ordered {
            whole.extend([own(min(value.clone()), LEAST), own(max(value), GREATEST)]);
        }
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(named.plan.clone()), keys, whole)?);
        self.join(plan, JoinType::Left, named, None)?;
        Ok(relation)
    }

    /// Whether the operand is among the values.
    fn found(&mut self, operand: &Expr, named: &Named) -> Result<Expr> {
        let relation = self.names.relation();
        let own = |name: &str| datafusion::common::Column::new(Some(relation.as_str()), name);
        let renamed = |expr: Expr, name: &str| expr.alias_qualified(Some(relation.as_str()), name);
        let mut exprs: Vec<Expr> = named.keys.iter().map(|key| renamed(Expr::Column(key.clone()), &key.name)).collect();
        exprs.push(renamed(named.column(VALUE), VALUE));
        exprs.push(renamed(lit(true), MARK));
        let values = LogicalPlan::Distinct(Distinct::All(Arc::new(project(exprs, named.plan.clone())?)));
        let looked_up = Named {
            plan: LogicalPlan::default(),
            outer_keys: named.outer_keys.clone(),
            keys: named.keys.iter().map(|key| own(&key.name)).collect(),
            relation: relation.clone(),
            strict: named.strict,
            empty: None,
        };
        let same = operand.clone().eq(looked_up.column(VALUE));
        self.join(values, JoinType::Left, &looked_up, Some(same))?;
        Ok(looked_up.column(MARK).is_not_null())
    }
}
