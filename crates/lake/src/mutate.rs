//! Rows deleted by their ids.
//!
//! Every row has an id that stays its own for life: implied by its place in a file that was inserted, kept in a
//! column of a file that was rewritten, or kept beside it in the metastore. UPDATE and DELETE first find the ids, by
//! any query; here they become positions in files.

use std::collections::HashSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use datafusion_ducklake::row_id::ROW_ID_PARQUET_FIELD_ID;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::file::reader::ChunkReader;
use polder_types::{Error, ErrorKind, Result};

use crate::apply::EndedFile;
use crate::error::RESTORE;
use crate::model::{DataFile, TableState};
use crate::names::TableName;
use crate::parquet_writer::{FILE_PREFIX, LINKED_PREFIX, StagedFile, TableWriter, write_delete_file};
use crate::store::Located;
use crate::transaction::Transaction;

impl Transaction {
    /// Deletes the rows with these ids; ids of no row are passed over. Gives the number of rows deleted.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file, when a file cannot be read.
    pub async fn delete_rows(&mut self, name: &TableName, mut row_ids: Vec<i64>) -> Result<u64> {
        let table = self.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))?;
        row_ids.sort_unstable();
        row_ids.dedup();
        if row_ids.is_empty() {
            return Ok(0);
        }
        let mut stored = self.stored_row_ids(&table).await?;
        stored.retain(|(_, row)| row_ids.binary_search(row).is_ok());
        let mut deleted = stored.len() as u64;
        let kept_in_metastore: HashSet<i64> = stored.iter().map(|(_, row)| *row).collect();
        let row_ids: Vec<i64> = row_ids.into_iter().filter(|row| !kept_in_metastore.contains(row)).collect();

        let (mut ended, mut deletes) = (Vec::new(), Vec::new());
        for file in table.files.iter() {
            let found = self.positions(&table, file, &row_ids).await?;
            if found.is_empty() {
                continue;
            }
            let mut gone = match &file.delete {
                Some(_) => self.deleted_positions(&table, file).await?,
                None => HashSet::new(),
            };
            let already = table.inlined_deletes_of(file.id);
            let new: Vec<i64> =
                found.into_iter().filter(|at| !gone.contains(at) && already.binary_search(at).is_err()).collect();
            if new.is_empty() {
                continue;
            }
            deleted += new.len() as u64;
            gone.extend(new);
            let all = usize::try_from(file.record_count).is_ok_and(|rows| gone.len() + already.len() >= rows);
            if all {
                ended.push(ended_file(&table, file));
                continue;
            }
            let mut positions: Vec<i64> = gone.into_iter().collect();
            positions.sort_unstable();
            let directory = self.directory(&table)?;
            let staged = write_delete_file(self.lake().store().clone(), directory, &file.path, positions).await?;
            deletes.push((ended_file(&table, file), staged));
        }
        self.add_deletes(table.id, deletes)?;
        self.end_files(table.id, ended)?;
        self.end_inlined(table.id, stored)?;
        Ok(deleted)
    }

    /// A writer for rows that replace others: the table's columns, then the row ids that they keep.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn rewrite(&self, name: &TableName) -> Result<TableWriter> {
        let table = self.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))?;
        self.append_with_row_ids(&table)
    }

    /// Puts rewritten rows in place of the ones with their ids.
    ///
    /// # Errors
    /// As [`Transaction::delete_rows`].
    pub async fn replace_rows(&mut self, name: &TableName, row_ids: Vec<i64>, files: Vec<StagedFile>) -> Result<u64> {
        let replaced = self.delete_rows(name, row_ids).await?;
        self.add_files(name, files)?;
        Ok(replaced)
    }

    /// (holder, row id) of every row that is kept in the metastore.
    pub(crate) async fn stored_row_ids(&self, table: &TableState) -> Result<Vec<(String, i64)>> {
        let stored = self.lake().stored_rows(self.view(), table).await?;
        let ids = stored.iter().flat_map(|rows| rows.row_ids.iter().map(|row| (rows.holder.clone(), *row)));
        Ok(ids.collect())
    }

    /// The positions in one file of the rows with these ids, which are sorted.
    async fn positions(&self, table: &TableState, file: &DataFile, row_ids: &[i64]) -> Result<Vec<i64>> {
        // A file that an UPDATE or a merge made carries ids; DuckDB gives it a place in the sequence all the same.
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let ours = name.starts_with(FILE_PREFIX) && !name.starts_with(LINKED_PREFIX);
        if let (Some(start), true) = (file.row_id_start, ours) {
            return Ok(implied(row_ids, start, file.record_count));
        }
        let mut positions = Vec::new();
        let mut at = 0_i64;
        let carried = self
            .read_column(table, &file.path, file.path_is_relative, Column::RowId, |value| {
                if row_ids.binary_search(&value).is_ok() {
                    positions.push(at);
                }
                at += 1;
            })
            .await?;
        match (carried, file.row_id_start) {
            (true, _) => Ok(positions),
            (false, Some(start)) => Ok(implied(row_ids, start, file.record_count)),
            (false, None) => {
                Err(Error::new(ErrorKind::Corrupt, format!("rows of {} have no ids in {}", table.name, file.path)))
            }
        }
    }

    async fn deleted_positions(&self, table: &TableState, file: &DataFile) -> Result<HashSet<i64>> {
        let mut positions = HashSet::new();
        if let Some(delete) = &file.delete {
            let found = self
                .read_column(table, &delete.path, delete.path_is_relative, Column::Named("pos"), |value| {
                    positions.insert(value);
                })
                .await?;
            if !found {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!("the delete file {} has no positions", delete.path),
                ));
            }
        }
        Ok(positions)
    }

    /// Reads one column of whole numbers out of a Parquet file; false if it has no such column.
    async fn read_column(
        &self,
        table: &TableState,
        path: &str,
        relative: bool,
        column: Column,
        each: impl FnMut(i64),
    ) -> Result<bool> {
        let store = self.lake().store();
        let Located { local, object, shown } = store.locate(self.view(), table, path, relative)?;
        let broken = move |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Corrupt, format!("cannot read {shown}: {error}")).with_hint(RESTORE)
        };
        let values = if let Some(local) = local {
            let read = tokio::task::spawn_blocking(move || {
                let file = std::fs::File::open(local).map_err(|error| error.to_string())?;
                numbers(file, column)
            });
            read.await.map_err(|error| broken(&error))?
        } else {
            let object = store.store.get(&object).await.map_err(|error| broken(&error))?;
            let bytes = object.bytes().await.map_err(|error| broken(&error))?;
            tokio::task::spawn_blocking(move || numbers(bytes, column)).await.map_err(|error| broken(&error))?
        };
        let Some(values) = values.map_err(|error| broken(&error))? else { return Ok(false) };
        values.into_iter().for_each(each);
        Ok(true)
    }
}

/// A file as this transaction saw it, for the check against others.
pub(crate) fn ended_file(table: &TableState, file: &DataFile) -> EndedFile {
    EndedFile {
        data_file: file.id,
        expected: file.delete.as_ref().map(|delete| delete.id),
        inlined_deletes: table.inlined_deletes_of(file.id).len(),
    }
}

/// The positions of sorted ids in a file whose rows are numbered from `start`.
fn implied(row_ids: &[i64], start: i64, record_count: i64) -> Vec<i64> {
    let from = row_ids.partition_point(|row| *row < start);
    let until = row_ids.partition_point(|row| *row < start + record_count);
    row_ids[from..until].iter().map(|row| row - start).collect()
}

/// One column of whole numbers, none of them missing; `None` if there is no such column.
fn numbers(file: impl ChunkReader + 'static, column: Column) -> Result<Option<Vec<i64>>, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| error.to_string())?;
    let index = builder.schema().fields().iter().position(|field| match column {
        Column::Named(name) => field.name() == name,
        Column::RowId => {
            let id = field.metadata().get(PARQUET_FIELD_ID_META_KEY);
            id.is_some_and(|id| *id == ROW_ID_PARQUET_FIELD_ID.to_string())
        }
    });
    let Some(index) = index else { return Ok(None) };
    let mask = ProjectionMask::roots(builder.parquet_schema(), [index]);
    let batches = builder.with_projection(mask).build().map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    for batch in batches {
        let batch = batch.map_err(|error| error.to_string())?;
        let values = batch.column(0).as_primitive_opt::<Int64Type>().ok_or("row ids are no numbers")?;
        if values.null_count() > 0 {
            return Err("a row has no id".into());
        }
        all.extend_from_slice(values.values());
    }
    Ok(Some(all))
}

#[derive(Clone, Copy)]
enum Column {
    Named(&'static str),
    RowId,
}
