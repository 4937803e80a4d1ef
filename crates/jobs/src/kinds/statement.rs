//! Scheduled statements.

use std::sync::Arc;

use polder_capability::{JobKind, JobRun, SqlRunner};
use polder_types::{Error, Result, limits};
use serde_json::Value;

use super::run_sql;

/// Runs the SQL of `{"sql": …}` as the job's owner: one statement, or several in one session.
pub struct StatementKind {
    sql: Arc<dyn SqlRunner>,
}

impl StatementKind {
    pub const NAME: &str = "statement";

    #[must_use]
    pub fn new(sql: Arc<dyn SqlRunner>) -> Self {
        Self { sql }
    }
}

fn text(payload: &Value) -> Result<&str> {
    match payload.get("sql").and_then(Value::as_str) {
        Some(text) if !text.trim().is_empty() && text.len() <= limits::STATEMENT_BYTES_MAX => Ok(text),
        Some(text) if text.len() > limits::STATEMENT_BYTES_MAX => {
            Err(Error::invalid("the job's statement is too long"))
        }
        _ => Err(Error::invalid("a job of the kind \"statement\" needs `sql`")),
    }
}

#[async_trait::async_trait]
impl JobKind for StatementKind {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, payload: &Value) -> Result<()> {
        text(payload).map(drop)
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        run_sql(&self.sql, run, text(&run.payload)?).await
    }
}
