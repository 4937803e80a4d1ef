//! INSERT, UPDATE, DELETE.
//!
//! UPDATE and DELETE are queries first: which rows, by their ids, and what they become. So whatever a query can say
//! (subqueries, joins by FROM and USING) can choose the rows.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, UInt64Type};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, Insert, Query, Select, SelectItem, SetExpr, Statement, TableFactor,
    TableWithJoins, Update, UpdateTableFromKind,
};
use futures::StreamExt;
use polder_lake::{TableName, TableState, TransactionCell};
use polder_types::{Error, Result};

use super::names::{fold, parts, table_name};
use super::{Context, ended};
use crate::catalog::ROWS_CATALOG;
use crate::error::from_datafusion;
use crate::parse::parse;
use crate::scope::Scope;
use crate::session::Outcome;

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

    /// INSERTs do not read what was inserted before, so what is held back may stay so.
    async fn inserting_scope(&self, cell: &TransactionCell, insert: &Insert) -> Result<Scope> {
        let values_only = insert.source.as_ref().is_some_and(|query| matches!(query.body.as_ref(), SetExpr::Values(_)));
        if !values_only {
            return self.writing_scope(cell).await;
        }
        let snapshot = {
            let guard = cell.lock().await;
            Arc::clone(guard.as_ref().ok_or_else(ended)?.view())
        };
        Ok(self.engine.scope(snapshot, Some(cell.clone()), self.settings))
    }

    pub(super) async fn insert(&self, cell: &TransactionCell, insert: &Insert, statement: &Parsed) -> Result<Outcome> {
        if insert.returning.is_some() {
            return Err(Error::unsupported("INSERT … RETURNING is not supported"));
        }
        if insert.on.is_some() {
            return Err(
                Error::unsupported("INSERT … ON CONFLICT is not supported").with_hint("tables have no keys yet")
            );
        }
        let scope = self.inserting_scope(cell, insert).await?;
        let plan = scope.state.statement_to_plan(statement.clone()).await.map_err(from_datafusion)?;
        let mut counts = self.execute(&scope, plan).await?;
        let mut rows = 0;
        while let Some(batch) = counts.next().await {
            let batch = batch.map_err(from_datafusion)?;
            if let Some(values) = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>()) {
                rows += values.values().iter().sum::<u64>();
            }
        }
        Ok(Outcome::done("INSERT", Some(rows), scope.snapshot.id))
    }

    pub(super) async fn delete(&self, cell: &TransactionCell, delete: &Delete) -> Result<Outcome> {
        if delete.returning.is_some() {
            return Err(Error::unsupported("DELETE … RETURNING is not supported"));
        }
        if delete.limit.is_some() || !delete.order_by.is_empty() || !delete.tables.is_empty() {
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
        if delete.selection.is_none() && delete.using.is_none() {
            let mut guard = cell.lock().await;
            let gone = guard.as_mut().ok_or_else(ended)?.truncate(&target.name).await?;
            return Ok(Outcome::done("DELETE", Some(gone), scope.snapshot.id));
        }
        let mut query = target.query(Vec::new())?;
        let select = select_of(&mut query)?;
        select.from.extend(delete.using.iter().flatten().cloned());
        select.selection.clone_from(&delete.selection);
        let mut rows = self.query_rows(&scope, query).await?;
        let mut ids: Vec<i64> = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(from_datafusion)?;
            ids.extend(row_ids(batch.columns().last())?.iter());
        }
        let mut guard = cell.lock().await;
        let gone = guard.as_mut().ok_or_else(ended)?.delete_rows(&target.name, ids).await?;
        Ok(Outcome::done("DELETE", Some(gone), scope.snapshot.id))
    }

    pub(super) async fn update(&self, cell: &TransactionCell, update: &Update) -> Result<Outcome> {
        if update.returning.is_some() {
            return Err(Error::unsupported("UPDATE … RETURNING is not supported"));
        }
        if update.limit.is_some() || !update.order_by.is_empty() || update.or.is_some() {
            return Err(Error::unsupported("UPDATE with LIMIT, ORDER BY or OR is not supported")
                .with_hint("choose the rows in WHERE"));
        }
        let scope = self.writing_scope(cell).await?;
        let target = Target::of(&update.table, &scope, &self.settings.schema)?;
        let values = target.assigned(update)?;
        let mut query = target.query(values)?;
        let select = select_of(&mut query)?;
        if let Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) = &update.from {
            select.from.extend(from.iter().cloned());
        }
        select.selection.clone_from(&update.selection);
        let mut rows = self.query_rows(&scope, query).await?;
        let mut writer = {
            let guard = cell.lock().await;
            guard.as_ref().ok_or_else(ended)?.rewrite(&target.name)?
        };
        // A row that several rows of FROM match is changed once, by the first of them, as in PostgreSQL.
        let mut seen: HashSet<i64> = HashSet::new();
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(from_datafusion)?;
            let keep: BooleanArray = row_ids(batch.columns().last())?.iter().map(|id| Some(seen.insert(*id))).collect();
            let batch = if keep.true_count() == batch.num_rows() {
                batch
            } else {
                filter_record_batch(&batch, &keep).map_err(|error| Error::internal(error.to_string()))?
            };
            writer.write(batch).await?;
        }
        let files = writer.finish().await?;
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let changed = transaction.replace_rows(&target.name, seen.into_iter().collect(), files).await?;
        Ok(Outcome::done("UPDATE", Some(changed), scope.snapshot.id))
    }

    /// Runs the query that finds rows, in a catalog where they have ids.
    async fn query_rows(
        &self,
        scope: &Scope,
        query: Query,
    ) -> Result<datafusion::execution::SendableRecordBatchStream> {
        let scope = scope.with_rows(self.engine);
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query))));
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion)?;
        self.execute(&scope, plan).await
    }
}

/// The table that a statement changes.
struct Target {
    name: TableName,
    alias: String,
    table: Arc<TableState>,
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Target {
    fn of(table: &TableWithJoins, scope: &Scope, schema: &str) -> Result<Self> {
        let (TableFactor::Table { name, alias, .. }, true) = (&table.relation, table.joins.is_empty()) else {
            return Err(
                Error::unsupported("only a table can be changed").with_hint("name the others after FROM or USING")
            );
        };
        let name = table_name(name, schema)?;
        let Some(table) = scope.snapshot.table(&name).cloned() else {
            return Err(match scope.snapshot.view(&name) {
                Some(_) => Error::invalid(format!("{name} is a view, which cannot be changed")).with_code("42809"),
                None => Error::not_found(format!("table {name} does not exist")),
            });
        };
        let alias = alias.as_ref().map_or_else(|| name.table.clone(), |alias| fold(&alias.name));
        Ok(Self { name, alias, table })
    }

    /// `SELECT values…, rowid FROM this table`, to be given its other tables and its WHERE.
    fn query(&self, values: Vec<Expr>) -> Result<Query> {
        let sql = format!(
            "SELECT {alias}.rowid FROM {catalog}.{schema}.{table} AS {alias}",
            alias = quoted(&self.alias),
            catalog = quoted(ROWS_CATALOG),
            schema = quoted(&self.name.schema),
            table = quoted(&self.name.table),
        );
        let mut statements = parse(&sql)?;
        let Some(Parsed::Statement(statement)) = statements.pop() else {
            return Err(Error::internal("the query for rows did not parse"));
        };
        let Statement::Query(mut query) = *statement else {
            return Err(Error::internal("the query for rows is none"));
        };
        let select = select_of(&mut query)?;
        let items = values.into_iter().enumerate().map(|(at, expr)| SelectItem::ExprWithAlias {
            expr,
            // Columns may repeat, names in a query may not.
            alias: datafusion::sql::sqlparser::ast::Ident::with_quote('"', format!("value {at}")),
        });
        let row_id = select.projection.pop();
        select.projection.extend(items);
        select.projection.extend(row_id);
        Ok(*query)
    }

    /// For each column of the table: what it is set to, or itself.
    fn assigned(&self, update: &Update) -> Result<Vec<Expr>> {
        let mut set: std::collections::HashMap<String, &Expr> = std::collections::HashMap::new();
        for assignment in &update.assignments {
            let AssignmentTarget::ColumnName(target) = &assignment.target else {
                return Err(
                    Error::unsupported("UPDATE … SET (a, b) = … is not supported").with_hint("set them one by one")
                );
            };
            let column = parts(target)?.pop().unwrap_or_default();
            if self.table.top_columns().all(|known| known.name != column) {
                let known = self.table.top_columns().map(|known| known.name.as_str());
                let error =
                    Error::not_found(format!("column {column:?} of {} does not exist", self.name)).with_code("42703");
                return Err(match polder_kernels::similar::closest(&column, known) {
                    Some(close) => error.with_hint(format!("did you mean {close:?}?")),
                    None => error,
                });
            }
            if set.insert(column.clone(), &assignment.value).is_some() {
                return Err(Error::invalid(format!("column {column:?} is set twice")).with_code("42601"));
            }
        }
        let own = |column: &str| {
            let ident = |text: &str| datafusion::sql::sqlparser::ast::Ident::with_quote('"', text);
            Expr::CompoundIdentifier(vec![ident(&self.alias), ident(column)])
        };
        Ok(self
            .table
            .arrow_schema
            .fields()
            .iter()
            .map(|field| set.get(field.name()).map_or_else(|| own(field.name()), |expr| (*expr).clone()))
            .collect())
    }
}

fn select_of(query: &mut Query) -> Result<&mut Select> {
    match query.body.as_mut() {
        SetExpr::Select(select) => Ok(select),
        _ => Err(Error::internal("the query for rows is no SELECT")),
    }
}

fn row_ids(column: Option<&ArrayRef>) -> Result<&[i64]> {
    let ids = column.and_then(|column| column.as_primitive_opt::<Int64Type>());
    match ids {
        Some(ids) if ids.null_count() == 0 => Ok(ids.values()),
        _ => Err(Error::unsupported("rows of this table have no ids")
            .with_hint("it was made by an old program; copy it with CREATE TABLE … AS SELECT")),
    }
}
