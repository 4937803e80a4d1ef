//! Common tables of the same name in queries within each other: the inner ones get names of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ObjectNamePart, Query, Statement, TableAlias, TableFactor, Visitor, VisitorMut,
};
use polder_sql_tree::{visit, visit_mut};

use crate::statement::fold;

/// Renames in place what would hide, or be hidden.
pub(super) fn rename_hidden(statement: &mut Statement) {
    let mut names = Names { seen: BTreeSet::new(), repeated: BTreeSet::new() };
    let _ = visit(statement, &mut names);
    if names.repeated.is_empty() {
        return;
    }
    let _ = visit_mut(statement, &mut Renamer { repeated: names.repeated, number: 0 });
}

struct Names {
    seen: BTreeSet<String>,
    repeated: BTreeSet<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(with) = &query.with else { return ControlFlow::Continue(()) };
        let here: BTreeSet<String> = with.cte_tables.iter().map(|table| fold(&table.alias.name)).collect();
        self.repeated.extend(here.intersection(&self.seen).cloned());
        self.seen.extend(here);
        ControlFlow::Continue(())
    }
}

struct Renamer {
    repeated: BTreeSet<String>,
    number: usize,
}

impl VisitorMut for Renamer {
    type Break = ();

    /// Inner queries come first, so a name that is still there means a common table of this query or of one around it.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Some(with) = &mut query.with else { return ControlFlow::Continue(()) };
        let mut renamed = Tables(BTreeMap::new());
        self.number += 1;
        let recursive = with.recursive;
        for table in &mut with.cte_tables {
            let name = fold(&table.alias.name);
            let own = self.repeated.contains(&name).then(|| format!("polder${}${name}", self.number));
            if let Some(own) = &own
                && recursive
            {
                renamed.0.insert(name.clone(), own.clone());
            }
            let _ = visit_mut(table.query.as_mut(), &mut renamed);
            if let Some(own) = own {
                table.alias.name = Ident::with_quote('"', &own);
                renamed.0.insert(name, own);
            }
        }
        let _ = visit_mut(query.body.as_mut(), &mut renamed);
        ControlFlow::Continue(())
    }
}

/// Common tables and their new names.
struct Tables(BTreeMap<String, String>);

impl VisitorMut for Tables {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let [part] = name.0.as_slice() else { return ControlFlow::Continue(()) };
        let Some(ident) = part.as_ident() else { return ControlFlow::Continue(()) };
        let Some(own) = self.0.get(&fold(ident)) else { return ControlFlow::Continue(()) };
        alias.get_or_insert_with(|| TableAlias { explicit: true, name: ident.clone(), columns: Vec::new(), at: None });
        *name = ObjectName(vec![ObjectNamePart::Identifier(Ident::with_quote('"', own))]);
        ControlFlow::Continue(())
    }
}
