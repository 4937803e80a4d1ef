//! Statements that read.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::Column;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{ObjectName, Statement};
use futures::StreamExt;
use polder_capability::CommandTag;
use polder_lake::{DECLARED, Snapshot, TableName, TransactionCell, Version};
use polder_types::{Error, Result, SnapshotId};

use super::names::parts;
use super::{Context, constant, copy_to, ended, joins, names_out, no_server_files, origins, suggest};
use crate::authz::WRITE_SERVER_FILES;
use crate::error::from_datafusion;
use crate::functions::call;
use crate::functions::catalog::references;
use crate::opaque::Opaque;
use crate::parse::parse_kept;
use crate::rewrite::whole_numbers;
use crate::scope::Scope;
use crate::session::Outcome;

/// UUIDs are sixteen bytes inside, and text to whoever reads the answer.
pub(super) fn shown(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let is_uuid = |data_type: &DataType| matches!(data_type, DataType::FixedSizeBinary(16));
    if !plan.schema().fields().iter().any(|field| is_uuid(field.data_type())) {
        return Ok(plan);
    }
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            if is_uuid(field.data_type()) {
                call("polder_text", vec![column]).alias_qualified(qualifier.cloned(), field.name())
            } else {
                column
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// References to things of the catalog are numbers inside, and names to whoever reads the answer.
pub(super) fn with_names(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    let mut any = false;
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            match references::shown(&column, field) {
                Some(name) => {
                    any = true;
                    name.alias_qualified(qualifier.cloned(), field.name())
                }
                None => column,
            }
        })
        .collect();
    if any { LogicalPlanBuilder::from(plan).project(columns)?.build() } else { Ok(plan) }
}

/// What DESCRIBE and SHOW COLUMNS tell of a column of a materialized view.
const DESCRIBED: &str = "attname::text AS column_name, format_type(atttypid, atttypmod) AS data_type, \
                         CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable, NULL::text AS column_default";
const SHOWN: &str = "'polder' AS table_catalog, nspname::text AS table_schema, relname::text AS table_name, \
                     attname::text AS column_name, format_type(atttypid, NULL) AS data_type, \
                     CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable";

impl Context<'_> {
    /// What a reading statement sees: the transaction's own view, or the version that the session is set to.
    pub(super) async fn reading_snapshot(&self, open: Option<&TransactionCell>) -> Result<Arc<Snapshot>> {
        match open {
            Some(cell) => {
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                transaction.settle().await?;
                Ok(Arc::clone(transaction.view()))
            }
            None => self.engine.lake.snapshot(self.settings.version).await,
        }
    }

    pub(super) async fn read(&self, open: Option<&TransactionCell>, mut statement: Parsed) -> Result<Outcome> {
        names_out::number_repeated(&mut statement);
        let constant = constant::Key::of(&statement, self);
        if let Some(rows) = constant.as_ref().and_then(|key| self.engine.constants.rows(key)) {
            // It reads nothing, so which version is the newest need not be asked.
            let snapshot = match open.is_none() && self.settings.version == Version::Newest {
                true => self.engine.lake.known(),
                false => self.reading_snapshot(open).await?,
            };
            let rows = names_out::restore(rows);
            return Ok(answer("SELECT", snapshot.id, rows.schema(), rows));
        }
        let snapshot = self.reading_snapshot(open).await?;
        let scope = self.engine.scope(snapshot, None, self.settings);
        if let Parsed::Statement(inner) = &statement {
            let asked = match inner.as_ref() {
                Statement::ExplainTable { hive_format: Some(format), .. } => {
                    return Err(Error::unsupported(format!("DESCRIBE {format} is not supported"))
                        .with_hint("DESCRIBE t; DESCRIBE HISTORY t; polder.tables and polder.columns"));
                }
                Statement::ExplainTable { table_name, .. } => Some(self.describe_table(&scope, table_name)?),
                Statement::ShowColumns { show_options, .. } => {
                    let within = show_options.show_in.as_ref().and_then(|within| within.parent_name.as_ref());
                    within.map(|name| self.of_materialized(&scope, name, SHOWN)).transpose()?.flatten()
                }
                _ => None,
            };
            statement = asked.unwrap_or(statement);
        }
        let plan = whole_numbers::plan(&scope.state, statement).await.map_err(from_datafusion);
        let plan = plan.map_err(|error| suggest::table(error, &scope.snapshot, &self.settings.schema))?;
        self.check_copy(&plan)?;
        let plan = copy_to::for_files(plan)?;
        if let LogicalPlan::Copy(copy) = plan {
            if !self.settings.who.has(WRITE_SERVER_FILES) {
                return Err(no_server_files("pg_write_server_files", "COPY to a file"));
            }
            return self.copy_to(&scope, copy).await;
        }
        let verb = match &plan {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => "EXPLAIN",
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Statement(_) => {
                return Err(
                    Error::unsupported("this statement is not supported").with_hint("docs/sql.md lists what is")
                );
            }
            _ => "SELECT",
        };
        let plan = if verb == "SELECT" { with_names(plan).map_err(from_datafusion)? } else { plan };
        let plan = if verb == "SELECT" && !self.typed { shown(plan).map_err(from_datafusion)? } else { plan };
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let physical = joins::physical(&scope.state, &plan).await.map_err(from_datafusion)?;
        if let Some(key) = constant
            && let Some(row) = constant::row(&plan, &physical)
        {
            let told = if self.typed { declared(&row.schema(), &schema) } else { row.schema() };
            if let Ok(row) = row.with_schema(told) {
                self.engine.constants.keep(key, row);
            }
        }
        let rows = names_out::restore(self.start(&scope.state, physical)?);
        let rows = if verb == "EXPLAIN" { names_out::restore_plan(rows) } else { rows };
        // What comes out may be typed a little narrower than planned; the stream knows best.
        let schema = match rows.schema().fields().len() == schema.fields().len() {
            true if self.typed => {
                let columns = declared(&rows.schema(), &schema);
                origins::told(&columns, &plan, &scope.snapshot, &self.settings.schema)
            }
            true => rows.schema(),
            false => schema,
        };
        Ok(answer(verb, scope.snapshot.id, schema, rows))
    }

    /// What is asked of the columns of a materialized view, as a query; `information_schema` has none of them, as in PostgreSQL.
    fn of_materialized(&self, scope: &Scope, name: &ObjectName, shown: &str) -> Result<Option<Parsed>> {
        let Ok(name) = self.existing_name(name, &scope.snapshot) else { return Ok(None) };
        if scope.snapshot.table(&name).is_none_or(|table| table.rules.materialized.is_none()) {
            return Ok(None);
        }
        let text = |text: &str| text.replace('\'', "''");
        parse_kept(&format!(
            "SELECT {shown} FROM pg_catalog.pg_attribute \
             JOIN pg_catalog.pg_class ON pg_class.oid = attrelid JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace \
             WHERE nspname = '{}' AND relname = '{}' AND attnum > 0 ORDER BY attnum",
            text(&name.schema),
            text(&name.table)
        ))
        .map(Some)
    }

    /// DESCRIBE of a table or view, as a query.
    fn describe_table(&self, scope: &Scope, name: &ObjectName) -> Result<Parsed> {
        if let Some(described) = self.of_materialized(scope, name, DESCRIBED)? {
            return Ok(described);
        }
        let (mut schema, table) = match self.existing_name(name, &scope.snapshot) {
            Ok(name) => (name.schema, name.table),
            // A table of the system.
            Err(_) => {
                let mut parts = parts(name)?;
                let table = parts.pop().unwrap_or_default();
                (parts.pop().unwrap_or_default(), table)
            }
        };
        let full = TableName::new(schema.as_str(), table.as_str());
        let system = matches!(schema.as_str(), "polder" | "information_schema" | "pg_catalog");
        if !system && scope.snapshot.table(&full).is_none() && scope.snapshot.view(&full).is_none() {
            let is_meant = schema == crate::topics::SCHEMA || name.0.len() == 1;
            let caller = crate::topics::caller(&self.settings.who);
            let topic = self.engine.topic_rows().and_then(|rows| rows.find(&caller, &table)).filter(|_| is_meant);
            if topic.is_none() {
                return Err(Error::not_found(format!("table {full} does not exist")).with_code("42P01"));
            }
            crate::topics::SCHEMA.clone_into(&mut schema);
        }
        let text = |text: &str| text.replace('\'', "''");
        parse_kept(&format!(
            "SELECT column_name, CASE WHEN character_maximum_length IS NOT NULL THEN concat(data_type, '(', character_maximum_length, ')') WHEN data_type = 'numeric' THEN concat('numeric(', numeric_precision, ',', numeric_scale, ')') ELSE data_type END AS data_type, is_nullable, column_default FROM information_schema.columns WHERE table_schema = '{}' AND table_name = '{}' ORDER BY ordinal_position",
            text(&schema),
            text(&table)
        ))
    }

    /// Optimises and starts a plan, shown in the statement's progress.
    pub(super) async fn execute(&self, scope: &Scope, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        let physical = joins::physical(&scope.state, &plan).await.map_err(from_datafusion)?;
        self.start(&scope.state, physical)
    }

    /// Starts a plan, shown in the statement's progress.
    pub(super) fn start(
        &self,
        state: &Opaque<SessionState>,
        physical: Arc<dyn ExecutionPlan>,
    ) -> Result<SendableRecordBatchStream> {
        self.check_allowed(&physical)?;
        self.running.watch(&physical);
        let rows = execute_stream(physical, self.task_context(state)?).map_err(from_datafusion)?;
        let rows = self.within_allowance(rows);
        Ok(keep_planner(rows, state.clone()))
    }
}

/// The columns of rows, with the types as declared (`varchar(10)`) that the plan knows of, and its execution loses or, where
/// a cast to what is there already was left out, still has.
pub(super) fn declared(rows: &SchemaRef, planned: &Schema) -> SchemaRef {
    if rows.fields().len() != planned.fields().len() {
        return Arc::clone(rows);
    }
    let fields =
        rows.fields().iter().zip(planned.fields()).map(|(field, planned)| match planned.metadata().get(DECLARED) {
            Some(declared) if field.metadata().get(DECLARED) != Some(declared) => {
                let mut metadata = field.metadata().clone();
                metadata.insert(DECLARED.to_owned(), declared.clone());
                Arc::new(field.as_ref().clone().with_metadata(metadata))
            }
            _ => Arc::clone(field),
        });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), rows.metadata().clone()))
}

fn answer(verb: &str, snapshot: SnapshotId, schema: SchemaRef, rows: SendableRecordBatchStream) -> Outcome {
    let tag = CommandTag { verb: verb.to_owned(), rows: None };
    Outcome { tag, snapshot, notices: Vec::new(), rows: Some((schema, rows)) }
}

/// Keeps the planner for as long as rows are read: the tables of `information_schema` plan the views then.
fn keep_planner(rows: SendableRecordBatchStream, state: Opaque<SessionState>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let kept = rows.inspect(move |_| {
        let _planner = &state;
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, kept))
}
