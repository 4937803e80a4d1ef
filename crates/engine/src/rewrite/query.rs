//! Whole queries: FETCH, LIMIT by a subquery, TABLE, grouping by brackets, ORDER BY ALL.

use std::collections::{BTreeSet, HashSet};

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Fetch, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Join,
    JoinConstraint, JoinOperator, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Value,
};
use polder_types::{Error, ErrorKind, Result};

use super::{DISTINCT_SETS, quoted, row_counts};
use crate::parse::{parse_expr, parse_query};
use crate::statement::fold;

/// `TABLE t` as a body.
pub(super) fn table(query: &mut Query) -> Result<()> {
    table_in(&mut query.body)
}

fn table_in(body: &mut SetExpr) -> Result<()> {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            table_in(left)?;
            table_in(right)
        }
        SetExpr::Table(table) => {
            let text = table.to_string();
            let name = text.strip_prefix("TABLE ").unwrap_or(&text);
            *body = *parse_query(&format!("SELECT * FROM {name}"))?.body;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `FETCH FIRST … ROWS` as LIMIT, or as a condition on ranks where ties count or the number comes from a subquery.
pub(super) fn limits(query: &mut Query) -> Result<()> {
    let fetch = query.fetch.take();
    if let Some(Fetch { with_ties, percent, quantity }) = fetch {
        if percent {
            return Err(Error::unsupported("FETCH … PERCENT is not supported"));
        }
        let quantity = match quantity {
            Some(quantity) => quantity,
            None => parse_expr("1")?,
        };
        let offset = match query.limit_clause.take() {
            None => None,
            Some(LimitClause::LimitOffset { limit: None, offset, .. }) => offset,
            Some(_) => return Err(Error::invalid("LIMIT and FETCH in one query").with_code("42601")),
        };
        if with_ties {
            if query.order_by.is_none() {
                return Err(Error::invalid("WITH TIES needs ORDER BY").with_code("42601"));
            }
            return ranked(query, offset.map(|offset| offset.value), Some(quantity), true);
        }
        query.limit_clause = Some(LimitClause::LimitOffset { limit: Some(quantity), offset, limit_by: Vec::new() });
    }
    let Some(LimitClause::LimitOffset { limit, offset, limit_by }) = &mut query.limit_clause else { return Ok(()) };
    if !limit_by.is_empty() {
        return Ok(());
    }
    for count in limit.iter_mut().chain(offset.as_mut().map(|offset| &mut offset.value)) {
        row_counts::compute(count)?;
        whole(count);
    }
    let computed = |expr: &Expr| super::has_query(expr);
    if !limit.as_ref().is_some_and(computed) && !offset.as_ref().is_some_and(|offset| computed(&offset.value)) {
        return Ok(());
    }
    let (limit, offset) = (limit.clone(), offset.clone().map(|offset| offset.value));
    query.limit_clause = None;
    ranked(query, offset, limit, false)
}

/// A number of rows that is a fraction, or may be one, as the whole number next to it.
fn whole(expr: &mut Expr) {
    if may_be_fraction(expr) {
        let inner = Box::new(std::mem::replace(expr, Expr::Value(Value::Null.into())));
        let data_type = DataType::BigInt(None);
        *expr = Expr::Cast { kind: CastKind::Cast, expr: inner, data_type, array: false, format: None };
    }
}

fn may_be_fraction(expr: &Expr) -> bool {
    use DataType as D;
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => !number.bytes().all(|byte| byte.is_ascii_digit()),
            // It is read as a number.
            Value::SingleQuotedString(_) => true,
            _ => false,
        },
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => may_be_fraction(inner),
        Expr::BinaryOp { left, right, .. } => may_be_fraction(left) || may_be_fraction(right),
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            D::Numeric(_)
                | D::Decimal(_)
                | D::Dec(_)
                | D::Real
                | D::Float(_)
                | D::Float4
                | D::Float8
                | D::Double(_)
                | D::DoublePrecision
        ),
        _ => false,
    }
}

/// The rows after `offset`, up to `fetch` of them, by a number in the order of the query.
fn ranked(query: &mut Query, offset: Option<Expr>, fetch: Option<Expr>, ties: bool) -> Result<()> {
    if !matches!(query.body.as_ref(), SetExpr::Select(select) if select.distinct.is_none()) {
        derive(query)?;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return Err(Error::internal("no SELECT")) };
    let order = match &query.order_by {
        None => String::new(),
        Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) => {
            let exprs =
                exprs.iter().map(|sort| Ok(OrderByExpr { expr: selected(&sort.expr, select)?, ..sort.clone() }));
            let exprs = exprs.collect::<Result<Vec<_>>>()?;
            format!("ORDER BY {}", exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        }
        Some(_) => return Err(Error::unsupported("ORDER BY ALL beside such a LIMIT").with_hint("name the columns")),
    };
    // NULL is no limit, and no offset.
    let skipped = offset.map_or_else(|| "0".to_owned(), |offset| format!("coalesce({offset}, 0)"));
    let mut wanted = vec![format!("row_number() OVER ({order}) > {skipped}")];
    if let Some(fetch) = fetch {
        let number = if ties { "rank" } else { "row_number" };
        wanted.push(format!("(({fetch}) IS NULL OR {number}() OVER ({order}) <= {skipped} + ({fetch}))"));
    }
    wanted.extend(select.qualify.take().map(|qualify| format!("({qualify})")));
    select.qualify = Some(parse_expr(&wanted.join(" AND "))?);
    Ok(())
}

/// The body of a query as a table of its own, where a number cannot be given to its rows as they are.
fn derive(query: &mut Query) -> Result<()> {
    let names = output_names(&query.body);
    if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &mut query.order_by {
        for sort in exprs {
            if let Some(at) = ordinal(&sort.expr) {
                let Some(Some(name)) = names.get(at.wrapping_sub(1)) else {
                    return Err(
                        Error::unsupported("ORDER BY a number beside such a LIMIT").with_hint("name the column")
                    );
                };
                sort.expr = parse_expr(&quoted(name))?;
            }
        }
    }
    let text = format!("SELECT * FROM ({}) AS \"polder$limited\"", query.body);
    query.body = parse_query(&text)?.body;
    Ok(())
}

/// The number that stands for a column of the answer.
pub(super) fn ordinal(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.to_string().parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// The columns of a query that is kept as text; `None` where it does not tell all of them.
pub(crate) fn named_columns(sql: &str) -> Option<Vec<String>> {
    output_names(&parse_query(sql).ok()?.body).into_iter().collect()
}

fn output_names(body: &SetExpr) -> Vec<Option<String>> {
    match body {
        SetExpr::Select(select) => select.projection.iter().map(output_name).collect(),
        SetExpr::Query(query) => output_names(&query.body),
        SetExpr::SetOperation { left, .. } => output_names(left),
        _ => Vec::new(),
    }
}

/// The name of a column of the answer, where the text tells it.
pub(super) fn output_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(fold(ident)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => idents.last().map(fold),
        _ => None,
    }
}

/// What ORDER BY means by a number or by the name of an output column.
pub(super) fn selected(expr: &Expr, select: &Select) -> Result<Expr> {
    if let Some(at) = ordinal(expr) {
        return match select.projection.get(at.wrapping_sub(1)) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => Ok(expr.clone()),
            Some(_) => {
                Err(Error::unsupported("ORDER BY a number beside such a LIMIT and *").with_hint("name the column"))
            }
            None => Err(Error::invalid(format!("ORDER BY position {at} is not in the select list")).with_code("42P10")),
        };
    }
    if let Expr::Identifier(ident) = expr {
        let named = select.projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if fold(alias) == fold(ident) => Some(expr.clone()),
            _ => None,
        });
        return Ok(named.unwrap_or_else(|| expr.clone()));
    }
    Ok(expr.clone())
}

/// `GROUP BY ()`, and brackets in ROLLUP and CUBE, or one column twice.
pub(super) fn grouping(select: &mut Select) -> Result<()> {
    let GroupByExpr::Expressions(exprs, _) = &mut select.group_by else { return Ok(()) };
    let nothing = |expr: &Expr| matches!(expr, Expr::Tuple(parts) if parts.is_empty());
    if exprs.iter().any(nothing) {
        exprs.retain(|expr| !nothing(expr));
        if exprs.is_empty() && select.having.is_none() {
            // One group, even where nothing is aggregated.
            select.having = Some(parse_expr("count(*) >= 0")?);
        }
    }
    let GroupByExpr::Expressions(exprs, _) = &mut select.group_by else { return Ok(()) };
    for expr in exprs {
        // First, so that the numbers in a ROLLUP among the sets are seen.
        if let Expr::GroupingSets(sets) = expr {
            *sets = sets.iter().flat_map(|set| sets_of(set).unwrap_or_else(|| vec![set.clone()])).collect();
        }
        places(expr, &select.projection)?;
        let sets = match expr {
            Expr::Rollup(parts) if !are_columns(parts) => rolled_up(parts),
            Expr::Cube(parts) if !are_columns(parts) && parts.len() <= CUBE_MAX => cubed(parts),
            _ => continue,
        };
        *expr = Expr::GroupingSets(sets);
    }
    let GroupByExpr::Expressions(exprs, _) = &mut select.group_by else { return Ok(()) };
    if matches!(exprs.first(), Some(Expr::Identifier(ident)) if ident.value == DISTINCT_SETS) {
        exprs.remove(0);
        *exprs = distinct_sets(std::mem::take(exprs), &select.projection)?;
    }
    Ok(())
}

/// Sets of groups, as in PostgreSQL.
const SETS_MAX: usize = 4_096;

/// `GROUP BY DISTINCT ROLLUP (a, b), ROLLUP (a, c)`: each set that comes of them once.
fn distinct_sets(exprs: Vec<Expr>, projection: &[SelectItem]) -> Result<Vec<Expr>> {
    if !exprs.iter().any(|expr| matches!(expr, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_))) {
        return Ok(exprs);
    }
    let mut all: Vec<Vec<Expr>> = vec![Vec::new()];
    for expr in exprs {
        let mut sets = Expr::GroupingSets(match expr {
            Expr::GroupingSets(sets) => sets,
            Expr::Rollup(parts) => rolled_up(&parts),
            Expr::Cube(parts) if parts.len() <= CUBE_MAX => cubed(&parts),
            Expr::Tuple(parts) => vec![parts],
            other => vec![vec![other]],
        });
        places(&mut sets, projection)?;
        let Expr::GroupingSets(sets) = sets else { continue };
        if all.len() * sets.len() > SETS_MAX {
            let message = format!("too many grouping sets present (maximum {SETS_MAX})");
            return Err(Error::new(ErrorKind::TooLarge, message).with_code("54001"));
        }
        all = all
            .iter()
            .flat_map(|before| sets.iter().map(move |set| [before.as_slice(), set.as_slice()].concat()))
            .collect();
    }
    let mut seen: HashSet<BTreeSet<String>> = HashSet::new();
    let mut kept = Vec::new();
    for set in all {
        let mut once: Vec<Expr> = Vec::new();
        set.into_iter().for_each(|column| {
            if !once.contains(&column) {
                once.push(column);
            }
        });
        let names: BTreeSet<String> = once.iter().map(ToString::to_string).collect();
        if seen.insert(names) {
            kept.push(once);
        }
    }
    Ok(vec![Expr::GroupingSets(kept)])
}

/// Whether each part is one column, and none is there twice: so the planner takes them.
fn are_columns(parts: &[Vec<Expr>]) -> bool {
    parts.iter().enumerate().all(|(at, part)| part.len() == 1 && !parts.iter().take(at).any(|before| before == part))
}

/// Columns of a CUBE, as in PostgreSQL: each more makes twice as many sets.
const CUBE_MAX: usize = 12;

fn rolled_up(parts: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    (0..=parts.len()).rev().map(|count| parts.iter().take(count).flatten().cloned().collect()).collect()
}

fn cubed(parts: &[Vec<Expr>]) -> Vec<Vec<Expr>> {
    let all = 1_usize << parts.len();
    let chosen = |sets: usize| {
        let bit = move |at: usize| sets >> (parts.len() - 1 - at) & 1 == 1;
        parts.iter().enumerate().filter(move |(at, _)| bit(*at)).flat_map(|(_, part)| part.clone()).collect()
    };
    (0..all).rev().map(chosen).collect()
}

/// The sets that a ROLLUP or CUBE among grouping sets stands for, which the parser takes for a call.
fn sets_of(set: &[Expr]) -> Option<Vec<Vec<Expr>>> {
    let [Expr::Function(Function { name, args: FunctionArguments::List(list), .. })] = set else { return None };
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Tuple(columns))) => Some(columns.clone()),
        FunctionArg::Unnamed(FunctionArgExpr::Expr(column)) => Some(vec![column.clone()]),
        _ => None,
    };
    let parts = list.args.iter().map(argument).collect::<Option<Vec<_>>>()?;
    match name.to_string().to_lowercase().as_str() {
        "rollup" => Some(rolled_up(&parts)),
        "cube" if parts.len() <= CUBE_MAX => Some(cubed(&parts)),
        _ => None,
    }
}

/// Numbers in sets of groups, which are places in the select list.
fn places(expr: &mut Expr, projection: &[SelectItem]) -> Result<()> {
    let (Expr::GroupingSets(sets) | Expr::Rollup(sets) | Expr::Cube(sets)) = expr else { return Ok(()) };
    for part in sets.iter_mut().flatten() {
        let Some(at) = ordinal(part) else { continue };
        *part = match projection.get(at.wrapping_sub(1)) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => expr.clone(),
            Some(_) => {
                return Err(
                    Error::unsupported("GROUP BY a number in a set, beside *").with_hint("name the column instead")
                );
            }
            None => {
                let error = Error::invalid(format!("GROUP BY position {at} is not in select list"));
                return Err(error.with_code("42P10"));
            }
        };
    }
    Ok(())
}

/// Joins that say neither ON nor USING, and joins of a kind that is not there.
pub(super) fn check_joins(from: &[TableWithJoins]) -> Result<()> {
    for table in from {
        if let TableFactor::NestedJoin { table_with_joins, .. } = &table.relation {
            check_joins(std::slice::from_ref(table_with_joins))?;
        }
        for Join { relation, join_operator, .. } in &table.joins {
            if let TableFactor::NestedJoin { table_with_joins, .. } = relation {
                check_joins(std::slice::from_ref(table_with_joins))?;
            }
            if let Some(unknown) = unknown_join(join_operator) {
                return Err(Error::unsupported(format!("{unknown} is not supported"))
                    .with_hint("LEFT SEMI JOIN, LEFT ANTI JOIN, JOIN LATERAL, or a condition with EXISTS"));
            }
            use JoinOperator as J;
            let (J::Join(constraint)
            | J::Inner(constraint)
            | J::Left(constraint)
            | J::LeftOuter(constraint)
            | J::Right(constraint)
            | J::RightOuter(constraint)
            | J::FullOuter(constraint)) = join_operator
            else {
                continue;
            };
            if *constraint == JoinConstraint::None {
                return Err(Error::invalid(format!("syntax error: JOIN {relation} says neither ON nor USING"))
                    .with_code("42601")
                    .with_hint("CROSS JOIN joins each row with each"));
            }
        }
    }
    Ok(())
}

/// The name of a kind of join that is not there: the planner would show it as its parser keeps it.
fn unknown_join(operator: &JoinOperator) -> Option<&'static str> {
    use JoinOperator as J;
    match operator {
        J::Semi(_) => Some("SEMI JOIN"),
        J::Anti(_) => Some("ANTI JOIN"),
        J::CrossApply => Some("CROSS APPLY"),
        J::OuterApply => Some("OUTER APPLY"),
        J::StraightJoin(_) => Some("STRAIGHT_JOIN"),
        J::ArrayJoin | J::LeftArrayJoin | J::InnerArrayJoin => Some("ARRAY JOIN"),
        J::CrossJoin(constraint) if *constraint != JoinConstraint::None => Some("CROSS JOIN with a condition"),
        _ => None,
    }
}

/// `ORDER BY ALL` as the numbers of the columns, where the planner would take columns alone.
pub(super) fn order_all(query: &mut Query) -> Result<()> {
    let Some(OrderBy { kind: OrderByKind::All(options), .. }) = &query.order_by else { return Ok(()) };
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(()) };
    let plain = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if !select.projection.iter().all(plain) {
        return Ok(());
    }
    let exprs = (1..=select.projection.len())
        .map(|at| Ok(OrderByExpr { expr: parse_expr(&at.to_string())?, options: *options, with_fill: None }))
        .collect::<Result<Vec<_>>>()?;
    query.order_by = Some(OrderBy { kind: OrderByKind::Expressions(exprs), interpolate: None });
    Ok(())
}
