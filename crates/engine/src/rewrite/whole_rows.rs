//! A table's row as one value: what of it would be answered wrongly is refused.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, JoinOperator, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, TableFactor, TableWithJoins, Value, VisitorMut,
};
use polder_sql_tree::{visit_expressions, visit_mut};
use polder_types::{Error, Result};

use super::whole_numbers::visit_queries;
use crate::statement::fold;

/// The operator that stands for the row of a table: on its left the table's name, on its right whether rows may be missing, or
/// what is asked of all its columns.
pub(crate) const WHOLE_ROW: [&str; 2] = ["polder", "whole_row"];

/// On the right of [`WHOLE_ROW`]: whether all columns of the row are NULL, and whether none is.
pub(crate) const ALL_NULL: &str = "all null";
pub(crate) const NONE_NULL: &str = "none null";

/// Functions that take a row for an argument.
const OF_ROWS: &[&str] = &[
    "row_to_json",
    "to_json",
    "to_jsonb",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "json_build_object",
    "jsonb_build_object",
    "json_build_array",
    "jsonb_build_array",
];

/// Marks what may be the row of a table among the arguments of functions that take one: `row_to_json(t)`, `json_agg(t.*)`. The
/// planner knows whether there is a column of that name instead, and which columns the row has.
pub(super) fn mark(select: &mut Select) {
    let tables = tables(&select.from);
    if tables.is_empty() {
        return;
    }
    let _ = visit_mut(select, &mut Marker { depth: 0, tables: &tables });
}

struct Marker<'a> {
    /// Queries within the SELECT around what is visited: in them its tables are not at hand.
    depth: usize,
    tables: &'a HashMap<String, bool>,
}

impl VisitorMut for Marker<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0
            && let Expr::Function(function) = expr
            && let name = function.name.to_string().to_lowercase()
            && OF_ROWS.contains(&name.strip_prefix("pg_catalog.").unwrap_or(&name))
        {
            mark_arguments(function, self.tables);
        }
        ControlFlow::Continue(())
    }
}

fn mark_arguments(function: &mut Function, tables: &HashMap<String, bool>) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    for argument in &mut list.args {
        let name = match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(ident))) => fold(ident),
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => match name.0.as_slice() {
                [ObjectNamePart::Identifier(ident)] => fold(ident),
                _ => continue,
            },
            _ => continue,
        };
        if let Some(missing) = tables.get(&name) {
            *argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(row_of(name, Value::Boolean(*missing))));
        }
    }
}

fn row_of(table: String, right: Value) -> Expr {
    let value = |value: Value| Box::new(Expr::Value(value.into()));
    Expr::Nested(Box::new(Expr::BinaryOp {
        left: value(Value::SingleQuotedString(table)),
        op: BinaryOperator::PGCustomBinaryOperator(WHOLE_ROW.map(str::to_owned).to_vec()),
        right: value(right),
    }))
}

/// Whether a name stands in a statement both for a table and where a column would.
pub(super) fn may_be_meant(statement: &mut Parsed) -> bool {
    let mut names = Names::default();
    visit_queries(statement, &mut names);
    names.columns.iter().any(|column| names.tables.contains(column))
}

#[derive(Default)]
struct Names {
    tables: HashSet<String>,
    columns: HashSet<String>,
}

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.tables.extend(tables(&select.from).into_keys());
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(ident) = expr {
            self.columns.insert(fold(ident));
        }
        ControlFlow::Continue(())
    }
}

/// The name without a table that the planner has found no column for.
pub(super) fn without_column(error: &DataFusionError) -> Option<&str> {
    let DataFusionError::SchemaError(schema, _) = error.find_root() else { return None };
    match schema.as_ref() {
        SchemaError::FieldNotFound { field, .. } if field.relation.is_none() => Some(&field.name),
        _ => None,
    }
}

/// Marks a name as the row of the table of that name, wherever FROM has it; whether there is such a place.
pub(super) fn mean(statement: &mut Parsed, name: &str) -> bool {
    let mut meaning = Meaning { name, found: false };
    visit_queries(statement, &mut meaning);
    meaning.found
}

struct Meaning<'a> {
    name: &'a str,
    found: bool,
}

impl VisitorMut for Meaning<'_> {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let Some(missing) = tables(&select.from).get(self.name).copied() else { return ControlFlow::Continue(()) };
        // What a function gives may be no row, but a value.
        let factors = select
            .from
            .iter()
            .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
        if factors.filter(|factor| is_call(factor)).any(|call| named(call).as_deref() == Some(self.name)) {
            return ControlFlow::Continue(());
        }
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
                && fold(ident) == self.name
            {
                *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(ident.clone()), alias: ident.clone() };
            }
        }
        let mut places = Places { depth: 0, name: self.name, missing, found: false };
        let _ = visit_mut(select, &mut places);
        self.found |= places.found;
        ControlFlow::Continue(())
    }
}

/// Where a SELECT names the row of one of its tables.
struct Places<'a> {
    depth: usize,
    name: &'a str,
    missing: bool,
    found: bool,
}

impl Places<'_> {
    fn is_named(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Identifier(ident) if fold(ident) == self.name)
    }
}

impl VisitorMut for Places<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let right = match expr {
            Expr::IsNull(inner) if self.is_named(inner) => Value::SingleQuotedString(ALL_NULL.into()),
            Expr::IsNotNull(inner) if self.is_named(inner) => Value::SingleQuotedString(NONE_NULL.into()),
            ref named if self.is_named(named) => Value::Boolean(self.missing),
            _ => return ControlFlow::Continue(()),
        };
        *expr = row_of(self.name.to_owned(), right);
        self.found = true;
        ControlFlow::Continue(())
    }
}

/// What FROM names, and whether its rows may be missing, behind an outer join.
fn tables(from: &[TableWithJoins]) -> HashMap<String, bool> {
    use JoinOperator as J;
    let mut all = HashMap::new();
    for table in from {
        let mut here: Vec<(String, bool)> = Vec::new();
        add(&table.relation, false, &mut here);
        for join in &table.joins {
            let operator = &join.join_operator;
            if matches!(operator, J::Right(_) | J::RightOuter(_) | J::FullOuter(_)) {
                here.iter_mut().for_each(|(_, missing)| *missing = true);
            }
            let missing = matches!(operator, J::Left(_) | J::LeftOuter(_) | J::FullOuter(_) | J::OuterApply);
            add(&join.relation, missing, &mut here);
        }
        all.extend(here);
    }
    all
}

fn add(factor: &TableFactor, missing: bool, all: &mut Vec<(String, bool)>) {
    if let TableFactor::NestedJoin { table_with_joins, alias: None } = factor {
        let inner = tables(std::slice::from_ref(table_with_joins)).into_iter();
        all.extend(inner.map(|(name, inner)| (name, inner || missing)));
    } else if let Some(name) = named(factor) {
        all.push((name, missing));
    }
}

fn is_call(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::Table { args: Some(_), .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. }
    )
}

/// What a table is called in its SELECT.
fn named(factor: &TableFactor) -> Option<String> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } => (name.0.last().and_then(ObjectNamePart::as_ident), alias),
        TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => (None, alias),
        _ => return None,
    };
    alias.as_ref().map(|alias| &alias.name).or(name).map(fold)
}

/// Refuses `count(t.*)` where rows of `t` may be missing, which would be counted with the others.
///
/// # Errors
/// `Unsupported`, with another way to say it.
pub(super) fn check(select: &Select) -> Result<()> {
    if !select.from.iter().any(may_miss) {
        return Ok(());
    }
    let items = select.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for expr in items.chain(&select.having) {
        let found = visit_expressions(expr, |expr| match whole_row(expr) {
            Some(name) => ControlFlow::Break(name.clone()),
            None => ControlFlow::Continue(()),
        });
        if let ControlFlow::Break(name) = found {
            return Err(Error::unsupported(format!("count({name}.*) behind an outer join is not supported"))
                .with_hint(format!("count a column of {name} that is never missing in its rows")));
        }
    }
    Ok(())
}

fn may_miss(table: &TableWithJoins) -> bool {
    let is_outer = |operator: &JoinOperator| {
        use JoinOperator as J;
        matches!(
            operator,
            J::Left(_) | J::LeftOuter(_) | J::Right(_) | J::RightOuter(_) | J::FullOuter(_) | J::OuterApply
        )
    };
    table.joins.iter().any(|join| is_outer(&join.join_operator))
}

fn whole_row(expr: &Expr) -> Option<&ObjectName> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    list.args.iter().find_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => Some(name),
        _ => None,
    })
}
