//! UPDATE and DELETE.
//!
//! Both are queries first: which rows, by their ids, and what they become. So whatever a query can say (subqueries, joins
//! by FROM and USING) can choose the rows.

use std::sync::Arc;

use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Delete, FromTable, ObjectName, Query, SelectItem, SelectItemQualifiedWildcardKind, Statement, TableFactor,
    TableWithJoins, Update, UpdateTableFromKind, WildcardAdditionalOptions,
};
use polder_lake::{Keys, TransactionCell};
use polder_types::{Error, Result};

use super::changes::{self, Again, Changes};
use super::returning::Other;
use super::target::{Target, quoted_ident, select_of};
use super::{Context, ended};
use crate::error::from_datafusion;
use crate::scope::Scope;
use crate::session::Outcome;

/// The query that finds the rows to be changed.
pub(super) struct RowQuery {
    /// What it was planned in.
    pub state: Arc<SessionState>,
    pub plan: LogicalPlan,
    /// Of its columns.
    pub names: Vec<Other>,
}

/// A change that is planned, and is to be carried out or explained.
pub(super) struct Planned<'a> {
    pub scope: Scope,
    pub changes: Changes,
    pub query: RowQuery,
    pub verb: &'static str,
    pub returning: Option<&'a [SelectItem]>,
}

impl Context<'_> {
    /// What a changing statement sees, with inserts going into its transaction.
    pub(super) async fn writing_scope(&self, cell: &TransactionCell) -> Result<Scope> {
        let snapshot = {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            transaction.settle().await?;
            Arc::clone(transaction.view())
        };
        Ok(self.engine.scope(snapshot, Some(cell.clone()), self.settings))
    }

    pub(super) async fn delete(&self, cell: &TransactionCell, delete: &Delete) -> Result<Outcome> {
        let planned = self.plan_delete(cell, delete).await?;
        if delete.selection.is_none() && delete.using.is_none() && delete.returning.is_none() {
            let name = &planned.changes.target.name;
            let before = self.settled_view(cell).await?;
            let gone = cell.lock().await.as_mut().ok_or_else(ended)?.truncate(name).await?;
            self.follow(cell, name, before).await?;
            cell.lock().await.as_mut().ok_or_else(ended)?.verify_references().await?;
            return Ok(Outcome::done("DELETE", Some(gone), planned.scope.snapshot.id));
        }
        self.carry_out(cell, planned).await
    }

    pub(super) async fn plan_delete<'a>(&self, cell: &TransactionCell, delete: &'a Delete) -> Result<Planned<'a>> {
        if delete.limit.is_some() || !delete.order_by.is_empty() || !delete.tables.is_empty() || delete.output.is_some()
        {
            return Err(Error::unsupported("DELETE with LIMIT, ORDER BY or several tables is not supported")
                .with_hint("choose the rows in WHERE"));
        }
        let from = match &delete.from {
            FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from) => from,
        };
        let [target] = from.as_slice() else {
            return Err(Error::unsupported("DELETE from several tables at once").with_hint("USING names the others"));
        };
        let scope = self.writing_scope(cell).await?;
        let target = Target::of(target, &scope, &self.settings.schema)?;
        let returning = delete.returning.as_deref();
        let values = if returning.is_some() { target.assigned(&Default::default()) } else { Vec::new() };
        let mut query = target.query(values)?;
        let using = delete.using.clone().unwrap_or_default();
        let select = select_of(&mut query)?;
        if returning.is_some() {
            select.projection.extend(wildcards(&using)?);
        }
        select.from.extend(using);
        select.selection.clone_from(&delete.selection);
        let query = self.query_rows(&scope, query).await?;
        let changes = Changes {
            target,
            action: Some(changes::DELETE),
            values: returning.is_some(),
            row_ids: true,
            again: Again::Ignore,
            distinct: None,
            keys: Keys::Kept,
            returning: returning.is_some(),
        };
        Ok(Planned { scope, changes, query, verb: "DELETE", returning })
    }

    pub(super) async fn update(&self, cell: &TransactionCell, update: &Update) -> Result<Outcome> {
        let planned = self.plan_update(cell, update).await?;
        self.carry_out(cell, planned).await
    }

    pub(super) async fn plan_update<'a>(&self, cell: &TransactionCell, update: &'a Update) -> Result<Planned<'a>> {
        if update.limit.is_some() || !update.order_by.is_empty() || update.or.is_some() || update.output.is_some() {
            return Err(Error::unsupported("UPDATE with LIMIT, ORDER BY or OR is not supported")
                .with_hint("choose the rows in WHERE"));
        }
        let scope = self.writing_scope(cell).await?;
        let target = Target::of(&update.table, &scope, &self.settings.schema)?;
        let set = target.assignments(&update.assignments)?;
        let mut query = target.query(target.assigned(&set))?;
        let from = match &update.from {
            Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => from.clone(),
            None => Vec::new(),
        };
        let returning = update.returning.as_deref();
        let select = select_of(&mut query)?;
        if returning.is_some() {
            select.projection.extend(wildcards(&from)?);
        }
        select.from.extend(from);
        select.selection.clone_from(&update.selection);
        let query = self.query_rows(&scope, query).await?;
        let keys = target.keys_under(&set);
        let changes = Changes {
            target,
            action: Some(changes::UPDATE),
            values: true,
            row_ids: true,
            again: Again::Ignore,
            distinct: None,
            keys,
            returning: returning.is_some(),
        };
        Ok(Planned { scope, changes, query, verb: "UPDATE", returning })
    }

    /// Applies changes and answers with their number, or with what RETURNING asks for.
    pub(super) async fn carry_out(&self, cell: &TransactionCell, planned: Planned<'_>) -> Result<Outcome> {
        let Planned { scope, changes, query, verb, returning } = planned;
        let width = usize::from(changes.action.is_none())
            + if changes.values { changes.target.table.arrow_schema.fields().len() } else { 0 }
            + usize::from(changes.row_ids);
        let applied = self.apply(cell, &changes, &query).await?;
        let outcome = Outcome::done(verb, Some(applied.total()), scope.snapshot.id);
        match returning {
            None => Ok(outcome),
            Some(items) => {
                let others = query.names.get(width..).unwrap_or_default();
                self.returning(&scope, &changes.target, others, items, applied, outcome).await
            }
        }
    }

    /// Plans the query that finds rows, in a catalog where they have ids.
    pub(super) async fn query_rows(&self, scope: &Scope, query: Query) -> Result<RowQuery> {
        let scope = scope.with_rows(self.engine);
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion)?;
        let names = plan.schema().iter().map(|(table, field)| (table.cloned(), field.name().clone())).collect();
        Ok(RowQuery { state: scope.state, plan, names })
    }
}

/// All columns of other tables, for RETURNING.
pub(super) fn wildcards(tables: &[TableWithJoins]) -> Result<Vec<SelectItem>> {
    let factors = tables
        .iter()
        .flat_map(|table| std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)));
    factors
        .map(|factor| {
            let name = ObjectName::from(vec![quoted_ident(&factor_name(factor)?)]);
            Ok(SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                WildcardAdditionalOptions::default(),
            ))
        })
        .collect()
}

/// What a statement calls one of its tables.
pub(super) fn factor_name(factor: &TableFactor) -> Result<String> {
    let alias = match factor {
        TableFactor::Table { alias: Some(alias), .. }
        | TableFactor::Derived { alias: Some(alias), .. }
        | TableFactor::Function { alias: Some(alias), .. }
        | TableFactor::UNNEST { alias: Some(alias), .. }
        | TableFactor::TableFunction { alias: Some(alias), .. } => super::names::fold(&alias.name),
        TableFactor::Table { name, .. } => super::names::parts(name)?.pop().unwrap_or_default(),
        other => {
            return Err(Error::unsupported(format!("{other} has no name here")).with_hint("give it one with AS"));
        }
    };
    Ok(alias)
}
