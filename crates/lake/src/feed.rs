//! What changed in a table, row by row, from one version to another.
//!
//! For each version: the files that are in it or in the one before, but not in both in the same state, are read in both
//! versions. Rows that only one of them has were inserted or deleted; rows that both have, in different files, were
//! updated. Versions that only moved rows between files changed nothing. Memory: eight bytes for each row of a changed
//! file.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DataFusionResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, TryStreamExt};
use polder_types::{Error, Result, SnapshotId};
use tokio::sync::mpsc;

use crate::changes::{Change, SnapshotInfo};
use crate::compact::{Rows, plain_state, rows_of, with_table};
use crate::deleted::of_several_versions;
use crate::error::into_datafusion;
use crate::file_columns::{Column, Named, read_numbers};
use crate::inlined::{StoredRows, initial_default};
use crate::lake::{Lake, Version};
use crate::logical::read;
use crate::model::{DataFile, Snapshot, TableState};
use crate::names::TableName;
use crate::read::read_history;
use crate::table::LakeTable;

/// Batches waiting for whoever reads them.
const QUEUE_BATCHES: usize = 2;

/// The columns before those of the table.
const OWN_COLUMNS: usize = 3;

/// The changes of a table as a table: `snapshot_id`, `rowid`, `change_type` (`insert`, `delete`, `update_preimage`,
/// `update_postimage`), and the table's columns as they are now.
#[derive(Clone)]
pub struct TableChanges {
    lake: Arc<Lake>,
    name: TableName,
    table: Arc<TableState>,
    from: Version,
    to: Version,
    schema: SchemaRef,
}

impl fmt::Debug for TableChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableChanges").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TableChanges {
    /// The changes of the versions from `from` to `to`, both included.
    ///
    /// # Errors
    /// `NotFound` for the table, `Unsupported` for one that cannot be read.
    pub fn open(lake: &Arc<Lake>, name: &TableName, from: Version, to: Version) -> Result<Self> {
        let known = lake.known();
        let table = known
            .table(name)
            .cloned()
            .ok_or_else(|| Error::not_found(format!("table {name} does not exist")).with_code("42P01"))?;
        table.check_readable()?;
        let mut fields = vec![
            Arc::new(Field::new("snapshot_id", DataType::Int64, false)),
            Arc::new(Field::new("rowid", DataType::Int64, false)),
            Arc::new(Field::new("change_type", DataType::Utf8, false)),
        ];
        // What a row had before its column was NOT NULL may be missing.
        fields.extend(table.schema().fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))));
        let schema = Arc::new(Schema::new(fields));
        Ok(Self { lake: Arc::clone(lake), name: name.clone(), table, from, to, schema })
    }

    /// The table whose changes they are.
    #[must_use]
    pub fn table(&self) -> &Arc<TableState> {
        &self.table
    }

    /// The changes as batches, version by version.
    async fn run(&self, sender: &mpsc::Sender<DataFusionResult<RecordBatch>>) -> Result<()> {
        let (from, to) = (self.number(self.from).await?, self.number(self.to).await?);
        let history = read_history(self.lake.metastore(), from - 1, u32::MAX, false).await?;
        // What changed in a version that has expired is not known, unless the table is younger.
        let columns = self.table.columns.iter().map(|column| column.begin_snapshot);
        let born = columns.min().unwrap_or_default().min(self.table.begin_snapshot);
        if let Some((gone, kept)) = gap(&history, from.max(born), to) {
            return Err(expired(gone, kept + 1));
        }
        for info in history.into_iter().filter(|info| info.id <= to) {
            let is_of_rows = |change: &Change| change.table() == Some(self.table.id) && !change.is_housekeeping();
            let touches = info.changes.iter().any(is_of_rows);
            if touches && !self.one_version(info.id, sender).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn number(&self, version: Version) -> Result<SnapshotId> {
        match version {
            Version::Snapshot(id) => Ok(id),
            other => Ok(self.lake.snapshot(other).await?.id),
        }
    }

    /// False once nobody listens any more.
    async fn one_version(&self, id: SnapshotId, sender: &mpsc::Sender<DataFusionResult<RecordBatch>>) -> Result<bool> {
        let after = self.lake.snapshot(Version::Snapshot(id)).await?;
        let Some(table) = after.tables.get(&self.table.id).cloned() else { return Ok(true) };
        let new = Side { snapshot: Arc::clone(&after), table };
        let old = if new.table.begin_snapshot == id && new.table.files.iter().all(|file| file.begin_snapshot >= id) {
            self.before(id).await.ok().flatten()
        } else {
            self.before(id).await?
        };
        let difference = Difference::between(&self.lake, old, new).await?;
        let (removed, added) = (difference.removed_ids(), difference.added_ids());
        for (side, ids, others, words) in [
            (difference.old.as_ref(), &removed, &added, ("delete", "update_preimage")),
            (Some(&difference.new), &added, &removed, ("insert", "update_postimage")),
        ] {
            let Some(side) = side.filter(|_| !ids.is_empty()) else { continue };
            let mut rows = difference.rows(&self.lake, side).await?;
            while let Some(batch) = rows.next().await {
                let batch = self.shaped(id, side, &batch?, ids, others, words)?;
                if batch.num_rows() > 0 && sender.send(Ok(batch)).await.is_err() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The table in the version before, if it was there.
    async fn before(&self, id: SnapshotId) -> Result<Option<Side>> {
        let snapshot = self.lake.snapshot(Version::Snapshot(id - 1)).await.map_err(|error| {
            Error::new(error.kind(), format!("version {} has expired, so what changed after it is not known", id - 1))
                .with_code("55000")
                .with_hint(format!("ask for the changes from version {} on", id + 1))
        })?;
        let table = snapshot.tables.get(&self.table.id).cloned();
        Ok(table.map(|table| Side { snapshot, table }))
    }

    /// The rows with the wanted ids in the columns of the answer. The last column of `batch` are the ids.
    fn shaped(
        &self,
        id: SnapshotId,
        side: &Side,
        batch: &RecordBatch,
        wanted: &HashSet<i64>,
        others: &HashSet<i64>,
        (alone, both): (&str, &str),
    ) -> Result<RecordBatch> {
        let internal = |error: arrow::error::ArrowError| Error::internal(format!("changes of {}: {error}", self.name));
        let ids = |batch: &RecordBatch| batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>().clone();
        let keep: BooleanArray = ids(batch).values().iter().map(|row| Some(wanted.contains(row))).collect();
        let batch = filter_record_batch(batch, &keep).map_err(internal)?;
        let row_ids = ids(&batch);
        let kinds = row_ids.values().iter().map(|row| if others.contains(row) { both } else { alone });
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_value(id, batch.num_rows())),
            Arc::new(StringArray::from_iter_values(kinds)),
        ];
        columns.insert(1, Arc::new(row_ids));
        let mut tops: Vec<_> = self.table.top_columns().collect();
        tops.sort_by_key(|column| column.order);
        let stored = self.table.arrow_schema.fields();
        for ((top, field), stored) in tops.iter().zip(&self.schema.fields()[OWN_COLUMNS..]).zip(stored) {
            let then = side.table.top_columns().find(|column| column.id == top.id);
            let array = match then.and_then(|column| batch.column_by_name(&column.name)) {
                Some(array) => Arc::clone(array),
                // As when the table is read: rows from before the column have what it was added with.
                None => initial_default(top, stored.data_type(), batch.num_rows())?,
            };
            columns.push(if array.data_type() == field.data_type() { array } else { read(&array, field)? });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(internal)
    }
}

/// The first version that is not in a history from `first` to `to`, and the next one that is. A history has no other
/// gaps than what has expired.
fn gap(history: &[SnapshotInfo], first: SnapshotId, to: SnapshotId) -> Option<(SnapshotId, SnapshotId)> {
    let mut next = first;
    for info in history.iter().filter(|info| info.id >= first) {
        if next > to {
            return None;
        }
        if info.id > next {
            return Some((next, info.id));
        }
        next = info.id + 1;
    }
    None
}

fn expired(version: SnapshotId, from: SnapshotId) -> Error {
    Error::invalid(format!("version {version} has expired, so what changed in it is not known"))
        .with_code("55000")
        .with_hint(format!("ask for the changes from version {from} on"))
}

/// A table in one of two versions.
struct Side {
    snapshot: Arc<Snapshot>,
    table: Arc<TableState>,
}

/// What two versions of a table do not have in common.
struct Difference {
    old: Option<Side>,
    new: Side,
    /// Ids of rows in files that are in both versions, but not in the same state.
    changed_old: HashSet<i64>,
    changed_new: HashSet<i64>,
    /// Those of `changed_new` whose row began with the new version: a file that was merged later may hold a row as it
    /// was and as it became.
    begun: HashSet<i64>,
    /// Ids of rows in files that are in one of them only, and of stored rows.
    only_old: HashSet<i64>,
    only_new: HashSet<i64>,
}

impl Difference {
    async fn between(lake: &Arc<Lake>, old: Option<Side>, new: Side) -> Result<Self> {
        let pairs = |side: &Side, other: Option<&Side>| -> (Vec<Arc<DataFile>>, Vec<Arc<DataFile>>) {
            let mut only = Vec::new();
            let mut changed = Vec::new();
            for file in side.table.files.iter() {
                match other.and_then(|other| Some((other, other.table.file(file.id)?))) {
                    None => only.push(Arc::clone(file)),
                    Some((other, same)) if !unchanged(side, file, other, same) => changed.push(Arc::clone(file)),
                    Some(_) => {}
                }
            }
            (only, changed)
        };
        let (only_new, changed_new) = pairs(&new, old.as_ref());
        let (only_old, changed_old) = old.as_ref().map_or_else(Default::default, |old| pairs(old, Some(&new)));
        let mut difference = Self {
            changed_new: new.ids(lake, &changed_new).await?,
            begun: new.begun(lake, &changed_new).await?,
            only_new: new.ids(lake, &only_new).await?,
            changed_old: HashSet::new(),
            only_old: HashSet::new(),
            old: None,
            new: new.with_files(only_new.into_iter().chain(changed_new).collect()),
        };
        let stored = new.stored(lake).await?;
        if let Some(old) = old {
            difference.changed_old = old.ids(lake, &changed_old).await?;
            difference.only_old = old.ids(lake, &only_old).await?;
            let before = old.stored(lake).await?;
            difference.only_old.extend(before.difference(&stored).map(|(_, row, _)| *row));
            difference.only_new.extend(stored.difference(&before).map(|(_, row, _)| *row));
            difference.old = Some(old.with_files(only_old.into_iter().chain(changed_old).collect()));
        } else {
            difference.only_new.extend(stored.into_iter().map(|(_, row, _)| row));
        }
        Ok(difference)
    }

    fn removed_ids(&self) -> HashSet<i64> {
        let replaced = self.changed_old.intersection(&self.begun);
        self.changed_old.difference(&self.changed_new).chain(replaced).chain(&self.only_old).copied().collect()
    }

    fn added_ids(&self) -> HashSet<i64> {
        let begun = self.changed_new.intersection(&self.begun);
        self.changed_new.difference(&self.changed_old).chain(begun).chain(&self.only_new).copied().collect()
    }

    async fn rows(&self, lake: &Arc<Lake>, side: &Side) -> Result<Rows> {
        rows_of(side.open(lake)?, &[], &plain_state(lake)).await
    }
}

/// Whether a file has the same rows in both versions.
fn unchanged(side: &Side, file: &DataFile, other: &Side, same: &DataFile) -> bool {
    let delete = |file: &DataFile| file.delete.as_ref().map(|delete| delete.id);
    let older = side.snapshot.id.min(other.snapshot.id);
    delete(file) == delete(same)
        && side.table.inlined_deletes_of(file.id).len() == other.table.inlined_deletes_of(file.id).len()
        && file.partial_max.is_none_or(|newest| newest <= older)
        && !file.delete.as_ref().is_some_and(|delete| of_several_versions(delete))
}

impl Side {
    fn open(&self, lake: &Arc<Lake>) -> Result<LakeTable> {
        LakeTable::open_with_row_ids(lake, &self.snapshot, self.snapshot.name_of(&self.table), &self.table)
    }

    fn with_files(&self, mut files: Vec<Arc<DataFile>>) -> Self {
        files.sort_by_key(|file| file.id);
        let mut table = self.table.as_ref().clone();
        table.files = Arc::new(files);
        let table = Arc::new(table);
        Self { snapshot: Arc::new(with_table(&self.snapshot, &table)), table }
    }

    /// Ids of the rows of some files.
    async fn ids(&self, lake: &Arc<Lake>, files: &[Arc<DataFile>]) -> Result<HashSet<i64>> {
        if files.is_empty() {
            return Ok(HashSet::new());
        }
        let mut part = self.with_files(files.to_vec());
        let mut table = part.table.as_ref().clone();
        table.inlined_tables.clear();
        part.table = Arc::new(table);
        part.snapshot = Arc::new(with_table(&part.snapshot, &part.table));
        let mut rows = rows_of(part.open(lake)?, &[], &plain_state(lake)).await?;
        let mut ids = HashSet::new();
        while let Some(batch) = rows.try_next().await? {
            ids.extend(batch.column(batch.num_columns() - 1).as_primitive::<Int64Type>().values());
        }
        Ok(ids)
    }

    /// Ids of the rows of some files that began with this very version, as far as the files say when each row did.
    async fn begun(&self, lake: &Arc<Lake>, files: &[Arc<DataFile>]) -> Result<HashSet<i64>> {
        let mut ids = HashSet::new();
        let version = self.snapshot.id;
        for file in files.iter().filter(|file| file.partial_max.is_some_and(|newest| newest >= version)) {
            let named = Named {
                snapshot: &self.snapshot,
                table: &self.table,
                path: &file.path,
                relative: file.path_is_relative,
            };
            let start = file.row_id_start;
            let begun = move |at: u64, since, row: Option<i64>| {
                let row = row.or_else(|| start?.checked_add(i64::try_from(at).ok()?));
                row.and_then(|row| u64::try_from(row).ok()).filter(|_| since == version)
            };
            let found = read_numbers(lake, named, Column::Since, Some(Column::RowId), begun).await?;
            ids.extend(found.unwrap_or_default().iter().map(u64::cast_signed));
        }
        Ok(ids)
    }

    /// (holder, id, version since) of the rows in the metastore.
    async fn stored(&self, lake: &Arc<Lake>) -> Result<HashSet<(String, i64, i64)>> {
        let stored: Vec<StoredRows> = lake.stored_rows(&self.snapshot, &self.table).await?;
        let of_holder = |rows: StoredRows| {
            let rows_of = rows.row_ids.into_iter().zip(rows.begins);
            rows_of.map(move |(row, begin)| (rows.holder.clone(), row, begin)).collect::<Vec<_>>()
        };
        Ok(stored.into_iter().flat_map(of_holder).collect())
    }
}

impl PartitionStream for TableChanges {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let changes = self.clone();
        // Ends by itself once nobody listens.
        tokio::spawn(async move {
            if let Err(error) = changes.run(&sender).await {
                let _ = sender.send(Err(into_datafusion(error))).await;
            }
        });
        let batches = futures::stream::unfold(receiver, |mut receiver| async move {
            let batch = receiver.recv().await?;
            Some((batch, receiver))
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
    }
}

#[async_trait]
impl TableProvider for TableChanges {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let stream: Arc<dyn PartitionStream> = Arc::new(self.clone());
        let table = StreamingTable::try_new(Arc::clone(&self.schema), vec![stream])?;
        table.scan(state, projection, filters, limit).await
    }
}
