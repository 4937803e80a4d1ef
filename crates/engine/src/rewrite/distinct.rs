//! `DISTINCT ON`, as the first row of each group by its window; `DISTINCT` in the order of an expression that is a column of
//! the answer; and ORDER BY the number of a column that is a constant.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, Distinct, Expr, Ident, ObjectNamePart, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableFactor, Value, WindowSpec, WindowType,
};
use polder_sql_tree::visit_expressions_mut;
use polder_types::{Error, Result};

use crate::functions::syntax::call;
use crate::parse::parse_expr;
use crate::statement::fold;

/// Rewrites a query in place, where all that it needs is in its text.
///
/// # Errors
/// `InvalidInput` (42P10) when the ORDER BY does not begin with what is to be distinct.
pub(super) fn first_of_each(query: &mut Query) -> Result<()> {
    let Query { body, order_by, .. } = query;
    let SetExpr::Select(select) = body.as_mut() else { return Ok(()) };
    let Some(Distinct::On(on)) = &select.distinct else { return Ok(()) };
    let order: Vec<OrderByExpr> = match order_by {
        None => Vec::new(),
        Some(OrderBy { kind: OrderByKind::Expressions(exprs), interpolate: None }) => exprs.clone(),
        Some(_) => return Ok(()),
    };
    if select.qualify.is_some() {
        return Ok(());
    }
    let items = &select.projection;
    let Some(on) = on.iter().map(|expr| meant(expr, items)).collect::<Option<Vec<Expr>>>() else { return Ok(()) };
    let by = order.iter().map(|sort| Some(OrderByExpr { expr: meant(&sort.expr, items)?, ..sort.clone() }));
    let Some(by) = by.collect::<Option<Vec<OrderByExpr>>>() else { return Ok(()) };
    let distinct: Vec<String> = on.iter().map(Expr::to_string).collect();
    if by.iter().take(on.len()).any(|sort| !distinct.contains(&sort.expr.to_string())) {
        return Err(Error::invalid("SELECT DISTINCT ON expressions must match initial ORDER BY expressions")
            .with_code("42P10")
            .with_hint("ORDER BY what is to be distinct first, then what says which row is the first"));
    }
    let mut number = call("row_number", Vec::new());
    if let Expr::Function(function) = &mut number {
        function.over = Some(WindowType::WindowSpec(WindowSpec {
            window_name: None,
            partition_by: on,
            order_by: by,
            window_frame: None,
        }));
    }
    let mut first = parse_expr("1 = 1")?;
    if let Expr::BinaryOp { left, .. } = &mut first {
        **left = number;
    }
    select.qualify = Some(first);
    select.distinct = None;
    Ok(())
}

/// What an expression of ORDER BY or DISTINCT ON means: a column of the answer by its number or name, or itself. None when
/// the text does not tell.
fn meant(expr: &Expr, items: &[SelectItem]) -> Option<Expr> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => numbered(number, items).cloned(),
            _ => Some(expr.clone()),
        },
        Expr::Identifier(ident) => Some(named(ident, items).unwrap_or(expr).clone()),
        _ => Some(expr.clone()),
    }
}

fn numbered<'a>(number: &str, items: &'a [SelectItem]) -> Option<&'a Expr> {
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
    match items.get(at).filter(|_| items.iter().take(at).all(plain))? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

fn named<'a>(ident: &Ident, items: &'a [SelectItem]) -> Option<&'a Expr> {
    items.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if fold(alias) == fold(ident) => Some(expr),
        _ => None,
    })
}

/// `SELECT DISTINCT i + 1 … ORDER BY i + 1` as ORDER BY the number of the column: behind DISTINCT there is nothing else left
/// that the planner could order by.
///
/// # Errors
/// None that a text leads to.
pub(super) fn by_place(query: &mut Query) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &mut query.order_by else { return Ok(()) };
    if !matches!(select.distinct, Some(Distinct::Distinct)) {
        return Ok(());
    }
    let plain = |item: &&SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    let table = only_table(select);
    let table = table.as_deref();
    let mut items: Option<Vec<Expr>> = None;
    // By itself a name is that of a column of the answer, which the planner finds.
    let computed = |expr: &Expr| !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_));
    for sort in exprs.iter_mut().filter(|sort| computed(&sort.expr)) {
        let items = items.get_or_insert_with(|| {
            select.projection.iter().take_while(plain).filter_map(expr_of).map(|expr| spelled(expr, table)).collect()
        });
        let wanted = spelled(&sort.expr, table);
        if let Some(at) = items.iter().position(|item| *item == wanted) {
            sort.expr = parse_expr(&(at + 1).to_string())?;
        }
    }
    Ok(())
}

fn expr_of(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// What the only table in FROM is called: its columns may be named without it. Of several tables each may have the column.
fn only_table(select: &Select) -> Option<String> {
    let [from] = select.from.as_slice() else { return None };
    let name = match &from.relation {
        _ if !from.joins.is_empty() => None,
        TableFactor::Table { alias: None, name, .. } => name.0.last().and_then(ObjectNamePart::as_ident),
        TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. } => {
            alias.as_ref().map(|alias| &alias.name)
        }
        _ => None,
    };
    name.map(fold)
}

/// An expression, the same for all ways to write it: a column with its table or without, in brackets or not.
fn spelled(expr: &Expr, table: Option<&str>) -> Expr {
    let plain = |ident: &Ident| Ident::with_quote('"', fold(ident));
    let mut expr = expr.clone();
    let _ = visit_expressions_mut(&mut expr, |part| {
        while let Expr::Nested(inner) = part {
            *part = std::mem::replace(inner.as_mut(), Expr::Value(Value::Null.into()));
        }
        match part {
            Expr::Identifier(ident) => *ident = plain(ident),
            Expr::CompoundIdentifier(idents) => {
                idents.iter_mut().for_each(|ident| *ident = plain(ident));
                if let [of, column] = idents.as_slice()
                    && Some(of.value.as_str()) == table
                {
                    *part = Expr::Identifier(column.clone());
                }
            }
            Expr::Cast { kind, .. } if *kind == CastKind::DoubleColon => *kind = CastKind::Cast,
            Expr::Function(function) => {
                for name in &mut function.name.0 {
                    if let ObjectNamePart::Identifier(ident) = name {
                        *ident = plain(ident);
                    }
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}

/// A constant puts no rows in order, and beside aggregates the planner would take it for a column.
pub(super) fn without_constants(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &mut query.order_by else { return };
    exprs.retain(|sort| {
        let constant = match &sort.expr {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => numbered(number, &select.projection),
                _ => None,
            },
            _ => None,
        };
        !matches!(constant, Some(Expr::Value(_)))
    });
    if exprs.is_empty() {
        query.order_by = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_query;

    fn ordered(sql: &str) -> String {
        let mut query = parse_query(sql).unwrap();
        by_place(&mut query).unwrap();
        query.order_by.map(|order| order.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_selected_is_ordered_by_its_place() {
        for (sql, expected) in [
            ("SELECT DISTINCT i + 1 FROM t ORDER BY i + 1", "ORDER BY 1"),
            ("SELECT DISTINCT a, (t.I + 1) AS b FROM t ORDER BY i + 1 DESC, a", "ORDER BY 2 DESC, a"),
            ("SELECT DISTINCT i::text FROM t ORDER BY CAST(t.i AS text)", "ORDER BY 1"),
            ("SELECT DISTINCT a.i + 1 FROM a, b ORDER BY b.i + 1", "ORDER BY b.i + 1"),
            ("SELECT DISTINCT a.i + 1 FROM a, b ORDER BY A.I + 1", "ORDER BY 1"),
            ("SELECT DISTINCT a.i + 1 FROM a FULL JOIN b USING (i) ORDER BY i + 1", "ORDER BY i + 1"),
            ("SELECT DISTINCT (i + 1) * 2 FROM t ORDER BY i + 1 * 2", "ORDER BY i + 1 * 2"),
            ("SELECT DISTINCT *, i + 1 FROM t ORDER BY i + 1", "ORDER BY i + 1"),
            ("SELECT i + 1 FROM t ORDER BY i + 1", "ORDER BY i + 1"),
        ] {
            assert_eq!(ordered(sql), expected, "{sql}");
        }
    }
}
