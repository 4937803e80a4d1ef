//! Statements that read.

use std::path::Path;
use std::sync::Arc;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use futures::StreamExt;
use polder_capability::CommandTag;
use polder_lake::TransactionCell;
use polder_types::{Error, ErrorKind, Result};

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
                Arc::clone(transaction.view())
            }
            None => self.engine.lake.snapshot(self.settings.version).await?,
        };
        Ok(self.engine.scope(snapshot, None, self.settings))
    }

    pub(super) async fn read(&self, open: Option<&TransactionCell>, mut statement: Parsed) -> Result<Outcome> {
        names_out::number_repeated(&mut statement);
        let scope = self.reading_scope(open).await?;
        let plan = scope.state.statement_to_plan(statement).await.map_err(from_datafusion)?;
        self.check_copy(&plan)?;
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
        let schema = Arc::new(plan.schema().as_arrow().clone());
        let rows = names_out::restore(self.execute(&scope, plan).await?);
        // What comes out may be typed a little narrower than planned; the stream knows best.
        let schema = if rows.schema().fields().len() == schema.fields().len() { rows.schema() } else { schema };
        let tag = CommandTag { verb: verb.to_owned(), rows: None };
        Ok(Outcome { tag, snapshot, notices: Vec::new(), rows: Some((schema, rows)) })
    }

    /// Refuses to write over what Polder keeps: a COPY … TO that is to run, or to be analyzed.
    fn check_copy(&self, plan: &LogicalPlan) -> Result<()> {
        let copy = match plan {
            LogicalPlan::Copy(copy) => copy,
            LogicalPlan::Analyze(analyze) => return self.check_copy(&analyze.input),
            _ => return Ok(()),
        };
        let url = ListingTableUrl::parse(&copy.output_url).map_err(from_datafusion)?;
        let store = self.engine.lake.store();
        let own = if url.scheme() == "file" {
            // As it is written and as it is understood: a letter may stand there in its percent form.
            let understood = Path::new("/").join(url.prefix().as_ref());
            self.engine.own_files.holds(&understood) || self.engine.own_files.holds(Path::new(&copy.output_url))
        } else {
            url.object_store() == *store.url && url.prefix().as_ref().starts_with(store.base.trim_matches('/'))
        };
        if own {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!("{} is where Polder keeps its own files", copy.output_url),
            )
            .with_hint("copy to another place"));
        }
        Ok(())
    }

    /// Optimises and starts a plan, shown in the statement's progress.
    pub(super) async fn execute(&self, scope: &Scope, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        let physical = scope.state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
        self.running.watch(&physical);
        let rows = execute_stream(physical, scope.state.task_ctx()).map_err(from_datafusion)?;
        Ok(keep_planner(rows, Arc::clone(&scope.state)))
    }
}

/// Keeps the planner for as long as rows are read: the tables of `information_schema` plan the views then.
fn keep_planner(rows: SendableRecordBatchStream, state: Arc<SessionState>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let kept = rows.inspect(move |_| {
        let _planner = &state;
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, kept))
}
