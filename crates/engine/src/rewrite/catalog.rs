//! Names of `pg_catalog`, which PostgreSQL looks into before the schemas of the search path.

use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart, TableAlias, TableFactor};

use crate::statement::fold;
use crate::system::pg_catalog;

const SCHEMA: &str = "pg_catalog";

/// Writes the schema before a table of `pg_catalog`, which keeps its name as an alias, and takes it from a function in FROM.
/// `named`: what has such a name in WITH.
pub(super) fn qualify(factor: &mut TableFactor, named: &HashSet<String>) {
    match factor {
        TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => unqualified(name),
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

/// All functions of the system are in it.
fn unqualified(name: &mut ObjectName) {
    if let [ObjectNamePart::Identifier(schema), _] = name.0.as_slice()
        && fold(schema) == SCHEMA
    {
        name.0.remove(0);
    }
}
