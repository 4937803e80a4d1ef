//! Materialized views: a query whose rows are kept, and computed anew when asked for.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{CreateView, ObjectName};
use polder_lake::{ColumnSpec, Materialized, TableName, TableState, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::target::parse_query;
use super::super::{Context, ended};
use super::create::{fill, spec_of};
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn create_materialized(&self, cell: &TransactionCell, create: &CreateView) -> Result<Outcome> {
        let name = self.name(&create.name)?;
        {
            let guard = cell.lock().await;
            let transaction = guard.as_ref().ok_or_else(ended)?;
            let taken = transaction.table(&name).is_some() || transaction.view().view(&name).is_some();
            if taken && create.if_not_exists {
                return Ok(Outcome::done("CREATE MATERIALIZED VIEW", None, transaction.base())
                    .notice(format!("{name} exists already, skipping")));
            }
            if taken {
                return Err(Error::new(ErrorKind::AlreadyExists, format!("{name} exists already"))
                    .with_hint("DROP MATERIALIZED VIEW it first, or use another name"));
            }
        }
        let scope = self.writing_scope(cell).await?;
        let query = self.view_query(&scope, create).await?;
        let plan = self.plan_kept(&scope, &query).await?;
        let specs: Vec<ColumnSpec> = plan.schema().fields().iter().map(|field| spec_of(field, true)).collect();
        let rows = match self.extras.no_data {
            true => None,
            false => Some(self.execute(&scope, plan).await?),
        };
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            let base = rows.is_some().then(|| transaction.base());
            let table = transaction.create_table_with(&name, &specs, create.comment.clone())?;
            let mut rules = table.rules.as_ref().clone();
            rules.materialized = Some(Materialized { sql: query.to_string(), snapshot: base });
            transaction.set_rules(&name, rules)?;
        }
        let Some(rows) = rows else {
            return Ok(Outcome::done("CREATE MATERIALIZED VIEW", None, scope.snapshot.id));
        };
        let written = fill(cell, &name, rows).await?;
        Ok(Outcome::done("SELECT", Some(written), scope.snapshot.id))
    }

    /// REFRESH MATERIALIZED VIEW: its query is run again, and its rows are replaced at once.
    pub(in super::super) async fn refresh(&self, cell: &TransactionCell, name: &ObjectName) -> Result<Outcome> {
        let scope = self.writing_scope(cell).await?;
        let name = self.existing_name(name, &scope.snapshot)?;
        let (table, sql) = materialized(&scope.snapshot, &name)?;
        let query = parse_query(&sql)?;
        let plan = self.plan_kept(&scope, &query).await.map_err(|error| error.context(name.to_string()))?;
        let same = plan.schema().fields().iter().map(|field| field.name()).eq(table
            .arrow_schema
            .fields()
            .iter()
            .map(|field| field.name()));
        if !same {
            return Err(Error::invalid(format!("the query of {name} gives other columns than before"))
                .with_hint("DROP MATERIALIZED VIEW, and CREATE it again"));
        }
        let rows = self.execute(&scope, plan).await?;
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            transaction.truncate(&name).await?;
            let mut rules = table.rules.as_ref().clone();
            rules.materialized = Some(Materialized { sql, snapshot: Some(transaction.base()) });
            transaction.set_rules(&name, rules)?;
        }
        let written = fill(cell, &name, rows).await?;
        Ok(Outcome::done("REFRESH MATERIALIZED VIEW", Some(written), scope.snapshot.id))
    }
}

/// A materialized view and its query.
fn materialized(snapshot: &polder_lake::Snapshot, name: &TableName) -> Result<(Arc<TableState>, String)> {
    let found = snapshot.table(name).and_then(|table| {
        let sql = table.rules.materialized.as_ref()?.sql.clone();
        Some((Arc::clone(table), sql))
    });
    found.ok_or_else(|| {
        if snapshot.table(name).is_some() || snapshot.view(name).is_some() {
            return Error::invalid(format!("{name} is no materialized view")).with_code("0A000");
        }
        Error::not_found(format!("materialized view {name} does not exist"))
    })
}
