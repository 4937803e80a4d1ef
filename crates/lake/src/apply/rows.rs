//! Files, deletes and small inserts.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion_ducklake::stats_encode::{is_numeric_ducklake_type, stat_cmp};
use polder_metastore::Value;
use polder_types::{Error, Result};

use super::{AGAIN, Applier, EndedFile, StagedDelete, Statement};
use crate::changes::Change;
use crate::inlined;
use crate::model::{ColumnRange, DataFile, DeleteFile, TableState};
use crate::parquet_writer::StagedFile;

impl Applier {
    pub(super) fn add_files(
        &mut self,
        table: i64,
        staged: &[(i64, Arc<StagedFile>)],
        row_ids_from: Option<i64>,
    ) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        if self.committing() && row_ids_from.is_some_and(|from| !self.row_ids_stand(&table, from)) {
            return Err(
                Error::conflict(format!("rows were added to {} by another transaction", table.name)).with_hint(AGAIN)
            );
        }
        let mut files = table.files.as_ref().clone();
        for (provisional, file) in staged {
            let id = self.file_id(*provisional);
            // Rows that carry their ids with them (an UPDATE's) take none from the table's sequence.
            let row_id_start = (!file.embeds_row_id).then_some(table.next_row_id);
            if !file.embeds_row_id {
                self.sequence_starts.entry(table.id).or_insert(table.next_row_id);
                table.next_row_id += file.record_count;
            }
            let data_file = self.data_file(id, file, row_id_start);
            table.record_count += file.record_count;
            table.file_size_bytes += file.size_bytes;
            table.has_totals = true;
            merge_ranges(&mut table, file);
            self.emit_data_file(table.id, &data_file, file);
            files.push(Arc::new(data_file));
        }
        table.files = Arc::new(files);
        self.counted.insert(table.id);
        self.changed(Change::InsertedInto(table.id));
        self.put_table(table);
        Ok(())
    }

    pub(super) fn emit_data_file(&mut self, table: i64, file: &DataFile, staged: &StagedFile) {
        if !self.committing() {
            return;
        }
        self.emit_row(
            "ducklake_data_file (data_file_id, table_id, begin_snapshot, path, path_is_relative, record_count, file_size_bytes, footer_size, row_id_start, file_format, partition_id)",
            vec![
                file.id.into(),
                table.into(),
                file.begin_snapshot.into(),
                file.path.as_str().into(),
                true.into(),
                file.record_count.into(),
                file.file_size_bytes.into(),
                file.footer_size.map_or(Value::Null, Value::Int),
                file.row_id_start.map_or(Value::Null, Value::Int),
                "parquet".into(),
                file.partition_id.map_or(Value::Null, Value::Int),
            ],
        );
        for (index, value) in &file.partition_values {
            self.emit_row(
                "ducklake_file_partition_value (data_file_id, table_id, partition_key_index, partition_value)",
                vec![
                    file.id.into(),
                    table.into(),
                    i64::from(*index).into(),
                    value.clone().map_or(Value::Null, Value::Text),
                ],
            );
        }
        for stat in &file.column_stats {
            let text = |value: &Option<String>| value.clone().map_or(Value::Null, Value::Text);
            let int = |value: Option<i64>| value.map_or(Value::Null, Value::Int);
            self.emit_row(
                "ducklake_file_column_stats (data_file_id, table_id, column_id, column_size_bytes, value_count, null_count, min_value, max_value, contains_nan)",
                vec![
                    file.id.into(),
                    table.into(),
                    stat.column_id.into(),
                    int(stat.column_size_bytes),
                    int(stat.value_count),
                    int(stat.null_count),
                    text(&stat.min_value),
                    text(&stat.max_value),
                    stat.contains_nan.map_or(Value::Null, Value::Bool),
                ],
            );
        }
        self.emit_checksum(file.id, staged);
    }

    fn emit_checksum(&mut self, id: i64, staged: &StagedFile) {
        self.emit_row(
            "polder_data_file_checksum (data_file_id, checksum, size_bytes)",
            vec![id.into(), staged.checksum.as_str().into(), staged.size_bytes.into()],
        );
    }

    pub(super) fn add_deletes(&mut self, table: i64, deletes: &[StagedDelete]) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        let mut files = table.files.as_ref().clone();
        for delete in deletes {
            let data_file = self.real(delete.data_file);
            let at = find(&files, data_file)?;
            let before = files[at].delete.as_ref().map(|old| old.id);
            self.check_untouched(&table, data_file, before, delete.expected, delete.inlined_deletes)?;
            if let Some(old) = before {
                self.emit_exactly(
                    1,
                    "UPDATE ducklake_delete_file SET end_snapshot = $1 WHERE delete_file_id = $2 AND end_snapshot IS NULL",
                    vec![self.snapshot.id.into(), old.into()],
                );
            }
            let id = self.file_id(delete.id);
            let mut changed = files[at].as_ref().clone();
            changed.delete = Some(self.delete_file(id, table.id, data_file, &delete.file));
            files[at] = Arc::new(changed);
        }
        table.files = Arc::new(files);
        self.deleted_from(table.id);
        self.put_table(table);
        Ok(())
    }

    /// The rows for a new delete file, and how it looks in memory.
    pub(super) fn delete_file(&mut self, id: i64, table: i64, data_file: i64, staged: &StagedFile) -> Arc<DeleteFile> {
        self.emit_row(
            "ducklake_delete_file (delete_file_id, table_id, begin_snapshot, data_file_id, path, path_is_relative, delete_count, file_size_bytes, footer_size, format)",
            vec![
                id.into(),
                table.into(),
                self.snapshot.id.into(),
                data_file.into(),
                staged.name.as_str().into(),
                true.into(),
                staged.record_count.into(),
                staged.size_bytes.into(),
                staged.footer_bytes.into(),
                "parquet".into(),
            ],
        );
        self.emit_checksum(id, staged);
        Arc::new(DeleteFile {
            id,
            path: staged.name.clone(),
            path_is_relative: true,
            delete_count: staged.record_count,
            file_size_bytes: staged.size_bytes,
            footer_size: Some(staged.footer_bytes),
            encryption_key: None,
        })
    }

    /// Two changes of rows of one file exclude each other: the second did not see what the first left.
    fn check_untouched(
        &self,
        table: &TableState,
        data_file: i64,
        delete_file: Option<i64>,
        expected: Option<i64>,
        inlined_deletes: usize,
    ) -> Result<()> {
        let same_file = delete_file == expected.map(|id| self.real(id));
        if same_file && table.inlined_deletes_of(data_file).len() == inlined_deletes {
            return Ok(());
        }
        Err(Error::conflict(format!("rows of {} were changed by another transaction", table.name)).with_hint(AGAIN))
    }

    /// The totals stay as they are: DuckLake counts what was ever added, and takes equal counts as proof that nothing
    /// was deleted.
    pub(super) fn end_files(&mut self, table: i64, ended: &[EndedFile]) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        self.end_files_of(&mut table, ended)?;
        self.deleted_from(table.id);
        self.put_table(table);
        Ok(())
    }

    /// Takes whole files out of a table; gives them.
    pub(super) fn end_files_of(&mut self, table: &mut TableState, ended: &[EndedFile]) -> Result<Vec<Arc<DataFile>>> {
        let mut files = table.files.as_ref().clone();
        let mut taken = Vec::with_capacity(ended.len());
        for gone in ended {
            let id = self.real(gone.data_file);
            let at = find(&files, id)?;
            let before = files[at].delete.as_ref().map(|delete| delete.id);
            self.check_untouched(table, id, before, gone.expected, gone.inlined_deletes)?;
            taken.push(files.remove(at));
            self.emit_exactly(
                1,
                "UPDATE ducklake_data_file SET end_snapshot = $1 WHERE data_file_id = $2 AND end_snapshot IS NULL",
                vec![self.snapshot.id.into(), id.into()],
            );
            if let Some(delete) = before {
                self.emit_exactly(
                    1,
                    "UPDATE ducklake_delete_file SET end_snapshot = $1 WHERE delete_file_id = $2 AND end_snapshot IS NULL",
                    vec![self.snapshot.id.into(), delete.into()],
                );
            }
        }
        table.files = Arc::new(files);
        Ok(taken)
    }

    pub(super) fn insert_inlined(&mut self, table: i64, holder: &str, batches: &[RecordBatch]) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        let fits = |batch: &RecordBatch| batch.schema_ref() == &table.arrow_schema;
        if !batches.iter().all(fits) || !table.inlined_tables.iter().any(|known| known == holder) {
            return Err(
                Error::conflict(format!("table {} was changed by another transaction", table.name)).with_hint(AGAIN)
            );
        }
        self.sequence_starts.entry(table.id).or_insert(table.next_row_id);
        for batch in batches {
            let rows = i64::try_from(batch.num_rows()).map_err(|_| Error::internal("a batch of too many rows"))?;
            if self.committing() {
                let rows = inlined::row_statements(holder, batch, table.next_row_id, self.snapshot.id, self.backend)?;
                rows.into_iter().for_each(|row| self.push(row));
            }
            inlined::merge_ranges(&mut table, batch)?;
            table.next_row_id += rows;
            table.record_count += rows;
        }
        if self.committing() {
            // DuckDB keeps a table's totals in memory for as long as this number stands, the next row id among them.
            self.snapshot.next_file_id += 1;
        }
        table.has_totals = true;
        table.inlined_version = self.snapshot.id;
        table.inlined_read_at = self.snapshot.id;
        self.counted.insert(table.id);
        self.changed(Change::InlinedInsert(table.id));
        self.put_table(table);
        Ok(())
    }

    pub(super) fn end_inlined(&mut self, table: i64, rows: &[(String, i64)]) -> Result<()> {
        let mut table = self.table(table)?.as_ref().clone();
        self.end_inlined_of(&mut table, rows)?;
        self.changed(Change::InlinedDelete(table.id));
        self.put_table(table);
        Ok(())
    }

    /// Takes rows of the metastore out of a table.
    pub(super) fn end_inlined_of(&mut self, table: &mut TableState, rows: &[(String, i64)]) -> Result<()> {
        if self.committing() {
            if let Some((holder, _)) = rows.iter().find(|(holder, _)| !table.inlined_tables.contains(holder)) {
                let moved = format!("rows of {} were moved out of {holder} meanwhile", table.name);
                return Err(Error::conflict(moved).with_hint(AGAIN));
            }
            for write in inlined::end_writes(rows, self.snapshot.id, self.seen) {
                self.push(Statement::Other(write));
            }
            table.inlined_version = self.snapshot.id;
            table.inlined_read_at = self.snapshot.id;
        } else {
            let mut ended = table.inlined_ended.as_ref().clone();
            ended.extend(rows.iter().cloned());
            table.inlined_ended = Arc::new(ended);
        }
        Ok(())
    }

    /// Whether the table's rows still get the ids here that they had in the transaction's own view.
    fn row_ids_stand(&self, table: &TableState, from: i64) -> bool {
        self.sequence_starts.get(&table.id).copied().unwrap_or(table.next_row_id) == from
    }
}

fn find(files: &[Arc<DataFile>], id: i64) -> Result<usize> {
    files.binary_search_by_key(&id, |file| file.id).map_err(|_| {
        Error::conflict("rows that this transaction changes were rewritten by another one").with_hint(AGAIN)
    })
}

impl Applier {
    /// A new data file as it looks in memory.
    pub(super) fn data_file(&self, id: i64, staged: &StagedFile, row_id_start: Option<i64>) -> DataFile {
        let (partition_id, values) = match &staged.partition {
            Some((partition, values)) => (Some(self.real(*partition)), values.as_slice()),
            None => (None, [].as_slice()),
        };
        DataFile {
            id,
            begin_snapshot: self.snapshot.id,
            path: staged.name.clone(),
            path_is_relative: true,
            record_count: staged.record_count,
            file_size_bytes: staged.size_bytes,
            footer_size: Some(staged.footer_bytes),
            row_id_start,
            partition_id,
            partition_values: (0_i32..).zip(values.iter().cloned()).collect(),
            encryption_key: None,
            mapping_id: None,
            partial_max: None,
            column_stats: staged.column_stats.clone(),
            delete: None,
        }
    }
}

/// Widens the table's bounds by a new file's.
pub(super) fn merge_ranges(table: &mut TableState, file: &StagedFile) {
    let first = table.record_count == file.record_count;
    for stat in &file.column_stats {
        let Some(column) = table.columns.iter().find(|column| column.id == stat.column_id) else { continue };
        let numeric = is_numeric_ducklake_type(&column.ducklake_type);
        let new = ColumnRange {
            contains_null: stat.null_count.map(|nulls| nulls > 0),
            contains_nan: stat.contains_nan,
            min: stat.min_value.clone(),
            max: stat.max_value.clone(),
        };
        let all_null = stat.value_count == Some(0);
        merge_range(table.column_stats.entry(stat.column_id), new, numeric, first, all_null);
    }
}

/// One column's bounds: unknown on either side is unknown together, except that a file of nulls widens nothing.
pub(crate) fn merge_range(
    entry: std::collections::btree_map::Entry<'_, i64, ColumnRange>,
    new: ColumnRange,
    numeric: bool,
    first: bool,
    all_null: bool,
) {
    use std::cmp::Ordering;
    use std::collections::btree_map::Entry;
    match entry {
        Entry::Vacant(vacant) => {
            // A column that had rows before, but no bounds, keeps none.
            vacant.insert(if first { new } else { ColumnRange { min: None, max: None, ..new } });
        }
        Entry::Occupied(mut occupied) => {
            let old = occupied.get_mut();
            let either = |a: Option<bool>, b: Option<bool>| match (a, b) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
            old.contains_null = either(old.contains_null, new.contains_null);
            old.contains_nan = either(old.contains_nan, new.contains_nan);
            if all_null {
                return;
            }
            let pick = |a: Option<String>, b: Option<String>, keep: Ordering| match (a, b) {
                (Some(a), Some(b)) => Some(if stat_cmp(&b, &a, numeric) == keep { b } else { a }),
                _ => None,
            };
            old.min = pick(old.min.take(), new.min, Ordering::Less);
            old.max = pick(old.max.take(), new.max, Ordering::Greater);
        }
    }
}
