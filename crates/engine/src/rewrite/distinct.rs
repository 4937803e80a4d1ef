//! `DISTINCT ON`, as the first row of each group by its window; and ORDER BY the number of a column that is a constant.

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Value, WindowSpec, WindowType,
};
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
