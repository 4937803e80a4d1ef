//! `t.*` of a table that is named with its schema: `SELECT t.* FROM shop.t`. The planner looks for the name as it was written.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, TableFactor, TableWithJoins,
};
use polder_sql_tree::visit_expressions_mut;

use super::has_query;
use crate::statement::fold;

/// Writes the whole names.
pub(super) fn full(select: &mut Select) {
    let mut tables = Vec::new();
    select.from.iter().for_each(|from| named_in(from, &mut tables));
    if tables.iter().all(|(_, name)| name.is_none()) {
        return;
    }
    for item in &mut select.projection {
        match item {
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                lengthen(name, &tables);
            }
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => in_calls(expr, &tables),
            _ => {}
        }
    }
    if let Some(having) = &mut select.having {
        in_calls(having, &tables);
    }
}

/// What a table is called by, and its name where that has more parts.
type Named = (Vec<String>, Option<ObjectName>);

fn named_in(from: &TableWithJoins, tables: &mut Vec<Named>) {
    for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
        match factor {
            TableFactor::Table { name, alias: None, args: None, .. } => {
                let parts: Option<Vec<String>> = name.0.iter().map(|part| part.as_ident().map(fold)).collect();
                let longer = (name.0.len() > 1).then(|| name.clone());
                tables.extend(parts.map(|parts| (parts, longer)));
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => named_in(table_with_joins, tables),
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => tables.push((vec![fold(&alias.name)], None)),
            _ => {}
        }
    }
}

/// Two tables of one name, of two schemas: which is meant is not to be told.
fn lengthen(name: &mut ObjectName, tables: &[Named]) {
    let Some(wanted) = name.0.iter().map(|part| part.as_ident().map(fold)).collect::<Option<Vec<_>>>() else { return };
    let mut meant = tables.iter().filter(|(parts, _)| parts.ends_with(&wanted));
    if let (Some((_, Some(longer))), None) = (meant.next(), meant.next()) {
        *name = longer.clone();
    }
}

/// `count(t.*)`
fn in_calls(expr: &mut Expr, tables: &[Named]) {
    // A query within has tables of its own.
    if has_query(expr) {
        return;
    }
    let _ = visit_expressions_mut(expr, |part| {
        if let Expr::Function(function) = part
            && let FunctionArguments::List(list) = &mut function.args
        {
            for argument in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = argument {
                    lengthen(name, tables);
                }
            }
        }
        ControlFlow::<()>::Continue(())
    });
}
