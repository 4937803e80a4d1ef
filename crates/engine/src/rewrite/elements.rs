//! `FROM t, jsonb_array_elements(t.j) AS e`: the column is called `value`, and `e` by itself is the element too.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, VisitorMut,
};
use polder_sql_tree::{Node, visit_expressions, visit_mut};
use polder_types::{Error, Result};

use super::query::output_name;
use crate::statement::fold;

const ELEMENTS: [&str; 2] = ["polder_json_elements", "polder_json_elements_text"];

/// Aliases of such functions, and the columns that they stand for.
#[derive(Default)]
struct Elements(HashMap<String, Ident>);

impl Elements {
    fn of(select: &Select) -> Self {
        let factors = select
            .from
            .iter()
            .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
        Self(factors.filter_map(element).collect())
    }

    /// In what may take from the element.
    fn replace_lateral(&mut self, factor: &mut TableFactor) -> Result<()> {
        match factor {
            TableFactor::Derived { lateral: false, .. } | TableFactor::NestedJoin { .. } => Ok(()),
            other => self.replace(other),
        }
    }

    fn replace<T: Node>(&mut self, part: &mut T) -> Result<()> {
        match visit_mut(part, self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

impl VisitorMut for Elements {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Identifier(alias) = expr
            && let Some(column) = self.0.get(&fold(alias))
        {
            *expr = Expr::CompoundIdentifier(vec![alias.clone(), column.clone()]);
        }
        ControlFlow::Continue(())
    }
}

/// Only where the alias is not what the function is of: then it names a column.
fn element(factor: &TableFactor) -> Option<(String, Ident)> {
    let TableFactor::UNNEST { alias: Some(alias), array_exprs, .. } = factor else { return None };
    let ([array], [column]) = (array_exprs.as_slice(), alias.columns.as_slice()) else { return None };
    let elements = matches!(array, Expr::Function(call) if ELEMENTS.contains(&call.name.to_string().as_str()));
    let name = fold(&alias.name);
    let taken = fold(&column.name) == name
        || visit_expressions(array, |part| match part {
            Expr::Identifier(ident) if fold(ident) == name => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .is_break();
    (elements && !taken).then(|| (name, column.name.clone()))
}

/// Rewrites all parts of a SELECT.
pub(super) fn by_alias(select: &mut Select) -> Result<()> {
    let mut elements = Elements::of(select);
    if elements.0.is_empty() {
        return Ok(());
    }
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Identifier(alias)) = item
            && elements.0.contains_key(&fold(alias))
        {
            *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(alias.clone()), alias: alias.clone() };
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            elements.replace(expr)?;
        }
    }
    for table in &mut select.from {
        elements.replace_lateral(&mut table.relation)?;
        for Join { relation, join_operator, .. } in &mut table.joins {
            elements.replace_lateral(relation)?;
            if let Some(condition) = on(join_operator) {
                elements.replace(condition)?;
            }
        }
    }
    for condition in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        elements.replace(condition)?;
    }
    if let GroupByExpr::Expressions(exprs, _) = &mut select.group_by {
        exprs.iter_mut().try_for_each(|expr| elements.replace(expr))?;
    }
    Ok(())
}

fn on(operator: &mut JoinOperator) -> Option<&mut Expr> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint) | J::Inner(constraint) | J::Left(constraint) | J::LeftOuter(constraint) => match constraint
        {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    }
}

/// As [`by_alias`], in the order of the query, where names of the answer come first.
pub(super) fn in_order(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    let mut elements = Elements::of(select);
    if elements.0.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = select.projection.iter().filter_map(output_name).collect();
    let Some(OrderByKind::Expressions(sorts)) = query.order_by.as_mut().map(|order| &mut order.kind) else {
        return Ok(());
    };
    for sort in sorts {
        if matches!(&sort.expr, Expr::Identifier(name) if names.contains(&fold(name))) {
            continue;
        }
        elements.replace(&mut sort.expr)?;
    }
    Ok(())
}
