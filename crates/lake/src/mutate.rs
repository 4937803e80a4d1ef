//! Rows deleted by their ids.
//!
//! Every row has an id that stays its own for life: implied by its place in a file that was inserted, kept in a
//! column of a file that was rewritten, or kept beside it in the metastore. UPDATE and DELETE first find the ids, by
//! any query; here they become positions in files.

use std::sync::Arc;

use polder_types::{Error, ErrorKind, Result};
use roaring::RoaringTreemap;

use crate::apply::EndedFile;
use crate::delete_file::write_delete_file;
use crate::deleted::deleted_positions;
use crate::file_columns::{Column, Named, read_numbers};
use crate::model::{DataFile, TableState};
use crate::names::TableName;
use crate::parquet_writer::{FILE_PREFIX, LINKED_PREFIX, StagedFile, TableWriter};
use crate::transaction::Transaction;

/// Whether rewritten rows have the keys that they had, foreign ones too.
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
            let mut gone = deleted_positions(self.lake(), self.view(), &table, file).await?;
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
        let rewritten: u64 = files.iter().map(|file| u64::try_from(file.record_count).unwrap_or(0)).sum();
        if keys == Keys::MayChange || rewritten < replaced {
            self.keys.references.shrunk(&table);
        }
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
        if let (Some(start), true) = (file.row_id_start, has_implied_ids(file)) {
            return Ok(implied(row_ids, start, file.record_count));
        }
        let wanted = Arc::clone(row_ids);
        let keep = move |at, id, _| u64::try_from(id).is_ok_and(|id| wanted.contains(id)).then_some(at);
        let named = Named { snapshot: self.view(), table, path: &file.path, relative: file.path_is_relative };
        let found = read_numbers(self.lake(), named, Column::RowId, None, keep).await?;
        match (found, file.row_id_start) {
            (Some(positions), _) => Ok(positions),
            (None, Some(start)) => Ok(implied(row_ids, start, file.record_count)),
            (None, None) => {
                Err(Error::new(ErrorKind::Corrupt, format!("rows of {} have no ids in {}", table.name, file.path)))
            }
        }
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

/// Whether the ids of a file's rows follow from its start in the sequence. Others may carry them, whatever start they have.
pub(crate) fn has_implied_ids(file: &DataFile) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    name.starts_with(FILE_PREFIX) && !name.starts_with(LINKED_PREFIX)
}
