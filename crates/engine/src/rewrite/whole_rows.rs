//! A table's row as one value: what of it would be answered wrongly is refused.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, JoinOperator, ObjectName,
    ObjectNamePart, Query, Select, SelectItem, TableFactor, TableWithJoins, Value, VisitorMut,
};
use polder_sql_tree::{visit_expressions, visit_mut};
use polder_types::{Error, Result};

use crate::statement::fold;

/// The operator that stands for the row of a table: on its left the table's name, on its right whether rows may be missing.
pub(crate) const WHOLE_ROW: [&str; 2] = ["polder", "whole_row"];

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
            let value = |value: Value| Box::new(Expr::Value(value.into()));
            *argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Nested(Box::new(Expr::BinaryOp {
                left: value(Value::SingleQuotedString(name)),
                op: BinaryOperator::PGCustomBinaryOperator(WHOLE_ROW.map(str::to_owned).to_vec()),
                right: value(Value::Boolean(*missing)),
            }))));
        }
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
    let (name, alias) = match factor {
        TableFactor::NestedJoin { table_with_joins, alias: None } => {
            all.extend(
                tables(std::slice::from_ref(table_with_joins))
                    .into_iter()
                    .map(|(name, inner)| (name, inner || missing)),
            );
            return;
        }
        TableFactor::Table { name, alias, .. } => (name.0.last().and_then(ObjectNamePart::as_ident), alias),
        TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => (None, alias),
        _ => return,
    };
    if let Some(name) = alias.as_ref().map(|alias| &alias.name).or(name) {
        all.push((fold(name), missing));
    }
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
