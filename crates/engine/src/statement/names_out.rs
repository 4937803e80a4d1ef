//! Columns of an answer that have the same name: PostgreSQL allows it, the planner does not.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::{CopyToSource, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, OrderBy, OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, Statement, TableFactor, TableWithJoins,
};
use futures::StreamExt;
use polder_sql_tree::visit_expressions;

use super::names::fold;
use super::target::quoted_ident;
use crate::rewrite::casts_apart::{SAME, unwrapped};
use crate::rewrite::has_query;

/// What parts a name from the number that makes it unique.
pub(crate) const MARK: char = '\u{1}';

/// Numbers the names that are there more than once in an answer's columns.
pub(super) fn number_repeated(statement: &mut Parsed) {
    match statement {
        Parsed::Explain(explain) => number_repeated(explain.statement.as_mut()),
        Parsed::Statement(statement) => {
            if let Statement::Query(query) = statement.as_mut() {
                beside_stars(query);
                number_in(query);
            }
        }
        // Folders are named after columns by the names that are written.
        Parsed::CopyTo(copy) if copy.partitioned_by.is_empty() => {
            if let CopyToSource::Query(query) = &mut copy.source {
                number_in(query);
            }
        }
        _ => {}
    }
}

/// As [`number_repeated`], in a query whose columns' names are of no importance.
pub(super) fn number_in(query: &mut Query) {
    hide_sorted(query);
    let sorted = names_in_order(query);
    number_stars(query.body.as_mut());
    number_in_body(query.body.as_mut(), &sorted);
}

/// `SELECT *, a`: what stands beside a star has a number, since the star may have a column of its name.
pub(super) fn beside_stars(query: &mut Query) {
    let sorted: HashSet<String> = match &query.order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(sorts), .. }) => {
            let names = sorts.iter().filter_map(|sort| match &sort.expr {
                Expr::Identifier(ident) => Some(fold(ident)),
                _ => None,
            });
            names.collect()
        }
        _ => HashSet::new(),
    };
    let mentioned = names_in_order(query);
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if matches!(select.distinct, Some(Distinct::On(_))) || !select.projection.iter().any(is_star) {
        return;
    }
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(keys, more) => !keys.is_empty() || !more.is_empty(),
        GroupByExpr::All(_) => true,
    };
    // By these a name may be that of the answer's column.
    let is_asked_for = grouped || select.having.is_some() || select.qualify.is_some();
    let is_distinct = select.distinct.is_some();
    let shown = beside_their_star(select);
    for (at, item) in select.projection.iter_mut().enumerate() {
        let (name, expr) = match item {
            SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => {
                (name_of(expr), expr.clone())
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = fold(alias);
                if !is_column(expr, &name) && (is_asked_for || sorted.contains(&name) || mentioned.contains(&name)) {
                    continue;
                }
                (name, expr.clone())
            }
            _ => continue,
        };
        if is_distinct && sorted.contains(&name) && !shown.contains(&name) {
            continue;
        }
        let alias = quoted_ident(&format!("{name}{MARK}{}", at + 1));
        *item = SelectItem::ExprWithAlias { expr, alias };
    }
}

/// The columns that stand beside a star of their own table, which has them too: `SELECT *, a`, `SELECT t.*, t.a`.
fn beside_their_star(select: &Select) -> HashSet<String> {
    let mut tables = Vec::new();
    select.from.iter().for_each(|from| names_of_tables(from, &mut tables));
    let mut starred = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::Wildcard(options) if options.to_string().is_empty() => starred.clone_from(&tables),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options)
                if options.to_string().is_empty() =>
            {
                starred.extend(name.0.last().and_then(|part| part.as_ident()).map(fold));
            }
            _ => {}
        }
    }
    let has = |table: &String| starred.contains(table);
    let all = !tables.is_empty() && tables.iter().all(has);
    let column = |expr: &Expr| match expr {
        Expr::Identifier(ident) if all => Some(fold(ident)),
        Expr::CompoundIdentifier(idents) => match idents.as_slice() {
            [.., table, column] if tables.contains(&fold(table)) && has(&fold(table)) => Some(fold(column)),
            _ => None,
        },
        _ => None,
    };
    let beside = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) => column(expr),
        SelectItem::ExprWithAlias { expr, alias } => column(expr).filter(|name| *name == fold(alias)),
        _ => None,
    });
    beside.collect()
}

/// Names the columns of tables around that a LATERAL query gives as they are: the planner would have them under no name.
pub(crate) fn name_outer(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let mut tables = Vec::new();
    select.from.iter().for_each(|from| names_of_tables(from, &mut tables));
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item else { continue };
        let Expr::CompoundIdentifier(idents) = &*expr else { continue };
        let [.., table, column] = idents.as_slice() else { continue };
        if !tables.contains(&fold(table)) && !tables.iter().any(String::is_empty) {
            let alias = quoted_ident(&fold(column));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// What the tables of FROM are called by; an empty text for those of which it does not tell.
fn names_of_tables(from: &TableWithJoins, names: &mut Vec<String>) {
    for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
        match factor {
            TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
                names.push(fold(&alias.name));
            }
            TableFactor::Table { name, .. } => {
                names.push(name.0.last().and_then(|part| part.as_ident()).map(fold).unwrap_or_default());
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => names_of_tables(table_with_joins, names),
            _ => names.push(String::new()),
        }
    }
}

/// Numbers what has the name of a column that a star beside it shows.
pub(crate) fn number_stars(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => number_beside_stars(select),
        SetExpr::Query(query) => number_stars(query.body.as_mut()),
        SetExpr::SetOperation { left, right, .. } => {
            number_stars(left);
            number_stars(right);
        }
        _ => {}
    }
}

fn number_beside_stars(select: &mut Select) {
    if matches!(select.distinct, Some(Distinct::On(_))) {
        return;
    }
    let shown = beside_their_star(select);
    if shown.is_empty() {
        return;
    }
    for (at, item) in select.projection.iter_mut().enumerate() {
        let (name, expr) = match item {
            SelectItem::UnnamedExpr(expr) => (name_of(expr), expr.clone()),
            SelectItem::ExprWithAlias { expr, alias } => (fold(alias), expr.clone()),
            _ => continue,
        };
        if shown.contains(&name) {
            let alias = quoted_ident(&format!("{name}{MARK}{}", at + 1));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// As [`number_in`], in a query within another, which takes its columns by their names.
pub(crate) fn number_inside(query: &mut Query) {
    number_in_body(query.body.as_mut(), &HashSet::new());
}

/// As [`number_inside`], in all but the first of the queries that make a set: only the first one's names are seen.
pub(crate) fn number_branches(body: &mut SetExpr) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        number_branches(left);
        number_stars(right);
        number_in_body(right, &HashSet::new());
    }
}

/// `SELECT upper(t.a) AS a FROM t ORDER BY t.a`: the planner would take `a` and `t.a` for two columns of one name.
fn hide_sorted(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let Some(OrderByKind::Expressions(sorts)) = query.order_by.as_mut().map(|order| &mut order.kind) else { return };
    let mut of_tables = HashSet::new();
    for sort in sorts.iter() {
        let _ = visit_expressions(&sort.expr, |part| {
            if let Expr::CompoundIdentifier(idents) = part {
                of_tables.extend(idents.last().map(fold));
            }
            ControlFlow::<()>::Continue(())
        });
    }
    let grouped = |name: &str| match &select.group_by {
        GroupByExpr::Expressions(keys, _) => {
            keys.iter().any(|key| matches!(key, Expr::Identifier(ident) if fold(ident) == name))
        }
        GroupByExpr::All(_) => true,
    };
    let hiding: HashSet<String> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((expr, fold(alias))),
            _ => None,
        })
        .filter(|(expr, name)| of_tables.contains(name) && !is_column(expr, name) && !grouped(name))
        .map(|(_, name)| name)
        .collect();
    if hiding.is_empty() {
        return;
    }
    let apart = |name: &str| quoted_ident(&format!("{name}{MARK}0"));
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && hiding.contains(&fold(alias))
        {
            *alias = apart(&fold(alias));
        }
    }
    for sort in sorts {
        if let Expr::Identifier(ident) = &mut sort.expr
            && hiding.contains(&fold(ident))
        {
            *ident = apart(&fold(ident));
        }
    }
}

/// Whether it is a column by this name.
fn is_column(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Identifier(ident) => fold(ident) == name,
        Expr::CompoundIdentifier(idents) => idents.last().is_some_and(|last| fold(last) == name),
        _ => false,
    }
}

/// The names within expressions of ORDER BY, where they are columns of the tables and not of the answer.
fn names_in_order(query: &Query) -> HashSet<String> {
    let mut names = HashSet::new();
    let Some(OrderBy { kind: OrderByKind::Expressions(exprs), .. }) = &query.order_by else { return names };
    for sort in exprs.iter().filter(|sort| !matches!(sort.expr, Expr::Identifier(_))) {
        let _ = visit_expressions(&sort.expr, |part| {
            if let Expr::Identifier(ident) = part {
                names.insert(fold(ident));
            }
            ControlFlow::<()>::Continue(())
        });
    }
    names
}

fn number_in_body(body: &mut SetExpr, sorted: &HashSet<String>) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::Query(query) => return number_inside(query),
        SetExpr::SetOperation { left, right, .. } => {
            number_in_body(left, sorted);
            return number_in_body(right, sorted);
        }
        _ => return,
    };
    // DISTINCT ON is planned by the expressions themselves, which a name of a column would hide.
    let chosen = matches!(select.distinct, Some(Distinct::On(_)));
    let mut seen: HashMap<String, usize> = HashMap::new();
    for item in &mut select.projection {
        let (name, expr) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let (name, expr) = (name_of(expr), expr.clone());
                if is_misnamed(&expr) && !chosen {
                    // Under its own name it would hide the column that the order is by.
                    let alias = if sorted.contains(&name) { format!("{name}{MARK}0") } else { name.clone() };
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: quoted_ident(&alias) };
                }
                (name, expr)
            }
            SelectItem::ExprWithAlias { expr, alias } => (fold(alias), expr.clone()),
            _ => continue,
        };
        let times = seen.entry(name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            let alias = quoted_ident(&format!("{name}{MARK}{times}"));
            *item = SelectItem::ExprWithAlias { expr, alias };
        }
    }
}

/// What the planner calls by a name that others may have too: a cast by what is cast, all subqueries alike.
fn is_misnamed(expr: &Expr) -> bool {
    matches!(expr, Expr::Cast { expr, .. } if is_named(expr)) || has_query(expr)
}

/// Whether it is a column, behind a name of its own or not.
fn is_named(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Function(function) => unwrapped(function).is_some_and(is_named),
        _ => false,
    }
}

fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Cast { expr, .. } if is_named(expr) => name_of(expr),
        Expr::Function(function) if unwrapped(function).is_some_and(is_named) => {
            unwrapped(function).map(name_of).unwrap_or_default()
        }
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::UnnamedExpr(expr)] => name_of(expr),
                [SelectItem::ExprWithAlias { alias, .. }] => fold(alias),
                _ => expr.to_string(),
            },
            _ => expr.to_string(),
        },
        Expr::Identifier(ident) => fold(ident),
        Expr::CompoundIdentifier(idents) => idents.last().map(fold).unwrap_or_default(),
        // The planner calls a cast as what is cast.
        Expr::Cast { expr, .. } | Expr::Nested(expr) => name_of(expr),
        other => other.to_string(),
    }
}

/// Takes the numbers out of a plan's text, and what else only tells names apart.
pub(super) fn restore_plan(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let batches = rows.map(move |batch| {
        let batch = batch?;
        let columns = batch.columns().iter().map(|column| match column.as_string_opt::<i32>() {
            Some(texts) => Arc::new(texts.iter().map(|text| text.map(plan_text)).collect::<StringArray>()) as ArrayRef,
            None => Arc::clone(column),
        });
        Ok(RecordBatch::try_new(batch.schema(), columns.collect())?)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// The side of a box, in a plan that is drawn as a tree.
const SIDE: char = '│';

fn plan_text(text: &str) -> String {
    // In JSON the mark is written in letters.
    let text = text.replace("\\u0001", &MARK.to_string());
    let text = if text.contains(MARK) { without_numbers(&text) } else { text };
    // The lines of a tree are cut, calls and all.
    if text.contains(SIDE) { text } else { without_same(&text) }
}

fn without_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut lacking = 0;
    while let Some(letter) = letters.next() {
        match letter {
            MARK => {
                lacking += 1;
                while letters.next_if(char::is_ascii_digit).is_some() {
                    lacking += 1;
                }
            }
            // The box keeps its width.
            SIDE => {
                plain.extend(std::iter::repeat_n(' ', std::mem::take(&mut lacking)));
                plain.push(SIDE);
            }
            other => plain.push(other),
        }
    }
    plain
}

/// Calls of the function that gives what it is given, as that.
fn without_same(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(SAME) {
        plain.push_str(before);
        match behind.strip_prefix('(').and_then(first_of_two) {
            Some((value, left)) => {
                plain.push_str(&without_same(value));
                rest = left;
            }
            None => {
                plain.push_str(SAME);
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// The first of a call's two arguments, and what stands behind the call. `None` if its end is not found in the line.
fn first_of_two(text: &str) -> Option<(&str, &str)> {
    let (mut depth, mut quoted, mut comma) = (0_usize, false, None);
    for (at, letter) in text.char_indices() {
        match letter {
            '\n' => return None,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ',' if depth == 0 => comma = Some(at),
            ')' if depth == 0 => return comma.map(|comma| (&text[..comma], &text[at + 1..])),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A name without its number.
pub(super) fn plain(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(plain, _)| plain)
}

/// The columns without those numbers.
pub(super) fn restored(schema: &SchemaRef) -> SchemaRef {
    if !schema.fields().iter().any(|field| field.name().contains(MARK)) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_name(plain(field.name()))));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// Takes the numbers away again.
pub(super) fn restore(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let plain = restored(&schema);
    if Arc::ptr_eq(&schema, &plain) {
        return rows;
    }
    let renamed = Arc::clone(&plain);
    let batches = rows.map(move |batch| {
        let batch = batch?;
        Ok(RecordBatch::try_new(Arc::clone(&renamed), batch.columns().to_vec())?)
    });
    Box::pin(RecordBatchStreamAdapter::new(plain, batches))
}
