//! Aggregates in subqueries that are those of the query around: `HAVING EXISTS (SELECT 1 FROM b WHERE b.n = count(a.x))`.
//!
//! SQL computes an aggregate in the query whose columns it is about. The planner knows a query's own alone, so the groups
//! become a table, with a column for each aggregate that is named anywhere, and the query asks that table:
//! `SELECT … FROM (SELECT a.g AS g, count(a.x) AS whole FROM a GROUP BY a.g) AS grouped WHERE EXISTS (… b.n = grouped.whole)`.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableFactor, TableWithJoins, Visitor, VisitorMut,
};
use polder_sql_tree::{visit, visit_expressions, visit_mut};
use polder_types::Result;

use super::outer_names::names_of;
use super::query::{ordinal, output_name, selected};
use super::{columns_of, has_query, quoted};
use crate::parse::parse_factor;
use crate::statement::{fold, quoted_ident};

/// What makes one value of many rows. A query with another such function is left to the planner.
const AGGREGATES: [&str; 34] = [
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "median",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "variance",
];

/// Gives in place a query whose subqueries name its aggregates a table of its groups. What the text does not tell stays
/// as it is, and the planner refuses it. `depth` is how many queries stand around, whose tables have such names too.
pub(super) fn apart(query: &mut Query, depth: usize) -> Result<()> {
    in_body(&mut query.body, query.order_by.as_mut(), depth)
}

fn in_body(body: &mut SetExpr, order: Option<&mut OrderBy>, depth: usize) -> Result<()> {
    match body {
        SetExpr::Select(select) => {
            if let Some((asked, sorted)) = split(select, order.as_deref(), depth)? {
                **select = asked;
                if let (Some(order), Some(sorted)) = (order, sorted) {
                    *order = sorted;
                }
            }
            Ok(())
        }
        SetExpr::SetOperation { left, right, .. } => {
            in_body(left, None, depth)?;
            in_body(right, None, depth)
        }
        _ => Ok(()),
    }
}

/// The query of its groups' table, and what it is ordered by; `None` if no subquery names its aggregates.
fn split(select: &Select, order: Option<&OrderBy>, depth: usize) -> Result<Option<(Select, Option<OrderBy>)>> {
    let GroupByExpr::Expressions(groups, modifiers) = &select.group_by else { return Ok(None) };
    if select.from.is_empty() || !modifiers.is_empty() || !is_plain(select) || !has_subquery(select, order) {
        return Ok(None);
    }
    let Some(keys) = keys(groups, select) else { return Ok(None) };
    let (grouped, tables) = (format!("polder$grouped{depth}"), names_of(select));
    let (mut asked, mut sorted) = (select.clone(), order.cloned());
    let mut splitter = Splitter {
        grouped: &grouped,
        tables: &tables,
        keys: &keys,
        wholes: Vec::new(),
        scopes: Vec::new(),
        found: false,
    };
    if splitter.select(&mut asked, sorted.as_mut()).is_break() || !splitter.found {
        return Ok(None);
    }
    let shown = |expr: &Expr, name: &str| SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted_ident(name) };
    let wholes = splitter.wholes.iter().enumerate().map(|(at, whole)| shown(whole, &whole_name(at)));
    let groups = Select {
        distinct: None,
        projection: keys.iter().map(|key| shown(&key.expr, &key.column)).chain(wholes).collect(),
        group_by: GroupByExpr::Expressions(keys.iter().map(|key| key.written.clone()).collect(), Vec::new()),
        having: None,
        qualify: None,
        ..select.clone()
    };
    let mut relation = parse_factor(&format!("(SELECT 1) AS {}", quoted(&grouped)))?;
    if let TableFactor::Derived { subquery, .. } = &mut relation {
        *subquery.body = SetExpr::Select(Box::new(groups));
    }
    asked.from = vec![TableWithJoins { relation, joins: Vec::new() }];
    asked.selection = asked.having.take();
    asked.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
    Ok(Some((asked, sorted)))
}

/// Whether it has no clause but those that are known here.
fn is_plain(select: &Select) -> bool {
    select.top.is_none()
        && select.exclude.is_none()
        && select.into.is_none()
        && select.lateral_views.is_empty()
        && select.prewhere.is_none()
        && select.connect_by.is_empty()
        && select.cluster_by.is_empty()
        && select.distribute_by.is_empty()
        && select.sort_by.is_empty()
        && select.named_window.is_empty()
        && select.value_table_mode.is_none()
}

struct Subqueries;

impl Visitor for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// Whether a subquery stands where the groups are there.
fn has_subquery(select: &Select, order: Option<&OrderBy>) -> bool {
    let sorted: &[OrderByExpr] = match order {
        Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) => exprs,
        _ => &[],
    };
    select.projection.iter().any(|item| visit(item, &mut Subqueries).is_break())
        || [&select.having, &select.qualify]
            .into_iter()
            .flatten()
            .chain(sorted.iter().map(|sort| &sort.expr))
            .any(|expr| visit(expr, &mut Subqueries).is_break())
}

/// Something that the query groups by.
struct Key {
    expr: Expr,
    /// How GROUP BY says it: it may be the name of a column of the answer.
    written: Expr,
    /// Its column in the table of groups.
    column: String,
}

/// `None` for sets of groups, and for names that may be those of two things.
fn keys(groups: &[Expr], select: &Select) -> Option<Vec<Key>> {
    let mut keys: Vec<Key> = Vec::new();
    for written in groups {
        let (expr, written) = match written {
            Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) | Expr::Tuple(_) => return None,
            Expr::Identifier(ident) => (named(ident, select)?, written.clone()),
            other if ordinal(other).is_some() => {
                let expr = selected(other, select).ok()?;
                (expr.clone(), expr)
            }
            other => (other.clone(), other.clone()),
        };
        let name = match &written {
            Expr::Identifier(ident) => Some(fold(ident)),
            Expr::CompoundIdentifier(parts) => parts.last().map(fold),
            _ => None,
        };
        // By its own name subqueries find the column without a table's name before it.
        let free = name.filter(|name| keys.iter().all(|key| key.column != *name));
        let column = free.unwrap_or_else(|| format!("polder$group{}", keys.len()));
        keys.push(Key { expr, written, column });
    }
    Some(keys)
}

/// What a name in GROUP BY stands for: a column of the tables, or the expression of one of the answer.
fn named(ident: &Ident, select: &Select) -> Option<Expr> {
    let name = fold(ident);
    let aliased = select.projection.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if fold(alias) == name => Some(expr),
        _ => None,
    });
    let column = Expr::Identifier(ident.clone());
    let Some(expr) = aliased.filter(|expr| !same(expr, &column)) else { return Some(column) };
    let mut columns = BTreeSet::new();
    columns_of(expr, &mut columns);
    // If the tables have a column of that name it is meant instead, and then such an expression would be another one.
    let certain = !columns.is_empty() && !columns.contains(&name) && !has_aggregate(expr) && !has_query(expr);
    certain.then(|| expr.clone())
}

fn whole_name(at: usize) -> String {
    format!("polder$whole{at}")
}

fn is_aggregate(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(fold);
    function.over.is_none() && name.is_some_and(|name| AGGREGATES.contains(&name.as_str()))
}

fn has_aggregate(expr: &Expr) -> bool {
    let found = |part: &Expr| if is_aggregate(part) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    visit_expressions(expr, found).is_break()
}

/// Whether two expressions are the same, or two columns that may be.
fn same(one: &Expr, other: &Expr) -> bool {
    match (column_parts(one), column_parts(other)) {
        (Some(one), Some(other)) => {
            one.iter().rev().zip(other.iter().rev()).all(|(one, other)| fold(one) == fold(other))
        }
        _ => one == other,
    }
}

fn column_parts(expr: &Expr) -> Option<&[Ident]> {
    match expr {
        Expr::Identifier(ident) => Some(std::slice::from_ref(ident)),
        Expr::CompoundIdentifier(parts) => Some(parts),
        _ => None,
    }
}

/// What a query within the subquery reads from.
struct Scope {
    tables: HashSet<String>,
    /// Whether it reads from nothing, so that no name in it is its own.
    bare: bool,
}

impl Scope {
    fn of(select: &Select) -> Self {
        Self { tables: names_of(select), bare: select.from.is_empty() }
    }
}

/// Puts columns of the groups' table in the place of groups and aggregates. Breaks off at a column that is neither.
struct Splitter<'a> {
    grouped: &'a str,
    tables: &'a HashSet<String>,
    keys: &'a [Key],
    wholes: Vec<Expr>,
    /// The queries between what is visited and the one that is split, the innermost last.
    scopes: Vec<Scope>,
    /// Whether a subquery names an aggregate.
    found: bool,
}

impl Splitter<'_> {
    fn select(&mut self, select: &mut Select, order: Option<&mut OrderBy>) -> ControlFlow<()> {
        for item in &mut select.projection {
            let name = output_name(item);
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                return ControlFlow::Break(());
            };
            visit_mut(expr, self)?;
            if let Some(name) = name
                && let SelectItem::UnnamedExpr(expr) = item
            {
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted_ident(&name) };
            }
        }
        for expr in [&mut select.having, &mut select.qualify].into_iter().flatten() {
            visit_mut(expr, self)?;
        }
        if let Some(Distinct::On(exprs)) = &mut select.distinct {
            for expr in exprs {
                visit_mut(expr, self)?;
            }
        }
        if let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = order {
            // A name by itself is the column of the answer, where there is one of that name.
            let given: Vec<String> = select.projection.iter().filter_map(output_name).collect();
            for sort in exprs {
                if !matches!(&sort.expr, Expr::Identifier(ident) if given.contains(&fold(ident))) {
                    visit_mut(&mut sort.expr, self)?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn column(&self, name: &str) -> Expr {
        Expr::CompoundIdentifier(vec![quoted_ident(self.grouped), quoted_ident(name)])
    }

    /// The column of an aggregate; of one that is written twice the same.
    fn whole(&mut self, expr: &Expr) -> Expr {
        let at = self.wholes.iter().position(|known| known == expr).unwrap_or(self.wholes.len());
        if at == self.wholes.len() {
            self.wholes.push(expr.clone());
        }
        self.column(&whole_name(at))
    }

    /// Whether a column says that it is of a table of the query that is split.
    fn is_own(&self, parts: &[Ident]) -> bool {
        let tables = parts.split_last().map_or(&[] as &[Ident], |(_, tables)| tables);
        tables
            .iter()
            .map(fold)
            .any(|table| self.tables.contains(&table) && !self.scopes.iter().any(|scope| scope.tables.contains(&table)))
    }

    /// Whether an aggregate in a subquery has columns, and all of them are of the query that is split.
    fn is_own_aggregate(&self, expr: &Expr) -> bool {
        let bare = self.scopes.iter().all(|scope| scope.bare);
        let mut columns = 0_usize;
        let all = visit_expressions(expr, |part| {
            let own = match part {
                Expr::Identifier(_) => bare,
                Expr::CompoundIdentifier(parts) => self.is_own(parts),
                Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => false,
                _ => return ControlFlow::Continue(()),
            };
            columns += 1;
            if own { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        all.is_continue() && columns > 0
    }
}

impl VisitorMut for Splitter<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // Its ORDER BY sees the tables too, which stands outside of the SELECT.
        self.scopes.push(match query.body.as_ref() {
            SetExpr::Select(select) => Scope::of(select),
            _ => Scope { tables: HashSet::new(), bare: true },
        });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.scopes.push(Scope::of(select));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let inside = !self.scopes.is_empty();
        if is_aggregate(expr) && (!inside || self.is_own_aggregate(expr)) {
            self.found |= inside;
            *expr = self.whole(expr);
            return ControlFlow::Continue(());
        }
        let own = match &*expr {
            Expr::Identifier(_) => !inside,
            Expr::CompoundIdentifier(parts) => self.is_own(parts),
            _ => false,
        };
        // Within a subquery the same words may be about other tables.
        if !own && (inside || matches!(expr, Expr::CompoundIdentifier(_))) {
            return ControlFlow::Continue(());
        }
        if let Some(key) = self.keys.iter().find(|key| same(&key.expr, expr)) {
            *expr = self.column(&key.column);
            return ControlFlow::Continue(());
        }
        if own { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
