//! Rows of several values compared with a subquery: `(a, b) IN (SELECT c, d …)`; and subqueries whose rows become an array.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, GroupByExpr, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
};
use polder_types::{Error, ErrorKind, Result};

use super::quoted;
use crate::parse::parse_expr;

/// `(a, b) IN (…)` as what it means: one of the rows is equal; or, where none is, one may be equal but for NULL.
pub(super) fn in_subquery(expr: &mut Expr) -> Result<()> {
    let (left, subquery, negated) = match expr {
        Expr::InSubquery { expr: left, subquery, negated } => (left, subquery, *negated),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match right.as_mut() {
            Expr::Subquery(subquery) => (left, subquery, false),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let Expr::Tuple(parts) = left.as_ref() else { return Ok(()) };
    within_bounds(subquery, 2)?;
    let written = compared(parts, subquery, negated);
    *expr = parse_expr(&written)?;
    Ok(())
}

fn compared(parts: &[Expr], subquery: &Query, negated: bool) -> String {
    let column = |at: usize| quoted(&format!("polder$row{at}"));
    let columns: Vec<String> = (0..parts.len()).map(column).collect();
    let same: Vec<String> = parts.iter().enumerate().map(|(at, part)| format!("{} = {part}", column(at))).collect();
    let same = same.join(" AND ");
    let exists = |condition: &str| {
        format!("EXISTS (SELECT 1 FROM ({subquery}) AS \"polder$rows\"({}) WHERE {condition})", columns.join(", "))
    };
    let found = exists(&format!("({same})"));
    let unknown = exists(&format!("({same}) IS NULL"));
    let (yes, no) = if negated { ("false", "true") } else { ("true", "false") };
    format!("(CASE WHEN {found} THEN {yes} WHEN {unknown} THEN NULL ELSE {no} END)")
}

/// `(a, b) = (SELECT c, d …)`: value by value, each from the same subquery.
pub(super) fn equal_to(expr: &mut Expr) -> Result<()> {
    let Expr::BinaryOp { left, op: op @ (BinaryOperator::Eq | BinaryOperator::NotEq), right } = expr else {
        return Ok(());
    };
    let (Expr::Tuple(parts), Expr::Subquery(query)) = (left.as_ref(), right.as_ref()) else { return Ok(()) };
    if let SetExpr::Select(select) = query.body.as_ref()
        && select.projection.iter().all(is_plain)
        && select.projection.len() != parts.len()
    {
        return Err(no_row(parts.len()));
    }
    within_bounds(query, parts.len())?;
    let column = |at: usize| quoted(&format!("polder$row{at}"));
    let columns = (0..parts.len()).map(column).collect::<Vec<_>>().join(", ");
    // Whole, since it may be one row only because of another of its values.
    let pairs = parts
        .iter()
        .enumerate()
        .map(|(at, part)| format!("{part} {op} (SELECT {} FROM ({query}) AS \"polder$rows\"({columns}))", column(at)));
    let pairs: Vec<String> = pairs.collect();
    let word = if *op == BinaryOperator::Eq { " AND " } else { " OR " };
    *expr = parse_expr(&format!("({})", pairs.join(word)))?;
    Ok(())
}

/// Subqueries within such subqueries are written out again and again.
const WRITTEN_BYTES_MAX: usize = 1 << 20;

fn within_bounds(query: &Query, times: usize) -> Result<()> {
    if query.to_string().len().saturating_mul(times) <= WRITTEN_BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::TooLarge, "rows compared with subqueries within subqueries become too long a statement")
        .with_code("54001")
        .with_hint("compare single values, or join"))
}

fn no_row(width: usize) -> Error {
    Error::invalid(format!("the subquery beside a row of {width} values must SELECT {width} expressions"))
        .with_code("42601")
}

fn is_plain(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

/// `ARRAY(SELECT …)`: the rows of a subquery in their order, and an empty array where there are none.
pub(super) fn array(expr: &mut Expr) -> Result<()> {
    let Expr::Function(function) = expr else { return Ok(()) };
    let FunctionArguments::Subquery(query) = &function.args else { return Ok(()) };
    if !function.name.to_string().eq_ignore_ascii_case("array") {
        return Ok(());
    }
    let gathered = match simple(query) {
        Some((select, value)) => {
            let mut select = select.clone();
            let order = order(query, &select)?;
            select.projection = vec![SelectItem::UnnamedExpr(parse_expr(&format!("array_agg({value}{order})"))?)];
            select.to_string()
        }
        None => numbered(query)?,
    };
    // Of no rows array_agg makes NULL.
    *expr = parse_expr(&format!("coalesce(({gathered}), make_array())"))?;
    Ok(())
}

/// The SELECT of one value a row, and the value, where an aggregate can take the place of the value.
fn simple(query: &Query) -> Option<(&Select, &Expr)> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] = select.projection.as_slice()
    else {
        return None;
    };
    let bare = query.with.is_none() && query.limit_clause.is_none() && query.fetch.is_none();
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
    let whole =
        select.distinct.is_none() && select.having.is_none() && select.qualify.is_none() && select.top.is_none();
    let calls = |expr: &Expr| {
        polder_sql_tree::visit_expressions(expr, |part| match part {
            // It may be an aggregate, or be computed over a window.
            Expr::Function(_) => std::ops::ControlFlow::Break(()),
            _ => std::ops::ControlFlow::Continue(()),
        })
        .is_break()
    };
    (bare && ungrouped && whole && !calls(value)).then_some((select.as_ref(), value))
}

/// What ORDER BY says, for inside an aggregate.
fn order(query: &Query, select: &Select) -> Result<String> {
    let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &query.order_by else { return Ok(String::new()) };
    let each = exprs.iter().map(|sort| {
        let expr = super::query::selected(&sort.expr, select)?;
        Ok(format!("{expr}{}", sort.options))
    });
    let each = each.collect::<Result<Vec<_>>>()?.join(", ");
    Ok(if each.is_empty() { each } else { format!(" ORDER BY {each}") })
}

/// Any query of one column. An aggregate heeds no order but its own: so the rows carry a number, or are in order of their
/// values where nothing else can be ordered by.
fn numbered(query: &Query) -> Result<String> {
    let mut inner = query.clone();
    let mut by = String::new();
    let mut columns = "\"polder$value\"";
    if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &query.order_by {
        match inner.body.as_mut() {
            SetExpr::Select(select) if select.distinct.is_none() => {
                let order = order(query, select)?;
                let number = parse_expr(&format!("row_number() OVER ({})", order.trim_start()))?;
                select.projection.push(SelectItem::UnnamedExpr(number));
                columns = "\"polder$value\", \"polder$number\"";
                by = " ORDER BY \"polder$number\"".to_owned();
            }
            _ => {
                by =
                    exprs.first().map_or_else(String::new, |sort| format!(" ORDER BY \"polder$value\"{}", sort.options))
            }
        }
    }
    Ok(format!("SELECT array_agg(\"polder$value\"{by}) FROM ({inner}) AS \"polder$rows\"({columns})"))
}
