//! Forms of SQL that the planner does not know, written in forms that it does.
//!
//! `PIVOT` becomes aggregates with FILTER over `GROUP BY ALL`; `UNPIVOT` a UNION ALL of one query a column.

mod beside;
pub(crate) mod casts_apart;
mod catalog;
mod collations;
mod ctes;
mod distinct;
mod elements;
pub(crate) mod names;
pub(crate) mod natural;
mod outer_aggregates;
pub(crate) mod outer_names;
mod pages;
mod query;
mod records;
mod recursion;
mod replaced;
mod row_counts;
mod rows;
mod series;
mod using;
mod values;
pub(crate) mod whole_numbers;
pub(crate) mod whole_rows;
mod wildcards;
mod window;
mod window_values;
mod with;

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, ExprWithAlias, Ident, NullInclusion, PivotValueSource, Query, Select, SelectFlavor, SelectItem, SetExpr,
    Statement, TableAlias, TableAliasColumnDef, TableFactor, TableSampleKind, Value, VisitorMut,
    WildcardAdditionalOptions,
};
use polder_sql_tree::{Node, visit_expressions, visit_mut};
use polder_types::{Error, Result};

use crate::asof;
use crate::parse::{parse_call, parse_factor};
use crate::semantics::AT_TIME_ZONE;
use crate::statement::fold;
use crate::statement::names_out::{name_outer, number_branches, number_inside, number_stars};

pub(crate) use query::named_columns;

/// What `GROUP BY DISTINCT` begins with once it is folded.
pub(crate) const DISTINCT_SETS: &str = "polder$distinct";

pub(crate) const SERIES: &str = "generate_series";

/// Values that a pivot may turn into columns.
const PIVOT_COLUMNS_MAX: usize = 1_000;

/// Rewrites a statement or query in place.
///
/// # Errors
/// `Unsupported` for forms of PIVOT that have no list of values.
pub(crate) fn rewrite_statement(statement: &mut Statement) -> Result<()> {
    collations::take(statement)?;
    with::changing(statement)?;
    values::apart(statement)?;
    names::give(statement);
    ctes::rename_hidden(statement);
    rewrite(statement)
}

/// As [`rewrite_statement`], of a query by itself.
///
/// # Errors
/// The same.
pub(crate) fn rewrite_query(query: &mut Query) -> Result<()> {
    names::of_own_query(query);
    rewrite(query)
}

/// As [`rewrite_statement`], of a part of one, whose columns nobody sees.
///
/// # Errors
/// The same.
pub(crate) fn rewrite<T: Node>(tree: &mut T) -> Result<()> {
    match visit_mut(tree, &mut Rewriter::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

pub(crate) fn no_locks(lock: &str) -> Error {
    Error::unsupported(format!("SELECT … FOR {lock} is not supported: no rows are locked"))
        .with_hint("leave it out: of two transactions that change one row, the second to commit fails with 40001")
}

#[derive(Default)]
struct Rewriter {
    /// Queries around the one that is visited.
    depth: usize,
    /// Of these, those that are LATERAL.
    laterals: usize,
    /// Within an INSERT.
    inserts: bool,
    /// Names of queries in WITH, which no table of the system takes the place of.
    named: HashSet<String>,
}

impl VisitorMut for Rewriter {
    type Break = Error;

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        self.inserts = matches!(statement, Statement::Insert(_));
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.depth += 1;
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        self.named.extend(named.map(|named| fold(&named.alias.name)));
        if let Some(lock) = query.locks.first() {
            return ControlFlow::Break(no_locks(&lock.lock_type.to_string()));
        }
        if let Some(error) = beside::of_query(query) {
            return ControlFlow::Break(error);
        }
        let depth = self.depth;
        let rows = query::table(query).and_then(|()| values::rows(query, self.inserts && depth == 1));
        broken(rows.and_then(|()| outer_aggregates::apart(query, depth)))
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        self.depth -= 1;
        if let Err(error) = whole_query(query) {
            return ControlFlow::Break(error);
        }
        number_branches(query.body.as_mut());
        // Of the outermost, whoever runs it says what becomes of names that are there twice.
        if self.depth > 0 {
            // LATERAL, a column without a table's name may be one that no star here shows.
            if self.laterals == 0 {
                number_stars(query.body.as_mut());
            }
            number_inside(query);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        if let Some(error) = beside::of_select(select) {
            return ControlFlow::Break(error);
        }
        whole_rows::mark(select);
        pages::answer(select);
        broken(catalog::tableoids(select, &self.named))
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        broken(whole_select(select))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Expr::Value(value) = expr
            && let Value::UnicodeStringLiteral(text) = &mut value.value
        {
            // Its escapes are read; what is left is a text like any other.
            value.value = Value::SingleQuotedString(std::mem::take(text));
        }
        let rewritten = rows::in_subquery(expr)
            .and_then(|()| rows::equal_to(expr))
            .and_then(|()| rows::array(expr))
            .and_then(|()| window_values::plain(expr));
        if let Err(error) = rewritten {
            return ControlFlow::Break(error);
        }
        broken(match expr {
            Expr::AtTimeZone { timestamp, time_zone } => {
                parse_call(&format!("{AT_TIME_ZONE}({time_zone}, {timestamp})")).map(|call| *expr = call)
            }
            other => crate::functions::syntax::rewrite(other),
        })
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let derived = using::derive(factor).and_then(|()| records::derive(factor));
        self.laterals += usize::from(matches!(factor, TableFactor::Derived { lateral: true, .. }));
        broken(derived)
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if let TableFactor::Derived { lateral: true, subquery, .. } = factor {
            self.laterals = self.laterals.saturating_sub(1);
            name_outer(subquery);
        }
        if let TableFactor::Table { sample: Some(sample), .. } | TableFactor::Derived { sample: Some(sample), .. } =
            factor
        {
            return ControlFlow::Break(sampled(sample));
        }
        if let Some(error) = beside_name(factor) {
            return ControlFlow::Break(error);
        }
        catalog::qualify(factor, &self.named);
        name_series(factor);
        crate::functions::syntax::rewrite_table(factor);
        if let Err(error) = series::in_from(factor) {
            return ControlFlow::Break(error);
        }
        let rewritten = match factor {
            TableFactor::Pivot { .. } => pivot(factor),
            TableFactor::Unpivot { .. } => unpivot(factor),
            _ => return ControlFlow::Continue(()),
        };
        match rewritten {
            Ok(rewritten) => {
                *factor = rewritten;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn sampled(sample: &TableSampleKind) -> Error {
    let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample;
    Error::unsupported(format!("{} is not supported", sample.modifier))
        .with_hint("WHERE random() < 0.1 takes about a tenth of the rows")
}

/// What other databases write behind a table's name, and the planner would pass over.
fn beside_name(factor: &TableFactor) -> Option<Error> {
    let TableFactor::Table { version, with_hints, partitions, json_path, index_hints, .. } = factor else {
        return None;
    };
    let travels = "an earlier version is read by t AT (VERSION => 3) or t AT (TIMESTAMP => '2026-01-31 12:00'), what \
                   has changed by table_changes('t', 3, 5)";
    if let Some(version) = version {
        return Some(Error::unsupported(format!("{version} behind a table is not supported")).with_hint(travels));
    }
    let (what, hint) = match factor {
        _ if !with_hints.is_empty() => ("WITH (…)", "leave the hints out: the planner finds its way by statistics"),
        _ if !index_hints.is_empty() => {
            ("USE INDEX and its like", "leave them out: the planner finds its way by statistics")
        }
        _ if !partitions.is_empty() => {
            ("PARTITION (…)", "a condition on the partitions' column reads only those that it asks for")
        }
        _ if json_path.is_some() => ("a path", "take a field with ->, ->> or #>>"),
        _ => return None,
    };
    Some(Error::unsupported(format!("{what} behind a table is not supported")).with_hint(hint))
}

fn broken(done: Result<()>) -> ControlFlow<Error> {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

fn whole_query(query: &mut Query) -> Result<()> {
    if let SetExpr::Select(select) = query.body.as_mut() {
        let windows = window::Windows::of(select)?;
        windows.inline_in_order(query.order_by.as_mut())?;
        windows.inline(select)?;
    }
    elements::in_order(query)?;
    match query.body.as_mut() {
        SetExpr::Select(select) => {
            using::merge(select, query.order_by.as_mut())?;
            wildcards::full(select);
        }
        branches => using::merge_branches(branches)?,
    }
    query::order_all(query)?;
    distinct::first_of_each(query)?;
    distinct::by_place(query)?;
    distinct::without_constants(query);
    casts_apart::apart(query)?;
    query::limits(query)
}

fn whole_select(select: &mut Select) -> Result<()> {
    if select.flavor == SelectFlavor::FromFirstNoSelect && select.projection.is_empty() {
        select.projection.push(SelectItem::Wildcard(WildcardAdditionalOptions::default()));
    }
    wildcards::full(select);
    query::check_joins(&select.from)?;
    whole_rows::check(select)?;
    asof::nest(select);
    elements::by_alias(select)?;
    query::grouping(select)?;
    replaced::columns(select)?;
    select.projection.iter_mut().try_for_each(series::in_select)
}

/// Whether a query stands in an expression.
pub(crate) fn has_query(expr: &Expr) -> bool {
    visit_expressions(expr, |part| match part {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// `FROM generate_series(1, 3) AS n` names the column too, and without an alias both are called as the function.
fn name_series(factor: &mut TableFactor) {
    let TableFactor::Table { name, args: Some(_), alias, .. } = factor else { return };
    if !name.to_string().eq_ignore_ascii_case(SERIES) {
        return;
    }
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(SERIES),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns = vec![TableAliasColumnDef { name: alias.name.clone(), data_type: None }];
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn alias_text(alias: Option<&TableAlias>, default: &str) -> String {
    alias.map_or_else(|| format!("AS {}", quoted(default)), |alias| format!("{alias}"))
}

/// The columns that an expression names.
fn columns_of(expr: &Expr, all: &mut BTreeSet<String>) {
    let _ = visit_expressions(expr, |part| {
        match part {
            Expr::Identifier(ident) => {
                all.insert(fold(ident));
            }
            Expr::CompoundIdentifier(idents) => all.extend(idents.last().map(fold)),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
}

/// A value as the name of its column.
fn value_name(value: &ExprWithAlias) -> String {
    match (&value.alias, &value.expr) {
        (Some(alias), _) => fold(alias),
        (None, Expr::Value(inner)) => match &inner.value {
            Value::SingleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        (None, other) => other.to_string(),
    }
}

fn pivot(factor: &TableFactor) -> Result<TableFactor> {
    let TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } = factor
    else {
        return Err(Error::internal("no pivot"));
    };
    let PivotValueSource::List(values) = value_source else {
        return Err(Error::unsupported("PIVOT over ANY or a subquery is not supported")
            .with_hint("list the values: FOR column IN ('a', 'b')"));
    };
    let [column] = value_column.as_slice() else {
        return Err(Error::unsupported("PIVOT FOR several columns is not supported").with_hint("FOR one column IN (…)"));
    };
    if values.len() * aggregate_functions.len() > PIVOT_COLUMNS_MAX {
        return Err(Error::new(
            polder_types::ErrorKind::TooLarge,
            format!("PIVOT would make more than {PIVOT_COLUMNS_MAX} columns"),
        ));
    }
    let mut used = BTreeSet::new();
    columns_of(column, &mut used);
    for aggregate in aggregate_functions {
        if !matches!(aggregate.expr, Expr::Function(_)) {
            return Err(
                Error::invalid(format!("PIVOT takes aggregates, and {} is none", aggregate.expr)).with_code("42803")
            );
        }
        columns_of(&aggregate.expr, &mut used);
    }
    let excluded = used.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let mut items = vec![format!("* EXCLUDE ({excluded})")];
    for value in values {
        for aggregate in aggregate_functions {
            let name = match (&aggregate.alias, aggregate_functions.len()) {
                (Some(alias), _) => format!("{}_{}", value_name(value), fold(alias)),
                (None, 1) => value_name(value),
                (None, _) => format!("{}_{}", value_name(value), aggregate.expr),
            };
            let cell = format!("{} FILTER (WHERE {column} = {})", aggregate.expr, value.expr);
            let cell = match default_on_null {
                Some(default) => format!("coalesce({cell}, {default})"),
                None => cell,
            };
            items.push(format!("{cell} AS {}", quoted(&name)));
        }
    }
    let items = items.join(", ");
    parse_factor(&format!("(SELECT {items} FROM {table} GROUP BY ALL) {}", alias_text(alias.as_ref(), "pivot")))
}

fn unpivot(factor: &TableFactor) -> Result<TableFactor> {
    let TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } = factor else {
        return Err(Error::internal("no unpivot"));
    };
    let Expr::Identifier(value) = value else {
        return Err(Error::unsupported("UNPIVOT into several columns of values is not supported")
            .with_hint("unpivot one column of values at a time, and join"));
    };
    let mut used = BTreeSet::new();
    for column in columns {
        if !matches!(column.expr, Expr::Identifier(_)) {
            return Err(
                Error::unsupported(format!("UNPIVOT of {} is not supported", column.expr)).with_hint("list columns")
            );
        }
        columns_of(&column.expr, &mut used);
    }
    let excluded = used.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let keep_nulls = matches!(null_inclusion, Some(NullInclusion::IncludeNulls));
    let parts: Vec<String> = columns
        .iter()
        .map(|column| {
            let label = match (&column.alias, &column.expr) {
                // `jan AS 'January'` is a text that the parser takes for a name.
                (Some(alias), _) => alias.value.clone(),
                (None, Expr::Identifier(ident)) => fold(ident),
                (None, other) => other.to_string(),
            };
            let filter = if keep_nulls { String::new() } else { format!(" WHERE {} IS NOT NULL", column.expr) };
            format!(
                "SELECT * EXCLUDE ({excluded}), '{}' AS {name}, {} AS {value} FROM {table}{filter}",
                label.replace('\'', "''"),
                column.expr
            )
        })
        .collect();
    parse_factor(&format!("({}) {}", parts.join(" UNION ALL "), alias_text(alias.as_ref(), "unpivot")))
}
