//! `WITH … INSERT`, `UPDATE`, `DELETE` and `MERGE`: the statement itself, its common tables written out where it reads them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Insert, Query, SetExpr, Statement, TableFactor, TableObject, VisitorMut, With};
use polder_sql_tree::visit_mut;
use polder_types::{Error, Result};

use super::quoted;
use crate::parse::parse_factor;
use crate::statement::fold;

/// Takes a changing statement out of the query that it is parsed as.
///
/// # Errors
/// `Unsupported` when a common table itself changes rows.
pub(super) fn changing(statement: &mut Statement) -> Result<()> {
    let Statement::Query(query) = statement else { return Ok(()) };
    if let Some(with) = &query.with
        && with.cte_tables.iter().any(|table| changes(&table.query))
    {
        return Err(Error::unsupported("a statement in WITH that changes rows is not supported")
            .with_hint("BEGIN, then one statement after the other"));
    }
    if !changes(query) {
        return Ok(());
    }
    let (SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner)) =
        query.body.as_ref()
    else {
        return Ok(());
    };
    let mut inner = inner.clone();
    if let Some(with) = query.with.take() {
        let target = match &inner {
            Statement::Insert(Insert { table: TableObject::TableName(name), .. }) => Some(name.to_string()),
            _ => None,
        };
        let mut written = Written { with: &with, target };
        if let ControlFlow::Break(error) = visit_mut(&mut inner, &mut written) {
            return Err(error);
        }
    }
    *statement = inner;
    Ok(())
}

fn changes(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_))
}

struct Written<'a> {
    with: &'a With,
    target: Option<String>,
}

impl VisitorMut for Written<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        // The statement's own query may have common tables of its own; they see those that stand before the statement.
        let Some(inner) = &query.with else { return ControlFlow::Continue(()) };
        let shadowed = inner
            .cte_tables
            .iter()
            .any(|table| self.with.cte_tables.iter().any(|outer| fold(&outer.alias.name) == fold(&table.alias.name)));
        if shadowed {
            return ControlFlow::Break(Error::unsupported("the same name in two WITH clauses of a changing statement"));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let [part] = name.0.as_slice() else { return ControlFlow::Continue(()) };
        let Some(ident) = part.as_ident() else { return ControlFlow::Continue(()) };
        let wanted = fold(ident);
        let known = self.with.cte_tables.iter().any(|table| fold(&table.alias.name) == wanted);
        if !known || self.target.as_ref() == Some(&name.to_string()) {
            return ControlFlow::Continue(());
        }
        let alias = alias.as_ref().map_or_else(|| quoted(&wanted), ToString::to_string);
        let alias = alias.strip_prefix("AS ").unwrap_or(&alias).to_owned();
        match parse_factor(&format!("({} SELECT * FROM {}) AS {alias}", self.with, quoted(&wanted))) {
            Ok(derived) => {
                *factor = derived;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}
