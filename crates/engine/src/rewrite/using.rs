//! `JOIN … USING`: the one column that two become is whichever is there.
//!
//! The planner takes the left one, and finds two wherever the column does not stand alone. Here the column becomes an expression over both, wherever it is named without a table.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, ExcludeSelectItem, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, OrderBy,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, VisitorMut,
    WildcardAdditionalOptions,
};
use polder_sql_tree::visit_mut;
use polder_types::{Error, Result};

use super::query::output_name;
use super::{natural, quoted, wildcards};
use crate::parse::{parse_expr, parse_query};
use crate::statement::fold;

/// A merged column and what it stands for.
struct Merged {
    name: String,
    value: String,
}

/// Rewrites a SELECT, and the ORDER BY behind it, in place.
///
/// # Errors
/// `Unsupported` where it cannot be told from the text which tables have the column.
pub(super) fn merge(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    if natural::mark(&mut select.from) {
        return Ok(());
    }
    if select.from.iter().any(|from| uses(from, is_outer)) {
        return if select.from.len() == 1 { merge_all(select, order) } else { Err(refused()) };
    }
    // Of inner and left joins the planner merges by itself, but knows the column only where it stands alone.
    if select.from.len() != 1 || !select.from.iter().any(|from| uses(from, |_| true)) {
        return Ok(());
    }
    let (mut merged, mut sorted) = (select.clone(), order.as_deref().cloned());
    if merge_all(&mut merged, sorted.as_mut()).is_ok() {
        *select = merged;
        if let (Some(order), Some(sorted)) = (order, sorted) {
            *order = sorted;
        }
    }
    Ok(())
}

/// As [`merge`], in each of the queries that make a set. What they are ordered by are columns of the first one's answer.
pub(super) fn merge_branches(body: &mut SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(select) => {
            merge(select, None)?;
            wildcards::full(select);
            Ok(())
        }
        SetExpr::SetOperation { left, right, .. } => merge_branches(left).and_then(|()| merge_branches(right)),
        _ => Ok(()),
    }
}

/// A join that has a name of its own, `(a JOIN b USING (k)) AS j (x, y)`, is a table in which each merged column is once.
pub(super) fn derive(factor: &mut TableFactor) -> Result<()> {
    let TableFactor::NestedJoin { table_with_joins, alias: alias @ Some(_) } = factor else { return Ok(()) };
    if !uses(table_with_joins, |_| true) {
        return Ok(());
    }
    let mut query = parse_query("SELECT *")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![(**table_with_joins).clone()];
    }
    *factor = TableFactor::Derived { lateral: false, subquery: Box::new(query), alias: alias.take(), sample: None };
    Ok(())
}

fn merge_all(select: &mut Select, order: Option<&mut OrderBy>) -> Result<()> {
    let (merged, tables) = match select.from.first_mut() {
        Some(from) => merged_columns(from)?,
        None => return Ok(()),
    };
    let mut columns = Columns { merged: &merged, depth: 0 };
    let mut projection = Vec::new();
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(options) if let Some(left_out) = left_out(&options, &merged) => {
                for column in merged.iter().filter(|column| !left_out.contains(&column.name)) {
                    let expr = parse_expr(&column.value)?;
                    projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', &column.name) });
                }
                let names: Vec<String> = merged.iter().map(|column| quoted(&column.name)).collect();
                let each = |table: &String| format!("{table}.* EXCLUDE ({})", names.join(", "));
                let rest = parse_query(&format!("SELECT {}", tables.iter().map(each).collect::<Vec<_>>().join(", ")))?;
                if let SetExpr::Select(rest) = *rest.body {
                    projection.extend(rest.projection);
                }
            }
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) if columns.of(&ident).is_some() => {
                let alias = Ident::with_quote('"', fold(&ident));
                let expr = columns.written(&Expr::Identifier(ident))?;
                projection.push(SelectItem::ExprWithAlias { expr, alias });
            }
            SelectItem::UnnamedExpr(expr) => projection.push(SelectItem::UnnamedExpr(columns.written(&expr)?)),
            SelectItem::ExprWithAlias { expr, alias } => {
                projection.push(SelectItem::ExprWithAlias { expr: columns.written(&expr)?, alias });
            }
            SelectItem::Wildcard(_) => return Err(refused()),
            other => projection.push(other),
        }
    }
    select.projection = projection;
    for expr in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten() {
        *expr = columns.written(expr)?;
    }
    if let Some(Distinct::On(exprs)) = &mut select.distinct {
        for expr in exprs {
            *expr = columns.written(expr)?;
        }
    }
    if let GroupByExpr::Expressions(exprs, _) = &mut select.group_by {
        for expr in exprs {
            *expr = columns.written(expr)?;
        }
    }
    if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = order {
        // A name by itself is the column of the answer, where there is one of that name.
        let given: Vec<String> = select.projection.iter().filter_map(output_name).collect();
        for sort in exprs {
            if !matches!(&sort.expr, Expr::Identifier(ident) if given.contains(&fold(ident))) {
                sort.expr = columns.written(&sort.expr)?;
            }
        }
    }
    Ok(())
}

/// The columns that `*` leaves out; `None` if it says more, or leaves out others than merged ones: of which table they
/// are, the text does not tell.
fn left_out(options: &WildcardAdditionalOptions, merged: &[Merged]) -> Option<Vec<String>> {
    let mut rest = options.clone();
    let names = match rest.opt_exclude.take() {
        None => Vec::new(),
        Some(ExcludeSelectItem::Single(name)) => vec![name],
        Some(ExcludeSelectItem::Multiple(names)) => names,
    };
    let names: Vec<String> = names.iter().filter_map(|name| name.0.last()?.as_ident().map(fold)).collect();
    let all_merged = names.iter().all(|name| merged.iter().any(|column| column.name == *name));
    (rest.to_string().is_empty() && all_merged).then_some(names)
}

pub(super) fn refused() -> Error {
    Error::unsupported("USING of RIGHT and FULL joins is not supported among other joins")
        .with_hint("ON l.k = r.k, and coalesce(l.k, r.k)")
}

/// Whether there is a join with USING, or NATURAL, of a kind.
fn uses(from: &TableWithJoins, kind: fn(&JoinOperator) -> bool) -> bool {
    use JoinOperator as J;
    let nested = |factor: &TableFactor| match factor {
        TableFactor::NestedJoin { table_with_joins, .. } => uses(table_with_joins, kind),
        _ => false,
    };
    let using = |operator: &JoinOperator| match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint) => matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural),
        _ => false,
    };
    nested(&from.relation)
        || from
            .joins
            .iter()
            .any(|join| nested(&join.relation) || using(&join.join_operator) && kind(&join.join_operator))
}

/// What a join is by, of those that may be by columns.
pub(super) fn constraint_of(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    use JoinOperator as J;
    match operator {
        J::Join(constraint)
        | J::Inner(constraint)
        | J::Left(constraint)
        | J::LeftOuter(constraint)
        | J::Right(constraint)
        | J::RightOuter(constraint)
        | J::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

pub(super) fn is_outer(operator: &JoinOperator) -> bool {
    matches!(operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_))
}

/// The name that columns of a table have before them.
fn qualifier(factor: &TableFactor) -> Option<String> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. } => Some(quoted(&fold(&alias.name))),
        TableFactor::Table { name: ObjectName(parts), .. } => {
            parts.last().and_then(|part| part.as_ident()).map(|ident| quoted(&fold(ident)))
        }
        _ => None,
    }
}

/// All joins use the same columns, so each table has them. Gives them, and the tables; what they were joined by becomes
/// conditions on what was merged so far.
fn merged_columns(from: &mut TableWithJoins) -> Result<(Vec<Merged>, Vec<String>)> {
    use JoinOperator as J;
    let first = qualifier(&from.relation).ok_or_else(refused)?;
    let mut names: Option<Vec<String>> = None;
    let mut values: Vec<String> = Vec::new();
    let mut tables = vec![first.clone()];
    for join in &mut from.joins {
        let right = qualifier(&join.relation).ok_or_else(refused)?;
        let constraint = constraint_of(&mut join.join_operator).ok_or_else(refused)?;
        let JoinConstraint::Using(columns) = &*constraint else { return Err(refused()) };
        let used: Vec<String> = columns.iter().filter_map(|column| column.0.last()?.as_ident().map(fold)).collect();
        if names.as_ref().is_some_and(|names| *names != used) {
            return Err(refused());
        }
        if names.is_none() {
            values = used.iter().map(|name| format!("{first}.{}", quoted(name))).collect();
            names = Some(used.clone());
        }
        let of_right: Vec<String> = used.iter().map(|name| format!("{right}.{}", quoted(name))).collect();
        let same = values.iter().zip(&of_right).map(|(value, column)| format!("{value} = {column}"));
        *constraint = JoinConstraint::On(parse_expr(&same.collect::<Vec<_>>().join(" AND "))?);
        for (value, column) in values.iter_mut().zip(of_right) {
            match &join.join_operator {
                J::Right(_) | J::RightOuter(_) => *value = column,
                J::FullOuter(_) => *value = format!("coalesce({value}, {column})"),
                _ => {}
            }
        }
        tables.push(right);
    }
    let merged = names.unwrap_or_default().into_iter().zip(values).map(|(name, value)| Merged { name, value });
    Ok((merged.collect(), tables))
}

struct Columns<'a> {
    merged: &'a [Merged],
    /// Queries that stand around, within the expression.
    depth: usize,
}

impl Columns<'_> {
    fn of(&self, ident: &Ident) -> Option<&str> {
        let name = fold(ident);
        self.merged.iter().find(|merged| merged.name == name).map(|merged| merged.value.as_str())
    }

    fn written(&mut self, expr: &Expr) -> Result<Expr> {
        let mut expr = expr.clone();
        match visit_mut(&mut expr, self) {
            ControlFlow::Continue(()) => Ok(expr),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

impl VisitorMut for Columns<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Identifier(ident) = expr else { return ControlFlow::Continue(()) };
        let Some(value) = self.of(ident) else { return ControlFlow::Continue(()) };
        if self.depth > 0 {
            return ControlFlow::Break(
                Error::unsupported(format!(
                    "column {ident} of an outer join with USING in a subquery is not supported"
                ))
                .with_hint("put a table's name before it"),
            );
        }
        match parse_expr(value) {
            Ok(value) => {
                *expr = value;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}
