//! Names of `pg_catalog`, which PostgreSQL looks into before the schemas of the search path.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, TableAlias, TableFactor,
};
use polder_sql_tree::visit_expressions_mut;
use polder_types::Result;

use crate::parse::parse_expr;
use crate::statement::fold;
use crate::system::pg_catalog;

const SCHEMA: &str = "pg_catalog";

/// The number of the table that a row is of.
const TABLE_OID: &str = "tableoid";

/// Writes the schema before a table of `pg_catalog`, which keeps its name as an alias, and takes it from a function in FROM.
/// `named`: what has such a name in WITH.
pub(super) fn qualify(factor: &mut TableFactor, named: &HashSet<String>) {
    match factor {
        TableFactor::Function { name, .. } => {
            unqualified(name);
        }
        TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
            // The parser knows `unnest` as a word of its own, but not with a schema.
            if unqualified(name)
                && name.to_string().eq_ignore_ascii_case("unnest")
                && let Some(array_exprs) = exprs(&args.args)
            {
                *factor = TableFactor::UNNEST {
                    alias: alias.take(),
                    array_exprs,
                    with_offset: false,
                    with_offset_alias: None,
                    with_ordinality: *with_ordinality,
                };
            }
        }
        TableFactor::Table { name, args: None, alias, .. } => {
            let [ObjectNamePart::Identifier(ident)] = name.0.as_slice() else { return };
            let table = fold(ident);
            if named.contains(&table) || !pg_catalog::is_table(&table) {
                return;
            }
            let shown = ident.clone();
            alias.get_or_insert_with(|| TableAlias { explicit: true, name: shown, columns: Vec::new(), at: None });
            name.0.insert(0, ObjectNamePart::Identifier(Ident::new(SCHEMA)));
        }
        _ => {}
    }
}

/// Writes the number of the table for `tableoid` of a table of `pg_catalog`, which is a column of each that `*` does not show.
///
/// # Errors
/// None; the number is an expression, and those are parsed.
pub(super) fn tableoids(select: &mut Select, named: &HashSet<String>) -> Result<()> {
    let factors = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let mut oids = HashMap::new();
    for (shown, oid) in factors.filter_map(|factor| catalog_table(factor, named)) {
        oids.insert(shown, parse_expr(&format!("{oid}::oid"))?);
    }
    if oids.is_empty() {
        return Ok(());
    }
    let is_alone = matches!(select.from.as_slice(), [from] if from.joins.is_empty());
    let own = oids.values().next().filter(|_| is_alone).cloned();
    let found = |expr: &Expr| match expr {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [table, column] if fold(column) == TABLE_OID => oids.get(&fold(table)).cloned(),
            _ => None,
        },
        _ => None,
    };
    for item in &mut select.projection {
        // A subquery has a table of its own, so a name alone is looked at where it stands alone.
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(oid) = found(expr).or_else(|| own.clone().filter(|_| is_table_oid(expr)))
        {
            *item = SelectItem::ExprWithAlias { expr: oid, alias: Ident::new(TABLE_OID) };
        }
    }
    let _ = visit_expressions_mut(select, |expr: &mut Expr| {
        if let Some(oid) = found(expr) {
            *expr = oid;
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(())
}

fn is_table_oid(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if fold(ident) == TABLE_OID)
}

/// The name that a table of `pg_catalog` has in a query, and its number.
fn catalog_table(factor: &TableFactor, named: &HashSet<String>) -> Option<(String, i64)> {
    let TableFactor::Table { name, args: None, alias, .. } = factor else { return None };
    let table = match name.0.as_slice() {
        [ObjectNamePart::Identifier(table)] if !named.contains(&fold(table)) => table,
        [ObjectNamePart::Identifier(schema), ObjectNamePart::Identifier(table)] if fold(schema) == SCHEMA => table,
        _ => return None,
    };
    let oid = pg_catalog::oid_of(&fold(table))?;
    Some((fold(alias.as_ref().map_or(table, |alias| &alias.name)), oid))
}

/// Takes the schema from the name of a function, of which all that the system has are in it; true if there was one.
fn unqualified(name: &mut ObjectName) -> bool {
    let qualified = match name.0.as_slice() {
        [ObjectNamePart::Identifier(schema), _] => fold(schema) == SCHEMA,
        _ => false,
    };
    if qualified {
        name.0.remove(0);
    }
    qualified
}

fn exprs(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    args.iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}
