//! Rows deleted by their ids.
//!
//! Every row has an id that stays its own for life: implied by its place in a file that was inserted, kept in a
//! column of a file that was rewritten, or kept beside it in the metastore. UPDATE and DELETE first find the ids, by
//! any query; here they become positions in files.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use datafusion_ducklake::row_id::ROW_ID_PARQUET_FIELD_ID;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ProjectionMask};
use parquet::file::reader::ChunkReader;
use polder_types::{Error, ErrorKind, Result};
use roaring::RoaringTreemap;

use crate::apply::EndedFile;
use crate::delete_file::write_delete_file;
use crate::error::RESTORE;
use crate::model::{DataFile, DeleteFile, TableState};
use crate::names::TableName;
use crate::parquet_writer::{FILE_PREFIX, LINKED_PREFIX, StagedFile, TableWriter};
use crate::store::Located;
use crate::transaction::Transaction;

/// Whether rewritten rows have the keys that they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Kept,
    MayChange,
}

impl Transaction {
    /// Deletes the rows with these ids; ids of no row are passed over. Gives the number of rows deleted.
    ///
    /// Memory: one bit a row of one file, about, whatever the table's size.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt`, naming the file, when a file cannot be read.
    pub async fn delete_rows(&mut self, name: &TableName, row_ids: RowIds) -> Result<u64> {
        let table = self.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))?;
        if row_ids.is_empty() {
            return Ok(0);
        }
        let mut stored = self.stored_row_ids(&table).await?;
        stored.retain(|(_, row)| row_ids.contains(*row));
        let mut deleted = stored.len() as u64;
        let mut left = row_ids.0;
        for (_, row) in &stored {
            left.remove(row.unsigned_abs());
        }
        let left = Arc::new(left);

        let (mut ended, mut deletes) = (Vec::new(), Vec::new());
        for file in table.files.iter() {
            let mut new = self.positions(&table, file, &left).await?;
            if new.is_empty() {
                continue;
            }
            let mut gone = match &file.delete {
                Some(delete) => self.deleted_positions(&table, delete).await?,
                None => RoaringTreemap::new(),
            };
            let already: RoaringTreemap =
                table.inlined_deletes_of(file.id).iter().map(|at| at.unsigned_abs()).collect();
            new -= &gone;
            new -= &already;
            if new.is_empty() {
                continue;
            }
            deleted += new.len();
            gone |= new;
            let all = u64::try_from(file.record_count).is_ok_and(|rows| gone.union_len(&already) >= rows);
            if all {
                ended.push(ended_file(&table, file));
                continue;
            }
            let directory = self.directory(&table)?;
            let staged = write_delete_file(self.lake().store().clone(), directory, &file.path, &gone).await?;
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
    pub async fn replace_rows(
        &mut self,
        name: &TableName,
        row_ids: RowIds,
        files: Vec<StagedFile>,
        keys: Keys,
    ) -> Result<u64> {
        let replaced = self.delete_rows(name, row_ids).await?;
        let table = self.table(name).ok_or_else(|| Error::not_found(format!("table {name} does not exist")))?;
        match keys {
            Keys::Kept => {
                self.keys.kept(&table);
                self.add_files_to(table.id, files)?;
            }
            Keys::MayChange => {
                self.add_files(name, files)?;
            }
        }
        Ok(replaced)
    }

    /// (holder, row id) of every row that is kept in the metastore.
    pub(crate) async fn stored_row_ids(&self, table: &TableState) -> Result<Vec<(String, i64)>> {
        let stored = self.lake().stored_rows(self.view(), table).await?;
        let ids = stored.iter().flat_map(|rows| rows.row_ids.iter().map(|row| (rows.holder.clone(), *row)));
        Ok(ids.collect())
    }

    /// The positions in one file of the rows with these ids.
    async fn positions(
        &self,
        table: &TableState,
        file: &DataFile,
        row_ids: &Arc<RoaringTreemap>,
    ) -> Result<RoaringTreemap> {
        // A file that an UPDATE or a merge made carries ids; DuckDB gives it a place in the sequence all the same.
        let name = file.path.rsplit('/').next().unwrap_or_default();
        let ours = name.starts_with(FILE_PREFIX) && !name.starts_with(LINKED_PREFIX);
        if let (Some(start), true) = (file.row_id_start, ours) {
            return Ok(implied(row_ids, start, file.record_count));
        }
        let wanted = Arc::clone(row_ids);
        let found = self
            .read_column(table, &file.path, file.path_is_relative, Column::RowId, move |at, value| {
                u64::try_from(value).is_ok_and(|id| wanted.contains(id)).then_some(at)
            })
            .await?;
        match (found, file.row_id_start) {
            (Some(positions), _) => Ok(positions),
            (None, Some(start)) => Ok(implied(row_ids, start, file.record_count)),
            (None, None) => {
                Err(Error::new(ErrorKind::Corrupt, format!("rows of {} have no ids in {}", table.name, file.path)))
            }
        }
    }

    async fn deleted_positions(&self, table: &TableState, delete: &DeleteFile) -> Result<RoaringTreemap> {
        let column = Column::Named("pos");
        let positions = self
            .read_column(table, &delete.path, delete.path_is_relative, column, |_, value| u64::try_from(value).ok())
            .await?;
        positions
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("the delete file {} has no positions", delete.path)))
    }

    /// Reads one column of whole numbers out of a Parquet file, and gives what `keep` makes of (place, value); `None`
    /// if it has no such column.
    async fn read_column(
        &self,
        table: &TableState,
        path: &str,
        relative: bool,
        column: Column,
        keep: impl Fn(u64, i64) -> Option<u64> + Send + 'static,
    ) -> Result<Option<RoaringTreemap>> {
        let store = self.lake().store();
        let Located { local, object, shown } = store.locate(self.view(), table, path, relative)?;
        let broken = move |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Corrupt, format!("cannot read {shown}: {error}")).with_hint(RESTORE)
        };
        let values = if let Some(local) = local {
            let read = tokio::task::spawn_blocking(move || {
                let file = std::fs::File::open(local).map_err(|error| error.to_string())?;
                numbers(file, column, keep)
            });
            read.await.map_err(|error| broken(&error))?
        } else {
            let object = store.store.get(&object).await.map_err(|error| broken(&error))?;
            let bytes = object.bytes().await.map_err(|error| broken(&error))?;
            let read = tokio::task::spawn_blocking(move || numbers(bytes, column, keep));
            read.await.map_err(|error| broken(&error))?
        };
        values.map_err(|error| broken(&error))
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

/// The positions of ids in a file whose rows are numbered from `start`.
fn implied(row_ids: &RoaringTreemap, start: i64, record_count: i64) -> RoaringTreemap {
    let (Ok(start), Ok(rows)) = (u64::try_from(start), u64::try_from(record_count)) else {
        return RoaringTreemap::new();
    };
    let mut found = RoaringTreemap::new();
    if rows > 0 {
        found.insert_range(start..start + rows);
        found &= row_ids;
    }
    found.iter().map(|row| row - start).collect()
}

/// What `keep` makes of (place, value) of one column of whole numbers, none of them missing; `None` if there is no such
/// column.
fn numbers(
    file: impl ChunkReader + 'static,
    column: Column,
    keep: impl Fn(u64, i64) -> Option<u64>,
) -> Result<Option<RoaringTreemap>, String> {
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
    let mut kept = RoaringTreemap::new();
    let mut at = 0_u64;
    for batch in batches {
        let batch = batch.map_err(|error| error.to_string())?;
        let values = batch.column(0).as_primitive_opt::<Int64Type>().ok_or("row ids are no numbers")?;
        if values.null_count() > 0 {
            return Err("a row has no id".into());
        }
        for value in values.values() {
            kept.extend(keep(at, *value));
            at += 1;
        }
    }
    Ok(Some(kept))
}

/// Ids of rows: as many bits, about, as there are rows between the first and the last.
#[derive(Debug, Clone, Default)]
pub struct RowIds(RoaringTreemap);

impl RowIds {
    /// True if it was not there before. A negative number is no row's id, and is passed over.
    pub fn insert(&mut self, id: i64) -> bool {
        u64::try_from(id).is_ok_and(|id| self.0.insert(id))
    }

    #[must_use]
    pub fn contains(&self, id: i64) -> bool {
        u64::try_from(id).is_ok_and(|id| self.0.contains(id))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }
}

impl Extend<i64> for RowIds {
    fn extend<I: IntoIterator<Item = i64>>(&mut self, ids: I) {
        for id in ids {
            self.insert(id);
        }
    }
}

impl FromIterator<i64> for RowIds {
    fn from_iter<I: IntoIterator<Item = i64>>(ids: I) -> Self {
        let mut all = Self::default();
        all.extend(ids);
        all
    }
}

#[derive(Clone, Copy)]
enum Column {
    Named(&'static str),
    RowId,
}
