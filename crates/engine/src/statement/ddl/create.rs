//! CREATE TABLE and CREATE VIEW.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{DdlStatement, Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, CreateView, Ident, ObjectName, Query, Statement, visit_relations_mut,
};
use futures::StreamExt;
use polder_lake::{ColumnSpec, TableName, TransactionCell};
use polder_types::{Error, ErrorKind, Result};

use super::super::{Context, ended};
use super::rules::Draft;
use crate::error::from_datafusion;
use crate::scope::Scope;
use crate::session::Outcome;

impl Context<'_> {
    pub(super) async fn create_table(&self, cell: &TransactionCell, create: &CreateTable) -> Result<Outcome> {
        let name = self.name(&create.name)?;
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            let exists = transaction.table(&name).is_some();
            if exists && create.if_not_exists {
                return Ok(Outcome::done("CREATE TABLE", None, transaction.base())
                    .notice(format!("table {name} exists already, skipping")));
            }
            if exists && !create.or_replace {
                return Err(Error::new(polder_types::ErrorKind::AlreadyExists, format!("table {name} exists already"))
                    .with_hint("use CREATE OR REPLACE TABLE, CREATE TABLE IF NOT EXISTS, or another name"));
            }
        }
        // Planned before anything is dropped: the query may well read the table that it replaces.
        let scope = self.writing_scope(cell).await?;
        let mut create = create.clone();
        let mut draft = Draft::take(&mut create)?;
        check_plain(&create)?;
        let create = &create;
        let (specs, plan) = self.plan_table(&scope, create, &mut draft).await?;
        let rows = match plan {
            Some(plan) => Some(self.execute(&scope, plan).await?),
            None => None,
        };
        {
            let mut guard = cell.lock().await;
            let transaction = guard.as_mut().ok_or_else(ended)?;
            if create.or_replace && transaction.table(&name).is_some() {
                transaction.drop_table(&name)?;
            }
            let table = transaction.create_table_with(&name, &specs, None)?;
            if !draft.is_empty() {
                let rules = draft.onto(self.engine, &table)?;
                transaction.set_rules(&name, rules)?;
            }
        }
        let Some(rows) = rows else { return Ok(Outcome::done("CREATE TABLE", None, scope.snapshot.id)) };
        let written = fill(cell, &name, rows).await?;
        Ok(Outcome::done("SELECT", Some(written), scope.snapshot.id))
    }

    /// The columns that a CREATE TABLE names, or those of its query, and the query's plan.
    async fn plan_table(
        &self,
        scope: &Scope,
        create: &CreateTable,
        draft: &mut Draft,
    ) -> Result<(Vec<ColumnSpec>, Option<LogicalPlan>)> {
        // Given another name, since DataFusion need not know whether this one is taken.
        let mut plain = create.clone();
        plain.or_replace = false;
        plain.if_not_exists = false;
        let statement = Parsed::Statement(Box::new(Statement::CreateTable(plain)));
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion)?;
        let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(table)) = plan else {
            return Err(Error::internal("CREATE TABLE planned as something else"));
        };
        let from_query = create.query.is_some();
        let mut specs: Vec<ColumnSpec> = table
            .input
            .schema()
            .fields()
            .iter()
            .map(|field| {
                // What a query gives may be known to be never missing; that is no promise about later rows.
                let nullable = field.is_nullable() || (from_query && create.columns.is_empty());
                ColumnSpec::new(field.name(), field.data_type().clone(), nullable)
            })
            .collect();
        for (column, default) in &table.column_defaults {
            let Some(spec) = specs.iter_mut().find(|spec| spec.name == *column) else { continue };
            match self.literal(default, column, &spec.data_type) {
                Ok(text) => spec.default = Some(text),
                Err(error) if error.kind() == ErrorKind::Unsupported => draft.add_default(column, create)?,
                Err(error) => return Err(error),
            }
        }
        Ok((specs, from_query.then(|| table.input.as_ref().clone())))
    }

    /// A default as the text that the catalog keeps.
    pub(super) fn literal(
        &self,
        default: &Expr,
        column: &str,
        data_type: &arrow::datatypes::DataType,
    ) -> Result<String> {
        let schema = Arc::new(DFSchema::empty());
        let context = SimplifyContext::default().with_schema(schema);
        let simple = ExprSimplifier::new(context).simplify(default.clone()).map_err(from_datafusion)?;
        let Expr::Literal(value, _) = simple else {
            return Err(Error::unsupported(format!("the default of column {column:?} is not a constant"))
                .with_hint("give a number, a text, or a date"));
        };
        let value = value.cast_to(data_type).map_err(from_datafusion)?;
        if value.is_null() {
            return Ok("NULL".into());
        }
        Ok(match &value {
            ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
                text.clone()
            }
            other => other.to_string(),
        })
    }

    pub(super) async fn create_view(&self, cell: &TransactionCell, create: &CreateView) -> Result<Outcome> {
        let plain = !create.secure
            && !create.temporary
            && !create.or_alter
            && !create.copy_grants
            && !create.with_no_schema_binding
            && create.cluster_by.is_empty()
            && create.to.is_none()
            && create.params.is_none()
            && matches!(create.options, datafusion::sql::sqlparser::ast::CreateTableOptions::None);
        if !plain {
            return Err(Error::unsupported("CREATE VIEW with options is not supported"));
        }
        if !create.columns.is_empty() {
            return Err(Error::unsupported("CREATE VIEW with a list of columns is not supported")
                .with_hint("name the columns with AS in the query"));
        }
        if create.materialized {
            return self.create_materialized(cell, create).await;
        }
        let name = self.name(&create.name)?;
        // Planned once, so that a view that cannot work is not made.
        let scope = self.writing_scope(cell).await?;
        let mut query = create.query.as_ref().clone();
        let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query.clone()))));
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion)?;
        distinct_names(&plan)?;
        qualify(&mut query, &self.settings.schema)?;
        let mut guard = cell.lock().await;
        let transaction = guard.as_mut().ok_or_else(ended)?;
        let done = Outcome::done("CREATE VIEW", None, transaction.base());
        if transaction.view().view(&name).is_some() {
            if create.if_not_exists {
                return Ok(done.notice(format!("view {name} exists already, skipping")));
            }
            if create.or_replace {
                transaction.drop_view(&name)?;
            }
        }
        transaction.create_view(&name, &query.to_string(), create.comment.clone())?;
        Ok(done)
    }
}

/// Refuses a query with two columns of one name.
pub(super) fn distinct_names(plan: &LogicalPlan) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match plan.schema().fields().iter().find(|field| !seen.insert(field.name())) {
        None => Ok(()),
        Some(field) => Err(Error::invalid(format!("column {:?} is named twice", field.name()))
            .with_code("42701")
            .with_hint("give one of them another name with AS")),
    }
}

/// Streams a query's rows into a table just made.
pub(super) async fn fill(
    cell: &TransactionCell,
    name: &TableName,
    mut rows: datafusion::execution::SendableRecordBatchStream,
) -> Result<u64> {
    let mut writer = {
        let guard = cell.lock().await;
        guard.as_ref().ok_or_else(ended)?.append(name)?
    };
    while let Some(batch) = rows.next().await {
        writer.write(batch.map_err(from_datafusion)?).await?;
    }
    let files = writer.finish().await?;
    let mut guard = cell.lock().await;
    let transaction = guard.as_mut().ok_or_else(ended)?;
    let rows = transaction.add_files(name, files)?;
    transaction.verify_keys().await?;
    Ok(rows)
}

/// Refuses every option that would be accepted and then ignored.
fn check_plain(create: &CreateTable) -> Result<()> {
    if create.temporary {
        return Err(Error::unsupported("temporary tables are not supported").with_hint("make a table, and drop it"));
    }
    create.columns.iter().try_for_each(check_column)?;
    let plain = CreateTableBuilder::new(create.name.clone())
        .columns(create.columns.clone())
        .query(create.query.clone())
        .if_not_exists(create.if_not_exists)
        .or_replace(create.or_replace)
        .build();
    if Statement::CreateTable(create.clone()).to_string() != Statement::CreateTable(plain).to_string() {
        return Err(Error::unsupported("CREATE TABLE with these options is not supported")
            .with_hint("columns with NOT NULL, DEFAULT, CHECK, keys and identities, or AS SELECT"));
    }
    Ok(())
}

pub(super) fn check_column(column: &ColumnDef) -> Result<()> {
    for option in &column.options {
        match &option.option {
            ColumnOption::Null | ColumnOption::NotNull | ColumnOption::Default(_) => {}
            other => {
                return Err(Error::unsupported(format!("column {}: {other} is not supported", column.name)));
            }
        }
    }
    Ok(())
}

/// Writes the schema before every table that has none, so that the view means the same for everybody.
pub(super) fn qualify(query: &mut Query, schema: &str) -> Result<()> {
    let statement = Parsed::Statement(Box::new(Statement::Query(Box::new(query.clone()))));
    let (tables, _) = resolve_table_references(&statement, true).map_err(from_datafusion)?;
    let bare: std::collections::HashSet<String> =
        tables.iter().filter(|table| table.schema().is_none()).map(|table| table.table().to_owned()).collect();
    let _ = visit_relations_mut(query, |relation: &mut ObjectName| {
        if let [part] = relation.0.as_slice()
            && let Some(ident) = part.as_ident()
            && bare.contains(&super::super::names::fold(ident))
        {
            let mut full = ObjectName::from(vec![Ident::with_quote('"', schema)]);
            full.0.append(&mut relation.0);
            *relation = full;
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(())
}
