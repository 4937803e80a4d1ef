//! `history('schema.table')`: the versions of one table.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use arrow::array::{ArrayRef, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::physical_plan::ExecutionPlan;
use polder_lake::{Change, TableName, TableState};
use polder_metastore::Value;
use polder_types::{Error, Result};

use super::pg_catalog::World;
use super::tables::is_told_of;
use super::{external, int, memory, table_argument, text, time};
use crate::authz::rights::SELECT;
use crate::authz::{Rights, Who, word_of};
use crate::computed::{Computed, Rows};
use crate::engine::Engine;

/// Versions of the lake that are looked through.
const VERSIONS_MAX: u32 = 100_000;

pub(super) struct HistoryFunction {
    engine: Weak<Engine>,
}

impl HistoryFunction {
    pub fn new(engine: Weak<Engine>) -> Self {
        Self { engine }
    }
}

impl fmt::Debug for HistoryFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("history")
    }
}

impl TableFunctionImpl for HistoryFunction {
    fn call_with_args(&self, args: TableFunctionArgs) -> DataFusionResult<Arc<dyn TableProvider>> {
        let name = table_argument("history", args.exprs(), args.session())?;
        let engine = self.engine.upgrade().ok_or_else(|| external(Error::internal("the engine has stopped")))?;
        Ok(Computed::table(Arc::new(schema()), History { engine, name }))
    }
}

fn schema() -> Schema {
    Schema::new(vec![
        int("snapshot", false),
        time("committed_at", false),
        text("author", true),
        text("message", true),
        text("changes", false),
        int("rows_added", true),
        int("rows_removed", true),
        int("files_added", true),
        int("files_removed", true),
    ])
}

/// A number for each version.
type Counts = BTreeMap<i64, i64>;

#[derive(Debug, Default)]
struct Changed {
    rows_added: Counts,
    rows_removed: Counts,
    files_added: Counts,
    files_removed: Counts,
}

struct History {
    engine: Arc<Engine>,
    name: TableName,
}

#[async_trait]
impl Rows for History {
    async fn plan(
        &self,
        state: &dyn Session,
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let who = World::of(state.config_options())?.who();
        let columns = self.rows(who).await.map_err(external)?;
        memory(schema, columns, projection)
    }
}

impl History {
    async fn rows(&self, who: &Who) -> Result<Vec<ArrayRef>> {
        let snapshot = self.engine.lake.newest().await?;
        let table = snapshot
            .table(&self.name)
            .ok_or_else(|| Error::not_found(format!("table {} does not exist", self.name)))?;
        let rights = Rights::new(who, &snapshot);
        rights.require(word_of(table), &self.name, table.id, SELECT)?;
        let counts = rights.counts(table.id);
        let changed = self.changed(table).await?;
        let mut ids = Int64Builder::new();
        let mut times = TimestampMicrosecondBuilder::new();
        let (mut authors, mut messages, mut changes) =
            (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let (mut plus, mut minus) = (Int64Builder::new(), Int64Builder::new());
        let (mut files_plus, mut files_minus) = (Int64Builder::new(), Int64Builder::new());
        for info in self.engine.lake.history(VERSIONS_MAX).await? {
            let of_table: Vec<&Change> = info
                .told()
                .filter(|change| {
                    let created = matches!(change, Change::CreatedTable(schema, name) if *schema == self.name.schema && *name == self.name.table);
                    change.table() == Some(table.id) || (created && info.id >= table.begin_snapshot)
                })
                .collect();
            if of_table.is_empty() {
                continue;
            }
            ids.append_value(info.id);
            times.append_value(info.committed_at.timestamp_micros());
            authors.append_option(info.author.as_deref());
            messages.append_option(info.message.as_deref().filter(|_| is_told_of(who, info.author.as_deref())));
            let word = |change: &&Change| change.to_string().split(':').next().unwrap_or_default().to_owned();
            changes.append_value(of_table.iter().map(word).collect::<Vec<_>>().join(","));
            let of_version = |counted: &Counts| counted.get(&info.id).copied().unwrap_or(0);
            // Rows that went from file to file were neither added nor removed.
            let moves = of_table.iter().all(|change| change.is_housekeeping());
            let told = |rows: &Counts| counts.then(|| if moves { 0 } else { of_version(rows) });
            plus.append_option(told(&changed.rows_added));
            minus.append_option(told(&changed.rows_removed));
            files_plus.append_option(counts.then(|| of_version(&changed.files_added)));
            files_minus.append_option(counts.then(|| of_version(&changed.files_removed)));
        }
        Ok(vec![
            Arc::new(ids.finish()),
            Arc::new(times.finish().with_timezone("UTC")),
            Arc::new(authors.finish()),
            Arc::new(messages.finish()),
            Arc::new(changes.finish()),
            Arc::new(plus.finish()),
            Arc::new(minus.finish()),
            Arc::new(files_plus.finish()),
            Arc::new(files_minus.finish()),
        ])
    }

    /// Rows and files that each version added and removed.
    async fn changed(&self, table: &TableState) -> Result<Changed> {
        let mut changed = Changed::default();
        let at = [Value::Int(table.id)];
        let files = "SELECT data_file_id, begin_snapshot, end_snapshot, record_count FROM ducklake_data_file WHERE table_id = $1";
        let deletes = "SELECT data_file_id, begin_snapshot, delete_count FROM ducklake_delete_file WHERE table_id = $1 ORDER BY begin_snapshot";
        let mut answers = self.engine.metastore.read_together(&[(files, &at), (deletes, &at)]).await?.into_iter();
        let (files, deletes) = (answers.next().unwrap_or_default(), answers.next().unwrap_or_default());
        // Each delete file counts all deletes so far, so a version's own are those beyond the one before.
        let mut so_far: BTreeMap<i64, i64> = BTreeMap::new();
        for row in &deletes {
            let (file, snapshot, count) = (row.int(0)?, row.int(1)?, row.int(2)?);
            let before = so_far.insert(file, count).unwrap_or(0);
            *changed.rows_removed.entry(snapshot).or_default() += count - before;
        }
        for row in &files {
            let (file, begin, count) = (row.int(0)?, row.int(1)?, row.int(3)?);
            *changed.rows_added.entry(begin).or_default() += count;
            *changed.files_added.entry(begin).or_default() += 1;
            if let Some(end) = row.opt_int(2)? {
                *changed.rows_removed.entry(end).or_default() += count - so_far.get(&file).copied().unwrap_or(0);
                *changed.files_removed.entry(end).or_default() += 1;
            }
        }
        for holder in &table.inlined_tables {
            if !holder.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                continue;
            }
            let sides = [("begin_snapshot", &mut changed.rows_added), ("end_snapshot", &mut changed.rows_removed)];
            for (column, counts) in sides {
                let sql =
                    format!("SELECT {column}, count(*) FROM {holder} WHERE {column} IS NOT NULL GROUP BY {column}");
                for row in self.engine.metastore.query(&sql, &[]).await? {
                    *counts.entry(row.int(0)?).or_default() += row.int(1)?;
                }
            }
        }
        Ok(changed)
    }
}
