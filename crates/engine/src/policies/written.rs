//! Rows that a statement writes, looked at before they are in the table.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::{collect, execute_stream};
use futures::StreamExt;
use polder_lake::{PolicyCommand, TableName, TableState, logical_batch, logical_schema};
use polder_types::{Error, ErrorKind, Result};

use super::bound::{Bound, WrittenCondition};
use super::columns::Given;
use super::plan::{Asked, Surroundings, govern};
use crate::error::from_datafusion;

/// How the refusal of a new row begins.
const REFUSED: &str = "new row violates row-level security policy";

/// Whether an error is about a row that no policy lets in, and not about who writes it.
pub(crate) fn is_refused_row(error: &Error) -> bool {
    error.kind() == ErrorKind::Forbidden && error.message().contains(REFUSED)
}

/// The conditions of rows that a statement writes into a table.
pub(crate) struct RowChecks {
    around: Surroundings,
    name: TableName,
    inserted: Vec<WrittenCondition>,
    updated: Vec<WrittenCondition>,
    /// The columns of the table that queries in the conditions may name.
    outer: BTreeSet<String>,
}

impl RowChecks {
    /// `None`: nothing is asked of them. `shown`: who runs the statement is shown what it writes.
    pub fn of(around: Surroundings, name: &TableName, bound: &Bound<'_>, shown: Shown) -> Option<Self> {
        bound.rows.then(|| Self {
            around,
            name: name.clone(),
            inserted: bound.written_by(PolicyCommand::Insert, shown.inserted),
            updated: bound.written_by(PolicyCommand::Update, shown.updated),
            outer: bound.outer(),
        })
    }

    /// # Errors
    /// `Forbidden` (42501) for a row that no policy lets in.
    pub async fn check_inserted(&self, rows: &RecordBatch) -> Result<()> {
        self.check(rows, &self.inserted).await
    }

    /// # Errors
    /// `Forbidden` (42501) for a row that no policy lets be as it has become.
    pub async fn check_updated(&self, rows: &RecordBatch) -> Result<()> {
        self.check(rows, &self.updated).await
    }

    async fn check(&self, rows: &RecordBatch, conditions: &[WrittenCondition]) -> Result<()> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        for condition in conditions {
            if condition.sql == "false" || self.any_breaks(rows, &condition.sql).await? {
                return Err(self.refused(condition));
            }
        }
        Ok(())
    }

    async fn any_breaks(&self, rows: &RecordBatch, sql: &str) -> Result<bool> {
        let rows = logical_batch(rows, &logical_schema(rows.schema_ref()))?;
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).map_err(from_datafusion)?;
        let plan = self.around.breaks(sql, &self.name, Arc::new(table), &self.outer).await?;
        let state = &self.around.state;
        let physical = state.create_physical_plan(&plan).await.map_err(from_datafusion)?;
        let mut found = execute_stream(physical, state.task_ctx()).map_err(from_datafusion)?;
        while let Some(batch) = found.next().await {
            if batch.map_err(from_datafusion)?.num_rows() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn refused(&self, condition: &WrittenCondition) -> Error {
        let table = &self.name.table;
        let message = match &condition.policy {
            Some(policy) => format!("{REFUSED} \"{policy}\" for table \"{table}\""),
            None => format!("{REFUSED} for table \"{table}\""),
        };
        Error::new(ErrorKind::Forbidden, message)
            .with_hint("write rows that a policy of the table lets in: SELECT * FROM pg_policies lists them")
    }

    /// The refusal of a change of a row that was there.
    pub fn refused_row(&self, inserting: bool) -> Error {
        let table = &self.name.table;
        let row = if inserting { "new row" } else { "target row" };
        let message = format!("{row} violates row-level security policy (USING expression) for table \"{table}\"");
        Error::new(ErrorKind::Forbidden, message)
            .with_hint("change rows that a policy of the table lets you: SELECT * FROM pg_policies lists them")
    }
}

/// Rows that RETURNING gives, with masks in the place of what their table has in masked columns. The columns of the table are
/// the first of them, and those behind are of other tables.
///
/// # Errors
/// As planning and computing the masks goes.
pub(crate) async fn masked(
    around: &Surroundings,
    name: &TableName,
    table: &TableState,
    bound: Bound<'_>,
    batches: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>> {
    let Some(given) = batches.first().map(RecordBatch::schema) else { return Ok(batches) };
    let internal = |error: arrow::error::ArrowError| Error::internal(error.to_string());
    let own: Vec<&str> = table.arrow_schema.fields().iter().map(|field| field.name().as_str()).collect();
    let name_of = |at: usize| own.get(at).map_or_else(|| format!("polder$other {at}"), |name| (*name).to_owned());
    let fields = given.fields().iter().enumerate().map(|(at, field)| field.as_ref().clone().with_name(name_of(at)));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let named = |batch: &RecordBatch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec());
    let named = batches.iter().map(named).collect::<std::result::Result<Vec<_>, _>>().map_err(internal)?;
    let columns = Given::of(table, table, &schema);
    let rows = Arc::new(MemTable::try_new(schema, vec![named]).map_err(from_datafusion)?);
    // They have been looked at when they were written.
    let bound = bound.of_all_rows();
    let rows = govern(around, name, rows, &columns, &bound, &Asked::reading()).await?;
    let state = &around.state;
    let plan = rows.scan(&**state, None, &[], None).await.map_err(from_datafusion)?;
    let masked = collect(plan, state.task_ctx()).await.map_err(from_datafusion)?;
    let fields = given.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let given = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    masked
        .into_iter()
        .map(|batch| RecordBatch::try_new(Arc::clone(&given), batch.columns().to_vec()).map_err(internal))
        .collect()
}

/// Which of the rows that a statement writes it also has to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown {
    pub inserted: bool,
    pub updated: bool,
}
