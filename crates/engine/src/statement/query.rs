//! Statements that read.

use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as Parsed;
use polder_capability::CommandTag;
use polder_lake::TransactionCell;
use polder_types::{Error, Result};

use super::{Context, ended, names_out};
use crate::error::from_datafusion;
use crate::scope::Scope;
use crate::session::Outcome;

impl Context<'_> {
    /// What a reading statement sees: the transaction's own view, or the version that the session is set to.
    async fn reading_scope(&self, open: Option<&TransactionCell>) -> Result<Scope> {
        let snapshot = match open {
            Some(cell) => {
                let mut guard = cell.lock().await;
                let transaction = guard.as_mut().ok_or_else(ended)?;
                transaction.settle().await?;
                std::sync::Arc::clone(transaction.view())
            }
            None => self.engine.lake.snapshot(self.settings.version).await?,
        };
        Ok(self.engine.scope(snapshot, None, self.settings))
    }

    pub(super) async fn read(&self, open: Option<&TransactionCell>, mut statement: Parsed) -> Result<Outcome> {
        names_out::number_repeated(&mut statement);
        let scope = self.reading_scope(open).await?;
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion);
        let plan = plan.map_err(|error| self.suggest_table(error, &scope))?;
        let verb = match &plan {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => "EXPLAIN",
            LogicalPlan::Copy(_) => "COPY",
            LogicalPlan::Ddl(_) | LogicalPlan::Dml(_) | LogicalPlan::Statement(_) => {
                return Err(
                    Error::unsupported("this statement is not supported").with_hint("docs/sql.md lists what is")
                );
            }
            _ => "SELECT",
        };
        let snapshot = scope.snapshot.id;
        let schema = std::sync::Arc::new(plan.schema().as_arrow().clone());
        let rows = names_out::restore(self.execute(&scope, plan).await?);
        // What comes out may be typed a little narrower than planned; the stream knows best.
        let schema = if rows.schema().fields().len() == schema.fields().len() { rows.schema() } else { schema };
        let tag = CommandTag { verb: verb.to_owned(), rows: None };
        Ok(Outcome { tag, snapshot, notices: Vec::new(), rows: Some((schema, rows)) })
    }

    /// Tells which table may have been meant by a name that is not there.
    fn suggest_table(&self, error: Error, scope: &Scope) -> Error {
        if error.code() != "42P01" || error.hint().is_some() {
            return error;
        }
        let name = error.message().strip_prefix("table ").and_then(|rest| rest.strip_suffix(" does not exist"));
        let Some(name) = name.map(str::to_owned) else { return error };
        let (schema, table) = name.rsplit_once('.').unwrap_or((&self.settings.schema, &name));
        let schema = schema.strip_prefix("polder.").unwrap_or(schema);
        if scope.snapshot.schema(schema).is_none() {
            return error;
        }
        let names = scope.snapshot.names_in(schema);
        match polder_kernels::similar::closest(table, names.iter().map(String::as_str)) {
            Some(close) => error.with_hint(format!("did you mean {close:?}?")),
            None => error,
        }
    }

    /// Optimises and starts a plan, shown in the statement's progress.
    pub(super) async fn execute(&self, scope: &Scope, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        let physical = scope.state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
        self.running.watch(&physical);
        execute_stream(physical, scope.state.task_ctx()).map_err(from_datafusion)
    }
}
