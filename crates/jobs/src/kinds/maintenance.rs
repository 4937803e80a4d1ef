//! The lake's upkeep.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use futures::StreamExt;
use polder_capability::{Caller, JobKind, JobRun, SqlRunner, StatementRequest};
use polder_types::{Error, ErrorKind, QueryId, Result};
use serde_json::Value;

use super::{VIA, run_sql};

/// Compaction, vacuum, refresh of a materialized view: each the statement of the same purpose.
pub struct MaintenanceKind {
    sql: Arc<dyn SqlRunner>,
    work: Work,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Compaction,
    Vacuum,
    Refresh,
}

impl MaintenanceKind {
    /// `OPTIMIZE` of each table, or of the one in `{"table": "schema.table"}`.
    #[must_use]
    pub fn compaction(sql: Arc<dyn SqlRunner>) -> Self {
        Self { sql, work: Work::Compaction }
    }

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

    /// `OPTIMIZE` of one table after the other. One that fails does not keep the others from it.
    async fn compact_all(&self, run: &JobRun) -> Result<()> {
        let mut failed: Option<Error> = None;
        let mut failures = 0_u32;
        for table in self.tables(run).await? {
            if run.stop.is_cancelled() {
                return Err(Error::cancelled());
            }
            run.log.line(format!("OPTIMIZE {table}"));
            match run_sql(&self.sql, run, &format!("OPTIMIZE {table}")).await {
                Ok(()) => {}
                // Dropped since the list was made.
                Err(error) if error.kind() == ErrorKind::NotFound => run.log.line(error.to_string()),
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    run.log.line(format!("failed: {error}"));
                    failures += 1;
                    failed.get_or_insert(error.context(table));
                }
            }
        }
        match failed {
            Some(error) if failures > 1 => Err(error.context(format!("{failures} tables failed, the first"))),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// All tables, quoted as SQL needs them.
    async fn tables(&self, run: &JobRun) -> Result<Vec<String>> {
        let session = self.sql.open_session(Caller::new(&run.owner, VIA));
        let sql = "SELECT CAST(schema_name AS varchar) AS s, CAST(table_name AS varchar) AS t FROM polder.tables \
                   WHERE kind = 'table' ORDER BY 1, 2";
        let request = StatementRequest { sql: sql.to_owned(), query_id: QueryId::new(), row_limit: None };
        let mut answer = session.run(request).await?;
        let mut tables = Vec::new();
        while let Some(batch) = answer.batches.next().await {
            let batch = batch?;
            let text = |column: usize, row: usize| -> Result<String> {
                let column = batch.column(column);
                let text = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)
                    .map_err(|error| Error::internal("a name is no text").with_source(error))?;
                let text = text.as_string::<i32>();
                Ok(quoted(if text.is_null(row) { "" } else { text.value(row) }))
            };
            for row in 0..batch.num_rows() {
                tables.push(format!("{}.{}", text(0, row)?, text(1, row)?));
            }
        }
        Ok(tables)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.name` of a payload, each part quoted.
fn named<'a>(payload: &'a Value, field: &str) -> Result<Option<String>> {
    let Some(name) = payload.get(field) else { return Ok(None) };
    let parts: Vec<&'a str> = name.as_str().map(|name| name.split('.').collect()).unwrap_or_default();
    match parts[..] {
        [schema, name] if !schema.is_empty() && !name.is_empty() => {
            Ok(Some(format!("{}.{}", quoted(schema), quoted(name))))
        }
        _ => Err(Error::invalid(format!("`{field}` must be written as \"schema.name\""))),
    }
}

#[async_trait::async_trait]
impl JobKind for MaintenanceKind {
    fn name(&self) -> &'static str {
        match self.work {
            Work::Compaction => "compaction",
            Work::Vacuum => "vacuum",
            Work::Refresh => "refresh",
        }
    }

    fn check(&self, payload: &Value) -> Result<()> {
        let field = match self.work {
            Work::Compaction => "table",
            Work::Vacuum => "",
            Work::Refresh => "view",
        };
        let unknown = payload.as_object().map(|fields| fields.keys().find(|name| *name != field).cloned());
        match unknown {
            None => return Err(Error::invalid("the payload must be a JSON object")),
            Some(Some(name)) => {
                return Err(Error::invalid(format!("a job of the kind {:?} does not know `{name}`", self.name())));
            }
            Some(None) => {}
        }
        let named = named(payload, field)?;
        if self.work == Work::Refresh && named.is_none() {
            return Err(Error::invalid("a job of the kind \"refresh\" needs `view`"));
        }
        Ok(())
    }

    async fn run(&self, run: &JobRun) -> Result<()> {
        match self.work {
            Work::Compaction => match named(&run.payload, "table")? {
                Some(table) => run_sql(&self.sql, run, &format!("OPTIMIZE {table}")).await,
                None => self.compact_all(run).await,
            },
            Work::Vacuum => run_sql(&self.sql, run, "VACUUM").await,
            Work::Refresh => {
                let view = named(&run.payload, "view")?.unwrap_or_default();
                run_sql(&self.sql, run, &format!("REFRESH MATERIALIZED VIEW {view}")).await
            }
        }
    }
}
