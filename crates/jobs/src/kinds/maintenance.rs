//! The lake's upkeep by statements.

use std::sync::Arc;

use polder_capability::{JobKind, JobRun, SqlRunner};
use polder_types::{Error, Result};
use serde_json::Value;

use super::run_sql;

/// Vacuum, or refresh of a materialized view: each the statement of the same purpose.
pub struct MaintenanceKind {
    sql: Arc<dyn SqlRunner>,
    work: Work,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Vacuum,
    Refresh,
}

impl MaintenanceKind {
    /// `VACUUM` of the lake.
    #[must_use]
    pub fn vacuum(sql: Arc<dyn SqlRunner>) -> Self {
        Self { sql, work: Work::Vacuum }
    }

    /// `REFRESH MATERIALIZED VIEW` of the one in `{"view": "schema.view"}`.
    #[must_use]
    pub fn refresh(sql: Arc<dyn SqlRunner>) -> Self {
        Self { sql, work: Work::Refresh }
    }

    /// The statement that a payload means.
    fn statement(&self, payload: &Value) -> Result<String> {
        let fields = payload.as_object().ok_or_else(|| Error::invalid("the payload must be a JSON object"))?;
        let known = if self.work == Work::Refresh { "view" } else { "" };
        if let Some(unknown) = fields.keys().find(|name| *name != known) {
            return Err(Error::invalid(format!("a job of the kind {:?} does not know `{unknown}`", self.name())));
        }
        if self.work == Work::Vacuum {
            return Ok("VACUUM".to_owned());
        }
        match fields.get("view").and_then(Value::as_str).and_then(|name| name.split_once('.')) {
            Some((schema, view)) if !schema.is_empty() && !view.is_empty() => {
                Ok(format!("REFRESH MATERIALIZED VIEW {}.{}", quoted(schema), quoted(view)))
            }
            _ => Err(Error::invalid("a job of the kind \"refresh\" needs `view`, written as \"schema.view\"")),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[async_trait::async_trait]
impl JobKind for MaintenanceKind {
    fn name(&self) -> &'static str {
        match self.work {
            Work::Vacuum => "vacuum",
            Work::Refresh => "refresh",
        }
    }

    fn check(&self, payload: &Value) -> Result<()> {
        self.statement(payload).map(drop)
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        run_sql(&self.sql, run, &self.statement(&run.payload)?).await
    }
}
