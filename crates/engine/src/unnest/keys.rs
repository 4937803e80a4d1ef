//! What a subquery takes from the query around it.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};

/// The expressions of an outer query that a subquery depends on, each over the outer query's columns.
///
/// They are columns, except where an expression of outer columns alone is compared with `=`: then it is taken as a whole,
/// so that a cast does not hide that the comparison fixes its value.
#[derive(Debug)]
pub(super) struct Keys<'a> {
    outer: &'a DFSchema,
    pub exprs: Vec<Expr>,
}

impl<'a> Keys<'a> {
    /// What `plan` takes from a query of the columns `outer`.
    pub fn of(plan: &LogicalPlan, outer: &'a DFSchema) -> Result<Self> {
        let mut keys = Self { outer, exprs: Vec::new() };
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                keys.collect(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(keys)
    }

    fn collect(&mut self, expr: &Expr) -> Result<()> {
        if let Some((key, other)) = self.fixed(expr) {
            let key = strip(key.clone())?;
            self.add(key);
            return self.collect(&other.clone());
        }
        if let Expr::OuterReferenceColumn(_, column) = expr {
            if self.outer.has_column(column) {
                self.add(Expr::Column(column.clone()));
            }
            return Ok(());
        }
        expr.apply_children(|child| {
            self.collect(child)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    fn add(&mut self, key: Expr) {
        if !self.exprs.contains(&key) {
            self.exprs.push(key);
        }
    }

    fn is_ours(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::OuterReferenceColumn(_, column) if self.outer.has_column(column))
    }

    /// Whether an expression takes anything.
    pub fn touch_expr(&self, expr: &Expr) -> Result<bool> {
        expr.exists(|part| Ok(self.is_ours(part)))
    }

    /// Whether a plan takes anything.
    pub fn touch(&self, plan: &LogicalPlan) -> Result<bool> {
        let mut found = false;
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                found |= self.touch_expr(expr)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(found)
    }

    /// Of `inner = outer`, or the other way round: the outer side, and the inner one.
    pub fn fixed<'e>(&self, expr: &'e Expr) -> Option<(&'e Expr, &'e Expr)> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = expr else { return None };
        if self.is_pure(left) && !self.touches_any(right) {
            Some((left, right))
        } else if self.is_pure(right) && !self.touches_any(left) {
            Some((right, left))
        } else {
            None
        }
    }

    fn touches_any(&self, expr: &Expr) -> bool {
        expr.exists(|part| Ok(self.is_ours(part) || is_subquery(part))).unwrap_or(true)
    }

    /// Made of outer columns alone.
    fn is_pure(&self, expr: &Expr) -> bool {
        let mut ours = false;
        let foreign = expr.exists(|part| {
            ours |= self.is_ours(part);
            Ok(match part {
                Expr::OuterReferenceColumn(..) => !self.is_ours(part),
                Expr::Column(_) => true,
                part => is_subquery(part),
            })
        });
        ours && matches!(foreign, Ok(false)) && !expr.is_volatile()
    }

    /// An expression in which each key is replaced by the column that carries it.
    pub fn bind(&self, expr: Expr, columns: &[Column]) -> Result<Expr> {
        if let Some((key, other)) = self.fixed(&expr) {
            let column = self.column(&strip(key.clone())?, columns)?;
            let other = self.bind(other.clone(), columns)?;
            return Ok(other.eq(Expr::Column(column)));
        }
        if self.is_ours(&expr) {
            return Ok(Expr::Column(self.column(&strip(expr)?, columns)?));
        }
        expr.map_children(|child| Ok(Transformed::yes(self.bind(child, columns)?))).map(|bound| bound.data)
    }

    /// As [`Keys::bind`], of the expressions of a projection, each under the name that it had.
    pub fn bind_all(&self, exprs: Vec<Expr>, columns: &[Column]) -> Result<Vec<Expr>> {
        let names = NamePreserver::new_for_projection();
        let bound = exprs.into_iter().map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(self.bind(expr, columns)?))
        });
        bound.collect()
    }

    fn column(&self, key: &Expr, columns: &[Column]) -> Result<Column> {
        match self.exprs.iter().position(|known| known == key).and_then(|at| columns.get(at)) {
            Some(column) => Ok(column.clone()),
            None => plan_err!("{key} of the outer query is not there in the subquery"),
        }
    }

    /// An expression over the outer query itself.
    pub fn unbound(&self, expr: Expr) -> Result<Expr> {
        expr.transform_up(|part| {
            Ok(match part {
                Expr::OuterReferenceColumn(field, column) if !self.outer.has_column(&column) => {
                    Transformed::no(Expr::OuterReferenceColumn(field, column))
                }
                Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
                part => Transformed::no(part),
            })
        })
        .map(|stripped| stripped.data)
    }
}

fn strip(expr: Expr) -> Result<Expr> {
    expr.transform_up(|part| {
        Ok(match part {
            Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
            part => Transformed::no(part),
        })
    })
    .map(|stripped| stripped.data)
}

pub(super) fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_))
}

/// Whether any column of a query around it is named in a plan, however far around.
pub(super) fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |= expr.exists(|part| Ok(matches!(part, Expr::OuterReferenceColumn(..))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}
