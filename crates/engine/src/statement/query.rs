//! Statements that read.

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as Parsed;
use polder_capability::CommandTag;
use polder_lake::TransactionCell;
use polder_types::{Error, Result};

use super::{Context, ended, names_out};
use crate::error::from_datafusion;
use crate::functions::call;
use crate::scope::Scope;
use crate::session::Outcome;

/// UUIDs are sixteen bytes inside, and text to whoever reads the answer.
fn shown(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
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
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion)?;
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
        let plan = if verb == "SELECT" { shown(plan).map_err(from_datafusion)? } else { plan };
        let snapshot = scope.snapshot.id;
        let schema = std::sync::Arc::new(plan.schema().as_arrow().clone());
        let rows = names_out::restore(self.execute(&scope, plan).await?);
        // What comes out may be typed a little narrower than planned; the stream knows best.
        let schema = if rows.schema().fields().len() == schema.fields().len() { rows.schema() } else { schema };
        let tag = CommandTag { verb: verb.to_owned(), rows: None };
        Ok(Outcome { tag, snapshot, notices: Vec::new(), rows: Some((schema, rows)) })
    }

    /// Optimises and starts a plan, shown in the statement's progress.
    pub(super) async fn execute(&self, scope: &Scope, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        let physical = scope.state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
        self.running.watch(&physical);
        execute_stream(physical, scope.state.task_ctx()).map_err(from_datafusion)
    }
}
