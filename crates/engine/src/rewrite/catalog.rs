//! Names of `pg_catalog`, which PostgreSQL looks into before the schemas of the search path.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor,
};

use crate::statement::fold;
use crate::system::pg_catalog;

const SCHEMA: &str = "pg_catalog";

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
