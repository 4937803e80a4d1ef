//! Tables of the queries around a subquery, named so that no column of the subquery is meant instead.
//!
//! `EXISTS (SELECT 1 FROM orders o WHERE o.customer = customer.id)` names the table `customer` of the query around it. The planner looks
//! for a field `id` of a column `customer` before it looks there, so such a name gets a schema before it, which says that
//! it is a table's.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Expr, Ident, Select, TableAlias, TableFactor, TableWithJoins, VisitorMut};

use super::whole_numbers::visit_queries;
use crate::statement::fold;

/// The schema of a table that is known by a name alone. The planner lets it stand for any.
pub(crate) const OUTER: &str = "polder$outer";

/// More parts than these name no column of a table.
const PARTS_MAX: usize = 3;

/// Qualifies in place what subqueries say of tables around them.
pub(super) fn qualify(statement: &mut Parsed) {
    visit_queries(statement, &mut Qualifier::default());
}

/// What of a table's name stands before its last part.
type Schema = Vec<Ident>;

#[derive(Default)]
struct Qualifier {
    /// The tables of each SELECT around what is visited, the innermost last.
    scopes: Vec<HashMap<String, Schema>>,
    /// The scopes that a subquery in FROM does not see, since it is not LATERAL; the innermost last.
    hidden: Vec<HashMap<String, Schema>>,
}

impl VisitorMut for Qualifier {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut scope = HashMap::new();
        select.from.iter().for_each(|from| tables(from, &mut scope));
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: false, .. } = factor {
            self.hidden.push(self.scopes.last_mut().map(std::mem::take).unwrap_or_default());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { lateral: false, .. } = factor
            && let (Some(scope), Some(hidden)) = (self.scopes.last_mut(), self.hidden.pop())
        {
            *scope = hidden;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && (2..=PARTS_MAX).contains(&parts.len())
            && let Some(first) = parts.first()
            && let Some((own, around)) = self.scopes.split_last()
            && let name = fold(first)
            && !own.contains_key(&name)
            && let Some(schema) = around.iter().rev().find_map(|scope| scope.get(&name))
        {
            parts.splice(0..0, schema.iter().cloned());
        }
        ControlFlow::Continue(())
    }
}

/// The names that a query's own tables have in it.
pub(super) fn names_of(select: &Select) -> HashSet<String> {
    let mut scope = HashMap::new();
    select.from.iter().for_each(|from| tables(from, &mut scope));
    scope.into_keys().collect()
}

fn tables(from: &TableWithJoins, scope: &mut HashMap<String, Schema>) {
    std::iter::once(&from.relation)
        .chain(from.joins.iter().map(|join| &join.relation))
        .for_each(|it| factor(it, scope));
}

fn factor(factor: &TableFactor, scope: &mut HashMap<String, Schema>) {
    let alias: &Option<TableAlias> = match factor {
        TableFactor::Table { name, alias: None, .. } => {
            let mut parts: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
            if let Some(last) = parts.pop() {
                let schema = if parts.is_empty() { any() } else { parts };
                scope.insert(fold(&last), schema);
            }
            return;
        }
        TableFactor::NestedJoin { table_with_joins, alias: None } => return tables(table_with_joins, scope),
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias,
        // Rewritten into one of the others by now, or refused.
        _ => return,
    };
    if let Some(alias) = alias {
        scope.insert(fold(&alias.name), any());
    }
}

fn any() -> Schema {
    vec![Ident::with_quote('"', OUTER)]
}
