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
use polder_lake::{Key, Keys, TransactionCell};
use polder_types::{Error, Result};

use super::changes::{self, Again, Applied, Changes};
use super::returning::Other;
use super::target::{Target, quoted_ident, select_of};
use super::{Context, ended};
use crate::authz::Who;
use crate::catalog::Changed;
use crate::error::from_datafusion;
use crate::opaque::Opaque;
use crate::policies::{Asked, Bound, Purpose, RowChecks, Shown, masked};
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::session::{Outcome, Settings};

/// The query that finds the rows to be changed.
pub(super) struct RowQuery {
    /// What it was planned in.
    pub state: Opaque<SessionState>,
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
        self.writing_scope_as(cell, self.settings).await
    }

    /// The same with every right, for what the statement looks up for itself and tells nobody.
    pub(super) async fn trusted_scope(&self, cell: &TransactionCell) -> Result<Scope> {
        self.writing_scope_as(cell, &Settings { who: Who::system(), ..self.settings.clone() }).await
    }

    /// The same for a query that is kept and not run.
    pub(super) async fn defining_scope(&self, cell: &TransactionCell) -> Result<Scope> {
        self.writing_scope_as(cell, &Settings { who: self.settings.who.defining(), ..self.settings.clone() }).await
    }

    async fn writing_scope_as(&self, cell: &TransactionCell, settings: &Settings) -> Result<Scope> {
        let snapshot = {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            transaction.settle().await?;
            Arc::clone(transaction.view())
        };
        Ok(self.engine.scope(snapshot, Some(cell.clone()), settings))
    }

    pub(super) async fn delete(&self, cell: &TransactionCell, delete: &Delete) -> Result<Outcome> {
        let planned = self.plan_delete(cell, delete).await?;
        let is_whole = delete.selection.is_none() && delete.using.is_none() && delete.returning.is_none();
        if is_whole && !planned.changes.target.has_policies {
            let gone = self.delete_all(cell, &planned.changes.target).await?;
            return Ok(Outcome::done("DELETE", Some(gone), planned.scope.snapshot.id));
        }
        self.carry_out(cell, planned).await
    }

    /// All rows of a table go, and with them what foreign keys ask for.
    async fn delete_all(&self, cell: &TransactionCell, target: &Target) -> Result<u64> {
        let before = self.settled_view(cell).await?;
        let gone = cell.lock().await.as_mut().ok_or_else(ended)?.truncate(&target.name).await?;
        self.follow(cell, &target.name, before).await?;
        let verified = cell.lock().await.as_mut().ok_or_else(ended)?.verify_references().await;
        verified.map_err(|error| target.without_values(error))?;
        Ok(gone)
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
        let target = Target::of(target, &scope, &self.settings.schema)?.seen_by(self.rights(&scope.snapshot));
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
        let reads = target.has_policies && self.read_by_delete(&scope.snapshot, delete);
        let query = self.query_rows(&scope, &target, Purpose::Delete { reads }, query).await?;
        let changes = Changes {
            checks: None,
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
        let target = Target::of(&update.table, &scope, &self.settings.schema)?.seen_by(self.rights(&scope.snapshot));
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
        let reads = target.has_policies && self.read_by_update(&scope.snapshot, update);
        let query = self.query_rows(&scope, &target, Purpose::Update { reads }, query).await?;
        let keys = target.keys_under(&set);
        let changes = Changes {
            checks: self.row_checks(&scope, &target, Shown { inserted: false, updated: reads }),
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
                let types = query.plan.schema().fields().get(width..).unwrap_or_default();
                let applied = self.masked(&scope, &changes.target, applied).await?;
                self.returning(&scope, &changes.target, others, types, items, applied, outcome).await
            }
        }
    }

    /// What was done, with masks in the rows that are returned.
    async fn masked(&self, scope: &Scope, target: &Target, applied: Applied) -> Result<Applied> {
        let bound = Bound::of(self.rights(&scope.snapshot), target.table.id).filter(|_| target.has_masks());
        let Some(bound) = bound else { return Ok(applied) };
        let around = scope.surroundings();
        let returned = masked(&around, &target.name, &target.table, bound, applied.returned).await?;
        Ok(Applied { returned, ..applied })
    }

    /// What is asked of rows that are written; `None`: nothing.
    pub(super) fn row_checks(&self, scope: &Scope, target: &Target, shown: Shown) -> Option<RowChecks> {
        let bound = Bound::of(self.rights(&scope.snapshot), target.table.id)?;
        RowChecks::of(scope.surroundings(), &target.name, &bound, shown)
    }

    /// Plans the query that finds rows, in a catalog where they have ids.
    pub(super) async fn query_rows(
        &self,
        scope: &Scope,
        target: &Target,
        purpose: Purpose,
        query: Query,
    ) -> Result<RowQuery> {
        let asked = Asked { purpose, hidden: Some(target.hidden.clone()), keys: Vec::new() };
        self.query_asked(scope, target, asked, query).await
    }

    /// The same, for rows that have the values of keys that rows to be inserted have.
    pub(super) async fn query_conflicts(
        &self,
        scope: &Scope,
        target: &Target,
        keys: &[Key],
        query: Query,
    ) -> Result<RowQuery> {
        let named = |id: &i64| target.table.top_columns().find(|column| column.id == *id);
        let keys = keys.iter().flat_map(|key| &key.columns).filter_map(|id| Some(named(id)?.name.clone())).collect();
        let asked = Asked { purpose: Purpose::Conflicts, hidden: Some(target.hidden.clone()), keys };
        self.query_asked(scope, target, asked, query).await
    }

    async fn query_asked(&self, scope: &Scope, target: &Target, asked: Asked, query: Query) -> Result<RowQuery> {
        let changed = Changed { name: target.name.clone(), asked };
        let scope = scope.with_rows(Some(&changed));
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion)?;
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
