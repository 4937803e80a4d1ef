//! INSERT, with ON CONFLICT and RETURNING.

mod conflict;
mod constants;
mod light;

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::UInt64Type;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    Expr, Insert, ObjectName, OnConflict, OnConflictAction, OnInsert, Query, SelectItem, SetExpr, Spanned, Statement,
    TableObject, Values,
};
use futures::StreamExt;
use polder_lake::{Keys, Snapshot, TableName, TransactionCell};
use polder_types::{Error, Result};

use self::conflict::{arbiters, positions, upsert_query};
use super::changes::{self, Again, Changes};
use super::dml::{Planned, RowQuery};
use super::names::parts;
use super::names_out::{beside_stars, number_in};
use super::returning::holds_query;
use super::target::{Target, is_default, parse_query, quoted, quoted_ident, select_of};
use super::{Context, assign, ended};
use crate::error::from_datafusion;
use crate::forms::Overriding;
use crate::policies::Shown;
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::session::Outcome;

/// What ON CONFLICT calls the row that was to be inserted.
const EXCLUDED: &str = "excluded";

impl Context<'_> {
    /// INSERTs of values do not read what was inserted before, so what is held back may stay so.
    async fn inserting_scope(&self, cell: &TransactionCell, insert: &Insert) -> Result<Scope> {
        let values_only = insert.source.as_ref().is_none_or(|query| matches!(query.body.as_ref(), SetExpr::Values(_)));
        let asks = insert.returning.iter().flatten().any(holds_query);
        if !values_only || insert.on.is_some() || asks {
            return self.writing_scope(cell).await;
        }
        Ok(self.engine.scope(self.view(cell).await?, Some(cell.clone()), self.settings))
    }

    async fn view(&self, cell: &TransactionCell) -> Result<Arc<Snapshot>> {
        let guard = cell.lock().await;
        Ok(Arc::clone(guard.as_ref().ok_or_else(ended)?.view()))
    }

    /// Whether all that an INSERT asks of the lake is its table's shape, as far as that is known: rows of constants, for a
    /// table without keys.
    pub(super) fn is_blind(&self, insert: &Insert) -> bool {
        let snapshot = self.engine.lake.known();
        let Ok(name) = self.inserted_name(insert) else { return false };
        let Ok(target) = Target::named(name, None, &snapshot) else { return false };
        let target = target.seen_by(self.rights(&snapshot));
        let rules = &target.table.rules;
        self.extras.overriding.is_none()
            && !target.has_policies
            && rules.keys.is_empty()
            && rules.foreign_keys.is_empty()
            && check_plain(insert).is_ok()
            && constants::rows(&target, insert, self.settings.zone()).is_some()
    }

    pub(super) async fn insert(&self, cell: &TransactionCell, insert: &Insert) -> Result<Outcome> {
        check_plain(insert)?;
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let name = self.inserted_name(insert)?;
        let snapshot = self.view(cell).await?;
        let target = Target::named(name.clone(), alias, &snapshot)?.seen_by(self.rights(&snapshot));
        if self.extras.overriding.is_none()
            && !target.has_policies
            && let Some(rows) = constants::rows(&target, insert, self.settings.zone())
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            let rows = transaction.insert(&name, vec![rows]).await?;
            transaction.verify_keys().await?;
            return Ok(Outcome::done("INSERT", Some(rows), snapshot.id));
        }
        if insert.on.is_none() && insert.returning.is_none() && !target.has_policies {
            let (scope, target, plan) = self.insert_input(cell, insert).await?;
            return self.insert_all(cell, &scope, &target, plan).await;
        }
        let planned = self.plan_insert(cell, insert).await?;
        self.carry_out(cell, planned).await
    }

    /// An INSERT as changes of rows that a query gives.
    pub(super) async fn plan_insert<'a>(&self, cell: &TransactionCell, insert: &'a Insert) -> Result<Planned<'a>> {
        check_plain(insert)?;
        let returning = insert.returning.as_deref();
        let (scope, target, plan) = self.insert_input(cell, insert).await?;
        match &insert.on {
            None => self.plan_rows(scope, target, plan, returning),
            Some(OnInsert::OnConflict(conflict)) => self.plan_upsert(scope, target, plan, conflict, returning).await,
            Some(other) => Err(Error::unsupported(format!("{other} is not supported")).with_hint("ON CONFLICT is")),
        }
    }

    /// The plan that would insert the rows, without what ON CONFLICT and RETURNING ask for.
    async fn insert_input(&self, cell: &TransactionCell, insert: &Insert) -> Result<(Scope, Target, LogicalPlan)> {
        let name = self.inserted_name(insert)?;
        let alias = insert.table_alias.as_ref().map(|alias| &alias.alias);
        let scope = self.inserting_scope(cell, insert).await?;
        let target = Target::named(name, alias, &scope.snapshot)?.seen_by(self.rights(&scope.snapshot));
        let plan = self.insert_plan(&scope, &target, insert).await?;
        Ok((scope, target, plan))
    }

    pub(super) async fn insert_plan(&self, scope: &Scope, target: &Target, insert: &Insert) -> Result<LogicalPlan> {
        let plain = with_defaults(target, insert, self.extras.overriding)?;
        let statement = Parsed::Statement(Box::new(Statement::Insert(plain)));
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion)?;
        assign::check_insert(&plan, &target.table)?;
        assign::with_missing(plan).map_err(from_datafusion)
    }

    fn inserted_name(&self, insert: &Insert) -> Result<TableName> {
        match &insert.table {
            TableObject::TableName(name) => self.known(name),
            _ => Err(Error::unsupported("INSERT goes into a table")),
        }
    }

    /// The rows stream straight into the table.
    pub(super) async fn insert_all(
        &self,
        cell: &TransactionCell,
        scope: &Scope,
        target: &Target,
        plan: LogicalPlan,
    ) -> Result<Outcome> {
        let mut counts = self.execute(scope, plan).await?;
        let mut rows = 0;
        while let Some(batch) = counts.next().await {
            let batch = batch.map_err(from_datafusion)?;
            if let Some(values) = batch.columns().first().and_then(|column| column.as_primitive_opt::<UInt64Type>()) {
                rows += values.values().iter().sum::<u64>();
            }
        }
        let rules = &target.table.rules;
        if !(rules.keys.is_empty() && rules.foreign_keys.is_empty()) {
            let mut guard = cell.lock().await;
            guard.as_mut().ok_or_else(ended)?.verify_keys().await?;
        }
        Ok(Outcome::done("INSERT", Some(rows), scope.snapshot.id))
    }

    /// All rows that an INSERT's plan would write, as changes.
    pub(super) fn plan_rows<'a>(
        &self,
        scope: Scope,
        target: Target,
        plan: LogicalPlan,
        returning: Option<&'a [SelectItem]>,
    ) -> Result<Planned<'a>> {
        let query = RowQuery { state: scope.state.clone(), plan: input(plan)?, names: Vec::new() };
        let shown = Shown { inserted: returning.is_some(), updated: false };
        let changes = Changes {
            checks: self.row_checks(&scope, &target, shown),
            target,
            action: Some(changes::INSERT),
            values: true,
            row_ids: false,
            again: Again::Ignore,
            distinct: None,
            keys: Keys::MayChange,
            returning: returning.is_some(),
        };
        Ok(Planned { scope, changes, query, verb: "INSERT", returning })
    }

    /// ON CONFLICT: the rows to be inserted, joined to those that have their key.
    async fn plan_upsert<'a>(
        &self,
        scope: Scope,
        target: Target,
        plan: LogicalPlan,
        conflict: &OnConflict,
        returning: Option<&'a [SelectItem]>,
    ) -> Result<Planned<'a>> {
        let keys = arbiters(&target, conflict)?;
        let schema = MemorySchemaProvider::new();
        let rows = conflict::without_missing(&target, &keys, input(plan)?)?;
        let view = Arc::new(ViewTable::new(rows, None));
        schema.register_table(EXCLUDED.into(), view).map_err(from_datafusion)?;
        let scope = scope.with_input(Arc::new(schema));
        let query = upsert_query(&target, conflict, &keys)?;
        let query = self.query_conflicts(&scope, &target, &keys, query).await?;
        let (again, set) = match &conflict.action {
            OnConflictAction::DoNothing => (Again::Ignore, None),
            OnConflictAction::DoUpdate(update) => (
                Again::Refuse(
                    "ON CONFLICT DO UPDATE would change a row a second time; two rows to be inserted have the same key",
                ),
                Some(target.assignments(&update.assignments)?),
            ),
        };
        let distinct = match keys.as_slice() {
            [key] => Some(positions(&target, key)?),
            _ => None,
        };
        let keys = set.map_or(Keys::Kept, |set| target.keys_under(&set));
        // Without a key that is named a row that is written is not read.
        let shown = Shown { inserted: conflict.conflict_target.is_some() || returning.is_some(), updated: true };
        let changes = Changes {
            checks: self.row_checks(&scope, &target, shown),
            target,
            action: None,
            values: true,
            row_ids: true,
            again,
            distinct,
            keys,
            returning: returning.is_some(),
        };
        Ok(Planned { scope, changes, query, verb: "INSERT", returning })
    }
}

fn is_one(item: &SelectItem) -> bool {
    matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
}

/// Refuses what would be accepted and then ignored.
fn check_plain(insert: &Insert) -> Result<()> {
    let plain = insert.or.is_none()
        && !insert.ignore
        && !insert.overwrite
        && insert.assignments.is_empty()
        && insert.partitioned.is_none()
        && insert.after_columns.is_empty()
        && insert.output.is_none()
        && !insert.replace_into
        && insert.priority.is_none()
        && insert.insert_alias.is_none()
        && insert.settings.is_none()
        && insert.format_clause.is_none()
        && insert.multi_table_insert_type.is_none();
    if plain {
        return Ok(());
    }
    Err(Error::unsupported("this form of INSERT is not supported")
        .with_hint("INSERT INTO table (columns) VALUES … or SELECT …, ON CONFLICT …, RETURNING …"))
}

/// The rows that an INSERT's plan would write: all columns of the table, in its order and types.
fn input(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Dml(dml) => Ok(dml.input.as_ref().clone()),
        _ => Err(Error::internal("INSERT planned as something else")),
    }
}

/// The statement with every default that is more than a constant written out. Constants are filled in by the planner.
fn with_defaults(target: &Target, insert: &Insert, overriding: Option<Overriding>) -> Result<Insert> {
    let mut plain = insert.clone();
    plain.on = None;
    plain.returning = None;
    plain.table_alias = None;
    let mut columns: Vec<String> = insert
        .columns
        .iter()
        .map(|name| parts(name).map(|mut parts| parts.pop().unwrap_or_default()))
        .collect::<Result<_>>()?;
    for column in &columns {
        target.column_id(column)?;
    }
    let all: Vec<&str> = target.columns().collect();
    if columns.is_empty() {
        let width = match insert.source.as_deref().map(|query| query.body.as_ref()) {
            // As in PostgreSQL, fewer values than columns are for the first of them.
            Some(SetExpr::Values(values)) => values.rows.first().map_or(0, |row| row.content.len()).min(all.len()),
            Some(SetExpr::Select(select)) if select.projection.iter().all(is_one) => {
                select.projection.len().min(all.len())
            }
            Some(_) => all.len(),
            None => 0,
        };
        columns = all.iter().take(width).map(|column| (*column).to_owned()).collect();
    }
    let missing: Vec<&str> = all
        .iter()
        .filter(|column| !columns.iter().any(|given| given == *column) && target.has_computed_default(column))
        .copied()
        .collect();
    let extra = missing.iter().map(|column| target.default(column)).collect::<Result<Vec<_>>>()?;
    let source = match plain.source.take() {
        // DEFAULT VALUES
        None => {
            columns = all.iter().map(|column| (*column).to_owned()).collect();
            let row = all.iter().map(|column| target.default(column).map(|expr| expr.to_string()));
            let row = row.collect::<Result<Vec<_>>>()?.join(", ");
            return Ok(Insert {
                source: Some(Box::new(parse_query(&format!("VALUES ({row})"))?)),
                columns: names(&columns),
                ..plain
            });
        }
        Some(query) => query,
    };
    let query = match *source {
        Query { body, .. } if matches!(*body, SetExpr::Values(_)) => {
            let SetExpr::Values(values) = *body else { return Err(Error::internal("no VALUES")) };
            let values = filled(target, values, &columns, &extra, overriding)?;
            Query {
                body: Box::new(SetExpr::Values(values)),
                ..*insert.source.clone().ok_or_else(|| Error::internal("no source"))?
            }
        }
        mut query => {
            if let SetExpr::Select(select) = query.body.as_mut() {
                type_items(target, &mut select.projection, &columns);
            }
            beside_stars(&mut query);
            number_in(&mut query);
            if overriding == Some(Overriding::User) && columns.iter().any(|column| counts(target, column)) {
                return Err(Error::unsupported("OVERRIDING USER VALUE is supported with VALUES only")
                    .with_hint("leave the column out"));
            }
            refuse_always(target, &columns, overriding)?;
            if extra.is_empty() { query } else { wrapped(query, &columns, &extra)? }
        }
    };
    columns.extend(missing.iter().map(|column| (*column).to_owned()));
    Ok(Insert { source: Some(Box::new(query)), columns: names(&columns), ..plain })
}

/// Texts that are written out in a select list, as values of the columns that they go into.
fn type_items(target: &Target, items: &mut [SelectItem], columns: &[String]) {
    if !items.iter().all(is_one) {
        return;
    }
    for (item, column) in items.iter_mut().zip(columns) {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *expr = target.typed(expr, column);
        }
    }
}

fn names(columns: &[String]) -> Vec<ObjectName> {
    columns.iter().map(|column| ObjectName::from(vec![quoted_ident(column)])).collect()
}

/// Rows of VALUES with their DEFAULTs, and with the defaults of the columns that are not named.
fn filled(
    target: &Target,
    mut values: Values,
    columns: &[String],
    extra: &[Expr],
    overriding: Option<Overriding>,
) -> Result<Values> {
    for row in &mut values.rows {
        if row.content.len() != columns.len() {
            let what =
                format!("{} values are given for {} columns of {}", row.content.len(), columns.len(), target.name);
            return Err(at_surplus(Error::invalid(what).with_code("42601"), &row.content, columns.len()));
        }
        for (expr, column) in row.content.iter_mut().zip(columns) {
            let passed_over = overriding == Some(Overriding::User) && counts(target, column);
            if is_default(expr) || passed_over {
                *expr = target.default(column)?;
            } else {
                refuse_always(target, std::slice::from_ref(column), overriding)?;
                *expr = target.typed(expr, column);
            }
        }
        row.content.extend(extra.iter().cloned());
    }
    Ok(values)
}

/// The error with the place of the first value that no column is there for.
pub(super) fn at_surplus(error: Error, row: &[Expr], columns: usize) -> Error {
    match row.get(columns).map(|expr| expr.span().start) {
        Some(start) if start.line > 0 => error.at(start.line, start.column),
        _ => error,
    }
}

/// Whether a column counts itself up.
fn counts(target: &Target, column: &str) -> bool {
    target.column_id(column).is_ok_and(|id| target.table.rules.identity_of(id).is_some())
}

pub(super) fn refuse_always(target: &Target, columns: &[String], overriding: Option<Overriding>) -> Result<()> {
    for column in columns {
        let id = target.column_id(column)?;
        let allowed = overriding == Some(Overriding::System) && counts(target, column);
        if target.gives_own_value(id) && !allowed {
            return Err(Error::invalid(format!(
                "cannot insert a value into column {column:?}, which is GENERATED ALWAYS"
            ))
            .with_code("428C9")
            .with_hint("leave it out, or write DEFAULT; OVERRIDING SYSTEM VALUE sets an identity"));
        }
    }
    Ok(())
}

/// `SELECT source.*, defaults FROM (the query) AS source`
fn wrapped(query: Query, columns: &[String], extra: &[Expr]) -> Result<Query> {
    let aliases = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let mut outer = parse_query(&format!("SELECT source.* FROM (SELECT 1) AS source ({aliases})"))?;
    let select = select_of(&mut outer)?;
    select.projection.extend(extra.iter().cloned().map(SelectItem::UnnamedExpr));
    if let Some(from) = select.from.first_mut()
        && let datafusion::sql::sqlparser::ast::TableFactor::Derived { subquery, .. } = &mut from.relation
    {
        **subquery = query;
    }
    Ok(outer)
}
