//! A table as it was: brought back in place, or as another table.
//!
//! Files are shared by name only in appearance: each table has its own link to the bytes (or its own copy, in an object
//! store), since DuckDB's clean-up deletes the files of one table without asking after another.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::future::BoxFuture;
use object_store::ObjectStoreExt;
use polder_types::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::apply::{Op, Rewrite, RewrittenFile};
use crate::check::crc_text;
use crate::compact::{stream_part, with_table};
use crate::delete_file::write_delete_file;
use crate::deleted::{deleted_positions, of_several_versions};
use crate::directories::{make_directory, sync_directory};
use crate::error::{RESTORE, from_io, from_store, missing_file};
use crate::inlined::StoredRows;
use crate::lake::Lake;
use crate::model::{ColumnState, DataFile, Snapshot, TableState};
use crate::mutate::ended_file;
use crate::names::{TableName, check_name};
use crate::parquet_writer::{LINKED_PREFIX, StagedFile, TableWriter, discard, footer_bytes};
use crate::rules::TableRules;
use crate::store::Located;
use crate::transaction::{Transaction, writable};

impl Transaction {
    /// Makes a table's rows those of an older version, with the ids that they had. Gives the number of rows that it
    /// has then.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` if the table has other columns now; `Corrupt`, naming the file.
    pub fn restore_table<'a>(
        &'a mut self,
        name: &'a TableName,
        version: &'a Arc<Snapshot>,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.restore_rows(name, version))
    }

    async fn restore_rows(&mut self, name: &TableName, version: &Arc<Snapshot>) -> Result<u64> {
        let id = self.existing(name)?.id;
        self.settle_table(id).await?;
        let now = self.existing(name)?;
        writable(&now)?;
        let then = version.tables.get(&now.id).cloned().ok_or_else(|| no_such_version(name, version))?;
        if shape(&now.columns) != shape(&then.columns) {
            return Err(Error::invalid(format!("{name} had other columns in version {}", version.id))
                .with_code("55000")
                .with_hint(format!("CREATE TABLE … CLONE {name} AT (VERSION => {})", version.id)));
        }
        if now.rules.checks != then.rules.checks || now.rules.materialized != then.rules.materialized {
            return Err(Error::invalid(format!("{name} had other checks in version {}", version.id))
                .with_code("55000")
                .with_hint(format!("CREATE TABLE … CLONE {name} AT (VERSION => {})", version.id)));
        }
        let kept: HashSet<i64> = now
            .files
            .iter()
            .filter(|file| then.file(file.id).is_some_and(|old| same(&now, file, &then, old)))
            .map(|file| file.id)
            .collect();
        let gone: Vec<_> =
            now.files.iter().filter(|file| !kept.contains(&file.id)).map(|file| ended_file(&now, file)).collect();
        let back: Vec<Arc<DataFile>> = then.files.iter().filter(|file| !kept.contains(&file.id)).cloned().collect();
        let stored_now: HashSet<(String, i64)> = self.stored_row_ids(&now).await?.into_iter().collect();
        let stored_then = self.lake().stored_rows(version, &then).await?;
        let ids_then: HashSet<(String, i64)> = stored_then.iter().flat_map(ids).collect();
        let missing = stored_then.into_iter().map(|rows| without(rows, &stored_now)).collect::<Result<Vec<_>>>()?;
        let inlined: Vec<(String, i64)> = stored_now.into_iter().filter(|row| !ids_then.contains(row)).collect();
        let directory = self.directory(&now)?;
        let files = self.adopt(version, &then, &back, missing, &directory, &now).await?;
        if !(files.is_empty() && gone.is_empty() && inlined.is_empty()) {
            let rewrite = Rewrite { ended: gone, inlined, files, next_row_id: 0, moved_only: false, restored: true };
            self.rewrite_table(now.id, rewrite)?;
            // Keys may be younger than the rows that come back.
            self.keys.files(&now);
            self.keys.references.all(&now);
        }
        self.lake().row_count(version, &then).await
    }

    /// Makes a table with the columns, the rules and the rows that another has in some version, without copying files where the
    /// store can share them. Rows keep their ids. Gives the number of rows.
    ///
    /// # Errors
    /// As [`Transaction::create_table`]; `NotFound` for the source; `Corrupt`, naming the file.
    pub fn clone_table<'a>(
        &'a mut self,
        to: &'a TableName,
        source: &'a TableName,
        version: &'a Arc<Snapshot>,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(self.clone_rows(to, source, version))
    }

    async fn clone_rows(&mut self, to: &TableName, source: &TableName, version: &Arc<Snapshot>) -> Result<u64> {
        check_name("table", &to.table)?;
        let then = version.table(source).cloned().ok_or_else(|| no_such_version(source, version))?;
        then.check_readable()?;
        let schema_id = self.schema_id(&to.schema)?;
        let id = self.provisional();
        let (columns, comment) = (then.columns.clone(), then.comment.clone());
        self.record(Op::CreateTable { id, uuid: Uuid::now_v7(), schema_id, name: to.table.clone(), columns, comment })?;
        if *then.rules != TableRules::default() {
            // The clone of a materialized view is a table. Rows of an older version may refer to what is gone by now.
            let old = then.rules.as_ref().clone();
            let rules = TableRules { materialized: None, foreign_keys: Vec::new(), known_as: None, ..old };
            self.record(Op::SetRules { id, rules: Arc::new(rules) })?;
        }
        let new = self.existing(to)?;
        let directory = self.directory(&new)?;
        let stored = self.lake().stored_rows(version, &then).await?;
        let files = self.adopt(version, &then, &then.files, stored, &directory, &new).await?;
        let rows = self.lake().row_count(version, &then).await?;
        let rewrite = Rewrite { files, next_row_id: then.next_row_id, ..Rewrite::default() };
        if !rewrite.files.is_empty() {
            self.rewrite_table(new.id, rewrite)?;
        }
        Ok(rows)
    }

    /// Files and stored rows of a version as new files of a table of the same shape.
    async fn adopt(
        &mut self,
        version: &Arc<Snapshot>,
        then: &Arc<TableState>,
        files: &[Arc<DataFile>],
        stored: Vec<StoredRows>,
        directory: &str,
        into: &TableState,
    ) -> Result<Vec<RewrittenFile>> {
        let mut adopted = Vec::new();
        let mut rewritten = Vec::new();
        for file in files {
            if !linkable(version, then, file) {
                rewritten.push(Arc::clone(file));
                continue;
            }
            let mut gone = deleted_positions(self.lake(), version, then, file).await?;
            gone.extend(then.inlined_deletes_of(file.id).iter().map(|at| at.unsigned_abs()));
            let staged = link(self.lake(), version, then, file, directory).await?;
            self.stage(staged.path.clone());
            let delete = if gone.is_empty() {
                None
            } else {
                let store = self.lake().store().clone();
                let staged = write_delete_file(store, directory.to_owned(), &staged.name, &gone).await?;
                self.stage(staged.path.clone());
                Some((self.provisional(), Arc::new(staged)))
            };
            let id = self.provisional();
            adopted.push(RewrittenFile { id, file: Arc::new(staged), row_id_start: file.row_id_start, delete });
        }
        if rewritten.is_empty() && stored.iter().all(|rows| rows.row_ids.is_empty()) {
            return Ok(adopted);
        }
        let mut writer =
            TableWriter::open_with_row_ids(self.lake().store().clone(), directory.to_owned(), into, Arc::default())?;
        if !rewritten.is_empty() {
            let mut part = then.as_ref().clone();
            part.files = Arc::new(rewritten);
            part.inlined_tables.clear();
            let part = Arc::new(part);
            let snapshot = Arc::new(with_table(version, &part));
            stream_part(self.lake(), &snapshot, &part, &mut writer).await?;
        }
        for rows in stored.iter().filter(|rows| !rows.row_ids.is_empty()) {
            writer.write(with_ids(rows)?).await?;
        }
        for file in writer.finish().await? {
            self.stage(file.path.clone());
            let id = self.provisional();
            adopted.push(RewrittenFile { id, file: Arc::new(file), row_id_start: None, delete: None });
        }
        Ok(adopted)
    }
}

fn no_such_version(name: &TableName, version: &Snapshot) -> Error {
    Error::not_found(format!("table {name} is not in version {}", version.id))
        .with_code("42P01")
        .with_hint("DESCRIBE HISTORY lists the versions of a table")
}

/// What must be the same for files of one table to be those of another.
fn shape(columns: &[ColumnState]) -> Vec<(i64, &str, &str, Option<i64>)> {
    columns
        .iter()
        .map(|column| (column.id, column.name.as_str(), column.ducklake_type.as_str(), column.parent))
        .collect()
}

/// Whether a file has the same rows in two versions.
fn same(now: &TableState, file: &DataFile, then: &TableState, old: &DataFile) -> bool {
    let delete = |file: &DataFile| file.delete.as_ref().map(|delete| delete.id);
    delete(file) == delete(old)
        && now.inlined_deletes_of(file.id).len() == then.inlined_deletes_of(file.id).len()
        && old.partial_max.is_none()
        && !old.delete.as_ref().is_some_and(|delete| of_several_versions(delete))
}

/// Whether a file holds these rows in this way for any table, not only for its own.
fn linkable(version: &Snapshot, table: &TableState, file: &DataFile) -> bool {
    // A column that was dropped is still in the files, and its id would be given again.
    let last = table.columns.iter().map(|column| column.id).max().unwrap_or(0);
    let nothing_dropped = table.next_column_id == last + 1;
    let whole = file.partial_max.is_none_or(|newest| newest <= version.id);
    nothing_dropped
        && whole
        && file.partition_id.is_none()
        && file.mapping_id.is_none()
        && file.encryption_key.is_none()
}

fn ids(rows: &StoredRows) -> impl Iterator<Item = (String, i64)> {
    rows.row_ids.iter().map(|row| (rows.holder.clone(), *row))
}

fn without(rows: StoredRows, known: &HashSet<(String, i64)>) -> Result<StoredRows> {
    let keep: Vec<bool> = ids(&rows).map(|row| !known.contains(&row)).collect();
    rows.only(&keep)
}

/// The rows with their ids as the last column, as a writer of rewritten rows takes them.
fn with_ids(rows: &StoredRows) -> Result<RecordBatch> {
    let mut fields: Vec<_> = rows.batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(datafusion_ducklake::row_id::embedded_rowid_field()));
    let mut columns = rows.batch.columns().to_vec();
    columns.push(Arc::new(Int64Array::from(rows.row_ids.clone())) as ArrayRef);
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)
        .map_err(|error| Error::internal(error.to_string()))
}

/// Gives a file another name in another table's directory.
async fn link(
    lake: &Lake,
    version: &Snapshot,
    table: &TableState,
    file: &DataFile,
    directory: &str,
) -> Result<StagedFile> {
    let store = lake.store();
    let from = store.locate(version, table, &file.path, file.path_is_relative)?;
    let name = format!("{LINKED_PREFIX}{}.parquet", Uuid::now_v7());
    let path = format!("{directory}{name}");
    let size = match store.local_file(&path) {
        Some(to) => link_local(from.clone(), to).await?,
        None => {
            let to = store.object_path(&path);
            let copied = store.store.copy(&from.object, &to).await;
            copied.map_err(|error| from_store(&format!("copy {}", from.shown), error))?;
            let meta = store.store.head(&to).await;
            meta.map_err(|error| from_store(&format!("copy {}", from.shown), error))?.size
        }
    };
    let expected = file.file_size_bytes.unsigned_abs();
    if size != expected {
        discard(store, &path).await;
        let message = format!("cannot read {}: it has {size} bytes instead of {expected}", from.shown);
        return Err(Error::new(ErrorKind::Corrupt, message).with_hint(RESTORE));
    }
    let known = lake.metastore().data_files().checksum(file.id).await?;
    let checksum = match known {
        Some(known) => known.checksum,
        None => crc_text(lake, &from).await?,
    };
    let footer = match (file.footer_size, &from.local) {
        (Some(known), _) => known,
        (None, Some(local)) => footer_bytes(local)?,
        (None, None) => 0,
    };
    Ok(StagedFile {
        name,
        path,
        record_count: file.record_count,
        size_bytes: file.file_size_bytes,
        footer_bytes: footer,
        checksum,
        column_stats: file.column_stats.clone(),
        embeds_row_id: file.row_id_start.is_none(),
        partition: None,
    })
}

/// A hard link, or a copy where the file system has none. Gives the size.
async fn link_local(from: Located, to: std::path::PathBuf) -> Result<u64> {
    let shown = from.shown.clone();
    let linked = tokio::task::spawn_blocking(move || {
        let Some(source) = &from.local else { return Err(missing_file(&from.shown)) };
        let Some(parent) = to.parent() else { return Err(Error::internal("a file without a directory")) };
        make_directory(parent)?;
        match std::fs::hard_link(source, &to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing_file(&from.shown)),
            Err(_) => {
                std::fs::copy(source, &to).map_err(|error| from_io("copy", &from.shown, error))?;
                let synced = std::fs::File::open(&to).and_then(|file| file.sync_all());
                synced.map_err(|error| from_io("sync", &to.to_string_lossy(), error))?;
            }
        }
        sync_directory(parent)?;
        std::fs::metadata(&to).map(|meta| meta.len()).map_err(|error| from_io("read", &to.to_string_lossy(), error))
    });
    linked.await.map_err(|error| Error::internal(format!("linking {shown} failed: {error}")))?
}
